//! What the ledger has left to do after something else that it asked for.

use bellwether_models::group::GroupId;

/// One step, by the numbers of incidents and the fingerprints of alerts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// An alert is part of an incident from now on.
    Enlist { incident: u64, alert: u64 },
    /// The groups that became part of an alert's group, those that are left; then the alert.
    Merge { alert: u64, group: GroupId, merged: Vec<GroupId> },
    /// One incident takes over what another had, which has been told as merged.
    Absorb { winner: u64, loser: u64 },
    /// A group leads to this incident; of `own`, it is the incident's group from now on.
    Bind { group: GroupId, incident: u64, own: bool },
    /// An incident has changed by an operator's word: it is looked at as soon as may be.
    LookAgain(u64),
    /// What was split off is opened, when something of it is live; else it is no incident, nor is what
    /// became of the one alert it was made for.
    Born { incident: u64, alone: Option<u64> },
    /// The next look at an active incident is planned.
    Plan(u64),
    /// An incident is looked at after its group was.
    Review(u64),
    /// The place of a told incident among the others is looked for.
    Relate(u64),
    /// A new place of an incident is told.
    TellPlace(u64),
}
