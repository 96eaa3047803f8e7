//! The seeded estate simulator, its stories, and loaders for public data sets

pub mod estate;
pub mod faults;
pub mod folder;
pub mod load;
pub mod monitoring;
pub mod public;
pub mod real;
mod rng;
pub mod simulation;
pub mod story;
pub mod truth;
