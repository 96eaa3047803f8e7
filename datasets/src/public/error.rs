//! What can be wrong with a data file, and where.

use std::path::{Path, PathBuf};

/// A data set could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be opened or read.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A row is not CSV.
    #[error("`{}` row {row}: {source}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// Line number, the header is 1.
        row: usize,
        /// What the parser said.
        source: csv::Error,
    },
    /// A column is absent.
    #[error("`{}` has no column `{column}`", path.display())]
    Column {
        /// The file.
        path: PathBuf,
        /// The column looked for.
        column: String,
    },
    /// A cell does not parse.
    #[error("`{}` row {row} column `{column}`: `{cell}` is not {wanted}", path.display())]
    Cell {
        /// The file.
        path: PathBuf,
        /// Line number, the header is 1.
        row: usize,
        /// The column.
        column: String,
        /// The cell.
        cell: String,
        /// What was expected.
        wanted: &'static str,
    },
    /// A JSON side file is broken or lacks an entry.
    #[error("`{}`: {problem}", path.display())]
    Meta {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
}

impl LoadError {
    pub(super) fn read(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Read { path, source }
    }

    pub(super) fn meta(path: &Path, problem: impl std::fmt::Display) -> Self {
        Self::Meta { path: path.to_path_buf(), problem: problem.to_string() }
    }
}
