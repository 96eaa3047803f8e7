//! A segment made of any bytes, for fuzzing: as they are, and as parts whose checksums fit, which chance does not find.

use std::path::PathBuf;

use bellwether_engine::time::EventTime;

use super::format::{
    FORMAT_VERSION, Marks, RECORD_HEADER_BYTES, RECORD_MAGIC, SegmentHeader, decode_known, decode_receipt, read_record,
    seal_record,
};
use super::segments::{Segment, scan_tail};

/// Seeds the checksums of what is made here.
const SALT: u32 = 7;

/// Reads `bytes`; the first says as what.
pub(crate) fn read_segment(bytes: &[u8]) {
    let Some((what, rest)) = bytes.split_first() else { return };
    match what % 6 {
        0 => scan(rest),
        1 => scan(&segment_of(rest)),
        2 => drop(read_record(&mut record_of(rest).as_slice(), SALT)),
        3 => drop(decode_receipt(FORMAT_VERSION, rest)),
        version => drop(decode_known(u32::from(version) - 3, rest)),
    }
}

fn scan(bytes: &[u8]) {
    let segment = Segment { path: PathBuf::from("1"), first: 1, bytes: bytes.len() as u64, modified: EventTime(0) };
    drop(scan_tail(&segment, bytes));
}

/// A record with what of its header `bytes` begin with, and the rest as its body.
fn record_of(bytes: &[u8]) -> Vec<u8> {
    let said = RECORD_HEADER_BYTES - 12;
    let (head, body) = bytes.split_at(bytes.len().min(said));
    let mut record = RECORD_MAGIC.to_vec();
    record.extend_from_slice(&(body.len() as u32).to_le_bytes());
    record.extend_from_slice(&[0; 4]);
    record.extend_from_slice(head);
    record.resize(RECORD_HEADER_BYTES, 0);
    record.extend_from_slice(body);
    seal_record(&mut record, SALT);
    record
}

/// A whole header, and records: each has a byte for its flags, the length of its mark, its sequence, what it says is
/// durable, and the length of its body.
fn segment_of(mut bytes: &[u8]) -> Vec<u8> {
    let header =
        SegmentHeader { version: FORMAT_VERSION, salt: SALT, first: 1, marks: Marks::new(), receipts: Vec::new() };
    let mut segment = Vec::new();
    header.encode(&mut segment);
    while let Some(([flags, mark, sequence, durable, length], rest)) = bytes.split_first_chunk::<5>() {
        let (body, rest) = rest.split_at(rest.len().min(usize::from(*length)));
        let mut said = vec![*flags, 0, *mark, 0];
        said.extend_from_slice(&u64::from(*sequence).to_le_bytes());
        said.extend_from_slice(&u64::from(*durable).to_le_bytes());
        said.extend_from_slice(body);
        segment.extend_from_slice(&record_of(&said));
        bytes = rest;
    }
    // What is left is a torn tail.
    segment.extend_from_slice(bytes);
    segment
}
