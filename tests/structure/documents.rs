//! What documents name is there: files, commands, and configurations that are accepted.

use std::fs;
use std::path::{Path, PathBuf};

use bellwether::config::{self, Config};
use bellwether::eval::settings::Settings;
use bellwether_connectors::wires::webhook::mapping::Mapping;
use bellwether_engine::catalogue::Catalogue;

use super::{files, root};

/// Documents for readers of the repository.
fn documents() -> Vec<PathBuf> {
    let mut found = files(&root().join("docs"), "md");
    let top = fs::read_dir(root()).expect("the root reads").filter_map(Result::ok).map(|entry| entry.path());
    found.extend(top.filter(|path| path.extension().is_some_and(|e| e == "md")));
    for folder in ["engine", "models", "connectors", "datasets", "fuzz", "benches", "tests", "examples"] {
        let pages = fs::read_dir(root().join(folder)).expect("a folder reads").filter_map(Result::ok);
        found.extend(pages.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "md")));
    }
    found
}

#[test]
fn every_file_a_document_links_to_exists() {
    for document in documents() {
        let text = fs::read_to_string(&document).expect("documents read");
        let folder = document.parent().expect("a document is in a folder");
        for target in links(&text) {
            let path = folder.join(target.split('#').next().unwrap_or_default());
            assert!(path.exists(), "{} links to `{target}`", document.display());
        }
    }
}

/// Endings of what a document names as a file of ours.
const ENDINGS: [&str; 9] = [".rs", ".md", ".toml", ".yaml", ".json", ".sh", ".py", ".svg", ".rules"];

/// Whether `code`, as a document writes it, is the path of a file or folder.
fn names_path(code: &str) -> bool {
    let plain = !code.is_empty() && code.chars().all(|c| c.is_ascii_alphanumeric() || "/_-.".contains(c));
    let rooted = [".", "/", "-"].iter().all(|start| !code.starts_with(start)) && !code.contains("//");
    plain && rooted && code.contains('/') && (ENDINGS.iter().any(|e| code.ends_with(e)) || is_of_ours(code))
}

/// Whether a path without an ending begins in a folder of ours, so that it can only mean ours.
fn is_of_ours(code: &str) -> bool {
    let first = code.split('/').next().unwrap_or_default();
    let ours = ["engine", "models", "connectors", "datasets", "fuzz", "benches", "examples", "docs", "tools", "src"];
    ours.contains(&first)
}

/// Where a path that a document shortens may begin: beside the document, at the root, in a crate or in
/// its sources.
fn found(document: &Path, code: &str) -> bool {
    let beside = document.parent().expect("a document is in a folder");
    let crates = ["", "engine", "models", "connectors", "datasets"].map(|name| root().join(name));
    let sources = crates.iter().map(|folder| folder.join("src"));
    let mut starts = sources.chain(crates.iter().cloned()).chain([beside.to_owned(), beside.join("src")]);
    starts.any(|start| start.join(code).exists())
}

#[test]
fn every_path_a_document_names_exists_also_shortened_ones() {
    let mut missing = Vec::new();
    for document in documents() {
        // What is told of the past may name what is gone.
        if document.ends_with("CHANGELOG.md") || document.starts_with(root().join("docs/adr")) {
            continue;
        }
        let text = fs::read_to_string(&document).expect("documents read");
        for code in inline_code(&text).into_iter().filter(|code| names_path(code)) {
            if !found(&document, code) {
                missing.push(format!("{} names `{code}`", document.display()));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

/// The YAML blocks in the head of a module; one that begins with a comment says whose other file it is
/// (`# prometheus.yml`).
fn blocks_in_head(source: &str) -> Vec<String> {
    let head = source.lines().take_while(|line| line.starts_with("//!"));
    let lines = head.map(|line| line.strip_prefix("//! ").unwrap_or_default());
    let mut blocks = Vec::new();
    let mut open: Option<String> = None;
    for line in lines {
        match (&mut open, line.trim_end()) {
            (None, "```yaml") => open = Some(String::new()),
            (Some(_), "```") => blocks.extend(open.take().filter(|block| !block.starts_with('#'))),
            (Some(block), _) => {
                block.push_str(line);
                block.push('\n');
            }
            (None, _) => {}
        }
    }
    blocks
}

/// Where a block may belong: the whole configuration, or a section of it that the module is about.
const SECTIONS: [&[&str]; 5] = [&[], &["engine"], &["wires"], &["wires", "http"], &["engine", "sense"]];

fn indented(block: &str, sections: &[&str]) -> String {
    let mut text = String::new();
    for (depth, section) in sections.iter().enumerate() {
        text.push_str(&format!("{}{section}:\n", "  ".repeat(depth)));
    }
    let pad = "  ".repeat(sections.len());
    block.lines().for_each(|line| text.push_str(&format!("{pad}{line}\n")));
    text
}

/// Whether a block is a document of model parameters, as `--params` takes it.
fn is_parameters(block: &str) -> bool {
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), block).expect("written");
    Settings::read(file.path()).is_ok()
}

#[test]
fn every_configuration_in_a_module_head_is_accepted() {
    let mut refused = Vec::new();
    let mut seen = 0;
    for folder in ["src", "engine/src", "models/src", "connectors/src", "datasets/src"] {
        for path in files(&root().join(folder), "rs") {
            let source = fs::read_to_string(&path).expect("source reads");
            for block in blocks_in_head(&source) {
                seen += 1;
                let name = path.display().to_string();
                let read = |sections: &[&str]| config::parse::<Config>(&name, indented(&block, sections));
                let mut complaints: Vec<String> =
                    SECTIONS.iter().filter_map(|sections| read(sections).err()).map(|e| e.to_string()).collect();
                let elsewhere = config::parse::<Catalogue>(&name, block.clone()).is_ok()
                    || config::parse::<Mapping>(&name, block.clone()).is_ok()
                    || is_parameters(&block);
                if complaints.len() == SECTIONS.len() && !elsewhere {
                    complaints.sort_by_key(String::len);
                    refused.push(complaints.swap_remove(0));
                }
            }
        }
    }
    assert!(seen > 10, "only {seen} blocks were found");
    assert!(refused.is_empty(), "{}", refused.join("\n\n"));
}

#[test]
fn every_command_a_document_names_exists() {
    let tree = bellwether::cli::command_tree();
    let makefile = fs::read_to_string(root().join("Makefile")).expect("the Makefile reads");
    for document in documents() {
        let text = fs::read_to_string(&document).expect("documents read");
        let name = document.display();
        for line in text.lines() {
            for words in invocations(line, "bellwether ") {
                if let Some(word) =
                    words.first().filter(|word| word.chars().all(|c| c.is_ascii_lowercase() || c == '-'))
                {
                    assert!(tree.find_subcommand(word).is_some(), "{name} names `bellwether {word}`: {line}");
                }
            }
            for words in invocations(line, "make ") {
                let target = words.first().map(String::as_str).unwrap_or_default();
                let known = makefile.lines().any(|rule| rule.starts_with(&format!("{target}:")));
                assert!(known, "{name} names `make {target}`: {line}");
            }
        }
    }
}

/// The words after `program` where a line shows it as a command: after a prompt, in a code
/// span, or at the beginning of an indented or fenced line.
fn invocations(line: &str, program: &str) -> Vec<Vec<String>> {
    let starts = line.match_indices(program).filter(|(at, _)| {
        let before = line[..*at].trim_end_matches(program);
        before.ends_with('`') || before.trim().is_empty() || before.ends_with("$ ") || before.ends_with(".tools/")
    });
    let in_code = |at: usize| line[..at].ends_with('`') || line.starts_with(program) || line.starts_with("    ");
    starts
        .filter(|(at, _)| in_code(*at))
        .map(|(at, _)| {
            let rest = &line[at + program.len()..];
            let rest = rest.split('`').next().unwrap_or_default();
            rest.split_whitespace().map(|word| word.trim_end_matches([',', '.', ';', ':']).to_owned()).collect()
        })
        .filter(|words: &Vec<String>| !words.is_empty())
        .collect()
}

fn links(text: &str) -> Vec<&str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets
        .filter(|target| !target.contains("://") && !target.starts_with('#') && !target.starts_with("mailto:"))
        .collect()
}

fn inline_code(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).filter(|code| !code.contains('\n')).collect()
}
