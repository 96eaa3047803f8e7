//! Silences: what is kept quiet, by whom and why, and the form for another.

use std::sync::Arc;

use bellwether_engine::input::Action;
use bellwether_engine::time::EventTime;
use maud::{Markup, html};

use super::deeds::{Hands, SPANS};
use super::words::{left, moment, said};
use crate::wiring::said::Word;

/// Everything that the page shows.
pub(crate) struct Silences<'s> {
    pub(crate) now: EventTime,
    /// The latest words that set or ended a silence, the latest first.
    pub(crate) words: &'s [Arc<Word>],
    pub(crate) hands: Option<Hands<'s>>,
    /// The tenants that one may be set for.
    pub(crate) tenants: &'s [Arc<str>],
    pub(crate) several: bool,
    pub(crate) notice: Option<Markup>,
}

/// The page.
pub(crate) fn page(silences: &Silences<'_>) -> Markup {
    html! {
        div.head {
            h1 { "Silences and maintenance" }
            p.soft { "Alerts that match are expected: they open no incident until then. A window may be planned ahead, and come again. What is set here is an entry of the journal like any other." }
        }
        @if let Some(notice) = &silences.notice { (notice) }
        section.card aria-label="Silences" {
            @if silences.words.is_empty() {
                p.soft { "None was set that is remembered here." }
            } @else {
                (table(silences))
            }
        }
        @if let Some(hands) = &silences.hands { (another(silences, hands)) }
    }
}

fn table(silences: &Silences<'_>) -> Markup {
    html! {
        div.scroll {
            table.cards {
                thead { tr { th { "Alerts for which" } @if silences.several { th { "Tenant" } } th { "Until" } th { "By" } th { "Why" } th {} } }
                tbody {
                    @for word in silences.words {
                        @if let Action::Silence { id, matching, from, until, who, why } = &word.action {
                            tr data-row=(id) {
                                td { code { (said(matching)) } span.sub { "from " (moment(*from, silences.now)) } }
                                @if silences.several { td data-name="tenant" { (said(&word.tenant)) } }
                                td.tight { @if *from > silences.now { span.pill { "planned" } span.sub { "until " (moment(*until, silences.now)) } } @else if *until > silences.now { (left(*until, silences.now)) } @else { span.faint { "over since " (moment(*until, silences.now)) } } }
                                td data-name="by" { (said(who)) }
                                td { (said(why)) }
                                td.tight {
                                    @if let (Some(hands), true) = (&silences.hands, *until > silences.now) {
                                        form method="post" action="/page/silences" {
                                            input type="hidden" name="token" value=(hands.token);
                                            input type="hidden" name="tenant" value=(word.tenant);
                                            input type="hidden" name="end" value=(id);
                                            button { "End it" }
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
}

fn another(silences: &Silences<'_>, hands: &Hands<'_>) -> Markup {
    html! {
        section.card aria-labelledby="another" {
            h2 #another { "Another" }
            div.deeds {
                form method="post" action="/page/silences" {
                    input type="hidden" name="token" value=(hands.token);
                    @if silences.several {
                        label { "Tenant" select name="tenant" required { @for tenant in silences.tenants { option value=(tenant) { (said(tenant)) } } } }
                    } @else if let [tenant] = silences.tenants {
                        input type="hidden" name="tenant" value=(tenant);
                    }
                    label { "Alerts of an entity (type:name)" input type="text" name="entity" maxlength="500" autocomplete="off"; }
                    label { "or alerts for which (an expression over alert columns)" input type="text" name="matching" maxlength="1000" autocomplete="off" placeholder="name = 'DiskFull' AND entity_type = 'host'"; }
                    label { "From, in UTC; now where it is empty" input type="datetime-local" name="from"; }
                    label { "For" select name="for" { @for (span, words) in SPANS { option value=(span) selected[span == "2h"] { (words) } } } }
                    label { "Again" select name="repeat" { option value="once" { "once" } option value="daily" { "every day" } option value="weekly" { "every week" } } }
                    label { "How often, when again" input type="number" name="times" min="1" max="60" value="4"; }
                    label { "Why" input type="text" name="why" required maxlength="500" autocomplete="off"; }
                    button.main { "Expect them" }
                }
            }
        }
    }
}
