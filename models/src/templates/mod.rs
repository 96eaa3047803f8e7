//! Log templates, mined online: which lines say the same thing with other values.
//!
//! Use it on any stream of log bodies, one miner per stream or per tenant. It needs no
//! masks and no settings for a system. A line goes through four steps, each cheaper
//! than the next:
//!
//! 1. **Shape caches** (`shape`, `runs`): the line with every digit counted as `0`, and
//!    where that is new, the line with numbers of any length counted as one. A line whose
//!    shape was seen is compared byte for byte with the one that was stored, so a collision
//!    costs a second look and never a wrong answer.
//! 2. **Typed key** (`lexer`, `class`, `join`): numbers, addresses, paths, dates and
//!    other identifiers count as parameters at once; the words, the punctuation and the
//!    order of both are the key of a group.
//! 3. **Merging** (`merge`, `store`, `template`): groups that differ in one word in the same place
//!    become one when that place has shown enough values (five; two after a noun such as
//!    `user`, or in a field in brackets). The older group survives, and keeps its id.
//! 4. **Covering** (`cover`): a template whose parameters stand for all that another says
//!    in their places is that other's, too.
//!
//! The idea of a key of constant words is that of Drain (He et al., ICWS 2017, "Drain: An
//! online log parsing approach with fixed depth tree"); counting the values of a column
//! is that of Brain (Yu et al., IEEE TSC 2023) made incremental.

mod class;
mod colours;
mod cover;
mod element;
mod join;
mod lexer;
mod merge;
mod miner;
mod runs;
mod scripts;
mod shape;
mod store;
mod template;
mod values;

pub use class::Kind;
pub use colours::without_colours;
pub use miner::{CheckedMinerParams, Match, Miner, MinerParams, MinerParamsError, Param};
pub use values::values;

#[cfg(test)]
mod tests;
