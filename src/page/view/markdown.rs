//! The draft of a post-mortem, as Markdown: what is known, and where people have to write.

use std::fmt::Write as _;
use std::sync::Arc;

use bellwether_engine::incident::{Deadline, EntityRole, IncidentRecord, ServiceLevel};
use bellwether_engine::time::EventTime;

use super::story;
use super::words::{named, percent, said, span};
use crate::page::model::Known;
use crate::report::date_and_time;
use crate::wiring::said::Word;

/// Causes listed.
const CAUSES_MAX: usize = 5;

/// What others wrote, so that it is text and no markup.
fn text(written: &str) -> String {
    let mut shown = String::with_capacity(written.len());
    for c in said(written).chars() {
        if "\\`*_[]<>#|~!&".contains(c) {
            shown.push('\\');
        }
        shown.push(c);
    }
    shown
}

/// An agreement and how its clocks stand.
fn promised(sla: &ServiceLevel) -> String {
    let stands = |what: &str, deadline: Option<Deadline>| {
        deadline.map(|deadline| format!(", {what} {}", deadline.state.name().replace('_', " ")))
    };
    let clocks = [stands("answer", sla.respond), stands("fix", sla.resolve)];
    format!("{}{}", sla.name, clocks.into_iter().flatten().collect::<String>())
}

/// The draft.
pub(crate) fn draft(known: &Known, record: &IncidentRecord, words: &[Arc<Word>]) -> String {
    let line = &known.line;
    let mut out = String::new();
    let mut put = |line: String| {
        let _ = writeln!(out, "{line}");
    };
    let at = |at: EventTime| format!("{} UTC", date_and_time(at));
    let began = line.began;
    put(format!("# {}\n", text(&record.title)));
    put("| | |\n|---|---|".to_owned());
    put(format!("| Incident | `{}`, revision {} |", record.id, record.revision));
    put(format!("| Priority, state | {}, {} |", record.priority, record.status.name()));
    put(format!("| Began | {} |", at(began)));
    put(format!("| Told | {}, after {} |", at(record.opened_at), span(record.opened_at.since(began))));
    if let Some(taken) = record.acknowledged_at {
        put(format!("| Taken | {}, after {} |", at(taken), span(taken.since(began))));
    }
    if let Some(over) = record.resolved_at {
        put(format!("| Over | {}, after {} |", at(over), span(over.since(began))));
    }
    if let Some(owner) = &record.owner {
        let team = if owner.team.is_empty() { &owner.assignment_group } else { &owner.team };
        put(format!(
            "| Owner | {}, {} |",
            text(team),
            text(if owner.assignee.is_empty() { "nobody" } else { &owner.assignee })
        ));
    }
    let impact = record.business_impact.as_ref();
    for (name, value) in [
        ("Business services", impact.map(|impact| impact.business_services.join(", "))),
        ("Customers", impact.map(|impact| impact.customers.join(", "))),
        ("People who use it", impact.and_then(|impact| impact.users).map(|users| users.to_string())),
        ("An hour of it costs", impact.and_then(|impact| impact.revenue_per_hour).map(|cost| format!("{cost:.0}"))),
        ("Service level", record.sla.as_ref().map(promised)),
        (
            "Problem",
            record.problem.as_ref().map(|it| format!("{}, {} times in {} days", it.id, it.occurrences, it.window_days)),
        ),
    ] {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            put(format!("| {name} | {} |", text(&value)));
        }
    }
    for ticket in &record.tickets {
        put(format!("| Ticket | {} in {} |", text(&ticket.key), text(&ticket.system)));
    }
    put(format!("\n## What happened\n\n{}\n", text(&record.summary)));
    let affected = record.entities.iter().filter(|entity| entity.role == Some(EntityRole::Affected));
    let affected: Vec<String> = affected.map(|entity| format!("- `{}`", entity.id.replace('`', "'"))).collect();
    if !affected.is_empty() {
        put(format!("In trouble:\n\n{}\n", affected.join("\n")));
    }
    put("## The cause\n".to_owned());
    put("As the engine ranked it:\n".to_owned());
    for cause in record.probable_causes.iter().take(CAUSES_MAX) {
        put(format!(
            "{}. {} ({}): {}",
            cause.rank,
            text(&named(cause)),
            percent(cause.score),
            text(&cause.explanation)
        ));
    }
    put("\n_What it was, and why it could happen:_\n\n## What happened when\n".to_owned());
    for (when, what) in story::plain(known, words) {
        put(format!("- {}: {}", at(when), text(&what)));
    }
    put("\n## What went well, what did not\n\n-\n\n## What is to be done\n\n| What | Who | By when |\n|---|---|---|\n| | | |".to_owned());
    out
}
