//! What the pages of a Parquet file say of their size, before anything is unpacked.
//!
//! The reader of the `parquet` crate makes room for as much as a page says it has unpacked, up to 2 GiB, whatever the
//! file is long: a kilobyte may ask for gigabytes. So the headers of all pages are read first, as the format's
//! `parquet.thrift` has them, in Thrift's compact protocol.

use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::ChunkReader;

/// Largest page, unpacked. Writers make pages of 1 MiB.
pub(super) const PAGE_BYTES_MAX: u64 = 64 << 20;

/// Longest header of a page: it may hold the least and the greatest value.
const HEADER_BYTES_MAX: u64 = 1 << 20;

/// Structures within structures; a page's header has three.
const DEPTH_MAX: usize = 16;

/// Why the pages are not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PageError {
    /// It would take too much memory.
    #[error("a page has {0} bytes unpacked, more than {PAGE_BYTES_MAX}: write smaller pages")]
    Large(u64),
    /// The header is none.
    #[error("the header of the page at byte {0} does not read")]
    Header(u64),
    /// The bytes cannot be had.
    #[error("{0}")]
    Read(String),
}

/// A page's header: its length, and that of the page as it stands there and unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    bytes: u64,
    packed: u64,
    unpacked: u64,
}

/// Looks at every page of a file.
pub(super) fn check(input: &impl ChunkReader, metadata: &ParquetMetaData) -> Result<(), PageError> {
    for column in metadata.row_groups().iter().flat_map(|group| group.columns()) {
        let (start, length) = column.byte_range();
        let (mut at, end) = (start, start.saturating_add(length).min(input.len()));
        while at < end {
            let window = (end - at).min(HEADER_BYTES_MAX) as usize;
            let bytes = input.get_bytes(at, window).map_err(|error| PageError::Read(error.to_string()))?;
            let header = header(&bytes).ok_or(PageError::Header(at))?;
            if header.unpacked > PAGE_BYTES_MAX {
                return Err(PageError::Large(header.unpacked));
            }
            at = at.saturating_add(header.bytes).saturating_add(header.packed);
        }
    }
    Ok(())
}

fn header(bytes: &[u8]) -> Option<Header> {
    let mut rest = bytes;
    let (mut unpacked, mut packed) = (None, None);
    let mut field = 0;
    while let Some(kind) = next_field(&mut rest, &mut field)? {
        match (field, kind) {
            (2, I32) => unpacked = Some(zigzag(&mut rest)?),
            (3, I32) => packed = Some(zigzag(&mut rest)?),
            _ => skip(&mut rest, kind, DEPTH_MAX)?,
        }
    }
    let length = |said: Option<i64>| u64::try_from(said?).ok();
    Some(Header { bytes: (bytes.len() - rest.len()) as u64, packed: length(packed)?, unpacked: length(unpacked)? })
}

const I32: u8 = 5;

/// The kind of the next field, whose number is then in `field`; `Some(None)` at the end of the structure.
fn next_field(rest: &mut &[u8], field: &mut i64) -> Option<Option<u8>> {
    let head = byte(rest)?;
    if head == 0 {
        return Some(None);
    }
    *field = match head >> 4 {
        0 => zigzag(rest)?,
        delta => *field + i64::from(delta),
    };
    Some(Some(head & 15))
}

fn byte(rest: &mut &[u8]) -> Option<u8> {
    let (first, after) = rest.split_first()?;
    *rest = after;
    Some(*first)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let next = byte(rest)?;
        value |= u64::from(next & 127) << shift;
        if next < 128 {
            return Some(value);
        }
    }
    None
}

fn zigzag(rest: &mut &[u8]) -> Option<i64> {
    let value = varint(rest)?;
    Some((value >> 1) as i64 ^ -((value & 1) as i64))
}

/// Passes over a value.
fn skip(rest: &mut &[u8], kind: u8, depth: usize) -> Option<()> {
    let depth = depth.checked_sub(1)?;
    let pass = |rest: &mut &[u8], length: u64| {
        *rest = rest.get(usize::try_from(length).ok()?..)?;
        Some(())
    };
    match kind {
        // In a structure a truth value is in its kind.
        1 | 2 => Some(()),
        3 => pass(rest, 1),
        4 | I32 | 6 => varint(rest).map(drop),
        7 => pass(rest, 8),
        8 => {
            let length = varint(rest)?;
            pass(rest, length)
        }
        9 | 10 => {
            let head = byte(rest)?;
            let count = if head >> 4 == 15 { varint(rest)? } else { u64::from(head >> 4) };
            let each = |rest: &mut &[u8]| match head & 15 {
                1 | 2 => pass(rest, 1),
                kind => skip(rest, kind, depth),
            };
            // No value is less than a byte, so that the count cannot be more than what is left.
            if count > rest.len() as u64 { None } else { (0..count).try_for_each(|_| each(&mut *rest)) }
        }
        12 => {
            let mut field = 0;
            while let Some(kind) = next_field(rest, &mut field)? {
                skip(rest, kind, depth)?;
            }
            Some(())
        }
        // No header of a page has a map.
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_reads_and_what_follows_is_not_its() {
        // type 0, 300 bytes unpacked, 150 packed, then a structure with a number, a list and text.
        let mut bytes = vec![0x15, 0x00, 0x15, 0xd8, 0x04, 0x15, 0xac, 0x02];
        bytes.extend([0x2c, 0x15, 0x04, 0x19, 0x25, 0x02, 0x04, 0x18, 0x02, b'a', b'b', 0x00, 0x00]);
        let length = bytes.len() as u64;
        bytes.extend([7; 10]);
        assert_eq!(header(&bytes), Some(Header { bytes: length, packed: 150, unpacked: 300 }));
    }

    #[test]
    fn what_is_no_header_is_none_however_it_goes_on() {
        let endless = [[0x2c].repeat(100_000), vec![0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x0f]].concat();
        for bytes in [&[][..], &[0], &[0x15], &[0x15, 0x00, 0x15, 0x01, 0x15, 0x02, 0x00], &[0x1b, 1], &endless[..]] {
            assert_eq!(header(bytes), None, "{:?}", &bytes[..bytes.len().min(9)]);
        }
    }
}
