//! Interned text: one small number per distinct name.
//!
//! Numbers are given in order of first sight, so they must never decide an order or reach an
//! output: sort by the text. A full table answers with one common overflow symbol and counts,
//! so that a sender inventing names degrades its own tenant and nothing else.

use hashbrown::HashTable;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::memory::allocation;

/// A name within one [`Symbols`] table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub(crate) struct Sym(pub(crate) u32);

/// What every name reads as once the table is full.
const OVERFLOW: &str = "overflow:too-many-names";

/// A bounded table of names.
#[derive(Debug, Serialize, Deserialize)]
#[serde(from = "Saved", into = "Saved")]
pub(crate) struct Symbols {
    texts: Vec<Box<str>>,
    index: HashTable<u32>,
    capacity: usize,
    overflowed: u64,
    bytes: usize,
    /// Most bytes; set anew for each stretch.
    bytes_max: usize,
}

/// What a name takes beside its text: its place in the list and in the look-up tables.
const NAME_BYTES: usize = 64;

#[derive(Serialize, Deserialize)]
struct Saved {
    texts: Vec<Box<str>>,
    capacity: usize,
    overflowed: u64,
}

impl From<Saved> for Symbols {
    fn from(saved: Saved) -> Symbols {
        let mut symbols = Symbols {
            texts: saved.texts,
            index: HashTable::new(),
            capacity: saved.capacity,
            overflowed: saved.overflowed,
            bytes: 0,
            bytes_max: usize::MAX,
        };
        for id in 0..symbols.texts.len() as u32 {
            symbols.insert_index(id);
        }
        symbols
    }
}

impl From<Symbols> for Saved {
    fn from(symbols: Symbols) -> Saved {
        Saved { texts: symbols.texts, capacity: symbols.capacity, overflowed: symbols.overflowed }
    }
}

impl Clone for Symbols {
    fn clone(&self) -> Symbols {
        Symbols {
            texts: self.texts.clone(),
            index: self.index.clone(),
            capacity: self.capacity,
            overflowed: self.overflowed,
            bytes: self.bytes,
            bytes_max: self.bytes_max,
        }
    }
}

impl Symbols {
    /// An empty table of at most `capacity` names.
    pub(crate) fn new(capacity: usize) -> Symbols {
        Symbols {
            texts: Vec::new(),
            index: HashTable::new(),
            capacity: capacity.max(1),
            overflowed: 0,
            bytes: 0,
            bytes_max: usize::MAX,
        }
    }

    /// Takes at most `capacity` names from now on; those that have a symbol keep it.
    pub(crate) fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity.max(1);
    }

    /// Takes at most `bytes_max` bytes from now on, as [`Symbols::bytes`] counts them.
    pub(crate) fn bound(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max;
    }

    /// The symbol of `text`, given now if it is new.
    pub(crate) fn intern(&mut self, text: &str) -> Sym {
        if let Some(sym) = self.get(text) {
            return sym;
        }
        let full = self.texts.len() + 1 >= self.capacity || self.bytes + text.len() > self.bytes_max;
        if full && text != OVERFLOW {
            self.overflowed += 1;
            return self.intern(OVERFLOW);
        }
        let id = self.texts.len() as u32;
        self.texts.push(text.into());
        self.insert_index(id);
        Sym(id)
    }

    /// The symbol of `text` when it has one.
    pub(crate) fn get(&self, text: &str) -> Option<Sym> {
        self.index.find(xxh3_64(text.as_bytes()), |id| *self.texts[*id as usize] == *text).map(|id| Sym(*id))
    }

    /// The text of a symbol of this table.
    pub(crate) fn text(&self, sym: Sym) -> &str {
        &self.texts[sym.0 as usize]
    }

    /// Every symbol of this table.
    pub(crate) fn all(&self) -> impl Iterator<Item = Sym> + use<> {
        (0..self.texts.len() as u32).map(Sym)
    }

    /// How many names there are.
    pub(crate) fn len(&self) -> usize {
        self.texts.len()
    }

    /// How often a name was refused its own symbol.
    pub(crate) fn overflowed(&self) -> u64 {
        self.overflowed
    }

    /// About how many bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    fn insert_index(&mut self, id: u32) {
        let texts = &self.texts;
        self.bytes += NAME_BYTES + allocation(texts[id as usize].len());
        let hash = |id: &u32| xxh3_64(texts[*id as usize].as_bytes());
        self.index.insert_unique(hash(&id), id, hash);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_symbol() {
        let mut symbols = Symbols::new(100);
        let a = symbols.intern("a");
        let b = symbols.intern("b");
        assert_ne!(a, b);
        assert_eq!(symbols.intern("a"), a);
        assert_eq!(symbols.text(b), "b");
        assert_eq!(symbols.get("c"), None);
    }

    #[test]
    fn a_full_table_degrades_and_counts() {
        let mut symbols = Symbols::new(3);
        for i in 0..1000 {
            symbols.intern(&format!("name-{i}"));
        }
        assert_eq!(symbols.len(), 3);
        assert_eq!(symbols.overflowed(), 998);
        assert_eq!(symbols.text(symbols.get("name-0").expect("first")), "name-0");
    }

    #[test]
    fn symbols_survive_a_checkpoint() {
        let mut symbols = Symbols::new(100);
        let a = symbols.intern("a");
        let bytes = postcard::to_stdvec(&symbols).expect("it serialises");
        let back: Symbols = postcard::from_bytes(&bytes).expect("it reads");
        assert_eq!(back.get("a"), Some(a));
    }
}
