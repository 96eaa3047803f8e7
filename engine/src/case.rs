//! One incident on its way through diagnosis and enrichment, and why it is looked at.

use crate::incident::Verb;

/// An incident that is to be judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    /// The ledger's number of the incident.
    pub(crate) incident: u64,
    pub(crate) purpose: Purpose,
}

/// What the judgement is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A revision is told, whatever it says.
    Tell {
        verb: Verb,
        /// The incident that this one has become a part of.
        merged_into: Option<String>,
    },
    /// A revision is told when it says something worth telling.
    Update,
    /// A candidate is opened, unless another incident names the same cause.
    Weigh,
}
