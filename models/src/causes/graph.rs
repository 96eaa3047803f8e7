//! What causes are ranked over: entities as an incident shows them, what depends on what, and changes.

use serde::{Deserialize, Serialize};

/// How one entity depends on another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    /// `from` sends requests to `to`.
    Calls,
    /// `from` runs on `to`.
    RunsOn,
    /// `from` and `to` are connected devices.
    ConnectsTo,
    /// `from` is a part of `to`.
    PartOf,
    /// `from` is owned by `to`; carries no trouble.
    OwnedBy,
}

/// One entity as the incident shows it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CauseNode {
    /// Time of the earliest symptom in nanoseconds; `i64::MAX` for a silent entity.
    pub onset_ns: i64,
    /// How much that time says, 0..1: series of a restless host move at any time.
    pub trust: f64,
    /// How strong the symptoms are, 0..1.
    pub strength: f64,
    /// Whether it has symptoms: an alert, or a condition seen in its telemetry.
    pub alerting: bool,
    /// Its symptoms are no part of the incident: it may be the cause, and is nothing to explain.
    pub outside: bool,
    /// How telling its logs are (new error templates, rate of errors), 0..1.
    pub logs: f64,
    /// How often this entity was the cause before, 0..1; 0 when unknown.
    pub history: f64,
    /// How much its alerts speak of its own condition (a full disk) rather than of what reaches
    /// it from elsewhere (slow answers), 0..1.
    pub condition: f64,
    /// Share of the entities in trouble whose alerts name it as what they wait for, 0..1.
    pub named: f64,
    /// Whether its own alerts name another as what it waits for.
    pub blames: bool,
}

impl CauseNode {
    /// An entity without any symptom.
    pub const SILENT: Self = Self {
        onset_ns: i64::MAX,
        trust: 1.0,
        strength: 0.0,
        alerting: false,
        outside: false,
        logs: 0.0,
        history: 0.0,
        condition: 0.0,
        named: 0.0,
        blames: false,
    };

    /// Whether it is part of what a cause must explain.
    pub(super) fn is_symptom(&self) -> bool {
        self.alerting && !self.outside
    }
}

/// One dependency: failure of `to` explains symptoms at `from`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CauseEdge {
    /// Index of the dependent entity.
    pub from: u32,
    /// Index of the entity depended on.
    pub to: u32,
    /// The kind of dependency.
    pub relation: Relation,
    /// How sure the topology is of this edge, 0..1.
    pub confidence: f64,
}

/// A change before the incident.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CauseChange {
    /// Index of the changed entity.
    pub node: u32,
    /// When it took effect, in nanoseconds.
    pub at_ns: i64,
    /// How often changes of this type precede such incidents, 0..1.
    pub weight: f64,
}
