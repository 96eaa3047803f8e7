//! Input that is wrong in every way we know: a clear error that names file, row and column, bad
//! rows counted and kept aside, the rest processed, nothing lost, no panic.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn bellwether(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bellwether")).args(args).env("NO_COLOR", "1").output().expect("the program starts")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

struct Case {
    _dir: tempfile::TempDir,
    file: PathBuf,
}

fn file(name: &str, bytes: &[u8]) -> Case {
    let dir = tempfile::tempdir().expect("temporary folder");
    let file = dir.path().join(name);
    fs::write(&file, bytes).expect("writes");
    Case { _dir: dir, file }
}

/// Replays one file; the figures, the exit code and what was said.
fn replay(path: &Path) -> (Option<Value>, Option<i32>, String) {
    let output = bellwether(&["replay", &path.display().to_string(), "--json"]);
    let said = stderr(&output);
    assert!(!said.contains("panicked"), "{said}");
    (serde_json::from_slice(&output.stdout).ok(), output.status.code(), said)
}

const GOOD: &str = r#"{"signal":"metric","time":"2026-03-01T10:00:00Z","name":"cpu","entity":"host:a","value":0.5}"#;

fn one_bad_row(bad: &str) -> (Value, String) {
    let case = file("in.ndjson", format!("{GOOD}\n{bad}\n{GOOD}\n").as_bytes());
    let (figures, code, said) = replay(&case.file);
    assert_eq!(code, Some(3), "{bad}: {said}");
    (figures.unwrap_or_else(|| panic!("{bad}: {said}")), said)
}

#[test]
fn a_bad_row_is_named_counted_and_the_rest_is_read() {
    let rows = [
        ("not json", ""),
        (r#"{"signal":"metric","time":"2026-03-01T10:00:00Z","name":"cpu","entity":"host:a","value":"high"}"#, "value"),
        (r#"{"signal":"metric","time":"2026-03-01T10:00:00Z","name":"cpu","entity":"host:a"}"#, "value"),
        (r#"{"signal":"metric","time":"2026-03-01T10:00:00Z","name":"cpu","entity":"host:a","value":NaN}"#, ""),
        (r#"{"signal":"metric","time":"2026-03-01T10:00:00Z","name":"cpu","entity":"host:a","value":1e999}"#, ""),
        (r#"{"signal":"metric","time":"1970-01-01T00:00:00Z","name":"cpu","entity":"host:a","value":1}"#, "time"),
        (r#"{"signal":"metric","time":"2150-01-01T00:00:00Z","name":"cpu","entity":"host:a","value":1}"#, "time"),
        (r#"{"signal":"metric","time":"tomorrow","name":"cpu","entity":"host:a","value":1}"#, "time"),
        (
            r#"{"signal":"metric","time":"2026-03-01T10:00:00Z","name":"cpu","entity":"host:a","value":1,"colour":"red"}"#,
            "colour",
        ),
        (r#"{"signal":"rumour","time":"2026-03-01T10:00:00Z","entity":"host:a"}"#, ""),
        (r#"[1,2,3]"#, ""),
    ];
    for (bad, column) in rows {
        let (figures, said) = one_bad_row(bad);
        assert_eq!(figures["rejected"], 1, "{bad}: {said}");
        assert!(said.contains("in.ndjson:2"), "{bad} is not placed: {said}");
        assert!(said.contains(column), "{bad} does not name `{column}`: {said}");
        assert!(figures["signals"].as_u64().is_some_and(|signals| signals >= 2), "{bad}: {figures}");
    }
}

#[test]
fn a_line_of_50_mb_is_refused_and_the_next_is_read() {
    let mut bytes = format!("{GOOD}\n").into_bytes();
    bytes.extend_from_slice(br#"{"signal":"log","body":""#);
    bytes.resize(bytes.len() + 50_000_000, b'x');
    bytes.extend_from_slice(format!("\"}}\n{GOOD}\n").as_bytes());
    let case = file("long.ndjson", &bytes);
    let (figures, code, said) = replay(&case.file);
    let figures = figures.unwrap_or_else(|| panic!("{said}"));
    assert_eq!((code, figures["rejected"].as_u64()), (Some(3), Some(1)), "{said}");
    assert!(said.contains("long.ndjson:2"), "{said}");
}

#[test]
fn an_empty_file_is_no_error() {
    let case = file("empty.ndjson", b"");
    let (figures, code, said) = replay(&case.file);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(figures.expect("figures")["signals"], 0);
}

#[test]
fn a_truncated_parquet_file_is_an_error_that_names_it() {
    let case = file("cut.parquet", b"PAR1\x15\x04\x15");
    let (_, code, said) = replay(&case.file);
    assert!(code == Some(1) || code == Some(3), "{code:?} {said}");
    assert!(said.contains("cut.parquet"), "{said}");
}

#[test]
fn a_csv_with_wrong_cells_names_row_and_column() {
    let text = "time,name,entity,value\n2026-03-01T10:00:00Z,cpu,host:a,0.5\n2026-03-01T10:00:10Z,cpu,host:a,many\n\
                2026-03-01T10:00:20Z,cpu\n2026-03-01T10:00:30Z,cpu,host:a,0.6\n";
    let dir = tempfile::tempdir().expect("temporary folder");
    fs::write(dir.path().join("cells.csv"), text).expect("writes");
    let state = dir.path().join("state");
    let config = dir.path().join("bellwether.yaml");
    let csv = dir.path().join("cells.csv");
    fs::write(
        &config,
        format!(
            "state: {}\ntick: 0s\nsources:\n  - files: {{tenant: acme, paths: [\"{}\"], rows: {{signal: metric}}}}\n",
            state.display(),
            csv.display()
        ),
    )
    .expect("writes");
    let output = bellwether(&["run", "--json", "-c", &config.display().to_string()]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(3), "{said}");
    let aside = fs::read_to_string(state.join("rejected.ndjson")).expect("bad rows are kept aside");
    let rows: Vec<Value> = aside.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(rows.len(), 2, "{aside}");
    assert_eq!((&rows[0]["column"], &rows[0]["row"]), (&Value::from("value"), &Value::from(3)), "{aside}");
    assert!(rows[0]["excerpt"].as_str().is_some_and(|text| text.contains("many")), "{aside}");
}

#[test]
fn a_misspelt_key_is_shown_at_its_line_with_the_right_one() {
    let case = file("bellwether.yaml", b"state: x\nengine:\n  latenes: 30s\nsinsk: []\n");
    let path = case.file.display().to_string();
    for command in [vec!["validate", &path], vec!["run", "-c", &path]] {
        let output = bellwether(&command);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("bellwether.yaml:3:3") && said.contains("did you mean `lateness`?"), "{said}");
        assert!(said.contains("bellwether.yaml:4:1") && said.contains("did you mean `sinks`?"), "{said}");
    }
}

#[test]
fn what_is_not_there_is_said_with_the_remedy() {
    for (args, code, words) in [
        (vec!["replay", "/no/such/file.ndjson"], 2, "no such file"),
        (vec!["replay", "/etc/hostname"], 2, "format"),
        (vec!["validate", "/no/such.yaml"], 2, "cannot read"),
        (vec!["explain", "inc_x", "--from", "/no/such"], 1, "--from"),
        (vec!["nonsense"], 2, "Usage"),
    ] {
        let output = bellwether(&args);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        assert!(said.contains(words), "{args:?}: {said}");
    }
}
