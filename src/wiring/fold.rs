//! The engine's thread: reads the journal in order, folds, tells events, writes checkpoints.
//!
//! A checkpoint is taken every so many entries or seconds, also while an old journal is being
//! read again, so that a process which dies again and again still moves on. It is written only
//! when the incident log has the events up to its position: from any checkpoint on disk, nothing
//! that may be missing there is lost.
//!
//! Between two entries it answers questions about the engine's state ([`Question`]).

use std::sync::Arc;
use std::time::{Duration, Instant};

use bellwether_connectors::intake::tap::SeriesName;
use bellwether_connectors::journal::{Entry, Journal, JournalError, Position};
use bellwether_connectors::outbox::{Folded, LogPosition, Outbox};
use bellwether_connectors::server::incidents::KnownIncidents;
use bellwether_connectors::{Checkpoints, CheckpointsError, Stop};
use bellwether_engine::Engine;
use bellwether_engine::incident::{IncidentEvent, Verb};
use bellwether_engine::input::{Input, InputError};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Interval, MissedTickBehavior};

use super::feeds::input_time;
use super::figures::Renewal;
use super::gauges::Gauges;

/// How long the thread waits for entries before it looks whether a checkpoint is due.
const IDLE_WAIT: Duration = Duration::from_millis(200);

/// When a checkpoint is due.
#[derive(Clone, Copy, Debug)]
pub struct Cadence {
    /// After this long.
    pub every: Duration,
    /// After this many entries.
    pub entries: u64,
}

/// Something that only the engine's thread knows.
#[derive(Debug)]
pub enum Question {
    /// What these series are; those that are not known are left out.
    Series {
        /// Whose.
        tenant: String,
        /// Which.
        series: Vec<u64>,
        /// Where the answer goes.
        answer: oneshot::Sender<Vec<SeriesName>>,
    },
}

/// Why folding ended early.
#[derive(Debug, thiserror::Error)]
pub enum FoldError {
    /// The journal does not read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// An entry is not one this build knows.
    #[error("journal entry {position} is whole but does not read: {reason}; use the build that wrote it")]
    Entry {
        /// Which.
        position: Position,
        /// Why.
        reason: InputError,
    },
    /// A checkpoint was not written.
    #[error("{0}; free space or repair the disk, then start again")]
    Checkpoint(#[from] CheckpointsError),
    /// The incident log takes nothing more; it says why itself.
    #[error("the incident log has ended")]
    LogEnded,
}

/// The engine between journal and outbox.
pub struct Fold {
    /// The engine, restored or new.
    pub engine: Engine,
    /// Up to where `engine` has read.
    pub position: Position,
    /// What it reads.
    pub journal: Arc<dyn Journal>,
    /// Where events go; dropped at the end.
    pub outbox: Option<Outbox>,
    /// Up to where the incident log has everything.
    pub logged: watch::Receiver<LogPosition>,
    /// Where checkpoints go, and how often; `None` when nothing is kept.
    pub checkpoints: Option<(Checkpoints, Cadence)>,
    /// `Some(p)` once nothing after `p` will be appended.
    pub end: watch::Receiver<Option<Position>>,
    /// Ends the reading where it is: what is not read stays in the journal for the next start.
    pub hurry: Stop,
    /// Whether the end of the input is the end of time: the watermark passes everything.
    pub finish: bool,
    /// What was done.
    pub gauges: Arc<Gauges>,
    /// Who is to know which incidents are open.
    pub incidents: Arc<KnownIncidents>,
    /// What others want to know.
    pub questions: mpsc::Receiver<Question>,
}

/// One timer for all waits: a new one for each would wake the runtime's threads, too.
fn idle_ticks(runtime: &Handle) -> Interval {
    let _context = runtime.enter();
    let mut ticks = tokio::time::interval(IDLE_WAIT);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

struct Pending {
    position: Position,
    state: Vec<u8>,
}

struct Pace {
    since: Instant,
    entries: u64,
    pending: Option<Pending>,
}

impl Fold {
    /// Folds until the end is announced and reached, or there is no more time; the last checkpoint is
    /// then on disk.
    /// Returns the engine. Blocking: for a thread of its own.
    ///
    /// # Errors
    /// [`FoldError`]; the process should end.
    pub fn run(mut self, runtime: &Handle) -> Result<Engine, FoldError> {
        self.gauges.at(self.position);
        // What was told before this process: it is all known once that has been read again.
        let told_before = *self.journal.durable().borrow();
        self.know_incidents();
        let mut entries = self.journal.read(self.position)?;
        let mut renewal = Renewal::of(&self.engine, self.gauges.engine());
        let mut pace = Pace { since: Instant::now(), entries: 0, pending: None };
        let mut idle = idle_ticks(runtime);
        loop {
            while let Ok(question) = self.questions.try_recv() {
                self.answer(question);
            }
            if self.position >= told_before {
                self.incidents.complete();
            }
            if self.hurry.is_stopped() {
                let left = self.journal.durable().borrow().0.saturating_sub(self.position.0);
                tracing::warn!(at = self.position.0, left, "told to stop: what is left is read at the next start");
                // The end of what was read is not the end of the input.
                self.finish = false;
                break;
            }
            match entries.next_entry()? {
                Some(entry) => {
                    self.fold(&entry)?;
                    renewal.outdated();
                    pace.entries += 1;
                }
                None => {
                    // What follows the last entry may be no entry: a source's cursor alone.
                    self.position = self.position.max(entries.position());
                    self.gauges.at(self.position);
                    if self.reached_end() {
                        break;
                    }
                    self.wait(runtime, &mut idle);
                }
            }
            match self.checkpoint_if_due(&mut pace)? {
                true => renewal.everything(&self.engine, self.gauges.engine()),
                false => renewal.if_due(&self.engine, self.gauges.engine()),
            }
        }
        self.conclude(pace, runtime)
    }

    fn fold(&mut self, entry: &Entry) -> Result<(), FoldError> {
        let unreadable = |reason| FoldError::Entry { position: entry.position, reason };
        let input = Input::decode(&entry.bytes).map_err(unreadable)?;
        let mut events = Vec::new();
        self.engine.apply(&input, &mut events);
        events.iter().for_each(|event| self.know(event));
        self.position = entry.position;
        self.gauges.at(entry.position);
        self.gauges.folded(input.rows(), events.len());
        if let Some(at) = input_time(&input) {
            self.gauges.reached(at);
        }
        if events.is_empty() { Ok(()) } else { self.tell(events, false) }
    }

    /// The incidents that the engine begins with.
    fn know_incidents(&self) {
        for tenant in self.engine.tenant_names() {
            self.engine.incident_ids(tenant).for_each(|id| self.incidents.open(tenant, id));
        }
    }

    /// What becomes of an incident, before anybody hears of it.
    fn know(&self, IncidentEvent { tenant, verb, record }: &IncidentEvent) {
        match verb {
            Verb::Closed | Verb::Merged => self.incidents.over(tenant, &record.id),
            _ => self.incidents.open(tenant, &record.id),
        }
    }

    /// Hands events to the log. Without events it notes how far the engine is.
    fn tell(&self, events: Vec<IncidentEvent>, finished: bool) -> Result<(), FoldError> {
        let position = LogPosition { journal: self.position, finished };
        let folded = Folded { position, events: events.into_iter().map(Arc::new).collect() };
        let taken = self.outbox.as_ref().is_some_and(|outbox| outbox.tell(folded));
        if taken { Ok(()) } else { Err(FoldError::LogEnded) }
    }

    fn reached_end(&self) -> bool {
        self.end.borrow().is_some_and(|end| end <= self.position)
    }

    fn wait(&mut self, runtime: &Handle, idle: &mut Interval) {
        let mut durable = self.journal.durable();
        if *durable.borrow_and_update() > self.position {
            return;
        }
        let (end, logged, questions) = (&mut self.end, &mut self.logged, &mut self.questions);
        let question = runtime.block_on(async {
            tokio::select! {
                _ = durable.changed() => None,
                _ = end.changed() => None,
                _ = logged.changed() => None,
                Some(question) = questions.recv() => Some(question),
                _ = idle.tick() => None,
            }
        });
        if let Some(question) = question {
            self.answer(question);
        }
    }

    fn answer(&self, question: Question) {
        match question {
            Question::Series { tenant, series, answer } => {
                let named = series.into_iter().filter_map(|series| {
                    let view = self.engine.series(&tenant, series)?;
                    let labels = view.labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
                    let (name, entity) = (view.name.to_owned(), view.entity.to_owned());
                    Some(SeriesName { series, name, entity, labels: labels.collect() })
                });
                // Who asked may have gone.
                let _ = answer.send(named.collect());
            }
        }
    }

    /// Takes a snapshot when one is due, and writes the one before once the log is that far. True when one
    /// was taken.
    fn checkpoint_if_due(&mut self, pace: &mut Pace) -> Result<bool, FoldError> {
        let Some((_, cadence)) = &self.checkpoints else { return Ok(false) };
        let due = pace.entries >= cadence.entries || (pace.entries > 0 && pace.since.elapsed() >= cadence.every);
        let taken = due && pace.pending.is_none();
        if taken {
            self.snapshot(pace)?;
        }
        if pace.pending.as_ref().is_some_and(|pending| pending.position <= self.logged.borrow().journal) {
            self.save(pace)?;
        }
        Ok(taken)
    }

    fn snapshot(&mut self, pace: &mut Pace) -> Result<(), FoldError> {
        *pace = Pace {
            since: Instant::now(),
            entries: 0,
            pending: Some(Pending { position: self.position, state: self.engine.snapshot() }),
        };
        // The log says when it is here.
        self.tell(Vec::new(), false)
    }

    fn save(&mut self, pace: &mut Pace) -> Result<(), FoldError> {
        let (Some((store, _)), Some(pending)) = (&self.checkpoints, pace.pending.take()) else { return Ok(()) };
        let released = store.write(pending.position, &pending.state)?;
        self.journal.release(released);
        self.gauges.checkpointed();
        tracing::info!(position = pending.position.0, bytes = pending.state.len(), "checkpoint written");
        Ok(())
    }

    /// The last events, the last checkpoint, and the end of the log's queue.
    fn conclude(mut self, mut pace: Pace, runtime: &Handle) -> Result<Engine, FoldError> {
        if self.checkpoints.is_some() {
            self.snapshot(&mut pace)?;
        }
        if self.finish {
            let mut events = Vec::new();
            self.engine.finish(&mut events);
            self.gauges.folded(0, events.len());
            self.tell(events, true)?;
        }
        self.outbox = None;
        if let Some(wanted) = pace.pending.as_ref().map(|pending| pending.position) {
            let reached = runtime.block_on(self.logged.wait_for(|logged| logged.journal >= wanted)).is_ok();
            if !reached {
                return Err(FoldError::LogEnded);
            }
            self.save(&mut pace)?;
        }
        Ok(self.engine)
    }
}
