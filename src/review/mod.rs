//! What a period was like, in figures: how fast trouble was seen, taken and mended, what was promised and kept, what made
//! noise, and how right the engine was.
//!
//! | figure | from | to |
//! |---|---|---|
//! | time to detect | the first symptom | the first word on it |
//! | time to acknowledge | told | somebody took it |
//! | time to resolve | told | over |
//!
//! Counted are incidents that were told within the period. One that was merged is a part of another and not counted; one
//! that was called false is counted as that and tells no times. Times are counted where both ends are known:
//! an incident that is still open has no time to resolve. Figures are computed here, once, for page, file and command.

mod case;
mod csv;
mod spread;

use std::collections::BTreeMap;

use bellwether_engine::incident::DeadlineState;
use bellwether_engine::time::{EventTime, Span};

pub use case::{Case, NamedCause};
pub use csv::csv;
pub use spread::{BINS, Spread};

/// Rules and services that are listed.
const LISTED_MAX: usize = 20;
/// Kinds of which is counted; what is beyond is one.
const KINDS_MAX: usize = 500;
/// Confidence is looked at in so many classes.
pub const CLASSES: usize = 5;

/// What is asked for; what is left out is not asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Asked {
    /// Told from then on,
    pub from: EventTime,
    /// and before then.
    pub until: EventTime,
    /// Whose.
    pub tenant: Option<String>,
    /// Owned by this team.
    pub team: Option<String>,
    /// That hurt this service.
    pub service: Option<String>,
}

impl Asked {
    fn wants(&self, case: &Case) -> bool {
        case.opened >= self.from
            && case.opened < self.until
            && self.tenant.as_ref().is_none_or(|tenant| *tenant == *case.tenant)
            && self.team.as_ref().is_none_or(|team| case.teams.iter().any(|own| own == team))
            && self.service.as_ref().is_none_or(|service| case.is_of(service))
    }
}

/// The time from the beginning of one day to the end of another, in UTC.
///
/// # Errors
/// In words, what does not read.
pub fn asked_days(from: &str, to: &str) -> Result<(EventTime, EventTime), String> {
    let day = |text: &str| {
        let day: Option<jiff::civil::Date> = text.trim().parse().ok();
        let begin = day.and_then(|day| day.to_zoned(jiff::tz::TimeZone::UTC).ok());
        let nanos = begin.and_then(|begin| i64::try_from(begin.timestamp().as_nanosecond()).ok());
        nanos.map(EventTime).ok_or_else(|| format!("`{text}` is no day: write it as `2026-11-30`"))
    };
    let (from, until) = (day(from)?, day(to)?.plus(Span(DAY)));
    if from >= until {
        return Err(format!("the first day, {from}, is after the last"));
    }
    Ok((from, until))
}

/// What became of a promise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Promise {
    /// It was kept.
    pub kept: u64,
    /// There is time.
    pub running: u64,
    /// Most of the time is gone.
    pub at_risk: u64,
    /// It was not kept.
    pub broken: u64,
}

impl Promise {
    fn add(&mut self, state: DeadlineState) {
        match state {
            DeadlineState::Met => self.kept += 1,
            DeadlineState::OnTrack | DeadlineState::Paused => self.running += 1,
            DeadlineState::AtRisk => self.at_risk += 1,
            DeadlineState::Breached => self.broken += 1,
        }
    }

    /// Of those that are decided, the share that was kept.
    pub fn share_kept(&self) -> Option<f64> {
        let decided = self.kept + self.broken;
        (decided > 0).then(|| self.kept as f64 / decided as f64)
    }
}

/// One rule and what it did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// Incidents that it was in.
    pub incidents: u64,
    /// Its alerts in them.
    pub alerts: u64,
    /// Those of them that ended without anybody having done anything.
    pub untouched: u64,
    /// Those of them that were called false.
    pub called_false: u64,
}

/// One class of confidence, and how often the first cause was right.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Calibration {
    /// Incidents of which a person named the cause.
    pub judged: u64,
    /// Those of which it was the first that was told.
    pub right: u64,
    /// The sum of their confidences.
    sure: f64,
}

impl Calibration {
    /// How sure the engine was on average.
    pub fn mean(&self) -> f64 {
        if self.judged == 0 { 0.0 } else { self.sure / self.judged as f64 }
    }
}

/// A period in figures.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Review {
    /// Incidents that were told.
    pub incidents: u64,
    /// Those that are not over.
    pub open: u64,
    /// Those that were called false.
    pub called_false: u64,
    /// Those that ended without anybody having done anything.
    pub untouched: u64,
    /// How often one went on that was over.
    pub reopenings: u64,
    /// Incidents that did.
    pub reopened: u64,
    /// What was heard of their alerts.
    pub notifications: u64,
    /// Time to detect, to acknowledge and to resolve.
    pub detect: Spread,
    /// Told to taken.
    pub acknowledge: Spread,
    /// Told to over.
    pub resolve: Spread,
    /// By priority, `P1` to `P5`.
    pub priorities: BTreeMap<String, u64>,
    /// By class of cause.
    pub classes: BTreeMap<String, u64>,
    /// By owner.
    pub teams: BTreeMap<String, u64>,
    /// Those whose first cause was a change.
    pub by_change: u64,
    /// The promise to answer,
    pub respond: Promise,
    /// and to mend.
    pub mend: Promise,
    /// By rule, those in most incidents.
    pub rules: Vec<(String, Rule)>,
    /// Told that something runs out.
    pub forecasts: u64,
    /// Those of them that people called false.
    pub forecasts_false: u64,
    /// From hardly to very sure.
    pub calibration: [Calibration; CLASSES],
    /// By day: incidents told.
    pub days: BTreeMap<i64, u64>,
}

impl Review {
    /// How much less there was to read than was heard, 0–1.
    pub fn noise_reduction(&self) -> Option<f64> {
        (self.notifications > 0).then(|| 1.0 - (self.incidents as f64 / self.notifications as f64).min(1.0))
    }
}

/// A day in nanoseconds.
const DAY: i64 = Span::from_hours(24).0;

/// What came to pass in the period that is asked for.
pub fn review<'c>(cases: impl IntoIterator<Item = &'c Case>, asked: &Asked) -> Review {
    let mut review = Review::default();
    let mut rules: BTreeMap<&str, Rule> = BTreeMap::new();
    let mut times: [Vec<Span>; 3] = Default::default();
    for case in cases.into_iter().filter(|case| !case.merged && asked.wants(case)) {
        review.incidents += 1;
        review.notifications += case.notifications;
        review.open += u64::from(case.status_is_live());
        review.called_false += u64::from(case.called_false);
        review.untouched += u64::from(case.is_untouched());
        review.reopenings += case.reopenings;
        review.reopened += u64::from(case.reopenings > 0);
        review.by_change += u64::from(case.by_change);
        review.forecasts += u64::from(case.foretold);
        review.forecasts_false += u64::from(case.foretold && case.called_false);
        *review.days.entry(case.opened.0.div_euclid(DAY)).or_default() += 1;
        count(&mut review.priorities, case.priority.name());
        count(&mut review.classes, if case.class.is_empty() { "unknown" } else { &case.class });
        count(&mut review.teams, case.teams.first().map_or("nobody named", String::as_str));
        case.respond.into_iter().for_each(|state| review.respond.add(state));
        case.resolve.into_iter().for_each(|state| review.mend.add(state));
        for (rule, alerts) in &case.rules {
            if !rules.contains_key(rule.as_str()) && rules.len() >= KINDS_MAX * LISTED_MAX {
                continue;
            }
            let one = rules.entry(rule).or_default();
            one.incidents += 1;
            one.alerts += alerts;
            one.untouched += u64::from(case.is_untouched());
            one.called_false += u64::from(case.called_false);
        }
        if case.called_false {
            continue;
        }
        let spans = [
            case.began.zip(case.detected).map(|(began, seen)| seen.since(began)),
            case.acknowledged.map(|at| at.since(case.opened)),
            case.resolved.map(|at| at.since(case.opened)),
        ];
        for (times, span) in times.iter_mut().zip(spans) {
            times.extend(span.filter(|span| *span >= Span::ZERO));
        }
        if let (Some(sure), Some(named)) = (case.confidence, &case.named) {
            let class = ((sure * CLASSES as f64) as usize).min(CLASSES - 1);
            let class = &mut review.calibration[class];
            class.judged += 1;
            class.right += u64::from(*named == NamedCause::First);
            class.sure += sure;
        }
    }
    let [detect, acknowledge, resolve] = times.map(Spread::of);
    let mut rules: Vec<(String, Rule)> = rules.into_iter().map(|(name, rule)| (name.to_owned(), rule)).collect();
    rules.sort_by(|(a, one), (b, other)| {
        (other.incidents, other.alerts).cmp(&(one.incidents, one.alerts)).then_with(|| a.cmp(b))
    });
    rules.truncate(LISTED_MAX);
    Review { detect, acknowledge, resolve, rules, ..review }
}

/// Counts one of a kind; when there are too many kinds, what is new is one of the others.
fn count(kinds: &mut BTreeMap<String, u64>, kind: &str) {
    let kind = if kinds.contains_key(kind) || kinds.len() < KINDS_MAX { kind } else { "others" };
    *kinds.entry(kind.to_owned()).or_default() += 1;
}

#[cfg(test)]
mod tests;
