//! What goes into the grouper, and the name of what comes out.

use serde::{Deserialize, Serialize};

use super::names::Names;

/// A group's name: derived from its first alert, so the same data gives the
/// same ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GroupId(pub u64);

/// Where the trouble that an alert reports begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Begins {
    /// Anywhere: slow answers come from whom one waits for.
    #[default]
    Anywhere,
    /// Where it is or with what it waits for: memory, a pool of connections.
    Strain,
    /// At its entity: a full disk, an expired certificate.
    Here,
    /// At its entity, and it travels to what that calls: demand.
    Demand,
}

/// An alert as the grouper takes it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AlertView<'a> {
    /// Identity of the alert: the same id again is a repeat (its fingerprint).
    pub id: u64,
    /// Event time of this occurrence in nanoseconds.
    pub time_ns: i64,
    /// Where its trouble begins.
    pub begins: Begins,
    /// Type of alert as a token (rule, alarm code).
    pub kind: u32,
    /// Dense id of its entity, [`NO_ENTITY`](super::NO_ENTITY) for none.
    pub entity: u32,
    /// Words as [`super::tokenize`] gives them: sorted, each once.
    pub tokens: &'a [u32],
    /// The name of its entity and the names in its text.
    pub names: Names<'a>,
}
