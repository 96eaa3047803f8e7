//! Limits that another series tells: how many descriptors a process may open, how large a heap may grow.
//!
//! The series of a resource and that of its limit lie in different shards, and the shards run side by side.
//! So both only say what they read, and this is put in order of time afterwards: the level of the resource is
//! its share of the limit that stood at that moment, however rows were batched.

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use super::meta::SeriesMeta;
use crate::alert::label;
use crate::signal::identity_hash;
use crate::time::EventTime;

/// Which series tells a limit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Partner {
    /// Its metric.
    pub(super) metric: Box<str>,
    /// The labels by which it belongs to a resource of the same entity; without them all must be equal.
    on: Option<Box<[String]>>,
}

impl Partner {
    pub(super) fn new(metric: &str, on: Option<&[String]>) -> Partner {
        let on = on.map(|names| {
            let mut names = names.to_vec();
            names.sort();
            names.into()
        });
        Partner { metric: metric.into(), on }
    }

    /// What a resource and its limit have in common.
    pub(super) fn key(&self, meta: &SeriesMeta) -> u64 {
        let labels: Vec<(&str, &str)> = match &self.on {
            Some(names) => names.iter().map(|name| (&**name, label(&meta.labels, name).unwrap_or(""))).collect(),
            None => meta.labels.iter().map(|(name, value)| (&**name, &**value)).collect(),
        };
        identity_hash(&[&self.metric, &meta.entity], &labels)
    }
}

/// What one sample said about a resource or its limit.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Reading {
    pub(super) at: EventTime,
    /// When it acts: `at`, unless it is late.
    pub(super) acts: EventTime,
    /// The resource and its limit have the same.
    pub(super) key: u64,
    pub(super) value: f64,
    pub(super) of: Read,
}

/// Of what a reading is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Read {
    /// The limit, which is known before what is measured against it at the same time.
    Limit,
    /// A resource: its series, and the place of the watch there.
    Resource { series: u64, watch: usize },
}

/// From this on a limit is a way to say that there is none: nine exabytes of memory, 2^63 - 1 connections.
const UNLIMITED: f64 = 9e15;

/// The limits of one tenant, as they stood last. There is at most one for each series.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Limits {
    #[serde(with = "crate::serial::sorted_map")]
    known: HashMap<u64, (EventTime, f64), foldhash::fast::FixedState>,
}

impl Limits {
    /// Goes through `readings` in order of time; `weigh` gets each one of a resource whose limit is known, with that limit.
    pub(super) fn run(&mut self, mut readings: Vec<Reading>, mut weigh: impl FnMut(&Reading, u64, usize, f64)) {
        readings.sort_unstable_by_key(|reading| {
            (reading.acts, reading.at, reading.of, reading.key, reading.value.to_bits())
        });
        for reading in &readings {
            match reading.of {
                Read::Limit => {
                    let known = self.known.entry(reading.key).or_insert((EventTime::MIN, f64::NAN));
                    if reading.at >= known.0 {
                        *known = (reading.at, reading.value);
                    }
                }
                Read::Resource { series, watch } => {
                    let limit = self.known.get(&reading.key).map(|(_, limit)| *limit);
                    if let Some(limit) = limit.filter(|limit| *limit > 0.0 && *limit < UNLIMITED) {
                        weigh(reading, series, watch, limit);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::LabelSet;
    use crate::signal::SeriesType;

    fn meta(name: &str, labels: &[(&str, &str)]) -> SeriesMeta {
        let labels: LabelSet = labels.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let (entity, unit) = ("host:a".into(), "".into());
        SeriesMeta { name: name.into(), entity, unit, series_type: SeriesType::Gauge, labels }
    }

    #[test]
    fn a_resource_has_the_limit_of_its_own_labels_or_of_those_that_are_named() {
        let used = meta("heap_used", &[("area", "heap"), ("id", "old")]);
        let of = |labels: &[(&str, &str)]| meta("heap_max", labels);
        let all = Partner::new("heap_max", None);
        assert_eq!(all.key(&used), all.key(&of(&[("area", "heap"), ("id", "old")])));
        assert_ne!(all.key(&used), all.key(&of(&[("area", "heap")])));
        let area = Partner::new("heap_max", Some(&["area".to_owned()]));
        assert_eq!(area.key(&used), area.key(&of(&[("area", "heap")])));
        assert_ne!(area.key(&used), area.key(&of(&[("area", "other")])));
    }

    #[test]
    fn a_share_is_of_the_limit_of_its_time_in_whatever_order_the_shards_answer() {
        let at = EventTime::from_secs;
        let limit = |secs, value| Reading { at: at(secs), acts: at(secs), key: 7, value, of: Read::Limit };
        let used = |secs, value| {
            let of = Read::Resource { series: 1, watch: 0 };
            Reading { at: at(secs), acts: at(secs), key: 7, value, of }
        };
        let mut limits = Limits::default();
        let mut seen = Vec::new();
        let mut run = |readings: Vec<Reading>| {
            limits.run(readings, |reading, _, _, limit| seen.push((reading.at, reading.value / limit)));
        };
        run(vec![used(10, 50.0), used(20, 50.0), used(5, 50.0), limit(20, 200.0), limit(10, 100.0)]);
        run(vec![used(30, 50.0), limit(40, f64::MAX)]);
        run(vec![used(41, 50.0)]);
        assert_eq!(seen, [(at(10), 0.5), (at(20), 0.25), (at(30), 0.25)], "none is known before 10 and after 40");
    }
}
