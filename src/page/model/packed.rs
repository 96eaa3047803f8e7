//! A record in a tenth of its room: JSON, deflated.

use std::io::{Read as _, Write as _};

use bellwether_engine::incident::IncidentRecord;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

/// Records are bounded, and what was packed here is ours: this is a guard against a bug.
const UNPACKED_BYTES_MAX: u64 = 4 << 20;

/// A record, packed.
#[derive(Clone, Debug)]
pub(super) struct Packed(Box<[u8]>);

impl Packed {
    /// Packs.
    pub(super) fn of(record: &IncidentRecord) -> Packed {
        let json = serde_json::to_vec(record).expect("a record has string keys and finite numbers or null");
        let mut encoder = DeflateEncoder::new(Vec::with_capacity(json.len() / 4), Compression::fast());
        let packed = encoder.write_all(&json).and_then(|()| encoder.finish());
        Packed(packed.expect("a vector takes what is written").into())
    }

    /// Unpacks; `None` when these are not the bytes of a record.
    pub(super) fn unpack(&self) -> Option<IncidentRecord> {
        let mut json = Vec::with_capacity(self.0.len() * 8);
        DeflateDecoder::new(&*self.0).take(UNPACKED_BYTES_MAX).read_to_end(&mut json).ok()?;
        serde_json::from_slice(&json).ok()
    }

    /// Bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        self.0.len()
    }
}
