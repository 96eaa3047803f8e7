//! The waiting room: events that have come in and that the watermark has not passed.

use serde::{Deserialize, Serialize};

use super::pending::{Pending, sort};
use crate::alert::Sensed;
use crate::event::{Event, Moved};
use crate::time::{EventTime, Span};
use crate::waiting::Waiting;

/// The waiting events of one tenant, and where its watermark stands.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WaitingRoom {
    /// Everything before this has been processed.
    pub(crate) released: EventTime,
    /// Latest event time seen.
    pub(crate) max_seen: EventTime,
    #[serde(skip)]
    pending: Waiting<Pending>,
}

impl Default for WaitingRoom {
    fn default() -> WaitingRoom {
        WaitingRoom { released: EventTime::MIN, max_seen: EventTime::MIN, pending: Waiting::default() }
    }
}

impl WaitingRoom {
    /// Where the watermark stands, given what has been seen.
    pub(crate) fn watermark(&self, lateness: Span) -> EventTime {
        if self.max_seen == EventTime::MIN {
            return EventTime::MIN;
        }
        self.max_seen.minus(lateness).max(self.released)
    }

    pub(crate) fn len(&self) -> usize {
        self.pending.len()
    }

    /// About how many bytes what waits takes.
    pub(crate) fn bytes(&self) -> usize {
        self.pending.bytes()
    }

    pub(super) fn push(&mut self, pending: Pending) {
        self.pending.push(pending);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Pending> {
        self.pending.iter()
    }

    /// An alert of our own waits for its time.
    pub(crate) fn push_sensed(&mut self, time: EventTime, sensed: Sensed) {
        self.pending.push(of_sensed(time, sensed));
    }

    /// Takes out everything before `until`, with what was sensed up to there, in the order that the
    /// stages see.
    pub(crate) fn stretch(
        &mut self,
        until: EventTime,
        sensed: Vec<(EventTime, Sensed)>,
        moved: Vec<(EventTime, Moved)>,
    ) -> Vec<Pending> {
        let mut events = self.pending.take(until);
        for (at, moved) in moved {
            let key = moved.series;
            events.push(Pending::new(at.max(self.released), Event::Moved(Box::new(moved)), key));
        }
        // A window may have ended before the last watermark: it acts now.
        events.extend(sensed.into_iter().map(|(at, sensed)| of_sensed(at.max(self.released), sensed)));
        sort(&mut events);
        events
    }
}

fn of_sensed(time: EventTime, sensed: Sensed) -> Pending {
    let key = sensed.fingerprint;
    Pending::new(time, Event::Sensed(Box::new(sensed)), key)
}
