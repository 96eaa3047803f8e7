//! What waits for the watermark, in slots of time.
//!
//! A busy tenant has seconds of signals waiting and takes a little out with every batch. In one
//! list each taking would look at (and move) everything that stays; with slots it looks at the
//! slots that are due, and splits at most the one that the watermark stands in. The idea is the
//! timing wheel of Varghese and Lauck (SOSP 1987), with an ordered map instead of a ring, for
//! signals may come from any time.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::time::EventTime;

/// Width of a slot in nanoseconds: short against the lateness, so that the split slot is small;
/// long enough that ordinary scrapes fill few.
const SLOT_NS: i64 = 20_000_000;

/// Something that waits for its time.
pub(crate) trait Timed {
    /// When it acts.
    fn time(&self) -> EventTime;

    /// About how many bytes it takes.
    fn bytes(&self) -> usize;
}

/// What waits, by slot of time; within a slot in order of arrival.
#[derive(Clone, Debug)]
pub(crate) struct Waiting<T> {
    slots: BTreeMap<i64, Vec<T>>,
    /// The slot last pushed to, kept out of the map: most signals follow one of the same slot.
    open: (i64, Vec<T>),
    len: usize,
    bytes: usize,
}

impl<T> Default for Waiting<T> {
    fn default() -> Self {
        Waiting { slots: BTreeMap::new(), open: (i64::MIN, Vec::new()), len: 0, bytes: 0 }
    }
}

fn slot_of(at: EventTime) -> i64 {
    at.0.div_euclid(SLOT_NS)
}

impl<T> Waiting<T> {
    /// How many lie in slots that begin before `until`: of the last of them, some may act later.
    pub(crate) fn due(&self, until: EventTime) -> usize {
        let last = slot_of(until);
        let open = if self.open.0 <= last { self.open.1.len() } else { 0 };
        open + self.slots.range(..=last).map(|(_, items)| items.len()).sum::<usize>()
    }
}

impl<T: Timed> Waiting<T> {
    pub(crate) fn push(&mut self, item: T) {
        let slot = slot_of(item.time());
        if slot != self.open.0 {
            let next = self.slots.remove(&slot).unwrap_or_default();
            let (before, items) = std::mem::replace(&mut self.open, (slot, next));
            if !items.is_empty() {
                self.slots.insert(before, items);
            }
        }
        self.len += 1;
        self.bytes += item.bytes();
        self.open.1.push(item);
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// About how many bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes out everything before `until`, slot by slot.
    pub(crate) fn take(&mut self, until: EventTime) -> Vec<T> {
        if self.len == 0 {
            return Vec::new();
        }
        let edge = slot_of(until);
        let mut due = self.room_before(edge);
        while let Some(entry) = self.slots.first_entry() {
            if *entry.key() > edge {
                break;
            }
            if *entry.key() == edge {
                let stay = split(entry.remove(), until, &mut due);
                if !stay.is_empty() {
                    self.slots.insert(edge, stay);
                }
                break;
            }
            gather(&mut due, entry.remove());
        }
        let (open, items) = &mut self.open;
        if *open < edge {
            gather(&mut due, std::mem::take(items));
        } else if *open == edge {
            *items = split(std::mem::take(items), until, &mut due);
        }
        self.len -= due.len();
        self.bytes -= due.iter().map(Timed::bytes).sum::<usize>();
        due
    }

    /// Room for the slots before `edge`, so that a storm is not moved again and again while it is
    /// gathered. None for a single slot: that is moved whole.
    fn room_before(&self, edge: i64) -> Vec<T> {
        let open = if self.open.0 < edge { self.open.1.len() } else { 0 };
        let lengths = self.slots.range(..edge).map(|(_, slot)| slot.len()).chain([open]);
        let (slots, items) =
            lengths.filter(|length| *length > 0).fold((0, 0), |(n, sum), length| (n + 1, sum + length));
        if slots > 1 { Vec::with_capacity(items) } else { Vec::new() }
    }

    /// Everything, slot by slot.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        let (open, items) = &self.open;
        let before = self.slots.range(..*open).flat_map(|(_, items)| items);
        let after = self.slots.range(*open..).flat_map(|(_, items)| items);
        before.chain(items).chain(after)
    }
}

/// Appends a slot; where no room was made, it is moved whole.
fn gather<T>(due: &mut Vec<T>, mut slot: Vec<T>) {
    if due.capacity() == 0 {
        *due = slot;
    } else {
        due.append(&mut slot);
    }
}

/// Moves what is before `until` to `due` and answers what stays.
fn split<T: Timed>(slot: Vec<T>, until: EventTime, due: &mut Vec<T>) -> Vec<T> {
    if slot.iter().all(|item| item.time() >= until) {
        return slot;
    }
    let (ready, stay): (Vec<T>, Vec<T>) = slot.into_iter().partition(|item| item.time() < until);
    gather(due, ready);
    stay
}

impl<T: Timed + Serialize> Serialize for Waiting<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let items: Vec<&T> = self.iter().collect();
        serializer.collect_seq(items)
    }
}

impl<'de, T: Timed + Deserialize<'de>> Deserialize<'de> for Waiting<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut waiting = Waiting::default();
        for item in Vec::<T>::deserialize(deserializer)? {
            waiting.push(item);
        }
        Ok(waiting)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    struct Item(i64, u32);

    impl Timed for Item {
        fn time(&self) -> EventTime {
            EventTime(self.0)
        }

        fn bytes(&self) -> usize {
            3
        }
    }

    fn sorted(mut items: Vec<Item>) -> Vec<Item> {
        items.sort_by_key(|item| (item.0, item.1));
        items
    }

    proptest! {
        /// Beside a plain list, over pushes and takings in any order.
        #[test]
        fn what_comes_out_is_what_a_plain_list_would_give(
            steps in prop::collection::vec((-3..40_i64, 0..SLOT_NS, any::<bool>()), 1..200),
        ) {
            let (mut waiting, mut list) = (Waiting::default(), Vec::new());
            for (number, (slot, within, takes)) in steps.into_iter().enumerate() {
                let at = slot * SLOT_NS + within;
                if takes {
                    let due = list.iter().filter(|item: &&Item| slot_of(item.time()) <= slot_of(EventTime(at)));
                    prop_assert_eq!(waiting.due(EventTime(at)), due.count());
                    let (ready, stay): (Vec<Item>, Vec<Item>) = list.into_iter().partition(|item: &Item| item.0 < at);
                    prop_assert_eq!(sorted(waiting.take(EventTime(at))), sorted(ready));
                    list = stay;
                } else {
                    let item = Item(at, number as u32);
                    waiting.push(item);
                    list.push(item);
                }
                prop_assert_eq!((waiting.len(), waiting.bytes()), (list.len(), 3 * list.len()));
            }
            let kept = postcard::to_stdvec(&waiting).expect("plain numbers");
            let mut back: Waiting<Item> = postcard::from_bytes(&kept).expect("just written");
            prop_assert_eq!(postcard::to_stdvec(&back).expect("plain numbers"), kept);
            prop_assert_eq!(sorted(back.take(EventTime::MAX)), sorted(list));
        }
    }
}
