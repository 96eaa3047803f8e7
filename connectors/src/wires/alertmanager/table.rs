//! The alerts a tenant's senders have told us, for those who ask the API for them.
//!
//! The engine has its own memory; this one answers `GET /api/v2/alerts`, and lends a recovery
//! the annotations its sender left out. It is bounded in number and in bytes: when full, alerts that are over
//! go first, then those not heard of for longest. Nothing is lost by that but the listing. Texts are as long as
//! the engine keeps them at most.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use bellwether_engine::signal::URL_BYTES_MAX;
use bellwether_engine::time::{EventTime, Span};

use super::repeats::Pairs;
use crate::resolve::series_table::AsIs;

/// Most alerts listed per tenant.
pub(super) const ALERTS_MAX: usize = 50_000;
/// Bytes that those of a tenant take at most: as many of 1 KiB each.
const BYTES_MAX: usize = 50 << 20;
/// What an alert takes beside its texts.
const ALERT_BYTES: usize = 160;

/// An alert that is over is listed for as long as Alertmanager lists it.
const RESOLVED_KEPT: Span = Span::from_mins(15);

/// One alert as it was last told.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Listed {
    labels: Arc<Pairs>,
    annotations: Arc<Pairs>,
    pub(super) starts_at: EventTime,
    pub(super) ends_at: EventTime,
    pub(super) updated_at: EventTime,
    pub(super) url: Box<str>,
}

/// The table of one tenant, by fingerprint. Its texts are those of [`super::repeats`], not copies.
#[derive(Default)]
pub(super) struct Table {
    alerts: HashMap<u64, Listed, BuildHasherDefault<AsIs>>,
    /// About how many bytes they take.
    bytes: usize,
}

/// What is told of one alert.
pub(super) struct PostedAlert<'a> {
    pub(super) fingerprint: u64,
    pub(super) labels: &'a Arc<Pairs>,
    pub(super) annotations: &'a Arc<Pairs>,
    pub(super) starts_at: EventTime,
    pub(super) ends_at: EventTime,
    pub(super) url: &'a str,
}

impl Table {
    /// Notes an alert. Annotations are kept when this telling has none.
    pub(super) fn note(&mut self, told: &PostedAlert<'_>, now: EventTime) {
        if let Some(known) = self.alerts.get_mut(&told.fingerprint) {
            known.starts_at = known.starts_at.min(told.starts_at);
            if now >= known.updated_at && known.ends_at < now {
                known.starts_at = told.starts_at;
            }
            known.ends_at = told.ends_at;
            known.updated_at = now;
            if !told.annotations.is_empty() && !Arc::ptr_eq(&known.annotations, told.annotations) {
                let annotations = told.annotations.within_limits();
                self.bytes = self.bytes + annotations.bytes() - known.annotations.bytes();
                known.annotations = annotations;
            }
            return;
        }
        let url = if told.url.len() <= URL_BYTES_MAX { told.url } else { "" };
        let listed = Listed {
            labels: told.labels.within_limits(),
            annotations: told.annotations.within_limits(),
            starts_at: told.starts_at,
            ends_at: told.ends_at,
            updated_at: now,
            url: url.into(),
        };
        let bytes = listed.bytes();
        while !self.alerts.is_empty() && (self.alerts.len() >= ALERTS_MAX || self.bytes + bytes > BYTES_MAX) {
            self.make_room(now);
        }
        self.bytes += bytes;
        self.alerts.insert(told.fingerprint, listed);
    }

    /// The alert with this fingerprint.
    pub(super) fn get(&self, fingerprint: u64) -> Option<&Listed> {
        self.alerts.get(&fingerprint)
    }

    /// Alerts that are firing, or over since a short time, by fingerprint.
    pub(super) fn iter(&self, now: EventTime) -> impl Iterator<Item = (u64, &Listed)> {
        let listed = self.alerts.iter().filter(|(_, alert)| now.since(alert.ends_at) <= RESOLVED_KEPT);
        let mut listed: Vec<(u64, &Listed)> = listed.map(|(fingerprint, alert)| (*fingerprint, alert)).collect();
        listed.sort_unstable_by_key(|(fingerprint, _)| *fingerprint);
        listed.into_iter()
    }

    /// Lets go of those that are over; where none is, of the tenth that was not heard of for longest: at once, so
    /// that a flood does not search the table for each alert.
    fn make_room(&mut self, now: EventTime) {
        let before = self.alerts.len();
        self.alerts.retain(|_, alert| alert.ends_at > now);
        if self.alerts.len() == before {
            let mut surplus = before.div_ceil(10);
            let mut heard: Vec<EventTime> = self.alerts.values().map(|alert| alert.updated_at).collect();
            let (_, limit, _) = heard.select_nth_unstable(surplus - 1);
            let limit = *limit;
            self.alerts.retain(|_, alert| {
                let goes = surplus > 0 && alert.updated_at <= limit;
                surplus -= usize::from(goes);
                !goes
            });
        }
        self.bytes = self.alerts.values().map(Listed::bytes).sum();
    }
}

impl Listed {
    fn bytes(&self) -> usize {
        ALERT_BYTES + self.labels.bytes() + self.annotations.bytes() + self.url.len()
    }

    pub(super) fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        self.labels.iter()
    }

    pub(super) fn annotations(&self) -> impl Iterator<Item = (&str, &str)> {
        self.annotations.iter()
    }

    pub(super) fn label(&self, name: &str) -> Option<&str> {
        self.labels().find(|(key, _)| *key == name).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(table: &mut Table, fingerprint: u64, annotations: &[(&str, &str)], ends_at: i64, now: i64) {
        let told = PostedAlert {
            fingerprint,
            labels: &Arc::new(Pairs::sorted([("alertname", "Disk"), ("empty", "")])),
            annotations: &Arc::new(Pairs::sorted(annotations.iter().copied())),
            starts_at: EventTime::from_secs(5),
            ends_at: EventTime::from_secs(ends_at),
            url: "",
        };
        table.note(&told, EventTime::from_secs(now));
    }

    #[test]
    fn a_recovery_without_annotations_keeps_those_told_before() {
        let mut table = Table::default();
        note(&mut table, 1, &[("summary", "disk is full")], 100, 10);
        note(&mut table, 1, &[], 20, 20);
        let alert = table.get(1).expect("noted");
        assert_eq!(alert.annotations().collect::<Vec<_>>(), vec![("summary", "disk is full")]);
        assert_eq!(alert.labels().collect::<Vec<_>>(), vec![("alertname", "Disk"), ("empty", "")]);
        assert_eq!(table.iter(EventTime::from_secs(30)).count(), 1);
        assert_eq!(table.iter(EventTime::from_secs(20 + 901)).count(), 0);
    }

    #[test]
    fn texts_are_cut_and_the_table_is_bounded_in_bytes() {
        let mut table = Table::default();
        let long = "x".repeat(1_000_000);
        note(&mut table, 1, &[("summary", &long)], 1_000_000, 0);
        let kept = table.get(1).and_then(|alert| alert.annotations().next().map(|(_, text)| text.len()));
        assert_eq!(kept, Some(4_096));
        for fingerprint in 2..40_000 {
            note(
                &mut table,
                fingerprint,
                &[("summary", &long[..fingerprint as usize % 4_096])],
                1_000_000,
                fingerprint as i64,
            );
            assert!(table.bytes <= BYTES_MAX);
        }
        assert_eq!(table.bytes, table.alerts.values().map(Listed::bytes).sum::<usize>());
        assert!(table.alerts.len() > 20_000 && table.get(1).is_none() && table.get(39_999).is_some());
    }

    #[test]
    fn a_full_table_drops_what_is_over_and_then_the_oldest() {
        let mut table = Table::default();
        for at in 0..ALERTS_MAX as u64 {
            let ends = if at < 10 { 1 } else { 1_000 };
            note(&mut table, at, &[], ends, at as i64 / 1_000);
        }
        note(&mut table, u64::MAX, &[], 1_000, 60);
        assert_eq!(table.alerts.len(), ALERTS_MAX - 9);
        assert!(table.get(3).is_none() && table.get(11).is_some());
        for at in 0..20u64 {
            note(&mut table, 1 << 40 | at, &[], 1_000, 61);
        }
        assert!(table.alerts.len() <= ALERTS_MAX && table.get(10).is_none());
    }
}
