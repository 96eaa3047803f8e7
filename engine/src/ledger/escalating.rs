//! Escalation of one incident: which rules' conditions hold and since when, what is due, and who has been told.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::escalation::EscalationRule;
use crate::incident::Escalation;
use crate::time::EventTime;
use crate::topology::Lookup;

/// What one incident keeps of who was told; then nobody is any more.
const TOLD_MAX: usize = 32;

/// A rule whose condition holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Waiting {
    /// Since when it does.
    since: EventTime,
    /// How often it has told.
    told: u32,
    /// When it did last.
    last: EventTime,
}

/// The escalation of one incident.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Escalating {
    /// Rules whose conditions hold, by name.
    waiting: BTreeMap<String, Waiting>,
    /// Who was told, the first first.
    pub(crate) told: Vec<Escalation>,
}

impl Escalating {
    /// Notes of which rules the conditions hold: the others begin anew when theirs do.
    pub(super) fn hold(&mut self, rules: &[&str], now: EventTime) {
        self.waiting.retain(|name, _| rules.contains(&name.as_str()));
        for name in rules {
            self.waiting.entry((*name).to_owned()).or_insert(Waiting { since: now, told: 0, last: now });
        }
    }

    /// Whether no condition holds.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }

    /// When somebody is to be told next, if nothing happens.
    pub(super) fn due(&self, lookup: &Lookup) -> EventTime {
        let next = |rule: &EscalationRule| self.next(rule, lookup);
        match self.told.len() < TOLD_MAX {
            true => lookup.escalations.iter().filter_map(next).min().unwrap_or(EventTime::MAX),
            false => EventTime::MAX,
        }
    }

    fn next(&self, rule: &EscalationRule, lookup: &Lookup) -> Option<EventTime> {
        let Waiting { since, told, last } = *self.waiting.get(&rule.name)?;
        let calendar = lookup.calendars.get(&rule.calendar);
        rule.next((since, told, last), calendar)
    }

    /// Takes what is due at `now` as told; how much it is.
    pub(super) fn take(&mut self, now: EventTime, lookup: &Lookup) -> usize {
        let before = self.told.len();
        for rule in &lookup.escalations {
            let due = self.next(rule, lookup).is_some_and(|at| at <= now) && self.told.len() < TOLD_MAX;
            let Some(waiting) = self.waiting.get_mut(&rule.name).filter(|_| due) else {
                continue;
            };
            (waiting.told, waiting.last) = (waiting.told + 1, now);
            self.told.push(Escalation {
                rule: rule.name.clone(),
                at: now,
                kind: rule.to.kind().to_owned(),
                to: rule.to.name().to_owned(),
                time: u64::from(waiting.told),
            });
        }
        self.told.len() - before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::at;

    fn lookup(rule: serde_json::Value) -> Lookup {
        Lookup { escalations: vec![serde_json::from_value(rule).expect("a rule")], ..Lookup::default() }
    }

    #[test]
    fn what_is_due_is_told_once_then_again_and_no_more_than_the_record_keeps() {
        let rule = serde_json::json!({"name": "r", "after": "10m", "repeat": "5m", "times": 2, "to": {"team": "t"}});
        let lookup = lookup(rule);
        let mut of = Escalating::default();
        assert_eq!(of.due(&lookup), EventTime::MAX);
        of.waiting.insert("r".to_owned(), Waiting { since: at(0), told: 0, last: at(0) });
        assert_eq!(of.due(&lookup), at(600));
        assert_eq!([599, 600, 600].map(|secs| of.take(at(secs), &lookup)), [0, 1, 0]);
        assert_eq!((of.due(&lookup), of.told[0].at, of.told[0].to.as_str()), (at(900), at(600), "t"));
        assert_eq!(of.take(at(1_000), &lookup), 1);
        assert_eq!((of.due(&lookup), of.told.len(), of.told[1].time), (EventTime::MAX, 2, 2));
        let full = vec![of.told[0].clone(); TOLD_MAX];
        let waiting = BTreeMap::from([("r".to_owned(), Waiting { since: at(0), told: 0, last: at(0) })]);
        let mut full = Escalating { waiting, told: full };
        assert_eq!((full.take(at(9_999), &lookup), full.due(&lookup)), (0, EventTime::MAX));
    }

    #[test]
    fn a_condition_that_holds_again_begins_anew() {
        let lookup = lookup(serde_json::json!({"name": "r", "after": "10m", "to": {"team": "t"}}));
        let mut of = Escalating::default();
        of.hold(&["r"], at(0));
        of.hold(&["r"], at(300));
        assert_eq!(of.due(&lookup), at(600));
        of.hold(&[], at(400));
        assert!(of.is_idle() && of.due(&lookup) == EventTime::MAX);
        of.hold(&["r"], at(500));
        assert_eq!(of.due(&lookup), at(1_100));
    }
}
