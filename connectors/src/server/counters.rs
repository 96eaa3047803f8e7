//! What a wire has received, accepted and refused so far.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Running totals of one wire, read by `/metrics` and `bellwether check`.
#[derive(Debug, Default)]
pub struct WireCounters {
    requests: AtomicU64,
    bytes: AtomicU64,
    accepted: AtomicU64,
    duplicates: AtomicU64,
    refused: Mutex<BTreeMap<&'static str, u64>>,
}

impl WireCounters {
    /// One request of `bytes` bytes came in.
    pub fn request(&self, bytes: usize) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// `count` events are durable.
    pub fn accept(&self, count: u64) {
        self.accepted.fetch_add(count, Ordering::Relaxed);
    }

    /// `count` events had been accepted before.
    pub(crate) fn duplicate(&self, count: u64) {
        self.duplicates.fetch_add(count, Ordering::Relaxed);
    }

    /// Events refused for `reason`.
    pub fn refuse(&self, reason: &'static str, count: u64) {
        let mut refused = self.refused.lock().unwrap_or_else(|held| held.into_inner());
        *refused.entry(reason).or_default() += count;
    }

    /// The totals now.
    pub fn read(&self) -> WireTotals {
        let refused = self.refused.lock().unwrap_or_else(|held| held.into_inner());
        WireTotals {
            requests: self.requests.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            accepted: self.accepted.load(Ordering::Relaxed),
            duplicates: self.duplicates.load(Ordering::Relaxed),
            refused: refused.clone(),
        }
    }
}

/// A reading of [`WireCounters`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WireTotals {
    /// Requests or datagrams.
    pub requests: u64,
    /// Bytes before decompression.
    pub bytes: u64,
    /// Events stored.
    pub accepted: u64,
    /// Events recognised as re-sent.
    pub duplicates: u64,
    /// Events refused, by reason.
    pub refused: BTreeMap<&'static str, u64>,
}
