//! `bellwether eval` and the scorer of held-back data say the same of the same series.
//!
//! The scorer lies beside the data: `BELLWETHER_DATA`, default `../shared/data`, and `../scoring` from
//! there. Its Python is where its `venv.sh` puts it, or what `BELLWETHER_SCORER_PYTHON` names. Without
//! them the test says so and passes: it has nothing to compare with.

#[path = "support/skipped.rs"]
mod skipped;

use std::path::{Path, PathBuf};
use std::process::Command;

use skipped::skipped;

/// A task, the figure of the scorer's last line, and the metric of `run.json`: the set that is small.
const SAME: [(&str, &str, &str); 1] = [("nab", "best", "nab_standard")];

/// The scorer tells this figure with two digits.
const ROUNDING: f64 = 0.006;

/// What makes a comparison: the scorer, its Python, the data.
fn scorer() -> Option<(PathBuf, PathBuf, PathBuf)> {
    let data = std::env::var_os("BELLWETHER_DATA").map_or_else(|| "../shared/data".into(), PathBuf::from);
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join(data);
    let scorer = data.join("../scoring/score.py");
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| std::env::home_dir().map(|home| home.join(".cache")))?;
    let python = std::env::var_os("BELLWETHER_SCORER_PYTHON").map(PathBuf::from);
    let python = python.unwrap_or_else(|| cache.join("bellwether/scoring-venv/bin/python"));
    (scorer.is_file() && python.is_file()).then_some((scorer, python, data))
}

/// The number after `name` in the last line of what the scorer printed.
fn told(output: &str, name: &str) -> Option<f64> {
    let mut words = output.lines().last()?.split(' ').skip_while(|word| *word != name);
    words.nth(1)?.parse().ok()
}

#[test]
fn eval_and_the_scorer_say_the_same_of_the_same_series() {
    let Some((scorer, python, data)) = scorer() else {
        skipped("no scorer beside the data, or no Python for it; its README says how to make one");
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    for (task, figure, metric) in SAME {
        let program = env!("CARGO_BIN_EXE_bellwether");
        let mut score = Command::new(&python);
        score.arg(&scorer).args([task, "--no-causal", "--jobs", "1", "--bin", program]);
        score.arg("--data").arg(&data).arg("--work").arg(folder.path());
        let scored = score.output().expect("Python starts");
        let scored = String::from_utf8_lossy(&scored.stdout).into_owned();
        let theirs = told(scored.trim_end(), figure).unwrap_or_else(|| panic!("{task}: no {figure} in\n{scored}"));
        let out = folder.path().join(format!("eval-{task}"));
        let eval = Command::new(program).args(["eval", task, "--data"]).arg(&data).arg("--out").arg(&out).output();
        assert!(eval.expect("it starts").status.success(), "eval {task}");
        let run = std::fs::read(out.join(task).join("run.json")).expect("a run");
        let run: serde_json::Value = serde_json::from_slice(&run).expect("it is JSON");
        let mut metrics = run["data"]["metrics"].as_array().into_iter().flatten();
        let ours = metrics.find(|told| told["key"] == metric).and_then(|told| told["value"].as_f64());
        let ours = ours.unwrap_or_else(|| panic!("{task}: no {metric} in its run.json"));
        assert!((ours - theirs).abs() < ROUNDING, "{task}: eval says {ours}, the scorer {theirs}");
    }
}
