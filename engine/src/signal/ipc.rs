//! Batches as bytes: a checksum and one Arrow IPC stream of one record batch, as the journal
//! keeps it.
//!
//! Arrow's reader trusts the lengths it finds: a damaged stream makes it allocate gigabytes or
//! panic. So the bytes carry their own XXH3 checksum, and what does not match never reaches
//! it. The checksum guards against damage, not malice: Arrow bytes are accepted from our own
//! journal and from nobody else.

use std::cell::RefCell;
use std::io::Cursor;

use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use xxhash_rust::xxh3::xxh3_64;

use super::{Batch, SignalError, SignalKind};

const CHECKSUM_BYTES: usize = 8;

/// How a stream ends: no more messages.
const END_OF_STREAM: [u8; 8] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];

thread_local! {
    /// A small batch's schema is a good part of its stream, and always the same: it is written once.
    static WRITERS: RefCell<[Option<Writer>; SignalKind::ALL.len()]> = const { RefCell::new([const { None }; SignalKind::ALL.len()]) };
}

/// Writes streams of one kind.
struct Writer {
    /// The message that every stream begins with.
    schema: Vec<u8>,
    /// Has written it, and writes batches.
    batches: StreamWriter<Vec<u8>>,
}

impl Writer {
    fn new(kind: SignalKind) -> Writer {
        let mut batches = StreamWriter::try_new(Vec::new(), &kind.schema()).expect("writing to memory cannot fail");
        Writer { schema: std::mem::take(batches.get_mut()), batches }
    }

    /// Appends the stream that [`StreamWriter`] would write of `batch`.
    fn write(&mut self, batch: &Batch, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.schema);
        std::mem::swap(self.batches.get_mut(), out);
        self.batches.write(batch.records()).expect("a checked batch has its own schema");
        std::mem::swap(self.batches.get_mut(), out);
        out.extend_from_slice(&END_OF_STREAM);
    }
}

/// Appends `batch` to `out`: 8 bytes of checksum, then an Arrow IPC stream.
pub fn encode(batch: &Batch, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; CHECKSUM_BYTES]);
    WRITERS.with_borrow_mut(|writers| {
        writers[batch.kind() as usize].get_or_insert_with(|| Writer::new(batch.kind())).write(batch, out);
    });
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

    #[test]
    fn a_stream_is_what_the_library_writes_the_first_time_and_again() {
        for rows in [1, 0, 300] {
            let mut builder = MetricBuilder::new();
            (0..rows).for_each(|i| builder.push(EventTime::from_secs(i), 7, i as f64));
            let batch = builder.finish("acme").expect("tenant is plain");
            let (mut ours, mut plain) = (vec![1, 2], Vec::new());
            encode(&batch, &mut ours);
            let mut writer = StreamWriter::try_new(&mut plain, &SignalKind::Metric.schema()).expect("memory");
            writer.write(batch.records()).and_then(|()| writer.finish()).expect("memory");
            assert_eq!((&ours[..2], &ours[2 + CHECKSUM_BYTES..]), (&[1, 2][..], &plain[..]), "{rows}");
        }
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
