//! Sources: where signals come from, and how they are accepted.
//!
//! A source runs until its input ends or it is told to stop. It decodes what it reads and
//! hands it to its [`Intake`]; when [`Intake::accept`] returns, the signals are durable, and
//! only then does the source tell its sender so (HTTP 200, a NATS acknowledgement, a moved
//! file cursor). Rows that cannot be read are given to [`Intake::reject`]: counted by reason
//! and kept aside.
//!
//! ```no_run
//! # use bellwether_connectors::{Intake, AcceptError};
//! # use bellwether_engine::input::Input;
//! async fn handle_request(intake: Intake, tenant: &str, decoded: Vec<Input>) -> u16 {
//!     match intake.accept_now(&decoded, intake.claims(tenant), intake.coming()).await {
//!         Ok(_) => 200,
//!         Err(AcceptError::Busy | AcceptError::Full { .. }) => 503, // with Retry-After
//!         Err(AcceptError::TooLarge { .. }) => 413,
//!         Err(AcceptError::Fatal(_)) => 503,
//!     }
//! }
//! ```

mod in_time;
pub mod reject;
pub mod tap;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arrow::array::TimestampNanosecondArray;
use bellwether_engine::input::Input;
use bellwether_engine::signal::{Batch, SignalKind};
use bellwether_engine::time::EventTime;
use futures::future::BoxFuture;
use tokio::sync::watch;

use crate::intake::in_time::in_time_order;
use crate::intake::reject::{RejectLog, Rejection};
use crate::intake::tap::Taps;
use crate::journal::receipts::{Claims, Receipts};
use crate::journal::{Coming, Group, Journal, JournalError, Mark, Position};

/// How long [`Intake::accept_now`] waits for the journal before it says "busy": longer than a
/// slow sync, shorter than any sender's time limit.
const ACCEPT_NOW_MAX: Duration = Duration::from_secs(2);
/// A larger batch becomes several entries of one group: far below the journal's limit, so that
/// reading an entry back takes little memory.
const ENTRY_BYTES_MAX: usize = 16 << 20;
/// What an entry has beside its columns: the schema, lengths, checksums.
const ENTRY_BYTES_BESIDE: usize = 8 << 10;
/// First and longest pause of [`Intake::accept`] while the journal is full.
const FULL_PAUSE: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(2)];

/// Something that reads signals.
pub trait Source: Send {
    /// Its name in configuration, logs and cursors; unique in one process.
    fn name(&self) -> &str;

    /// Reads until the input ends (`Ok`) or `stop` is called, handing everything to `intake`.
    ///
    /// # Errors
    /// [`SourceError`]; a fatal one ends the process, any other ends this source.
    fn run(self: Box<Self>, intake: Intake, stop: Stop) -> BoxFuture<'static, Result<(), SourceError>>;
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
}

/// What has gone through one source's door.
#[derive(Debug)]
pub struct SourceFlow {
    name: Arc<str>,
    groups: AtomicU64,
    rows: AtomicU64,
    /// Rows handed to the journal that are not durable yet.
    waiting: AtomicU64,
    /// How far the newest row of the last group was behind its arrival, in nanoseconds.
    lag_ns: AtomicI64,
    /// Arrival of the last group, in nanoseconds since the epoch; 0 before the first.
    last_ns: AtomicI64,
}

/// A reading of [`SourceFlow`].
#[derive(Clone, Debug, PartialEq)]
pub struct FlowTotals {
    /// The source.
    pub name: Arc<str>,
    /// Groups accepted.
    pub groups: u64,
    /// Rows accepted.
    pub rows: u64,
    /// Rows handed to the journal that are not durable yet.
    pub waiting: u64,
    /// Seconds by which the newest row of the last group was behind its arrival; `None` when
    /// nothing with a time has come.
    pub lag_secs: Option<f64>,
    /// When the last group came; `None` before the first.
    pub last: Option<EventTime>,
}

impl SourceFlow {
    fn new(name: &str) -> SourceFlow {
        SourceFlow {
            name: name.into(),
            groups: AtomicU64::new(0),
            rows: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            lag_ns: AtomicI64::new(i64::MIN),
            last_ns: AtomicI64::new(0),
        }
    }

    /// Notes that `inputs` have become durable.
    fn accepted(&self, inputs: &[Input], rows: u64) {
        self.groups.fetch_add(1, Ordering::Relaxed);
        self.rows.fetch_add(rows, Ordering::Relaxed);
        let now = arrival_time();
        self.last_ns.store(now.0, Ordering::Relaxed);
        let newest = inputs.iter().filter_map(newest_time).max();
        if let Some(newest) = newest {
            self.lag_ns.store(now.0.saturating_sub(newest), Ordering::Relaxed);
        }
    }

    fn read(&self) -> FlowTotals {
        let last = self.last_ns.load(Ordering::Relaxed);
        let lag = self.lag_ns.load(Ordering::Relaxed);
        FlowTotals {
            name: self.name.clone(),
            groups: self.groups.load(Ordering::Relaxed),
            rows: self.rows.load(Ordering::Relaxed),
            waiting: self.waiting.load(Ordering::Relaxed),
            lag_secs: (lag != i64::MIN).then_some(lag as f64 / 1e9),
            last: (last != 0).then_some(EventTime(last)),
        }
    }
}

/// The newest event time in an entry, in nanoseconds, when it has one.
fn newest_time(input: &Input) -> Option<i64> {
    match input {
        Input::Batch(batch) => event_times(batch)?.iter().copied().max(),
        _ => None,
    }
}

/// The event times of a batch's rows, in nanoseconds, when its kind has them.
pub fn event_times(batch: &Batch) -> Option<&[i64]> {
    let column = batch.records().column_by_name("time")?;
    let times = column.as_any().downcast_ref::<TimestampNanosecondArray>()?;
    Some(times.values())
}

/// Rows on their way to the journal: no longer waiting when dropped, however that comes.
struct Waiting<'a> {
    flow: &'a SourceFlow,
    rows: u64,
}

impl<'a> Waiting<'a> {
    fn begin(flow: &'a SourceFlow, inputs: &[Input]) -> Waiting<'a> {
        let rows = inputs.iter().map(|input| input.rows() as u64).sum();
        flow.waiting.fetch_add(rows, Ordering::Relaxed);
        Waiting { flow, rows }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.flow.waiting.fetch_sub(self.rows, Ordering::Relaxed);
    }
}

/// Rows accepted, by kind, and groups.
#[derive(Debug, Default)]
pub struct IntakeCounts {
    rows: [AtomicU64; SignalKind::ALL.len()],
    others: AtomicU64,
    groups: AtomicU64,
    /// The journal did not take what was handed to it last.
    refusing: AtomicBool,
}

impl IntakeCounts {
    /// Rows of `kind` accepted so far.
    pub fn rows(&self, kind: SignalKind) -> u64 {
        self.rows[kind as usize].load(Ordering::Relaxed)
    }

    /// Entries that are not signals: ticks, catalogues, actions.
    pub fn others(&self) -> u64 {
        self.others.load(Ordering::Relaxed)
    }

    /// Groups accepted so far.
    pub fn groups(&self) -> u64 {
        self.groups.load(Ordering::Relaxed)
    }

    fn add(&self, inputs: &[Input]) {
        for input in inputs {
            let counter = match input {
                Input::Batch(batch) => &self.rows[batch.kind() as usize],
                _ => &self.others,
            };
            counter.fetch_add(input.rows() as u64, Ordering::Relaxed);
        }
        self.groups.fetch_add(1, Ordering::Relaxed);
    }
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
        }
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
    pub fn flows(&self) -> Vec<FlowTotals> {
        let flows = self.flows.lock().unwrap_or_else(PoisonError::into_inner);
        flows.values().map(|flow| flow.read()).collect()
    }

    /// No claims yet, for one group of `tenant`: what its sender may send again is claimed before it
    /// is stored.
    pub fn claims(&self, tenant: &str) -> Claims {
        Claims::new(self.receipts.clone(), tenant, arrival_time())
    }

    /// Says that signals are about to be accepted, before they are decoded: see [`Journal::coming`].
    pub fn coming(&self) -> Coming {
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
        self.accept_patiently(inputs, encode(inputs, mark, None, Coming::default())).await
    }

    /// The same for what its sender may send again: the claims become receipts with the entries.
    ///
    /// # Errors
    /// As of [`Intake::accept`].
    pub async fn accept_claimed(&self, inputs: &[Input], claims: Claims) -> Result<Position, AcceptError> {
        self.accept_patiently(inputs, encode(inputs, None, Some(claims), Coming::default())).await
    }

    async fn accept_patiently(&self, inputs: &[Input], group: Arc<Group>) -> Result<Position, AcceptError> {
        let _waiting = Waiting::begin(&self.source, inputs);
        let mut pause = FULL_PAUSE[0];
        loop {
            match self.journal.append(group.clone()).await {
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
    pub async fn accept_now(&self, inputs: &[Input], claims: Claims, coming: Coming) -> Result<Position, AcceptError> {
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
    pub fn is_accepting(&self) -> bool {
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

    /// Where the source `name` was when its last accepted group became durable.
    pub fn cursor(&self, name: &str) -> Option<Vec<u8>> {
        self.journal.cursor(name)
    }

    /// What was accepted so far.
    pub fn counts(&self) -> &IntakeCounts {
        &self.counts
    }
}

fn encode(inputs: &[Input], mark: Option<Mark>, claims: Option<Claims>, coming: Coming) -> Arc<Group> {
    let mut entries = Vec::with_capacity(inputs.len());
    for input in &in_time_order(inputs) {
        encode_one(input, &mut entries);
    }
    Arc::new(Group { entries, mark, claims, coming })
}

/// Encodes `input`, halving a batch that is too large for one entry.
fn encode_one(input: &Input, entries: &mut Vec<Vec<u8>>) {
    let mut bytes = Vec::with_capacity(encoded_bytes_about(input));
    input.encode(&mut bytes);
    match input {
        Input::Batch(batch) if bytes.len() > ENTRY_BYTES_MAX && batch.len() > 1 => {
            drop(bytes);
            let half = batch.len() / 2;
            encode_one(&Input::Batch(batch.slice(0, half)), entries);
            encode_one(&Input::Batch(batch.slice(half, batch.len() - half)), entries);
        }
        _ => entries.push(bytes),
    }
}

/// About how long an entry becomes: growing to it step by step would copy it several times.
fn encoded_bytes_about(input: &Input) -> usize {
    match input {
        Input::Batch(batch) => batch.records().get_array_memory_size().min(ENTRY_BYTES_MAX) + ENTRY_BYTES_BESIDE,
        _ => 0,
    }
}

/// Why signals were not accepted.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AcceptError {
    /// The journal did not answer in time; retry.
    #[error("the journal is busy; retry in a moment")]
    Busy,
    /// The journal or its disk is full; retry later.
    #[error("{reason}")]
    Full {
        /// What is full.
        reason: String,
    },
    /// The batch is over the limit; retrying does not help.
    #[error("{reason}")]
    TooLarge {
        /// How large, and the limit.
        reason: String,
    },
    /// The journal is broken and the process is about to end.
    #[error(transparent)]
    Fatal(JournalError),
}

impl From<JournalError> for AcceptError {
    fn from(error: JournalError) -> AcceptError {
        let reason = error.to_string();
        match error {
            JournalError::Full { .. } => AcceptError::Full { reason },
            JournalError::TooLarge { .. } => AcceptError::TooLarge { reason },
            error => AcceptError::Fatal(error),
        }
    }
}

/// Why a source ended.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The journal is broken: the process must end.
    #[error(transparent)]
    Fatal(JournalError),
    /// What is configured cannot work.
    #[error("source `{source_name}`: {reason}")]
    Config {
        /// Which source.
        source_name: String,
        /// What, where, and the remedy.
        reason: String,
    },
    /// What it reads from failed.
    #[error("source `{source_name}`: {reason}")]
    Input {
        /// Which source.
        source_name: String,
        /// What, where, and the remedy.
        reason: String,
    },
}

impl SourceError {
    /// A [`SourceError::Config`].
    pub fn config(source: &str, reason: impl Into<String>) -> SourceError {
        SourceError::Config { source_name: source.to_owned(), reason: reason.into() }
    }

    /// A [`SourceError::Input`].
    pub fn input(source: &str, reason: impl Into<String>) -> SourceError {
        SourceError::Input { source_name: source.to_owned(), reason: reason.into() }
    }

    /// True when the process must end.
    pub fn is_fatal(&self) -> bool {
        matches!(self, SourceError::Fatal(_))
    }

    /// What a failed [`Intake::accept`] means to source `name`.
    pub fn accept(name: &str, error: AcceptError) -> SourceError {
        match error {
            AcceptError::Fatal(error) => SourceError::Fatal(error),
            other => SourceError::input(name, other.to_string()),
        }
    }
}

/// The time of arrival, for input that carries no time of its own. What is written to the
/// journal is the time of the event from then on: a replay reads the same.
#[expect(clippy::disallowed_methods, reason = "the one place in this crate that reads the wall clock")]
pub fn arrival_time() -> EventTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    EventTime(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

/// Tells sources to stop; dropping it does too.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

/// Whether to stop; one for each source.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

/// A pair of [`Stopper`] and [`Stop`].
pub fn stop_pair() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(false);
    (Stopper(sender), Stop(receiver))
}

impl Stopper {
    /// Tells every [`Stop`].
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// True once stopped.
    pub fn is_stopped(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }

    /// Returns once stopped.
    pub async fn stopped(&mut self) {
        // An error means the stopper is gone, which is a stop.
        let _ = self.0.wait_for(|stop| *stop).await;
    }

    /// Sleeps; returns true when stopped meanwhile.
    pub async fn sleep(&mut self, time: Duration) -> bool {
        tokio::time::timeout(time, self.stopped()).await.is_ok()
    }
}

#[cfg(test)]
mod tests;
