//! `--multi`: the value columns of a file judged together, as the series of one entity.

use super::clock::Clock;
use super::{DetectArgs, LABEL_COLUMNS};
use crate::eval::settings::Settings;
use crate::models_cmd::io::{Column, Table};
use crate::models_cmd::state::StateFile;
use crate::models_cmd::text_table::TextTable;
use crate::progress::{SharedBar, shared_bar};
use anyhow::{Result, bail};
use bellwether_models::multi::{CheckedMultiParams, MultiDetector, MultiParams};
use serde::{Deserialize, Serialize};

/// Where the rows of one entity stopped.
#[derive(Debug, Serialize, Deserialize)]
struct Learned {
    clock: Clock,
    columns: Vec<String>,
    detector: MultiDetector,
}

/// Scores the rows of `table`, its value columns together.
pub(super) fn detect(args: &DetectArgs, settings: &Settings, table: &TextTable) -> Result<Table> {
    let is_series = |name: &str| {
        !name.eq_ignore_ascii_case(&args.time_column)
            && !LABEL_COLUMNS.iter().any(|label| name.eq_ignore_ascii_case(label))
            && !args.ignore.iter().any(|ignored| name.eq_ignore_ascii_case(ignored))
    };
    let places: Vec<usize> = (0..table.header.len()).filter(|i| is_series(&table.header[*i])).collect();
    if places.is_empty() {
        bail!("no value columns beside `{}`: nothing to judge together", args.time_column);
    }
    let columns: Vec<String> = places.iter().map(|place| table.header[*place].clone()).collect();
    let series = places.iter().map(|place| table.numbers(*place)).collect::<Result<Vec<_>>>()?;
    let params = settings.multi.check()?;
    let state = args.state.as_deref().map(|path| StateFile::new(path, "detect --multi", &settings.multi));
    let kept: Option<Learned> = state.as_ref().map(StateFile::load).transpose()?.flatten();
    let mut learned = match kept {
        Some(kept) if kept.columns != columns => bail!(
            "the state was learned from the columns `{}`, these are `{}`: --ignore leaves columns out",
            kept.columns.join("`, `"),
            columns.join("`, `")
        ),
        Some(kept) => kept,
        None => {
            let detector = MultiDetector::new(&params, columns.len());
            Learned { clock: Clock::default(), columns, detector }
        }
    };
    let (shown, at_ns) = learned.clock.times(table, &args.time_column)?;
    let bar = shared_bar(Some(at_ns.len() as u64), "rows");
    let scored = judged(&mut learned.detector, &params, &series, at_ns.len(), &bar);
    if let Some(state) = state {
        state.save(&learned)?;
    }
    let mut out = Table::default()
        .with("timestamp", shown)
        .with("score", Column::Float(scored.scores))
        .with("anomaly", Column::Flag(scored.anomalies));
    for (name, contributions) in learned.columns.iter().zip(scored.contributions) {
        out = out.with(format!("contribution_{name}"), Column::Float(contributions));
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
    Ok(judged(&mut MultiDetector::new(&params, series.len()), &params, series, rows, bar))
}

fn judged(
    detector: &mut MultiDetector,
    params: &CheckedMultiParams,
    series: &[Vec<f64>],
    rows: usize,
    bar: &SharedBar,
) -> RowScores {
    let mut out = RowScores {
        scores: Vec::with_capacity(rows),
        anomalies: Vec::with_capacity(rows),
        contributions: vec![Vec::with_capacity(rows); series.len()],
    };
    let (mut values, mut shares) = (vec![0.0; series.len()], vec![0.0; series.len()]);
    for row in 0..rows {
        values.iter_mut().zip(series).for_each(|(value, series)| *value = series[row]);
        let verdict = detector.update(params, &values, &mut shares);
        bar.add(1);
        out.scores.push(verdict.score);
        out.anomalies.push(verdict.anomaly);
        out.contributions.iter_mut().zip(&shares).for_each(|(column, share)| column.push(*share));
    }
    out
}
