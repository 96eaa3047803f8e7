//! The tables behind the grouper: active alerts with their indexes, and the
//! cache of topology neighbourhoods. All are bounded.
//!
//! Alerts lie in a slab; four intrusive lists (per entity, per type, per name, over all)
//! give the latest first without allocating. Nothing here depends on slot
//! numbers, so a grouper restored from a checkpoint goes on exactly as before.

use std::collections::BTreeMap;

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use super::text::{TextModel, WeightedTokens};
use super::view::{AlertView, Begins};

/// The entity of an alert that names none.
pub const NO_ENTITY: u32 = u32::MAX;

/// Entity ids from here on are grouped without topology: ids are dense, and the
/// index over them is an array.
const ENTITIES_MAX: u32 = 1 << 22;

/// End of an intrusive list.
pub(super) const NIL: u32 = u32::MAX;

/// The topology as the grouper sees it.
pub trait Distance {
    /// Appends the entities within `hops_max` steps of `entity` with their
    /// weighted distance (edge weights from type, age and confidence; steps
    /// through silent entities count), without `entity` itself.
    fn within(&self, entity: u32, hops_max: u8, out: &mut Vec<(u32, f32)>);

    /// Whether the topology knows this entity: if not, "no path" means nothing.
    fn knows(&self, entity: u32) -> bool;

    /// The connected part of the estate that an entity is in, where that is known: nothing joins one part with another.
    fn part(&self, _entity: u32) -> Option<u64> {
        None
    }

    /// How long trouble takes between two neighbours, in seconds, where that has been learned.
    fn delay_s(&self, _a: u32, _b: u32) -> Option<f64> {
        None
    }

    /// Whether a condition of one entity may be why there is one of another.
    fn brings(&self, _from: (u32, Begins), _to: (u32, Begins)) -> bool {
        false
    }

    /// Whether there is a topology at all.
    fn exists(&self) -> bool {
        true
    }

    /// Changes when the topology does; cached neighbourhoods are then dropped.
    fn epoch(&self) -> u64 {
        0
    }
}

/// No topology at all.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTopology;

impl Distance for NoTopology {
    fn exists(&self) -> bool {
        false
    }

    fn within(&self, _entity: u32, _hops_max: u8, _out: &mut Vec<(u32, f32)>) {}

    fn knows(&self, _entity: u32) -> bool {
        false
    }
}

/// What the grouper has done and shed, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Alerts seen, repeats included.
    pub alerts: u64,
    /// Repeats of an alert already in a group.
    pub repeats: u64,
    /// Groups opened.
    pub opened: u64,
    /// Groups merged into another.
    pub merged: u64,
    /// Groups closed because they were quiet.
    pub closed: u64,
    /// Alerts evicted because the table was full.
    pub evicted: u64,
    /// Pairs compared.
    pub pairs: u64,
}

/// One alert in the tables.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Member {
    pub(super) id: u64,
    pub(super) onset_ns: i64,
    pub(super) last_ns: i64,
    pub(super) count: u32,
    pub(super) begins: Begins,
    pub(super) kind: u32,
    pub(super) entity: u32,
    pub(super) group: u32,
    pub(super) text: WeightedTokens,
    /// Name of its entity, 0 for none.
    pub(super) name: u32,
    /// Names in its text.
    pub(super) mentioned: Box<[u32]>,
    #[serde(skip)]
    pub(super) links: [Ends; 4],
    /// Counts up with every insertion.
    #[serde(skip)]
    pub(super) order: u64,
}

/// Neighbours of a member in one intrusive list.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ends {
    newer: u32,
    older: u32,
}

impl Default for Ends {
    fn default() -> Self {
        Self { newer: NIL, older: NIL }
    }
}

/// Which intrusive list.
#[derive(Clone, Copy)]
pub(super) enum List {
    Entity = 0,
    Kind = 1,
    All = 2,
    Name = 3,
}

impl Member {
    /// A member of no list yet.
    pub(super) fn of(alert: &AlertView<'_>, text: &TextModel) -> Self {
        let AlertView { id, time_ns, begins, kind, entity, tokens, names } = *alert;
        Self {
            id,
            onset_ns: time_ns,
            last_ns: time_ns,
            count: 1,
            begins,
            kind,
            entity,
            group: NIL,
            text: text.weigh(tokens),
            name: names.own,
            mentioned: names.mentioned.into(),
            links: [Ends::default(); 4],
            order: 0,
        }
    }

    pub(super) fn older(&self, list: List) -> u32 {
        self.links[list as usize].older
    }
}

/// The active alerts and their indexes.
#[derive(Clone, Debug, Default)]
pub(super) struct Members {
    slots: Vec<Option<Member>>,
    free: Vec<u32>,
    by_id: HashMap<u64, u32, foldhash::fast::FixedState>,
    by_entity: Vec<u32>,
    by_kind: HashMap<u32, u32, foldhash::fast::FixedState>,
    by_name: HashMap<u32, u32, foldhash::fast::FixedState>,
    /// Whose texts hold a name, by the name and the order of insertion.
    by_mention: BTreeMap<(u32, u64), u32>,
    /// Those whose trouble begins at their entity, by the order of insertion.
    conditions: BTreeMap<u64, u32>,
    inserted: u64,
    latest: u32,
    oldest: u32,
    len: usize,
}

impl Members {
    pub(super) fn new() -> Self {
        Self { latest: NIL, oldest: NIL, ..Self::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn slot_of(&self, id: u64) -> Option<u32> {
        self.by_id.get(&id).copied()
    }

    pub(super) fn get(&self, slot: u32) -> &Member {
        self.slots[slot as usize].as_ref().expect("lists and groups name occupied slots")
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> &mut Member {
        self.slots[slot as usize].as_mut().expect("lists and groups name occupied slots")
    }

    pub(super) fn slot_count(&self) -> usize {
        self.slots.len()
    }

    /// Head of the list of one entity, latest first.
    pub(super) fn head_of_entity(&self, entity: u32) -> u32 {
        self.by_entity.get(entity as usize).copied().unwrap_or(NIL)
    }

    /// Head of the list of one type, latest first.
    pub(super) fn head_of_kind(&self, kind: u32) -> u32 {
        self.by_kind.get(&kind).copied().unwrap_or(NIL)
    }

    /// Alerts about what is called so, latest first.
    pub(super) fn about(&self, name: u32) -> impl Iterator<Item = u32> {
        let head = self.by_name.get(&name).copied();
        std::iter::successors(head, |slot| Some(self.get(*slot).older(List::Name)).filter(|older| *older != NIL))
    }

    /// Alerts whose text holds this name, latest first.
    pub(super) fn mentioning(&self, name: u32) -> impl Iterator<Item = u32> {
        self.by_mention.range((name, 0)..=(name, u64::MAX)).rev().map(|(_, slot)| *slot)
    }

    /// Alerts whose trouble begins at their entity, latest first.
    pub(super) fn conditions(&self) -> impl Iterator<Item = u32> {
        self.conditions.values().rev().copied()
    }

    /// Head of the list of all, latest first.
    pub(super) fn latest(&self) -> u32 {
        self.latest
    }

    /// All members, oldest insertion first.
    pub(super) fn in_order(&self) -> impl Iterator<Item = (u32, &Member)> {
        let mut at = self.oldest;
        std::iter::from_fn(move || {
            if at == NIL {
                return None;
            }
            let slot = at;
            let member = self.get(slot);
            at = member.links[List::All as usize].newer;
            Some((slot, member))
        })
    }

    pub(super) fn insert(&mut self, mut member: Member) -> u32 {
        member.order = self.inserted;
        self.inserted += 1;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            (self.slots.len() - 1) as u32
        });
        self.by_id.insert(member.id, slot);
        let (kind, entity, name) = (member.kind, member.entity, member.name);
        self.by_mention.extend(member.mentioned.iter().map(|mention| ((*mention, member.order), slot)));
        if member.begins != Begins::Anywhere {
            self.conditions.insert(member.order, slot);
        }
        self.slots[slot as usize] = Some(member);
        self.len += 1;
        if entity < ENTITIES_MAX {
            if self.by_entity.len() <= entity as usize {
                self.by_entity.resize(entity as usize + 1, NIL);
            }
            let head = std::mem::replace(&mut self.by_entity[entity as usize], slot);
            self.push_front(List::Entity, slot, head);
        }
        let head = self.by_kind.insert(kind, slot).unwrap_or(NIL);
        self.push_front(List::Kind, slot, head);
        if name != 0 {
            let head = self.by_name.insert(name, slot).unwrap_or(NIL);
            self.push_front(List::Name, slot, head);
        }
        let head = std::mem::replace(&mut self.latest, slot);
        self.push_front(List::All, slot, head);
        if self.oldest == NIL {
            self.oldest = slot;
        }
        slot
    }

    fn push_front(&mut self, list: List, slot: u32, head: u32) {
        self.get_mut(slot).links[list as usize] = Ends { newer: NIL, older: head };
        if head != NIL {
            self.get_mut(head).links[list as usize].newer = slot;
        }
    }

    pub(super) fn remove(&mut self, slot: u32) -> Member {
        let ends = self.get(slot).links;
        for list in [List::Entity, List::Kind, List::All, List::Name] {
            let Ends { newer, older } = ends[list as usize];
            if newer != NIL {
                self.get_mut(newer).links[list as usize].older = older;
            }
            if older != NIL {
                self.get_mut(older).links[list as usize].newer = newer;
            }
        }
        let member = self.slots[slot as usize].take().expect("the caller holds an occupied slot");
        self.free.push(slot);
        self.len -= 1;
        self.by_id.remove(&member.id);
        self.conditions.remove(&member.order);
        for mention in &member.mentioned {
            self.by_mention.remove(&(*mention, member.order));
        }
        let [entity, kind, all, name] = ends;
        if entity.newer == NIL && member.entity < ENTITIES_MAX {
            self.by_entity[member.entity as usize] = entity.older;
        }
        for (heads, key, Ends { newer, older }) in
            [(&mut self.by_kind, member.kind, kind), (&mut self.by_name, member.name, name)]
        {
            match older {
                _ if newer != NIL => {}
                NIL => drop(heads.remove(&key)),
                older => drop(heads.insert(key, older)),
            }
        }
        if all.newer == NIL {
            self.latest = all.older;
        }
        if all.older == NIL {
            self.oldest = all.newer;
        }
        member
    }
}

/// Cached neighbourhoods of the topology, nearest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Neighbourhoods {
    epoch: u64,
    lists: HashMap<u32, Box<[(u32, f32)]>, foldhash::fast::FixedState>,
    scratch: Vec<(u32, f32)>,
}

impl Neighbourhoods {
    /// The nearest `neighbours_max` entities around `entity`, by distance, then
    /// id. The cache holds `lists_max` lists and is emptied when full or when
    /// the topology has changed.
    pub(super) fn around(
        &mut self,
        entity: u32,
        (hops_max, neighbours_max, lists_max): (u8, usize, usize),
        distance: &impl Distance,
    ) -> &[(u32, f32)] {
        if self.epoch != distance.epoch() || self.lists.len() >= lists_max.max(1) {
            self.lists.clear();
            self.epoch = distance.epoch();
        }
        let scratch = &mut self.scratch;
        self.lists.entry(entity).or_insert_with(|| {
            scratch.clear();
            distance.within(entity, hops_max, scratch);
            scratch.retain(|&(other, _)| other != entity);
            scratch.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
            scratch.truncate(neighbours_max);
            scratch.as_slice().into()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::names::Names;
    use super::*;

    fn member(id: u64, entity: u32) -> Member {
        let view = AlertView {
            id,
            time_ns: id as i64,
            begins: Begins::Anywhere,
            kind: 7,
            entity,
            tokens: &[],
            names: Names::default(),
        };
        Member::of(&view, &TextModel::default())
    }

    fn entity_ids(members: &Members, entity: u32) -> Vec<u64> {
        let mut ids = Vec::new();
        let mut at = members.head_of_entity(entity);
        while at != NIL {
            ids.push(members.get(at).id);
            at = members.get(at).older(List::Entity);
        }
        ids
    }

    #[test]
    fn lists_give_the_latest_first_and_survive_removal_anywhere() {
        let mut members = Members::new();
        let slots: Vec<u32> = (0..5).map(|id| members.insert(member(id, 3))).collect();
        assert_eq!(entity_ids(&members, 3), [4, 3, 2, 1, 0]);
        members.remove(slots[4]);
        members.remove(slots[2]);
        members.remove(slots[0]);
        assert_eq!(entity_ids(&members, 3), [3, 1]);
        assert_eq!(members.in_order().map(|(_, m)| m.id).collect::<Vec<_>>(), [1, 3]);
        members.insert(member(9, 3));
        assert_eq!(entity_ids(&members, 3), [9, 3, 1]);
        assert_eq!(members.len(), 3);
    }

    #[test]
    fn an_alert_without_entity_is_in_no_entity_list() {
        let mut members = Members::new();
        let slot = members.insert(member(1, NO_ENTITY));
        assert_eq!(members.head_of_entity(NO_ENTITY), NIL);
        assert_eq!(members.remove(slot).id, 1);
        assert_eq!(members.latest(), NIL);
    }
}
