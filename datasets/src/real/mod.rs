//! Public cases as an engine reads them: series, samples, edges and alarms in order of time.
//!
//! `bellwether replay --dataset petshop/low_traffic/train/issue_0` and
//! `--dataset nezha/rca_data/2022-08-22` read them from the data folder. The answers beside the
//! cases are read by [`Judge`] alone.

mod feed;
mod judge;
pub mod nezha;
pub mod petshop;

pub use judge::{Fault, Judge, WITHIN};

use std::path::{Path, PathBuf};

use bellwether_engine::input::Input;

use crate::public::LoadError;

/// A case: what came before, and the time of trouble.
#[derive(Clone, Debug, PartialEq)]
pub struct RealCase {
    /// Catalogue entries, edges, series and fault-free samples.
    pub history: Vec<Input>,
    /// The samples with the trouble in them.
    pub trouble: Vec<Input>,
}

impl RealCase {
    /// Everything in order.
    pub fn into_inputs(self) -> impl Iterator<Item = Input> {
        self.history.into_iter().chain(self.trouble)
    }
}

/// Why a case cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum RealError {
    /// A file of it is absent or broken.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// No loader for it.
    #[error(
        "unknown data set `{0}`, known: petshop/<scenario>/train/<issue>, nezha/rca_data/<day>; \
         it is a folder below the data folder, which --data or $BELLWETHER_DATA names"
    )]
    Unknown(String),
}

/// The case called `name` below the data folder `data`.
///
/// # Errors
/// [`RealError`] when no loader knows the name, or its files are absent or broken.
pub fn dataset(data: &Path, name: &str) -> Result<RealCase, RealError> {
    let folder = known(data, name)?;
    Ok(if name.starts_with("petshop/") { petshop::case(&folder)? } else { nezha::day(&folder)? })
}

/// The folder of a case that a loader knows.
fn known(data: &Path, name: &str) -> Result<PathBuf, RealError> {
    let folder = data.join(name);
    let plain = Path::new(name).components().all(|c| matches!(c, std::path::Component::Normal(_)));
    match name.split('/').next() {
        Some("petshop" | "nezha") if plain && folder.is_dir() => Ok(folder),
        _ => Err(RealError::Unknown(name.chars().take(120).collect())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_out_of_the_data_folder_are_refused() {
        for name in ["", "iris", "petshop/../../etc", "/nezha", "petshop/nowhere"] {
            let error = dataset(Path::new("no-such-folder"), name).expect_err("not a case");
            assert!(error.to_string().contains("known: petshop"), "{error}");
        }
    }
}
