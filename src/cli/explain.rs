//! `bellwether explain`: why an incident says what it says, and holds what it holds.

use std::collections::{HashMap, HashSet};
use std::io::Write as _;

use anyhow::Result;
use bellwether_engine::Explanation;
use bellwether_engine::incident::IncidentStatus;
use clap::Args;
use serde_json::json;

use super::state_folder::StateArgs;
use super::told::Told;
use crate::exit::{Exit, UsageError};
use crate::report::{IncidentLine, incident_lines, incident_page};
use crate::term::{Ink, Term};
use crate::wiring::newest::newest_engine;

/// Say why an incident says what it says, and why each alert is in it; without one, list them
#[derive(Debug, Args)]
#[command(after_help = "\
--from is the folder of a run or demo, or a file of incident events; -c names the configuration of the
run instead. What was told is read from the folder's incident log, or where that no longer has it from
the files it names; the engine's own reasons from the newest checkpoint, also while the run goes on. From
a file what the record holds is told.

Examples:
  bellwether explain -c bellwether.yaml                  which incidents there are
  bellwether explain inc_01KJ9QYV6ZK6QK3Q9GV3S5T7XN --from demo-out/plant-line
  bellwether explain 5T7XN --from incidents.ndjson       the end of the id is enough
  bellwether explain inc_… --alert 00c0ffee00c0ffee      why that alert is, or is not, in it
  bellwether explain 00c0ffee00c0ffee --not-in 5T7XN     the same question, the alert first")]
pub(super) struct ExplainArgs {
    /// The incident's id, or enough of its end; with --not-in an alert's fingerprint
    #[arg(value_name = "INCIDENT|ALERT")]
    subject: Option<String>,
    #[command(flatten)]
    state: StateArgs,
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

/// Prints the reasons.
///
/// # Errors
/// When the incident is not there, or what tells of it cannot be read.
pub(super) fn run(args: &ExplainArgs) -> Result<Exit> {
    let told = Told::of(&args.state)?;
    let Some(subject) = &args.subject else {
        return list(&told, args.json);
    };
    let (incident, alert) = args.question(subject)?;
    let line = told.find(incident)?;
    let tenant = line.tenant().to_owned();
    let mut newest = match told.folder() {
        Some(folder) => newest_engine(&folder.state)?,
        None => None,
    };
    if alert.is_some() && newest.is_none() {
        let message = "a question about an alert needs the engine's state: name the folder of a run with --from";
        return Err(UsageError(message.to_owned()).into());
    }
    let id = &line.record.id;
    let members = newest.as_mut().and_then(|newest| newest.engine.explain(&tenant, id));
    let why_not = match (&mut newest, alert) {
        (Some(newest), Some(alert)) => newest.engine.explain_not_in(&tenant, alert, id),
        _ => None,
    };
    let mut out = std::io::stdout().lock();
    if args.json {
        let checkpoint = newest.as_ref().map(|newest| newest.json(&tenant));
        let document = json!({
            "tenant": tenant, "record": line.record, "members": members, "alert": why_not, "checkpoint": checkpoint
        });
        writeln!(out, "{document}")?;
        return Ok(Exit::Ok);
    }
    let term = Term::stdout();
    write!(out, "{}", incident_page(&line.record, Some(&tenant), &term))?;
    if let Some(newest) = &newest {
        writeln!(out, "\n{}", term.paint(Ink::Dim, &format!("What follows is {}", newest.age(Some(&tenant)))))?;
    }
    match (alert, &members) {
        (Some(alert), Some(members)) => tell_alert(&mut out, alert, members, why_not, &term)?,
        (None, Some(members)) => {
            writeln!(out, "\n{}", term.paint(Ink::Bold, "Why each alert is in it"))?;
            write!(out, "{members}")?;
            let delays = newest.as_ref().map(|newest| newest.engine.delays(&tenant)).unwrap_or_default();
            if !delays.is_empty() {
                writeln!(out, "\n{}", term.paint(Ink::Bold, "How long trouble takes along edges, as learned"))?;
            }
            for delay in delays {
                writeln!(out, "  {delay}")?;
            }
        }
        _ if told.folder().is_none() => {}
        _ if matches!(line.record.status, IncidentStatus::Closed | IncidentStatus::Merged) => {
            writeln!(out, "\nThe engine no longer knows it: closed incidents are told by their record alone.")?;
        }
        _ => writeln!(out, "\nThe newest checkpoint does not know it: the next one says why each alert is in it.")?,
    }
    Ok(Exit::Ok)
}

/// Why one alert is in the incident, or is not.
fn tell_alert(
    out: &mut impl std::io::Write,
    alert: u64,
    members: &Explanation,
    why_not: Option<String>,
    term: &Term,
) -> std::io::Result<()> {
    let fingerprint = format!("{alert:016x}");
    writeln!(out, "\n{}", term.paint(Ink::Bold, &format!("Alert {fingerprint}")))?;
    let member = members.members.iter().find(|member| member.fingerprint == fingerprint);
    match (member, why_not) {
        (Some(member), _) => {
            writeln!(out, "  is in it: {}", member.told(members.threshold).replace('\n', "\n  "))
        }
        (None, Some(why)) => writeln!(out, "  is not in it: {}", why.replace('\n', "\n  ")),
        (None, None) => writeln!(out, "  is not known to the engine any more, or never was"),
    }
}

/// Prints the latest revision of each incident, in the order in which they were told first; as JSON in
/// the order of their last words. Of each no more is kept than a table tells.
fn list(told: &Told, json: bool) -> Result<Exit> {
    let mut at: HashMap<String, usize> = HashMap::new();
    let mut latest: Vec<(String, IncidentLine)> = Vec::new();
    for line in told.lines()? {
        let line = line?;
        let shown = (line.key().to_owned(), IncidentLine::of(line.tenant(), &line.record));
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
        let last: HashSet<String> = latest.into_iter().map(|(key, _)| key).collect();
        for line in told.lines()? {
            let line = line?;
            if !last.contains(line.key()) {
                continue;
            }
            writeln!(out, "{}", json!({"tenant": line.tenant(), "record": line.record}))?;
        }
        return Ok(Exit::Ok);
    }
    if latest.is_empty() {
        writeln!(out, "{told} tells of no incident.")?;
        return Ok(Exit::Ok);
    }
    let latest: Vec<IncidentLine> = latest.into_iter().map(|(_, line)| line).collect();
    write!(out, "{}", incident_lines(&latest, true).render(&Term::stdout(), 0))?;
    Ok(Exit::Ok)
}
