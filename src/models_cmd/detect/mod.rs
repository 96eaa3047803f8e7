//! `bellwether models detect FILE.csv`: one score per row, streaming, no row
//! judged by anything after it.
//!
//! One series: `timestamp,value,score,anomaly,expected,lower,upper` and
//! `reason`. With `--multi`: `timestamp,score,anomaly` and one
//! `contribution_<column>` per value column. Rows come out in the order they
//! came in, `timestamp` as it was written. With `--state` a file goes on where
//! the one before it stopped; with `--pipe` points of many series come as lines
//! of JSON and are answered one by one.

mod clock;
mod multi;
mod pipe;

pub use clock::tell_disorder;
pub use multi::{RowScores, score_rows};

use super::io::{Column, OutputArgs, Table};
use super::state::StateFile;
use super::text_table::TextTable;
use crate::eval::settings::{MetricSettings, Settings};
use crate::exit::Exit;
use crate::progress::{SharedBar, shared_bar};
use anyhow::Result;
use bellwether_models::metric::{CheckedParams, DetectorParams, MetricModel, MetricModelKind, Verdict};
use clock::Clock;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

/// `bellwether models detect`
#[derive(Debug, Clone, clap::Args)]
pub struct DetectArgs {
    /// CSV with a header (`.gz` allowed) or Parquet; `-` reads stdin
    #[arg(value_name = "FILE", required_unless_present = "pipe")]
    pub file: Option<PathBuf>,
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
    /// Model: detector, as the engine runs [default: detector]
    #[arg(long, value_name = "MODEL", conflicts_with = "multi")]
    pub model: Option<MetricModelKind>,
    /// Parameters that differ from the defaults, as YAML (sections `metric`, `detector`, `multi`)
    #[arg(long, value_name = "FILE")]
    pub params: Option<PathBuf>,
    /// Go on from what was learned before, and keep what was learned here at the end
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// Read points as lines of JSON on stdin, `{"series", "timestamp", "value"}`, and answer each at once
    #[arg(long, conflicts_with_all = ["file", "multi", "out", "format"])]
    pub pipe: bool,
    /// With --pipe: series held at once; further ones are refused
    #[arg(long, value_name = "N", default_value_t = pipe::SERIES_MAX, requires = "pipe")]
    pub series_max: usize,
    /// Where and how to write
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Columns that hold truth, not telemetry.
pub(crate) const LABEL_COLUMNS: &[&str] = &["label", "labels", "is_anomaly", "anomaly", "y_true"];

/// Runs the command.
///
/// # Errors
/// For unreadable input, a broken cell (file, row and column are named),
/// parameters out of range, a state that does not fit, or output that cannot
/// be written.
pub fn run(args: &DetectArgs) -> Result<ExitCode> {
    let mut settings = args.params.as_deref().map(Settings::read).transpose()?.unwrap_or_default();
    settings = settings.with_model(args.model);
    settings.detector.alerts_per_week = args.alerts_per_week.unwrap_or(settings.detector.alerts_per_week);
    let Some(file) = &args.file else {
        return pipe::run(args, &settings).map(ExitCode::from);
    };
    let table = TextTable::read(file)?;
    let out = if args.multi { multi::detect(args, &settings, &table)? } else { detect_one(args, &settings, &table)? };
    args.output.write(&out)?;
    Ok(ExitCode::from(Exit::Ok))
}

/// What single series have taught, by name; a file's series has none.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Learned {
    clock: Clock,
    models: BTreeMap<String, MetricModel>,
}

/// Where what single series teach is kept, if anywhere.
fn state_of(args: &DetectArgs, settings: &Settings) -> Option<StateFile> {
    let of: (&MetricSettings, &DetectorParams) = (&settings.metric, &settings.detector);
    args.state.as_deref().map(|path| StateFile::new(path, "detect", &of))
}

/// Verdicts on one series, of the model that the engine would run with these settings: shared with
/// `bellwether eval`. `bar` is pushed by one a point.
///
/// # Errors
/// When the parameters are out of range.
pub fn verdicts(settings: &Settings, at_ns: &[i64], values: &[f64], bar: &SharedBar) -> Result<Vec<Verdict>> {
    let params = settings.detector.check()?;
    let mut model = MetricModel::new(settings.metric.model, &params);
    Ok(judged(&mut model, &params, at_ns, values, bar))
}

fn judged(
    model: &mut MetricModel,
    params: &CheckedParams,
    at_ns: &[i64],
    values: &[f64],
    bar: &SharedBar,
) -> Vec<Verdict> {
    let judge = |(at, value): (&i64, &f64)| {
        bar.add(1);
        model.update(params, *at, *value)
    };
    at_ns.iter().zip(values).map(judge).collect()
}

fn detect_one(args: &DetectArgs, settings: &Settings, table: &TextTable) -> Result<Table> {
    let params = settings.detector.check()?;
    let state = state_of(args, settings);
    let mut learned: Learned = state.as_ref().map(StateFile::load).transpose()?.flatten().unwrap_or_default();
    let (shown, at_ns) = learned.clock.times(table, &args.time_column)?;
    let others: Vec<&str> = std::iter::once(args.time_column.as_str()).chain(LABEL_COLUMNS.iter().copied()).collect();
    let values = table.numbers(table.value_column(&args.value_column, &others)?)?;
    let kind = settings.metric.model;
    let model = learned.models.entry(String::new()).or_insert_with(|| MetricModel::new(kind, &params));
    let verdicts = judged(model, &params, &at_ns, &values, &shared_bar(Some(values.len() as u64), "points"));
    if let Some(state) = state {
        state.save(&learned)?;
    }
    let float = |pick: fn(&Verdict) -> f64| Column::Float(verdicts.iter().map(pick).collect());
    let reasons = verdicts.iter().zip(&values).map(|(verdict, value)| reason(verdict, *value));
    let reasons = Column::Text(reasons.collect());
    Ok(Table::default()
        .with("timestamp", shown)
        .with("value", Column::Float(values))
        .with("score", float(|v| v.score))
        .with("anomaly", Column::Flag(verdicts.iter().map(|v| v.anomaly).collect()))
        .with("expected", float(|v| v.expected))
        .with("lower", float(|v| v.lower))
        .with("upper", float(|v| v.upper))
        .with("reason", reasons))
}

/// Why a point is an anomaly, in a sentence; empty where it is none.
fn reason(verdict: &Verdict, value: f64) -> String {
    if verdict.anomaly { verdict.reason.sentence(verdict, value) } else { String::new() }
}

#[cfg(test)]
mod tests;
