//! `--state FILE`: what a model has learned, kept between two runs.
//!
//! The file is `bellwether-model`, a format version, what it is of, a hash of the settings it was
//! learned with, the state, and a hash of all of that. It is written beside its place, synced and
//! renamed: it is there whole or as it was before. What does not fit is refused with the remedy; a
//! file that is not there yet is a beginning.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::xxh3_64;

/// First bytes of every state file.
const MAGIC: &[u8] = b"bellwether-model";
/// Version of the format, and of the states of the models in it.
const VERSION: u16 = 2;
/// Bytes of the hash at the end.
const HASH_BYTES: usize = 8;
/// A larger file is none of ours: a detector keeps 0.6 kB a series, so this is some millions of them.
const BYTES_MAX: u64 = 8 << 30;

/// Why a state file is not taken, or cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The system does not give or take it.
    #[error("cannot {verb} `{path}`: {error}", path = path.display())]
    Io {
        /// What was tried.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Something else lies there.
    #[error("`{path}` is no state of a model: name another file, this one stays as it is", path = path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Cut short or changed.
    #[error("`{path}` is broken: its hash does not fit; take a copy of before, or delete it to begin anew", path = path.display())]
    Broken {
        /// The file.
        path: PathBuf,
    },
    /// Of another build.
    #[error("`{path}` has version {found}, this build reads {VERSION}: delete it to begin anew", path = path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u16,
    },
    /// Of another model.
    #[error("`{path}` is the state of `{found}`, not of `{wanted}`: name another file", path = path.display())]
    Kind {
        /// The file.
        path: PathBuf,
        /// What it is of.
        found: String,
        /// What was asked for.
        wanted: String,
    },
    /// Learned with other settings.
    #[error("`{path}` was learned with other settings: give the same ones again, or another file to begin anew", path = path.display())]
    Settings {
        /// The file.
        path: PathBuf,
    },
}

/// What stands before the state.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    version: u16,
    kind: String,
    settings: u64,
}

/// A place for the state of one kind of model with its settings.
#[derive(Debug, Clone)]
pub struct StateFile {
    path: PathBuf,
    kind: &'static str,
    settings: u64,
}

impl StateFile {
    /// The state of `kind`, as learned with `settings`, at `path`.
    #[must_use]
    pub fn new(path: &Path, kind: &'static str, settings: &impl Serialize) -> Self {
        let settings = serde_json::to_vec(settings).expect("settings are JSON");
        Self { path: path.to_path_buf(), kind, settings: xxh3_64(&settings) }
    }

    /// What is kept there; `None` when there is no file yet.
    ///
    /// # Errors
    /// [`StateError`], when what is there does not fit.
    pub fn load<T: DeserializeOwned>(&self) -> Result<Option<T>, StateError> {
        let path = || self.path.clone();
        let read = |error| StateError::Io { verb: "read", path: path(), error };
        let length = match fs::metadata(&self.path) {
            Ok(found) => found.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(read(error)),
        };
        if length > BYTES_MAX {
            return Err(StateError::Foreign { path: path() });
        }
        let bytes = fs::read(&self.path).map_err(read)?;
        let Some(rest) = bytes.strip_prefix(MAGIC) else {
            return Err(StateError::Foreign { path: path() });
        };
        let broken = || StateError::Broken { path: path() };
        let Some((body, hash)) = rest.split_last_chunk::<HASH_BYTES>() else {
            return Err(broken());
        };
        if xxh3_64(body) != u64::from_le_bytes(*hash) {
            return Err(broken());
        }
        let (head, state) = postcard::take_from_bytes::<Head>(body).map_err(|_| broken())?;
        if head.version != VERSION {
            return Err(StateError::Version { path: path(), found: head.version });
        }
        if head.kind != self.kind {
            return Err(StateError::Kind { path: path(), found: head.kind, wanted: self.kind.to_owned() });
        }
        if head.settings != self.settings {
            return Err(StateError::Settings { path: path() });
        }
        postcard::from_bytes(state).map(Some).map_err(|_| broken())
    }

    /// Keeps `state` there in place of what was before.
    ///
    /// # Errors
    /// When the disk does not take it; what was there before stays.
    pub fn save(&self, state: &impl Serialize) -> Result<(), StateError> {
        let head = Head { version: VERSION, kind: self.kind.to_owned(), settings: self.settings };
        let mut body = postcard::to_stdvec(&head).expect("a head is plain");
        body.extend(postcard::to_stdvec(state).expect("the states of models are plain"));
        let mut young = self.path.clone().into_os_string();
        young.push(format!(".{}", std::process::id()));
        let young = PathBuf::from(young);
        let written = write_synced(&young, &body).and_then(|()| fs::rename(&young, &self.path));
        written.and_then(|()| File::open(folder_of(&self.path))?.sync_all()).map_err(|error| {
            // Whatever is left of it serves nobody; the error that is told is the first one.
            let _ = fs::remove_file(&young);
            StateError::Io { verb: "write", path: self.path.clone(), error }
        })
    }
}

fn write_synced(path: &Path, body: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(MAGIC)?;
    file.write_all(body)?;
    file.write_all(&xxh3_64(body).to_le_bytes())?;
    file.sync_all()
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_comes_back_and_what_does_not_fit_is_refused_with_the_remedy() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("state");
        let file = StateFile::new(&path, "detect", &"settings");
        assert_eq!(file.load::<Vec<f64>>().expect("a beginning"), None);
        file.save(&vec![0.1, f64::MIN_POSITIVE]).expect("writes");
        assert_eq!(file.load::<Vec<f64>>().expect("reads"), Some(vec![0.1, f64::MIN_POSITIVE]));
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1, "nothing is left beside it");

        let refused = |file: &StateFile| file.load::<Vec<f64>>().expect_err("refused").to_string();
        assert!(refused(&StateFile::new(&path, "forecast", &"settings")).contains("state of `detect`"));
        assert!(refused(&StateFile::new(&path, "detect", &"others")).contains("other settings"));
        let whole = fs::read(&path).expect("reads");
        fs::write(&path, &whole[..whole.len() - 3]).expect("writes");
        assert!(refused(&file).contains("broken"));
        fs::write(&path, "timestamp,value\n").expect("writes");
        assert!(refused(&file).contains("no state of a model"));
        file.save(&vec![1.0]).expect("an answer of the user's: it was asked for");
        assert!(StateFile::new(&folder.path().join("none/state"), "detect", &0).save(&1).is_err());
    }

    #[test]
    fn no_cut_and_no_flipped_bit_is_taken() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("state");
        let file = StateFile::new(&path, "detect", &0);
        file.save(&vec![1.0, 2.0]).expect("writes");
        let whole = fs::read(&path).expect("reads");
        for at in 0..whole.len() {
            fs::write(&path, &whole[..at]).expect("writes");
            assert!(file.load::<Vec<f64>>().is_err(), "cut at {at}");
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            fs::write(&path, flipped).expect("writes");
            assert!(file.load::<Vec<f64>>().is_err(), "flipped at {at}");
        }
    }
}
