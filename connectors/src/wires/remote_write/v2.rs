//! `io.prometheus.write.v2.Request`: labels are numbers into a table of symbols.

use bellwether_engine::signal::SeriesType;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128_with_seed};

use super::{Decoded, Histograms, sample};
use crate::decode::protobuf::{Field, Malformed, delimited, field, text, varint};
use crate::limits::Window;
use crate::resolve::series_table::{Session, type_by_name};

/// Keeps keys of this version apart from those of version 1.
const KEY_SEED: u64 = 2;

/// Reads a request; samples outside `window` are refused.
///
/// # Errors
/// [`Malformed`] when the bytes are no such message; nothing of it may be stored then.
pub(super) fn decode(message: &[u8], session: &mut Session<'_>, window: Window) -> Result<Decoded, Malformed> {
    let symbols = Symbols::of(message)?;
    let mut out = Decoded::default();
    let mut rest = message;
    let mut scratch = Scratch::default();
    while !rest.is_empty() {
        if let (5, Field::Bytes(series)) = field(&mut rest)? {
            one_series(series, &symbols, session, window, &mut scratch, &mut out)?;
        }
    }
    Ok(out)
}

/// The symbol table, each symbol with its hash.
struct Symbols<'a> {
    texts: Vec<&'a str>,
    hashes: Vec<u64>,
}

impl<'a> Symbols<'a> {
    fn of(message: &'a [u8]) -> Result<Symbols<'a>, Malformed> {
        let mut symbols = Symbols { texts: Vec::new(), hashes: Vec::new() };
        let mut rest = message;
        while !rest.is_empty() {
            if let (4, Field::Bytes(bytes)) = field(&mut rest)? {
                symbols.texts.push(text(bytes)?);
                symbols.hashes.push(xxh3_64(bytes));
            }
        }
        match symbols.texts.first() {
            None | Some(&"") => Ok(symbols),
            // The specification wants the empty string first.
            Some(_) => Err(Malformed),
        }
    }

    fn text(&self, reference: u32) -> Result<&'a str, Malformed> {
        self.texts.get(reference as usize).copied().ok_or(Malformed)
    }
}

/// Buffers reused from series to series.
#[derive(Default)]
struct Scratch {
    references: Vec<u32>,
    key: Vec<u8>,
}

fn one_series(
    series: &[u8],
    symbols: &Symbols<'_>,
    session: &mut Session<'_>,
    window: Window,
    scratch: &mut Scratch,
    out: &mut Decoded,
) -> Result<(), Malformed> {
    read_references(series, &mut scratch.references)?;
    scratch.key.clear();
    for reference in &scratch.references {
        let hash = symbols.hashes.get(*reference as usize).ok_or(Malformed)?;
        scratch.key.extend_from_slice(&hash.to_le_bytes());
    }
    let key = xxh3_128_with_seed(&scratch.key, KEY_SEED);
    let mut id = session.known(key).map(Ok);
    let mut histograms = Vec::new();
    let mut rest = series;
    while !rest.is_empty() {
        match field(&mut rest)? {
            (2, Field::Bytes(message)) => {
                let (value, millis) = sample(message)?;
                let described = match id {
                    Some(described) => described,
                    None => {
                        let described = describe(series, key, symbols, &scratch.references, session)?;
                        *id.insert(described)
                    }
                };
                match described {
                    Err(reason) => out.refused.add(reason, 1),
                    Ok(id) => out.write(id, value, millis, window),
                }
            }
            (3, Field::Bytes(message)) => histograms.push(message),
            (4, Field::Bytes(_)) => out.refused.add("exemplar", 1),
            _ => {}
        }
    }
    if histograms.is_empty() {
        return Ok(());
    }
    let (name, labels) = labels_of(symbols, &scratch.references)?;
    Histograms { key, name, labels }.write(&histograms, session, window, out)
}

/// Field 1, packed as specified or one by one as protobuf allows.
fn read_references(series: &[u8], references: &mut Vec<u32>) -> Result<(), Malformed> {
    references.clear();
    let mut rest = series;
    while !rest.is_empty() {
        // The list stands in front; what follows needs no second look.
        if rest[0] != 0x0a && !references.is_empty() && references.len().is_multiple_of(2) {
            break;
        }
        match rest {
            [0x0a, after @ ..] => {
                rest = after;
                let mut packed = delimited(&mut rest)?;
                while !packed.is_empty() {
                    references.push(u32::try_from(varint(&mut packed)?).map_err(|_| Malformed)?);
                }
            }
            _ => {
                if let (1, Field::Varint(reference)) = field(&mut rest)? {
                    references.push(u32::try_from(reference).map_err(|_| Malformed)?);
                }
            }
        }
    }
    if references.len().is_multiple_of(2) { Ok(()) } else { Err(Malformed) }
}

type NameAndLabels<'a> = (&'a str, Vec<(&'a str, &'a str)>);

fn labels_of<'a>(symbols: &Symbols<'a>, references: &[u32]) -> Result<NameAndLabels<'a>, Malformed> {
    let (mut name, mut labels) = ("", Vec::with_capacity(references.len() / 2));
    for pair in references.chunks_exact(2) {
        let (key, value) = (symbols.text(pair[0])?, symbols.text(pair[1])?);
        if key == "__name__" && name.is_empty() {
            name = value;
        } else {
            labels.push((key, value));
        }
    }
    Ok((name, labels))
}

/// Describes a series not seen before, with the type and unit it carries itself.
fn describe(
    series: &[u8],
    key: u128,
    symbols: &Symbols<'_>,
    references: &[u32],
    session: &mut Session<'_>,
) -> Result<Result<u64, &'static str>, Malformed> {
    let (name, mut labels) = labels_of(symbols, references)?;
    let (mut series_type, mut unit) = (type_by_name(name), "");
    let mut rest = series;
    while !rest.is_empty() {
        let (5, Field::Bytes(mut metadata)) = field(&mut rest)? else {
            continue;
        };
        while !metadata.is_empty() {
            match field(&mut metadata)? {
                (1, Field::Varint(1)) => series_type = SeriesType::Counter,
                (1, Field::Varint(2)) => series_type = SeriesType::Gauge,
                (4, Field::Varint(reference)) => {
                    unit = symbols.text(u32::try_from(reference).map_err(|_| Malformed)?)?;
                }
                _ => {}
            }
        }
    }
    Ok(session.describe(key, name, unit, series_type, &mut labels))
}
