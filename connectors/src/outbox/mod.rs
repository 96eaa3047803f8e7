//! The incident log: what the engine tells is written once and read by many.
//!
//! ```text
//! engine ─▶ Outbox ─▶ appender ─▶ incident log ─┬▶ reader: cursor, delivery loop ─▶ sink
//!           bounded   one sync     segments as  ├▶ reader …
//!           queue     for many     the journal's └▶ reader …
//! ```
//!
//! - A record of the log is one incident event with the position of the journal entry that caused
//!   it. The log says up to which journal position it has the events ([`LogPosition`]), durable in
//!   the same instant as they are: what a restarted engine tells again is known and not appended.
//! - A checkpoint at `p` counts once the log has the events up to `p`. No receiver is waited for.
//! - Each partition has a log. A sink has a reader in each, and they share it: a tenant's events come from one log, so
//!   they keep their order.
//! - A [`Reader`] has a durable [`Cursor`]. One that is slow or away delays itself alone. Sinks try
//!   once; the delivery loop alone knows of pauses, deadlines, parking and stopping.

mod append;
mod cursor;
mod dead_letters;
mod delivery;
mod figures;
mod log;
mod look;
mod memory;
mod newest;
mod reader;
mod readers;
mod receiver;
mod record;
mod request;
mod status;

pub use append::{Folded, Outbox, OutboxError};
pub use cursor::{Cursor, CursorError, Fault, Parked};
pub use delivery::{Deadline, ReaderTotals};
pub use figures::{behind, exposition, waiting};
pub use log::{IncidentLog, IncidentLogConfig, LogMismatch, LogPosition};
pub use look::{LookError, events};
pub use reader::Reader;
pub use readers::{Notice, Readers};
pub use record::RecordError;
pub(crate) use record::decode as read_record;
pub use request::{Request, Until};
pub use status::{ReaderStatus, statuses};

#[cfg(test)]
mod tests;
