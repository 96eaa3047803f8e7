//! What the interface says and is told: each a type, from which its JSON Schema comes.

use bellwether_engine::incident::{IncidentRecord, IncidentStatus, Priority, Verb};
use bellwether_engine::signal::Severity;
use bellwether_engine::time::EventTime;
use bellwether_engine::topology::EdgeView;
use bellwether_engine::{AlertView, EntityLine, EntityView};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::page::model::{Known, Line};
use crate::page::view::sentence;
use crate::wiring::said::Word;

/// An incident in a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Brief {
    /// Whose.
    pub tenant: String,
    /// Its id.
    pub id: String,
    /// Counts up by one with each change that was told.
    pub revision: u64,
    /// Where it is in its life.
    pub status: IncidentStatus,
    /// How soon somebody must act.
    pub priority: Priority,
    /// The worst severity of its alerts.
    pub severity: Severity,
    /// One line.
    pub title: String,
    /// What kind of incident.
    pub class: String,
    /// First symptom.
    pub began_at: EventTime,
    /// First revision.
    pub opened_at: EventTime,
    /// This revision.
    pub updated_at: EventTime,
    /// When it was over.
    pub resolved_at: Option<EventTime>,
    /// The business services that it hurts, or services where there are none.
    pub hurts: Vec<String>,
    /// Who should act.
    pub team: String,
    /// Who has it.
    pub assignee: String,
    /// By when somebody has to answer.
    pub respond_by: Option<EventTime>,
    /// By when it has to be over.
    pub resolve_by: Option<EventTime>,
    /// That it will not be, 0–1.
    pub breach_probability: Option<f64>,
    /// How sure the first cause is, 0–1.
    pub confidence: Option<f64>,
    /// What was heard of its alerts.
    pub notifications: u64,
}

impl From<Line> for Brief {
    fn from(line: Line) -> Brief {
        Brief {
            tenant: line.tenant.to_string(),
            id: line.id.into(),
            revision: line.revision,
            status: line.status,
            priority: line.priority,
            severity: line.severity,
            title: line.title.into(),
            class: line.class.into(),
            began_at: line.began,
            opened_at: line.opened,
            updated_at: line.updated,
            resolved_at: line.resolved,
            hurts: line.hurts.into_iter().map(Into::into).collect(),
            team: line.team.into(),
            assignee: line.assignee.into(),
            respond_by: line.sla.respond_by,
            resolve_by: line.sla.resolve_by,
            breach_probability: line.sla.risk,
            confidence: line.confidence,
            notifications: line.alerts,
        }
    }
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Incidents {
    /// What was told last first.
    pub incidents: Vec<Brief>,
    /// What `cursor` is to be for the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// One incident with its history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Whole {
    /// Whose.
    pub tenant: String,
    /// The newest record.
    pub record: IncidentRecord,
    /// What each revision said that was new, oldest first.
    pub history: Vec<Step>,
    /// What people and ticketing systems said, oldest first.
    pub said: Vec<Saying>,
}

/// A revision, as far as it said something new.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// Its number.
    pub revision: u64,
    /// When.
    pub at: EventTime,
    /// What happened: `opened`, `updated`, …
    pub verb: String,
    /// In words.
    pub news: Vec<String>,
}

/// What somebody said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Saying {
    /// When.
    pub at: EventTime,
    /// Who.
    pub who: String,
    /// What, in words.
    pub what: String,
    /// To whom, which, why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
}

impl Whole {
    /// Of what is known; `None` when its record does not unpack.
    pub(crate) fn of(known: &Known, words: &[std::sync::Arc<Word>]) -> Option<Whole> {
        let mut before = None;
        let history = known.life.iter().map(|(revision, told)| {
            let news = told.news(before.replace(told));
            Step { revision: *revision, at: told.at, verb: verb(told.verb), news }
        });
        let saying = |word: &std::sync::Arc<Word>| {
            let (who, what, text) = sentence(&word.action)?;
            Some(Saying { at: word.at, who, what, text })
        };
        Some(Whole {
            tenant: known.line.tenant.to_string(),
            record: known.record()?,
            history: history.collect(),
            said: words.iter().filter_map(saying).collect(),
        })
    }
}

fn verb(verb: Verb) -> String {
    verb.name().to_owned()
}

/// What is to be done to an incident.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Deed {
    /// `acknowledge`, `assign`, `resolve`, `reopen`, `close`, `false_positive`, `comment`, `cause`, `merge`, `detach`.
    #[serde(rename = "do")]
    pub what: String,
    /// Who says so; the credential's name where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
    /// For `assign`: to whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// For `comment`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// For `cause`: an entity, `type:name`, or a change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// For `merge`: the incident that goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub into: Option<String>,
    /// For `detach`: the alert's fingerprint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert: Option<String>,
}

/// A silence to be set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Quiet {
    /// Whose alerts; needed where the credential sees several tenants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Alerts of this entity, `type:name`,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity: Option<String>,
    /// or alerts for which this expression holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matching: Option<String>,
    /// For how long: `30m`, `2h`.
    #[serde(rename = "for")]
    pub lasts: String,
    /// From when, in UTC or with a zone: `2026-12-24T22:00`; from now on where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// `once`, `daily`, `weekly`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<String>,
    /// How often it comes, when it comes again: 60 at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// Why.
    pub why: String,
    /// Who says so; the credential's name where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
}

/// A silence that was set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SetSilence {
    /// Whose.
    pub tenant: String,
    /// Its id.
    pub id: String,
    /// An expression over alert columns.
    pub matching: String,
    /// From when.
    pub from: EventTime,
    /// Until when.
    pub until: EventTime,
    /// Who set it, or ended it.
    pub who: String,
    /// Why.
    pub why: String,
}

/// What was taken down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Done {
    /// What follows from it appears within seconds.
    pub done: String,
}

/// Why something was not done or not found (RFC 9457).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// In short.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong, and what to do about it.
    pub detail: String,
}

/// An entity in a list.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct EntityBrief {
    /// What is known of it.
    #[serde(flatten)]
    pub line: EntityLine,
    /// The priority of the most urgent open incident that it is in.
    pub worst: Option<Priority>,
    /// That incident.
    pub incident: Option<String>,
}

/// A page of entities.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Entities {
    /// By name.
    pub entities: Vec<EntityBrief>,
    /// What `cursor` is to be for the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// One entity.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Entity {
    /// What is known of it.
    #[serde(flatten)]
    pub entity: EntityView,
    /// Its alerts, those that fire first.
    pub alerts: Vec<AlertView>,
    /// How many there are.
    pub alerts_known: usize,
    /// The priority of the most urgent open incident that it is in.
    pub worst: Option<Priority>,
    /// That incident.
    pub incident: Option<String>,
}

/// A page of edges.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Edges {
    /// By the entity where they begin.
    pub edges: Vec<EdgeView>,
    /// What `cursor` is to be for the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}
