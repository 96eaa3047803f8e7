//! Loose log documents on their way into a log batch: JSON objects, MessagePack maps.
//!
//! A document is flattened into leaves (`host.name` and its text) without being built, and
//! the leaves become one row: the fields that hold time, message, level and trace by their
//! usual names, the entity by what the others say, and the others as attributes.
//!
//! Documents of one sender look alike, and that is where the speed comes from. Paths are
//! interned once per request; each remembers the path that followed it last, so the next
//! document's paths are found by one comparison. The order of attributes and the entity are
//! remembered, too. A document like the one before allocates nothing. Both tables are bounded
//! (`PATHS_MAX`, `row::ENTITIES_MAX`) and begin anew when full, which costs speed and no row.

mod json;
mod row;

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::hash::BuildHasherDefault;

use serde::de::DeserializeSeed as _;

use crate::decode::level;
use crate::resolve::entity_resolution::EntityResolver;
use crate::resolve::series_table::AsIs;
use row::AttributeOrder;
pub(crate) use row::Beside;

const TIME_FIELDS: [&str; 4] = ["@timestamp", "timestamp", "time", "timereported"];
const BODY_FIELDS: [&str; 4] = ["message", "msg", "log", "event.original"];
const TRACE_FIELDS: [&str; 2] = ["trace.id", "trace_id"];

/// Most leaves kept of one document: enough for any log record. Of the rest those are kept that say
/// what the record is or whose ([`Documents::takes`]): they may stand behind any number of addresses.
pub(crate) const LEAVES_MAX: usize = 128;

/// Most of those: a document that repeats its message a thousand times has said it.
const WANTED_MAX: usize = 64;

/// Most paths interned; senders have dozens, a document with made-up keys brings 128.
const PATHS_MAX: usize = 4_096;

/// What a path is to a log record. The number is its rank among its kind; the lowest wins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Role {
    Time(usize),
    Body(usize),
    Level(usize),
    Trace(usize),
    Plain,
}

impl Role {
    fn of(path: &str) -> Role {
        // Elasticsearch takes a list of one for the one.
        let path = path.strip_suffix(".0").unwrap_or(path);
        let place = |fields: &[&str]| fields.iter().position(|field| *field == path);
        place(&TIME_FIELDS)
            .map(Role::Time)
            .or_else(|| place(&BODY_FIELDS).map(Role::Body))
            .or_else(|| level::field_rank(path).map(Role::Level))
            .or_else(|| place(&TRACE_FIELDS).map(Role::Trace))
            .unwrap_or(Role::Plain)
    }
}

/// An interned path.
struct Path {
    text: Box<str>,
    role: Role,
    names_entity: bool,
    /// The path that came after it last time.
    next: u32,
}

impl Path {
    /// Whether it says more of the record than an attribute does.
    fn is_wanted(&self) -> bool {
        self.role != Role::Plain || self.names_entity
    }
}

/// A leaf's text: as it stands in the source, or made (an unescaped text, a number).
#[derive(Clone, Copy)]
enum Piece<'de> {
    Source(&'de str),
    Made(usize, usize),
}

/// The leaves of one document, and what is remembered of those before it.
pub(crate) struct Documents<'de, 'r> {
    resolver: &'r EntityResolver,
    paths: Vec<Path>,
    by_text: HashMap<Box<str>, u32>,
    /// The path a document began with last time.
    first: u32,
    last: Option<u32>,
    leaves: Vec<(u32, Piece<'de>)>,
    made: String,
    path: String,
    order: AttributeOrder,
    entities: HashMap<u128, Box<str>, BuildHasherDefault<AsIs>>,
    // Room that is used again.
    plain: Vec<usize>,
    attributes: Vec<(&'static str, &'static str)>,
    speaks: Vec<u8>,
}

impl<'de, 'r> Documents<'de, 'r> {
    /// Nothing read yet; entities are named by `resolver`.
    pub(crate) fn new(resolver: &'r EntityResolver) -> Documents<'de, 'r> {
        Documents {
            resolver,
            paths: Vec::new(),
            by_text: HashMap::new(),
            first: 0,
            last: None,
            leaves: Vec::with_capacity(32),
            made: String::new(),
            path: String::new(),
            order: AttributeOrder::default(),
            entities: HashMap::default(),
            plain: Vec::new(),
            attributes: Vec::new(),
            speaks: Vec::new(),
        }
    }

    /// Begins a document; the one before is forgotten.
    pub(crate) fn begin(&mut self) {
        if self.paths.len() > PATHS_MAX {
            self.paths.clear();
            self.by_text.clear();
            self.order = AttributeOrder::default();
            self.entities.clear();
        }
        self.last = None;
        self.leaves.clear();
        self.made.clear();
        self.path.clear();
    }

    /// Reads the JSON object `text` as one document.
    ///
    /// # Errors
    /// When it is not one JSON object.
    pub(crate) fn read_json(&mut self, text: &'de str) -> Result<(), &'static str> {
        self.begin();
        if !text.trim_start().starts_with('{') {
            return Err("malformed");
        }
        let mut reader = serde_json::Deserializer::from_str(text);
        json::Leaf(self).deserialize(&mut reader).map_err(|_| "malformed")?;
        reader.end().map_err(|_| "malformed")
    }

    /// Goes one step down; give what it returns to [`Documents::leave`].
    pub(crate) fn enter(&mut self, name: &str) -> usize {
        let mark = self.path.len();
        if mark > 0 {
            self.path.push('.');
        }
        self.path.push_str(name);
        mark
    }

    /// Goes back up.
    pub(crate) fn leave(&mut self, mark: usize) {
        self.path.truncate(mark);
    }

    /// True when further leaves are kept only if they are wanted: of a list then the first member at
    /// most.
    pub(crate) fn is_full(&self) -> bool {
        self.leaves.len() >= LEAVES_MAX
    }

    /// Whether a leaf at the current path is kept.
    fn takes(&self) -> bool {
        if self.path.is_empty() || self.leaves.len() >= LEAVES_MAX + WANTED_MAX {
            return false;
        }
        !self.is_full()
            || match self.by_text.get(self.path.as_str()) {
                Some(id) => self.paths[*id as usize].is_wanted(),
                None => Role::of(&self.path) != Role::Plain || self.resolver.reads(&self.path),
            }
    }

    /// A leaf whose text stands in the source.
    pub(crate) fn text(&mut self, text: &'de str) {
        if self.takes() {
            self.leaf(Piece::Source(text));
        }
    }

    /// A leaf whose text does not.
    pub(crate) fn made(&mut self, value: impl fmt::Display) {
        if !self.takes() {
            return;
        }
        let from = self.made.len();
        // Writing to a string does not fail.
        let _ = write!(self.made, "{value}");
        self.leaf(Piece::Made(from, self.made.len()));
    }

    /// A leaf that is a whole number; the general way of writing one costs five times as much.
    fn number(&mut self, mut value: u64) {
        if !self.takes() {
            return;
        }
        let mut digits = [0u8; 20];
        let mut start = digits.len();
        loop {
            start -= 1;
            digits[start] = b'0' + (value % 10) as u8;
            value /= 10;
            if value == 0 {
                break;
            }
        }
        let from = self.made.len();
        self.made.extend(digits[start..].iter().map(|digit| char::from(*digit)));
        self.leaf(Piece::Made(from, self.made.len()));
    }

    fn leaf(&mut self, piece: Piece<'de>) {
        let guess = self.last.map_or(self.first, |last| self.paths[last as usize].next);
        let id = match self.paths.get(guess as usize) {
            Some(path) if *path.text == *self.path => guess,
            _ => self.intern(),
        };
        self.last = Some(id);
        self.leaves.push((id, piece));
    }

    /// The number of the current path, and notes whom it followed.
    fn intern(&mut self) -> u32 {
        let id = match self.by_text.get(self.path.as_str()) {
            Some(id) => *id,
            None => {
                let id = self.paths.len() as u32;
                let names_entity = self.resolver.reads(&self.path);
                let text: Box<str> = self.path.as_str().into();
                self.paths.push(Path { text: text.clone(), role: Role::of(&text), names_entity, next: 0 });
                self.by_text.insert(text, id);
                id
            }
        };
        match self.last {
            Some(last) => self.paths[last as usize].next = id,
            None => self.first = id,
        }
        id
    }

    /// The non-empty text at `path`.
    pub(crate) fn value(&self, path: &str) -> Option<&str> {
        let found = self.leaves.iter().find(|(id, _)| *self.paths[*id as usize].text == *path);
        found.map(|(_, piece)| shown(*piece, &self.made)).filter(|text| !text.is_empty())
    }
}

fn shown<'v>(piece: Piece<'v>, made: &'v str) -> &'v str {
    match piece {
        Piece::Source(text) => text,
        Piece::Made(from, to) => &made[from..to],
    }
}

#[cfg(test)]
mod tests;
