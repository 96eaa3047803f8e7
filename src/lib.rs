//! The library half of the `bellwether` binary: commands as functions, so that
//! tests, benches and examples call what a user calls.

pub mod cli;
pub mod clock;
pub mod config;
pub mod conform;
pub mod eval;
pub mod exit;
pub mod logging;
pub mod models_cmd;
pub mod page;
pub mod progress;
pub mod report;
pub mod review;
pub mod term;
pub mod tune;
pub mod wiring;
