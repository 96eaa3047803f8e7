//! What the models stand on: tails, quantiles, seasons and change points.
//! Small, serialisable, without opinions about what an anomaly is.

mod change;
mod params;
mod quantiles;
mod seasons;
mod tail;
mod version;

pub use change::{Change, ChangeParams, ChangePoints};
pub use params::{ParamError, at_least, within};
pub use quantiles::{BUCKETS_MAX, Quantiles};
pub use seasons::{SeasonFound, find_season};
pub use tail::Tail;
pub use version::SavedError;
