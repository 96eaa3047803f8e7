//! Anomalies in logs, once lines have become templates.
//!
//! [`StreamWatch`] follows one stream of log lines and says which templates are new, have
//! vanished, surge, or follow each other in an order not seen before. [`SessionModel`]
//! judges whole sessions (the lines of one request, block or instance) by what normal ones
//! contain and in which order.

mod budget;
mod sessions;
mod watch;

pub use sessions::{SessionModel, SessionReason, SessionScore, SessionVerdict};
pub use watch::{CheckedWatchParams, LogFinding, LogFindingKind, StreamWatch, WatchParams, WatchParamsError};
