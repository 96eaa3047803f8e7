//! The service side of an incident: its clocks, whom it hurts, who should have it.

use bellwether_engine::incident::{AssignedBy, EntityRole, IncidentRecord};
use bellwether_engine::time::{EventTime, Span};
use maud::{Markup, html};

use super::words::{ago, bar, clock, entity_at, left, moment, percent, said, short, span};
use crate::page::model::Line;

/// When it began, was told, taken and over, and what was promised.
pub(super) fn clocks(record: &IncidentRecord, line: &Line, now: EventTime) -> Markup {
    let began = line.began;
    let after = |at: EventTime| html! { span.sub { "after " (span(at.since(began))) } };
    html! {
        dl.clocks {
            div { dt { "Began" } dd { (moment(began, now)) span.sub { (ago(began, now)) " ago" } } }
            @if let Some(at) = record.detected_at { div { dt { "Seen" } dd { (moment(at, now)) (after(at)) } } }
            div { dt { "Told" } dd { (moment(record.opened_at, now)) (after(record.opened_at)) } }
            @if let Some(at) = record.acknowledged_at { div { dt { "Taken" } dd { (moment(at, now)) (after(at)) } } }
            @if let Some(at) = record.resolved_at { div { dt { "Over" } dd { (moment(at, now)) (after(at)) } } }
        }
        @if !line.sla.name.is_empty() {
            dl.facts {
                dt { "Service level" } dd { (said(&line.sla.name)) }
                @if let Some(at) = line.sla.respond_by { dt { "Answer by" } dd { (deadline(at, record.acknowledged_at.or(record.resolved_at), now)) } }
                @if let Some(at) = line.sla.resolve_by { dt { "Fix by" } dd { (deadline(at, record.resolved_at, now)) } }
                @if line.sla.paused { dt { "Fix" } dd { "the clock stands: somebody outside is waited for" } }
                @if let Some(risk) = line.sla.risk.filter(|_| line.is_live()) { dt { "Missed with" } dd { (percent(risk)) (bar(risk, "risk to miss it")) } }
            }
        }
        @if record.ola.is_some() || record.time_left.is_some() {
            dl.facts {
                @if let Some(ola) = &record.ola {
                    dt { "Within the house" }
                    dd { (said(&ola.name)) @if let Some(at) = ola.resolve.and_then(|deadline| deadline.by) { ", fix by " (deadline(at, record.resolved_at, now)) } }
                }
                @if let Some(left_) = record.time_left.filter(|_| line.is_live()) {
                    dt { "Such take" }
                    dd { "another " (hours(left_.p50_hours)) " in half, " (hours(left_.p90_hours)) " in nine of ten cases" }
                }
            }
        }
    }
}

/// Hours as people say them.
fn hours(hours: f64) -> String {
    span(Span((hours * 3.6e12) as i64))
}

fn deadline(by: EventTime, done: Option<EventTime>, now: EventTime) -> Markup {
    html! {
        (clock(by, now)) " · "
        @match done {
            Some(done) if done <= by => { "kept with " (span(by.since(done))) " to spare" }
            Some(done) => { strong.left.over { "missed by " (span(done.since(by))) } }
            None => { (left(by, now)) }
        }
    }
}

/// Whom it hurts, what that costs, who has it and why.
pub(super) fn hurts(record: &IncidentRecord, line: &Line) -> Markup {
    let impact = record.business_impact.clone().unwrap_or_default();
    let owner = record.owner.clone().unwrap_or_default();
    let affected: Vec<&str> = record
        .entities
        .iter()
        .filter(|entity| entity.role == Some(EntityRole::Affected))
        .map(|entity| entity.id.as_str())
        .collect();
    html! {
        dl.facts {
            @if !impact.business_services.is_empty() { dt { "Business services" } dd { strong { (said(&impact.business_services.join(", "))) } } }
            @if !impact.customers.is_empty() { dt { "Customers" } dd { (said(&impact.customers.join(", "))) } }
            @if let Some(users) = impact.users { dt { "People" } dd { (users) " use what is in trouble" } }
            @if let Some(cost) = impact.revenue_per_hour { dt { "An hour costs" } dd { (format!("{cost:.0}")) } }
            dt { "In trouble" } dd { @if affected.is_empty() { "–" } @for (place, name) in affected.iter().enumerate() { @if place > 0 { ", " } a href=(entity_at(&line.tenant, name)) { (said(short(name))) } } }
            @if let (Some(impact), Some(urgency)) = (record.impact, record.urgency) {
                dt { "Priority" } dd { (record.priority.name()) " from impact " (impact) " and urgency " (urgency) }
            }
            dt { "Owner" } dd { @if owner.team.is_empty() && owner.assignment_group.is_empty() { "nobody named" } @else { (said(&owner.team)) @if !owner.assignment_group.is_empty() { " (" (said(&owner.assignment_group)) ")" } } }
            @if !line.assignee.is_empty() { dt { "Works on it" } dd { strong { (said(&line.assignee)) } } }
            @if !owner.escalation.is_empty() { dt { "Call next" } dd { (said(&owner.escalation)) } }
            @if !record.escalations.is_empty() {
                dt { "Escalated" }
                dd {
                    @for it in &record.escalations {
                        div { (clock(it.at, record.updated_at)) " " (it.kind) " " strong { (said(&it.to)) } " " span.soft { (said(&it.rule)) } }
                    }
                }
            }
            @if let Some(problem) = &record.problem {
                dt { "Problem" }
                dd {
                    code { (problem.id) } span.sub {
                        "there " (problem.occurrences) " times in " (problem.window_days) " days, " (problem.minutes) " minutes before this"
                        @if !problem.change.is_empty() { ", after changes such as " (said(&problem.change)) }
                    }
                }
            }
        }
        (assignment(record))
    }
}

/// Why the owner has it, and who else may resolve it.
fn assignment(record: &IncidentRecord) -> Markup {
    let Some(assignment) = &record.assignment else { return html! {} };
    let by = match assignment.by {
        AssignedBy::Catalogue => "The catalogue names its owner.",
        AssignedBy::Experience => "Experience says who resolves such.",
        AssignedBy::Person => "A person said who has it.",
        AssignedBy::Dispatcher => "Nobody is known to own it: whoever gives it out decides.",
    };
    html! {
        p.small.soft { (by) }
        @if assignment.candidates.len() > 1 || assignment.by == AssignedBy::Dispatcher {
            ul.small {
                @for candidate in &assignment.candidates {
                    li {
                        strong { (said(&candidate.team)) }
                        @if let Some(sure) = candidate.confidence { " " (percent(sure)) }
                        ": " (said(&candidate.reasons.join("; ")))
                    }
                }
            }
        }
    }
}
