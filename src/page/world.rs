//! Beside what the log tells: the time, what the engines have counted, and what is wrong with us, in words.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bellwether_connectors::outbox;
use bellwether_engine::time::{EventTime, Span};

use super::funnel::Funnel;
use crate::clock;
use crate::report::{date_and_time, glance, safe};
use crate::wiring::figures::EngineFigures;
use crate::wiring::gauges::Gauges;

/// Figures are put together at most this often.
const FIGURES_FOR: Duration = Duration::from_secs(1);
/// A receiver that is behind for less than this is at work.
const WAITS_AFTER: Duration = Duration::from_secs(10);

/// What a journal that takes nothing means for who looks.
const REFUSING: &str = "the journal takes nothing at the moment: senders are told to come again, what is shown here is from \
    before, and nothing can be done from here; usually the disk is full (`df`), or `journal.capacity_bytes` is used up";

/// Says in words why the process is not ready.
pub(crate) type Reasons = Box<dyn Fn() -> Vec<String> + Send + Sync>;

/// The world around the incidents.
pub(crate) struct World {
    behind: Behind,
    gauges: Arc<Gauges>,
    pub(crate) funnel: Funnel,
}

enum Behind {
    Running { reasons: Reasons, newest: Mutex<Option<(Instant, Option<Arc<EngineFigures>>)>> },
    Finished { at: EventTime, figures: Arc<EngineFigures>, told: String },
}

impl World {
    /// A process at work.
    pub(crate) fn running(gauges: Arc<Gauges>, reasons: Reasons) -> World {
        World { behind: Behind::Running { reasons, newest: Mutex::default() }, gauges, funnel: Funnel::default() }
    }

    /// One that has done its work; `told` says what is looked at.
    pub(crate) fn finished(gauges: Arc<Gauges>, at: EventTime, figures: EngineFigures, told: String) -> World {
        let behind = Behind::Finished { at, figures: Arc::new(figures), told };
        World { behind, gauges, funnel: Funnel::default() }
    }

    /// What the wiring has done.
    pub(crate) fn gauges(&self) -> &Gauges {
        &self.gauges
    }

    /// Whether anything can still be done.
    pub(crate) fn is_running(&self) -> bool {
        matches!(self.behind, Behind::Running { .. })
    }

    /// The time that ages and clocks are told by.
    pub(crate) fn now(&self) -> EventTime {
        match &self.behind {
            Behind::Running { .. } => clock::now(),
            Behind::Finished { at, .. } => *at,
        }
    }

    /// What the engines hold and have counted; `None` until each has said it.
    pub(crate) fn figures(&self) -> Option<Arc<EngineFigures>> {
        match &self.behind {
            Behind::Finished { figures, .. } => Some(figures.clone()),
            Behind::Running { newest, .. } => {
                let mut newest = newest.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some((_, figures)) = newest.as_ref().filter(|(when, _)| when.elapsed() < FIGURES_FOR) {
                    return figures.clone();
                }
                let figures = self.gauges.figures().map(Arc::new);
                *newest = Some((Instant::now(), figures.clone()));
                figures
            }
        }
    }

    /// What is wrong with us, a sentence each; only who runs the service can mend it, and everybody has to know.
    /// `accepting` says whether the journals took what was handed to them last.
    pub(crate) fn troubles(&self, accepting: bool) -> Vec<String> {
        let Behind::Running { reasons, .. } = &self.behind else { return Vec::new() };
        let mut troubles = Vec::new();
        if !accepting {
            troubles.push(REFUSING.to_owned());
        }
        if let Some(ahead) = self.figures().map(|figures| figures.stats.clock_ahead).filter(|ahead| *ahead > Span::ZERO)
        {
            troubles.push(format!(
                "this host's clock was set back by {}: ages and deadlines are off until it has caught up; look at its time \
                 service (`timedatectl`)",
                glance(ahead)
            ));
        }
        troubles.extend(reasons());
        for (name, records) in outbox::waiting(self.gauges.readers(), WAITS_AFTER) {
            let already = troubles.iter().any(|trouble| trouble.contains(&format!("`{name}`")));
            if !already {
                troubles.push(format!(
                    "receiver `{}` takes nothing at the moment; {records} records wait for it",
                    safe(&name)
                ));
            }
        }
        if self.figures().is_none() {
            troubles.push("the engine is starting: what it knew is being read".to_owned());
        }
        troubles
    }

    /// What is looked at, when it is the past.
    pub(crate) fn past(&self) -> Option<String> {
        match &self.behind {
            Behind::Running { .. } => None,
            Behind::Finished { at, told, .. } => Some(format!("{told}, as of {} UTC", date_and_time(*at))),
        }
    }
}
