//! What a new user installs, writes and reads: the first configuration, the quick start, the files of
//! operations, the documents of what is sent and told. Each is run as it is written.

#[path = "../service/mod.rs"]
mod service;
#[path = "../support/skipped.rs"]
mod skipped;

mod init;
mod operations;
mod payloads;
mod programs;
mod quick_start;
mod record;
mod shell;
