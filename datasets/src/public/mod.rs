//! Loaders for public labelled data sets, read from a folder the user names
//! (nothing of them is part of this project). Gzipped or plain CSV in, plain
//! structs out; a broken cell is an error naming file, row and column.

mod error;
mod grid;
pub mod nezha;
pub mod petshop;
pub mod sockshop;

pub use error::LoadError;
pub use grid::Series;
