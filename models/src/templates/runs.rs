//! A coarser shape: what a line looks like when the length of a number does not matter.
//!
//! Numbers become one byte whatever their length, long hexadecimal ones another, and the
//! digits of an identifier that is a parameter for certain a third. All else stays as it
//! is. Lines of one coarse shape have the same elements of the same kinds, for each rule of
//! [`class`](super::class) that looks at lengths is mirrored here; digits that a template
//! may show stay in the shape.

use super::class::{CLASS, DIGIT, LETTER};

/// Bytes that stand for what was left out; in a log line they are white space at best.
const NUMBER: u8 = 1;
const PREFIXED_HEX: u8 = 2;
const HEX: u8 = 3;
const LETTER_HEX: u8 = 4;
const DIGITS: u8 = 5;

/// Hex runs of this length and above are alike to every rule.
const HEX_LONG: usize = 8;

/// Appends the coarse shape of a line. `false` if the line holds a byte that stands for
/// something here.
pub(super) fn collapse(line: &[u8], out: &mut Vec<u8>) -> bool {
    let mut at = 0;
    while at < line.len() {
        let byte = line[at];
        if CLASS[byte as usize] & (LETTER | DIGIT) == 0 {
            if byte <= DIGITS {
                return false;
            }
            out.push(byte);
            at += 1;
            continue;
        }
        let start = at;
        let mut digits = 0;
        while at < line.len() {
            let class = CLASS[line[at] as usize];
            if class & (LETTER | DIGIT) == 0 {
                break;
            }
            digits += usize::from(class == DIGIT);
            at += 1;
        }
        // After a dot the number began before: `1.5ab`.
        let fraction = start > 0 && line[start - 1] == b'.';
        run(&line[start..at], digits, fraction, out);
    }
    true
}

/// One run of letters and digits.
fn run(text: &[u8], digits: usize, fraction: bool, out: &mut Vec<u8>) {
    if digits == 0 {
        out.extend_from_slice(text);
        return;
    }
    if digits == text.len() {
        out.push(NUMBER);
        return;
    }
    // Scripts without blanks split at their digits: each number counts for itself.
    if !text.is_ascii() {
        out.extend_from_slice(text);
        return;
    }
    let leads = text[0].is_ascii_digit();
    if leads && fraction {
        out.extend_from_slice(text);
        return;
    }
    if leads && text[1] | 32 == b'x' && text.len() > 2 {
        out.push(PREFIXED_HEX);
        return;
    }
    if text.iter().all(u8::is_ascii_hexdigit) {
        match (text.len() >= HEX_LONG, leads) {
            (true, true) => out.push(HEX),
            (true, false) => out.push(LETTER_HEX),
            _ => out.extend_from_slice(text),
        }
        return;
    }
    let counted = text.windows(2).any(|pair| pair[0] == b'_' && pair[1].is_ascii_digit());
    if leads {
        leading(text, out);
    } else if digits >= 4 || counted {
        digits_out(text, out);
    } else {
        out.extend_from_slice(text);
    }
}

/// A number with letters after it: `65020ms`, but not `8x25` or `17a4`.
fn leading(text: &[u8], out: &mut Vec<u8>) {
    let head = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let unit = &text[head..];
    if unit[0] | 32 == b'x' || unit.iter().any(u8::is_ascii_digit) {
        out.extend_from_slice(text);
    } else {
        out.push(DIGITS);
        out.extend_from_slice(unit);
    }
}

fn digits_out(text: &[u8], out: &mut Vec<u8>) {
    let mut inside = false;
    for &byte in text {
        let digit = byte.is_ascii_digit();
        if !digit {
            out.push(byte);
        } else if !inside {
            out.push(DIGITS);
        }
        inside = digit;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(line: &str) -> Vec<u8> {
        let mut out = Vec::new();
        assert!(collapse(line.as_bytes(), &mut out));
        out
    }

    #[test]
    fn lengths_of_numbers_do_not_matter_and_shown_digits_do() {
        assert_eq!(shape("from 10.0.0.1:80"), shape("from 172.16.254.17:50010"));
        assert_eq!(shape("at 0x0ea9fd60 for 13ms"), shape("at 0xffffffffffff for 65020ms"));
        assert_eq!(shape("blk_38650 a64f9920"), shape("blk_7 b1234567cd"));
        assert_ne!(shape("login on tty2"), shape("login on tty3"));
        assert_ne!(shape("12ab"), shape("1234ab"));
    }

    #[test]
    fn a_line_with_control_bytes_has_no_coarse_shape() {
        assert!(!collapse(b"a\x01b", &mut Vec::new()));
    }
}
