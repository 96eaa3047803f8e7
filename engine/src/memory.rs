//! How much memory a tenant may hold, what of it each class may fill, and what the parts of tables weigh.
//!
//! Weights are worked out from contents alone, never asked of the allocator: what is shed follows from the
//! journal and the settings, and a restored engine sheds what the one it was taken of would have. They
//! hold the allocator's rounding and the spare room of tables, and are within a fifth of what a process
//! takes (`engine/tests/memory.rs`).

/// What fills a tenant's memory, by who gives way first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Log streams that were not known.
    Logs,
    /// Series that were not known.
    Metrics,
    /// Edges and changes.
    Topology,
    /// Alerts: the details of the oldest give way to those of newer ones.
    Alerts,
}

impl Class {
    /// The fill, of `max` bytes, from which this class grows no further. What is above it is for those
    /// that come after.
    pub(crate) const fn mark(self, max: usize) -> usize {
        let percent = match self {
            Class::Logs => 45,
            Class::Metrics => 55,
            Class::Topology => 62,
            Class::Alerts => 80,
        };
        max / 100 * percent
    }
}

/// The part of a tenant's memory that alerts may fill at most, in percent: a storm leaves room for what
/// explains it.
const ALERTS_PERCENT: usize = 50;
/// What alerts may fill in any case: they are told of when everything else is full.
const ALERTS_PERCENT_MIN: usize = 10;

/// Bytes that the details of alerts may take when everything else takes `others` of `max`.
pub(crate) fn room_of_alerts(max: usize, others: usize) -> usize {
    let left = Class::Alerts.mark(max).saturating_sub(others);
    left.min(max / 100 * ALERTS_PERCENT).max(max / 100 * ALERTS_PERCENT_MIN)
}

/// Bytes that changes may take: their texts are for people, and few are long.
pub(crate) const fn room_of_changes(max: usize) -> usize {
    max / 20
}

/// Bytes that the names of entities may take, and as many those of rules and sources: of a gigabyte, enough for
/// a hundred thousand long ones.
pub(crate) const fn room_of_names(max: usize) -> usize {
    max / 20
}

/// Bytes that one of `shards` may take to remember the shapes of log lines for speed. They are in no sum: a
/// restored engine has none.
pub(crate) const fn room_of_shapes(max: usize, shards: usize) -> usize {
    max / 20 / shards
}

/// Bytes that the states may take of alerts whose details were shed.
pub(crate) const fn room_of_states(max: usize) -> usize {
    max / 100 * 8
}

/// Bytes that what waits for the watermark may take; beyond, it is released early.
pub(crate) const fn room_of_waiting(max: usize) -> usize {
    max / 16
}

/// What an allocation of `bytes` takes: size classes lie an eighth apart.
pub(crate) const fn allocation(bytes: usize) -> usize {
    if bytes == 0 { 0 } else { bytes.next_multiple_of(8) + bytes / 16 }
}

/// What an entry of `bytes` takes in a hash table, its spare room and its rehashing counted.
pub(crate) const fn hashed(bytes: usize) -> usize {
    (bytes + 1) * 8 / 5
}

/// What an entry of `bytes` takes in an ordered map: nodes are two thirds full.
pub(crate) const fn ordered(bytes: usize) -> usize {
    bytes * 3 / 2 + 4
}

/// What owned pairs take beside the struct they stand in.
pub(crate) fn pairs(pairs: &[(Box<str>, Box<str>)]) -> usize {
    let texts: usize = pairs.iter().map(|(name, value)| allocation(name.len()) + allocation(value.len())).sum();
    allocation(std::mem::size_of_val(pairs)) + texts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_gives_way_first_has_the_lowest_mark_and_alerts_always_have_room() {
        let classes = [Class::Logs, Class::Metrics, Class::Topology, Class::Alerts];
        assert!(classes.windows(2).all(|pair| pair[0].mark(1_000) < pair[1].mark(1_000)));
        assert_eq!(room_of_alerts(1_000, 0), 500, "a storm leaves half to what explains it");
        assert_eq!(room_of_alerts(1_000, 600), 200);
        assert_eq!(room_of_alerts(1_000, 5_000), 100);
    }
}
