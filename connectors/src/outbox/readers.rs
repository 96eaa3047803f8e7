//! All readers of a log: where each is, what may be forgotten, and who has to give way.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bellwether_engine::planted::{self, Bug};
use tokio::sync::{Notify, mpsc};

use super::log::IncidentLog;
use crate::journal::Position;

/// Notices waiting to be told; more readers than this are not configured.
const NOTICES_MAX: usize = 64;

/// What becomes of a reader, for who tells people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Which reader.
    pub reader: String,
    /// Why it was parked; `None` when it goes on.
    pub parked: Option<String>,
}

/// Where one reader is.
#[derive(Debug)]
pub(super) struct ReaderState {
    pub(super) name: String,
    /// The last record it is done with.
    pub(super) position: AtomicU64,
    /// Bytes of all records it is done with.
    pub(super) bytes: AtomicU64,
    /// When the oldest event was appended that it has not delivered, in nanoseconds; 0 when it has all.
    pub(super) oldest_ns: AtomicI64,
    /// It has to give way: the log needs the room.
    overtaken: AtomicBool,
    pub(super) parked: AtomicBool,
    pub(super) sent: AtomicU64,
    pub(super) skipped: AtomicU64,
    pub(super) dead_letters: AtomicU64,
    pub(super) failures: AtomicU64,
    /// Wakes the reader.
    pub(super) woken: Notify,
}

impl ReaderState {
    /// Whether it has to give way.
    pub(super) fn is_overtaken(&self) -> bool {
        self.overtaken.load(Ordering::SeqCst)
    }
}

/// The readers of one log. Clones share them.
#[derive(Clone)]
pub struct Readers(Arc<Inner>);

struct Inner {
    log: IncidentLog,
    places: Mutex<Vec<Arc<ReaderState>>>,
    notices: mpsc::Sender<Notice>,
}

impl Readers {
    /// Nobody yet. The second half tells what becomes of them.
    pub fn of(log: &IncidentLog) -> (Readers, mpsc::Receiver<Notice>) {
        let (notices, told) = mpsc::channel(NOTICES_MAX);
        (Readers(Arc::new(Inner { log: log.clone(), places: Mutex::default(), notices })), told)
    }

    pub(super) fn places(&self) -> std::sync::MutexGuard<'_, Vec<Arc<ReaderState>>> {
        self.0.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What they read.
    pub(super) fn log(&self) -> &IncidentLog {
        &self.0.log
    }

    pub(super) fn add(&self, name: &str, at: Position) -> Arc<ReaderState> {
        let place = Arc::new(ReaderState {
            name: name.to_owned(),
            position: AtomicU64::new(at.0),
            bytes: AtomicU64::default(),
            oldest_ns: AtomicI64::default(),
            overtaken: AtomicBool::default(),
            parked: AtomicBool::default(),
            sent: AtomicU64::default(),
            skipped: AtomicU64::default(),
            dead_letters: AtomicU64::default(),
            failures: AtomicU64::default(),
            woken: Notify::new(),
        });
        self.places().push(place.clone());
        place
    }

    /// A reader is done with everything up to `at`.
    pub(super) fn moved(&self, place: &ReaderState, at: Position) {
        place.position.store(at.0, Ordering::SeqCst);
        place.overtaken.store(false, Ordering::SeqCst);
        self.release();
    }

    /// What every reader has may be forgotten. One that has to give way is not waited for, and neither
    /// is one that waits for a person while the log is in memory: nobody can ask it to go on.
    pub(super) fn release(&self) {
        let places = self.places();
        let in_memory = self.0.log.is_in_memory();
        let lost = |place: &ReaderState| place.is_overtaken() || (in_memory && place.parked.load(Ordering::SeqCst));
        let waited = places.iter().filter(|place| !lost(place)).map(|place| place.position.load(Ordering::SeqCst));
        let least = if planted::has(Bug::ReleasedByFastest) { waited.max() } else { waited.min() };
        let least = least.unwrap_or(self.0.log.end().0);
        drop(places);
        self.0.log.journal().release(Position(least));
    }

    /// The log is full: who has not read the oldest segment gives way. False when nobody keeps it, or
    /// when it is the only one.
    pub(super) fn make_room(&self, reason: &str) -> bool {
        let Some(oldest) = self.0.log.oldest_segment_end() else { return false };
        let end = self.0.log.end().0;
        let places = self.places();
        let at = |place: &Arc<ReaderState>| place.position.load(Ordering::SeqCst);
        let keep = |place: &&Arc<ReaderState>| !place.is_overtaken() && at(place) < oldest.0;
        let mut found = false;
        for place in places.iter().filter(keep) {
            found = true;
            tracing::error!(
                reader = place.name,
                at = at(place),
                end,
                reason,
                "a reader is furthest behind and has to give way"
            );
            place.overtaken.store(true, Ordering::SeqCst);
            place.woken.notify_one();
        }
        drop(places);
        if found {
            self.release();
        }
        found
    }

    pub(super) fn tell(&self, notice: Notice) {
        if self.0.notices.try_send(notice).is_err() {
            tracing::warn!("nobody takes what is told of the readers");
        }
    }

    /// Names of readers that are parked.
    pub fn parked(&self) -> Vec<String> {
        let places = self.places();
        places.iter().filter(|place| place.parked.load(Ordering::Relaxed)).map(|place| place.name.clone()).collect()
    }
}
