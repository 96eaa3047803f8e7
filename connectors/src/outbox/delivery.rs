//! The delivery loop of a reader: the one place that knows of pauses, deadlines, parking and stopping.
//! Sinks try once.
//!
//! A batch is delivered, then the cursor is saved. A receiver that is away is tried again, with
//! pauses up to `PAUSE`; after `give_up_after` the reader is *parked*: it waits for a person
//! (`bellwether sinks retry`, `bellwether sinks skip`) and is told. An event that the receiver refuses
//! for good goes to the dead letters, and the rest go on. A receiver that wants the newest revisions
//! ([`Order::Newest`]) gets those of what was read for a batch; the cursor moves past all of it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bellwether_engine::planted::{self, Bug};
use tokio::sync::watch;
use tokio::task::JoinError;

use super::cursor::{Cursor, CursorError, CursorFile, Fault, Parked};
use super::dead_letters::DeadLetters;
use super::log::IncidentLog;
use super::newest::newest;
use super::readers::{Notice, ReaderState, Readers};
use super::receiver::Receiver;
use super::record::{RecordError, decode};
use super::request::{Request, Until};
use crate::host;
use crate::intake::{Stop, arrival_time};
use crate::journal::{Entries, JournalError, Position};
use crate::sinks::{Order, Outgoing, SinkError};

/// Events read for one attempt.
const BATCH_EVENTS_MAX: usize = 256;
/// First and longest pause while a receiver is away.
const PAUSE: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(5)];
/// How often a reader looks for what a person asks.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Sees every batch that was delivered.
pub(super) type OnDelivered = Box<dyn Fn(&[Outgoing]) + Send>;

/// When a reader stops although there is more to deliver.
#[derive(Clone)]
pub struct Deadline {
    /// Receivers that are away are no longer waited for.
    pub patience: Stop,
    /// What is being delivered is abandoned: it is delivered again at the next start.
    pub hard: Stop,
}

/// What a reader did, and what is left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReaderTotals {
    /// Its name.
    pub name: String,
    /// Events newly delivered.
    pub sent: u64,
    /// Events the receiver already had, or was given a newer revision for.
    pub skipped: u64,
    /// Records it is not done with.
    pub left: u64,
    /// Why it is not.
    pub reason: Option<String>,
}

/// A reader at work.
pub(super) struct Delivery {
    pub(super) receiver: Receiver,
    pub(super) log: IncidentLog,
    pub(super) readers: Readers,
    pub(super) place: Arc<ReaderState>,
    pub(super) folder: Option<PathBuf>,
    pub(super) file: Option<CursorFile>,
    pub(super) dead_letters: Option<DeadLetters>,
    pub(super) cursor: Cursor,
    /// Whether the cursor's file may be written.
    pub(super) kept: bool,
    pub(super) entries: Option<Box<dyn Entries>>,
    pub(super) end: watch::Receiver<Option<Position>>,
    pub(super) deadline: Deadline,
    pub(super) told: OnDelivered,
    /// What was done before this process.
    pub(super) began: ReaderTotals,
}

/// What was read of the log.
struct Read {
    events: Vec<Outgoing>,
    /// Events that newer ones stand for.
    passed: u64,
    /// Up to which record.
    upto: Position,
    /// Bytes of all records up to there.
    bytes: u64,
}

/// Why a reader cannot read on.
#[derive(Debug, thiserror::Error)]
enum ReadError {
    /// What it has not read is not there any more.
    #[error(transparent)]
    Cursor(CursorError),
    /// The log does not read.
    #[error(transparent)]
    Log(JournalError),
    /// A record is of another build.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The thread that read has ended.
    #[error("reading the incident log ended unexpectedly: {0}")]
    Ended(JoinError),
}

/// Why an event is not among the dead letters.
#[derive(Debug, thiserror::Error)]
enum SetAsideError {
    /// The receiver speaks of another.
    #[error("the receiver refuses `{key}`, which was not sent: {reason}")]
    NotSent { key: String, reason: String },
    /// The disk does not take it.
    #[error("`{key}` cannot be set aside: {error}")]
    NotKept { key: String, error: std::io::Error },
}

/// How a batch ended.
enum Ended {
    Delivered,
    Parked(String),
    Stopped,
    /// A person has asked for something.
    Asked,
}

impl Delivery {
    /// Delivers until there is nothing more to come, or it is stopped.
    pub(super) async fn run(mut self) -> ReaderTotals {
        self.began = ReaderTotals { sent: self.cursor.sent, skipped: self.cursor.skipped, ..ReaderTotals::default() };
        self.note_bytes();
        if let Some(parked) = self.cursor.parked.clone() {
            self.place.parked.store(true, Ordering::Relaxed);
            self.readers.tell(Notice { reader: self.cursor.reader.clone(), parked: Some(parked.reason) });
        }
        loop {
            self.follow_request().await;
            if self.place.is_overtaken() && self.cursor.parked.is_none() {
                self.park("the incident log had no more room, and this reader was furthest behind".to_owned()).await;
            }
            if self.deadline.hard.is_stopped() || (self.cursor.parked.is_some() && self.end.borrow().is_some()) {
                return self.totals(None).await;
            }
            if self.cursor.parked.is_some() {
                self.rest().await;
                continue;
            }
            let Read { events, passed, upto, bytes } = match self.read().await {
                Ok(read) => read,
                Err(error) => {
                    self.park(error.to_string()).await;
                    continue;
                }
            };
            if events.is_empty() {
                // What follows the last event may be no event: how far the engine is.
                self.advance(upto, bytes).await;
                if self.end.borrow().is_some_and(|end| end <= upto) {
                    return self.totals(None).await;
                }
                self.rest().await;
                continue;
            }
            if planted::has(Bug::CursorBeforeDelivery) {
                self.advance(upto, bytes).await;
            }
            match self.deliver(events).await {
                Ended::Delivered => {
                    self.cursor.skipped += passed;
                    self.advance(upto, bytes).await;
                }
                Ended::Parked(reason) => self.park(reason).await,
                Ended::Stopped => {
                    let fault = self.cursor.fault.as_ref().map(|fault| fault.reason.clone());
                    return self.totals(fault).await;
                }
                // What was read is read again from where the cursor stands.
                Ended::Asked => self.entries = None,
            }
        }
    }

    /// Waits until there may be something to do.
    async fn rest(&mut self) {
        let mut durable = self.log.journal().durable();
        if self.cursor.parked.is_none() && durable.borrow_and_update().0 > self.cursor.position {
            return;
        }
        let (end, parked) = (&mut self.end, self.cursor.parked.is_some());
        let mut hard = self.deadline.hard.clone();
        tokio::select! {
            biased;
            _ = durable.changed(), if !parked => {}
            _ = end.changed() => {}
            () = self.place.woken.notified() => {}
            _ = hard.sleep(LOOK_EVERY) => {}
        }
    }

    /// The next events; none at the log's end.
    async fn read(&mut self) -> Result<Read, ReadError> {
        let (log, at, held) = (self.log.clone(), Position(self.cursor.position), self.entries.take());
        let (reader, order, mut bytes) = (self.cursor.reader.clone(), self.receiver.order, self.cursor.bytes);
        let reading = host::blocking(move || {
            let failed = |error: JournalError| match error {
                JournalError::Gone { asked, first } => {
                    ReadError::Cursor(CursorError::Gone { reader: reader.clone(), at: asked.0, first: first.0 })
                }
                other => ReadError::Log(other),
            };
            let mut entries = match held {
                Some(entries) => entries,
                None => log.journal().read(at).map_err(failed)?,
            };
            let (mut events, mut oldest) = (Vec::new(), None);
            while events.len() < BATCH_EVENTS_MAX {
                let Some(entry) = entries.next_entry().map_err(failed)? else { break };
                let logged = decode(entry.position, &entry.bytes)?;
                oldest.get_or_insert(logged.at);
                bytes = logged.bytes_upto;
                events.push(logged.outgoing);
            }
            let (upto, read) = (entries.position(), events.len());
            let events = match order {
                Order::EveryRevision if !planted::has(Bug::OlderRevisionsPassedOver) => events,
                Order::EveryRevision => newest(events),
                Order::Newest => newest(events),
            };
            let passed = (read - events.len()) as u64;
            Ok::<_, ReadError>((Read { events, passed, upto, bytes }, oldest, entries))
        });
        let (read, oldest, entries) = reading.await.map_err(ReadError::Ended)??;
        self.entries = Some(entries);
        self.place.oldest_ns.store(oldest.map_or(0, |at| at.0), Ordering::Relaxed);
        Ok(read)
    }

    /// Delivers a batch, however many attempts it takes.
    async fn deliver(&mut self, mut events: Vec<Outgoing>) -> Ended {
        let mut pause = PAUSE[0];
        let mut failing: Option<Duration> = None;
        loop {
            let hard = self.deadline.hard.clone();
            let attempted = tokio::select! {
                biased;
                attempted = self.receiver.attempt(&events) => attempted,
                () = stopped(hard) => return Ended::Stopped,
            };
            let error = match attempted {
                Ok(delivered) => {
                    self.cursor.sent += delivered.sent;
                    self.cursor.skipped += delivered.skipped;
                    if self.cursor.fault.take().is_some() {
                        tracing::warn!(reader = self.cursor.reader, "the receiver takes events again");
                    }
                    (self.told)(&events);
                    return Ended::Delivered;
                }
                Err(error) => error,
            };
            self.place.failures.fetch_add(1, Ordering::Relaxed);
            if let SinkError::Refused { key, reason, .. } = &error {
                match self.set_aside(&mut events, key, reason).await {
                    Ok(()) if events.is_empty() => return Ended::Delivered,
                    Ok(()) => continue,
                    Err(error) => return Ended::Parked(error.to_string()),
                }
            }
            if !error.is_retryable() {
                return Ended::Parked(error.to_string());
            }
            if planted::has(Bug::FailureTakenForDelivery) {
                return Ended::Delivered;
            }
            if planted::has(Bug::RetryWithoutFirst) && events.len() > 1 {
                events.remove(0);
            }
            let since = *failing.get_or_insert_with(host::uptime);
            self.note(&error).await;
            let failing_for = host::uptime().saturating_sub(since);
            if failing_for >= self.receiver.give_up_after {
                return Ended::Parked(format!("{error}; given up after {} s", failing_for.as_secs()));
            }
            if let Some(ended) = self.pause(pause).await {
                return ended;
            }
            pause = (pause * 2).min(PAUSE[1]);
        }
    }

    /// Waits before the next attempt; `Some` when there is to be none.
    async fn pause(&mut self, pause: Duration) -> Option<Ended> {
        let until = host::uptime() + pause;
        loop {
            if self.deadline.patience.is_stopped() || self.deadline.hard.is_stopped() {
                return Some(Ended::Stopped);
            }
            let asked = self.folder.as_deref().is_some_and(|folder| Request::waits(folder, &self.cursor.reader));
            if asked || self.place.is_overtaken() {
                return Some(Ended::Asked);
            }
            let left = until.saturating_sub(host::uptime());
            if left.is_zero() {
                return None;
            }
            self.deadline.patience.sleep(left.min(LOOK_EVERY)).await;
        }
    }

    /// Puts the event with `key` among the dead letters.
    async fn set_aside(&mut self, events: &mut Vec<Outgoing>, key: &str, reason: &str) -> Result<(), SetAsideError> {
        let owned = || (key.to_owned(), reason.to_owned());
        let Some(at) = events.iter().position(|outgoing| outgoing.event.key() == key) else {
            let (key, reason) = owned();
            return Err(SetAsideError::NotSent { key, reason });
        };
        let refused = events.remove(at);
        tracing::error!(reader = self.cursor.reader, key, reason, "the receiver refuses an event for good: set aside");
        if let Some(dead_letters) = self.dead_letters.clone() {
            let (key, reason) = owned();
            let kept = host::blocking(move || dead_letters.keep(&refused, &reason)).await;
            kept.map_err(std::io::Error::other).flatten().map_err(|error| SetAsideError::NotKept { key, error })?;
        }
        self.cursor.dead_letters += 1;
        Ok(())
    }

    /// Notes what goes wrong; the first time in a row it is said.
    async fn note(&mut self, error: &SinkError) {
        let now = arrival_time();
        let fault = match self.cursor.fault.take() {
            Some(fault) => Fault { reason: error.to_string(), attempts: fault.attempts + 1, ..fault },
            None => {
                tracing::warn!(reader = self.cursor.reader, %error, "the receiver is away: tried again, nothing else waits for it");
                Fault { reason: error.to_string(), since: now, attempts: 1 }
            }
        };
        self.cursor.fault = Some(fault);
        self.cursor.updated = now;
        self.save().await;
    }

    /// What a person has asked.
    async fn follow_request(&mut self) {
        let Some(folder) = &self.folder else { return };
        let Some(request) = Request::take(folder, &self.cursor.reader) else { return };
        if let Request::Skip { until } = request {
            let oldest = self.oldest();
            let at = match until {
                Until::Oldest => oldest,
                Until::Now => self.log.end().0,
                Until::Record(record) => record.clamp(oldest, self.log.end().0),
            };
            tracing::warn!(reader = self.cursor.reader, from = self.cursor.position, to = at, "moved, as asked");
            self.cursor.position = at;
            self.note_bytes();
            self.cursor.log = self.log.identity().to_owned();
        } else {
            tracing::info!(reader = self.cursor.reader, "tried again, as asked");
        }
        let was = self.cursor.parked.take();
        self.cursor.fault = None;
        self.entries = None;
        self.kept = true;
        self.place.parked.store(false, Ordering::Relaxed);
        self.readers.moved(&self.place, Position(self.cursor.position));
        if was.is_some() {
            self.readers.tell(Notice { reader: self.cursor.reader.clone(), parked: None });
        }
        self.save().await;
    }

    /// How much of the log it is done with, and since when the next event waits, where neither is known
    /// from reading on.
    fn note_bytes(&mut self) {
        let next = self.log.journal().read(Position(self.cursor.position)).and_then(|mut entries| entries.next_entry());
        let next = next.ok().flatten().and_then(|entry| decode(entry.position, &entry.bytes).ok());
        let all = || self.log.state().unwrap_or_default().bytes;
        self.cursor.bytes = next.as_ref().map_or_else(all, |next| next.bytes_before);
        self.place.oldest_ns.store(next.map_or(0, |next| next.at.0), Ordering::Relaxed);
        self.publish();
    }

    /// The position before the oldest record there is.
    fn oldest(&self) -> u64 {
        match self.log.journal().read(Position::START) {
            Err(JournalError::Gone { first, .. }) => first.0.saturating_sub(1),
            _ => 0,
        }
    }

    async fn park(&mut self, reason: String) {
        tracing::error!(reader = self.cursor.reader, reason, "the reader waits for a person: `bellwether sinks`");
        let since = arrival_time();
        self.cursor.parked = Some(Parked { reason: reason.clone(), since });
        self.cursor.updated = since;
        self.entries = None;
        self.place.parked.store(true, Ordering::SeqCst);
        self.readers.release();
        self.save().await;
        self.readers.tell(Notice { reader: self.cursor.reader.clone(), parked: Some(reason) });
    }

    /// Moves the cursor to `upto`. The log may let go of what is before it when that is on disk.
    async fn advance(&mut self, upto: Position, bytes: u64) {
        if upto.0 > self.cursor.position {
            self.cursor.position = upto.0;
            self.cursor.bytes = bytes;
            self.cursor.updated = arrival_time();
            // Until it is on disk, a reader that starts again asks for what comes after the one that is.
            if self.save().await {
                self.readers.moved(&self.place, upto);
            }
        }
        self.publish();
    }

    fn publish(&self) {
        let of = [
            (&self.place.sent, self.cursor.sent),
            (&self.place.skipped, self.cursor.skipped),
            (&self.place.dead_letters, self.cursor.dead_letters),
            (&self.place.bytes, self.cursor.bytes),
        ];
        of.into_iter().for_each(|(counter, value)| counter.store(value, Ordering::Relaxed));
    }

    /// Saves the cursor; whether it is on disk is the answer. One that cannot be saved costs deliveries again,
    /// not events.
    ///
    /// The disk is waited for on a thread that may wait. It is waited for here, too, so that one
    /// cursor is written at a time, and never one that is ahead of what was delivered.
    fn save(&self) -> impl Future<Output = bool> + use<> {
        let file = self.file.clone().filter(|_| self.kept && !planted::has(Bug::CursorNotSaved));
        let cursor = self.cursor.clone();
        async move {
            let Some(file) = file else { return true };
            let reader = cursor.reader.clone();
            let saved = host::blocking(move || file.save(&cursor)).await;
            let failed = saved.map_or_else(|error| Some(error.to_string()), |saved| Some(saved.err()?.to_string()));
            if let Some(error) = &failed {
                tracing::warn!(reader, error, "where the reader is was not saved");
            }
            failed.is_none()
        }
    }

    async fn totals(self, reason: Option<String>) -> ReaderTotals {
        self.save().await;
        ReaderTotals {
            name: self.cursor.reader.clone(),
            sent: self.cursor.sent - self.began.sent,
            skipped: self.cursor.skipped - self.began.skipped,
            left: self.log.end().0.saturating_sub(self.cursor.position),
            reason: reason.or_else(|| self.cursor.parked.as_ref().map(|parked| parked.reason.clone())),
        }
    }
}

async fn stopped(mut stop: Stop) {
    stop.stopped().await;
}
