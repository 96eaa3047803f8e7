//! Whether a ticket will miss its agreement, and how long it will take: one linear model over hashed
//! fields whose outputs are the chance of a breach and the chances to take longer than each threshold.

use serde::{Deserialize, Serialize};

use super::curve::{Curve, HOURS, Levels};
use super::features::{FOR_TIME, Row, for_time};
use super::linear::{Linear, Penalty};
use super::platt::{Platt, chance_of};
use super::replay::{AGAIN, Replay};
use super::ticket::{Outcome, Ticket};

/// The breach, then a chance for each of [`HOURS`].
const OUTPUTS: usize = 1 + HOURS.len();
/// A share of the curve beyond which nothing is left to tell apart.
const ALMOST_ALL: f64 = 0.999;
/// A prior on each weight: that of a regression with C = 1/3.
const PENALTY: Penalty = Penalty { always: 0.0, prior: 3.0 };

/// What is expected of a ticket in time.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Timing {
    /// The chance to miss the agreement, 0 to 1.
    pub breach: f64,
    /// Hours from opening by which half of such tickets are resolved.
    pub p50_hours: f64,
    /// Hours from opening by which nine in ten are.
    pub p90_hours: f64,
}

/// What is expected in time of a ticket that is still open.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct OpenTiming {
    /// The chance, 0 to 1, that it takes longer than the limit that was asked for.
    pub breach: Option<f64>,
    /// Further hours within which half of those are resolved that lasted as long.
    pub p50_hours: f64,
    /// Further hours within which nine in ten of them are.
    pub p90_hours: f64,
}

/// What closed tickets taught: of hours longer than a threshold 1, of shorter ones 0; NaN where not known.
type Lesson = [f32; OUTPUTS];

/// How long tickets take.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Timer {
    linear: Linear,
    replay: Replay<Lesson>,
    platt: Platt,
    levels: Levels,
}

impl Default for Timer {
    fn default() -> Self {
        Self {
            linear: Linear::new(OUTPUTS, PENALTY),
            replay: Replay::new(),
            platt: Platt::new(),
            levels: Levels::new(),
        }
    }
}

impl Timer {
    /// What it holds at most.
    pub const BYTES_MAX: usize =
        Linear::bytes_max(OUTPUTS) + Replay::<Lesson>::bytes_max(FOR_TIME) + Platt::BYTES_MAX + Levels::BYTES_MAX;

    /// What is expected of `ticket`. Before anything was learned every chance is a half.
    #[must_use]
    pub fn predict(&self, ticket: &Ticket<'_>) -> Timing {
        let (breach, curve) = self.thinks(&for_time(ticket));
        let (half, nine_tenths) = self.levels.read_at();
        let p50_hours = curve.quantile(half);
        let p90_hours = curve.quantile(nine_tenths).max(p50_hours);
        Timing { breach: self.platt.corrected(breach), p50_hours, p90_hours }
    }

    /// What is expected of `ticket` when it is still open after `elapsed_hours`: the curve beyond there is all that is
    /// left of it. `limit_hours` counts from opening, too.
    #[must_use]
    pub fn predict_open(&self, ticket: &Ticket<'_>, elapsed_hours: f64, limit_hours: Option<f64>) -> OpenTiming {
        let (_, curve) = self.thinks(&for_time(ticket));
        let elapsed_hours = elapsed_hours.max(0.0);
        let done = curve.share(elapsed_hours).min(ALMOST_ALL);
        let (half, nine_tenths) = self.levels.read_at();
        let left = |level: f64| (curve.quantile(done + level * (1.0 - done)) - elapsed_hours).max(0.0);
        let p50_hours = left(half);
        let breach = limit_hours.map(|limit| {
            let beyond = 1.0 - curve.share(limit.max(elapsed_hours));
            (beyond / (1.0 - done)).clamp(0.0, 1.0)
        });
        OpenTiming { breach, p50_hours, p90_hours: left(nine_tenths).max(p50_hours) }
    }

    /// What it holds, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.linear.bytes() + self.replay.bytes(FOR_TIME) + Platt::BYTES_MAX + Levels::BYTES_MAX
    }

    /// Learns how long `ticket` took.
    pub fn learn(&mut self, ticket: &Ticket<'_>, outcome: &Outcome<'_>) {
        let hours = outcome.hours.filter(|hours| hours.is_finite());
        if hours.is_none() && outcome.breached.is_none() {
            return;
        }
        let rows = for_time(ticket);
        let (breach, curve) = self.thinks(&rows);
        if let Some(breached) = outcome.breached {
            self.platt.learn(breach, breached);
        }
        if let Some(hours) = hours {
            self.levels.learn(curve.share(hours));
        }
        let lesson = std::array::from_fn(|at| match at.checked_sub(1) {
            None => outcome.breached.map_or(f32::NAN, |breached| f32::from(u8::from(breached))),
            Some(at) => hours.map_or(f32::NAN, |hours| f32::from(u8::from(hours > HOURS[at]))),
        });
        self.linear.meet(&rows);
        self.replay.keep(&rows, lesson);
        step(&mut self.linear, &rows, &lesson);
        for _ in 0..AGAIN {
            if let Some((rows, lesson)) = self.replay.draw() {
                step(&mut self.linear, rows, lesson);
            }
        }
    }

    /// What the model thinks, not yet held against what came back.
    fn thinks(&self, rows: &[Row]) -> (f64, Curve) {
        let mut scores = [0.0; OUTPUTS];
        self.linear.scores(rows, &mut scores);
        let chances = scores.map(|score| chance_of(f64::from(score)));
        (chances[0], Curve::of(&std::array::from_fn(|at| chances[at + 1])))
    }
}

fn step(linear: &mut Linear, rows: &[Row], lesson: &Lesson) {
    let mut errors = [0.0; OUTPUTS];
    linear.scores(rows, &mut errors);
    for (error, truth) in errors.iter_mut().zip(lesson) {
        *error = 1.0 / (1.0 + (-*error).exp()) - truth;
    }
    linear.step(rows, &errors);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Urgent tickets take an hour or two, others a week or two, and miss their agreement.
    fn taught() -> Timer {
        let mut timer = Timer::default();
        for n in 0..600_u32 {
            let urgent = n % 2 == 0;
            let hours = f64::from(1 + n % 10) * if urgent { 0.2 } else { 34.0 };
            let priority = if urgent { "1" } else { "3" };
            let outcome = Outcome { breached: Some(!urgent), hours: Some(hours), group: None };
            timer.learn(&Ticket { priority, ..Ticket::default() }, &outcome);
        }
        timer
    }

    #[test]
    fn tickets_that_took_long_are_expected_to() {
        let timer = taught();
        let quick = timer.predict(&Ticket { priority: "1", ..Ticket::default() });
        let slow = timer.predict(&Ticket { priority: "3", ..Ticket::default() });
        assert!(quick.breach < 0.1 && slow.breach > 0.9, "{quick:?} {slow:?}");
        assert!((0.5..1.8).contains(&quick.p50_hours) && (1.4..4.0).contains(&quick.p90_hours), "{quick:?}");
        assert!((110.0..240.0).contains(&slow.p50_hours) && (270.0..420.0).contains(&slow.p90_hours), "{slow:?}");
    }

    #[test]
    fn the_longer_it_is_open_the_longer_it_takes_and_the_likelier_it_is_late() {
        let (timer, slow) = (taught(), Ticket { priority: "3", ..Ticket::default() });
        let after = |hours| timer.predict_open(&slow, hours, Some(300.0));
        let opening = timer.predict(&slow);
        let at_once = after(0.0);
        assert!((at_once.p50_hours - opening.p50_hours).abs() < 1e-9 && at_once.p90_hours > at_once.p50_hours);
        let breach = |hours| after(hours).breach.expect("a limit was asked for");
        assert!(breach(0.0) < breach(200.0) && breach(200.0) < breach(290.0), "{} {}", breach(0.0), breach(200.0));
        assert!(breach(301.0) > 0.999 && timer.predict_open(&slow, 1.0, None).breach.is_none());
        let late = after(5_000.0);
        assert!(late.p50_hours >= 0.0 && late.p90_hours.is_finite(), "{late:?}");
    }

    #[test]
    fn before_anything_is_learned_a_breach_is_as_likely_as_not() {
        let mut timer = Timer::default();
        timer.learn(&Ticket::default(), &Outcome::default());
        let said = timer.predict(&Ticket::default());
        assert!((said.breach - 0.5).abs() < 1e-9 && said.p50_hours <= said.p90_hours, "{said:?}");
        assert_eq!(timer, Timer::default(), "a ticket of which nothing is known teaches nothing");
    }

    #[test]
    fn hours_teach_without_a_breach_and_a_breach_without_hours() {
        let mut timer = Timer::default();
        for _ in 0..300 {
            timer.learn(&Ticket::default(), &Outcome { hours: Some(2.0), ..Outcome::default() });
        }
        let said = timer.predict(&Ticket::default());
        assert!((said.breach - 0.5).abs() < 1e-9 && said.p90_hours < 5.0, "{said:?}");
        for _ in 0..300 {
            timer.learn(&Ticket::default(), &Outcome { breached: Some(true), ..Outcome::default() });
        }
        assert!(timer.predict(&Ticket::default()).breach > 0.9);
    }

    #[test]
    fn a_saved_timer_goes_on_exactly_as_before() {
        let mut one = taught();
        let mut two: Timer = postcard::from_bytes(&postcard::to_stdvec(&one).expect("saves")).expect("restores");
        for timer in [&mut one, &mut two] {
            timer.learn(&Ticket::default(), &Outcome { hours: Some(9.0), breached: Some(false), group: None });
        }
        let ask = Ticket { priority: "3", ..Ticket::default() };
        assert_eq!(postcard::to_stdvec(&one).expect("saves"), postcard::to_stdvec(&two).expect("saves"));
        assert_eq!(one.predict(&ask), two.predict(&ask));
    }
}
