//! What the engine holds and has dropped, as of a moment ago: a shared snapshot, so that who looks costs
//! the engine nothing.
//!
//! The engine's thread renews it between two entries. Counters cost little and are a second old at most,
//! unless there are very many tenants; what has to look at every series (whose they are, how forecasts
//! fare) is as old as the newest checkpoint, which looks at every series anyway.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bellwether_connectors::host;
use bellwether_engine::{Engine, EngineStats, TenantStats, WatchTotals};
use tokio::sync::{mpsc, watch};

use super::clocks::Clocks;
use super::own::{self, Trouble};

/// The snapshot is renewed at most this often,
const RENEWED_EVERY: Duration = Duration::from_secs(1);
/// and takes at most one part in so many of the thread's time.
const SHARE: u32 = 100;

/// What the engine holds and has dropped.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EngineFigures {
    /// Its counters.
    pub stats: EngineStats,
    /// What takes a look at every series, by tenant: entities, and how forecasts fare.
    pub watched: Arc<BTreeMap<String, WatchTotals>>,
}

impl EngineFigures {
    /// Those of all partitions; `None` of none.
    pub(super) fn together(all: &[Arc<EngineFigures>]) -> Option<EngineFigures> {
        let (first, rest) = all.split_first()?;
        let mut sum = EngineFigures::clone(first);
        for one in rest {
            sum.stats.tenants_refused += one.stats.tenants_refused;
            one.stats.tenants.iter().for_each(|(name, stats)| sum.stats.include(name, stats.clone()));
            let watched = one.watched.iter().map(|(name, totals)| (name.clone(), *totals));
            Arc::make_mut(&mut sum.watched).extend(watched);
        }
        Some(sum)
    }
}

/// Where the newest snapshot is.
#[derive(Debug, Default)]
pub struct Snapshot(watch::Sender<Option<Arc<EngineFigures>>>);

impl Snapshot {
    /// To be followed; `None` until there is a first one.
    pub fn watch(&self) -> watch::Receiver<Option<Arc<EngineFigures>>> {
        self.0.subscribe()
    }

    /// The newest.
    pub fn newest(&self) -> Option<Arc<EngineFigures>> {
        self.0.borrow().clone()
    }
}

/// The rule of a full table of incidents.
const FULL_RULE: &str = "IncidentTableFull";

/// Groups that found the table of incidents full.
fn placeless(stats: &TenantStats) -> u64 {
    stats.evicted.get("incidents").copied().unwrap_or(0)
}

/// Renews the snapshot from the engine's thread.
#[derive(Debug)]
pub(super) struct Renewal {
    /// On the clock that never jumps.
    due: Duration,
    /// Something was folded since.
    stale: bool,
    watched: Arc<BTreeMap<String, WatchTotals>>,
    /// Actions about incidents that are not open, of which the log has told.
    unknown: BTreeMap<String, u64>,
    /// Groups without a place among the incidents, of which people were told.
    placeless: BTreeMap<String, u64>,
    /// Clocks that are off, as the log has told of them.
    clocks: Clocks,
    troubles: mpsc::Sender<Trouble>,
}

impl Renewal {
    /// With the first snapshot, of everything.
    pub(super) fn of(engine: &Engine, snapshot: &Snapshot, troubles: mpsc::Sender<Trouble>) -> Renewal {
        let stats = engine.stats().tenants;
        let count = |of: fn(&TenantStats) -> u64| stats.iter().map(|(name, stats)| (name.clone(), of(stats))).collect();
        let (unknown, placeless) = (count(|stats| stats.actions_unknown), count(placeless));
        let (due, watched) = (host::uptime(), Arc::default());
        let clocks = Clocks::default();
        let mut renewal = Renewal { due, stale: true, watched, unknown, placeless, clocks, troubles };
        renewal.everything(engine, snapshot);
        renewal
    }

    /// The engine has changed.
    pub(super) fn outdated(&mut self) {
        self.stale = true;
    }

    /// Whether it is to be renewed when its time has come.
    pub(super) fn is_stale(&self) -> bool {
        self.stale
    }

    /// Renews the counters when it is time.
    pub(super) fn if_due(&mut self, engine: &Engine, snapshot: &Snapshot) {
        if self.stale && host::uptime() >= self.due {
            self.counters(engine, snapshot);
        }
    }

    /// Renews all of it, also what looks at every series.
    pub(super) fn everything(&mut self, engine: &Engine, snapshot: &Snapshot) {
        self.watched = Arc::new(engine.watch_totals());
        self.counters(engine, snapshot);
    }

    fn counters(&mut self, engine: &Engine, snapshot: &Snapshot) {
        let began = host::uptime();
        let figures = EngineFigures { stats: engine.stats(), watched: self.watched.clone() };
        self.tell_unknown(&figures.stats);
        self.tell_placeless(&figures.stats);
        self.clocks.tell(&figures.stats);
        snapshot.0.send_replace(Some(Arc::new(figures)));
        self.stale = false;
        self.due = began + RENEWED_EVERY.max((host::uptime().saturating_sub(began)) * SHARE);
    }

    /// Says that the table of incidents is full: what finds no place is not told otherwise.
    fn tell_placeless(&mut self, stats: &EngineStats) {
        for (tenant, stats) in &stats.tenants {
            let Some(groups) = news(&mut self.placeless, tenant, placeless(stats)) else { continue };
            let summary = format!(
                "Tenant `{tenant}` has as many incidents as `engine.limits.incidents_max` allows: {groups} groups of \
                 alerts found no place and are not told; close what is over, or raise the limit"
            );
            tracing::error!(tenant, groups, "the table of incidents is full");
            let labels = vec![("tenant", tenant.clone())];
            own::say(&self.troubles, Trouble { rule: FULL_RULE, labels, summary, over: false });
        }
    }

    /// Says that somebody acts on incidents that are not open: over NATS nobody else can.
    fn tell_unknown(&mut self, stats: &EngineStats) {
        for (tenant, stats) in &stats.tenants {
            let Some(actions) = news(&mut self.unknown, tenant, stats.actions_unknown) else { continue };
            tracing::warn!(tenant, actions, "actions name incidents that are closed, part of another, or never were");
        }
    }
}

/// By how much a tenant's count has grown since it was told; from now on it is.
fn news(told: &mut BTreeMap<String, u64>, tenant: &str, count: u64) -> Option<u64> {
    let before = told.get(tenant).copied().unwrap_or(0);
    if count <= before {
        return None;
    }
    told.insert(tenant.to_owned(), count);
    Some(count - before)
}
