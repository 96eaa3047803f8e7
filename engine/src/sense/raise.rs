//! How the sensing stage words its alerts.

use super::meta::SeriesMeta;
use crate::alert::{LabelSet, OWN_SOURCE, Observation, Sensed};
use crate::signal::{AlertStatus, Severity, alert_fingerprint, cut_to};
use crate::time::{EventTime, Span};

/// How much of a log line an alert keeps.
const MESSAGE_BYTES_MAX: usize = 512;

/// One alert to raise or to end.
pub(super) struct Raise<'a> {
    pub(super) name: &'a str,
    pub(super) entity: &'a str,
    pub(super) severity: Severity,
    pub(super) status: AlertStatus,
    pub(super) starts_at: EventTime,
    pub(super) ends_at: Option<EventTime>,
    pub(super) labels: &'a LabelSet,
    /// The label that tells several alerts of one name and entity apart.
    pub(super) about: (&'a str, &'a str),
    pub(super) summary: String,
    /// The line as it was written, where a log line raised it; else empty.
    pub(super) message: &'a str,
    pub(super) observation: Option<Observation>,
}

impl<'a> Raise<'a> {
    /// An alert about a series, without words and observation.
    pub(super) fn of_series(
        (name, severity): (&'a str, Severity),
        meta: &'a SeriesMeta,
        status: AlertStatus,
        starts_at: EventTime,
    ) -> Raise<'a> {
        Raise {
            name,
            entity: &meta.entity,
            severity,
            status,
            starts_at,
            ends_at: None,
            labels: &meta.labels,
            about: ("metric", &meta.name),
            summary: String::new(),
            message: "",
            observation: None,
        }
    }

    /// The alert at event time `at`.
    pub(super) fn at(self, at: EventTime) -> (EventTime, Sensed) {
        let mut labels: Vec<(Box<str>, Box<str>)> = self.labels.to_vec();
        labels.retain(|(name, _)| **name != *self.about.0);
        labels.push((self.about.0.into(), self.about.1.into()));
        labels.sort();
        let pairs: Vec<(&str, &str)> = labels.iter().map(|(n, v)| (&**n, &**v)).collect();
        let fingerprint = alert_fingerprint(OWN_SOURCE, self.name, self.entity, &pairs);
        let sensed = Sensed {
            name: self.name.into(),
            entity: self.entity.into(),
            severity: self.severity,
            status: self.status,
            fingerprint,
            starts_at: self.starts_at,
            ends_at: self.ends_at,
            late: Span::ZERO,
            labels: labels.into(),
            summary: self.summary.into(),
            message: cut_to(self.message, MESSAGE_BYTES_MAX).into(),
            observation: self.observation,
        };
        (at, sensed)
    }
}

/// What came to pass `at` acts at `acts` where that is later.
pub(super) fn acting(acts: EventTime, (at, mut sensed): (EventTime, Sensed)) -> (EventTime, Sensed) {
    if acts <= at {
        return (at, sensed);
    }
    sensed.late = acts.since(at);
    (acts, sensed)
}

/// A number as people read it: four significant digits.
pub(crate) fn short(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let size = value.abs();
    if !(1e-4..1e15).contains(&size) {
        return format!("{value:.3e}");
    }
    let digits = (3 - size.log10().floor() as i32).clamp(0, 7) as usize;
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (0.05, "0.05"),
            (12.3456, "12.35"),
            (1234.5, "1234"),
            (99.0, "99"),
            (1e20, "1.000e20"),
            (-0.5, "-0.5"),
        ] {
            assert_eq!(short(value), text);
        }
    }
}
