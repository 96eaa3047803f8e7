//! The conformance kit finds no fault with a right subscriber, by whatever way the stream comes, and each planted fault
//! by the name of the rule that it breaks.

#![allow(clippy::disallowed_methods)] // nothing interrupts a waiting test

#[path = "../service/mod.rs"]
mod service;
#[path = "../support/skipped.rs"]
mod skipped;
mod ways;
mod wrong;
