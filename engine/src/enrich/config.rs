//! Settings of the `enrich` stage.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of the `enrich` stage.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EnrichConfig {
    /// The team that gets what nobody owns.
    pub default_team: String,
    /// Past incidents at least this similar, 0–1, are shown.
    pub similar_min: f64,
    /// Assign people by skill and load, not only teams.
    pub assign_people: bool,
}

impl Default for EnrichConfig {
    fn default() -> Self {
        EnrichConfig { default_team: "operations".to_owned(), similar_min: 0.35, assign_people: true }
    }
}
