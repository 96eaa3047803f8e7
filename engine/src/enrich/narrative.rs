//! The narrative: three to six sentences in plain language, built from the facts alone.
//!
//! Every clause states a field of the record; what is not known is not said. Equal facts give
//! equal words.

use crate::diagnose::{Blast, Cause, Class, Next};
use crate::entity::entity_name;
use crate::incident::{AssignedBy, Deadline, DeadlineState, Owner, Priority, ProblemRef, SimilarIncident};
use crate::time::{EventTime, Span};

use super::sla::SlaClock;

/// What the narrative is built from.
pub(super) struct Facts<'a> {
    pub(super) onset: EventTime,
    pub(super) last_onset: EventTime,
    /// The first symptom: entity and what was said.
    pub(super) first: (&'a str, &'a str),
    /// The other entities in trouble, in the order in which they showed it.
    pub(super) then: Vec<&'a str>,
    pub(super) alerts: u64,
    /// Since when it is over.
    pub(super) over: Option<EventTime>,
    /// The named cause with its entity, or the best guess when it is not sure.
    pub(super) cause: Option<(&'a Cause, &'a str)>,
    pub(super) cause_is_sure: bool,
    pub(super) blast: &'a Blast,
    pub(super) class: Class,
    pub(super) owner: &'a Owner,
    pub(super) assigned_by: AssignedBy,
    /// How often answers were right that were as sure of the team.
    pub(super) sure_of_team: Option<f64>,
    pub(super) priority: Priority,
    /// The priority that the last revision told.
    pub(super) was: Option<Priority>,
    pub(super) impact: u8,
    pub(super) urgency: u8,
    pub(super) sla: Option<&'a SlaClock>,
    pub(super) similar: Option<&'a SimilarIncident>,
    pub(super) problem: Option<&'a ProblemRef>,
    pub(super) hierarchy: Hierarchy<'a>,
    /// Who is expected to follow first.
    pub(super) next: Option<&'a Next>,
    pub(super) now: EventTime,
    pub(super) runbook: Option<&'a str>,
    /// Labels that nearly all alerts share, as `name=value`.
    pub(super) shared: &'a [String],
}

/// The place of an incident among the others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Hierarchy<'a> {
    /// Nothing relates it to another.
    Alone,
    /// It is the major incident over so many.
    Over(usize),
    /// It is under the one with this id.
    Under(&'a str),
}

/// The sentences, joined; at most 1,024 characters.
pub(super) fn narrate(facts: &Facts<'_>) -> String {
    let sentences = [
        Some(what_happened(facts)),
        Some(likely_cause(facts)),
        whom_it_hurts(facts),
        Some(who_acts(facts)),
        Some(what_first(facts)),
        facts.similar.map(resembles),
        facts.problem.map(again),
    ];
    let mut text = String::new();
    for sentence in sentences.into_iter().flatten() {
        if text.len() + sentence.len() + 1 > 1_000 {
            break;
        }
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&sentence);
    }
    text
}

fn what_happened(facts: &Facts<'_>) -> String {
    let (entity, says) = facts.first;
    let says = clip(says, 140);
    let mut sentence =
        format!("At {} {} was the first to show trouble ({says})", clock_time(facts.onset), entity_name(entity));
    if !facts.then.is_empty() {
        let then: Vec<&str> = facts.then.iter().map(|entity| entity_name(entity)).collect();
        let spread = rough(facts.last_onset.since(facts.onset));
        let so_far = if facts.over.is_some() { "in all" } else { "so far" };
        sentence.push_str(&format!(", then {} within {spread} ({} alerts {so_far})", list(&then, 2), facts.alerts));
    }
    if let Some(shared) = facts.shared.first() {
        sentence.push_str(&format!(", nearly all with {shared}"));
    }
    if let Some(over) = facts.over {
        sentence.push_str(&format!("; it was over at {}", clock_time(over)));
    }
    sentence.push('.');
    sentence
}

fn likely_cause(facts: &Facts<'_>) -> String {
    let place = match facts.hierarchy {
        Hierarchy::Alone => String::new(),
        Hierarchy::Over(1) => "; one other incident is related to it".to_owned(),
        Hierarchy::Over(count) => format!("; it is a major incident over {count} others"),
        Hierarchy::Under(parent) => format!("; it is under major incident {parent}"),
    };
    let Some((cause, entity)) = facts.cause else {
        return format!("The cause is unknown{place}.");
    };
    let sure = format!("{:.0} % sure", cause.confidence * 100.0);
    let name = entity_name(entity);
    let subject = match &cause.change {
        Some(change) => {
            let text = change.text.as_deref().unwrap_or(&change.change_type);
            let before = facts.onset.since(change.at);
            format!("change {} on {name} ({}), made {} before", change.id, clip(text, 100), rough(before))
        }
        None if facts.class == Class::Capacity => format!("{name}: demand exceeds its capacity"),
        None => name.to_owned(),
    };
    if facts.cause_is_sure {
        format!("The likely cause is {subject} ({sure}){place}.")
    } else {
        format!("The cause is unknown; the best guess is {subject} ({sure}){place}.")
    }
}

fn whom_it_hurts(facts: &Facts<'_>) -> Option<String> {
    let blast = facts.blast;
    let now = [
        named("service", &blast.alerting_of_type("service")),
        named("business service", &blast.alerting_of_type("business")),
        named("customer", &blast.customers_now.iter().map(String::as_str).collect::<Vec<_>>()),
    ];
    let now: Vec<String> = now.into_iter().flatten().collect();
    let next = blast.affected.len().saturating_sub(blast.alerting());
    if now.is_empty() && next == 0 {
        return None;
    }
    let verb = if facts.over.is_some() { "hurt" } else { "hurts" };
    let mut sentence = match now.as_slice() {
        [] => format!("No service shows it yet, {} in trouble", many(blast.alerting(), "entity is", "entities are")),
        parts => format!("It {verb} {}", parts.join("; ")),
    };
    if next > 0 && facts.over.is_none() {
        let depend =
            many(next, "more entity depends on it and may follow", "more entities depend on it and may follow");
        sentence.push_str(&format!("; {depend}"));
        let later: Vec<&str> = blast.customers.difference(&blast.customers_now).map(String::as_str).collect();
        if let Some(customers) = named("customer", &later) {
            sentence.push_str(&format!(" ({customers})"));
        }
        if let Some(first) = facts.next {
            let name = entity_name(&first.entity);
            let by = rough(first.expected_by.since(facts.now));
            sentence.push_str(&format!(", {name} probably first, within {by} in nine of ten cases"));
        }
    }
    sentence.push('.');
    Some(sentence)
}

/// `services a, b and 3 more`, when there are any.
fn named(what: &str, names: &[&str]) -> Option<String> {
    let plural = if names.len() == 1 { "" } else { "s" };
    (!names.is_empty()).then(|| format!("{what}{plural} {}", list(names, 4)))
}

/// `1 entity is` or `3 entities are`.
fn many(count: usize, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}

fn who_acts(facts: &Facts<'_>) -> String {
    let team = &facts.owner.team;
    let mut sentence = match (facts.assigned_by, facts.sure_of_team) {
        (AssignedBy::Dispatcher, _) => format!("Nobody is known to own it, team {team} gives it out"),
        (AssignedBy::Experience, Some(sure)) => format!("Team {team} resolves {:.0} % of such incidents", sure * 100.0),
        (AssignedBy::Person, _) => format!("Team {team} has it"),
        _ => format!("Team {team} owns it"),
    };
    if !facts.owner.assignee.is_empty() {
        let why = if facts.assigned_by == AssignedBy::Person { "works on it" } else { "has the skill and the time" };
        sentence.push_str(&format!(" ({} {why})", facts.owner.assignee));
    }
    let was = facts.was.filter(|was| *was != facts.priority).map(|was| format!(" (was {was})")).unwrap_or_default();
    let priority = facts.priority;
    sentence.push_str(&format!("; {priority}{was} from impact {} and urgency {}", facts.impact, facts.urgency));
    if let Some(sla) = facts.sla {
        let clocks: Vec<String> = [
            sla.respond.and_then(|deadline| promised("an answer", deadline)),
            sla.resolve.and_then(|deadline| promised("a fix", deadline)),
        ]
        .into_iter()
        .flatten()
        .collect();
        if !clocks.is_empty() {
            sentence.push_str(&format!("; SLA {} asks for {}", sla.name, clocks.join(" and ")));
        }
    }
    sentence.push('.');
    sentence
}

/// What is promised by when, and how that stands where it is not as it should.
fn promised(what: &str, deadline: Deadline) -> Option<String> {
    let stands = match deadline.state {
        DeadlineState::AtRisk => " (at risk)",
        DeadlineState::Breached => " (missed)",
        _ => "",
    };
    Some(format!("{what} by {}{stands}", clock_time(deadline.by?)))
}

/// What was like it, and what fixed that.
fn resembles(similar: &SimilarIncident) -> String {
    let fixed = match similar.resolution.as_str() {
        "" => String::new(),
        said => format!(", of which was said: {}", clip(said, 120)),
    };
    format!("It resembles {} ({:.0} %){fixed}.", similar.id, similar.score * 100.0)
}

/// That it comes again and again.
fn again(problem: &ProblemRef) -> String {
    let ProblemRef { id, occurrences, window_days, .. } = problem;
    format!("It has come {occurrences} times in {window_days} days (problem {id}).")
}

fn what_first(facts: &Facts<'_>) -> String {
    let (entity, _) = facts.first;
    let subject = facts.cause.map_or(entity, |(_, entity)| entity);
    let mut sentence = facts.class.advice(entity_name(subject));
    if let Some(runbook) = facts.runbook {
        sentence.push_str(&format!(" Runbook: {runbook}."));
    }
    sentence
}

/// `a, b, c and 4 more`.
fn list(names: &[&str], most: usize) -> String {
    if names.len() <= most {
        return names.join(", ");
    }
    format!("{} and {} more", names[..most].join(", "), names.len() - most)
}

/// A duration as people say it.
fn rough(span: Span) -> String {
    let seconds = span.0.max(0) / 1_000_000_000;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

fn clock_time(at: EventTime) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(at.0))
        .map_or_else(|_| at.to_string(), |t| t.strftime("%H:%M:%S UTC").to_string())
}

/// At most `chars_max` characters, cut with an ellipsis; newlines become spaces.
pub(crate) fn clip(text: &str, chars_max: usize) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let line = line.trim();
    if line.chars().count() <= chars_max {
        return line.to_owned();
    }
    let mut cut: String = line.chars().take(chars_max.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_counted() {
        assert_eq!(list(&["a", "b"], 3), "a, b");
        assert_eq!(list(&["a", "b", "c", "d"], 2), "a, b and 2 more");
    }

    #[test]
    fn clipped_text_has_no_control_characters_and_keeps_its_length() {
        assert_eq!(clip("a\nb\u{1b}[31m", 10), "a b [31m");
        assert_eq!(clip("abcdef", 3), "ab…");
    }
}
