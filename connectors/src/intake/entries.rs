//! Signals as the entries of one write: in the order of their time, none larger than it should be.

use std::sync::Arc;

use bellwether_engine::input::Input;

use super::in_time::in_time_order;
use crate::journal::receipts::Claims;
use crate::journal::{Mark, PendingAppend, WriteBatch};

/// A larger batch becomes several entries of one write: far below the journal's limit, so that
/// reading an entry back takes little memory.
pub(super) const ENTRY_BYTES_MAX: usize = 16 << 20;
/// What an entry has beside its columns: the schema, lengths, checksums.
const ENTRY_BYTES_BESIDE: usize = 8 << 10;

pub(super) fn encode(
    inputs: &[Input],
    mark: Option<Mark>,
    claims: Option<Claims>,
    coming: PendingAppend,
) -> Arc<WriteBatch> {
    let mut entries = Vec::with_capacity(inputs.len());
    for input in &in_time_order(inputs) {
        encode_one(input, &mut entries);
    }
    Arc::new(WriteBatch { entries, mark, claims, coming })
}

/// Encodes `input`, halving a batch that is too large for one entry.
fn encode_one(input: &Input, entries: &mut Vec<Vec<u8>>) {
    let mut bytes = Vec::with_capacity(encoded_bytes_about(input));
    input.encode(&mut bytes);
    match input {
        Input::Batch(batch) if bytes.len() > ENTRY_BYTES_MAX && batch.len() > 1 => {
            drop(bytes);
            let half = batch.len() / 2;
            encode_one(&Input::Batch(batch.slice(0, half)), entries);
            encode_one(&Input::Batch(batch.slice(half, batch.len() - half)), entries);
        }
        _ => entries.push(bytes),
    }
}

/// About how long an entry becomes: growing to it step by step would copy it several times.
fn encoded_bytes_about(input: &Input) -> usize {
    match input {
        Input::Batch(batch) => batch.records().get_array_memory_size().min(ENTRY_BYTES_MAX) + ENTRY_BYTES_BESIDE,
        _ => 0,
    }
}
