//! When does this resource run out? Disks, inodes, pools, quotas: a level with
//! a limit, forecast at each decision point (an hour) as p10 / p50 / p90.
//!
//! Every point goes through a screen of a few nanoseconds: it fills the hour's
//! sample. Once an hour the screen asks whether the fastest plausible growth
//! could reach the limit; only then the full model runs.

mod bands;
mod contest;
mod forecast;
mod params;
mod passage;
mod paths;
mod state;

pub use bands::Coverage;
pub use forecast::Forecast;
pub use params::{CheckedExhaustionParams, ExhaustionParams};
pub use state::Exhaustion;
