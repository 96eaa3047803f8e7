//! Sources, the journal and sinks: everything that does I/O.

pub mod decode;
pub mod journal;
pub mod reject;
pub mod sink;
pub mod source;
pub mod alertmanager;
pub mod auth;
pub mod entity_resolution;
pub mod http;
mod json;
pub mod limits;
pub mod otlp;
pub mod protobuf;
pub mod remote_write;
pub mod series_table;
pub mod tls;
pub mod wire;

pub use journal::{Group, Journal, JournalConfig, JournalError, LocalJournal, Mark, Position};
pub use reject::{BadRow, Reason, RejectLog, Rejection};
pub use sink::{Delivered, Outgoing, Sink, SinkError};
pub use source::{AcceptError, Intake, Source, SourceError, Stop, Stopper, stop_pair};
