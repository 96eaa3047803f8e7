//! The templates themselves: slots, their keys, merging and eviction.
//!
//! Invariants: a slot in `index` is live; the parent of a slot is an older one; the key of
//! a live root is the sum over its pieces, so that opening one place is O(1). `index`,
//! `places` and `open` are functions of the slots, rebuilt after a restart: equal slots
//! give equal answers.

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use super::class::Kind;
use super::lexer::{Element, Lexer, mix};

/// No slot.
pub(super) const NONE: u32 = u32::MAX;

/// How merging decides; a copy of the checked parameters.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Rules {
    pub templates_max: usize,
    pub values_min: usize,
    pub named_values_min: usize,
}

/// One piece of a template: what stands before it, and its text or the fact that it is open.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Piece {
    gap: String,
    text: String,
    hash: u64,
    open: u64,
    kind: Kind,
    /// A parameter, whatever the kind says.
    wild: bool,
    /// The rest of a list of parameters as the template shows it, or `None` if lines differ.
    list: Option<String>,
}

impl Piece {
    fn is_param(&self) -> bool {
        self.wild || self.kind.is_strong()
    }
}

/// One slot.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Template {
    pub id: u64,
    pub text: String,
    pieces: Vec<Piece>,
    tail: String,
    tail_hash: u64,
    /// Order of creation: survivors of a merge are the oldest.
    born: u64,
    /// Further keys that lead here, beside its own.
    keys: Vec<u64>,
    /// Merged into this slot, or `NONE`.
    parent: u32,
    /// How many slots name this one as their parent.
    children: u32,
    pub generation: u32,
    pub lines: u64,
    live: bool,
    /// Seen since the eviction hand last passed.
    seen: bool,
}

/// Most further keys a template remembers; beyond it, lines take the longer way.
const KEYS_MAX: usize = 64;
/// Places of a line that may be opened by merging: sentences are shorter.
const PLACES_MAX: usize = 24;

/// All templates of one miner.
#[derive(Debug, Clone)]
pub(super) struct Store {
    pub rules: Rules,
    pub slots: Vec<Template>,
    pub born: u64,
    pub evicted: u64,
    hand: usize,
    roots: usize,
    index: HashMap<u64, u32, foldhash::fast::FixedState>,
    /// Key with one place left out → the roots that share it.
    places: HashMap<u64, Vec<u32>, foldhash::fast::FixedState>,
    /// Pieces and first hash → roots with places opened by merging, oldest first.
    open: HashMap<u64, Vec<u32>, foldhash::fast::FixedState>,
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
            index: HashMap::default(),
            places: HashMap::default(),
            open: HashMap::default(),
        }
    }

    /// Live templates, without those merged into another.
    pub(super) fn len(&self) -> usize {
        self.roots
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
                self.refine(root, line, lexer);
                self.count(root);
                return (root, false);
            }
        }
        if let Some(root) = self.find_open(lexer, tail) {
            self.remember_key(root, key);
            self.refine(root, line, lexer);
            self.count(root);
            return (root, false);
        }
        let slot = self.create(line, lexer, tail, key);
        self.enter(slot);
        let root = self.merge_from(slot);
        self.count(root);
        (root, true)
    }

    /// Whether each element fits its piece.
    fn fits(&self, slot: u32, lexer: &Lexer, tail: u64) -> bool {
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
            self.index.insert(key, root);
        }
    }

    /// Opens weak pieces that differ, and lists whose length differs.
    fn refine(&mut self, root: u32, line: &str, lexer: &Lexer) {
        let template = &mut self.slots[root as usize];
        let mut changed = false;
        let mut at = 0;
        for piece in &mut template.pieces {
            let element = &lexer.elements[at];
            if piece.kind == Kind::Weak
                && !piece.wild
                && piece.text != line[element.start as usize..element.end as usize]
            {
                piece.wild = true;
                changed = true;
            }
            let end = list_end(&lexer.elements, at);
            if let Some(shown) = &piece.list
                && !list_is(shown, line, &lexer.elements[at + 1..end])
            {
                piece.list = None;
                changed = true;
            }
            at = end;
        }
        if changed {
            template.render();
        }
    }

    fn create(&mut self, line: &str, lexer: &Lexer, tail: u64, key: u64) -> u32 {
        let slot = self.free_slot();
        let mut template = Template {
            parent: NONE,
            generation: self.slots[slot as usize].generation,
            born: self.born,
            tail: blanks_folded(&line[lexer.tail as usize..]),
            tail_hash: tail,
            live: true,
            seen: true,
            ..Template::default()
        };
        self.born += 1;
        let mut at = 0;
        while at < lexer.elements.len() {
            let end = list_end(&lexer.elements, at);
            template.pieces.push(piece(line, &lexer.elements[at..end]));
            at = end;
        }
        template.render();
        template.id = self.unused_id(&template.text, key);
        self.slots[slot as usize] = template;
        self.roots += 1;
        slot
    }

    /// The id is the hash of the first text, so that it is the same wherever the template
    /// is found first; the birth number tells apart the rare two with one text.
    fn unused_id(&self, text: &str, key: u64) -> u64 {
        mix(xxhash_rust::xxh3::xxh3_64(text.as_bytes()), key)
    }

    /// Enters a root into the look-up tables.
    fn enter(&mut self, slot: u32) {
        let template = &self.slots[slot as usize];
        self.index.insert(template.key(), slot);
        for key in &template.keys {
            self.index.insert(*key, slot);
        }
        for (_, place) in template.places() {
            let roots = self.places.entry(place).or_default();
            roots.push(slot);
        }
        if template.pieces.iter().any(|piece| piece.wild && piece.kind == Kind::Word)
            && let Some(bucket) = template.bucket()
        {
            let slots = &self.slots;
            let roots = self.open.entry(bucket).or_default();
            roots.push(slot);
            roots.sort_by_key(|root| slots[*root as usize].born);
        }
    }

    /// Takes a root out of the look-up tables.
    fn leave(&mut self, slot: u32) {
        let template = &self.slots[slot as usize];
        for key in template.keys.iter().copied().chain([template.key()]) {
            if self.index.get(&key) == Some(&slot) {
                self.index.remove(&key);
            }
        }
        for (_, place) in template.places() {
            remove_from(&mut self.places, place, slot);
        }
        if let Some(bucket) = template.bucket() {
            remove_from(&mut self.open, bucket, slot);
        }
    }

    /// Merges as long as a place of the slot has shown enough values. Returns the root.
    fn merge_from(&mut self, slot: u32) -> u32 {
        let mut root = slot;
        while let Some((place, mut group)) = self.ripe_place(root) {
            group.sort_by_key(|slot| self.slots[*slot as usize].born);
            for &member in &group {
                self.leave(member);
            }
            root = group[0];
            let mut keys = Vec::new();
            for &member in &group {
                let template = &mut self.slots[member as usize];
                keys.push(template.key());
                keys.append(&mut template.keys);
            }
            for &member in &group[1..] {
                self.absorb(root, member);
            }
            let template = &mut self.slots[root as usize];
            template.pieces[place].open_place();
            keys.truncate(KEYS_MAX);
            template.keys = keys;
            template.render();
            self.enter(root);
        }
        root
    }

    /// Makes `member` an alias of `root`, and takes over what it knew of its open pieces.
    fn absorb(&mut self, root: u32, member: u32) {
        let alias = &mut self.slots[member as usize];
        alias.parent = root;
        let pieces = std::mem::take(&mut alias.pieces);
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
        for (own, other) in survivor.pieces.iter_mut().zip(pieces) {
            own.wild |= other.wild || (own.kind == Kind::Weak && own.text != other.text);
            if own.list != other.list {
                own.list = None;
            }
        }
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

    /// Values of a place, in halves: a word counts one, text with digits in it two and a
    /// half, for an identifier is seldom part of the sentence.
    fn evidence(&self, group: &[u32], at: usize) -> usize {
        let pieces = group.iter().map(|&slot| &self.slots[slot as usize].pieces[at]);
        pieces.map(|piece| if piece.kind == Kind::Word { 2 } else { 5 }).sum()
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
        for (piece, element) in pieces.iter().zip(heads(&lexer.elements)) {
            if piece.kind == Kind::Weak && !piece.wild {
                out.push((element.start, element.end));
            }
        }
    }

    /// Whether the place of the n-th head element is a parameter.
    pub(super) fn is_param(&self, root: u32, head: usize) -> bool {
        self.slots[root as usize].pieces.get(head).is_some_and(Piece::is_param)
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

impl Template {
    pub(super) fn is_live(&self) -> bool {
        self.live
    }

    fn key(&self) -> u64 {
        key_of(self.pieces.iter().map(|piece| piece.hash), self.tail_hash)
    }

    fn bucket(&self) -> Option<u64> {
        bucket_of(self.pieces.iter().map(|piece| piece.hash))
    }

    /// Places that merging may open, each with the key that leaves it out. The first piece
    /// says what the line is about, and two further words must remain.
    fn places(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        let key = self.key();
        let words = self.pieces.iter().filter(|piece| !piece.is_param()).count();
        self.pieces.iter().enumerate().take(PLACES_MAX).skip(1).filter_map(move |(at, piece)| {
            let remaining = words - usize::from(!piece.is_param());
            (!piece.wild && remaining >= WORDS_LEFT_MIN).then(|| {
                let without = key.wrapping_sub(mix(piece.hash, at as u64)).wrapping_add(mix(piece.open, at as u64));
                (at, mix(without, at as u64))
            })
        })
    }

    /// Whether the word before a place announces a name.
    fn is_named(&self, at: usize) -> bool {
        let before = &self.pieces[at - 1];
        self.pieces[at].gap == " " && before.kind == Kind::Word && !before.wild && is_name_noun(&before.text)
    }

    fn render(&mut self) {
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        for piece in &self.pieces {
            text.push_str(&piece.gap);
            if piece.is_param() {
                text.push_str(PARAM);
                text.push_str(piece.list.as_deref().unwrap_or_default());
            } else {
                text.push_str(&piece.text);
            }
        }
        text.push_str(&self.tail);
        text.truncate(text.trim_end().len());
        self.text = text;
    }
}

impl Piece {
    fn open_place(&mut self) {
        self.wild = true;
        self.hash = self.open;
    }
}

/// Constant words that must remain beside an opened place.
const WORDS_LEFT_MIN: usize = 2;
/// How a template shows a parameter.
const PARAM: &str = "<*>";

/// Nouns after which operators' logs put a name.
fn is_name_noun(word: &str) -> bool {
    NAME_NOUNS.iter().any(|noun| word.eq_ignore_ascii_case(noun))
}

const NAME_NOUNS: [&str; 8] = ["user", "username", "account", "host", "hostname", "node", "client", "device"];

fn heads(elements: &[Element]) -> impl Iterator<Item = &Element> {
    elements.iter().filter(|element| !element.listed)
}

fn list_end(elements: &[Element], at: usize) -> usize {
    let mut end = at + 1;
    while elements.get(end).is_some_and(|element| element.listed) {
        end += 1;
    }
    end
}

fn key_of(hashes: impl Iterator<Item = u64>, tail: u64) -> u64 {
    let mut key = tail;
    let mut count = 0;
    for (at, hash) in hashes.enumerate() {
        key = key.wrapping_add(mix(hash, at as u64));
        count = at as u64 + 1;
    }
    key.wrapping_add(mix(count, tail))
}

fn bucket_of(mut hashes: impl Iterator<Item = u64>) -> Option<u64> {
    let first = hashes.next()?;
    Some(mix(first, hashes.count() as u64))
}

fn remove_from(table: &mut HashMap<u64, Vec<u32>, foldhash::fast::FixedState>, key: u64, slot: u32) {
    if let Some(slots) = table.get_mut(&key) {
        slots.retain(|&other| other != slot);
        if slots.is_empty() {
            table.remove(&key);
        }
    }
}

fn piece(line: &str, elements: &[Element]) -> Piece {
    let head = &elements[0];
    let mut list = String::new();
    for element in &elements[1..] {
        list.push_str(&blanks_folded(&line[element.gap as usize..element.start as usize]));
        list.push_str(PARAM);
    }
    let body = &line[head.start as usize..head.end as usize];
    Piece {
        gap: blanks_folded(&line[head.gap as usize..head.start as usize]),
        text: if head.kind.is_strong() { String::new() } else { body.to_owned() },
        hash: head.hash,
        open: head.open,
        kind: head.kind,
        wild: false,
        list: Some(list),
    }
}

/// Whether the elements render to this text, without rendering them.
fn list_is(shown: &str, line: &str, elements: &[Element]) -> bool {
    let mut rest = shown;
    for element in elements {
        let gap = &line[element.gap as usize..element.start as usize];
        let comma = gap.starts_with(',');
        let blank = gap.len() > usize::from(comma);
        rest = match (comma, blank) {
            (true, true) => rest.strip_prefix(", "),
            (true, false) => rest.strip_prefix(","),
            _ => rest.strip_prefix(" "),
        }
        .and_then(|rest| rest.strip_prefix(PARAM))
        .unwrap_or("!");
    }
    rest.is_empty()
}

/// Text with each run of white space as one blank.
fn blanks_folded(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for letter in text.chars() {
        let white = letter.is_ascii_whitespace();
        if !(white && folded.ends_with(' ')) {
            folded.push(if white { ' ' } else { letter });
        }
    }
    folded
}
