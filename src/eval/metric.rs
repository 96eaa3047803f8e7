//! Detection on single series: `nab`, `kpi`, `wsd`, `ucr`, `ms`.

use super::Bench;
use super::methods::{self, OURS, Points};
use super::plot::Drawn;
use super::points;
use super::report::{Outcome, Row, Who};
use super::units::{Better, Figure, Units};
use anyhow::Result;
use bellwether_datasets::public::nab::NabStream;
use bellwether_datasets::public::ucr::UcrSeries;
use bellwether_datasets::public::{LabelledSeries, kpi, ms, nab, ucr, wsd};
use bellwether_models::metric::Verdict;
use bellwether_models::score::{delay, nab as nab_rules, ucr as ucr_rules};

/// Points an alarm may come late.
pub const DELAY_POINTS: usize = 7;

fn who(name: &str) -> Who {
    if name == OURS { Who::Ours } else { Who::Floor }
}

/// Seconds as nanoseconds.
#[must_use]
pub fn nanoseconds(at_secs: &[i64]) -> Vec<i64> {
    at_secs.iter().map(|secs| secs.saturating_mul(1_000_000_000)).collect()
}

/// The parameters behind "ours", for `run.json`.
fn params(bench: &Bench) -> Result<serde_json::Value> {
    let settings = &bench.settings;
    Ok(serde_json::json!({
        "metric": serde_json::to_value(settings.metric)?,
        "detector": serde_json::to_value(&settings.detector)?,
    }))
}

/// `nab`: the standard profile, one threshold swept over all streams.
///
/// # Errors
/// When the data is absent or broken, or output cannot be written.
pub fn nab_task(bench: &Bench) -> Result<Outcome> {
    let streams = nab::load(&bench.folder("nab")?)?;
    let series: Vec<Points<'_>> =
        streams.iter().map(|s| Points { at_ns: nanoseconds(&s.at_secs), values: &s.values }).collect();
    let verdicts = methods::ours(&bench.settings, &series, &methods::points_bar(&series))?;
    let methods = methods::all(&series, &verdicts);
    let (numerator, denominator) = (("points", 50.0), ("windows", 1.0));
    let figure = Figure::ratio("nab_standard", Better::Higher, &[numerator], &[denominator]);
    let mut outcome = Outcome {
        protocol: format!("NAB, standard profile, one threshold swept over {} streams", streams.len()),
        columns: vec!["score".into(), "threshold".into()],
        inputs: streams.iter().map(|s| s.path.clone()).collect(),
        params: params(bench)?,
        notes: vec![
            "the told-once rule in the score acts as a refractory period; on NAB that alone is worth about 11 points"
                .into(),
        ],
        units: Units::new("series", &["points", "windows"], vec![figure]),
        ..Outcome::default()
    };
    for (name, scores) in &methods {
        let (threshold, score) = nab_rules::best_threshold(&nab_streams(&streams, scores), &nab_rules::STANDARD);
        outcome = outcome.row(who(name), name, &[score, threshold]);
        if *name == OURS {
            outcome.metrics.insert("nab_standard".into(), score);
        }
        for (stream, scored) in streams.iter().zip(nab_streams(&streams, scores)) {
            outcome.units.push(&stream.name, name, &nab_cells(&scored, threshold));
        }
    }
    for (name, score) in NAB_PEERS {
        outcome = outcome.row(Who::Peer, name, &[*score, f64::NAN]);
    }
    if let Some(out) = &bench.out {
        let inside =
            |s: &NabStream| (0..s.values.len()).map(|i| s.windows.iter().any(|w| (w.0..=w.1).contains(&i))).collect();
        let truth: Vec<Vec<bool>> = streams.iter().map(inside).collect();
        let names = streams.iter().map(|s| s.name.as_str());
        points::leave(out, "nab", &drawn(names, &series, &truth), &verdicts, &methods)?;
    }
    Ok(outcome)
}

/// Figures of the leaderboard, threshold tuned on the development half and
/// scored on the other.
const NAB_PEERS: &[(&str, f64)] = &[
    ("ARTime", 71.7),
    ("Numenta HTM", 69.0),
    ("CAD OSE", 65.9),
    ("htmjava", 63.7),
    ("Skyline (earthgecko)", 60.2),
    ("relative entropy", 53.1),
    ("KNN-CAD", 51.8),
    ("random cut forest", 51.5),
    ("Twitter ADVec", 47.7),
    ("windowed Gaussian", 42.5),
];

fn nab_streams<'a>(streams: &'a [NabStream], scores: &'a [Vec<f64>]) -> Vec<nab_rules::Stream<'a>> {
    streams.iter().zip(scores).map(|(s, scores)| nab_rules::Stream { scores, windows: &s.windows }).collect()
}

/// What a stream earns above silence, and the windows that count: the corpus
/// score is `50 · points / windows`.
fn nab_cells(stream: &nab_rules::Stream<'_>, threshold: f64) -> [f64; 2] {
    let silence = nab_rules::raw_score(stream, f64::INFINITY, &nab_rules::STANDARD);
    [nab_rules::raw_score(stream, threshold, &nab_rules::STANDARD) - silence, -silence]
}

fn drawn<'a>(names: impl Iterator<Item = &'a str>, series: &'a [Points<'a>], truth: &'a [Vec<bool>]) -> Vec<Drawn<'a>> {
    let one = |(name, (points, truth)): (&'a str, (&'a Points<'a>, &'a Vec<bool>))| Drawn {
        name,
        at: &points.at_ns,
        values: points.values,
        truth,
    };
    names.zip(series.iter().zip(truth)).map(one).collect()
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
    labelled_task(bench, "MS, threshold from first halves", "ms", ms_halves(bench)?, &[])
}

/// The series of `ms`, first halves as train rows.
///
/// # Errors
/// When the data is absent or broken.
pub fn ms_halves(bench: &Bench) -> Result<Vec<LabelledSeries>> {
    let mut series = ms::load(&bench.folder("ms_cloud_monitoring")?)?;
    series.iter_mut().for_each(|one| one.train_len = one.values.len() / 2);
    Ok(series)
}

/// What is counted per series, at the delay threshold, at the event threshold, and of alarms told once.
const LABELLED_COLUMNS: [&str; 9] = [
    "delay_hit",
    "delay_false_alarm",
    "delay_missed",
    "event_hit",
    "event_false_alarm",
    "event_missed",
    "told_hit",
    "told_false_alarm",
    "told_missed",
];

/// Series with labels: ours, rivals and floors by event and delay.
pub(super) fn labelled_task(
    bench: &Bench,
    title: &str,
    key: &str,
    series: Vec<LabelledSeries>,
    peers: &[(&str, f64, f64)],
) -> Result<Outcome> {
    let points: Vec<Points<'_>> =
        series.iter().map(|s| Points { at_ns: nanoseconds(&s.at_secs), values: &s.values }).collect();
    let verdicts = methods::ours(&bench.settings, &points, &methods::points_bar(&points))?;
    let methods = methods::all(&points, &verdicts);
    let columns =
        ["delay F1", "delay F1 ev", "event F1", "best delay", "best event", "alarmed", "told F1", "false/week"];
    let metric = |column: &str| format!("{key}_{}", column.replace([' ', '/'], "_").to_lowercase());
    let figures = [("delay F1", "delay_"), ("event F1", "event_"), ("told F1", "told_")];
    let figures = figures.map(|(column, counts)| Figure::f1(&metric(column), counts)).to_vec();
    let mut outcome = Outcome {
        protocol: format!(
            "{title}: {} series pooled, one threshold for all, the best on train rows for the column's own measure; \
             F1 with delay ≤ {DELAY_POINTS} points and event F1 on test rows; “delay F1 ev”: at the event threshold; “best”: with hindsight",
            series.len()
        ),
        columns: columns.map(str::to_owned).to_vec(),
        inputs: series.iter().map(|s| s.path.clone()).collect(),
        params: params(bench)?,
        notes: vec![ALARMED_NOTE.to_owned(), TOLD_NOTE.to_owned()],
        units: Units::new("series", &LABELLED_COLUMNS, figures),
        ..Outcome::default()
    };
    for (name, scores) in &methods {
        let told = if *name == OURS { told_by_alarms(&series, &verdicts) } else { told_by_scores(&series, scores) };
        let row = labelled_row(name, &series, scores, &told, &mut outcome.units);
        if *name == OURS {
            let known = columns.iter().zip(&row.cells).filter(|(_, cell)| cell.is_finite());
            outcome.metrics.extend(known.map(|(column, cell)| (metric(column), *cell)));
            let sum = told.iter().copied().fold(delay::Counts::default(), delay::Counts::and);
            outcome.notes.push(format!("told by ours: {} of {} anomalies", sum.hit, sum.hit + sum.missed));
        }
        outcome.rows.push(row);
    }
    for (name, delay, event) in peers {
        outcome =
            outcome.row(Who::Peer, name, &[*delay, f64::NAN, *event, f64::NAN, f64::NAN, f64::NAN, f64::NAN, f64::NAN]);
    }
    if let Some(out) = &bench.out {
        let truth: Vec<Vec<bool>> = series.iter().map(|s| s.labels.clone()).collect();
        let names = series.iter().map(|s| s.name.as_str());
        points::leave(out, key, &drawn(names, &points, &truth), &verdicts, &methods)?;
    }
    Ok(outcome)
}

/// What our alarms tell of the test rows, as they are raised within their budget.
fn told_by_alarms(series: &[LabelledSeries], verdicts: &[Vec<Verdict>]) -> Vec<delay::Counts> {
    let counts = |(one, verdicts): (&LabelledSeries, &Vec<Verdict>)| {
        let alarms: Vec<bool> = verdicts[one.train_len..].iter().map(|verdict| verdict.anomaly).collect();
        delay::told_counts(&alarms, &one.labels[one.train_len..])
    };
    series.iter().zip(verdicts).map(counts).collect()
}

/// What scores tell of the test rows at the threshold that tells best on the train rows.
fn told_by_scores(series: &[LabelledSeries], scores: &[Vec<f64>]) -> Vec<delay::Counts> {
    let threshold = delay::best_told_threshold(&cut(series, scores, true));
    cut(series, scores, false).iter().map(|one| delay::told_at(one, threshold)).collect()
}

/// How long the test rows of all series are together.
fn weeks(series: &[LabelledSeries]) -> f64 {
    let lasts = |one: &LabelledSeries| {
        let test = &one.at_secs[one.train_len..];
        test.last().zip(test.first()).map_or(0, |(end, begin)| end - begin)
    };
    series.iter().map(lasts).sum::<i64>() as f64 / 604_800.0
}

fn labelled_row(
    name: &str,
    series: &[LabelledSeries],
    scores: &[Vec<f64>],
    told: &[delay::Counts],
    units: &mut Units,
) -> Row {
    let (train, test) = (cut(series, scores, true), cut(series, scores, false));
    let timely = |threshold| delay::delay_counts(&test, threshold, DELAY_POINTS).f1();
    let for_delay = delay::best_delay_threshold(&train, DELAY_POINTS).0;
    let for_events = delay::best_event_threshold(&train).0;
    for ((one, rows), told) in series.iter().zip(&test).zip(told) {
        let rows = std::slice::from_ref(rows);
        let counts = [delay::delay_counts(rows, for_delay, DELAY_POINTS), delay::event_counts(rows, for_events), *told];
        units.push(&one.name, name, &counts.map(cells_of).concat());
    }
    let told = told.iter().copied().fold(delay::Counts::default(), delay::Counts::and);
    let cells = vec![
        timely(for_delay),
        timely(for_events),
        delay::event_counts(&test, for_events).f1(),
        delay::best_delay_threshold(&test, DELAY_POINTS).1,
        delay::best_event_threshold(&test).1,
        alarmed(&test, for_events),
        told.f1(),
        told.false_alarm as f64 / weeks(series),
    ];
    Row { name: name.to_owned(), who: who(name), cells }
}

/// Hits, false alarms and misses as cells.
#[must_use]
pub fn cells_of(counts: delay::Counts) -> [f64; 3] {
    [counts.hit as f64, counts.false_alarm as f64, counts.missed as f64]
}

/// Share of rows that alarm. Event F1 does not see how long an alarm lasts: one
/// that never ends touches every segment and is no false event.
#[must_use]
pub fn alarmed(rows: &[delay::Labelled<'_>], threshold: f64) -> f64 {
    let all: usize = rows.iter().map(|one| one.scores.len()).sum();
    let above = |one: &delay::Labelled<'_>| one.scores.iter().filter(|score| **score >= threshold).count();
    rows.iter().map(above).sum::<usize>() as f64 / all.max(1) as f64
}

/// Under tables with event F1.
pub const ALARMED_NOTE: &str =
    "alarmed: share of rows that alarm at the event threshold; event F1 does not see an alarm that never ends";

/// Under tables with told F1.
const TOLD_NOTE: &str = "told F1: alarms that begin inside an anomaly or outside any, test rows; ours as they are raised within their \
     weekly budget, others at the best threshold of the train rows; false/week: those outside, a week and series";

/// Scores and labels of the train rows or the test rows.
fn cut<'a>(series: &'a [LabelledSeries], scores: &'a [Vec<f64>], train: bool) -> Vec<delay::Labelled<'a>> {
    let mut out = Vec::with_capacity(series.len());
    for (one, scores) in series.iter().zip(scores) {
        let rows = if train { 0..one.train_len } else { one.train_len..scores.len() };
        out.push(delay::Labelled { scores: &scores[rows.clone()], labels: &one.labels[rows] });
    }
    out
}

/// Row numbers as minutes: the archive's steps have no unit.
#[must_use]
pub fn ucr_points(series: &[UcrSeries]) -> Vec<Points<'_>> {
    let at_ns = |s: &UcrSeries| (0..s.values.len() as i64).map(|i| i * 60_000_000_000).collect();
    series.iter().map(|s| Points { at_ns: at_ns(s), values: &s.values }).collect()
}

/// `ucr`: share of series whose highest score lies on the anomaly.
///
/// # Errors
/// As [`nab_task`].
pub fn ucr_task(bench: &Bench) -> Result<Outcome> {
    let series = ucr::load(&bench.folder("ucr_anomaly")?)?;
    let points = ucr_points(&series);
    let verdicts = methods::ours(&bench.settings, &points, &methods::points_bar(&points))?;
    let methods = methods::all(&points, &verdicts);
    let mut outcome = Outcome {
        protocol: format!(
            "UCR archive, {} series: highest score after training lies on the anomaly ± max(length, 100)",
            series.len()
        ),
        columns: vec!["accuracy".into()],
        inputs: series.iter().map(|s| s.path.clone()).collect(),
        params: params(bench)?,
        units: Units::new("series", &["found"], vec![Figure::mean("ucr_accuracy", "found")]),
        ..Outcome::default()
    };
    for (name, scores) in &methods {
        let mut found = 0;
        for (one, scores) in series.iter().zip(scores) {
            let hit = ucr_rules::found(scores, one.train_len, one.anomaly);
            found += usize::from(hit);
            outcome.units.push(&one.name, name, &[f64::from(u8::from(hit))]);
        }
        let share = found as f64 / series.len().max(1) as f64;
        outcome = outcome.row(who(name), name, &[share]);
        if *name == OURS {
            outcome.metrics.insert("ucr_accuracy".into(), share);
        }
    }
    for (name, share) in [("moving standard deviation", 0.300), ("rolling z", 0.205), ("chance", 0.036)] {
        outcome = outcome.row(Who::Peer, name, &[share]);
    }
    if let Some(out) = &bench.out {
        let inside = |s: &UcrSeries| (0..s.values.len()).map(|i| (s.anomaly.0..=s.anomaly.1).contains(&i)).collect();
        let truth: Vec<Vec<bool>> = series.iter().map(inside).collect();
        let names = series.iter().map(|s| s.name.as_str());
        points::leave(out, "ucr", &drawn(names, &points, &truth), &verdicts, &methods)?;
    }
    Ok(outcome)
}
