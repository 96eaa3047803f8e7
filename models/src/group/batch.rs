//! Grouping a whole stretch of alerts at once: DBSCAN over the evidence.
//!
//! Idea: the evidence makes a score of each pair, 1 − score is a distance, and DBSCAN (Ester, Kriegel,
//! Sander, Xu, KDD 1996) joins what is densely linked, whatever the order of arrival. It sees every
//! pair, so it costs the square of what lies within the reach of time; the incremental
//! [`Grouper`](super::Grouper) is compared with it and does not need it. The neighbours are found by
//! linear search, which asks no triangle inequality of the distance.
//!
//! Silence longer than any link could bridge cuts the alerts into stretches that are clustered one by
//! one, with the same result. A stretch too long for that is cut at its longest pause near the middle.

use std::sync::Arc;

use linfa::ParamGuard as _;
use linfa::traits::Transformer as _;
use linfa_clustering::Dbscan;
use linfa_nn::{LinearSearch, distance};
use ndarray::{Array2, ArrayView, Dimension};

use super::evidence::{GroupParams, Proximity};
use super::grouper::far_apart;
use super::learned::CoOccurrence;
use super::search::pair_evidence;
use super::tables::{Distance, Member, NO_ENTITY};
use super::text::TextModel;
use super::view::AlertView;

/// Alerts that one stretch may hold: 16 million pairs take seconds, a hundred times that nobody waits for.
const STRETCH_MAX: usize = 4_000;

/// The group of each of `alerts`, numbered from 0 in order of time; `neighbours` (at least 2) is how
/// many alerts, itself counted, must lie around one for it to spread its group.
#[must_use]
pub fn dbscan(alerts: &[AlertView<'_>], topology: &impl Distance, params: &GroupParams, neighbours: usize) -> Vec<u64> {
    let mut order: Vec<usize> = (0..alerts.len()).collect();
    order.sort_by_key(|at| (alerts[*at].time_ns, alerts[*at].id));
    let mut text = TextModel::default();
    order.iter().for_each(|at| text.observe(alerts[*at].tokens, alerts[*at].names.mentioned));
    let gap = |a: usize, b: usize| alerts[b].time_ns.saturating_sub(alerts[a].time_ns);
    let reach = reach_ns(params, topology.exists());
    let mut waiting: Vec<&[usize]> = order.chunk_by(|a, b| gap(*a, *b) <= reach).collect();
    waiting.reverse();
    let mut groups = vec![0; alerts.len()];
    let mut next = 0;
    while let Some(stretch) = waiting.pop() {
        if stretch.len() > STRETCH_MAX {
            let middle = stretch.len() / 4..stretch.len() * 3 / 4;
            let longest = middle.max_by_key(|at| (gap(stretch[*at], stretch[*at + 1]), std::cmp::Reverse(*at)));
            let (early, late) = stretch.split_at(longest.map_or(stretch.len() / 2, |at| at + 1));
            waiting.extend([late, early]);
            continue;
        }
        let scores = Scores::of(stretch.iter().map(|at| &alerts[*at]), topology, params, &text);
        let mut names: Vec<(usize, u64)> = Vec::new();
        for (at, cluster) in stretch.iter().zip(clusters(scores, params, neighbours.max(2))) {
            let known = cluster.and_then(|c| names.iter().find(|(name, _)| *name == c).map(|(_, group)| *group));
            groups[*at] = known.unwrap_or_else(|| {
                next += 1;
                names.extend(cluster.map(|c| (c, next - 1)));
                next - 1
            });
        }
    }
    groups
}

/// The longest gap at which two onsets can be linked: the time evidence falls to its minimum there.
fn reach_ns(params: &GroupParams, topology: bool) -> i64 {
    // No step of the topology is longer than its length divided by the least confidence believed (1 / .05).
    let farthest = if topology { f64::from(params.hops_max) * 20.0 } else { 0.0 };
    let scale = params.time_scale_ns as f64 + params.time_hop_scale_ns as f64 * farthest;
    if params.time_min <= 0.0 {
        return i64::MAX;
    }
    (scale * (1.0 / params.time_min.min(1.0) - 1.0).sqrt()).min(i64::MAX as f64 / 2.0) as i64
}

/// The scores of all pairs of a stretch, as rows of a square.
#[derive(Clone)]
struct Scores {
    side: usize,
    apart: Arc<[f32]>,
}

impl Scores {
    fn of<'a>(
        alerts: impl Iterator<Item = &'a AlertView<'a>>,
        topology: &impl Distance,
        params: &GroupParams,
        text: &TextModel,
    ) -> Scores {
        let members: Vec<Member> = alerts.map(|alert| Member::of(alert, text)).collect();
        let side = members.len();
        let mut apart = vec![0.0_f32; side * side];
        let (nothing, mut near) = (CoOccurrence::default(), Vec::new());
        for (row, alert) in members.iter().enumerate() {
            near.clear();
            if alert.entity != NO_ENTITY && topology.knows(alert.entity) {
                topology.within(alert.entity, params.hops_max, &mut near);
                near.sort_unstable_by_key(|(entity, _)| *entity);
            }
            for (column, other) in members.iter().enumerate().skip(row + 1) {
                let proximity = proximity(alert.entity, other.entity, &near, topology);
                let delay = topology.delay_s(alert.entity, other.entity);
                let score = params.combine(&pair_evidence(params, &nothing, text, alert, other, proximity, delay));
                apart[row * side + column] = (1.0 - score) as f32;
                apart[column * side + row] = (1.0 - score) as f32;
            }
        }
        Scores { side, apart: apart.into() }
    }
}

fn proximity(a: u32, b: u32, near: &[(u32, f32)], topology: &impl Distance) -> Proximity {
    if a != NO_ENTITY && a == b {
        return Proximity::Near(0.0);
    }
    if !topology.exists() {
        return Proximity::Absent;
    }
    let found = near.binary_search_by_key(&b, |(entity, _)| *entity);
    found.map_or_else(|_| far_apart(topology, a, b), |at| Proximity::Near(f64::from(near[at].1)))
}

impl distance::Distance<f64> for Scores {
    /// Points are places in the stretch.
    fn distance<D: Dimension>(&self, a: ArrayView<'_, f64, D>, b: ArrayView<'_, f64, D>) -> f64 {
        let place = |point: ArrayView<'_, f64, D>| point.iter().next().map_or(0, |place| *place as usize);
        f64::from(self.apart[place(a) * self.side + place(b)])
    }
}

fn clusters(scores: Scores, params: &GroupParams, neighbours: usize) -> Vec<Option<usize>> {
    let points = Array2::from_shape_fn((scores.side, 1), |(row, _)| row as f64);
    // The library takes what is nearer than the tolerance; a score at the threshold still links.
    let tolerance = (1.0 - params.threshold).max(0.0) + 1e-6;
    let dbscan = Dbscan::params_with::<f64, _, _>(neighbours, scores, LinearSearch::new()).tolerance(tolerance);
    let checked = dbscan.check().expect("the tolerance is above 0 and the neighbours are at least 2");
    checked.transform(&points).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::{Begins, Names, NoTopology};

    fn alert(id: u64, second: i64, tokens: &[u32]) -> AlertView<'_> {
        AlertView {
            id,
            time_ns: second * 1_000_000_000,
            begins: Begins::Anywhere,
            kind: id as u32,
            entity: id as u32,
            tokens,
            names: Names::default(),
        }
    }

    #[test]
    fn what_is_linked_is_one_group_and_what_is_not_is_alone() {
        let alerts = [alert(1, 0, &[1, 2]), alert(2, 5, &[1, 2]), alert(3, 4_000, &[9]), alert(4, 8, &[1, 2])];
        let groups = dbscan(&alerts, &NoTopology, &GroupParams::default(), 2);
        assert_eq!(groups, [0, 0, 1, 0]);
    }

    #[test]
    fn the_order_of_the_alerts_changes_nothing() {
        let words: Vec<[u32; 2]> = (0..40).map(|i| [i / 7, 100]).collect();
        let alerts: Vec<AlertView<'_>> = (0..40).map(|i| alert(i, (i as i64 * 37) % 900, &words[i as usize])).collect();
        let whole = dbscan(&alerts, &NoTopology, &GroupParams::default(), 3);
        let reversed: Vec<AlertView<'_>> = alerts.iter().rev().copied().collect();
        let mut back = dbscan(&reversed, &NoTopology, &GroupParams::default(), 3);
        back.reverse();
        assert_eq!(whole, back);
    }

    #[test]
    fn a_stretch_without_pause_is_cut_where_it_is_longest_near_the_middle() {
        let second = |id: u64| id as i64 / 20 + if id < STRETCH_MAX as u64 / 2 { 0 } else { 60 };
        let alerts: Vec<AlertView<'_>> = (0..=STRETCH_MAX as u64).map(|id| alert(id, second(id), &[])).collect();
        let groups = dbscan(&alerts, &NoTopology, &GroupParams::default(), 2);
        assert_eq!(groups.iter().max(), Some(&1), "two stretches, one group each");
        assert!(groups[STRETCH_MAX / 2 - 1] == 0 && groups[STRETCH_MAX / 2] == 1);
    }
}
