//! What the `models` commands promise: names and order of columns, the same
//! rows as CSV, NDJSON and Parquet, from a file or stdin, and errors that name
//! row and column.

use crate::{bellwether, refused, said};
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit, TimestampNanosecondType};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::fmt::Write as _;
use std::path::Path;

/// A command, its columns in order, and an input that gives rows.
struct Command {
    args: &'static [&'static str],
    columns: &'static [&'static str],
    input: String,
}

fn commands() -> Vec<Command> {
    let (mut one, mut many, mut levels) = (
        String::from("timestamp,value\n"),
        String::from("timestamp,a,b,label\n"),
        String::from("series,timestamp,value\n"),
    );
    for minute in 0..300 {
        let at = stamp(1_763_596_800 + 60 * minute);
        let value = if minute == 250 { 900 } else { 10 + minute % 7 };
        writeln!(one, "{at},{value}").expect("string");
        writeln!(many, "{at},{value},{},0", minute % 5).expect("string");
        writeln!(levels, "disk,{},{}", stamp(1_763_596_800 + 600 * minute), 20.0 + minute as f64 / 5.0)
            .expect("string");
    }
    let alerts = "time,name,host,summary\n0,slow,web,x\n30,errors,web,y\n9000,full,disk,z\n";
    let sessions: String =
        (0..40).map(|n| format!("{{\"session\":\"s{n}\",\"templates\":[\"open\",\"close\"],\"label\":0}}\n")).collect();
    vec![
        Command {
            args: &["models", "detect"],
            columns: &["timestamp", "value", "score", "anomaly", "expected", "lower", "upper", "reason"],
            input: one,
        },
        Command {
            args: &["models", "detect", "--multi"],
            columns: &["timestamp", "score", "anomaly", "contribution_a", "contribution_b"],
            input: many,
        },
        Command {
            args: &["models", "forecast", "--limit", "100"],
            columns: &[
                "series",
                "timestamp",
                "row",
                "level",
                "p10",
                "p50",
                "p90",
                "full_within_horizon",
                "bands_checked",
                "coverage",
                "faster_since",
            ],
            input: levels,
        },
        Command {
            args: &["models", "templates"],
            columns: &["line", "template_id", "template", "values"],
            input: "port 80 open\nport 443 open\nup\n".into(),
        },
        Command { args: &["models", "groups"], columns: &["alert", "group"], input: alerts.into() },
        Command {
            args: &["models", "sessions", "--train", "train.jsonl", "--test"],
            columns: &["session", "score", "anomaly", "reason"],
            input: sessions,
        },
    ]
}

/// A time as the program writes it.
fn stamp(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).expect("in the calendar").to_string()
}

fn read_parquet(path: &Path) -> RecordBatch {
    let file = std::fs::File::open(path).expect("opens");
    let mut reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("parquet").build().expect("reads");
    let batch = reader.next().expect("rows").expect("reads");
    assert!(reader.next().is_none(), "one batch is enough for these rows");
    batch
}

/// A cell as the CSV has it.
fn cell(batch: &RecordBatch, column: usize, row: usize) -> String {
    let array = batch.column(column);
    match array.data_type() {
        _ if array.is_null(row) => String::new(),
        DataType::Float64 => array.as_primitive::<Float64Type>().value(row).to_string(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Timestamp(..) => {
            let stamp =
                jiff::Timestamp::from_nanosecond(array.as_primitive::<TimestampNanosecondType>().value(row).into());
            stamp.expect("in the calendar").to_string()
        }
        DataType::List(_) => {
            let texts = array.as_list::<i32>().value(row);
            serde_json::json!(texts.as_string::<i32>().iter().flatten().collect::<Vec<_>>()).to_string()
        }
        DataType::Boolean => array.as_boolean().value(row).to_string(),
        _ => array.as_string::<i32>().value(row).to_owned(),
    }
}

#[test]
fn columns_keep_their_names_and_order_in_every_format_from_file_and_stdin() {
    for Command { args, columns, input } in commands() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("in.txt"), &input).expect("writes");
        std::fs::write(path("train.jsonl"), &input).expect("writes");
        let csv = said(&[args, &["in.txt"]].concat(), b"", folder.path());
        assert_eq!(csv.lines().next(), Some(columns.join(",").as_str()), "{args:?}");
        assert_eq!(said(&[args, &["-"]].concat(), input.as_bytes(), folder.path()), csv, "{args:?} from stdin");

        said(&[args, &["in.txt", "--out", "out.parquet"]].concat(), b"", folder.path());
        let batch = read_parquet(&path("out.parquet"));
        let names: Vec<String> = batch.schema().fields().iter().map(|field| field.name().clone()).collect();
        assert_eq!(names, columns, "{args:?}");
        for field in
            batch.schema().fields().iter().filter(|f| ["timestamp", "faster_since"].contains(&f.name().as_str()))
        {
            let is_time =
                matches!(field.data_type(), DataType::Timestamp(TimeUnit::Nanosecond, Some(zone)) if &**zone == "UTC");
            assert!(is_time, "{args:?} `{}` is {}", field.name(), field.data_type());
        }
        let ndjson = said(&[args, &["in.txt", "--format", "ndjson"]].concat(), b"", folder.path());
        let mut records = csv::Reader::from_reader(csv.as_bytes());
        let mut rows = 0;
        for (row, (record, line)) in records.records().zip(ndjson.lines()).enumerate() {
            let record = record.expect("a CSV row");
            let object: serde_json::Value = serde_json::from_str(line).expect("a JSON row");
            let mut at = 0;
            for (column, name) in columns.iter().enumerate() {
                assert_eq!(cell(&batch, column, row), record[column], "{args:?} row {row} `{name}`");
                let json = match &object[*name] {
                    serde_json::Value::Null => String::new(),
                    serde_json::Value::String(text) => text.clone(),
                    serde_json::Value::Number(number) if number.is_f64() => {
                        number.as_f64().expect("a float").to_string()
                    }
                    other => other.to_string(),
                };
                assert_eq!(json, record[column], "{args:?} row {row} `{name}`");
                let place = line.find(&format!("\"{name}\":")).expect("the key is there");
                assert!(place >= at, "{args:?}: keys stand in the order of the columns");
                at = place;
            }
            rows = row + 1;
        }
        assert!(rows > 0 && rows == batch.num_rows() && rows == ndjson.lines().count(), "{args:?}: {rows} rows");
    }
}

#[test]
fn a_gzipped_file_is_read_as_the_plain_one() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let input = &commands()[0].input;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, input.as_bytes()).expect("packs");
    std::fs::write(folder.path().join("in.csv.gz"), packed.finish().expect("packs")).expect("writes");
    let plain = said(&["models", "detect", "-"], input.as_bytes(), folder.path());
    assert_eq!(said(&["models", "detect", "in.csv.gz"], b"", folder.path()), plain);
}

#[test]
fn what_the_program_writes_as_parquet_it_reads_as_the_csv_it_wrote() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let run = |args: &[&str], input: &str| said(args, input.as_bytes(), folder.path());
    let input = &commands()[0].input;
    run(&["models", "detect", "-", "--out", "scored.parquet"], input);
    run(&["models", "detect", "-", "--out", "scored.csv"], input);
    let again = ["models", "detect", "--value-column", "value"];
    let (parquet, csv) =
        (run(&[&again[..], &["scored.parquet"]].concat(), ""), run(&[&again[..], &["scored.csv"]].concat(), ""));
    assert!(parquet == csv && parquet.lines().count() == 301, "{parquet}");
    std::fs::write(folder.path().join("cut.parquet"), b"PAR1 and no more").expect("writes");
    let error = refused(&["models", "detect", "cut.parquet"], b"", folder.path());
    assert!(error.contains("`cut.parquet` is no whole Parquet file"), "{error}");
}

#[test]
fn a_pipe_goes_on_with_its_state_and_says_what_a_file_says() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let input = &commands()[0].input;
    let whole: Vec<String> = said(&["models", "detect", "-", "--format", "ndjson"], input.as_bytes(), folder.path())
        .lines()
        .map(str::to_owned)
        .collect();
    let points: Vec<String> = whole
        .iter()
        .map(|line| {
            let row: serde_json::Value = serde_json::from_str(line).expect("JSON");
            format!("{{\"timestamp\":{},\"value\":{}}}\n", row["timestamp"], row["value"])
        })
        .collect();
    let pipe = ["models", "detect", "--pipe", "--state", "state"];
    let halves = [&points[..140], &points[140..]].map(|half| said(&pipe, half.concat().as_bytes(), folder.path()));
    let answers: Vec<String> = halves.concat().lines().map(|line| line.replacen("{\"series\":\"\",", "{", 1)).collect();
    assert_eq!(answers.len(), whole.len());
    for (answer, row) in answers.iter().zip(&whole) {
        let [answer, row]: [serde_json::Value; 2] = [answer, row].map(|line| serde_json::from_str(line).expect("JSON"));
        assert_eq!(answer, row);
    }
    let output = bellwether(&["models", "detect", "--pipe"], b"{\"value\":1}\n", folder.path());
    assert_eq!(output.status.code(), Some(3), "a line was no point");
    let error = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(error.starts_with("{\"error\":\"line 1 is no point") && error.contains("timestamp"), "{error}");
}

#[test]
fn errors_name_row_and_column_and_what_would_do() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let error = |args: &[&str], input: &str| refused(args, input.as_bytes(), folder.path());
    let detect = &["models", "detect", "-"];
    assert!(error(detect, "timestamp,value\n0,1\n60,abc\n").contains("row 3 column `value`: `abc` is not a number"));
    assert!(error(detect, "timestamp,value\nsoon,1\n").contains("row 2 column `timestamp`: `soon`"));
    assert!(
        error(detect, "timestamp,level,load\n0,1,2\n")
            .contains("no column `value`; its columns are `timestamp`, `level`, `load`")
    );
    assert!(error(detect, "").contains("a header line such as `timestamp,value` is needed"));
    assert!(error(detect, "timestamp,value\n0\n").contains("row 2"));
    let multi = &["models", "detect", "--multi", "-"];
    assert!(error(multi, "timestamp,a\n0,x\n").contains("row 2 column `a`"));
    assert!(error(multi, "timestamp,label\n0,1\n").contains("no value columns"));
    let forecast = &["models", "forecast", "--limit", "100", "-"];
    assert!(error(forecast, "timestamp,value\n0,1\n9,?\n").contains("row 3 column `value`"));
    assert!(
        error(&[forecast, &["--horizon", "soon"][..]].concat(), "timestamp,value\n0,1\n").contains("90m, 24h or 7d")
    );
    let groups = &["models", "groups", "-"];
    assert!(error(groups, "time,name\n0,a\nlater,b\n").contains("row 3 column `time`"));
    assert!(error(groups, "when,what\n0,a\n").contains("--time-column"));
    std::fs::write(folder.path().join("train.jsonl"), "{\"session\":\"a\",\"templates\":[\"x\"]}\n{broken\n")
        .expect("writes");
    let sessions = &["models", "sessions", "--train", "train.jsonl", "--test", "train.jsonl"];
    assert!(error(sessions, "").contains("row 2"));
    assert!(error(&["models", "templates", "none.log"], "").contains("cannot read `none.log`"));
    assert!(
        error(&["models", "detect", "-", "--format", "parquet"], "timestamp,value\n0,1\n")
            .contains("--out FILE.parquet")
    );
}

#[test]
fn parameters_of_a_file_change_the_verdict_and_unknown_ones_are_refused() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let input = &commands()[0].input;
    std::fs::write(folder.path().join("late.yaml"), "detector: { learning_points: 290 }\n").expect("writes");
    let scores = |args: &[&str]| -> Vec<String> {
        let csv = said(&[&["models", "detect", "-"], args].concat(), input.as_bytes(), folder.path());
        csv.lines().filter_map(|line| Some(line.split(',').nth(2)?.to_owned())).collect()
    };
    assert_ne!(scores(&[]), scores(&["--params", "late.yaml"]), "it learns longer");
    std::fs::write(folder.path().join("late.yaml"), "detector: { learning: 290 }\n").expect("writes");
    let error = refused(&["models", "detect", "-", "--params", "late.yaml"], input.as_bytes(), folder.path());
    assert!(error.contains("unknown key in `detector` `learning`"), "{error}");
}

#[test]
fn ranked_causes_are_one_document_whose_confidences_sum_to_one() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let rows = |odd: f64| {
        let mut text = String::from("time,carts_cpu,orders_cpu\n");
        (0..120)
            .for_each(|at| writeln!(text, "{at},{},{}", 1.0 + f64::from(at % 3) + odd, 5 + at % 2).expect("string"));
        text
    };
    std::fs::write(folder.path().join("normal.csv"), rows(0.0)).expect("writes");
    std::fs::write(folder.path().join("anomalous.csv"), rows(40.0)).expect("writes");
    let document: serde_json::Value =
        serde_json::from_str(&said(&["models", "causes", "."], b"", folder.path())).expect("JSON");
    let ranking = document["ranking"].as_array().expect("a ranking");
    assert_eq!(ranking[0]["entity"], "carts-cpu", "{document:#}");
    let keys: Vec<&String> = ranking[0].as_object().expect("an object").keys().collect();
    assert_eq!(keys, ["because", "confidence", "entity", "score"]);
    let named: f64 = ranking.iter().filter_map(|place| place["confidence"].as_f64()).sum();
    assert!((named + document["unknown"].as_f64().expect("a number") - 1.0).abs() < 1e-9, "{document:#}");
    std::fs::write(folder.path().join("anomalous.csv"), "time,carts_cpu\n0,x\n").expect("writes");
    let error = refused(&["models", "causes", "."], b"", folder.path());
    assert!(error.contains("row 2") && error.contains("carts_cpu"), "{error}");
}
