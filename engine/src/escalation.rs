//! Rules of escalation: who is told when an incident waits for too long.
//!
//! ```yaml
//! escalations:
//!   - {name: nobody answers, when: "priority IN ('P1', 'P2')", after: 15m, to: {person: dba-lead}, repeat: 30m, times: 3}
//!   - {name: will be late, when: "sla_resolve = 'at_risk' OR breach_probability > 0.8", to: {team: management}, until: resolved}
//!   - {name: major, when: children > 0, after: 1h, calendar: office, to: {audience: board}, until: resolved}
//! ```
//!
//! A condition is SQL over the record ([`INCIDENT_COLUMNS`], and its labels), in the one language of this program. It is
//! asked whenever the incident is looked at, which is also when one of its clocks comes to stand otherwise. `after` counts from when the
//! condition began to hold: on the clock on the wall, or in the working time of `calendar`.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use arrow::array::{ArrayRef, BooleanArray, Float64Array, StringArray};
use arrow::datatypes::DataType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::calendar::Calendar;
use crate::expr::{ColumnNeed, Expression, ExpressionError, Vocabulary};
use crate::time::{EventTime, Span};

/// Rules of one tenant.
pub(crate) const RULES_MAX: usize = 64;
/// Times that one rule tells of one incident.
const TIMES_MAX: u32 = 32;
/// Bytes of a rule's name and of whom it names: incidents keep both for each time that somebody is told.
const NAME_BYTES_MAX: usize = 100;
/// Shortest pause before it is told again.
const REPEAT_MIN: Span = Span::from_mins(1);

/// One rule.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EscalationRule {
    /// Its name, as records and pages give it.
    pub name: String,
    /// For which incidents: a condition over columns of the record; for all, where it is left out.
    #[serde(default)]
    pub when: String,
    /// How long the condition has to hold; at once, where it is left out.
    #[serde(default)]
    pub after: Span,
    /// `after` and `repeat` are working time of this entry of `calendars`; time on the wall, where it is left out.
    #[serde(default)]
    pub calendar: String,
    /// Who is told.
    pub to: EscalateTo,
    /// How long after that they are told again; once, where it is left out.
    #[serde(default)]
    pub repeat: Option<Span>,
    /// How often they are told in all, where `repeat` says so.
    #[serde(default = "default_times")]
    #[schemars(range(min = 1, max = 32))]
    pub times: u32,
    /// What ends it beside the condition.
    #[serde(default)]
    pub until: Until,
    /// The condition, compiled when it is first asked: a checkpoint keeps its text.
    #[serde(skip)]
    compiled: OnceLock<Option<Expression>>,
}

impl PartialEq for EscalationRule {
    fn eq(&self, other: &EscalationRule) -> bool {
        let EscalationRule { name, when, after, calendar, to, repeat, times, until, compiled: _ } = self;
        (name, when, after, calendar) == (&other.name, &other.when, &other.after, &other.calendar)
            && (to, repeat, times, until) == (&other.to, &other.repeat, &other.times, &other.until)
    }
}

fn default_times() -> u32 {
    3
}

/// Who is told.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EscalateTo {
    /// A team of the catalogue.
    Team(String),
    /// A person in one.
    Person(String),
    /// Whoever the channels know by this name.
    Audience(String),
}

impl Default for EscalateTo {
    fn default() -> EscalateTo {
        EscalateTo::Audience(String::new())
    }
}

impl EscalateTo {
    /// `team`, `person` or `audience`.
    pub fn kind(&self) -> &'static str {
        match self {
            EscalateTo::Team(_) => "team",
            EscalateTo::Person(_) => "person",
            EscalateTo::Audience(_) => "audience",
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        let (EscalateTo::Team(name) | EscalateTo::Person(name) | EscalateTo::Audience(name)) = self;
        name
    }
}

/// What ends an escalation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Until {
    /// Somebody has it.
    #[default]
    Acknowledged,
    /// It is over.
    Resolved,
}

/// What a condition may name beside the record's labels.
pub const INCIDENT_COLUMNS: Vocabulary = &[
    ("status", DataType::Utf8),
    ("priority", DataType::Utf8),
    ("severity", DataType::Utf8),
    ("class", DataType::Utf8),
    ("environment", DataType::Utf8),
    ("entity", DataType::Utf8),
    ("entity_type", DataType::Utf8),
    ("team", DataType::Utf8),
    ("assignee", DataType::Utf8),
    ("sla", DataType::Utf8),
    ("sla_respond", DataType::Utf8),
    ("sla_resolve", DataType::Utf8),
    ("ola_respond", DataType::Utf8),
    ("ola_resolve", DataType::Utf8),
    ("problem", DataType::Utf8),
    ("breach_probability", DataType::Float64),
    ("confidence", DataType::Float64),
    ("impact", DataType::Float64),
    ("urgency", DataType::Float64),
    ("alerts", DataType::Float64),
    ("services", DataType::Float64),
    ("users", DataType::Float64),
    ("revenue_per_hour", DataType::Float64),
    ("children", DataType::Float64),
];

/// What one of [`INCIDENT_COLUMNS`] holds.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Fact<'a> {
    Text(&'a str),
    Number(f64),
    /// Nothing is known: no comparison with it is true.
    Nothing,
}

impl EscalationRule {
    fn condition(&self) -> Result<Option<Expression>, ExpressionError> {
        match self.when.trim() {
            "" => Ok(None),
            text => Expression::compile(text, INCIDENT_COLUMNS).map(Some),
        }
    }

    /// Whether the condition holds; one that cannot be computed does not.
    pub(crate) fn holds<'f>(&self, fact: impl Fn(&str) -> Fact<'f>, labels: &BTreeMap<String, String>) -> bool {
        // What does not compile was refused when the catalogue was read.
        let compiled = self.compiled.get_or_init(|| self.condition().ok().flatten());
        let Some(expression) = compiled else { return self.when.trim().is_empty() };
        let text = |value: Option<&str>| Arc::new(StringArray::from(vec![value])) as ArrayRef;
        let column = |need: ColumnNeed<'_>| match need {
            ColumnNeed::Label(name) => text(labels.get(name).map(String::as_str)),
            ColumnNeed::Base(index) => {
                let (name, kind) = &INCIDENT_COLUMNS[index];
                match (kind, fact(name)) {
                    (DataType::Utf8, Fact::Text(value)) => text(Some(value)),
                    (DataType::Utf8, _) => text(None),
                    (_, Fact::Number(value)) => Arc::new(Float64Array::from(vec![Some(value)])) as ArrayRef,
                    (_, _) => Arc::new(Float64Array::from(vec![None])) as ArrayRef,
                }
            }
        };
        let (answers, _): (BooleanArray, _) = expression.evaluate(expression.needs().map(column).collect(), 1);
        answers.iter().next().flatten().unwrap_or(false)
    }

    /// When it tells next of an incident for which its condition holds since `since`, and that it has told of `told`
    /// times, `last` at last; `None` when it has told often enough, or nobody works for a year.
    pub(crate) fn next(
        &self,
        (since, told, last): (EventTime, u32, EventTime),
        calendar: Option<&Calendar>,
    ) -> Option<EventTime> {
        let (from, span) = match (told, self.repeat) {
            (0, _) => (since, self.after),
            (told, Some(repeat)) if told < self.times => (last, repeat),
            _ => return None,
        };
        match calendar {
            // What is to be told at once waits for the morning, too.
            Some(calendar) => calendar.after(from, Span(span.0.max(1))),
            None => Some(from.plus(span)),
        }
    }

    /// Whether it can be followed.
    ///
    /// # Errors
    /// In words, what is wrong with it, and what to do.
    pub(crate) fn check(&self) -> Result<(), String> {
        let wrong = |what: String| Err(format!("escalation `{}`: {what}", self.name));
        if self.name.is_empty() || self.to.name().is_empty() {
            return wrong("give it a `name`, and `to` a team, a person or an audience".to_owned());
        }
        if self.name.len().max(self.to.name().len()) > NAME_BYTES_MAX {
            return wrong(format!("its `name` and whom `to` names have at most {NAME_BYTES_MAX} bytes"));
        }
        if let Err(error) = self.condition() {
            return wrong(format!("`when`: {error}; columns are {}", columns()));
        }
        if self.after < Span::ZERO {
            return wrong(format!("`after` is {}: how long it has to hold, as 15m", self.after));
        }
        if let Some(repeat) = self.repeat.filter(|repeat| *repeat < REPEAT_MIN) {
            return wrong(format!("`repeat` is {repeat}: at least {REPEAT_MIN}"));
        }
        if !(1..=TIMES_MAX).contains(&self.times) {
            return wrong(format!("`times` is {}: from 1 to {TIMES_MAX}", self.times));
        }
        Ok(())
    }
}

fn columns() -> String {
    INCIDENT_COLUMNS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(json: serde_json::Value) -> EscalationRule {
        serde_json::from_value(json).expect("a rule")
    }

    fn said(json: serde_json::Value) -> String {
        rule(json).check().expect_err("it cannot be followed")
    }

    #[test]
    fn what_cannot_be_followed_is_refused_with_what_to_do() {
        let with = |more: serde_json::Value| {
            let mut json = serde_json::json!({"name": "late", "to": {"team": "db"}});
            json.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
            json
        };
        assert_eq!(rule(with(serde_json::json!({}))).check(), Ok(()));
        let cases = [
            (serde_json::json!({"when": "priority ="}), "does not read"),
            (serde_json::json!({"when": "priority"}), "must be true or false"),
            (serde_json::json!({"when": "sla.resolve = 'x'"}), "quote them"),
            (serde_json::json!({"repeat": "1s"}), "at least 1m"),
            (serde_json::json!({"times": 0}), "from 1 to 32"),
            (serde_json::json!({"name": ""}), "give it a `name`"),
            (serde_json::json!({"to": {"person": ""}}), "give it a `name`"),
            (serde_json::json!({"to": {"person": "x".repeat(101)}}), "at most 100 bytes"),
        ];
        for (more, remedy) in cases {
            let said = said(with(more));
            assert!(said.contains(remedy), "{said}");
        }
        assert!(said(with(serde_json::json!({"when": "pri >"}))).contains("columns are status, priority"));
    }

    #[test]
    fn a_condition_reads_the_record_its_clocks_and_labels() {
        let labels = BTreeMap::from([("zone".to_owned(), "eu".to_owned())]);
        let fact = |name: &str| match name {
            "priority" => Fact::Text("P1"),
            "sla_resolve" => Fact::Text("at_risk"),
            "children" => Fact::Number(3.0),
            _ => Fact::Nothing,
        };
        let holds =
            |when: &str| rule(serde_json::json!({"name": "r", "when": when, "to": {"team": "t"}})).holds(fact, &labels);
        assert!(holds("") && holds("priority IN ('P1', 'P2') AND children > 0") && holds("sla_resolve = 'at_risk'"));
        assert!(holds("\"zone\" = 'eu'") && holds("users IS NULL") && holds("coalesce(users, 0) < 10"));
        for no in ["priority = 'P3'", "users > 10", "breach_probability < 0.5", "region <> 'eu'"] {
            assert!(!holds(no), "{no}");
        }
    }

    #[test]
    fn every_column_can_be_asked_for() {
        for (name, kind) in INCIDENT_COLUMNS {
            let (value, when) = match kind {
                DataType::Utf8 => (Fact::Text("x"), format!("{name} = 'x' AND {name} IS NOT NULL")),
                _ => (Fact::Number(2.0), format!("{name} > 1 AND {name} IS NOT NULL")),
            };
            let rule = rule(serde_json::json!({"name": "r", "when": when, "to": {"team": "t"}}));
            assert_eq!(rule.check(), Ok(()), "{name}");
            assert!(rule.holds(|asked| if asked == *name { value } else { Fact::Nothing }, &BTreeMap::new()), "{name}");
            assert!(!rule.holds(|_| Fact::Nothing, &BTreeMap::new()), "{name}");
        }
    }

    #[test]
    fn time_is_that_of_the_wall_or_of_a_calendar() {
        let calendar: Calendar =
            serde_json::from_value(serde_json::json!({"name": "o", "hours": ["mon-fri 09:00-17:00"]})).expect("one");
        let at = |text: &str| EventTime::parse_rfc3339(text).expect("a time");
        let rule =
            rule(serde_json::json!({"name": "r", "after": "2h", "repeat": "1h", "times": 2, "to": {"team": "t"}}));
        // A Friday.
        let since = at("2026-03-06T16:00:00Z");
        assert_eq!(rule.next((since, 0, since), None), Some(at("2026-03-06T18:00:00Z")));
        assert_eq!(rule.next((since, 0, since), Some(&calendar)), Some(at("2026-03-09T10:00:00Z")));
        let last = at("2026-03-09T16:30:00Z");
        assert_eq!(rule.next((since, 1, last), Some(&calendar)), Some(at("2026-03-10T09:30:00Z")));
        assert_eq!(rule.next((since, 2, last), Some(&calendar)), None, "twice in all");
        let once = EscalationRule { repeat: None, after: Span::ZERO, ..rule };
        assert_eq!((once.next((since, 0, since), None), once.next((since, 1, since), None)), (Some(since), None));
        let night = at("2026-03-06T20:00:00Z");
        let morning = once.next((night, 0, night), Some(&calendar)).expect("some day");
        assert!(morning >= at("2026-03-09T09:00:00Z"), "{morning}");
    }
}
