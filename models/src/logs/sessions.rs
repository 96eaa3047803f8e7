//! Sessions: is this run of events one that normal operation produces?
//!
//! Trained on normal sessions only. Three views:
//!
//! - **events**: how many different events did training never show?
//! - **counts**: how surprising, in nats, are just these events, this many times each?
//!   Counts above four are taken in powers of two, so that long sessions still meet.
//! - **order**: the most surprising step from one event to the next, start and end included.
//!
//! A view's limit is not set by hand. The training sessions are judged in five folds by
//! models that have not seen them, and a new session is anomalous when it surprises more
//! than all but a few of those: one in five hundred. Where normal sessions differ a lot,
//! or where training is too short to have shown everything, a view so becomes quiet by itself.
//!
//! Count vectors are the invariant of Xu et al. (SOSP 2009); the folds make their false
//! alarms a promise.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Verdict on a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionVerdict {
    /// As in training.
    Normal,
    /// Not as in training.
    Anomalous,
}

/// Why a session got its score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "reason")]
pub enum SessionReason {
    /// Nothing stands out.
    Usual,
    /// An event that training never showed.
    UnknownEvent {
        /// The event.
        event: u32,
    },
    /// Counts of events that few or no normal sessions had.
    RareCounts {
        /// The event whose count is the rarest.
        event: u32,
        /// Its count here.
        count: u32,
    },
    /// A step that normal sessions seldom or never take; `None` stands for start and end.
    RareOrder {
        /// The event before.
        before: Option<u32>,
        /// The event that follows.
        event: Option<u32>,
    },
}

/// Score and verdict on one session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionScore {
    /// 0..=1: share of normal sessions that surprise less, in the view that is surprised most.
    pub score: f64,
    /// At the limit that training set.
    pub verdict: SessionVerdict,
    /// The strongest reason.
    pub reason: SessionReason,
}

/// Share of normal sessions that each view may call anomalous.
const FALSE_ALARMS_MAX: f64 = 0.002;
/// Folds of training that set the limits.
const FOLDS: usize = 5;
/// Stands for start and end of a session among the events.
const EDGE: u32 = u32::MAX;

/// Counts by key, sorted by key: small, the same bytes for the same training.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Table<K>(Vec<(K, u32)>);

impl<K: Ord> Table<K> {
    /// Count of a key, 0 for one not seen.
    fn get(&self, key: &K) -> u32 {
        self.0.binary_search_by(|(other, _)| other.cmp(key)).map_or(0, |at| self.0[at].1)
    }
}

/// What normal sessions contain, and in which order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SessionModel {
    tables: Tables,
    /// Surprises of normal sessions by models that had not seen them, ascending.
    unknown: Vec<f64>,
    counts: Vec<f64>,
    order: Vec<f64>,
}

/// Counts over training sessions.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Tables {
    sessions: u32,
    /// What a case counts: a table of all sessions is scaled to the size of a fold's, whose
    /// surprises it is compared with.
    weight: f64,
    /// Sessions per count vector.
    vectors: Table<Vec<(u32, u32)>>,
    /// Sessions per event and count.
    counts: Table<(u32, u32)>,
    /// Steps from event to event.
    steps: Table<(u32, u32)>,
    /// Steps from an event.
    leaves: Table<u32>,
}

impl SessionModel {
    /// Learns from normal sessions; each is the ids of its events in order. Ids below
    /// `u32::MAX`.
    #[must_use]
    pub fn fit(normal: &[Vec<u32>]) -> Self {
        let (mut unknown, mut counts, mut order) = (Vec::new(), Vec::new(), Vec::new());
        for fold in 0..FOLDS {
            let outside = normal.iter().enumerate().filter(|(at, _)| at % FOLDS != fold);
            let tables = Tables::of(outside.map(|(_, session)| session.as_slice()), 1.0);
            for session in normal.iter().skip(fold).step_by(FOLDS) {
                unknown.push(tables.unknown(session).0);
                counts.push(tables.count_surprise(session).0);
                order.push(tables.order_surprise(session).0);
            }
        }
        for view in [&mut unknown, &mut counts, &mut order] {
            view.sort_by(f64::total_cmp);
        }
        let weight = (FOLDS - 1) as f64 / FOLDS as f64;
        Self { tables: Tables::of(normal.iter().map(Vec::as_slice), weight), unknown, counts, order }
    }

    /// Judges one session.
    #[must_use]
    pub fn score(&self, session: &[u32]) -> SessionScore {
        let (surprise, event) = self.tables.unknown(session);
        let untaught = self.tables.sessions == 0 && surprise > 0.0;
        let share = if untaught { 1.0 } else { below(&self.unknown, surprise) };
        let unknown = (share, SessionReason::UnknownEvent { event });
        let (surprise, (event, count)) = self.tables.count_surprise(session);
        let counts = (below(&self.counts, surprise), SessionReason::RareCounts { event, count });
        let (surprise, (before, next)) = self.tables.order_surprise(session);
        let named = |event: u32| (event != EDGE).then_some(event);
        let steps = SessionReason::RareOrder { before: named(before), event: named(next) };
        let order = (below(&self.order, surprise), steps);
        let mut strongest = unknown;
        for view in [counts, order] {
            if view.0 > strongest.0 {
                strongest = view;
            }
        }
        let (score, reason) = strongest;
        if score > 1.0 - FALSE_ALARMS_MAX {
            SessionScore { score, verdict: SessionVerdict::Anomalous, reason }
        } else {
            SessionScore { score, verdict: SessionVerdict::Normal, reason: SessionReason::Usual }
        }
    }
}

/// Share of sorted values that lie clearly below `value`: near ones count as equal.
fn below(sorted: &[f64], value: f64) -> f64 {
    if sorted.is_empty() {
        return 0.0;
    }
    sorted.partition_point(|other| *other < value - NEAR) as f64 / sorted.len() as f64
}

/// Surprises this near are equal: folds differ by a session in size.
const NEAR: f64 = 0.02;

impl Tables {
    fn of<'a>(sessions: impl Iterator<Item = &'a [u32]>, weight: f64) -> Self {
        let mut count = 0;
        let (mut vectors, mut counts) = (BTreeMap::new(), BTreeMap::new());
        let (mut steps, mut leaves) = (BTreeMap::new(), BTreeMap::new());
        for session in sessions {
            count += 1;
            let vector = coarse_counts(session);
            for entry in &vector {
                *counts.entry(*entry).or_insert(0) += 1;
            }
            *vectors.entry(vector).or_insert(0) += 1;
            for (before, next) in steps_of(session) {
                *steps.entry((before, next)).or_insert(0) += 1;
                *leaves.entry(before).or_insert(0) += 1;
            }
        }
        let [counts, steps] = [counts, steps].map(|table| Table(table.into_iter().collect()));
        let (vectors, leaves) = (Table(vectors.into_iter().collect()), Table(leaves.into_iter().collect()));
        Self { sessions: count, weight, vectors, counts, steps, leaves }
    }

    /// How many different events are unknown, and the first of them.
    fn unknown(&self, session: &[u32]) -> (f64, u32) {
        let mut unknown: Vec<u32> = session.iter().copied().filter(|event| self.leaves.get(event) == 0).collect();
        let first = unknown.first().copied().unwrap_or(EDGE);
        unknown.sort_unstable();
        unknown.dedup();
        (unknown.len() as f64, first)
    }

    /// Surprise at the count vector, and the event whose own count is the rarest.
    fn count_surprise(&self, session: &[u32]) -> (f64, (u32, u32)) {
        let vector = coarse_counts(session);
        let rarest = vector.iter().min_by_key(|entry| self.counts.get(entry)).map_or(EDGE, |entry| entry.0);
        let count = session.iter().filter(|&&event| event == rarest).count() as u32;
        (self.surprise(self.vectors.get(&vector), self.sessions), (rarest, count))
    }

    /// The most surprising step, and its surprise.
    fn order_surprise(&self, session: &[u32]) -> (f64, (u32, u32)) {
        let mut worst = (0.0, (EDGE, EDGE));
        for (before, next) in steps_of(session) {
            let surprise = self.surprise(self.steps.get(&(before, next)), self.leaves.get(&before));
            if surprise > worst.0 {
                worst = (surprise, (before, next));
            }
        }
        worst
    }

    /// Surprise in nats at a case, with half a case added (Krichevsky and Trofimov), so that
    /// nothing is impossible.
    fn surprise(&self, part: u32, whole: u32) -> f64 {
        let [part, whole] = [part, whole].map(|count| f64::from(count) * self.weight);
        -((part + 0.5) / (whole + 1.0)).ln()
    }
}

/// Steps of a session, with its start and its end.
fn steps_of(session: &[u32]) -> impl Iterator<Item = (u32, u32)> + '_ {
    let from = [EDGE].into_iter().chain(session.iter().copied());
    from.zip(session.iter().copied().chain([EDGE]))
}

/// Sorted events of a session with their coarse counts.
fn coarse_counts(session: &[u32]) -> Vec<(u32, u32)> {
    let mut sorted = session.to_vec();
    sorted.sort_unstable();
    sorted.chunk_by(|left, right| left == right).map(|run| (run[0], coarse(run.len() as u32))).collect()
}

/// Counts to four as they are, then in powers of two.
fn coarse(count: u32) -> u32 {
    if count <= 4 { count } else { 3 + count.ilog2() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(model: &SessionModel, session: &[u32]) -> SessionVerdict {
        model.score(session).verdict
    }

    fn loops() -> Vec<Vec<u32>> {
        (0..1_000).map(|n| if n % 3 == 0 { vec![1, 2, 2, 3] } else { vec![1, 2, 3] }).collect()
    }

    #[test]
    fn what_training_showed_is_normal() {
        let model = SessionModel::fit(&loops());
        assert_eq!(verdict(&model, &[1, 2, 3]), SessionVerdict::Normal);
        assert_eq!(verdict(&model, &[1, 2, 2, 3]), SessionVerdict::Normal);
    }

    #[test]
    fn an_unknown_event_a_missing_one_and_a_wrong_order_are_told_apart() {
        let model = SessionModel::fit(&loops());
        assert_eq!(model.score(&[1, 2, 9, 3]).reason, SessionReason::UnknownEvent { event: 9 });
        assert!(matches!(model.score(&[1, 2]).reason, SessionReason::RareCounts { .. }));
        let swapped = model.score(&[2, 1, 3]);
        assert_eq!(swapped.verdict, SessionVerdict::Anomalous);
        assert!(matches!(swapped.reason, SessionReason::RareOrder { .. }), "{swapped:?}");
    }

    #[test]
    fn where_every_normal_session_is_another_counts_say_nothing() {
        // Sessions of every length: no two count vectors agree in their coarse counts.
        let normal: Vec<Vec<u32>> = (0..200_u32)
            .map(|n| (0..8).flat_map(|event| vec![event; (n >> event & 1) as usize + 1]).collect())
            .collect();
        let model = SessionModel::fit(&normal);
        let fresh: Vec<u32> =
            (0..8).flat_map(|event| vec![event; if event == 7 { 2 } else { 1 + (event % 2) as usize }]).collect();
        assert_eq!(verdict(&model, &fresh), SessionVerdict::Normal);
    }

    #[test]
    fn an_empty_training_calls_every_event_unknown_and_does_not_fail() {
        let model = SessionModel::fit(&[]);
        assert_eq!(verdict(&model, &[1]), SessionVerdict::Anomalous);
        assert_eq!(verdict(&model, &[]), SessionVerdict::Normal);
    }
}
