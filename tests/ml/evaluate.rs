//! `eval`, `eval --compare` and `tune` over small made-up sets: every task
//! leaves its files, its floors stand in the table, and a changed parameter is
//! found again by the comparison.

use crate::{refused, said, sets};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use tempfile::TempDir;

/// Tasks that the made-up sets serve, and a file of points each leaves.
const TASKS: [(&str, &str); 10] = [
    ("nab", "points.parquet"),
    ("kpi", "points.parquet"),
    ("wsd", "points.parquet"),
    ("ucr", "points.parquet"),
    ("ms", "points.parquet"),
    ("asd", "points.parquet"),
    ("smd", "points.parquet"),
    ("exhaustion", "decisions.parquet"),
    ("templates", "Ann-original.parquet"),
    ("logs", "hdfs_100k.parquet"),
];

fn data() -> TempDir {
    let folder = tempfile::tempdir().expect("temporary folder");
    sets::make(&folder.path().join("data"));
    folder
}

/// The documents that `--json` prints, one a line.
fn documents(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("a document a line")).collect()
}

/// True when a row has a figure above nothing.
fn some_cell(row: &Value) -> bool {
    row["cells"].as_array().is_some_and(|cells| cells.iter().any(|cell| cell.as_f64() > Some(0.0)))
}

fn files(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    entries.map(|name| name.to_string_lossy().into_owned()).collect()
}

#[test]
fn every_task_leaves_table_results_points_drawings_and_shows_both_floors() {
    let folder = data();
    let printed = documents(&said(&["eval", "--data", "data", "--out", "out", "--json"], b"", folder.path()));
    figures_follow_from_units(folder.path());
    assert_eq!(printed.len(), TASKS.len(), "tasks without data are left out");
    for ((task, points), document) in TASKS.into_iter().zip(printed) {
        assert_eq!(document["info"]["run_name"], task);
        let rows = document["table"]["rows"].as_array().expect("rows");
        for floor in ["random", "null"] {
            let is_floor = |row: &&Value| {
                row["whose"] == "floor" && row["method"].as_str().is_some_and(|name| name.starts_with(floor))
            };
            assert!(rows.iter().any(|row| is_floor(&row)), "{task} lacks {floor}");
        }
        assert!(rows.iter().any(|row| row["whose"] == "ours" && some_cell(row)), "{task}");
        assert!(!document["units"]["figures"].as_array().expect("figures").is_empty(), "{task}");
        let out = folder.path().join("out").join(task);
        let left = files(&out);
        for file in ["run.json", "table.csv", "results.csv", "results.parquet", points] {
            assert!(left.contains(file), "{task} lacks {file}: {left:?}");
        }
        let drawings: Vec<&String> = left.iter().filter(|name| name.ends_with(".svg")).collect();
        assert!(!drawings.is_empty(), "{task} lacks drawings");
        for drawing in drawings {
            let svg = std::fs::read_to_string(out.join(drawing)).expect("reads");
            assert!(svg.ends_with("</svg>\n") && !svg.contains("NaN"), "{task}/{drawing}");
        }
    }
}

/// The comparison of a run with itself forms every figure anew from its units.
fn figures_follow_from_units(folder: &Path) {
    let compared = documents(&said(&["eval", "--compare", "out", "out", "--json"], b"", folder));
    assert_eq!(compared.len(), TASKS.len());
    for document in compared {
        let task = document["task"].as_str().expect("a task");
        let run = std::fs::read(folder.join("out").join(task).join("run.json")).expect("run.json");
        let run: Value = serde_json::from_slice(&run).expect("json");
        let metrics = run["data"]["metrics"].as_array().expect("metrics");
        let mut checked = 0;
        for figure in document["figures"].as_array().expect("figures") {
            let name = figure["figure"].as_str().expect("a name");
            assert_eq!(figure["says"], "equal", "{task} {name}");
            let Some(metric) = metrics.iter().find(|metric| metric["key"] == name) else {
                panic!("{task}: figure `{name}` is no metric of run.json");
            };
            if figure["low"].is_number() {
                let (unit, total) = (figure["a"].as_f64(), metric["value"].as_f64());
                let gap = unit.expect("a value") - total.expect("a value");
                assert!(gap.abs() < 1e-9, "{task} {name}: {unit:?} from units, {total:?} in run.json");
                checked += 1;
            }
        }
        assert!(checked > 0, "{task} has no figure over units");
    }
}

#[test]
fn another_parameter_is_another_run_and_the_comparison_names_it() {
    let folder = data();
    std::fs::write(folder.path().join("slow.yaml"), "detector: { memory_points: 400 }\n").expect("writes");
    said(&["eval", "kpi", "--data", "data", "--out", "a"], b"", folder.path());
    said(&["eval", "kpi", "--data", "data", "--out", "b", "--params", "slow.yaml"], b"", folder.path());
    let compared = documents(&said(&["eval", "--compare", "a", "b/kpi", "--json"], b"", folder.path())).remove(0);
    assert_eq!(compared["params"][0]["key"], "detector.memory_points");
    assert_eq!((compared["same_data"].as_bool(), compared["pairs"].as_u64()), (Some(true), Some(4)));
    let text = said(&["eval", "--compare", "a", "b"], b"", folder.path());
    assert!(text.contains("memory_points: 12.0 → 400.0") && text.contains("95 % interval"), "{text}");
    let error = refused(&["eval", "--compare", "a", "data"], b"", folder.path());
    assert!(error.contains("holds no run"), "{error}");
    std::fs::write(folder.path().join("wrong.yaml"), "detector: { memory_point: 400 }\n").expect("writes");
    let error = refused(&["eval", "kpi", "--data", "data", "--params", "wrong.yaml"], b"", folder.path());
    assert!(error.contains("did you mean `memory_points`?"), "{error}");
}

#[test]
fn a_sweep_of_each_kind_of_task_ranks_its_trials_and_leaves_what_eval_takes() {
    let folder = data();
    let spaces = [
        (&["nab", "kpi", "ucr"][..], "detector: { memory_points: [6, 300] }"),
        (&["asd"], "multi: { ridge: { from: 0.1, to: 10, steps: 2, scale: log } }"),
        (&["templates"], "miner: { values_min: [3, 5, 900] }"),
        (&["exhaustion"], "exhaustion: { horizon_ns: [43200000000000, 86400000000000] }"),
    ];
    for (tasks, space) in spaces {
        std::fs::write(folder.path().join("space.yaml"), space).expect("writes");
        for task in tasks {
            let out = format!("tuned-{task}");
            let args =
                ["tune", task, "--space", "space.yaml", "--data", "data", "--out", &out, "--splits", "3", "--json"];
            let document = documents(&said(&args, b"", folder.path())).remove(0);
            assert_eq!(document["info"]["run_name"], format!("tune_{task}"));
            let left = files(&folder.path().join(&out));
            for file in ["results.csv", "results.parquet", "run.json", "best.yaml"] {
                assert!(left.contains(file), "{task}: {left:?}");
            }
            let results = std::fs::read_to_string(folder.path().join(&out).join("results.csv")).expect("results");
            assert!(results.starts_with("trial,mean,spread,held_out,gain,gain_error,"), "{task}: {results:.90}");
            assert!(results.lines().count() >= 3, "{task}: {results}");
            let best = format!("{out}/best.yaml");
            said(&["eval", task, "--data", "data", "--params", &best], b"", folder.path());
        }
    }
}

#[test]
fn sweeps_are_the_same_on_any_number_of_threads() {
    let folder = data();
    std::fs::write(folder.path().join("space.yaml"), "detector: { memory_points: [6, 12, 300] }").expect("writes");
    let run = |threads: &str| {
        let args = [
            "tune",
            "kpi",
            "--space",
            "space.yaml",
            "--data",
            "data",
            "--trials",
            "2",
            "--threads",
            threads,
            "--out",
            threads,
        ];
        said(&args, b"", folder.path());
        std::fs::read_to_string(folder.path().join(threads).join("results.csv")).expect("results")
    };
    assert_eq!(run("1"), run("3"));
}

#[test]
fn a_wrong_sweep_is_refused_before_anything_runs() {
    let folder = data();
    let refuse = |space: &str, more: &[&str]| {
        std::fs::write(folder.path().join("space.yaml"), space).expect("writes");
        let args = [&["tune", "nab", "--space", "space.yaml"], more].concat();
        refused(&args, b"", folder.path())
    };
    assert!(refuse("detector: { memory_pints: [1] }", &[]).contains("did you mean `memory_points`?"));
    assert!(refuse("detector: { memory_points: [1] }", &[]).contains("use a number from 2"));
    assert!(refuse("miner: { values_min: [3] }", &[]).contains("does not read `miner`"));
    assert!(refuse("detector: { memory_points: [9] }", &["--data", "data", "--by", "f2"]).contains("nab_standard"));
    assert!(refuse("detector: { memory_points: [9] }", &["--data", "nowhere"]).contains("BELLWETHER_DATA"));
}
