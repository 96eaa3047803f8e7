//! The waiting room: events that have come in and that the watermark has not passed.

use serde::{Deserialize, Serialize};

use super::order::Order;
use super::pending::{Pending, sort};
use super::sources::Sources;
use crate::alert::Sensed;
use crate::event::{Event, Moved};
use crate::origin::ClockView;
use crate::sense::Shards;
use crate::time::{EventTime, Span};
use crate::waiting::Waiting;

/// The waiting events of one tenant, and where its watermark stands.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WaitingRoom {
    /// Everything before this has been processed.
    pub(crate) released: EventTime,
    /// What the watermark trails: the latest event time, or the time of day.
    pub(crate) max_seen: EventTime,
    /// Latest time of anything that was let in: a clock may be a little fast.
    latest: EventTime,
    /// Who is off its time, and the late samples of each.
    pub(super) sources: Sources,
    /// Which alerts have rows that act later than they arrived.
    pub(super) order: Order,
    #[serde(skip)]
    pending: Waiting<Pending>,
}

impl Default for WaitingRoom {
    fn default() -> WaitingRoom {
        let never = EventTime::MIN;
        let (sources, order, pending) = (Sources::default(), Order::default(), Waiting::default());
        WaitingRoom { released: never, max_seen: never, latest: never, sources, order, pending }
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

    /// Something dated `at` is let in; rows move the watermark as if they were no later than `moves_to`.
    pub(super) fn see(&mut self, at: EventTime, moves_to: EventTime) {
        self.latest = self.latest.max(at);
        self.max_seen = self.max_seen.max(at.min(moves_to));
    }

    /// It is `now`: the watermark moves although nothing comes.
    pub(crate) fn tick(&mut self, now: EventTime) {
        self.max_seen = self.max_seen.max(now);
        self.sources.sweep(now);
        self.order.forget(self.released);
    }

    /// Latest time of anything that waits or was let in.
    pub(crate) fn latest(&self) -> EventTime {
        self.latest.max(self.max_seen)
    }

    /// Events and late samples that wait.
    pub(crate) fn len(&self) -> usize {
        self.pending.len() + self.sources.waiting()
    }

    /// Lets go the late samples of silent sources that act before `until`.
    pub(crate) fn release_late(&mut self, until: EventTime, lateness: Span, shards: &mut Shards) {
        self.sources.release(until, lateness, &mut |acts, sample| shards.push_late(acts, sample));
    }

    /// How many clocks are corrected, and the worst of them.
    pub(crate) fn clocks(&self) -> (u64, Vec<ClockView>) {
        self.sources.skewed()
    }

    /// Rows of sources that found no room.
    pub(crate) fn sources_refused(&self) -> u64 {
        self.sources.refused()
    }

    /// About how many bytes what waits takes.
    pub(crate) fn bytes(&self) -> usize {
        self.pending.bytes() + self.sources.bytes() + self.order.bytes()
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
