//! `prometheus.WriteRequest`: every series spells out its labels.

use xxhash_rust::xxh3::xxh3_128;

use super::{Decoded, Histograms, sample};
use crate::decode::protobuf::{Field, Malformed, delimited, field, text};
use crate::limits::Window;
use crate::resolve::series_table::{Session, type_by_name};

const LABEL_TAG: u8 = 0x0a;
const SAMPLE_TAG: u8 = 0x12;

/// Reads a request; samples outside `window` are refused.
///
/// # Errors
/// [`Malformed`] when the bytes are no such message; nothing of it may be stored then.
pub(super) fn decode(mut message: &[u8], session: &mut Session<'_>, window: Window) -> Result<Decoded, Malformed> {
    let mut out = Decoded::default();
    while !message.is_empty() {
        // Field 1 holds series; field 3, metadata, carries nothing a series id needs.
        if let (1, Field::Bytes(series)) = field(&mut message)? {
            one_series(series, session, window, &mut out)?;
        }
    }
    Ok(out)
}

/// One series as every sender writes it: all labels, then samples; anything else the long way.
/// A tag of one byte is also how [`labels_of`] finds where the labels end.
fn one_series(series: &[u8], session: &mut Session<'_>, window: Window, out: &mut Decoded) -> Result<(), Malformed> {
    let mut rest = series;
    while let [LABEL_TAG, after @ ..] = rest {
        rest = after;
        delimited(&mut rest)?;
    }
    let labels = &series[..series.len() - rest.len()];
    let key = xxh3_128(labels);
    let known = session.known(key);
    let Some(id) = known else {
        return slow(series, session, window, out);
    };
    while let [SAMPLE_TAG, after @ ..] = rest {
        rest = after;
        let (value, millis) = sample(delimited(&mut rest)?)?;
        out.write(id, value, millis, window);
    }
    if rest.is_empty() { Ok(()) } else { slow_tail(series, rest, session, window, out) }
}

/// A series not seen before, or fields in an order of their own.
fn slow(series: &[u8], session: &mut Session<'_>, window: Window, out: &mut Decoded) -> Result<(), Malformed> {
    slow_tail(series, series, session, window, out)
}

/// Reads the fields of `tail`, which is all of `series` or what followed its first samples.
fn slow_tail(
    series: &[u8],
    mut tail: &[u8],
    session: &mut Session<'_>,
    window: Window,
    out: &mut Decoded,
) -> Result<(), Malformed> {
    let (key, name, mut labels) = labels_of(series)?;
    let mut id = None;
    let mut histograms = Vec::new();
    while !tail.is_empty() {
        match field(&mut tail)? {
            (2, Field::Bytes(message)) => {
                let (value, millis) = sample(message)?;
                let described = *id.get_or_insert_with(|| match session.known(key) {
                    Some(id) => Ok(id),
                    None => session.describe(key, name, "", type_by_name(name), &mut labels),
                });
                match described {
                    Ok(id) => out.write(id, value, millis, window),
                    Err(reason) => out.refused.add(reason, 1),
                }
            }
            (3, Field::Bytes(_)) => out.refused.add("exemplar", 1),
            (4, Field::Bytes(message)) => histograms.push(message),
            _ => {}
        }
    }
    if histograms.is_empty() {
        return Ok(());
    }
    let of = Histograms { key, name, labels };
    of.write(&histograms, session, window, out)
}

type SeriesLabels<'a> = (u128, &'a str, Vec<(&'a str, &'a str)>);

/// The key, the metric's name and the other labels of a series. Labels stand together in
/// front, as every protobuf writer puts them; a message that scatters them is refused, because
/// its series could not be told by its leading bytes.
fn labels_of(series: &[u8]) -> Result<SeriesLabels<'_>, Malformed> {
    let (mut name, mut labels) = ("", Vec::new());
    let mut rest = series;
    let mut leading = 0;
    while !rest.is_empty() {
        let before = series.len() - rest.len();
        let (1, Field::Bytes(mut label)) = field(&mut rest)? else {
            continue;
        };
        if before != leading {
            return Err(Malformed);
        }
        leading = series.len() - rest.len();
        let (mut key, mut value) = ("", "");
        while !label.is_empty() {
            match field(&mut label)? {
                (1, Field::Bytes(bytes)) => key = text(bytes)?,
                (2, Field::Bytes(bytes)) => value = text(bytes)?,
                _ => {}
            }
        }
        if key == "__name__" && name.is_empty() {
            name = value;
        } else {
            labels.push((key, value));
        }
    }
    Ok((xxh3_128(&series[..leading]), name, labels))
}
