//! The alerts of an incident: what each says, why it is in it, and the question why another is not.

use std::sync::Arc;

use bellwether_engine::incident::{AlertEntry, AlertEntryStatus, IncidentRecord, IncidentStatus};
use bellwether_engine::time::EventTime;
use bellwether_engine::{Explanation, MemberReason};
use maud::{Markup, html};

use super::list::address;
use super::words::{bar, entity_at, many, moment, outside, said, short, span};
use crate::page::eye::{Detail, Unseen};
use crate::page::model::Line;

/// The kinds of evidence, in the order of their numbers.
const KINDS: [&str; 4] = ["time", "topology", "text", "learned"];
/// Rows that are there at once; the rest is behind a click.
const ROWS_OPEN: usize = 12;

/// The table, with the engine's reasons where it still knows them.
pub(crate) fn card(
    line: &Line,
    record: &IncidentRecord,
    detail: &Result<Arc<Detail>, Unseen>,
    asked: Option<&(&str, String)>,
    now: EventTime,
) -> Markup {
    let explanation = detail.as_ref().ok().and_then(|detail| detail.explanation.as_ref());
    let members = detail.as_ref().map_or(0, |detail| detail.members);
    html! {
        section.card aria-labelledby="alerts" {
            h2 #alerts {
                "Alerts"
                span.small {
                    @match explanation {
                        Some(explanation) => { (many(members as u64, "alert")) ", each joined with at least " (format!("{:.2}", explanation.threshold)) }
                        None => { "the most telling ones" }
                    }
                }
            }
            @match explanation {
                Some(explanation) => { (explained(explanation, record, &line.tenant, now)) }
                None => {
                    (told(&record.alerts, now))
                    p.small.soft {
                        @match detail {
                            Err(why) => { (why.to_string()) }
                            Ok(_) if matches!(line.status, IncidentStatus::Closed | IncidentStatus::Merged) => { "Why each alert is in it is known as long as an incident is not closed." }
                            Ok(_) => { "The engine does not know it any more." }
                        }
                    }
                }
            }
            @if let Some(explanation) = explanation {
                @if members > explanation.members.len() { p.small.soft { "The first " (explanation.members.len()) " by time." } }
                (relations(explanation))
                form.search method="get" action=(address(&line.id)) {
                    label { "Why is another alert not in it? Its fingerprint, 16 hexadecimal digits:"
                        input #asked type="text" name="alert" pattern="[0-9a-fA-F]{16}" maxlength="16" value=[asked.map(|(alert, _)| *alert)]; }
                    button { "Ask" }
                }
                @if let Some((alert, why)) = asked {
                    div.notice role="status" { strong { code { (said(alert)) } } @for line in why.lines() { p { (said(line)) } } }
                }
            }
        }
    }
}

fn relations(explanation: &Explanation) -> Markup {
    let related =
        explanation.under.iter().map(|one| ("under", one)).chain(explanation.over.iter().map(|one| ("over", one)));
    html! {
        @for (place, one) in related {
            p.small {
                "It is " (place) " " a href=(address(&one.incident)) { (said(&one.incident)) } ": "
                (format!("{:.2}, {:.2} was needed", one.score, one.related_min)) " · " (said(&one.why.join("; ")))
            }
        }
    }
}

fn explained(explanation: &Explanation, record: &IncidentRecord, tenant: &str, now: EventTime) -> Markup {
    let (open, rest) = explanation.members.split_at(explanation.members.len().min(ROWS_OPEN));
    let table = |members: &[MemberReason]| {
        html! {
            div.scroll {
                table.cards {
                    thead { tr { th { "Alert" } th { "On" } th { "Began" } th.n { "Score" } th { "time · topology · text · learned" } th { "Linked most firmly with" } } }
                    tbody { @for member in members { (member_row(member, record, (tenant, explanation.threshold), now)) } }
                }
            }
        }
    };
    html! {
        (table(open))
        @if !rest.is_empty() {
            details.more data-keep="alerts" { summary { (rest.len()) " more" } (table(rest)) }
        }
    }
}

fn member_row(
    member: &MemberReason,
    record: &IncidentRecord,
    (tenant, threshold): (&str, f64),
    now: EventTime,
) -> Markup {
    let told = record.alerts.iter().find(|alert| alert.fingerprint == member.fingerprint);
    html! {
        tr id={ "alert-" (member.fingerprint) } {
            td {
                @match told.filter(|alert| !alert.url.is_empty()) {
                    Some(alert) => { (outside(&alert.url, &member.name)) }
                    None => { (said(&member.name)) }
                }
                @if let Some(summary) = told.and_then(summary) { span.sub { (said(summary)) } }
                span.sub.faint { code { (member.fingerprint) } @if let Some(alert) = told { " " (said(&alert.source)) ", " (lasted(alert)) } }
            }
            td.nowrap data-name="on" { a href=(entity_at(tenant, &member.entity)) { (said(short(&member.entity))) } }
            td.tight data-name="began" { (moment(member.starts_at, now)) }
            @match member.score {
                None => { td.n { "–" } td colspan="2" { span.soft { "began the group" } } }
                Some(score) => {
                    td.n data-name="score" { (format!("{score:.2}")) }
                    td {
                        span.bars { @for (kind, value) in KINDS.iter().zip(member.evidence) { (bar(value, kind)) } }
                        span.sub { (decided(member, threshold)) }
                    }
                    td data-name="with" {
                        @if let (Some(print), Some(other)) = (&member.linked_alert, &member.linked_to) { a href={ "#alert-" (print) } { (said(other)) } }
                        @if !member.naming.is_empty() { span.sub { (said(&member.naming)) } }
                    }
                }
            }
        }
    }
}

/// The kinds of evidence without which it would not have joined.
fn decided(member: &MemberReason, threshold: f64) -> String {
    let needed = KINDS.iter().zip(member.evidence).zip(member.without);
    let needed: Vec<&str> = needed
        .filter(|((_, value), without)| *value > 0.0 && *without < threshold)
        .map(|((kind, _), _)| *kind)
        .collect();
    match needed.as_slice() {
        [] => "any one could be missing".to_owned(),
        kinds => format!("{} decided", kinds.join(" and ")),
    }
}

fn summary(alert: &AlertEntry) -> Option<&str> {
    alert.annotations.get("summary").or(alert.annotations.get("description")).map(String::as_str)
}

fn lasted(alert: &AlertEntry) -> String {
    match (alert.status, alert.ends_at) {
        (AlertEntryStatus::Firing, _) => "still firing".to_owned(),
        (_, Some(end)) => format!("over after {}", span(end.since(alert.starts_at))),
        (_, None) => "over".to_owned(),
    }
}

/// The alerts that the record lists, where nobody knows more.
fn told(alerts: &[AlertEntry], now: EventTime) -> Markup {
    let (open, rest) = alerts.split_at(alerts.len().min(ROWS_OPEN));
    let table = |alerts: &[AlertEntry]| {
        html! {
            div.scroll {
                table.cards {
                    thead { tr { th { "Alert" } th { "Of" } th { "Began" } th { "State" } } }
                    tbody {
                        @for alert in alerts {
                            tr {
                                td {
                                    @if alert.url.is_empty() { (said(&alert.name)) } @else { (outside(&alert.url, &alert.name)) }
                                    @if let Some(summary) = summary(alert) { span.sub { (said(summary)) } }
                                }
                                td.tight { (said(&alert.source)) }
                                td.tight { (moment(alert.starts_at, now)) }
                                td.tight { (lasted(alert)) }
                            }
                        }
                    }
                }
            }
        }
    };
    html! {
        (table(open))
        @if !rest.is_empty() { details.more data-keep="alerts" { summary { (rest.len()) " more" } (table(rest)) } }
    }
}
