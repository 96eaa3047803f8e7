//! From the engines to the receivers: the incident log of each partition, and in each a reader for each sink.
//!
//! An engine hands over what each journal entry gave and waits for nobody but its log, which is a
//! disk. What becomes of a reader that waits for a person is told as trouble of our own: an alert of
//! the tenant `bellwether`, through the journal like any other (`own.rs`).

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
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

/// Who reads the logs.
#[derive(Default)]
pub struct Receivers {
    /// Readers with cursors; the first one speaks for the latency.
    pub kept: Vec<Reader>,
    /// Readers of this process alone: they begin at a log's end and keep nothing.
    pub companions: Vec<Reader>,
}

/// The log of one partition.
pub struct Delivery {
    /// The log.
    pub log: IncidentLog,
    /// Where cursors are kept; `None` when the log ends with the process.
    pub cursors: Option<PathBuf>,
}

/// What every partition's delivery works with.
pub(super) struct Around<'a> {
    pub(super) receivers: &'a Receivers,
    pub(super) gauges: &'a Arc<Gauges>,
    pub(super) parked: &'a ParkedReaders,
    pub(super) intake: &'a Intake,
    pub(super) deadline: &'a Deadline,
}

/// Everything behind one engine, running.
pub(super) struct Delivering {
    appender: JoinHandle<Result<(), OutboxError>>,
    readers: Vec<JoinHandle<ReaderTotals>>,
    end: watch::Sender<Option<Position>>,
    log: IncidentLog,
    places: Readers,
    telling: JoinHandle<()>,
}

impl Delivery {
    /// The appender and the readers, which nobody runs yet. Returns the engine's end, up to where the log has
    /// everything, and what is to be run. `from` is where the engine has read the journal to.
    ///
    /// # Errors
    /// [`CursorError`] when the disk does not take where a new reader begins.
    pub(super) fn begin(
        self,
        partition: usize,
        from: Position,
        arrivals: &Arrivals,
        around: &Around<'_>,
    ) -> Result<(Outbox, watch::Receiver<LogPosition>, Tasks), CursorError> {
        let (places, notices) = Readers::of(&self.log);
        let (end, seen) = watch::channel(None);
        let mut readers = Vec::new();
        let kept = around.receivers.kept.iter().map(|reader| (reader, self.cursors.as_deref()));
        let beside = around.receivers.companions.iter().map(|reader| (reader, None));
        for (index, (reader, cursors)) in kept.chain(beside).enumerate() {
            let (gauges, arrivals) = (around.gauges.clone(), arrivals.clone());
            let told = move |events: &[Outgoing]| {
                // One reader speaks for the latency: the first in the configuration.
                if index == 0 {
                    note_latencies(events, &gauges, &arrivals);
                }
            };
            let reader = reader.clone();
            readers.push(reader.begin(&self.log, &places, cursors, seen.clone(), around.deadline.clone(), told)?);
        }
        let telling = Box::pin(tell(notices, partition, around.parked.clone(), around.intake.of(SOURCE)));
        let from = LogPosition { journal: from, finished: false };
        let hard = around.deadline.hard.clone();
        let (outbox, logged, appender) = Outbox::begin(self.log.clone(), places.clone(), from, hard);
        let tasks = Tasks { appending: Box::pin(appender), readers, telling, end, log: self.log, places };
        Ok((outbox, logged, tasks))
    }
}

/// Everything behind one engine, before it runs.
pub(super) struct Tasks {
    pub(super) appending: BoxFuture<'static, Result<(), OutboxError>>,
    pub(super) readers: Vec<BoxFuture<'static, ReaderTotals>>,
    pub(super) telling: BoxFuture<'static, ()>,
    pub(super) end: watch::Sender<Option<Position>>,
    pub(super) log: IncidentLog,
    places: Readers,
}

impl Tasks {
    /// Runs it.
    pub(super) fn spawned(self) -> Delivering {
        let Tasks { appending, readers, telling, end, log, places } = self;
        let readers = readers.into_iter().map(tokio::spawn).collect();
        let (appender, telling) = (tokio::spawn(appending), tokio::spawn(telling));
        Delivering { appender, readers, end, log, places, telling }
    }
}

impl Delivering {
    /// Who reads the log.
    pub(super) fn readers(&self) -> Readers {
        self.places.clone()
    }
}

/// Once the engines' ends are dropped: waits until the logs have everything, and the readers as much
/// as the deadline lets them. `closing` is called in between, when nothing more is written. What the readers of one
/// sink did in all logs is one.
///
/// # Errors
/// [`OutboxError`] when a log could not be written.
pub(super) async fn finished(all: Vec<Delivering>, closing: impl FnOnce()) -> Result<Vec<ReaderTotals>, OutboxError> {
    let mut appended = Ok(());
    let mut reading = Vec::with_capacity(all.len());
    for Delivering { appender, readers, end, log, telling, .. } in all {
        let ended = appender.await.expect("the appender neither panics nor is cancelled");
        appended = appended.and(ended);
        reading.push((readers, end, log, telling));
    }
    closing();
    for (_, end, log, _) in &reading {
        end.send_replace(Some(log.end()));
    }
    let mut totals: Vec<ReaderTotals> = Vec::new();
    for (readers, _, _, telling) in reading {
        for reader in readers {
            let one = reader.await.expect("a reader neither panics nor is cancelled");
            match totals.iter_mut().find(|sum| sum.name == one.name) {
                Some(sum) => add(sum, one),
                None => totals.push(one),
            }
        }
        telling.abort();
    }
    appended.map(|()| totals)
}

fn add(sum: &mut ReaderTotals, one: ReaderTotals) {
    sum.sent += one.sent;
    sum.skipped += one.skipped;
    sum.left += one.left;
    sum.reason = sum.reason.take().or(one.reason);
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

/// The readers that wait for a person, by name and partition: a sink reads as many logs as there are partitions, and is one
/// to people. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct ParkedReaders(Arc<Mutex<BTreeSet<(String, usize)>>>);

impl ParkedReaders {
    /// What becomes of a reader in `partition`; what people are to be told of its sink, if anything.
    fn note(&self, partition: usize, notice: &Notice) -> Option<Trouble> {
        let mut parked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_this = (notice.reader.clone(), partition);
        match notice.parked {
            Some(_) => parked.insert(of_this),
            None => parked.remove(&of_this),
        };
        let waits = parked.iter().any(|(reader, _)| *reader == notice.reader);
        (waits == notice.parked.is_some()).then(|| trouble(notice))
    }
}

/// Tells what becomes of the readers in `partition` as alerts of our own.
async fn tell(mut notices: mpsc::Receiver<Notice>, partition: usize, parked: ParkedReaders, intake: Intake) {
    while let Some(notice) = notices.recv().await {
        let Some(trouble) = parked.note(partition, &notice) else { continue };
        if let Err(error) = intake.accept(&[own::alert(&trouble)], None).await {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sink_waits_for_a_person_while_any_of_its_readers_does() {
        let parked = ParkedReaders::default();
        let notice = |reason: Option<&str>| Notice { reader: "nats".to_owned(), parked: reason.map(str::to_owned) };
        let told = |log: usize, reason: Option<&str>| parked.note(log, &notice(reason)).map(|trouble| trouble.over);
        assert_eq!(told(0, Some("away")), Some(false));
        assert_eq!(told(1, Some("away")), Some(false));
        assert_eq!(told(0, None), None, "the other still waits");
        assert_eq!(told(1, None), Some(true));
    }
}
