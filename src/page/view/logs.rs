//! Log templates: what streams did that they never did, and what they say all day.

use std::sync::Arc;

use bellwether_engine::time::EventTime;
use bellwether_engine::{AlertView, AlertsSeen};
use maud::{Markup, html};

use super::list::address;
use super::tenants::chooser;
use super::words::{ago, count, entity_at, level, many, said, short};
use crate::page::eye::Unseen;
use crate::page::lately::Standing;
use crate::page::model::Scope;

/// What the watch over log streams calls its findings, with what people call them.
const FINDINGS: [(&str, &str, &str); 4] = [
    ("NewLogTemplate", "new", "Lines of a kind that the stream never had"),
    ("LogSurge", "surging", "Many more lines of a kind than usual"),
    ("LogVanished", "vanished", "Regular lines that stopped"),
    ("LogReordered", "in another order", "Lines that come in another order"),
];

/// The page.
pub(crate) fn page(
    found: &Result<AlertsSeen, Unseen>,
    standing: &Result<Arc<Standing>, Unseen>,
    now: EventTime,
    (tenant, tenants, scope): (&str, &[Arc<str>], &Scope),
) -> Markup {
    html! {
        div.head {
            h1 { "Log templates" }
            p.soft { "Lines that differ in names and numbers alone are one template. What a stream does that it never did supports and dates incidents; an error of a new kind may open one." }
        }
        (chooser("/page/logs", tenant, tenants, scope))
        section.card aria-labelledby="found" {
            h2 #found { "What is unusual" }
            @match found {
                Err(why) => { p.soft { (why.to_string()) } }
                Ok(found) if found.alerts.is_empty() => { p.soft { "Nothing: every stream does what it is used to." } }
                Ok(found) => {
                    @for (name, word, about) in FINDINGS {
                        @let own: Vec<&AlertView> = found.alerts.iter().filter(|alert| alert.name == name).collect();
                        @if !own.is_empty() { h3.gap { (about) " " span.small.faint { (own.len()) } } (findings(&own, word, tenant, now)) }
                    }
                    @if found.total > found.alerts.len() { p.small.soft { (found.total - found.alerts.len()) " older are not listed." } }
                }
            }
        }
        section.card aria-labelledby="all" {
            h2 #all { "What streams say" @if let Ok(standing) = standing { @if standing.templates_known > 0 { span.small { (many(standing.templates_known as u64, "template")) } } } }
            @match standing {
                Err(why) => { p.soft { (why.to_string()) } }
                Ok(standing) if standing.templates.is_empty() => { p.soft { "No log line has been read yet." } }
                Ok(standing) => {
                    div.scroll {
                        table.cards {
                            thead { tr { th { "Template" } th.n { "Lines" } } }
                            tbody { @for one in &standing.templates { tr { td.what { code { (said(&one.text)) } } td.n data-name="lines" { (count(one.lines)) } } } }
                        }
                    }
                    @if standing.templates_known > standing.templates.len() { p.small.soft { "Those with most lines." } }
                }
            }
        }
    }
}

fn findings(alerts: &[&AlertView], word: &str, tenant: &str, now: EventTime) -> Markup {
    html! {
        div.scroll {
            table.cards {
                thead { tr { th { "Template" } th { "On" } th { "What it does" } th { "Incident" } th.n { "Since" } } }
                tbody {
                    @for alert in alerts {
                        tr {
                            td.what {
                                @if let Some(seen) = &alert.seen { code { (said(&seen.what)) } }
                                @if !alert.example.is_empty() { span.sub { "for example " code { (said(&alert.example)) } } }
                            }
                            td data-name="on" { a href=(entity_at(tenant, &alert.entity)) { (said(short(&alert.entity))) } }
                            td.tight {
                                (word) @if !alert.firing { span.sub { "over" } }
                                @if let Some((value, expected)) = alert.seen.as_ref().and_then(|seen| seen.value.zip(seen.expected)) {
                                    span.sub { (level(value)) " a minute instead of " (level(expected)) }
                                }
                            }
                            td { @match &alert.incident { Some(id) => { a href=(address(id)) { (said(id)) } } None => { span.faint { "none" } } } }
                            td.n data-name="since" { (ago(alert.starts_at, now)) }
                        }
                    }
                }
            }
        }
    }
}
