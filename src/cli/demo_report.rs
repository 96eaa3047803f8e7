//! The report at the end of the demo: what broke and why, whether that was right, what arrived
//! on NATS, how fast it was, and what to try next.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use bellwether_datasets::story::{STORIES, Story};
use bellwether_datasets::truth::{FaultTruth, Truth};
use bellwether_engine::Engine;
use bellwether_engine::incident::{IncidentEvent, IncidentStatus};

use super::demo_ticket::ticket;
use super::read_back::ReadBack;
use crate::config::INCIDENTS_FILE;
use crate::report::{Figures, incident_page, micros, tenant_count};
use crate::term::{Ink, Term, count, thousands, wrap};
use crate::wiring::gauges::Gauges;
use crate::wiring::screen::Kept;

/// Incidents told in full; the file has all.
const PAGES_MAX: usize = 4;

/// What there is to tell.
pub(super) struct Played<'a> {
    pub(super) story: &'a Story,
    pub(super) folder: &'a Path,
    pub(super) kept: &'a Kept,
    pub(super) figures: &'a Figures,
    pub(super) truth: &'a Truth,
    pub(super) back: Option<&'a ReadBack>,
}

/// Tells it.
///
/// # Errors
/// When stdout cannot be written.
pub(super) fn tell(played: &Played<'_>, engine: &mut Engine, gauges: &Gauges, term: &Term) -> Result<()> {
    let mut incidents = played.kept.latest();
    incidents.retain(|event| event.record.status != IncidentStatus::Merged);
    incidents.sort_by_key(|event| (event.record.priority, event.record.opened_at));
    let mut out = std::io::stdout().lock();

    writeln!(out, "\n{}\n", term.heading("What broke"))?;
    let several = tenant_count(&incidents) > 1;
    for event in incidents.iter().take(PAGES_MAX) {
        writeln!(out, "{}", incident_page(&event.record, several.then_some(&*event.tenant), term))?;
    }
    if incidents.len() > PAGES_MAX {
        writeln!(out, "  … and {} more\n", incidents.len() - PAGES_MAX)?;
    }
    if incidents.is_empty() {
        writeln!(out, "  Nothing was found.\n")?;
    }

    if let Some(event) = incidents.first() {
        writeln!(out, "{}\n", term.heading("The ticket"))?;
        writeln!(out, "{}", ticket(event, term)?)?;
    }

    writeln!(out, "{}\n", term.heading("Was it right?"))?;
    let intro = "The simulator knows what really happened. The engine never saw this.";
    writeln!(out, "{}", wrap(intro, term.width, 2, true))?;
    for fault in &played.truth.faults {
        writeln!(out, "{}", verdict(fault, &incidents, term))?;
    }
    writeln!(out, "{}\n", counts(played, engine))?;

    writeln!(out, "{}\n", term.heading("What arrived"))?;
    for (name, text) in arrived(played, gauges) {
        let name = term.paint(Ink::Dim, &format!("  {name:<12}"));
        writeln!(out, "{name}{}", wrap(&text, term.width, 14, false))?;
    }

    writeln!(out, "\n{}\n", term.heading("Next"))?;
    for (command, what) in next(played, &incidents) {
        writeln!(out, "  {}\n      {what}", term.paint(Ink::Cyan, &command))?;
    }
    Ok(())
}

/// A fault and how well it was found.
fn verdict(fault: &FaultTruth, incidents: &[Arc<IncidentEvent>], term: &Term) -> String {
    let change = fault.change.as_ref().map_or(String::new(), |change| format!(", brought about by change {change}"));
    let truth = format!("{}: {} on {}{change}", fault.id, kind_words(fault), fault.cause);
    let mut best: Option<(usize, &IncidentEvent)> = None;
    for event in incidents.iter().filter(|event| *event.tenant == *fault.tenant) {
        if let Some(rank) = rank_of(fault, event)
            && best.is_none_or(|(known, _)| rank < known)
        {
            best = Some((rank, event));
        }
    }
    let (ink, found) = match best {
        Some((1, event)) => (Ink::Green, format!("named first, in {}", event.record.id)),
        Some((rank, event)) => (Ink::Yellow, format!("named at rank {rank}, in {}", event.record.id)),
        None if fault.firings == 0 => (Ink::Dim, "no tool of the estate saw it".to_owned()),
        None => (Ink::Red, "not named".to_owned()),
    };
    format!("{}\n      {}", wrap(&truth, term.width, 4, true), term.paint(ink, &found))
}

fn kind_words(fault: &FaultTruth) -> String {
    fault.kind.spec().name.replace(['-', '_'], " ")
}

/// At which rank an incident names the fault's change or item.
fn rank_of(fault: &FaultTruth, event: &IncidentEvent) -> Option<usize> {
    let names = |cause: &bellwether_engine::incident::ProbableCause| {
        let change = fault.change.as_deref().is_some_and(|change| change == cause.reference);
        let item = cause.reference == fault.cause || cause.entity.as_ref().is_some_and(|e| e.id == fault.cause);
        change || item
    };
    event.record.probable_causes.iter().position(names).map(|index| index + 1)
}

fn counts(played: &Played<'_>, engine: &Engine) -> String {
    let raised = played.truth.alerts.len() as u64;
    let stats = engine.stats();
    let sensed = stats.total.alerts_sensed;
    format!(
        "    {} raised by the estate's own tools and {} by Bellwether itself became {}",
        count(raised, "alert"),
        thousands(sensed),
        count(played.figures.incidents, "incident"),
    )
}

fn arrived(played: &Played<'_>, gauges: &Gauges) -> Vec<(&'static str, String)> {
    let mut rows = vec![("signals", played.figures.line())];
    if let Some(back) = played.back {
        let verbs: Vec<String> = back.verbs.iter().map(|(verb, count)| format!("{count} {verb}")).collect();
        let sure = if back.is_exactly_once() {
            "every revision once and in order".to_owned()
        } else {
            format!("{} repeated, {} out of order: a bug, please report it", back.repeated, back.out_of_order)
        };
        let text = format!(
            "{} read back from the stream ({}), {sure}; {} in the bucket; largest {} bytes",
            count(back.messages, "message"),
            verbs.join(", "),
            count(back.records, "record"),
            thousands(back.bytes_max as u64),
        );
        rows.push(("NATS", text));
    } else {
        rows.push(("NATS", "left out, see above; the file has every event".to_owned()));
    }
    if let Some([p50, p99, p999]) = played.figures.latency_us {
        let text = format!(
            "from the arrival of what settled it to its durable delivery: p50 {}, p99 {}, p99.9 {}",
            micros(p50),
            micros(p99),
            micros(p999)
        );
        rows.push(("latency", text));
    }
    rows.push(("checkpoints", format!("{} written while it ran", gauges.checkpoints())));
    rows
}

fn next(played: &Played<'_>, incidents: &[Arc<IncidentEvent>]) -> Vec<(String, String)> {
    let folder = played.folder.display();
    let other = STORIES.iter().find(|story| story.name != played.story.name).unwrap_or(&STORIES[0]);
    let id = incidents.first().map_or("ID", |event| event.record.id.as_str());
    vec![
        (
            format!("bellwether explain {id} --from {folder}"),
            "why each alert is in that incident, and with which evidence".to_owned(),
        ),
        (format!("bellwether page --from {folder}"), "the same in a browser, with its pictures".to_owned()),
        (format!("bellwether demo {}", other.name), other.title.to_owned()),
        (
            format!("bellwether replay {folder} --json"),
            format!("the same journal again, as fast as it goes; the events are in {INCIDENTS_FILE} there"),
        ),
    ]
}
