//! What is looked up across incidents, so that no look at one of them walks over all: with
//! thousands open, or thousands resolved and not yet closed, that would be the square of it.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_models::group::GroupId;

use super::incident::Incident;

/// Lists that follow from the incidents; kept when one is told, groups when they are bound.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    active: BTreeMap<u64, Filed>,
    by_root: BTreeMap<String, BTreeSet<u64>>,
    load: BTreeMap<String, u32>,
    groups: BTreeMap<u64, BTreeSet<GroupId>>,
}

/// Where an active incident is listed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Filed {
    root: String,
    assignee: String,
}

impl Filed {
    fn of(incident: &Incident) -> Filed {
        Filed {
            root: incident.told.as_ref().map(|told| told.root.clone()).unwrap_or_default(),
            assignee: incident.owner.as_ref().map(|owner| owner.assignee.clone()).unwrap_or_default(),
        }
    }
}

impl Index {
    /// Lists an incident as it is now; `None` when it is gone.
    pub(super) fn file(&mut self, number: u64, incident: Option<&Incident>) {
        let new = incident.filter(|incident| incident.is_active()).map(Filed::of);
        if self.active.get(&number) == new.as_ref() {
            return;
        }
        if let Some(old) = self.active.remove(&number) {
            self.strike(number, &old);
        }
        let Some(new) = new else {
            return;
        };
        if !new.root.is_empty() {
            self.by_root.entry(new.root.clone()).or_default().insert(number);
        }
        if !new.assignee.is_empty() {
            *self.load.entry(new.assignee.clone()).or_default() += 1;
        }
        self.active.insert(number, new);
    }

    fn strike(&mut self, number: u64, old: &Filed) {
        if let Some(others) = self.by_root.get_mut(&old.root) {
            others.remove(&number);
            if others.is_empty() {
                self.by_root.remove(&old.root);
            }
        }
        if let Some(count) = self.load.get_mut(&old.assignee) {
            *count -= 1;
            if *count == 0 {
                self.load.remove(&old.assignee);
            }
        }
    }

    /// A group leads to `number` now, and no longer to `before`.
    pub(super) fn bind(&mut self, group: GroupId, number: u64, before: Option<u64>) {
        if let Some(before) = before {
            self.unbind(group, before);
        }
        self.groups.entry(number).or_default().insert(group);
    }

    /// A group leads nowhere any more.
    pub(super) fn unbind(&mut self, group: GroupId, number: u64) {
        if let Some(groups) = self.groups.get_mut(&number) {
            groups.remove(&group);
            if groups.is_empty() {
                self.groups.remove(&number);
            }
        }
    }

    /// The groups that led to an incident that is gone.
    pub(super) fn take_groups(&mut self, number: u64) -> BTreeSet<GroupId> {
        self.groups.remove(&number).unwrap_or_default()
    }

    /// Numbers of the active incidents, in order.
    pub(super) fn active(&self) -> impl DoubleEndedIterator<Item = u64> + ExactSizeIterator {
        self.active.keys().copied()
    }

    /// Numbers of the active incidents whose first cause lies at `root`, in order.
    pub(super) fn at_root(&self, root: &str) -> impl Iterator<Item = u64> {
        self.by_root.get(root).into_iter().flatten().copied()
    }

    /// Whether an active incident besides `number` has told of a cause.
    pub(super) fn any_root_besides(&self, number: u64) -> bool {
        self.by_root.values().take(2).any(|some| some.iter().any(|other| *other != number))
    }

    /// Active incidents of each person.
    pub(super) fn load(&self) -> &BTreeMap<String, u32> {
        &self.load
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::Owner;
    use crate::ledger::incident::State;
    use crate::time::EventTime;

    fn active(assignee: &str) -> Incident {
        let mut incident = Incident::candidate(GroupId(1), EventTime(0), EventTime(0));
        incident.state = State::Open;
        incident.owner = Some(Owner { assignee: assignee.to_owned(), ..Owner::default() });
        incident
    }

    #[test]
    fn an_incident_is_listed_while_it_is_active_and_under_its_latest_owner() {
        let mut index = Index::default();
        let mut incident = active("ana");
        index.file(7, Some(&incident));
        index.file(7, Some(&incident));
        assert_eq!(index.load(), &BTreeMap::from([("ana".to_owned(), 1)]));
        incident.owner = Some(Owner { assignee: "bo".to_owned(), ..Owner::default() });
        index.file(7, Some(&incident));
        assert_eq!(index.load(), &BTreeMap::from([("bo".to_owned(), 1)]));
        assert_eq!(index.active().collect::<Vec<_>>(), [7]);
        incident.state = State::Resolved;
        index.file(7, Some(&incident));
        assert!(index.load().is_empty() && index.active().next().is_none());
    }

    #[test]
    fn groups_follow_the_incident_they_were_bound_to_last() {
        let mut index = Index::default();
        index.bind(GroupId(1), 7, None);
        index.bind(GroupId(1), 8, Some(7));
        index.bind(GroupId(2), 8, None);
        index.unbind(GroupId(2), 8);
        assert!(index.take_groups(7).is_empty());
        assert_eq!(index.take_groups(8), BTreeSet::from([GroupId(1)]));
    }
}
