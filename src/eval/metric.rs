//! Detection on single series: `nab`, `kpi`, `wsd`, `ucr`, `ms`. Every method
//! sees the points in order and one at a time; a point's score uses nothing
//! after it. One configuration for all sets.

use super::Bench;
use super::plot;
use super::report::{Outcome, Row, Who};
use crate::models_cmd::detect::verdicts;
use crate::models_cmd::io::{Column, Table};
use anyhow::Result;
use bellwether_datasets::public::{LabelledSeries, kpi, ms, nab, ucr, wsd};
use bellwether_models::metric::DetectorParams;
use bellwether_models::score::{delay, nab as nab_rules, ucr as ucr_rules};
use rayon::prelude::*;
use std::path::PathBuf;

/// A method: its name, whose it is, and scores from times and values.
type Method = (&'static str, Who, fn(&[i64], &[f64]) -> Vec<f64>);

/// Ours, the floors, and simple rivals.
const METHODS: &[Method] = &[
    ("bellwether", Who::Ours, ours),
    ("EWMA z", Who::Floor, ewma_z),
    ("absolute difference", Who::Floor, difference),
    ("random", Who::Floor, random),
    ("null", Who::Floor, |_, values| vec![0.0; values.len()]),
];

/// Points an alarm may come late.
const DELAY_POINTS: usize = 7;

fn ours(at_ns: &[i64], values: &[f64]) -> Vec<f64> {
    let verdicts = verdicts(&DetectorParams::default(), at_ns, values).expect("default parameters are in range");
    verdicts.iter().map(|verdict| verdict.score).collect()
}

fn ewma_z(_: &[i64], values: &[f64]) -> Vec<f64> {
    let (mut mean, mut variance, rate) = (values.first().copied().unwrap_or(0.0), 0.0_f64, 0.1);
    let judge = |value: &f64| {
        let residual = value - mean;
        let size = if variance > 0.0 { residual.abs() / variance.sqrt() } else { 0.0 };
        mean += rate * residual;
        variance = (1.0 - rate) * (variance + rate * residual * residual);
        size
    };
    values.iter().map(judge).collect()
}

fn difference(_: &[i64], values: &[f64]) -> Vec<f64> {
    let steps = values.windows(2).map(|pair| (pair[1] - pair[0]).abs());
    std::iter::once(0.0).chain(steps).take(values.len()).collect()
}

/// Xorshift with a fixed seed per length: the same floor in every run.
fn random(_: &[i64], values: &[f64]) -> Vec<f64> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64 ^ values.len() as u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    values.iter().map(|_| next()).collect()
}

/// The parameters behind "ours", for `run.json`.
fn params() -> Result<serde_json::Value> {
    Ok(serde_json::json!({ "detector": serde_json::to_value(DetectorParams::default())? }))
}

fn nanoseconds(at_secs: &[i64]) -> Vec<i64> {
    at_secs.iter().map(|secs| secs.saturating_mul(1_000_000_000)).collect()
}

/// What is written and drawn for one series: ours only.
struct Shown<'a> {
    name: &'a str,
    at_ns: &'a [i64],
    values: &'a [f64],
    truth: &'a [bool],
}

/// Most points a drawing shows: the end of a longer series is drawn.
const DRAWN_MAX: usize = 20_000;

/// Per-point Parquet (`series,timestamp,value,y_true,y_score`) and a drawing.
fn leave(bench: &Bench, shown: &[Shown<'_>], scores: &[Vec<f64>]) -> Result<()> {
    let Some(out) = &bench.out else { return Ok(()) };
    let mut table = (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (one, scores) in shown.iter().zip(scores) {
        table.0.extend(std::iter::repeat_n(one.name.to_owned(), one.values.len()));
        table.1.extend_from_slice(one.at_ns);
        table.2.extend_from_slice(one.values);
        table.3.extend_from_slice(one.truth);
        table.4.extend_from_slice(scores);
        let verdicts = verdicts(&DetectorParams::default(), one.at_ns, one.values)?;
        let from = one.values.len().saturating_sub(DRAWN_MAX);
        let svg = plot::series(one.name, &one.values[from..], &verdicts[from..], &one.truth[from..]);
        std::fs::write(out.join(format!("{}.svg", one.name.replace('/', "_"))), svg)?;
    }
    let curve = plot::precision_recall("bellwether", &table.4, &table.3);
    std::fs::write(out.join("precision_recall.svg"), curve)?;
    Table::default()
        .with("series", Column::Text(table.0))
        .with("timestamp", Column::Int(table.1))
        .with("value", Column::Float(table.2))
        .with("y_true", Column::Flag(table.3))
        .with("y_score", Column::Float(table.4))
        .write_parquet(std::fs::File::create(out.join("points.parquet"))?)
}

/// `nab`: the standard profile, one threshold swept over all streams.
///
/// # Errors
/// When the data is absent or broken, or output cannot be written.
pub fn nab_task(bench: &Bench) -> Result<Outcome> {
    let streams = nab::load(&bench.folder("nab")?)?;
    let times: Vec<Vec<i64>> = streams.iter().map(|s| nanoseconds(&s.at_secs)).collect();
    let mut outcome = Outcome {
        protocol: format!("NAB, standard profile, one threshold swept over {} streams", streams.len()),
        columns: vec!["score".into(), "threshold".into()],
        inputs: streams.iter().map(|s| s.path.clone()).collect(),
        params: params()?,
        notes: vec![
            "the told-once rule in the score acts as a refractory period; on NAB that alone is worth about 11 points"
                .into(),
        ],
        ..Outcome::default()
    };
    for (name, who, method) in METHODS {
        let scores: Vec<Vec<f64>> = streams.par_iter().zip(&times).map(|(s, at)| method(at, &s.values)).collect();
        let scored: Vec<_> =
            streams.iter().zip(&scores).map(|(s, scores)| nab_rules::Stream { scores, windows: &s.windows }).collect();
        let (threshold, score) = nab_rules::best_threshold(&scored, &nab_rules::STANDARD);
        outcome = outcome.row(*who, name, &[score, threshold]);
        if *who == Who::Ours {
            outcome.metrics.insert("nab_standard".into(), score);
            let truth: Vec<Vec<bool>> = streams
                .iter()
                .map(|s| (0..s.values.len()).map(|i| s.windows.iter().any(|w| (w.0..=w.1).contains(&i))).collect())
                .collect();
            let shown: Vec<Shown<'_>> = streams
                .iter()
                .enumerate()
                .map(|(i, s)| Shown { name: &s.name, at_ns: &times[i], values: &s.values, truth: &truth[i] })
                .collect();
            leave(bench, &shown, &scores)?;
        }
    }
    let peers = [
        ("ARTime", 71.7),
        ("Numenta HTM", 69.0),
        ("CAD OSE", 65.9),
        ("random cut forest", 51.5),
        ("windowed Gaussian", 42.5),
    ];
    for (name, score) in peers {
        outcome = outcome.row(Who::Peer, name, &[score, f64::NAN]);
    }
    Ok(outcome)
}

/// `kpi`: AIOps Challenge 2018.
///
/// # Errors
/// As [`nab_task`].
pub fn kpi_task(bench: &Bench) -> Result<Outcome> {
    let peers = [("EWMA z, tuned", 0.757, 0.482), ("seasonal residual", 0.749, 0.343), ("rolling z", 0.444, 0.335)];
    labelled_task(bench, "KPI", "kpi", kpi::load(&bench.folder("kpi_aiops2018")?)?, &peers)
}

/// `wsd`: Web Service Dataset.
///
/// # Errors
/// As [`nab_task`].
pub fn wsd_task(bench: &Bench) -> Result<Outcome> {
    let peers = [("EWMA z, tuned", 0.602, 0.675), ("seasonal residual", 0.509, 0.712)];
    labelled_task(bench, "WSD", "wsd", wsd::load(&bench.folder("wsd")?)?, &peers)
}

/// `ms`: Microsoft cloud monitoring. There are no train rows: the first half
/// of each series chooses the threshold, the second is scored.
///
/// # Errors
/// As [`nab_task`].
pub fn ms_task(bench: &Bench) -> Result<Outcome> {
    let mut series = ms::load(&bench.folder("ms_cloud_monitoring")?)?;
    series.iter_mut().for_each(|one| one.train_len = one.values.len() / 2);
    labelled_task(bench, "MS, threshold from first halves", "ms", series, &[])
}

fn labelled_task(
    bench: &Bench,
    title: &str,
    key: &str,
    series: Vec<LabelledSeries>,
    peers: &[(&str, f64, f64)],
) -> Result<Outcome> {
    let times: Vec<Vec<i64>> = series.iter().map(|s| nanoseconds(&s.at_secs)).collect();
    let columns = ["delay F1", "delay F1 ev", "event F1", "best delay", "best event"];
    let mut outcome = Outcome {
        protocol: format!(
            "{title}: {} series pooled, one threshold for all, the best on train rows for the column's own measure; \
             F1 with delay ≤ {DELAY_POINTS} points and event F1 on test rows; “delay F1 ev”: at the event threshold; “best”: with hindsight",
            series.len()
        ),
        columns: columns.map(str::to_owned).to_vec(),
        inputs: series.iter().map(|s| s.path.clone()).collect::<Vec<PathBuf>>(),
        params: params()?,
        ..Outcome::default()
    };
    for (name, who, method) in METHODS {
        let scores: Vec<Vec<f64>> = series.par_iter().zip(&times).map(|(s, at)| method(at, &s.values)).collect();
        let row = labelled_row(name, *who, &series, &scores);
        if *who == Who::Ours {
            for (column, cell) in outcome.columns.iter().zip(&row.cells) {
                outcome.metrics.insert(format!("{key}_{}", column.replace(' ', "_").to_lowercase()), *cell);
            }
            let shown: Vec<Shown<'_>> = series
                .iter()
                .zip(&times)
                .map(|(s, at_ns)| Shown { name: &s.name, at_ns, values: &s.values, truth: &s.labels })
                .collect();
            leave(bench, &shown, &scores)?;
        }
        outcome.rows.push(row);
    }
    for (name, delay, event) in peers {
        outcome = outcome.row(Who::Peer, name, &[*delay, f64::NAN, *event, f64::NAN, f64::NAN]);
    }
    Ok(outcome)
}

fn labelled_row(name: &str, who: Who, series: &[LabelledSeries], scores: &[Vec<f64>]) -> Row {
    let (train, test) = (cut(series, scores, true), cut(series, scores, false));
    let timely = |threshold| delay::delay_counts(&test, threshold, DELAY_POINTS).f1();
    let for_delay = delay::best_delay_threshold(&train, DELAY_POINTS).0;
    let for_events = delay::best_event_threshold(&train).0;
    let cells = vec![
        timely(for_delay),
        timely(for_events),
        delay::event_counts(&test, for_events).f1(),
        delay::best_delay_threshold(&test, DELAY_POINTS).1,
        delay::best_event_threshold(&test).1,
    ];
    Row { name: name.to_owned(), who, cells }
}

/// Scores and labels of the train rows or the test rows.
fn cut<'a>(series: &'a [LabelledSeries], scores: &'a [Vec<f64>], train: bool) -> Vec<delay::Labelled<'a>> {
    let mut out = Vec::with_capacity(series.len());
    for (one, scores) in series.iter().zip(scores) {
        let rows = if train { 0..one.train_len } else { one.train_len..scores.len() };
        out.push(delay::Labelled { scores: &scores[rows.clone()], labels: &one.labels[rows] });
    }
    out
}

/// `ucr`: share of series whose highest score lies on the anomaly.
///
/// # Errors
/// As [`nab_task`].
pub fn ucr_task(bench: &Bench) -> Result<Outcome> {
    let series = ucr::load(&bench.folder("ucr_anomaly")?)?;
    let steps = |s: &ucr::UcrSeries| -> Vec<i64> { (0..s.values.len() as i64).map(|i| i * 60_000_000_000).collect() };
    let mut outcome = Outcome {
        protocol: format!(
            "UCR archive, {} series: highest score after training lies on the anomaly ± max(length, 100)",
            series.len()
        ),
        columns: vec!["accuracy".into()],
        inputs: series.iter().map(|s| s.path.clone()).collect(),
        params: params()?,
        ..Outcome::default()
    };
    for (name, who, method) in METHODS {
        let scores: Vec<Vec<f64>> = series.par_iter().map(|s| method(&steps(s), &s.values)).collect();
        let found =
            series.iter().zip(&scores).filter(|(s, scores)| ucr_rules::found(scores, s.train_len, s.anomaly)).count();
        let share = found as f64 / series.len().max(1) as f64;
        outcome = outcome.row(*who, name, &[share]);
        if *who == Who::Ours {
            outcome.metrics.insert("ucr_accuracy".into(), share);
        }
    }
    for (name, share) in [("moving standard deviation", 0.300), ("rolling z", 0.205), ("chance", 0.036)] {
        outcome = outcome.row(Who::Peer, name, &[share]);
    }
    Ok(outcome)
}
