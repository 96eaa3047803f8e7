//! One partition: what it is made of, and how its engine is put between its journal and its incident log. Who runs it
//! then, a thread or a simulation, does so alike.

use std::sync::Arc;

use bellwether_connectors::journal::{Journal, Position};
use bellwether_connectors::memory::Memory;
use bellwether_connectors::outbox::{CursorError, IncidentLog};
use bellwether_connectors::server::incidents::KnownIncidents;
use bellwether_connectors::{Checkpoints, Intake, RejectLog};
use bellwether_engine::Engine;
use tokio::sync::{mpsc, watch};

use super::arrivals::TimedJournal;
use super::fold::{Care, Fold};
use super::memory::MemoryJournal;
use super::outbox::{Around, Delivery, Tasks};
use super::own::Trouble;
use super::pace::Cadence;
use super::question::Question;
use super::retold::Retold;

/// One partition: what tenants who live in it have for themselves.
pub struct Partition {
    /// The engine, new or restored.
    pub engine: Engine,
    /// Up to where `engine` has read the journal.
    pub position: Position,
    /// Where everything goes first.
    pub journal: Arc<dyn Journal>,
    /// Where the events go.
    pub delivery: Delivery,
    /// Where checkpoints go, if anywhere.
    pub checkpoints: Option<(Checkpoints, Cadence)>,
    /// How to go on after a panic; `None` when nothing is kept: then it ends the wiring.
    pub care: Option<Care>,
    /// What was told of entries that are read again.
    pub retold: Option<Retold>,
    /// What others want to know of the engine's state; [`no_questions`] when nobody asks.
    pub questions: mpsc::Receiver<Question>,
}

impl Partition {
    /// One that ends with the process: for input that can be read again.
    #[must_use]
    pub fn in_memory(engine: Engine) -> Partition {
        Partition {
            engine,
            position: Position::START,
            journal: Arc::new(MemoryJournal::default()),
            delivery: Delivery { log: IncidentLog::in_memory(), cursors: None },
            checkpoints: None,
            care: None,
            retold: None,
            questions: no_questions(),
        }
    }
}

/// For wirings that nobody asks anything.
pub fn no_questions() -> mpsc::Receiver<Question> {
    mpsc::channel(1).1
}

/// The journals of partitions, with the times at which things arrive, and the one way into them.
pub(super) fn doors(partitions: &[Partition], rejects: RejectLog, memory: Memory) -> (Vec<Arc<TimedJournal>>, Intake) {
    let timed = |partition: &Partition| Arc::new(TimedJournal::new(partition.journal.clone()));
    let journals: Vec<Arc<TimedJournal>> = partitions.iter().map(timed).collect();
    let doors = journals.iter().map(|journal| journal.clone() as Arc<dyn Journal>).collect();
    (journals, Intake::over(doors, rejects).within(memory))
}

/// What the engines of a wiring have in common.
pub(super) struct Common<'a> {
    pub(super) around: Around<'a>,
    /// Whether the end of the input is the end of time.
    pub(super) finish: bool,
    /// Who is to know which incidents are open.
    pub(super) incidents: Arc<KnownIncidents>,
    /// Where trouble of our own is told.
    pub(super) troubles: mpsc::Sender<Trouble>,
}

/// An engine in its place, and all that is behind it: nobody runs them yet.
pub(super) struct Placed {
    pub(super) fold: Fold,
    /// Tells it where the end of its input is.
    pub(super) end: watch::Sender<Option<Position>>,
    pub(super) behind: Tasks,
}

impl Common<'_> {
    /// Puts an engine in its place.
    ///
    /// # Errors
    /// [`CursorError`] when the disk does not take where a new reader begins.
    pub(super) fn place(
        &self,
        partition: usize,
        of: Partition,
        journal: &Arc<TimedJournal>,
    ) -> Result<Placed, CursorError> {
        let (outbox, logged, behind) = of.delivery.begin(partition, of.position, &journal.arrivals(), &self.around)?;
        let (end, end_seen) = watch::channel(None);
        let fold = Fold {
            partition,
            engine: of.engine,
            position: of.position,
            journal: journal.clone(),
            turns: self.around.intake.turns(partition).clone(),
            outbox: Some(outbox),
            logged,
            checkpoints: of.checkpoints,
            end: end_seen,
            hurry: self.around.deadline.hard.clone(),
            finish: self.finish,
            gauges: self.around.gauges.clone(),
            incidents: self.incidents.clone(),
            care: of.care,
            retold: of.retold,
            troubles: self.troubles.clone(),
            questions: of.questions,
        };
        Ok(Placed { fold, end, behind })
    }
}
