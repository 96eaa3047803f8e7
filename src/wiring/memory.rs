//! A journal in memory, for input that is read once and can be read again: `replay`.
//!
//! The same wiring runs over it as over the one on disk. Nothing is kept: an entry leaves when
//! the engine takes it, and whoever appends waits while the queue is full.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bellwether_connectors::journal::receipts::Receipts;
use bellwether_connectors::journal::{Entries, Entry, Journal, JournalError, Position, WriteBatch};
use futures::future::BoxFuture;
use tokio::sync::{Notify, watch};

/// Entries waiting for the engine. An entry is a batch of up to some thousand rows.
const QUEUE_ENTRIES_MAX: usize = 64;

/// A bounded queue with positions.
pub struct MemoryJournal {
    shared: Arc<Shared>,
    end: watch::Sender<Position>,
}

struct Shared {
    queue: Mutex<VecDeque<Entry>>,
    room: Notify,
    filled: Notify,
    closed: AtomicBool,
}

impl Shared {
    fn queue(&self) -> std::sync::MutexGuard<'_, VecDeque<Entry>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pop(&self) -> Option<Entry> {
        let entry = self.queue().pop_front();
        if entry.is_some() {
            self.room.notify_waiters();
        }
        entry
    }
}

impl Default for MemoryJournal {
    fn default() -> MemoryJournal {
        let shared = Shared {
            queue: Mutex::new(VecDeque::new()),
            room: Notify::new(),
            filled: Notify::new(),
            closed: AtomicBool::new(false),
        };
        MemoryJournal { shared: Arc::new(shared), end: watch::Sender::new(Position::START) }
    }
}

impl MemoryJournal {
    /// Nothing more will be appended.
    pub fn close(&self) {
        self.shared.closed.store(true, Ordering::SeqCst);
        self.shared.filled.notify_one();
    }

    /// The next entry, waiting for it; `None` once the queue is closed and empty. For one reader.
    pub async fn take(&self) -> Option<Entry> {
        loop {
            // Read before the queue: what is appended before closing is then seen.
            let closed = self.shared.closed.load(Ordering::SeqCst);
            if let Some(entry) = self.shared.pop() {
                return Some(entry);
            }
            if closed {
                return None;
            }
            self.shared.filled.notified().await;
        }
    }

    /// Queues one entry, waiting for room.
    async fn push(&self, bytes: Vec<u8>) -> Position {
        loop {
            let room = self.shared.room.notified();
            tokio::pin!(room);
            // Registered before the look at the queue: a reader in between is not missed.
            room.as_mut().enable();
            {
                let mut queue = self.shared.queue();
                if queue.len() < QUEUE_ENTRIES_MAX {
                    let position = Position(self.end.borrow().0 + 1);
                    queue.push_back(Entry { position, bytes });
                    self.end.send_replace(position);
                    self.shared.filled.notify_one();
                    return position;
                }
            }
            room.await;
        }
    }
}

impl Journal for MemoryJournal {
    fn append(&self, group: Arc<WriteBatch>) -> BoxFuture<'_, Result<Position, JournalError>> {
        Box::pin(async move {
            let mut last = *self.end.borrow();
            for bytes in &group.entries {
                last = self.push(bytes.clone()).await;
            }
            Ok(last)
        })
    }

    fn durable(&self) -> watch::Receiver<Position> {
        self.end.subscribe()
    }

    fn read(&self, _: Position) -> Result<Box<dyn Entries>, JournalError> {
        Ok(Box::new(MemoryEntries { shared: self.shared.clone(), at: Position::START }))
    }

    fn cursor(&self, _: &str) -> Option<Vec<u8>> {
        None
    }

    fn receipts(&self) -> Arc<Receipts> {
        // What is merged in memory comes from files: nobody sends it again.
        Arc::default()
    }

    fn release(&self, _: Position) {}
}

struct MemoryEntries {
    shared: Arc<Shared>,
    at: Position,
}

impl Entries for MemoryEntries {
    fn next_entry(&mut self) -> Result<Option<Entry>, JournalError> {
        let entry = self.shared.pop();
        self.at = entry.as_ref().map_or(self.at, |entry| entry.position);
        Ok(entry)
    }

    fn position(&self) -> Position {
        self.at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn entries_come_out_in_order_and_a_full_queue_makes_the_writer_wait() {
        let journal = Arc::new(MemoryJournal::default());
        let count = QUEUE_ENTRIES_MAX * 3;
        let writer = journal.clone();
        let writing = tokio::spawn(async move {
            for index in 0..count {
                let group = WriteBatch { entries: vec![vec![index as u8]], ..WriteBatch::default() };
                writer.append(Arc::new(group)).await.expect("memory takes it");
            }
        });
        let mut entries = journal.read(Position::START).expect("memory reads");
        let mut seen = 0;
        while seen < count {
            match entries.next_entry().expect("memory reads") {
                Some(entry) => {
                    seen += 1;
                    assert_eq!(entry.position, Position(seen as u64));
                    assert_eq!(entry.bytes, [(seen - 1) as u8]);
                }
                None => tokio::task::yield_now().await,
            }
            assert!(journal.shared.queue().len() <= QUEUE_ENTRIES_MAX);
        }
        writing.await.expect("the writer ends");
        assert_eq!(*journal.durable().borrow(), Position(count as u64));
    }
}
