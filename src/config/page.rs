//! The page for people, as the configuration says it.

use bellwether_engine::time::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The page for people, at `/page` of the HTTP listener: `page: {}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PageConfig {
    /// Bytes that what it knows of incidents may take; beyond, those that are over for the longest are forgotten. An
    /// incident takes some 4 KiB.
    pub memory_bytes: usize,
    /// Bytes that the points of the last three hours may take, for pictures; beyond, series that come later have none. A
    /// series takes some 1.8 KiB.
    pub points_bytes: usize,
    /// How long a browser stays signed in.
    pub session: Span,
}

impl Default for PageConfig {
    fn default() -> PageConfig {
        PageConfig { memory_bytes: 128 << 20, points_bytes: 128 << 20, session: Span::from_hours(12) }
    }
}
