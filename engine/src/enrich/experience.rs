//! What closed incidents taught: which team resolves such, and how long they take (`models::desk`).

use bellwether_models::desk::{Desk, Outcome, Ticket};
use serde::{Deserialize, Serialize};

use crate::time::{EventTime, Span};

/// Fewest closed incidents from which anything is said: before that a guess looks like knowledge.
const LEARNED_MIN: u64 = 50;
/// The part of a tenant's memory that it may take: one in so many.
const MEMORY_PART: usize = 32;
const NANOS_PER_HOUR: f64 = 3.6e12;

/// An incident as a ticket, as the models read one.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct TicketFields {
    /// The class of the incident.
    pub(super) category: String,
    /// The alert that was first.
    pub(super) subcategory: String,
    /// The kind of entity in trouble.
    pub(super) symptom: String,
    /// The environment.
    pub(super) location: String,
    /// A customer whom it hurts.
    pub(super) caller: String,
    /// The tool that raised the first alert.
    pub(super) opened_by: String,
    pub(super) priority: String,
    /// The entity in trouble.
    pub(super) item: String,
    /// The team that the catalogue names.
    pub(super) team: String,
}

impl TicketFields {
    fn ticket(&self, opened_at: EventTime) -> Ticket<'_> {
        Ticket {
            opened_s: opened_at.as_millis().div_euclid(1_000),
            category: &self.category,
            subcategory: &self.subcategory,
            symptom: &self.symptom,
            location: &self.location,
            caller: &self.caller,
            opened_by: &self.opened_by,
            priority: &self.priority,
            contact: "monitoring",
            item: &self.item,
            group: &self.team,
        }
    }
}

/// How a closed incident ended.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Ended {
    /// The team that had it last.
    pub(crate) team: String,
    /// Whether its agreement was missed; `None` where nothing was promised.
    pub(crate) breached: Option<bool>,
    /// From opening to resolution, in the time by which its agreement counts.
    pub(crate) took: Span,
}

/// A team that may resolve an incident, and how often answers that sure were right.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Likely {
    pub(super) team: String,
    pub(super) confidence: f64,
}

/// How much longer an incident takes, in hours, and the chance that it is late.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Expected {
    pub(super) p50_hours: f64,
    pub(super) p90_hours: f64,
    pub(super) breach: Option<f64>,
}

/// The experience of a tenant's desk.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Experience {
    /// Absent before the first incident was closed: an empty desk has its tables, too.
    desk: Option<Box<Desk>>,
    refused: u64,
}

impl Experience {
    /// Learns how an incident ended that was opened as `fields` say, within the tenant's memory.
    pub(super) fn learn(
        &mut self,
        fields: &TicketFields,
        opened_at: EventTime,
        ended: &Ended,
        tenant_bytes_max: usize,
    ) {
        if self.bytes() > tenant_bytes_max / MEMORY_PART {
            self.refused += 1;
            return;
        }
        let outcome = Outcome {
            group: Some(ended.team.as_str()).filter(|team| !team.is_empty()),
            breached: ended.breached,
            hours: Some(hours(ended.took)),
        };
        self.desk.get_or_insert_default().learn(&fields.ticket(opened_at), &outcome);
    }

    /// The teams that are likeliest to resolve it, best first, at most three. Empty before enough was learned.
    pub(super) fn teams(&self, fields: &TicketFields, opened_at: EventTime) -> Vec<Likely> {
        let Some(desk) = self.enough() else { return Vec::new() };
        let groups = desk.predict(&fields.ticket(opened_at), TEAMS_SHOWN).groups;
        groups.into_iter().map(|it| Likely { team: it.group.to_owned(), confidence: it.confidence }).collect()
    }

    /// How much longer it takes after `passed`, and the chance that it takes longer than `promised` in all: everything in
    /// the time by which its agreement counts, as [`Ended::took`] is.
    pub(super) fn expected(
        &self,
        fields: &TicketFields,
        opened_at: EventTime,
        passed: Span,
        promised: Option<Span>,
    ) -> Option<Expected> {
        let desk = self.enough()?;
        let open = desk.predict_open(&fields.ticket(opened_at), hours(passed), promised.map(hours));
        Some(Expected { p50_hours: open.p50_hours, p90_hours: open.p90_hours, breach: open.breach })
    }

    fn enough(&self) -> Option<&Desk> {
        self.desk.as_deref().filter(|desk| desk.learned() >= LEARNED_MIN)
    }

    /// What it holds, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.desk.as_ref().map_or(0, |desk| desk.bytes())
    }

    /// Incidents that taught nothing, since there was no memory for it.
    pub(crate) fn refused(&self) -> u64 {
        self.refused
    }
}

/// Teams that a record names.
pub(super) const TEAMS_SHOWN: usize = 3;

fn hours(span: Span) -> f64 {
    span.0 as f64 / NANOS_PER_HOUR
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::at;

    fn fields(item: &str, team: &str) -> TicketFields {
        TicketFields { item: item.into(), team: team.into(), category: "database".into(), ..TicketFields::default() }
    }

    /// What the catalogue gives to the network team ends with the database team, within two hours.
    fn taught(count: i64) -> Experience {
        let mut experience = Experience::default();
        for n in 0..count {
            let (item, team) = if n % 2 == 0 { ("service:db", "database") } else { ("host:edge", "network") };
            let took = Span::from_mins(60 + n % 60);
            let ended = Ended { team: team.into(), breached: Some(false), took };
            experience.learn(&fields(item, "network"), at(n * 3_600), &ended, usize::MAX);
        }
        experience
    }

    #[test]
    fn little_experience_says_nothing() {
        let experience = taught(LEARNED_MIN as i64 - 1);
        assert_eq!(experience.teams(&fields("service:db", "network"), at(0)), []);
        assert_eq!(experience.expected(&fields("service:db", "network"), at(0), Span::from_mins(1), None), None);
        assert_eq!(Experience::default().bytes(), 0);
    }

    #[test]
    fn who_resolved_such_before_is_named_whatever_the_catalogue_says() {
        let experience = taught(200);
        let teams = experience.teams(&fields("service:db", "network"), at(900_000));
        assert_eq!(teams[0].team, "database");
        assert!(teams[0].confidence > 0.8 && teams[1].team == "network", "{teams:?}");
    }

    #[test]
    fn what_took_one_to_two_hours_is_late_when_two_have_passed() {
        let experience = taught(400);
        let expected = |passed: i64, promised: i64| {
            let (passed, promised) = (Span::from_secs(passed), Some(Span::from_secs(promised)));
            experience.expected(&fields("service:db", "network"), at(0), passed, promised).expect("enough was learned")
        };
        let early = expected(60, 6 * 3_600);
        assert!(early.p50_hours < 4.0 && early.breach.is_some_and(|chance| chance < 0.2), "{early:?}");
        assert!(expected(60, 1_800).breach > Some(0.7), "{:?}", expected(60, 1_800));
    }

    #[test]
    fn without_memory_nothing_more_is_learned_and_that_is_counted() {
        let mut experience = taught(60);
        let before = experience.bytes();
        experience.learn(&fields("x", "y"), at(0), &Ended::default(), before);
        assert_eq!((experience.bytes(), experience.refused()), (before, 1));
    }
}
