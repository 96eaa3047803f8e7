//! The thread of a partition's engine: reads the journal in order, folds, tells events, writes checkpoints.
//!
//! Between two entries the state is made into bytes; a thread of its own puts them on disk, and nothing waits for that.
//! A checkpoint is taken every so many entries or seconds, also while an old journal is being
//! read again, the first of a process early (`pace.rs`): a process which dies again and again still moves on. One
//! that cannot be written is told and tried again; the journal has everything meanwhile. It is written only
//! when the incident log has the events up to its position: from any checkpoint on disk, nothing
//! that may be missing there is lost.
//!
//! A panic while an entry is folded ends neither the process nor other tenants: the tenant that it met goes on
//! from its last good state (`mend.rs`), and what led to it is set aside (`quarantine.rs`).
//!
//! Between two entries it answers questions about the engine's state ([`Question`]).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bellwether_connectors::intake::tap::SeriesName;
use bellwether_connectors::journal::{Entry, Journal, JournalError, Position};
use bellwether_connectors::outbox::{Folded, LogPosition, Outbox};
use bellwether_connectors::server::incidents::KnownIncidents;
use bellwether_connectors::{Checkpoints, CheckpointsError, Intake, Stop};
use bellwether_engine::incident::{IncidentEvent, Verb};
use bellwether_engine::input::{Input, InputError};
use bellwether_engine::time::EventTime;
use bellwether_engine::{Engine, Fault, guarded};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Interval, MissedTickBehavior};

use super::feeds::input_time;
use super::figures::Renewal;
use super::gauges::Gauges;
use super::mend::{Mender, Past};
use super::own::{self, Trouble};
use super::pace::{Cadence, Pace, Pending};
use super::quarantine::{Quarantine, QuarantineError, SetAside};
use super::retold::Retold;

/// How long the thread waits for entries before it looks whether a checkpoint is due.
const IDLE_WAIT: Duration = Duration::from_millis(200);
/// The rule of an entry that was set aside.
const SET_ASIDE_RULE: &str = "JournalEntryQuarantined";
/// The rule of checkpoints that cannot be written.
const UNSAVED_RULE: &str = "CheckpointNotWritten";

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
    /// The last checkpoint was not written.
    #[error("{0}; free space or repair the disk: the next start goes on from the one before")]
    Checkpoint(#[from] CheckpointsError),
    /// An entry met a bug, and there is no earlier state to go on from.
    #[error(
        "journal entry {position} of tenant `{tenant}` met a bug: {reason}; please report it with the entry: `run` sets such an entry aside and goes on"
    )]
    Panicked {
        /// Which.
        position: Position,
        /// Whose.
        tenant: String,
        /// What the panic said.
        reason: String,
    },
    /// What was set aside could not be written down.
    #[error(transparent)]
    Quarantine(#[from] QuarantineError),
    /// The incident log takes nothing more; it says why itself.
    #[error("the incident log has ended")]
    LogEnded,
}

/// A checkpoint on its way to the disk.
struct Saving {
    position: Position,
    bytes: usize,
    /// The position of the oldest checkpoint kept.
    done: oneshot::Receiver<Result<Position, CheckpointsError>>,
}

/// What a panic needs: where to go back to, and what is left out.
pub struct Care {
    /// Earlier states.
    pub past: Past,
    /// Entries that are left out.
    pub quarantine: Quarantine,
}

/// The engine between journal and outbox.
pub struct Fold {
    /// Which partition it is.
    pub partition: usize,
    /// The door to it: tenants that are here are to know the time.
    pub intake: Intake,
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
    /// How to go on after a panic; `None` when nothing is kept: then it ends the folding.
    pub care: Option<Care>,
    /// What was told of entries that are read again.
    pub retold: Option<Retold>,
    /// Where trouble of our own is told.
    pub(super) troubles: mpsc::Sender<Trouble>,
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

impl Fold {
    /// Folds until the end is announced and reached, or there is no more time; the last checkpoint is
    /// then on disk.
    /// Returns the engine. Blocking: for a thread of its own.
    ///
    /// # Errors
    /// [`FoldError`]; the process should end.
    pub fn run(mut self, runtime: &Handle) -> Result<Engine, FoldError> {
        self.gauges.at(self.partition, self.position);
        // What was told before this process: it is all known once that has been read again.
        let mut told_before = Some(*self.journal.durable().borrow());
        self.know_incidents();
        let mut entries = self.journal.read(self.position)?;
        let gauges = self.gauges.clone();
        let snapshot = gauges.engine(self.partition);
        let mut renewal = Renewal::of(&self.engine, snapshot, self.troubles.clone());
        let mut pace = Pace::new();
        let mut saving = None;
        self.note_quarantine();
        let mut idle = idle_ticks(runtime);
        loop {
            while let Ok(question) = self.questions.try_recv() {
                self.answer(question);
            }
            if told_before.take_if(|before| self.position >= *before).is_some() {
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
                    if self.fold(&entry)? {
                        // The way back to this state was long.
                        pace.hurry();
                    }
                    renewal.outdated();
                    pace.folded();
                }
                None => {
                    // What follows the last entry may be no entry: a source's cursor alone.
                    self.position = self.position.max(entries.position());
                    self.gauges.at(self.partition, self.position);
                    self.settle_in_silence();
                    if self.reached_end() {
                        break;
                    }
                    self.wait(runtime, &mut idle, pace.waits() || renewal.is_stale());
                }
            }
            match self.checkpoint_if_due(&mut pace, &mut saving, runtime)? {
                true => renewal.everything(&self.engine, snapshot),
                false => renewal.if_due(&self.engine, snapshot),
            }
        }
        self.conclude(pace, saving, runtime)
    }

    /// Folds one entry. Answers whether a panic was met.
    fn fold(&mut self, entry: &Entry) -> Result<bool, FoldError> {
        let unreadable = |reason| FoldError::Entry { position: entry.position, reason };
        if let Some(Care { quarantine, .. }) = &self.care {
            quarantine.prepare(&mut self.engine, entry.position);
            if quarantine.leaves_out(entry.position) {
                self.position = entry.position;
                self.gauges.at(self.partition, entry.position);
                return Ok(false);
            }
        }
        let input = match guarded(|| Input::decode(&entry.bytes)) {
            Ok(input) => input.map_err(unreadable)?,
            Err(reason) => {
                self.mend(&Fault { tenant: None, reason }, entry, &mut Vec::new())?;
                self.position = entry.position;
                self.gauges.at(self.partition, entry.position);
                return Ok(true);
            }
        };
        let mut events = self.settle(entry.position, &input);
        let faults = self.engine.apply_guarded(&input, &mut events);
        for fault in &faults {
            self.mend(fault, entry, &mut events)?;
        }
        if !faults.is_empty() {
            // As if nothing had happened: tenants by name, each in its own order.
            events.sort_by(|a, b| a.tenant.cmp(&b.tenant));
        }
        events.iter().for_each(|event| self.know(event));
        if let Some(retold) = self.retold.as_mut().filter(|retold| retold.holds(entry.position)) {
            retold.note(&events);
        }
        self.position = entry.position;
        self.gauges.at(self.partition, entry.position);
        self.gauges.folded(input.rows(), events.len());
        if let Some(at) = input_time(&input) {
            self.gauges.reached(at);
        }
        if !events.is_empty() {
            self.tell(events, false)?;
        }
        Ok(!faults.is_empty())
    }

    /// Before the first entry that nothing was told of: what receivers are to be told so that they have what the
    /// engine has.
    fn settle(&mut self, position: Position, input: &Input) -> Vec<IncidentEvent> {
        let retold = self.retold.take_if(|retold| !retold.holds(position));
        retold.map(|retold| retold.settle(&mut self.engine, input_time(input).map(EventTime))).unwrap_or_default()
    }

    /// The same when there is no such entry yet: where there is nothing to tell, that is all.
    fn settle_in_silence(&mut self) {
        self.retold.take_if(|retold| !retold.holds(Position(self.position.0 + 1)) && retold.is_the_same());
    }

    /// Goes on without what led to a panic; what is set aside is on disk before anything else happens.
    fn mend(&mut self, fault: &Fault, entry: &Entry, events: &mut Vec<IncidentEvent>) -> Result<(), FoldError> {
        let (reason, whose) = (fault.reason.as_str(), fault.tenant.as_deref());
        tracing::error!(position = entry.position.0, tenant = whose, reason, "a journal entry met a bug");
        self.gauges.panicked();
        let Some(Care { past, quarantine }) = &mut self.care else {
            let (position, reason) = (entry.position, reason.to_owned());
            return Err(FoldError::Panicked { position, tenant: whose.unwrap_or("every").to_owned(), reason });
        };
        let aside = match whose {
            Some(tenant) => {
                let journal = &*self.journal;
                let mended = Mender { tenant, reason, met: entry, journal, past, quarantine }.mend()?;
                self.engine.adopt(tenant, mended.engine);
                events.extend(mended.events);
                mended.aside
            }
            None => vec![(SetAside::of_everybody(entry.position, reason), entry.bytes.clone())],
        };
        if aside.is_empty() {
            tracing::warn!(
                position = entry.position.0,
                tenant = whose,
                "folded again it met nothing: nothing is left out"
            );
        }
        for (record, bytes) in &aside {
            quarantine.add(record.clone(), bytes)?;
        }
        for (record, _) in aside {
            tracing::error!(entry = record.entry, tenant = whose, anew = record.anew, "{}", record.in_words());
            let labels = vec![
                ("tenant", whose.unwrap_or("every").to_owned()),
                ("position", record.entry.unwrap_or(record.met_at).to_string()),
            ];
            let summary = record.in_words();
            own::say(&self.troubles, Trouble { rule: SET_ASIDE_RULE, labels, summary, over: false });
        }
        self.note_quarantine();
        Ok(())
    }

    fn note_quarantine(&self) {
        self.gauges.set_aside(self.partition, self.care.as_ref().map_or(0, |care| care.quarantine.len()));
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

    /// Waits until there may be something to do; `timed` is false when time alone brings nothing.
    fn wait(&mut self, runtime: &Handle, idle: &mut Interval, timed: bool) {
        let mut durable = self.journal.durable();
        if *durable.borrow_and_update() > self.position {
            return;
        }
        let (end, logged, questions) = (&mut self.end, &mut self.logged, &mut self.questions);
        let hurry = &mut self.hurry;
        let question = runtime.block_on(async {
            tokio::select! {
                _ = durable.changed() => None,
                _ = end.changed() => None,
                _ = logged.changed() => None,
                Some(question) = questions.recv() => Some(question),
                () = hurry.stopped() => None,
                _ = idle.tick(), if timed => None,
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

    /// Takes a snapshot when one is due, and has the one before written once the log is that far. True when one was
    /// taken.
    fn checkpoint_if_due(
        &mut self,
        pace: &mut Pace,
        saving: &mut Option<Saving>,
        runtime: &Handle,
    ) -> Result<bool, FoldError> {
        let Some((_, cadence)) = &self.checkpoints else { return Ok(false) };
        let cadence = *cadence;
        if let Some(Saving { position, bytes, done }) = saving {
            match done.try_recv() {
                Err(oneshot::error::TryRecvError::Empty) => {}
                ended => {
                    let saved = self.saved(pace, *position, *bytes, ended.unwrap_or_else(|_| Err(unfinished())));
                    if let Err(error) = saved {
                        self.note_unsaved(pace, &error);
                    }
                    *saving = None;
                }
            }
        }
        let taken = self.retold.is_none() && pace.is_due(&cadence);
        if taken {
            self.snapshot(pace, &cadence)?;
        }
        let logged = self.logged.borrow().journal;
        if let Some((position, state)) = pace.ready(logged) {
            *saving = self.save(position, state, runtime);
        }
        Ok(taken)
    }

    /// A checkpoint could not be written: the journal has everything since the one before, and keeps it.
    fn note_unsaved(&self, pace: &mut Pace, error: &CheckpointsError) {
        let (attempts, pause) = pace.failed();
        self.gauges.checkpoint_failed();
        tracing::error!(%error, attempts, again_in = ?pause, "a checkpoint is not written, a restart reads the journal from the one before");
        if attempts == 1 {
            let summary = format!("The engine's state cannot be saved: {error}; free space or repair the disk");
            own::say(&self.troubles, Trouble { rule: UNSAVED_RULE, labels: Vec::new(), summary, over: false });
        }
    }

    fn snapshot(&mut self, pace: &mut Pace, cadence: &Cadence) -> Result<(), FoldError> {
        let began = Instant::now();
        let state = self.engine.snapshot();
        self.gauges.paused(began.elapsed());
        pace.taken(Pending { position: self.position, state: Some(state) }, cadence);
        // The log says when it is here.
        self.tell(Vec::new(), false)
    }

    /// Has a snapshot written, beside whatever comes next.
    fn save(&self, position: Position, state: Vec<u8>, runtime: &Handle) -> Option<Saving> {
        let (store, _) = self.checkpoints.as_ref()?;
        let (store, bytes) = (store.clone(), state.len());
        let (tell, done) = oneshot::channel();
        runtime.spawn_blocking(move || {
            // A process that is ending does not wait for what it does not need.
            let _ = tell.send(store.write(position, &state));
        });
        Some(Saving { position, bytes, done })
    }

    /// A snapshot is on disk, or not.
    fn saved(
        &self,
        pace: &mut Pace,
        position: Position,
        bytes: usize,
        written: Result<Position, CheckpointsError>,
    ) -> Result<(), CheckpointsError> {
        self.journal.release(written?);
        self.gauges.checkpointed();
        if pace.written() {
            let summary = "The engine's state is saved again".to_owned();
            own::say(&self.troubles, Trouble { rule: UNSAVED_RULE, labels: Vec::new(), summary, over: true });
        }
        tracing::info!(partition = self.partition, position = position.0, bytes, "checkpoint written");
        Ok(())
    }

    /// The last events, the last checkpoint, and the end of the log's queue.
    fn conclude(mut self, mut pace: Pace, saving: Option<Saving>, runtime: &Handle) -> Result<Engine, FoldError> {
        if let Some(Saving { position, bytes, done }) = saving {
            let written = runtime.block_on(done).unwrap_or_else(|_| Err(unfinished()));
            if let Err(error) = self.saved(&mut pace, position, bytes, written) {
                self.note_unsaved(&mut pace, &error);
            }
        }
        if let Some((_, cadence)) = self.checkpoints.as_ref().filter(|_| self.retold.is_none()) {
            let cadence = *cadence;
            self.snapshot(&mut pace, &cadence)?;
        }
        if self.finish {
            let mut events = Vec::new();
            self.engine.finish(&mut events);
            self.gauges.folded(0, events.len());
            self.tell(events, true)?;
        }
        self.outbox = None;
        if let Some(Pending { position, state: Some(state) }) = pace.pending.take() {
            let reached = runtime.block_on(self.logged.wait_for(|logged| logged.journal >= position)).is_ok();
            if !reached {
                return Err(FoldError::LogEnded);
            }
            if let Some((store, _)) = &self.checkpoints {
                let written = store.write(position, &state);
                self.saved(&mut pace, position, state.len(), written)?;
            }
        }
        Ok(self.engine)
    }
}

/// The thread that wrote a checkpoint has ended without a word.
fn unfinished() -> CheckpointsError {
    CheckpointsError::Io {
        operation: "finish",
        path: PathBuf::from("checkpoints"),
        reason: "its thread has ended".to_owned(),
    }
}
