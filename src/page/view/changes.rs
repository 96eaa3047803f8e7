//! Changes: what was done to the estate, and whether trouble followed.

use std::sync::Arc;

use bellwether_engine::ChangeView;
use bellwether_engine::time::EventTime;
use maud::{Markup, html};

use super::tenants::chooser;
use super::words::{entity_at, moment, outside, percent, said, short};
use crate::page::eye::Unseen;
use crate::page::lately::Standing;
use crate::page::model::Scope;

/// The page.
pub(crate) fn page(
    standing: &Result<Arc<Standing>, Unseen>,
    now: EventTime,
    (tenant, tenants, scope): (&str, &[Arc<str>], &Scope),
) -> Markup {
    html! {
        div.head {
            h1 { "Changes" }
            p.soft { "Deployments, configuration, scaling, flags, drift: what was told to be done, the last first. How risky a change is follows from its type and from what became of others of that type here." }
        }
        (chooser("/page/changes", tenant, tenants, scope))
        section.card aria-label="Changes" {
            @match standing {
                Err(why) => { p.soft { (why.to_string()) } }
                Ok(standing) if standing.changes.is_empty() => { p.soft { "None is remembered. CDEvents, Argo CD, GitHub, Kubernetes and others can tell of theirs." } }
                Ok(standing) => { (table(&standing.changes, tenant, now, true)) }
            }
        }
    }
}

/// The table; entities are named where there are several.
pub(crate) fn table(changes: &[ChangeView], tenant: &str, now: EventTime, entities: bool) -> Markup {
    html! {
        div.scroll {
            table.cards {
                thead { tr { th { "Change" } @if entities { th { "On" } } th { "By" } th { "When" } th { "Trouble" } th.n { "Risk" } } }
                tbody {
                    @for change in changes {
                        tr {
                            td.what {
                                @if change.url.is_empty() { strong { (said(&change.id)) } } @else { (outside(&change.url, &change.id)) }
                                span.sub { (said(&change.change_type)) @if !change.artifact.is_empty() { " · " (said(&change.artifact)) } }
                                @if !change.text.is_empty() { span.sub { (said(&change.text)) } }
                            }
                            @if entities { td data-name="on" { a href=(entity_at(tenant, &change.entity)) { (said(short(&change.entity))) } } }
                            td data-name="by" { @if change.who.is_empty() { span.faint { "not said" } } @else { (said(&change.who)) } }
                            td.tight { (moment(change.at, now)) }
                            td.tight { @if change.followed { span.pill.open { "followed by trouble" } } }
                            td.n data-name="risk" { (percent(change.weight)) }
                        }
                    }
                }
            }
        }
    }
}
