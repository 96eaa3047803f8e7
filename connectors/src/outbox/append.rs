//! From the engine to the log: a bounded queue, and one task that appends what waits with one sync.

use std::sync::Arc;
use std::time::Duration;

use bellwether_engine::incident::IncidentEvent;
use bellwether_engine::planted::{self, Bug};
use tokio::sync::{mpsc, watch};

use super::log::{IncidentLog, LogPosition, LogState};
use super::readers::Readers;
use super::record::encode;
use crate::intake::{Stop, arrival_time};
use crate::journal::{JournalError, WriteBatch};

/// Journal entries whose events may wait for the log before the engine does.
const QUEUE_MAX: usize = 256;
/// Journal entries whose events share a sync.
const APPEND_MAX: usize = 64;
/// How long the log waits for room on a full disk before it tries again.
const FULL_PAUSE: Duration = Duration::from_millis(500);

/// What one journal entry gave. Without events it only says how far the engine is, and asks the log
/// to note that: what a checkpoint counts on.
#[derive(Debug)]
pub struct Folded {
    /// The entry.
    pub position: LogPosition,
    /// Its events.
    pub events: Vec<Arc<IncidentEvent>>,
}

/// Why the log takes nothing more.
#[derive(Debug, Clone, thiserror::Error)]
#[error("incident log: {0}")]
pub struct OutboxError(#[from] pub JournalError);

/// The engine's end of the log.
#[derive(Debug)]
pub struct Outbox {
    queue: mpsc::Sender<Folded>,
}

impl Outbox {
    /// The engine's end, up to where the log has everything, and the task of the appender, which the caller runs: it ends
    /// when the engine's end is dropped, or at `hard` when the disk is full.
    pub fn begin(
        log: IncidentLog,
        readers: Readers,
        from: LogPosition,
        hard: Stop,
    ) -> (Outbox, watch::Receiver<LogPosition>, impl Future<Output = Result<(), OutboxError>> + Send + use<>) {
        let (queue, waiting) = mpsc::channel(QUEUE_MAX);
        let (logged, seen) = watch::channel(from);
        let state = log.state().unwrap_or_default();
        let appender = Appender { log, readers, state, logged, hard };
        (Outbox { queue }, seen, appender.run(waiting))
    }

    /// Hands over what an entry gave, waiting while the queue is full. Blocking. False when the
    /// appender has ended: the process is about to.
    pub fn tell(&self, folded: Folded) -> bool {
        self.queue.blocking_send(folded).is_ok()
    }
}

struct Appender {
    log: IncidentLog,
    readers: Readers,
    /// Up to where the log has everything: what a restarted engine tells again is passed over.
    state: LogState,
    logged: watch::Sender<LogPosition>,
    /// From then on a full disk is not waited for.
    hard: Stop,
}

impl Appender {
    async fn run(mut self, mut waiting: mpsc::Receiver<Folded>) -> Result<(), OutboxError> {
        let mut batch = Vec::with_capacity(APPEND_MAX);
        while waiting.recv_many(&mut batch, APPEND_MAX).await > 0 {
            let LogState { told, mut bytes } = self.state;
            let upto = batch.last().map_or(told, |folded| folded.position);
            let now = arrival_time();
            let mut entries = Vec::new();
            for folded in batch.drain(..).filter(|folded| is_news(folded.position, told)) {
                for event in folded.events {
                    let entry = encode(folded.position.journal, now, bytes, &event);
                    bytes += entry.len() as u64;
                    entries.push(entry);
                }
            }
            if upto > told {
                let state = LogState { told: upto, bytes };
                if planted::has(Bug::LoggedBeforeWritten) {
                    self.logged.send_replace(upto);
                }
                if planted::has(Bug::MarkBeforeEvents) {
                    self.append(WriteBatch { mark: Some(state.mark()), ..WriteBatch::default() }).await?;
                }
                self.append(WriteBatch { entries, mark: Some(state.mark()), ..WriteBatch::default() }).await?;
                self.state = state;
            }
            self.logged.send_replace(upto);
        }
        Ok(())
    }

    /// Appends, waiting while there is no room; readers that are behind make room first.
    async fn append(&mut self, group: WriteBatch) -> Result<(), OutboxError> {
        self.log.check_ours().await?;
        let group = Arc::new(group);
        let mut told = false;
        loop {
            match self.log.journal().append(group.clone()).await {
                Ok(_) => {
                    // Where nobody reads, nobody else says what may be forgotten.
                    self.readers.release();
                    return Ok(());
                }
                Err(error) if error.is_retryable() && planted::has(Bug::DroppedWhenFull) => {
                    tracing::warn!(%error, "planted");
                    return Ok(());
                }
                Err(error) if error.is_retryable() => {
                    // Readers that give way make no room on a disk that others fill.
                    let own_limit = matches!(error, JournalError::Full { own_limit: true, .. });
                    if own_limit && self.readers.make_room(&error.to_string()) {
                        continue;
                    }
                    if !std::mem::replace(&mut told, true) {
                        tracing::error!(%error, "the incident log has no room: the engine waits, the journal takes what arrives");
                    }
                    if self.hard.sleep(FULL_PAUSE).await {
                        return Err(error.into());
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Whether what the entry at `position` gave is not in the log yet.
fn is_news(position: LogPosition, told: LogPosition) -> bool {
    position > told || planted::has(Bug::ToldAgainLogged)
}
