//! What a site taught by its false positives: signs that open no incident by themselves any more.
//!
//! A *sign* is what an alert says whenever it says it: its name, its entity, and the metric or log template
//! that was seen. Marking an incident as false teaches the signs of all its alerts. What our own detectors saw
//! is learned for good, until somebody takes it back. A rule or another tool's alert was written by
//! a person: once called false it stays quiet while it goes on, and only when the same sign has been called false in
//! a second incident is it learned for good; a critical one never is. What is worse than what was taught is
//! not covered, and what is covered still supports and explains incidents that others open.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::config::LedgerConfig;
use crate::alert::Alert;
use crate::signal::{Severity, identity_hash};
use crate::symbols::Symbols;
use crate::time::EventTime;

/// Signs kept: years of false positives; the oldest are forgotten.
const LESSONS_MAX: usize = 10_000;

/// Signs that one incident teaches: a storm that was false is known by its first.
const TAUGHT_MAX: usize = 256;

/// What an alert says whenever it says it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub(crate) struct Sign(u64);

impl Sign {
    /// The sign of an alert. It does not depend on when its names were first seen.
    pub(crate) fn of(alert: &Alert, names: &Symbols, entities: &Symbols) -> Sign {
        Sign(identity_hash(&[names.text(alert.name), entities.text(alert.entity), alert.seen()], &[]))
    }
}

/// One sign that was called false.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Lesson {
    name: String,
    entity: String,
    seen: String,
    /// The worst that it covers.
    severity: Severity,
    /// The incident by which it was taught, and who said so.
    incident: String,
    who: String,
    at: EventTime,
    /// In how many incidents it was called false.
    times: u32,
    /// It is learned for good.
    lasting: bool,
    /// When it last kept an alert back, and how many it has.
    last: EventTime,
    held: u64,
}

/// What a site taught, for people.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct LessonView {
    /// The alert's name.
    pub alert: String,
    /// The entity it is about.
    pub entity: String,
    /// The metric or log template, where one was seen.
    pub seen: String,
    /// The worst severity that is kept back.
    pub severity: Severity,
    /// The incident that taught it: its id takes the lesson back.
    pub incident: String,
    /// Who called it false.
    pub who: String,
    /// When.
    pub at: EventTime,
    /// `false`: it holds only while the alert goes on.
    pub lasting: bool,
    /// Alerts kept back so far.
    pub held: u64,
}

/// The signs that a site called false.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Lessons {
    by_sign: BTreeMap<Sign, Lesson>,
    /// Lessons forgotten for lack of room.
    forgotten: u64,
}

impl Lessons {
    pub(crate) fn len(&self) -> usize {
        self.by_sign.len()
    }

    pub(crate) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Learns that `incident`, which was made of `alerts`, was none.
    pub(super) fn teach<'a>(
        &mut self,
        incident: &str,
        who: &str,
        at: EventTime,
        alerts: impl Iterator<Item = &'a Alert>,
        (names, entities): (&Symbols, &Symbols),
    ) {
        for alert in alerts.take(TAUGHT_MAX) {
            let lesson = self.by_sign.entry(Sign::of(alert, names, entities)).or_insert_with(|| Lesson {
                name: names.text(alert.name).to_owned(),
                entity: entities.text(alert.entity).to_owned(),
                seen: alert.seen().to_owned(),
                severity: alert.severity,
                incident: String::new(),
                who: String::new(),
                at,
                times: 0,
                lasting: false,
                last: at,
                held: 0,
            });
            if lesson.incident != incident {
                lesson.times += 1;
            }
            incident.clone_into(&mut lesson.incident);
            who.clone_into(&mut lesson.who);
            (lesson.at, lesson.last) = (at, lesson.last.max(at));
            lesson.severity = lesson.severity.max(alert.severity);
            let twice = lesson.times > 1 && lesson.severity < Severity::Critical;
            lesson.lasting = twice || !alert.is_written();
        }
        while self.by_sign.len() > LESSONS_MAX {
            let oldest = self.by_sign.iter().min_by_key(|(sign, lesson)| (lesson.at, **sign)).map(|(sign, _)| *sign);
            let Some(oldest) = oldest else { break };
            self.by_sign.remove(&oldest);
            self.forgotten += 1;
        }
    }

    /// Forgets what `incident` taught; answers how many signs that were.
    pub(super) fn retract(&mut self, incident: &str) -> usize {
        let before = self.by_sign.len();
        self.by_sign.retain(|_, lesson| lesson.incident != incident);
        before - self.by_sign.len()
    }

    /// The sign of an alert that says what was called false, and no worse.
    pub(crate) fn covering(
        &self,
        alert: &Alert,
        names: &Symbols,
        entities: &Symbols,
        config: &LedgerConfig,
    ) -> Option<Sign> {
        if self.by_sign.is_empty() {
            return None;
        }
        let sign = Sign::of(alert, names, entities);
        let lesson = self.by_sign.get(&sign)?;
        let well_since = alert.resolved_at.unwrap_or(lesson.last).max(lesson.at);
        let goes_on = alert.starts_at.since(well_since) <= config.reopen_within;
        (alert.severity <= lesson.severity && (lesson.lasting || goes_on)).then_some(sign)
    }

    /// A covered alert was kept back at `now`.
    pub(super) fn note_held(&mut self, sign: Sign, now: EventTime) {
        if let Some(lesson) = self.by_sign.get_mut(&sign) {
            lesson.last = lesson.last.max(now);
            lesson.held += 1;
        }
    }

    /// All of them, the latest first.
    pub(crate) fn views(&self) -> Vec<LessonView> {
        let view = |lesson: &Lesson| LessonView {
            alert: lesson.name.clone(),
            entity: lesson.entity.clone(),
            seen: lesson.seen.clone(),
            severity: lesson.severity,
            incident: lesson.incident.clone(),
            who: lesson.who.clone(),
            at: lesson.at,
            lasting: lesson.lasting,
            held: lesson.held,
        };
        let mut all: Vec<LessonView> = self.by_sign.values().map(view).collect();
        all.sort_by(|a, b| {
            b.at.cmp(&a.at).then_with(|| (&a.alert, &a.entity, &a.seen).cmp(&(&b.alert, &b.entity, &b.seen)))
        });
        all
    }
}
