//! The wires of `examples/wires.yaml` against the real programs that speak them, with the very
//! configurations in `examples/`. The programs are fetched by `tools/peers.sh`; a missing one fails the
//! test.

#![allow(clippy::disallowed_methods)] // nothing interrupts a test that waits for a process
#![allow(clippy::print_stderr, reason = "a failed test shows what the peer said")]

mod alerts;
mod changes;
mod examples;
mod logs;
mod metrics;
mod notifications;
mod opentelemetry;
mod rig;
#[path = "../../../tests/support/skipped.rs"]
mod skipped;
mod suites;
