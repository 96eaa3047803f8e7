//! What a configuration file says.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use bellwether_engine::time::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The configuration of `bellwether run`. Everything has a default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Folder for the journal, checkpoints and refused rows. It belongs to one process.
    pub state: PathBuf,
    /// Threads of the engine; all cores when left out. Results do not depend on it.
    pub threads: Option<NonZeroUsize>,
    /// How often the time of day is written into the journal, so that silence is noticed.
    /// `0s` switches it off: then only signals move time, as for recorded data.
    pub tick: Span,
    /// What is known of each tenant beside its telemetry.
    pub tenants: BTreeMap<String, TenantConfig>,
    /// How often the engine's state is written down.
    pub checkpoint: CheckpointPolicy,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            state: PathBuf::from("bellwether-state"),
            threads: None,
            tick: Span::from_secs(5),
            tenants: BTreeMap::new(),
            checkpoint: CheckpointPolicy::default(),
        }
    }
}

/// One tenant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TenantConfig {
    /// File with teams, services, SLAs, topology and maintenance windows
    /// (`bellwether schema catalogue`).
    pub catalogue: Option<PathBuf>,
}

/// When a checkpoint is written: whichever comes first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CheckpointPolicy {
    /// After this long with something new.
    pub every: Span,
    /// After this many journal entries: bounds what a restart has to read again.
    pub entries: u64,
    /// How many are kept; the newest that reads well is used.
    pub keep: NonZeroUsize,
}

impl Default for CheckpointPolicy {
    fn default() -> CheckpointPolicy {
        CheckpointPolicy {
            every: Span::from_secs(30),
            entries: 20_000,
            keep: NonZeroUsize::new(3).expect("three is not zero"),
        }
    }
}
