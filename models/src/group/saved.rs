//! The form in which a [`Grouper`](super::Grouper) is saved: alerts in order of insertion, groups
//! in order of id, so that equal states save equally and a restored grouper goes
//! on exactly as before.

use serde::{Deserialize, Serialize};

use super::evidence::GroupParams;
use super::learned::CoOccurrence;
use super::placement::GroupId;
use super::tables::{Counters, Member};
use super::text::TextModel;

/// The stable form of a [`Grouper`](super::Grouper): alerts in order of insertion.
#[derive(Serialize, Deserialize)]
pub(super) struct SavedGrouper {
    pub(super) params: GroupParams,
    pub(super) members: Vec<(Member, GroupId)>,
    pub(super) groups: Vec<(GroupId, i64, i64)>,
    pub(super) text: TextModel,
    pub(super) learned: CoOccurrence,
    pub(super) counters: Counters,
    pub(super) next_sweep_ns: i64,
    pub(super) closed: Vec<GroupId>,
}
