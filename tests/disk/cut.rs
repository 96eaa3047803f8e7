//! The power is cut: a file system of its own in a file, of which nothing reaches the file any more that had not.
//!
//! The file system is told to shut down without writing its log, which is what a cut does to it; what the block device
//! has then is copied, and the copy is mounted like a disk after the cut: it replays its log. Whatever had only been
//! in the page cache is gone.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Bytes of the disk; the file is sparse.
const DISK_BYTES: u64 = 192 << 20;

/// `EXT4_IOC_SHUTDOWN` with `NOLOGFLUSH`: everything fails from now on, and nothing is written any more.
const SHUTDOWN: &str = "import fcntl, os, struct, sys\n\
                        fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack('I', 2))\n";

/// A mounted disk.
pub(crate) struct Disk {
    image: PathBuf,
    /// Where it is mounted.
    pub(crate) folder: PathBuf,
}

impl Disk {
    /// A new disk below `folder`.
    ///
    /// # Errors
    /// What lets no disk be had here.
    pub(crate) fn new(folder: &Path) -> Result<Disk, String> {
        let image = folder.join("disk-0.img");
        let made = File::create(&image).and_then(|file| file.set_len(DISK_BYTES));
        made.map_err(|error| error.to_string())?;
        run("mkfs.ext4", &["-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", text(&image)])?;
        Disk::mount(image, folder.join("disk"))
    }

    fn mount(image: PathBuf, folder: PathBuf) -> Result<Disk, String> {
        fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        run("mount", &["-o", "loop", text(&image), text(&folder)])?;
        let disk = Disk { image, folder };
        // Somebody else's file system is not shut down.
        if fs::metadata(&disk.folder).map(|of| of.dev()).ok() == fs::metadata(&disk.image).map(|of| of.dev()).ok() {
            return Err("the disk is not mounted".to_owned());
        }
        Ok(disk)
    }

    /// Cuts the power. Nothing can be written any more.
    pub(crate) fn cut(&self) -> Result<(), String> {
        run("python3", &["-c", SHUTDOWN, text(&self.folder)]).map(drop)
    }

    /// The disk after the cut, in the place of this one. Whoever used it has ended.
    pub(crate) fn after(self, number: usize) -> Result<Disk, String> {
        let copy = self.image.with_file_name(format!("disk-{number}.img"));
        run("cp", &["--sparse=always", text(&self.image), text(&copy)])?;
        let (folder, before) = (self.folder.clone(), self.image.clone());
        drop(self);
        let _ = fs::remove_file(before);
        Disk::mount(copy, folder)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = run("umount", &["-l", text(&self.folder)]);
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// Runs a command; what it said when it failed.
fn run(program: &str, arguments: &[&str]) -> Result<Output, String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("`{program}`: {error}"))?;
    match output.status.success() {
        true => Ok(output),
        false => Err(format!("`{program}`: {}", String::from_utf8_lossy(&output.stderr).trim())),
    }
}
