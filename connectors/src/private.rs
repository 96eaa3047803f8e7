//! Files and folders of our own state: for the user that the process runs as, and nobody else.
//!
//! A journal holds what senders wrote, secrets of theirs among it. What is made here says so itself, so
//! that it does not depend on the umask.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// Read, write and enter: the owner.
const FOLDER_MODE: u32 = 0o700;
/// Read and write: the owner.
const FILE_MODE: u32 = 0o600;

/// Makes `folder` where it is not, durably, and closes it to others where it is open to them.
///
/// # Errors
/// When it cannot be made. One that belongs to somebody else stays as it is.
pub fn folder(folder: &Path) -> io::Result<()> {
    let made = folder.ancestors().take_while(|above| !above.as_os_str().is_empty() && !above.exists()).count();
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
}
