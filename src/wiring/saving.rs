//! The engine's state on its way to the disk: a snapshot is taken piece by piece between entries, and a thread of its own
//! writes it down once the incident log has the events up to there.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bellwether_connectors::journal::{Journal, Position};
use bellwether_connectors::{Checkpoints, CheckpointsError, host};
use bellwether_engine::planted::{self, Bug};
use bellwether_engine::{Engine, Snapshot, State};
use tokio::sync::{mpsc, oneshot};

use super::gauges::Gauges;
use super::own::{self, Trouble};
use super::pace::{Cadence, Pace, Pending};

/// The rule of checkpoints that cannot be written.
const UNSAVED_RULE: &str = "CheckpointNotWritten";

/// What became of a checkpoint: the position of the oldest that is kept.
type Written = Result<Position, CheckpointsError>;

/// A checkpoint on its way to the disk.
struct Writing {
    position: Position,
    bytes: usize,
    done: oneshot::Receiver<Written>,
}

impl Writing {
    /// What became of it; `None` until that is known.
    fn ended(&mut self) -> Option<Written> {
        match self.done.try_recv() {
            Err(oneshot::error::TryRecvError::Empty) => None,
            ended => Some(ended.unwrap_or_else(|_| Err(unfinished()))),
        }
    }
}

/// Who is told what becomes of checkpoints.
pub(super) struct Concerned {
    pub(super) partition: usize,
    /// What is older than the oldest checkpoint kept is not needed there.
    pub(super) journal: Arc<dyn Journal>,
    pub(super) gauges: Arc<Gauges>,
    pub(super) troubles: mpsc::Sender<Trouble>,
}

/// Has the state of an engine written from time to time.
pub(super) struct Saving {
    store: Checkpoints,
    cadence: Cadence,
    concerned: Concerned,
    pace: Pace,
    /// While a snapshot is being taken: the longest that the engine stood still for it so far.
    taking: Option<Duration>,
    writing: Option<Writing>,
}

impl Saving {
    pub(super) fn new((store, cadence): (Checkpoints, Cadence), concerned: Concerned) -> Saving {
        Saving { store, cadence, concerned, pace: Pace::new(), taking: None, writing: None }
    }

    /// An entry was folded; whether going back to before it would be dear.
    pub(super) fn folded(&mut self, dear: bool) {
        if dear {
            self.pace.hurry();
        }
        self.pace.folded();
    }

    /// Whether time alone brings something to do.
    pub(super) fn waits(&self) -> bool {
        self.pace.waits()
    }

    /// Whether a snapshot is being taken.
    pub(super) fn is_taking(&self) -> bool {
        self.taking.is_some()
    }

    /// Begins a snapshot when one is due, or goes on with the one that is being taken, and has one that is taken
    /// written once the log has everything up to there: it does up to `logged`. The engine has read up to `position`.
    /// True when one was begun: the log is to say when it is there.
    pub(super) fn step(&mut self, engine: &mut Engine, position: Position, logged: Position) -> bool {
        if let Some(writing) = &mut self.writing
            && let Some(written) = writing.ended()
        {
            let (position, bytes) = (writing.position, writing.bytes);
            self.writing = None;
            self.note(position, bytes, written);
        }
        let due = self.pace.is_due(&self.cadence);
        match due {
            true => self.begin(engine, position),
            false => self.go_on(engine),
        }
        let logged = if planted::has(Bug::CheckpointBeforeLog) { position } else { logged };
        if let Some((position, state)) = self.pace.ready(logged) {
            self.write(position, state);
        }
        due
    }

    /// Takes a snapshot at once.
    pub(super) fn take(&mut self, engine: &mut Engine, position: Position) {
        self.begin(engine, position);
        while self.is_taking() {
            self.go_on(engine);
        }
    }

    /// Waits for the checkpoint that is being written.
    pub(super) async fn settle(&mut self) {
        if let Some(Writing { position, bytes, done }) = self.writing.take() {
            let written = done.await.unwrap_or_else(|_| Err(unfinished()));
            self.note(position, bytes, written);
        }
    }

    /// The position of the snapshot that is not written yet.
    pub(super) fn pending(&self) -> Option<Position> {
        self.pace.pending.as_ref().filter(|pending| pending.state.is_some()).map(|pending| pending.position)
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`CheckpointsError`]; the earlier checkpoints are as they were.
    pub(super) fn conclude(mut self) -> Result<(), CheckpointsError> {
        let Some(Pending { position, state: Some(state) }) = self.pace.pending.take() else { return Ok(()) };
        let written = self.store.write(position, state.sealed().slices());
        self.saved(position, state.len(), written)
    }

    fn begin(&mut self, engine: &mut Engine, position: Position) {
        let began = host::uptime();
        engine.begin_snapshot();
        self.taking = Some(host::uptime().saturating_sub(began));
        let position = match position {
            Position(at) if planted::has(Bug::CheckpointAhead) => Position(at + 1),
            Position(at) if planted::has(Bug::CheckpointBehind) => Position(at - 1),
            at => at,
        };
        self.pace.begun(position, &self.cadence);
    }

    /// Writes the next piece of the snapshot that is being taken, if one is.
    fn go_on(&mut self, engine: &mut Engine) {
        let Some(longest) = self.taking else { return };
        let began = host::uptime();
        let snapshot = engine.snapshot_step();
        let longest = longest.max(host::uptime().saturating_sub(began));
        self.taking = match snapshot {
            Snapshot::GoingOn => Some(longest),
            Snapshot::Taken(state) => {
                self.concerned.gauges.paused(longest);
                self.pace.taken(state);
                None
            }
            Snapshot::Gone => {
                self.pace.gone();
                None
            }
        };
    }

    /// Has a snapshot written, beside whatever comes next.
    fn write(&mut self, position: Position, state: State) {
        let (store, bytes) = (self.store.clone(), state.len());
        let (tell, done) = oneshot::channel();
        host::beside(move || {
            // A process that is ending does not wait for what it does not need.
            let _ = tell.send(store.write(position, state.sealed().slices()));
        });
        self.writing = Some(Writing { position, bytes, done });
    }

    /// Notes what became of a snapshot. One that could not be written is tried again: the journal has everything since
    /// the one before, and keeps it.
    fn note(&mut self, position: Position, bytes: usize, written: Written) {
        let Err(error) = self.saved(position, bytes, written) else { return };
        let (attempts, pause) = self.pace.failed();
        self.concerned.gauges.checkpoint_failed();
        tracing::error!(%error, attempts, again_in = ?pause, "a checkpoint is not written, a restart reads the journal from the one before");
        if attempts == 1 {
            let summary = format!("The engine's state cannot be saved: {error}; free space or repair the disk");
            self.say(summary, false);
        }
    }

    /// A snapshot is on disk, or not.
    fn saved(&mut self, position: Position, bytes: usize, written: Written) -> Result<(), CheckpointsError> {
        self.concerned.journal.release(written?);
        self.concerned.gauges.checkpointed();
        if self.pace.written() {
            self.say("The engine's state is saved again".to_owned(), true);
        }
        tracing::info!(partition = self.concerned.partition, position = position.0, bytes, "checkpoint written");
        Ok(())
    }

    fn say(&self, summary: String, over: bool) {
        own::say(&self.concerned.troubles, Trouble { rule: UNSAVED_RULE, labels: Vec::new(), summary, over });
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
