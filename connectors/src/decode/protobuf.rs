//! A reader of the protobuf wire format that copies nothing.
//!
//! Hot messages are read field by field from the request's bytes; generated types would
//! allocate a string per label. Encoding: <https://protobuf.dev/programming-guides/encoding/>.

/// Bytes that are no protobuf message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the body is not the protobuf message it claims to be")]
pub(crate) struct Malformed;

/// The value of one field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Field<'a> {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 1.
    Fixed64(u64),
    /// Wire type 2: a string, a message or a packed list.
    Bytes(&'a [u8]),
    /// Wire type 5.
    Fixed32(u32),
}

/// Takes a varint of at most ten bytes off the front of `input`.
#[inline]
pub(crate) fn varint(input: &mut &[u8]) -> Result<u64, Malformed> {
    match input.split_first() {
        Some((first, rest)) if *first < 0x80 => {
            *input = rest;
            Ok(u64::from(*first))
        }
        _ => long_varint(input),
    }
}

fn long_varint(input: &mut &[u8]) -> Result<u64, Malformed> {
    let mut value = 0u64;
    for (at, byte) in input.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if *byte < 0x80 {
            *input = &input[at + 1..];
            return Ok(value);
        }
    }
    Err(Malformed)
}

/// Takes `length` bytes off the front of `input`.
#[inline]
pub(crate) fn take<'a>(input: &mut &'a [u8], length: u64) -> Result<&'a [u8], Malformed> {
    let length = usize::try_from(length).map_err(|_| Malformed)?;
    let (head, rest) = input.split_at_checked(length).ok_or(Malformed)?;
    *input = rest;
    Ok(head)
}

/// Takes a length and as many bytes.
#[inline]
pub(crate) fn delimited<'a>(input: &mut &'a [u8]) -> Result<&'a [u8], Malformed> {
    let length = varint(input)?;
    take(input, length)
}

/// Takes one field: its number and value.
#[inline]
pub(crate) fn field<'a>(input: &mut &'a [u8]) -> Result<(u32, Field<'a>), Malformed> {
    let tag = varint(input)?;
    let number = u32::try_from(tag >> 3).map_err(|_| Malformed)?;
    let value = match tag & 7 {
        0 => Field::Varint(varint(input)?),
        1 => Field::Fixed64(u64::from_le_bytes(array(take(input, 8)?)?)),
        2 => Field::Bytes(delimited(input)?),
        5 => Field::Fixed32(u32::from_le_bytes(array(take(input, 4)?)?)),
        // Groups (3 and 4) ended with proto2; no wire here ever used them.
        _ => return Err(Malformed),
    };
    if number == 0 {
        return Err(Malformed);
    }
    Ok((number, value))
}

#[inline]
fn array<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Malformed> {
    bytes.try_into().map_err(|_| Malformed)
}

/// The text of a string field.
#[inline]
pub(crate) fn text(bytes: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(bytes).map_err(|_| Malformed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_varint_ends_after_ten_bytes() {
        let mut input: &[u8] = &[0xff; 12];
        assert_eq!(varint(&mut input), Err(Malformed));
        let mut max: &[u8] = &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(varint(&mut max), Ok(u64::MAX));
        assert!(max.is_empty());
        let mut cut: &[u8] = &[0x80];
        assert_eq!(varint(&mut cut), Err(Malformed));
    }

    #[test]
    fn a_length_past_the_end_is_malformed() {
        let mut input: &[u8] = &[0x0a, 0x05, b'a'];
        assert_eq!(field(&mut input), Err(Malformed));
        let mut huge: &[u8] = &[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(field(&mut huge), Err(Malformed));
    }

    proptest! {
        #![proptest_config(crate::fuzz::config())]

        #[test]
        fn varints_read_as_prost_writes_them(value: u64, tail in proptest::collection::vec(any::<u8>(), 0..4)) {
            let mut bytes = Vec::new();
            prost::encoding::encode_varint(value, &mut bytes);
            bytes.extend_from_slice(&tail);
            let mut input = bytes.as_slice();
            prop_assert_eq!(varint(&mut input), Ok(value));
            prop_assert_eq!(input, tail.as_slice());
        }

        #[test]
        fn any_bytes_come_to_an_end(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut input = bytes.as_slice();
            let mut fields = 0;
            while !input.is_empty() && field(&mut input).is_ok() {
                fields += 1;
            }
            prop_assert!(fields <= bytes.len());
        }
    }
}
