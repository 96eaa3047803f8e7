//! Up to which offset each partition is in the journal.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Partitions whose offsets are kept: the cursor must fit into a journal record's header
/// (64 KiB). Beyond, only the broker's committed offsets remain, and a crash may double what
/// was on its way.
const PARTITIONS_MAX: usize = 2_000;

/// The next offset of each partition, by topic.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Offsets(BTreeMap<String, BTreeMap<i32, i64>>);

#[cfg_attr(not(feature = "kafka"), allow(dead_code, reason = "used by the client, which this build has not"))]
impl Offsets {
    /// What `cursor` says; nothing when it is none.
    pub(super) fn restore(cursor: Option<&[u8]>) -> Offsets {
        cursor.and_then(|bytes| serde_json::from_slice(bytes).ok()).unwrap_or_default()
    }

    /// The cursor.
    pub(super) fn cursor(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and numbers are JSON")
    }

    /// Notes the message at `offset`; false when it is in the journal already.
    pub(super) fn take(&mut self, topic: &str, partition: i32, offset: i64) -> bool {
        if let Some(next) = self.0.get_mut(topic).and_then(|partitions| partitions.get_mut(&partition)) {
            let fresh = offset >= *next;
            *next = (*next).max(offset.saturating_add(1));
            return fresh;
        }
        if self.0.values().map(BTreeMap::len).sum::<usize>() < PARTITIONS_MAX {
            self.0.entry(topic.to_owned()).or_default().insert(partition, offset.saturating_add(1));
        }
        true
    }

    /// The next offset of a partition.
    pub(super) fn next(&self, topic: &str, partition: i32) -> Option<i64> {
        self.0.get(topic)?.get(&partition).copied()
    }

    /// The partition begins anew: its topic was made again.
    pub(super) fn forget(&mut self, topic: &str, partition: i32) {
        if let Some(partitions) = self.0.get_mut(topic) {
            partitions.remove(&partition);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_taken_once_and_what_was_taken_survives() {
        let mut offsets = Offsets::restore(None);
        assert!(offsets.take("a", 0, 0) && offsets.take("a", 0, 1) && offsets.take("a", 1, 7));
        let mut again = Offsets::restore(Some(&offsets.cursor()));
        assert!(!again.take("a", 0, 1) && again.take("a", 0, 2) && !again.take("a", 1, 3));
        assert_eq!((again.next("a", 1), again.next("b", 0)), (Some(8), None));
        again.forget("a", 1);
        assert!(again.take("a", 1, 0));
        assert_eq!(Offsets::restore(Some(b"{")), Offsets::default());
    }

    #[test]
    fn the_cursor_fits_into_a_mark() {
        let mut offsets = Offsets::default();
        for partition in 0..3 * PARTITIONS_MAX as i32 {
            assert!(offsets.take("telemetry", partition, i64::MAX - 1));
        }
        assert!(offsets.cursor().len() < 64 << 10);
    }
}
