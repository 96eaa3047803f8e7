//! Bridges: an incident becomes one ticket, and the ticket's life comes back.
//!
//! ```text
//! incident log ─▶ reader ─▶ memory of tickets ─▶ next step ─▶ ticketing system
//!                           what was told, what   one request    │
//!                           was written, what is  at a time      ▼
//!                           about to be sent  ◀── changes of others, by its feed ─▶ journal, as actions
//! ```
//!
//! - The reader waits for the memory alone, which is a disk: a system that is away delays nobody.
//! - The next step for a ticket is a function of what is remembered of it (`step.rs`), an answer teaches
//!   (`learn.rs`), and so does what others do there (`heard.rs`): no I/O in any of them.
//! - What is about to be sent is written down before it is sent, and looked up before it is sent again.
//! - A system is a handful of requests ([`system::TicketSystem`]), a file or folder here with its configuration
//!   ([`DeclaredBridge`]), its line below, its example, and its row in `docs/bridges.md`.

mod audience;
mod channel;
pub mod chat;
mod declare;
mod entry;
mod figures;
mod heard;
pub mod jira;
mod learn;
mod list;
pub mod mail;
mod mapping;
mod names;
mod outgoing;
pub mod pagerduty;
mod receiver;
pub mod redmine;
mod request;
pub mod request_tracker;
mod rest;
pub mod roundup;
mod rules;
pub mod service_now;
mod shown;
mod sink;
mod site;
mod snapshot;
mod step;
mod store;
pub mod system;
mod template;
mod text;
mod tickets;
mod turn;
pub mod webhook;
mod words;
mod worker;
pub mod zammad;

#[cfg(test)]
mod strict;
#[cfg(test)]
mod tests;

pub use audience::Audience;
pub use declare::{BridgeError, BridgePace, DeclaredBridge};
pub use entry::Key;
pub use figures::{BridgeFigures, exposition};
pub use list::{Bridge, BridgeConfig, check, drafted};
pub use mapping::{ClosedWhileFiring, Mapping, MappingError, PriorityWords, Said, StateWords, TenantMapping};
pub use receiver::{Channel, Receiver, Telling, Tells};
pub use request::TicketRequest;
pub use shown::{TicketRow, TicketState, rows};
pub use store::StoreError;
pub use template::TemplateError;
pub use tickets::{BRIDGES_FOLDER, memory_of};
