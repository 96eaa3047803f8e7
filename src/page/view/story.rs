//! The history of an incident: what was told and what people said, in one list.

use std::sync::Arc;

use bellwether_engine::input::{Action, TicketVerb};
use bellwether_engine::time::EventTime;
use maud::{Markup, html};

use super::words::{moment, said, told};
use crate::page::model::Known;
use crate::wiring::said::Word;

/// Lines that are there at once, the latest.
const LINES_OPEN: usize = 14;

/// One line.
struct Line {
    at: EventTime,
    who: Option<String>,
    what: String,
    more: String,
}

/// What somebody said, and what it was about.
pub(crate) fn sentence(action: &Action) -> Option<(String, String, String)> {
    let line = |who: &str, what: &str, more: &str| Some((who.to_owned(), what.to_owned(), more.to_owned()));
    match action {
        Action::Acknowledge { who, .. } => line(who, "takes it", ""),
        Action::Resolve { who, .. } => line(who, "says it is fixed", ""),
        Action::Reopen { who, .. } => line(who, "says it goes on", ""),
        Action::Close { who, .. } => line(who, "closes it", ""),
        Action::FalsePositive { who, .. } => line(who, "says it was no incident", ""),
        Action::Retract { who, .. } => line(who, "takes back that it was none", ""),
        Action::Attach { who, alert, .. } => line(who, "puts an alert into it", alert),
        Action::Detach { who, alert, .. } => line(who, "takes an alert out", alert),
        Action::Merge { who, incident, into } => line(who, "makes one of two", &format!("{incident} into {into}")),
        Action::Cause { who, cause, .. } => line(who, "names the cause", cause),
        Action::Ticket { ticket, .. } => line(&ticket.system, "ticket", &format!("{} {}", ticket.key, ticket.status)),
        Action::TicketChanged { who, verb, text, .. } => {
            let what = match verb {
                TicketVerb::Commented => "writes",
                TicketVerb::Reassigned if text.is_empty() => "gives it to nobody",
                TicketVerb::Reassigned => "gives it to",
                TicketVerb::Reopened => "opens the ticket again",
                TicketVerb::Prioritised => "changes the urgency of the ticket",
                TicketVerb::Merged => "merges the ticket",
                TicketVerb::Linked => "links the ticket",
                TicketVerb::Deleted => "deletes the ticket",
                TicketVerb::Waiting => "waits for somebody outside",
                TicketVerb::Continued => "waits no longer",
            };
            line(who, what, text)
        }
        Action::Solve { .. } | Action::Silence { .. } => None,
    }
}

fn lines(known: &Known, words: &[Arc<Word>]) -> Vec<Line> {
    let mut before = None;
    let mut lines: Vec<Line> = Vec::new();
    for one in known.life.values() {
        let more = one.news(before).join(", ");
        lines.push(Line { at: one.at, who: None, what: told(one.verb).to_owned(), more });
        before = Some(one);
    }
    for word in words {
        if let Some((who, what, more)) = sentence(&word.action) {
            lines.push(Line { at: word.at, who: Some(who), what, more });
        }
    }
    lines.sort_by_key(|line| std::cmp::Reverse(line.at));
    lines
}

/// The card, the latest first.
pub(crate) fn card(known: &Known, words: &[Arc<Word>], now: EventTime) -> Markup {
    let lines = lines(known, words);
    let (open, rest) = lines.split_at(lines.len().min(LINES_OPEN));
    let list = |lines: &[Line]| {
        html! {
            ol.story {
                @for line in lines {
                    li {
                        span.faint.small { (moment(line.at, now)) }
                        span {
                            @match &line.who {
                                Some(who) => { strong.who-said { (said(who)) } " " (line.what) }
                                None => { strong { (line.what) } }
                            }
                            @if !line.more.is_empty() { " " span.soft { (said(&line.more)) } }
                        }
                    }
                }
            }
        }
    };
    html! {
        section.card aria-labelledby="history" {
            h2 #history { "History" }
            (list(open))
            @if !rest.is_empty() { details.more data-keep="history" { summary { (rest.len()) " earlier" } (list(rest)) } }
        }
    }
}

/// The same in plain words, the earliest first: for a post-mortem.
pub(crate) fn plain(known: &Known, words: &[Arc<Word>]) -> Vec<(EventTime, String)> {
    let mut lines = lines(known, words);
    lines.reverse();
    let text = |line: &Line| {
        let who = line.who.as_deref().map(|who| format!("{who} ")).unwrap_or_default();
        let more = if line.more.is_empty() { String::new() } else { format!(": {}", line.more) };
        format!("{who}{}{more}", line.what)
    };
    lines.iter().map(|line| (line.at, text(line))).collect()
}
