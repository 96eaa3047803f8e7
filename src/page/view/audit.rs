//! Audit: who did what, when, as the journal has it.

use std::sync::Arc;

use bellwether_engine::input::Action;
use bellwether_engine::time::EventTime;
use maud::{Markup, html};

use super::list::address;
use super::story::sentence;
use super::words::{clock, moment, said};
use crate::wiring::said::Word;

/// Words on one page.
pub(crate) const PAGE_LINES: usize = 100;

/// Who, what, and what more; `None` for what nobody did.
pub(crate) fn told(word: &Word) -> Option<(String, String, String)> {
    let line = |who: &str, what: &str, more: String| Some((who.to_owned(), what.to_owned(), more));
    match &word.action {
        Action::Silence { matching, from, until, who, why, .. } if until <= &word.at => {
            line(who, "ends a silence", format!("{matching} ({why}), set from {}", clock(*from, word.at)))
        }
        Action::Silence { matching, from, until, who, why, .. } => {
            let span = format!("from {} until {}", clock(*from, word.at), clock(*until, word.at));
            line(who, "keeps alerts quiet", format!("{matching}, {span}: {why}"))
        }
        Action::Solve { who, problem, .. } => line(who, "says a problem is solved", problem.clone()),
        other => sentence(other),
    }
}

/// Whether each of `words` (lower case) is in what somebody did.
pub(crate) fn has(word: &Word, words: &[String]) -> bool {
    let Some((who, what, more)) = told(word) else { return false };
    let text = format!("{who} {what} {more} {} {}", word.incident().unwrap_or_default(), word.tenant).to_lowercase();
    words.iter().all(|word| text.contains(word.as_str()))
}

/// The page.
pub(crate) fn page(words: &str, page: usize, found: &[Arc<Word>], more: bool, now: EventTime, several: bool) -> Markup {
    let to = |page: usize| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("q", words).append_pair("page", &page.to_string());
        format!("/page/audit?{}", query.finish())
    };
    html! {
        div.head {
            h1 { "Audit" }
            p.soft { "What people and ticketing systems did, the last first. The journal has it for as long as it is kept; here are the latest 8 MiB of it." }
        }
        section.card aria-label="Audit" {
            form.search method="get" action="/page/audit" role="search" {
                input #q type="search" name="q" value=(words) placeholder="who, what, incident" aria-label="Words to look for";
                button { "Find" }
            }
            @if found.is_empty() { p.soft { "Nothing " @if words.is_empty() { "was done yet." } @else { "with " q { (said(words)) } "." } } } @else {
                div.scroll {
                    table.cards {
                        thead { tr { th { "When" } th { "Who" } th { "What" } @if several { th { "Tenant" } } th { "Incident" } } }
                        tbody {
                            @for word in found {
                                @if let Some((who, what, more)) = told(word) {
                                    tr {
                                        td.tight { (moment(word.at, now)) }
                                        td.tight data-name="who" { strong { (said(&who)) } }
                                        td.what { (what) @if !more.is_empty() { span.sub { (said(&more)) } } }
                                        @if several { td data-name="tenant" { (said(&word.tenant)) } }
                                        td { @if let Some(id) = word.incident() { a href=(address(id)) { (said(id)) } } }
                                    }
                                }
                            }
                        }
                    }
                }
            }
            div.actions {
                @if page > 0 { a.button href=(to(page - 1)) rel="prev" { "Newer" } }
                @if more { a.button href=(to(page + 1)) rel="next" { "Older" } }
            }
        }
    }
}
