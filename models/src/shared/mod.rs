//! What the models stand on: tails, quantiles, seasons and change points.
//! Small, serialisable, without opinions about what an anomaly is.

mod params;
mod seasons;
mod tail;

pub use params::{ParamError, at_least, within};
pub use seasons::{SeasonFound, find_season};
pub use tail::Tail;
