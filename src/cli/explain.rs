//! `bellwether explain`: why an incident says what it says, and holds what it holds.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use bellwether_engine::incident::IncidentRecord;
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::config::INCIDENTS_FILE;
use crate::exit::{Exit, UsageError};
use crate::report::{IncidentLine, incident_lines, incident_page};
use crate::term::{Ink, Term};
use crate::wiring::newest::newest_engine;

/// Say why an incident says what it says, and why each alert is in it; without one, list them
#[derive(Debug, Args)]
#[command(after_help = "\
--from is the folder of a run or demo, or a file of incident events. From a folder the engine's
own reasons are told, out of its newest checkpoint; from a file what the record holds.

Examples:
  bellwether explain --from demo-out/plant-line          which incidents there are
  bellwether explain inc_01KJ9QYV6ZK6QK3Q9GV3S5T7XN --from demo-out/plant-line
  bellwether explain 5T7XN --from incidents.ndjson       the end of the id is enough
  bellwether explain inc_… --alert 00c0ffee00c0ffee      why that alert is, or is not, in it
  bellwether explain 00c0ffee00c0ffee --not-in 5T7XN     the same question, the alert first")]
pub(super) struct ExplainArgs {
    /// The incident's id, or enough of its end; with --not-in an alert's fingerprint
    #[arg(value_name = "INCIDENT|ALERT")]
    subject: Option<String>,
    /// Where the incident is told of
    #[arg(long, value_name = "PATH", default_value = "bellwether-state")]
    from: PathBuf,
    /// An alert's fingerprint, 16 hexadecimal digits: why it is in the incident, or why not
    #[arg(long, value_name = "FINGERPRINT", value_parser = parse_fingerprint, requires = "subject")]
    alert: Option<u64>,
    /// Why the alert named first is not in this incident: its id, or enough of its end
    #[arg(long, value_name = "INCIDENT", conflicts_with = "alert", requires = "subject")]
    not_in: Option<String>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// A text that is no fingerprint.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("a fingerprint is 16 hexadecimal digits")]
struct NoFingerprint;

fn parse_fingerprint(text: &str) -> Result<u64, NoFingerprint> {
    u64::from_str_radix(text, 16).map_err(|_| NoFingerprint)
}

impl ExplainArgs {
    /// The incident asked about, and the alert if there is one.
    fn question<'a>(&'a self, subject: &'a str) -> Result<(&'a str, Option<u64>)> {
        match &self.not_in {
            Some(incident) => {
                let alert = parse_fingerprint(subject).map_err(|remedy| {
                    UsageError(format!("--not-in asks about an alert, and `{subject}` is none: {remedy}"))
                })?;
                Ok((incident, Some(alert)))
            }
            None => Ok((subject, self.alert)),
        }
    }
}

/// A line of the file that sinks and `replay --out` write.
#[derive(Debug, Deserialize, Serialize)]
struct RecordLine {
    /// `<tenant>/<id>/<revision>`.
    key: String,
    record: IncidentRecord,
}

impl RecordLine {
    fn tenant(&self) -> &str {
        self.key.split('/').next().unwrap_or_default()
    }
}

/// Prints the reasons.
///
/// # Errors
/// When the incident is not there, or what tells of it cannot be read.
pub(super) fn run(args: &ExplainArgs) -> Result<Exit> {
    let folder = args.from.is_dir();
    let file = if folder { args.from.join(INCIDENTS_FILE) } else { args.from.clone() };
    let Some(subject) = &args.subject else {
        return list(&file, args.json);
    };
    let (incident, alert) = args.question(subject)?;
    let line = find(&file, incident)?;
    let tenant = line.tenant().to_owned();
    let mut engine = if folder { newest_engine(&args.from)? } else { None };
    if alert.is_some() && engine.is_none() {
        let message = "a question about an alert needs the engine's state: name the folder of a run with --from";
        return Err(UsageError(message.to_owned()).into());
    }
    let id = &line.record.id;
    let members = engine.as_mut().and_then(|engine| engine.explain(&tenant, id));
    let why_not = match (&mut engine, alert) {
        (Some(engine), Some(alert)) => engine.explain_not_in(&tenant, alert, id),
        _ => None,
    };
    let mut out = std::io::stdout().lock();
    if args.json {
        let document = json!({"tenant": tenant, "record": line.record, "members": members, "alert": why_not});
        writeln!(out, "{document}")?;
        return Ok(Exit::Ok);
    }
    let term = Term::stdout();
    write!(out, "{}", incident_page(&line.record, Some(&tenant), &term))?;
    match (alert, &members) {
        (Some(alert), Some(members)) => {
            let fingerprint = format!("{alert:016x}");
            writeln!(out, "\n{}", term.paint(Ink::Bold, &format!("Alert {fingerprint}")))?;
            let member = members.members.iter().find(|member| member.fingerprint == fingerprint);
            match (member, why_not) {
                (Some(member), _) => {
                    writeln!(out, "  is in it: {}", member.told(members.threshold).replace('\n', "\n  "))?;
                }
                (None, Some(why)) => writeln!(out, "  is not in it: {}", why.replace('\n', "\n  "))?,
                (None, None) => writeln!(out, "  is not known to the engine any more, or never was")?,
            }
        }
        (None, Some(members)) => {
            writeln!(out, "\n{}", term.paint(Ink::Bold, "Why each alert is in it"))?;
            write!(out, "{members}")?;
            let delays = engine.as_ref().map(|engine| engine.delays(&tenant)).unwrap_or_default();
            if !delays.is_empty() {
                writeln!(out, "\n{}", term.paint(Ink::Bold, "How long trouble takes along edges, as learned"))?;
            }
            for delay in delays {
                writeln!(out, "  {delay}")?;
            }
        }
        _ if folder => {
            writeln!(out, "\nThe engine no longer knows it: closed incidents are told by their record alone.")?
        }
        _ => {}
    }
    Ok(Exit::Ok)
}

/// Prints the latest revision of each incident of a file, in the order in which they were told
/// first; as JSON in the order of their last words. Of each no more is kept than a table tells.
fn list(file: &Path, json: bool) -> Result<Exit> {
    let mut at: HashMap<String, usize> = HashMap::new();
    let mut latest: Vec<(usize, IncidentLine)> = Vec::new();
    for (number, line) in lines(file)?.enumerate() {
        let line = line?;
        let shown = (number, IncidentLine::of(line.tenant(), &line.record));
        match at.get(&line.record.id) {
            Some(place) => latest[*place] = shown,
            None => {
                at.insert(line.record.id, latest.len());
                latest.push(shown);
            }
        }
    }
    let mut out = std::io::stdout().lock();
    if json {
        let last: HashSet<usize> = latest.iter().map(|(number, _)| *number).collect();
        for (_, line) in lines(file)?.enumerate().filter(|(number, _)| last.contains(number)) {
            let line = line?;
            writeln!(out, "{}", json!({"tenant": line.tenant(), "record": line.record}))?;
        }
        return Ok(Exit::Ok);
    }
    if latest.is_empty() {
        writeln!(out, "`{}` tells of no incident.", file.display())?;
        return Ok(Exit::Ok);
    }
    let latest: Vec<IncidentLine> = latest.into_iter().map(|(_, line)| line).collect();
    write!(out, "{}", incident_lines(&latest, true).render(&Term::stdout(), 0))?;
    Ok(Exit::Ok)
}

/// The lines of a file of incident events.
fn lines(file: &Path) -> Result<impl Iterator<Item = Result<RecordLine>>> {
    let opened = File::open(file)
        .with_context(|| format!("cannot read `{}`: name a run's folder or a file with --from", file.display()))?;
    Ok(BufReader::new(opened).lines().enumerate().map(move |(number, text)| {
        serde_json::from_str(&text?)
            .with_context(|| format!("{}:{}: not an incident event", file.display(), number + 1))
    }))
}

/// The latest revision of the incident in a file.
fn find(file: &Path, incident: &str) -> Result<RecordLine> {
    let mut found: Option<RecordLine> = None;
    for line in lines(file)? {
        let line = line?;
        if !line.record.id.ends_with(incident) {
            continue;
        }
        if let Some(other) = found.as_ref().filter(|other| other.record.id != line.record.id) {
            bail!("`{incident}` could be {} or {}: write more of it", other.record.id, line.record.id);
        }
        found = Some(line);
    }
    found.with_context(|| format!("no incident `{incident}` in `{}`", file.display()))
}
