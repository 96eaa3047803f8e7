//! From the leaves of a document to one row of a log batch: which of them hold time, message, level
//! and trace, whose it is, and the others as attributes, sorted.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::hash::BuildHasherDefault;

use bellwether_engine::signal::{LABELS_MAX, LogBuilder, LogRow};
use bellwether_engine::time::EventTime;
use xxhash_rust::xxh3::xxh3_128;

use super::{Documents, Path, Piece, Role, shown};
use crate::decode::any_time::time_of_text;
use crate::decode::level;
use crate::limits::Limits;
use crate::resolve::entity_resolution::{EntityResolver, UNKNOWN_ENTITY};
use crate::resolve::series_table::AsIs;

/// Most entities remembered.
pub(super) const ENTITIES_MAX: usize = 4_096;

/// What is known of a document beside its fields.
pub(crate) struct Beside<'a> {
    /// When it happened, when the wire says so itself.
    pub(crate) time: Option<EventTime>,
    /// When it came.
    pub(crate) received: EventTime,
    /// Which times are believed.
    pub(crate) limits: &'a Limits,
    /// Whose it is when its fields name nobody.
    pub(crate) entity: &'a str,
    /// Stands in for a message: a document without one still says what happened. Its fields do
    /// when the source is no text.
    pub(crate) whole: Option<&'a str>,
}

/// Which attributes there were, and how they are sorted by name.
#[derive(Default)]
pub(super) struct AttributeOrder {
    /// The leaves that are attributes, by place and path.
    of: Vec<(usize, u32)>,
    /// Their places by name; of a name that is there twice, the first.
    sorted: Vec<usize>,
}

impl AttributeOrder {
    /// The places of `plain` leaves by name.
    fn of(&mut self, plain: &[usize], leaves: &[(u32, Piece<'_>)], paths: &[Path]) -> &[usize] {
        let now = || plain.iter().map(|place| (*place, leaves[*place].0));
        if !now().eq(self.of.iter().copied()) {
            self.of.clear();
            self.of.extend(now());
            self.sorted.clear();
            self.sorted.extend_from_slice(plain);
            self.sorted.sort_by_key(|place| &paths[leaves[*place].0 as usize].text);
            self.sorted.dedup_by_key(|place| leaves[*place].0);
        }
        &self.sorted
    }
}

impl Documents<'_, '_> {
    /// The document as `key=value` words, for one without a message.
    fn words(&self) -> String {
        let mut out = String::new();
        for (id, piece) in &self.leaves {
            let gap = if out.is_empty() { "" } else { " " };
            let _ = write!(out, "{gap}{}={}", self.paths[*id as usize].text, shown(*piece, &self.made));
        }
        out
    }

    /// Appends the document as one row.
    pub(crate) fn push(&mut self, beside: &Beside<'_>, out: &mut LogBuilder) {
        // The lowest rank of each kind found so far, with its text.
        let (mut at, mut body, mut trace) = (None, None, None);
        let mut level = (usize::MAX, 0);
        self.plain.clear();
        for (place, (id, piece)) in self.leaves.iter().enumerate() {
            let value = shown(*piece, &self.made);
            if value.is_empty() {
                continue;
            }
            let taken = match self.paths[*id as usize].role {
                Role::Time(rank) => take_lower(&mut at, rank, value, true),
                Role::Body(rank) => take_lower(&mut body, rank, value, true),
                Role::Level(rank) => {
                    // A field that says no level leaves the word to the next.
                    if rank < level.0
                        && let number @ 1.. = level::of_field(rank, value)
                    {
                        level = (rank, number);
                    }
                    false
                }
                Role::Trace(rank) => take_lower(&mut trace, rank, value, false),
                Role::Plain => false,
            };
            if taken {
                continue;
            }
            if self.plain.len() < LABELS_MAX {
                self.plain.push(place);
            } else if self.paths[*id as usize].names_entity {
                // Whose it is must be among the attributes, and another gives way.
                let paths = &self.paths;
                let idle = |place: &usize| !paths[self.leaves[*place].0 as usize].names_entity;
                if let Some(at) = self.plain.iter().rposition(idle) {
                    self.plain.remove(at);
                    self.plain.push(place);
                }
            }
        }
        let mut attributes = recycled(std::mem::take(&mut self.attributes));
        self.speaks.clear();
        for place in self.order.of(&self.plain, &self.leaves, &self.paths) {
            let (id, piece) = self.leaves[*place];
            let (path, value) = (&self.paths[id as usize], shown(piece, &self.made));
            attributes.push((&path.text, value));
            if path.names_entity {
                self.speaks.extend_from_slice(&id.to_le_bytes());
                self.speaks.extend_from_slice(value.as_bytes());
                self.speaks.push(0xff);
            }
        }
        let words;
        let body = match body.map(|(_, text)| text).or(beside.whole) {
            Some(text) => text,
            None => {
                words = self.words();
                &words
            }
        };
        let entity = match entity_of(&self.speaks, &attributes, self.resolver, &mut self.entities) {
            UNKNOWN_ENTITY => beside.entity,
            entity => entity,
        };
        let time = beside.time.or_else(|| at.and_then(|(_, text)| time_of_text(text)));
        out.push(&LogRow {
            time: beside.limits.believed(time, beside.received),
            entity,
            severity: level::told_or_read(level.1, body),
            body,
            attributes: &attributes,
            trace_id: trace.map(|(_, text)| text),
        });
        self.attributes = recycled(attributes);
    }
}

/// The same list, empty, for texts that live elsewhere: collecting in place keeps its memory.
fn recycled<'b>(mut list: Vec<(&str, &str)>) -> Vec<(&'b str, &'b str)> {
    list.clear();
    list.into_iter().map(|_| ("", "")).collect()
}

/// Notes `value` when no lower rank was found yet; returns `alone`: whether it is no attribute
/// beside.
fn take_lower<'v>(best: &mut Option<(usize, &'v str)>, rank: usize, value: &'v str, alone: bool) -> bool {
    if best.is_none_or(|(lowest, _)| rank < lowest) {
        *best = Some((rank, value));
    }
    alone
}

/// The entity of these attributes, remembered by those of them that can name one.
fn entity_of<'m>(
    speaks: &[u8],
    attributes: &[(&str, &str)],
    resolver: &EntityResolver,
    entities: &'m mut HashMap<u128, Box<str>, BuildHasherDefault<AsIs>>,
) -> &'m str {
    if speaks.is_empty() {
        return UNKNOWN_ENTITY;
    }
    let key = xxh3_128(speaks);
    if entities.len() >= ENTITIES_MAX && !entities.contains_key(&key) {
        entities.clear();
    }
    entities.entry(key).or_insert_with(|| resolver.resolve("", attributes).into_boxed_str())
}
