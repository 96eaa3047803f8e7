//! The few forms of BER that an SNMP v2c notification has (RFC 3416, RFC 3417, X.690).
//!
//! A cursor over the datagram: nothing is built, nothing allocated before its length is known
//! to be there. Lengths are definite and of at most four bytes, as RFC 3417 demands; nesting
//! is what the grammar has and no deeper. Anything else is [`Broken`].

use std::fmt::Write as _;

/// INTEGER.
pub(super) const INTEGER: u8 = 0x02;
/// OCTET STRING.
pub(super) const OCTETS: u8 = 0x04;
/// OBJECT IDENTIFIER.
pub(super) const OBJECT: u8 = 0x06;
/// SEQUENCE.
pub(super) const SEQUENCE: u8 = 0x30;
/// IpAddress, four bytes.
const ADDRESS: u8 = 0x40;
/// Counter32, Gauge32, TimeTicks and Counter64: integers without a sign.
const UNSIGNED: [u8; 4] = [0x41, 0x42, 0x43, 0x46];

/// Arcs of an object identifier at most (RFC 2578, 3.5).
const ARCS_MAX: usize = 128;

/// These bytes are no such message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Broken;

/// One element: its tag and its content.
pub(super) type Element<'a> = (u8, &'a [u8]);

/// Takes the next element off `bytes`.
pub(super) fn element<'a>(bytes: &mut &'a [u8]) -> Result<Element<'a>, Broken> {
    let [tag, first, rest @ ..] = *bytes else { return Err(Broken) };
    let (length, rest) = match *first {
        short @ 0..0x80 => (usize::from(short), rest),
        long => {
            let count = usize::from(long & 0x7f);
            if !(1..=4).contains(&count) || rest.len() < count {
                return Err(Broken);
            }
            let (digits, rest) = rest.split_at(count);
            (digits.iter().fold(0usize, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
    };
    if rest.len() < length {
        return Err(Broken);
    }
    let (content, rest) = rest.split_at(length);
    *bytes = rest;
    Ok((*tag, content))
}

/// Takes the next element, which must have this tag.
pub(super) fn expect<'a>(bytes: &mut &'a [u8], tag: u8) -> Result<&'a [u8], Broken> {
    match element(bytes)? {
        (found, content) if found == tag => Ok(content),
        _ => Err(Broken),
    }
}

/// The content of an INTEGER.
pub(super) fn integer(content: &[u8]) -> Result<i64, Broken> {
    if content.is_empty() || content.len() > 8 {
        return Err(Broken);
    }
    let start = if content[0] & 0x80 == 0 { 0 } else { -1 };
    Ok(content.iter().fold(start, |value, byte| value << 8 | i64::from(*byte)))
}

/// The content of a Counter, Gauge or TimeTicks; nine bytes when the first is a zero.
fn unsigned(content: &[u8]) -> Result<u64, Broken> {
    let digits = match content {
        [0, digits @ ..] if digits.len() <= 8 => digits,
        digits if (1..=8).contains(&digits.len()) => digits,
        _ => return Err(Broken),
    };
    Ok(digits.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

/// The content of an OBJECT IDENTIFIER as `1.3.6.1`.
pub(super) fn object(content: &[u8]) -> Result<String, Broken> {
    let mut arcs = 0;
    let mut text = String::new();
    let mut rest = content;
    while !rest.is_empty() {
        let mut arc = 0u32;
        loop {
            let [byte, tail @ ..] = rest else { return Err(Broken) };
            // Sub-identifiers are below 2^32 (RFC 2578).
            if arc > u32::MAX >> 7 {
                return Err(Broken);
            }
            arc = arc << 7 | u32::from(byte & 0x7f);
            rest = tail;
            if byte & 0x80 == 0 {
                break;
            }
        }
        arcs += 1;
        if arcs > ARCS_MAX {
            return Err(Broken);
        }
        // The first sub-identifier holds two arcs. Writing to a string does not fail.
        let _ = match text.is_empty() {
            true => write!(text, "{}.{}", (arc / 40).min(2), arc - 40 * (arc / 40).min(2)),
            false => write!(text, ".{arc}"),
        };
    }
    if text.is_empty() { Err(Broken) } else { Ok(text) }
}

/// Opaque, which wraps another element: of net-snmp, a float or a double.
const OPAQUE: u8 = 0x44;

/// A varbind's value as text; `None` for NULL and the exceptions of RFC 3416.
pub(super) fn shown((tag, content): Element<'_>) -> Result<Option<String>, Broken> {
    Ok(match tag {
        INTEGER => Some(integer(content)?.to_string()),
        OBJECT => Some(object(content)?),
        ADDRESS => {
            let address: [u8; 4] = content.try_into().map_err(|_| Broken)?;
            Some(std::net::Ipv4Addr::from(address).to_string())
        }
        OCTETS => Some(octets(content)),
        OPAQUE => Some(opaque(content)),
        tag if UNSIGNED.contains(&tag) => Some(unsigned(content)?.to_string()),
        _ => None,
    })
}

/// Floats and doubles of the net-snmp extensions, `9f 78 04 …` and `9f 79 08 …`; else its bytes.
fn opaque(content: &[u8]) -> String {
    match *content {
        [0x9f, 0x78, 4, a, b, c, d] => f32::from_be_bytes([a, b, c, d]).to_string(),
        [0x9f, 0x79, 8, a, b, c, d, e, f, g, h] => f64::from_be_bytes([a, b, c, d, e, f, g, h]).to_string(),
        _ => hexadecimal(content),
    }
}

fn hexadecimal(content: &[u8]) -> String {
    content.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

/// Text when it is one, in UTF-8 or Latin-1 (older devices), a stray control character or two left
/// out; hexadecimal digits otherwise (MAC addresses, dates).
fn octets(content: &[u8]) -> String {
    let padded = content.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    // Addresses and dates may end in a zero, and texts do; what is no text is shown whole.
    let text = &content[..padded];
    let is_control = |byte: &u8| (*byte < 0x20 && !matches!(byte, b'\n' | b'\r' | b'\t')) || *byte == 0x7f;
    let controls = text.iter().filter(|byte| is_control(byte)).count();
    let shown = |text: &str| text.chars().filter(|ch| !ch.is_control() || matches!(ch, '\n' | '\r' | '\t')).collect();
    match std::str::from_utf8(text) {
        Ok(text) if controls * CONTROLS_SHARE <= text.len() => shown(text),
        // In Latin-1 what is no ASCII is a letter among others, and seldom.
        Err(_) if controls == 0 && is_latin1(text) => text.iter().map(|byte| char::from(*byte)).collect(),
        _ => hexadecimal(content),
    }
}

/// A text has at most one control character for so many bytes.
const CONTROLS_SHARE: usize = 8;

fn is_latin1(text: &[u8]) -> bool {
    let letters = text.iter().filter(|byte| byte.is_ascii_alphanumeric() || **byte == b' ').count();
    let high = text.iter().filter(|byte| **byte >= 0xa0).count();
    text.iter().all(|byte| !(0x80..0xa0).contains(byte)) && letters >= 3 && letters >= high * 2
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_forms_of_the_standards_are_read() {
        assert_eq!(object(&[0x2b, 6, 1, 0x84, 0x80, 0x80, 0x80, 0x7f]), Ok("1.3.6.1.1073741951".to_owned()));
        assert_eq!(object(&[0x88, 0x37]), Ok("2.999".to_owned()));
        assert_eq!((integer(&[0xff, 0x7f]), integer(&[0, 0x80])), (Ok(-129), Ok(128)));
        let shown = |tag, content: &[u8]| shown((tag, content)).expect("well formed").unwrap_or_default();
        assert_eq!(shown(0x43, &[0, 0xff, 0xff, 0xff, 0xff]), "4294967295");
        assert_eq!(shown(0x46, &[0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), u64::MAX.to_string());
        assert_eq!(shown(0x40, &[10, 0, 0, 7]), "10.0.0.7");
        assert_eq!(shown(OCTETS, b"Gi0/1\0"), "Gi0/1");
        assert_eq!(shown(OCTETS, &[0, 0x1b, 0xff]), "00:1b:ff");
        assert_eq!(shown(OCTETS, b"Ger\xe4t 7 \xfcberlastet"), "Gerät 7 überlastet");
        assert_eq!(shown(OCTETS, b"fan \x07failed\0\0"), "fan failed");
        assert_eq!(shown(OCTETS, &[0x07, 0xea, 11, 30, 10, 0, 0, 0, b'+', 1, 0]), "07:ea:0b:1e:0a:00:00:00:2b:01:00");
        assert_eq!(shown(OCTETS, &[0x00, 0x41, 0xa5, 0xe4, 0x42, 0xf0]), "00:41:a5:e4:42:f0");
        assert_eq!(shown(OPAQUE, &[0x9f, 0x78, 4, 0x42, 0x28, 0, 0]), "42");
        assert_eq!(shown(OPAQUE, &[0x9f, 0x79, 8, 0xbf, 0xe0, 0, 0, 0, 0, 0, 0]), "-0.5");
        assert_eq!(shown(OPAQUE, &[1, 2]), "01:02");
        assert_eq!(shown(0x05, &[]), "");
    }

    #[test]
    fn lengths_that_are_not_there_are_refused() {
        for bad in [
            &[0x30][..],
            &[0x30, 5, 1],
            &[0x30, 0x80, 0, 0],
            &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 1],
            &[0x30, 0x85, 0, 0, 0, 0, 1, 1],
        ] {
            assert_eq!(element(&mut &bad[..]), Err(Broken), "{bad:?}");
        }
        assert_eq!(object(&[0x2b, 0x86]), Err(Broken));
        assert_eq!(object(&[0x2b, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]), Err(Broken));
        assert_eq!(object(&[1; ARCS_MAX + 1]), Err(Broken));
    }

    proptest! {
        #![proptest_config(crate::fuzz::config())]

        #[test]
        fn any_bytes_are_elements_or_broken(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut rest = &bytes[..];
            while let Ok(found) = element(&mut rest) {
                let text = shown(found);
                prop_assert!(text.is_err() || text.expect("not an error").is_none_or(|text| text.len() <= 1_500));
            }
            prop_assert!(rest.len() <= bytes.len());
        }
    }
}
