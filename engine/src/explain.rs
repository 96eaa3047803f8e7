//! Explanations: why an incident holds what it holds, and why not something else.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::alert::Alert;
use crate::correlate::Placement;
use crate::ledger::Tie;
use crate::shown::safe;
use crate::signal::Relation;
use crate::tables::Tables;
use crate::time::EventTime;
use crate::topology::Delay;

/// Why an incident holds its alerts.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Explanation {
    /// Incident id.
    pub incident: String,
    /// Score it took to join.
    pub threshold: f64,
    /// Each alert with its reason, in order of first symptom.
    pub members: Vec<MemberReason>,
    /// The major incident it is under, and why.
    pub under: Option<Related>,
    /// The incidents under it, and why, by id.
    pub over: Vec<Related>,
}

/// Why two incidents are related.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Related {
    /// The other incident.
    pub incident: String,
    /// 0–1.
    pub score: f64,
    /// The score it took.
    pub related_min: f64,
    /// The reasons, in words.
    pub why: Vec<String>,
}

/// Why one alert is in its incident.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct MemberReason {
    /// 16 hexadecimal digits.
    pub fingerprint: String,
    /// The rule's name, with what it measured where one rule watches many metrics.
    pub name: String,
    /// The entity it is about.
    pub entity: String,
    /// Beginning of its present or last firing.
    pub starts_at: EventTime,
    /// Its score when it joined, 0–1; `None` for the alert that began the group.
    pub score: Option<f64>,
    /// Evidence of its best link: time, topology, text, learned, each 0–1.
    pub evidence: [f64; 4],
    /// What that link would score without each of them: what decided.
    pub without: [f64; 4],
    /// Whose text names whose entity, in words; empty where neither does.
    pub naming: String,
    /// The alert at the other end of that link, in words.
    pub linked_to: Option<String>,
    /// The same by its fingerprint, 16 hexadecimal digits.
    pub linked_alert: Option<String>,
}

/// A log template may be as long as the line; a table of alerts has no room for it.
const NAME_CHARS_MAX: usize = 48;

/// The kinds of evidence, in the order of their numbers.
const KINDS: [&str; 4] = ["time", "topology", "text", "learned"];

/// Hour, minute and second of an event time in UTC.
fn clock(at: EventTime) -> String {
    let seconds = at.0.div_euclid(1_000_000_000).rem_euclid(86_400);
    format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

impl MemberReason {
    /// Why it is in its incident: each kind of evidence, and whether it would have joined without.
    #[must_use]
    pub fn told(&self, threshold: f64) -> String {
        let Some((score, other)) = self.score.zip(self.linked_to.as_deref()) else {
            return format!("{} on {} began the group", safe(&self.name), safe(&self.entity));
        };
        let (name, entity, other) = (safe(&self.name), safe(&self.entity), safe(other));
        let head = format!("{name} on {entity}: {score:.2}, {threshold:.2} was needed");
        let mut text = format!("{head}\n  linked most firmly with {other}");
        for ((kind, value), without) in KINDS.iter().zip(self.evidence).zip(self.without) {
            let verdict = match without {
                _ if value == 0.0 => "added nothing".to_owned(),
                low if low < threshold => format!("decided: without it the link is {low:.2}"),
                high => format!("did not decide: without it the link is {high:.2}"),
            };
            let naming = if *kind == "text" && !self.naming.is_empty() {
                format!("; {}", safe(&self.naming))
            } else {
                String::new()
            };
            text.push_str(&format!("\n  {kind:<9} {value:.2}  {verdict}{naming}"));
        }
        text
    }
}

/// What has been learned about one kind of edge.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct LearnedDelay {
    /// The edge's relation.
    pub relation: Relation,
    /// Whether trouble went along the edge, `from` to `to`; else against it.
    pub along: bool,
    /// Decayed number of observations.
    pub support: f64,
    /// What it takes; `None` with too little support.
    pub delay: Option<Delay>,
}

impl fmt::Display for LearnedDelay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = if self.along { "along" } else { "against" };
        write!(f, "{way} {}: ", self.relation.name())?;
        match self.delay {
            Some(delay) => write!(f, "half within {:.0} s, nine in ten within {:.0} s", delay.p50_s, delay.p90_s)?,
            None => write!(f, "not enough seen")?,
        }
        write!(f, " ({:.1} seen, older ones count less)", self.support)
    }
}

/// Where an alert is now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Placed {
    /// The alert.
    pub fingerprint: u64,
    /// Beginning of its present or last firing.
    pub starts_at: EventTime,
    /// Its incident; `None` when it has none, or none that has been told.
    pub incident: Option<String>,
}

impl fmt::Display for Explanation {
    /// A table: each alert on a line, with the number of the one that it is linked with.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, threshold) = (self.members.len(), self.threshold);
        writeln!(f, "{}: {count} alerts, each joined with a score of at least {threshold:.2}", self.incident)?;
        let wide = |of: &dyn Fn(&MemberReason) -> usize| self.members.iter().map(of).max().unwrap_or(0);
        let chars = |text: &str| safe(text).chars().count();
        let (names, entities) = (wide(&|m| chars(&m.name)).max(5), wide(&|m| chars(&m.entity)).max(2));
        let place = |print: &str| self.members.iter().position(|m| m.fingerprint == print).map(|at| at + 1);
        writeln!(
            f,
            "    #  began     {:names$}  {:entities$}  {:16}  score  time  topology  text  learned  linked with",
            "alert", "on", "fingerprint"
        )?;
        for (at, member) in self.members.iter().enumerate() {
            let (number, began, print) = (at + 1, clock(member.starts_at), &member.fingerprint);
            let (name, entity) = (safe(&member.name), safe(&member.entity));
            write!(f, "{number:>5}  {began}  {name:names$}  {entity:entities$}  {print}  ")?;
            match (member.score, &member.linked_to) {
                (Some(score), Some(other)) => {
                    let [time, topology, text, learned] = member.evidence;
                    let known = member.linked_alert.as_deref().and_then(place);
                    let with = known.map_or_else(|| safe(other), |number| format!("#{number}"));
                    writeln!(f, " {score:.2}  {time:.2}      {topology:.2}  {text:.2}     {learned:.2}  {with}")?;
                }
                _ => writeln!(f, " began the group")?,
            }
        }
        for (place, related) in self.under.iter().map(|r| ("under", r)).chain(self.over.iter().map(|r| ("over", r))) {
            writeln!(
                f,
                "  {place} {}: {:.2}, {:.2} was needed: {}",
                related.incident,
                related.score,
                related.related_min,
                safe(&related.why.join("; "))
            )?;
        }
        Ok(())
    }
}

/// What has been learned about each kind of edge, by relation and direction.
pub(crate) fn learned_delays(tables: &Tables) -> Vec<LearnedDelay> {
    let kinds = tables.correlator.delays().kinds();
    kinds.map(|(relation, along, support, delay)| LearnedDelay { relation, along, support, delay }).collect()
}

/// Every alert that is remembered, in order of fingerprint.
pub(crate) fn placed(tables: &Tables) -> Vec<Placed> {
    let told = |number: u64| tables.ledger.get(number).filter(|i| i.is_told()).map(|i| i.id.clone());
    let place = |alert: &Alert| Placed {
        fingerprint: alert.fingerprint,
        starts_at: alert.starts_at,
        incident: alert.incident.and_then(told),
    };
    let mut placed: Vec<Placed> = tables.alerts.iter().map(place).collect();
    placed.sort_by_key(|p| p.fingerprint);
    placed
}

/// Why an incident holds what it holds; `None` when it is not known.
pub(crate) fn explain(tables: &mut Tables, incident: &str, related_min: f64) -> Option<Explanation> {
    let number = tables.ledger.of_id(incident)?;
    let mut members: Vec<u64> = tables.ledger.get(number)?.members.iter().copied().collect();
    members.sort_by_key(|f| (tables.alerts.get(*f).map(|a| a.starts_at), *f));
    let threshold = members
        .first()
        .and_then(|f| tables.correlator.why(*f, &tables.estate.topology))
        .map_or(0.5, |why| why.threshold);
    let members = members.into_iter().filter_map(|fingerprint| member_reason(tables, fingerprint)).collect();
    let own = tables.ledger.get(number)?;
    let relation = |other: u64, tie: &Tie| {
        let incident = tables.ledger.get(other)?.id.clone();
        Some(Related { incident, score: tie.score, related_min, why: tie.why.clone() })
    };
    let under = own.over.and_then(|major| relation(major, tables.ledger.get(major)?.under.get(&number)?));
    let mut over: Vec<Related> = own.under.iter().filter_map(|(child, tie)| relation(*child, tie)).collect();
    over.sort_by(|a, b| a.incident.cmp(&b.incident));
    Some(Explanation { incident: incident.to_owned(), threshold, members, under, over })
}

fn member_reason(tables: &Tables, fingerprint: u64) -> Option<MemberReason> {
    let alert = tables.alerts.get(fingerprint)?;
    let placement = tables.correlator.placement(fingerprint);
    let linked_to = placement.and_then(|p| p.linked_to);
    let measured = alert.observation.as_ref().filter(|observed| !observed.name.is_empty());
    let name = tables.estate.names.text(alert.name);
    Some(MemberReason {
        fingerprint: format!("{fingerprint:016x}"),
        name: measured.map_or_else(
            || name.to_owned(),
            |observed| {
                let of: String = observed.name.chars().take(NAME_CHARS_MAX).collect();
                format!("{name} {of}")
            },
        ),
        entity: tables.estate.entities.text(alert.entity).to_owned(),
        starts_at: alert.starts_at,
        score: placement.filter(|p| p.linked_to.is_some()).map(|p| p.score),
        evidence: placement.map_or([0.0; 4], |p| p.evidence.values()),
        without: placement.map_or([0.0; 4], |p| tables.correlator.without(&p.evidence)),
        naming: placement.map_or("", Placement::naming).to_owned(),
        linked_alert: linked_to.map(|other| format!("{other:016x}")),
        linked_to: linked_to.map(|other| called(tables, other)),
    })
}

/// An alert for people: what it is called and where it is.
fn called(tables: &Tables, alert: u64) -> String {
    match tables.alerts.get(alert) {
        Some(alert) => {
            format!("{} on {}", tables.estate.names.text(alert.name), tables.estate.entities.text(alert.entity))
        }
        None => format!("{alert:016x}"),
    }
}

/// Why an alert is not in an incident, in words with numbers.
pub(crate) fn explain_not_in(tables: &mut Tables, alert: u64, incident: &str) -> Option<String> {
    let number = tables.ledger.of_id(incident)?;
    let group = tables.ledger.get(number)?.group;
    let why = tables.correlator.why_not(alert, group, &tables.estate.topology)?;
    let mut text = format!(
        "{:.2} against {incident}, {:.2} was needed; against the alerts it is with: {:.2}",
        why.score, why.threshold, why.own_score
    );
    if why.links.is_empty() {
        text.push_str("\n  nothing in it is near enough in time or topology to be compared");
    }
    if let Some((here, there)) = why.apart {
        text.push_str(&format!(
            "\n  {} and {} begin where they are, and neither brings the other about: two faults",
            safe(&called(tables, here)),
            safe(&called(tables, there))
        ));
    }
    for (kind, needed) in KINDS.iter().zip(&why.needed) {
        let change = match needed.needed {
            Some(value) => format!("{value:.2} would have been enough, all else equal"),
            None => "could not have changed it alone".to_owned(),
        };
        text.push_str(&format!("\n  {kind:<9} {:.2}  {change}", needed.now));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_senders_called_things_steers_no_terminal_and_forges_no_line() {
        let evil = "E\x1b[2J\r\nforged \u{202e}\u{9b}31m".to_owned();
        let member = MemberReason {
            fingerprint: "0".repeat(16),
            name: evil.clone(),
            entity: evil.clone(),
            starts_at: EventTime::from_secs(1),
            score: Some(0.9),
            evidence: [0.5; 4],
            without: [0.1; 4],
            naming: evil.clone(),
            linked_to: Some(evil.clone()),
            linked_alert: None,
        };
        let began = MemberReason { score: None, linked_to: None, ..member.clone() };
        let related = Related { incident: "inc_1".to_owned(), score: 0.5, related_min: 0.4, why: vec![evil] };
        let texts = [member.told(0.5), began.told(0.5)];
        let explained = Explanation {
            incident: "inc_0".to_owned(),
            threshold: 0.5,
            members: vec![member, began],
            under: Some(related),
            over: Vec::new(),
        };
        for text in texts.into_iter().chain([explained.to_string()]) {
            assert!(!text.contains(['\x1b', '\r', '\u{202e}', '\u{9b}']), "{text:?}");
            assert!(!text.lines().any(|line| line.starts_with("forged")), "{text:?}");
        }
    }
}
