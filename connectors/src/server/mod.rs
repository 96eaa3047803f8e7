//! What listens: sockets, TLS, credentials, and the requests that wires answer.
//!
//! A wire decodes; everything around it is here, once for all: accepting connections, bounding
//! them, unpacking bodies, telling who a sender is, appending to the journal before the answer.

pub(crate) mod accept;
pub mod auth;
pub mod connections;
pub mod counters;
pub mod descriptors;
pub mod doors;
pub mod http;
pub mod incidents;
pub mod listener;
pub mod outcome;
pub mod packets;
pub(crate) mod refusals;
pub mod reply;
pub mod request;
pub mod streams;
#[cfg(test)]
pub(crate) mod testing;
pub mod tls;
pub mod wire;

/// How long what is running may go on in a listener that was told to stop: less than the process gives its
/// engine, which reads what is accepted until then.
pub(crate) const DRAIN: std::time::Duration = std::time::Duration::from_secs(3);
