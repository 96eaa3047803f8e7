//! How causes are ranked: the weights of `bellwether_models::causes`, as configuration.
//!
//! ```yaml
//! diagnose:
//!   ranking:
//!     weights: {explains: 4.5, condition: 2.5}
//!     temperature: 0.5
//! ```

use bellwether_models::causes::CauseParams;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::Span;

/// Settings of the ranking.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RankingConfig {
    /// Weight of each reason.
    pub weights: CauseWeights,
    /// Divides the scores before they become confidences: higher is less sure.
    pub temperature: f64,
    /// Score of "none of these": higher is less sure.
    pub unknown_score: f64,
    /// Chance, 0–1, that the cause is nothing that is seen at all, however well something fits.
    pub unseen: f64,
    /// Weight, 0–1, with which a condition reaches symptoms that no known way leads to: no
    /// catalogue is complete.
    pub unknown_way: f64,
    /// Share, 0–1, of its own slow or failing answers that an entity explains: they came from
    /// somewhere. A condition of its own, or a change on it, explains them in full.
    pub own_effects: f64,
    /// Onsets nearer than this have no order: tools look every so often.
    pub onset_slack: Span,
    /// Lead of an onset at which it has lost two thirds of its worth.
    pub onset_scale: Span,
    /// Age of a change at which it has lost two thirds of its worth.
    pub change_scale: Span,
}

/// Weight of each reason to think that something is the cause; each reason lies in 0–1.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CauseWeights {
    /// Share of the symptoms that trouble there would explain.
    pub explains: f64,
    /// It showed first.
    pub onset: f64,
    /// Strength of its own symptoms.
    pub strength: f64,
    /// Nothing it depends on is in trouble.
    pub unexplained: f64,
    /// A change came shortly before.
    pub change: f64,
    /// Its logs are telling.
    pub logs: f64,
    /// It was the cause before.
    pub history: f64,
    /// Its alerts speak of its own condition, not of what reaches it from elsewhere.
    pub condition: f64,
    /// The alerts of others name it as what they wait for.
    pub named: f64,
}

impl Default for CauseWeights {
    fn default() -> Self {
        let [explains, onset, strength, unexplained, change, logs, history, condition, named] =
            CauseParams::default().weights;
        CauseWeights { explains, onset, strength, unexplained, change, logs, history, condition, named }
    }
}

impl Default for RankingConfig {
    fn default() -> Self {
        let params = CauseParams::default();
        RankingConfig {
            weights: CauseWeights::default(),
            temperature: params.temperature,
            unknown_score: params.unknown_score,
            unseen: params.unseen,
            unknown_way: params.unknown_way,
            own_effects: params.own_effects,
            onset_slack: Span(params.onset_slack_ns),
            onset_scale: Span(params.onset_scale_ns),
            change_scale: Span(params.change_scale_ns),
        }
    }
}

impl RankingConfig {
    pub(super) fn params(&self) -> CauseParams {
        let w = &self.weights;
        CauseParams {
            weights: [
                w.explains,
                w.onset,
                w.strength,
                w.unexplained,
                w.change,
                w.logs,
                w.history,
                w.condition,
                w.named,
            ],
            temperature: self.temperature,
            unknown_score: self.unknown_score,
            unseen: self.unseen,
            unknown_way: self.unknown_way,
            own_effects: self.own_effects,
            onset_slack_ns: self.onset_slack.0,
            onset_scale_ns: self.onset_scale.0,
            change_scale_ns: self.change_scale.0,
            ..CauseParams::default()
        }
    }
}
