//! The changes a tenant made, and how likely each is to break things.
//!
//! Configuration drift is a change nobody planned: a tool that finds it reports it as one, and it
//! weighs as much as a change of configuration.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::precedent::Precedents;
use crate::memory::allocation;
use crate::symbols::Sym;
use crate::time::{EventTime, Span};

/// Onsets of alerts are told by tools that sample: a change this much after the first symptom
/// may still have come before the trouble.
pub(super) const ONSET_SLACK: Span = Span::from_mins(1);

/// A change the tenant made.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Change {
    pub(crate) at: EventTime,
    pub(crate) id: Box<str>,
    pub(crate) change_type: Box<str>,
    pub(crate) entity: Sym,
    pub(crate) artifact: Option<Box<str>>,
    pub(crate) who: Option<Box<str>>,
    pub(crate) url: Option<Box<str>>,
    pub(crate) text: Option<Box<str>>,
    /// Trouble has followed it, and that was counted.
    pub(crate) followed: bool,
}

impl Change {
    /// About how many bytes it takes.
    fn bytes(&self) -> usize {
        let texts = [&self.id, &self.change_type].into_iter();
        let others = [&self.artifact, &self.who, &self.url, &self.text].into_iter().flatten();
        size_of::<Change>() * 4 / 3 + texts.chain(others).map(|text| allocation(text.len())).sum::<usize>()
    }
}

/// The recent changes of one tenant, oldest first; bounded.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Changes {
    recent: VecDeque<Change>,
    /// About how many bytes they take.
    #[serde(skip)]
    bytes: usize,
    forgotten: u64,
    /// How often trouble followed changes of each type.
    pub(crate) precedents: Precedents,
}

/// Trouble this long after a change, where it was made, counts as having followed it.
const FOLLOWS_WITHIN: Span = Span::from_hours(1);

impl Changes {
    /// Remembers a change; a second word about the same id replaces the first. The oldest make room: there are
    /// at most `changes_max`, of `bytes_max` together.
    pub(super) fn add(&mut self, mut change: Change, changes_max: usize, bytes_max: usize) {
        match self.recent.iter().position(|known| known.id == change.id) {
            Some(at) => {
                let known = self.recent.remove(at);
                self.bytes -= known.as_ref().map_or(0, Change::bytes);
                change.followed = known.is_some_and(|known| known.followed);
            }
            None => self.precedents.made(&change.change_type),
        }
        self.bytes += change.bytes();
        self.recent.push_back(change);
        while self.recent.len() > changes_max || self.bytes > bytes_max {
            let Some(oldest) = self.recent.pop_front() else { break };
            self.bytes -= oldest.bytes();
            self.forgotten += 1;
        }
    }

    /// About how many bytes they take.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Rebuilds what a checkpoint leaves out.
    pub(crate) fn revive(&mut self) {
        self.bytes = self.recent.iter().map(Change::bytes).sum();
    }

    /// The changes within `window` before `until`, oldest first.
    pub(crate) fn before(&self, until: EventTime, window: Span) -> impl Iterator<Item = &Change> {
        let from = until.minus(window);
        self.recent.iter().filter(move |c| c.at >= from && c.at <= until)
    }

    /// All that are remembered, in the order in which they were told.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Change> {
        self.recent.iter()
    }

    /// Trouble was first seen at these entities at these times: which changes it followed counts
    /// for their types from now on.
    pub(super) fn learn(&mut self, onsets: &BTreeMap<Sym, EventTime>) {
        for change in self.recent.iter_mut().filter(|change| !change.followed) {
            let Some(onset) = onsets.get(&change.entity) else { continue };
            if change.at <= onset.plus(ONSET_SLACK) && change.at >= onset.minus(FOLLOWS_WITHIN) {
                change.followed = true;
                self.precedents.followed(&change.change_type);
            }
        }
    }

    /// How likely a change is to break things: by the words of its type, corrected by how often
    /// trouble followed changes of this type here.
    pub(crate) fn weight(&self, change_type: &str) -> f64 {
        (change_weight(change_type) * self.precedents.factor(change_type)).min(1.0)
    }

    pub(crate) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    pub(crate) fn len(&self) -> usize {
        self.recent.len()
    }
}

/// How likely a change of this type breaks things, before anything is known: network and
/// configuration changes lead the post-mortems, then deployments; removals and flags follow.
fn change_weight(change_type: &str) -> f64 {
    let lower = change_type.to_ascii_lowercase();
    let has = |word: &str| lower.contains(word);
    if has("config") || has("drift") || has("network") || has("firewall") {
        0.9
    } else if has("deployed") || has("upgraded") || has("rolledback") || has("schema") {
        0.8
    } else if has("removed") || has("flag") || has("scaled") {
        0.6
    } else {
        0.4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATABASE: Sym = Sym(1);
    const SHOP: Sym = Sym(2);

    fn change(id: &str, change_type: &str, entity: Sym, minute: i64) -> Change {
        let at = EventTime::from_secs(minute * 60);
        let (id, change_type) = (id.into(), change_type.into());
        Change { at, id, change_type, entity, artifact: None, who: None, url: None, text: None, followed: false }
    }

    #[test]
    fn changes_that_trouble_followed_where_they_were_made_make_their_type_weigh_more() {
        let mut changes = Changes::default();
        for day in 0..10 {
            let noon = day * 1_440 + 720;
            changes.add(change(&format!("schema-{day}"), "schema", DATABASE, noon), 1_000, usize::MAX);
            changes.add(change(&format!("deployed-{day}"), "deployed", SHOP, noon), 1_000, usize::MAX);
            let onset = EventTime::from_secs((noon + 5) * 60);
            // The shop has trouble two hours after its deployment: too late to have followed it.
            changes.learn(&BTreeMap::from([(DATABASE, onset), (SHOP, onset.plus(Span::from_hours(2)))]));
        }
        assert!(changes.weight("schema") > changes.weight("deployed"));
        assert!((change_weight("schema") - change_weight("deployed")).abs() < 1e-12, "by their words they are equal");
        let record = changes.precedents.of("schema").expect("ten were made");
        assert_eq!((record.made, record.followed), (10.0, 10.0));
        assert_eq!(changes.precedents.of("deployed").map(|record| record.followed), Some(0.0));
    }

    #[test]
    fn a_change_that_is_told_again_counts_once() {
        let mut changes = Changes::default();
        let onsets = BTreeMap::from([(DATABASE, EventTime::from_secs(120))]);
        for _ in 0..3 {
            changes.add(change("schema-1", "schema", DATABASE, 1), 1_000, usize::MAX);
            changes.learn(&onsets);
        }
        let record = changes.precedents.of("schema").expect("one was made");
        assert_eq!((record.made, record.followed), (1.0, 1.0));
    }
}
