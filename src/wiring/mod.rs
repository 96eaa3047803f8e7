//! From sources to receivers: who hands what to whom, and what is durable when.
//!
//! ```text
//! sources ─▶ intake ─┬▶ journal ─▶ fold (one thread, the engine) ─▶ incident log ─┬▶ reader ─▶ sink
//!            durable before          │ checkpoint at p, once the                 └▶ reader ─▶ sink
//!            the sender hears "ok"   ▼ log has the events up to p
//!                    │          checkpoints
//!                    └▶ the same for each further partition, up to its readers of the same sinks
//! ```
//!
//! What lies between the intake and the sinks is there once for each partition, and partitions share nothing of it: a
//! tenant that keeps its engine or its journal busy delays those that live with it. The intake routes by tenant.
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
mod partition;
pub mod partitions;
pub mod quarantine;
pub mod question;
pub mod readiness;
pub mod recorded;
pub mod recover;
pub mod reload;
pub mod retold;
pub mod said;
mod saving;
pub mod screen;
pub mod stepped;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bellwether_connectors::journal::{Journal, Position};
use bellwether_connectors::memory::Memory;
use bellwether_connectors::outbox::{CursorError, Deadline, OutboxError, ReaderTotals};
use bellwether_connectors::server::incidents::KnownIncidents;
use bellwether_connectors::{Intake, RejectLog, Source, SourceError, Stop, Stopper, stop_pair};
use bellwether_engine::Engine;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

pub use mend::Past;
pub use partition::{Partition, no_questions};

use fold::{Fold, FoldError};
use gauges::Gauges;
use outbox::{Around, Delivering, ParkedReaders, Receivers, finished};
use partition::{Common, Placed, doors};

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
    /// Each with its engine, in order; there is at least one.
    pub partitions: Vec<Partition>,
    /// Where rows go that cannot be read.
    pub rejects: RejectLog,
    /// What the process may take.
    pub memory: Memory,
    /// What is read. When all have ended, the wiring ends.
    pub sources: Vec<Box<dyn Source>>,
    /// What runs beside the sources and does not keep the wiring alive: ticks.
    pub companions: Vec<Box<dyn Source>>,
    /// Who gets the events of all partitions.
    pub receivers: Receivers,
    /// Whether the end of the input is the end of time.
    pub finish: bool,
    /// Who is to know which incidents are open.
    pub incidents: Arc<KnownIncidents>,
}

/// How it ended.
pub struct Outcome {
    /// One engine with the last state of all tenants.
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
    #[error("{0}; the journal has everything: start again when that is mended")]
    Outbox(#[from] OutboxError),
    /// Where a new reader begins cannot be kept.
    #[error(transparent)]
    Cursor(#[from] CursorError),
    /// The engine could not go on.
    #[error(transparent)]
    Fold(#[from] FoldError),
    /// The engine's thread died; a bug.
    #[error("the engine ended unexpectedly: {0}; the journal has everything, please report this")]
    Died(String),
}

/// The engines at work, and what is behind them.
struct Running {
    /// Which partition it was, and how it ended.
    folding: FuturesUnordered<BoxFuture<'static, (usize, Folded)>>,
    /// Tells each where the end of its input is.
    ends: Vec<watch::Sender<Option<Position>>>,
    delivering: Vec<Delivering>,
}

/// How an engine's thread ended.
type Folded = Result<Result<Engine, FoldError>, oneshot::error::RecvError>;

/// Runs until the sources have ended or `stop` is called, and everything read has arrived.
///
/// # Errors
/// [`WiringError`]: the process should end; what was accepted is in the journals.
pub async fn run(wiring: Wiring, gauges: Arc<Gauges>, stop: Stop) -> Result<Outcome, WiringError> {
    let (journals, intake) = doors(&wiring.partitions, wiring.rejects, wiring.memory);
    let (patience_ends, patience) = stop_pair();
    let (abandon, hard) = stop_pair();
    let deadline = Deadline { patience, hard };
    let (patience_ends, abandon) = (Arc::new(patience_ends), Arc::new(abandon));
    let (troubles, troubled) = mpsc::channel(own::TROUBLES_MAX);
    let telling = tokio::spawn(own::tell(troubled, intake.of(own::SOURCE)));
    wiring.incidents.expect(wiring.partitions.len());
    let parked = ParkedReaders::default();
    let around =
        Around { receivers: &wiring.receivers, gauges: &gauges, parked: &parked, intake: &intake, deadline: &deadline };
    let common = Common { around, finish: wiring.finish, incidents: wiring.incidents.clone(), troubles };
    let several = wiring.partitions.len() > 1;
    let mut running = Running { folding: FuturesUnordered::new(), ends: Vec::new(), delivering: Vec::new() };
    for (partition, (of, journal)) in wiring.partitions.into_iter().zip(&journals).enumerate() {
        let Placed { fold, end, behind } = common.place(partition, of, journal)?;
        let name = if several { format!("{FOLD_THREAD}-{partition}") } else { FOLD_THREAD.to_owned() };
        let folded = start(fold, name)?;
        running.folding.push(Box::pin(async move { (partition, folded.await) }));
        running.ends.push(end);
        running.delivering.push(behind.spawned());
    }
    drop(common);
    gauges.shows_readers(running.delivering.iter().map(Delivering::readers).collect());

    let stopping = tokio::spawn(stop_in_time(stop.clone(), patience_ends.clone(), abandon.clone()));
    let reading = read_all(wiring.sources, wiring.companions, &intake, stop);
    let failed_sources = tokio::select! {
        read = reading => match read {
            Ok(failed) => failed,
            Err(error) => {
                abandon.stop();
                all_ended(&mut running.folding).await;
                return Err(error);
            }
        },
        Some((_, folded)) = running.folding.next() => {
            abandon.stop();
            all_ended(&mut running.folding).await;
            return Err(early(folded, running.delivering).await);
        }
    };
    telling.abort();
    // Nothing is appended from here on: the journals' ends are the ends.
    for (end, journal) in running.ends.iter().zip(&journals) {
        end.send_replace(Some(*journal.durable().borrow()));
    }
    let folded = all_folded(running.folding, &abandon).await;
    let mut waiting = None;
    let no_more_patience = async move {
        tokio::time::sleep(PATIENCE).await;
        patience_ends.stop();
    };
    let readers = finished(running.delivering, || waiting = Some(tokio::spawn(no_more_patience))).await;
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

/// Starts an engine's thread. It has a name: what the engine costs can be told apart from what the wires cost.
fn start(fold: Fold, name: String) -> Result<oneshot::Receiver<Result<Engine, FoldError>>, WiringError> {
    let runtime = tokio::runtime::Handle::current();
    let (done, folded) = oneshot::channel();
    let spawned = std::thread::Builder::new().name(name).spawn(move || {
        // Nobody waits any more when the process is ending.
        let _ = done.send(fold.run(&runtime));
    });
    spawned.map_err(|error| WiringError::Died(error.to_string()))?;
    Ok(folded)
}

/// Waits until every engine has ended where it is: one that waits for something needs the runtime that is about to go.
async fn all_ended(folding: &mut FuturesUnordered<BoxFuture<'static, (usize, Folded)>>) {
    let ended = async { while folding.next().await.is_some() {} };
    if tokio::time::timeout(STOP_GRACE, ended).await.is_err() {
        tracing::warn!("an engine is still at work: the process ends without it");
    }
}

/// Waits for every engine, and makes one of them that knows all tenants. The first that failed has the others end
/// where they are.
async fn all_folded(mut folding: FuturesUnordered<BoxFuture<'static, (usize, Folded)>>, abandon: &Stopper) -> Folded {
    let mut engines = BTreeMap::new();
    let mut failed = None;
    while let Some((partition, folded)) = folding.next().await {
        match folded {
            Ok(Ok(engine)) => {
                engines.insert(partition, engine);
            }
            other => {
                abandon.stop();
                failed = failed.or(Some(other));
            }
        }
    }
    if let Some(failed) = failed {
        return failed;
    }
    let together = engines.into_values().reduce(|mut all, one| {
        all.absorb(one);
        all
    });
    Ok(Ok(together.expect("there is at least one partition")))
}

/// Once told to stop: when the grace is over, nobody is waited for any more.
async fn stop_in_time(mut stop: Stop, patience_ends: Arc<Stopper>, abandon: Arc<Stopper>) {
    stop.stopped().await;
    tokio::time::sleep(STOP_GRACE).await;
    patience_ends.stop();
    abandon.stop();
}

/// The engine ended although input was still coming: says why.
async fn early(folded: Folded, delivering: Vec<Delivering>) -> WiringError {
    match folded {
        Ok(Err(FoldError::LogEnded)) => log_error(finished(delivering, || ()).await),
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
