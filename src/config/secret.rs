//! References to secrets: `${env:NAME}` and `${file:/path}` inside a text.
//!
//! A reference is explicit, so that a stray dollar sign in a password never reads a variable.
//! What it stands for goes into the typed configuration only: everything that is printed is
//! printed from the document as it was written, where the reference still stands.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::problem::Problem;
use super::tree::{Node, Tree};

/// A secret is a line of text, not a file of data.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// Permission bits a secret's file must not have: group may read, others nothing.
const MODE_FORBIDDEN: u32 = 0o027;

/// Replaces every reference in the tree, and says which could not be. Relative paths begin at
/// `folder`.
pub fn resolve(tree: &mut Tree, folder: &Path, problems: &mut Vec<Problem>) {
    match &mut tree.node {
        Node::Text(text) => match resolve_text(text, folder) {
            Ok(resolved) => *text = resolved,
            Err((message, remedy)) => problems.push(Problem::new(tree.place, message).with_remedy(remedy)),
        },
        Node::List(items) => items.iter_mut().for_each(|item| resolve(item, folder, problems)),
        Node::Map(entries) => entries.iter_mut().for_each(|entry| resolve(&mut entry.value, folder, problems)),
        _ => {}
    }
}

type Complaint = (String, String);

fn resolve_text(text: &str, folder: &Path) -> Result<String, Complaint> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, reference) = rest.split_at(start);
        out.push_str(before);
        let Some(end) = reference.find('}') else {
            return Err(("a reference has no end".into(), "close it with `}`".into()));
        };
        out.push_str(&look_up(&reference[2..end], folder)?);
        rest = &reference[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

fn look_up(reference: &str, folder: &Path) -> Result<String, Complaint> {
    match reference.split_once(':') {
        Some(("env", name)) => std::env::var(name)
            .map_err(|_| (format!("environment variable `{name}` is not set"), format!("set it: export {name}=…"))),
        Some(("file", path)) => read_secret(&folder.join(path)),
        _ => Err((format!("`${{{reference}}}` is not a reference"), "write ${env:NAME} or ${file:/path}".into())),
    }
}

fn read_secret(file: &Path) -> Result<String, Complaint> {
    let path = file.display();
    let unreadable = |error: std::io::Error| {
        (format!("secret file `{path}` cannot be read: {error}"), "check the path and its owner".to_owned())
    };
    let meta = fs::metadata(file).map_err(unreadable)?;
    if meta.permissions().mode() & MODE_FORBIDDEN != 0 {
        let message = format!("secret file `{path}` is open to others: mode {:o}", meta.permissions().mode() & 0o777);
        return Err((message, format!("chmod 640 {path}")));
    }
    if meta.len() > SECRET_BYTES_MAX {
        let message = format!("secret file `{path}` has {} bytes", meta.len());
        return Err((message, format!("a secret has at most {SECRET_BYTES_MAX} bytes")));
    }
    let text = fs::read_to_string(file).map_err(unreadable)?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(text: &str) -> Result<Tree, Vec<Problem>> {
        let mut tree = Tree::parse(text).expect("YAML");
        let mut problems = Vec::new();
        resolve(&mut tree, Path::new(""), &mut problems);
        if problems.is_empty() { Ok(tree) } else { Err(problems) }
    }

    #[test]
    fn a_reference_becomes_what_it_stands_for() {
        let tree = resolved("a: 'x ${env:PATH} y'\nb: [$HOME, '5$']\n").expect("resolves");
        let path = std::env::var("PATH").expect("tests have a PATH");
        assert_eq!(tree.get("a").and_then(Tree::text), Some(format!("x {path} y").as_str()));
        let Some(Node::List(items)) = tree.get("b").map(|t| &t.node) else { panic!("{tree:?}") };
        assert_eq!(items[0].text(), Some("$HOME"));
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("token");
        fs::write(&path, "s3cret\n").expect("writes");
        let text = format!("token: ${{file:{}}}", path.display());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("chmod");
        let problems = resolved(&text).expect_err("open to all");
        assert!(problems[0].message.contains("mode 644") && problems[0].remedy.starts_with("chmod 640"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("chmod");
        assert_eq!(resolved(&text).expect("resolves").get("token").and_then(Tree::text), Some("s3cret"));
    }

    #[test]
    fn what_cannot_be_looked_up_is_a_problem_with_a_remedy() {
        for text in ["a: ${env:BELLWETHER_SURELY_NOT_SET}", "a: ${file:/no/such}", "a: '${HOME}'", "a: '${env:X'"] {
            let problems = resolved(text).expect_err(text);
            assert_eq!(problems.len(), 1, "{text}");
            assert!(!problems[0].remedy.is_empty(), "{text}");
        }
    }
}
