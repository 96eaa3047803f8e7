//! The incremental grouper.
//!
//! A new alert is compared with the active alerts nearest to it: on its own
//! entity and around it in the topology, of its type, and the latest of all.
//! Its score against a group is the mean of its best links into it. It joins
//! the best group above the threshold or opens one; groups that it links
//! firmly, above the merge threshold, become one under the older id. A repeat
//! of an alert refreshes it and costs one look-up.

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use super::evidence::{Evidence, GroupParams, Proximity};
use super::learned::CoOccurrence;
use super::search::{Pair, Search};
use super::tables::{Counters, Distance, Member, Members, NO_ENTITY, Neighbourhoods};
use super::text::TextModel;
use super::view::{AlertView, GroupId};

/// The share of the member limit freed at once when it is reached.
const EVICT_SHARE: usize = 16;

/// Where an alert went, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    /// Its group now.
    pub group: GroupId,
    /// False for a repeat of an alert that was already there.
    pub fresh: bool,
    /// Whether it opened the group.
    pub opened: bool,
    /// Score against the group, 0..1; 0 when it opened one.
    pub score: f64,
    /// Evidence of its best link into the group.
    pub evidence: Evidence,
    /// The alert at the other end of that link.
    pub linked_to: Option<u64>,
    /// Groups that this alert joined to `group`; their ids are gone.
    pub merged: Vec<GroupId>,
    /// The best group it did not join.
    pub runner_up: Option<RunnerUp>,
}

/// The best group that an alert did not join.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RunnerUp {
    /// That group.
    pub group: GroupId,
    /// Score against it, 0..1.
    pub score: f64,
    /// Evidence of the best link into it.
    pub evidence: Evidence,
}

/// One open group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupSummary {
    /// Its name.
    pub id: GroupId,
    /// Active alerts in it.
    pub alerts: usize,
    /// First onset in nanoseconds.
    pub first_ns: i64,
    /// Latest news in nanoseconds.
    pub last_ns: i64,
}

/// One open group in the tables.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Group {
    pub(super) id: GroupId,
    pub(super) first_ns: i64,
    pub(super) last_ns: i64,
    pub(super) members: Vec<u32>,
}

/// The score of an alert against one group.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct GroupScore {
    pub(super) group: u32,
    pub(super) score: f64,
    pub(super) best: Pair,
}

/// Groups alerts as they come; see the module.
#[derive(Clone, Debug)]
pub struct Grouper {
    pub(super) params: GroupParams,
    pub(super) members: Members,
    pub(super) groups: Vec<Option<Group>>,
    free_groups: Vec<u32>,
    group_of: HashMap<GroupId, u32, foldhash::fast::FixedState>,
    pub(super) text: TextModel,
    pub(super) learned: CoOccurrence,
    pub(super) counters: Counters,
    pub(super) next_sweep_ns: i64,
    pub(super) closed: Vec<GroupId>,
    neighbourhoods: Neighbourhoods,
    seen: Vec<u32>,
    stamp: u32,
    pairs: Vec<Pair>,
}

impl Grouper {
    /// An empty grouper.
    #[must_use]
    pub fn new(params: GroupParams) -> Self {
        Self::with_models(params, TextModel::default(), CoOccurrence::default())
    }

    /// Other weights, scales and limits from now on; groups that are there stay as they are.
    pub fn set_params(&mut self, params: GroupParams) {
        if params != self.params {
            self.neighbourhoods = Neighbourhoods::default();
            self.params = params;
        }
    }

    /// A grouper with learned text frequencies and co-occurrences.
    #[must_use]
    pub fn with_models(params: GroupParams, text: TextModel, learned: CoOccurrence) -> Self {
        Self {
            params,
            members: Members::new(),
            groups: Vec::new(),
            free_groups: Vec::new(),
            group_of: HashMap::default(),
            text,
            learned,
            counters: Counters::default(),
            next_sweep_ns: i64::MIN,
            closed: Vec::new(),
            neighbourhoods: Neighbourhoods::default(),
            seen: Vec::new(),
            stamp: 0,
            pairs: Vec::new(),
        }
    }

    /// The settings.
    #[must_use]
    pub fn params(&self) -> &GroupParams {
        &self.params
    }

    /// What has been done and shed so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The learned co-occurrences, to teach them from closed incidents or feedback.
    pub fn learned_mut(&mut self) -> &mut CoOccurrence {
        &mut self.learned
    }

    /// Active alerts.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether no alert is active.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.len() == 0
    }

    /// The open groups in order of their ids.
    #[must_use]
    pub fn groups(&self) -> Vec<GroupSummary> {
        let mut out: Vec<GroupSummary> = self.groups.iter().flatten().map(summary).collect();
        out.sort_by_key(|group| group.id);
        out
    }

    /// One open group.
    #[must_use]
    pub fn group(&self, id: GroupId) -> Option<GroupSummary> {
        let slot = *self.group_of.get(&id)?;
        self.groups[slot as usize].as_ref().map(summary)
    }

    /// The group of an active alert.
    #[must_use]
    pub fn group_of(&self, alert: u64) -> Option<GroupId> {
        let slot = self.members.slot_of(alert)?;
        Some(self.group_at(self.members.get(slot).group).id)
    }

    /// The type of an active alert.
    #[must_use]
    pub fn kind_of(&self, alert: u64) -> Option<u32> {
        Some(self.members.get(self.members.slot_of(alert)?).kind)
    }

    /// Whether the text of one active alert names the entity of another.
    #[must_use]
    pub fn mentions(&self, by: u64, of: u64) -> bool {
        let (Some(by), Some(of)) = (self.members.slot_of(by), self.members.slot_of(of)) else {
            return false;
        };
        self.params.mention > 0.0 && self.members.get(by).mentioned.contains(&self.members.get(of).name)
    }

    /// Every pair that a new alert would be compared with, and its evidence, without taking the
    /// alert in: what weights are learned from. In order of the other's id.
    pub fn compared(&mut self, alert: &AlertView<'_>, distance: &impl Distance) -> Vec<(u64, Evidence)> {
        let member = Member::of(alert, &self.text);
        let mut pairs = Vec::new();
        self.compare(&member, distance, &mut pairs);
        let mut out: Vec<(u64, Evidence)> =
            pairs.iter().map(|pair| (self.members.get(pair.slot).id, pair.evidence)).collect();
        out.sort_by_key(|(other, _)| *other);
        out
    }

    /// The active alerts of a group in order of their ids.
    #[must_use]
    pub fn alerts_of(&self, id: GroupId) -> Vec<u64> {
        let Some(slot) = self.group_of.get(&id) else {
            return Vec::new();
        };
        let mut ids: Vec<u64> = self.group_at(*slot).members.iter().map(|slot| self.members.get(*slot).id).collect();
        ids.sort_unstable();
        ids
    }

    /// Takes alerts of one stretch of time in the canonical order (time, id),
    /// so that their order in `alerts` does not matter; results are in that
    /// canonical order, with the alert's id.
    pub fn assign_batch(
        &mut self,
        alerts: &mut [AlertView<'_>],
        distance: &impl Distance,
        out: &mut Vec<(u64, Assignment)>,
    ) {
        alerts.sort_by_key(|alert| (alert.time_ns, alert.id));
        out.extend(alerts.iter().map(|alert| (alert.id, self.assign(alert, distance))));
    }

    /// Puts one alert into a group. Alerts come in order of time, equal times
    /// in order of id.
    pub fn assign(&mut self, alert: &AlertView<'_>, distance: &impl Distance) -> Assignment {
        self.counters.alerts += 1;
        if alert.time_ns >= self.next_sweep_ns {
            self.close_quiet(alert.time_ns);
        }
        if let Some(slot) = self.members.slot_of(alert.id) {
            return self.refresh(slot, alert.time_ns);
        }
        self.make_room();
        self.text.observe(alert.tokens, alert.names.mentioned);
        let member = Member::of(alert, &self.text);
        let mut pairs = std::mem::take(&mut self.pairs);
        self.compare(&member, distance, &mut pairs);
        let scores = self.group_scores(&mut pairs);
        self.pairs = pairs;
        self.place(member, &scores, distance)
    }

    /// Closes the groups that have been quiet at `now_ns`; their alerts leave
    /// the tables. Runs by itself as alerts come; call it when time passes
    /// without any. The ids are given by [`take_closed`](Self::take_closed).
    pub fn close_quiet(&mut self, now_ns: i64) {
        let step = (self.params.quiet_ns / 4).max(1);
        self.next_sweep_ns = now_ns.saturating_add(step);
        let oldest = now_ns.saturating_sub(self.params.quiet_ns);
        for slot in 0..self.groups.len() as u32 {
            let quiet = self.groups[slot as usize].as_ref().is_some_and(|group| group.last_ns < oldest);
            if quiet {
                self.close(slot);
            }
        }
        self.closed.sort_unstable();
    }

    /// Ids of groups closed since the last call, for the owner of incidents.
    pub fn take_closed(&mut self) -> Vec<GroupId> {
        std::mem::take(&mut self.closed)
    }

    /// Takes an alert out (it has resolved); an emptied group is gone. Returns
    /// its group, `None` when it was not active.
    pub fn remove(&mut self, alert: u64) -> Option<GroupId> {
        let slot = self.members.slot_of(alert)?;
        Some(self.remove_slot(slot))
    }

    pub(super) fn group_at(&self, slot: u32) -> &Group {
        self.groups[slot as usize].as_ref().expect("members name occupied groups")
    }

    pub(super) fn group_slot(&self, id: GroupId) -> Option<u32> {
        self.group_of.get(&id).copied()
    }

    pub(super) fn group_at_mut(&mut self, slot: u32) -> &mut Group {
        self.groups[slot as usize].as_mut().expect("members name occupied groups")
    }

    fn refresh(&mut self, slot: u32, time_ns: i64) -> Assignment {
        self.counters.repeats += 1;
        let member = self.members.get_mut(slot);
        member.last_ns = member.last_ns.max(time_ns);
        member.count = member.count.saturating_add(1);
        let group = member.group;
        let group = self.group_at_mut(group);
        group.last_ns = group.last_ns.max(time_ns);
        Assignment {
            group: group.id,
            fresh: false,
            opened: false,
            score: 1.0,
            evidence: Evidence::default(),
            linked_to: None,
            merged: Vec::new(),
            runner_up: None,
        }
    }

    /// Compares a new alert with at most `pairs_max` active ones: named in its
    /// text or naming it first, then nearest in the topology, then the latest of its type, then the
    /// latest of all.
    pub(super) fn compare(&mut self, alert: &Member, distance: &impl Distance, pairs: &mut Vec<Pair>) {
        pairs.clear();
        self.stamp = self.stamp.wrapping_add(1);
        self.seen.resize(self.members.slot_count(), self.stamp.wrapping_sub(1));
        let known = alert.entity != NO_ENTITY && distance.knows(alert.entity);
        let limits = (self.params.hops_max, self.params.neighbours_max, self.params.neighbourhoods_max);
        let around: &[(u32, f32)] =
            if known { self.neighbourhoods.around(alert.entity, limits, distance) } else { &[] };
        let mut search = Search {
            params: &self.params,
            members: &self.members,
            learned: &self.learned,
            text: &self.text,
            seen: &mut self.seen,
            stamp: self.stamp,
            alert,
            delay_s: &|a, b| distance.delay_s(a, b),
            pairs,
        };
        let proximity_of = |entity| {
            if entity == alert.entity && entity != NO_ENTITY {
                return Proximity::Near(0.0);
            }
            if !distance.exists() {
                return Proximity::Absent;
            }
            let near = around.iter().find(|(other, _)| *other == entity);
            near.map_or_else(|| far_apart(distance, alert.entity, entity), |(_, far)| Proximity::Near(f64::from(*far)))
        };
        search.named(proximity_of);
        if alert.entity != NO_ENTITY {
            search.entity(alert.entity, Proximity::Near(0.0));
            for &(other, far) in around {
                if search.full() {
                    break;
                }
                search.entity(other, Proximity::Near(f64::from(far)));
            }
        }
        search.others(proximity_of);
        self.counters.pairs += pairs.len() as u64;
    }

    /// Scores per group, best first; equal scores by the group's id.
    fn group_scores(&self, pairs: &mut [Pair]) -> Vec<GroupScore> {
        let id_of = |pair: &Pair| self.members.get(pair.slot).id;
        pairs.sort_by(|a, b| a.group.cmp(&b.group).then(b.score.total_cmp(&a.score)).then(id_of(a).cmp(&id_of(b))));
        let mut scores: Vec<GroupScore> =
            pairs.chunk_by(|a, b| a.group == b.group).map(|links| self.group_score(links, false)).collect();
        scores.sort_by(|a, b| {
            let ids = || self.group_at(a.group).id.cmp(&self.group_at(b.group).id);
            b.score.total_cmp(&a.score).then_with(ids)
        });
        scores
    }

    /// Mean of the best links into one group; `links` are its pairs, best first.
    /// A group smaller than the mean asks for is judged by what it has, without
    /// the alert itself when that is `inside`.
    pub(super) fn group_score(&self, links: &[Pair], inside: bool) -> GroupScore {
        let best = links[0];
        let size = self.group_at(best.group).members.len() - usize::from(inside);
        let wanted = self.params.links_mean.clamp(1, size.max(1));
        let sum: f64 = links.iter().take(wanted).map(|pair| pair.score).sum();
        GroupScore { group: best.group, score: sum / wanted as f64, best }
    }

    fn place(&mut self, member: Member, scores: &[GroupScore], distance: &impl Distance) -> Assignment {
        let mut taken: Vec<GroupScore> = Vec::new();
        for score in scores {
            let wanted = if taken.is_empty() { self.params.threshold } else { self.params.merge_threshold };
            if score.score < wanted {
                break;
            }
            let apart = |other: &GroupScore| self.two_faults(other.group, score.group, distance).is_some();
            if self.against(&member, score.group, distance).is_none() && !taken.iter().any(apart) {
                taken.push(*score);
            }
        }
        let is_left = |score: &&GroupScore| !taken.iter().any(|taken| taken.group == score.group);
        let passed_over = scores.iter().find(is_left).map(|score| (self.group_at(score.group).id, *score));
        let (joined, merging) = match taken.split_first() {
            Some((joined, merging)) => (Some(*joined), merging),
            None => (None, taken.as_slice()),
        };
        let linked_to = joined.map(|score| self.members.get(score.best.slot).id);
        let time_ns = member.onset_ns;
        let (group, opened) = match joined {
            Some(score) => (score.group, false),
            None => (self.open(&member), true),
        };
        let (group, merged) = self.merge_all(group, merging);
        let slot = self.members.insert(Member { group, ..member });
        let entry = self.group_at_mut(group);
        entry.members.push(slot);
        entry.last_ns = entry.last_ns.max(time_ns);
        Assignment {
            group: entry.id,
            fresh: true,
            opened,
            score: joined.map_or(0.0, |score| score.score),
            evidence: joined.map_or(Evidence::default(), |score| score.best.evidence),
            linked_to,
            merged,
            runner_up: passed_over.map(|(group, score)| RunnerUp {
                group,
                score: score.score,
                evidence: score.best.evidence,
            }),
        }
    }

    fn open(&mut self, first: &Member) -> u32 {
        self.counters.opened += 1;
        let id = self.new_id(first.id, first.onset_ns);
        let group = Group { id, first_ns: first.onset_ns, last_ns: first.last_ns, members: Vec::new() };
        self.add_group(group)
    }

    /// A name from the first alert; in the unlikely clash the next free number.
    pub(super) fn new_id(&self, alert: u64, onset_ns: i64) -> GroupId {
        let mut bytes = [0_u8; 16];
        bytes[..8].copy_from_slice(&alert.to_le_bytes());
        bytes[8..].copy_from_slice(&onset_ns.to_le_bytes());
        let mut id = xxhash_rust::xxh3::xxh3_64(&bytes);
        while self.group_of.contains_key(&GroupId(id)) {
            id = id.wrapping_add(1);
        }
        GroupId(id)
    }

    pub(super) fn add_group(&mut self, group: Group) -> u32 {
        let id = group.id;
        let slot = match self.free_groups.pop() {
            Some(slot) => {
                self.groups[slot as usize] = Some(group);
                slot
            }
            None => {
                self.groups.push(Some(group));
                (self.groups.len() - 1) as u32
            }
        };
        self.group_of.insert(id, slot);
        slot
    }

    /// Merges groups into the one that began first (then by id); returns its
    /// slot and the ids that are gone, in order. The larger member list is kept
    /// in place, so a merge costs no more than the smaller group.
    fn merge_all(&mut self, first: u32, others: &[GroupScore]) -> (u32, Vec<GroupId>) {
        let mut kept = first;
        let mut gone = Vec::with_capacity(others.len());
        for other in others {
            let (mut into, mut from) = (kept, other.group);
            if self.group_at(from).members.len() > self.group_at(into).members.len() {
                std::mem::swap(&mut into, &mut from);
            }
            let absorbed = self.groups[from as usize].take().expect("scores name occupied groups");
            self.free_groups.push(from);
            for slot in &absorbed.members {
                self.members.get_mut(*slot).group = into;
            }
            let survivor = self.group_at_mut(into);
            let older = (absorbed.first_ns, absorbed.id) < (survivor.first_ns, survivor.id);
            let (keep_id, drop_id) = if older { (absorbed.id, survivor.id) } else { (survivor.id, absorbed.id) };
            survivor.id = keep_id;
            survivor.first_ns = survivor.first_ns.min(absorbed.first_ns);
            survivor.last_ns = survivor.last_ns.max(absorbed.last_ns);
            survivor.members.extend(absorbed.members);
            self.group_of.remove(&drop_id);
            self.group_of.insert(keep_id, into);
            self.counters.merged += 1;
            gone.push(drop_id);
            kept = into;
        }
        gone.sort_unstable();
        (kept, gone)
    }

    fn close(&mut self, slot: u32) {
        let Some(group) = self.groups[slot as usize].take() else {
            return;
        };
        for member in &group.members {
            self.members.remove(*member);
        }
        self.group_of.remove(&group.id);
        self.free_groups.push(slot);
        self.counters.closed += 1;
        self.closed.push(group.id);
    }

    fn remove_slot(&mut self, slot: u32) -> GroupId {
        let member = self.members.remove(slot);
        let group = self.group_at_mut(member.group);
        let id = group.id;
        let position = group.members.iter().position(|other| *other == slot);
        group.members.swap_remove(position.expect("a member is listed in its group"));
        if group.members.is_empty() {
            self.groups[member.group as usize] = None;
            self.group_of.remove(&id);
            self.free_groups.push(member.group);
        }
        id
    }

    /// Evicts the longest unheard alerts when the table is full.
    fn make_room(&mut self) {
        if self.members.len() < self.params.members_max.max(1) {
            return;
        }
        let mut order: Vec<(i64, u64, u32)> =
            self.members.in_order().map(|(slot, member)| (member.last_ns, member.id, slot)).collect();
        let count = (order.len() / EVICT_SHARE).max(1);
        order.select_nth_unstable(count - 1);
        order.truncate(count);
        order.sort_unstable();
        for (_, _, slot) in order {
            self.remove_slot(slot);
            self.counters.evicted += 1;
        }
    }

    /// Splits a group into parts given by their alerts: the first keeps the id,
    /// each other gets a new one. Used with [`components`](Self::components).
    pub(super) fn move_out(&mut self, from: u32, slots: &[u32]) -> GroupId {
        let first = slots
            .iter()
            .map(|slot| self.members.get(*slot))
            .min_by_key(|member| (member.onset_ns, member.id))
            .expect("a part has alerts");
        let (id, first_ns) = (self.new_id(first.id, first.onset_ns), first.onset_ns);
        let last_ns = slots.iter().map(|slot| self.members.get(*slot).last_ns).max().unwrap_or(first_ns);
        let to = self.add_group(Group { id, first_ns, last_ns, members: slots.to_vec() });
        for slot in slots {
            self.members.get_mut(*slot).group = to;
        }
        let old = self.group_at_mut(from);
        old.members.retain(|slot| !slots.contains(slot));
        id
    }
}

/// Where two entities stand to each other that no way within the search joins.
pub(super) fn far_apart(distance: &impl Distance, a: u32, b: u32) -> Proximity {
    if a == NO_ENTITY || b == NO_ENTITY {
        return Proximity::Unknown;
    }
    let known = distance.knows(a) && distance.knows(b);
    match (distance.part(a), distance.part(b)) {
        (Some(own), Some(other)) if own != other => Proximity::Apart,
        (Some(_), Some(_)) if !known => Proximity::Part,
        _ if known => Proximity::Beyond,
        _ => Proximity::Unknown,
    }
}

fn summary(group: &Group) -> GroupSummary {
    GroupSummary { id: group.id, alerts: group.members.len(), first_ns: group.first_ns, last_ns: group.last_ns }
}

#[cfg(test)]
mod tests;
