//! The anomaly alert of a series: raised by what the metric model says of a point, ended by usual ones.

use bellwether_models::metric::Verdict;
use serde::{Deserialize, Serialize};

use super::compiled::CompiledSense;
use super::level::Level;
use super::meta::SeriesMeta;
use super::raise::{Raise, short};
use crate::alert::{DetectorKind, Observation, Sensed};
use crate::incident::EvidenceSignal;
use crate::signal::{AlertStatus, Severity};
use crate::time::EventTime;

/// Name of the alerts of the anomaly detector.
pub(super) const ANOMALY_ALERT: &str = "MetricAnomaly";

/// Rarity from which an anomaly is clear rather than faint.
const CLEAR_RARITY: f64 = 0.7;

/// State of the anomaly alert of one series.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(super) struct AnomalyState {
    /// When the open anomaly began.
    pub(super) since: Option<EventTime>,
    /// Usual points in a row since.
    calm: u8,
}

/// Raises or ends the anomaly alert of a series.
pub(super) fn raise(
    state: &mut AnomalyState,
    (level, meta, felt): (&mut Level, &SeriesMeta, bool),
    (at, value): (EventTime, f64),
    verdict: &Verdict,
    sense: &CompiledSense,
    out: &mut Vec<(EventTime, Sensed)>,
) {
    let usual = value >= verdict.lower && value <= verdict.upper;
    let status = match (state.since, verdict.anomaly) {
        // Trouble that ends is not trouble.
        (None, true) if level.is_back(at, value, verdict) => return,
        (None, true) => {
            level.leave(at, verdict);
            state.since = Some(at);
            state.calm = 0;
            AlertStatus::Firing
        }
        (Some(_), _) if !usual => {
            state.calm = 0;
            return;
        }
        (Some(_), _) => {
            state.calm = state.calm.saturating_add(1);
            if state.calm < sense.anomalies.calm_points {
                return;
            }
            AlertStatus::Resolved
        }
        (None, false) => return,
    };
    let since = state.since.unwrap_or(at);
    if status == AlertStatus::Resolved {
        state.since = None;
    }
    let severity = match sense.anomalies.severity {
        clear if verdict.rarity >= CLEAR_RARITY => clear,
        Severity::Critical => Severity::Major,
        Severity::Major => Severity::Minor,
        Severity::Minor => Severity::Warning,
        Severity::Warning | Severity::Info => Severity::Info,
    };
    let summary = format!("{} on {}: {}", meta.name, meta.entity, verdict.reason.sentence(verdict, value));
    out.push(
        Raise {
            summary: if status == AlertStatus::Firing {
                summary
            } else {
                format!("{} on {} is back to {}", meta.name, meta.entity, short(value))
            },
            observation: Some(Observation {
                signal: EvidenceSignal::Metric,
                name: meta.name.clone(),
                value: Some(value),
                expected: Some(verdict.expected).filter(|v| v.is_finite()),
                score: verdict.rarity,
                detector: DetectorKind::Anomaly,
                felt,
            }),
            ..Raise::of_series((ANOMALY_ALERT, severity), meta, status, since)
        }
        .at(at),
    );
}
