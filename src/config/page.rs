//! The page for people, as the configuration says it.

use bellwether_connectors::memory::Limit;
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

/// What incidents and points may each take of the process' memory.
const PART_OF_LIMIT: usize = 16;

impl PageConfig {
    /// The same in a process that may take no more than `limit`: the page leaves the rest to the engine and its doors.
    #[must_use]
    pub fn within(&self, limit: Option<Limit>) -> PageConfig {
        let most = limit.map_or(usize::MAX, |limit| limit.bytes / PART_OF_LIMIT);
        let (memory_bytes, points_bytes) = (self.memory_bytes.min(most), self.points_bytes.min(most));
        PageConfig { memory_bytes, points_bytes, ..self.clone() }
    }
}

impl Default for PageConfig {
    fn default() -> PageConfig {
        PageConfig { memory_bytes: 128 << 20, points_bytes: 128 << 20, session: Span::from_hours(12) }
    }
}

#[cfg(test)]
mod tests {
    use bellwether_connectors::memory::LimitSource;

    use super::*;

    #[test]
    fn a_small_process_has_a_small_page() {
        let limit = |bytes| Some(Limit { bytes, source: LimitSource::Configured });
        let taken = |limit| {
            let page = PageConfig { points_bytes: 20 << 20, ..PageConfig::default() }.within(limit);
            (page.memory_bytes >> 20, page.points_bytes >> 20)
        };
        assert_eq!(taken(limit(160 << 20)), (10, 10));
        assert_eq!(taken(limit(1 << 30)), (64, 20));
        assert_eq!(taken(None), (128, 20));
    }
}
