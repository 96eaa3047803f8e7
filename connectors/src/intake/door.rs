//! The door to the journal: what returns from it is durable.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bellwether_engine::input::Input;
use bellwether_engine::signal::SignalKind;

use super::entries::encode;
use super::error::AcceptError;
use super::flow::{FlowTotals, IntakeCounts, SourceFlow, Waiting};
use super::reject::{RejectLog, Rejection};
use super::tap::Taps;
use crate::journal::receipts::{Claims, Receipts};
use crate::journal::{Journal, JournalError, Mark, PendingAppend, Position, WriteBatch};
use crate::memory::{Class, Memory};

use super::time::arrival_time;

/// How long [`Intake::accept_now`] waits for the journal before it says "busy": longer than a
/// slow sync, shorter than any sender's time limit.
const ACCEPT_NOW_MAX: Duration = Duration::from_secs(2);
/// First and longest pause of [`Intake::accept`] while the journal is full.
const FULL_PAUSE: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(2)];

/// Which signals wait first when memory is short.
fn class_of(kind: SignalKind) -> Class {
    match kind {
        SignalKind::Log => Class::Logs,
        SignalKind::Series | SignalKind::Metric | SignalKind::Edge => Class::Metrics,
        SignalKind::Alert | SignalKind::Change => Class::Alerts,
    }
}

/// Bytes that `inputs` and the entries made of them take.
pub(crate) fn bytes_of(inputs: &[Input]) -> usize {
    let of = |input: &Input| match input {
        Input::Batch(batch) => 2 * batch.records().get_array_memory_size(),
        _ => 0,
    };
    inputs.iter().map(of).sum()
}

/// The door to the journal. Cheap to clone; [`Intake::of`] gives each source its own, and what
/// goes through all of them is counted in one place.
#[derive(Clone)]
pub struct Intake {
    journal: Arc<dyn Journal>,
    receipts: Arc<Receipts>,
    rejects: RejectLog,
    counts: Arc<IntakeCounts>,
    source: Arc<SourceFlow>,
    flows: Arc<Mutex<BTreeMap<String, Arc<SourceFlow>>>>,
    taps: Taps,
    memory: Memory,
}

impl Intake {
    /// A door to `journal`, with bad rows going to `rejects`.
    pub fn new(journal: Arc<dyn Journal>, rejects: RejectLog) -> Intake {
        Intake {
            receipts: journal.receipts(),
            journal,
            rejects,
            counts: Arc::default(),
            source: Arc::new(SourceFlow::new("")),
            flows: Arc::default(),
            taps: Taps::default(),
            memory: Memory::unlimited(),
        }
    }

    /// The same door, which closes when the process comes near to its `memory`.
    #[must_use]
    pub fn within(self, memory: Memory) -> Intake {
        Intake { memory, ..self }
    }

    /// The memory of the process.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Whether there is too little memory for `inputs`. What is no signal (a tick, settings) always passes.
    pub(crate) fn is_short_of_memory(&self, inputs: &[Input]) -> bool {
        let class = |input: &Input| match input {
            Input::Batch(batch) => Some(class_of(batch.kind())),
            _ => None,
        };
        // What is to be stored together is as important as the most important part of it.
        inputs.iter().filter_map(class).max().is_some_and(|class| self.memory.refuses(class))
    }

    /// The same door as source `name` uses it: what goes through is counted, and can be looked
    /// at, under that name.
    #[must_use]
    pub fn of(&self, name: &str) -> Intake {
        let mut flows = self.flows.lock().unwrap_or_else(PoisonError::into_inner);
        let source = match flows.get(name) {
            Some(flow) => flow.clone(),
            None => flows.entry(name.to_owned()).or_insert_with(|| Arc::new(SourceFlow::new(name))).clone(),
        };
        Intake { source, ..self.clone() }
    }

    /// What went through each source's door, by name.
    pub(crate) fn flows(&self) -> Vec<FlowTotals> {
        let flows = self.flows.lock().unwrap_or_else(PoisonError::into_inner);
        flows.values().map(|flow| flow.read()).collect()
    }

    /// No claims yet, for one write of `tenant`: what its sender may send again is claimed before it
    /// is stored.
    pub fn claims(&self, tenant: &str) -> Claims {
        Claims::new(self.receipts.clone(), tenant, arrival_time())
    }

    /// Says that signals are about to be accepted, before they are decoded: see [`Journal::coming`].
    pub fn coming(&self) -> PendingAppend {
        self.journal.coming()
    }

    /// What came and may come again.
    pub fn receipts(&self) -> &Receipts {
        &self.receipts
    }

    /// Who looks at what is accepted.
    pub fn taps(&self) -> &Taps {
        &self.taps
    }

    /// Accepts `inputs` together with the source's new cursor, waiting as long as the journal
    /// is full: for sources that can wait (files, streams). Durable when it returns.
    ///
    /// # Errors
    /// [`AcceptError::TooLarge`] or [`AcceptError::Fatal`].
    pub async fn accept(&self, inputs: &[Input], mark: Option<Mark>) -> Result<Position, AcceptError> {
        self.accept_patiently(inputs, encode(inputs, mark, None, PendingAppend::default())).await
    }

    /// The same for what its sender may send again: the claims become receipts with the entries.
    ///
    /// # Errors
    /// As of [`Intake::accept`].
    pub(crate) async fn accept_claimed(&self, inputs: &[Input], claims: Claims) -> Result<Position, AcceptError> {
        self.accept_patiently(inputs, encode(inputs, None, Some(claims), PendingAppend::default())).await
    }

    async fn accept_patiently(&self, inputs: &[Input], write: Arc<WriteBatch>) -> Result<Position, AcceptError> {
        let _waiting = Waiting::begin(&self.source, inputs);
        let mut pause = FULL_PAUSE[0];
        loop {
            if self.is_short_of_memory(inputs) {
                self.source.held_back();
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(FULL_PAUSE[1]);
                continue;
            }
            match self.journal.append(write.clone()).await {
                Err(error) if error.is_retryable() => {
                    self.note(true);
                    tracing::warn!(%error, "journal is full, source waits");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(FULL_PAUSE[1]);
                }
                result => return self.accepted(inputs, result),
            }
        }
    }

    /// Accepts `inputs` or says soon that it cannot: for senders that retry (HTTP, gRPC).
    /// Durable when it returns `Ok`. After [`AcceptError::Busy`] the signals may become durable
    /// after all: until that is known, their claims are held, and the sender's retry is
    /// recognised by them.
    ///
    /// # Errors
    /// Any [`AcceptError`].
    pub async fn accept_now(
        &self,
        inputs: &[Input],
        claims: Claims,
        coming: PendingAppend,
    ) -> Result<Position, AcceptError> {
        let _waiting = Waiting::begin(&self.source, inputs);
        let append = self.journal.append(encode(inputs, None, Some(claims), coming));
        match tokio::time::timeout(ACCEPT_NOW_MAX, append).await {
            Ok(result) => self.accepted(inputs, result),
            Err(_) => {
                self.note(true);
                Err(AcceptError::Busy)
            }
        }
    }

    fn accepted(&self, inputs: &[Input], result: Result<Position, JournalError>) -> Result<Position, AcceptError> {
        match result.map_err(AcceptError::from) {
            Ok(position) => {
                self.note(false);
                self.counts.add(inputs);
                self.source.accepted(inputs, inputs.iter().map(|input| input.rows() as u64).sum());
                self.taps.offer(&self.source.name, inputs);
                Ok(position)
            }
            // The sender's mistake: the journal takes what others send.
            Err(error @ AcceptError::TooLarge { .. }) => Err(error),
            Err(error) => {
                self.note(true);
                Err(error)
            }
        }
    }

    fn note(&self, refusing: bool) {
        self.counts.refusing.store(refusing, Ordering::Relaxed);
    }

    /// Whether the journal took what any source handed to it last: what readiness means.
    pub(crate) fn is_accepting(&self) -> bool {
        !self.counts.refusing.load(Ordering::Relaxed)
    }

    /// Counts a row that cannot be read and keeps it aside.
    pub fn reject(&self, rejection: &Rejection) {
        self.rejects.add(rejection);
    }

    /// Where bad rows go.
    pub fn rejects(&self) -> &RejectLog {
        &self.rejects
    }

    /// Where the source `name` was when its last accepted write became durable.
    pub fn cursor(&self, name: &str) -> Option<Vec<u8>> {
        self.journal.cursor(name)
    }

    /// What was accepted so far.
    pub fn counts(&self) -> &IntakeCounts {
        &self.counts
    }
}
