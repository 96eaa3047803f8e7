//! `bellwether report`: what a period was like, from the incident log of a run.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use bellwether_connectors::outbox;
use bellwether_engine::incident::{IncidentRecord, Verb};
use clap::{Args, ValueEnum};

use super::state_folder::StateArgs;
use crate::exit::{Exit, UsageError};
use crate::page::{report_file, words_of};
use crate::report::{glance, safe};
use crate::review::{Asked, Case, Promise, Review, Spread, asked_days, csv, review};
use crate::term::{Ink, Lean, Table, Term, count};
use crate::wiring::said::Word;

/// Say what a period was like: how fast trouble was seen and mended, what was kept, what made noise
#[derive(Debug, Args)]
#[command(after_help = "\
It reads the incident log of a run, which may be going on, as far back as that is kept
(`incident_log.retain_age`). Counted are incidents that were told from the first day to the last,
in UTC. What people said of causes, and who did something, is known where the run has a page.

Examples:
  bellwether report -c bellwether.yaml
  bellwether report --tenant acme --from 2026-11-01 --to 2026-11-30 --format html -o november.html
  bellwether report --team dba --format csv > dba.csv")]
pub(super) struct ReportArgs {
    /// The folder of a run, which may be going on
    #[arg(long, value_name = "PATH", default_value = "bellwether-state")]
    state: PathBuf,
    /// The configuration of the run, instead of its folder
    #[arg(long, short, value_name = "FILE", conflicts_with = "state")]
    config: Option<PathBuf>,
    /// Only this tenant
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Only what this team or queue owns
    #[arg(long, value_name = "NAME")]
    team: Option<String>,
    /// Only what hurt this service or entity
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// The first day, `2026-11-01`; 30 days before the last where it is left out
    #[arg(long, value_name = "DAY")]
    from: Option<String>,
    /// The last day; today where it is left out
    #[arg(long, value_name = "DAY")]
    to: Option<String>,
    /// What is written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Where to, instead of the screen
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// The figures, for people
    Text,
    /// A figure a line, for spreadsheets
    Csv,
    /// One file with charts that needs nothing beside itself
    Html,
}

/// Writes the report.
///
/// # Errors
/// When a day or the log does not read, or the file cannot be written.
pub(super) fn run(args: &ReportArgs) -> Result<Exit> {
    let asked = args.asked()?;
    let folder = StateArgs { from: args.state.clone(), config: args.config.clone() }.folder()?;
    let words = words_of(&folder.state);
    let mut cases = Vec::new();
    for place in &folder.places {
        cases.extend(cases_of(&place.log, &words)?);
    }
    let found = review(&cases, &asked);
    let text = match args.format {
        Format::Csv => csv(&found),
        Format::Html => report_file(&found, &asked),
        Format::Text => told(&found, &Term::stdout()),
    };
    match &args.output {
        Some(path) => fs::write(path, text).with_context(|| format!("cannot write `{}`", path.display()))?,
        None => std::io::stdout().lock().write_all(text.as_bytes())?,
    }
    Ok(Exit::Ok)
}

impl ReportArgs {
    fn asked(&self) -> Result<Asked> {
        let now = crate::clock::now();
        let to = self.to.clone().unwrap_or_else(|| crate::report::date(now));
        let from = match &self.from {
            Some(from) => from.clone(),
            None => {
                let (_, until) = asked_days(&to, &to).map_err(UsageError)?;
                crate::report::date(until.minus(bellwether_engine::time::Span::from_hours(24 * 30)))
            }
        };
        let (from, until) = asked_days(&from, &to).map_err(UsageError)?;
        Ok(Asked { from, until, tenant: self.tenant.clone(), team: self.team.clone(), service: self.service.clone() })
    }
}

/// By tenant and id: the newest record, and how often it went on after it was over.
type Latest = BTreeMap<(Arc<str>, String), (IncidentRecord, u64)>;

fn cases_of(log: &std::path::Path, words: &[Arc<Word>]) -> Result<Vec<Case>> {
    let mut latest: Latest = BTreeMap::new();
    for event in outbox::events(log)? {
        let event = event?;
        let key = (event.tenant.clone(), event.record.id.clone());
        let reopened = u64::from(event.verb == Verb::Reopened);
        match latest.get_mut(&key) {
            Some((record, reopenings)) => {
                *reopenings += reopened;
                if event.record.revision > record.revision {
                    *record = event.record;
                }
            }
            None => {
                latest.insert(key, (event.record, reopened));
            }
        }
    }
    let mut about: BTreeMap<(&str, &str), Vec<Arc<Word>>> = BTreeMap::new();
    for word in words {
        if let Some(incident) = word.incident() {
            about.entry((&*word.tenant, incident)).or_default().push(word.clone());
        }
    }
    let none = Vec::new();
    let case = |((tenant, id), (record, reopenings)): (&(Arc<str>, String), &(IncidentRecord, u64))| {
        Case::of(tenant, record, *reopenings, about.get(&(&**tenant, id.as_str())).unwrap_or(&none))
    };
    Ok(latest.iter().map(case).collect())
}

/// The figures for people.
fn told(review: &Review, term: &Term) -> String {
    let mut text = format!(
        "{} told, {} open, {} called false, {} that nobody acted on, {} after a change\n",
        count(review.incidents, "incident"),
        review.open,
        review.called_false,
        review.untouched,
        review.by_change
    );
    if let Some(less) = review.noise_reduction() {
        text.push_str(&format!(
            "{} heard: {:.1} % less to read\n",
            count(review.notifications, "notification"),
            less * 100.0
        ));
    }
    text.push_str(&format!(
        "reopened {}, {}\n\n",
        count(review.reopened, "incident"),
        count(review.reopenings, "time")
    ));
    let mut times = Table::new(&[
        ("time to", Lean::Left),
        ("half within", Lean::Right),
        ("nine of ten", Lean::Right),
        ("mean", Lean::Right),
        ("of", Lean::Right),
    ]);
    let row = |name: &str, spread: &Spread| {
        let span = |span| if spread.count == 0 { "–".to_owned() } else { glance(span) };
        [name.to_owned(), span(spread.p50), span(spread.p90), span(spread.mean), spread.count.to_string()]
    };
    for (name, spread) in
        [("detect", &review.detect), ("acknowledge", &review.acknowledge), ("resolve", &review.resolve)]
    {
        times.row(row(name, spread));
    }
    text.push_str(&times.render(term, 0));
    let promise = |name: &str, promise: &Promise| {
        format!(
            "{name}: {} kept, {} running, {} at risk, {} broken\n",
            promise.kept, promise.running, promise.at_risk, promise.broken
        )
    };
    text.push_str(&format!("\n{}{}", promise("to answer", &review.respond), promise("to mend", &review.mend)));
    if !review.rules.is_empty() {
        text.push_str(&format!("\n{}\n", term.paint(Ink::Bold, "rules that were in most incidents")));
        for (rule, of) in &review.rules {
            text.push_str(&format!(
                "  {}: {}, {} that nobody acted on, {} called false\n",
                safe(rule),
                count(of.incidents, "incident"),
                of.untouched,
                of.called_false
            ));
        }
    }
    text
}
