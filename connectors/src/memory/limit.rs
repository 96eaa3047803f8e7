//! What the process may take: as configured, else as its cgroup says, else what the machine has.

use std::fmt;
use std::path::{Path, PathBuf};

/// Above this a cgroup says "no limit": version 1 writes the largest page count there is.
const NO_LIMIT: u64 = 1 << 60;

/// Where a limit comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitSource {
    /// `memory.limit_bytes`.
    Configured,
    /// The cgroup of the process, or one above it.
    Cgroup,
    /// The machine has no more.
    Machine,
}

impl fmt::Display for LimitSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LimitSource::Configured => "`memory.limit_bytes`",
            LimitSource::Cgroup => "the cgroup's limit",
            LimitSource::Machine => "the machine's memory",
        })
    }
}

/// What the process may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Bytes.
    pub bytes: usize,
    /// Who says so.
    pub source: LimitSource,
}

impl Limit {
    /// What was `configured`; else what is found. `None` where nothing says how much there is.
    pub fn find(configured: Option<usize>) -> Option<Limit> {
        if let Some(bytes) = configured {
            return Some(Limit { bytes, source: LimitSource::Configured });
        }
        let machine = machine().map(|bytes| Limit { bytes, source: LimitSource::Machine });
        let cgroup = std::fs::read_to_string("/proc/self/cgroup")
            .ok()
            .and_then(|groups| cgroup(Path::new("/sys/fs/cgroup"), &groups))
            .map(|bytes| Limit { bytes, source: LimitSource::Cgroup });
        // A cgroup may be allowed more than there is.
        [cgroup, machine].into_iter().flatten().min_by_key(|limit| limit.bytes)
    }
}

/// What the process has resident, in bytes.
pub(super) fn resident() -> Option<usize> {
    kibibytes(&std::fs::read_to_string("/proc/self/status").ok()?, "VmRSS:")
}

/// What the machine has.
fn machine() -> Option<usize> {
    kibibytes(&std::fs::read_to_string("/proc/meminfo").ok()?, "MemTotal:")
}

/// The bytes of a line like `VmRSS:    1234 kB`.
fn kibibytes(text: &str, name: &str) -> Option<usize> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()?.checked_mul(1_024)
}

/// The least limit of the process' cgroup and those above it, below `root`. `groups` is `/proc/self/cgroup`.
fn cgroup(root: &Path, groups: &str) -> Option<usize> {
    let limits = groups.lines().flat_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let (mount, files): (_, &[&str]) = match controllers {
            // Above `high` the kernel slows the process down.
            "" => (root.to_owned(), &["memory.max", "memory.high"]),
            named if named.split(',').any(|one| one == "memory") => (root.join("memory"), &["memory.limit_in_bytes"]),
            _ => return Vec::new(),
        };
        files.iter().flat_map(|file| limits_up_to(&mount, path, file)).collect()
    });
    limits.filter(|bytes| *bytes < NO_LIMIT).min().and_then(|bytes| usize::try_from(bytes).ok())
}

/// What `file` says in each folder from `path` up to `mount`. A container sees its own group as the mount.
fn limits_up_to(mount: &Path, path: &str, file: &str) -> Vec<u64> {
    let own: PathBuf = mount.join(path.trim_start_matches('/'));
    let folders = own.ancestors().take_while(|folder| folder.starts_with(mount));
    folders.filter_map(|folder| std::fs::read_to_string(folder.join(file)).ok()?.trim().parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_limit_on_the_way_up_counts_in_both_versions() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().expect("it has one")).expect("made");
            std::fs::write(path, text).expect("written");
        };
        write("a/b/memory.max", "max\n");
        write("a/memory.max", "536870912\n");
        assert_eq!(cgroup(root, "0::/a/b\n"), Some(536_870_912));
        write("a/b/memory.high", "402653184\n");
        assert_eq!(cgroup(root, "0::/a/b\n"), Some(402_653_184), "above it the process is slowed down");
        write("memory/c/memory.limit_in_bytes", "9223372036854771712\n");
        assert_eq!(cgroup(root, "4:memory:/c\n1:cpu:/c\n"), None, "no limit");
        write("memory/c/memory.limit_in_bytes", "1048576\n");
        assert_eq!(cgroup(root, "4:cpu,memory:/c\n0::/a\n"), Some(1_048_576));
        // In a container, the path is that of the host.
        write("memory/memory.limit_in_bytes", "4096\n");
        assert_eq!(cgroup(root, "4:memory:/kubepods/pod1\n"), Some(4_096));
    }

    #[test]
    fn what_is_configured_counts_and_what_the_machine_has_is_found() {
        assert_eq!(Limit::find(Some(7)), Some(Limit { bytes: 7, source: LimitSource::Configured }));
        let found = Limit::find(None).expect("Linux says it");
        assert!(found.bytes > 1 << 20 && found.source != LimitSource::Configured, "{found:?}");
    }
}
