//! From the engine to the sinks: every sink gets every event, in order, and says when it has it.
//!
//! Each sink has a bounded queue. A slow or dead receiver fills it, then the engine waits, and
//! the journal takes what arrives meanwhile: nothing is dropped. A sink that cannot work (as
//! opposed to one whose receiver is away) ends the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bellwether_connectors::journal::Position;
use bellwether_connectors::{Outgoing, Sink, SinkError, Stop};
use bellwether_engine::incident::IncidentEvent;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::arrivals::Arrivals;
use super::gauges::Gauges;

/// Parcels a sink may be behind before the engine waits.
const QUEUE_PARCELS_MAX: usize = 256;
/// Parcels delivered in one call.
const DELIVER_PARCELS_MAX: usize = 64;
/// First and longest pause while a receiver is away.
const AWAY_PAUSE: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(5)];

/// What one journal entry gave; empty when it only says how far the engine is.
#[derive(Debug)]
pub struct Parcel {
    /// The entry.
    pub position: Position,
    /// Its events.
    pub events: Vec<Arc<IncidentEvent>>,
}

/// The engine's end: hands parcels to every sink.
#[derive(Debug)]
pub struct Outbox {
    queues: Vec<mpsc::Sender<Arc<Parcel>>>,
}

/// How far every sink is.
#[derive(Debug)]
struct Progress {
    upto: Vec<AtomicU64>,
    least: watch::Sender<Position>,
}

impl Progress {
    fn reached(&self, sink: usize, position: Position) {
        self.upto[sink].store(position.0, Ordering::SeqCst);
        let least = self.upto.iter().map(|upto| upto.load(Ordering::SeqCst)).min().unwrap_or(position.0);
        self.least.send_if_modified(|held| {
            let moved = held.0 < least;
            held.0 = held.0.max(least);
            moved
        });
    }
}

/// What a sink did in its life.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SinkTotals {
    /// Its name.
    pub name: String,
    /// Events newly delivered.
    pub sent: u64,
    /// Events the receiver already had.
    pub skipped: u64,
}

/// The running sinks.
pub struct Sinks {
    tasks: JoinSet<Result<SinkTotals, SinkError>>,
}

impl Outbox {
    /// Starts a task for each sink. `stop` ends the waiting for a receiver that is away.
    /// Returns the engine's end, how far all sinks are, and the running sinks.
    pub fn start(
        sinks: Vec<Box<dyn Sink>>,
        from: Position,
        gauges: &Arc<Gauges>,
        arrivals: &Arrivals,
        stop: &Stop,
    ) -> (Outbox, watch::Receiver<Position>, Sinks) {
        let upto = sinks.iter().map(|_| AtomicU64::new(from.0)).collect();
        let progress = Arc::new(Progress { upto, least: watch::Sender::new(from) });
        let delivered = progress.least.subscribe();
        let mut tasks = JoinSet::new();
        let mut queues = Vec::with_capacity(sinks.len());
        for (index, sink) in sinks.into_iter().enumerate() {
            let (sender, queue) = mpsc::channel(QUEUE_PARCELS_MAX);
            queues.push(sender);
            let worker = Worker {
                index,
                sink,
                progress: progress.clone(),
                gauges: gauges.clone(),
                arrivals: arrivals.clone(),
                stop: stop.clone(),
            };
            tasks.spawn(worker.work(queue));
        }
        (Outbox { queues }, delivered, Sinks { tasks })
    }

    /// An outbox without sinks.
    pub fn closed() -> Outbox {
        Outbox { queues: Vec::new() }
    }

    /// Hands a parcel to every sink, waiting while a queue is full. Blocking. False when a sink
    /// has ended: the process is about to.
    pub fn send(&self, parcel: Parcel) -> bool {
        let parcel = Arc::new(parcel);
        self.queues.iter().all(|queue| queue.blocking_send(parcel.clone()).is_ok())
    }
}

impl Sinks {
    /// Waits until every sink has delivered everything, or one cannot.
    ///
    /// # Errors
    /// The first sink that gave up.
    pub async fn finished(&mut self) -> Result<Vec<SinkTotals>, SinkError> {
        let mut totals = Vec::new();
        while let Some(joined) = self.tasks.join_next().await {
            totals.push(joined.expect("a sink task neither panics nor is cancelled")?);
        }
        totals.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(totals)
    }
}

struct Worker {
    index: usize,
    sink: Box<dyn Sink>,
    progress: Arc<Progress>,
    gauges: Arc<Gauges>,
    arrivals: Arrivals,
    stop: Stop,
}

impl Worker {
    async fn work(mut self, mut queue: mpsc::Receiver<Arc<Parcel>>) -> Result<SinkTotals, SinkError> {
        let mut totals = SinkTotals { name: self.sink.name().to_owned(), ..SinkTotals::default() };
        let mut parcels = Vec::with_capacity(DELIVER_PARCELS_MAX);
        while queue.recv_many(&mut parcels, DELIVER_PARCELS_MAX).await > 0 {
            let outgoing = unpack(&parcels);
            if !outgoing.is_empty() {
                self.deliver(&outgoing, &mut totals).await?;
                self.note_latencies(&parcels);
            }
            if let Some(last) = parcels.last() {
                self.progress.reached(self.index, last.position);
            }
            parcels.clear();
        }
        Ok(totals)
    }

    /// Delivers, waiting for a receiver that is away until told to stop.
    async fn deliver(&mut self, outgoing: &[Outgoing], totals: &mut SinkTotals) -> Result<(), SinkError> {
        let mut pause = AWAY_PAUSE[0];
        loop {
            match self.sink.deliver(outgoing).await {
                Ok(delivered) => {
                    totals.sent += delivered.sent;
                    totals.skipped += delivered.skipped;
                    return Ok(());
                }
                Err(error) if error.is_retryable() => {
                    if pause == AWAY_PAUSE[0] {
                        tracing::warn!(sink = totals.name, %error, "receiver is away, the engine will wait for it");
                    }
                    if self.stop.sleep(pause).await {
                        return Err(error);
                    }
                    pause = (pause * 2).min(AWAY_PAUSE[1]);
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn note_latencies(&self, parcels: &[Arc<Parcel>]) {
        // One sink speaks for the latency: the first in the configuration.
        if self.index != 0 {
            return;
        }
        let now = Instant::now();
        for parcel in parcels {
            // Looked up only now: the engine may be faster than the answer of the journal.
            if let Some(arrived) = self.arrivals.of(parcel.position) {
                parcel.events.iter().for_each(|_| self.gauges.delivered_after(now - arrived));
            }
        }
    }
}

fn unpack(parcels: &[Arc<Parcel>]) -> Vec<Outgoing> {
    let events = parcels.iter().flat_map(|parcel| parcel.events.iter().map(|event| (parcel.position, event)));
    events.map(|(position, event)| Outgoing { position, event: event.clone() }).collect()
}
