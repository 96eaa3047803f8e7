//! How the readers of all partitions fare: a sink's readers are shown as one.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::readers::Readers;
use crate::exposition::{head, label_value};
use crate::intake::arrival_time;

/// The readers of one sink, together.
#[derive(Default)]
struct Sum {
    lag_records: u64,
    lag_bytes: u64,
    /// When the oldest event was appended that it has not got, in nanoseconds.
    oldest_ns: Option<i64>,
    parked: u64,
    sent: u64,
    skipped: u64,
    dead_letters: u64,
    failures: u64,
}

/// By name, what the readers of all logs have done and have left.
fn sums(all: &[Readers]) -> BTreeMap<String, Sum> {
    let mut sums: BTreeMap<String, Sum> = BTreeMap::new();
    for readers in all {
        let (end, end_bytes) = (readers.log().end().0, readers.log().state().unwrap_or_default().bytes);
        for place in readers.places().iter() {
            let sum = sums.entry(place.name.clone()).or_default();
            sum.lag_records += end.saturating_sub(place.position.load(Ordering::Relaxed));
            sum.lag_bytes += end_bytes.saturating_sub(place.bytes.load(Ordering::Relaxed));
            let oldest = Some(place.oldest_ns.load(Ordering::Relaxed)).filter(|at| *at > 0);
            sum.oldest_ns = sum.oldest_ns.into_iter().chain(oldest).min();
            sum.parked |= u64::from(place.parked.load(Ordering::Relaxed));
            sum.sent += place.sent.load(Ordering::Relaxed);
            sum.skipped += place.skipped.load(Ordering::Relaxed);
            sum.dead_letters += place.dead_letters.load(Ordering::Relaxed);
            sum.failures += place.failures.load(Ordering::Relaxed);
        }
    }
    sums
}

impl Sum {
    /// How long the oldest event has waited.
    fn waited(&self) -> Duration {
        let since = self.oldest_ns.map_or(0, |oldest| arrival_time().0.saturating_sub(oldest).max(0));
        Duration::from_nanos(since.unsigned_abs())
    }
}

/// Sinks whose oldest event has waited for longer than `after`, with how many records wait for each.
pub fn waiting(all: &[Readers], after: Duration) -> Vec<(String, u64)> {
    let long = |sum: &Sum| sum.lag_records > 0 && sum.waited() > after;
    sums(all).into_iter().filter(|(_, sum)| long(sum)).map(|(name, sum)| (name, sum.lag_records)).collect()
}

/// Every sink with how many records wait for it, and whether its reader waits for a person.
pub fn behind(all: &[Readers]) -> Vec<(String, u64, bool)> {
    sums(all).into_iter().map(|(name, sum)| (name, sum.lag_records, sum.parked > 0)).collect()
}

type Figure = (&'static str, &'static str, &'static str, fn(&Sum) -> u64);

const FIGURES: [Figure; 8] = [
    ("lag_records", "gauge", "Records of the incident log that the reader is not done with.", |sum| sum.lag_records),
    ("lag_bytes", "gauge", "Their bytes.", |sum| sum.lag_bytes),
    ("lag_seconds", "gauge", "How long the oldest of them has waited.", |sum| sum.waited().as_secs()),
    ("parked", "gauge", "1 while the reader waits for a person.", |sum| sum.parked),
    ("delivered_events_total", "counter", "Events newly delivered.", |sum| sum.sent),
    ("known_events_total", "counter", "Events the receiver already had, or was given a newer revision for.", |sum| {
        sum.skipped
    }),
    ("dead_letters_total", "counter", "Events the receiver refused for good.", |sum| sum.dead_letters),
    ("failures_total", "counter", "Attempts that failed.", |sum| sum.failures),
];

/// The readers in Prometheus' text format 0.0.4.
pub fn exposition(all: &[Readers]) -> String {
    let sums = sums(all);
    let mut out = String::new();
    for (name, kind, help, value) in FIGURES {
        head(&mut out, &format!("reader_{name}"), kind, help);
        for (reader, sum) in &sums {
            let _ = writeln!(out, "bellwether_reader_{name}{{reader=\"{}\"}} {}", label_value(reader), value(sum));
        }
    }
    let end: u64 = all.iter().map(|readers| readers.log().end().0).sum();
    head(&mut out, "incident_log_end", "gauge", "Records ever written to the incident log.");
    let _ = writeln!(out, "bellwether_incident_log_end {end}");
    let bytes: u64 = all.iter().map(|readers| readers.log().state().unwrap_or_default().bytes).sum();
    head(&mut out, "incident_log_bytes_total", "counter", "Bytes of events ever written to the incident log.");
    let _ = writeln!(out, "bellwether_incident_log_bytes_total {bytes}");
    out
}
