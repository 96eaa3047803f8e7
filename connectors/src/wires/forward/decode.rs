//! From a message of the protocol to log rows. Four forms, told apart by the second element:
//!
//! | form | message |
//! |---|---|
//! | Message | `[tag, time, record, option?]` |
//! | Forward | `[tag, [[time, record], …], option?]` |
//! | PackedForward | `[tag, bin of entries, option?]` |
//! | CompressedPackedForward | the same with `option.compressed` = `gzip` |
//!
//! For `time` there may stand `[time, {metadata}]`, as Fluent Bit writes it. What is broken within a
//! message is counted and left out, and the message is then not acknowledged: an acknowledgement says
//! that all of it is stored, and its sender would forget it.

use std::borrow::Cow;

use bellwether_engine::signal::LogBuilder;
use bellwether_engine::time::EventTime;

use super::msgpack::{Stop, Token, token, value};
use crate::decode::any_time::{epoch_of_whole, epoch_time};
use crate::decode::documents::{Beside, Documents};
use crate::intake::reject::Refusals;
use crate::limits::{Compression, Limits};
use crate::resolve::entity_resolution::EntityResolver;

/// Nesting below which a record's fields are looked at; JSON's parser stops at 128.
const DEPTH_MAX: usize = 32;

/// Extension type of fluentd's EventTime: seconds and nanoseconds.
const EVENT_TIME: i8 = 0;

/// What the rows of a message have in common.
pub(super) struct Context<'a> {
    pub(super) limits: &'a Limits,
    pub(super) resolver: &'a EntityResolver,
    /// Whose a record is that names nobody.
    pub(super) entity: &'a str,
    pub(super) received: EventTime,
}

/// What a message says beside its entries.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Options<'a> {
    /// To be acknowledged by this name.
    pub(super) chunk: Option<&'a [u8]>,
    compressed: &'a [u8],
}

/// A message's parts.
struct Message<'a> {
    tag: Cow<'a, str>,
    /// From the second element to the options.
    entries: &'a [u8],
    options: Options<'a>,
}

fn wrong(_: Stop) -> &'static str {
    "malformed"
}

/// The options of a message, for whether and how it is acknowledged.
pub(super) fn options(message: &[u8]) -> Options<'_> {
    parts(message).map(|parts| parts.options).unwrap_or_default()
}

fn parts(mut message: &[u8]) -> Result<Message<'_>, &'static str> {
    let Token::List(length @ 2..=4) = token(&mut message).map_err(wrong)? else { return Err("malformed") };
    let Token::Text(tag) = token(&mut message).map_err(wrong)? else { return Err("malformed") };
    let begin = message;
    let second = value(&mut message).map_err(wrong)?;
    let mut taken = 2;
    if !is_bulk(second) {
        value(&mut message).map_err(wrong)?;
        taken = 3;
    }
    let entries = &begin[..begin.len() - message.len()];
    let options = if length > taken { options_of(message).map_err(wrong)? } else { Options::default() };
    Ok(Message { tag: String::from_utf8_lossy(tag), entries, options })
}

/// Whether the second element holds entries, rather than a time.
fn is_bulk(second: &[u8]) -> bool {
    let mut rest = second;
    match token(&mut rest) {
        Ok(Token::List(2)) => {
            let first = token(&mut rest);
            let is_time = matches!(first, Ok(Token::UInt(_) | Token::Int(_) | Token::Float(_) | Token::Ext(..)));
            !(is_time && matches!(token(&mut rest), Ok(Token::Map(_))))
        }
        Ok(Token::List(_) | Token::Bytes(_) | Token::Text(_)) => true,
        _ => false,
    }
}

fn options_of(mut bytes: &[u8]) -> Result<Options<'_>, Stop> {
    let mut options = Options::default();
    let count = match token(&mut bytes)? {
        Token::Map(count) => count,
        _ => 0,
    };
    for _ in 0..count {
        let name = token(&mut bytes)?;
        let told = value(&mut bytes)?;
        let text = match token(&mut &*told)? {
            Token::Text(text) | Token::Bytes(text) => text,
            _ => continue,
        };
        match name {
            Token::Text(b"chunk") => options.chunk = Some(text),
            Token::Text(b"compressed") => options.compressed = text,
            _ => {}
        }
    }
    Ok(options)
}

/// Appends the rows of `message` and counts what it leaves out.
pub(super) fn decode(message: &[u8], context: &Context<'_>, out: &mut LogBuilder, refused: &mut Refusals) {
    // A heartbeat.
    if message == [0xc0] {
        return;
    }
    if let Err(reason) = rows(message, context, out, refused) {
        refused.add(reason, 1);
    }
}

fn rows(
    message: &[u8],
    context: &Context<'_>,
    out: &mut LogBuilder,
    refused: &mut Refusals,
) -> Result<(), &'static str> {
    let Message { tag, entries, options } = parts(message)?;
    if !is_bulk(entries) {
        return row(entries, &tag, context, &mut Documents::new(context.resolver), out);
    }
    let mut unpacked = Vec::new();
    let mut rest = entries;
    let mut left = usize::MAX;
    match token(&mut rest).map_err(wrong)? {
        Token::List(count) => left = count,
        Token::Bytes(packed) | Token::Text(packed) => {
            rest = match options.compressed {
                b"" | b"text" => packed,
                b"gzip" => {
                    let into = &mut unpacked;
                    context.limits.unpack(packed, Compression::Gzip, into).map_err(|error| error.reason())?;
                    &unpacked
                }
                _ => return Err("compression"),
            };
        }
        _ => return Err("malformed"),
    }
    let mut documents = Documents::new(context.resolver);
    let before = out.len();
    while left > 0 && !rest.is_empty() {
        if out.len() - before == context.limits.events_max {
            return Err("events_max");
        }
        let mut entry = value(&mut rest).map_err(wrong)?;
        let taken = match token(&mut entry) {
            Ok(Token::List(2)) => row(entry, &tag, context, &mut documents, out),
            _ => Err("malformed"),
        };
        if let Err(reason) = taken {
            refused.add(reason, 1);
        }
        left -= 1;
    }
    Ok(())
}

/// One entry: a time, and a record.
fn row<'a>(
    mut entry: &'a [u8],
    tag: &'a str,
    context: &Context<'_>,
    documents: &mut Documents<'a, '_>,
    out: &mut LogBuilder,
) -> Result<(), &'static str> {
    let mut first = token(&mut entry).map_err(wrong)?;
    let mut metadata: &[u8] = &[];
    if let Token::List(length @ 1..) = first {
        first = token(&mut entry).map_err(wrong)?;
        for place in 1..length {
            let beside = value(&mut entry).map_err(wrong)?;
            metadata = if place == 1 { beside } else { metadata };
        }
    }
    if is_group(first) {
        return Ok(());
    }
    let time = time_of(first);
    documents.begin();
    let mark = documents.enter("fluent.tag");
    documents.text(tag);
    documents.leave(mark);
    let mut record = value(&mut entry).map_err(wrong)?;
    match token(&mut record) {
        Ok(Token::Map(fields)) => fields_of(&mut record, fields, DEPTH_MAX, documents).map_err(wrong)?,
        // A record that is its message.
        Ok(Token::Text(text)) => {
            let mark = documents.enter("message");
            text_of(text, documents);
            documents.leave(mark);
        }
        _ => return Err("no_record"),
    }
    if let Ok(Token::Map(fields)) = token(&mut metadata) {
        let mark = documents.enter("metadata");
        fields_of(&mut metadata, fields, DEPTH_MAX, documents).map_err(wrong)?;
        documents.leave(mark);
    }
    let Context { limits, entity, received, .. } = *context;
    documents.push(&Beside { time, received, limits, entity, whole: None }, out);
    Ok(())
}

/// Fluent Bit writes -1 and -2 for the time where a group of entries begins and ends: no entry.
fn is_group(time: Token<'_>) -> bool {
    match time {
        Token::Int(-2..=-1) => true,
        Token::Ext(EVENT_TIME, [a, b, c, d, ..]) => i32::from_be_bytes([*a, *b, *c, *d]) >= -2 && *a == 0xff,
        _ => false,
    }
}

/// Zero stands for "now", as in fluentd; what is no time does, too.
fn time_of(token: Token<'_>) -> Option<EventTime> {
    let time = match token {
        Token::UInt(number) => epoch_of_whole(number),
        Token::Float(secs) => epoch_time(secs),
        Token::Ext(EVENT_TIME, &[a, b, c, d, e, f, g, h]) => {
            let secs = EventTime::from_secs(i64::from(u32::from_be_bytes([a, b, c, d])));
            Some(EventTime(secs.0 + i64::from(u32::from_be_bytes([e, f, g, h]))))
        }
        _ => None,
    };
    time.filter(|time| time.0 > 0)
}

fn fields_of<'a>(
    record: &mut &'a [u8],
    fields: usize,
    depth: usize,
    documents: &mut Documents<'a, '_>,
) -> Result<(), Stop> {
    for _ in 0..fields {
        match token(record)? {
            Token::Text(name) | Token::Bytes(name) => {
                let mark = documents.enter(&String::from_utf8_lossy(name));
                leaves(record, depth, documents)?;
                documents.leave(mark);
            }
            Token::Int(_) | Token::UInt(_) | Token::Bool(_) | Token::Nil | Token::Float(_) => {
                value(record)?;
            }
            // A key that is a list or map itself: what follows cannot be told from it.
            _ => return Err(Stop::Broken),
        }
    }
    Ok(())
}

fn text_of<'a>(text: &'a [u8], documents: &mut Documents<'a, '_>) {
    match std::str::from_utf8(text) {
        Ok(text) => documents.text(text),
        Err(_) => documents.made(String::from_utf8_lossy(text)),
    }
}

/// The leaves of the next value; what is too deep or too much is walked over.
fn leaves<'a>(record: &mut &'a [u8], depth: usize, documents: &mut Documents<'a, '_>) -> Result<(), Stop> {
    if depth == 0 {
        return value(record).map(|_| ());
    }
    match token(record)? {
        Token::Map(fields) => fields_of(record, fields, depth - 1, documents)?,
        Token::List(items) => {
            for index in 0..items {
                if index > 0 && documents.is_full() {
                    value(record)?;
                    continue;
                }
                let mark = documents.enter(&index.to_string());
                leaves(record, depth - 1, documents)?;
                documents.leave(mark);
            }
        }
        Token::Text(text) | Token::Bytes(text) => text_of(text, documents),
        Token::Bool(value) => documents.text(if value { "true" } else { "false" }),
        Token::Int(value) => documents.made(value),
        Token::UInt(value) => documents.made(value),
        Token::Float(value) => documents.made(value),
        Token::Nil | Token::Ext(..) => {}
    }
    Ok(())
}
