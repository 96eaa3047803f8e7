//! The running program and real ticketing systems: an incident is one ticket, and its life comes back.

#[path = "../service/mod.rs"]
mod service;
#[path = "../support/skipped.rs"]
mod skipped;

mod life;
mod line;
mod others;
mod redmine;
#[allow(dead_code, reason = "the contract of the systems uses the rest")]
mod roundup;
#[allow(dead_code, reason = "the contract of the systems uses the rest")]
mod rt;
mod server;
mod trial;
