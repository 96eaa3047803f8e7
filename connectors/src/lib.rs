//! Sources, the journal and sinks: everything that does I/O
pub mod auth;
pub mod entity_resolution;
pub mod limits;
pub mod wire;
pub mod http;
pub mod tls;
pub mod protobuf;
pub mod remote_write;
pub mod series_table;
