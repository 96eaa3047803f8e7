//! What the wiring has done so far, for progress bars, summaries, `/metrics` and tests: all partitions together.

use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bellwether_connectors::exposition::head;
use bellwether_connectors::journal::Position;
use bellwether_connectors::memory::Memory;
use bellwether_connectors::outbox::{self, Readers};
use bellwether_engine::time::EventTime;
use hdrhistogram::Histogram;

use super::exposition::exposition;
use super::figures::{EngineFigures, Snapshot};
use super::said::Said;

/// Counters that every part of the wiring adds to.
pub struct Gauges {
    partitions: Vec<PartitionGauges>,
    entries: AtomicU64,
    signals: AtomicU64,
    events: AtomicU64,
    checkpoints: AtomicU64,
    checkpoint_failures: AtomicU64,
    /// The longest and the last time that an engine stood still for a checkpoint, in nanoseconds.
    pause_ns: [AtomicU64; 2],
    panics: AtomicU64,
    time_ns: AtomicI64,
    latency_us: Mutex<Option<Histogram<u64>>>,
    readers: OnceLock<Vec<Readers>>,
    memory: OnceLock<Memory>,
    said: Said,
}

/// What each partition has for itself.
#[derive(Default)]
struct PartitionGauges {
    position: AtomicU64,
    quarantined: AtomicU64,
    engine: Snapshot,
}

impl Default for Gauges {
    /// Of one partition.
    fn default() -> Gauges {
        Gauges::of(NonZeroUsize::MIN)
    }
}

/// A day: what takes longer is told as a day.
const LATENCY_US_MAX: u64 = 86_400_000_000;
/// Latencies are kept to three digits, which is 0.1 %.
const LATENCY_DIGITS: u8 = 3;

impl Gauges {
    /// Of so many partitions.
    pub fn of(partitions: NonZeroUsize) -> Gauges {
        Gauges {
            partitions: (0..partitions.get()).map(|_| PartitionGauges::default()).collect(),
            entries: AtomicU64::default(),
            signals: AtomicU64::default(),
            events: AtomicU64::default(),
            checkpoints: AtomicU64::default(),
            checkpoint_failures: AtomicU64::default(),
            pause_ns: Default::default(),
            panics: AtomicU64::default(),
            time_ns: AtomicI64::default(),
            latency_us: Mutex::default(),
            readers: OnceLock::default(),
            memory: OnceLock::default(),
            said: Said::default(),
        }
    }

    /// Whose counters are shown beside those here.
    pub fn shows_readers(&self, readers: Vec<Readers>) {
        let _ = self.readers.set(readers);
    }

    /// Whose limit is shown beside those here.
    pub fn shows_memory(&self, memory: &Memory) {
        let _ = self.memory.set(memory.clone());
    }

    /// What the engine of a partition holds and has dropped.
    pub fn engine(&self, partition: usize) -> &Snapshot {
        &self.partitions[partition].engine
    }

    /// What all engines hold and have dropped; `None` until each has said it.
    pub fn figures(&self) -> Option<EngineFigures> {
        let newest = self.partitions.iter().map(|partition| partition.engine.newest());
        EngineFigures::together(&newest.collect::<Option<Vec<_>>>()?)
    }

    /// Waits until every engine has said what it holds; false when there will be none.
    pub async fn figures_there(&self) -> bool {
        for partition in &self.partitions {
            if partition.engine.watch().wait_for(Option::is_some).await.is_err() {
                return false;
            }
        }
        true
    }

    /// Who reads the incident logs; nobody before they have started.
    pub fn readers(&self) -> &[Readers] {
        self.readers.get().map(Vec::as_slice).unwrap_or_default()
    }

    /// What people said, as the engines have read it.
    pub fn said(&self) -> &Said {
        &self.said
    }

    /// One journal entry of `rows` signals was folded and gave `events`.
    pub fn folded(&self, rows: usize, events: usize) {
        self.entries.fetch_add(1, Ordering::Relaxed);
        self.signals.fetch_add(rows as u64, Ordering::Relaxed);
        self.events.fetch_add(events as u64, Ordering::Relaxed);
    }

    /// The engine of a partition has read its journal up to here.
    pub fn at(&self, partition: usize, position: Position) {
        self.partitions[partition].position.store(position.0, Ordering::Relaxed);
    }

    /// Up to where the engine of each partition has read its journal.
    pub fn positions(&self) -> impl Iterator<Item = Position> {
        self.partitions.iter().map(|partition| Position(partition.position.load(Ordering::Relaxed)))
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

    /// An engine has stood still for so long to have its state written down.
    pub fn paused(&self, pause: Duration) {
        let pause = u64::try_from(pause.as_nanos()).unwrap_or(u64::MAX);
        self.pause_ns[0].fetch_max(pause, Ordering::Relaxed);
        self.pause_ns[1].store(pause, Ordering::Relaxed);
    }

    /// A checkpoint could not be written.
    pub fn checkpoint_failed(&self) {
        self.checkpoint_failures.fetch_add(1, Ordering::Relaxed);
    }

    /// An entry met a bug.
    pub fn panicked(&self) {
        self.panics.fetch_add(1, Ordering::Relaxed);
    }

    /// So many entries of a partition are set aside.
    pub fn set_aside(&self, partition: usize, entries: usize) {
        self.partitions[partition].quarantined.store(entries as u64, Ordering::Relaxed);
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

    /// The counters in Prometheus' text format 0.0.4; `durable` are the ends of the journals.
    pub fn exposition(&self, durable: &[Position]) -> String {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let behind: u64 = self.positions().zip(durable).map(|(at, end)| end.0.saturating_sub(at.0)).sum();
        let quarantined: u64 = self.partitions.iter().map(|partition| read(&partition.quarantined)).sum();
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
            (
                "checkpoint_pause_seconds_max",
                "gauge",
                "The longest that an engine stood still for a checkpoint since the start.",
                format!("{:.6}", read(&self.pause_ns[0]) as f64 / 1e9),
            ),
            (
                "checkpoint_pause_seconds",
                "gauge",
                "How long the last checkpoint made its engine stand still.",
                format!("{:.6}", read(&self.pause_ns[1]) as f64 / 1e9),
            ),
            ("engine_panics_total", "counter", "Journal entries that met a bug.", read(&self.panics).to_string()),
            ("engine_time_seconds", "gauge", "Latest event time folded.", seconds),
            ("engine_lag_entries", "gauge", "Durable journal entries that are not folded yet.", behind.to_string()),
            (
                "quarantined_entries",
                "gauge",
                "Journal entries that met a bug and are left out.",
                quarantined.to_string(),
            ),
            ("partitions", "gauge", "Partitions of the state folder.", self.partitions.len().to_string()),
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
        if !self.readers().is_empty() {
            out.push_str(&outbox::exposition(self.readers()));
        }
        if let Some(figures) = self.figures() {
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
        let gauges = Gauges::of(NonZeroUsize::new(2).expect("two"));
        gauges.folded(7, 2);
        gauges.reached(1_500_000_000);
        gauges.at(0, Position(4));
        gauges.at(1, Position(1));
        let text = gauges.exposition(&[Position(9), Position(3)]);
        for line in [
            "bellwether_engine_rows_total 7",
            "bellwether_incident_events_total 2",
            "bellwether_engine_time_seconds 1.500",
            "bellwether_engine_lag_entries 7",
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
