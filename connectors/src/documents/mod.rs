//! Loose log documents on their way into a log batch: JSON objects, MessagePack maps.
//!
//! A document is flattened into leaves (`host.name` and its text) without being built, and
//! the leaves become one row: the fields that hold time, message, level and trace by their
//! usual names, the entity by what the others say, and the others as attributes.
//!
//! Documents of one sender look alike, and that is where the speed comes from. The keys of a request
//! are a tree of steps; each step remembers the one that followed it last, so the next document's are
//! found by comparing a key, and no path is put together. The order of attributes and the entity are
//! remembered, too. A document like the one before allocates nothing. Both tables are bounded
//! ([`STEPS_MAX`], [`row::ENTITIES_MAX`]) and begin anew when full, which costs speed and no row.

mod json;
mod row;
mod steps;

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::hash::BuildHasherDefault;

use serde::de::DeserializeSeed as _;

use crate::entity_resolution::EntityResolver;
use crate::series_table::AsIs;
use row::AttributeOrder;
pub(crate) use row::Beside;
use steps::{Mark, NO_PATH, Steps};

const TIME_FIELDS: [&str; 4] = ["@timestamp", "timestamp", "time", "timereported"];
const BODY_FIELDS: [&str; 4] = ["message", "msg", "log", "event.original"];
const LEVEL_FIELDS: [&str; 6] = ["log.level", "level", "severity", "severity_text", "syslogseverity-text", "loglevel"];
const TRACE_FIELDS: [&str; 2] = ["trace.id", "trace_id"];

/// Most leaves kept of one document: enough for any log record; the rest is read over.
pub(crate) const LEAVES_MAX: usize = 128;

/// Most steps kept from one document to the next; senders have dozens.
const STEPS_MAX: usize = 4_096;

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
        let place = |fields: &[&str]| fields.iter().position(|field| *field == path);
        place(&TIME_FIELDS)
            .map(Role::Time)
            .or_else(|| place(&BODY_FIELDS).map(Role::Body))
            .or_else(|| place(&LEVEL_FIELDS).map(Role::Level))
            .or_else(|| place(&TRACE_FIELDS).map(Role::Trace))
            .unwrap_or(Role::Plain)
    }
}

/// An interned path.
struct Path {
    text: Box<str>,
    role: Role,
    names_entity: bool,
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
    steps: Steps,
    leaves: Vec<(u32, Piece<'de>)>,
    made: String,
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
            steps: Steps::default(),
            leaves: Vec::with_capacity(32),
            made: String::new(),
            order: AttributeOrder::default(),
            entities: HashMap::default(),
            plain: Vec::new(),
            attributes: Vec::new(),
            speaks: Vec::new(),
        }
    }

    /// Begins a document; the one before is forgotten.
    pub(crate) fn begin(&mut self) {
        if self.steps.begin(STEPS_MAX) {
            self.paths.clear();
            self.by_text.clear();
            self.order = AttributeOrder::default();
            self.entities.clear();
        }
        self.leaves.clear();
        self.made.clear();
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
    pub(crate) fn enter(&mut self, name: &str) -> Mark {
        self.steps.enter(name)
    }

    /// The same for the place in a list.
    pub(crate) fn enter_place(&mut self, place: usize) -> Mark {
        self.steps.enter(digits(place as u64, &mut [0; 20]))
    }

    /// Goes back up.
    pub(crate) fn leave(&mut self, mark: Mark) {
        self.steps.leave(mark);
    }

    /// True when further leaves would not be kept.
    pub(crate) fn is_full(&self) -> bool {
        self.leaves.len() >= LEAVES_MAX
    }

    /// A leaf whose text stands in the source.
    pub(crate) fn text(&mut self, text: &'de str) {
        self.leaf(Piece::Source(text));
    }

    /// A leaf whose text does not.
    pub(crate) fn made(&mut self, value: impl fmt::Display) {
        let from = self.made.len();
        // Writing to a string does not fail.
        let _ = write!(self.made, "{value}");
        self.leaf(Piece::Made(from, self.made.len()));
    }

    /// A leaf that is a whole number; the general way of writing one costs five times as much.
    fn number(&mut self, value: u64) {
        let from = self.made.len();
        self.made.push_str(digits(value, &mut [0; 20]));
        self.leaf(Piece::Made(from, self.made.len()));
    }

    fn leaf(&mut self, piece: Piece<'de>) {
        if self.is_full() {
            return;
        }
        let path = match self.steps.path() {
            Some(path) => path,
            None => self.intern(),
        };
        if path != NO_PATH {
            self.leaves.push((path, piece));
        }
    }

    /// Gives the present step its path; what has no name, and what is beyond the limit, has none.
    #[cold]
    fn intern(&mut self) -> u32 {
        let text = self.steps.text();
        let id = match self.by_text.get(text.as_str()) {
            _ if text.is_empty() => NO_PATH,
            Some(id) => *id,
            None => {
                let id = self.paths.len() as u32;
                let (role, names_entity) = (Role::of(&text), self.resolver.reads(&text));
                let text: Box<str> = text.into();
                self.paths.push(Path { text: text.clone(), role, names_entity });
                self.by_text.insert(text, id);
                id
            }
        };
        self.steps.set_path(id);
        id
    }

    /// The non-empty text at `path`.
    pub(crate) fn value(&self, path: &str) -> Option<&str> {
        let found = self.leaves.iter().find(|(id, _)| *self.paths[*id as usize].text == *path);
        found.map(|(_, piece)| shown(*piece, &self.made)).filter(|text| !text.is_empty())
    }
}

/// A number in decimal digits, written from the end of `room`.
fn digits(mut value: u64, room: &mut [u8; 20]) -> &str {
    let mut start = room.len();
    loop {
        start -= 1;
        room[start] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            return std::str::from_utf8(&room[start..]).unwrap_or_default();
        }
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
