//! The fold: `(state, entry) → (state', incident events)`.
//!
//! ```text
//! door        checks rows, decides lateness           tenant/door.rs
//! sense       telemetry → alerts, by shards           sense/
//! dedup       knows an alert again                    dedup.rs
//! suppress    holds back what needs nobody            suppress/
//! correlate   alerts → groups                         correlate.rs
//! diagnose    causes, blast radius                    diagnose/
//! enrich      owner, priority, SLA, history, words    enrich/
//! ledger      the life of incidents, revisions        ledger/
//! ```
//!
//! The engine has no clock, socket, file or randomness: equal entries in equal order give equal
//! events and equal state, on any number of threads and however rows were batched. The stages
//! see each tenant's events in order of event time below the watermark, which trails the latest
//! event time by the configured lateness.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use bellwether_models::group::LabelledPair;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::checkpoint::{self, CheckpointError};
use crate::config::EngineConfig;
use crate::explain::{Explanation, LearnedDelay, Placed};
use crate::incident::IncidentEvent;
use crate::input::Input;
use crate::sense::{CompiledSense, SeriesView, shard_of};
use crate::signal::check_tenant;
use crate::stats::EngineStats;
use crate::suppress::{self, CompiledInhibit};
use crate::tenant::{SavedPending, Tenant};
use crate::time::{EventTime, Span};
use crate::topology::EdgeView;

/// Most tenants of one engine; entries of further ones are refused and counted.
pub const TENANTS_MAX: usize = 10_000;

/// Why a configuration cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// A setting is out of bounds or an expression does not read.
    #[error("configuration cannot be used: {0}")]
    Config(String),
    /// The threads could not be started.
    #[error("cannot start {threads} threads: {why}")]
    Threads {
        /// How many were asked for.
        threads: usize,
        /// What the system says.
        why: String,
    },
}

/// The configuration, checked, with its expressions compiled.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) config: EngineConfig,
    pub(crate) config_hash: String,
    pub(crate) sense: CompiledSense,
    pub(crate) inhibit: Vec<CompiledInhibit>,
    /// Threads for the shards; none when there is one thread: handing work to a single worker and
    /// waiting for it only costs two wake-ups an entry.
    pub(crate) workers: Option<Arc<rayon::ThreadPool>>,
}

impl Compiled {
    fn new(config: EngineConfig, workers: Option<Arc<rayon::ThreadPool>>) -> Result<Compiled, BuildError> {
        for (name, span) in [
            ("lateness", config.lateness),
            ("ledger.group_wait", config.ledger.group_wait),
            ("ledger.update_every", config.ledger.update_every),
        ] {
            if span < Span::ZERO {
                return Err(BuildError::Config(format!("{name} must not be negative")));
            }
        }
        let threshold = config.correlate.threshold;
        if !(threshold > 0.0 && threshold < 1.0) {
            let text = format!("correlate.threshold is {threshold}, use a number between 0 and 1");
            return Err(BuildError::Config(text));
        }
        let sense = CompiledSense::new(&config.sense).map_err(BuildError::Config)?;
        let inhibit =
            suppress::compile(&config.suppress).map_err(|e| BuildError::Config(format!("suppress.inhibit: {e}")))?;
        Ok(Compiled { config_hash: config.hash(), config, sense, inhibit, workers })
    }
}

fn workers(threads: NonZeroUsize) -> Result<Option<Arc<rayon::ThreadPool>>, BuildError> {
    let threads = threads.get();
    if threads == 1 {
        return Ok(None);
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).thread_name(|i| format!("engine-{i}"));
    let pool = pool.build().map_err(|e| BuildError::Threads { threads, why: e.to_string() })?;
    Ok(Some(Arc::new(pool)))
}

/// The engine: state, and the function that folds entries into it.
pub struct Engine {
    compiled: Arc<Compiled>,
    tenants: BTreeMap<Arc<str>, Tenant>,
    tenants_refused: u64,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("tenants", &self.tenants.len())
            .field("threads", &self.compiled.workers.as_ref().map_or(1, |workers| workers.current_num_threads()))
            .finish_non_exhaustive()
    }
}

#[derive(Serialize)]
struct StateOut<'a> {
    config_hash: &'a str,
    /// The settings as JSON: they hold what postcard cannot read back.
    config: String,
    tenants_refused: u64,
    tenants: Vec<(&'a Tenant, SavedPending)>,
}

#[derive(Deserialize)]
struct StateIn {
    config_hash: String,
    config: String,
    tenants_refused: u64,
    tenants: Vec<(Tenant, SavedPending)>,
}

/// Checks settings without making an engine of them.
///
/// # Errors
/// [`BuildError`] when they cannot be used.
pub fn check_settings(config: &EngineConfig) -> Result<(), BuildError> {
    Compiled::new(config.clone(), None).map(|_| ())
}

impl Engine {
    /// An engine that has read nothing, working on `threads` threads.
    ///
    /// # Errors
    /// [`BuildError`] when the configuration cannot be used.
    pub fn new(config: EngineConfig, threads: NonZeroUsize) -> Result<Engine, BuildError> {
        let compiled = Arc::new(Compiled::new(config, workers(threads)?)?);
        Ok(Engine { compiled, tenants: BTreeMap::new(), tenants_refused: 0 })
    }

    /// Folds one journal entry into the state; incident events are appended to `out`, each
    /// tenant's in order of event time.
    pub fn apply(&mut self, input: &Input, out: &mut Vec<IncidentEvent>) {
        let compiled = self.compiled.clone();
        let lateness = compiled.config.lateness;
        match input {
            Input::Tick(at) => {
                for tenant in self.tenants.values_mut() {
                    tenant.max_seen = tenant.max_seen.max(*at);
                }
                self.release_all(|tenant| tenant.watermark(lateness), out);
            }
            Input::Batch(batch) => {
                let Some(tenant) = self.tenant(batch.tenant()) else {
                    return;
                };
                tenant.admit_batch(batch, &compiled);
                self.release_one(batch.tenant(), out);
            }
            Input::Catalogue { tenant: name, at, catalogue } => {
                if let Some(tenant) = self.tenant(name) {
                    tenant.admit_catalogue(*at, catalogue);
                }
            }
            Input::Settings(settings) => self.retune(settings, out),
            Input::Action { tenant: name, at, action } => {
                if let Some(tenant) = self.tenant(name) {
                    tenant.admit_action(*at, action, lateness);
                }
                self.release_one(name, out);
            }
        }
    }

    /// Works by other settings from here on; those that cannot be used change nothing: who
    /// writes them into the journal has checked them, and a replay must not end.
    fn retune(&mut self, settings: &EngineConfig, out: &mut Vec<IncidentEvent>) {
        if *settings == self.compiled.config {
            return;
        }
        let Ok(fresh) = Compiled::new(settings.clone(), self.compiled.workers.clone()) else { return };
        let before = std::mem::replace(&mut self.compiled, Arc::new(fresh));
        for tenant in self.tenants.values_mut() {
            tenant.retune(&before, &self.compiled, out);
        }
    }

    /// The settings in force.
    pub fn settings(&self) -> &EngineConfig {
        &self.compiled.config
    }

    /// What a series is: its metric, its entity and its labels; `None` when it is not known.
    pub fn series(&self, tenant: &str, series: u64) -> Option<SeriesView<'_>> {
        let shards = &self.tenants.get(tenant)?.metrics;
        shards[shard_of(series)].meta(series)
    }

    /// Ends a finite input: everything that waits is processed, and groups that wait for their
    /// other symptoms are told. Nothing is resolved that has not recovered.
    pub fn finish(&mut self, out: &mut Vec<IncidentEvent>) {
        let latest = self.tenants.values().map(|t| t.max_seen).max();
        let Some(latest) = latest.filter(|at| *at != EventTime::MIN) else {
            return;
        };
        let config = &self.compiled.config;
        let end = latest.plus(config.lateness).plus(config.ledger.group_wait).plus(Span(1));
        self.release_all(|_| end, out);
    }

    /// The least watermark of the tenants: everything before it has been processed.
    pub fn watermark(&self) -> EventTime {
        self.tenants.values().map(|tenant| tenant.released).min().unwrap_or(EventTime::MIN)
    }

    /// What has been counted.
    pub fn stats(&self) -> EngineStats {
        let mut stats = EngineStats { tenants_refused: self.tenants_refused, ..EngineStats::default() };
        for (name, tenant) in &self.tenants {
            stats.include(name, tenant.gauges());
        }
        stats
    }

    /// The whole state as bytes, see [`crate::checkpoint`].
    pub fn snapshot(&self) -> Vec<u8> {
        checkpoint::seal(&StateOut {
            config_hash: &self.compiled.config_hash,
            config: serde_json::to_string(&self.compiled.config).expect("a configuration is JSON"),
            tenants_refused: self.tenants_refused,
            tenants: self.tenants.values().map(|tenant| (tenant, SavedPending::of(tenant))).collect(),
        })
    }

    /// The engine that [`snapshot`](Self::snapshot) was taken of.
    ///
    /// # Errors
    /// [`CheckpointError`] when the bytes are damaged, of another version, or were taken with
    /// another configuration.
    pub fn restore(config: EngineConfig, threads: NonZeroUsize, bytes: &[u8]) -> Result<Engine, CheckpointError> {
        let engine = Engine::new(config, threads)?;
        let state: StateIn = checkpoint::open(bytes)?;
        if state.config_hash != engine.compiled.config_hash {
            return Err(CheckpointError::Config { have: state.config_hash, now: engine.compiled.config_hash.clone() });
        }
        engine.with_state(state)
    }

    /// The engine that [`snapshot`](Self::snapshot) was taken of, with the settings it had then.
    ///
    /// # Errors
    /// [`CheckpointError`] when the bytes are damaged or of another version.
    pub fn resume(threads: NonZeroUsize, bytes: &[u8]) -> Result<Engine, CheckpointError> {
        let state: StateIn = checkpoint::open(bytes)?;
        let config = serde_json::from_str(&state.config).map_err(|e| CheckpointError::State(e.to_string()))?;
        Engine::new(config, threads)?.with_state(state)
    }

    fn with_state(self, state: StateIn) -> Result<Engine, CheckpointError> {
        let mut engine = self;
        engine.tenants_refused = state.tenants_refused;
        for (mut tenant, pending) in state.tenants {
            tenant.revive();
            pending.restore(&mut tenant).map_err(CheckpointError::State)?;
            engine.tenants.insert(tenant.name.clone(), tenant);
        }
        Ok(engine)
    }

    /// A digest of the whole state: equal states, equal digest.
    pub fn digest(&self) -> u64 {
        checkpoint::checkpoint_digest(&self.snapshot()).expect("a fresh snapshot is whole")
    }

    /// Where each alert of a tenant is now, in order of fingerprint; empty for an unknown tenant.
    pub fn placed(&self, tenant: &str) -> Vec<Placed> {
        self.tenants.get(tenant).map(Tenant::placed).unwrap_or_default()
    }

    /// Why an incident holds what it holds; `None` when the engine no longer knows it.
    pub fn explain(&mut self, tenant: &str, incident: &str) -> Option<Explanation> {
        let related_min = self.compiled.config.ledger.major.related_min;
        self.tenants.get_mut(tenant)?.explain(incident, related_min)
    }

    /// The pairs of alerts that operators have judged, oldest first, to learn weights from.
    pub fn labels(&self, tenant: &str) -> Vec<LabelledPair> {
        self.tenants.get(tenant).map(|t| t.correlator.labels().copied().collect()).unwrap_or_default()
    }

    /// The tenants, by name.
    pub fn tenant_names(&self) -> impl Iterator<Item = &str> {
        self.tenants.keys().map(|name| &**name)
    }

    /// The edges of a tenant with everybody's word about them, by name; empty for an unknown tenant.
    pub fn topology(&self, tenant: &str) -> Vec<EdgeView> {
        self.tenants.get(tenant).map(Tenant::topology_view).unwrap_or_default()
    }

    /// How long trouble takes along each kind of edge of a tenant, as learned so far; empty for an
    /// unknown tenant.
    pub fn delays(&self, tenant: &str) -> Vec<LearnedDelay> {
        self.tenants.get(tenant).map(Tenant::learned_delays).unwrap_or_default()
    }

    /// Why an alert is not in an incident, with what would have changed that.
    pub fn explain_not_in(&mut self, tenant: &str, alert: u64, incident: &str) -> Option<String> {
        self.tenants.get_mut(tenant)?.explain_not_in(alert, incident)
    }

    fn tenant(&mut self, name: &str) -> Option<&mut Tenant> {
        if !self.tenants.contains_key(name) {
            if self.tenants.len() >= TENANTS_MAX || check_tenant(name).is_err() {
                self.tenants_refused += 1;
                return None;
            }
            let tenant = Tenant::new(name, &self.compiled.config);
            self.tenants.insert(name.into(), tenant);
        }
        self.tenants.get_mut(name)
    }

    fn release_one(&mut self, name: &str, out: &mut Vec<IncidentEvent>) {
        let compiled = &self.compiled;
        let Some(tenant) = self.tenants.get_mut(name) else {
            return;
        };
        let mut until = tenant.watermark(compiled.config.lateness);
        if tenant.waiting() > compiled.config.limits.pending_max {
            tenant.stats.released_early += 1;
            until = tenant.max_seen.plus(Span(1));
        }
        tenant.release(until, compiled, out);
    }

    fn release_all(&mut self, until: impl Fn(&Tenant) -> EventTime + Sync, out: &mut Vec<IncidentEvent>) {
        let compiled = &self.compiled;
        let release = |tenant: &mut Tenant| {
            let mut events = Vec::new();
            let until = until(tenant);
            tenant.release(until, compiled, &mut events);
            events
        };
        let tenants = &mut self.tenants;
        let events: Vec<Vec<IncidentEvent>> = match &compiled.workers {
            Some(workers) if tenants.len() > 1 => {
                workers.install(|| tenants.par_iter_mut().map(|(_, tenant)| release(tenant)).collect())
            }
            _ => tenants.values_mut().map(release).collect(),
        };
        out.extend(events.into_iter().flatten());
    }
}
