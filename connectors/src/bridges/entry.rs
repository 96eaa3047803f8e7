//! What is remembered of one incident and its ticket. Whatever happens to the process, the next step follows from
//! this alone.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

use bellwether_engine::incident::{IncidentRecord, IncidentStatus, Priority};
use bellwether_engine::time::EventTime;
use serde::{Deserialize, Serialize};

use super::system::{Draft, Fields, LinkKind, STATUS, Ticket};

/// The label of a record that has others under it.
const MAJOR_LABEL: &str = "major.incidents";

/// Which incident: the tenant stands in it, so that no two tenants' tickets meet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    /// Whose it is.
    pub tenant: String,
    /// Its id, new for each occurrence: never its title, and never what it has in common with others.
    pub incident: String,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tenant, self.incident)
    }
}

/// One incident and its ticket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Which incident.
    pub(super) key: Key,
    /// The same each time the same trouble comes again.
    pub(super) dedup_key: String,
    /// The newest revision that was told.
    pub(super) revision: u64,
    /// That revision, until the ticket shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) wanted: Option<Box<IncidentRecord>>,
    /// Its ticket's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ticket: Option<String>,
    /// Where a person can look at the ticket.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) url: String,
    /// The ticket's fields as they were after we had written them last: what differs from that is a person's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) written: Fields,
    /// Fields that were heard to be different from what is in `written`, as they were heard last.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) heard: Fields,
    /// What the ticket says of the incident.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) shown: Option<Shown>,
    /// Fields that a person has changed.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) theirs: BTreeSet<String>,
    /// Values that the system did not take; they are not tried again.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) refused: Fields,
    /// What was about to be sent when this was written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) intent: Option<Intent>,
    /// That somebody closed the ticket, until that is dealt with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) closed: Option<Closed>,
    /// Why the ticket is not ours to write to any more: it was deleted, or merged into another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ended: Option<Ended>,
    /// That a person said that this ticket is the incident's, until the ticket has its key.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) adopted: bool,
    /// The status of the ticket that the engine was told last.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) told: String,
    /// Why there is to be no step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) parked: Option<Parked>,
    /// What went wrong last, until something goes right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) trouble: Option<Trouble>,
    /// Tickets of this incident that are no longer its ticket, and why there is another.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) former: BTreeSet<String>,
    /// Links that were made, by the other ticket.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) links: BTreeSet<(LinkKind, String)>,
    /// Links that are to be made as soon as there are both tickets, by the other incident's id.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) owed: BTreeSet<(LinkKind, String)>,
    /// Whether it is a major incident, over others.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) major: bool,
    /// When the ticket was written to, as far as that matters to who keeps it from being written to for ever.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    pub(super) writes: VecDeque<EventTime>,
    /// When something was last told or heard of it.
    pub(super) touched: EventTime,
    /// What is known of the ticket at the moment; after a restart nothing is.
    #[serde(skip)]
    pub(super) view: View,
}

/// What a ticket says of its incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Shown {
    /// Which revision.
    pub(super) revision: u64,
    /// Where the incident was in its life.
    pub(super) status: IncidentStatus,
    /// How soon somebody had to act.
    pub(super) priority: Priority,
    /// What was most probably behind it.
    pub(super) cause: String,
    /// How often somebody was told by a rule of escalation.
    #[serde(default)]
    pub(super) escalations: usize,
}

impl Shown {
    /// What a ticket says that shows `record`.
    pub(super) fn of(record: &IncidentRecord) -> Shown {
        let cause = record.probable_causes.first().map(|cause| cause.reference.clone());
        let cause = cause.unwrap_or_default();
        let escalations = record.escalations.len();
        Shown { revision: record.revision, status: record.status, priority: record.priority, cause, escalations }
    }
}

/// What is known of the ticket at the moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum View {
    /// Nothing: it has to be read, or looked up, before anything is written.
    #[default]
    Unknown,
    /// There is none under this key.
    Absent,
    /// It was like this when it was read last.
    Known(Ticket),
}

/// What was about to be sent. Until its outcome is known nothing else is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Intent {
    /// When.
    pub(super) at: EventTime,
    /// Whether the system has said that it was done, so that what is not as it should be was not taken.
    pub(super) sure: bool,
    /// What.
    pub(super) what: Writing,
}

/// What is sent that changes something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Writing {
    /// A new ticket.
    Create(Draft),
    /// New values of fields.
    Update(Fields),
    /// A comment, and what the ticket says once it is there.
    Comment {
        /// By which it is known again.
        mark: String,
        /// What it says.
        text: String,
        /// What the ticket says then; `None` where it only says that the incident goes on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        shown: Option<Shown>,
    },
}

/// Somebody closed the ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Closed {
    /// When that was seen.
    pub(super) at: EventTime,
    /// The ticket's word for it.
    pub(super) status: String,
    /// That it was said that the incident goes on.
    pub(super) said: bool,
}

/// Why a ticket is not ours to write to any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Ended {
    /// Somebody deleted it.
    Deleted,
    /// Somebody merged it into this other one.
    Merged(String),
}

/// Why a ticket waits for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Parked {
    /// Since when.
    pub(super) at: EventTime,
    /// What happened, and the remedy.
    pub(super) reason: String,
    /// Whether the next revision is tried all the same.
    pub(super) until_next: bool,
}

/// What goes wrong at the moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Trouble {
    /// The latest.
    pub(super) reason: String,
    /// How often in a row.
    pub(super) attempts: u32,
    /// When it is tried again.
    pub(super) again: EventTime,
}

impl Entry {
    /// Of an incident that is new here.
    pub(super) fn new(key: Key, dedup_key: &str, now: EventTime) -> Entry {
        Entry {
            key,
            dedup_key: dedup_key.to_owned(),
            revision: 0,
            wanted: None,
            ticket: None,
            url: String::new(),
            written: Fields::new(),
            heard: Fields::new(),
            shown: None,
            theirs: BTreeSet::new(),
            refused: Fields::new(),
            intent: None,
            closed: None,
            ended: None,
            adopted: false,
            told: String::new(),
            parked: None,
            trouble: None,
            former: BTreeSet::new(),
            links: BTreeSet::new(),
            owed: BTreeSet::new(),
            major: false,
            writes: VecDeque::new(),
            touched: now,
            view: View::Unknown,
        }
    }

    /// Takes a revision; false when it is not newer than what is there.
    pub(super) fn file(&mut self, record: &IncidentRecord, now: EventTime) -> bool {
        if record.revision <= self.revision {
            return false;
        }
        self.revision = record.revision;
        self.touched = now;
        self.major = record.labels.contains_key(MAJOR_LABEL);
        let merged = record.merged_into.iter().map(|id| (LinkKind::DuplicateOf, id));
        let wishes = merged.chain(record.parent_id.iter().map(|id| (LinkKind::PartOf, id)));
        self.owed.extend(wishes.map(|(kind, id)| (kind, id.clone())));
        self.wanted = Some(Box::new(record.clone()));
        // What a ticket may become depends on what it is.
        self.refused.remove(STATUS);
        if self.parked.as_ref().is_some_and(|parked| parked.until_next) {
            self.parked = None;
        }
        true
    }

    /// Notes that the ticket is as it should be.
    pub(super) fn went_well(&mut self) {
        self.trouble = None;
    }

    /// Lets it wait for a person.
    pub(super) fn park(&mut self, reason: impl Into<String>, until_next: bool, now: EventTime) {
        self.parked = Some(Parked { at: now, reason: reason.into(), until_next });
    }

    /// Whether nothing is left to do, and nothing waits.
    pub(super) fn is_done(&self) -> bool {
        self.wanted.is_none() && self.intent.is_none() && self.owed.is_empty() && !self.adopted
    }

    /// Whether the incident is over for good as far as the ticket shows.
    pub(super) fn is_over(&self) -> bool {
        let over = [IncidentStatus::Closed, IncidentStatus::Merged];
        self.is_done() && self.shown.as_ref().is_none_or(|shown| over.contains(&shown.status))
    }
}
