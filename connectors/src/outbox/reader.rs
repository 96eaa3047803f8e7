//! A reader of the log and its delivery loop: the one place that knows of pauses, deadlines, parking
//! and stopping. Sinks try once.
//!
//! A batch is delivered, then the cursor is saved. A receiver that is away is tried again, with
//! pauses up to `PAUSE`; after `give_up_after` the reader is *parked*: it waits for a person
//! (`bellwether sinks retry`, `bellwether sinks skip`) and is told. An event that the receiver refuses
//! for good goes to the dead letters, and the rest go on.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::cursor::{Cursor, CursorError, CursorFile, Fault, Parked};
use super::dead_letters::DeadLetters;
use super::log::IncidentLog;
use super::readers::{Notice, ReaderState, Readers};
use super::record::decode;
use super::request::{Request, Until};
use crate::intake::{Stop, arrival_time};
use crate::journal::{Entries, JournalError, Position};
use crate::sinks::{Delivered, GIVE_UP_AFTER, Outgoing, Sink, SinkConfig, SinkError};

/// Events delivered in one attempt.
const BATCH_EVENTS_MAX: usize = 256;
/// First and longest pause while a receiver is away.
const PAUSE: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(5)];
/// How long a receiver may take for an attempt; then it counts as away.
const ATTEMPT_MAX: Duration = Duration::from_secs(30);
/// How long the start of a process waits for a receiver; then it is opened later.
const OPEN_MAX: Duration = Duration::from_secs(1);
/// How often a reader looks for what a person asks.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Sees every batch that was delivered.
type OnDelivered = Box<dyn Fn(&[Outgoing]) + Send>;

/// When a reader stops although there is more to deliver.
#[derive(Clone)]
pub struct Deadline {
    /// Receivers that are away are no longer waited for.
    pub patience: Stop,
    /// What is being delivered is abandoned: it is delivered again at the next start.
    pub hard: Stop,
}

/// A reader that has not begun.
pub struct Reader {
    name: String,
    sink: Option<Box<dyn Sink>>,
    /// Opens the sink, as often as it takes.
    open: Option<SinkConfig>,
    /// The receiver knows what it has: delivering again is safe.
    remembers: bool,
    give_up_after: Duration,
    attempt_max: Duration,
}

/// What a reader did, and what is left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReaderTotals {
    /// Its name.
    pub name: String,
    /// Events newly delivered.
    pub sent: u64,
    /// Events the receiver already had.
    pub skipped: u64,
    /// Records it is not done with.
    pub left: u64,
    /// Why it is not.
    pub reason: Option<String>,
}

impl Reader {
    /// For a sink that is open, whose receiver forgets what it has got.
    pub fn of(sink: Box<dyn Sink>) -> Reader {
        Reader {
            name: sink.name().to_owned(),
            sink: Some(sink),
            open: None,
            remembers: false,
            give_up_after: GIVE_UP_AFTER,
            attempt_max: ATTEMPT_MAX,
        }
    }

    /// For a configured sink. A receiver that is away is opened later.
    ///
    /// # Errors
    /// [`SinkError`] when what is configured cannot work.
    pub async fn configured(config: SinkConfig) -> Result<Reader, SinkError> {
        let opened = tokio::time::timeout(OPEN_MAX, config.open()).await;
        let late = || SinkError::unavailable(config.name(), format!("nothing within {} s", OPEN_MAX.as_secs()));
        let sink = match opened.unwrap_or_else(|_| Err(late())) {
            Ok(sink) => Some(sink),
            Err(error) if error.is_retryable() => {
                tracing::warn!(%error, "the receiver is away: its events wait in the incident log");
                None
            }
            Err(error) => return Err(error),
        };
        Ok(Reader {
            name: config.name().to_owned(),
            sink,
            remembers: config.remembers(),
            give_up_after: config.give_up_after(),
            attempt_max: ATTEMPT_MAX,
            open: Some(config),
        })
    }

    /// The same for a receiver of the tests.
    #[cfg(test)]
    pub(super) fn with(self, remembers: bool, give_up_after: Duration) -> Reader {
        Reader { remembers, give_up_after, ..self }
    }

    /// The same with another limit for an attempt.
    #[cfg(test)]
    pub(super) fn with_attempt_max(self, attempt_max: Duration) -> Reader {
        Reader { attempt_max, ..self }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Begins where the cursor in `folder` says; without a folder at the log's end, and nothing is kept.
    ///
    /// `end` says after which record nothing follows; `told` sees every delivered batch.
    pub fn start(
        self,
        log: &IncidentLog,
        readers: &Readers,
        folder: Option<&Path>,
        end: watch::Receiver<Option<Position>>,
        deadline: Deadline,
        told: impl Fn(&[Outgoing]) + Send + 'static,
    ) -> tokio::task::JoinHandle<ReaderTotals> {
        let (cursor, kept) = self.resume(log, folder);
        let place = readers.add(&self.name, Position(cursor.position));
        let running = Running {
            entries: None,
            folder: folder.map(Path::to_owned),
            file: folder.map(|folder| CursorFile::new(folder, &self.name)),
            dead_letters: folder.map(|folder| DeadLetters::new(folder, &self.name)),
            reader: self,
            log: log.clone(),
            readers: readers.clone(),
            place,
            cursor,
            kept,
            end,
            deadline,
            told: Box::new(told),
            began: ReaderTotals::default(),
        };
        tokio::spawn(running.run())
    }

    /// The cursor to begin with, and whether its file may be written: one that says nothing about
    /// this log stays as it is until a person has decided.
    fn resume(&self, log: &IncidentLog, folder: Option<&Path>) -> (Cursor, bool) {
        let now = arrival_time();
        let at = |position: Position| Cursor::new(&self.name, log.identity(), position, now);
        let Some(folder) = folder else { return (at(log.end()), false) };
        let oldest = Position(log.first().0.saturating_sub(1));
        let loaded = CursorFile::new(folder, &self.name).load();
        let checked = loaded.and_then(|cursor| cursor.map(|c| c.check(log).map(|()| c)).transpose());
        match checked {
            Ok(Some(cursor)) if cursor.position < oldest.0 && cursor.parked.is_none() => {
                let reason = gone(&self.name, cursor.position, log.first().0);
                tracing::error!(reader = self.name, reason);
                (Cursor { parked: Some(Parked { reason, since: now }), ..cursor }, true)
            }
            Ok(Some(cursor)) => (cursor, true),
            Ok(None) if self.remembers => (at(oldest), true),
            // A receiver that is new hears of what comes, not of a past that others have seen.
            Ok(None) => (at(log.end()), true),
            Err(error) if self.remembers && !matches!(error, CursorError::Io { .. }) => {
                tracing::warn!(%error, "the receiver knows what it has: everything in the log is offered again");
                (at(oldest), true)
            }
            Err(error) => {
                tracing::error!(%error, "the reader waits for a person");
                let parked = Some(Parked { reason: error.to_string(), since: now });
                (Cursor { parked, ..at(oldest) }, false)
            }
        }
    }
}

fn gone(reader: &str, at: u64, first: u64) -> String {
    format!(
        "records {} to {} are gone from the incident log, which had no more room; `bellwether sinks skip {reader} \
         --until oldest` goes on without them",
        at + 1,
        first - 1
    )
}

/// A reader at work.
struct Running {
    reader: Reader,
    log: IncidentLog,
    readers: Readers,
    place: Arc<ReaderState>,
    folder: Option<PathBuf>,
    file: Option<CursorFile>,
    dead_letters: Option<DeadLetters>,
    cursor: Cursor,
    /// Whether the cursor's file may be written.
    kept: bool,
    entries: Option<Box<dyn Entries>>,
    end: watch::Receiver<Option<Position>>,
    deadline: Deadline,
    told: OnDelivered,
    /// What was done before this process.
    began: ReaderTotals,
}

/// What was read of the log.
struct Read {
    events: Vec<Outgoing>,
    /// Up to which record.
    upto: Position,
    /// Bytes of all records up to there.
    bytes: u64,
}

/// How a batch ended.
enum Ended {
    Delivered,
    Parked(String),
    Stopped,
    /// A person has asked for something.
    Asked,
}

impl Running {
    async fn run(mut self) -> ReaderTotals {
        self.began = ReaderTotals { sent: self.cursor.sent, skipped: self.cursor.skipped, ..ReaderTotals::default() };
        self.note_bytes();
        if let Some(parked) = self.cursor.parked.clone() {
            self.place.parked.store(true, Ordering::Relaxed);
            self.readers.tell(Notice { reader: self.cursor.reader.clone(), parked: Some(parked.reason) });
        }
        loop {
            self.follow_request();
            if self.place.is_overtaken() && self.cursor.parked.is_none() {
                self.park("the incident log had no more room, and this reader was furthest behind".to_owned());
            }
            if self.deadline.hard.is_stopped() || (self.cursor.parked.is_some() && self.end.borrow().is_some()) {
                return self.totals(None);
            }
            if self.cursor.parked.is_some() {
                self.rest().await;
                continue;
            }
            let Read { events, upto, bytes } = match self.read().await {
                Ok(read) => read,
                Err(reason) => {
                    self.park(reason);
                    continue;
                }
            };
            if events.is_empty() {
                // What follows the last event may be no event: how far the engine is.
                if upto.0 > self.cursor.position {
                    self.advance(upto, bytes);
                    self.save();
                }
                if self.end.borrow().is_some_and(|end| end <= upto) {
                    return self.totals(None);
                }
                self.rest().await;
                continue;
            }
            match self.deliver(events).await {
                Ended::Delivered => {
                    self.advance(upto, bytes);
                    self.save();
                }
                Ended::Parked(reason) => self.park(reason),
                Ended::Stopped => return self.totals(self.cursor.fault.as_ref().map(|fault| fault.reason.clone())),
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
            _ = durable.changed(), if !parked => {}
            _ = end.changed() => {}
            () = self.place.woken.notified() => {}
            _ = hard.sleep(LOOK_EVERY) => {}
        }
    }

    /// The next events. None at the log's end.
    async fn read(&mut self) -> Result<Read, String> {
        let (log, at, held) = (self.log.clone(), Position(self.cursor.position), self.entries.take());
        let (reader, mut bytes) = (self.cursor.reader.clone(), self.cursor.bytes);
        let reading = tokio::task::spawn_blocking(move || {
            let describe = |error: JournalError| match error {
                JournalError::Gone { asked, first } => gone(&reader, asked.0, first.0),
                other => other.to_string(),
            };
            let mut entries = match held {
                Some(entries) => entries,
                None => log.journal().read(at).map_err(describe)?,
            };
            let (mut events, mut oldest) = (Vec::new(), None);
            while events.len() < BATCH_EVENTS_MAX {
                let Some(entry) = entries.next_entry().map_err(describe)? else { break };
                let logged = decode(entry.position, &entry.bytes).map_err(|error| error.to_string())?;
                oldest.get_or_insert(logged.at);
                bytes = logged.bytes_upto;
                events.push(logged.outgoing);
            }
            let upto = entries.position();
            Ok((Read { events, upto, bytes }, oldest, entries))
        });
        match reading.await {
            Ok(Ok((read, oldest, entries))) => {
                self.entries = Some(entries);
                self.place.oldest_ns.store(oldest.map_or(0, |at| at.0), Ordering::Relaxed);
                Ok(read)
            }
            Ok(Err(reason)) => Err(reason),
            Err(error) => Err(format!("reading the incident log ended unexpectedly: {error}")),
        }
    }

    /// Delivers a batch, however many attempts it takes.
    async fn deliver(&mut self, mut events: Vec<Outgoing>) -> Ended {
        let mut pause = PAUSE[0];
        let mut failing: Option<Instant> = None;
        loop {
            let hard = self.deadline.hard.clone();
            let attempted = tokio::select! {
                attempted = attempt(&mut self.reader, &events) => attempted,
                () = stopped(hard) => return Ended::Stopped,
            };
            let error = match attempted {
                Ok(delivered) => {
                    self.cursor.sent += delivered.sent;
                    self.cursor.skipped += delivered.skipped;
                    if self.cursor.fault.take().is_some() {
                        tracing::info!(reader = self.cursor.reader, "the receiver takes events again");
                    }
                    (self.told)(&events);
                    return Ended::Delivered;
                }
                Err(error) => error,
            };
            self.place.failures.fetch_add(1, Ordering::Relaxed);
            if let SinkError::Refused { key, reason, .. } = &error {
                match self.set_aside(&mut events, key, reason) {
                    Ok(()) if events.is_empty() => return Ended::Delivered,
                    Ok(()) => continue,
                    Err(reason) => return Ended::Parked(reason),
                }
            }
            if !error.is_retryable() {
                return Ended::Parked(error.to_string());
            }
            let since = *failing.get_or_insert_with(Instant::now);
            self.note(&error);
            if since.elapsed() >= self.reader.give_up_after {
                return Ended::Parked(format!("{error}; given up after {} s", since.elapsed().as_secs()));
            }
            if let Some(ended) = self.pause(pause).await {
                return ended;
            }
            pause = (pause * 2).min(PAUSE[1]);
        }
    }

    /// Waits before the next attempt; `Some` when there is to be none.
    async fn pause(&mut self, pause: Duration) -> Option<Ended> {
        let until = Instant::now() + pause;
        loop {
            if self.deadline.patience.is_stopped() || self.deadline.hard.is_stopped() {
                return Some(Ended::Stopped);
            }
            let asked = self.folder.as_deref().is_some_and(|folder| Request::waits(folder, &self.cursor.reader));
            if asked || self.place.is_overtaken() {
                return Some(Ended::Asked);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            self.deadline.patience.sleep(left.min(LOOK_EVERY)).await;
        }
    }

    /// Puts the event with `key` among the dead letters.
    fn set_aside(&mut self, events: &mut Vec<Outgoing>, key: &str, reason: &str) -> Result<(), String> {
        let Some(at) = events.iter().position(|outgoing| outgoing.event.key() == key) else {
            return Err(format!("the receiver refuses `{key}`, which was not sent: {reason}"));
        };
        let refused = events.remove(at);
        tracing::error!(reader = self.cursor.reader, key, reason, "the receiver refuses an event for good: set aside");
        if let Some(dead_letters) = &self.dead_letters {
            dead_letters.keep(&refused, reason).map_err(|error| format!("`{key}` cannot be set aside: {error}"))?;
        }
        self.cursor.dead_letters += 1;
        Ok(())
    }

    /// Notes what goes wrong; the first time in a row it is said.
    fn note(&mut self, error: &SinkError) {
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
        self.save();
    }

    /// What a person has asked.
    fn follow_request(&mut self) {
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
        self.save();
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

    fn park(&mut self, reason: String) {
        tracing::error!(reader = self.cursor.reader, reason, "the reader waits for a person: `bellwether sinks`");
        let since = arrival_time();
        self.cursor.parked = Some(Parked { reason: reason.clone(), since });
        self.cursor.updated = since;
        self.entries = None;
        self.place.parked.store(true, Ordering::SeqCst);
        self.readers.release();
        self.save();
        self.readers.tell(Notice { reader: self.cursor.reader.clone(), parked: Some(reason) });
    }

    fn advance(&mut self, upto: Position, bytes: u64) {
        if upto.0 > self.cursor.position {
            self.cursor.position = upto.0;
            self.cursor.bytes = bytes;
            self.cursor.updated = arrival_time();
            self.readers.moved(&self.place, upto);
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

    /// Saves the cursor. One that cannot be saved costs deliveries again, not events.
    fn save(&self) {
        if let Some(file) = self.file.as_ref().filter(|_| self.kept)
            && let Err(error) = file.save(&self.cursor)
        {
            tracing::warn!(%error, "where the reader is was not saved");
        }
    }

    fn totals(&self, reason: Option<String>) -> ReaderTotals {
        self.save();
        ReaderTotals {
            name: self.cursor.reader.clone(),
            sent: self.cursor.sent - self.began.sent,
            skipped: self.cursor.skipped - self.began.skipped,
            left: self.log.end().0.saturating_sub(self.cursor.position),
            reason: reason.or_else(|| self.cursor.parked.as_ref().map(|parked| parked.reason.clone())),
        }
    }
}

/// One attempt within its time: opens the sink if it is not open, delivers once.
async fn attempt(reader: &mut Reader, events: &[Outgoing]) -> Result<Delivered, SinkError> {
    let (name, limit) = (reader.name.clone(), reader.attempt_max);
    let timed = tokio::time::timeout(limit, open_and_deliver(reader, events)).await;
    timed.unwrap_or_else(|_| Err(SinkError::unavailable(&name, format!("no answer within {} s", limit.as_secs_f32()))))
}

async fn open_and_deliver(reader: &mut Reader, events: &[Outgoing]) -> Result<Delivered, SinkError> {
    let sink = match (&mut reader.sink, &reader.open) {
        (Some(sink), _) => sink,
        (none, Some(open)) => none.insert(open.open().await?),
        (None, None) => return Err(SinkError::config(&reader.name, "there is nothing to open")),
    };
    sink.deliver(events).await
}

async fn stopped(mut stop: Stop) {
    stop.stopped().await;
}
