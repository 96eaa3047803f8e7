//! What the wiring has done so far, for progress bars, summaries, `/metrics` and tests.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bellwether_connectors::exposition::head;
use bellwether_connectors::journal::Position;
use bellwether_connectors::memory::Memory;
use bellwether_connectors::outbox::Readers;
use bellwether_engine::time::EventTime;
use hdrhistogram::Histogram;

use super::exposition::exposition;
use super::figures::Snapshot;

/// Counters that every part of the wiring adds to.
#[derive(Default)]
pub struct Gauges {
    entries: AtomicU64,
    signals: AtomicU64,
    events: AtomicU64,
    checkpoints: AtomicU64,
    checkpoint_failures: AtomicU64,
    panics: AtomicU64,
    quarantined: AtomicU64,
    time_ns: AtomicI64,
    position: AtomicU64,
    latency_us: Mutex<Option<Histogram<u64>>>,
    readers: OnceLock<Readers>,
    memory: OnceLock<Memory>,
    engine: Snapshot,
}

/// A day: what takes longer is told as a day.
const LATENCY_US_MAX: u64 = 86_400_000_000;
/// Latencies are kept to three digits, which is 0.1 %.
const LATENCY_DIGITS: u8 = 3;

impl Gauges {
    /// Whose counters are shown beside those here.
    pub fn shows_readers(&self, readers: &Readers) {
        let _ = self.readers.set(readers.clone());
    }

    /// Whose limit is shown beside those here.
    pub fn shows_memory(&self, memory: &Memory) {
        let _ = self.memory.set(memory.clone());
    }

    /// What the engine holds and has dropped.
    pub fn engine(&self) -> &Snapshot {
        &self.engine
    }

    /// Who reads the incident log; `None` before they have started.
    pub fn readers(&self) -> Option<&Readers> {
        self.readers.get()
    }

    /// One journal entry of `rows` signals was folded and gave `events`.
    pub fn folded(&self, rows: usize, events: usize) {
        self.entries.fetch_add(1, Ordering::Relaxed);
        self.signals.fetch_add(rows as u64, Ordering::Relaxed);
        self.events.fetch_add(events as u64, Ordering::Relaxed);
    }

    /// The engine has read the journal up to here.
    pub fn at(&self, position: Position) {
        self.position.store(position.0, Ordering::Relaxed);
    }

    /// Up to where the engine has read the journal.
    pub fn position(&self) -> Position {
        Position(self.position.load(Ordering::Relaxed))
    }

    /// The journal is at this event time.
    pub fn reached(&self, at: i64) {
        self.time_ns.fetch_max(at, Ordering::Relaxed);
    }

    /// The latest event time folded; the epoch before the first.
    pub fn time(&self) -> EventTime {
        EventTime(self.time_ns.load(Ordering::Relaxed))
    }

    /// A checkpoint was written.
    pub fn checkpointed(&self) {
        self.checkpoints.fetch_add(1, Ordering::Relaxed);
    }

    /// A checkpoint could not be written.
    pub fn checkpoint_failed(&self) {
        self.checkpoint_failures.fetch_add(1, Ordering::Relaxed);
    }

    /// An entry met a bug.
    pub fn panicked(&self) {
        self.panics.fetch_add(1, Ordering::Relaxed);
    }

    /// So many entries are set aside.
    pub fn set_aside(&self, entries: usize) {
        self.quarantined.store(entries as u64, Ordering::Relaxed);
    }

    /// An event reached its sink this long after what caused it arrived.
    pub fn delivered_after(&self, latency: Duration) {
        let mut slot = self.latency_us.lock().unwrap_or_else(PoisonError::into_inner);
        let histogram = slot.get_or_insert_with(|| {
            Histogram::new_with_max(LATENCY_US_MAX, LATENCY_DIGITS).expect("the bounds are supported")
        });
        histogram.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX).max(1));
    }

    /// Journal entries folded.
    pub fn entries(&self) -> u64 {
        self.entries.load(Ordering::Relaxed)
    }

    /// Signals folded.
    pub fn signals(&self) -> u64 {
        self.signals.load(Ordering::Relaxed)
    }

    /// Incident events the engine gave.
    pub fn events(&self) -> u64 {
        self.events.load(Ordering::Relaxed)
    }

    /// Checkpoints written.
    pub fn checkpoints(&self) -> u64 {
        self.checkpoints.load(Ordering::Relaxed)
    }

    /// Arrival to delivery, in microseconds; `None` before the first event.
    pub fn latency_us(&self) -> Option<Histogram<u64>> {
        self.latency_us.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The counters in Prometheus' text format 0.0.4; `durable` is the end of the journal.
    pub fn exposition(&self, durable: Position) -> String {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let behind = durable.0.saturating_sub(read(&self.position));
        let seconds = format!("{:.3}", self.time().0 as f64 / 1e9);
        let families = [
            ("engine_entries_total", "counter", "Journal entries folded.", self.entries().to_string()),
            ("engine_rows_total", "counter", "Rows folded, ticks among them.", self.signals().to_string()),
            ("incident_events_total", "counter", "Incident events the engine gave.", self.events().to_string()),
            ("checkpoints_total", "counter", "Checkpoints written.", self.checkpoints().to_string()),
            (
                "checkpoint_failures_total",
                "counter",
                "Checkpoints that could not be written.",
                read(&self.checkpoint_failures).to_string(),
            ),
            ("engine_panics_total", "counter", "Journal entries that met a bug.", read(&self.panics).to_string()),
            ("engine_time_seconds", "gauge", "Latest event time folded.", seconds),
            ("engine_lag_entries", "gauge", "Durable journal entries that are not folded yet.", behind.to_string()),
            (
                "quarantined_entries",
                "gauge",
                "Journal entries that met a bug and are left out.",
                read(&self.quarantined).to_string(),
            ),
        ];
        let memory = self.memory.get().and_then(|memory| Some((memory.limit()?.bytes, memory.resident())));
        let memory = memory.into_iter().flat_map(|(limit, resident)| {
            [
                ("memory_limit_bytes", "gauge", "Bytes that the process may take.", limit.to_string()),
                ("memory_resident_bytes", "gauge", "Bytes that the process has resident.", resident.to_string()),
            ]
        });
        let mut out = String::new();
        for (name, kind, help, value) in families.into_iter().chain(memory) {
            head(&mut out, name, kind, help);
            let _ = writeln!(out, "bellwether_{name} {value}");
        }
        if let Some(readers) = self.readers.get() {
            out.push_str(&readers.exposition());
        }
        if let Some(figures) = self.engine.newest() {
            out.push_str(&exposition(&figures));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_folded_is_shown_in_prometheus_format() {
        let gauges = Gauges::default();
        gauges.folded(7, 2);
        gauges.reached(1_500_000_000);
        gauges.at(Position(4));
        let text = gauges.exposition(Position(9));
        for line in [
            "bellwether_engine_rows_total 7",
            "bellwether_incident_events_total 2",
            "bellwether_engine_time_seconds 1.500",
            "bellwether_engine_lag_entries 5",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line} in {text}");
        }
    }

    #[test]
    fn latencies_come_back_as_they_were() {
        let gauges = Gauges::default();
        assert!(gauges.latency_us().is_none());
        [3, 30, 3_000].iter().for_each(|ms| gauges.delivered_after(Duration::from_millis(*ms)));
        let histogram = gauges.latency_us().expect("three latencies");
        assert!((29_900..30_100).contains(&histogram.value_at_quantile(0.5)));
        assert!((2_990_000..3_010_000).contains(&histogram.max()));
    }
}
