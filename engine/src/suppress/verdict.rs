//! Who holds an alert back, and why: the four mechanisms in the order in which they are asked.

use super::config::{FlappingConfig, SuppressConfig};
use super::inhibit::{CompiledInhibit, Inhibitors};
use super::silence::Silences;
use crate::alert::{Alert, Suppression, Suppressor, TRANSITIONS_KEPT};
use crate::catalogue::Maintenance;
use crate::expr::ExpressionError;
use crate::signal::Relation;
use crate::symbols::Symbols;
use crate::time::EventTime;
use crate::topology::Topology;

/// Everything the stage looks at beside the alert.
pub(super) struct Scene<'a> {
    pub(super) flapping: &'a FlappingConfig,
    pub(super) inhibit: &'a [CompiledInhibit],
    pub(super) inhibitors: &'a Inhibitors,
    pub(super) silences: &'a Silences,
    pub(super) maintenance: &'a [Maintenance],
    pub(super) topology: &'a Topology,
    pub(super) names: &'a Symbols,
    pub(super) entities: &'a Symbols,
}

/// Who holds `alert` back at `now`, if anybody.
pub(super) fn verdict(alert: &Alert, now: EventTime, scene: &Scene<'_>) -> Option<Suppression> {
    in_maintenance(alert, now, scene)
        .or_else(|| scene.silences.covering(alert, now, (scene.names, scene.entities)))
        .or_else(|| scene.inhibitors.inhibiting(alert, scene.inhibit, (scene.names, scene.entities)))
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
                        .any(|r| r.entity == item && r.relation == Relation::RunsOn)
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
    let enough = config.changes.clamp(2, TRANSITIONS_KEPT);
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
