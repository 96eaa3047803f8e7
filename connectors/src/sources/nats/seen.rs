//! Which messages of a stream are already in the journal.
//!
//! A durable consumer redelivers what was not acknowledged: after a crash between the
//! journal's sync and the acknowledgement, and also messages that were sent to a connection
//! that died. So "the highest sequence so far" does not tell the two apart; a set does. It is
//! kept as ranges, and is the source's cursor in the journal. A filtered consumer leaves gaps
//! in the stream's sequence: as long as the consumer's own sequence has no gap, nothing of
//! ours lies between two first deliveries, and the range closes over it.

use serde::{Deserialize, Serialize};

/// Most ranges kept; a restart leaves at most one more, and the consumer's acknowledgement
/// floor folds the old ones. Beyond, the oldest gap is closed.
const RANGES_MAX: usize = 1_024;

/// A set of stream sequences.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Seen {
    /// When the stream was created, as text: a stream made anew begins to count at 1 again.
    stream_created: String,
    /// Inclusive, ascending, neither overlapping nor touching.
    ranges: Vec<(u64, u64)>,
    #[serde(skip)]
    run: Option<Run>,
}

/// An unbroken run of deliveries.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Run {
    /// Consumer sequence of the last delivery.
    consumer: u64,
    /// Highest stream sequence delivered for the first time.
    frontier: u64,
}

/// Where one delivery stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Delivery {
    pub(super) stream: u64,
    pub(super) consumer: u64,
    /// It was never delivered before.
    pub(super) first: bool,
}

impl Seen {
    /// The set in `cursor`, if it is of the stream created then; empty otherwise.
    pub(super) fn restore(cursor: Option<&[u8]>, stream_created: &str) -> Seen {
        let seen: Option<Seen> = cursor.and_then(|bytes| serde_json::from_slice(bytes).ok());
        let fresh = || Seen { stream_created: stream_created.to_owned(), ..Seen::default() };
        seen.filter(|s| s.stream_created == stream_created).unwrap_or_else(fresh)
    }

    /// The cursor.
    pub(super) fn cursor(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("numbers and a text are JSON")
    }

    /// Everything up to `sequence` was acknowledged, so it is in the journal.
    pub(super) fn floor(&mut self, sequence: u64) {
        if sequence > 0 {
            self.insert(1, sequence);
        }
    }

    /// Takes a delivery; false when the message is in the journal already.
    pub(super) fn take(&mut self, delivery: Delivery) -> bool {
        let fresh = !self.contains(delivery.stream);
        let unbroken = self.run.filter(|run| run.consumer + 1 == delivery.consumer);
        let from = match unbroken {
            Some(run) if delivery.first && delivery.stream > run.frontier => run.frontier + 1,
            _ => delivery.stream,
        };
        self.insert(from, delivery.stream);
        self.run = match (unbroken, delivery.first) {
            (Some(run), first) => Some(Run {
                consumer: delivery.consumer,
                frontier: if first { run.frontier.max(delivery.stream) } else { run.frontier },
            }),
            (None, true) => Some(Run { consumer: delivery.consumer, frontier: delivery.stream }),
            (None, false) => None,
        };
        fresh
    }

    fn contains(&self, sequence: u64) -> bool {
        let after = self.ranges.partition_point(|(low, _)| *low <= sequence);
        after > 0 && self.ranges[after - 1].1 >= sequence
    }

    fn insert(&mut self, low: u64, high: u64) {
        let start = self.ranges.partition_point(|(_, h)| h.saturating_add(1) < low);
        let end = self.ranges.partition_point(|(l, _)| *l <= high.saturating_add(1));
        let low = self.ranges[start..end].first().map_or(low, |r| r.0.min(low));
        let high = self.ranges[start..end].last().map_or(high, |r| r.1.max(high));
        self.ranges.splice(start..end, [(low, high)]);
        if self.ranges.len() > RANGES_MAX {
            let second = self.ranges.remove(1);
            self.ranges[0].1 = second.1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn delivery(stream: u64, consumer: u64, first: bool) -> Delivery {
        Delivery { stream, consumer, first }
    }

    #[test]
    fn a_redelivery_of_what_is_in_the_journal_is_skipped_also_after_a_restart() {
        let mut seen = Seen::restore(None, "then");
        assert!(seen.take(delivery(3, 1, true)));
        assert!(seen.take(delivery(9, 2, true)));
        let mut seen = Seen::restore(Some(&seen.cursor()), "then");
        assert!(!seen.take(delivery(3, 3, false)));
        assert!(!seen.take(delivery(9, 4, false)));
        assert_eq!(Seen::restore(Some(&seen.cursor()), "later").ranges, []);
    }

    #[test]
    fn messages_lost_on_the_way_are_taken_when_they_come_again() {
        let mut seen = Seen::restore(None, "then");
        assert!(seen.take(delivery(1, 1, true)));
        // 2 and 3 went to a connection that died; 4 arrives first.
        assert!(seen.take(delivery(4, 4, true)));
        assert!(seen.take(delivery(2, 5, false)));
        assert!(seen.take(delivery(5, 6, true)));
        assert!(seen.take(delivery(3, 7, false)));
        assert_eq!(seen.ranges, [(1, 5)]);
    }

    #[test]
    fn gaps_of_a_filtered_stream_close() {
        let mut seen = Seen::restore(None, "then");
        for n in 1..5_000 {
            assert!(seen.take(delivery(n * 10, n, true)));
        }
        assert_eq!(seen.ranges.len(), 1);
    }

    proptest! {
        #![proptest_config(crate::fuzz::config())]

        #[test]
        fn it_behaves_as_a_set(ranges in proptest::collection::vec((1u64..60, 0u64..6), 0..30)) {
            let mut seen = Seen::default();
            let mut model = BTreeSet::new();
            for (low, len) in ranges {
                seen.insert(low, low + len);
                model.extend(low..=low + len);
                prop_assert!(seen.ranges.windows(2).all(|w| w[0].1 + 1 < w[1].0));
            }
            for n in 0..70 {
                prop_assert_eq!(seen.contains(n), model.contains(&n), "{}", n);
            }
        }
    }
}
