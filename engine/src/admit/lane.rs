//! The late samples of one source, under a watermark of its own.
//!
//! A source that is behind the others (an agent that was cut off and sends what it kept, a slow clock) is
//! behind with all its series, and its samples come in an order of their own. They wait until the source
//! itself has passed them by the lateness, or has been silent for as long (it is *idle* then, and nobody
//! waits for it). When they leave, they act as of the tenant's watermark at that moment.
//!
//! Whatever is decided here is decided row by row, so that the cut does not depend on batches.

use serde::{Deserialize, Serialize};

use crate::sense::Sample;
use crate::time::{EventTime, Span};
use crate::waiting::Waiting;

/// A lane's watermark moves in steps of this: taking out what is due for each row would cost more.
const STEP_NS: i64 = 1_000_000_000;

/// Late samples of one source.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Lane {
    waiting: Waiting<Sample>,
    /// Latest time of its samples.
    newest: EventTime,
    /// Its watermark: what comes before this has left.
    released: EventTime,
    /// The tenant's watermark when its last sample came.
    heard: EventTime,
}

impl Default for Lane {
    fn default() -> Lane {
        let never = EventTime::MIN;
        Lane { waiting: Waiting::default(), newest: never, released: never, heard: never }
    }
}

impl Lane {
    /// Samples that wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// When those that wait leave if nothing more comes; `None` when nothing waits.
    pub(super) fn idle_at(&self, lateness: Span) -> Option<EventTime> {
        (self.len() > 0).then(|| self.heard.plus(lateness))
    }

    /// Takes a late sample in while the tenant's watermark stands at `floor`; what leaves goes to `out`, with
    /// the time at which it acts.
    pub(super) fn push(
        &mut self,
        sample: Sample,
        floor: EventTime,
        lateness: Span,
        out: &mut impl FnMut(EventTime, Sample),
    ) {
        if let Some(idle_at) = self.idle_at(lateness).filter(|idle_at| *idle_at <= floor) {
            self.empty(idle_at, out);
        }
        self.heard = floor;
        self.newest = self.newest.max(sample.time);
        let straggles = sample.time < self.released;
        self.waiting.push(sample);
        let edge = self.newest.minus(lateness).0.div_euclid(STEP_NS).saturating_mul(STEP_NS);
        if edge > self.released.0 || straggles {
            self.released = self.released.max(EventTime(edge));
            self.waiting.take(self.released).into_iter().for_each(|sample| out(floor, sample));
        }
    }

    /// Lets everything go, to act as of `acts`; the source may begin anew.
    pub(super) fn empty(&mut self, acts: EventTime, out: &mut impl FnMut(EventTime, Sample)) {
        let Lane { mut waiting, .. } = std::mem::take(self);
        waiting.take(EventTime::MAX).into_iter().for_each(|sample| out(acts, sample));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::at;

    /// The seconds of what leaves, in the order in which it acts, and when it does.
    fn pushed(lane: &mut Lane, secs: i64, floor: i64) -> Vec<(i64, i64)> {
        let start = at(0);
        let mut left = Vec::new();
        let sample = Sample { time: at(secs), series: 1, value: 0.0 };
        let second = |at: EventTime| at.since(start).0 / 1_000_000_000;
        lane.push(sample, at(floor), Span::from_secs(10), &mut |acts, sample: Sample| {
            left.push((second(acts), second(sample.time)));
        });
        left.sort_unstable();
        left
    }

    #[test]
    fn a_backlog_out_of_order_leaves_in_the_order_of_its_source() {
        let mut lane = Lane::default();
        assert_eq!(pushed(&mut lane, 105, 1_000), []);
        assert_eq!(pushed(&mut lane, 100, 1_000), []);
        assert_eq!(pushed(&mut lane, 112, 1_000), [(1_000, 100)]);
        assert_eq!(pushed(&mut lane, 116, 1_001), [(1_001, 105)]);
        assert_eq!(pushed(&mut lane, 99, 1_001), [(1_001, 99)], "what straggles does not wait");
        assert_eq!(lane.len(), 2);
    }

    #[test]
    fn nobody_waits_for_a_source_that_is_silent() {
        let mut lane = Lane::default();
        assert_eq!(pushed(&mut lane, 105, 1_000), []);
        assert_eq!(lane.idle_at(Span::from_secs(10)), Some(at(1_010)));
        assert_eq!(pushed(&mut lane, 50, 1_010), [(1_010, 105)], "and it may begin anew");
        assert_eq!(lane.len(), 1);
    }
}
