//! What real hosts measure while nothing is wrong, behind a simulated estate.
//!
//! The simulator's series are as well behaved as the formula that makes them. Those of real exporters are not: garbage
//! collectors, scrape durations, sockets, restarts. A recorded journal is the pool; each host of an estate gets
//! some of its series as its own, from a moment of its own, over and over. Where the recording begins anew
//! counters are reset, as when a process restarts.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, bail};
use bellwether_datasets::estate::{Estate, Kind};
use bellwether_engine::input::Input;
use bellwether_engine::signal::{
    MetricBuilder, MetricColumns, SeriesBuilder, SeriesColumns, SeriesType, SignalKind, TenantName,
};
use bellwether_engine::time::{EventTime, Span};
use xxhash_rust::xxh3::xxh3_64;

use crate::wiring::recorded::journal_entries;

/// Hosts of one estate that measure something: time is what it costs.
const HOSTS_MAX: usize = 20;

/// Series of the pool that one host has.
const SERIES_PER_HOST: u64 = 100;

/// How long after its last sample a recording begins anew: as long as common scrapes lie apart.
const SCRAPE: Span = Span::from_secs(15);

/// One recorded series.
#[derive(Debug)]
struct Recorded {
    name: String,
    unit: String,
    series_type: SeriesType,
    labels: Vec<(String, String)>,
}

/// A recording.
#[derive(Debug)]
pub(in crate::eval) struct Backdrop {
    series: Vec<Recorded>,
    /// Nanoseconds since the recording began, the series' place, the value; in order.
    samples: Vec<(i64, u32, f64)>,
    /// Nanoseconds until it begins anew.
    lasts: i64,
}

impl Backdrop {
    /// Reads the metrics of a recorded journal.
    ///
    /// # Errors
    /// When the journal cannot be read, or holds no metrics.
    pub(in crate::eval) fn load(journal: &Path) -> Result<Backdrop> {
        let (mut series, mut places, mut samples) = (Vec::new(), BTreeMap::new(), Vec::new());
        for entry in journal_entries(journal)? {
            let Input::Batch(batch) = entry? else { continue };
            match batch.kind() {
                SignalKind::Series => {
                    let columns = SeriesColumns::of(&batch);
                    for row in (0..columns.len()).map(|row| columns.row(row)) {
                        places.entry(row.series).or_insert_with(|| {
                            series.push(Recorded {
                                name: row.name.to_owned(),
                                unit: row.unit.to_owned(),
                                series_type: row.series_type,
                                labels: row.labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect(),
                            });
                            series.len() as u32 - 1
                        });
                    }
                }
                SignalKind::Metric => {
                    let columns = MetricColumns::of(&batch);
                    for (row, id) in columns.series.iter().enumerate() {
                        if let Some(place) = places.get(id) {
                            samples.push((columns.time[row], *place, columns.value[row]));
                        }
                    }
                }
                _ => {}
            }
        }
        samples.sort_unstable_by_key(|(at, place, _)| (*at, *place));
        let (Some((first, ..)), Some((last, ..))) = (samples.first().copied(), samples.last().copied()) else {
            bail!("the journal `{}` holds no metrics: name one of a host that was measured", journal.display());
        };
        samples.iter_mut().for_each(|(at, ..)| *at -= first);
        Ok(Backdrop { series, samples, lasts: last - first + SCRAPE.0 })
    }

    /// The backdrop of an estate that begins at `start`.
    ///
    /// # Errors
    /// When a tenant's name is none.
    pub(super) fn behind(&self, seed: u64, estate: &Estate, start: EventTime) -> Result<Behind<'_>> {
        let hosts = estate.entities.iter().filter(|entity| entity.kind == Kind::Host).take(HOSTS_MAX);
        let hosts = hosts.map(|entity| {
            let draw = |what: u64| xxh3_64(format!("{seed}/{}/{what}", entity.id).as_bytes());
            let share = |place: usize| draw(place as u64 + 1) % self.series.len() as u64;
            let begins = EventTime(start.0 - (draw(0) % self.lasts.unsigned_abs()) as i64);
            let tenant = TenantName::new(&estate.tenants[entity.tenant].name)?;
            let mut described = SeriesBuilder::new();
            let describe = |(place, recorded): (usize, &Recorded)| {
                let Recorded { name, unit, series_type, labels } = recorded;
                let labels: Vec<(&str, &str)> = labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
                let has = share(place) < SERIES_PER_HOST;
                has.then(|| described.push(name, &entity.id, unit, *series_type, &labels))
            };
            let ids = self.series.iter().enumerate().map(describe).collect();
            let described = Some(Input::Batch(described.finish_for(&tenant)));
            Ok(Host { tenant, described, ids, begins, next: 0 })
        });
        Ok(Behind { backdrop: self, hosts: hosts.collect::<Result<_>>()?, start })
    }
}

/// One host of an estate, and where it is in the recording.
#[derive(Debug)]
struct Host {
    tenant: TenantName,
    /// What its series are, until that has been given.
    described: Option<Input>,
    /// By place: the id of the series here, where the host has it.
    ids: Vec<Option<u64>>,
    /// When this round of the recording began.
    begins: EventTime,
    /// The sample that comes next.
    next: usize,
}

/// A backdrop at work.
#[derive(Debug)]
pub(super) struct Behind<'b> {
    backdrop: &'b Backdrop,
    hosts: Vec<Host>,
    start: EventTime,
}

impl Behind<'_> {
    /// What is measured up to `at` and has not been given yet.
    pub(super) fn until(&mut self, at: EventTime) -> Vec<Input> {
        let mut out = Vec::new();
        for host in &mut self.hosts {
            out.extend(host.described.take());
            let mut builder = MetricBuilder::new();
            loop {
                let Some((offset, place, value)) = self.backdrop.samples.get(host.next).copied() else {
                    (host.next, host.begins) = (0, host.begins.plus(Span(self.backdrop.lasts)));
                    continue;
                };
                let time = host.begins.plus(Span(offset));
                if time > at {
                    break;
                }
                host.next += 1;
                if let Some(id) = host.ids[place as usize].filter(|_| time >= self.start) {
                    builder.push(time, id, value);
                }
            }
            if !builder.is_empty() {
                out.push(Input::Batch(builder.finish_for(&host.tenant)));
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_datasets::simulation::{Plan, PlanParams};

    #[test]
    fn each_host_has_some_series_of_the_recording_in_order_and_over_and_over() {
        let series = |at: usize| Recorded {
            name: format!("metric_{at}"),
            unit: String::new(),
            series_type: SeriesType::Gauge,
            labels: Vec::new(),
        };
        let samples =
            (0..40_i64).flat_map(|step| (0..300).map(move |place| (step * 15_000_000_000, place, step as f64)));
        let lasts = 40 * 15_000_000_000;
        let backdrop = Backdrop { series: (0..300).map(series).collect(), samples: samples.collect(), lasts };
        let plan = Plan::random(&PlanParams::new(7, 60, 3)).expect("a plan");
        let mut behind = backdrop.behind(7, &plan.estate, plan.start).expect("a backdrop");
        let (mut last, mut rows, mut described) = (EventTime::MIN, 0, 0);
        for minute in 0..60 {
            let until = plan.start.plus(Span::from_mins(minute));
            for input in behind.until(until) {
                let Input::Batch(batch) = input else { panic!("it is measured") };
                if batch.kind() == SignalKind::Series {
                    described += batch.len();
                    continue;
                }
                let times = MetricColumns::of(&batch).time;
                assert!(times.iter().all(|time| (last.0..=until.0).contains(time)), "in minute {minute}");
                rows += times.len();
            }
            last = until;
        }
        assert!(described > 0 && rows > 200 * described, "four a minute for an hour: {rows} of {described} series");
    }
}
