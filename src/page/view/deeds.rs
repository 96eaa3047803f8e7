//! What can be done about an incident: forms that work without a script.
//!
//! Each carries the revision that its reader has seen: when there is a newer one, the reader is asked first.

use bellwether_engine::Explanation;
use bellwether_engine::incident::{IncidentRecord, IncidentStatus, ProbableCause};
use maud::{Markup, html};

use super::list::address;
use super::words::{named, said, short};
use crate::page::model::Line;

/// Who may do something.
pub(crate) struct Hands<'h> {
    /// For their forms.
    pub(crate) token: &'h str,
    /// What they are called.
    pub(crate) name: &'h str,
}

/// A form for one deed.
fn form(line: &Line, deed: &str, hands: &Hands<'_>, fields: &Markup) -> Markup {
    html! {
        form method="post" action={ (address(&line.id)) "/" (deed) } {
            input type="hidden" name="token" value=(hands.token);
            input type="hidden" name="seen" value=(line.revision);
            input type="hidden" name="tenant" value=(line.tenant);
            (fields)
        }
    }
}

/// What is done most, one press away.
pub(crate) fn quick(line: &Line, hands: &Hands<'_>) -> Markup {
    let press = |deed: &str, text: &str, main: bool| form(line, deed, hands, &html! { button.main[main] { (text) } });
    html! {
        div.actions role="group" aria-label="What can be done" {
            @match line.status {
                IncidentStatus::Open => {
                    (press("acknowledge", "Take it", true))
                    (press("resolve", "It is fixed", false))
                    (press("false_positive", "It was no incident", false))
                }
                IncidentStatus::Acknowledged => {
                    (press("resolve", "It is fixed", true))
                    @if *line.assignee != *hands.name { (press("acknowledge-again", "Take it over", false)) }
                    (press("false_positive", "It was no incident", false))
                }
                IncidentStatus::Resolved => {
                    (press("close", "Close it", true))
                    (press("reopen", "It goes on", false))
                }
                IncidentStatus::Closed | IncidentStatus::Merged => {}
            }
            a.button href="#deeds" { "More …" }
        }
    }
}

/// Whether the first cause was right.
pub(crate) fn cause_deeds(line: &Line, first: &ProbableCause, hands: &Hands<'_>) -> Markup {
    html! {
        div.actions role="group" aria-label="Was that the cause?" {
            (form(line, "cause", hands, &html! {
                input type="hidden" name="cause" value=(first.reference);
                button { "That was it" }
            }))
            a.button href="#wrong-cause" { "It was something else" }
        }
    }
}

/// Everything else.
pub(crate) fn deeds(
    line: &Line,
    record: &IncidentRecord,
    explanation: Option<&Explanation>,
    others: &[Line],
    hands: &Hands<'_>,
) -> Markup {
    let over = matches!(line.status, IncidentStatus::Closed | IncidentStatus::Merged);
    html! {
        section.card.noprint aria-labelledby="deeds" {
            h2 #deeds { "What else can be done" }
            div.deeds {
                (form(line, "comment", hands, &html! {
                    h3 { "Comment" }
                    label { "What you know" textarea name="text" required maxlength="1000" {} }
                    button { "Write it down" }
                }))
                @if !over {
                    (form(line, "assign", hands, &html! {
                        h3 { "Give it to somebody" }
                        label { "Who" input type="text" name="to" required maxlength="200" value=(line.assignee) autocomplete="off"; }
                        button { "Assign" }
                    }))
                }
                (form(line, "cause", hands, &html! {
                    h3 #wrong-cause { "What the cause was" }
                    label { "Suspect"
                        select name="cause" {
                            option value="" { "something else, below" }
                            @for cause in &record.probable_causes { option value=(cause.reference) { (said(&named(cause))) } }
                        }
                    }
                    label { "Something else: an entity (type:name) or a change" input type="text" name="other" maxlength="500" autocomplete="off"; }
                    button { "Name it" }
                }))
                (silence(line, record, hands))
                @if !over && !others.is_empty() {
                    (form(line, "merge", hands, &html! {
                        h3 { "It is a part of another" }
                        label { "Which goes on with its alerts"
                            select name="into" required {
                                option value="" { "choose" }
                                @for other in others { option value=(other.id) { (other.priority.name()) " " (said(&other.title)) } }
                            }
                        }
                        button { "Merge" }
                    }))
                }
                @if let Some(explanation) = explanation.filter(|one| !over && one.members.len() > 1) {
                    (form(line, "detach", hands, &html! {
                        h3 { "An alert does not belong" }
                        label { "It becomes an incident of its own"
                            select name="alert" required {
                                option value="" { "choose" }
                                @for member in &explanation.members { option value=(member.fingerprint) { (said(&member.name)) " on " (said(short(&member.entity))) } }
                            }
                        }
                        button { "Split it off" }
                    }))
                }
                @if matches!(line.status, IncidentStatus::Open | IncidentStatus::Acknowledged) {
                    (form(line, "close", hands, &html! {
                        h3 { "It is over" }
                        p.small.soft { "Resolved and closed at once: a relapse is a new incident." }
                        button { "Resolve and close" }
                    }))
                }
            }
        }
    }
}

/// How long something may be kept quiet.
pub(crate) const SPANS: [(&str, &str); 7] = [
    ("30m", "30 minutes"),
    ("1h", "1 hour"),
    ("2h", "2 hours"),
    ("4h", "4 hours"),
    ("8h", "8 hours"),
    ("24h", "1 day"),
    ("168h", "1 week"),
];

fn silence(line: &Line, record: &IncidentRecord, hands: &Hands<'_>) -> Markup {
    html! {
        form method="post" action="/page/silences" {
            input type="hidden" name="token" value=(hands.token);
            input type="hidden" name="tenant" value=(line.tenant);
            h3 { "Silence, or announce maintenance" }
            label { "Alerts of"
                select name="entity" required {
                    @for entity in &record.entities { option value=(entity.id) { (said(&entity.id)) } }
                }
            }
            label { "For"
                select name="for" { @for (span, words) in SPANS { option value=(span) selected[span == "2h"] { (words) } } }
            }
            label { "Why" input type="text" name="why" required maxlength="500" autocomplete="off"; }
            button { "Expect them" }
        }
    }
}
