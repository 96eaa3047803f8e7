//! The truth of a simulation: what broke, why, whom it hurt, and which alert tells of what.
//!
//! Written beside a simulated journal as `truth.json`. The engine never reads it.

use bellwether_engine::time::EventTime;
use serde::{Deserialize, Serialize};

use crate::faults::FaultKind;

/// Everything a simulation knows and the engine must find out.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Truth {
    /// The seed that made it.
    pub seed: u64,
    /// What broke, in order of its beginning.
    pub faults: Vec<FaultTruth>,
    /// Every firing of every alert, in the order in which the tools raised them.
    pub alerts: Vec<AlertTruth>,
}

/// One fault.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultTruth {
    /// `fault-1`, `fault-2`, …
    pub id: String,
    /// Whose estate.
    pub tenant: String,
    /// What kind.
    pub kind: FaultKind,
    /// The item it struck.
    pub cause: String,
    /// The change that brought it about, by its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<String>,
    /// First trace.
    pub starts_at: EventTime,
    /// When the repair begins to tell.
    pub ends_at: EventTime,
    /// What else feels it, in order of time; without the item struck.
    pub affected: Vec<AffectedTruth>,
    /// Customers of what is affected, sorted.
    pub customers: Vec<String>,
    /// How many firings tell of it; 0 when no tool saw it.
    pub firings: u64,
}

/// One item that feels a fault.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AffectedTruth {
    /// `type:name`.
    pub entity: String,
    /// Since when.
    pub since: EventTime,
    /// How strongly, 0–1.
    pub strength: f64,
}

/// One firing of one alert.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertTruth {
    /// Whose.
    pub tenant: String,
    /// 16 hexadecimal digits, as in incident records.
    pub fingerprint: String,
    /// The tool.
    pub source: String,
    /// Its rule.
    pub name: String,
    /// `type:name`.
    pub entity: String,
    /// When the tool says it began.
    pub starts_at: EventTime,
    /// The fault it tells of; none for noise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}
