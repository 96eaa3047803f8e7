//! Sources: where signals come from, and how they are accepted.
//!
//! A source runs until its input ends or it is told to stop. It decodes what it reads and
//! hands it to its [`Intake`]; when [`Intake::accept`] returns, the signals are durable, and
//! only then does the source tell its sender so (HTTP 200, a NATS acknowledgement, a moved
//! file cursor). Rows that cannot be read are given to [`Intake::reject`]: counted by reason
//! and kept aside.
//!
//! ```no_run
//! # use bellwether_connectors::{Intake, AcceptError};
//! # use bellwether_engine::input::Input;
//! async fn handle_request(intake: Intake, tenant: &str, decoded: Vec<Input>) -> u16 {
//!     match intake.accept_now(&decoded, intake.claims(tenant), intake.coming(tenant)).await {
//!         Ok(_) => 200,
//!         Err(AcceptError::Behind | AcceptError::Busy | AcceptError::Full { .. }) => 503, // with Retry-After
//!         Err(AcceptError::TooLarge { .. }) => 413,
//!         Err(AcceptError::Fatal(_)) => 503,
//!     }
//! }
//! ```

mod door;
mod entries;
mod error;
mod flow;
mod in_time;
pub mod reject;
mod routes;
mod source;
mod stop;
pub mod tap;
pub(crate) mod text;
mod time;
mod turns;

pub use door::Intake;
pub(crate) use door::bytes_of;
pub use error::AcceptError;
pub use flow::{FlowTotals, IntakeCounts, SourceFlow};
pub use source::{Source, SourceError};
pub use stop::{Stop, Stopper, stop_pair};
pub use time::{arrival_time, event_times};
pub use turns::{OWN_TENANT, Turns};

#[cfg(test)]
mod tests;
