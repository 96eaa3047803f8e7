//! Settings of the `suppress` stage.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::inhibit::InhibitRule;
use crate::time::Span;

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
