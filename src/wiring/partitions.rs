//! The partitions of a state folder: how many there are, and where each keeps what.
//!
//! ```text
//! <state>/rejected.ndjson, incidents.ndjson    of all
//! <state>/partitions/count                     how many; without it there is one, and it is the state folder itself
//! <state>/partitions/<n>/journal               what arrived for its tenants
//! <state>/partitions/<n>/checkpoints           its engine's state
//! <state>/partitions/<n>/incident-log          what it told
//! <state>/partitions/<n>/readers               where each sink is in that
//! <state>/partitions/<n>/quarantine            what is left out of its journal
//! ```
//!
//! The number is fixed when the folder is begun: where a tenant lives follows from it. A folder of a version without
//! partitions is one of one partition, stays where it is, and that version can still read it.

use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use bellwether_connectors::outbox::IncidentLogConfig;
use bellwether_connectors::partition::partition_of;
use bellwether_connectors::{JournalConfig, host};

use crate::config::Config;

/// The folder of the partitions in a state folder.
const PARTITIONS_FOLDER: &str = "partitions";
/// The file that says how many there are.
const COUNT_FILE: &str = "count";
/// Where a partition keeps its journal.
pub const JOURNAL_FOLDER: &str = "journal";
/// What segment files of a journal end in.
const SEGMENT_ENDING: &str = "journal";
/// Where a partition keeps its engine's state.
pub const CHECKPOINTS_FOLDER: &str = "checkpoints";
/// Where its readers keep where they are in its incident log.
pub const READERS_FOLDER: &str = "readers";
/// Most partitions of a state folder: each has its threads and files.
pub const PARTITIONS_MAX: usize = 256;

/// Where the partitions of a state folder are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partitions {
    state: PathBuf,
    count: NonZeroUsize,
}

/// The partitions of a state folder cannot be used as asked.
#[derive(Debug, thiserror::Error)]
pub enum PartitionsError {
    /// The configuration asks for another number.
    #[error(
        "`{state}` has {have} partition(s), `partitions: {asked}` asks for another number: it is fixed when a state \
         folder is begun, because where a tenant lives follows from it. Say `partitions: {have}` or leave it out; or \
         name a new folder as `state`, which begins without what was learned and without open incidents"
    )]
    Changed {
        /// The state folder.
        state: PathBuf,
        /// How many it has.
        have: NonZeroUsize,
        /// How many are asked for.
        asked: NonZeroUsize,
    },
    /// More than there may be.
    #[error(
        "`partitions: {asked}` is too many: use at most {PARTITIONS_MAX}, as many as the machine has cores is plenty"
    )]
    TooMany {
        /// How many are asked for.
        asked: NonZeroUsize,
    },
    /// The file with their number does not read.
    #[error("`{path}` does not say how many partitions there are ({reason}): restore it, it holds their number alone")]
    Count {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// It cannot be written.
    #[error("cannot write `{path}`: {error}; repair the disk or the folder's owner")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

impl Partitions {
    /// Those of a state folder that is there: for who only looks.
    ///
    /// # Errors
    /// [`PartitionsError::Count`] when their number does not read.
    pub fn of(state: &Path) -> Result<Partitions, PartitionsError> {
        let count = read_count(state)?.unwrap_or(NonZeroUsize::MIN);
        Ok(Partitions { state: state.to_owned(), count })
    }

    /// Those of a run with this configuration; a folder that is not there is begun, with as many as `cores` unless the
    /// configuration says how many.
    ///
    /// # Errors
    /// [`PartitionsError`] when the configuration asks for another number than there is.
    pub fn open(config: &Config, cores: NonZeroUsize) -> Result<Partitions, PartitionsError> {
        let state = config.state.clone();
        if let Some(asked) = config.partitions.filter(|asked| asked.get() > PARTITIONS_MAX) {
            return Err(PartitionsError::TooMany { asked });
        }
        let have = match read_count(&state)? {
            None if is_begun(config) => Some(NonZeroUsize::MIN),
            have => have,
        };
        if let (Some(have), Some(asked)) = (have, config.partitions)
            && have != asked
        {
            return Err(PartitionsError::Changed { state, have, asked });
        }
        let count = have.or(config.partitions).unwrap_or(cores);
        let count = NonZeroUsize::new(count.get().min(PARTITIONS_MAX)).unwrap_or(NonZeroUsize::MIN);
        if have.is_none() && count > NonZeroUsize::MIN {
            write_count(&state, count)?;
        }
        Ok(Partitions { state, count })
    }

    /// How many there are.
    pub fn count(&self) -> NonZeroUsize {
        self.count
    }

    /// Where a tenant lives.
    pub fn of_tenant(&self, tenant: &str) -> usize {
        partition_of(tenant, self.count)
    }

    /// The folder of each, in order.
    pub fn folders(&self) -> impl Iterator<Item = PathBuf> {
        (0..self.count.get()).map(|partition| self.folder(partition))
    }

    /// The folder of one.
    pub fn folder(&self, partition: usize) -> PathBuf {
        match self.count {
            NonZeroUsize::MIN => self.state.clone(),
            _ => self.state.join(PARTITIONS_FOLDER).join(partition.to_string()),
        }
    }

    /// The journal of one. Each has its share of what all may take.
    pub fn journal(&self, config: &Config, partition: usize) -> JournalConfig {
        let of_all = config.journal_config();
        if self.count == NonZeroUsize::MIN {
            return of_all;
        }
        let dir = match &config.journal {
            Some(named) => named.dir.join(partition.to_string()),
            None => self.folder(partition).join(JOURNAL_FOLDER),
        };
        let share = |bytes: u64| bytes / self.count.get() as u64;
        let (capacity_bytes, retain_bytes) = (share(of_all.capacity_bytes), share(of_all.retain_bytes));
        let segment_bytes = of_all.segment_bytes.min(capacity_bytes / 4);
        JournalConfig { dir, segment_bytes, retain_bytes, capacity_bytes, ..of_all }
    }

    /// The incident log of one, and its folder.
    pub fn incident_log(&self, config: &IncidentLogConfig, partition: usize) -> (IncidentLogConfig, PathBuf) {
        if self.count == NonZeroUsize::MIN {
            return (config.clone(), config.folder(&self.state));
        }
        let dir = config.dir.as_ref().map(|dir| dir.join(partition.to_string()));
        let share = |bytes: u64| bytes / self.count.get() as u64;
        let (capacity_bytes, retain_bytes) = (share(config.capacity_bytes), share(config.retain_bytes));
        let config = IncidentLogConfig { dir, capacity_bytes, retain_bytes, ..config.clone() };
        let folder = config.folder(&self.folder(partition));
        (config, folder)
    }
}

/// Whether a version without partitions, or a run with one, has been here.
fn is_begun(config: &Config) -> bool {
    let of_one = Partitions { state: config.state.clone(), count: NonZeroUsize::MIN };
    let (_, log) = of_one.incident_log(&config.incident_log, 0);
    // A volume that is mounted for them may be there, and empty.
    let written = |folder: &Path| host::disk().list(folder).is_ok_and(|files| !files.is_empty());
    let logs = [config.journal_config().dir, log];
    logs.iter().any(|folder| holds_segments(folder)) || written(&config.state.join(CHECKPOINTS_FOLDER))
}

/// Whether there is a segment in it.
pub(super) fn holds_segments(folder: &Path) -> bool {
    let mut files = host::disk().list(folder).into_iter().flatten();
    files.any(|file| file.path.extension().is_some_and(|ending| ending == SEGMENT_ENDING))
}

fn count_path(state: &Path) -> PathBuf {
    state.join(PARTITIONS_FOLDER).join(COUNT_FILE)
}

fn read_count(state: &Path) -> Result<Option<NonZeroUsize>, PartitionsError> {
    let path = count_path(state);
    let text = match host::read(&*host::disk(), &path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        // What is looked at may be a file.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(PartitionsError::Count { path, reason: error.to_string() }),
    };
    match text.trim().parse::<NonZeroUsize>() {
        Ok(count) if count.get() <= PARTITIONS_MAX => Ok(Some(count)),
        Ok(count) => Err(PartitionsError::Count { path, reason: format!("{count} is over {PARTITIONS_MAX}") }),
        Err(error) => Err(PartitionsError::Count { path, reason: error.to_string() }),
    }
}

/// Durable before anything is put into any of them.
fn write_count(state: &Path, count: NonZeroUsize) -> Result<(), PartitionsError> {
    let (path, disk) = (count_path(state), host::disk());
    let written = disk
        .make_folder(&state.join(PARTITIONS_FOLDER))
        .and_then(|()| host::replace(&*disk, &path, &[format!("{count}\n").as_bytes()]));
    written.map_err(|error| PartitionsError::Io { path, error })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn number(count: usize) -> NonZeroUsize {
        NonZeroUsize::new(count).expect("not zero")
    }

    fn config(state: &Path, partitions: Option<usize>) -> Config {
        Config { state: state.to_owned(), partitions: partitions.map(number), ..Config::default() }
    }

    #[test]
    fn a_new_folder_has_as_many_partitions_as_cores_and_keeps_them_on_another_machine() {
        let state = tempfile::tempdir().expect("a folder");
        let begun = Partitions::open(&config(state.path(), None), number(4)).expect("begins");
        assert_eq!(begun.count(), number(4));
        let again = Partitions::open(&config(state.path(), None), number(16)).expect("opens");
        assert_eq!((again.clone(), Partitions::of(state.path()).expect("looks")), (begun.clone(), begun));
        let folders: Vec<PathBuf> = again.folders().collect();
        assert_eq!((folders.len(), folders[3].clone()), (4, state.path().join("partitions/3")));
    }

    #[test]
    fn another_number_is_refused_with_the_remedy() {
        let state = tempfile::tempdir().expect("a folder");
        Partitions::open(&config(state.path(), Some(3)), number(4)).expect("begins");
        let error = Partitions::open(&config(state.path(), Some(5)), number(4)).expect_err("it has three").to_string();
        assert!(error.contains("has 3 partition(s)") && error.contains("Say `partitions: 3`"), "{error}");
        assert!(Partitions::open(&config(state.path(), Some(257)), number(4)).is_err());
    }

    #[test]
    fn a_folder_of_a_version_without_partitions_is_its_only_partition_where_it_is() {
        let state = tempfile::tempdir().expect("a folder");
        fs::create_dir(state.path().join(JOURNAL_FOLDER)).expect("made");
        fs::write(state.path().join(JOURNAL_FOLDER).join("1.journal"), "").expect("written");
        let taken = Partitions::open(&config(state.path(), None), number(4)).expect("opens");
        assert_eq!((taken.count(), taken.folder(0)), (number(1), state.path().to_owned()));
        assert_eq!(taken.journal(&config(state.path(), None), 0).dir, state.path().join(JOURNAL_FOLDER));
        assert!(!state.path().join(PARTITIONS_FOLDER).exists(), "that version can still read it");
        let error = Partitions::open(&config(state.path(), Some(2)), number(4)).expect_err("it has one").to_string();
        assert!(error.contains("has 1 partition(s)"), "{error}");
    }

    #[test]
    fn a_file_is_no_state_folder_and_has_one_partition() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        assert_eq!(Partitions::of(file.path()).expect("looks").count(), number(1));
    }

    #[test]
    fn a_damaged_number_is_not_guessed() {
        let state = tempfile::tempdir().expect("a folder");
        fs::create_dir(state.path().join(PARTITIONS_FOLDER)).expect("made");
        for text in ["", "0\n", "many\n", "257\n"] {
            fs::write(count_path(state.path()), text).expect("written");
            let error = Partitions::open(&config(state.path(), None), number(4)).expect_err(text).to_string();
            assert!(error.contains("restore it"), "{error}");
        }
    }

    #[test]
    fn partitions_share_what_the_journal_and_the_log_may_take_and_lie_in_a_folder_that_is_named() {
        let state = tempfile::tempdir().expect("a folder");
        let mut config = config(state.path(), Some(4));
        config.journal = Some(JournalConfig { capacity_bytes: 4 << 20, ..JournalConfig::new(state.path().join("j")) });
        config.incident_log.dir = Some(state.path().join("log"));
        let partitions = Partitions::open(&config, number(1)).expect("begins");
        let journal = partitions.journal(&config, 2);
        assert_eq!((journal.dir, journal.capacity_bytes), (state.path().join("j/2"), 1 << 20));
        assert!(journal.segment_bytes <= journal.capacity_bytes / 4, "dropping a segment makes room");
        let (log, folder) = partitions.incident_log(&config.incident_log, 2);
        assert_eq!(folder, state.path().join("log/2"));
        assert_eq!(log.capacity_bytes, config.incident_log.capacity_bytes / 4);
    }
}
