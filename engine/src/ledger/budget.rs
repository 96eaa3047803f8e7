//! How many incidents a week may come of nothing but what our own detectors saw.
//!
//! People say which were false, and show which were worth something: they acknowledged or resolved them (a ticket
//! alone says nothing: a program may have opened it). A false one counts whole; one that nobody acted on counts half, where people act on anything at
//! all. While the last week cost more than its budget, what moves must be so much more unlikely, and a candidate of
//! nothing but findings must weigh so much more.
//!
//! The budget is divided by evidence: series that move, and log lines. Each may use what the other leaves, and has half
//! whatever the other costs: a log that nobody understands makes no series stricter.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::stats::BudgetView;
use crate::time::{EventTime, Span};

/// What is looked back on.
const WEEK: Span = Span::from_hours(7 * 24);

/// Incidents of a week that are remembered.
const REMEMBERED_MAX: usize = 1_024;

/// Bits of surprise that are asked for more, for each doubling of what the budget allows.
const BITS_PER_DOUBLING: f64 = 4.0;

/// Kinds of evidence.
const KINDS: f64 = 2.0;

/// What an incident was opened by.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Evidence {
    /// Series that moved.
    Series,
    /// Log lines.
    Logs,
}

/// What became of an incident that our own detectors opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Worth {
    /// It goes on.
    Unknown,
    /// Somebody called it false.
    False,
    /// It ended by itself, and nobody acted on it.
    Unacted,
    /// Somebody acted on it.
    Acted,
}

/// The incidents of the last week that our own detectors opened.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Budget {
    /// When each was opened, its number, by what, and what became of it; oldest first.
    opened: VecDeque<(EventTime, u64, Evidence, Worth)>,
    /// When somebody last acted on any incident at all.
    acted_at: EventTime,
}

impl Budget {
    fn week(&self, now: EventTime) -> impl Iterator<Item = (Evidence, Worth)> {
        let within = self.opened.iter().filter(move |(at, ..)| now.since(*at) <= WEEK);
        within.map(|(_, _, evidence, worth)| (*evidence, *worth))
    }

    /// What an incident costs that ended so.
    fn cost(&self, worth: Worth, now: EventTime) -> f64 {
        let people_act = self.acted_at != EventTime::MIN && now.since(self.acted_at) <= WEEK;
        match worth {
            Worth::False => 1.0,
            Worth::Unacted if people_act => 0.5,
            Worth::Unacted | Worth::Unknown | Worth::Acted => 0.0,
        }
    }

    /// An incident was opened by nothing but what our own detectors saw.
    pub(super) fn note_opened(&mut self, number: u64, by: Evidence, now: EventTime) {
        while self.opened.len() >= REMEMBERED_MAX || self.opened.front().is_some_and(|(at, ..)| now.since(*at) > WEEK) {
            self.opened.pop_front();
        }
        self.opened.push_back((now, number, by, Worth::Unknown));
    }

    /// Somebody acted on an incident.
    pub(super) fn note_acted(&mut self, number: u64, now: EventTime) {
        self.acted_at = self.acted_at.max(now);
        self.judge(number, Worth::Acted);
    }

    /// What became of an incident; what somebody did with it says more than how it ended.
    pub(super) fn judge(&mut self, number: u64, worth: Worth) {
        if let Some((.., known)) = self.opened.iter_mut().rev().find(|(_, other, ..)| *other == number)
            && !(worth == Worth::Unacted && *known != Worth::Unknown)
        {
            *known = worth;
        }
    }

    /// How it stands at `now`, where `false_per_day` may be false.
    pub(crate) fn view(&self, now: EventTime, false_per_day: f64) -> BudgetView {
        let mut view = BudgetView { allowed: 7.0 * false_per_day, ..BudgetView::default() };
        for (_, worth) in self.week(now) {
            view.opened += 1;
            view.called_false += u64::from(worth == Worth::False);
            view.spent += self.cost(worth, now);
        }
        view
    }

    /// So many times more is asked of a finding of this kind than usual, 1 within its part of the budget.
    pub(super) fn strictness(&self, of: Evidence, now: EventTime, false_per_day: f64) -> f64 {
        let view = self.view(now, false_per_day);
        let own = self.week(now).filter(|(evidence, _)| *evidence == of).map(|(_, worth)| self.cost(worth, now));
        let own: f64 = own.sum();
        let part = (view.allowed - (view.spent - own)).max(view.allowed / KINDS);
        (own / part.max(1e-6)).max(1.0)
    }

    /// So many bits more must a movement have to be news.
    pub(crate) fn bits(&self, now: EventTime, false_per_day: f64) -> f64 {
        BITS_PER_DOUBLING * self.strictness(Evidence::Series, now, false_per_day).log2()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(day: i64) -> EventTime {
        EventTime::from_secs(1_700_000_000 + 86_400 * day)
    }

    #[test]
    fn what_was_called_false_makes_it_stricter_until_a_week_has_passed() {
        let mut budget = Budget::default();
        for number in 0..14 {
            budget.note_opened(number, Evidence::Series, day(0));
            budget.judge(number, Worth::False);
        }
        assert_eq!(budget.view(day(1), 1.0), BudgetView { allowed: 7.0, spent: 14.0, opened: 14, called_false: 14 });
        let strictness = |on: i64| budget.strictness(Evidence::Series, day(on), 1.0);
        assert_eq!((strictness(1), budget.bits(day(1), 1.0)), (2.0, 4.0));
        assert_eq!((strictness(8), budget.bits(day(8), 1.0)), (1.0, 0.0));
    }

    #[test]
    fn a_log_that_nobody_understands_makes_no_series_stricter_and_leaves_it_half() {
        let mut budget = Budget::default();
        let spend = |budget: &mut Budget, numbers: std::ops::Range<u64>, by| {
            for number in numbers {
                budget.note_opened(number, by, day(0));
                budget.judge(number, Worth::False);
            }
        };
        let strictness = |budget: &Budget, of| budget.strictness(of, day(1), 1.0);
        spend(&mut budget, 0..28, Evidence::Logs);
        assert_eq!(strictness(&budget, Evidence::Logs), 4.0, "28 of 7: series leave it everything");
        spend(&mut budget, 28..31, Evidence::Series);
        assert_eq!(strictness(&budget, Evidence::Series), 1.0, "three of its half");
        assert_eq!(strictness(&budget, Evidence::Logs), 7.0, "28 of the 4 that are left");
        spend(&mut budget, 31..35, Evidence::Series);
        assert_eq!(strictness(&budget, Evidence::Series), 2.0, "seven of its half");
    }

    #[test]
    fn what_nobody_acted_on_counts_only_where_people_act() {
        let mut budget = Budget::default();
        for number in 0..4 {
            budget.note_opened(number, Evidence::Series, day(0));
            budget.judge(number, Worth::Unacted);
        }
        assert_eq!(budget.view(day(1), 1.0).spent, 0.0, "nobody looks here at all");
        budget.note_acted(3, day(1));
        assert_eq!(budget.view(day(1), 1.0).spent, 1.5);
        budget.judge(3, Worth::Unacted);
        assert_eq!(budget.view(day(1), 1.0).spent, 1.5, "it was acted on before it ended");
    }
}
