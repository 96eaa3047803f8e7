//! Settings of the `dedup` stage.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::Span;

/// Settings of the `dedup` stage.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DedupConfig {
    /// An alert without an end time counts as recovered when nothing was heard of it this long.
    pub stale_after: Span,
}

impl Default for DedupConfig {
    fn default() -> Self {
        DedupConfig { stale_after: Span::from_hours(24) }
    }
}
