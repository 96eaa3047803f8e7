//! The parts of an estate: what edges join, whatever the number of steps.
//!
//! Disjoint sets by the smallest member (Tarjan, J. ACM 1975, with path halving).

/// Entities below which a part is a hole in the catalogue, not a part of the estate: a host that was told of
/// with its rack and nothing else stands anywhere.
const PART_MIN: u32 = 8;

/// The part that each entity is in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    of: Vec<u32>,
}

/// No part.
const NONE: u32 = u32::MAX;

impl Parts {
    /// The parts of entities 0, 1, … below `entities` that `edges` make.
    #[must_use]
    pub fn of(entities: usize, edges: impl Iterator<Item = (u32, u32)>) -> Self {
        let mut up: Vec<u32> = (0..entities as u32).collect();
        for (a, b) in edges.filter(|(a, b)| (*a.max(b) as usize) < entities) {
            let (a, b) = (root(&mut up, a), root(&mut up, b));
            up[a.max(b) as usize] = a.min(b);
        }
        let of: Vec<u32> = (0..entities as u32).map(|entity| root(&mut up, entity)).collect();
        let mut sizes = vec![0_u32; entities];
        of.iter().for_each(|part| sizes[*part as usize] += 1);
        let told = |part: u32| if sizes[part as usize] < PART_MIN { NONE } else { part };
        Self { of: of.into_iter().map(told).collect() }
    }

    /// The part an entity is in; none where it hangs together with few.
    #[must_use]
    pub fn part(&self, entity: u32) -> Option<u64> {
        self.of.get(entity as usize).filter(|part| **part != NONE).map(|part| u64::from(*part))
    }
}

fn root(up: &mut [u32], mut at: u32) -> u32 {
    while up[at as usize] != at {
        up[at as usize] = up[up[at as usize] as usize];
        at = up[at as usize];
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_edges_join_is_one_part_and_a_fragment_is_none() {
        let chain = |from: u32| (from..from + 7).map(|at| (at + 1, at));
        let parts = Parts::of(20, chain(8).chain(chain(0)).chain([(16, 17), (3, 99)]));
        assert_eq!((parts.part(0), parts.part(7), parts.part(15)), (Some(0), Some(0), Some(8)));
        assert_eq!((parts.part(16), parts.part(19), parts.part(99)), (None, None, None));
        let joined = Parts::of(16, chain(8).chain(chain(0)).chain([(15, 2)]));
        assert_eq!(joined.part(12), joined.part(1));
    }
}
