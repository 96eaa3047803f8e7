//! The metrics of the bench against other people's: `independent.py` computes
//! them again from what `eval --out` left, with scikit-learn, with PyPI's `vus`
//! where it is there, and with NAB's rules written a second time.
//!
//! Python with polars and scikit-learn comes from `.tools/ml` (`make test`
//! installs it) or from `BELLWETHER_ML_PYTHON`. Without them the test says so.

use crate::document::python;
use crate::skipped::skipped;
use crate::{said, sets};
use std::process::Command;

const CHECKS: &str = include_str!("independent.py");

#[test]
fn other_programs_find_the_figures_that_eval_printed() {
    let has_sklearn = |python: &std::path::PathBuf| {
        Command::new(python).args(["-c", "import polars, sklearn"]).output().is_ok_and(|it| it.status.success())
    };
    let Some(python) = python().filter(has_sklearn) else {
        skipped("no Python with polars and scikit-learn; `make ml` installs them into .tools/ml");
        return;
    };
    let folder = tempfile::tempdir().expect("temporary folder");
    sets::make(&folder.path().join("data"));
    said(&["eval", "nab", "smd", "exhaustion", "logs", "--data", "data", "--out", "out"], b"", folder.path());
    let output = Command::new(python).args(["-c", CHECKS]).current_dir(folder.path()).output().expect("starts");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    if out.contains("SKIPPED") {
        eprintln!("{out}");
    }
    for figure in ["hdfs_f1", "hdfs_mcc", "exhaustion_f1", "nab_standard"] {
        assert!(out.lines().any(|line| line == figure), "{figure} was not checked: {out}");
    }
}
