//! Problems: trouble that comes again and again, more often than chance gives (ITIL).

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::incident::ProblemRef;
use crate::time::{EventTime, Span};

/// Days in which occurrences are counted.
const WINDOW_DAYS: u64 = 30;
const WINDOW: Span = Span::from_hours(24 * WINDOW_DAYS as i64);
/// Fewest occurrences that are a problem.
const OCCURRENCES_MIN: usize = 3;
/// How unlikely so many occurrences have to be if each incident could have happened anywhere: one in so many things
/// that were met together would be called a problem by mistake.
const CHANCE_MAX: f64 = 0.001;
/// Occurrences remembered of one kind of trouble.
const KEPT_MAX: usize = 64;
/// Kinds of trouble remembered; then the one that was away longest goes.
const KINDS_MAX: usize = 1_000;

/// What an incident was one of.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Trouble {
    /// Where it began, or what was in trouble, and its class.
    pub(crate) kind: String,
    pub(crate) opened_at: EventTime,
    pub(crate) took: Span,
    /// The change that it followed; empty where there was none.
    pub(crate) change: String,
}

/// One occurrence.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Occurrence {
    at: EventTime,
    took: Span,
    change: String,
}

/// One kind of trouble.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
struct Kind {
    occurrences: VecDeque<Occurrence>,
    /// Somebody has said that it is solved: it is a problem again as soon as it comes back.
    closed: bool,
}

/// A problem as it stands.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct OpenProblem {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) occurrences: u64,
    pub(crate) first_at: EventTime,
    pub(crate) last_at: EventTime,
    pub(crate) minutes: u64,
    pub(crate) change: String,
    pub(crate) closed: bool,
}

/// The kinds of trouble of one tenant.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Problems {
    kinds: BTreeMap<String, Kind>,
}

impl Problems {
    /// An incident is over.
    pub(super) fn add(&mut self, trouble: Trouble) {
        if !self.kinds.contains_key(&trouble.kind) && self.kinds.len() >= KINDS_MAX {
            let idle = self.kinds.iter().min_by_key(|(name, kind)| (kind.occurrences.back().map(|o| o.at), *name));
            if let Some(idle) = idle.map(|(name, _)| name.clone()) {
                self.kinds.remove(&idle);
            }
        }
        let Trouble { kind, opened_at, took, change } = trouble;
        let kind = self.kinds.entry(kind).or_default();
        if kind.occurrences.len() == KEPT_MAX {
            kind.occurrences.pop_front();
        }
        kind.occurrences.push_back(Occurrence { at: opened_at, took, change });
    }

    /// The problem that trouble of this kind at `now` is one of, among `entities` that could have been in trouble.
    pub(super) fn of(&self, tenant: &str, kind: &str, now: EventTime, entities: usize) -> Option<ProblemRef> {
        let known = self.kinds.get(kind)?;
        let from = now.minus(WINDOW);
        let recent: Vec<&Occurrence> = known.occurrences.iter().filter(|o| o.at >= from && o.at < now).collect();
        let count = recent.len() + 1;
        let often = || {
            let all = self.kinds.values().flat_map(|kind| &kind.occurrences).filter(|o| o.at >= from).count();
            at_least(count, (all + 1) as f64 / entities.max(1) as f64) <= CHANCE_MAX
        };
        if recent.is_empty() || !(known.closed || count >= OCCURRENCES_MIN && often()) {
            return None;
        }
        Some(ProblemRef {
            id: problem_id(tenant, kind),
            occurrences: count as u64,
            window_days: WINDOW_DAYS,
            first_at: recent[0].at,
            minutes: minutes_of(&recent),
            change: change_before(&recent),
        })
    }

    /// The problems that stand at `now` by what is over, the costliest first: what came so often within the window that
    /// chance does not explain it among `entities`, and what somebody has said is solved and has come back or may.
    pub(crate) fn standing(&self, tenant: &str, now: EventTime, entities: usize) -> Vec<OpenProblem> {
        let from = now.minus(WINDOW);
        let within = |kind: &Kind| kind.occurrences.iter().filter(|o| o.at >= from).count();
        let all: usize = self.kinds.values().map(within).sum();
        let expected = all as f64 / entities.max(1) as f64;
        let stands = |(_, kind): &(&String, &Kind)| {
            let count = within(kind);
            count > 0 && (kind.closed || count >= OCCURRENCES_MIN && at_least(count, expected) <= CHANCE_MAX)
        };
        let view = |(name, kind): (&String, &Kind)| {
            let recent: Vec<&Occurrence> = kind.occurrences.iter().filter(|o| o.at >= from).collect();
            let (first, last) = recent.first().zip(recent.last())?;
            Some(OpenProblem {
                id: problem_id(tenant, name),
                kind: name.clone(),
                occurrences: recent.len() as u64,
                first_at: first.at,
                last_at: last.at,
                minutes: minutes_of(&recent),
                change: change_before(&recent),
                closed: kind.closed,
            })
        };
        let mut found: Vec<OpenProblem> = self.kinds.iter().filter(stands).filter_map(view).collect();
        found.sort_by(|a, b| b.minutes.cmp(&a.minutes).then_with(|| a.kind.cmp(&b.kind)));
        found
    }

    /// Somebody says that a problem is solved; false where there is none of that id.
    pub(super) fn close(&mut self, tenant: &str, id: &str) -> bool {
        let of_id = self.kinds.iter_mut().find(|(kind, _)| problem_id(tenant, kind) == id);
        of_id.map(|(_, kind)| kind.closed = true).is_some()
    }

    pub(crate) fn len(&self) -> usize {
        self.kinds.len()
    }
}

/// What occurrences took together.
fn minutes_of(recent: &[&Occurrence]) -> u64 {
    (recent.iter().map(|o| o.took.0.max(0)).sum::<i64>() / Span::from_mins(1).0) as u64
}

/// The last change that one of them followed, when most followed any; else empty.
fn change_before(recent: &[&Occurrence]) -> String {
    let most = recent.iter().filter(|o| !o.change.is_empty()).count() * 2 > recent.len();
    let last = recent.iter().rev().find(|o| !o.change.is_empty()).filter(|_| most);
    last.map(|o| o.change.clone()).unwrap_or_default()
}

/// `prb_` and 16 hexadecimal digits: the same kind of trouble of a tenant is the same problem.
fn problem_id(tenant: &str, kind: &str) -> String {
    format!("prb_{:016x}", xxh3_64(format!("{tenant}\0{kind}").as_bytes()))
}

/// The chance of `count` or more where `expected` are on average (Poisson).
fn at_least(count: usize, expected: f64) -> f64 {
    let mut term = (-expected).exp();
    let mut fewer = 0.0;
    for n in 0..count {
        fewer += term;
        term *= expected / (n + 1) as f64;
    }
    (1.0 - fewer).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::at;

    const DAY: i64 = 86_400;

    fn trouble(kind: &str, day: i64, change: &str) -> Trouble {
        Trouble { kind: kind.into(), opened_at: at(day * DAY), took: Span::from_mins(30), change: change.into() }
    }

    #[test]
    fn the_third_time_in_a_month_is_a_problem_with_its_cost() {
        let mut problems = Problems::default();
        problems.add(trouble("host:db disk", 1, ""));
        assert_eq!(problems.of("acme", "host:db disk", at(5 * DAY), 100), None, "twice");
        problems.add(trouble("host:db disk", 5, ""));
        let problem = problems.of("acme", "host:db disk", at(9 * DAY), 100).expect("three times");
        assert_eq!((problem.occurrences, problem.minutes, problem.first_at), (3, 60, at(DAY)));
        assert!(problem.id.len() == 20 && problem.change.is_empty());
        assert_eq!(problems.of("acme", "host:web cpu", at(9 * DAY), 100), None);
        assert_eq!(problems.of("acme", "host:db disk", at(33 * DAY), 100), None, "one is too old");
    }

    #[test]
    fn where_everything_fails_often_three_times_are_no_problem() {
        let mut problems = Problems::default();
        for n in 0..400 {
            problems.add(trouble(&format!("host:{} cpu", n % 100), n % 20, ""));
        }
        assert_eq!(problems.of("acme", "host:7 cpu", at(21 * DAY), 100), None, "five of four on average");
        assert!(problems.of("acme", "host:7 cpu", at(21 * DAY), 10_000).is_some(), "among many more");
    }

    #[test]
    fn the_change_before_most_of_them_is_named() {
        let mut problems = Problems::default();
        for (day, change) in [(1, "c1"), (2, ""), (3, "c3")] {
            problems.add(trouble("service:shop change", day, change));
        }
        let problem = problems.of("acme", "service:shop change", at(4 * DAY), 100).expect("four times");
        assert_eq!(problem.change, "c3");
    }

    #[test]
    fn a_problem_that_was_solved_is_one_again_when_it_comes_back() {
        let mut problems = Problems::default();
        problems.add(trouble("host:db disk", 1, ""));
        let id = problem_id("acme", "host:db disk");
        assert!(!problems.close("other", &id) && problems.close("acme", &id));
        assert_eq!(problems.of("acme", "host:db disk", at(9 * DAY), 100).map(|problem| problem.id), Some(id));
    }

    #[test]
    fn the_kind_that_was_away_longest_is_forgotten_and_the_chance_is_right() {
        let mut problems = Problems::default();
        (0..=KINDS_MAX as i64).for_each(|n| problems.add(trouble(&n.to_string(), n, "")));
        assert_eq!((problems.len(), problems.kinds.contains_key("0")), (KINDS_MAX, false));
        // Poisson with mean 1: 1 - (1 + 1 + 1/2) / e.
        assert!((at_least(3, 1.0) - 0.080_301_4).abs() < 1e-6);
    }
}
