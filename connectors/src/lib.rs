//! Sources, the journal and sinks: everything that does I/O.

pub mod decode;
pub mod journal;
pub mod reject;
pub mod sink;
pub mod source;

pub use journal::{Group, Journal, JournalConfig, JournalError, LocalJournal, Mark, Position};
pub use reject::{BadRow, Reason, RejectLog, Rejection};
pub use sink::{Delivered, Outgoing, Sink, SinkError};
pub use source::{AcceptError, Intake, Source, SourceError, Stop, Stopper, stop_pair};
