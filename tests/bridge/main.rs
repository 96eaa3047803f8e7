//! The running program and a real Request Tracker: an incident is one ticket, and its life comes back.

#[path = "../service/mod.rs"]
mod service;
#[path = "../support/skipped.rs"]
mod skipped;

mod life;
mod line;
mod rt;
mod trial;
