//! One's own cases: folders as `models causes` reads them, each with the cause that was found.

use crate::eval::Bench;
use crate::eval::causes::{Fault, judge_faults};
use crate::eval::report::Outcome;
use crate::models_cmd::cases;
use crate::models_cmd::text_table::parse_time;
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The cause as JSON: where a folder holds several faults, with the time of this one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Found {
    cause: String,
    #[serde(default)]
    at: Option<String>,
}

/// `causes`: as the public sets.
pub(super) fn causes_task(bench: &Bench) -> Result<Outcome> {
    let faults = faults(bench)?;
    let inputs = answers(bench)?;
    Ok(judge_faults(bench, "your cases: entities ranked", &faults, &[], inputs))
}

/// Every case with its cause, in order of its folder's name.
///
/// # Errors
/// When a case is broken, says no cause, or one that is none of its entities.
pub fn faults(bench: &Bench) -> Result<Vec<Fault>> {
    answers(bench)?.iter().map(|answer| fault(answer)).collect()
}

/// The file with the cause of each case.
fn answers(bench: &Bench) -> Result<Vec<PathBuf>> {
    let folder = bench.folder("cases")?;
    let mut out = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| format!("cannot read `{}`", folder.display()))? {
        let case = entry.with_context(|| format!("cannot read `{}`", folder.display()))?.path();
        if !case.is_dir() {
            continue;
        }
        let answer = ["cause.txt", "cause.json"].map(|name| case.join(name)).into_iter().find(|path| path.is_file());
        match answer {
            Some(answer) => out.push(answer),
            None => bail!("`{}` has no cause.txt: write the entity that was the cause into it", case.display()),
        }
    }
    out.sort();
    if out.is_empty() {
        bail!("`{}` holds no case: make a folder for each", folder.display());
    }
    Ok(out)
}

fn fault(answer: &Path) -> Result<Fault> {
    let folder = answer.parent().unwrap_or(Path::new("."));
    let text = std::fs::read_to_string(answer).with_context(|| format!("cannot read `{}`", answer.display()))?;
    let found = match answer.extension().is_some_and(|ending| ending == "json") {
        true => serde_json::from_str(&text)
            .with_context(|| format!("`{}`: write {{\"cause\": \"entity\"}}", answer.display()))?,
        false => Found { cause: text.trim().to_owned(), at: None },
    };
    let at_secs = match &found.at {
        Some(text) => match parse_time(text) {
            Some(at_ns) => Some(at_ns.div_euclid(1_000_000_000)),
            None => bail!("`{}`: `at: {text}` is no time: write it as 2026-11-20T14:00:00Z", answer.display()),
        },
        None => None,
    };
    let read =
        |late_secs| cases::read(folder, at_secs, late_secs).with_context(|| format!("in `{}`", folder.display()));
    let now = read(0)?;
    if !now.names.contains(&found.cause) {
        let (cause, names) = (&found.cause, now.names.join("`, `"));
        bail!("`{}`: `{cause}` is no entity of the case, which has `{names}`", answer.display());
    }
    let unit = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Fault { unit, truth: found.cause, now, late: read(crate::eval::causes::LATE_SECS)? })
}
