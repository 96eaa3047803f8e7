//! Settings of the `ledger` stage.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::major::MajorConfig;
use crate::signal::Severity;
use crate::time::Span;

/// Settings of the `ledger` stage.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LedgerConfig {
    /// A new group waits this long for its other symptoms.
    pub group_wait: Span,
    /// Pause before the first update; it doubles with each one.
    pub update_every: Span,
    /// Longest pause between updates.
    pub update_every_max: Span,
    /// An incident whose alerts have all recovered is resolved after this long.
    pub resolve_after: Span,
    /// A relapse within this long after the resolution reopens it.
    pub reopen_within: Span,
    /// A resolved incident is closed after this long.
    pub close_after: Span,
    /// An incident nobody has heard of for this long is resolved as stale.
    pub stale_after: Span,
    /// Weight, 0–1, from which a group of alerts is an incident.
    pub open_weight: f64,
    /// Severity from which a single alert of a person's rule, here or in another tool, is an incident once it has
    /// lasted five minutes; what is less severe waits for others.
    #[serde(skip_serializing_if = "is_tell_from_default")]
    pub tell_from: Severity,
    /// Two incidents that name the same cause with at least this confidence, 0–1, are one.
    pub same_cause_min: f64,
    /// The owner follows the diagnosis for this long after the opening, unless somebody
    /// acknowledges; then a ticket no longer wanders because a guess moved.
    pub owner_settles_after: Span,
    /// What one alert of each severity weighs, 0–1; weights of different alerts add up.
    pub weights: SeverityWeights,
    /// When one incident is the major one over others.
    pub major: MajorConfig,
}

/// A setting that came later is left out where it says nothing: configurations of before keep their hash.
fn is_tell_from_default(severity: &Severity) -> bool {
    *severity == Severity::Warning
}

/// What one alert of each severity weighs.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SeverityWeights {
    /// Of an `info` alert.
    pub info: f64,
    /// Of a `warning`.
    pub warning: f64,
    /// Of a `minor` alert.
    pub minor: f64,
    /// Of a `major` alert.
    pub major: f64,
    /// Of a `critical` alert.
    pub critical: f64,
}

impl Default for SeverityWeights {
    fn default() -> Self {
        SeverityWeights { info: 0.05, warning: 0.25, minor: 0.5, major: 1.0, critical: 1.0 }
    }
}

impl SeverityWeights {
    /// The weight of one alert.
    pub(crate) fn of(&self, severity: Severity) -> f64 {
        match severity {
            Severity::Info => self.info,
            Severity::Warning => self.warning,
            Severity::Minor => self.minor,
            Severity::Major => self.major,
            Severity::Critical => self.critical,
        }
    }
}

impl Default for LedgerConfig {
    fn default() -> Self {
        LedgerConfig {
            group_wait: Span::from_secs(30),
            update_every: Span::from_mins(1),
            update_every_max: Span::from_mins(15),
            resolve_after: Span::from_mins(5),
            reopen_within: Span::from_mins(30),
            close_after: Span::from_hours(24),
            stale_after: Span::from_hours(24),
            open_weight: 0.5,
            tell_from: Severity::Warning,
            same_cause_min: 0.5,
            owner_settles_after: Span::from_mins(5),
            weights: SeverityWeights::default(),
            major: MajorConfig::default(),
        }
    }
}
