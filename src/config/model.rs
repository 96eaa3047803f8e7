//! What a configuration file says.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::path::PathBuf;

use bellwether_connectors::outbox::IncidentLogConfig;
use bellwether_connectors::sinks::ndjson::NdjsonSinkConfig;
use bellwether_connectors::sinks::terminal::TerminalSinkConfig;
use bellwether_connectors::wires::WiresConfig;
use bellwether_connectors::{JournalConfig, SinkConfig, SourceConfig};
use bellwether_engine::EngineConfig;
use bellwether_engine::catalogue::Catalogue;
use bellwether_engine::time::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Refused;

/// The configuration of `bellwether run`. Everything but what is read has a default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Folder for the journal, checkpoints and refused rows. It belongs to one process. Like every
    /// relative path here it begins at the folder of this file.
    pub state: PathBuf,
    /// Threads of the engine; all cores when left out. Results do not depend on it.
    pub threads: Option<NonZeroUsize>,
    /// How often the time of day is written into the journal, so that silence is noticed.
    /// `0s` switches it off: then only signals move time, as for recorded data.
    pub tick: Span,
    /// What is known of each tenant beside its telemetry.
    pub tenants: BTreeMap<String, TenantConfig>,
    /// The journal; `<state>/journal` with its defaults when left out.
    pub journal: Option<JournalConfig>,
    /// The log of incident events that every sink reads: how much of it is kept.
    pub incident_log: IncidentLogConfig,
    /// How often the engine's state is written down.
    pub checkpoint: CheckpointPolicy,
    /// What is read.
    pub sources: Vec<SourceConfig>,
    /// What is listened for: remote write, Alertmanager's API, OTLP, syslog, … Each is on when it
    /// is named, `alertmanager: {}`.
    pub wires: WiresConfig,
    /// Who gets the incidents: the screen and `<state>/incidents.ndjson` when left out.
    pub sinks: Vec<SinkConfig>,
    /// The engine's own settings.
    pub engine: EngineConfig,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            state: PathBuf::from("bellwether-state"),
            threads: None,
            tick: Span::from_secs(5),
            tenants: BTreeMap::new(),
            journal: None,
            incident_log: IncidentLogConfig::default(),
            checkpoint: CheckpointPolicy::default(),
            sources: Vec::new(),
            wires: WiresConfig::default(),
            sinks: Vec::new(),
            engine: EngineConfig::default(),
        }
    }
}

impl Config {
    /// The journal's settings.
    pub fn journal_config(&self) -> JournalConfig {
        self.journal.clone().unwrap_or_else(|| JournalConfig::new(self.state.join("journal")))
    }

    /// Checks that each sink has a name of its own: a name is a cursor, and two readers of one cursor
    /// would each skip what the other has.
    ///
    /// # Errors
    /// The name that is there twice, with the remedy.
    pub fn check_sink_names(&self) -> Result<(), String> {
        let mut seen = BTreeSet::new();
        match self.sinks.iter().find(|sink| !seen.insert(sink.name())) {
            Some(sink) => Err(format!(
                "two sinks are called `{}`: give each a `name` of its own, it is by that that its place in the \
                 incident log is kept",
                sink.name()
            )),
            None => Ok(()),
        }
    }

    /// Who gets the incidents.
    pub fn sinks_or_default(&self) -> Vec<SinkConfig> {
        if !self.sinks.is_empty() {
            return self.sinks.clone();
        }
        let file = NdjsonSinkConfig { name: "incidents".to_owned(), path: self.state.join(INCIDENTS_FILE) };
        vec![SinkConfig::Terminal(TerminalSinkConfig::default()), SinkConfig::Ndjson(file)]
    }
}

/// The catalogues a configuration names, by tenant.
///
/// # Errors
/// [`Refused`] for the first catalogue with mistakes.
pub fn load_catalogues(config: &Config) -> Result<Vec<(String, Catalogue)>, Refused> {
    let named = config.tenants.iter().filter_map(|(tenant, t)| Some((tenant, t.catalogue.as_ref()?)));
    named.map(|(tenant, path)| Ok((tenant.clone(), super::load(path)?))).collect()
}

/// Where incidents go by default, in the state folder.
pub const INCIDENTS_FILE: &str = "incidents.ndjson";

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
}

impl Default for CheckpointPolicy {
    fn default() -> CheckpointPolicy {
        CheckpointPolicy { every: Span::from_secs(30), entries: 20_000 }
    }
}
