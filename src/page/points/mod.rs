//! Recent points beside the engine, for pictures: three hours of each series, a minute each with its lowest and highest
//! value, within a bound in bytes.
//!
//! | of a series | takes |
//! |---|---|
//! | its 180 minutes | 1,440 bytes |
//! | its name, entity and labels, and its places in the tables | some 300 bytes |
//!
//! When all take more than they may (`page.points_bytes`), a series that has been silent for half an hour makes room; else
//! a new one is not kept, and that is counted. A level is kept as it is, a counter as its rate. The feed
//! (`feed.rs`) reads what passes and waits for nobody; what it misses is a gap, and nothing here is read by an engine.

mod feed;
mod ring;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bellwether_engine::signal::{Batch, MetricColumns, SeriesColumns, SeriesType, SignalKind};
use bellwether_engine::time::EventTime;

pub(crate) use feed::{Describe, PointsFeed, ask, recall};
pub(crate) use ring::{MINUTES, Point};
use ring::{Ring, minute_of};

/// What a series takes beside its texts: its ring, itself, its places in the tables.
const SERIES_BYTES: usize = MINUTES * 8 + 240;
/// Series that are silent for so many minutes make room for others.
const SILENT_MINUTES: i64 = 30;
/// A sample this many minutes ahead of now is of a clock that is off: it would push out what is true.
const AHEAD_MINUTES_MAX: i64 = 2;
/// Two readings of a counter that are further apart tell no rate.
const RATE_SPAN_NS_MAX: i64 = 15 * 60 * 1_000_000_000;
/// Series that are asked for at a time: an engine stands still meanwhile.
const ASKED_MAX: usize = 1_000;

/// What a series is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Meta {
    pub(crate) metric: Box<str>,
    pub(crate) entity: Box<str>,
    pub(crate) unit: Box<str>,
    pub(crate) counter: bool,
    pub(crate) labels: Box<[(Box<str>, Box<str>)]>,
}

impl Meta {
    fn bytes(&self) -> usize {
        let labels: usize = self.labels.iter().map(|(name, value)| name.len() + value.len() + 32).sum();
        self.metric.len() + 2 * self.entity.len() + self.unit.len() + labels
    }
}

/// One series with its points, for a picture.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Drawn {
    pub(crate) meta: Arc<Meta>,
    /// By time; a minute of which nothing is known is not there.
    pub(crate) points: Vec<Point>,
}

#[derive(Debug)]
struct Series {
    /// `None` as long as nobody has said what it is.
    meta: Option<Arc<Meta>>,
    ring: Ring,
    /// The last reading, of which a counter's rate is told.
    last: Option<(i64, f64)>,
}

#[derive(Debug, Default)]
struct Tenant {
    series: HashMap<u64, Series>,
    by_entity: HashMap<Box<str>, Vec<u64>>,
    /// Those that nobody has described.
    unknown: Vec<u64>,
}

#[derive(Debug, Default)]
struct Table {
    tenants: BTreeMap<Arc<str>, Tenant>,
    bytes: usize,
    kept: usize,
    refused: u64,
    /// The minute up to which silent ones were let go.
    swept: i64,
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) series: usize,
    pub(crate) bytes: usize,
    pub(crate) bytes_max: usize,
    /// Samples of series that there was no room for.
    pub(crate) refused: u64,
}

/// The store.
#[derive(Debug)]
pub(crate) struct Points {
    table: Mutex<Table>,
    bytes_max: usize,
}

impl Points {
    /// One that takes `bytes_max` at most, about.
    pub(crate) fn new(bytes_max: usize) -> Points {
        Points { table: Mutex::default(), bytes_max }
    }

    /// Takes in what a batch tells of series or samples; others tell nothing here. `now` is the latest that is believed.
    pub(crate) fn take(&self, batch: &Batch, now: EventTime) {
        match batch.kind() {
            SignalKind::Series => self.describe(batch),
            SignalKind::Metric => self.samples(batch, now),
            _ => {}
        }
    }

    fn describe(&self, batch: &Batch) {
        let (tenant, columns) = (Arc::from(batch.tenant()), SeriesColumns::of(batch));
        let mut table = self.table();
        for row in (0..columns.len()).map(|row| columns.row(row)) {
            let meta = Meta {
                metric: row.name.into(),
                entity: row.entity.into(),
                unit: row.unit.into(),
                counter: row.series_type == SeriesType::Counter,
                labels: row.labels.iter().map(|(name, value)| (name.into(), value.into())).collect(),
            };
            table.describe(&tenant, row.series, meta, self.bytes_max);
        }
    }

    fn samples(&self, batch: &Batch, now: EventTime) {
        let (tenant, columns) = (Arc::from(batch.tenant()), MetricColumns::of(batch));
        let latest = minute_of(now.0).saturating_add(AHEAD_MINUTES_MAX);
        let mut table = self.table();
        for row in 0..columns.series.len() {
            let (at, value) = (columns.time[row], columns.value[row]);
            if value.is_finite() && minute_of(at) <= latest {
                table.sample(&tenant, columns.series[row], (at, value), self.bytes_max);
            }
        }
    }

    /// Some of the series that nobody has described, by tenant; they are not told again.
    pub(crate) fn unknown(&self) -> Vec<(Arc<str>, Vec<u64>)> {
        let mut table = self.table();
        let some = |(name, tenant): (&Arc<str>, &mut Tenant)| {
            let from = tenant.unknown.len().saturating_sub(ASKED_MAX);
            Some((name.clone(), tenant.unknown.split_off(from))).filter(|(_, some)| !some.is_empty())
        };
        table.tenants.iter_mut().filter_map(some).collect()
    }

    /// Says what a series is; one that nobody knows is let go.
    pub(crate) fn told(&self, tenant: &Arc<str>, series: u64, meta: Option<Meta>) {
        let mut table = self.table();
        match meta {
            Some(meta) => table.describe(tenant, series, meta, self.bytes_max),
            None => table.drop_series(tenant, series),
        }
    }

    /// The series of an entity, by metric and labels, from `from` to `until`; those without a point in it are left out.
    pub(crate) fn of(
        &self,
        tenant: &str,
        entity: &str,
        metric: Option<&str>,
        (from, until): (EventTime, EventTime),
        max: usize,
    ) -> Vec<Drawn> {
        let table = self.table();
        let Some(tenant) = table.tenants.get(tenant) else { return Vec::new() };
        let ids = tenant.by_entity.get(entity).map_or(&[][..], Vec::as_slice);
        let known = ids.iter().filter_map(|id| tenant.series.get(id));
        let known = known.filter_map(|series| Some((series.meta.as_ref()?, &series.ring)));
        let mut found: Vec<(&Arc<Meta>, &Ring)> =
            known.filter(|(meta, _)| metric.is_none_or(|metric| *meta.metric == *metric)).collect();
        found.sort_by(|(a, _), (b, _)| (&a.metric, &a.labels).cmp(&(&b.metric, &b.labels)));
        let drawn =
            found.into_iter().map(|(meta, ring)| Drawn { meta: meta.clone(), points: ring.between(from, until) });
        drawn.filter(|drawn| !drawn.points.is_empty()).take(max).collect()
    }

    /// How much there is.
    pub(crate) fn totals(&self) -> Totals {
        let table = self.table();
        Totals { series: table.kept, bytes: table.bytes, bytes_max: self.bytes_max, refused: table.refused }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// The place of a series; `None` where there is no room for it.
    fn place(&mut self, tenant: &Arc<str>, id: u64, minute: i64, bytes_max: usize) -> Option<&mut Series> {
        let known = self.tenants.get(tenant).is_some_and(|tenant| tenant.series.contains_key(&id));
        if !known {
            if self.bytes + SERIES_BYTES > bytes_max && self.swept < minute {
                self.swept = minute;
                self.let_silent_go(minute - SILENT_MINUTES);
            }
            if self.bytes + SERIES_BYTES > bytes_max {
                self.refused += 1;
                return None;
            }
            self.bytes += SERIES_BYTES;
            self.kept += 1;
            let tenant = self.tenants.entry(tenant.clone()).or_default();
            tenant.series.insert(id, Series { meta: None, ring: Ring::new(), last: None });
        }
        self.tenants.get_mut(tenant)?.series.get_mut(&id)
    }

    fn sample(&mut self, tenant: &Arc<str>, id: u64, (at, value): (i64, f64), bytes_max: usize) {
        let minute = minute_of(at);
        let fresh = !self.tenants.get(tenant).is_some_and(|tenant| tenant.series.contains_key(&id));
        let Some(series) = self.place(tenant, id, minute, bytes_max) else { return };
        let counter = series.meta.as_ref().is_some_and(|meta| meta.counter);
        let shown = match (counter, series.last) {
            (false, _) => Some(value),
            (true, Some((before, level))) => rate((before, level), (at, value)),
            (true, None) => None,
        };
        if series.last.is_none_or(|(before, _)| at > before) {
            series.last = Some((at, value));
        }
        if let Some(shown) = shown {
            series.ring.note(minute, shown as f32);
        }
        if fresh && let Some(tenant) = self.tenants.get_mut(tenant) {
            tenant.unknown.push(id);
        }
    }

    fn describe(&mut self, tenant: &Arc<str>, id: u64, meta: Meta, bytes_max: usize) {
        let minute = self.swept;
        let Some(series) = self.place(tenant, id, minute, bytes_max) else { return };
        if series.meta.as_ref().is_some_and(|known| **known == meta) {
            return;
        }
        // What was kept of a counter as if it were a level says nothing.
        if meta.counter {
            series.ring = Ring::new();
        }
        let (entity, bytes) = (meta.entity.clone(), meta.bytes());
        let before = series.meta.replace(Arc::new(meta));
        self.bytes += bytes;
        self.bytes -= before.as_ref().map_or(0, |meta| meta.bytes());
        let Some(tenant) = self.tenants.get_mut(tenant) else { return };
        if let Some(before) = before.filter(|before| before.entity != entity) {
            tenant.forget_entity(&before.entity, id);
        }
        let own = tenant.by_entity.entry(entity).or_default();
        if !own.contains(&id) {
            own.push(id);
        }
    }

    fn drop_series(&mut self, name: &Arc<str>, id: u64) {
        let Some(tenant) = self.tenants.get_mut(name) else { return };
        let Some(series) = tenant.series.remove(&id) else { return };
        self.kept -= 1;
        self.bytes -= SERIES_BYTES + series.meta.as_ref().map_or(0, |meta| meta.bytes());
        if let Some(meta) = &series.meta {
            tenant.forget_entity(&meta.entity, id);
        }
    }

    /// Lets those go that were heard last before `minute`.
    fn let_silent_go(&mut self, minute: i64) {
        let silent = |(name, tenant): (&Arc<str>, &Tenant)| {
            let old = tenant.series.iter().filter(|(_, series)| series.ring.newest() < minute);
            old.map(|(id, _)| (name.clone(), *id)).collect::<Vec<_>>()
        };
        let silent: Vec<(Arc<str>, u64)> = self.tenants.iter().flat_map(silent).collect();
        silent.into_iter().for_each(|(tenant, id)| self.drop_series(&tenant, id));
    }
}

impl Tenant {
    fn forget_entity(&mut self, entity: &str, id: u64) {
        if let Some(own) = self.by_entity.get_mut(entity) {
            own.retain(|known| *known != id);
            if own.is_empty() {
                self.by_entity.remove(entity);
            }
        }
    }
}

/// How fast a counter grows a second; `None` where it began anew, or the readings are not of one stretch.
fn rate((before, level): (i64, f64), (at, value): (i64, f64)) -> Option<f64> {
    let span = at.checked_sub(before)?;
    (span > 0 && span <= RATE_SPAN_NS_MAX && value >= level).then(|| (value - level) / (span as f64 / 1e9))
}

#[cfg(test)]
mod tests;
