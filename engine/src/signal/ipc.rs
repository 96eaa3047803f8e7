//! Batches as bytes: a checksum and one Arrow IPC stream of one record batch, as the journal
//! keeps it.
//!
//! Arrow's reader trusts the lengths it finds: a damaged stream makes it allocate gigabytes or
//! panic. So the bytes carry their own XXH3 checksum, and what does not match never reaches
//! it. The checksum guards against damage, not malice: Arrow bytes are accepted from our own
//! journal and from nobody else.

use std::io::Cursor;

use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use xxhash_rust::xxh3::xxh3_64;

use super::{Batch, SignalError, SignalKind};

const CHECKSUM_BYTES: usize = 8;

/// Appends `batch` to `out`: 8 bytes of checksum, then an Arrow IPC stream.
pub fn encode(batch: &Batch, out: &mut Vec<u8>) {
    let records = batch.records();
    let start = out.len();
    out.extend_from_slice(&[0; CHECKSUM_BYTES]);
    let mut writer = StreamWriter::try_new(&mut *out, records.schema_ref()).expect("writing to memory cannot fail");
    writer.write(records).expect("a checked batch has its own schema");
    writer.finish().expect("writing to memory cannot fail");
    drop(writer);
    let checksum = xxh3_64(&out[start + CHECKSUM_BYTES..]);
    out[start..start + CHECKSUM_BYTES].copy_from_slice(&checksum.to_le_bytes());
}

/// Reads what [`encode`] wrote.
///
/// # Errors
/// [`SignalError::Ipc`] when the checksum does not match or the bytes are not an IPC stream of
/// exactly one batch, and the errors of [`Batch::new`].
pub fn decode(tenant: &str, kind: SignalKind, bytes: &[u8]) -> Result<Batch, SignalError> {
    let ipc = |text: String| SignalError::Ipc(text);
    let (checksum, stream) = bytes.split_first_chunk::<CHECKSUM_BYTES>().ok_or_else(|| ipc("too short".to_owned()))?;
    if u64::from_le_bytes(*checksum) != xxh3_64(stream) {
        return Err(ipc("the checksum does not match".to_owned()));
    }
    let mut reader = StreamReader::try_new(Cursor::new(stream), None).map_err(|e| ipc(e.to_string()))?;
    let records = reader.next().ok_or_else(|| ipc("it holds no batch".to_owned()))?.map_err(|e| ipc(e.to_string()))?;
    if reader.next().is_some() {
        return Err(ipc("it holds more than one batch".to_owned()));
    }
    Batch::new(tenant, kind, records)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::signal::MetricBuilder;
    use crate::time::EventTime;

    #[test]
    fn a_slice_encodes_only_its_rows() {
        let mut builder = MetricBuilder::new();
        for i in 0..100 {
            builder.push(EventTime::from_secs(i), 7, i as f64);
        }
        let batch = builder.finish("acme").expect("tenant is plain").slice(40, 2);
        let mut bytes = Vec::new();
        encode(&batch, &mut bytes);
        let back = decode("acme", SignalKind::Metric, &bytes).expect("round trip");
        assert_eq!(back, batch);
        assert_eq!(back.len(), 2);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            let _ = decode("acme", SignalKind::Log, &bytes);
        }

        #[test]
        fn a_damaged_stream_is_refused(at in 0usize..600, flip in 1u8..=255) {
            let mut builder = MetricBuilder::new();
            builder.push(EventTime::from_secs(1), 7, 1.0);
            let mut bytes = Vec::new();
            encode(&builder.finish("acme").expect("tenant is plain"), &mut bytes);
            let at = at % bytes.len();
            bytes[at] ^= flip;
            prop_assert!(decode("acme", SignalKind::Metric, &bytes).is_err());
        }
    }
}
