//! Sources, the journal and sinks: everything that does I/O.

pub mod alertmanager;
pub mod auth;
pub mod bulk;
pub mod changes;
pub mod collectd;
pub mod entity_resolution;
pub mod http;
pub mod influx;
pub mod journal;
mod json;
pub mod limits;
pub mod loki;
pub mod otlp;
pub mod packets;
pub mod protobuf;
pub mod reject;
pub mod remote_write;
pub mod series_table;
pub mod sink;
pub mod source;
pub mod statsd;
pub mod syslog;
pub mod tls;
pub mod topology_import;
pub mod wire;
pub mod wires;

pub use journal::{Group, Journal, JournalConfig, JournalError, LocalJournal, Mark, Position};
pub use reject::{BadRow, Reason, RejectLog, Rejection};
pub use sink::{Delivered, Outgoing, Sink, SinkError};
pub use source::{AcceptError, Intake, Source, SourceError, Stop, Stopper, stop_pair};
