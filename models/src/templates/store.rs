//! All templates of a miner: slots, look-up by key, merging and eviction.
//!
//! Invariants: a slot in `index` is live; the parent of a slot is an older one; the key of
//! a live root is the sum over its pieces, so that opening one place is O(1). `index`,
//! `places` and `open` are functions of the slots, rebuilt after a restart: equal slots
//! give equal answers.

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use super::class::Kind;
use super::cover::Lengths;
use super::element::Element;
use super::lexer::{Lexer, mix};
use super::template::{KEY_BYTES, Piece, Template, blanks_folded, bucket_of, heads, key_of, list_end, list_is, piece};

/// No slot.
pub(super) const NONE: u32 = u32::MAX;

/// How merging decides; a copy of the checked parameters.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Rules {
    pub templates_max: usize,
    pub values_min: usize,
    pub named_values_min: usize,
}

/// Most further keys a template remembers; beyond it, lines take the longer way.
pub(super) const KEYS_MAX: usize = 64;

/// All templates of one miner.
#[derive(Debug, Clone)]
pub(super) struct Store {
    pub rules: Rules,
    pub slots: Vec<Template>,
    pub born: u64,
    pub evicted: u64,
    hand: usize,
    pub(super) roots: usize,
    /// What the roots hold beside their slots, see [`Template::bytes`].
    bytes: usize,
    index: HashMap<u64, u32, foldhash::fast::FixedState>,
    /// Key with one place left out → the roots that share it.
    pub(super) places: HashMap<u64, Vec<u32>, foldhash::fast::FixedState>,
    /// Pieces and first hash → roots with places opened by merging, oldest first.
    open: HashMap<u64, Vec<u32>, foldhash::fast::FixedState>,
    /// Roots by how many words their text has.
    pub(super) lengths: Lengths,
}

/// What is serialised of a [`Store`].
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoreState {
    rules: Rules,
    slots: Vec<Template>,
    born: u64,
    evicted: u64,
    hand: u64,
}

impl Store {
    pub(super) fn new(rules: Rules) -> Self {
        Self {
            rules,
            slots: Vec::new(),
            born: 0,
            evicted: 0,
            hand: 0,
            roots: 0,
            bytes: 0,
            index: HashMap::default(),
            places: HashMap::default(),
            open: HashMap::default(),
            lengths: Lengths::default(),
        }
    }

    /// The live templates, without those merged into another.
    pub(super) fn roots(&self) -> impl Iterator<Item = &Template> {
        self.slots.iter().filter(|template| template.live && template.parent == NONE)
    }

    /// How many live templates there are, without those merged into another.
    pub(super) fn len(&self) -> usize {
        self.roots
    }

    /// About how many bytes it all takes: what follows from the templates alone, spare room counted.
    pub(super) fn bytes(&self) -> usize {
        self.slots.len() * size_of::<Template>() * 5 / 4 + self.bytes
    }

    /// The slot that stands for this one after merges.
    pub(super) fn resolve(&self, slot: u32) -> u32 {
        let mut at = slot;
        while let Some(template) = self.slots.get(at as usize) {
            if template.parent == NONE || !template.live {
                break;
            }
            at = template.parent;
        }
        at
    }

    /// Counts one more line on a root.
    pub(super) fn count(&mut self, slot: u32) {
        let template = &mut self.slots[slot as usize];
        template.seen = true;
        template.lines += 1;
    }

    /// Finds or makes the template of a lexed line. Returns its root and whether it is new.
    pub(super) fn learn(&mut self, line: &str, lexer: &Lexer) -> (u32, bool) {
        let tail = super::lexer::gap_hash(line.as_bytes()[lexer.tail as usize..].trim_ascii_end());
        let key = key_of(heads(&lexer.elements).map(|element| element.hash), tail);
        if let Some(&slot) = self.index.get(&key) {
            let root = self.resolve(slot);
            if self.fits(root, lexer, tail) {
                return (self.refine(root, line, lexer), false);
            }
            // A line of other elements that the template covers: its key was remembered.
            if self.slots[root as usize].keys.contains(&key) {
                return (root, false);
            }
        }
        if let Some(root) = self.find_open(lexer, tail) {
            self.remember_key(root, key);
            return (self.refine(root, line, lexer), false);
        }
        let made = self.made(line, lexer, tail);
        if let Some(root) = self.covering(&made.text) {
            self.remember_key(root, key);
            return (root, false);
        }
        let slot = self.create(made, key);
        self.enter(slot);
        let root = self.merge_from(slot);
        (self.settle(root), true)
    }

    /// Whether each element fits its piece.
    pub(super) fn fits(&self, slot: u32, lexer: &Lexer, tail: u64) -> bool {
        let template = &self.slots[slot as usize];
        let mut pieces = template.pieces.iter();
        let fit = heads(&lexer.elements).all(|element| {
            pieces.next().is_some_and(|piece| piece.hash == element.hash || (piece.wild && piece.open == element.open))
        });
        fit && pieces.next().is_none() && template.tail_hash == tail && template.live
    }

    fn find_open(&self, lexer: &Lexer, tail: u64) -> Option<u32> {
        let bucket = bucket_of(heads(&lexer.elements).map(|element| element.hash))?;
        self.open.get(&bucket)?.iter().copied().find(|&root| self.fits(root, lexer, tail))
    }

    fn remember_key(&mut self, root: u32, key: u64) {
        let template = &mut self.slots[root as usize];
        if template.keys.len() < KEYS_MAX && !self.index.contains_key(&key) {
            template.keys.push(key);
            self.bytes += KEY_BYTES;
            self.index.insert(key, root);
        }
    }

    /// Opens weak pieces that differ, and lists whose length differs. Returns the root, which may have met another.
    fn refine(&mut self, root: u32, line: &str, lexer: &Lexer) -> u32 {
        let template = &self.slots[root as usize];
        let opened = |(piece, element): (&Piece, &Element)| {
            let text = &line[element.start as usize..element.end as usize];
            piece.kind == Kind::Weak && !piece.wild && piece.text != text
        };
        let weak = template.pieces.iter().zip(heads(&lexer.elements)).any(opened);
        let mut at = 0;
        let lists = template.pieces.iter().any(|piece| {
            let end = list_end(&lexer.elements, at);
            let rest = &lexer.elements[at + 1..end];
            at = end;
            piece.list.as_ref().is_some_and(|shown| !list_is(shown, line, rest))
        });
        if !weak && !lists {
            return root;
        }
        // Its places depend on which pieces are open: they are looked up by what they were.
        self.leave(root);
        let template = &mut self.slots[root as usize];
        let mut at = 0;
        for piece in &mut template.pieces {
            let end = list_end(&lexer.elements, at);
            piece.wild |= opened((piece, &lexer.elements[at]));
            if piece.list.as_ref().is_some_and(|shown| !list_is(shown, line, &lexer.elements[at + 1..end])) {
                piece.list = None;
            }
            at = end;
        }
        template.render();
        self.enter(root);
        self.settle(root)
    }

    /// The template of a line, not yet in a slot.
    fn made(&self, line: &str, lexer: &Lexer, tail: u64) -> Template {
        let mut template = Template {
            parent: NONE,
            tail: blanks_folded(&line[lexer.tail as usize..]),
            tail_hash: tail,
            live: true,
            seen: true,
            ..Template::default()
        };
        let mut at = 0;
        while at < lexer.elements.len() {
            let end = list_end(&lexer.elements, at);
            template.pieces.push(piece(line, &lexer.elements[at..end]));
            at = end;
        }
        template.render();
        template
    }

    fn create(&mut self, mut template: Template, key: u64) -> u32 {
        let slot = self.free_slot();
        template.generation = self.slots[slot as usize].generation;
        template.born = self.born;
        self.born += 1;
        // The first text and key: the same id wherever the template is found by such a line.
        template.id = mix(xxhash_rust::xxh3::xxh3_64(template.text.as_bytes()), key);
        self.slots[slot as usize] = template;
        self.roots += 1;
        slot
    }

    /// Enters a root into the look-up tables.
    pub(super) fn enter(&mut self, slot: u32) {
        let template = &self.slots[slot as usize];
        self.bytes += template.bytes();
        self.lengths.enter(&template.text, template.born, slot);
        self.index.insert(template.key(), slot);
        for key in &template.keys {
            self.index.insert(*key, slot);
        }
        if template.pieces.iter().any(|piece| piece.wild && piece.kind == Kind::Word)
            && let Some(bucket) = template.bucket()
        {
            let slots = &self.slots;
            let roots = self.open.entry(bucket).or_default();
            roots.push(slot);
            roots.sort_by_key(|root| slots[*root as usize].born);
        }
        self.enter_places(slot);
    }

    fn enter_places(&mut self, slot: u32) {
        for (_, place) in self.slots[slot as usize].places() {
            self.places.entry(place).or_default().push(slot);
        }
    }

    fn leave_places(&mut self, slot: u32) {
        for (_, place) in self.slots[slot as usize].places() {
            remove_from(&mut self.places, place, slot);
        }
    }

    /// Takes a root out of the look-up tables.
    pub(super) fn leave(&mut self, slot: u32) {
        let template = &self.slots[slot as usize];
        self.bytes -= template.bytes();
        self.lengths.leave(&template.text, template.born);
        for key in template.keys.iter().copied().chain([template.key()]) {
            if self.index.get(&key) == Some(&slot) {
                self.index.remove(&key);
            }
        }
        if let Some(bucket) = template.bucket() {
            remove_from(&mut self.open, bucket, slot);
        }
        self.leave_places(slot);
    }

    /// A slot to write to: a new one, or the one the hand finds unused the longest.
    fn free_slot(&mut self) -> u32 {
        if self.slots.len() < self.rules.templates_max {
            self.slots.push(Template::default());
            return (self.slots.len() - 1) as u32;
        }
        loop {
            let at = self.hand;
            self.hand = (self.hand + 1) % self.slots.len();
            let template = &mut self.slots[at];
            if template.children > 0 && template.parent == NONE {
                // Its aliases go first: they are never looked up again.
                template.seen = false;
            }
            if std::mem::take(&mut template.seen) || template.children > 0 {
                continue;
            }
            self.evict(at as u32);
            return at as u32;
        }
    }

    fn evict(&mut self, slot: u32) {
        let parent = self.slots[slot as usize].parent;
        if parent == NONE {
            self.leave(slot);
            self.roots -= 1;
            self.evicted += 1;
        } else {
            self.slots[parent as usize].children -= 1;
        }
        let template = &mut self.slots[slot as usize];
        template.live = false;
        template.generation = template.generation.wrapping_add(1);
    }

    /// Elements that stand for pieces of a template whose digits the text still shows.
    pub(super) fn shown(&self, root: u32, lexer: &Lexer, out: &mut Vec<(u32, u32)>) {
        out.clear();
        let pieces = &self.slots[root as usize].pieces;
        // A line of other elements that the template covers: which of its digits count is not known.
        let own = pieces.len() == heads(&lexer.elements).count()
            && pieces.iter().zip(heads(&lexer.elements)).all(|(piece, element)| piece.kind == element.kind);
        for (at, element) in heads(&lexer.elements).enumerate() {
            let piece = pieces.get(at).filter(|_| own);
            if piece.map_or(element.kind == Kind::Weak, |piece| piece.kind == Kind::Weak && !piece.wild) {
                out.push((element.start, element.end));
            }
        }
    }

    /// Whether the n-th head element of a line is a parameter of its template.
    pub(super) fn is_param(&self, root: u32, head: usize, element: &Element) -> bool {
        let piece = self.slots[root as usize].pieces.get(head);
        element.kind.is_strong() || piece.is_some_and(|piece| piece.is_param() && piece.open == element.open)
    }

    pub(super) fn state(&self) -> StoreState {
        StoreState {
            rules: self.rules,
            slots: self.slots.clone(),
            born: self.born,
            evicted: self.evicted,
            hand: self.hand as u64,
        }
    }

    pub(super) fn from_state(state: StoreState) -> Self {
        let mut store = Self::new(state.rules);
        store.slots = state.slots;
        store.born = state.born;
        store.evicted = state.evicted;
        store.hand = state.hand as usize;
        let mut roots: Vec<u32> = (0..store.slots.len() as u32)
            .filter(|&slot| store.slots[slot as usize].live && store.slots[slot as usize].parent == NONE)
            .collect();
        store.roots = roots.len();
        roots.sort_by_key(|&slot| store.slots[slot as usize].born);
        for root in roots {
            store.enter(root);
        }
        store
    }
}

fn remove_from(table: &mut HashMap<u64, Vec<u32>, foldhash::fast::FixedState>, key: u64, slot: u32) {
    if let Some(slots) = table.get_mut(&key) {
        slots.retain(|&other| other != slot);
        if slots.is_empty() {
            table.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::lexer::Bounds;
    use super::*;

    /// Lines of few shapes whose places differ: words, digits inside words, lists, names, structure.
    fn lines() -> impl Strategy<Value = Vec<String>> {
        let line =
            (0..5_usize, "[a-d]", 0..4_u8, "(1(, [0-9]){0,2})").prop_map(|(shape, word, number, list)| match shape {
                0 => format!("1 host su - ID{number} [a@1 k=\"{word}\"] BOM failed for u{number}"),
                1 => format!("host tag[{number}]: message {word} of job{number} is late"),
                2 => format!("{word} host tag[12]: message x of job{number} is late"),
                3 => format!("user {word} asked for list {list} of u{number} again"),
                _ => format!("host su - ID{number} {word} BOM failed for user {word}"),
            });
        proptest::collection::vec(line, 1..80)
    }

    fn sorted(table: &HashMap<u64, Vec<u32>, foldhash::fast::FixedState>) -> Vec<(u64, Vec<u32>)> {
        let in_order = |(key, slots): (&u64, &Vec<u32>)| {
            let mut slots = slots.clone();
            slots.sort_unstable();
            (*key, slots)
        };
        let mut all: Vec<_> = table.iter().map(in_order).collect();
        all.sort_unstable();
        all
    }

    proptest! {
        #[test]
        fn the_look_up_tables_are_those_that_the_slots_give(lines in lines(), templates_max in 2_usize..9) {
            let mut store = Store::new(Rules { templates_max, values_min: 3, named_values_min: 2 });
            let mut lexer = Lexer::default();
            for line in &lines {
                lexer.read(line, Bounds { line_bytes_max: 8_192, elements_max: 256 });
                let (root, _) = store.learn(line, &lexer);
                store.count(root);
                let rebuilt = Store::from_state(store.state());
                prop_assert_eq!(sorted(&store.places), sorted(&rebuilt.places), "places after `{}`", line);
                prop_assert_eq!(sorted(&store.open), sorted(&rebuilt.open), "open after `{}`", line);
                prop_assert_eq!(&store.lengths, &rebuilt.lengths, "lengths after `{}`", line);
                prop_assert_eq!(store.roots, rebuilt.roots);
            }
        }
    }
}
