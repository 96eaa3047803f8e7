//! A log in memory, for a process whose input can be read again: `replay`.
//!
//! Records leave when every reader has them; who appends waits while there are too many.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;
use tokio::sync::{Notify, watch};

use crate::journal::receipts::Receipts;
use crate::journal::{Entries, Entry, Journal, JournalError, Position, WriteBatch};

/// Records held; beyond, the engine waits for the slowest reader. A record is some KiB.
const RECORDS_MAX: usize = 16_384;

#[derive(Default)]
struct Held {
    /// The position before the oldest record.
    before: u64,
    records: VecDeque<Vec<u8>>,
    told: Option<Vec<u8>>,
}

/// Records in memory, for several readers.
pub(crate) struct MemoryLog {
    held: Arc<Mutex<Held>>,
    room: Arc<Notify>,
    end: watch::Sender<Position>,
    receipts: Arc<Receipts>,
}

impl Default for MemoryLog {
    fn default() -> MemoryLog {
        MemoryLog {
            held: Arc::default(),
            room: Arc::default(),
            end: watch::Sender::new(Position::START),
            receipts: Arc::default(),
        }
    }
}

fn lock(held: &Mutex<Held>) -> std::sync::MutexGuard<'_, Held> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Journal for MemoryLog {
    fn append(&self, group: Arc<WriteBatch>) -> BoxFuture<'_, Result<Position, JournalError>> {
        Box::pin(async move {
            loop {
                let room = self.room.notified();
                tokio::pin!(room);
                // Registered before the look: a release in between is not missed.
                room.as_mut().enable();
                {
                    let mut held = lock(&self.held);
                    // A group larger than the log goes in when the log is empty.
                    if held.records.is_empty() || held.records.len() + group.entries.len() <= RECORDS_MAX {
                        held.records.extend(group.entries.iter().cloned());
                        if let Some(mark) = &group.mark {
                            held.told = Some(mark.cursor.clone());
                        }
                        let last = Position(held.before + held.records.len() as u64);
                        drop(held);
                        self.end.send_replace(last);
                        return Ok(last);
                    }
                }
                room.await;
            }
        })
    }

    fn durable(&self) -> watch::Receiver<Position> {
        self.end.subscribe()
    }

    fn read(&self, after: Position) -> Result<Box<dyn Entries>, JournalError> {
        let before = lock(&self.held).before;
        if after.0 < before {
            return Err(JournalError::Gone { asked: after, first: Position(before + 1) });
        }
        Ok(Box::new(MemoryReader { held: self.held.clone(), at: after.0 }))
    }

    fn cursor(&self, _: &str) -> Option<Vec<u8>> {
        lock(&self.held).told.clone()
    }

    fn receipts(&self) -> Arc<Receipts> {
        self.receipts.clone()
    }

    fn release(&self, upto: Position) {
        let mut held = lock(&self.held);
        while held.before < upto.0 && held.records.pop_front().is_some() {
            held.before += 1;
        }
        drop(held);
        self.room.notify_waiters();
    }
}

struct MemoryReader {
    held: Arc<Mutex<Held>>,
    at: u64,
}

impl Entries for MemoryReader {
    fn next_entry(&mut self) -> Result<Option<Entry>, JournalError> {
        let held = lock(&self.held);
        let Some(index) = self.at.checked_sub(held.before) else {
            return Err(JournalError::Gone { asked: Position(self.at), first: Position(held.before + 1) });
        };
        let Some(bytes) = held.records.get(index as usize) else { return Ok(None) };
        self.at += 1;
        Ok(Some(Entry { position: Position(self.at), bytes: bytes.clone() }))
    }

    fn position(&self) -> Position {
        Position(self.at)
    }
}
