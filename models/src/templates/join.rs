//! Second look at a line's elements: what several of them say together.
//!
//! A date in words, a quantity and its unit, a list of parameters.

use super::class::Kind;
use super::element::Element;

/// Joins elements in place.
pub(super) fn join(elements: &mut Vec<Element>, text: &[u8]) {
    let mut kept = 0;
    let mut at = 0;
    while at < elements.len() {
        let mut element = elements[at];
        let used = if let Some(end) = date_end(elements, text, at) {
            element.kind = Kind::Time;
            element.end = elements[end - 1].end;
            end - at
        } else if let Some(sign) = quantity(elements, text, at) {
            element.kind = Kind::Number;
            element.start -= sign;
            element.end = elements[at + 1].end;
            2
        } else {
            1
        };
        if kept > 0 {
            let gap = &text[element.gap as usize..element.start as usize];
            element.listed = element.kind.is_strong() && elements[kept - 1].kind.is_strong() && is_list_gap(gap);
        }
        elements[kept] = element;
        kept += 1;
        at += used;
    }
    elements.truncate(kept);
}

fn is_list_gap(gap: &[u8]) -> bool {
    matches!(gap, b" " | b"," | b", ") || (!gap.is_empty() && gap.iter().all(u8::is_ascii_whitespace))
}

fn body<'a>(element: &Element, text: &'a [u8]) -> &'a [u8] {
    &text[element.start as usize..element.end as usize]
}

fn gap<'a>(element: &Element, text: &'a [u8]) -> &'a [u8] {
    &text[element.gap as usize..element.start as usize]
}

/// Where a date in words that starts here ends: a weekday or a month, and then days,
/// months, numbers, a zone, with at least one number.
fn date_end(elements: &[Element], text: &[u8], at: usize) -> Option<usize> {
    if elements[at].kind != Kind::Word || !is_date_word(body(&elements[at], text)) {
        return None;
    }
    let mut numbers = 0;
    let mut end = at + 1;
    while end < elements.len() && end - at < DATE_PARTS_MAX {
        let next = &elements[end];
        let word = body(next, text);
        let number = matches!(next.kind, Kind::Number | Kind::Time);
        let zone = numbers > 0 && ZONES.contains(&word);
        if !is_list_gap(gap(next, text)) || !(number || zone || is_date_word(word)) {
            break;
        }
        numbers += usize::from(number);
        end += 1;
    }
    (numbers > 0).then_some(end)
}

/// Weekday, month, day, time, zone, year.
const DATE_PARTS_MAX: usize = 6;

fn is_date_word(word: &[u8]) -> bool {
    word.len() >= 3
        && word[0].is_ascii_uppercase()
        && DATE_WORDS.iter().any(|known| word == &known[..3] || word == *known)
}

const DATE_WORDS: [&[u8]; 19] = [
    b"Monday",
    b"Tuesday",
    b"Wednesday",
    b"Thursday",
    b"Friday",
    b"Saturday",
    b"Sunday",
    b"January",
    b"February",
    b"March",
    b"April",
    b"May",
    b"June",
    b"July",
    b"August",
    b"September",
    b"October",
    b"November",
    b"December",
];

const ZONES: [&[u8]; 14] =
    [b"UTC", b"GMT", b"PST", b"PDT", b"MST", b"MDT", b"CST", b"CDT", b"EST", b"EDT", b"CET", b"CEST", b"BST", b"JST"];

/// A number and its unit as one value: `5.2 KB`, and `<1 sec`, where the sign says that the
/// two are one quantity. Returns how many bytes of sign stand before the number.
fn quantity(elements: &[Element], text: &[u8], at: usize) -> Option<u32> {
    let unit = elements.get(at + 1)?;
    if elements[at].kind != Kind::Number || unit.kind != Kind::Word || gap(unit, text) != b" " {
        return None;
    }
    let word = body(unit, text);
    if BYTE_UNITS.contains(&word) {
        return Some(0);
    }
    let before = gap(&elements[at], text);
    let compared = matches!(before, [.., b' ' | b'=' | b'(', b'<' | b'>' | b'~']);
    (compared && TIME_UNITS.contains(&word)).then_some(1)
}

const BYTE_UNITS: [&[u8]; 10] = [b"B", b"KB", b"kB", b"MB", b"GB", b"TB", b"KiB", b"MiB", b"GiB", b"TiB"];

const TIME_UNITS: [&[u8]; 14] = [
    b"ns", b"us", b"ms", b"s", b"sec", b"secs", b"second", b"seconds", b"min", b"mins", b"minutes", b"hour", b"hours",
    b"h",
];
