//! Sources of the wiring's own: the time of day, and entries that are already there.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bellwether_connectors::intake::event_times;
use bellwether_connectors::{Intake, Source, SourceError, Stop};
use bellwether_engine::input::Input;
use bellwether_engine::time::Span;
use futures::future::BoxFuture;

use crate::clock;

/// Writes the time of day into the journal, so that the engine notices silence and a replay
/// sees the time as it was.
#[derive(Debug)]
pub struct TickFeed {
    every: Duration,
}

impl TickFeed {
    /// A tick each `every`.
    pub fn new(every: Duration) -> TickFeed {
        TickFeed { every }
    }
}

/// The time at which a run begins, for the journal before anything else comes in: what follows is measured
/// against it. A journal that begins here is also told how far apart its ticks will be.
pub fn opening(every: Duration, anew: bool) -> Vec<Input> {
    let now = clock::now();
    let before = now.minus(Span(i64::try_from(every.as_nanos()).unwrap_or(i64::MAX)));
    let ticks = if anew { vec![before, now] } else { vec![now] };
    ticks.into_iter().map(Input::Tick).collect()
}

impl Source for TickFeed {
    fn name(&self) -> &str {
        "tick"
    }

    fn run(self: Box<Self>, intake: Intake, mut stop: Stop) -> BoxFuture<'static, Result<(), SourceError>> {
        Box::pin(async move {
            while !stop.sleep(self.every).await {
                let tick = [Input::Tick(clock::now())];
                intake.accept(&tick, None).await.map_err(|error| SourceError::accept("tick", error))?;
            }
            Ok(())
        })
    }
}

/// Entries from an iterator: a journal somebody sent, a simulation, files in order of time.
pub struct EntryFeed<I> {
    name: String,
    entries: I,
    pacer: Option<Pacer>,
}

impl<I> EntryFeed<I> {
    /// All of `entries`, as fast as the engine takes them.
    pub fn new(name: impl Into<String>, entries: I) -> EntryFeed<I> {
        EntryFeed { name: name.into(), entries, pacer: None }
    }

    /// The same at `speed` times the speed at which it happened.
    pub fn at_speed(self, speed: f64) -> EntryFeed<I> {
        self.paced_by(Pacer::new(speed))
    }

    /// The same, in step with whatever else `pacer` holds back.
    pub fn paced_by(self, pacer: Pacer) -> EntryFeed<I> {
        EntryFeed { pacer: Some(pacer), ..self }
    }
}

impl<I> Source for EntryFeed<I>
where
    I: Iterator<Item = Result<Input, SourceError>> + Send + 'static,
{
    fn name(&self) -> &str {
        &self.name
    }

    fn run(mut self: Box<Self>, intake: Intake, mut stop: Stop) -> BoxFuture<'static, Result<(), SourceError>> {
        Box::pin(async move {
            while let Some(input) = self.entries.next() {
                let input = input?;
                let pause = self.pacer.as_ref().and_then(|pacer| pacer.pause_before(&input));
                if stop.is_stopped() || (pause.is_some() && stop.sleep(pause.unwrap_or_default()).await) {
                    break;
                }
                intake.accept(&[input], None).await.map_err(|error| SourceError::accept(&self.name, error))?;
            }
            Ok(())
        })
    }
}

/// A source of one partition alone: everything it reads goes there.
pub struct OfPartition {
    /// Which.
    pub partition: usize,
    /// What it reads.
    pub source: Box<dyn Source>,
}

impl Source for OfPartition {
    fn name(&self) -> &str {
        self.source.name()
    }

    fn run(self: Box<Self>, intake: Intake, stop: Stop) -> BoxFuture<'static, Result<(), SourceError>> {
        self.source.run(intake.only(self.partition), stop)
    }
}

/// Holds entries back until their time has come. Clones begin together.
#[derive(Clone, Debug)]
pub struct Pacer {
    speed: f64,
    /// Event time and instant of the first entry that has a time.
    began: Arc<OnceLock<(i64, tokio::time::Instant)>>,
}

impl Pacer {
    /// At `speed` times the speed at which it happened.
    pub fn new(speed: f64) -> Pacer {
        Pacer { speed, began: Arc::default() }
    }

    /// How long to wait until the entry is due; `None` when it is.
    pub(super) fn pause_before(&self, input: &Input) -> Option<Duration> {
        let at = input_time(input)?;
        let (first, began) = *self.began.get_or_init(|| (at, tokio::time::Instant::now()));
        let due = (at.saturating_sub(first)).max(0) as f64 / 1e9 / self.speed;
        // A year at most: an entry dated far ahead must not hold the rest for ever.
        let due = Duration::from_secs_f64(due.min(31_536_000.0));
        due.checked_sub(began.elapsed())
    }
}

/// The earliest event time in an entry, in nanoseconds, when it has one.
pub fn input_time(input: &Input) -> Option<i64> {
    match input {
        Input::Tick(at) | Input::Catalogue { at, .. } | Input::Action { at, .. } => Some(at.0),
        Input::Settings(_) => None,
        Input::Batch(batch) => event_times(batch)?.iter().copied().min(),
    }
}
