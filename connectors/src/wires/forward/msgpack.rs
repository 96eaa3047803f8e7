//! The MessagePack that Fluent Forward is written in, read in place.
//!
//! One token at a time: a list or map is its length, and what is in it follows. So nothing is
//! allocated for a length that is only claimed, and walking over a value needs no recursion.
//! Reference: the MessagePack specification.

/// Why there is no token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stop {
    /// The bytes end within it.
    Short,
    /// They are no MessagePack.
    Broken,
}

/// One token.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Token<'a> {
    Nil,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Float(f64),
    /// Text as the sender says; it need not be UTF-8.
    Text(&'a [u8]),
    Bytes(&'a [u8]),
    List(usize),
    Map(usize),
    Ext(i8, &'a [u8]),
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Result<&'a [u8], Stop> {
    if bytes.len() < length {
        return Err(Stop::Short);
    }
    let (taken, rest) = bytes.split_at(length);
    *bytes = rest;
    Ok(taken)
}

/// A big-endian number of `width` bytes.
fn number(bytes: &mut &[u8], width: usize) -> Result<u64, Stop> {
    Ok(take(bytes, width)?.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

fn length(bytes: &mut &[u8], width: usize) -> Result<usize, Stop> {
    usize::try_from(number(bytes, width)?).map_err(|_| Stop::Broken)
}

fn ext<'a>(bytes: &mut &'a [u8], length: usize) -> Result<Token<'a>, Stop> {
    let kind = take(bytes, 1)?[0] as i8;
    Ok(Token::Ext(kind, take(bytes, length)?))
}

/// Takes the next token off `bytes`, which stay as they are when there is none.
pub(super) fn token<'a>(bytes: &mut &'a [u8]) -> Result<Token<'a>, Stop> {
    let mut rest = *bytes;
    let found = read(&mut rest)?;
    *bytes = rest;
    Ok(found)
}

fn read<'a>(rest: &mut &'a [u8]) -> Result<Token<'a>, Stop> {
    let marker = take(rest, 1)?[0];
    Ok(match marker {
        0x00..=0x7f => Token::UInt(u64::from(marker)),
        0x80..=0x8f => Token::Map(usize::from(marker & 0x0f)),
        0x90..=0x9f => Token::List(usize::from(marker & 0x0f)),
        0xa0..=0xbf => Token::Text(take(rest, usize::from(marker & 0x1f))?),
        0xc0 => Token::Nil,
        0xc1 => return Err(Stop::Broken),
        0xc2 | 0xc3 => Token::Bool(marker == 0xc3),
        0xc4..=0xc6 => {
            let length = length(rest, 1 << (marker - 0xc4))?;
            Token::Bytes(take(rest, length)?)
        }
        0xc7..=0xc9 => {
            let length = length(rest, 1 << (marker - 0xc7))?;
            ext(rest, length)?
        }
        0xca => Token::Float(f64::from(f32::from_bits(number(rest, 4)? as u32))),
        0xcb => Token::Float(f64::from_bits(number(rest, 8)?)),
        0xcc..=0xcf => Token::UInt(number(rest, 1 << (marker - 0xcc))?),
        0xd0 => Token::Int(i64::from(number(rest, 1)? as i8)),
        0xd1 => Token::Int(i64::from(number(rest, 2)? as i16)),
        0xd2 => Token::Int(i64::from(number(rest, 4)? as i32)),
        0xd3 => Token::Int(number(rest, 8)? as i64),
        0xd4..=0xd8 => ext(rest, 1 << (marker - 0xd4))?,
        0xd9..=0xdb => {
            let length = length(rest, 1 << (marker - 0xd9))?;
            Token::Text(take(rest, length)?)
        }
        0xdc | 0xdd => Token::List(length(rest, 2 << (marker - 0xdc))?),
        0xde | 0xdf => Token::Map(length(rest, 2 << (marker - 0xde))?),
        0xe0..=0xff => Token::Int(i64::from(marker as i8)),
    })
}

/// Where a walk over one value stands; it can be taken up again when more bytes have come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walk {
    /// Bytes walked over.
    pub(super) length: usize,
    /// Values still to come.
    left: u64,
}

impl Default for Walk {
    fn default() -> Walk {
        Walk { length: 0, left: 1 }
    }
}

impl Walk {
    /// Goes on over `bytes`, which begin where the value does, to the value's end.
    pub(super) fn go_on(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        let mut rest = bytes.get(self.length..).ok_or(Stop::Short)?;
        while self.left > 0 {
            let more = match token(&mut rest)? {
                Token::List(count) => count as u64,
                Token::Map(count) => 2 * count as u64,
                _ => 0,
            };
            self.length = bytes.len() - rest.len();
            self.left = (self.left - 1).saturating_add(more);
        }
        Ok(())
    }
}

/// Takes one whole value off `bytes`.
pub(super) fn value<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], Stop> {
    let mut walk = Walk::default();
    walk.go_on(bytes)?;
    take(bytes, walk.length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_form_is_read() {
        let cases: [(&[u8], Token<'_>); 16] = [
            (&[0x05], Token::UInt(5)),
            (&[0xff], Token::Int(-1)),
            (&[0xcd, 1, 0], Token::UInt(256)),
            (&[0xcf, 0, 0, 0, 0, 0, 0, 1, 1], Token::UInt(257)),
            (&[0xd1, 0xff, 0xfe], Token::Int(-2)),
            (&[0xd3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfd], Token::Int(-3)),
            (&[0xca, 0x3f, 0xc0, 0, 0], Token::Float(1.5)),
            (&[0xa2, b'h', b'i'], Token::Text(b"hi")),
            (&[0xda, 0, 1, b'x'], Token::Text(b"x")),
            (&[0xc4, 2, 1, 2], Token::Bytes(&[1, 2])),
            (&[0xd7, 0, 1, 2, 3, 4, 5, 6, 7, 8], Token::Ext(0, &[1, 2, 3, 4, 5, 6, 7, 8])),
            (&[0xc7, 1, 0xfe, 9], Token::Ext(-2, &[9])),
            (&[0x92], Token::List(2)),
            (&[0xdd, 0xff, 0xff, 0xff, 0xff], Token::List(0xffff_ffff)),
            (&[0xde, 0, 3], Token::Map(3)),
            (&[0xc3], Token::Bool(true)),
        ];
        for (bytes, want) in cases {
            let mut rest = bytes;
            assert_eq!(token(&mut rest), Ok(want));
            assert!(rest.is_empty());
            for end in 0..bytes.len() {
                assert_eq!(token(&mut &bytes[..end]), Err(Stop::Short));
            }
        }
        assert_eq!(token(&mut &[0xc1][..]), Err(Stop::Broken));
    }

    #[test]
    fn a_value_nested_deeply_is_walked_over_without_recursion() {
        let mut deep = vec![0x91; 1_000_000];
        assert_eq!(value(&mut &deep[..]), Err(Stop::Short));
        deep.push(0xc0);
        assert_eq!(value(&mut &deep[..]).map(<[u8]>::len), Ok(deep.len()));
    }

    proptest! {
        #![proptest_config(crate::fuzz::config())]

        #[test]
        fn a_walk_taken_up_again_ends_where_one_in_a_single_go_does(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            step in 1usize..20,
        ) {
            let mut whole = Walk::default();
            let want = whole.go_on(&bytes);
            let mut walk = Walk::default();
            let mut got = Err(Stop::Short);
            let ends = (0..bytes.len()).step_by(step).chain([bytes.len()]);
            for end in ends {
                got = walk.go_on(&bytes[..end]);
                if got != Err(Stop::Short) {
                    break;
                }
            }
            prop_assert_eq!(got, want);
            prop_assert_eq!(walk.length, whole.length);
            prop_assert!(walk.length <= bytes.len());
        }
    }
}
