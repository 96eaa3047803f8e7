//! Several inputs read as one, in order of time: metrics in one file, logs in another.
//!
//! Read one after the other, the second file would be late by the length of the first. Each
//! input's batches are cut into slices of `slice` of event time, and the slice that begins
//! first goes next. So the order is right to within `slice`, which is below the lateness.

use std::collections::VecDeque;
use std::sync::Arc;

use bellwether_connectors::intake::event_times;
use bellwether_connectors::{Intake, Source, SourceError, Stop};
use bellwether_engine::input::Input;
use bellwether_engine::time::Span;
use futures::future::BoxFuture;
use tokio::task::JoinHandle;

use super::feeds::{Pacer, input_time};
use super::memory::MemoryJournal;

/// Slices handed on together.
const HAND_ON_MAX: usize = 64;

/// Sources that end, merged by event time.
pub struct MergeFeed {
    parts: Vec<Box<dyn Source>>,
    slice: Span,
    pacer: Option<Pacer>,
}

impl MergeFeed {
    /// Merges `parts`; `slice` is how far out of order what comes out may be.
    pub fn new(parts: Vec<Box<dyn Source>>, slice: Span) -> MergeFeed {
        MergeFeed { parts, slice: Span(slice.0.max(1)), pacer: None }
    }

    /// The same at `speed` times the speed at which it happened.
    pub fn at_speed(self, speed: f64) -> MergeFeed {
        MergeFeed { pacer: Some(Pacer::new(speed)), ..self }
    }
}

impl Source for MergeFeed {
    fn name(&self) -> &str {
        "merge"
    }

    fn run(self: Box<Self>, intake: Intake, mut stop: Stop) -> BoxFuture<'static, Result<(), SourceError>> {
        Box::pin(async move {
            let (slice, pacer) = (self.slice, self.pacer);
            let mut lanes: Vec<Lane> =
                self.parts.into_iter().map(|part| Lane::start(part, &intake, &stop, slice)).collect();
            let mut batch = Vec::with_capacity(HAND_ON_MAX);
            while !stop.is_stopped() {
                for lane in &mut lanes {
                    lane.fill().await;
                }
                let Some(first) = earliest(&lanes) else { break };
                let Some((_, input)) = lanes[first].ready.pop_front() else { break };
                if let Some(pause) = pacer.as_ref().and_then(|pacer| pacer.pause_before(&input)) {
                    hand_on(&intake, &mut batch).await?;
                    if stop.sleep(pause).await {
                        break;
                    }
                }
                batch.push(input);
                if batch.len() == HAND_ON_MAX {
                    hand_on(&intake, &mut batch).await?;
                }
            }
            hand_on(&intake, &mut batch).await?;
            for lane in lanes {
                lane.end(stop.is_stopped()).await?;
            }
            Ok(())
        })
    }
}

async fn hand_on(intake: &Intake, batch: &mut Vec<Input>) -> Result<(), SourceError> {
    if batch.is_empty() {
        return Ok(());
    }
    intake.accept(batch, None).await.map_err(|error| SourceError::accept("merge", error))?;
    batch.clear();
    Ok(())
}

fn earliest(lanes: &[Lane]) -> Option<usize> {
    let heads = lanes.iter().enumerate().filter_map(|(index, lane)| Some((lane.ready.front()?.0, index)));
    heads.min().map(|(_, index)| index)
}

/// One input on its way.
struct Lane {
    queue: Arc<MemoryJournal>,
    reading: JoinHandle<Result<(), SourceError>>,
    slice: Span,
    /// Slices with the bucket of time they belong to.
    ready: VecDeque<(i64, Input)>,
}

impl Lane {
    fn start(part: Box<dyn Source>, intake: &Intake, stop: &Stop, slice: Span) -> Lane {
        let queue = Arc::new(MemoryJournal::default());
        let own = Intake::new(queue.clone(), intake.rejects().clone());
        let (stop, filled) = (stop.clone(), queue.clone());
        let reading = tokio::spawn(async move {
            let ended = part.run(own, stop).await;
            filled.close();
            ended
        });
        Lane { queue, reading, slice, ready: VecDeque::new() }
    }

    /// Makes sure the next slice is known, unless the input has ended.
    async fn fill(&mut self) {
        while self.ready.is_empty() {
            let Some(entry) = self.queue.take().await else { return };
            let input = Input::decode(&entry.bytes).expect("a queue in memory gives back what was put in");
            self.ready.extend(cut(input, self.slice));
        }
    }

    /// How its source ended; one that was stopped may still wait for room, and is let go.
    async fn end(self, stopped: bool) -> Result<(), SourceError> {
        if stopped {
            self.reading.abort();
        }
        match self.reading.await {
            Ok(ended) => ended,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Ok(()),
        }
    }
}

/// Cuts a batch where its rows move into another bucket of time. What has no time goes first.
fn cut(input: Input, slice: Span) -> Vec<(i64, Input)> {
    let Input::Batch(batch) = &input else {
        return vec![(input_time(&input).map_or(i64::MIN, |at| at.div_euclid(slice.0)), input)];
    };
    let Some(times) = event_times(batch) else { return vec![(i64::MIN, input)] };
    let buckets: Vec<i64> = times.iter().map(|at| at.div_euclid(slice.0)).collect();
    let mut out = Vec::new();
    let mut from = 0;
    for run in buckets.chunk_by(|a, b| a == b) {
        out.push((run[0], Input::Batch(batch.slice(from, run.len()))));
        from += run.len();
    }
    out
}

#[cfg(test)]
mod tests {
    use bellwether_connectors::journal::{Journal as _, Position};
    use bellwether_connectors::{RejectLog, stop_pair};
    use bellwether_engine::signal::{Batch, MetricBuilder};
    use bellwether_engine::time::EventTime;

    use super::super::feeds::EntryFeed;
    use super::*;

    fn metrics(secs: &[i64], value: f64) -> Batch {
        let mut builder = MetricBuilder::new();
        secs.iter().for_each(|at| builder.push(EventTime::from_secs(*at), 7, value));
        builder.finish("acme").expect("a tenant")
    }

    fn feed(batches: Vec<Batch>) -> Box<dyn Source> {
        let entries = batches.into_iter().map(|batch| Ok(Input::Batch(batch)));
        Box::new(EntryFeed::new("part", entries.collect::<Vec<_>>().into_iter()))
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn two_inputs_come_out_in_order_of_time_and_nothing_is_lost() {
        let hours: Vec<i64> = (0..400).map(|i| i * 60).collect();
        let late: Vec<i64> = (0..400).map(|i| i * 60 + 30).collect();
        let whole = feed(vec![metrics(&hours, 1.0)]);
        let pieces = feed(late.chunks(7).map(|secs| metrics(secs, 2.0)).collect());
        let journal = Arc::new(MemoryJournal::default());
        let intake = Intake::new(journal.clone(), RejectLog::counting());
        let (_stopper, stop) = stop_pair();
        let merge = Box::new(MergeFeed::new(vec![whole, pieces], Span::from_secs(5)));
        let merging = tokio::spawn(merge.run(intake, stop));
        let mut times: Vec<i64> = Vec::new();
        while times.len() < 800 {
            let entry = journal.take().await.expect("more to come");
            let Ok(Input::Batch(batch)) = Input::decode(&entry.bytes) else { panic!("a batch") };
            times.extend(event_times(&batch).expect("metrics have times"));
        }
        merging.await.expect("no panic").expect("merges");
        assert!(times.is_sorted(), "{times:?}");
        assert!(*journal.durable().borrow() > Position::START);
    }
}
