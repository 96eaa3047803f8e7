//! `bellwether models detect FILE.csv`: one score per row, streaming, no row
//! judged by anything after it.
//!
//! One series: `timestamp,value,score,anomaly,expected,lower,upper` and
//! `reason`. With `--multi`: `timestamp,score,anomaly` and one
//! `contribution_<column>` per value column. Rows come out in the order they
//! came in, `timestamp` as it was written.

use super::io::{Column, OutputArgs, Table};
use super::text_table::TextTable;
use crate::eval::settings::Settings;
use crate::progress::{SharedBar, note, shared_bar};
use anyhow::{Result, bail};
use bellwether_models::metric::{MetricModel, MetricModelKind, Verdict};
use bellwether_models::multi::{MultiDetector, MultiParams};
use std::path::PathBuf;
use std::process::ExitCode;

/// `bellwether models detect`
#[derive(Debug, Clone, clap::Args)]
pub struct DetectArgs {
    /// CSV with a header, `.gz` allowed; `-` reads stdin
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Column with the time; without such a column rows count as minutes
    #[arg(long, default_value = "timestamp", value_name = "NAME")]
    pub time_column: String,
    /// Column with the value; the only other column serves without it
    #[arg(long, default_value = "value", value_name = "NAME")]
    pub value_column: String,
    /// Judge all value columns together as the series of one entity
    #[arg(long)]
    pub multi: bool,
    /// With --multi: columns that are no series (a `label` column never is)
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub ignore: Vec<String>,
    /// Alerts a healthy series may raise in a week [default: 1]
    #[arg(long, value_name = "N")]
    pub alerts_per_week: Option<f64>,
    /// Model: detector, as the engine runs by default, or panel [default: detector]
    #[arg(long, value_name = "MODEL", conflicts_with = "multi")]
    pub model: Option<MetricModelKind>,
    /// Parameters that differ from the defaults, as YAML (sections `metric`, `detector`, `multi`)
    #[arg(long, value_name = "FILE")]
    pub params: Option<PathBuf>,
    /// Where and how to write
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Columns that hold truth, not telemetry.
const LABEL_COLUMNS: &[&str] = &["label", "labels", "is_anomaly", "anomaly", "y_true"];
/// Step assumed when the file has no times.
const STEP_NS: i64 = 60_000_000_000;

/// Runs the command.
///
/// # Errors
/// For unreadable input, a broken cell (file, row and column are named),
/// parameters out of range, or output that cannot be written.
pub fn run(args: &DetectArgs) -> Result<ExitCode> {
    let table = TextTable::read(&args.file)?;
    let (texts, at_ns) = times(&table, &args.time_column)?;
    let settings = args.params.as_deref().map(Settings::read).transpose()?.unwrap_or_default();
    let detect = if args.multi { detect_multi } else { detect_one };
    let out = detect(args, &settings, &table, texts, &at_ns)?;
    args.output.write(&out)?;
    Ok(ExitCode::SUCCESS)
}

/// Times as written and as nanoseconds; row numbers when there is no column.
fn times(table: &TextTable, name: &str) -> Result<(Vec<String>, Vec<i64>)> {
    let Some(column) = table.position(name) else {
        note(&format!("no column `{name}`: rows count as minutes (`--time-column` names another)"));
        let rows = 0..table.rows() as i64;
        return Ok((rows.clone().map(|row| row.to_string()).collect(), rows.map(|row| row * STEP_NS).collect()));
    };
    let mut at_ns = table.times(column)?;
    // Plain counters 0, 1, 2 … are row numbers, not seconds of 1970.
    if at_ns.len() > 1
        && at_ns.iter().enumerate().all(|(i, at)| *at == (i as i64 + at_ns[0] / 1_000_000_000) * 1_000_000_000)
        && at_ns[0].unsigned_abs() <= 1_000_000_000
    {
        at_ns.iter_mut().for_each(|at| *at *= 60);
    }
    tell_order(&at_ns);
    Ok((table.text(column), at_ns))
}

/// How far clocks are set back at the end of summer time, nanoseconds: half an hour on Lord Howe.
const SET_BACK_NS: std::ops::RangeInclusive<i64> = 25 * 60_000_000_000..=60 * 60_000_000_000;

/// Says where the clock was set back, where that is all, or how many rows are out of order.
fn tell_order(at_ns: &[i64]) {
    let backward: Vec<usize> = (1..at_ns.len()).filter(|row| at_ns[*row] <= at_ns[row - 1]).collect();
    // The clock goes back by an hour less one step.
    let set_back = |row: &usize| {
        let step = row.checked_sub(2).map_or(0, |before| at_ns[row - 1] - at_ns[before]).max(0);
        SET_BACK_NS.contains(&(at_ns[row - 1] - at_ns[*row] + step))
    };
    match backward.first() {
        // Once a year, however long the series is.
        Some(row) if backward.len() <= 1 + at_ns.len() / 500 && backward.iter().all(set_back) => note(&format!(
            "the clock goes back at row {}, as at the end of summer time: write times with their zone \
             (2026-10-25T02:30:00+01:00), or the hour that comes twice is judged as one",
            row + 2
        )),
        _ => tell_disorder(backward.len()),
    }
}

/// Says how many rows are not newer than the one before: models read a stream.
pub fn tell_disorder(rows: usize) {
    if rows > 0 {
        note(&format!("{rows} rows are not newer than the row before: sort them by time"));
    }
}

/// Verdicts on one series, of the model that the engine would run with these settings: shared with
/// `bellwether eval`. `bar` is pushed by one a point.
///
/// # Errors
/// When the parameters are out of range.
pub fn verdicts(settings: &Settings, at_ns: &[i64], values: &[f64], bar: &SharedBar) -> Result<Vec<Verdict>> {
    let params = settings.detector.check()?;
    let mut model = MetricModel::new(settings.metric.model, &params);
    let judge = |(at, value): (&i64, &f64)| {
        bar.add(1);
        model.update(&params, *at, *value)
    };
    Ok(at_ns.iter().zip(values).map(judge).collect())
}

fn detect_one(
    args: &DetectArgs,
    settings: &Settings,
    table: &TextTable,
    texts: Vec<String>,
    at_ns: &[i64],
) -> Result<Table> {
    let others: Vec<&str> = std::iter::once(args.time_column.as_str()).chain(LABEL_COLUMNS.iter().copied()).collect();
    let values = table.numbers(table.value_column(&args.value_column, &others)?)?;
    let mut settings = settings.clone().with_model(args.model);
    settings.detector.alerts_per_week = args.alerts_per_week.unwrap_or(settings.detector.alerts_per_week);
    let verdicts = verdicts(&settings, at_ns, &values, &shared_bar(Some(values.len() as u64), "points"))?;
    let float = |pick: fn(&Verdict) -> f64| Column::Float(verdicts.iter().map(pick).collect());
    let reasons = verdicts
        .iter()
        .zip(&values)
        .map(|(verdict, value)| if verdict.anomaly { verdict.reason.sentence(verdict, *value) } else { String::new() });
    let reasons = Column::Text(reasons.collect());
    Ok(Table::default()
        .with("timestamp", Column::Text(texts))
        .with("value", Column::Float(values))
        .with("score", float(|v| v.score))
        .with("anomaly", Column::Flag(verdicts.iter().map(|v| v.anomaly).collect()))
        .with("expected", float(|v| v.expected))
        .with("lower", float(|v| v.lower))
        .with("upper", float(|v| v.upper))
        .with("reason", reasons))
}

fn detect_multi(
    args: &DetectArgs,
    settings: &Settings,
    table: &TextTable,
    texts: Vec<String>,
    at_ns: &[i64],
) -> Result<Table> {
    let is_series = |name: &str| {
        !name.eq_ignore_ascii_case(&args.time_column)
            && !LABEL_COLUMNS.iter().any(|label| name.eq_ignore_ascii_case(label))
            && !args.ignore.iter().any(|ignored| name.eq_ignore_ascii_case(ignored))
    };
    let columns: Vec<usize> = (0..table.header.len()).filter(|i| is_series(&table.header[*i])).collect();
    if columns.is_empty() {
        bail!("no value columns beside `{}`: nothing to judge together", args.time_column);
    }
    let series = columns.iter().map(|column| table.numbers(*column)).collect::<Result<Vec<_>>>()?;
    let scored = score_rows(&settings.multi, &series, at_ns.len(), &shared_bar(Some(at_ns.len() as u64), "rows"))?;
    let mut out = Table::default()
        .with("timestamp", Column::Text(texts))
        .with("score", Column::Float(scored.scores))
        .with("anomaly", Column::Flag(scored.anomalies));
    for (column, contributions) in columns.iter().zip(scored.contributions) {
        out = out.with(format!("contribution_{}", table.header[*column]), Column::Float(contributions));
    }
    Ok(out)
}

/// One score per row and the share of each series in it.
#[derive(Debug, Clone, PartialEq)]
pub struct RowScores {
    /// Score per row.
    pub scores: Vec<f64>,
    /// Rows that raise an alarm.
    pub anomalies: Vec<bool>,
    /// Per series, per row.
    pub contributions: Vec<Vec<f64>>,
}

/// Scores rows of several series, given as columns: shared with `bellwether
/// eval`. `bar` is pushed by one a row.
///
/// # Errors
/// When the parameters are out of range.
pub fn score_rows(params: &MultiParams, series: &[Vec<f64>], rows: usize, bar: &SharedBar) -> Result<RowScores> {
    let params = params.check()?;
    let mut detector = MultiDetector::new(&params, series.len());
    let mut out = RowScores {
        scores: Vec::with_capacity(rows),
        anomalies: Vec::with_capacity(rows),
        contributions: vec![Vec::with_capacity(rows); series.len()],
    };
    let (mut values, mut shares) = (vec![0.0; series.len()], vec![0.0; series.len()]);
    for row in 0..rows {
        values.iter_mut().zip(series).for_each(|(value, series)| *value = series[row]);
        let verdict = detector.update(&params, &values, &mut shares);
        bar.add(1);
        out.scores.push(verdict.score);
        out.anomalies.push(verdict.anomaly);
        out.contributions.iter_mut().zip(&shares).for_each(|(column, share)| column.push(*share));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(file: PathBuf, out: PathBuf, multi: bool) -> DetectArgs {
        DetectArgs {
            file,
            time_column: "timestamp".into(),
            value_column: "value".into(),
            multi,
            ignore: Vec::new(),
            alerts_per_week: None,
            model: None,
            params: None,
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
    fn a_series_is_judged_by_the_model_that_the_engine_runs_and_by_another_where_it_is_named() {
        let values: Vec<f64> = (0..2_000).map(|i| if i == 1_900 { 900.0 } else { f64::from(i % 7) }).collect();
        let at_ns: Vec<i64> = (0..2_000).map(|i| i * STEP_NS).collect();
        let bar = shared_bar(None, "points");
        let of = |settings: &Settings| verdicts(settings, &at_ns, &values, &bar).expect("in range");
        let engine = bellwether_engine::EngineConfig::default().sense.anomalies;
        let params = engine.detector.check().expect("in range");
        let mut model = MetricModel::new(engine.model, &params);
        let run: Vec<Verdict> = at_ns.iter().zip(&values).map(|(at, v)| model.update(&params, *at, *v)).collect();
        assert_eq!(of(&Settings::default()), run);
        let panel = of(&Settings::default().with_model(Some(MetricModelKind::Panel)));
        assert!(panel.iter().zip(&run).any(|(panel, detector)| panel.score != detector.score));
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
}
