//! The bytes of a segment file, and how damage is told from a torn tail.
//!
//! ```text
//! segment  = header record*
//! header   = "BWJOURNL" version:u32 salt:u32 first:u64 known_len:u32 crc:u32 known
//! known    = marks_len:u32 marks[marks_len] receipt*        (version 1: marks alone; 2: receipts without tenant)
//! record   = magic:u32 body_len:u32 crc:u32 flags:u16 mark_len:u16 sequence:u64 durable:u64 body
//! body     = mark[mark_len] payload
//! mark     = name_len:u16 name cursor
//! ```
//!
//! A record's payload is an entry, or nothing when it only carries a mark, or, with the flag
//! for it, the receipt of its write ([`crate::journal::receipts`]). A segment's header repeats what the
//! older ones say of marks and receipts, so the newest segment alone says where a source is and
//! what came before.
//!
//! Little endian. A record's checksum (CRC-32 of IEEE 802.3, seeded with the segment's salt)
//! covers everything after it. `durable` is the last sequence that was on disk when the record
//! was written: when a record does not read, and a later one that does says the former had
//! been durable, an acknowledged entry is damaged; otherwise the tail was never acknowledged
//! and may be cut. Zeros at the end are room the writer had made for what was to come; a segment
//! that is closed in order has none. The salt keeps a payload that imitates a record from being taken for one.

use std::collections::BTreeMap;
use std::io::{self, Read};

use super::Mark;
use crate::journal::receipts::Receipt;

/// Version of the format, in each segment's header. Older versions are read, newer refused.
pub(crate) const FORMAT_VERSION: u32 = 3;
/// The first version with receipts.
const VERSION_OF_RECEIPTS: u32 = 2;
/// The first version whose receipts say whose they are.
const VERSION_OF_TENANTS: u32 = 3;

/// Largest record body. A source's batch is far smaller; a length beyond this is damage.
pub const RECORD_BYTES_MAX: usize = 64 << 20;

const SEGMENT_MAGIC: &[u8; 8] = b"BWJOURNL";
/// Contains a byte that no UTF-8 text contains.
pub(super) const RECORD_MAGIC: [u8; 4] = *b"BWJ\xff";
/// Bytes before the marks of a segment header.
const SEGMENT_FIXED_BYTES: usize = 32;
/// Bytes before a record's body.
pub(super) const RECORD_HEADER_BYTES: usize = 32;
/// More records of the same write follow.
const FLAG_MORE: u16 = 1;
/// The payload is a receipt.
const FLAG_RECEIPT: u16 = 2;
/// Where in a record header the checksummed part begins.
const CHECKED_FROM: usize = 12;

/// The latest cursor of each source.
pub(super) type Marks = BTreeMap<String, Vec<u8>>;

/// What a segment says about itself.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SegmentHeader {
    /// [`FORMAT_VERSION`] of the build that wrote it.
    pub(super) version: u32,
    /// Seeds the records' checksums.
    pub(super) salt: u32,
    /// Sequence of the first record.
    pub(super) first: u64,
    /// The cursors when the segment began.
    pub(super) marks: Marks,
    /// What came before it and may come again, oldest first.
    pub(super) receipts: Vec<Receipt>,
}

/// What a record says of itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct RecordHead {
    pub(super) sequence: u64,
    /// The last sequence on disk when this was written.
    pub(super) durable: u64,
    /// More records of its write follow.
    pub(super) more: bool,
    /// The payload is a receipt, no entry.
    pub(super) is_receipt: bool,
}

/// One record.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Record {
    pub(super) head: RecordHead,
    pub(super) mark: Option<Mark>,
    pub(super) payload: Vec<u8>,
}

/// Why bytes are not a header or a record.
#[derive(Debug)]
pub(super) enum Bad {
    /// The file ends inside it.
    Short,
    /// Zeros, where nothing was written.
    Empty,
    /// It is something else, or damaged.
    Damaged(&'static str),
    /// Another build wrote it.
    Version(u32),
    /// It could not be read.
    Io(io::Error),
}

impl SegmentHeader {
    /// Appends the header's bytes, in the newest version.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let mut marks = vec![0; 4];
        for (name, cursor) in &self.marks {
            let mark = encode_mark(name, cursor);
            marks.extend_from_slice(&(mark.len() as u32).to_le_bytes());
            marks.extend_from_slice(&mark);
        }
        let marks_len = (marks.len() - 4) as u32;
        marks[..4].copy_from_slice(&marks_len.to_le_bytes());
        let mut known = marks;
        self.receipts.iter().for_each(|receipt| receipt.encode(&mut known));
        let start = out.len();
        out.extend_from_slice(SEGMENT_MAGIC);
        out.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        out.extend_from_slice(&self.salt.to_le_bytes());
        out.extend_from_slice(&self.first.to_le_bytes());
        out.extend_from_slice(&(known.len() as u32).to_le_bytes());
        let mut crc = crc32fast::Hasher::new();
        crc.update(&out[start..]);
        crc.update(&known);
        out.extend_from_slice(&crc.finalize().to_le_bytes());
        out.extend_from_slice(&known);
    }

    /// Reads a header; returns it and its length in bytes.
    pub(super) fn read(from: &mut impl Read) -> Result<(SegmentHeader, u64), Bad> {
        let mut fixed = [0; SEGMENT_FIXED_BYTES];
        fill(from, &mut fixed)?;
        if &fixed[..8] != SEGMENT_MAGIC {
            return Err(Bad::Damaged("it does not begin as a segment does"));
        }
        let version = u32_at(&fixed, 8);
        if version == 0 || version > FORMAT_VERSION {
            return Err(Bad::Version(version));
        }
        let known_len = u32_at(&fixed, 24) as usize;
        if known_len > RECORD_BYTES_MAX {
            return Err(Bad::Damaged("the header's length is out of range"));
        }
        let bytes = read_body(from, known_len)?;
        let mut crc = crc32fast::Hasher::new();
        crc.update(&fixed[..28]);
        crc.update(&bytes);
        if crc.finalize() != u32_at(&fixed, 28) {
            return Err(Bad::Damaged("the header's checksum does not match"));
        }
        let (marks, receipts) =
            decode_known(version, &bytes).ok_or(Bad::Damaged("the header's cursors and receipts do not read"))?;
        let header = SegmentHeader { version, salt: u32_at(&fixed, 12), first: u64_at(&fixed, 16), marks, receipts };
        Ok((header, (SEGMENT_FIXED_BYTES + known_len) as u64))
    }
}

/// The salt of a segment whose header may not read.
pub(super) fn salt_of(segment: &[u8]) -> Option<u32> {
    (segment.len() >= SEGMENT_FIXED_BYTES).then(|| u32_at(segment, 12))
}

/// Appends one record's bytes. The caller has checked the payload against
/// [`RECORD_BYTES_MAX`] and the mark against 64 KiB.
pub(super) fn encode_record(out: &mut Vec<u8>, salt: u32, head: RecordHead, mark: Option<&Mark>, payload: &[u8]) {
    let mark = mark.map_or_else(Vec::new, |m| encode_mark(&m.source, &m.cursor));
    let start = out.len();
    out.extend_from_slice(&RECORD_MAGIC);
    out.extend_from_slice(&((mark.len() + payload.len()) as u32).to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    let flag = |holds: bool, flag: u16| if holds { flag } else { 0 };
    let flags = flag(head.more, FLAG_MORE) | flag(head.is_receipt, FLAG_RECEIPT);
    out.extend_from_slice(&flags.to_le_bytes());
    out.extend_from_slice(&(mark.len() as u16).to_le_bytes());
    out.extend_from_slice(&head.sequence.to_le_bytes());
    out.extend_from_slice(&head.durable.to_le_bytes());
    out.extend_from_slice(&mark);
    out.extend_from_slice(payload);
    seal_record(&mut out[start..], salt);
}

/// Puts the checksum of a record into it.
pub(super) fn seal_record(record: &mut [u8], salt: u32) {
    let (header, body) = record.split_at(RECORD_HEADER_BYTES);
    let crc = checksum(salt, header, body);
    record[8..CHECKED_FROM].copy_from_slice(&crc.to_le_bytes());
}

/// Reads one record; `None` at a clean end.
pub(super) fn read_record(from: &mut impl Read, salt: u32) -> Result<Option<Record>, Bad> {
    let mut header = [0; RECORD_HEADER_BYTES];
    let filled = fill_up(from, &mut header).map_err(Bad::Io)?;
    if filled == 0 {
        return Ok(None);
    }
    // Of the room that a writer had made, less than a header may be left.
    if header == [0; RECORD_HEADER_BYTES] {
        return Err(Bad::Empty);
    }
    if filled < RECORD_HEADER_BYTES {
        return Err(Bad::Short);
    }
    if header[..4] != RECORD_MAGIC {
        return Err(Bad::Damaged("it does not begin as a record does"));
    }
    let body_len = u32_at(&header, 4) as usize;
    let mark_len = usize::from(u16::from_le_bytes([header[14], header[15]]));
    if body_len > RECORD_BYTES_MAX + usize::from(u16::MAX) || mark_len > body_len {
        return Err(Bad::Damaged("its length is out of range"));
    }
    let body = read_body(from, body_len)?;
    if checksum(salt, &header, &body) != u32_at(&header, 8) {
        return Err(Bad::Damaged("its checksum does not match"));
    }
    let (mark, payload) = match mark_len {
        // Nearly always; the body is not copied.
        0 => (None, body),
        _ => {
            let mark = decode_mark(&body[..mark_len]).ok_or(Bad::Damaged("its cursor does not read"))?;
            (Some(mark), body[mark_len..].to_vec())
        }
    };
    let flags = u16::from_le_bytes([header[12], header[13]]);
    let head = RecordHead {
        sequence: u64_at(&header, 16),
        durable: u64_at(&header, 24),
        more: flags & FLAG_MORE != 0,
        is_receipt: flags & FLAG_RECEIPT != 0,
    };
    Ok(Some(Record { head, mark, payload }))
}

/// The first whole record at or after the beginning of `bytes`.
pub(super) fn next_whole_record(bytes: &[u8], salt: u32) -> Option<Record> {
    memchr::memmem::find_iter(bytes, &RECORD_MAGIC).find_map(|at| read_record(&mut &bytes[at..], salt).ok().flatten())
}

fn checksum(salt: u32, header: &[u8], body: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new_with_initial(salt);
    crc.update(&header[4..8]);
    crc.update(&header[CHECKED_FROM..]);
    crc.update(body);
    crc.finalize()
}

fn encode_mark(name: &str, cursor: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(2 + name.len() + cursor.len());
    out.extend_from_slice(&(name.len() as u16).to_le_bytes());
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(cursor);
    out
}

fn decode_mark(bytes: &[u8]) -> Option<Mark> {
    let (len, rest) = bytes.split_first_chunk::<2>()?;
    let (name, cursor) = rest.split_at_checked(usize::from(u16::from_le_bytes(*len)))?;
    Some(Mark { source: std::str::from_utf8(name).ok()?.to_owned(), cursor: cursor.to_vec() })
}

/// The marks and receipts of a header.
pub(super) fn decode_known(version: u32, bytes: &[u8]) -> Option<(Marks, Vec<Receipt>)> {
    if version < VERSION_OF_RECEIPTS {
        return Some((decode_marks(bytes)?, Vec::new()));
    }
    let (marks_len, rest) = bytes.split_first_chunk::<4>()?;
    let (marks, mut rest) = rest.split_at_checked(u32::from_le_bytes(*marks_len) as usize)?;
    let mut receipts = Vec::new();
    while !rest.is_empty() {
        let (receipt, after) = decode_receipt(version, rest)?;
        receipts.push(receipt);
        rest = after;
    }
    Some((decode_marks(marks)?, receipts))
}

/// The receipt at the beginning of `bytes`, in a segment of `version`, and what follows it.
pub(super) fn decode_receipt(version: u32, bytes: &[u8]) -> Option<(Receipt, &[u8])> {
    Receipt::decode(bytes, version >= VERSION_OF_TENANTS)
}

fn decode_marks(mut bytes: &[u8]) -> Option<Marks> {
    let mut marks = Marks::new();
    while !bytes.is_empty() {
        let (len, rest) = bytes.split_first_chunk::<4>()?;
        let (mark, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
        let Mark { source, cursor } = decode_mark(mark)?;
        marks.insert(source, cursor);
        bytes = rest;
    }
    Some(marks)
}

/// Reads `len` bytes without trusting `len` with memory before the bytes are there.
fn read_body(from: &mut impl Read, len: usize) -> Result<Vec<u8>, Bad> {
    let mut body = Vec::with_capacity(len.min(1 << 20));
    let read = from.take(len as u64).read_to_end(&mut body).map_err(Bad::Io)?;
    if read < len { Err(Bad::Short) } else { Ok(body) }
}

/// Reads until `out` is full or there is no more; answers how much there was.
fn fill_up(from: &mut impl Read, out: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < out.len() {
        match from.read(&mut out[filled..]) {
            Ok(0) => break,
            Ok(more) => filled += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn fill(from: &mut impl Read, out: &mut [u8]) -> Result<(), Bad> {
    from.read_exact(out).map_err(|e| match e.kind() {
        io::ErrorKind::UnexpectedEof => Bad::Short,
        _ => Bad::Io(e),
    })
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[cfg(test)]
mod tests {
    use bellwether_engine::time::EventTime;
    use proptest::prelude::*;

    use super::*;

    fn head(sequence: u64) -> RecordHead {
        RecordHead { sequence, durable: 0, more: false, is_receipt: false }
    }

    fn mark() -> Mark {
        Mark { source: "files".to_owned(), cursor: vec![1, 2, 3] }
    }

    #[test]
    fn a_flipped_bit_anywhere_in_a_record_is_noticed() {
        let mut bytes = Vec::new();
        encode_record(&mut bytes, 7, head(1), Some(&mark()), b"payload");
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(read_record(&mut damaged.as_slice(), 7).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn of_the_room_for_records_any_part_may_be_left() {
        assert!(matches!(read_record(&mut [].as_slice(), 7), Ok(None)));
        for left in [1, 4, RECORD_HEADER_BYTES - 1, RECORD_HEADER_BYTES, RECORD_HEADER_BYTES + 9] {
            assert!(matches!(read_record(&mut vec![0; left].as_slice(), 7), Err(Bad::Empty)), "{left} zeros");
        }
        let mut bytes = Vec::new();
        encode_record(&mut bytes, 7, head(1), None, b"payload");
        for cut in 1..bytes.len() {
            assert!(matches!(read_record(&mut &bytes[..cut], 7), Err(Bad::Short)), "{cut} bytes");
        }
    }

    #[test]
    fn a_record_of_another_segment_does_not_read() {
        let mut bytes = Vec::new();
        encode_record(&mut bytes, 7, head(1), None, b"payload");
        assert!(next_whole_record(&bytes, 7).is_some());
        assert!(next_whole_record(&bytes, 8).is_none());
    }

    #[test]
    fn a_newer_segment_is_refused_by_its_version() {
        let header =
            SegmentHeader { version: FORMAT_VERSION, salt: 1, first: 1, marks: Marks::new(), receipts: Vec::new() };
        let mut bytes = Vec::new();
        header.encode(&mut bytes);
        bytes[8..12].copy_from_slice(&(FORMAT_VERSION + 1).to_le_bytes());
        assert!(matches!(SegmentHeader::read(&mut bytes.as_slice()), Err(Bad::Version(v)) if v == FORMAT_VERSION + 1));
    }

    #[test]
    fn a_header_of_the_first_version_reads() {
        let mut marks = Vec::new();
        let mark = encode_mark("files", &[1, 2, 3]);
        marks.extend_from_slice(&(mark.len() as u32).to_le_bytes());
        marks.extend_from_slice(&mark);
        let mut bytes = SEGMENT_MAGIC.to_vec();
        for number in [1u32, 7] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&5u64.to_le_bytes());
        bytes.extend_from_slice(&(marks.len() as u32).to_le_bytes());
        let mut crc = crc32fast::Hasher::new();
        crc.update(&bytes);
        crc.update(&marks);
        bytes.extend_from_slice(&crc.finalize().to_le_bytes());
        bytes.extend_from_slice(&marks);
        let (header, length) = SegmentHeader::read(&mut bytes.as_slice()).expect("reads");
        assert_eq!((header.version, header.first, header.salt, length as usize), (1, 5, 7, bytes.len()));
        assert_eq!((header.marks.get("files").map(Vec::as_slice), header.receipts), (Some(&[1u8, 2, 3][..]), vec![]));
    }

    proptest! {
        #![proptest_config(crate::fuzz::config())]

        #[test]
        fn records_and_headers_come_back(
            salt: u32, sequence: u64, durable: u64, more: bool, is_receipt: bool, at: i64, tenant: u32,
            keys in proptest::collection::vec(any::<u128>(), 0..9),
            name in "[a-z:/]{0,40}", cursor in proptest::collection::vec(any::<u8>(), 0..40),
            payload in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let mark = Mark { source: name.clone(), cursor: cursor.clone() };
            let mut bytes = Vec::new();
            let head = RecordHead { sequence, durable, more, is_receipt };
            encode_record(&mut bytes, salt, head, Some(&mark), &payload);
            let back = read_record(&mut bytes.as_slice(), salt).expect("reads").expect("one");
            prop_assert_eq!(back, Record { head, mark: Some(mark), payload });

            let (marks, receipts) = (Marks::from([(name, cursor)]), vec![Receipt { at: EventTime(at), tenant, keys }]);
            let header = SegmentHeader { version: FORMAT_VERSION, salt, first: sequence, marks, receipts };
            let mut bytes = Vec::new();
            header.encode(&mut bytes);
            let (back, len) = SegmentHeader::read(&mut bytes.as_slice()).expect("reads");
            prop_assert_eq!(len as usize, bytes.len());
            prop_assert_eq!(back, header);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = read_record(&mut bytes.as_slice(), 0);
            let _ = SegmentHeader::read(&mut bytes.as_slice());
            let _ = next_whole_record(&bytes, 0);
        }
    }
}
