//! The level of a log line that nobody names beside it: in a field of JSON or logfmt, in klog's first
//! letter, in brackets, or as one of its first words.
//!
//! Text is not taken for a level lightly: a line that counts as an error raises an alert when it is
//! new. Words in small letters count only where a level stands (at the beginning, before a colon,
//! between brackets or bars), so that `login without error` has none.

use bellwether_engine::signal::{log_severity, syslog_severity};

/// Bytes of a plain line that are looked at.
const LINE_BYTES: usize = 512;
/// Bytes of a JSON line that are looked at: some loggers write the level last.
const DOCUMENT_BYTES: usize = 4_096;
/// Words looked at; times and other numbers do not count.
const WORDS_MAX: usize = 6;
/// Longest name of a field that holds a level.
const FIELD_BYTES_MAX: usize = 24;

/// Its place among the fields that hold a level, the most trusted first; case is of no matter.
pub(crate) fn field_rank(name: &str) -> Option<usize> {
    rank_of(name.as_bytes())
}

fn rank_of(name: &[u8]) -> Option<usize> {
    // Most names are told apart by their first letter.
    let first = name.first()?.to_ascii_lowercase();
    if !matches!(first, b'l' | b's' | b'd' | b'p' | b'@') || name.len() > FIELD_BYTES_MAX {
        return None;
    }
    let mut lower = [0; FIELD_BYTES_MAX];
    let lower = &mut lower[..name.len()];
    lower.copy_from_slice(name);
    lower.make_ascii_lowercase();
    Some(match &*lower {
        b"log.level" => 0,
        b"level" => 1,
        b"detected_level" => 2,
        b"severity" => 3,
        b"severity_text" | b"severitytext" => 4,
        b"syslogseverity-text" => 5,
        b"loglevel" | b"log_level" | b"log-level" => 6,
        b"levelname" | b"level_name" => 7,
        b"lvl" | b"@l" => 8,
        b"severity_number" | b"severitynumber" => 9,
        b"levelno" => 10,
        b"priority" | b"syslogseverity" | b"log.syslog.severity.code" => 11,
        _ => return None,
    })
}

/// The severity number of what the field of `rank` says; 0 for unknown.
pub(crate) fn of_field(rank: usize, value: &str) -> u8 {
    let number = || value.trim().parse::<u8>().ok();
    match rank {
        9 => number().filter(|number| (1..=24).contains(number)).unwrap_or(0),
        // Python's numbers are pino's, one level lower.
        10 => number().map_or(0, |number| match number {
            50.. => 21,
            40.. => 17,
            30.. => 13,
            20.. => 9,
            10.. => 5,
            _ => 0,
        }),
        11 => match number() {
            Some(number) if number <= 7 => syslog_severity(number),
            Some(_) => 0,
            // Some call a level their priority.
            None => log_severity(value),
        },
        _ => log_severity(value),
    }
}

/// The severity number of the first of these fields that holds a level, by trust; 0 for none.
pub(crate) fn of_fields<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> u8 {
    let mut best = (usize::MAX, 0);
    for (name, value) in fields {
        if let Some(rank) = field_rank(name).filter(|rank| *rank < best.0) {
            let level = of_field(rank, value);
            if level > 0 {
                best = (rank, level);
            }
        }
    }
    best.1
}

/// `told` when it is a level, else the level in the line; 0 for none.
pub(crate) fn told_or_read(told: u8, line: &str) -> u8 {
    if told > 0 { told } else { level_of(line) }
}

/// The severity number of the level in a line; 0 for none.
pub(crate) fn level_of(line: &str) -> u8 {
    read(line.as_bytes(), false)
}

/// The same for a line whose time in front was taken off.
pub(crate) fn level_after_time(line: &str) -> u8 {
    read(line.as_bytes(), true)
}

fn read(line: &[u8], timed: bool) -> u8 {
    let line = line.trim_ascii_start();
    if line.first() == Some(&b'{') {
        return document(&line[..line.len().min(DOCUMENT_BYTES)]);
    }
    let head = &line[..line.len().min(LINE_BYTES)];
    if memchr::memchr(ESCAPE, head).is_none() {
        return plain(head, timed);
    }
    let mut room = [0; LINE_BYTES];
    let length = copy_without_colours(head, &mut room);
    plain(room[..length].trim_ascii_start(), timed)
}

const ESCAPE: u8 = 0x1b;

/// Colours end words: `\e[31mERROR\e[0m:`. What is no colour is copied but for the escape.
fn copy_without_colours(line: &[u8], out: &mut [u8; LINE_BYTES]) -> usize {
    let (mut at, mut length) = (0, 0);
    while at < line.len() {
        if line[at] != ESCAPE {
            out[length] = line[at];
            length += 1;
            at += 1;
            continue;
        }
        at += 1;
        if line.get(at) == Some(&b'[') {
            at += 1 + line[at + 1..].iter().take_while(|byte| matches!(byte, 0x20..=0x3f)).count() + 1;
        }
    }
    length
}

fn plain(line: &[u8], timed: bool) -> u8 {
    if let [b'<', digit @ b'0'..=b'7', b'>', ..] = line {
        // As systemd and the kernel prefix what they print.
        return syslog_severity(digit - b'0');
    }
    let found = klog(line);
    if found > 0 {
        return found;
    }
    match logfmt(line) {
        0 => words(line, timed),
        found => found,
    }
}

/// `E1129 10:00:00.123456 7 x.go:12] text`, as of klog and glog; glog may write the year.
fn klog(line: &[u8]) -> u8 {
    let Some((letter @ (b'E' | b'W' | b'F' | b'I'), rest)) = line.split_first() else { return 0 };
    let digits = rest.iter().take(9).take_while(|byte| byte.is_ascii_digit()).count();
    match (digits, &rest[digits..]) {
        (4 | 8, [b' ', a, b, b':', ..]) if a.is_ascii_digit() && b.is_ascii_digit() => of_text(&[*letter]),
        _ => 0,
    }
}

fn of_text(word: &[u8]) -> u8 {
    std::str::from_utf8(word).map_or(0, log_severity)
}

/// `level=error`, `lvl="warn"`.
fn logfmt(line: &[u8]) -> u8 {
    for at in memchr::memchr_iter(b'=', line) {
        let named = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'@');
        let start = line[..at].iter().rposition(|byte| !named(byte)).map_or(0, |before| before + 1);
        let Some(rank) = rank_of(&line[start..at]) else { continue };
        let value = &line[at + 1..];
        let value = value.strip_prefix(b"\"").or(value.strip_prefix(b"'")).unwrap_or(value);
        let length = value.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        let level = std::str::from_utf8(&value[..length]).map_or(0, |value| of_field(rank, value));
        if level > 0 {
            return level;
        }
    }
    0
}

/// The level among the fields of a JSON object, or of its object `log`. Walked over without being
/// parsed: it may be cut, or no JSON at all.
fn document(text: &[u8]) -> u8 {
    let (mut depth, mut at, mut inside_log) = (0usize, 0, false);
    while at < text.len() {
        match text[at] {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                inside_log &= depth > 1;
                if depth == 0 {
                    return 0;
                }
            }
            b'"' => {
                let Some((name, after)) = quoted(text, at) else { return 0 };
                at = after + blanks(&text[after..]);
                if text.get(at) != Some(&b':') {
                    continue;
                }
                at += 1;
                at += blanks(&text[at..]);
                inside_log |= depth == 1 && name == b"log" && text.get(at) == Some(&b'{');
                if depth == 1 || depth == 2 && inside_log {
                    let level = value_level(name, &text[at..]);
                    if level > 0 {
                        return level;
                    }
                }
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    0
}

fn value_level(name: &[u8], value: &[u8]) -> u8 {
    let text = match value.first() {
        Some(b'"') => quoted(value, 0).map_or(&[][..], |(text, _)| text),
        Some(b'0'..=b'9') => &value[..value.iter().take_while(|byte| byte.is_ascii_digit()).count()],
        _ => return 0,
    };
    match rank_of(name) {
        Some(rank) => std::str::from_utf8(text).map_or(0, |text| of_field(rank, text)),
        // MongoDB's, whose debug levels count: `D3`.
        None if name == b"s" => match text {
            [letter @ (b'E' | b'W' | b'F' | b'I' | b'D')] | [letter @ b'D', b'1'..=b'5'] => of_text(&[*letter]),
            _ => 0,
        },
        None => 0,
    }
}

/// The text between the quote at `at` and the next, and where it goes on.
fn quoted(text: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let start = at + 1;
    let mut from = start;
    loop {
        let mark = from + memchr::memchr2(b'"', b'\\', &text[from..])?;
        if text[mark] == b'"' {
            return Some((&text[start..mark], mark + 1));
        }
        from = (mark + 2).min(text.len());
    }
}

fn blanks(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_whitespace()).count()
}

/// What stands around words: white space, brackets and bars.
fn separates(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b'|' | b'[' | b']' | b'(' | b')' | b'<' | b'>' | b'{' | b'}' | b'"')
}

/// What came before a word.
#[derive(Clone, Copy, Default)]
struct Before {
    /// Nothing but times, numbers and names with a colon.
    leading: bool,
    /// A time or a number is the last word.
    time: bool,
    /// `no`, `without`: what follows did not happen.
    negated: bool,
    /// `level:`.
    announced: bool,
    /// A dash alone.
    dash: bool,
}

fn words(line: &[u8], timed: bool) -> u8 {
    let mut before = Before { leading: true, time: timed, ..Before::default() };
    let (mut at, mut left) = (0, WORDS_MAX);
    while left > 0 {
        at += line[at..].iter().take_while(|byte| separates(**byte)).count();
        let length = line[at..].iter().take_while(|byte| !separates(**byte)).count();
        if length == 0 {
            return 0;
        }
        let (word, around) = (&line[at..at + length], (at.checked_sub(1).map(|at| line[at]), line.get(at + length)));
        let level = word_level(word, around.0, around.1.copied(), &line[at + length..], before);
        if level > 0 && !before.negated {
            return level;
        }
        let counts = !is_time(word);
        left -= usize::from(counts);
        let announces = word.strip_suffix(b":").is_some_and(|name| rank_of(name).is_some());
        let ends = matches!(around.1, Some(b']' | b'|')) || word.ends_with(b":") || word == b"-";
        before = Before {
            leading: !counts || ends,
            time: !counts,
            negated: [&b"no"[..], b"without", b"0", b"zero"].iter().any(|no| word.eq_ignore_ascii_case(no)),
            announced: announces,
            dash: word == b"-",
        };
        at += length;
    }
    0
}

/// Numbers, dates and times, and the words of dates.
fn is_time(word: &[u8]) -> bool {
    let digits = word.iter().find(|byte| !matches!(byte, b'-' | b'+' | b'*' | b'.' | b'#'));
    digits.is_none_or(u8::is_ascii_digit) || {
        let name = word.strip_suffix(b",").unwrap_or(word);
        (3..=4).contains(&name.len()) && DATE_WORDS.contains(&name)
    }
}

const DATE_WORDS: [&[u8]; 24] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec", b"Mon", b"Tue",
    b"Wed", b"Thu", b"Fri", b"Sat", b"Sun", b"UTC", b"GMT", b"CET", b"CEST", b"EST",
];

/// Words that stand at the beginning of a sentence as a level and hardly as anything else.
const LEADING: [&[u8]; 7] = [b"error", b"err", b"warn", b"warning", b"info", b"debug", b"fatal"];

fn word_level(word: &[u8], left: Option<u8>, right: Option<u8>, rest: &[u8], before: Before) -> u8 {
    let bracketed = matches!(left, Some(b'[' | b'(' | b'<')) || matches!(right, Some(b']'));
    // `ERROR:root:text`, and `core:error` between brackets, as Apache writes it.
    let (name, colon) = match word.iter().position(|byte| *byte == b':') {
        Some(_) if bracketed && !word.ends_with(b":") => {
            (word.rsplit(|byte| *byte == b':').next().unwrap_or_default(), false)
        }
        Some(at) => (&word[..at], true),
        None => (word, right == Some(b']') && rest.get(1) == Some(&b':')),
    };
    let name = trimmed(name);
    let barred = matches!((left, right), (Some(b'|'), Some(b'|')) | (Some(b'\t'), Some(b'\t')))
        || left == Some(b' ') && rest.starts_with(b" |")
        || before.dash && rest.starts_with(b" - ");
    if let [letter, after @ ..] = name
        && (after.is_empty() || after[0] == b'/')
    {
        let stands = match after {
            [] if colon => before.leading && word.len() == 2,
            [] => bracketed && right == Some(b']') || barred || before.time && right.is_some_and(|byte| byte == b' '),
            // Android's `E/ActivityManager`.
            _ => before.leading && after.len() > 2,
        };
        let known = matches!(letter, b'E' | b'W' | b'F' | b'I' | b'D' | b'V');
        return if stands && known { of_text(&[*letter]) } else { 0 };
    }
    if name.len() < 3 || name[0].is_ascii_digit() {
        return 0;
    }
    let level = of_text(name);
    if level == 0 {
        return 0;
    }
    let usual = LEADING.iter().any(|known| known.eq_ignore_ascii_case(name));
    let shouted = !name.iter().any(u8::is_ascii_lowercase);
    let stands = bracketed
        || barred
        || before.announced
        || shouted
        || colon && (before.leading || usual)
        || before.leading && usual;
    if stands { level } else { 0 }
}

/// A word without the punctuation around it.
fn trimmed(mut word: &[u8]) -> &[u8] {
    while let [b'*' | b'-' | b'!' | b'#' | b'\'' | b'`' | b'=' | b'.', rest @ ..] = word {
        word = rest;
    }
    while let [rest @ .., b'*' | b'-' | b'!' | b',' | b'.' | b';' | b'\'' | b'`'] = word {
        word = rest;
    }
    word
}

#[cfg(test)]
mod tests;
