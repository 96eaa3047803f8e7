//! The seeded estate simulator, its stories, and loaders for public data sets

pub mod public;
