//! How templates become one: by the values that one place has shown, or because one covers the other.

use super::class::Kind;
use super::cover::covers;
use super::store::{KEYS_MAX, Store};

impl Store {
    /// Merges as long as a place of the slot has shown enough values. Returns the root.
    pub(super) fn merge_from(&mut self, slot: u32) -> u32 {
        let mut root = slot;
        while let Some((place, mut group)) = self.ripe_place(root) {
            group.sort_by_key(|slot| self.slots[*slot as usize].born);
            for &member in &group {
                self.leave(member);
            }
            root = group[0];
            let keys = self.take_keys(&group);
            for &member in &group[1..] {
                self.absorb(root, member);
            }
            let template = &mut self.slots[root as usize];
            template.pieces[place].open_place();
            template.keys = keys;
            template.render();
            self.enter(root);
        }
        root
    }

    /// Makes `member` an alias of `root`, and takes over what it knew of its open pieces.
    fn absorb(&mut self, root: u32, member: u32) {
        let pieces = std::mem::take(&mut self.slots[member as usize].pieces);
        self.alias(root, member);
        for (own, other) in self.slots[root as usize].pieces.iter_mut().zip(pieces) {
            own.wild |= other.wild || (own.kind == Kind::Weak && own.text != other.text);
            if own.list != other.list {
                own.list = None;
            }
        }
    }

    /// Makes `member` an alias of `root`, which counts its lines from now on.
    fn alias(&mut self, root: u32, member: u32) {
        let alias = &mut self.slots[member as usize];
        alias.parent = root;
        alias.pieces = Vec::new();
        let lines = alias.lines;
        let children = std::mem::take(&mut alias.children);
        alias.text.clear();
        self.roots -= 1;
        if children > 0 {
            for slot in &mut self.slots {
                if slot.parent == member {
                    slot.parent = root;
                }
            }
        }
        let survivor = &mut self.slots[root as usize];
        survivor.children += 1 + children;
        survivor.lines += lines;
    }

    /// The oldest root whose text covers this one.
    pub(super) fn covering(&self, text: &str) -> Option<u32> {
        self.lengths.above(text).find(|&root| covers(&self.slots[root as usize].text, text))
    }

    /// Unites a root that is new or has changed with those that it covers or that cover it. Returns the root.
    pub(super) fn settle(&mut self, root: u32) -> u32 {
        let mut root = root;
        loop {
            let text = &self.slots[root as usize].text;
            let met = self.lengths.around(text).filter(|&other| other != root).find_map(|other| {
                let its = &self.slots[other as usize].text;
                let general = if covers(its, text) { other } else { root };
                (general == other || covers(text, its)).then_some((general, other))
            });
            let Some((general, other)) = met else { return root };
            root = self.unite(general, if general == root { other } else { root });
        }
    }

    /// Makes two roots one: the older slot and id, the pieces of the general one, the keys of both.
    fn unite(&mut self, general: u32, special: u32) -> u32 {
        self.leave(general);
        self.leave(special);
        let of = |store: &Self, slot: u32| store.slots[slot as usize].born;
        let (older, younger) =
            if of(self, general) < of(self, special) { (general, special) } else { (special, general) };
        let keys = self.take_keys(&[general, special]);
        if older == special {
            let template = &mut self.slots[general as usize];
            let (pieces, tail) = (std::mem::take(&mut template.pieces), std::mem::take(&mut template.tail));
            let tail_hash = template.tail_hash;
            let survivor = &mut self.slots[older as usize];
            (survivor.pieces, survivor.tail, survivor.tail_hash) = (pieces, tail, tail_hash);
            survivor.render();
        }
        self.slots[older as usize].keys = keys;
        self.alias(older, younger);
        self.enter(older);
        older
    }

    /// What templates that become one were known by, as many as one may have.
    fn take_keys(&mut self, slots: &[u32]) -> Vec<u64> {
        let mut keys = Vec::new();
        for &slot in slots {
            let template = &mut self.slots[slot as usize];
            keys.push(template.key());
            keys.append(&mut template.keys);
        }
        keys.truncate(KEYS_MAX);
        keys
    }

    /// A place of the root whose values are enough to call it a parameter.
    fn ripe_place(&self, root: u32) -> Option<(usize, Vec<u32>)> {
        let template = &self.slots[root as usize];
        template.places().find_map(|(at, place)| {
            let group = self.places.get(&place)?;
            let needed = if template.is_named(at) { self.rules.named_values_min } else { self.rules.values_min };
            (group.len() > 1 && 2 * needed <= self.evidence(group, at)).then(|| (at, group.clone()))
        })
    }

    /// Values of a place, in halves.
    fn evidence(&self, group: &[u32], at: usize) -> usize {
        group.iter().map(|&slot| self.slots[slot as usize].pieces[at].evidence()).sum()
    }
}
