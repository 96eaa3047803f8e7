//! The engine's state on its way to the disk: a snapshot is taken piece by piece between entries, and a thread of its own
//! writes it down.

use std::path::PathBuf;

use bellwether_connectors::journal::Position;
use bellwether_connectors::{CheckpointsError, host};
use bellwether_engine::planted::{self, Bug};
use bellwether_engine::{Snapshot, State};
use tokio::sync::oneshot;

use super::fold::{Fold, FoldError, Reading};
use super::own::{self, Trouble};
use super::pace::{Cadence, Pace};

/// The rule of checkpoints that cannot be written.
const UNSAVED_RULE: &str = "CheckpointNotWritten";

/// What became of a checkpoint: the position of the oldest that is kept.
type Written = Result<Position, CheckpointsError>;

/// A checkpoint on its way to the disk.
pub(super) struct Saving {
    position: Position,
    bytes: usize,
    done: oneshot::Receiver<Written>,
}

impl Saving {
    /// What became of it; `None` until that is known.
    fn written(&mut self) -> Option<Written> {
        match self.done.try_recv() {
            Err(oneshot::error::TryRecvError::Empty) => None,
            ended => Some(ended.unwrap_or_else(|_| Err(unfinished()))),
        }
    }
}

impl Fold {
    /// Begins a snapshot when one is due, goes on with one that is being taken, and has one that is taken written once
    /// the log is that far. True when one was begun.
    pub(super) fn checkpoint_if_due(&mut self, reading: &mut Reading) -> Result<bool, FoldError> {
        let Some((_, cadence)) = self.checkpoints else { return Ok(false) };
        let Reading { pace, saving, .. } = reading;
        if let Some(one) = saving
            && let Some(written) = one.written()
        {
            self.note_saved(pace, one.position, one.bytes, written);
            *saving = None;
        }
        let due = pace.is_due(&cadence);
        if due {
            self.begin_snapshot(reading, &cadence)?;
        } else {
            self.go_on_with_snapshot(reading);
        }
        let Reading { pace, saving, .. } = reading;
        let logged = match self.logged.borrow().journal {
            _ if planted::has(Bug::CheckpointBeforeLog) => self.position,
            logged => logged,
        };
        if let Some((position, state)) = pace.ready(logged) {
            *saving = self.save(position, state);
        }
        Ok(due)
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

    pub(super) fn begin_snapshot(&mut self, reading: &mut Reading, cadence: &Cadence) -> Result<(), FoldError> {
        let began = host::uptime();
        self.engine.begin_snapshot();
        reading.taking = Some(host::uptime().saturating_sub(began));
        let position = match self.position {
            Position(at) if planted::has(Bug::CheckpointAhead) => Position(at + 1),
            Position(at) if planted::has(Bug::CheckpointBehind) => Position(at - 1),
            at => at,
        };
        reading.pace.begun(position, cadence);
        // The log says when it is here.
        self.tell(Vec::new(), false)
    }

    /// Writes the next piece of the snapshot that is being taken, if one is.
    pub(super) fn go_on_with_snapshot(&mut self, Reading { pace, taking, .. }: &mut Reading) {
        let Some(longest) = *taking else { return };
        let began = host::uptime();
        let snapshot = self.engine.snapshot_step();
        let longest = longest.max(host::uptime().saturating_sub(began));
        *taking = match snapshot {
            Snapshot::GoingOn => Some(longest),
            Snapshot::Taken(state) => {
                self.gauges.paused(longest);
                pace.taken(state);
                None
            }
            Snapshot::Gone => {
                pace.gone();
                None
            }
        };
    }

    /// Has a snapshot written, beside whatever comes next.
    fn save(&self, position: Position, state: State) -> Option<Saving> {
        let (store, _) = self.checkpoints.as_ref()?;
        let (store, bytes) = (store.clone(), state.len());
        let (tell, done) = oneshot::channel();
        host::beside(move || {
            // A process that is ending does not wait for what it does not need.
            let _ = tell.send(store.write(position, state.sealed().slices()));
        });
        Some(Saving { position, bytes, done })
    }

    /// Notes what became of a snapshot that was written beside.
    fn note_saved(&self, pace: &mut Pace, position: Position, bytes: usize, written: Written) {
        if let Err(error) = self.saved(pace, position, bytes, written) {
            self.note_unsaved(pace, &error);
        }
    }

    /// A snapshot is on disk, or not.
    pub(super) fn saved(
        &self,
        pace: &mut Pace,
        position: Position,
        bytes: usize,
        written: Written,
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

    /// Waits for the checkpoint that is being written.
    pub(super) async fn settle(&mut self, Reading { pace, saving, .. }: &mut Reading) {
        if let Some(Saving { position, bytes, done }) = saving.take() {
            let written = done.await.unwrap_or_else(|_| Err(unfinished()));
            self.note_saved(pace, position, bytes, written);
        }
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
