//! What is known of one tenant: the table of each stage, side by side.
//!
//! A stage changes its own table: what changes a table is visible in its stage's folder only. Every stage
//! may read every table.

use serde::{Deserialize, Serialize};

use crate::config::EngineConfig;
use crate::correlate::{Correlator, KnownNames};
use crate::dedup::Alerts;
use crate::diagnose::Suspects;
use crate::enrich::{Experience, History, Knowledge, Problems};
use crate::ledger::Ledger;
use crate::stats::TenantStats;
use crate::suppress::Suppressions;
use crate::timers::Timers;
use crate::topology::Estate;

/// The tables of the stages that run over single events.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Tables {
    /// Of `topology`: entities by their one name, edges, the catalogue.
    pub(crate) estate: Estate,
    /// Of `dedup`: the alerts.
    pub(crate) alerts: Alerts,
    /// Of `mention`: what entities are called. Made anew when a checkpoint is restored.
    #[serde(skip)]
    pub(crate) known: KnownNames,
    /// Of `suppress`: silences and firing inhibitors.
    pub(crate) suppressions: Suppressions,
    /// Of `correlate`: the groups, and what was learned of them.
    pub(crate) correlator: Correlator,
    /// Of `diagnose`: changes, and series away from their level.
    pub(crate) suspects: Suspects,
    /// Of `enrich`: the incidents that are over.
    pub(crate) history: History,
    /// Of `enrich`: what they taught.
    pub(crate) experience: Experience,
    /// Of `enrich`: what comes again and again.
    pub(crate) problems: Problems,
    /// Of `enrich`: what to read. Made anew when a checkpoint is restored.
    #[serde(skip)]
    pub(crate) knowledge: Knowledge,
    /// Of `ledger`: the incidents.
    pub(crate) ledger: Ledger,
    pub(crate) timers: Timers,
    pub(crate) stats: TenantStats,
    /// What may still grow in this stretch.
    #[serde(skip)]
    pub(crate) room: Room,
}

/// How far tables may still grow before something has to give way, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// Of the details of alerts, all of them together.
    pub(crate) alerts: usize,
    /// Of edges, further ones.
    pub(crate) edges: usize,
    /// Of the texts of changes, all of them together.
    pub(crate) changes: usize,
}

impl Default for Room {
    fn default() -> Room {
        Room { alerts: usize::MAX, edges: usize::MAX, changes: usize::MAX }
    }
}

/// What a group holds of each of its alerts: its words, its names, its place in the look-up tables, why it is
/// there; and what the incident, the timers and the index of conditions do.
const GROUPED_BYTES: usize = 600;
/// What an incident takes with what its last revision told.
const INCIDENT_BYTES: usize = 6 << 10;
/// What it takes that somebody was told by a rule of escalation: two names of at most 100 bytes, as told and as kept.
const ESCALATION_BYTES: usize = 320;
/// What a past incident takes.
const PAST_BYTES: usize = 1 << 10;
/// What a kind of trouble takes that came often.
const PROBLEM_BYTES: usize = 4 << 10;

/// What of a tenant's memory is taken, in bytes, as estimated from what is in its tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Held {
    /// Details and states of alerts, and their groups.
    pub(crate) alerts: usize,
    pub(crate) incidents: usize,
    pub(crate) names: usize,
    pub(crate) topology: usize,
    pub(crate) changes: usize,
}

impl Tables {
    pub(crate) fn new(config: &EngineConfig) -> Tables {
        let limits = &config.limits;
        Tables {
            estate: Estate::new(limits.entities_max),
            alerts: Alerts::new(limits.alerts_max, limits.alerts_shed_max),
            known: KnownNames::default(),
            suppressions: Suppressions::default(),
            correlator: Correlator::new(&config.correlate),
            suspects: Suspects::default(),
            history: History::default(),
            experience: Experience::default(),
            problems: Problems::default(),
            knowledge: Knowledge::default(),
            ledger: Ledger::default(),
            timers: Timers::default(),
            stats: TenantStats::default(),
            room: Room::default(),
        }
    }

    /// Rebuilds what a checkpoint leaves out.
    pub(crate) fn revive(&mut self) {
        self.alerts.reindex();
        self.known = KnownNames::of(&self.estate.lookup);
        self.knowledge = Knowledge::of(&self.estate.lookup.knowledge);
        self.suppressions.revive();
        self.suspects.changes.revive();
    }

    /// What is taken.
    pub(crate) fn held(&self) -> Held {
        let grouped = self.correlator.len() * GROUPED_BYTES;
        Held {
            alerts: self.alerts.bytes() + self.alerts.shed_bytes() + grouped,
            incidents: self.ledger.len() * INCIDENT_BYTES
                + self.ledger.escalations() * ESCALATION_BYTES
                + self.history.len() * PAST_BYTES
                + self.problems.len() * PROBLEM_BYTES
                + self.experience.bytes(),
            names: self.estate.names.bytes() + self.estate.entities.bytes(),
            topology: self.estate.topology.bytes(),
            changes: self.suspects.changes.bytes(),
        }
    }

    /// The counters, with the gauges of the tables.
    pub(crate) fn gauges(&self) -> TenantStats {
        let mut stats = self.stats.clone();
        stats.alerts_known = self.alerts.len() as u64;
        stats.alerts_shed = self.alerts.shed_len() as u64;
        stats.alerts_grouped = self.correlator.len() as u64;
        stats.entities = self.estate.entities.len() as u64;
        stats.topology_edges = self.estate.topology.len() as u64;
        stats.changes = self.suspects.changes.len() as u64;
        stats.history = self.history.len() as u64;
        stats.incidents_live = self.ledger.active_len() as u64;
        stats.incidents_by_priority = self.ledger.active_by_priority();
        stats.incidents_kept = self.ledger.len() as u64;
        let evicted = &mut stats.evicted;
        evicted.insert("alerts".into(), self.alerts.evicted());
        evicted.insert("alert_states".into(), self.alerts.lost());
        evicted.insert("groups".into(), self.correlator.counters().evicted);
        evicted.insert("names".into(), self.estate.names.overflowed());
        evicted.insert("entities".into(), self.estate.entities.overflowed());
        evicted.insert("delays".into(), self.correlator.delays().forgotten());
        evicted.insert("topology_edges".into(), self.estate.topology.refused());
        evicted.insert("changes".into(), self.suspects.changes.forgotten());
        evicted.insert("history".into(), self.history.forgotten());
        evicted.insert("experience".into(), self.experience.refused());
        evicted.insert("silences".into(), self.suppressions.refused());
        evicted.insert("incidents".into(), self.ledger.refused());
        stats.candidates_transient = self.ledger.transient();
        stats.candidates_light = self.ledger.too_light();
        stats.candidates_taught = self.ledger.taught();
        stats.lessons = self.ledger.lessons.len() as u64;
        evicted.insert("lessons".into(), self.ledger.lessons.forgotten());
        stats
    }
}
