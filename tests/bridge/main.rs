//! The running program and real ticketing systems: an incident is one ticket, and its life comes back.

#[path = "../service/mod.rs"]
mod service;
#[path = "../support/skipped.rs"]
mod skipped;

mod life;
mod line;
mod others;
mod redmine;
mod roundup;
mod rt;
mod server;
mod trial;
