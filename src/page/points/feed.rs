//! Where points come from: what sources have accepted, as it passes, and before that the end of the journal.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bellwether_connectors::journal::SegmentReader;
use bellwether_connectors::{Intake, Source, SourceError, Stop};
use bellwether_engine::input::Input;
use bellwether_engine::time::EventTime;
use futures::future::BoxFuture;

use super::{Meta, Points};
use crate::clock;

/// Most of a journal that is read again for its points: its last gigabyte.
const RECALL_BYTES_MAX: u64 = 1 << 30;
/// How often it is asked what series are that nobody has described.
const ASKED_EVERY: Duration = Duration::from_secs(5);

/// Says what a series is that was described before anybody listened.
pub(crate) trait Describe: Send + Sync + 'static {
    /// What these series are; `None` for those that are not known.
    fn describe<'a>(&'a self, tenant: &'a Arc<str>, series: Vec<u64>) -> BoxFuture<'a, Vec<(u64, Option<Meta>)>>;
}

/// Takes in what the ends of these journals have. Blocking, and for a thread of its own. A journal may be
/// written meanwhile; `since` leaves out files that were written last before, where file times mean anything.
pub(crate) fn recall(points: &Points, journals: &[PathBuf], since: Option<EventTime>, now: EventTime) {
    for journal in journals {
        let mut entries = match SegmentReader::open_end(journal, RECALL_BYTES_MAX, since) {
            Ok(entries) => entries,
            Err(error) => {
                tracing::warn!(%error, journal = %journal.display(), "pictures begin with what comes now");
                continue;
            }
        };
        loop {
            match bellwether_connectors::journal::Entries::next_entry(&mut entries) {
                Ok(Some(entry)) => {
                    if let Ok(Input::Batch(batch)) = Input::decode(&entry.bytes) {
                        points.take(&batch, now);
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    tracing::warn!(%error, journal = %journal.display(), "pictures lack a part of what came before");
                    break;
                }
            }
        }
    }
}

/// Feeds the store for as long as the process runs.
pub(crate) struct PointsFeed {
    pub(crate) points: Arc<Points>,
    /// The journals whose ends are read first.
    pub(crate) journals: Vec<PathBuf>,
    /// Files older than this have nothing that would be kept.
    pub(crate) since: EventTime,
    pub(crate) describe: Arc<dyn Describe>,
}

impl Source for PointsFeed {
    fn name(&self) -> &str {
        "page-points"
    }

    fn run(self: Box<Self>, intake: Intake, mut stop: Stop) -> BoxFuture<'static, Result<(), SourceError>> {
        Box::pin(async move {
            // What comes while the past is read waits, or is missed.
            let mut tap = intake.taps().stand();
            let PointsFeed { points, journals, since, describe } = *self;
            let past = points.clone();
            let reading = move || recall(&past, &journals, Some(since), clock::now());
            let mut recalled = tokio::task::spawn_blocking(reading);
            let mut asking = tokio::time::interval(ASKED_EVERY);
            let mut recalling = true;
            loop {
                tokio::select! {
                    _ = &mut recalled, if recalling => recalling = false,
                    () = stop.stopped() => return Ok(()),
                    _ = asking.tick() => ask(&points, &*describe).await,
                    write = tap.next() => {
                        let Some(write) = write else { return Ok(()) };
                        let now = clock::now();
                        for input in write.inputs.iter() {
                            if let Input::Batch(batch) = input {
                                points.take(batch, now);
                            }
                        }
                    }
                }
            }
        })
    }
}

/// Asks what series are that nobody has described.
pub(crate) async fn ask(points: &Points, describe: &dyn Describe) {
    loop {
        let unknown = points.unknown();
        if unknown.is_empty() {
            return;
        }
        for (tenant, series) in unknown {
            for (id, meta) in describe.describe(&tenant, series).await {
                points.told(&tenant, id, meta);
            }
        }
    }
}
