//! Problems: trouble that comes again and again, the costliest first.

use std::sync::Arc;

use bellwether_engine::time::{EventTime, Span};
use maud::{Markup, html};

use super::tenants::chooser;
use super::words::{ago, moment, said, span};
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
            h1 { "Problems" }
            p.soft { "Trouble of one kind that came three times or more within thirty days, and more often than chance explains: what is worth mending for good." }
        }
        (chooser("/page/problems", tenant, tenants, scope))
        section.card aria-label="Problems" {
            @match standing {
                Err(why) => { p.soft { (why.to_string()) } }
                Ok(standing) if standing.problems.is_empty() => { p.soft { "None: nothing of the last thirty days comes again and again." } }
                Ok(standing) => {
                    div.scroll {
                        table.cards {
                            thead { tr { th { "Where it begins, and what it is" } th.n { "Times" } th.n { "Took together" } th { "Last" } th { "Often after" } } }
                            tbody {
                                @for one in &standing.problems {
                                    tr data-row=(one.id) {
                                        td.what { strong { (said(&one.kind)) } span.sub { code { (one.id) } @if one.closed { " · said to be solved" } } }
                                        td.n data-name="times" { (one.occurrences) span.sub { "since " (moment(one.first_at, now)) } }
                                        td.n data-name="took" { (span(Span::from_mins(one.minutes as i64))) }
                                        td.tight data-name="last" { (ago(one.last_at, now)) " ago" }
                                        td data-name="often after" { @if one.change.is_empty() { span.faint { "no change" } } @else { (said(&one.change)) } }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
