//! The wiring where there are no threads: tasks for who polls them, and an engine that takes a step when asked.
//!
//! What runs is what [`super::run`] runs. A simulation decides in which order, and ends it at any moment.

use std::sync::Arc;

use bellwether_connectors::intake::Intake;
use bellwether_connectors::journal::Position;
use bellwether_connectors::outbox::{CursorError, Deadline, IncidentLog, OutboxError, ReaderTotals};
use bellwether_connectors::{Stopper, host, stop_pair};
use bellwether_engine::Engine;
use futures::future::BoxFuture;
use tokio::sync::{mpsc, watch};

use super::Wiring;
use super::arrivals::TimedJournal;
use super::fold::{Fold, FoldError, IDLE_WAIT, Reading, Step};
use super::gauges::Gauges;
use super::outbox::Tasks;
use super::own;

/// A wiring that nobody runs yet. Its sources and companions are the caller's: what they read they
/// hand to `intake`.
pub struct Stepped {
    /// Where everything goes first.
    pub intake: Intake,
    /// Between journal and incident log.
    pub engine: SteppedEngine,
    /// Appends to the incident log; ends when the engine has, and before that only with an error.
    pub appending: BoxFuture<'static, Result<(), OutboxError>>,
    /// Deliver to the sinks, in the order of the configuration.
    pub readers: Vec<BoxFuture<'static, ReaderTotals>>,
    /// Tell trouble of our own, as long as the rest runs.
    pub telling: [BoxFuture<'static, ()>; 2],
    /// The end of things, for who brings it about.
    pub end: End,
}

/// How an orderly end is brought about.
pub struct End {
    journal: watch::Sender<Option<Position>>,
    log: watch::Sender<Option<Position>>,
    incidents: IncidentLog,
    patience: Stopper,
    /// Dropping it ends everything where it is.
    _hard: Stopper,
}

impl End {
    /// Nothing is appended to the journal after `last`.
    pub fn of_journal(&self, last: Position) {
        self.journal.send_replace(Some(last));
    }

    /// The engine has ended and the log has everything: readers deliver what is there, and wait for nobody.
    pub fn of_log(&self) {
        self.log.send_replace(Some(self.incidents.end()));
        self.patience.stop();
    }
}

/// The engine between journal and incident log.
pub struct SteppedEngine {
    fold: Fold,
    reading: Reading,
}

impl Stepped {
    /// Everything that [`Wiring`] names but its sources.
    ///
    /// # Errors
    /// [`SteppedError`].
    pub fn new(wiring: Wiring) -> Result<Stepped, SteppedError> {
        let gauges = Arc::new(Gauges::default());
        let journal = Arc::new(TimedJournal::new(wiring.journal));
        let arrivals = journal.arrivals();
        let intake = Intake::new(journal.clone(), wiring.rejects);
        let (patience_ends, patience) = stop_pair();
        let (abandon, hard) = stop_pair();
        let deadline = Deadline { patience, hard: hard.clone() };
        let (outbox, logged, tasks) =
            wiring.delivery.begin(wiring.position, (&gauges, &arrivals), &intake, &deadline)?;
        let Tasks { appending, readers, telling, end: log_end, log } = tasks;
        let (troubles, troubled) = mpsc::channel(own::TROUBLES_MAX);
        let own = Box::pin(own::tell(troubled, intake.of(own::SOURCE)));
        let (end, end_seen) = watch::channel(None);
        let mut fold = Fold {
            engine: wiring.engine,
            position: wiring.position,
            journal,
            outbox: Some(outbox),
            logged,
            checkpoints: wiring.checkpoints,
            end: end_seen,
            hurry: hard,
            finish: wiring.finish,
            gauges,
            incidents: wiring.incidents,
            care: wiring.care,
            troubles,
            questions: wiring.questions,
        };
        let reading = fold.begin()?;
        let engine = SteppedEngine { fold, reading };
        let end = End { journal: end, log: log_end, incidents: log, patience: patience_ends, _hard: abandon };
        Ok(Stepped { intake, engine, appending, readers, telling: [telling, own], end })
    }
}

/// Why a wiring cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum SteppedError {
    /// Where a new reader begins cannot be kept.
    #[error(transparent)]
    Cursor(#[from] CursorError),
    /// The engine cannot read on.
    #[error(transparent)]
    Fold(#[from] FoldError),
}

impl SteppedEngine {
    /// Folds the next entry, if there is one, and does what is due.
    ///
    /// # Errors
    /// [`FoldError`]; the process should end.
    pub fn step(&mut self) -> Result<Step, FoldError> {
        self.fold.step(&mut self.reading)
    }

    /// Returns when there may be something to do.
    ///
    /// # Errors
    /// [`FoldError::LogEnded`].
    pub async fn rest(&mut self) -> Result<(), FoldError> {
        self.fold.rest(host::sleep(IDLE_WAIT)).await
    }

    /// The last checkpoint; then the engine with its state.
    ///
    /// # Errors
    /// [`FoldError`].
    pub async fn conclude(mut self) -> Result<Engine, FoldError> {
        self.fold.wind_up(&mut self.reading)?;
        self.fold.conclude(self.reading).await
    }

    /// The engine as it is.
    pub fn state(&self) -> &Engine {
        &self.fold.engine
    }

    /// Up to where it has read the journal.
    pub fn position(&self) -> Position {
        self.fold.position
    }
}
