//! The door to the journals: what returns from it is durable.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bellwether_engine::input::Input;

use super::entries::encode;
use super::error::AcceptError;
use super::flow::{FlowTotals, IntakeCounts, SourceFlow, Waiting};
use super::reject::{RejectLog, Rejection};
use super::routes::{Part, Routes};
use super::tap::Taps;
use super::time::arrival_time;
use super::turns::Turns;
use crate::host;
use crate::journal::receipts::{Claims, ReceiptTotals};
use crate::journal::{Journal, JournalError, Mark, PendingAppend, WriteBatch};
use crate::memory::{Class, Memory};

/// How long [`Intake::accept_now`] waits for the journal before it says "busy": longer than a
/// slow sync, shorter than any sender's time limit.
const ACCEPT_NOW_MAX: Duration = Duration::from_secs(2);
/// First and longest pause of [`Intake::accept`] while the journal is full.
const FULL_PAUSE: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(2)];

/// Bytes that `inputs` and the entries made of them take.
pub(crate) fn bytes_of(inputs: &[Input]) -> usize {
    let of = |input: &Input| match input {
        Input::Batch(batch) => 2 * batch.records().get_array_memory_size(),
        _ => 0,
    };
    inputs.iter().map(of).sum()
}

/// The door to the journals of all partitions. Cheap to clone; [`Intake::of`] gives each source its own, and what
/// goes through all of them is counted in one place.
#[derive(Clone)]
pub struct Intake {
    routes: Routes,
    rejects: RejectLog,
    counts: Arc<IntakeCounts>,
    source: Arc<SourceFlow>,
    flows: Arc<Mutex<BTreeMap<String, Arc<SourceFlow>>>>,
    taps: Taps,
    memory: Memory,
}

/// A write to one partition.
struct Write<'i> {
    partition: usize,
    inputs: Cow<'i, [Input]>,
    batch: Arc<WriteBatch>,
}

impl Intake {
    /// A door to one journal, with bad rows going to `rejects`.
    pub fn new(journal: Arc<dyn Journal>, rejects: RejectLog) -> Intake {
        Intake::over(vec![journal], rejects)
    }

    /// A door to the journals of the partitions, in order; there is at least one.
    pub fn over(journals: Vec<Arc<dyn Journal>>, rejects: RejectLog) -> Intake {
        Intake {
            routes: Routes::new(journals),
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
            Input::Batch(batch) => Some(Class::of(batch.kind())),
            _ => None,
        };
        // What is to be stored together is as important as the most important part of it.
        inputs.iter().filter_map(class).max().is_some_and(|class| self.memory.refuses(class))
    }

    /// How many partitions there are.
    pub fn partitions(&self) -> NonZeroUsize {
        self.routes.count()
    }

    /// Whose turn it is in a partition.
    pub fn turns(&self, partition: usize) -> &Arc<Turns> {
        self.routes.turns(partition)
    }

    /// How often a write had to wait for its turn.
    pub(crate) fn turns_waited(&self) -> u64 {
        (0..self.partitions().get()).map(|partition| self.turns(partition).held_back()).sum()
    }

    /// Where a tenant's entries go.
    pub fn partition_of(&self, tenant: &str) -> usize {
        self.routes.of(tenant)
    }

    /// The same door to one partition alone: everything goes there, whosever it is, and cursors are those of there.
    #[must_use]
    pub fn only(&self, partition: usize) -> Intake {
        Intake { routes: self.routes.only(partition), ..self.clone() }
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
        Claims::new(self.routes.receipts(tenant).clone(), tenant, arrival_time())
    }

    /// Says that signals of a tenant are about to be accepted, before they are decoded: see [`Journal::coming`].
    pub fn coming(&self, tenant: &str) -> PendingAppend {
        self.routes.journal(self.routes.of(tenant)).coming()
    }

    /// What came and may come again.
    pub fn receipt_totals(&self) -> ReceiptTotals {
        self.routes.receipt_totals()
    }

    /// Who looks at what is accepted.
    pub fn taps(&self) -> &Taps {
        &self.taps
    }

    /// Accepts `inputs` together with the source's new cursor, waiting as long as a journal
    /// is full: for sources that can wait (files, streams). Durable when it returns.
    ///
    /// The cursor becomes durable in the same instant as entries of one partition; whose source has tenants of several
    /// keeps one in each, see [`Intake::only`].
    ///
    /// # Errors
    /// [`AcceptError::TooLarge`] or [`AcceptError::Fatal`].
    pub async fn accept(&self, inputs: &[Input], mark: Option<Mark>) -> Result<(), AcceptError> {
        self.accept_patiently(inputs, mark, None).await
    }

    /// The same for what its sender may send again: the claims become receipts with the entries.
    ///
    /// # Errors
    /// As of [`Intake::accept`].
    pub(crate) async fn accept_claimed(&self, inputs: &[Input], claims: Claims) -> Result<(), AcceptError> {
        self.accept_patiently(inputs, None, Some(claims)).await
    }

    async fn accept_patiently(
        &self,
        inputs: &[Input],
        mark: Option<Mark>,
        claims: Option<Claims>,
    ) -> Result<(), AcceptError> {
        let _waiting = Waiting::begin(&self.source, inputs);
        self.wait_for_memory(inputs).await;
        let source = mark.as_ref().map(|mark| mark.source.clone());
        let writes = self.writes(inputs, mark, claims, PendingAppend::default());
        if let (Some(source), Some(last)) = (source, writes.last()) {
            self.patiently(last.partition, || self.routes.settle(&source, last.partition)).await?;
        }
        for write in writes {
            let journal = self.routes.journal(write.partition);
            let turn = self.turns(write.partition).wait(&write.inputs).await;
            let appended = self.patiently(write.partition, || journal.append(write.batch.clone())).await;
            self.noted(&write, appended.map(|last| turn.durable(last)))?;
        }
        self.accepted(inputs);
        Ok(())
    }

    /// Waits as long as there is too little memory for `inputs`.
    async fn wait_for_memory(&self, inputs: &[Input]) {
        let mut pause = FULL_PAUSE[0];
        while self.is_short_of_memory(inputs) {
            self.source.held_back();
            host::sleep(pause).await;
            pause = (pause * 2).min(FULL_PAUSE[1]);
        }
    }

    /// Does something to the journal of `partition`, waiting as long as that is full.
    async fn patiently<T, F>(&self, partition: usize, mut attempt: impl FnMut() -> F) -> Result<T, AcceptError>
    where
        F: Future<Output = Result<T, JournalError>>,
    {
        let mut pause = FULL_PAUSE[0];
        loop {
            match attempt().await {
                Err(error) if error.is_retryable() => {
                    self.routes.note(partition, true);
                    tracing::warn!(%error, partition, "journal is full, source waits");
                    host::sleep(pause).await;
                    pause = (pause * 2).min(FULL_PAUSE[1]);
                }
                result => return result.map_err(AcceptError::from),
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
    pub async fn accept_now(&self, inputs: &[Input], claims: Claims, coming: PendingAppend) -> Result<(), AcceptError> {
        let _waiting = Waiting::begin(&self.source, inputs);
        for write in self.writes(inputs, None, Some(claims), coming) {
            let turn = host::timeout(ACCEPT_NOW_MAX, self.turns(write.partition).wait(&write.inputs)).await;
            let turn = turn.map_err(|_| AcceptError::Behind)?;
            let append = self.routes.journal(write.partition).append(write.batch.clone());
            let appended = match host::timeout(ACCEPT_NOW_MAX, append).await {
                Ok(appended) => appended.map(|last| turn.durable(last)).map_err(AcceptError::from),
                Err(_) => Err(AcceptError::Busy),
            };
            self.noted(&write, appended)?;
        }
        self.accepted(inputs);
        Ok(())
    }

    /// What goes to which partition. Cursor, claims and announcement go with the last: what they say is true when it
    /// is durable.
    fn writes<'i>(
        &self,
        inputs: &'i [Input],
        mark: Option<Mark>,
        claims: Option<Claims>,
        coming: PendingAppend,
    ) -> Vec<Write<'i>> {
        let mut parts = self.routes.split(inputs);
        if let (true, Some(mark)) = (parts.is_empty(), &mark) {
            parts.push((self.routes.home(&mark.source), Cow::Borrowed(&[])));
        }
        let Some((last, own)) = parts.pop() else { return Vec::new() };
        let write = |(partition, inputs): Part<'i>| {
            let batch = encode(&inputs, None, None, PendingAppend::default());
            Write { partition, inputs, batch }
        };
        let mut writes: Vec<Write<'_>> = parts.into_iter().map(write).collect();
        let batch = encode(&own, mark, claims, coming);
        writes.push(Write { partition: last, inputs: own, batch });
        writes
    }

    /// Notes what became of a write.
    fn noted(&self, write: &Write<'_>, result: Result<(), AcceptError>) -> Result<(), AcceptError> {
        // What is too large is the sender's mistake: the journal takes what others send.
        if !matches!(result, Err(AcceptError::TooLarge { .. })) {
            self.routes.note(write.partition, result.is_err());
        }
        result
    }

    fn accepted(&self, inputs: &[Input]) {
        self.counts.add(inputs);
        self.source.accepted(inputs, inputs.iter().map(|input| input.rows() as u64).sum());
        self.taps.offer(&self.source.name, inputs);
    }

    /// Whether every journal took what any source handed to it last: what readiness means.
    pub(crate) fn is_accepting(&self) -> bool {
        self.routes.is_accepting()
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
        self.routes.cursor(name)
    }

    /// What was accepted so far.
    pub fn counts(&self) -> &IntakeCounts {
        &self.counts
    }
}
