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
//! ([`PATHS_MAX`], [`ENTITIES_MAX`]) and begin anew when full, which costs speed and no row.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::hash::BuildHasherDefault;

use bellwether_engine::signal::{LABELS_MAX, LogBuilder, LogRow, log_severity};
use bellwether_engine::time::EventTime;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use xxhash_rust::xxh3::xxh3_128;

use crate::entity_resolution::{EntityResolver, UNKNOWN_ENTITY};
use crate::json::time_of_text;
use crate::limits::Limits;
use crate::series_table::AsIs;

const TIME_FIELDS: [&str; 4] = ["@timestamp", "timestamp", "time", "timereported"];
const BODY_FIELDS: [&str; 4] = ["message", "msg", "log", "event.original"];
const LEVEL_FIELDS: [&str; 6] = ["log.level", "level", "severity", "severity_text", "syslogseverity-text", "loglevel"];
const TRACE_FIELDS: [&str; 2] = ["trace.id", "trace_id"];

/// Most leaves kept of one document: enough for any log record; the rest is read over.
pub(crate) const LEAVES_MAX: usize = 128;

/// Most paths interned; senders have dozens, a document with made-up keys brings 128.
const PATHS_MAX: usize = 4_096;

/// Most entities remembered.
const ENTITIES_MAX: usize = 4_096;

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
    /// The path that came after it last time.
    next: u32,
}

/// A leaf's text: as it stands in the source, or made (an unescaped text, a number).
#[derive(Clone, Copy)]
enum Piece<'de> {
    Source(&'de str),
    Made(usize, usize),
}

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

/// Which attributes there were, and how they are sorted by name.
#[derive(Default)]
struct AttributeOrder {
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
        let mut json = serde_json::Deserializer::from_str(text);
        Leaf(self).deserialize(&mut json).map_err(|_| "malformed")?;
        json.end().map_err(|_| "malformed")
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
    fn number(&mut self, mut value: u64) {
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
        if self.is_full() || self.path.is_empty() {
            return;
        }
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
        let (mut at, mut body, mut level, mut trace) = (None, None, None, None);
        self.plain.clear();
        for (place, (id, piece)) in self.leaves.iter().enumerate() {
            let value = shown(*piece, &self.made);
            if value.is_empty() {
                continue;
            }
            let taken = match self.paths[*id as usize].role {
                Role::Time(rank) => take_lower(&mut at, rank, value, true),
                Role::Body(rank) => take_lower(&mut body, rank, value, true),
                Role::Level(rank) => take_lower(&mut level, rank, value, false),
                Role::Trace(rank) => take_lower(&mut trace, rank, value, false),
                Role::Plain => false,
            };
            if !taken && self.plain.len() < LABELS_MAX {
                self.plain.push(place);
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
            severity: level.map_or(0, |(_, text)| log_severity(text)),
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

fn shown<'v>(piece: Piece<'v>, made: &'v str) -> &'v str {
    match piece {
        Piece::Source(text) => text,
        Piece::Made(from, to) => &made[from..to],
    }
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

/// Puts the scalars below one JSON value into the documents' leaves. Lists count as `a.0`,
/// `a.1`; `null` is no leaf. The parser refuses nesting deeper than 128.
struct Leaf<'d, 'de, 'r>(&'d mut Documents<'de, 'r>);

impl<'de> DeserializeSeed<'de> for Leaf<'_, 'de, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Leaf<'_, 'de, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<(), E> {
        self.0.text(text);
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.0.made(text);
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.0.text(if value { "true" } else { "false" });
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.0.made(value);
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.0.number(value);
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.0.made(value);
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let mark = self.0.path.len();
        for index in 0usize.. {
            if self.0.is_full() {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                break;
            }
            let gap = if mark == 0 { "" } else { "." };
            let _ = write!(self.0.path, "{gap}{index}");
            let more = list.next_element_seed(Leaf(self.0))?.is_some();
            self.0.leave(mark);
            if !more {
                break;
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mark = self.0.path.len();
        while map.next_key_seed(Name(self.0))?.is_some() {
            if self.0.is_full() {
                map.next_value::<IgnoredAny>()?;
            } else {
                map.next_value_seed(Leaf(self.0))?;
            }
            self.0.leave(mark);
        }
        Ok(())
    }
}

/// Appends a key to the path.
struct Name<'d, 'de, 'r>(&'d mut Documents<'de, 'r>);

impl<'de> DeserializeSeed<'de> for Name<'_, 'de, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name<'_, 'de, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, name: &str) -> Result<(), E> {
        self.0.enter(name);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bellwether_engine::signal::LogColumns;
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    const NOW: EventTime = EventTime::from_secs(1_000_000);

    fn push(documents: &mut Documents<'_, '_>, whole: &str, out: &mut LogBuilder) {
        let limits = &Limits::default();
        documents.push(&Beside { time: None, received: NOW, limits, entity: UNKNOWN_ENTITY, whole: Some(whole) }, out);
    }

    /// The leaves of one document.
    fn leaves(text: &str) -> Option<Vec<(String, String)>> {
        let resolver = EntityResolver::default();
        let mut documents = Documents::new(&resolver);
        documents.read_json(text).ok()?;
        Some(listed(&documents))
    }

    fn listed(documents: &Documents<'_, '_>) -> Vec<(String, String)> {
        let of = |(id, piece): &(u32, Piece<'_>)| {
            (documents.paths[*id as usize].text.to_string(), shown(*piece, &documents.made).to_owned())
        };
        documents.leaves.iter().map(of).collect()
    }

    #[test]
    fn the_leaves_of_a_document_are_found_without_building_it() {
        let found = leaves(r#"{"a":{"b":[1,{"c":"x"}],"d.e":null},"f":true,"g":"\u00e4","h":-1.5}"#).expect("json");
        let found: Vec<(&str, &str)> = found.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(found, [("a.b.0", "1"), ("a.b.1.c", "x"), ("f", "true"), ("g", "ä"), ("h", "-1.5")]);
        assert_eq!(leaves(&format!("{{\"a\":{}", "[".repeat(5_000))), None);
        let wide = format!("{{\"a\":[{}]}}", vec!["1"; 10_000].join(","));
        assert_eq!(leaves(&wide).expect("json").len(), LEAVES_MAX);
        for no_object in ["", "1", "[{}]", "{} x", "{\"a\":1"] {
            assert_eq!(leaves(no_object), None, "{no_object}");
        }
    }

    #[test]
    fn a_row_has_its_fields_by_their_usual_names() {
        let resolver = EntityResolver::default();
        let mut documents = Documents::new(&resolver);
        let mut out = LogBuilder::new();
        let texts = [
            r#"{"level":"error","time":"1970-01-01T00:00:05Z","b":1,"a":2,"b":3,"message":"m","host":{"name":"h1"},"trace_id":"t"}"#,
            r#"{"host":{"name":"h2"},"a":"","log":"l","log.level":"warn","level":"info","@timestamp":7}"#,
            r#"{"nothing":0}"#,
        ];
        for text in texts {
            documents.read_json(text).expect("json");
            push(&mut documents, text, &mut out);
        }
        let batch = out.finish("acme").expect("a tenant");
        let rows = LogColumns::of(&batch);
        let attributes = |row| rows.attributes(row).iter().collect::<Vec<_>>();
        let want = [("a", "2"), ("b", "1"), ("host.name", "h1"), ("level", "error"), ("trace_id", "t")];
        assert_eq!(attributes(0), want, "sorted, the first of equal names");
        assert_eq!((rows.time[0], rows.entity(0), rows.body(0)), (5_000_000_000, "host:h1", "m"));
        assert_eq!((rows.severity[0], rows.trace_id(0)), (17, Some("t")));
        assert_eq!((rows.time[1], rows.entity(1), rows.body(1), rows.severity[1]), (7_000_000_000, "host:h2", "l", 13));
        assert_eq!((rows.time[2], rows.entity(2), rows.body(2)), (NOW.0, UNKNOWN_ENTITY, texts[2]));
    }

    #[test]
    fn made_up_keys_do_not_fill_the_table() {
        let resolver = EntityResolver::default();
        let texts: Vec<String> = (0..500)
            .map(|n| {
                let keys: Vec<String> = (0..50).map(|k| format!("\"k{n}_{k}\":\"v\"")).collect();
                format!("{{{},\"host\":\"h{n}\"}}", keys.join(","))
            })
            .collect();
        let mut documents = Documents::new(&resolver);
        let mut out = LogBuilder::new();
        for text in &texts {
            documents.read_json(text).expect("json");
            push(&mut documents, text, &mut out);
            assert!(documents.paths.len() <= PATHS_MAX + LEAVES_MAX);
        }
        assert_eq!(out.len(), 500);
    }

    /// The leaves as a plain walk over the parsed document gives them.
    fn walked(path: &str, value: &Value, out: &mut Vec<(String, String)>) {
        let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        match value {
            Value::Null => {}
            Value::Object(map) => map.iter().for_each(|(name, value)| walked(&below(name), value, out)),
            Value::Array(list) => {
                list.iter().enumerate().for_each(|(at, value)| walked(&below(&at.to_string()), value, out));
            }
            Value::String(text) => out.push((path.to_owned(), text.clone())),
            other => out.push((path.to_owned(), other.to_string())),
        }
    }

    fn any_object() -> impl Strategy<Value = Value> {
        let scalar = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        let name = "[a-c.@]{1,3}|host|message|level";
        let value = scalar.prop_recursive(3, 12, 4, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map(name, inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        });
        proptest::collection::btree_map(name, value, 0..6).prop_map(|map| Value::Object(map.into_iter().collect()))
    }

    proptest! {
        #![proptest_config(crate::fuzz::config())]

        #[test]
        fn documents_after_each_other_flatten_as_each_alone(objects in proptest::collection::vec(any_object(), 1..5)) {
            let resolver = EntityResolver::default();
            let texts: Vec<String> = objects.iter().map(Value::to_string).collect();
            let mut documents = Documents::new(&resolver);
            let (mut together, mut alone) = (LogBuilder::new(), LogBuilder::new());
            for (text, object) in texts.iter().zip(&objects) {
                documents.read_json(text).expect("written from a document");
                let mut want = Vec::new();
                walked("", object, &mut want);
                prop_assert_eq!(listed(&documents), want);
                push(&mut documents, text, &mut together);
                let mut own = Documents::new(&resolver);
                own.read_json(text).expect("read before");
                push(&mut own, text, &mut alone);
            }
            prop_assert_eq!(together.finish("acme").expect("a tenant"), alone.finish("acme").expect("a tenant"));
        }

        #[test]
        fn what_a_json_parser_refuses_is_refused(text in ".{0,60}|[{}\\[\\]\",:0-9a \\\\-]{0,40}") {
            let parsed = serde_json::from_str::<Value>(&text).ok().filter(Value::is_object);
            prop_assert_eq!(leaves(&text).is_some(), parsed.is_some());
        }
    }
}
