//! The command over files: columns, rows and what is wrong with them; halves with a state.

use super::clock::STEP_NS;
use super::*;

fn args(file: PathBuf, out: PathBuf, multi: bool) -> DetectArgs {
    DetectArgs {
        file: Some(file),
        time_column: "timestamp".into(),
        value_column: "value".into(),
        multi,
        ignore: Vec::new(),
        alerts_per_week: None,
        model: None,
        params: None,
        state: None,
        pipe: false,
        series_max: pipe::SERIES_MAX,
        output: OutputArgs { out: Some(out), format: None },
    }
}

#[test]
fn one_series_keeps_its_columns_order_and_rows() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let (input, output) = (folder.path().join("in.csv"), folder.path().join("out.csv"));
    let mut text = String::from("timestamp,value\n");
    for i in 0..500 {
        text.push_str(&format!(
            "2026-11-20 {:02}:{:02}:00,{}\n",
            i / 60,
            i % 60,
            if i == 450 { 900 } else { 10 + i % 3 }
        ));
    }
    std::fs::write(&input, text).expect("writes");
    run(&args(input, output.clone(), false)).expect("detects");
    let written = std::fs::read_to_string(output).expect("reads");
    let lines: Vec<&str> = written.lines().collect();
    assert_eq!(lines[0], "timestamp,value,score,anomaly,expected,lower,upper,reason");
    assert_eq!(lines.len(), 501);
    assert!(lines[451].starts_with("2026-11-20 07:30:00,900,"), "{}", lines[451]);
    assert_eq!(lines[451].split(',').nth(3), Some("1"), "{}", lines[451]);
}

#[test]
fn a_series_is_judged_by_the_model_that_the_engine_runs() {
    let values: Vec<f64> = (0..2_000).map(|i| if i == 1_900 { 900.0 } else { f64::from(i % 7) }).collect();
    let at_ns: Vec<i64> = (0..2_000).map(|i| i * STEP_NS).collect();
    let bar = shared_bar(None, "points");
    let of = |settings: &Settings| verdicts(settings, &at_ns, &values, &bar).expect("in range");
    let engine = bellwether_engine::EngineConfig::default().sense.anomalies;
    let params = engine.detector.check().expect("in range");
    let mut model = MetricModel::new(engine.model, &params);
    let run: Vec<Verdict> = at_ns.iter().zip(&values).map(|(at, v)| model.update(&params, *at, *v)).collect();
    assert_eq!(of(&Settings::default()), run);
}

#[test]
fn several_series_report_contributions_and_leave_labels_out() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let (input, output) = (folder.path().join("in.csv"), folder.path().join("out.csv"));
    let mut text = String::from("a,b,label\n");
    for i in 0..300 {
        text.push_str(&format!("{},{},0\n", i % 5, if i == 250 { 99 } else { i % 7 }));
    }
    std::fs::write(&input, text).expect("writes");
    run(&args(input, output.clone(), true)).expect("detects");
    let written = std::fs::read_to_string(output).expect("reads");
    assert!(written.starts_with("timestamp,score,anomaly,contribution_a,contribution_b\n"), "{written:.100}");
    let row: Vec<&str> = written.lines().nth(251).expect("row 250").split(',').collect();
    assert!(row[4].parse::<f64>().expect("number") > 0.8, "{row:?}");
}

#[test]
fn a_broken_cell_and_a_missing_column_say_where() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let input = folder.path().join("in.csv");
    std::fs::write(&input, "timestamp,value\n0,1\nlater,2\n").expect("writes");
    let error = run(&args(input.clone(), folder.path().join("o.csv"), false)).expect_err("no time").to_string();
    assert!(error.contains("row 3 column `timestamp`: `later`"), "{error}");
    std::fs::write(&input, "timestamp,a,b\n0,1,2\n").expect("writes");
    let error = run(&args(input, folder.path().join("o.csv"), false)).expect_err("no value").to_string();
    assert!(error.contains("no column `value`"), "{error}");
}

/// 1,500 rows of two columns after the first one, with something odd in either half.
fn rows(first_column: &dyn Fn(i64) -> String) -> Vec<String> {
    let value = |row: i64| if row == 700 || row == 1_200 { 900 } else { 10 + row % 7 };
    (0..1_500).map(|row| format!("{}{},{}\n", first_column(row), value(row), row % 5)).collect()
}

#[test]
fn halves_with_a_state_say_bit_for_bit_what_the_whole_says() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = |name: &str| folder.path().join(name);
    let stamped = |row: i64| format!("{},", 1_763_596_800 + 60 * row);
    let counted = |row: i64| format!("{row},");
    let clocks: [(&str, &dyn Fn(i64) -> String); 3] =
        [("timestamp,", &stamped), ("timestamp,", &counted), ("", &|_| String::new())];
    for (number, (head, first_column)) in clocks.into_iter().enumerate() {
        let rows = rows(first_column);
        for multi in [false, true] {
            let said = |name: &str, rows: &[String], state: Option<PathBuf>| -> Vec<String> {
                std::fs::write(path("in.csv"), format!("{head}value,other\n{}", rows.concat())).expect("writes");
                run(&DetectArgs { state, ..args(path("in.csv"), path(name), multi) }).expect("detects");
                let text = std::fs::read_to_string(path(name)).expect("reads");
                text.lines().skip(1).map(str::to_owned).collect()
            };
            let whole = said("whole.csv", &rows, None);
            assert!(whole.iter().any(|line| line.contains(",1,")), "something is told");
            let state = || Some(path(&format!("state-{number}-{multi}")));
            let parts = [0..2, 2..3, 3..900, 900..1_500];
            let parts: Vec<String> =
                parts.into_iter().flat_map(|part| said("part.csv", &rows[part], state())).collect();
            assert!(parts == whole, "clock {number}, multi {multi}");
        }
    }
}

#[test]
fn a_state_of_other_settings_or_columns_is_refused_and_stays() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let (input, output, state) =
        (folder.path().join("in.csv"), folder.path().join("out.csv"), folder.path().join("state"));
    std::fs::write(&input, "a,b\n1,2\n3,4\n").expect("writes");
    let usual = || DetectArgs { state: Some(state.clone()), ..args(input.clone(), output.clone(), true) };
    run(&usual()).expect("detects");
    let kept = std::fs::read(&state).expect("a state");
    let refused = |args: DetectArgs| format!("{:#}", run(&args).expect_err("refused"));
    let error = refused(DetectArgs { ignore: vec!["b".to_owned()], ..usual() });
    assert!(error.contains("learned from the columns `a`, `b`, these are `a`"), "{error}");
    let error = refused(DetectArgs { multi: false, value_column: "a".to_owned(), ..usual() });
    assert!(error.contains("state of `detect --multi`"), "{error}");
    assert_eq!(std::fs::read(&state).expect("a state"), kept);
}
