//! The form in which a [`Grouper`] is saved: alerts in order of insertion, groups
//! in order of id, so that equal states save equally and a restored grouper goes
//! on exactly as before.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::evidence::GroupParams;
use super::grouper::{Group, Grouper};
use super::learned::CoOccurrence;
use super::tables::{Counters, Member};
use super::text::TextModel;
use super::view::GroupId;

/// The stable form of a [`Grouper`]: alerts in order of insertion.
#[derive(Serialize, Deserialize)]
struct SavedGrouper {
    params: GroupParams,
    members: Vec<(Member, GroupId)>,
    groups: Vec<(GroupId, i64, i64)>,
    text: TextModel,
    learned: CoOccurrence,
    counters: Counters,
    next_sweep_ns: i64,
    closed: Vec<GroupId>,
}

impl From<Grouper> for SavedGrouper {
    fn from(grouper: Grouper) -> Self {
        let save = |member: &Member| {
            // The slot of a group is no part of the state: a restored grouper numbers anew.
            let id = grouper.group_at(member.group).id;
            (Member { group: 0, ..member.clone() }, id)
        };
        let members = grouper.members.in_order().map(|(_, member)| save(member)).collect();
        let mut groups: Vec<(GroupId, i64, i64)> =
            grouper.groups.iter().flatten().map(|group| (group.id, group.first_ns, group.last_ns)).collect();
        groups.sort_unstable();
        Self {
            params: grouper.params,
            members,
            groups,
            text: grouper.text,
            learned: grouper.learned,
            counters: grouper.counters,
            next_sweep_ns: grouper.next_sweep_ns,
            closed: grouper.closed,
        }
    }
}

impl From<SavedGrouper> for Grouper {
    fn from(saved: SavedGrouper) -> Self {
        let mut grouper = Self::with_models(saved.params, saved.text, saved.learned);
        grouper.counters = saved.counters;
        grouper.next_sweep_ns = saved.next_sweep_ns;
        grouper.closed = saved.closed;
        for (id, first_ns, last_ns) in saved.groups {
            grouper.add_group(Group { id, first_ns, last_ns, members: Vec::new() });
        }
        for (member, id) in saved.members {
            // A checkpoint that names a group it does not hold is damaged; the alert is left out.
            let Some(group) = grouper.group_slot(id) else {
                continue;
            };
            let slot = grouper.members.insert(Member { group, ..member });
            grouper.group_at_mut(group).members.push(slot);
        }
        grouper
    }
}

impl Serialize for Grouper {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        SavedGrouper::from(self.clone()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Grouper {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        SavedGrouper::deserialize(deserializer).map(Self::from)
    }
}
