//! Why an alert is in its group, why it is not in another, and which parts a
//! group has fallen into.

use serde::{Deserialize, Serialize};

use super::evidence::{Evidence, GroupParams};
use super::grouper::Grouper;
use super::search::Pair;
use super::tables::Distance;
use super::view::GroupId;

/// Links given in an explanation: enough to read, the best first.
const LINKS_SHOWN: usize = 3;

/// One link between two alerts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// The other alert.
    pub alert: u64,
    /// Score of the pair, 0..1.
    pub score: f64,
    /// The evidence behind it.
    pub evidence: Evidence,
    /// What each kind adds on the logit scale: time, topology, text, learned.
    pub contributions: [f64; 4],
}

/// Why an alert is in its group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Why {
    /// Its group.
    pub group: GroupId,
    /// Its score against the rest of the group now.
    pub score: f64,
    /// What it takes to join.
    pub threshold: f64,
    /// Its best links into the group.
    pub links: Vec<Link>,
}

/// What a kind of evidence would have to be, all else equal, for the best link
/// to reach the threshold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Needed {
    /// What it is now.
    pub now: f64,
    /// What it would have to be; `None` when even 1 would not do.
    pub needed: Option<f64>,
}

/// Why an alert is not in a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WhyNot {
    /// The group in question.
    pub group: GroupId,
    /// Score of the alert against it, 0..1.
    pub score: f64,
    /// What it takes to join.
    pub threshold: f64,
    /// The alert's best links into that group; empty when nothing in it came
    /// into question (too far in time and topology to be compared).
    pub links: Vec<Link>,
    /// What would have changed the decision: time, topology, text, learned.
    pub needed: [Needed; 4],
    /// Score against its own group, for comparison.
    pub own_score: f64,
    /// Conditions, one on either side, that cannot be one fault, whatever the score.
    pub apart: Option<(u64, u64)>,
}

impl Grouper {
    /// Why an active alert is in its group; `None` when it is not active.
    pub fn why(&mut self, alert: u64, distance: &impl Distance) -> Option<Why> {
        let own = self.group_of(alert)?;
        let (score, links) = self.looked_at(alert, own, distance)?;
        Some(Why { group: own, score, threshold: self.params().threshold, links })
    }

    /// Why an active alert is not in `group`; `None` when either is unknown or
    /// the alert is in it.
    pub fn why_not(&mut self, alert: u64, group: GroupId, distance: &impl Distance) -> Option<WhyNot> {
        let own = self.group_of(alert)?;
        if own == group || self.group(group).is_none() {
            return None;
        }
        let (score, links) = self.looked_at(alert, group, distance)?;
        let (own_score, _) = self.looked_at(alert, own, distance)?;
        let best = links.first().map_or(Evidence::default(), |link| link.evidence);
        let needed = needed(self.params(), &best);
        let threshold = self.params().threshold;
        let apart = match (self.group_slot(own), self.group_slot(group)) {
            (Some(own), Some(other)) => self.two_faults(own, other, distance),
            _ => None,
        };
        Some(WhyNot { group, score, threshold, links, needed, own_score, apart })
    }

    /// The best links of an active alert into a group, its own or another, the best first; none
    /// when either is unknown or nothing came into question.
    pub fn links(&mut self, alert: u64, group: GroupId, distance: &impl Distance) -> Vec<Link> {
        self.links_into(alert, group, distance).map_or_else(Vec::new, |(_, links)| links)
    }

    /// The parts of a group that no longer link with one another (after
    /// recoveries, or when the topology has changed): alert ids in order, the
    /// largest part first, equal ones by their first id.
    pub fn components(&mut self, group: GroupId, distance: &impl Distance) -> Vec<Vec<u64>> {
        let Some(group_slot) = self.group_slot(group) else {
            return Vec::new();
        };
        let slots = self.group_at(group_slot).members.clone();
        let mut parent: Vec<usize> = (0..slots.len()).collect();
        let mut position = vec![usize::MAX; self.members.slot_count()];
        for (index, slot) in slots.iter().enumerate() {
            position[*slot as usize] = index;
        }
        let mut pairs = Vec::new();
        for (index, slot) in slots.iter().enumerate() {
            let member = self.members.get(*slot).clone();
            self.compare(&member, distance, &mut pairs);
            let linked = |pair: &&Pair| pair.group == group_slot && pair.score >= self.params.threshold;
            for pair in pairs.iter().filter(linked) {
                union(&mut parent, index, position[pair.slot as usize]);
            }
        }
        let mut parts: Vec<Vec<u64>> = vec![Vec::new(); slots.len()];
        for (index, slot) in slots.iter().enumerate() {
            let root = find(&mut parent, index);
            parts[root].push(self.members.get(*slot).id);
        }
        parts.retain(|part| !part.is_empty());
        for part in &mut parts {
            part.sort_unstable();
        }
        parts.sort_by(|a, b| b.len().cmp(&a.len()).then(a.cmp(b)));
        parts
    }

    /// Splits a group into its [`components`](Self::components): the largest
    /// keeps the id, the ids of the others are returned.
    pub fn split(&mut self, group: GroupId, distance: &impl Distance) -> Vec<GroupId> {
        let parts = self.components(group, distance);
        let Some(from) = self.group_slot(group) else {
            return Vec::new();
        };
        let mut created = Vec::new();
        for part in parts.iter().skip(1) {
            let slots: Vec<u32> = part.iter().filter_map(|id| self.members.slot_of(*id)).collect();
            created.push(self.move_out(from, &slots));
        }
        created
    }

    /// Score and best links of an active alert into a group, for who only looks: what was compared for that is not
    /// counted, so that a look leaves no trace.
    fn looked_at(&mut self, alert: u64, group: GroupId, distance: &impl Distance) -> Option<(f64, Vec<Link>)> {
        let counted = self.counters.pairs;
        let links = self.links_into(alert, group, distance);
        self.counters.pairs = counted;
        links
    }

    /// Score and best links of an active alert into a group.
    fn links_into(&mut self, alert: u64, group: GroupId, distance: &impl Distance) -> Option<(f64, Vec<Link>)> {
        let group_slot = self.group_slot(group)?;
        let member = self.members.get(self.members.slot_of(alert)?).clone();
        let mut pairs: Vec<Pair> = Vec::new();
        self.compare(&member, distance, &mut pairs);
        pairs.retain(|pair| pair.group == group_slot);
        let id_of = |pair: &Pair| self.members.get(pair.slot).id;
        pairs.sort_by(|a, b| b.score.total_cmp(&a.score).then(id_of(a).cmp(&id_of(b))));
        if pairs.is_empty() {
            return Some((0.0, Vec::new()));
        }
        let score = self.group_score(&pairs, member.group == group_slot).score;
        let links = pairs.iter().take(LINKS_SHOWN).map(|pair| Link {
            alert: id_of(pair),
            score: pair.score,
            evidence: pair.evidence,
            contributions: self.params().contributions(&pair.evidence),
        });
        Some((score, links.collect()))
    }
}

/// For each kind, the value at which the pair would reach the threshold.
fn needed(params: &GroupParams, evidence: &Evidence) -> [Needed; 4] {
    let target = (params.threshold / (1.0 - params.threshold).max(1e-12)).ln();
    let missing = target - params.logit(evidence);
    let values = evidence.values();
    std::array::from_fn(|kind| {
        let weight = params.weights[kind];
        let value = values[kind] + missing / weight;
        // Onsets too far apart forbid the link whatever the rest says.
        let (least, possible) = match kind {
            0 => (params.time_min, true),
            _ => (0.0, evidence.time >= params.time_min),
        };
        let needed = (possible && weight > 0.0 && value <= 1.0).then_some(value.max(values[kind]).max(least));
        Needed { now: values[kind], needed }
    })
}

fn find(parent: &mut [usize], mut at: usize) -> usize {
    while parent[at] != at {
        parent[at] = parent[parent[at]];
        at = parent[at];
    }
    at
}

fn union(parent: &mut [usize], a: usize, b: usize) {
    let (a, b) = (find(parent, a), find(parent, b));
    parent[a.max(b)] = a.min(b);
}
