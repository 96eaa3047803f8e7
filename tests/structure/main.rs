//! The house is as its documents say: who imports whom, between crates and inside them, what each
//! crate explains, and that what documents name is there and accepted.

mod documents;
mod imports;
mod rooms;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

pub(crate) fn root() -> &'static Path {
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
        ("bellwether-fuzz", &["bellwether", "bellwether-connectors", "bellwether-engine", "bellwether-models"][..]),
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
    for folder in ["engine", "models", "connectors", "datasets", "fuzz"] {
        let readme = root().join(folder).join("README.md");
        let text = fs::read_to_string(&readme).unwrap_or_default();
        assert!(text.len() > 200, "{} is missing or says nothing", readme.display());
    }
}

#[test]
fn each_source_file_begins_with_what_it_is() {
    for folder in [
        "src",
        "engine/src",
        "models/src",
        "connectors/src",
        "datasets/src",
        "fuzz/src",
        "fuzz/tests",
        "tests",
        "benches",
    ] {
        for path in files(&root().join(folder), "rs") {
            let text = fs::read_to_string(&path).expect("source reads");
            assert!(text.starts_with("//!"), "{} has no `//!` header", path.display());
        }
    }
}

/// The files below `folder` whose names end in `.ending`.
pub(crate) fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
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
