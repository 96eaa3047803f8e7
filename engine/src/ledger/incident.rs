//! One incident between its first alert and its closing.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_models::group::GroupId;
use serde::{Deserialize, Serialize};

use super::config::LedgerConfig;
use super::escalating::Escalating;
use super::last_revision::LastRevision;
use super::major::Tie;
use crate::alert::Alert;
use crate::dedup::Alerts;
use crate::enrich::TicketFields;
use crate::incident::{AssignedBy, Owner, StatusReason, TicketRef};
use crate::signal::Severity;
use crate::time::EventTime;

/// Where an incident is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum State {
    /// Not told yet: symptoms gather.
    Candidate,
    Open,
    Acknowledged,
    Resolved,
}

/// A time in which somebody outside is waited for, as the ticket says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Pause {
    pub(crate) from: EventTime,
    /// `None` while it goes on.
    pub(crate) to: Option<EventTime>,
}

/// Pauses of one incident; later ones do not stop its clocks.
const PAUSES_MAX: usize = 64;
/// Alerts that left an incident and are remembered by it.
const LEFT_MAX: usize = 1_024;

/// One incident.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Incident {
    /// Empty until it is opened.
    pub(crate) id: String,
    pub(crate) group: GroupId,
    pub(crate) state: State,
    pub(crate) revision: u64,
    pub(crate) reason: StatusReason,
    /// Its alerts, by fingerprint.
    pub(crate) members: BTreeSet<u64>,
    /// Those that fire now and are not suppressed.
    pub(crate) live: BTreeSet<u64>,
    /// Alerts that fired again and were placed elsewhere, and when they began here: what they told
    /// of this incident stays told.
    pub(crate) left: BTreeMap<u64, EventTime>,
    /// Alerts that were part of another incident before, and of which: while this is a candidate.
    pub(crate) relapses: BTreeMap<u64, u64>,
    /// Rows of all its alerts.
    pub(crate) alert_count: u64,
    /// Worst severity so far.
    pub(crate) severity: Severity,
    pub(crate) detected_at: EventTime,
    pub(crate) opened_at: EventTime,
    pub(crate) acknowledged_at: Option<EventTime>,
    pub(crate) acknowledged_by: String,
    pub(crate) resolved_at: Option<EventTime>,
    /// When it last took an alert in that was new to it.
    pub(crate) joined_at: EventTime,
    /// Last news of any of its alerts.
    pub(crate) last_news: EventTime,
    /// Since when none of its alerts is live.
    pub(crate) quiet_since: Option<EventTime>,
    /// Something happened since the last revision.
    pub(crate) dirty: bool,
    /// The pause before the next update, in nanoseconds.
    pub(crate) pause_ns: i64,
    /// The one timer it has.
    pub(crate) timer: EventTime,
    pub(crate) told: Option<LastRevision>,
    #[serde(with = "crate::serial::as_json")]
    pub(crate) owner: Option<Owner>,
    pub(crate) assigned_by: AssignedBy,
    /// Since when the owning team has it.
    pub(crate) given: Option<(String, EventTime)>,
    /// When somebody outside was waited for, in order.
    pub(crate) pauses: Vec<Pause>,
    /// Who is told when it waits for too long.
    pub(crate) escalating: Escalating,
    /// As a ticket when it was opened, for what is learned from it.
    pub(crate) fields: Option<Box<TicketFields>>,
    /// What people said of it last: what fixed it, once it is over.
    pub(crate) remark: String,
    #[serde(with = "crate::serial::as_json")]
    pub(crate) tickets: Vec<TicketRef>,
    /// The incident it was split from, or the major one it is under.
    pub(crate) parent: Option<String>,
    /// The major incident it is under, by number.
    pub(crate) over: Option<u64>,
    /// The incidents under it, by number, with how they are related.
    pub(crate) under: BTreeMap<u64, Tie>,
    /// What its course taught about delays has been learned.
    pub(crate) learned: bool,
    /// Topology epoch at the last look for a split.
    pub(crate) epoch: u64,
    /// Labels an operator or a bridge attached.
    pub(crate) labels: BTreeMap<String, String>,
}

impl Incident {
    pub(super) fn candidate(group: GroupId, now: EventTime, timer: EventTime) -> Incident {
        Incident {
            id: String::new(),
            group,
            state: State::Candidate,
            revision: 0,
            reason: StatusReason::Detected,
            members: BTreeSet::new(),
            live: BTreeSet::new(),
            left: BTreeMap::new(),
            relapses: BTreeMap::new(),
            alert_count: 0,
            severity: Severity::Info,
            detected_at: now,
            opened_at: now,
            acknowledged_at: None,
            acknowledged_by: String::new(),
            resolved_at: None,
            joined_at: now,
            last_news: now,
            quiet_since: None,
            dirty: true,
            pause_ns: 0,
            timer,
            told: None,
            owner: None,
            assigned_by: AssignedBy::default(),
            given: None,
            pauses: Vec::new(),
            escalating: Escalating::default(),
            fields: None,
            remark: String::new(),
            tickets: Vec::new(),
            parent: None,
            over: None,
            under: BTreeMap::new(),
            learned: false,
            epoch: 0,
            labels: BTreeMap::new(),
        }
    }

    /// Whether the owner stays who it is: somebody has taken the incident, or it is old enough.
    pub(crate) fn owner_is_settled(&self, now: EventTime, config: &LedgerConfig) -> bool {
        match self.state {
            State::Candidate => false,
            State::Open => now > self.opened_at.plus(config.owner_settles_after),
            State::Acknowledged | State::Resolved => true,
        }
    }

    /// Since when this team has it: from now on, where it had another.
    pub(crate) fn given_at(&self, team: &str, now: EventTime) -> EventTime {
        self.given.as_ref().filter(|(had, _)| had == team).map_or(now, |(_, since)| *since)
    }

    /// Its clocks stand, or go on.
    pub(super) fn pause(&mut self, pauses: bool, now: EventTime) {
        let room = self.pauses.len() < PAUSES_MAX;
        match self.pauses.last_mut().filter(|pause| pause.to.is_none()) {
            Some(open) if !pauses => open.to = Some(now),
            None if pauses && room => self.pauses.push(Pause { from: now, to: None }),
            _ => {}
        }
    }

    /// Told to the world at least once.
    pub(crate) fn is_told(&self) -> bool {
        self.state != State::Candidate
    }

    /// Not resolved.
    pub(crate) fn is_active(&self) -> bool {
        matches!(self.state, State::Open | State::Acknowledged)
    }

    /// Takes an alert in as firing.
    pub(super) fn admit(&mut self, fingerprint: u64, severity: Severity, rows: u64, now: EventTime) {
        if self.members.insert(fingerprint) {
            self.alert_count += rows;
            self.joined_at = now;
        }
        self.live.insert(fingerprint);
        self.severity = self.severity.max(severity);
        self.last_news = now;
        self.quiet_since = None;
        self.dirty = true;
    }

    /// One of its alerts is part of another incident from now on.
    pub(super) fn lose(&mut self, fingerprint: u64, began_at: EventTime) {
        self.members.remove(&fingerprint);
        if self.left.len() < LEFT_MAX {
            self.left.insert(fingerprint, began_at);
        }
    }

    /// The alerts that left it and are still known, with when they began in it.
    pub(crate) fn left_alerts<'a>(&'a self, alerts: &'a Alerts) -> impl Iterator<Item = (&'a Alert, EventTime)> {
        self.left.iter().filter_map(|(fingerprint, began_at)| Some((alerts.get(*fingerprint)?, *began_at)))
    }

    /// Remembers what an incident that becomes a part of this one has lost.
    pub(super) fn inherit_left(&mut self, left: BTreeMap<u64, EventTime>) {
        for (fingerprint, began_at) in left {
            if self.left.len() < LEFT_MAX && !self.members.contains(&fingerprint) {
                let at = self.left.entry(fingerprint).or_insert(began_at);
                *at = (*at).min(began_at);
            }
        }
    }

    /// One of its alerts recovered or was suppressed.
    pub(super) fn calm(&mut self, fingerprint: u64, now: EventTime) {
        self.live.remove(&fingerprint);
        self.last_news = now;
        if self.live.is_empty() && self.quiet_since.is_none() {
            self.quiet_since = Some(now);
        }
    }
}
