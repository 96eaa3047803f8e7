//! A tenant's folder of Markdown files that tell what to do.

use std::fs;
use std::path::{Path, PathBuf};

use bellwether_engine::catalogue::KnowledgeArticle;
use bellwether_engine::signal::cut_to;

/// Articles of a folder.
const ARTICLES_MAX: usize = 1_000;
/// Bytes of an article that are read: what is looked for stands near its beginning.
const TEXT_BYTES_MAX: usize = 4 << 10;
/// Bytes of a title.
const TITLE_BYTES_MAX: usize = 200;
/// Folders within folders.
const DEPTH_MAX: usize = 8;

/// The Markdown files of a folder and of those in it, by their paths there.
///
/// # Errors
/// In words, what cannot be read, or that there are too many.
pub(super) fn articles(folder: &Path) -> Result<Vec<KnowledgeArticle>, String> {
    let mut files = Vec::new();
    collect(folder, 0, &mut files)?;
    files.sort();
    if files.len() > ARTICLES_MAX {
        return Err(format!("it has {} articles, at most {ARTICLES_MAX} are read: name a smaller folder", files.len()));
    }
    files.iter().map(|file| article(folder, file)).collect()
}

fn collect(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("cannot read `{}`: {error}", folder.display());
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // Version control and editors keep their own things in hidden folders.
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() && depth < DEPTH_MAX {
            collect(&path, depth + 1, files)?;
        } else if name.ends_with(".md") {
            files.push(path);
        }
    }
    Ok(())
}

fn article(folder: &Path, file: &Path) -> Result<KnowledgeArticle, String> {
    let bytes = fs::read(file).map_err(|error| format!("cannot read `{}`: {error}", file.display()))?;
    let text = String::from_utf8_lossy(&bytes);
    let id = file.strip_prefix(folder).unwrap_or(file).display().to_string();
    let headline = text.lines().find_map(|line| line.strip_prefix('#')).map(|rest| rest.trim_start_matches('#').trim());
    let title = headline.filter(|title| !title.is_empty()).unwrap_or(&id);
    Ok(KnowledgeArticle {
        title: cut_to(title, TITLE_BYTES_MAX).to_owned(),
        text: cut_to(&text, TEXT_BYTES_MAX).to_owned(),
        id,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_markdown_file_is_an_article_with_its_headline() {
        let dir = tempfile::tempdir().expect("temporary folder");
        fs::create_dir_all(dir.path().join("db/.git")).expect("folders");
        fs::write(dir.path().join("db/disk.md"), "Notes\n## A disk is full\nGrow it.").expect("writes");
        fs::write(dir.path().join("plain.md"), "No headline").expect("writes");
        fs::write(dir.path().join("db/.git/x.md"), "# hidden").expect("writes");
        fs::write(dir.path().join("notes.txt"), "# no").expect("writes");
        let found = articles(dir.path()).expect("reads");
        let found: Vec<(&str, &str)> = found.iter().map(|it| (it.id.as_str(), it.title.as_str())).collect();
        assert_eq!(found, [("db/disk.md", "A disk is full"), ("plain.md", "plain.md")]);
        let error = articles(&dir.path().join("absent")).expect_err("no folder");
        assert!(error.contains("absent"), "{error}");
    }
}
