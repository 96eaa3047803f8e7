//! The tenant's past incidents: which were like this one, how long they took.

use std::collections::{BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::incident::SimilarIncident;
use crate::time::Span;

/// One past incident.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Past {
    pub(crate) id: String,
    pub(crate) ticket: String,
    /// Hashes of what it was about, see [`signature`].
    pub(crate) signature: Vec<u64>,
    /// From first revision to resolution, in the time by which its agreement counts.
    pub(crate) duration: Span,
    /// What fixed it, in the words of who did.
    pub(crate) resolution: String,
}

/// What an incident was about: hashes of its entities and of its alert names, sorted.
pub(super) fn signature<'a>(parts: impl Iterator<Item = &'a str>) -> Vec<u64> {
    let hashes: BTreeSet<u64> = parts.map(|p| xxh3_64(p.as_bytes())).take(256).collect();
    hashes.into_iter().collect()
}

/// The past of one tenant, oldest first; bounded.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct History {
    past: VecDeque<Past>,
    forgotten: u64,
}

/// Fewest past incidents from which a chance is told.
const PAST_MIN: usize = 3;

impl History {
    pub(super) fn add(&mut self, past: Past, history_max: usize) {
        self.past.push_back(past);
        while self.past.len() > history_max {
            self.past.pop_front();
            self.forgotten += 1;
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.past.len()
    }

    pub(crate) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// The past incidents most like `signature` (Jaccard), at most ten, best first.
    pub(super) fn similar(&self, signature: &[u64], similar_min: f64) -> Vec<SimilarIncident> {
        let mut similar: Vec<SimilarIncident> = self
            .past
            .iter()
            .map(|past| SimilarIncident {
                id: past.id.clone(),
                score: (jaccard(signature, &past.signature) * 1000.0).round() / 1000.0,
                ticket: past.ticket.clone(),
                resolution: past.resolution.clone(),
            })
            .filter(|s| s.score >= similar_min)
            .collect();
        similar.sort_by(|a, b| b.score.total_cmp(&a.score).then(b.id.cmp(&a.id)));
        similar.truncate(10);
        similar
    }

    /// The chance, 0–1, that an incident like this takes longer than `limit`: the share of
    /// similar ones that did, with one imagined success and failure (Laplace's rule of
    /// succession). `None` with too little past.
    pub(super) fn chance_longer_than(&self, limit: Span, signature: &[u64], similar_min: f64) -> Option<f64> {
        let durations: Vec<Span> = self
            .past
            .iter()
            .filter(|past| jaccard(signature, &past.signature) >= similar_min)
            .map(|past| past.duration)
            .collect();
        if durations.len() < PAST_MIN {
            return None;
        }
        let longer = durations.iter().filter(|d| **d > limit).count();
        Some((longer as f64 + 1.0) / (durations.len() as f64 + 2.0))
    }
}

/// Shared over all, of two sorted lists.
fn jaccard(a: &[u64], b: &[u64]) -> f64 {
    let (mut i, mut j, mut shared) = (0, 0, 0);
    while i < a.len() && j < b.len() {
        match a[i].cmp(&b[j]) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => {
                shared += 1;
                i += 1;
                j += 1;
            }
        }
    }
    let all = a.len() + b.len() - shared;
    if all == 0 { 0.0 } else { f64::from(shared as u32) / all as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_alike_comes_first_and_the_unlike_not_at_all() {
        let mut history = History::default();
        for (id, parts) in [("a", "x y z"), ("b", "x y q"), ("c", "p q r")] {
            let past = Past {
                id: id.into(),
                ticket: String::new(),
                signature: signature(parts.split(' ')),
                duration: Span::from_hours(1),
                resolution: String::new(),
            };
            history.add(past, 10);
        }
        let ids: Vec<String> = history.similar(&signature("x y z".split(' ')), 0.3).into_iter().map(|s| s.id).collect();
        assert_eq!(ids, vec!["a", "b"]);
    }

    #[test]
    fn the_chance_of_a_breach_needs_a_past() {
        let mut history = History::default();
        let own = signature(["x"].into_iter());
        for hours in 1..=4 {
            assert_eq!(history.chance_longer_than(Span::from_hours(2), &own, 0.3).is_some(), hours > 3);
            let past = Past {
                id: hours.to_string(),
                ticket: String::new(),
                signature: own.clone(),
                duration: Span::from_hours(hours),
                resolution: String::new(),
            };
            history.add(past, 10);
        }
        assert_eq!(history.chance_longer_than(Span::from_hours(2), &own, 0.3), Some(0.5));
    }
}
