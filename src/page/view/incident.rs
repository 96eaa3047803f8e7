//! "An incident": its reason in thirty seconds, everything behind it below.

use std::collections::BTreeMap;
use std::sync::Arc;

use bellwether_engine::incident::{IncidentRecord, IncidentStatus, ProbableCause, SimilarIncident};
use bellwether_engine::time::EventTime;
use maud::{Markup, html};

use super::deeds::{Hands, cause_deeds, deeds, quick};
use super::list::{address, service_level, state};
use super::multiples::{self, Involved};
use super::service::{clocks, hurts};
use super::words::{
    bar, count, entity_at, many, moment, named, outside, percent, priority, reason, said, short, span, sure,
};
use super::{alerts, lanes, neighbours, story};
use crate::page::eye::{Detail, Unseen};
use crate::page::model::{Known, Line};
use crate::wiring::said::Word;

/// Causes shown at once.
const CAUSES_SHOWN: usize = 5;
/// A cause below this is no suspect.
const SUSPECT_MIN: f64 = 0.005;

/// Everything that the page shows.
pub(crate) struct Shown<'s> {
    pub(crate) now: EventTime,
    pub(crate) known: &'s Known,
    pub(crate) record: &'s IncidentRecord,
    pub(crate) detail: &'s Result<Arc<Detail>, Unseen>,
    pub(crate) words: &'s [Arc<Word>],
    /// Similar ones, with what is known of them here.
    pub(crate) similar: &'s [(SimilarIncident, Option<Line>)],
    /// What it could be merged with.
    pub(crate) others: &'s [Line],
    /// An alert that was asked about, and why it is not in it.
    pub(crate) asked: Option<(&'s str, String)>,
    /// The series that it was told of.
    pub(crate) involved: &'s Involved,
    /// Who looks, as far as they may do something.
    pub(crate) hands: Option<Hands<'s>>,
    pub(crate) notice: Option<Markup>,
}

impl Shown<'_> {
    fn line(&self) -> &Line {
        &self.known.line
    }
}

/// The page.
pub(crate) fn page(shown: &Shown<'_>) -> Markup {
    let record = shown.record;
    let explanation = shown.detail.as_ref().ok().and_then(|detail| detail.explanation.as_ref());
    html! {
        (head(shown))
        @if let Some(notice) = &shown.notice { (notice) }
        @if let Some(hands) = &shown.hands { (quick(shown.line(), hands)) }
        div.columns {
            div.stack {
                (cause(shown))
                section.card aria-labelledby="what" {
                    h2 #what { "What happened" }
                    p { (said(&record.summary)) }
                    (next(record))
                }
            }
            div.stack {
                section.card aria-labelledby="clocks" { h2 #clocks { "Clocks" } (clocks(shown.record, shown.line(), shown.now)) }
                section.card aria-labelledby="hurts" { h2 #hurts { "Whom it hurts" } (hurts(record, shown.line())) }
            }
        }
        section.card aria-labelledby="timeline" {
            h2 #timeline { "Timeline" span.small { "UTC" } }
            (lanes::picture(shown.known, record, explanation, shown.now))
        }
        (multiples::card(record, &shown.line().tenant, shown.involved, shown.now))
        (neighbourhood(shown))
        (alerts::card(shown.line(), record, shown.detail, shown.asked.as_ref(), shown.now))
        div.columns.even {
            div.stack { (suspects(shown)) (changes(record, &shown.line().tenant, shown.now)) (similar(shown)) }
            div.stack { (story::card(shown.known, shown.words, shown.now)) (elsewhere(record)) }
        }
        @if let Some(hands) = &shown.hands { (deeds(shown.line(), record, explanation, shown.others, hands)) }
    }
}

fn head(shown: &Shown<'_>) -> Markup {
    let (line, record) = (shown.line(), shown.record);
    html! {
        div.head {
            p.small.noprint { a href="/page" data-up { "Now" } " / incident" }
            div.line {
                (priority(line.priority)) (state(line))
                span.soft { (service_level(line, shown.now)) }
                @if !record.class.is_empty() { span.pill { (said(&record.class)) } }
                @if !record.environment.is_empty() { span.pill { (said(&record.environment)) } }
            }
            h1 { (said(&record.title)) }
            p.small.faint.wide {
                code { (line.id) } " · revision " (line.revision) " · tenant " (said(&line.tenant))
                @if let Some(reason_) = record.status_reason { " · " (record.status.name()) ": " (reason(reason_)) }
                @if let Some(into) = &record.merged_into { " · a part of " a href=(address(into)) { (said(into)) } }
                @if let Some(parent) = &record.parent_id { " · under " a href=(address(parent)) { (said(parent)) } }
                " · " a href={ (address(&line.id)) "/post-mortem.md" } { "post-mortem draft" }
            }
        }
    }
}

/// Who may be next, as far as the engine expects it.
fn next(record: &IncidentRecord) -> Markup {
    let next = record.business_impact.iter().flat_map(|impact| &impact.next);
    let names: Vec<&str> = next.map(|next| next.entity_id.as_str()).collect();
    html! {
        @if !names.is_empty() && record.status != IncidentStatus::Resolved {
            p.soft { strong { "May be next: " } (said(&names.iter().map(|name| short(name)).collect::<Vec<_>>().join(", "))) }
        }
    }
}

fn cause(shown: &Shown<'_>) -> Markup {
    let record = shown.record;
    html! {
        section.card aria-labelledby="cause" {
            h2 #cause { "Most likely cause" }
            @match record.probable_causes.first() {
                None => { p.soft { "Not known. Nothing that the engine sees explains enough of it." } }
                Some(first) => {
                    div.cause {
                        p.name { (said(&named(first))) }
                        p {
                            strong { (percent(first.score)) } " " span.soft { "· " (sure(first.score)) }
                            (bar(first.score, "how sure"))
                        }
                        p { (said(&first.explanation)) }
                        @if let Some(change) = record.changes.iter().find(|change| change.id == first.reference && !change.url.is_empty()) {
                            p { (outside(&change.url, "Look at the change")) }
                        }
                    }
                    (against(record, first))
                    @if let Some(hands) = &shown.hands { (cause_deeds(shown.line(), first, hands)) }
                }
            }
        }
    }
}

/// What speaks against the first cause, and what would change the verdict.
fn against(record: &IncidentRecord, first: &ProbableCause) -> Markup {
    let second = record.probable_causes.get(1).filter(|second| second.score >= SUSPECT_MIN);
    html! {
        @if let Some(second) = second {
            p.small.soft {
                "Second: " strong { (said(&named(second))) } " with " (percent(second.score)) ". "
                @if first.score - second.score < 0.2 {
                    "The two are close: what is learned of either may turn it."
                } @else {
                    "It would have to explain what " (said(&named(first))) " explains."
                }
            }
        } @else if first.score < 0.6 {
            p.small.soft { "Nothing else is as likely, and this is not enough to be sure: " (percent(1.0 - first.score)) " speak for something unseen." }
        }
    }
}

fn neighbourhood(shown: &Shown<'_>) -> Markup {
    let near = shown.detail.as_ref().map(|detail| detail.near.as_slice()).unwrap_or_default();
    let onsets = onsets(shown.record, shown.detail.as_ref().ok());
    let drawn = neighbours::picture(shown.record, &shown.line().tenant, &onsets, near);
    html! {
        @if let Some(drawn) = drawn {
            section.card aria-labelledby="neighbours" {
                h2 #neighbours { "Neighbourhood" span.small { "trouble travels from left to right" } }
                (drawn)
            }
        } @else if let Err(why) = shown.detail {
            section.card { h2 { "Neighbourhood" } p.soft { (why.to_string()) } }
        }
    }
}

/// The first symptom of each entity.
fn onsets(record: &IncidentRecord, detail: Option<&Arc<Detail>>) -> BTreeMap<String, EventTime> {
    let mut onsets: BTreeMap<String, EventTime> = BTreeMap::new();
    let members =
        detail.and_then(|detail| detail.explanation.as_ref()).map(|e| e.members.as_slice()).unwrap_or_default();
    let seen = record.evidence.iter().filter(|one| !one.entity_id.is_empty()).map(|one| (&one.entity_id, one.at));
    for (entity, at) in members.iter().map(|member| (&member.entity, member.starts_at)).chain(seen) {
        let first = onsets.entry(entity.clone()).or_insert(at);
        *first = (*first).min(at);
    }
    onsets
}

fn suspects(shown: &Shown<'_>) -> Markup {
    let causes = &shown.record.probable_causes;
    html! {
        @if causes.len() > 1 {
            section.card aria-labelledby="suspects" {
                h2 #suspects { "Everything that was suspected" }
                div.scroll {
                    table {
                        thead { tr { th { "Suspect" } th { "Why, and why not more" } th.n { "Sure" } } }
                        tbody {
                            @for cause in causes.iter().take(CAUSES_SHOWN) {
                                tr {
                                    td.name { strong { (said(&named(cause))) } }
                                    td.small { (said(&cause.explanation)) }
                                    td.n { (percent(cause.score)) }
                                }
                            }
                        }
                    }
                }
                @if causes.len() > CAUSES_SHOWN {
                    p.small.soft { (many((causes.len() - CAUSES_SHOWN) as u64, "other")) " with less" }
                }
            }
        }
    }
}

fn changes(record: &IncidentRecord, tenant: &str, now: EventTime) -> Markup {
    let began = record.started_at.unwrap_or(record.opened_at);
    html! {
        @if !record.changes.is_empty() {
            section.card aria-labelledby="changes" {
                h2 #changes { "Changes nearby" }
                div.scroll {
                    table {
                        thead { tr { th { "Change" } th { "On" } th { "When" } th.n { "Nearness" } } }
                        tbody {
                            @for change in &record.changes {
                                tr {
                                    td { @if change.url.is_empty() { (said(&change.id)) } @else { (outside(&change.url, &change.id)) } span.sub { (said(&change.change_type)) } }
                                    td.nowrap { a href=(entity_at(tenant, &change.entity_id)) { (said(short(&change.entity_id))) } }
                                    td.tight { (moment(change.at, now)) span.sub { @if change.at <= began { (span(began.since(change.at))) " before" } @else { (span(change.at.since(began))) " after" } } }
                                    td.n { @if let Some(score) = change.score { (percent(score)) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn similar(shown: &Shown<'_>) -> Markup {
    html! {
        @if !shown.similar.is_empty() {
            section.card aria-labelledby="similar" {
                h2 #similar { "Similar before" }
                div.scroll {
                    table {
                        thead { tr { th { "Incident" } th { "What became of it" } th.n { "Alike" } } }
                        tbody {
                            @for (similar, line) in shown.similar {
                                tr {
                                    @match line {
                                        Some(line) => {
                                            td { a href=(address(&line.id)) { (said(&line.title)) } span.sub { (moment(line.began, shown.now)) } }
                                            td { (became(line)) (fixed(similar)) @if !similar.ticket.is_empty() { span.sub { "ticket " (said(&similar.ticket)) } } }
                                        }
                                        None => {
                                            td { code { (said(&similar.id)) } }
                                            td.soft { (fixed(similar)) @if similar.ticket.is_empty() { "no longer kept here" } @else { "ticket " (said(&similar.ticket)) } }
                                        }
                                    }
                                    td.n { (percent(similar.score)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn became(line: &Line) -> Markup {
    html! {
        @match line.resolved {
            Some(at) => { "over after " (span(at.since(line.began))) }
            None => { (line.status.name()) }
        }
        @if !line.assignee.is_empty() { ", by " (said(&line.assignee)) }
    }
}

/// What was said last of a similar one: that is usually what fixed it.
fn fixed(similar: &SimilarIncident) -> Markup {
    html! { @if !similar.resolution.is_empty() { span.sub { "“" (said(&similar.resolution)) "”" } } }
}

/// Tickets, runbooks, dashboards, and how much there is.
fn elsewhere(record: &IncidentRecord) -> Markup {
    html! {
        section.card aria-labelledby="elsewhere" {
            h2 #elsewhere { "Elsewhere" }
            dl.facts {
                @for ticket in &record.tickets {
                    dt { "Ticket" }
                    dd {
                        @if ticket.url.is_empty() { (said(&ticket.key)) } @else { (outside(&ticket.url, &ticket.key)) }
                        " in " (said(&ticket.system)) @if !ticket.status.is_empty() { ", " (said(&ticket.status)) }
                    }
                }
                @for link in &record.links {
                    dt { (format!("{:?}", link.rel).to_lowercase()) }
                    dd { (outside(&link.href, if link.text.is_empty() { &link.href } else { &link.text })) }
                }
                @for article in &record.knowledge {
                    dt { "article" }
                    dd { (said(&article.title)) span.sub { code { (said(&article.id)) } } }
                }
                dt { "Heard" } dd { (count(record.alert_count)) " notifications of " (said(record.labels.get("alerts.distinct").map_or("–", String::as_str))) " alerts" }
                dt { "Known again by" } dd { code { (said(&record.dedup_key)) } }
            }
        }
    }
}
