//! The Python and the parameter files of `docs/ml.md` run as they stand there.
//!
//! Python with polars, scikit-learn, river and MLflow comes from `.tools/ml` (`make test` installs it) or from
//! `BELLWETHER_ML_PYTHON`. Without it the test says so and checks nothing.

use crate::skipped::skipped;
use crate::{said, sets};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The Python to use, if one is there.
pub(crate) fn python() -> Option<PathBuf> {
    let named = std::env::var_os("BELLWETHER_ML_PYTHON").map(PathBuf::from);
    let path = named.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools/ml/bin/python"));
    path.is_file().then_some(path)
}

/// Code blocks of the page in `language`, in order.
pub(crate) fn blocks(language: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ml.md");
    let page = std::fs::read_to_string(path).expect("docs/ml.md reads");
    let fence = format!("```{language}\n");
    let parts = page.split(&fence).skip(1);
    parts.map(|part| part.split("```").next().expect("a block ends").to_owned()).collect()
}

#[test]
fn the_python_of_the_page_runs_on_what_eval_and_tune_leave() {
    let Some(python) = python() else {
        skipped("no Python with polars, scikit-learn, river and MLflow; `make ml` installs it into .tools/ml");
        return;
    };
    let folder = tempfile::tempdir().expect("temporary folder");
    sets::make(&folder.path().join("data"));
    said(&["eval", "--data", "data", "--out", "out"], b"", folder.path());
    std::fs::write(folder.path().join("space.yaml"), &blocks("yaml")[0]).expect("writes");
    said(&["tune", "kpi", "--space", "space.yaml", "--data", "data", "--out", "tuned"], b"", folder.path());
    // The blocks call the program by its name, and MLflow keeps its runs in the folder.
    let program = Path::new(env!("CARGO_BIN_EXE_bellwether")).parent().expect("a folder").to_path_buf();
    let others = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(program).chain(std::env::split_paths(&others))).expect("a path");
    let runs = format!("file://{}", folder.path().join("mlruns").display());
    let blocks = blocks("python");
    assert!(blocks.len() >= 8, "the page shows {} blocks", blocks.len());
    for block in blocks {
        let mut run = Command::new(&python);
        run.args(["-c", &block]).current_dir(folder.path()).env("PATH", &path).env("NO_COLOR", "1");
        run.env("MLFLOW_TRACKING_URI", &runs).env("MLFLOW_ALLOW_FILE_STORE", "true");
        let output = run.output().expect("starts");
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{block}\n{err}");
        assert!(!out.trim().is_empty(), "a block shows something:\n{block}");
    }
}

#[test]
fn the_spaces_of_the_page_are_accepted() {
    let folder = tempfile::tempdir().expect("temporary folder");
    sets::make(&folder.path().join("data"));
    let spaces = blocks("yaml");
    assert!(!spaces.is_empty());
    for space in spaces {
        std::fs::write(folder.path().join("space.yaml"), &space).expect("writes");
        let args = ["tune", "kpi", "--space", "space.yaml", "--data", "data", "--trials", "2", "--splits", "3"];
        let text = said(&args, b"", folder.path());
        assert!(text.contains("the defaults"), "{text}");
    }
}
