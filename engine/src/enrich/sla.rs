//! Clocks of agreements: by when somebody must answer and by when it must be over, in working time, without the
//! time in which somebody outside is waited for.

use crate::calendar::Calendar;
use crate::catalogue::Sla;
use crate::diagnose::Blast;
use crate::incident::{Deadline, DeadlineState, Priority, ServiceLevel};
use crate::ledger::Pause;
use crate::time::{EventTime, Span};
use crate::topology::Lookup;

/// What of an incident's life its clocks depend on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Life<'a> {
    /// When they began.
    pub(super) began: EventTime,
    pub(super) acknowledged_at: Option<EventTime>,
    pub(super) resolved_at: Option<EventTime>,
    /// Times in which somebody outside was waited for, in order.
    pub(super) pauses: &'a [Pause],
    pub(super) now: EventTime,
}

/// The clocks of one agreement for one incident.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct SlaClock {
    pub(crate) name: String,
    pub(crate) respond: Option<Deadline>,
    pub(crate) resolve: Option<Deadline>,
    /// When one of them comes to stand otherwise, if nothing happens.
    pub(crate) due: EventTime,
    /// The time that counts until it is resolved: how much is promised, how much has passed.
    pub(super) promised: Option<Span>,
    pub(crate) passed: Span,
}

impl SlaClock {
    /// As the record has it.
    pub(crate) fn level(&self, breach_probability: Option<f64>) -> ServiceLevel {
        let SlaClock { name, respond, resolve, .. } = self.clone();
        ServiceLevel { name, respond, resolve, breach_probability }
    }

    /// How its clocks stand.
    pub(crate) fn states(&self) -> [Option<DeadlineState>; 2] {
        [self.respond, self.resolve].map(|deadline| deadline.map(|deadline| deadline.state))
    }

    /// By when it must be over; `None` while the clock stands.
    pub(super) fn resolve_by(&self) -> Option<EventTime> {
        self.resolve.and_then(|deadline| deadline.by)
    }
}

/// The strictest agreement among the affected items.
pub(super) fn strictest<'a>(blast: &Blast, lookup: &'a Lookup, priority: Priority) -> Option<&'a Sla> {
    let mut names: Vec<&str> = blast
        .affected
        .keys()
        .filter_map(|id| lookup.items.get(id))
        .map(|item| item.sla.as_str())
        .filter(|name| !name.is_empty())
        .collect();
    names.sort_unstable();
    names.dedup();
    names.into_iter().filter_map(|name| lookup.slas.get(name)).min_by_key(|sla| {
        let span =
            |of: &std::collections::BTreeMap<Priority, Span>| of.get(&priority).copied().unwrap_or(Span(i64::MAX));
        (span(&sla.resolve), span(&sla.respond))
    })
}

/// The calendar by which an agreement counts; time on the wall where there is none.
pub(super) fn calendar<'a>(sla: &Sla, priority: Priority, lookup: &'a Lookup) -> Option<&'a Calendar> {
    lookup.calendars.get(&sla.calendar).filter(|_| !sla.round_the_clock.contains(&priority))
}

/// The clocks of an agreement.
pub(super) fn clock(sla: &Sla, priority: Priority, lookup: &Lookup, life: &Life<'_>) -> SlaClock {
    let always = Calendar::default();
    let calendar = calendar(sla, priority, lookup).unwrap_or(&always);
    let mut due = EventTime::MAX;
    let mut stands = |span: Option<&Span>, ended: Option<EventTime>, pauses: &[Pause]| {
        let span = *span?;
        let part = Span((span.0 as f64 * sla.at_risk) as i64);
        let passed = |span| deadline(calendar, life.began, span, pauses);
        let (by, at_risk) = (passed(span), passed(part));
        let state = match (by, ended) {
            (None, Some(_)) => DeadlineState::Met,
            (None, None) => DeadlineState::Paused,
            (Some(by), Some(ended)) if ended <= by => DeadlineState::Met,
            (Some(by), _) if by <= life.now => DeadlineState::Breached,
            _ if at_risk.is_some_and(|at| at <= life.now) => DeadlineState::AtRisk,
            _ => DeadlineState::OnTrack,
        };
        let next = match state {
            DeadlineState::OnTrack => at_risk.or(by),
            DeadlineState::AtRisk => by,
            _ => None,
        };
        due = due.min(next.unwrap_or(EventTime::MAX));
        Some(Deadline { by, state })
    };
    // Whoever waits for an answer is not kept waiting by another question.
    let answered = life.acknowledged_at.or(life.resolved_at);
    let respond = stands(sla.respond.get(&priority), answered, &[]);
    let resolve = stands(sla.resolve.get(&priority), life.resolved_at, life.pauses);
    let promised = sla.resolve.get(&priority).copied();
    let passed = passed(calendar, life.began, life.resolved_at.unwrap_or(life.now), life.pauses);
    SlaClock { name: sla.name.clone(), respond, resolve, due, promised, passed }
}

/// The working time from `began` until `until`, pauses left out.
fn passed(calendar: &Calendar, began: EventTime, until: EventTime, pauses: &[Pause]) -> Span {
    let (mut from, mut passed) = (began, 0_i64);
    for pause in pauses.iter().filter(|pause| pause.from < until && pause.to.is_none_or(|to| to > began)) {
        passed = passed.saturating_add(calendar.between(from, pause.from.max(from)).0);
        from = pause.to.unwrap_or(until).max(from);
    }
    Span(passed.saturating_add(calendar.between(from, until.max(from)).0))
}

/// When `span` of working time has passed since `began`, pauses left out; `None` while a pause goes on before that.
fn deadline(calendar: &Calendar, began: EventTime, span: Span, pauses: &[Pause]) -> Option<EventTime> {
    let (mut from, mut left) = (began, span);
    for pause in pauses.iter().filter(|pause| pause.to.is_none_or(|to| to > began)) {
        let worked = calendar.between(from, pause.from);
        if worked >= left {
            break;
        }
        left = Span(left.0 - worked.0);
        from = pause.to?;
    }
    Some(calendar.after(from, left).unwrap_or(EventTime::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::at;

    fn gold() -> Sla {
        let json = serde_json::json!({"name": "gold", "respond": {"P2": "15m"}, "resolve": {"P2": "4h"}});
        serde_json::from_value(json).expect("an agreement")
    }

    fn life(now: i64, pauses: &[Pause]) -> Life<'_> {
        Life { began: at(0), acknowledged_at: None, resolved_at: None, pauses, now: at(now) }
    }

    fn stands(life: &Life<'_>) -> (Option<DeadlineState>, Option<DeadlineState>, EventTime) {
        let clock = clock(&gold(), Priority::P2, &Lookup::default(), life);
        let [respond, resolve] = clock.states();
        (respond, resolve, clock.due)
    }

    #[test]
    fn a_clock_is_at_risk_then_breached_and_says_when() {
        use DeadlineState::{AtRisk, Breached, Met, OnTrack};
        assert_eq!(stands(&life(60, &[])), (Some(OnTrack), Some(OnTrack), at(675)), "three quarters of 15 minutes");
        assert_eq!(stands(&life(675, &[])), (Some(AtRisk), Some(OnTrack), at(900)));
        assert_eq!(stands(&life(900, &[])), (Some(Breached), Some(OnTrack), at(3 * 3_600)));
        let taken = Life { acknowledged_at: Some(at(900)), ..life(4 * 3_600, &[]) };
        assert_eq!(stands(&taken), (Some(Met), Some(Breached), EventTime::MAX));
        let over = Life { resolved_at: Some(at(3 * 3_600)), ..taken };
        assert_eq!(stands(&over), (Some(Met), Some(Met), EventTime::MAX));
        assert_eq!(stands(&Life { resolved_at: Some(at(5 * 3_600)), ..taken }).1, Some(Breached));
    }

    #[test]
    fn the_clock_stands_while_somebody_outside_is_waited_for() {
        let ended = [Pause { from: at(3_600), to: Some(at(3 * 3_600)) }];
        let of = clock(&gold(), Priority::P2, &Lookup::default(), &life(4 * 3_600, &ended));
        assert_eq!(of.resolve_by(), Some(at(6 * 3_600)), "two hours later");
        let open = [Pause { from: at(3_600), to: None }];
        let of = clock(&gold(), Priority::P2, &Lookup::default(), &life(9 * 3_600, &open));
        assert_eq!(of.resolve, Some(Deadline { by: None, state: DeadlineState::Paused }));
        let over = Life { resolved_at: Some(at(9 * 3_600)), ..life(9 * 3_600, &open) };
        assert_eq!(stands(&over).1, Some(DeadlineState::Met));
        // What was late before is late.
        let late = [Pause { from: at(5 * 3_600), to: None }];
        assert_eq!(stands(&life(6 * 3_600, &late)).1, Some(DeadlineState::Breached));
    }

    #[test]
    fn what_has_passed_is_working_time_without_the_pauses() {
        let office = serde_json::json!({"name": "office", "hours": ["mon-fri 09:00-17:00"]});
        let office: Calendar = serde_json::from_value(office).expect("a calendar");
        let hour = 3_600;
        // From Thursday noon to Friday noon.
        let whole = |calendar: &Calendar, pauses: &[Pause]| {
            passed(calendar, at(12 * hour), at(36 * hour), pauses).0 / (hour * 1_000_000_000)
        };
        assert_eq!((whole(&Calendar::default(), &[]), whole(&office, &[])), (24, 8));
        let before = Pause { from: at(0), to: Some(at(11 * hour)) };
        let within = Pause { from: at(13 * hour), to: Some(at(15 * hour)) };
        let over_night = Pause { from: at(16 * hour), to: Some(at(34 * hour)) };
        assert_eq!(whole(&office, &[before, within, over_night]), 8 - 2 - 1 - 1);
        let open = Pause { from: at(14 * hour), to: None };
        assert_eq!((whole(&office, &[open]), whole(&Calendar::default(), &[open])), (2, 2));
        let later = Pause { from: at(40 * hour), to: None };
        assert_eq!(whole(&office, &[later]), 8);
    }

    #[test]
    fn working_hours_count_but_for_priorities_that_have_none() {
        let json = serde_json::json!({"name": "gold", "resolve": {"P1": "4h", "P2": "4h"}, "calendar": "office",
            "round_the_clock": ["P1"]});
        let sla: Sla = serde_json::from_value(json).expect("an agreement");
        let office = serde_json::json!({"name": "office", "hours": ["mon-fri 09:00-17:00"]});
        let mut lookup = Lookup::default();
        lookup.calendars.insert("office".to_owned(), serde_json::from_value(office).expect("a calendar"));
        // The tests begin on a Thursday, at midnight.
        let by = |priority| clock(&sla, priority, &lookup, &life(0, &[])).resolve_by();
        assert_eq!((by(Priority::P1), by(Priority::P2)), (Some(at(4 * 3_600)), Some(at(13 * 3_600))));
    }
}
