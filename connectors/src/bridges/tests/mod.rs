//! The contract, against the strict system: each fault that others are known for, and any of them in any order.

mod bench;
mod contract;
mod faults;
mod people;
