//! Task `logs`: sessions of log events, trained on normal ones only.
//!
//! HDFS by five-fold cross-validation over the labelled sessions present, folds by a hash of
//! the session's name; OpenStack on its own split. Beside ours: a session is anomalous when
//! its count vector was not in training, when it has an event not in training, `random` at
//! the true rate, `null`, and the ceiling: the best F1 that any function of the event
//! sequence can reach, for equal sequences carry both labels.

use super::Bench;
use super::plot;
use super::report::{Outcome, Who, write};
use super::units::{Better, Figure, Units};
use crate::models_cmd::io::{Column, Table};
use crate::progress::shared_bar;
use anyhow::Result;
use bellwether_datasets::public::log_sequences::{self, Session};
use bellwether_models::logs::{SessionModel, SessionVerdict};
use bellwether_models::score::sessions::{Confusion, f1_ceiling};
use std::collections::BTreeSet;
use xxhash_rust::xxh3::xxh3_64;

/// Learns from normal sessions, returns a judge: score 0..=1 and whether it calls.
type Learn = fn(&[Vec<u32>]) -> Judge;

const METHODS: &[(&str, Who, Learn)] = &[
    ("bellwether", Who::Ours, ours),
    ("unseen count vector", Who::Floor, unseen_vector),
    ("unknown event", Who::Floor, unknown_event),
    ("random, one in 25", Who::Floor, random),
    ("null: all normal", Who::Floor, null),
];

const FOLDS: u64 = 5;

/// Runs the task.
///
/// # Errors
/// When the data is absent or broken, or output cannot be written.
pub fn run(bench: &Bench) -> Result<Outcome> {
    bench.folder("log_sequences")?;
    let (hdfs, hdfs_path) = log_sequences::hdfs_100k(&bench.data)?;
    let (train, test, openstack_paths) = log_sequences::openstack(&bench.data)?;
    let mut outcome = Outcome {
        protocol: "sessions, trained on normal ones only; HDFS: five folds, OpenStack: its own split".into(),
        columns: ["HDFS F1", "HDFS MCC", "precision", "recall", "OpenStack F1", "OpenStack MCC"]
            .map(str::to_owned)
            .to_vec(),
        inputs: [hdfs_path].into_iter().chain(openstack_paths).collect(),
        units: Units::new("session", &COLUMNS, figures()),
        ..Outcome::default()
    };
    let bar = shared_bar(Some(METHODS.len() as u64), "methods");
    let mut curves = Vec::new();
    for (name, who, learn) in METHODS {
        let judged = cross_validate(&hdfs.sessions, *learn);
        let folds = Confusion::of(judged.iter().map(|&(_, called, is)| (called, is)));
        let judge = learn(&normal(train.sessions.iter()));
        let others: Vec<(f64, bool, bool)> = test
            .iter()
            .map(&judge)
            .zip(&test)
            .map(|((score, called), session)| (score, called, session.anomalous == Some(true)))
            .collect();
        let other = Confusion::of(others.iter().map(|&(_, called, is)| (called, is)));
        push_units(&mut outcome.units, name, ("hdfs", &hdfs.sessions, &judged), ("openstack", &test, &others));
        curves.push(((*name).to_owned(), judged.iter().map(|point| point.0).collect()));
        bar.add(1);
        let cells = [folds.f1(), folds.mcc(), folds.precision(), folds.recall(), other.f1(), other.mcc()];
        outcome = outcome.row(*who, name, &cells);
        if *who == Who::Ours {
            for (key, value) in
                ["hdfs_f1", "hdfs_mcc", "hdfs_precision", "hdfs_recall", "openstack_f1", "openstack_mcc"]
                    .into_iter()
                    .zip(cells)
            {
                outcome.metrics.insert(key.to_owned(), value);
            }
            write_points(bench, "hdfs_100k.parquet", &hdfs.sessions, &judged)?;
            write_points(bench, "openstack.parquet", &test, &others)?;
        }
    }
    let ceiling = |sessions: &[Session]| {
        f1_ceiling(sessions.iter().map(|session| (session.events.as_slice(), session.anomalous == Some(true))))
    };
    let nan = f64::NAN;
    let cells = [ceiling(&hdfs.sessions), nan, nan, nan, ceiling(&test), nan];
    outcome = outcome.row(Who::Floor, "ceiling of any verdict on sequences", &cells);
    outcome.metrics.insert("hdfs_f1_ceiling".to_owned(), cells[0]);
    outcome.notes.push(shared_note(&hdfs.sessions));
    if let Some(out) = &bench.out {
        let truth: Vec<bool> = hdfs.sessions.iter().map(|session| session.anomalous == Some(true)).collect();
        write(&out.join("precision_recall.svg"), &plot::precision_recall("HDFS sessions", &curves, &truth))?;
    }
    Ok(outcome)
}

/// What is counted per session; the cells of the other set are not known.
const COLUMNS: [&str; 6] =
    ["hdfs_hit", "hdfs_false_alarm", "hdfs_missed", "openstack_hit", "openstack_false_alarm", "openstack_missed"];

fn figures() -> Vec<Figure> {
    let share =
        |name, above, other| Figure::ratio(name, Better::Higher, &[(above, 1.0)], &[(above, 1.0), (other, 1.0)]);
    vec![
        Figure::f1("hdfs_f1", "hdfs_"),
        share("hdfs_precision", "hdfs_hit", "hdfs_false_alarm"),
        share("hdfs_recall", "hdfs_hit", "hdfs_missed"),
        Figure::f1("openstack_f1", "openstack_"),
    ]
}

/// A set of sessions: its name, the sessions, and score, call and label of each.
type Judged<'a> = (&'a str, &'a [Session], &'a [(f64, bool, bool)]);

fn push_units(units: &mut Units, method: &str, hdfs: Judged<'_>, openstack: Judged<'_>) {
    for (at, (set, sessions, judged)) in [hdfs, openstack].into_iter().enumerate() {
        for (number, (session, (_, called, is))) in sessions.iter().zip(judged).enumerate() {
            let mut cells = [f64::NAN; 6];
            let counts = [*called && *is, *called && !is, !called && *is];
            cells[3 * at..3 * at + 3].copy_from_slice(&counts.map(|yes| f64::from(u8::from(yes))));
            // OpenStack's ids repeat between its two test files.
            units.push(&format!("{set}/{number}/{}", session.name), method, &cells);
        }
    }
}

/// How many anomalies no verdict on sequences can tell from normal sessions.
fn shared_note(sessions: &[Session]) -> String {
    let normal: BTreeSet<&[u32]> = sessions
        .iter()
        .filter(|session| session.anomalous != Some(true))
        .map(|session| session.events.as_slice())
        .collect();
    let anomalous: Vec<_> = sessions.iter().filter(|session| session.anomalous == Some(true)).collect();
    let shared = anomalous.iter().filter(|session| normal.contains(session.events.as_slice())).count();
    format!(
        "HDFS: {shared} of {} anomalous sessions have event for event the sequence of a normal one",
        anomalous.len()
    )
}

fn normal<'a>(sessions: impl Iterator<Item = &'a Session>) -> Vec<Vec<u32>> {
    sessions.filter(|session| session.anomalous != Some(true)).map(|session| session.events.clone()).collect()
}

fn fold(session: &Session) -> u64 {
    xxh3_64(session.name.as_bytes()) % FOLDS
}

/// Score, call and label of each session, in order, by a model that has not seen its fold.
fn cross_validate(sessions: &[Session], learn: Learn) -> Vec<(f64, bool, bool)> {
    let judges: Vec<_> =
        (0..FOLDS).map(|out| learn(&normal(sessions.iter().filter(|session| fold(session) != out)))).collect();
    let judge = |session: &Session| {
        let (score, called) = judges[fold(session) as usize](session);
        (score, called, session.anomalous == Some(true))
    };
    sessions.iter().map(judge).collect()
}

/// Score and verdict of one session.
type Judge = Box<dyn Fn(&Session) -> (f64, bool)>;

fn ours(normal: &[Vec<u32>]) -> Judge {
    let model = SessionModel::fit(normal);
    Box::new(move |session| {
        let score = model.score(&session.events);
        (score.score, score.verdict == SessionVerdict::Anomalous)
    })
}

fn unseen_vector(normal: &[Vec<u32>]) -> Judge {
    let sorted = |events: &[u32]| {
        let mut events = events.to_vec();
        events.sort_unstable();
        events
    };
    let seen: BTreeSet<Vec<u32>> = normal.iter().map(|events| sorted(events)).collect();
    Box::new(move |session| call(!seen.contains(&sorted(&session.events))))
}

fn unknown_event(normal: &[Vec<u32>]) -> Judge {
    let seen: BTreeSet<u32> = normal.iter().flatten().copied().collect();
    Box::new(move |session| call(session.events.iter().any(|event| !seen.contains(event))))
}

fn random(_: &[Vec<u32>]) -> Judge {
    // Another hash than the folds', or the draw would follow them.
    Box::new(|session| call(xxh3_64(session.name.as_bytes()).rotate_left(32).is_multiple_of(25)))
}

fn null(_: &[Vec<u32>]) -> Judge {
    Box::new(|_| call(false))
}

fn call(called: bool) -> (f64, bool) {
    (f64::from(u8::from(called)), called)
}

fn write_points(bench: &Bench, file: &str, sessions: &[Session], judged: &[(f64, bool, bool)]) -> Result<()> {
    let Some(out) = &bench.out else { return Ok(()) };
    Table::default()
        .with("session", Column::Text(sessions.iter().map(|session| session.name.clone()).collect()))
        .with("y_true", Column::Flag(judged.iter().map(|point| point.2).collect()))
        .with("y_score", Column::Float(judged.iter().map(|point| point.0).collect()))
        .with("y_pred", Column::Flag(judged.iter().map(|point| point.1).collect()))
        .save(&out.join(file))
}
