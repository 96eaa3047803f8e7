//! All incidents: what is looked for by words and state, page by page.

use bellwether_engine::incident::IncidentStatus;
use bellwether_engine::time::EventTime;
use maud::{Markup, html};

use super::list::{incidents, left_out};
use super::words::{many, said};
use crate::page::model::{Line, Listed};

/// Incidents on one page.
pub(crate) const PAGE_LINES: usize = 50;
/// Longest text that is looked for.
const WORDS_BYTES_MAX: usize = 200;

/// The states that may be chosen.
const STATES: [(&str, &str); 6] = [
    ("any", "in any state"),
    ("live", "open or acknowledged"),
    ("open", "open"),
    ("acknowledged", "acknowledged"),
    ("resolved", "resolved"),
    ("closed", "closed or merged"),
];

/// What is looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Search {
    pub(crate) words: String,
    pub(crate) state: String,
    /// The how-manieth page, from 0.
    pub(crate) page: usize,
}

impl Search {
    /// As a query says it.
    pub(crate) fn of(parameter: impl Fn(&str) -> Option<String>) -> Search {
        let mut words = parameter("q").unwrap_or_default();
        while words.len() > WORDS_BYTES_MAX {
            words.pop();
        }
        let state = parameter("status").filter(|state| STATES.iter().any(|(known, _)| known == state));
        let page = parameter("page").and_then(|page| page.parse().ok()).unwrap_or(0);
        Search { words, state: state.unwrap_or_else(|| "any".to_owned()), page }
    }

    /// Whether an incident is looked for.
    pub(crate) fn wants(&self) -> impl Fn(&Line) -> bool + use<> {
        let words: Vec<String> = self.words.to_lowercase().split_whitespace().map(str::to_owned).collect();
        let state = self.state.clone();
        move |line| {
            let fits = match state.as_str() {
                "live" => line.is_live(),
                "open" => line.status == IncidentStatus::Open,
                "acknowledged" => line.status == IncidentStatus::Acknowledged,
                "resolved" => line.status == IncidentStatus::Resolved,
                "closed" => matches!(line.status, IncidentStatus::Closed | IncidentStatus::Merged),
                _ => true,
            };
            fits && line.has(&words)
        }
    }

    fn address(&self, page: usize) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("q", &self.words).append_pair("status", &self.state).append_pair("page", &page.to_string());
        format!("/page/incidents?{}", query.finish())
    }
}

/// The page.
pub(crate) fn page(search: &Search, found: &Listed, now: EventTime, several: bool) -> Markup {
    let before = search.page * PAGE_LINES;
    let more = found.total > before + found.lines.len();
    html! {
        div.head { h1 { "Incidents" } }
        section.card {
            form.search method="get" action="/page/incidents" role="search" {
                input #q type="search" name="q" value=(search.words) placeholder="title, entity, owner, id, ticket" aria-label="Words to look for";
                select name="status" aria-label="State" { @for (state, words) in STATES { option value=(state) selected[state == search.state] { (words) } } }
                button { "Find" }
            }
            p.small.soft {
                @if found.total == 0 { "None" @if !search.words.is_empty() { " with " q { (said(&search.words)) } } "." }
                @else { (many(found.total as u64, "incident")) ", what was told last first" @if before > 0 { ", from the " (before + 1) "th" } "." }
            }
            @if !found.lines.is_empty() { (incidents(&found.lines, now, several)) }
            div.actions {
                @if search.page > 0 { a.button href=(search.address(search.page - 1)) rel="prev" { "Newer" } }
                @if more { a.button href=(search.address(search.page + 1)) rel="next" { "Older" } }
            }
            (left_out(&Listed { lines: Vec::new(), total: 0, forgotten: found.forgotten }))
        }
    }
}
