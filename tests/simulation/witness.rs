//! Who sees every entry of the journal while it is there, and knows it when it comes to the reckoning.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bellwether_connectors::journal::receipts::Receipts;
use bellwether_connectors::journal::{Entries, JournalError, PendingAppend};
use bellwether_connectors::{Journal, Position, WriteBatch};
use futures::future::BoxFuture;
use tokio::sync::watch;

use super::world::World;

/// The entries of the journal by position, also those that it has dropped. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<BTreeMap<u64, Vec<u8>>>>);

impl Seen {
    /// What was seen.
    pub(crate) fn entries(&self) -> BTreeMap<u64, Vec<u8>> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A journal that is looked at.
pub(crate) struct Witnessed {
    inner: Arc<dyn Journal>,
    seen: Seen,
    reader: Mutex<Box<dyn Entries>>,
}

impl Witnessed {
    /// Looks at `inner`, whose oldest entry is `first`, after a start: what was durable has to be there as it was.
    pub(crate) fn new(
        inner: Arc<dyn Journal>,
        seen: Seen,
        first: Position,
        world: &World,
    ) -> Result<Witnessed, JournalError> {
        let mut reader = inner.read(Position(first.0.saturating_sub(1)))?;
        let mut there = BTreeMap::new();
        while let Some(entry) = reader.next_entry()? {
            there.insert(entry.position.0, entry.bytes);
        }
        let mut known = seen.lock();
        if let Some((at, _)) = known.range(first.0..).find(|(at, bytes)| there.get(at) != Some(bytes)) {
            world.wrong(format!("journal entry {at} was durable and is not what it was, or gone"));
        }
        known.extend(there);
        drop(known);
        Ok(Witnessed { inner, seen, reader: Mutex::new(reader) })
    }

    /// Sees what is new.
    fn look(&self) -> Result<(), JournalError> {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(entry) = reader.next_entry()? {
            self.seen.lock().insert(entry.position.0, entry.bytes);
        }
        Ok(())
    }
}

impl Journal for Witnessed {
    fn append(&self, write: Arc<WriteBatch>) -> BoxFuture<'_, Result<Position, JournalError>> {
        Box::pin(async move {
            let last = self.inner.append(write).await?;
            // Before anybody is told that it is there.
            self.look()?;
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
        // Before anything can drop it.
        let _ = self.look();
        self.inner.release(upto);
    }
}
