//! Incidents in a list: the one table that every page shows them by.

use bellwether_engine::incident::IncidentStatus;
use bellwether_engine::time::EventTime;
use maud::{Markup, html};

use super::words::{ago, bar, left, many, percent, priority, said};
use crate::page::model::{Line, Listed};

/// Names shown of those that an incident hurts.
const HURTS_SHOWN: usize = 4;

/// The address of an incident's page.
pub(crate) fn address(id: &str) -> String {
    format!("/page/incidents/{id}")
}

/// The table; tenants are named where there are several.
pub(crate) fn incidents(lines: &[Line], now: EventTime, tenants: bool) -> Markup {
    html! {
        div.scroll {
            table.cards {
                thead {
                    tr {
                        th { "Priority" } th { "Incident" } th { "State" }
                        @if tenants { th { "Tenant" } }
                        th { "Owner" } th { "Service level" } th { "Cause known" } th.n { "Age" }
                    }
                }
                tbody { @for line in lines { (row(line, now, tenants)) } }
            }
        }
    }
}

fn row(line: &Line, now: EventTime, tenants: bool) -> Markup {
    let urgent = (line.status == IncidentStatus::Open && line.priority <= bellwether_engine::incident::Priority::P2)
        .then(|| format!("{} {}", line.priority, said(&line.title)));
    html! {
        tr data-row=(line.id) data-urgent=[urgent] {
            td.tight { (priority(line.priority)) }
            td.what {
                a.title href=(address(&line.id)) { (said(&line.title)) }
                span.sub { (hurts(line)) }
            }
            td.tight { (state(line)) }
            @if tenants { td.tight data-name="tenant" { (said(&line.tenant)) } }
            td data-name="owner" { (owner(line)) }
            td data-name="service level" { (service_level(line, now)) }
            td.tight data-name="cause known" { (surety(line)) }
            td.n data-name="age" { (ago(line.began, now)) }
        }
    }
}

/// Whom it hurts, and how much was heard of it.
fn hurts(line: &Line) -> Markup {
    let names: Vec<String> = line.hurts.iter().take(HURTS_SHOWN).map(|name| said(name)).collect();
    let more = line.hurts.len().saturating_sub(HURTS_SHOWN);
    html! {
        @if !names.is_empty() {
            "hits " (names.join(", ")) @if more > 0 { " and " (more) " more" } " · "
        }
        (many(line.alerts, "notification"))
        @if line.under.is_some() { " · under a major incident" }
    }
}

/// Where it is in its life.
pub(crate) fn state(line: &Line) -> Markup {
    let word = line.status.name();
    html! {
        span class={ "pill " (word) } { (word) }
        @if !line.assignee.is_empty() { span.sub { "by " (said(&line.assignee)) } }
    }
}

fn owner(line: &Line) -> Markup {
    html! {
        @if line.team.is_empty() { span.faint { "nobody named" } } @else { (said(&line.team)) }
    }
}

/// What has to be done by when.
pub(crate) fn service_level(line: &Line, now: EventTime) -> Markup {
    html! {
        @if let Some((what, at)) = line.sla.next(line.status).filter(|_| line.is_live()) {
            (what) " " (left(at, now))
            @if let Some(risk) = line.sla.risk { span.sub { "missed with " (percent(risk)) } }
        } @else if let Some(at) = line.resolved {
            span.soft { "over for " (ago(at, now)) }
        }
    }
}

fn surety(line: &Line) -> Markup {
    html! {
        @match line.confidence {
            Some(sure) => { (percent(sure)) (bar(sure, "how sure the cause is")) }
            None => { span.faint { "not yet" } }
        }
    }
}

/// What a list does not show.
pub(crate) fn left_out(listed: &Listed) -> Markup {
    let more = listed.total.saturating_sub(listed.lines.len());
    html! {
        @if more > 0 {
            p.small.soft { (many(more as u64, "more incident")) ": " a href="/page/incidents?status=live" { "all that are open" } }
        }
        @if listed.forgotten > 0 {
            p.small.soft {
                (many(listed.forgotten, "incident")) " that ended long ago " @if listed.forgotten == 1 { "is" } @else { "are" }
                " no longer kept here (`page.memory_bytes`)"
            }
        }
    }
}
