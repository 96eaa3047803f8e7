//! From sources to receivers: who hands what to whom, and what is durable when.
//!
//! ```text
//! sources ─▶ intake ─▶ journal ─▶ fold (one thread, the engine) ─▶ incident log ─┬▶ reader ─▶ sink
//!            durable before          │ checkpoint at p, once the                 └▶ reader ─▶ sink
//!            the sender hears "ok"   ▼ log has the events up to p
//!                               checkpoints
//! ```
//!
//! Every arrow is bounded: a slow disk makes the engine wait, the journal takes what arrives
//! meanwhile, a full journal makes the sources wait or refuse. A slow receiver delays its own reader
//! and nothing else. The end is orderly: sources stop, the engine reads to the journal's end, a last
//! checkpoint is written, and readers deliver what they can. Whoever was told to stop does so within
//! `STOP_GRACE`, wherever it is: the rest is in the journal and in the log for the next start.

pub mod arrivals;
mod clocks;
mod exposition;
pub mod feeds;
pub mod figures;
pub mod fold;
pub mod gauges;
pub mod memory;
mod mend;
pub mod merge;
pub mod newest;
pub mod outbox;
mod own;
pub mod pace;
pub mod quarantine;
pub mod readiness;
pub mod recorded;
pub mod reload;
pub mod screen;

use std::sync::Arc;
use std::time::Duration;

use bellwether_connectors::journal::{Journal, Position};
use bellwether_connectors::memory::Memory;
use bellwether_connectors::outbox::{Deadline, OutboxError, ReaderTotals};
use bellwether_connectors::server::incidents::KnownIncidents;
use bellwether_connectors::{Checkpoints, Intake, RejectLog, Source, SourceError, Stop, Stopper, stop_pair};
use bellwether_engine::Engine;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use arrivals::TimedJournal;
pub use mend::Past;

use fold::{Care, Fold, FoldError, Question};
use gauges::Gauges;
use outbox::{Delivering, Delivery};
use pace::Cadence;

/// The name of the engine's thread.
const FOLD_THREAD: &str = "fold";
/// What is known of an engine's thread that is gone without a word.
const PANICKED: &str = "its thread panicked, standard error says where";

/// How long receivers that are away may keep a process waiting whose input has ended.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the engine, the log and the receivers go on in a process that was told to stop: longer than any
/// source takes to end.
const STOP_GRACE: Duration = Duration::from_secs(4);

/// Everything that is to be connected.
pub struct Wiring {
    /// The engine, new or restored.
    pub engine: Engine,
    /// Up to where `engine` has read the journal.
    pub position: Position,
    /// Where everything goes first.
    pub journal: Arc<dyn Journal>,
    /// Where rows go that cannot be read.
    pub rejects: RejectLog,
    /// What the process may take.
    pub memory: Memory,
    /// What is read. When all have ended, the wiring ends.
    pub sources: Vec<Box<dyn Source>>,
    /// What runs beside the sources and does not keep the wiring alive: ticks.
    pub companions: Vec<Box<dyn Source>>,
    /// Where the events go, and who reads them.
    pub delivery: Delivery,
    /// Where checkpoints go, if anywhere.
    pub checkpoints: Option<(Checkpoints, Cadence)>,
    /// Whether the end of the input is the end of time.
    pub finish: bool,
    /// Who is to know which incidents are open.
    pub incidents: Arc<KnownIncidents>,
    /// How to go on after a panic; `None` when nothing is kept: then it ends the wiring.
    pub care: Option<Care>,
    /// What others want to know of the engine's state; [`no_questions`] when nobody asks.
    pub questions: mpsc::Receiver<Question>,
}

/// For wirings that nobody asks anything.
pub fn no_questions() -> mpsc::Receiver<Question> {
    mpsc::channel(1).1
}

/// How it ended.
pub struct Outcome {
    /// The engine with its last state.
    pub engine: Engine,
    /// What each reader did, and what is left to it.
    pub readers: Vec<ReaderTotals>,
    /// Sources that failed; the others went on.
    pub failed_sources: Vec<SourceError>,
}

/// Why it ended before its time.
#[derive(Debug, thiserror::Error)]
pub enum WiringError {
    /// A source says the process must end.
    #[error(transparent)]
    Source(SourceError),
    /// The incident log cannot be written.
    #[error("{0}; free space or repair the disk, then start again: the journal has everything")]
    Outbox(#[from] OutboxError),
    /// The engine could not go on.
    #[error(transparent)]
    Fold(#[from] FoldError),
    /// The engine's thread died; a bug.
    #[error("the engine ended unexpectedly: {0}; the journal has everything, please report this")]
    Died(String),
}

/// Runs until the sources have ended or `stop` is called, and everything read has arrived.
///
/// # Errors
/// [`WiringError`]: the process should end; what was accepted is in the journal.
pub async fn run(wiring: Wiring, gauges: Arc<Gauges>, stop: Stop) -> Result<Outcome, WiringError> {
    let journal = Arc::new(TimedJournal::new(wiring.journal));
    let arrivals = journal.arrivals();
    let intake = Intake::new(journal.clone(), wiring.rejects).within(wiring.memory);
    let (patience_ends, patience) = stop_pair();
    let (abandon, hard) = stop_pair();
    let deadline = Deadline { patience, hard: hard.clone() };
    let (patience_ends, abandon) = (Arc::new(patience_ends), Arc::new(abandon));
    let (outbox, logged, delivering) = wiring.delivery.start(wiring.position, (&gauges, &arrivals), &intake, &deadline);
    let (troubles, troubled) = mpsc::channel(own::TROUBLES_MAX);
    let telling = tokio::spawn(own::tell(troubled, intake.of(own::SOURCE)));
    let (end, end_seen) = watch::channel(None);
    let fold = Fold {
        engine: wiring.engine,
        position: wiring.position,
        journal: journal.clone(),
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
    let runtime = tokio::runtime::Handle::current();
    // A thread with a name: what the engine costs can be told apart from what the wires cost.
    let (done, mut folding) = oneshot::channel();
    let thread = std::thread::Builder::new().name(FOLD_THREAD.to_owned());
    let spawned = thread.spawn(move || {
        // Nobody waits any more when the process is ending.
        let _ = done.send(fold.run(&runtime));
    });
    spawned.map_err(|error| WiringError::Died(error.to_string()))?;

    let stopping = tokio::spawn(stop_in_time(stop.clone(), patience_ends.clone(), abandon.clone()));
    let reading = read_all(wiring.sources, wiring.companions, &intake, stop);
    let failed_sources = tokio::select! {
        read = reading => read?,
        folded = &mut folding => {
            abandon.stop();
            return Err(early(folded, delivering).await);
        }
    };
    telling.abort();
    // Nothing is appended from here on: the journal's end is the end.
    end.send_replace(Some(*journal.durable().borrow()));
    let folded = folding.await;
    let mut waiting = None;
    let no_more_patience = async move {
        tokio::time::sleep(PATIENCE).await;
        patience_ends.stop();
    };
    let readers = delivering.finished(|| waiting = Some(tokio::spawn(no_more_patience))).await;
    stopping.abort();
    if let Some(waiting) = waiting {
        waiting.abort();
    }
    drop(abandon);
    let engine = match folded {
        Ok(Ok(engine)) => engine,
        Ok(Err(FoldError::LogEnded)) => return Err(log_error(readers)),
        Ok(Err(error)) => return Err(error.into()),
        Err(_) => return Err(WiringError::Died(PANICKED.into())),
    };
    Ok(Outcome { engine, readers: readers?, failed_sources })
}

/// Once told to stop: when the grace is over, nobody is waited for any more.
async fn stop_in_time(mut stop: Stop, patience_ends: Arc<Stopper>, abandon: Arc<Stopper>) {
    stop.stopped().await;
    tokio::time::sleep(STOP_GRACE).await;
    patience_ends.stop();
    abandon.stop();
}

/// The engine ended although input was still coming: says why.
async fn early(
    folded: Result<Result<Engine, FoldError>, oneshot::error::RecvError>,
    delivering: Delivering,
) -> WiringError {
    match folded {
        Ok(Err(FoldError::LogEnded)) => log_error(delivering.finished(|| ()).await),
        Ok(Err(error)) => error.into(),
        Ok(Ok(_)) => WiringError::Died("it saw an end nobody announced".into()),
        Err(_) => WiringError::Died(PANICKED.into()),
    }
}

fn log_error(readers: Result<Vec<ReaderTotals>, OutboxError>) -> WiringError {
    match readers {
        Err(error) => error.into(),
        Ok(_) => FoldError::LogEnded.into(),
    }
}

/// Runs all sources to their end, or until told to stop; companions end with them.
async fn read_all(
    sources: Vec<Box<dyn Source>>,
    companions: Vec<Box<dyn Source>>,
    intake: &Intake,
    mut stop: Stop,
) -> Result<Vec<SourceError>, WiringError> {
    let (stopper, source_stop) = stop_pair();
    let spawn_all = |sources: Vec<Box<dyn Source>>| {
        let mut tasks = JoinSet::new();
        for source in sources {
            let own = intake.of(source.name());
            tasks.spawn(source.run(own, source_stop.clone()));
        }
        tasks
    };
    let mut running = spawn_all(sources);
    let mut beside = spawn_all(companions);
    let mut failed = Vec::new();
    loop {
        tokio::select! {
            ended = running.join_next() => match ended {
                None => break,
                Some(ended) => note_end(ended, &mut failed)?,
            },
            Some(ended) = beside.join_next() => note_end(ended, &mut failed)?,
            () = stop.stopped(), if !stop_asked(&source_stop) => {
                tracing::info!("stopping: sources first");
                stopper.stop();
            }
        }
    }
    stopper.stop();
    while let Some(ended) = beside.join_next().await {
        note_end(ended, &mut failed)?;
    }
    Ok(failed)
}

fn stop_asked(stop: &Stop) -> bool {
    stop.is_stopped()
}

fn note_end(
    ended: Result<Result<(), SourceError>, tokio::task::JoinError>,
    failed: &mut Vec<SourceError>,
) -> Result<(), WiringError> {
    match ended {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) if error.is_fatal() => Err(WiringError::Source(error)),
        Ok(Err(error)) => {
            tracing::error!(%error, "source ended, the others go on");
            failed.push(error);
            Ok(())
        }
        Err(panic) => Err(WiringError::Died(panic.to_string())),
    }
}

#[cfg(test)]
mod tests;
