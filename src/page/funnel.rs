//! What came of what arrived: signals, alerts, incidents, of the last day or since the page began to count.
//!
//! The engines count without end; here a mark is kept every ten minutes, so that the difference to a day ago can be
//! told. Marks take some 100 bytes a tenant and are a day's at most.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use bellwether_engine::TenantStats;
use bellwether_engine::time::{EventTime, Span};

use super::model::Scope;
use crate::wiring::figures::EngineFigures;

/// A mark is made this often,
const EVERY: Span = Span::from_mins(10);
/// and kept for so long.
const KEPT: Span = Span::from_hours(24);

/// Counts of one tenant, or of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Rows of telemetry, alerts, changes and topology.
    pub(crate) signals: u64,
    /// Alerts that began to fire, of others and our own.
    pub(crate) alerts: u64,
    /// What was heard of alerts that said nothing new.
    pub(crate) repeated: u64,
    /// Alerts held back.
    pub(crate) suppressed: u64,
    /// Incidents opened.
    pub(crate) incidents: u64,
    /// Rows refused.
    pub(crate) refused: u64,
    /// Rows that came too late to be used.
    pub(crate) late: u64,
}

impl Counts {
    fn of(stats: &TenantStats) -> Counts {
        let sum = |counts: &BTreeMap<String, u64>| counts.values().sum();
        Counts {
            signals: sum(&stats.received),
            alerts: stats.alerts_fired,
            repeated: stats.alerts_repeated,
            suppressed: sum(&stats.suppressed),
            incidents: stats.incidents_opened,
            refused: sum(&stats.rejected),
            late: stats.off_time.left_out(),
        }
    }

    /// Those of a scope as of now.
    fn in_scope(figures: &EngineFigures, scope: &Scope) -> Counts {
        match scope {
            Scope::All => Counts::of(&figures.stats.total),
            Scope::Tenant(tenant) => figures.stats.tenants.get(&**tenant).map(Counts::of).unwrap_or_default(),
        }
    }

    fn since(self, before: Counts) -> Counts {
        Counts {
            signals: self.signals.saturating_sub(before.signals),
            alerts: self.alerts.saturating_sub(before.alerts),
            repeated: self.repeated.saturating_sub(before.repeated),
            suppressed: self.suppressed.saturating_sub(before.suppressed),
            incidents: self.incidents.saturating_sub(before.incidents),
            refused: self.refused.saturating_sub(before.refused),
            late: self.late.saturating_sub(before.late),
        }
    }
}

/// All tenants at one moment.
#[derive(Debug, Default)]
struct Mark {
    at: EventTime,
    all: Counts,
    tenants: BTreeMap<String, Counts>,
}

impl Mark {
    fn of(figures: &EngineFigures, at: EventTime) -> Mark {
        let tenants = figures.stats.tenants.iter();
        Mark {
            at,
            all: Counts::of(&figures.stats.total),
            tenants: tenants.map(|(name, stats)| (name.clone(), Counts::of(stats))).collect(),
        }
    }

    fn counts(&self, scope: &Scope) -> Counts {
        match scope {
            Scope::All => self.all,
            Scope::Tenant(tenant) => self.tenants.get(&**tenant).copied().unwrap_or_default(),
        }
    }
}

/// The marks of the last day.
#[derive(Debug, Default)]
pub(crate) struct Funnel(Mutex<VecDeque<Mark>>);

impl Funnel {
    /// Keeps a mark when it is time.
    pub(crate) fn note(&self, figures: &EngineFigures, now: EventTime) {
        let mut marks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if marks.back().is_none_or(|last| now.since(last.at) >= EVERY) {
            marks.push_back(Mark::of(figures, now));
        }
        while marks.len() > 1 && marks.front().is_some_and(|first| now.since(first.at) > KEPT) {
            marks.pop_front();
        }
    }

    /// What came since the oldest mark, and when that was; without marks all that was ever counted.
    pub(crate) fn of(&self, figures: &EngineFigures, scope: &Scope) -> (Counts, Option<EventTime>) {
        let now = Counts::in_scope(figures, scope);
        let marks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match marks.front() {
            Some(first) => (now.since(first.counts(scope)), Some(first.at)),
            None => (now, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use bellwether_engine::EngineStats;

    use super::*;

    fn figures(alerts: u64) -> EngineFigures {
        let stats = TenantStats { alerts_fired: alerts, ..TenantStats::default() };
        let mut all = EngineStats::default();
        all.include("acme", stats);
        EngineFigures { stats: all, ..EngineFigures::default() }
    }

    #[test]
    fn what_came_is_told_of_the_last_day() {
        let (funnel, acme) = (Funnel::default(), Scope::Tenant("acme".into()));
        let alerts = |count, scope: &Scope| funnel.of(&figures(count), scope).0.alerts;
        assert_eq!(alerts(7, &acme), 7, "all that was ever counted");
        for hour in 0..30 {
            funnel.note(&figures(10 * hour), EventTime::from_secs(3_600 * hour as i64));
        }
        assert_eq!((alerts(300, &acme), alerts(300, &Scope::All)), (250, 250), "from hour 5 on");
        assert_eq!(alerts(300, &Scope::Tenant("beta".into())), 0);
    }
}
