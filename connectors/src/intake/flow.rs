//! What has gone through each source's door, and what waits there.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use bellwether_engine::input::Input;
use bellwether_engine::signal::SignalKind;
use bellwether_engine::time::EventTime;

use super::time::{arrival_time, event_times};

/// Of so many times that a write is held back, one is told.
const HELD_BACK_TOLD: u64 = 100;

/// What has gone through one source's door.
#[derive(Debug)]
pub struct SourceFlow {
    pub(super) name: Arc<str>,
    writes: AtomicU64,
    rows: AtomicU64,
    /// Rows handed to the journal that are not durable yet.
    waiting: AtomicU64,
    /// How far the newest row of the last write was behind its arrival, in nanoseconds.
    lag_ns: AtomicI64,
    /// Arrival of the last write, in nanoseconds since the epoch; 0 before the first.
    last_ns: AtomicI64,
    /// Times that a write was held back because memory was short.
    held_back: AtomicU64,
}

/// A reading of [`SourceFlow`].
#[derive(Clone, Debug, PartialEq)]
pub struct FlowTotals {
    /// The source.
    pub name: Arc<str>,
    /// Writes accepted.
    pub writes: u64,
    /// Rows accepted.
    pub rows: u64,
    /// Rows handed to the journal that are not durable yet.
    pub waiting: u64,
    /// Seconds by which the newest row of the last write was behind its arrival; `None` when
    /// nothing with a time has come.
    pub lag_secs: Option<f64>,
    /// When the last write came; `None` before the first.
    pub last: Option<EventTime>,
}

impl SourceFlow {
    pub(super) fn new(name: &str) -> SourceFlow {
        SourceFlow {
            name: name.into(),
            writes: AtomicU64::new(0),
            rows: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            lag_ns: AtomicI64::new(i64::MIN),
            last_ns: AtomicI64::new(0),
            held_back: AtomicU64::new(0),
        }
    }

    /// Notes that `inputs` have become durable.
    pub(super) fn accepted(&self, inputs: &[Input], rows: u64) {
        self.writes.fetch_add(1, Ordering::Relaxed);
        self.rows.fetch_add(rows, Ordering::Relaxed);
        let now = arrival_time();
        self.last_ns.store(now.0, Ordering::Relaxed);
        let newest = inputs.iter().filter_map(newest_time).max();
        if let Some(newest) = newest {
            self.lag_ns.store(now.0.saturating_sub(newest), Ordering::Relaxed);
        }
    }

    /// A write waits because memory is short; said once in a while.
    pub(super) fn held_back(&self) {
        let times = self.held_back.fetch_add(1, Ordering::Relaxed);
        if times.is_multiple_of(HELD_BACK_TOLD) {
            tracing::warn!(source = &*self.name, "memory is short: the source waits (see `memory`)");
        }
    }

    pub(super) fn read(&self) -> FlowTotals {
        let last = self.last_ns.load(Ordering::Relaxed);
        let lag = self.lag_ns.load(Ordering::Relaxed);
        FlowTotals {
            name: self.name.clone(),
            writes: self.writes.load(Ordering::Relaxed),
            rows: self.rows.load(Ordering::Relaxed),
            waiting: self.waiting.load(Ordering::Relaxed),
            lag_secs: (lag != i64::MIN).then_some(lag as f64 / 1e9),
            last: (last != 0).then_some(EventTime(last)),
        }
    }
}

/// The newest event time in an entry, in nanoseconds, when it has one.
fn newest_time(input: &Input) -> Option<i64> {
    match input {
        Input::Batch(batch) => event_times(batch)?.iter().copied().max(),
        _ => None,
    }
}

/// Rows on their way to the journal: no longer waiting when dropped, however that comes.
pub(super) struct Waiting<'a> {
    flow: &'a SourceFlow,
    rows: u64,
}

impl<'a> Waiting<'a> {
    pub(super) fn begin(flow: &'a SourceFlow, inputs: &[Input]) -> Waiting<'a> {
        let rows = inputs.iter().map(|input| input.rows() as u64).sum();
        flow.waiting.fetch_add(rows, Ordering::Relaxed);
        Waiting { flow, rows }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.flow.waiting.fetch_sub(self.rows, Ordering::Relaxed);
    }
}

/// Rows accepted, by kind, and writes.
#[derive(Debug, Default)]
pub struct IntakeCounts {
    rows: [AtomicU64; SignalKind::ALL.len()],
    others: AtomicU64,
    writes: AtomicU64,
}

impl IntakeCounts {
    /// Rows of `kind` accepted so far.
    pub fn rows(&self, kind: SignalKind) -> u64 {
        self.rows[kind as usize].load(Ordering::Relaxed)
    }

    /// Entries that are not signals: ticks, catalogues, actions.
    pub fn others(&self) -> u64 {
        self.others.load(Ordering::Relaxed)
    }

    /// Writes accepted so far.
    pub fn writes(&self) -> u64 {
        self.writes.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, inputs: &[Input]) {
        for input in inputs {
            let counter = match input {
                Input::Batch(batch) => &self.rows[batch.kind() as usize],
                _ => &self.others,
            };
            counter.fetch_add(input.rows() as u64, Ordering::Relaxed);
        }
        self.writes.fetch_add(1, Ordering::Relaxed);
    }
}
