//! Disks that fail under the running program: the power is cut, there is no more space, reads and writes fail.

#[path = "../service/mod.rs"]
mod service;
#[path = "../support/skipped.rs"]
mod skipped;

mod cut;
mod faults;
mod faulty;
mod load;
mod power;
