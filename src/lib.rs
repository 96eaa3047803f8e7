//! The library half of the `bellwether` binary: commands as functions, so that
//! tests, benches and examples call what a user calls.

pub mod eval;
pub mod models_cmd;
