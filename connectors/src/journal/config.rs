//! Where the journal is, and how much of it is kept.

use std::path::PathBuf;

use bellwether_engine::time::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where the journal is, and how much of it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JournalConfig {
    /// Folder of the journal. It belongs to one process at a time.
    pub dir: PathBuf,
    /// A segment file is closed when it reaches this many bytes.
    #[serde(default = "default_segment_bytes")]
    pub segment_bytes: u64,
    /// Keep about this many bytes of entries that no checkpoint needs any more.
    #[serde(default = "default_retain_bytes")]
    pub retain_bytes: u64,
    /// Keep entries that no checkpoint needs any more for this long.
    #[serde(default = "default_retain_age")]
    pub retain_age: Span,
    /// Refuse new entries (senders are told to retry) when the journal reaches this many
    /// bytes although everything that may be dropped has been dropped.
    #[serde(default = "default_capacity_bytes")]
    pub capacity_bytes: u64,
}

fn default_segment_bytes() -> u64 {
    64 << 20
}

fn default_retain_bytes() -> u64 {
    4 << 30
}

fn default_retain_age() -> Span {
    Span::from_hours(48)
}

fn default_capacity_bytes() -> u64 {
    16 << 30
}

impl JournalConfig {
    /// The defaults in folder `dir`.
    pub fn new(dir: impl Into<PathBuf>) -> JournalConfig {
        JournalConfig {
            dir: dir.into(),
            segment_bytes: default_segment_bytes(),
            retain_bytes: default_retain_bytes(),
            retain_age: default_retain_age(),
            capacity_bytes: default_capacity_bytes(),
        }
    }
}
