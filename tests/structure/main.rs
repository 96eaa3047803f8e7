//! The house is as its documents say: who imports whom, what each crate explains, and that
//! every file and command a document names is there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline", "--locked"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo prints JSON")
}

/// Each crate's ordinary dependencies.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("packages");
    let ordinary = |package: &Value| {
        let all = package["dependencies"].as_array().expect("dependencies").iter();
        let kept = all.filter(|dependency| dependency["kind"].is_null());
        kept.map(|dependency| dependency["name"].as_str().expect("a name").to_owned()).collect()
    };
    packages.iter().map(|package| (package["name"].as_str().expect("a name").to_owned(), ordinary(package))).collect()
}

#[test]
fn crates_import_only_those_below_them() {
    let allowed: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("bellwether-models", &[][..]),
        ("bellwether-engine", &["bellwether-models"][..]),
        ("bellwether-connectors", &["bellwether-engine"][..]),
        ("bellwether-datasets", &["bellwether-engine"][..]),
        ("bellwether", &["bellwether-engine", "bellwether-models", "bellwether-connectors", "bellwether-datasets"][..]),
    ]);
    for (name, dependencies) in dependencies() {
        let allowed = allowed.get(name.as_str()).unwrap_or_else(|| panic!("`{name}` is not in ARCHITECTURE.md"));
        let ours = dependencies.iter().filter(|dependency| dependency.starts_with("bellwether"));
        for dependency in ours {
            assert!(allowed.contains(&dependency.as_str()), "`{name}` imports `{dependency}`");
        }
    }
}

#[test]
fn models_and_engine_do_no_io_and_have_no_runtime() {
    let dependencies = dependencies();
    let io = ["tokio", "async-nats", "axum", "tonic", "hyper", "reqwest", "parquet", "rand", "clap"];
    for name in ["bellwether-models", "bellwether-engine"] {
        let found: Vec<_> = io.iter().filter(|io| dependencies[name].contains(**io)).collect();
        assert!(found.is_empty(), "`{name}` imports {found:?}");
    }
    assert!(!dependencies["bellwether-models"].contains("arrow"), "models take slices, not Arrow");
}

#[test]
fn the_engine_reads_no_clock_no_file_and_no_socket() {
    let forbidden =
        ["SystemTime::now", "Instant::now", "std::fs", "std::net", "std::env", "thread_rng", "std::process"];
    for crate_name in ["engine", "models"] {
        for path in files(&root().join(crate_name).join("src"), "rs") {
            let text = fs::read_to_string(&path).expect("source reads");
            let body = text.split("#[cfg(test)]").next().unwrap_or_default();
            for word in forbidden {
                let uses = body.lines().filter(|line| !line.trim_start().starts_with("//") && line.contains(word));
                assert_eq!(uses.count(), 0, "{} uses {word}", path.display());
            }
        }
    }
}

#[test]
fn each_crate_explains_itself() {
    for folder in ["engine", "models", "connectors", "datasets"] {
        let readme = root().join(folder).join("README.md");
        let text = fs::read_to_string(&readme).unwrap_or_default();
        assert!(text.len() > 200, "{} is missing or says nothing", readme.display());
    }
}

#[test]
fn each_source_file_begins_with_what_it_is() {
    for folder in ["src", "engine/src", "models/src", "connectors/src", "datasets/src", "tests", "benches"] {
        for path in files(&root().join(folder), "rs") {
            let text = fs::read_to_string(&path).expect("source reads");
            assert!(text.starts_with("//!"), "{} has no `//!` header", path.display());
        }
    }
}

/// Documents for readers of the repository.
fn documents() -> Vec<PathBuf> {
    let mut found = files(&root().join("docs"), "md");
    let top = fs::read_dir(root()).expect("the root reads").filter_map(Result::ok).map(|entry| entry.path());
    found.extend(top.filter(|path| path.extension().is_some_and(|e| e == "md")));
    for folder in ["engine", "models", "connectors", "datasets", "benches", "tests", "examples"] {
        let readme = root().join(folder).join("README.md");
        found.extend(readme.exists().then_some(readme));
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

#[test]
fn every_file_a_document_names_exists() {
    let endings = [".rs", ".md", ".toml", ".yaml", ".json", ".sh", ".py", ".svg"];
    let folders = [
        "src/",
        "engine/",
        "models/",
        "connectors/",
        "datasets/",
        "tests/",
        "benches/",
        "docs/",
        "tools/",
        "examples/",
        ".ci/",
    ];
    for document in documents() {
        let text = fs::read_to_string(&document).expect("documents read");
        for code in inline_code(&text) {
            let names_file =
                !code.contains([' ', '*', '<', '{', '$', '…']) && endings.iter().any(|e| code.ends_with(e));
            if names_file && folders.iter().any(|folder| code.starts_with(folder)) {
                let beside = document.parent().expect("a document is in a folder").join(code);
                assert!(root().join(code).exists() || beside.exists(), "{} names `{code}`", document.display());
            }
        }
    }
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

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut found = Vec::new();
    for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.extension().is_some_and(|e| e == ending) {
            found.push(path);
        }
    }
    found
}
