//! Sinks of the program itself: a line on the screen for each event, the latest record of each
//! incident for the summary at the end, and every event before the judge of a public case.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use bellwether_connectors::{Delivered, Outgoing, Sink, SinkError};
use bellwether_datasets::real::Judge;
use bellwether_engine::incident::{IncidentEvent, Verb};
use futures::future::BoxFuture;
use indicatif::ProgressBar;

use crate::report::{LineStyle, event_line};

/// Incidents whose latest record is kept for the summary; the oldest ids leave first.
const KEPT_INCIDENTS_MAX: usize = 10_000;

/// Prints a line for each event, above a progress bar when there is one.
pub struct ScreenSink {
    style: LineStyle,
    bar: ProgressBar,
}

impl ScreenSink {
    /// Prints above `bar`, which may be hidden.
    pub fn new(style: LineStyle, bar: ProgressBar) -> ScreenSink {
        ScreenSink { style, bar }
    }
}

impl Sink for ScreenSink {
    fn name(&self) -> &str {
        "screen"
    }

    fn deliver<'a>(&'a mut self, events: &'a [Outgoing]) -> BoxFuture<'a, Result<Delivered, SinkError>> {
        Box::pin(async move {
            let lines: Vec<String> = events.iter().map(|e| event_line(&e.event, self.style)).collect();
            let printed = self.bar.suspend(|| {
                let mut out = std::io::stdout().lock();
                lines.iter().try_for_each(|line| writeln!(out, "{line}"))
            });
            match printed {
                // Nobody reads the screen any more (`| head`): the other sinks go on.
                Ok(()) => Ok(all_of(events)),
                Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(all_of(events)),
                Err(error) => Err(SinkError::io("screen", error.to_string())),
            }
        })
    }
}

pub(super) fn all_of(events: &[Outgoing]) -> Delivered {
    Delivered { sent: events.len() as u64, skipped: 0 }
}

/// What the summary needs to know of all events.
#[derive(Clone, Debug, Default)]
pub struct Kept(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    latest: BTreeMap<(String, String), Arc<IncidentEvent>>,
    verbs: BTreeMap<Verb, u64>,
    forgotten: u64,
}

impl Kept {
    /// The latest event of each incident, by tenant and then by time of opening.
    pub fn latest(&self) -> Vec<Arc<IncidentEvent>> {
        self.state().latest.values().cloned().collect()
    }

    /// Events by verb.
    pub fn verbs(&self) -> BTreeMap<Verb, u64> {
        self.state().verbs.clone()
    }

    /// Incidents that are no longer kept because there were too many.
    pub fn forgotten(&self) -> u64 {
        self.state().forgotten
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps the latest record of each incident.
pub struct KeepSink(Kept);

impl KeepSink {
    /// Keeps into `kept`.
    pub fn new(kept: &Kept) -> KeepSink {
        KeepSink(kept.clone())
    }
}

impl Sink for KeepSink {
    fn name(&self) -> &str {
        "summary"
    }

    fn deliver<'a>(&'a mut self, events: &'a [Outgoing]) -> BoxFuture<'a, Result<Delivered, SinkError>> {
        Box::pin(async move {
            let mut state = self.0.state();
            for outgoing in events {
                let event = &outgoing.event;
                *state.verbs.entry(event.verb).or_default() += 1;
                state.latest.insert((event.tenant.to_string(), event.record.id.clone()), event.clone());
                if state.latest.len() > KEPT_INCIDENTS_MAX {
                    state.latest.pop_first();
                    state.forgotten += 1;
                }
            }
            Ok(all_of(events))
        })
    }
}

/// Shows every event to the judge of a public case.
pub struct JudgeSink(Arc<Mutex<Judge>>);

impl JudgeSink {
    /// Shows them to `judge`.
    pub fn new(judge: &Arc<Mutex<Judge>>) -> JudgeSink {
        JudgeSink(judge.clone())
    }
}

impl Sink for JudgeSink {
    fn name(&self) -> &str {
        "judge"
    }

    fn deliver<'a>(&'a mut self, events: &'a [Outgoing]) -> BoxFuture<'a, Result<Delivered, SinkError>> {
        Box::pin(async move {
            let mut judge = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            events.iter().for_each(|outgoing| judge.observe(&outgoing.event));
            Ok(all_of(events))
        })
    }
}
