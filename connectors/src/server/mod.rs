//! What listens: sockets, TLS, credentials, and the requests that wires answer.
//!
//! A wire decodes; everything around it is here, once for all: accepting connections, bounding
//! them, unpacking bodies, telling who a sender is, appending to the journal before the answer.

pub mod auth;
pub mod connections;
pub mod http;
pub mod packets;
pub mod streams;
pub mod tls;
pub mod wire;
