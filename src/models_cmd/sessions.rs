//! `bellwether models sessions --train A.jsonl --test B.jsonl`: which sessions are not as
//! they should be.
//!
//! A session is `{"session": "…", "templates": ["…", …]}` on one line; events may be text or
//! whole numbers, `label` (1 for anomalous) may stand beside them. Training uses normal
//! sessions only: rows labelled 1 are left out.

use super::io::{self, Column, OutputArgs, Table};
use anyhow::{Result, bail};
use bellwether_datasets::public::log_sequences::{Events, Session, read_jsonl};
use bellwether_models::logs::{SessionModel, SessionReason, SessionScore, SessionVerdict};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// `bellwether models sessions`
#[derive(Debug, Clone, clap::Args)]
pub struct SessionsArgs {
    /// Sessions to learn from, JSON lines; rows with "label": 1 are left out
    #[arg(long, value_name = "FILE")]
    pub train: PathBuf,
    /// Sessions to judge, JSON lines
    #[arg(long, value_name = "FILE")]
    pub test: PathBuf,
    /// Where the output goes
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Runs the command.
///
/// # Errors
/// When a file cannot be read, a row does not parse, or no normal session is left to learn from.
pub fn run(args: &SessionsArgs) -> Result<ExitCode> {
    let mut events = Events::default();
    let mut read = |path: &Path| -> Result<Vec<Session>> { Ok(read_jsonl(path, io::open(path)?, &mut events)?) };
    let (train, test) = (read(&args.train)?, read(&args.test)?);
    let normal: Vec<Vec<u32>> =
        train.into_iter().filter(|session| session.anomalous != Some(true)).map(|session| session.events).collect();
    if normal.is_empty() {
        bail!("`{}` has no normal session to learn from", args.train.display());
    }
    let model = SessionModel::fit(&normal);
    let scores: Vec<SessionScore> = test.iter().map(|session| model.score(&session.events)).collect();
    let called = scores.iter().map(|score| score.verdict == SessionVerdict::Anomalous).collect();
    let table = Table::default()
        .with("session", Column::Text(test.into_iter().map(|session| session.name).collect()))
        .with("score", Column::Float(scores.iter().map(|score| score.score).collect()))
        .with("anomaly", Column::Flag(called))
        .with("reason", Column::Text(scores.iter().map(|score| sentence(&score.reason, &events)).collect()));
    args.output.write(&table)?;
    Ok(ExitCode::SUCCESS)
}

/// The reason in words.
fn sentence(reason: &SessionReason, events: &Events) -> String {
    match reason {
        SessionReason::Usual => "as in training".to_owned(),
        SessionReason::UnknownEvent { event } => format!("`{}` never occurred in training", events.name(*event)),
        SessionReason::RareCounts { event, count } => {
            format!("counts of events seldom or never seen: {count} times `{}`", events.name(*event))
        }
        SessionReason::RareOrder { before, event } => {
            let name =
                |event: Option<u32>, edge: &str| event.map_or(edge.to_owned(), |id| format!("`{}`", events.name(id)));
            format!("{} seldom or never follows {}", name(*event, "the end"), name(*before, "the start"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_with_an_event_never_seen_is_called() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = |name: &str| folder.path().join(name);
        let normal = |n| format!("{{\"session\":\"n{n}\",\"templates\":[\"open\",\"read\",\"close\"],\"label\":0}}\n");
        let mut train: String = (0..50).map(normal).collect();
        train.push_str("{\"session\":\"bad\",\"templates\":[\"open\",\"crash\"],\"label\":1}\n");
        std::fs::write(path("train.jsonl"), train).expect("temporary file");
        let test = "{\"session\":\"a\",\"templates\":[\"open\",\"crash\"]}\n{\"session\":\"b\",\"templates\":[\"open\",\"read\",\"close\"]}\n";
        std::fs::write(path("test.jsonl"), test).expect("temporary file");
        let output = OutputArgs { out: Some(path("out.csv")), format: None };
        run(&SessionsArgs { train: path("train.jsonl"), test: path("test.jsonl"), output }).expect("judges");
        let table = std::fs::read_to_string(path("out.csv")).expect("written");
        let rows: Vec<&str> = table.lines().collect();
        assert_eq!(rows[0], "session,score,anomaly,reason");
        assert_eq!(rows[1], "a,1,1,`crash` never occurred in training");
        assert!(rows[2].starts_with("b,0") && rows[2].ends_with(",0,as in training"), "{}", rows[2]);
    }
}
