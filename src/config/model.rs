//! What a configuration file says.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::path::PathBuf;

use bellwether_connectors::bridges::{self, BridgeConfig, BridgeError};
use bellwether_connectors::memory::{Limit, Memory};
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
use super::knowledge::articles;
use super::page::PageConfig;

/// The configuration of `bellwether run`. Everything but what is read has a default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Folder for the journal, checkpoints and refused rows. It belongs to one process. Like every
    /// relative path here it begins at the folder of this file.
    pub state: PathBuf,
    /// Threads of the engine; all cores when left out. Results do not depend on it.
    pub threads: Option<NonZeroUsize>,
    /// Parts of the state folder with a journal and an engine each; a tenant lives in one, so that others do not wait
    /// for it. As many as cores when left out; fixed when the folder is begun.
    pub partitions: Option<NonZeroUsize>,
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
    /// How much memory the process may take.
    pub memory: MemoryConfig,
    /// What is read.
    pub sources: Vec<SourceConfig>,
    /// What is listened for: remote write, Alertmanager's API, OTLP, syslog, … Each is on when it
    /// is named, `alertmanager: {}`.
    pub wires: WiresConfig,
    /// Who gets the incidents: the screen and `<state>/incidents.ndjson` when left out.
    pub sinks: Vec<SinkConfig>,
    /// The page for people at `/page` of the HTTP listener: `page: {}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<PageConfig>,
    /// Ticketing systems: each incident of the tenants they name becomes one ticket, and its life comes back.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bridges: Vec<BridgeConfig>,
    /// The engine's own settings.
    pub engine: EngineConfig,
    /// Files with a section `engine` that is laid over this one's, in this order: what `tune` leaves
    /// as `promote.yaml`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<PathBuf>,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            state: PathBuf::from("bellwether-state"),
            threads: None,
            partitions: None,
            tick: Span::from_secs(5),
            tenants: BTreeMap::new(),
            journal: None,
            incident_log: IncidentLogConfig::default(),
            checkpoint: CheckpointPolicy::default(),
            memory: MemoryConfig::default(),
            sources: Vec::new(),
            wires: WiresConfig::default(),
            sinks: Vec::new(),
            page: None,
            bridges: Vec::new(),
            engine: EngineConfig::default(),
            include: Vec::new(),
        }
    }
}

impl Config {
    /// The engine's settings as they are in force within `limit`: no tenant may hold more than its part.
    #[must_use]
    pub fn engine_within(&self, limit: Option<Limit>) -> EngineConfig {
        let mut engine = self.engine.clone();
        if let Some(limit) = limit {
            let part = Memory::engine_bytes(limit, self.wires.auth.tenants().max(self.tenants.len()));
            engine.limits.tenant_bytes_max = engine.limits.tenant_bytes_max.min(part);
        }
        engine
    }

    /// The journal's settings.
    pub fn journal_config(&self) -> JournalConfig {
        self.journal.clone().unwrap_or_else(|| JournalConfig::new(self.state.join("journal")))
    }

    /// Checks that each source and each sink has a name of its own: by its name a source knows in the
    /// journal how far it has read, and a sink in the incident log. Two of one name would each skip what
    /// the other has.
    ///
    /// # Errors
    /// [`NameTwice`], with the remedy.
    pub fn check_names(&self) -> Result<(), NameTwice> {
        let twice = |name: Option<&str>, what, place| match name {
            Some(name) => Err(NameTwice { what, name: name.to_owned(), place }),
            None => Ok(()),
        };
        let sources = twice_named(self.sources.iter().map(|source| source.name()));
        twice(sources, "sources", "its place in what it reads")?;
        let readers = self.sinks.iter().map(|sink| sink.name());
        let sinks = twice_named(readers.chain(self.bridges.iter().map(|bridge| bridge.name())));
        let what = if self.bridges.is_empty() { "sinks" } else { "sinks or bridges" };
        twice(sinks, what, "its place in the incident log")
    }

    /// Checks each bridge as far as that can be done without its system.
    ///
    /// # Errors
    /// [`BridgeMistake`] with the first key that does not do.
    pub fn check_bridges(&self) -> Result<(), BridgeMistake> {
        let mistake = |bridge: &BridgeConfig, error| BridgeMistake { bridge: bridge.name().to_owned(), error };
        self.bridges.iter().try_for_each(|bridge| bridges::check(bridge).map_err(|error| mistake(bridge, error)))
    }

    /// Who gets the incidents.
    pub fn sinks_or_default(&self) -> Vec<SinkConfig> {
        if !self.sinks.is_empty() {
            return self.sinks.clone();
        }
        let file = NdjsonSinkConfig::new("incidents", self.state.join(INCIDENTS_FILE));
        vec![SinkConfig::Terminal(TerminalSinkConfig::default()), SinkConfig::Ndjson(file)]
    }
}

/// A bridge does not do.
#[derive(Debug, thiserror::Error)]
#[error("bridge `{bridge}`: {error}")]
pub struct BridgeMistake {
    bridge: String,
    error: BridgeError,
}

/// Two of a kind have one name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("two {what} are called `{name}`: give each a `name` of its own, it is by that that {place} is kept")]
pub struct NameTwice {
    what: &'static str,
    name: String,
    /// What is kept by the name.
    place: &'static str,
}

/// The first name that was there before.
fn twice_named<'n>(mut names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let mut seen = BTreeSet::new();
    names.find(|name| !seen.insert(*name))
}

/// The catalogues a configuration names, by tenant.
///
/// # Errors
/// [`Refused`] for the first catalogue with mistakes.
pub fn load_catalogues(config: &Config) -> Result<Vec<(String, Catalogue)>, Refused> {
    let mut all = Vec::new();
    for (tenant, TenantConfig { catalogue: path, knowledge }) in &config.tenants {
        if path.is_none() && knowledge.is_none() {
            continue;
        }
        let mut catalogue = match path {
            Some(path) => {
                let catalogue: Catalogue = super::load(path)?;
                catalogue.check().map_err(|reason| Refused::of(path, reason))?;
                catalogue
            }
            None => Catalogue::default(),
        };
        if let Some(folder) = knowledge {
            catalogue.knowledge.extend(articles(folder).map_err(|reason| Refused::of(folder, reason))?);
        }
        all.push((tenant.clone(), catalogue));
    }
    Ok(all)
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
    /// Folder of Markdown files that tell what to do, one article each: the first headline is its title. Those that
    /// fit an incident are named in its record.
    pub knowledge: Option<PathBuf>,
}

/// How much memory the process may take.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MemoryConfig {
    /// Bytes; what the cgroup of the process may take, else what the machine has, when left out. Near to it
    /// senders are told to come again: of logs first, of alerts last.
    pub limit_bytes: Option<usize>,
}

impl MemoryConfig {
    /// What the process may take; `None` where nothing says how much there is.
    pub fn limit(&self) -> Option<Limit> {
        Limit::find(self.limit_bytes)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_of_one_name_are_refused_with_the_remedy_and_a_source_may_be_called_as_a_sink() {
        let checked =
            |text: &str| crate::config::parse::<Config>("c.yaml", text.to_owned()).expect("reads").check_names();
        let source = "{tenant: acme, paths: [a.csv]}";
        let sources = format!("sources: [files: {source}, files: {source}]");
        let error = checked(&sources).expect_err("two").to_string();
        assert!(error.contains("two sources are called `files`") && error.contains("`name` of its own"), "{error}");
        let error =
            checked("sinks: [ndjson: {path: a}, terminal: {}, ndjson: {path: b}]").expect_err("two").to_string();
        assert!(error.contains("two sinks are called `ndjson`") && error.contains("incident log"), "{error}");
        let apart = format!(
            "sources: [files: {source}, stdin: {{tenant: acme, name: in}}]\nsinks: [ndjson: {{name: files, path: a}}]"
        );
        assert_eq!(checked(&apart), Ok(()));
    }
}
