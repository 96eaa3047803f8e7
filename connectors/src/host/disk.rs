//! What we ask of a disk: few operations, so that every one can fail, be lost or be torn in a simulation.
//!
//! What a disk promises, and nothing else is relied on: what was written to a file is there after the machine
//! dies once [`DiskFile::sync`] has returned, and before that any part of it may be, sector by sector. That a
//! file was made, renamed or removed is there once [`Disk::sync_folder`] has returned; a renaming is there
//! whole or not at all.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use bellwether_engine::planted::{self, Bug};
use bellwether_engine::time::EventTime;

/// A disk.
pub trait Disk: fmt::Debug + Send + Sync {
    /// Makes `folder` where it is not, and those above it; for its owner alone.
    ///
    /// # Errors
    /// What the system says.
    fn make_folder(&self, folder: &Path) -> io::Result<()>;

    /// Opens a file.
    ///
    /// # Errors
    /// What the system says.
    fn open(&self, path: &Path, how: How) -> io::Result<Box<dyn DiskFile>>;

    /// The files of `folder`, in no order.
    ///
    /// # Errors
    /// What the system says.
    fn list(&self, folder: &Path) -> io::Result<Vec<Listed>>;

    /// Puts a file in another place of its folder, over what is there.
    ///
    /// # Errors
    /// What the system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// What the system says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes durable what files were made, renamed and removed in `folder`.
    ///
    /// # Errors
    /// What the system says.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;

    /// Takes the file at `path`, which is made, for this process; `None` when another has it.
    ///
    /// # Errors
    /// What the system says.
    fn hold(&self, path: &Path) -> io::Result<Option<Box<dyn Held>>>;
}

/// A file that nobody else holds until this is dropped.
pub trait Held: Send + Sync {}

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// To be read; it has to be there.
    Read,
    /// To be written; it is made where it is not.
    Write,
    /// To be written, with nothing in it.
    Fresh,
}

/// An open file.
pub trait DiskFile: Send {
    /// How long it is.
    ///
    /// # Errors
    /// What the system says.
    fn bytes(&self) -> io::Result<u64>;

    /// Reads what is at `at` into `into`; 0 at the end.
    ///
    /// # Errors
    /// What the system says.
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize>;

    /// Writes all of `bytes` at `at`.
    ///
    /// # Errors
    /// What the system says; any part of `bytes` may have been written.
    fn write_at(&mut self, bytes: &[u8], at: u64) -> io::Result<()>;

    /// Makes it `bytes` long.
    ///
    /// # Errors
    /// What the system says.
    fn cut(&mut self, bytes: u64) -> io::Result<()>;

    /// Makes durable what is in it.
    ///
    /// # Errors
    /// What the system says; nothing is known then of what was written since the sync before.
    fn sync(&mut self) -> io::Result<()>;
}

/// A file as its folder knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Where it is.
    pub path: PathBuf,
    /// How long it is.
    pub bytes: u64,
    /// When it was written last.
    pub modified: EventTime,
}

/// The ending of what is being written, until it takes its place.
pub(crate) const YOUNG_SUFFIX: &str = ".young";

/// The bytes of the file at `path`.
///
/// # Errors
/// What the system says.
pub fn read(disk: &dyn Disk, path: &Path) -> io::Result<Vec<u8>> {
    let file = disk.open(path, How::Read)?;
    let mut bytes = Vec::with_capacity(usize::try_from(file.bytes()?).unwrap_or(0));
    ReadFrom::the_beginning(file).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Puts `parts`, one after the other, in the place of what is at `path`: whole or not at all, and durable when this
/// returns.
///
/// # Errors
/// When the disk does not take it; what was there stays, and nothing is left beside it.
pub fn replace(disk: &dyn Disk, path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let young = path.with_extension(&YOUNG_SUFFIX[1..]);
    let write = || {
        let mut file = disk.open(&young, How::Fresh)?;
        let mut at = 0;
        for part in parts {
            file.write_at(part, at)?;
            at += part.len() as u64;
        }
        if !planted::has(Bug::ReplacedBeforeSync) {
            file.sync()?;
        }
        disk.rename(&young, path)?;
        if planted::has(Bug::ReplacedNotInFolder) {
            return Ok(());
        }
        disk.sync_folder(path.parent().unwrap_or(Path::new(".")))
    };
    write().inspect_err(|_| {
        // Space that a failed write took is needed for the next; the error that is told is the first one.
        let _ = disk.remove(&young);
    })
}

/// Reads a file from some place on.
pub(crate) struct ReadFrom {
    file: Box<dyn DiskFile>,
    at: u64,
}

impl ReadFrom {
    pub(crate) fn the_beginning(file: Box<dyn DiskFile>) -> ReadFrom {
        ReadFrom { file, at: 0 }
    }
}

impl Read for ReadFrom {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(into, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for ReadFrom {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.file.bytes()?.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_is_replaced_whole_or_stays() {
        let dir = tempfile::tempdir().expect("a folder");
        let (path, disk) = (dir.path().join("a.json"), super::super::disk());
        replace(&*disk, &path, &[b"one", b" two"]).expect("written");
        replace(&*disk, &path, &[b"three"]).expect("written");
        assert_eq!(fs::read(&path).expect("reads"), b"three");
        fs::create_dir(dir.path().join("a.young")).expect("in the way");
        assert!(replace(&*disk, &path, &[b"four"]).is_err());
        assert_eq!(fs::read(&path).expect("reads"), b"three");
    }
}
