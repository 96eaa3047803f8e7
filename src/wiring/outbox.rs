//! From the engine to the receivers: the incident log, and a reader for each sink.
//!
//! The engine hands over what each journal entry gave and waits for nobody but the log, which is a
//! disk. What becomes of a reader that waits for a person is told as trouble of our own: an alert of
//! the tenant `bellwether`, through the journal like any other (`own.rs`).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use bellwether_connectors::journal::Position;
use bellwether_connectors::outbox::{
    CursorError, Deadline, IncidentLog, LogPosition, Notice, Outbox, OutboxError, Reader, ReaderTotals, Readers,
};
use bellwether_connectors::{Intake, Outgoing};
use futures::future::BoxFuture;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::arrivals::Arrivals;
use super::gauges::Gauges;
use super::own::{self, SOURCE, Trouble};

/// The rule of a reader that waits for a person.
const RULE: &str = "IncidentReaderParked";

/// The log, and who reads it.
pub struct Delivery {
    /// The log.
    pub log: IncidentLog,
    /// Who reads it; the first one speaks for the latency.
    pub readers: Vec<Reader>,
    /// Readers of this process alone: they begin at the log's end and keep nothing.
    pub companions: Vec<Reader>,
    /// Where cursors are kept; `None` when the log ends with the process.
    pub cursors: Option<PathBuf>,
}

/// Everything behind the engine, running.
pub struct Delivering {
    appender: JoinHandle<Result<(), OutboxError>>,
    readers: Vec<JoinHandle<ReaderTotals>>,
    end: watch::Sender<Option<Position>>,
    log: IncidentLog,
    telling: JoinHandle<()>,
}

impl Delivery {
    /// Starts the appender and the readers. Returns the engine's end, up to where the log has
    /// everything, and what runs. `from` is where the engine has read the journal to.
    ///
    /// # Errors
    /// [`CursorError`] when the disk does not take where a new reader begins.
    pub fn start(
        self,
        from: Position,
        (gauges, arrivals): (&Arc<Gauges>, &Arrivals),
        intake: &Intake,
        deadline: &Deadline,
    ) -> Result<(Outbox, watch::Receiver<LogPosition>, Delivering), CursorError> {
        let (outbox, logged, tasks) = self.begin(from, (gauges, arrivals), intake, deadline)?;
        Ok((outbox, logged, tasks.spawned()))
    }

    /// The same for who runs the tasks.
    pub(super) fn begin(
        self,
        from: Position,
        (gauges, arrivals): (&Arc<Gauges>, &Arrivals),
        intake: &Intake,
        deadline: &Deadline,
    ) -> Result<(Outbox, watch::Receiver<LogPosition>, Tasks), CursorError> {
        let (places, notices) = Readers::of(&self.log);
        gauges.shows_readers(&places);
        let (end, seen) = watch::channel(None);
        let mut readers = Vec::new();
        let kept = self.readers.into_iter().map(|reader| (reader, self.cursors.as_deref()));
        let beside = self.companions.into_iter().map(|reader| (reader, None));
        for (index, (reader, cursors)) in kept.chain(beside).enumerate() {
            let (gauges, arrivals) = (gauges.clone(), arrivals.clone());
            let told = move |events: &[Outgoing]| {
                // One reader speaks for the latency: the first in the configuration.
                if index == 0 {
                    note_latencies(events, &gauges, &arrivals);
                }
            };
            readers.push(reader.begin(&self.log, &places, cursors, seen.clone(), deadline.clone(), told)?);
        }
        let telling = Box::pin(tell(notices, intake.of(SOURCE)));
        let from = LogPosition { journal: from, finished: false };
        let (outbox, logged, appender) = Outbox::begin(self.log.clone(), places, from, deadline.hard.clone());
        let tasks = Tasks { appending: Box::pin(appender), readers, telling, end, log: self.log };
        Ok((outbox, logged, tasks))
    }
}

/// Everything behind the engine, before it runs.
pub(super) struct Tasks {
    pub(super) appending: BoxFuture<'static, Result<(), OutboxError>>,
    pub(super) readers: Vec<BoxFuture<'static, ReaderTotals>>,
    pub(super) telling: BoxFuture<'static, ()>,
    pub(super) end: watch::Sender<Option<Position>>,
    pub(super) log: IncidentLog,
}

impl Tasks {
    fn spawned(self) -> Delivering {
        let appender = tokio::spawn(self.appending);
        let readers = self.readers.into_iter().map(tokio::spawn).collect();
        let telling = tokio::spawn(self.telling);
        Delivering { appender, readers, end: self.end, log: self.log, telling }
    }
}

impl Delivering {
    /// Once the engine's end is dropped: waits until the log has everything, and the readers as much
    /// as the deadline lets them. `closing` is called in between, when nothing more is written.
    ///
    /// # Errors
    /// [`OutboxError`] when the log could not be written.
    pub async fn finished(self, closing: impl FnOnce()) -> Result<Vec<ReaderTotals>, OutboxError> {
        let appended = self.appender.await.expect("the appender neither panics nor is cancelled");
        closing();
        self.end.send_replace(Some(self.log.end()));
        let mut totals = Vec::new();
        for reader in self.readers {
            totals.push(reader.await.expect("a reader neither panics nor is cancelled"));
        }
        self.telling.abort();
        appended.map(|()| totals)
    }
}

fn note_latencies(events: &[Outgoing], gauges: &Gauges, arrivals: &Arrivals) {
    let now = Instant::now();
    for outgoing in events {
        // Looked up only now: the engine may be faster than the answer of the journal.
        if let Some(arrived) = arrivals.of(outgoing.position) {
            gauges.delivered_after(now - arrived);
        }
    }
}

/// Tells what becomes of readers as alerts of our own.
async fn tell(mut notices: mpsc::Receiver<Notice>, intake: Intake) {
    while let Some(notice) = notices.recv().await {
        if let Err(error) = intake.accept(&[own::alert(&trouble(&notice))], None).await {
            tracing::warn!(%error, reader = notice.reader, "that a reader waits for a person could not be told");
        }
    }
}

/// That a reader waits for a person, or that it does no more.
fn trouble(notice: &Notice) -> Trouble {
    let summary = match &notice.parked {
        Some(reason) => format!("Incidents no longer reach `{}`: {reason}", notice.reader),
        None => format!("Incidents reach `{}` again", notice.reader),
    };
    let labels = vec![("reader", notice.reader.clone())];
    Trouble { rule: RULE, labels, summary, over: notice.parked.is_none() }
}
