//! Alerts as a list, each with where it is: in which incident, or held back and by what.

use std::sync::Arc;

use bellwether_engine::time::EventTime;
use bellwether_engine::{AlertView, AlertsSeen, Place};
use maud::{Markup, html};

use super::list::address;
use super::tenants::chooser;
use super::words::{ago, count, entity_at, left, level, many, moment, outside, said, short};
use crate::page::eye::Unseen;
use crate::page::model::Scope;

/// Alerts on one page.
pub(crate) const PAGE_LINES: usize = 50;

/// Where alerts are, as addresses and people call it.
pub(crate) const PLACES: [(&str, Place, &str); 6] = [
    ("any", Place::Any, "wherever they are"),
    ("incident", Place::Incident, "in an incident"),
    ("suppressed", Place::Suppressed, "held back"),
    ("taught", Place::Taught, "called false before"),
    ("evidence", Place::Evidence, "supporting others"),
    ("waiting", Place::Waiting, "in no incident"),
];

/// Everything that the page shows.
pub(crate) struct Alerts<'a> {
    pub(crate) now: EventTime,
    pub(crate) scope: &'a Scope,
    pub(crate) tenant: &'a str,
    pub(crate) tenants: &'a [Arc<str>],
    pub(crate) words: &'a str,
    pub(crate) place: Place,
    pub(crate) firing: bool,
    pub(crate) page: usize,
    pub(crate) seen: &'a Result<AlertsSeen, Unseen>,
}

impl Alerts<'_> {
    fn address(&self, page: usize) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("tenant", self.tenant).append_pair("q", self.words).append_pair("in", name_of(self.place));
        query.append_pair("state", if self.firing { "firing" } else { "any" });
        query.append_pair("page", &page.to_string());
        format!("/page/alerts?{}", query.finish())
    }
}

fn name_of(place: Place) -> &'static str {
    PLACES.iter().find(|(_, one, _)| *one == place).map_or("any", |(name, ..)| name)
}

/// The page.
pub(crate) fn page(shown: &Alerts<'_>) -> Markup {
    html! {
        div.head {
            h1 { "Alerts" }
            p.soft { "What other tools and our own detectors say, and what became of it: told in an incident, held back and by what, or kept as support for others." }
        }
        (chooser("/page/alerts", shown.tenant, shown.tenants, shown.scope))
        @if let Ok(seen) = shown.seen { (firing(seen)) }
        section.card aria-label="Alerts" {
            form.search method="get" action="/page/alerts" role="search" {
                input type="hidden" name="tenant" value=(shown.tenant);
                input #q type="search" name="q" value=(shown.words) placeholder="name, entity, tool, metric" aria-label="Words to look for";
                select name="in" aria-label="Where" { @for (name, place, words) in PLACES { option value=(name) selected[place == shown.place] { (words) } } }
                select name="state" aria-label="State" {
                    option value="firing" selected[shown.firing] { "firing" }
                    option value="any" selected[!shown.firing] { "firing or over" }
                }
                button { "Find" }
            }
            @match shown.seen {
                Err(why) => { p.soft { (why.to_string()) } }
                Ok(seen) => { (list(shown, seen)) }
            }
        }
    }
}

/// How many fire, by where they are.
fn firing(seen: &AlertsSeen) -> Markup {
    let number = |place: Place| seen.firing.get(&place).copied().unwrap_or(0);
    let all: u64 = seen.firing.values().sum();
    html! {
        div.state.good[all == 0].warn[all > 0] {
            p.lead {
                @if all == 0 { strong { "Nothing fires." } } @else {
                    strong { (many(all, "alert")) } @if all == 1 { " fires" } @else { " fire" } ": "
                    (count(number(Place::Incident))) " in incidents, " (count(number(Place::Suppressed))) " held back, "
                    (count(number(Place::Evidence))) " supporting others, " (count(number(Place::Waiting) + number(Place::Taught))) " in no incident."
                }
            }
            @if seen.shed > 0 { p.small.soft { "Of " (many(seen.shed, "more")) " only the state is kept, for lack of room (" code { "limits.alerts_max" } ")." } }
        }
    }
}

fn list(shown: &Alerts<'_>, seen: &AlertsSeen) -> Markup {
    let before = shown.page.saturating_mul(PAGE_LINES);
    html! {
        p.small.soft { (many(seen.total as u64, "alert")) @if before > 0 { ", from the " (before + 1) "th" } ", those that fire first, the latest first." }
        @if !seen.alerts.is_empty() { (table(&seen.alerts, shown.tenant, shown.now, true)) }
        div.actions {
            @if shown.page > 0 { a.button href=(shown.address(shown.page - 1)) rel="prev" { "Back" } }
            @if seen.total > before + seen.alerts.len() { a.button href=(shown.address(shown.page + 1)) rel="next" { "On" } }
        }
    }
}

/// The table; entities are named where there are several.
pub(crate) fn table(alerts: &[AlertView], tenant: &str, now: EventTime, entities: bool) -> Markup {
    html! {
        div.scroll {
            table.cards {
                thead { tr { th { "Alert" } @if entities { th { "On" } } th { "State" } th { "Where it is" } th.n { "Since" } } }
                tbody {
                    @for alert in alerts {
                        tr data-row=(alert.fingerprint) {
                            td.what {
                                @if alert.url.is_empty() { strong { (said(&alert.name)) } } @else { (outside(&alert.url, &alert.name)) }
                                @if !alert.summary.is_empty() { span.sub { (said(&alert.summary)) } }
                                span.sub.faint { (said(&alert.source)) ", heard " (many(alert.count, "time")) " · " code { (alert.fingerprint) } }
                            }
                            @if entities { td data-name="on" { a href=(entity_at(tenant, &alert.entity)) { (said(short(&alert.entity))) } } }
                            td.tight { @if alert.firing { span.pill.open { "firing" } } @else { span.pill { "over" } } span.sub { (alert.severity.name()) } }
                            td { (whereabouts(alert, now)) }
                            td.n data-name="since" { (ago(alert.starts_at, now)) @if let Some(end) = alert.resolved_at { span.sub { "over " (moment(end, now)) } } }
                        }
                    }
                }
            }
        }
    }
}

/// Where an alert is, and what puts it there.
fn whereabouts(alert: &AlertView, now: EventTime) -> Markup {
    html! {
        @match alert.place {
            Place::Suppressed => {
                @if let Some(held) = &alert.held {
                    "held back: " (said(&held.reason))
                    span.sub { "by " (held.by) @if let Some(until) = held.until { ", looked at again " (left(until, now)) } }
                }
            }
            Place::Incident => { @if let Some(id) = &alert.incident { a href=(address(id)) { "in " (said(id)) } } }
            Place::Taught => { "called false before" span.sub { "it opens no incident by itself" } }
            Place::Evidence => { "supports and dates what others say" span.sub { "a movement opens nothing by itself" } }
            Place::Waiting | Place::Any => { @if alert.firing { "in no incident" span.sub { "it waits to see whether there is more to it, or is too light" } } @else { span.faint { "in none any more" } } }
        }
        @if let Some(seen) = &alert.seen {
            span.sub {
                (seen.detector) ": " (said(&seen.what))
                @if let Some(value) = seen.value { " " (level(value)) @if let Some(expected) = seen.expected { " instead of " (level(expected)) } }
            }
        }
    }
}
