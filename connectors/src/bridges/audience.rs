//! Who is told, and in which words: the mapping of a channel, which has no words of its own for a priority or status.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::mapping::{
    ClosedWhileFiring, Mapping, PriorityWords, Said, StateWords, TenantMapping, default_comment, default_hold_after,
    default_mute_for, default_subject, default_text,
};

/// Who is told, and how it reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Audience {
    /// Whose incidents are told, and to whom.
    pub tenants: BTreeMap<String, TenantMapping>,
    /// Template of the one line that says what it is.
    #[serde(default = "default_subject")]
    pub subject: String,
    /// Template of what is told first.
    #[serde(default = "default_text")]
    pub text: String,
    /// Template of what is told later; `news` is what has changed, line by line.
    #[serde(default = "default_comment")]
    pub comment: String,
}

impl Audience {
    /// The same as a mapping, in the record's own words.
    pub(super) fn mapping(&self) -> Mapping {
        let word = |text: &str| text.to_owned();
        let ends = [("resolved", Said::Resolved), ("closed", Said::Closed), ("merged", Said::Closed)];
        Mapping {
            tenants: self.tenants.clone(),
            priority: PriorityWords { P1: word("P1"), P2: word("P2"), P3: word("P3"), P4: word("P4"), P5: word("P5") },
            states: StateWords {
                open: word("open"),
                acknowledged: word("acknowledged"),
                resolved: word("resolved"),
                closed: word("closed"),
                merged: word("merged"),
            },
            said: ends.into_iter().map(|(word, said)| (word.to_owned(), said)).collect(),
            subject: self.subject.clone(),
            text: self.text.clone(),
            comment: self.comment.clone(),
            owner: None,
            fields: BTreeMap::new(),
            closed_while_firing: ClosedWhileFiring::default(),
            hold_after: default_hold_after(),
            mute_for: default_mute_for(),
        }
    }
}
