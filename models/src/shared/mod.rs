//! What the models stand on: tails, quantiles, seasons, change points and what a step is.
//! Small, serialisable, without opinions about what an anomaly is.

mod change;
mod params;
mod quantiles;
mod resolution;
mod tail;
mod version;

pub use change::{Change, ChangeParams, ChangePoints};
pub use params::{ParamError, at_least, within};
pub use quantiles::{BUCKETS_MAX, Quantiles};
pub use resolution::Resolution;
pub use tail::Tail;
pub use version::SavedError;
