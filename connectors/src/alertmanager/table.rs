//! The alerts a tenant's senders have told us, for those who ask the API for them.
//!
//! The engine has its own memory; this one answers `GET /api/v2/alerts`, and lends a recovery
//! the annotations its sender left out. It is bounded: when full, alerts that are over go
//! first, then those not heard of for longest. Nothing is lost by that but the listing.

use std::collections::BTreeMap;

use bellwether_engine::time::{EventTime, Span};

/// Most alerts listed per tenant; with 1 KiB each that is 50 MB.
pub(super) const ALERTS_MAX: usize = 50_000;

/// An alert that is over is listed for as long as Alertmanager lists it.
const RESOLVED_KEPT: Span = Span::from_mins(15);

/// Separates texts in a packed list; never part of UTF-8 text that JSON can carry unescaped,
/// and replaced on the way in.
const SEPARATOR: char = '\u{1f}';

/// One alert as it was last told.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Listed {
    labels: Box<str>,
    annotations: Box<str>,
    pub(super) starts_at: EventTime,
    pub(super) ends_at: EventTime,
    pub(super) updated_at: EventTime,
    pub(super) url: Box<str>,
}

/// The table of one tenant, by fingerprint.
#[derive(Default)]
pub(super) struct Table {
    alerts: BTreeMap<u64, Listed>,
}

/// What is told of one alert.
pub(super) struct Told<'a> {
    pub(super) fingerprint: u64,
    pub(super) labels: &'a [(&'a str, &'a str)],
    pub(super) annotations: &'a [(&'a str, &'a str)],
    pub(super) starts_at: EventTime,
    pub(super) ends_at: EventTime,
    pub(super) url: &'a str,
}

impl Table {
    /// Notes an alert. Annotations are kept when this telling has none.
    pub(super) fn note(&mut self, told: &Told<'_>, now: EventTime) {
        if let Some(known) = self.alerts.get_mut(&told.fingerprint) {
            known.starts_at = known.starts_at.min(told.starts_at);
            if now >= known.updated_at && known.ends_at < now {
                known.starts_at = told.starts_at;
            }
            known.ends_at = told.ends_at;
            known.updated_at = now;
            if !told.annotations.is_empty() {
                repack(&mut known.annotations, told.annotations);
            }
            return;
        }
        if self.alerts.len() >= ALERTS_MAX {
            self.make_room(now);
        }
        self.alerts.insert(
            told.fingerprint,
            Listed {
                labels: packed(told.labels),
                annotations: packed(told.annotations),
                starts_at: told.starts_at,
                ends_at: told.ends_at,
                updated_at: now,
                url: told.url.into(),
            },
        );
    }

    /// The alert with this fingerprint.
    pub(super) fn get(&self, fingerprint: u64) -> Option<&Listed> {
        self.alerts.get(&fingerprint)
    }

    /// Alerts that are firing, or over since a short time, by fingerprint.
    pub(super) fn iter(&self, now: EventTime) -> impl Iterator<Item = (u64, &Listed)> {
        self.alerts
            .iter()
            .filter(move |(_, alert)| now.since(alert.ends_at) <= RESOLVED_KEPT)
            .map(|(fingerprint, alert)| (*fingerprint, alert))
    }

    fn make_room(&mut self, now: EventTime) {
        self.alerts.retain(|_, alert| alert.ends_at > now);
        if self.alerts.len() < ALERTS_MAX {
            return;
        }
        // A tenth at once, so that a flood does not search the table for each alert.
        let mut heard: Vec<EventTime> = self.alerts.values().map(|alert| alert.updated_at).collect();
        let (_, limit, _) = heard.select_nth_unstable(ALERTS_MAX / 10);
        let limit = *limit;
        let mut surplus = ALERTS_MAX / 10;
        self.alerts.retain(|_, alert| {
            let goes = surplus > 0 && alert.updated_at <= limit;
            surplus -= usize::from(goes);
            !goes
        });
    }
}

impl Listed {
    pub(super) fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        unpacked(&self.labels)
    }

    pub(super) fn annotations(&self) -> impl Iterator<Item = (&str, &str)> {
        unpacked(&self.annotations)
    }

    pub(super) fn label(&self, name: &str) -> Option<&str> {
        self.labels().find(|(key, _)| *key == name).map(|(_, value)| value)
    }
}

fn packed(pairs: &[(&str, &str)]) -> Box<str> {
    let bytes: usize = pairs.iter().map(|(key, value)| key.len() + value.len() + 2).sum();
    let mut out = String::with_capacity(bytes);
    for text in pairs.iter().flat_map(|(key, value)| [key, value]) {
        out.extend(text.chars().map(|ch| if ch == SEPARATOR { ' ' } else { ch }));
        out.push(SEPARATOR);
    }
    out.into_boxed_str()
}

/// Packs `pairs` again unless they are what `kept` holds already.
fn repack(kept: &mut Box<str>, pairs: &[(&str, &str)]) {
    if !unpacked(kept).eq(pairs.iter().copied()) {
        *kept = packed(pairs);
    }
}

fn unpacked(list: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut texts = list.split_terminator(SEPARATOR);
    std::iter::from_fn(move || Some((texts.next()?, texts.next()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told<'a>(fingerprint: u64, annotations: &'a [(&'a str, &'a str)], ends_at: i64) -> Told<'a> {
        Told {
            fingerprint,
            labels: &[("alertname", "Disk"), ("empty", "")],
            annotations,
            starts_at: EventTime::from_secs(5),
            ends_at: EventTime::from_secs(ends_at),
            url: "",
        }
    }

    #[test]
    fn a_recovery_without_annotations_keeps_those_told_before() {
        let mut table = Table::default();
        table.note(&told(1, &[("summary", "disk is full")], 100), EventTime::from_secs(10));
        table.note(&told(1, &[], 20), EventTime::from_secs(20));
        let alert = table.get(1).expect("noted");
        assert_eq!(alert.annotations().collect::<Vec<_>>(), vec![("summary", "disk is full")]);
        assert_eq!(alert.labels().collect::<Vec<_>>(), vec![("alertname", "Disk"), ("empty", "")]);
        assert_eq!(table.iter(EventTime::from_secs(30)).count(), 1);
        assert_eq!(table.iter(EventTime::from_secs(20 + 901)).count(), 0);
    }

    #[test]
    fn a_full_table_drops_what_is_over_and_then_the_oldest() {
        let mut table = Table::default();
        for at in 0..ALERTS_MAX as u64 {
            let ends = if at < 10 { 1 } else { 1_000 };
            table.note(&told(at, &[], ends), EventTime::from_secs(at as i64 / 1_000));
        }
        table.note(&told(u64::MAX, &[], 1_000), EventTime::from_secs(60));
        assert_eq!(table.alerts.len(), ALERTS_MAX - 9);
        assert!(table.get(3).is_none() && table.get(11).is_some());
        for at in 0..20u64 {
            table.note(&told(1 << 40 | at, &[], 1_000), EventTime::from_secs(61));
        }
        assert!(table.alerts.len() <= ALERTS_MAX && table.get(10).is_none());
    }
}
