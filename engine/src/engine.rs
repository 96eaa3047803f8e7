//! The fold: `(state, entry) → (state', incident events)`.
//!
//! An entry goes to its tenant (`tenant.rs`), which lets it in and takes what the watermark has passed
//! through the stages; `pipeline.rs` lists them in order.
//!
//! The engine has no clock, socket, file or randomness: equal entries in equal order give equal
//! events and equal state, on any number of threads and however rows were batched. The stages
//! see each tenant's events in order of event time below the watermark, which trails the time of arrival
//! (`clock.rs`) by the configured lateness.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use bellwether_models::group::LabelledPair;
use rayon::prelude::*;
use serde::Deserialize;

use crate::admit::SavedPending;
use crate::checkpoint::{self, CheckpointError};
use crate::clock::Clock;
use crate::compiled::{BuildError, Compiled, Workers};
use crate::config::EngineConfig;
use crate::explain::{self, Explanation, LearnedDelay, Placed};
use crate::guard::{Fault, guarded};
use crate::incident::IncidentEvent;
use crate::input::Input;
use crate::ledger::LessonView;
use crate::pieces::Pieces;
use crate::planted::{self, Bug, panic_if_planted};
use crate::sense::{ForecastView, SeriesView, WatchTotals};
use crate::signal::check_tenant;
use crate::snapshot::{self, Snapshot, Taking};
use crate::stats::EngineStats;
use crate::tenant::Tenant;
use crate::time::{EventTime, Span};
use crate::topology::{EdgeView, NearEdge};
use crate::view::{self, AlertsSeen, AlertsWanted, ChangeView, EntityLine, EntityView, ProblemView, TemplateView};

/// Most tenants of one engine; entries of further ones are refused and counted.
pub const TENANTS_MAX: usize = 10_000;

/// The engine: state, and the function that folds entries into it.
pub struct Engine {
    compiled: Arc<Compiled>,
    clock: Clock,
    tenants: BTreeMap<Arc<str>, Tenant>,
    tenants_refused: u64,
    /// The snapshot that is being taken.
    taking: Option<Taking>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("tenants", &self.tenants.len())
            .field("threads", &self.compiled.workers.0.as_ref().map_or(1, |workers| workers.current_num_threads()))
            .finish_non_exhaustive()
    }
}

/// What a checkpoint holds, in the order in which [`Engine::head`] and [`Tenant::write`] put it there.
#[derive(Deserialize)]
struct StateIn {
    config_hash: String,
    config: String,
    clock: Clock,
    tenants_refused: u64,
    tenants: Vec<(Tenant, SavedPending)>,
}

impl Engine {
    /// An engine that has read nothing, working on `threads` threads.
    ///
    /// # Errors
    /// [`BuildError`] when the configuration cannot be used.
    pub fn new(config: EngineConfig, threads: NonZeroUsize) -> Result<Engine, BuildError> {
        Engine::on(&Workers::new(threads)?, config)
    }

    /// The same on threads that other engines work on, too.
    ///
    /// # Errors
    /// [`BuildError`] when the configuration cannot be used.
    pub fn on(workers: &Workers, config: EngineConfig) -> Result<Engine, BuildError> {
        let compiled = Arc::new(Compiled::new(config, workers.clone())?);
        Ok(Engine { compiled, clock: Clock::default(), tenants: BTreeMap::new(), tenants_refused: 0, taking: None })
    }

    /// Folds one journal entry into the state; incident events are appended to `out`, each
    /// tenant's in order of event time. For who has no earlier state to go back to: panics where
    /// [`apply_guarded`](Self::apply_guarded) answers faults.
    pub fn apply(&mut self, input: &Input, out: &mut Vec<IncidentEvent>) {
        raise(&self.apply_guarded(input, out));
    }

    /// The same, and a panic ends nothing but what is known of the tenant that it met: its state is half
    /// changed, so it is let go, and so are its events of this entry. Whoever has an earlier state puts
    /// it in with [`adopt`](Self::adopt). The other tenants have folded the entry.
    #[must_use = "the state of these tenants is gone"]
    pub fn apply_guarded(&mut self, input: &Input, out: &mut Vec<IncidentEvent>) -> Vec<Fault> {
        let compiled = self.compiled.clone();
        let lateness = compiled.config.lateness;
        let bounds = self.clock.bounds(lateness);
        match input {
            Input::Tick(_) if planted::has(Bug::TickIgnored) => Vec::new(),
            Input::Tick(at) => {
                let unknown = self.clock.tick(*at);
                let now = self.clock.now();
                if unknown > Span::ZERO {
                    self.write_rest();
                }
                self.tenants.values_mut().for_each(|tenant| tenant.tick(now, unknown));
                self.release_all(|tenant| tenant.waiting.watermark(lateness), out)
            }
            Input::Batch(batch) => {
                if planted::has(Bug::WatermarkOfTheFastest) {
                    let fastest = self.tenants.values().map(|tenant| tenant.waiting.max_seen).max();
                    self.tenants.values_mut().for_each(|tenant| tenant.waiting.max_seen = fastest.unwrap_or_default());
                }
                self.work_on(batch.tenant(), out, |tenant, out| {
                    panic_if_planted("admit", &tenant.name, batch);
                    tenant.door(&compiled, bounds).batch(batch);
                    tenant.release_due(&compiled, out);
                })
            }
            Input::Catalogue { tenant: name, at, catalogue } => {
                self.work_on(name, out, |tenant, _| tenant.door(&compiled, bounds).catalogue(*at, catalogue))
            }
            Input::Settings(settings) => self.reconfigure(settings, out),
            Input::Action { tenant: name, at, action } => self.work_on(name, out, |tenant, out| {
                tenant.door(&compiled, bounds).action(*at, action);
                tenant.release_due(&compiled, out);
            }),
        }
    }

    /// Works on one tenant, which is let go when that panics.
    fn work_on(
        &mut self,
        name: &str,
        out: &mut Vec<IncidentEvent>,
        work: impl FnOnce(&mut Tenant, &mut Vec<IncidentEvent>),
    ) -> Vec<Fault> {
        let before = out.len();
        let Some(tenant) = self.tenant(name) else {
            return Vec::new();
        };
        let Err(reason) = guarded(|| work(tenant, out)) else {
            return Vec::new();
        };
        out.truncate(before);
        self.forget(name);
        vec![Fault { tenant: Some(name.into()), reason }]
    }

    /// Works by other settings from here on; those that cannot be used change nothing: who
    /// writes them into the journal has checked them, and a replay must not end.
    fn reconfigure(&mut self, settings: &EngineConfig, out: &mut Vec<IncidentEvent>) -> Vec<Fault> {
        if *settings == self.compiled.config {
            return Vec::new();
        }
        let fresh = match guarded(|| Compiled::new(settings.clone(), self.compiled.workers.clone())) {
            Ok(Ok(fresh)) => fresh,
            Ok(Err(_)) => return Vec::new(),
            Err(reason) => return vec![Fault { tenant: None, reason }],
        };
        self.write_rest();
        let before = std::mem::replace(&mut self.compiled, Arc::new(fresh));
        let now = self.compiled.clone();
        let names: Vec<Arc<str>> = self.tenants.keys().cloned().collect();
        let work = |name: Arc<str>| self.work_on(&name, out, |tenant, out| tenant.reconfigure(&before, &now, out));
        names.into_iter().flat_map(work).collect()
    }

    /// Leaves nothing of a tenant: it begins anew with its next entry. A snapshot that is being taken is gone.
    pub fn forget(&mut self, tenant: &str) {
        self.leave_snapshot();
        self.tenants.remove(tenant);
    }

    /// Leaves nothing of any other tenant.
    pub fn keep_only(&mut self, tenant: &str) {
        self.leave_snapshot();
        self.tenants.retain(|name, _| &**name == tenant);
    }

    /// Takes a tenant over from an engine that has read the same settings; what was known of it is gone.
    pub fn adopt(&mut self, tenant: &str, mut from: Engine) {
        from.leave_snapshot();
        self.forget(tenant);
        if let Some((name, mut known)) = from.tenants.remove_entry(tenant) {
            known.shards.adopt(&self.compiled.sense);
            self.tenants.insert(name, known);
        }
    }

    /// Takes every tenant of an engine over that has read the same settings.
    pub fn absorb(&mut self, mut from: Engine) {
        self.leave_snapshot();
        from.leave_snapshot();
        self.tenants_refused += from.tenants_refused;
        for (name, mut known) in from.tenants {
            known.shards.adopt(&self.compiled.sense);
            self.tenants.insert(name, known);
        }
    }

    /// Goes on counting the revisions of incidents from what has been told of them already.
    pub fn count_revisions_from(&mut self, tenant: &str, told: &BTreeMap<String, u64>) {
        if let Some(tenant) = self.tenants.get_mut(tenant) {
            told.iter().for_each(|(id, revision)| tenant.tables.ledger.count_from(id, *revision));
        }
    }

    /// The settings in force.
    pub fn settings(&self) -> &EngineConfig {
        &self.compiled.config
    }

    /// What a series is: its metric, its entity and its labels; `None` when it is not known.
    pub fn series(&self, tenant: &str, series: u64) -> Option<SeriesView<'_>> {
        self.tenants.get(tenant)?.shards.meta(series)
    }

    /// Ends a finite input: everything that waits is processed, and groups that wait for their
    /// other symptoms are told. Nothing is resolved that has not recovered.
    pub fn finish(&mut self, out: &mut Vec<IncidentEvent>) {
        let config = &self.compiled.config;
        let after = Span(config.lateness.0.saturating_add(config.ledger.group_wait.0).saturating_add(1));
        // Each by its own time: what others were told last is nothing to it.
        let end = |Tenant { waiting, .. }: &Tenant| match waiting.latest() {
            EventTime::MIN => waiting.released,
            latest => latest.plus(after),
        };
        raise(&self.release_all(end, out));
    }

    /// The least watermark of the tenants: everything before it has been processed.
    pub fn watermark(&self) -> EventTime {
        self.tenants.values().map(|tenant| tenant.waiting.released).min().unwrap_or(EventTime::MIN)
    }

    /// What has been counted.
    pub fn stats(&self) -> EngineStats {
        let (tenants_refused, clock_ahead) = (self.tenants_refused, self.clock.ahead());
        let mut stats = EngineStats { tenants_refused, clock_ahead, ..EngineStats::default() };
        for (name, tenant) in &self.tenants {
            stats.include(name, tenant.gauges(&self.compiled.config));
        }
        stats
    }

    /// The whole state as bytes, see `checkpoint.rs`. Takes as long as that takes.
    pub fn snapshot(&self) -> Vec<u8> {
        snapshot::whole(self.head(), &self.tenants).to_bytes()
    }

    /// Begins a snapshot of the state as it is, which [`snapshot_step`](Self::snapshot_step) goes on with while
    /// entries are folded. One that was being taken is gone.
    pub fn begin_snapshot(&mut self) {
        self.leave_snapshot();
        self.taking = Some(Taking::begin(self.head(), &mut self.tenants));
    }

    /// Writes the next piece of the snapshot that was begun.
    pub fn snapshot_step(&mut self) -> Snapshot {
        let Some(mut taking) = self.taking.take() else { return Snapshot::Gone };
        if taking.step(&mut self.tenants) {
            return Snapshot::Taken(taking.into_state());
        }
        self.taking = Some(taking);
        Snapshot::GoingOn
    }

    /// Every series is about to change.
    fn write_rest(&mut self) {
        if let Some(taking) = &mut self.taking {
            while !taking.step(&mut self.tenants) {}
        }
    }

    /// What was written is nothing.
    fn leave_snapshot(&mut self) {
        if self.taking.take().is_some() {
            self.tenants.values_mut().for_each(|tenant| tenant.shards.let_go());
        }
    }

    /// What a checkpoint begins with.
    fn head(&self) -> Pieces {
        let mut pieces = Pieces::default();
        pieces.put(&self.compiled.config_hash);
        pieces.put(&serde_json::to_string(&self.compiled.config).expect("a configuration is JSON"));
        pieces.put(&self.clock);
        pieces.put(&self.tenants_refused);
        pieces
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
        Engine::resume_on(&Workers::new(threads)?, bytes)
    }

    /// The same on threads that other engines work on, too.
    ///
    /// # Errors
    /// [`CheckpointError`] when the bytes are damaged or of another version.
    pub fn resume_on(workers: &Workers, bytes: &[u8]) -> Result<Engine, CheckpointError> {
        let state: StateIn = checkpoint::open(bytes)?;
        let config = serde_json::from_str(&state.config).map_err(|e| CheckpointError::State(e.to_string()))?;
        Engine::on(workers, config)?.with_state(state)
    }

    fn with_state(self, state: StateIn) -> Result<Engine, CheckpointError> {
        let mut engine = self;
        (engine.clock, engine.tenants_refused) = (state.clock, state.tenants_refused);
        for (mut tenant, pending) in state.tenants {
            tenant.revive(pending).map_err(|e| CheckpointError::State(e.to_string()))?;
            tenant.shards.adopt(&engine.compiled.sense);
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
        self.tenants.get(tenant).map(|tenant| explain::placed(&tenant.tables)).unwrap_or_default()
    }

    /// Why an incident holds what it holds; `None` when the engine no longer knows it.
    pub fn explain(&mut self, tenant: &str, incident: &str) -> Option<Explanation> {
        let related_min = self.compiled.config.ledger.major.related_min;
        explain::explain(&mut self.tenants.get_mut(tenant)?.tables, incident, related_min)
    }

    /// The pairs of alerts that operators have judged, oldest first, to learn weights from.
    pub fn labels(&self, tenant: &str) -> Vec<LabelledPair> {
        self.tenants.get(tenant).map(|t| t.tables.correlator.labels().copied().collect()).unwrap_or_default()
    }

    /// What a tenant taught by calling incidents false, the latest first; empty for an unknown tenant.
    pub fn lessons(&self, tenant: &str) -> Vec<LessonView> {
        self.tenants.get(tenant).map(|tenant| tenant.tables.ledger.lessons.views()).unwrap_or_default()
    }

    /// The tenants, by name.
    pub fn tenant_names(&self) -> impl Iterator<Item = &str> {
        self.tenants.keys().map(|name| &**name)
    }

    /// The edges of a tenant with everybody's word about them, by name; empty for an unknown tenant.
    pub fn topology(&self, tenant: &str) -> Vec<EdgeView> {
        self.tenants.get(tenant).map(|tenant| tenant.tables.estate.view()).unwrap_or_default()
    }

    /// The edges within `hops` of some entities of a tenant, the nearest first and at most `edges_max`: what a picture of
    /// them shows, at a cost that does not grow with the estate.
    pub fn near(&self, tenant: &str, around: &[&str], hops: u8, edges_max: usize) -> Vec<NearEdge> {
        let near = |tenant: &Tenant| tenant.tables.estate.near(around, hops, edges_max);
        self.tenants.get(tenant).map(near).unwrap_or_default()
    }

    /// How long trouble takes along each kind of edge of a tenant, as learned so far; empty for an
    /// unknown tenant.
    pub fn delays(&self, tenant: &str) -> Vec<LearnedDelay> {
        self.tenants.get(tenant).map(|tenant| explain::learned_delays(&tenant.tables)).unwrap_or_default()
    }

    /// The resources of a tenant that are expected to run out, the soonest first; empty for an unknown tenant.
    pub fn forecasts(&self, tenant: &str) -> Vec<ForecastView> {
        let found = self.tenants.get(tenant).map(|tenant| tenant.shards.forecasts(&self.compiled.sense));
        found.unwrap_or_default()
    }

    /// What is watched of each tenant. Looks at every series; what [`stats`](Self::stats) says does not.
    pub fn watch_totals(&self) -> BTreeMap<String, WatchTotals> {
        let totals = |Tenant { shards, tables, .. }: &Tenant| {
            let named = &tables.estate.entities;
            let entities = named.len() as u64 + shards.entities_beside(named);
            WatchTotals { entities, forecasts: shards.forecast_totals() }
        };
        self.tenants.iter().map(|(name, tenant)| (name.to_string(), totals(tenant))).collect()
    }

    /// Every entity of a tenant that anything is known of, by name. Looks at every series.
    pub fn entities(&self, tenant: &str) -> Vec<EntityLine> {
        let of = |tenant: &Tenant| view::entities::entities(&tenant.tables, &tenant.shards);
        self.tenants.get(tenant).map(of).unwrap_or_default()
    }

    /// One entity of a tenant, by any of its names, with its first `edges_max` edges; `None` when nothing is known of it.
    pub fn entity(&self, tenant: &str, name: &str, edges_max: usize) -> Option<EntityView> {
        let tenant = self.tenants.get(tenant)?;
        view::entities::entity(&tenant.tables, &tenant.shards, name, edges_max)
    }

    /// The alerts of a tenant that are asked for, each with where it is.
    pub fn alerts(&self, tenant: &str, wanted: &AlertsWanted) -> AlertsSeen {
        let of = |tenant: &Tenant| view::alerts::alerts(&tenant.tables, &self.compiled.config, wanted);
        self.tenants.get(tenant).map(of).unwrap_or_default()
    }

    /// The latest changes of a tenant, the last first, at most `max`.
    pub fn changes(&self, tenant: &str, max: usize) -> Vec<ChangeView> {
        self.tenants.get(tenant).map(|tenant| view::others::changes(&tenant.tables, max)).unwrap_or_default()
    }

    /// The log templates of a tenant with most lines, at most `max`, and how many there are.
    pub fn templates(&self, tenant: &str, max: usize) -> (Vec<TemplateView>, usize) {
        self.tenants.get(tenant).map(|tenant| view::others::templates(&tenant.shards, max)).unwrap_or_default()
    }

    /// The problems of a tenant, the costliest first.
    pub fn problems(&self, tenant: &str) -> Vec<ProblemView> {
        let of = |known: &Tenant| {
            known.tables.problems.standing(tenant, self.watermark(), known.tables.estate.entities.len())
        };
        self.tenants.get(tenant).map(of).unwrap_or_default().into_iter().map(ProblemView::from).collect()
    }

    /// The ids of a tenant's incidents that were told and are not closed, in order.
    pub fn incident_ids(&self, tenant: &str) -> impl Iterator<Item = &str> {
        self.tenants.get(tenant).into_iter().flat_map(|tenant| tenant.tables.ledger.ids())
    }

    /// Why an alert is not in an incident, with what would have changed that.
    pub fn explain_not_in(&mut self, tenant: &str, alert: u64, incident: &str) -> Option<String> {
        explain::explain_not_in(&mut self.tenants.get_mut(tenant)?.tables, alert, incident)
    }

    fn tenant(&mut self, name: &str) -> Option<&mut Tenant> {
        if !self.tenants.contains_key(name) {
            if self.tenants.len() >= TENANTS_MAX || check_tenant(name).is_err() {
                self.tenants_refused += 1;
                return None;
            }
            let mut tenant = Tenant::new(name, &self.compiled.config);
            // Who is new is as far as everybody.
            if let Some(now) = self.clock.bounds(Span::ZERO).arrival {
                tenant.tick(now, Span::ZERO);
            }
            self.tenants.insert(name.into(), tenant);
        }
        self.tenants.get_mut(name)
    }

    fn release_all(&mut self, until: impl Fn(&Tenant) -> EventTime + Sync, out: &mut Vec<IncidentEvent>) -> Vec<Fault> {
        let compiled = &self.compiled;
        let release = |tenant: &mut Tenant| {
            let mut events = Vec::new();
            let released = guarded(|| {
                let until = until(tenant);
                tenant.release(until, compiled, &mut events);
            });
            released.map(|()| events).map_err(|reason| Fault { tenant: Some(tenant.name.clone()), reason })
        };
        let tenants = &mut self.tenants;
        let released: Vec<Result<Vec<IncidentEvent>, Fault>> = match &compiled.workers.0 {
            Some(workers) if tenants.len() > 1 => {
                workers.install(|| tenants.par_iter_mut().map(|(_, tenant)| release(tenant)).collect())
            }
            _ => tenants.values_mut().map(release).collect(),
        };
        let mut faults = Vec::new();
        for released in released {
            match released {
                Ok(events) => out.extend(events),
                Err(fault) => faults.push(fault),
            }
        }
        for name in faults.iter().filter_map(|fault| fault.tenant.as_ref()) {
            self.tenants.remove(name);
        }
        faults
    }
}

/// Panics over the first fault.
fn raise(faults: &[Fault]) {
    if let Some(Fault { tenant, reason }) = faults.first() {
        panic!("an entry of tenant `{}` met a bug: {reason}", tenant.as_deref().unwrap_or("every"));
    }
}
