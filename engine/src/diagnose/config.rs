//! Settings of the `diagnose` stage.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ranking::RankingConfig;
use crate::time::Span;

/// Settings of the `diagnose` stage.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DiagnoseConfig {
    /// Changes up to this long before the first symptom may be the cause.
    pub change_window: Span,
    /// How far trouble is followed through the topology, in steps.
    pub hops_max: u8,
    /// Below this confidence, 0–1, the cause is "unknown".
    pub confidence_min: f64,
    /// How causes are ranked.
    pub ranking: RankingConfig,
}

impl Default for DiagnoseConfig {
    fn default() -> Self {
        DiagnoseConfig {
            change_window: Span::from_hours(24),
            hops_max: 4,
            confidence_min: 0.2,
            ranking: RankingConfig::default(),
        }
    }
}
