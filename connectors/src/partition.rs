//! Which partition a tenant lives in.
//!
//! A partition has a journal, an engine, checkpoints and an incident log of its own. Where a tenant lives follows
//! from its name alone, as NATS computes `partition()` of one token: whoever routes before us finds the same.

use std::num::NonZeroUsize;

/// The partition of `tenant` among `count`.
#[must_use]
pub fn partition_of(tenant: &str, count: NonZeroUsize) -> usize {
    fnv1a(tenant.as_bytes()) as usize % count
}

/// FNV-1a with 32 bits (Fowler, Noll, Vo; RFC 9923).
fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_hash_is_the_published_one() {
        for (text, hash) in [("", 0x811c_9dc5), ("a", 0xe40c_292c), ("foobar", 0xbf9c_f968)] {
            assert_eq!(fnv1a(text.as_bytes()), hash, "{text}");
        }
    }

    #[test]
    fn tenants_spread_over_all_partitions_and_one_partition_has_all() {
        let count = NonZeroUsize::new(7).expect("not zero");
        let names: Vec<String> = (0..100).map(|number| format!("tenant-{number}")).collect();
        let used: BTreeSet<usize> = names.iter().map(|name| partition_of(name, count)).collect();
        assert_eq!(used, (0..7).collect());
        assert!(names.iter().all(|name| partition_of(name, NonZeroUsize::MIN) == 0));
    }
}
