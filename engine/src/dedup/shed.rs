//! Alerts whose details were shed: what a recovery needs to be known as one, and no more.
//!
//! When the table of alerts is full, an alert that still fires loses its labels and texts, not
//! its state: it stays part of its incident, which therefore stays open, and its recovery ends
//! it there. This table is bounded too; the state that no longer fits is lost, and counted.

use std::collections::VecDeque;

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use crate::alert::Alert;
use crate::memory::hashed;
use crate::signal::Severity;
use crate::symbols::Sym;
use crate::time::EventTime;

/// What is left of an alert that fires.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct ShedAlert {
    /// The incident it is part of, by the ledger's number.
    pub(crate) incident: Option<u64>,
    /// Rule.
    pub(crate) name: Sym,
    /// What it is about.
    pub(crate) entity: Sym,
    pub(crate) severity: Severity,
    /// When it counts as recovered without another word.
    pub(crate) expires_at: EventTime,
    /// The one timer it may have.
    pub(crate) timer: Option<EventTime>,
}

impl ShedAlert {
    /// What stays of `alert`.
    pub(super) fn of(alert: &Alert) -> ShedAlert {
        ShedAlert {
            incident: alert.incident,
            name: alert.name,
            entity: alert.entity,
            severity: alert.severity,
            expires_at: alert.expires_at,
            timer: alert.timer,
        }
    }
}

/// What one takes, with its place in the queue.
pub(super) const SHED_BYTES: usize = hashed(size_of::<(u64, ShedAlert)>()) + 16;

/// The shed alerts of one tenant.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Shed {
    #[serde(with = "crate::serial::sorted_map")]
    entries: HashMap<u64, ShedAlert, foldhash::fast::FixedState>,
    /// Fingerprints in order of shedding; stale entries are skipped when read.
    order: VecDeque<u64>,
    capacity: usize,
    /// As many as there is memory for; set anew for each stretch.
    #[serde(skip)]
    bound: Option<usize>,
    lost: u64,
}

impl Shed {
    pub(super) fn new(capacity: usize) -> Shed {
        Shed { capacity, ..Shed::default() }
    }

    pub(super) fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity;
    }

    /// Keeps at most what takes `bytes` from now on.
    pub(super) fn bound(&mut self, bytes: usize) {
        self.bound = Some(bytes / SHED_BYTES);
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// States that found no room.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    pub(super) fn get(&self, fingerprint: u64) -> Option<&ShedAlert> {
        self.entries.get(&fingerprint)
    }

    pub(super) fn get_mut(&mut self, fingerprint: u64) -> Option<&mut ShedAlert> {
        self.entries.get_mut(&fingerprint)
    }

    pub(super) fn remove(&mut self, fingerprint: u64) -> Option<ShedAlert> {
        self.entries.remove(&fingerprint)
    }

    /// Keeps the state of an alert; answers the one that is lost for it, if any.
    pub(super) fn keep(&mut self, fingerprint: u64, alert: ShedAlert) -> Option<(u64, ShedAlert)> {
        let most = self.bound.map_or(self.capacity, |bound| bound.min(self.capacity));
        if most == 0 {
            self.lost += 1;
            return Some((fingerprint, alert));
        }
        let lost = if self.entries.len() >= most { self.drop_oldest() } else { None };
        self.entries.insert(fingerprint, alert);
        self.order.push_back(fingerprint);
        if self.order.len() > self.capacity.saturating_mul(2).max(1_024) {
            let entries = &self.entries;
            let mut seen = hashbrown::HashSet::with_capacity(entries.len());
            self.order.retain(|fingerprint| entries.contains_key(fingerprint) && seen.insert(*fingerprint));
        }
        lost
    }

    fn drop_oldest(&mut self) -> Option<(u64, ShedAlert)> {
        while let Some(fingerprint) = self.order.pop_front() {
            if let Some(alert) = self.entries.remove(&fingerprint) {
                self.lost += 1;
                return Some((fingerprint, alert));
            }
        }
        None
    }
}
