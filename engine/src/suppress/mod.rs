//! `suppress`: holds back what needs nobody, and says who held it back and why.
//!
//! ```yaml
//! suppress:
//!   flapping: {changes: 5, within: 1h, quiet: 15m}
//!   inhibit:
//!     - {source: "name = 'HostDown'", target: "severity IN ('warning', 'minor')", equal: [host]}
//! ```
//!
//! Four mechanisms, asked in this order: maintenance windows of the catalogue, silences of
//! operators, inhibition by another firing alert, flapping. A suppressed alert stays in the
//! tables with its state; when the reason ends while it still fires, it goes on.

mod inhibit;
mod silence;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::alert::{Alert, Suppression, Suppressor};
use crate::catalogue::Maintenance;
use crate::expr::ExpressionError;
use crate::symbols::Symbols;
use crate::time::{EventTime, Span};
use crate::topology::Topology;

pub use inhibit::InhibitRule;
pub(crate) use inhibit::{CompiledInhibit, Inhibitors};
pub(crate) use silence::{Silences, alert_matches};

/// Settings of the `suppress` stage.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SuppressConfig {
    /// When an alert that fires and recovers again and again is held back.
    pub flapping: FlappingConfig,
    /// Which alerts say the same as which others, but better.
    pub inhibit: Vec<InhibitRule>,
}

/// When an alert flaps.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FlappingConfig {
    /// So many changes of status …
    pub changes: usize,
    /// … within this long are flapping.
    pub within: Span,
    /// It has calmed down after so long without a change.
    pub quiet: Span,
}

impl Default for FlappingConfig {
    fn default() -> Self {
        FlappingConfig { changes: 5, within: Span::from_hours(1), quiet: Span::from_mins(15) }
    }
}

/// Everything the stage looks at beside the alert.
pub(crate) struct Scene<'a> {
    pub(crate) flapping: &'a FlappingConfig,
    pub(crate) inhibit: &'a [CompiledInhibit],
    pub(crate) inhibitors: &'a Inhibitors,
    pub(crate) silences: &'a Silences,
    pub(crate) maintenance: &'a [Maintenance],
    pub(crate) topology: &'a Topology,
    pub(crate) names: &'a Symbols,
    pub(crate) entities: &'a Symbols,
}

/// Who holds `alert` back at `now`, if anybody.
pub(crate) fn verdict(alert: &Alert, now: EventTime, scene: &Scene<'_>) -> Option<Suppression> {
    in_maintenance(alert, now, scene)
        .or_else(|| scene.silences.covering(alert, now, scene))
        .or_else(|| scene.inhibitors.inhibiting(alert, scene))
        .or_else(|| flapping(alert, now, scene.flapping))
}

/// How far below an announced item work on it is felt: what runs on it, and what runs on that.
const MAINTENANCE_HOPS: u8 = 2;

fn in_maintenance(alert: &Alert, now: EventTime, scene: &Scene<'_>) -> Option<Suppression> {
    let window = scene.maintenance.iter().find(|window| {
        window.from <= now
            && now < window.to
            && scene.entities.get(&window.entity).is_some_and(|item| {
                item == alert.entity
                    || scene
                        .topology
                        .dependencies(alert.entity, MAINTENANCE_HOPS)
                        .iter()
                        .any(|r| r.entity == item && r.relation == crate::signal::Relation::RunsOn)
            })
    })?;
    Some(Suppression {
        by: Suppressor::Maintenance,
        reason: format!("work on {} until {}: {}", window.entity, window.to, window.reason).into(),
        until: Some(window.to),
    })
}

fn flapping(alert: &Alert, now: EventTime, config: &FlappingConfig) -> Option<Suppression> {
    let last = *alert.transitions.last()?;
    let quiet_at = last.plus(config.quiet);
    if now >= quiet_at {
        return None;
    }
    let since = last.minus(config.within);
    let changes = alert.transitions.iter().filter(|at| **at >= since).count();
    let enough = config.changes.clamp(2, crate::alert::TRANSITIONS_KEPT);
    (changes >= enough).then(|| Suppression {
        by: Suppressor::Flapping,
        reason: format!("{changes} changes of status within {}", config.within).into(),
        until: Some(quiet_at),
    })
}

/// Compiles the rules of `config`.
///
/// # Errors
/// The first expression that does not read.
pub(crate) fn compile(config: &SuppressConfig) -> Result<Vec<CompiledInhibit>, ExpressionError> {
    config.inhibit.iter().map(CompiledInhibit::new).collect()
}
