//! Finding the partners of a new alert: those that one text names first, then the nearest in the
//! topology, then the latest of its type, then the latest of all, within a fixed number of
//! comparisons.

use super::evidence::{Evidence, GroupParams, Proximity, time_evidence, topology_evidence};
use super::learned::CoOccurrence;
use super::tables::{List, Member, Members, NIL};
use super::text::TextModel;

/// Alerts of the same type compared whatever their place in the topology.
const SAME_KIND_MAX: usize = 4;

/// Alerts compared because a text names what the other is about: the latest of each name.
const NAMED_MAX: usize = 8;

/// Alerts compared per entity: its latest.
const PER_ENTITY_MAX: usize = 4;

/// One comparison of a new alert with an active one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pair {
    pub(super) slot: u32,
    pub(super) group: u32,
    pub(super) score: f64,
    pub(super) evidence: Evidence,
}

/// One search for the partners of a new alert.
pub(super) struct Search<'a> {
    pub(super) params: &'a GroupParams,
    pub(super) members: &'a Members,
    pub(super) learned: &'a CoOccurrence,
    pub(super) text: &'a TextModel,
    pub(super) seen: &'a mut [u32],
    pub(super) stamp: u32,
    pub(super) alert: &'a Member,
    /// Learned delay between two neighbours, in seconds.
    pub(super) delay_s: &'a dyn Fn(u32, u32) -> Option<f64>,
    pub(super) pairs: &'a mut Vec<Pair>,
}

impl Search<'_> {
    pub(super) fn full(&self) -> bool {
        self.pairs.len() >= self.params.pairs_max
    }

    /// Compares with the latest alerts about what the alert's text names, and with the latest whose
    /// text names what it is about.
    pub(super) fn named(&mut self, proximity_of: impl Fn(u32) -> Proximity) {
        if self.params.mention <= 0.0 {
            return;
        }
        let (members, alert) = (self.members, self.alert);
        let about = alert.mentioned.iter().flat_map(|name| members.about(*name).take(PER_ENTITY_MAX));
        for slot in about.take(NAMED_MAX).chain(members.mentioning(alert.name).take(PER_ENTITY_MAX)) {
            self.compare(slot, proximity_of(members.get(slot).entity));
        }
    }

    /// Compares with the latest alerts of one entity.
    pub(super) fn entity(&mut self, entity: u32, proximity: Proximity) {
        let mut at = self.members.head_of_entity(entity);
        for _ in 0..PER_ENTITY_MAX {
            if at == NIL {
                return;
            }
            self.compare(at, proximity);
            at = self.members.get(at).older(List::Entity);
        }
    }

    /// Compares with the latest of the same type, then with the latest of all,
    /// up to a quarter more than the limit so that a dense topology does not
    /// hide the rest.
    pub(super) fn others(&mut self, proximity_of: impl Fn(u32) -> Proximity) {
        let room = self.params.pairs_max / 4 + self.params.pairs_max;
        let mut at = self.members.head_of_kind(self.alert.kind);
        for _ in 0..SAME_KIND_MAX {
            if at == NIL {
                break;
            }
            self.compare(at, proximity_of(self.members.get(at).entity));
            at = self.members.get(at).older(List::Kind);
        }
        let mut at = self.members.latest();
        for _ in 0..self.params.pairs_max {
            if at == NIL || self.pairs.len() >= room {
                break;
            }
            self.compare(at, proximity_of(self.members.get(at).entity));
            at = self.members.get(at).older(List::All);
        }
    }

    fn compare(&mut self, slot: u32, proximity: Proximity) {
        if self.seen[slot as usize] == self.stamp {
            return;
        }
        self.seen[slot as usize] = self.stamp;
        let other = self.members.get(slot);
        if other.id == self.alert.id {
            return;
        }
        let delay_s = match proximity {
            Proximity::Near(far) if far > 0.0 => (self.delay_s)(self.alert.entity, other.entity),
            _ => None,
        };
        let evidence = pair_evidence(self.params, self.learned, self.text, self.alert, other, proximity, delay_s);
        let score = self.params.combine(&evidence);
        self.pairs.push(Pair { slot, group: other.group, score, evidence });
    }
}

/// The four kinds of evidence for one pair.
pub(super) fn pair_evidence(
    params: &GroupParams,
    learned: &CoOccurrence,
    words: &TextModel,
    alert: &Member,
    other: &Member,
    proximity: Proximity,
    delay_s: Option<f64>,
) -> Evidence {
    let far = match proximity {
        Proximity::Near(far) => far,
        _ => 0.0,
    };
    let words_alike = if proximity == Proximity::Apart { 0.0 } else { alert.text.cosine(&other.text) };
    Evidence {
        time: time_evidence(params, alert.onset_ns, other.onset_ns, far, delay_s),
        topology: topology_evidence(params, proximity),
        text: words_alike.max(mention(params, words, alert, other)),
        learned: if learned.is_empty() { 0.0 } else { learned.score(alert.kind, other.kind) },
    }
}

/// Text evidence from names: the more, the rarer the name is in texts.
fn mention(params: &GroupParams, words: &TextModel, alert: &Member, other: &Member) -> f64 {
    let named = |by: &Member, of: &Member| {
        if by.mentioned.contains(&of.name) { words.rarity(of.name) } else { 0.0 }
    };
    params.mention * named(alert, other).max(named(other, alert))
}
