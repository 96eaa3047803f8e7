//! The wiring where there are no threads: tasks for who polls them, and an engine that takes a step when asked.
//!
//! What runs is what [`super::run`] runs. A simulation decides in which order, and ends it at any moment.

use std::num::NonZeroUsize;
use std::sync::Arc;

use bellwether_connectors::intake::Intake;
use bellwether_connectors::journal::{Journal, Position};
use bellwether_connectors::outbox::{CursorError, Deadline, IncidentLog, OutboxError, ReaderTotals};
use bellwether_connectors::{Stopper, host, stop_pair};
use bellwether_engine::Engine;
use futures::future::BoxFuture;
use tokio::sync::{mpsc, watch};

use super::Wiring;
use super::fold::{Fold, FoldError, IDLE_WAIT, Reading, Step};
use super::gauges::Gauges;
use super::outbox::{Around, ParkedReaders, Tasks};
use super::own;
use super::partition::{Common, Placed, doors};

/// A wiring that nobody runs yet. Its sources and companions are the caller's: what they read they
/// hand to `intake`.
pub struct Stepped {
    /// Where everything goes first.
    pub intake: Intake,
    /// Each partition's own, in order.
    pub partitions: Vec<SteppedPartition>,
    /// Tells trouble of our own, as long as the rest runs.
    pub telling: BoxFuture<'static, ()>,
    /// The end of things, for who brings it about.
    pub end: End,
}

/// What lies behind one journal.
pub struct SteppedPartition {
    /// Between journal and incident log.
    pub engine: SteppedEngine,
    /// Appends to the incident log; ends when the engine has, and before that only with an error.
    pub appending: BoxFuture<'static, Result<(), OutboxError>>,
    /// Deliver to the sinks, in the order of the configuration.
    pub readers: Vec<BoxFuture<'static, ReaderTotals>>,
    /// Tells of readers that wait for a person, as long as the rest runs.
    pub telling: BoxFuture<'static, ()>,
}

/// How an orderly end is brought about.
pub struct End {
    partitions: Vec<PartitionEnd>,
    patience: Stopper,
    /// Dropping it ends everything where it is.
    _hard: Stopper,
}

/// Where the end of one partition is told.
struct PartitionEnd {
    durable: watch::Receiver<Position>,
    journal: watch::Sender<Option<Position>>,
    log: watch::Sender<Option<Position>>,
    incidents: IncidentLog,
}

impl End {
    /// Nothing is appended to the journals any more.
    pub fn of_journals(&self) {
        for PartitionEnd { durable, journal, .. } in &self.partitions {
            journal.send_replace(Some(*durable.borrow()));
        }
    }

    /// The engines have ended and the logs have everything: readers deliver what is there, and wait for nobody.
    pub fn of_logs(&self) {
        for PartitionEnd { log, incidents, .. } in &self.partitions {
            log.send_replace(Some(incidents.end()));
        }
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
        let gauges = Arc::new(Gauges::of(NonZeroUsize::new(wiring.partitions.len()).unwrap_or(NonZeroUsize::MIN)));
        let (journals, intake) = doors(&wiring.partitions, wiring.rejects, wiring.memory);
        let (patience, patience_ends) = stop_pair();
        let (abandon, hard) = stop_pair();
        let deadline = Deadline { patience: patience_ends, hard };
        let (troubles, troubled) = mpsc::channel(own::TROUBLES_MAX);
        let telling = Box::pin(own::tell(troubled, intake.of(own::SOURCE)));
        wiring.incidents.expect(wiring.partitions.len());
        let parked = ParkedReaders::default();
        let around = Around {
            receivers: &wiring.receivers,
            gauges: &gauges,
            parked: &parked,
            intake: &intake,
            deadline: &deadline,
        };
        let common = Common { around, finish: wiring.finish, incidents: wiring.incidents.clone(), troubles };
        let (mut partitions, mut ends) = (Vec::new(), Vec::new());
        for (partition, (of, journal)) in wiring.partitions.into_iter().zip(&journals).enumerate() {
            let Placed { mut fold, end, behind } = common.place(partition, of, journal)?;
            let Tasks { appending, readers, telling, end: log_end, log, .. } = behind;
            ends.push(PartitionEnd { durable: journal.durable(), journal: end, log: log_end, incidents: log });
            let reading = fold.begin()?;
            partitions.push(SteppedPartition { engine: SteppedEngine { fold, reading }, appending, readers, telling });
        }
        let end = End { partitions: ends, patience, _hard: abandon };
        Ok(Stepped { intake, partitions, telling, end })
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
        self.fold.rest(self.reading.is_timed(), host::sleep(IDLE_WAIT)).await
    }

    /// The last checkpoint; then the engine with its state.
    ///
    /// # Errors
    /// [`FoldError`].
    pub async fn conclude(mut self) -> Result<Engine, FoldError> {
        self.reading.settle().await;
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
