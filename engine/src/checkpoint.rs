//! The whole state as bytes, and back.
//!
//! Layout: the magic `BWCK`, the format version (u32), the state digest (u64), the length of
//! the state (u64), the state (postcard), all little-endian. The digest is XXH3 over the state:
//! checksum of the bytes and name of the state in one. Maps are written sorted by key, so equal
//! states have equal bytes.
//!
//! A reader refuses what it does not understand; it never guesses.
//!
//! | version | since it |
//! |---|---|
//! | 1 | is the first |
//! | 2 | holds the settings in force |
//! | 3 | holds the series that have left their level, the states of alerts whose details were shed, major incidents and learned delays |
//! | 4 | holds the bands of exhaustion forecasts |
//! | 5 | holds the pace of resources |
//! | 6 | holds when an alert began in its incident, and the alerts that left one |
//! | 7 | holds the names in an alert's texts, and the words of a topology's sources with their age |
//! | 8 | holds each stage's table by itself, and the kind of a detector instead of its name |
//! | 9 | holds what each series means, which anomalies are felt, and the minutes of what runs out |
//! | 10 | counts late rows by their kind |
//! | 11 | holds the time of arrival, and the sources that are off it with what of theirs waits |

use std::cmp::Ordering;

use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

const MAGIC: [u8; 4] = *b"BWCK";

/// The version this build writes.
pub(crate) const CHECKPOINT_VERSION: u32 = 12;

const HEADER_BYTES: usize = 4 + 4 + 8 + 8;

/// Up to so many bytes, pieces of a state are put together.
const PIECE_BYTES: usize = 1 << 20;

/// Why bytes are not a checkpoint this build can use.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CheckpointError {
    /// Not a checkpoint, or cut short.
    #[error(
        "not a checkpoint, or cut short after {0} bytes: take the one before, or replay the journal from its start"
    )]
    Short(usize),
    /// Another version of the format.
    #[error(
        "checkpoint has format version {have}, this build reads {CHECKPOINT_VERSION}: start from the journal, or use the version that wrote it"
    )]
    Version {
        /// The version found.
        have: u32,
    },
    /// Damaged.
    #[error(
        "checkpoint is damaged, its digest does not match: take the one before, or replay the journal from its start"
    )]
    Digest,
    /// The bytes are whole but do not hold the state expected.
    #[error(
        "checkpoint does not hold this build's state ({0}): use the version that wrote it, or replay the journal from its start"
    )]
    State(String),
    /// It was taken with another configuration.
    #[error(
        "checkpoint was taken with another configuration ({have}, now {now}): replay the journal from its start to apply the new one"
    )]
    Config {
        /// Hash in the checkpoint.
        have: String,
        /// Hash of the present configuration.
        now: String,
    },
    /// The configuration itself cannot be used.
    #[error(transparent)]
    Build(#[from] crate::compiled::BuildError),
}

impl CheckpointError {
    /// How the version of a whole state of another build compares with this build's; `None` for anything else.
    pub fn version(&self) -> Option<Ordering> {
        match self {
            CheckpointError::Version { have } => Some(have.cmp(&CHECKPOINT_VERSION)),
            _ => None,
        }
    }
}

/// A whole state: its pieces follow each other.
#[derive(Debug, Default)]
pub struct State(Vec<Vec<u8>>);

impl State {
    /// What is to be written, in order. Looks at every byte, for the digest.
    pub fn sealed(&self) -> Sealed<'_> {
        let (mut digest, mut length) = (Xxh3::new(), 0_u64);
        for piece in &self.0 {
            digest.update(piece);
            length += piece.len() as u64;
        }
        let mut header = [0; HEADER_BYTES];
        header[..4].copy_from_slice(&MAGIC);
        header[4..8].copy_from_slice(&CHECKPOINT_VERSION.to_le_bytes());
        header[8..16].copy_from_slice(&digest.digest().to_le_bytes());
        header[16..].copy_from_slice(&length.to_le_bytes());
        Sealed { header, pieces: &self.0 }
    }

    /// The same in one.
    pub fn to_bytes(&self) -> Vec<u8> {
        let sealed = self.sealed();
        let mut bytes = Vec::with_capacity(self.len());
        sealed.slices().for_each(|slice| bytes.extend_from_slice(slice));
        bytes
    }

    /// How many bytes are to be written.
    pub fn len(&self) -> usize {
        HEADER_BYTES + self.0.iter().map(Vec::len).sum::<usize>()
    }

    /// Whether nothing is known of anything.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Vec::is_empty)
    }
}

impl FromIterator<Vec<u8>> for State {
    /// Small pieces are put together: each is a write of its own.
    fn from_iter<I: IntoIterator<Item = Vec<u8>>>(pieces: I) -> State {
        let mut all: Vec<Vec<u8>> = Vec::new();
        for piece in pieces {
            match all.last_mut().filter(|last| last.len() + piece.len() <= PIECE_BYTES) {
                Some(last) => last.extend_from_slice(&piece),
                None => all.push(piece),
            }
        }
        State(all)
    }
}

/// A state with its header.
#[derive(Debug)]
pub struct Sealed<'a> {
    header: [u8; HEADER_BYTES],
    pieces: &'a [Vec<u8>],
}

impl Sealed<'_> {
    /// The bytes of a checkpoint, one after the other.
    pub fn slices(&self) -> impl Iterator<Item = &[u8]> + Clone {
        std::iter::once(&self.header[..]).chain(self.pieces.iter().map(Vec::as_slice))
    }
}

/// Unwraps a state.
pub(crate) fn open<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CheckpointError> {
    let body = checked_body(bytes)?;
    postcard::from_bytes(body).map_err(|e| CheckpointError::State(e.to_string()))
}

/// The digest that a checkpoint carries, after checking it.
///
/// # Errors
/// [`CheckpointError`] when the bytes are not a whole checkpoint of this version.
pub(crate) fn checkpoint_digest(bytes: &[u8]) -> Result<u64, CheckpointError> {
    checked_body(bytes).map(xxh3_64)
}

fn checked_body(bytes: &[u8]) -> Result<&[u8], CheckpointError> {
    let short = || CheckpointError::Short(bytes.len());
    let (header, body) = bytes.split_at_checked(HEADER_BYTES).ok_or_else(short)?;
    if header[..4] != MAGIC {
        return Err(short());
    }
    let word = |at: usize| {
        let eight: [u8; 8] = header[at..at + 8].try_into().expect("the header is long enough");
        u64::from_le_bytes(eight)
    };
    let version = u32::from_le_bytes(header[4..8].try_into().expect("the header is long enough"));
    if version != CHECKPOINT_VERSION {
        return Err(CheckpointError::Version { have: version });
    }
    if word(16) != body.len() as u64 {
        return Err(short());
    }
    if word(8) != xxh3_64(body) {
        return Err(CheckpointError::Digest);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use super::*;

    fn seal(state: &impl Serialize) -> Vec<u8> {
        let bytes = postcard::to_stdvec(state).expect("it is plain");
        // Wherever it is cut.
        bytes.chunks(3).map(<[u8]>::to_vec).collect::<State>().to_bytes()
    }

    #[test]
    fn every_single_bit_flip_is_noticed() {
        let sealed = seal(&vec![1_u64, 2, 3]);
        assert_eq!(open::<Vec<u64>>(&sealed), Ok(vec![1, 2, 3]));
        for bit in 0..sealed.len() * 8 {
            let mut bad = sealed.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(open::<Vec<u64>>(&bad).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn every_truncation_is_noticed() {
        let sealed = seal(&"state");
        for length in 0..sealed.len() {
            assert!(open::<String>(&sealed[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn a_newer_version_is_refused_by_name() {
        let mut sealed = seal(&1_u8);
        let next = CHECKPOINT_VERSION + 1;
        sealed[4] = next as u8;
        let error = open::<u8>(&sealed).expect_err("it must be refused");
        assert_eq!(error, CheckpointError::Version { have: next });
    }
}
