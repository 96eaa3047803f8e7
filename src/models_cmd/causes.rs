//! `bellwether models causes CASE_DIR` and `bellwether models causes ALERTS.csv --topology FILE`: ranked causes of one
//! fault as JSON.
//!
//! `{"ranking":[{"entity","score","confidence","because"}],"unknown"}`, best
//! first. Confidences and `unknown` sum to 1: `unknown` is the chance that the
//! cause is none of the entities.

use super::alert_causes;
use super::cases::{self, RankedCause};
use super::text_table::parse_time;
use anyhow::{Context, Result, bail};
use bellwether_models::causes::case::CaseParams;
use serde_json::{Value, json};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// `bellwether models causes`
#[derive(Debug, Clone, clap::Args)]
pub struct CausesArgs {
    /// Case folder: a PetShop issue, a Nezha day under rca_data, or a Sock Shop
    /// repetition with normal.csv and anomalous.csv (plain or .gz); or, with --topology, a file with the alerts of one fault
    #[arg(value_name = "CASE_DIR|ALERTS.csv")]
    pub case: PathBuf,
    /// Rank from alerts alone: edges as CSV or JSON with the columns from, to and relation (calls, runs_on, part_of)
    #[arg(long, value_name = "FILE", conflicts_with = "at")]
    pub topology: Option<PathBuf>,
    /// Time of the fault, where the folder holds several (2022-08-22T03:53:54Z
    /// or seconds since 1970)
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
    /// Write only the best N
    #[arg(long, value_name = "N")]
    pub top: Option<usize>,
    /// Write here instead of to the terminal
    #[arg(long, short, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// For a folder of no known layout, a broken file (file, row and column are
/// named), a time that is neither given nor clear, or output that cannot be
/// written.
pub fn run(args: &CausesArgs) -> Result<ExitCode> {
    let top = args.top.unwrap_or(usize::MAX);
    let document = match &args.topology {
        Some(topology) => of_alerts(&alert_causes::read(&args.case, topology)?, top),
        None if args.case.is_file() => {
            bail!("`{}` is a file: the alerts of one fault are ranked with `--topology FILE`", args.case.display())
        }
        None => {
            let at_secs = args.at.as_deref().map(seconds).transpose()?;
            document(&cases::read(&args.case, at_secs, 0)?.rank(&CaseParams::default()), top)
        }
    };
    let text = format!("{document:#}\n");
    match &args.out {
        Some(path) => std::fs::write(path, text).with_context(|| format!("cannot write `{}`", path.display()))?,
        None => match std::io::stdout().lock().write_all(text.as_bytes()) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => return Err(error).context("cannot write"),
            _ => {}
        },
    }
    Ok(ExitCode::SUCCESS)
}

fn seconds(text: &str) -> Result<i64> {
    let Some(at_ns) = parse_time(text) else {
        bail!("`{text}` is no time: give seconds since 1970 or 2022-08-22T03:53:54Z");
    };
    Ok(at_ns.div_euclid(1_000_000_000))
}

/// The ranking as the contract has it.
#[must_use]
pub fn document(places: &[RankedCause], top: usize) -> Value {
    let named: f64 = places.iter().map(|place| place.confidence).sum();
    let ranking: Vec<Value> = places
        .iter()
        .take(top)
        .map(|place| {
            json!({
                "entity": place.entity,
                "score": place.score,
                "confidence": place.confidence,
                "because": place.because,
            })
        })
        .collect();
    json!({ "ranking": ranking, "unknown": (1.0 - named).max(0.0) })
}

/// The same from alerts alone.
fn of_alerts(places: &[alert_causes::Named], top: usize) -> Value {
    let named: f64 = places.iter().map(|(_, place)| place.confidence).sum();
    let place = |(entity, place): &alert_causes::Named| json!({ "entity": entity, "score": place.score, "confidence": place.confidence });
    let ranking: Vec<Value> = places.iter().take(top).map(place).collect();
    json!({ "ranking": ranking, "unknown": (1.0 - named).max(0.0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_names_what_is_left_for_unknown() {
        let place = |entity: &str, confidence| RankedCause {
            entity: entity.to_owned(),
            score: 1.0,
            confidence,
            because: Default::default(),
        };
        let value = document(&[place("a", 0.5), place("b", 0.25)], 1);
        assert_eq!(value["ranking"].as_array().map(Vec::len), Some(1));
        assert_eq!(value["ranking"][0]["entity"], "a");
        assert_eq!(value["unknown"], 0.25);
    }

    #[test]
    fn times_are_checked() {
        assert_eq!(seconds("2022-08-22T03:53:54Z").expect("a time"), 1_661_140_434);
        assert!(seconds("soon").expect_err("no time").to_string().contains("`soon`"));
    }
}
