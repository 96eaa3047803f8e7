//! Loaders for public labelled data sets, read from a folder the user names
//! (nothing of them is part of this project). Gzipped or plain CSV in, plain
//! structs out; a broken cell is an error naming file, row and column.

pub mod ait;
pub mod asd;
mod error;
pub mod exhaustion;
mod grid;
pub mod kpi;
pub mod log_sequences;
pub mod loghub;
pub mod ms;
pub mod nab;
pub mod nezha;
mod npy;
pub mod petshop;
mod rows;
pub mod smd;
pub mod sockshop;
pub mod telecom;
pub mod ucr;
pub mod wsd;

pub use error::LoadError;
pub use grid::Series;
pub use npy::Matrix;

/// One labelled series.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelledSeries {
    /// File name without ending.
    pub name: String,
    /// Seconds since 1970 of each point.
    pub at_secs: Vec<i64>,
    /// Value of each point, NaN where missing.
    pub values: Vec<f64>,
    /// True where a point is labelled anomalous.
    pub labels: Vec<bool>,
    /// The first `train_len` points are for training.
    pub train_len: usize,
    /// The files this series was read from.
    pub path: std::path::PathBuf,
}

/// Several series of one machine, row by row.
#[derive(Debug, Clone, PartialEq)]
pub struct Machine {
    /// Machine name.
    pub name: String,
    /// Number of series.
    pub dims: usize,
    /// Row-major training rows, `dims` values each, without labels.
    pub train: Vec<f64>,
    /// Row-major test rows.
    pub test: Vec<f64>,
    /// One label per test row.
    pub labels: Vec<bool>,
    /// Train and test file.
    pub paths: [std::path::PathBuf; 2],
}
