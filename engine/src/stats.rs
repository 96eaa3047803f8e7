//! What the engine counted: per tenant and in sum.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::origin::{ClockView, OffTime};
use crate::signal::SignalKind;
use crate::time::Span;

/// Counters and gauges of one tenant, or of all together (but for what names single sources).
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct TenantStats {
    /// Rows received, by kind of signal.
    pub received: BTreeMap<String, u64>,
    /// Rows refused, by reason.
    pub rejected: BTreeMap<String, u64>,
    /// Rows whose time was not that of their arrival: late, or from the future.
    pub off_time: OffTime,
    /// Sources whose clocks are far from the time of arrival.
    pub clocks_skewed: u64,
    /// Of them those that are furthest off, the worst first.
    pub clocks: Vec<ClockView>,
    /// Samples that repeated one already used.
    pub duplicates: u64,
    /// Stretches released early because too much was waiting.
    pub released_early: u64,
    /// Rule evaluations that failed.
    pub rule_errors: u64,
    /// Alerts raised or ended by our own sensing.
    pub alerts_sensed: u64,
    /// Movements of series that only serve as evidence.
    pub evidence: u64,
    /// Alerts that began to fire.
    pub alerts_fired: u64,
    /// Rows that said nothing new.
    pub alerts_repeated: u64,
    /// Alerts that recovered.
    pub alerts_recovered: u64,
    /// Alerts that recovered because nothing more was heard of them.
    pub alerts_expired: u64,
    /// Recoveries of alerts that never fired here.
    pub recoveries_unknown: u64,
    /// Alerts held back, by mechanism.
    pub suppressed: BTreeMap<String, u64>,
    /// Incidents opened.
    pub incidents_opened: u64,
    /// Revisions told.
    pub incident_events: u64,
    /// Groups whose alerts recovered before they became incidents.
    pub candidates_transient: u64,
    /// Looks at groups that did not weigh enough to be incidents.
    pub candidates_light: u64,
    /// Groups of nothing but what was called false before.
    pub candidates_taught: u64,
    /// Signs that were called false and are kept back.
    pub lessons: u64,
    /// False incidents that a week may have, and what the last one cost.
    pub budget: BudgetView,
    /// Delays along edges learned from resolved incidents.
    pub delays_learned: u64,
    /// Actions about incidents that are not known.
    pub actions_unknown: u64,
    /// Bytes held, by table, as estimated from what is in them.
    #[serde(skip)]
    pub bytes: BTreeMap<&'static str, u64>,
    /// Bytes that it may hold.
    #[serde(skip)]
    pub bytes_max: u64,
    /// Entries evicted or refused, by table.
    pub evicted: BTreeMap<String, u64>,
    /// Metric series with state.
    pub series: u64,
    /// Log streams with state.
    pub log_streams: u64,
    /// Log templates.
    pub log_templates: u64,
    /// Alerts remembered.
    pub alerts_known: u64,
    /// Alerts that fire and are known by their state only: their details were shed.
    pub alerts_shed: u64,
    /// Alerts in groups.
    pub alerts_grouped: u64,
    /// Entities known.
    pub entities: u64,
    /// Topology edges.
    pub topology_edges: u64,
    /// Changes remembered.
    pub changes: u64,
    /// Closed incidents remembered.
    pub history: u64,
    /// Incidents open or acknowledged.
    pub incidents_live: u64,
    /// The same by priority, those that are none left out.
    pub incidents_by_priority: BTreeMap<String, u64>,
    /// Incidents and candidates kept.
    pub incidents_kept: u64,
}

impl TenantStats {
    pub(crate) fn signals_received(&mut self, kind: SignalKind, rows: u64) {
        *self.received.entry(kind.name().to_owned()).or_default() += rows;
    }

    pub(crate) fn reject(&mut self, reason: &str) {
        self.reject_many(reason, 1);
    }

    pub(crate) fn reject_many(&mut self, reason: &str, rows: u64) {
        if rows > 0 {
            *self.rejected.entry(reason.to_owned()).or_default() += rows;
        }
    }

    pub(crate) fn suppressed(&mut self, by: &str) {
        *self.suppressed.entry(by.to_owned()).or_default() += 1;
    }

    fn add(&mut self, other: &TenantStats) {
        self.budget.add(&other.budget);
        self.off_time.sum(&other.off_time);
        self.bytes_max += other.bytes_max;
        other.bytes.iter().for_each(|(table, bytes)| *self.bytes.entry(table).or_default() += bytes);
        for (sum, part) in [
            (&mut self.received, &other.received),
            (&mut self.rejected, &other.rejected),
            (&mut self.incidents_by_priority, &other.incidents_by_priority),
            (&mut self.suppressed, &other.suppressed),
            (&mut self.evicted, &other.evicted),
        ] {
            for (key, count) in part {
                *sum.entry(key.clone()).or_default() += count;
            }
        }
        for (sum, part) in [
            (&mut self.clocks_skewed, other.clocks_skewed),
            (&mut self.duplicates, other.duplicates),
            (&mut self.released_early, other.released_early),
            (&mut self.rule_errors, other.rule_errors),
            (&mut self.alerts_sensed, other.alerts_sensed),
            (&mut self.evidence, other.evidence),
            (&mut self.alerts_fired, other.alerts_fired),
            (&mut self.alerts_repeated, other.alerts_repeated),
            (&mut self.alerts_recovered, other.alerts_recovered),
            (&mut self.alerts_expired, other.alerts_expired),
            (&mut self.recoveries_unknown, other.recoveries_unknown),
            (&mut self.incidents_opened, other.incidents_opened),
            (&mut self.incident_events, other.incident_events),
            (&mut self.candidates_transient, other.candidates_transient),
            (&mut self.candidates_light, other.candidates_light),
            (&mut self.candidates_taught, other.candidates_taught),
            (&mut self.lessons, other.lessons),
            (&mut self.delays_learned, other.delays_learned),
            (&mut self.actions_unknown, other.actions_unknown),
            (&mut self.series, other.series),
            (&mut self.log_streams, other.log_streams),
            (&mut self.log_templates, other.log_templates),
            (&mut self.alerts_known, other.alerts_known),
            (&mut self.alerts_shed, other.alerts_shed),
            (&mut self.alerts_grouped, other.alerts_grouped),
            (&mut self.entities, other.entities),
            (&mut self.topology_edges, other.topology_edges),
            (&mut self.changes, other.changes),
            (&mut self.history, other.history),
            (&mut self.incidents_live, other.incidents_live),
            (&mut self.incidents_kept, other.incidents_kept),
        ] {
            *sum += part;
        }
    }
}

/// How the budget of one tenant stands.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct BudgetView {
    /// False incidents that a week may have.
    pub allowed: f64,
    /// What the last week cost: false ones whole, those nobody acted on half.
    pub spent: f64,
    /// Incidents of the last week that our own detectors opened.
    pub opened: u64,
    /// Those that were called false.
    pub called_false: u64,
}

impl BudgetView {
    fn add(&mut self, other: &BudgetView) {
        self.allowed += other.allowed;
        self.spent += other.spent;
        self.opened += other.opened;
        self.called_false += other.called_false;
    }
}

/// What the engine counted.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct EngineStats {
    /// All tenants together.
    pub total: TenantStats,
    /// Each tenant.
    pub tenants: BTreeMap<String, TenantStats>,
    /// Entries of tenants beyond the limit, refused.
    pub tenants_refused: u64,
    /// How far engine time is ahead of the clock of who writes the journal, which was set back.
    pub clock_ahead: Span,
}

impl EngineStats {
    /// Adds what was counted of one tenant.
    pub fn include(&mut self, tenant: &str, stats: TenantStats) {
        self.total.add(&stats);
        self.tenants.insert(tenant.to_owned(), stats);
    }
}
