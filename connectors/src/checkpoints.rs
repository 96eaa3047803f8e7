//! The folder of checkpoints: the engine's state at a journal position.
//!
//! A checkpoint is written beside its final name, synced, renamed, and the folder synced: it
//! is there whole or not at all. The last `KEPT` are kept. One that does not read is moved
//! aside (`.bad`), so that it is not met again at every start, and the one before is tried. One that
//! another build wrote is whole, and stays for that build: a newer one ends the start, older ones are kept
//! beside (`.old`) once it is decided that the journal is read again instead.
//!
//! ```text
//! <position, 20 digits>.checkpoint = "BWCHECKP" version:u32 crc:u32 position:u64 state
//! ```

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bellwether_engine::planted::{self, Bug};
use bellwether_engine::time::EventTime;

use crate::host::{self, Disk, YOUNG_SUFFIX};
use crate::journal::Position;

/// Checkpoints kept: the newest may be damaged, and so may the one before.
pub(crate) const KEPT: usize = 4;

/// Version of the file around the state; the state has a version of its own.
const FORMAT_VERSION: u32 = 1;
const MAGIC: &[u8; 8] = b"BWCHECKP";
const HEADER_BYTES: usize = 24;
const SUFFIX: &str = ".checkpoint";
const BAD_SUFFIX: &str = ".bad";
const OLD_SUFFIX: &str = ".old";

/// A folder of checkpoints.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
}

/// A state and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The last journal entry in it.
    pub position: Position,
    /// The state's bytes.
    pub state: Vec<u8>,
}

/// What can go wrong with checkpoints.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointsError {
    /// The disk failed, or the folder cannot be used.
    #[error("checkpoint folder: cannot {operation} `{path}`: {reason}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// A newer build wrote the state in it. Nothing is touched.
    #[error(
        "checkpoint `{path}` is of a newer build ({reason}). Use that build; or move this file and later ones away to \
         go on from the one before it, where there is one: nothing that was told is told again"
    )]
    NewerState {
        /// The file.
        path: PathBuf,
        /// What the engine says.
        reason: String,
    },
    /// None reads but of older builds. Nothing is touched.
    #[error("checkpoint `{path}` is of an older build ({reason})")]
    Outdated {
        /// The newest of them.
        path: PathBuf,
        /// What the engine says.
        reason: String,
    },
    /// A newer build wrote it. It is not touched.
    #[error(
        "checkpoint `{path}` has version {have}, this build reads up to {FORMAT_VERSION}: use the newer build, or move the file away to start from an older checkpoint"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        have: u32,
    },
}

/// Why the state of a checkpoint is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It does not hold what it should.
    Damaged(String),
    /// It is whole, and of an older build.
    Older(String),
    /// It is whole, and of a newer build.
    Newer(String),
}

impl Checkpoints {
    /// Opens or creates the folder and removes what an interrupted write left.
    ///
    /// # Errors
    /// [`CheckpointsError::Io`].
    pub fn open(dir: impl Into<PathBuf>) -> Result<Checkpoints, CheckpointsError> {
        let checkpoints = Checkpoints::look(dir);
        let Checkpoints { disk, dir } = &checkpoints;
        disk.make_folder(dir).map_err(|e| io_error("create", dir, &e))?;
        for path in checkpoints.paths(YOUNG_SUFFIX)? {
            disk.remove(&path).map_err(|e| io_error("remove", &path, &e))?;
        }
        Ok(checkpoints)
    }

    /// The folder as it is: for looking at the checkpoints of a process that may be running.
    /// Restoring from it should accept everything, for what is refused is moved aside.
    pub fn look(dir: impl Into<PathBuf>) -> Checkpoints {
        Checkpoints { disk: host::disk(), dir: dir.into() }
    }

    /// Writes the state at `position`, whose parts follow each other; it is durable when this returns. Returns the position
    /// of the oldest checkpoint kept, once there are as many as are kept: older journal entries are not needed any more.
    /// While there are fewer, the beginning is what is left when they are damaged.
    ///
    /// # Errors
    /// [`CheckpointsError::Io`]; the earlier checkpoints are as they were.
    pub fn write<'a>(
        &self,
        position: Position,
        state: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Position, CheckpointsError> {
        let path = self.path(position);
        let state: Vec<&[u8]> = state.into_iter().collect();
        let header = header(position, &state);
        let all: Vec<&[u8]> = std::iter::once(&header[..]).chain(state).collect();
        let written = host::replace(&*self.disk, &path, &all);
        written.map_err(|error| io_error("write", &path, &error))?;
        let mut paths = self.paths(SUFFIX)?;
        let surplus = paths.len().saturating_sub(KEPT);
        for old in paths.drain(..surplus) {
            self.disk.remove(&old).map_err(|e| io_error("remove", &old, &e))?;
        }
        if paths.len() < KEPT {
            return Ok(Position::START);
        }
        let oldest = if planted::has(Bug::ReleasedTooFar) { paths.last() } else { paths.first() };
        Ok(oldest.and_then(|p| position_of(p)).unwrap_or(position))
    }

    /// The newest checkpoint that reads and that `restore` accepts, with what `restore` made
    /// of it. Those that are damaged are moved aside and reported in the log. `None` when none is
    /// left.
    ///
    /// # Errors
    /// [`CheckpointsError::NewerState`] for a state of a newer build, [`CheckpointsError::Outdated`] when there are
    /// none but of older ones, [`CheckpointsError::Newer`] when there are none but in files of newer ones,
    /// and [`CheckpointsError::Io`] when the disk fails.
    pub fn restore<T>(
        &self,
        mut restore: impl FnMut(&Checkpoint) -> Result<T, Refusal>,
    ) -> Result<Option<(Position, T)>, CheckpointsError> {
        let mut other = None;
        for path in self.paths(SUFFIX)?.into_iter().rev() {
            let bytes = host::read(&*self.disk, &path).map_err(|e| io_error("read", &path, &e))?;
            let parsed = match parse(&path, bytes) {
                Ok(parsed) => parsed,
                // A newer build's, or one whose version was damaged: it stays, and an older one may do.
                Err(error) => {
                    tracing::warn!(%error, "the checkpoint before is tried");
                    other = other.or(Some(error));
                    continue;
                }
            };
            let reason = match parsed {
                Ok(checkpoint) => match restore(&checkpoint) {
                    Ok(state) => return Ok(Some((checkpoint.position, state))),
                    Err(Refusal::Damaged(reason)) => reason,
                    Err(Refusal::Newer(reason)) => return Err(CheckpointsError::NewerState { path, reason }),
                    Err(Refusal::Older(reason)) => {
                        other = other.or(Some(CheckpointsError::Outdated { path, reason }));
                        continue;
                    }
                },
                Err(reason) => reason.to_owned(),
            };
            self.quarantine(&path, &reason)?;
        }
        other.map_or(Ok(None), Err)
    }

    /// Keeps what there is beside, for the older build that wrote it: what is written from now on begins anew.
    ///
    /// # Errors
    /// [`CheckpointsError::Io`].
    pub fn keep_beside(&self) -> Result<(), CheckpointsError> {
        for path in self.paths(SUFFIX)? {
            let mut aside = path.clone().into_os_string();
            aside.push(OLD_SUFFIX);
            self.disk.rename(&path, Path::new(&aside)).map_err(|e| io_error("rename", &path, &e))?;
        }
        Ok(())
    }

    /// The newest checkpoint before `limit` that reads. Nothing is moved.
    ///
    /// # Errors
    /// [`CheckpointsError::Io`] when the folder cannot be listed.
    pub fn newest_before(&self, limit: Position) -> Result<Option<Checkpoint>, CheckpointsError> {
        let older = self.paths(SUFFIX)?.into_iter().filter(|path| position_of(path).is_some_and(|at| at < limit));
        let read = |path: PathBuf| parse(&path, host::read(&*self.disk, &path).ok()?).ok()?.ok();
        Ok(older.rev().find_map(read))
    }

    /// When the checkpoint at `position` was written; `None` when it is not there, or the system does not say.
    pub fn written_at(&self, position: Position) -> Option<EventTime> {
        let path = self.path(position);
        self.disk.list(&self.dir).ok()?.into_iter().find(|file| file.path == path).map(|file| file.modified)
    }

    fn quarantine(&self, path: &Path, reason: &str) -> Result<(), CheckpointsError> {
        let mut aside = path.as_os_str().to_owned();
        aside.push(BAD_SUFFIX);
        tracing::warn!(
            checkpoint = %path.display(), reason, aside = %Path::new(&aside).display(),
            "checkpoint is moved aside, the one before is tried"
        );
        self.disk.rename(path, Path::new(&aside)).map_err(|e| io_error("rename", path, &e))
    }

    fn path(&self, position: Position) -> PathBuf {
        self.dir.join(format!("{:020}{SUFFIX}", position.0))
    }

    /// Files that end in `suffix`, oldest position first.
    fn paths(&self, suffix: &str) -> Result<Vec<PathBuf>, CheckpointsError> {
        let files = self.disk.list(&self.dir).map_err(|e| io_error("list", &self.dir, &e))?;
        let ours = |path: &PathBuf| path.to_string_lossy().ends_with(suffix) && position_of(path).is_some();
        let mut paths: Vec<PathBuf> = files.into_iter().map(|file| file.path).filter(ours).collect();
        paths.sort();
        Ok(paths)
    }
}

fn position_of(path: &Path) -> Option<Position> {
    path.file_stem()?.to_str()?.parse().ok().map(Position)
}

fn header(position: Position, state: &[&[u8]]) -> Vec<u8> {
    let mut header = Vec::with_capacity(HEADER_BYTES);
    header.extend_from_slice(MAGIC);
    header.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    header.extend_from_slice(&checksum(position, state).to_le_bytes());
    header.extend_from_slice(&position.0.to_le_bytes());
    header
}

fn checksum(position: Position, state: &[&[u8]]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&position.0.to_le_bytes());
    state.iter().for_each(|part| crc.update(part));
    crc.finalize()
}

fn parse(path: &Path, mut bytes: Vec<u8>) -> Result<Result<Checkpoint, &'static str>, CheckpointsError> {
    if bytes.len() < HEADER_BYTES || &bytes[..8] != MAGIC {
        return Ok(Err("it is cut short, or no checkpoint"));
    }
    let state = bytes.split_off(HEADER_BYTES);
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    let position = Position(u64::from_le_bytes(bytes[16..24].try_into().expect("eight bytes")));
    let fits = checksum(position, &[&state]) == number(12) && position_of(path) == Some(position);
    if !fits {
        return Ok(Err("its checksum does not match"));
    }
    if number(8) > FORMAT_VERSION {
        return Err(CheckpointsError::Newer { path: path.to_owned(), have: number(8) });
    }
    Ok(Ok(Checkpoint { position, state }))
}

/// Reads bytes as the file of a checkpoint, as they are and with a checksum that fits; for fuzzing.
pub(crate) fn read_file(bytes: &[u8]) {
    let path = Path::new("00000000000000000001.checkpoint");
    let _ = parse(path, bytes.to_vec());
    let mut sealed = header(Position(1), &[bytes]);
    sealed.extend_from_slice(bytes);
    let read = parse(path, sealed).expect("this build's").expect("whole");
    assert_eq!(read.state, bytes);
}

fn io_error(operation: &'static str, path: &Path, error: &io::Error) -> CheckpointsError {
    CheckpointsError::Io { operation, path: path.to_owned(), reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    fn filled() -> (TempDir, Checkpoints) {
        let dir = tempfile::tempdir().expect("a folder");
        let checkpoints = Checkpoints::open(dir.path()).expect("opens");
        for position in 1..=6 {
            let state = [position as u8; 100];
            checkpoints.write(Position(position), [&state[..]]).expect("written");
        }
        (dir, checkpoints)
    }

    fn newest(checkpoints: &Checkpoints) -> Option<u64> {
        let restored = checkpoints.restore(|c| {
            assert_eq!(c.state, vec![c.position.0 as u8; 100]);
            Ok(())
        });
        restored.expect("the disk works").map(|(position, ())| position.0)
    }

    #[test]
    fn the_newest_is_restored_and_four_are_kept() {
        let (dir, checkpoints) = filled();
        assert_eq!(checkpoints.write(Position(7), [&[7; 100][..]]).expect("written"), Position(4));
        assert_eq!(newest(&checkpoints), Some(7));
        assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), KEPT);
    }

    #[test]
    fn while_there_are_few_the_beginning_of_the_journal_is_still_needed() {
        let dir = tempfile::tempdir().expect("a folder");
        let checkpoints = Checkpoints::open(dir.path()).expect("opens");
        let released: Vec<u64> =
            (5..11).map(|at| checkpoints.write(Position(at), [&b"x"[..]]).expect("written").0).collect();
        assert_eq!(released, [0, 0, 0, 5, 6, 7]);
    }

    #[test]
    fn a_damaged_one_is_moved_aside_and_the_one_before_is_taken() {
        for damage in 0..4 {
            let (dir, checkpoints) = filled();
            let path = checkpoints.path(Position(6));
            let mut bytes = fs::read(&path).expect("bytes");
            match damage {
                0 => *bytes.last_mut().expect("not empty") ^= 1,
                1 => bytes.truncate(30),
                2 => bytes.clear(),
                _ => bytes[16] ^= 1,
            }
            fs::write(&path, bytes).expect("written");
            assert_eq!(newest(&checkpoints), Some(5), "damage {damage}");
            assert!(!path.exists() && dir.path().join(format!("{:020}.checkpoint.bad", 6)).exists());
        }
    }

    #[test]
    fn a_state_the_engine_refuses_is_moved_aside_too_until_none_is_left() {
        let (_dir, checkpoints) = filled();
        let refused =
            checkpoints.restore::<()>(|c| Err(Refusal::Damaged(format!("state {} has another digest", c.position))));
        assert_eq!(refused.expect("the disk works"), None);
        assert_eq!(newest(&checkpoints), None);
    }

    #[test]
    fn a_newer_one_is_not_touched_and_refused_when_there_are_no_others() {
        let (_dir, checkpoints) = filled();
        let path = checkpoints.path(Position(6));
        let mut bytes = fs::read(&path).expect("bytes");
        bytes[8] = 2;
        fs::write(&path, &bytes).expect("written");
        assert_eq!(newest(&checkpoints), Some(5), "a version may be damaged, too");
        for older in 3..=5 {
            fs::remove_file(checkpoints.path(Position(older))).expect("removed");
        }
        assert!(matches!(checkpoints.restore(|_| Ok(())), Err(CheckpointsError::Newer { have: 2, .. })));
        assert_eq!(fs::read(&path).expect("bytes"), bytes);
    }

    #[test]
    fn the_state_of_a_newer_build_ends_the_start_and_is_not_touched_though_an_older_would_do() {
        let (dir, checkpoints) = filled();
        let of_newer = |c: &Checkpoint| match c.position.0 {
            6 => Err(Refusal::Newer("version 12".to_owned())),
            _ => Ok(()),
        };
        let error = checkpoints.restore(of_newer).expect_err("refused").to_string();
        assert!(error.contains("newer build (version 12)") && error.contains("move this file"), "{error}");
        assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), KEPT);
        assert_eq!(newest(&checkpoints), Some(6));
    }

    #[test]
    fn states_of_an_older_build_stay_until_it_is_decided_to_do_without_and_are_then_kept_beside() {
        let (dir, checkpoints) = filled();
        let refused = checkpoints.restore::<()>(|_| Err(Refusal::Older("version 10".to_owned())));
        assert!(
            matches!(&refused, Err(CheckpointsError::Outdated { path, .. }) if position_of(path) == Some(Position(6)))
        );
        assert_eq!(newest(&checkpoints), Some(6));
        checkpoints.keep_beside().expect("renamed");
        assert_eq!(checkpoints.write(Position(2), [&[2; 100][..]]).expect("written"), Position::START, "there is one");
        assert_eq!(newest(&checkpoints), Some(2));
        assert!(dir.path().join(format!("{:020}.checkpoint.old", 6)).exists());
    }

    #[test]
    fn what_an_interrupted_write_left_is_removed() {
        let (dir, _) = filled();
        let young = dir.path().join(format!("{:020}.young", 7));
        fs::write(&young, b"half").expect("written");
        assert_eq!(newest(&Checkpoints::open(dir.path()).expect("opens")), Some(6));
        assert!(!young.exists());
    }
}
