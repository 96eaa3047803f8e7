//! When does this resource run out? Disks, inodes, pools, quotas rise to a
//! limit; free space, certificates and error budgets fall to one; a latency
//! budget is a quantile that rises. Forecast at each decision point (an hour)
//! as p10 / p50 / p90, with the hour from which it went faster.
//!
//! Every point goes through a screen of a few nanoseconds: it fills the hour's
//! sample. Once an hour the screen asks whether the fastest plausible growth
//! could reach the limit; only then the full model runs. What runs out within
//! the hour is seen minute by minute.

mod bands;
mod contest;
mod forecast;
mod hour;
mod params;
mod passage;
mod paths;
mod state;
mod surge;

pub use bands::Coverage;
pub use forecast::Forecast;
pub use params::{CheckedExhaustionParams, ExhaustionParams};
pub use state::Exhaustion;
