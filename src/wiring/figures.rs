//! What the engine holds and has dropped, as of a moment ago: a shared snapshot, so that who looks costs
//! the engine nothing.
//!
//! The engine's thread renews it between two entries. Counters cost little and are a second old at most,
//! unless there are very many tenants; what has to look at every series (how forecasts fare) is as old as
//! the newest checkpoint, which looks at every series anyway.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bellwether_engine::{Engine, EngineStats, ForecastTotals, TenantStats};
use tokio::sync::watch;

/// The snapshot is renewed at most this often,
const RENEWED_EVERY: Duration = Duration::from_secs(1);
/// and takes at most one part in so many of the thread's time.
const SHARE: u32 = 100;

/// What the engine holds and has dropped.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EngineFigures {
    /// Its counters.
    pub stats: EngineStats,
    /// How forecasts fare, by tenant.
    pub forecasts: Arc<BTreeMap<String, ForecastTotals>>,
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

/// Renews the snapshot from the engine's thread.
#[derive(Debug)]
pub(super) struct Renewal {
    due: Instant,
    /// Something was folded since.
    stale: bool,
    forecasts: Arc<BTreeMap<String, ForecastTotals>>,
    /// Actions about incidents that are not open, of which the log has told.
    unknown: BTreeMap<String, u64>,
}

impl Renewal {
    /// With the first snapshot, of everything.
    pub(super) fn of(engine: &Engine, snapshot: &Snapshot) -> Renewal {
        let of = |(name, stats): (String, TenantStats)| (name, stats.actions_unknown);
        let unknown = engine.stats().tenants.into_iter().map(of).collect();
        let mut renewal = Renewal { due: Instant::now(), stale: true, forecasts: Arc::default(), unknown };
        renewal.everything(engine, snapshot);
        renewal
    }

    /// The engine has changed.
    pub(super) fn outdated(&mut self) {
        self.stale = true;
    }

    /// Renews the counters when it is time.
    pub(super) fn if_due(&mut self, engine: &Engine, snapshot: &Snapshot) {
        if self.stale && Instant::now() >= self.due {
            self.counters(engine, snapshot);
        }
    }

    /// Renews all of it, also what looks at every series.
    pub(super) fn everything(&mut self, engine: &Engine, snapshot: &Snapshot) {
        self.forecasts = Arc::new(engine.forecast_totals());
        self.counters(engine, snapshot);
    }

    fn counters(&mut self, engine: &Engine, snapshot: &Snapshot) {
        let began = Instant::now();
        let figures = EngineFigures { stats: engine.stats(), forecasts: self.forecasts.clone() };
        self.tell_unknown(&figures.stats);
        snapshot.0.send_replace(Some(Arc::new(figures)));
        self.stale = false;
        self.due = began + RENEWED_EVERY.max(began.elapsed() * SHARE);
    }

    /// Says that somebody acts on incidents that are not open: over NATS nobody else can.
    fn tell_unknown(&mut self, stats: &EngineStats) {
        for (tenant, stats) in &stats.tenants {
            let told = self.unknown.get(tenant).copied().unwrap_or(0);
            if stats.actions_unknown > told {
                let actions = stats.actions_unknown - told;
                tracing::warn!(
                    tenant,
                    actions,
                    "actions name incidents that are closed, part of another, or never were"
                );
                self.unknown.insert(tenant.clone(), stats.actions_unknown);
            }
        }
    }
}
