//! Files and folders of our own state: for the user that the process runs as, and nobody else.
//!
//! A journal holds what senders wrote, secrets of theirs among it. What is made here says so itself, so
//! that it does not depend on the umask.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// Read, write and enter: the owner.
const FOLDER_MODE: u32 = 0o700;
/// Read and write: the owner.
const FILE_MODE: u32 = 0o600;
/// The ending of what is being written, until it takes its place.
pub(crate) const YOUNG_SUFFIX: &str = ".young";

/// Makes `folder` where it is not, durable when this returns, and closes it to others where it is open to them.
///
/// # Errors
/// When it cannot be made. One that belongs to somebody else stays as it is.
pub fn folder(folder: &Path) -> io::Result<()> {
    let made = folder.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists()).count();
    DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder)?;
    // What is synced in it is lost with it when the power is cut before the folder above it knows of it.
    folder.ancestors().take(made).try_for_each(sync_name)?;
    if fs::metadata(folder)?.permissions().mode() & 0o077 != 0
        && let Err(error) = fs::set_permissions(folder, Permissions::from_mode(FOLDER_MODE))
    {
        tracing::warn!(folder = %folder.display(), %error, "others may look into the folder; `chmod 700` it");
    }
    Ok(())
}

/// How a file is opened that nobody else may read when it is made by that.
pub fn file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(FILE_MODE);
    options
}

/// A name that nobody has: 128 random bits in hexadecimal.
pub(crate) fn random_name() -> String {
    let mut bytes = [0; 16];
    let random = ring::rand::SystemRandom::new();
    ring::rand::SecureRandom::fill(&random, &mut bytes).expect("the system has random numbers");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A fresh file at `path`, in the place of what was there.
pub(crate) fn create(path: &Path) -> io::Result<fs::File> {
    file().create(true).truncate(true).write(true).open(path)
}

/// Makes it durable that something is called `path`: its folder knows of it.
///
/// # Errors
/// When the folder cannot be synced.
pub(crate) fn sync_name(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Puts `parts`, one after the other, in the place of what is at `path`: whole or not at all, and durable when this
/// returns.
///
/// # Errors
/// When the disk does not take it; what was there stays, and nothing is left beside it.
pub fn replace(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let young = path.with_extension(&YOUNG_SUFFIX[1..]);
    let write = || {
        let mut file = create(&young)?;
        parts.iter().try_for_each(|part| file.write_all(part))?;
        file.sync_all()?;
        fs::rename(&young, path)?;
        sync_name(path)
    };
    write().inspect_err(|_| {
        // Space that a failed write took is needed for the next; the error that is told is the first one.
        let _ = fs::remove_file(&young);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_is_the_owners_whatever_the_umask_says_and_an_open_folder_is_closed() {
        let dir = tempfile::tempdir().expect("a folder");
        let mode = |path: &Path| fs::metadata(path).expect("is there").permissions().mode() & 0o777;
        let state = dir.path().join("a/b");
        folder(&state).expect("made");
        assert_eq!((mode(&state), mode(&dir.path().join("a"))), (0o700, 0o700));
        fs::set_permissions(&state, Permissions::from_mode(0o755)).expect("ours");
        folder(&state).expect("is there");
        assert_eq!(mode(&state), 0o700);
        create(&state.join("f")).expect("made");
        assert_eq!(mode(&state.join("f")), 0o600);
    }

    #[test]
    fn a_file_is_replaced_whole_or_stays() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a.json");
        replace(&path, &[b"one", b" two"]).expect("written");
        replace(&path, &[b"three"]).expect("written");
        assert_eq!(fs::read(&path).expect("reads"), b"three");
        fs::create_dir(dir.path().join("a.young")).expect("in the way");
        assert!(replace(&path, &[b"four"]).is_err());
        assert_eq!(fs::read(&path).expect("reads"), b"three");
    }
}
