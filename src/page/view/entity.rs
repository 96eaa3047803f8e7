//! One entity: how it fares, what it is tied to and who says so, what happened to it, what is to come.

use std::sync::Arc;

use bellwether_engine::incident::Priority;
use bellwether_engine::signal::Relation;
use bellwether_engine::time::EventTime;
use bellwether_engine::topology::EdgeView;
use bellwether_engine::{AlertView, ChangeView, EntityView, ForecastView};
use maud::{Markup, html};

use super::chart::{Mark, MarkKind};
use super::entities::{health, kind_of, matters};
use super::forecasts;
use super::list::{incidents, left_out};
use super::words::{ago, entity_at, many, moment, outside, percent, said, short};
use super::{alert_list, changes, multiples};
use crate::page::eye::Unseen;
use crate::page::lately::EntitySeen;
use crate::page::model::{Hurt, Listed};
use crate::page::points::Drawn;

/// Connections that are there at once; the rest is behind a click.
const EDGES_OPEN: usize = 15;
/// Claims shown of an edge.
const CLAIMS_SHOWN: usize = 4;

/// Everything that the page shows.
pub(crate) struct Entity<'e> {
    pub(crate) now: EventTime,
    pub(crate) tenant: &'e str,
    pub(crate) name: &'e str,
    pub(crate) seen: &'e Result<Arc<EntitySeen>, Unseen>,
    pub(crate) hurt: Option<&'e Hurt>,
    /// Incidents that it is or was in.
    pub(crate) history: &'e Listed,
    /// Its series of the last three hours, and whether there are more.
    pub(crate) drawn: (&'e [Drawn], bool),
    /// What of it runs out.
    pub(crate) forecasts: &'e [(String, ForecastView)],
}

/// The page.
pub(crate) fn page(shown: &Entity<'_>) -> Markup {
    let entity = shown.seen.as_ref().ok().and_then(|seen| seen.entity.as_ref());
    html! {
        (head(shown, entity))
        @if let Err(why) = shown.seen { p.notice { (why.to_string()) } }
        (multiples::of_entity(shown.drawn.0, &marks(shown, entity), shown.now, shown.drawn.1))
        div.columns {
            div.stack {
                (history(shown))
                @if let Ok(seen) = shown.seen {
                    @if seen.alerts.total > 0 { (alerts(shown, &seen.alerts.alerts, seen.alerts.total)) }
                }
                @if let Some(entity) = entity { (connections(shown, entity)) (happened(&entity.changes, shown)) }
            }
            div.stack {
                @if let Some(entity) = entity { (facts(entity, shown.now)) }
                (to_come(shown))
            }
        }
    }
}

fn head(shown: &Entity<'_>, entity: Option<&EntityView>) -> Markup {
    let item = entity.and_then(|entity| entity.item.as_ref());
    let class = match shown.hurt.map(|hurt| hurt.worst) {
        Some(Priority::P1 | Priority::P2) => "bad",
        Some(_) => "warn",
        None => "good",
    };
    html! {
        div.head {
            p.small.noprint { a href="/page/entities" data-up { "Entities" } " / " (said(kind_of(shown.name))) }
            div.line {
                @if let Some(item) = item { (matters(Some(item.criticality))) @if !item.environment.is_empty() { span.pill { (said(&item.environment)) } } }
                span.pill { (said(kind_of(shown.name))) }
            }
            h1 { (said(short(shown.name))) }
            p.small.faint.wide { code { (said(shown.name)) } " · tenant " (said(shown.tenant)) }
        }
        div class={ "state " (class) } {
            p.lead {
                @match shown.hurt {
                    Some(_) => { (health(shown.hurt, shown.now)) }
                    None => { "No open incident hurts it." }
                }
            }
        }
    }
}

/// What happened to it, for its pictures.
fn marks(shown: &Entity<'_>, entity: Option<&EntityView>) -> Vec<Mark> {
    let changes = entity.iter().flat_map(|entity| &entity.changes);
    let mut marks: Vec<Mark> = changes
        .map(|change| Mark { at: change.at, kind: MarkKind::Change, said: format!("change {}", change.id) })
        .collect();
    let began = |hurt: &Hurt| Mark { at: hurt.since, kind: MarkKind::Onset, said: "trouble began".to_owned() };
    marks.extend(shown.hurt.map(began));
    marks
}

fn history(shown: &Entity<'_>) -> Markup {
    html! {
        section.card aria-labelledby="history" {
            h2 #history { "Incidents" @if shown.history.total > 0 { span.small { (shown.history.total) ", what was told last first" } } }
            @if shown.history.lines.is_empty() {
                p.soft { "It was in none that is remembered here." }
            } @else {
                (incidents(&shown.history.lines, shown.now, false))
                @if shown.history.total > shown.history.lines.len() {
                    p.small.soft { "and " (shown.history.total - shown.history.lines.len()) " older" }
                }
            }
            (left_out(&Listed { lines: Vec::new(), total: 0, forgotten: shown.history.forgotten }))
        }
    }
}

fn alerts(shown: &Entity<'_>, alerts: &[AlertView], total: usize) -> Markup {
    html! {
        section.card aria-labelledby="alerts" {
            h2 #alerts { "Alerts" span.small { (total) " remembered" } }
            (alert_list::table(alerts, shown.tenant, shown.now, false))
            @if total > alerts.len() { p.small.soft { (total - alerts.len()) " older are not listed." } }
        }
    }
}

/// What an edge is from where one stands.
fn relation(edge: &EdgeView, here: &str) -> &'static str {
    match (edge.relation, edge.from == here) {
        (Relation::Calls, true) => "calls",
        (Relation::Calls, false) => "is called by",
        (Relation::RunsOn, true) => "runs on",
        (Relation::RunsOn, false) => "carries",
        (Relation::ConnectsTo, _) => "is connected to",
        (Relation::PartOf, true) => "is a part of",
        (Relation::PartOf, false) => "has the part",
        (Relation::OwnedBy, true) => "is owned by",
        (Relation::OwnedBy, false) => "owns",
    }
}

fn connections(shown: &Entity<'_>, entity: &EntityView) -> Markup {
    let contradicted = entity.edges.iter().filter(|edge| !edge.contradicted_by.is_empty()).count();
    let mut edges: Vec<&EdgeView> = entity.edges.iter().collect();
    // Where sources disagree somebody has to look.
    edges.sort_by_key(|edge| (edge.contradicted_by.is_empty(), edge.relation, edge.from != entity.name));
    let (open, rest) = edges.split_at(edges.len().min(EDGES_OPEN));
    let table = |edges: &[&EdgeView]| {
        html! {
            div.scroll {
                table.cards {
                    thead { tr { th { "Connection" } th { "Who says so" } th.n { "Sure" } th.n { "Last said" } } }
                    tbody { @for edge in edges { (row(edge, entity, shown)) } }
                }
            }
        }
    };
    html! {
        section.card aria-labelledby="connections" {
            h2 #connections {
                "Connections"
                @if entity.edges_known > 0 { span.small { (entity.edges_known) @if contradicted > 0 { ", " (contradicted) " contradicted" } } }
            }
            @if edges.is_empty() {
                p.soft { "No source has told of any. Traces, the catalogue, Kubernetes and edges that are sent say what depends on what." }
            } @else {
                (table(open))
                @if !rest.is_empty() { details.more data-keep="edges" { summary { (rest.len()) " more" } (table(rest)) } }
                @if entity.edges_known > edges.len() { p.small.soft { "The surest " (edges.len()) " of " (entity.edges_known) "." } }
            }
        }
    }
}

fn row(edge: &EdgeView, entity: &EntityView, shown: &Entity<'_>) -> Markup {
    let other = if edge.from == entity.name { &edge.to } else { &edge.from };
    let sources: Vec<String> = edge.claims.iter().take(CLAIMS_SHOWN).map(|claim| said(&claim.source)).collect();
    let more = edge.claims.len().saturating_sub(CLAIMS_SHOWN);
    html! {
        tr {
            td {
                (relation(edge, &entity.name)) " " a href=(entity_at(shown.tenant, other)) { (said(short(other))) }
                span.sub { (said(kind_of(other))) }
                @if !edge.contradicted_by.is_empty() {
                    span.sub.left.over { "contradicted by " (said(&edge.contradicted_by.join(", "))) }
                }
            }
            td data-name="by" { (sources.join(", ")) @if more > 0 { " and " (more) " more" } }
            td.n data-name="sure" { @if let Some(first) = edge.claims.first() { (percent(first.confidence)) } }
            td.n data-name="last said" { @if let Some(at) = edge.claims.iter().map(|claim| claim.seen_at).max() { (ago(at, shown.now)) } }
        }
    }
}

fn happened(list: &[ChangeView], shown: &Entity<'_>) -> Markup {
    html! {
        section.card aria-labelledby="changes" {
            h2 #changes { "Changes" @if !list.is_empty() { span.small { (list.len()) ", the last first" } } }
            @if list.is_empty() { p.soft { "None that is remembered." } } @else { (changes::table(list, shown.tenant, shown.now, false)) }
        }
    }
}

fn facts(entity: &EntityView, now: EventTime) -> Markup {
    html! {
        section.card aria-labelledby="facts" {
            h2 #facts { "What it is" }
            dl.facts {
                dt { "Owner" } dd { @if entity.owners.is_empty() { span.faint { "nobody named" } } @else { (said(&entity.owners.join(", "))) } }
                @if let Some(team) = &entity.team {
                    @if !team.assignment_group.is_empty() { dt { "Queue" } dd { (said(&team.assignment_group)) } }
                    @if !team.escalation.is_empty() { dt { "Call next" } dd { (said(&team.escalation)) } }
                }
                @if let Some(item) = &entity.item {
                    @if !item.sla.is_empty() { dt { "Service level" } dd { (said(&item.sla)) } }
                    @if !item.customers.is_empty() { dt { "Customers" } dd { (said(&item.customers.join(", "))) } }
                    @if item.users > 0 { dt { "People" } dd { (many(item.users, "user")) } }
                    @if item.revenue_per_hour > 0.0 { dt { "An hour costs" } dd { (format!("{:.0}", item.revenue_per_hour)) } }
                    @if !item.runbook.is_empty() { dt { "Runbook" } dd { (outside(&item.runbook, &item.runbook)) } }
                    @if !item.dashboard.is_empty() { dt { "Dashboard" } dd { (outside(&item.dashboard, &item.dashboard)) } }
                    @if !item.skills.is_empty() { dt { "Takes" } dd { (said(&item.skills.join(", "))) } }
                    @if !item.aliases.is_empty() { dt { "Also called" } dd { (said(&item.aliases.join(", "))) } }
                    @for (system, id) in &item.external_ids { dt { (said(system)) } dd { code { (said(id)) } } }
                } @else {
                    dt { "Catalogue" } dd { span.faint { "does not have it" } }
                }
                @for work in entity.maintenance.iter().filter(|work| work.to > now) {
                    dt { "Planned work" }
                    dd { (moment(work.from, now)) " – " (moment(work.to, now)) span.sub { (said(&work.reason)) } }
                }
            }
        }
    }
}

fn to_come(shown: &Entity<'_>) -> Markup {
    html! {
        section.card aria-labelledby="forecasts" {
            h2 #forecasts { "What runs out" }
            @if shown.forecasts.is_empty() { p.soft { "Nothing of it that is watched." } }
            @else { (forecasts::brief(shown.forecasts, shown.now)) }
        }
    }
}
