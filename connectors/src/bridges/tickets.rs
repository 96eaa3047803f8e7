//! The memory of one bridge's tickets as those share it who file incidents, write tickets and hear of changes.
//!
//! What is changed is on disk when it is answered; the disk is waited for on a thread that may wait.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::entry::{Entry, Key};
use super::step::Peers;
use super::store::{Store, StoreError};

/// The folder of the memories in a state folder.
pub const BRIDGES_FOLDER: &str = "bridges";

/// Where bridge `name` keeps its memory in the state folder `state`.
pub fn memory_of(state: &Path, name: &str) -> PathBuf {
    state.join(BRIDGES_FOLDER).join(format!("{name}.tickets"))
}

/// What has been counted since the start.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) created: AtomicU64,
    pub(super) updated: AtomicU64,
    pub(super) commented: AtomicU64,
    pub(super) linked: AtomicU64,
    /// Requests that did not succeed.
    pub(super) failures: AtomicU64,
    /// Changes of others that were taken in.
    pub(super) heard: AtomicU64,
    /// Changes of others to tickets that are not ours.
    pub(super) foreign: AtomicU64,
    /// Changes of tickets that came again and were known.
    pub(super) known: AtomicU64,
}

/// How the tickets of a bridge fare at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) mapped: u64,
    pub(super) waiting: u64,
    pub(super) parked: u64,
    pub(super) conflicts: u64,
    pub(super) ended: u64,
}

/// The memory of one bridge's tickets. Clones share it.
#[derive(Clone)]
pub(super) struct Tickets(Arc<Shared>);

struct Shared {
    store: Mutex<Store>,
    counts: Counts,
    woken: Notify,
}

impl Tickets {
    pub(super) fn new(store: Store) -> Tickets {
        Tickets(Arc::new(Shared { store: Mutex::new(store), counts: Counts::default(), woken: Notify::new() }))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Store> {
        self.0.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something to the memory that may have to wait for the disk.
    pub(super) async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let shared = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&mut shared.lock())).await;
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }

    /// What `work` would do to an entry, without doing it.
    pub(super) fn try_out<T>(&self, key: &Key, work: impl FnOnce(&mut Entry, &dyn Peers) -> T) -> Option<T> {
        self.lock().try_out(key, work)
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.0.counts
    }

    pub(super) fn count(&self, of: fn(&Counts) -> &AtomicU64) {
        of(self.counts()).fetch_add(1, Ordering::Relaxed);
    }

    /// Has the writer look.
    pub(super) fn wake(&self) {
        self.0.woken.notify_one();
    }

    pub(super) async fn woken(&self) {
        self.0.woken.notified().await;
    }

    /// How they fare.
    pub(super) fn standing(&self) -> Standing {
        let store = self.lock();
        let mut standing = Standing::default();
        store.entries().for_each(|entry| standing.add(entry));
        standing
    }
}

impl Standing {
    fn add(&mut self, entry: &Entry) {
        self.mapped += u64::from(entry.ticket.is_some());
        self.parked += u64::from(entry.parked.is_some());
        self.conflicts += u64::from(!entry.refused.is_empty() || entry.closed.as_ref().is_some_and(|c| c.said));
        self.waiting += u64::from(entry.parked.is_none() && !entry.is_done());
        self.ended += u64::from(entry.ended.is_some());
    }
}
