//! A team's own data: judged as the public sets are, tuned for, and promoted into the configuration.

use crate::{bellwether, refused, said};
use arrow::array::{BooleanArray, Float64Array, RecordBatch, TimestampMicrosecondArray};
use parquet::arrow::ArrowWriter;
use serde_json::Value;
use std::fmt::Write as _;
use std::fs::{create_dir_all, write};
use std::path::Path;
use std::sync::Arc;

/// Rows of a made-up series, and when they begin.
const ROWS: i64 = 1_200;
const BEGIN: i64 = 1_763_596_800;

fn value(row: i64) -> f64 {
    100.0 + (row * 7919 % 101) as f64 / 10.0 + if is_spike(row) { 400.0 } else { 0.0 }
}

fn is_spike(row: i64) -> bool {
    row % 200 == 150
}

fn csv(label: &dyn Fn(i64) -> String) -> String {
    let mut text = String::from("timestamp,value,label\n");
    (0..ROWS).for_each(|row| writeln!(text, "{},{},{}", BEGIN + 60 * row, value(row), label(row)).expect("string"));
    text
}

/// The same series as pandas and polars write it: microseconds in UTC, labels as yes and no.
fn parquet(path: &Path) {
    let micros = |row: i64| (BEGIN + 60 * row) * 1_000_000;
    let times = TimestampMicrosecondArray::from_iter_values((0..ROWS).map(micros)).with_timezone("UTC");
    let values = Float64Array::from_iter_values((0..ROWS).map(value));
    let labels = BooleanArray::from((0..ROWS).map(is_spike).collect::<Vec<_>>());
    let batch = RecordBatch::try_from_iter([
        ("timestamp", Arc::new(times) as _),
        ("value", Arc::new(values) as _),
        ("label", Arc::new(labels) as _),
    ])
    .expect("columns of one length");
    let mut writer =
        ArrowWriter::try_new(std::fs::File::create(path).expect("creates"), batch.schema(), None).expect("a writer");
    writer.write(&batch).expect("writes");
    writer.close().expect("closes");
}

/// A folder with every part but the journal.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = |name: &str| folder.path().join("own").join(name);
    for part in ["series", "machines", "alerts", "cases/one", "cases/two"] {
        create_dir_all(path(part)).expect("a folder");
    }
    write(path("series/cpu.csv"), csv(&|row| u8::from(is_spike(row)).to_string())).expect("writes");
    parquet(&path("series/memory.parquet"));
    let mut rows = String::from("timestamp,a,b,label\n");
    for row in 0..ROWS {
        let odd = row % 300 >= 290;
        let b = 3.0 * value(row % 150) + if odd { 900.0 } else { 0.0 };
        writeln!(rows, "{},{},{b},{}", BEGIN + 60 * row, value(row % 150), if odd { "yes" } else { "no" })
            .expect("string");
    }
    write(path("machines/db-1.csv"), rows).expect("writes");
    let mut alerts = String::from("time,type,entity,summary,group\n");
    for incident in 0..30 {
        let at = BEGIN + 7_200 * incident;
        for (step, (kind, entity)) in [("full", "db"), ("slow", "api"), ("errors", "web")].into_iter().enumerate() {
            writeln!(alerts, "{},{kind},{entity}-{incident},x,i{incident}", at + 20 * step as i64).expect("string");
        }
        writeln!(alerts, "{},login,mail-{incident},y,", at + 3_600).expect("string");
    }
    write(path("alerts/march.csv"), alerts).expect("writes");
    let edges: String = (0..30).map(|n| format!("web-{n},api-{n}\napi-{n},db-{n}\n")).collect();
    write(path("alerts/topology.csv"), format!("from,to\n{edges}")).expect("writes");
    for (case, odd) in [("one", "carts"), ("two", "orders")] {
        let file = |during: bool| {
            let mut text = String::from("time,carts_cpu,orders_cpu\n");
            for at in 0..120 {
                let cell = |name: &str| 1.0 + f64::from(at % 3) + if during && name == odd { 40.0 } else { 0.0 };
                writeln!(text, "{at},{},{}", cell("carts"), cell("orders")).expect("string");
            }
            text
        };
        write(path(&format!("cases/{case}/normal.csv")), file(false)).expect("writes");
        write(path(&format!("cases/{case}/anomalous.csv")), file(true)).expect("writes");
    }
    write(path("cases/one/cause.txt"), "carts-cpu\n").expect("writes");
    write(path("cases/two/cause.json"), r#"{"cause": "orders-cpu"}"#).expect("writes");
    folder
}

fn documents(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("a document a line")).collect()
}

fn metric(document: &Value, key: &str) -> f64 {
    let metrics = document["data"]["metrics"].as_array().expect("metrics");
    let found = metrics.iter().find(|metric| metric["key"] == key);
    found.and_then(|metric| metric["value"].as_f64()).unwrap_or_else(|| panic!("`{key}` in {document:#}"))
}

#[test]
fn every_part_of_the_folder_is_judged_by_the_metrics_of_the_public_sets() {
    let folder = folder();
    let printed = documents(&said(&["eval", "--own", "own", "--out", "out", "--json"], b"", folder.path()));
    let tasks: Vec<&str> = printed.iter().map(|run| run["info"]["run_name"].as_str().expect("a name")).collect();
    assert_eq!(tasks, ["series", "machines", "groups", "causes"], "there is no journal");
    assert!(metric(&printed[0], "series_told_f1") > 0.9 && metric(&printed[0], "series_false_week") < 2.0);
    assert!(metric(&printed[0], "series_best_event") > 0.9 && metric(&printed[1], "machines_vus_pr") > 0.3);
    assert!(metric(&printed[2], "f1") > 0.9 && metric(&printed[3], "as1") == 1.0);
    for (run, task) in printed.iter().zip(tasks) {
        let rows = run["table"]["rows"].as_array().expect("rows");
        for floor in ["random", "null"] {
            let is_floor = |row: &Value| row["method"].as_str().is_some_and(|name| name.starts_with(floor));
            assert!(rows.iter().any(is_floor), "{task} lacks {floor}");
        }
        let left = folder.path().join("out").join(task);
        assert!(left.join("run.json").is_file() && left.join("results.parquet").is_file(), "{task}");
    }
    // The same series as CSV and as Parquet has the same figures.
    let results = std::fs::read_to_string(folder.path().join("out/series/results.csv")).expect("results");
    let of = |name: &str| results.lines().find_map(|line| line.strip_prefix(&format!("{name},bellwether,")));
    assert!(of("cpu").is_some() && of("cpu") == of("memory"), "{results}");
    let compared = said(&["eval", "--compare", "out", "out"], b"", folder.path());
    assert!(compared.contains("series_event_f1") && compared.contains("equal"), "{compared}");
}

#[test]
fn what_is_wrong_is_named_by_file_row_and_column_with_the_remedy() {
    let folder = folder();
    let path = |name: &str| folder.path().join("own").join(name);
    let eval = |task: &str| refused(&["eval", task, "--own", "own"], b"", folder.path());
    write(path("series/cpu.csv"), csv(&|row| if row == 5 { "perhaps".to_owned() } else { "0".to_owned() }))
        .expect("writes");
    let error = eval("series");
    assert!(error.contains("cpu.csv` row 7 column `label`: `perhaps` is not 1 or 0"), "{error}");
    write(path("series/cpu.csv"), "timestamp,value\n0,1\n").expect("writes");
    assert!(eval("series").contains("no column `label`; its columns are `timestamp`, `value`"), "{}", eval("series"));
    write(path("series/cpu.csv"), "timestamp,value,label\n0,1,0\n").expect("writes");
    assert!(eval("series").contains("has 1 rows"), "{}", eval("series"));
    write(path("alerts/march.csv"), "time,type,entity,group\n0,a,b,\n").expect("writes");
    assert!(eval("groups").contains("`group` is empty in every row"), "{}", eval("groups"));
    write(path("cases/one/cause.txt"), "carts").expect("writes");
    assert!(eval("causes").contains("`carts` is no entity of the case, which has `carts-cpu`"), "{}", eval("causes"));
    std::fs::remove_file(path("cases/one/cause.txt")).expect("was there");
    assert!(eval("causes").contains("has no cause.txt"), "{}", eval("causes"));
    assert!(eval("feedback").contains("no data set at `own/journal`"), "{}", eval("feedback"));
    assert!(eval("nab").contains("unknown task `nab`"), "{}", eval("nab"));
    create_dir_all(folder.path().join("empty")).expect("a folder");
    let error = refused(&["eval", "--own", "empty"], b"", folder.path());
    assert!(error.contains("holds nothing to judge") && error.contains("timestamp,value,label"), "{error}");
}

#[test]
fn every_part_can_be_tuned_for_and_only_what_the_engine_runs_is_promoted() {
    let folder = folder();
    for (task, space, promoted) in [
        ("series", "detector: { memory_points: [6, 30] }", true),
        ("machines", "multi: { ridge: [0.1, 3] }", false),
        ("groups", "correlate: { threshold: [0.3, 0.6], weights: [{ time: 1.5 }] }", true),
        ("groups", "episodes: { novelty_gap_ns: [20000000000, 90000000000] }", false),
        ("causes", "causes: { latency: [0.5, 2] }", false),
    ] {
        write(folder.path().join("space.yaml"), space).expect("writes");
        let args = ["tune", task, "--own", "own", "--space", "space.yaml", "--splits", "2", "--out", "tuned", "--json"];
        let document = documents(&said(&args, b"", folder.path())).remove(0);
        assert_eq!(document["info"]["run_name"], format!("tune_{task}"));
        let file = folder.path().join("tuned/promote.yaml");
        assert_eq!(file.is_file(), promoted, "{task}: {space}");
        if promoted {
            assert!(said(&["validate", "tuned/promote.yaml"], b"", folder.path()).starts_with("ok"), "{task}");
        }
    }
    write(folder.path().join("space.yaml"), "detector: { memory_points: [6] }").expect("writes");
    let error = refused(&["tune", "groups", "--own", "own", "--space", "space.yaml"], b"", folder.path());
    assert!(error.contains("write parameters of `episodes`, `correlate`"), "{error}");
}

#[test]
fn what_was_tuned_is_accepted_shown_on_the_past_and_included() {
    let folder = folder();
    let run = |args: &[&str]| said(args, b"", folder.path());
    write(folder.path().join("space.yaml"), "detector: { memory_points: [6, 300] }\n").expect("writes");
    run(&["tune", "series", "--own", "own", "--space", "space.yaml", "--splits", "3", "--out", "tuned"]);
    run(&["eval", "series", "--own", "own", "--params", "tuned/best.yaml"]);
    assert!(run(&["validate", "tuned/promote.yaml"]).starts_with("ok"));

    // A change that shows: every alert stays alone.
    run(&["simulate", "--seed", "5", "--estate", "60", "--faults", "2", "--out", "past"]);
    let apart = "engine: { correlate: { threshold: 0.9999, merge_threshold: 0.9999 } }\n";
    write(folder.path().join("apart.yaml"), apart).expect("writes");
    let beside = |file: &str| documents(&run(&["replay", "past", "--beside", file, "--json"])).remove(0);
    let length = |document: &Value, kind: &str| document[kind].as_array().map_or(0, Vec::len);
    let differs = beside("apart.yaml");
    assert!(length(&differs, "new") > 0 && length(&differs, "changed") > 0, "{differs:#}");
    write(folder.path().join("same.yaml"), "engine: {}\n").expect("writes");
    let same = beside("same.yaml");
    assert_eq!((length(&same, "new"), length(&same, "gone"), length(&same, "changed")), (0, 0, 0), "{same:#}");
    assert!(same["same"].as_u64() > Some(0), "{same:#}");
    let together = "engine: { correlate: { threshold: 0.5, merge_threshold: 0.5 } }\n";
    write(folder.path().join("together.yaml"), together).expect("writes");
    let back = ["replay", "past", "-c", "apart.yaml", "--beside", "together.yaml", "--json"];
    assert!(length(&documents(&run(&back)).remove(0), "gone") > 0, "what was apart is together");
    let text = run(&["replay", "past", "--beside", "apart.yaml"]);
    assert!(text.contains("Newly told") && text.contains("told otherwise"), "{text}");

    write(folder.path().join("bellwether.yaml"), "include: [tuned/promote.yaml]\nstate: s\n").expect("writes");
    assert!(run(&["validate", "bellwether.yaml"]).contains("include  tuned/promote.yaml"));
    write(folder.path().join("wrong.yaml"), "engine: { corelate: {} }\n").expect("writes");
    write(folder.path().join("bellwether.yaml"), "include: [wrong.yaml]\n").expect("writes");
    let output = bellwether(&["validate", "bellwether.yaml"], b"", folder.path());
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && error.contains("wrong.yaml:1:"), "{error}");
}
