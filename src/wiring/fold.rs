//! The thread of a partition's engine: reads the journal in order, folds, tells events, writes checkpoints.
//!
//! Between entries the state is made into bytes, a piece at a time (`saving.rs`); a thread of its own puts them on disk,
//! and nothing waits for that. A checkpoint is taken every so many entries or seconds, also while an old journal is being
//! read again, the first of a process early (`pace.rs`): a process which dies again and again still moves on. One
//! that cannot be written is told and tried again; the journal has everything meanwhile. It is written only
//! when the incident log has the events up to its position: from any checkpoint on disk, nothing
//! that may be missing there is lost.
//!
//! A panic while an entry is folded ends neither the process nor other tenants: the tenant that it met goes on
//! from its last good state (`mend.rs`), and what led to it is set aside (`quarantine.rs`).
//!
//! Between two entries it answers questions about the engine's state ([`Question`]).

use std::sync::Arc;
use std::time::Duration;

use bellwether_connectors::host;
use bellwether_connectors::intake::Turns;
use bellwether_connectors::intake::tap::SeriesName;
use bellwether_connectors::journal::{Entries, Entry, Journal, JournalError, Position};
use bellwether_connectors::outbox::{Folded, LogPosition, Outbox};
use bellwether_connectors::server::incidents::KnownIncidents;
use bellwether_connectors::{Checkpoints, CheckpointsError, Stop};
use bellwether_engine::incident::{IncidentEvent, Verb};
use bellwether_engine::input::{Input, InputError};
use bellwether_engine::time::EventTime;
use bellwether_engine::{Engine, Fault, guarded};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::time::{Interval, MissedTickBehavior};

use super::feeds::input_time;
use super::figures::Renewal;
use super::gauges::Gauges;
use super::mend::{Mender, Past};
use super::own::{self, Trouble};
use super::pace::Cadence;
use super::quarantine::{Quarantine, QuarantineError, SetAside};
use super::question::{Look, Question};
use super::retold::Retold;
use super::saving::{Concerned, Saving};

/// How long the thread waits for entries before it looks whether a checkpoint is due.
pub(super) const IDLE_WAIT: Duration = Duration::from_millis(200);
/// An entry that takes longer is worth a word: whoever shares the engine waits for it.
const SLOW: Duration = Duration::from_secs(1);
/// The rule of an entry that was set aside.
const SET_ASIDE_RULE: &str = "JournalEntryQuarantined";

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
    /// The engine, restored or new.
    pub engine: Engine,
    /// Up to where `engine` has read.
    pub position: Position,
    /// What it reads.
    pub journal: Arc<dyn Journal>,
    /// Who waits for what it has read.
    pub turns: Arc<Turns>,
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

/// What a step of the folding came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Something was done, and there may be more.
    Busy,
    /// There is nothing to read for now.
    Idle,
    /// The end is reached, or there is no more time.
    Ended,
}

/// Where the reading is.
pub(super) struct Reading {
    entries: Box<dyn Entries>,
    renewal: Renewal,
    saving: Option<Saving>,
    /// Up to where the journal went before this process, until that has been read again: all is known then.
    told_before: Option<Position>,
}

impl Reading {
    /// Waits for the checkpoint that is being written.
    pub(super) async fn settle(&mut self) {
        if let Some(saving) = &mut self.saving {
            saving.settle().await;
        }
    }

    /// Whether time alone brings something to do.
    pub(super) fn is_timed(&self) -> bool {
        self.saving.as_ref().is_some_and(Saving::waits) || self.renewal.is_stale()
    }
}

/// One timer for all waits: a new one for each would wake the runtime's threads, too.
fn idle_ticks() -> Interval {
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
        // Checkpoints are written on the runtime's threads.
        let _context = runtime.enter();
        let mut reading = self.begin()?;
        let mut idle = idle_ticks();
        loop {
            match self.step(&mut reading)? {
                Step::Busy => {}
                Step::Idle => {
                    let idle = async {
                        idle.tick().await;
                    };
                    runtime.block_on(self.rest(reading.is_timed(), idle))?;
                }
                Step::Ended => break,
            }
        }
        runtime.block_on(reading.settle());
        self.wind_up(&mut reading)?;
        runtime.block_on(self.conclude(reading))
    }

    /// Begins to read.
    pub(super) fn begin(&mut self) -> Result<Reading, FoldError> {
        self.turns.attend();
        self.at(self.position);
        let told_before = Some(*self.journal.durable().borrow());
        self.know_incidents();
        let entries = self.journal.read(self.position)?;
        let renewal = Renewal::of(&self.engine, self.gauges.engine(self.partition), self.troubles.clone());
        self.note_quarantine();
        let concerned = Concerned {
            partition: self.partition,
            journal: self.journal.clone(),
            gauges: self.gauges.clone(),
            troubles: self.troubles.clone(),
        };
        let saving = self.checkpoints.take().map(|checkpoints| Saving::new(checkpoints, concerned));
        Ok(Reading { entries, renewal, saving, told_before })
    }

    /// Folds the next entry, if there is one, and does what is due.
    pub(super) fn step(&mut self, reading: &mut Reading) -> Result<Step, FoldError> {
        while let Ok(question) = self.questions.try_recv() {
            self.answer(question);
        }
        if reading.told_before.take_if(|before| self.position >= *before).is_some() {
            self.incidents.complete();
        }
        if self.hurry.is_stopped() {
            let left = self.journal.durable().borrow().0.saturating_sub(self.position.0);
            tracing::warn!(at = self.position.0, left, "told to stop: what is left is read at the next start");
            // The end of what was read is not the end of the input.
            self.finish = false;
            return Ok(Step::Ended);
        }
        let step = match reading.entries.next_entry()? {
            Some(entry) => {
                // After a panic, the way back to this state was long.
                let dear = self.fold(&entry)?;
                reading.renewal.outdated();
                if let Some(saving) = &mut reading.saving {
                    saving.folded(dear);
                }
                Step::Busy
            }
            None => {
                // What follows the last entry may be no entry: a source's cursor alone.
                self.at(self.position.max(reading.entries.position()));
                self.settle_in_silence();
                if self.reached_end() {
                    return Ok(Step::Ended);
                }
                Step::Idle
            }
        };
        let mut taken = false;
        // A checkpoint would forget that what is read again is still to be made one with what was told.
        if let Some(saving) = reading.saving.as_mut().filter(|_| self.retold.is_none()) {
            let logged = self.logged.borrow().journal;
            taken = saving.step(&mut self.engine, self.position, logged);
        }
        if taken {
            // The log says when it is here.
            self.tell(Vec::new(), false)?;
        }
        let step = if reading.saving.as_ref().is_some_and(Saving::is_taking) { Step::Busy } else { step };
        let snapshot = self.gauges.engine(self.partition);
        match taken {
            true => reading.renewal.everything(&self.engine, snapshot),
            false => reading.renewal.if_due(&self.engine, snapshot),
        }
        Ok(step)
    }

    /// Folds one entry. Answers whether a panic was met.
    fn fold(&mut self, entry: &Entry) -> Result<bool, FoldError> {
        let unreadable = |reason| FoldError::Entry { position: entry.position, reason };
        if let Some(Care { quarantine, .. }) = &self.care {
            quarantine.prepare(&mut self.engine, entry.position);
            if quarantine.leaves_out(entry.position) {
                self.at(entry.position);
                return Ok(false);
            }
        }
        let began = host::uptime();
        let input = match guarded(|| Input::decode(&entry.bytes)) {
            Ok(input) => input.map_err(unreadable)?,
            Err(reason) => {
                self.mend(&Fault { tenant: None, reason }, entry, &mut Vec::new())?;
                self.at(entry.position);
                return Ok(true);
            }
        };
        if let Input::Action { tenant, at, action } = &input {
            self.gauges.said().note(self.partition, entry.position, (tenant, *at), action);
        }
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
        let took = host::uptime().saturating_sub(began);
        if took > SLOW {
            let (tenant, rows) = (input.tenant(), input.rows());
            tracing::warn!(
                position = entry.position.0,
                tenant,
                rows,
                ?took,
                "an entry took long: others waited for it"
            );
        }
        self.turns.folded(&input, took);
        self.at(entry.position);
        self.gauges.folded(input.rows(), events.len());
        if let Some(at) = input_time(&input) {
            self.gauges.reached(at);
        }
        if !events.is_empty() {
            self.tell(events, false)?;
        }
        Ok(!faults.is_empty())
    }

    /// It has read so far.
    fn at(&mut self, position: Position) {
        self.position = position;
        self.gauges.at(self.partition, position);
        self.turns.passed(position);
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

    /// Returns when there may be something to do; when `idle` does, too, if `timed`. A log that has ended is an end,
    /// not news.
    pub(super) async fn rest(&mut self, timed: bool, idle: impl Future<Output = ()>) -> Result<(), FoldError> {
        let mut durable = self.journal.durable();
        if *durable.borrow_and_update() > self.position {
            return Ok(());
        }
        let (end, logged, questions) = (&mut self.end, &mut self.logged, &mut self.questions);
        let hurry = &mut self.hurry;
        let question = tokio::select! {
            biased;
            _ = durable.changed() => None,
            _ = end.changed() => None,
            changed = logged.changed() => match changed {
                Ok(()) => None,
                Err(_) => return Err(FoldError::LogEnded),
            },
            Some(question) = questions.recv() => Some(question),
            () = hurry.stopped() => None,
            () = idle, if timed => None,
        };
        if let Some(question) = question {
            self.answer(question);
        }
        Ok(())
    }

    fn answer(&mut self, question: Question) {
        match question {
            Question::Look(Look(look)) => {
                // What is only looked at must not end what goes on.
                if let Err(reason) = guarded(|| look(&mut self.engine)) {
                    tracing::error!(reason, "a look at the engine met a bug");
                }
            }
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

    /// The last events, the last snapshot, and the end of the log's queue.
    pub(super) fn wind_up(&mut self, reading: &mut Reading) -> Result<(), FoldError> {
        if let Some(saving) = reading.saving.as_mut().filter(|_| self.retold.is_none()) {
            saving.take(&mut self.engine, self.position);
            self.tell(Vec::new(), false)?;
        }
        if self.finish {
            let mut events = Vec::new();
            self.engine.finish(&mut events);
            self.gauges.folded(0, events.len());
            self.tell(events, true)?;
        }
        self.outbox = None;
        Ok(())
    }

    /// The last checkpoint, once the log has everything up to there.
    pub(super) async fn conclude(mut self, Reading { saving, .. }: Reading) -> Result<Engine, FoldError> {
        let Some(saving) = saving else { return Ok(self.engine) };
        if let Some(position) = saving.pending()
            && self.logged.wait_for(|logged| logged.journal >= position).await.is_err()
        {
            return Err(FoldError::LogEnded);
        }
        saving.conclude()?;
        Ok(self.engine)
    }
}
