//! `bellwether models …`: the models as commands over files. Each command is a
//! `clap::Args` struct beside a `run` that returns the exit code.
//!
//! Input is a file (Parquet is known by its first bytes) or `-` for stdin; output is CSV, NDJSON or Parquet by the
//! extension of `--out` or by `--format`. Column names and meanings are a
//! contract and stand in `docs/ml.md`.

pub mod alert_causes;
pub mod assign;
pub mod breach;
pub mod cases;
pub mod causes;
pub mod detect;
pub mod forecast;
pub mod groups;
pub mod io;
pub mod learn_groups;
mod parquet_rows;
pub mod precedence;
pub mod sessions;
pub mod similar;
pub mod state;
pub mod templates;
pub mod text_rows;
pub mod text_table;
pub mod tickets;
pub mod topology;
mod why_silent;
