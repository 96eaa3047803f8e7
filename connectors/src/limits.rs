//! How much a sender may ask of us, and decompression that cannot be made to exceed it.
//!
//! ```yaml
//! limits:
//!   body_bytes_max: 4194304
//!   decompressed_bytes_max: 33554432
//! ```
//!
//! Every limit is on by default. What is refused is counted by reason and answered in the
//! protocol's own way, so that the sender's log shows which limit it met.

use std::io::Read;

use bellwether_engine::time::{EventTime, Span, TIME_SECS_MAX, TIME_SECS_MIN};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Largest zstd window accepted: 8 MiB (2^23), what `zstd -19` uses at most by default.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// Below this many decompressed bytes the ratio is not looked at: a few kilobytes of equal
/// lines compress a thousandfold and hurt nobody.
const RATIO_FREE_BYTES: usize = 1 << 20;

/// What a body is held as at once, each about as large as it is: unpacked, read, and as journal entries.
const WORK_OF_BODY: usize = 3;

/// Limits on one listener; all are on by default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Largest request body as sent. OTLP batches and remote-write shards stay below 1 MiB.
    pub body_bytes_max: usize,
    /// Largest request body after decompression.
    pub decompressed_bytes_max: usize,
    /// Largest decompressed size per compressed byte. Scrapes reach 30, zeros over 1,000.
    pub decompression_ratio_max: usize,
    /// Most events (samples, log lines, alerts, spans) in one request.
    pub events_max: usize,
    /// Most series per tenant that are remembered as described. Further ones are refused.
    pub series_max: usize,
    /// Most new series per tenant and hour, against labels that hold a request id.
    pub new_series_per_hour_max: usize,
    /// Seconds an event may lie in the future. A sender's wrong clock must not move the
    /// engine's watermark past everybody else: samples beyond are refused, logs and alerts get
    /// the time of receipt.
    pub future_secs_max: u64,
    /// Most connections at once, as far as there are file descriptors for them.
    pub connections_max: usize,
    /// Most requests decoded at once, once their bodies have come; further ones wait for a second and are
    /// then told to come back. With `body_bytes_max` it also says how much may be received at once.
    pub requests_in_flight_max: usize,
    /// Requests that a tenant may make a second, over ten seconds.
    pub tenant_requests_per_sec_max: u32,
    /// Bytes, as sent, that a tenant may send a second, over ten seconds.
    pub tenant_bytes_per_sec_max: usize,
    /// Seconds a sender may take for its request headers.
    pub header_timeout_secs: u64,
    /// Seconds a sender may take for one body.
    pub body_timeout_secs: u64,
    /// Seconds a connection may stay silent between frames (syslog, forward).
    pub idle_timeout_secs: u64,
}

/// Why a time before 2000 is refused: the engine would leave it out without a word.
pub(crate) const BEFORE_2000: &str = "before_2000";

/// Why a time after 2090 is refused.
pub(crate) const AFTER_2090: &str = "after_2090";

/// The earliest time there can be. A receiver whose own clock stands before 2000 judges nobody's.
#[inline]
pub(crate) fn earliest(received: EventTime) -> EventTime {
    let first = EventTime::from_secs(TIME_SECS_MIN);
    if received < first { EventTime(i64::MIN) } else { first }
}

/// Which times of samples are taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    earliest: EventTime,
    latest: EventTime,
}

impl Window {
    /// Why a sample of `time` is refused.
    #[inline]
    pub(crate) fn refusal(&self, time: EventTime) -> Option<&'static str> {
        if (self.earliest..=self.latest).contains(&time) {
            return None;
        }
        Some(match time {
            time if time < self.earliest => BEFORE_2000,
            time if time >= EventTime::from_secs(TIME_SECS_MAX) => AFTER_2090,
            _ => "in_the_future",
        })
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            body_bytes_max: 4 << 20,
            decompressed_bytes_max: 32 << 20,
            decompression_ratio_max: 200,
            events_max: 50_000,
            series_max: 1_000_000,
            new_series_per_hour_max: 1_000_000,
            future_secs_max: 600,
            connections_max: 1_024,
            requests_in_flight_max: 64,
            tenant_requests_per_sec_max: 10_000,
            tenant_bytes_per_sec_max: 256 << 20,
            header_timeout_secs: 10,
            body_timeout_secs: 30,
            idle_timeout_secs: 600,
        }
    }
}

/// How a body is compressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Compression {
    /// Not at all.
    None,
    /// RFC 1952.
    Gzip,
    /// RFC 1950, HTTP's `deflate`.
    Zlib,
    /// A snappy block, never framed.
    Snappy,
    /// RFC 8878.
    Zstd,
}

impl Compression {
    /// Reads a `Content-Encoding` header; `None` for one that is not known.
    pub(crate) fn from_header(value: &str) -> Option<Compression> {
        Some(match value.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Compression::None,
            "gzip" | "x-gzip" => Compression::Gzip,
            "deflate" => Compression::Zlib,
            "snappy" => Compression::Snappy,
            "zstd" => Compression::Zstd,
            _ => return None,
        })
    }
}

/// Why a body could not be unpacked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnpackError {
    /// Over a limit: 413, not to be retried.
    #[error(
        "the body is larger than `{limit}` ({bytes_max} bytes) after decompression; send smaller batches or raise `limits.{limit}`"
    )]
    TooLarge {
        /// The limit's key.
        limit: &'static str,
        /// Its value in bytes.
        bytes_max: usize,
    },
    /// Not what its header says: 400.
    #[error("the body is not valid {0}")]
    Broken(&'static str),
}

impl UnpackError {
    /// The HTTP status that says so.
    pub fn status(&self) -> u16 {
        match self {
            UnpackError::TooLarge { .. } => 413,
            UnpackError::Broken(_) => 400,
        }
    }

    /// The reason counted.
    pub fn reason(&self) -> &'static str {
        match self {
            UnpackError::TooLarge { .. } => "too_large",
            UnpackError::Broken(_) => "not_decompressible",
        }
    }
}

impl Limits {
    /// The latest event time believed of something received at `received`.
    pub fn latest(&self, received: EventTime) -> EventTime {
        let secs = i64::try_from(self.future_secs_max).unwrap_or(i64::MAX);
        received.plus(Span::from_secs(secs))
    }

    /// The times of samples that are taken from a request that came at `received`.
    pub(crate) fn window(&self, received: EventTime) -> Window {
        Window { earliest: earliest(received), latest: self.latest(received) }
    }

    /// `time`, or the time of receipt when it is absent, zero, before 2000 (a clock that was never
    /// set), or too far in the future.
    pub(crate) fn believed(&self, time: Option<EventTime>, received: EventTime) -> EventTime {
        let usable = |time: &EventTime| time.0 > 0 && *time <= self.latest(received) && *time >= earliest(received);
        time.filter(usable).unwrap_or(received)
    }

    /// The time of a log record on a wire whose times are numbers of one unit: as
    /// [`Limits::believed`], but a time that only another unit could mean is refused, for its sender
    /// would never learn of it otherwise.
    ///
    /// # Errors
    /// The reason to refuse the record.
    pub(crate) fn dated(&self, time: Option<EventTime>, received: EventTime) -> Result<EventTime, &'static str> {
        match time {
            Some(time) if time.0 > 0 && time < earliest(received) => Err(BEFORE_2000),
            Some(time) if time >= EventTime::from_secs(TIME_SECS_MAX) => Err(AFTER_2090),
            time => Ok(self.believed(time, received)),
        }
    }

    /// The most bytes `packed` bytes may become.
    fn unpacked_max(&self, packed: usize) -> (usize, &'static str) {
        let by_ratio = packed.saturating_mul(self.decompression_ratio_max).max(RATIO_FREE_BYTES);
        if by_ratio < self.decompressed_bytes_max {
            (by_ratio, "decompression_ratio_max")
        } else {
            (self.decompressed_bytes_max, "decompressed_bytes_max")
        }
    }

    /// Bytes that unpacking `body`, reading it and storing what it says takes at most: a snappy block says how
    /// long it becomes, any other may become as long as the limits let it.
    pub(crate) fn work_bytes(&self, body: &[u8], encoding: &str) -> usize {
        let (most, _) = self.unpacked_max(body.len());
        let unpacked = match Compression::from_header(encoding) {
            Some(Compression::None) | None => body.len(),
            Some(Compression::Snappy) => snap::raw::decompress_len(body).unwrap_or(0).min(most),
            Some(_) => most,
        };
        body.len().saturating_add(unpacked.saturating_mul(WORK_OF_BODY))
    }

    /// Unpacks `body` into `out`, which is cleared first and never grows past the limits.
    ///
    /// # Errors
    /// [`UnpackError::TooLarge`] before more than the limit was allocated,
    /// [`UnpackError::Broken`] for bytes of another format.
    pub fn unpack(&self, body: &[u8], compression: Compression, out: &mut Vec<u8>) -> Result<(), UnpackError> {
        out.clear();
        let (bytes_max, limit) = self.unpacked_max(body.len());
        match compression {
            Compression::None => {
                if body.len() > self.decompressed_bytes_max {
                    let bytes_max = self.decompressed_bytes_max;
                    let limit = "decompressed_bytes_max";
                    return Err(UnpackError::TooLarge { limit, bytes_max });
                }
                out.extend_from_slice(body);
                Ok(())
            }
            Compression::Snappy => unpack_snappy(body, bytes_max, limit, out),
            Compression::Gzip => {
                let reader = flate2::read::MultiGzDecoder::new(body);
                unpack_stream(reader, "gzip", bytes_max, limit, out)
            }
            Compression::Zlib => {
                let reader = flate2::read::ZlibDecoder::new(body);
                unpack_stream(reader, "deflate", bytes_max, limit, out)
            }
            Compression::Zstd => {
                let mut reader = zstd::stream::read::Decoder::new(body).map_err(|_| UnpackError::Broken("zstd"))?;
                reader.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(|_| UnpackError::Broken("zstd"))?;
                unpack_stream(reader, "zstd", bytes_max, limit, out)
            }
        }
    }
}

/// A snappy block says its length first, so a bomb is refused before it is allocated.
fn unpack_snappy(body: &[u8], bytes_max: usize, limit: &'static str, out: &mut Vec<u8>) -> Result<(), UnpackError> {
    let length = snap::raw::decompress_len(body).map_err(|_| UnpackError::Broken("snappy"))?;
    if length > bytes_max {
        return Err(UnpackError::TooLarge { limit, bytes_max });
    }
    out.resize(length, 0);
    let written = snap::raw::Decoder::new().decompress(body, out).map_err(|_| UnpackError::Broken("snappy"))?;
    out.truncate(written);
    Ok(())
}

fn unpack_stream(
    reader: impl Read,
    format: &'static str,
    bytes_max: usize,
    limit: &'static str,
    out: &mut Vec<u8>,
) -> Result<(), UnpackError> {
    let mut bounded = reader.take(bytes_max as u64 + 1);
    bounded.read_to_end(out).map_err(|_| UnpackError::Broken(format))?;
    if out.len() > bytes_max {
        out.clear();
        return Err(UnpackError::TooLarge { limit, bytes_max });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).expect("memory");
        encoder.finish().expect("memory")
    }

    fn packed(bytes: &[u8], compression: Compression) -> Vec<u8> {
        match compression {
            Compression::None => bytes.to_vec(),
            Compression::Gzip => gzip(bytes),
            Compression::Zlib => {
                let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
                encoder.write_all(bytes).expect("memory");
                encoder.finish().expect("memory")
            }
            Compression::Snappy => snap::raw::Encoder::new().compress_vec(bytes).expect("small"),
            Compression::Zstd => zstd::encode_all(bytes, 3).expect("memory"),
        }
    }

    const ALL: [Compression; 5] =
        [Compression::None, Compression::Gzip, Compression::Zlib, Compression::Snappy, Compression::Zstd];

    #[test]
    fn a_time_in_another_unit_is_refused_and_a_clock_that_is_wrong_is_not() {
        let (limits, now) = (Limits::default(), EventTime::from_secs(1_796_000_000));
        let day = 86_400_000_000_000;
        for (nanos, want) in [
            (now.0 - day, Ok(EventTime(now.0 - day))),
            (0, Ok(now)),
            (now.0 + day, Ok(now)),
            (now.0 / 1_000_000, Err(BEFORE_2000)),
            (i64::MAX, Err(AFTER_2090)),
        ] {
            assert_eq!(limits.dated(Some(EventTime(nanos)), now), want, "{nanos}");
        }
        assert_eq!(limits.dated(None, now), Ok(now));
        assert_eq!(limits.believed(Some(EventTime::from_secs(5)), now), now);
        let early = EventTime::from_secs(1_000);
        assert_eq!(limits.dated(Some(EventTime(7)), early), Ok(EventTime(7)), "our own clock is no better");
    }

    #[test]
    fn a_bomb_of_zeros_is_refused_in_every_format() {
        let zeros = vec![0u8; 40 << 20];
        let limits = Limits::default();
        for compression in ALL {
            let mut out = Vec::new();
            let body = packed(&zeros, compression);
            let error = limits.unpack(&body, compression, &mut out).expect_err("40 MiB");
            assert_eq!(error.status(), 413, "{compression:?}");
            assert!(out.capacity() <= 80 << 20, "{compression:?} {}", out.capacity());
        }
    }

    #[test]
    fn a_ratio_over_the_limit_is_refused_below_the_size_limit() {
        let zeros = vec![0u8; 8 << 20];
        let limits = Limits::default();
        let error = limits
            .unpack(&gzip(&zeros), Compression::Gzip, &mut Vec::new())
            .expect_err("gzip packs zeros a thousandfold");
        assert!(error.to_string().contains("decompression_ratio_max"), "{error}");
    }

    #[test]
    fn a_snappy_header_that_promises_gigabytes_allocates_nothing() {
        let mut out = Vec::new();
        let claims_4_gib = [0xff, 0xff, 0xff, 0xff, 0x0f, 0x00];
        let result = Limits::default().unpack(&claims_4_gib, Compression::Snappy, &mut out);
        assert!(matches!(result, Err(UnpackError::TooLarge { .. })), "{result:?}");
        assert_eq!(out.capacity(), 0);
    }

    proptest! {
        #![proptest_config(crate::fuzz::config())]

        #[test]
        fn what_was_packed_comes_back(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
            for compression in ALL {
                let mut out = Vec::new();
                let body = packed(&bytes, compression);
                Limits::default().unpack(&body, compression, &mut out).expect("small");
                prop_assert_eq!(&out, &bytes);
            }
        }

        #[test]
        fn any_bytes_are_refused_or_stay_within_the_limit(
            bytes in proptest::collection::vec(any::<u8>(), 0..500),
        ) {
            for compression in ALL {
                let mut out = Vec::new();
                let _ = Limits::default().unpack(&bytes, compression, &mut out);
                prop_assert!(out.len() <= 1 << 20);
            }
        }
    }
}
