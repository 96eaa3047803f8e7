//! The running program on a disk that can be told to fail (`fault.c`).

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::service::{Service, free_address};

/// What a full disk says.
pub(crate) const ENOSPC: i32 = 28;
/// What a disk says that cannot read or write.
pub(crate) const EIO: i32 = 5;
/// What a file system says that was mounted again to be read alone.
pub(crate) const EROFS: i32 = 30;

/// What fails.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    /// With which error.
    pub(crate) error: i32,
    /// Which operation: `write`, `sync`, `open`, `rename`, `unlink`, `truncate`; `grow` is what needs space, `any` all.
    pub(crate) operation: &'static str,
    /// How many go well first.
    pub(crate) after: u32,
    /// How many fail then.
    pub(crate) times: u32,
    /// Those of files with this in their path.
    pub(crate) of: &'static str,
}

impl Fault {
    /// Everything, from now on.
    pub(crate) fn always(error: i32, operation: &'static str, of: &'static str) -> Fault {
        Fault { error, operation, after: 0, times: u32::MAX >> 1, of }
    }
}

/// The library that makes calls fail; `None` where no C compiler is.
fn library() -> Option<&'static Path> {
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    let build = || {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/disk/fault.c");
        let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fault.so");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).arg("-ldl");
        compiler.status().is_ok_and(|status| status.success()).then_some(library)
    };
    BUILT.get_or_init(build).as_deref()
}

/// A folder with a configured program.
pub(crate) struct Faulty {
    folder: tempfile::TempDir,
    pub(crate) http: SocketAddr,
    library: &'static Path,
}

impl Faulty {
    /// In a folder of its own, with files that are begun and replaced often; `None` where no C compiler is.
    pub(crate) fn new() -> Option<Faulty> {
        let library = library()?;
        let folder = tempfile::tempdir().expect("a folder");
        let http = free_address();
        let engine = "  correlate: {threshold: 0.999}\n";
        let file = Service::configure(folder.path(), http, engine, "  alertmanager: {}\n");
        let text = fs::read_to_string(&file).expect("written");
        let state = folder.path().join("state");
        let often = format!(
            "journal: {{dir: {}/journal, segment_bytes: 16384, retain_bytes: 400000}}\n\
             incident_log: {{segment_bytes: 16384, retain_bytes: 400000}}\n\
             checkpoint: {{every: 200ms, entries: 10}}\npartitions: 1\n",
            state.display()
        );
        fs::write(&file, text + &often).expect("written");
        Some(Faulty { folder, http, library })
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn word(&self) -> PathBuf {
        self.folder.path().join("fault")
    }

    /// From now on.
    pub(crate) fn fail(&self, fault: Fault) {
        let Fault { error, operation, after, times, of } = fault;
        let beside = self.word().with_extension("new");
        fs::write(&beside, format!("{error} {operation} {after} {times} {of}\n")).expect("written");
        fs::rename(beside, self.word()).expect("moved");
    }

    /// Nothing fails any more.
    pub(crate) fn heal(&self) {
        let _ = fs::remove_file(self.word());
    }

    /// Whether anything has failed.
    pub(crate) fn has_failed(&self) -> bool {
        self.word().with_extension("hit").exists()
    }

    /// Starts the program on the disk; it may end at once.
    pub(crate) fn spawn(&self) -> Service {
        let mut program = Command::new(env!("CARGO_BIN_EXE_bellwether"));
        program.env("LD_PRELOAD", self.library).env("FAULT_FILE", self.word());
        Service::begin(program, self.folder(), self.http, &[])
    }

    /// Starts it on a disk that works.
    pub(crate) fn run(&self) -> Service {
        self.heal();
        Service::run(self.folder(), self.http)
    }
}
