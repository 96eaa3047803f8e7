//! When each journal entry arrived, so that an incident event can say how long it took.
//!
//! A journal around a journal: it notes the instant at which a write was handed in. The last
//! `ENTRIES_MAX` entries are remembered; an event of an older one has no latency, which is
//! what a replay after a restart should have.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bellwether_connectors::journal::receipts::Receipts;
use bellwether_connectors::journal::{Entries, Journal, JournalError, PendingAppend, Position, WriteBatch};
use futures::future::BoxFuture;
use tokio::sync::watch;

/// Groups remembered: 24 bytes each.
const ENTRIES_MAX: usize = 16_384;

/// The instants at which the latest writes arrived. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Arrivals(Arc<Mutex<VecDeque<(Position, Instant)>>>);

impl Arrivals {
    fn note(&self, last: Position, at: Instant) {
        let mut writes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if writes.len() == ENTRIES_MAX {
            writes.pop_front();
        }
        // Appends end in the order of their positions except when two sources race for the lock.
        let place = writes.partition_point(|(position, _)| *position < last);
        writes.insert(place, (last, at));
    }

    /// When the write with the entry at `position` was handed in.
    pub fn of(&self, position: Position) -> Option<Instant> {
        let writes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = writes.partition_point(|(last, _)| *last < position);
        // Before the first remembered write nothing is known: its begin is not.
        if place == 0 && writes.front().is_none_or(|(last, _)| *last != position) {
            return None;
        }
        writes.get(place).map(|(_, at)| *at)
    }
}

/// A journal that notes arrivals.
pub struct TimedJournal {
    inner: Arc<dyn Journal>,
    arrivals: Arrivals,
}

impl TimedJournal {
    /// Around `inner`.
    pub fn new(inner: Arc<dyn Journal>) -> TimedJournal {
        TimedJournal { inner, arrivals: Arrivals::default() }
    }

    /// What is noted.
    pub fn arrivals(&self) -> Arrivals {
        self.arrivals.clone()
    }
}

impl Journal for TimedJournal {
    fn append(&self, write: Arc<WriteBatch>) -> BoxFuture<'_, Result<Position, JournalError>> {
        let at = Instant::now();
        Box::pin(async move {
            let last = self.inner.append(write).await?;
            self.arrivals.note(last, at);
            Ok(last)
        })
    }

    fn coming(&self) -> PendingAppend {
        self.inner.coming()
    }

    fn durable(&self) -> watch::Receiver<Position> {
        self.inner.durable()
    }

    fn read(&self, after: Position) -> Result<Box<dyn Entries>, JournalError> {
        self.inner.read(after)
    }

    fn cursor(&self, source: &str) -> Option<Vec<u8>> {
        self.inner.cursor(source)
    }

    fn receipts(&self) -> Arc<Receipts> {
        self.inner.receipts()
    }

    fn release(&self, upto: Position) {
        self.inner.release(upto);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_has_the_arrival_of_its_group() {
        let arrivals = Arrivals::default();
        let start = Instant::now();
        let at = |millis| start + std::time::Duration::from_millis(millis);
        arrivals.note(Position(3), at(1));
        arrivals.note(Position(9), at(3));
        arrivals.note(Position(5), at(2));
        assert_eq!(arrivals.of(Position(3)), Some(at(1)));
        assert_eq!(arrivals.of(Position(4)), Some(at(2)));
        assert_eq!(arrivals.of(Position(6)), Some(at(3)));
        assert_eq!(arrivals.of(Position(10)), None);
        assert_eq!(arrivals.of(Position(1)), None);
    }

    #[test]
    fn only_the_latest_are_remembered() {
        let arrivals = Arrivals::default();
        for position in 1..=2 * ENTRIES_MAX as u64 {
            arrivals.note(Position(position), Instant::now());
        }
        assert_eq!(arrivals.0.lock().expect("not poisoned").len(), ENTRIES_MAX);
        assert_eq!(arrivals.of(Position(5)), None);
        assert!(arrivals.of(Position(2 * ENTRIES_MAX as u64)).is_some());
    }
}
