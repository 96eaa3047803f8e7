//! Which series have been described: the table between a sender's labels and our series ids.
//!
//! Metric wires hash a series' labels as they stand in the message and look the hash up here;
//! only a series not seen before is parsed, resolved to an entity and described in a `series`
//! batch. The table is bounded per tenant, forgets series that have been silent for one to two
//! hours, and lets in only so many new ones per hour, so a label holding a request id cannot
//! fill the memory of the engine behind it.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, RwLock, RwLockReadGuard};

use bellwether_engine::input::Input;
use bellwether_engine::signal::{
    Batch, EdgeBuilder, EdgeRow, LABEL_NAME_BYTES_MAX, LABEL_VALUE_BYTES_MAX, LABELS_MAX, LabelPairs, Relation,
    SeriesBuilder, SeriesColumns, SeriesType, SignalKind, TenantName, series_id,
};
use bellwether_engine::time::{EventTime, Span};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use crate::limits::Limits;
use crate::resolve::entity_resolution::EntityResolver;
use crate::resolve::service_graph;

/// After this long without a sample a series is forgotten, and described again if it returns.
const GENERATION: Span = Span::from_hours(1);

/// Most pairs of entities remembered per tenant as told: a service on its host, a call; 100,000 topology nodes are
/// the engine's own limit.
const RELATED_MAX: usize = 100_000;

/// How sure an edge read from labels is: the sender says so of itself.
const LABEL_CONFIDENCE: f64 = 0.9;

/// A hasher for keys that are hashes already.
#[derive(Default)]
pub(crate) struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }

    fn write_u128(&mut self, value: u128) {
        self.0 = value as u64;
    }
}

type Keyed<V> = HashMap<u128, V, BuildHasherDefault<AsIs>>;

#[derive(Default)]
struct Described {
    /// Hash of the labels as sent → series id.
    current: Keyed<u64>,
    previous: Keyed<u64>,
    started: EventTime,
    new_this_hour: usize,
    related: Keyed<()>,
}

impl Described {
    /// Once an hour the silent half is forgotten.
    fn turn(&mut self, now: EventTime) {
        if now.since(self.started) > GENERATION {
            self.previous = std::mem::take(&mut self.current);
            self.started = now;
            self.new_this_hour = 0;
            self.related.clear();
        }
    }
}

/// The tables of all tenants; one instance is shared by all metric wires.
pub struct SeriesTable {
    resolver: Arc<EntityResolver>,
    series_max: usize,
    new_per_hour_max: usize,
    tenants: RwLock<HashMap<String, Arc<RwLock<Described>>>>,
}

impl SeriesTable {
    /// An empty table.
    pub fn new(resolver: Arc<EntityResolver>, limits: &Limits) -> SeriesTable {
        SeriesTable {
            resolver,
            series_max: limits.series_max,
            new_per_hour_max: limits.new_series_per_hour_max,
            tenants: RwLock::default(),
        }
    }

    /// The resolver that names the entities.
    pub fn resolver(&self) -> &EntityResolver {
        &self.resolver
    }

    fn tenant(&self, tenant: &str) -> Arc<RwLock<Described>> {
        let known = self.tenants.read().unwrap_or_else(|held| held.into_inner());
        if let Some(table) = known.get(tenant) {
            return table.clone();
        }
        drop(known);
        let mut tenants = self.tenants.write().unwrap_or_else(|held| held.into_inner());
        tenants.entry(tenant.to_owned()).or_default().clone()
    }

    /// Runs `decode` with a session of `tenant`; returns its result and the journal entries
    /// that describe what was new, to be stored before the samples.
    pub fn session<T>(
        &self,
        tenant: &TenantName,
        source: &str,
        now: EventTime,
        decode: impl FnOnce(&mut Session<'_>) -> T,
    ) -> (T, Vec<Input>) {
        let described = self.tenant(tenant);
        let due = {
            let table = described.read().unwrap_or_else(|held| held.into_inner());
            now.since(table.started) > GENERATION
        };
        if due {
            described.write().unwrap_or_else(|held| held.into_inner()).turn(now);
        }
        let mut session = Session {
            table: self,
            described: &described,
            reading: None,
            source,
            now,
            cut: 0,
            series: SeriesBuilder::new(),
            edges: EdgeBuilder::new(),
        };
        let result = decode(&mut session);
        (result, session.finish(tenant))
    }

    /// The series described in `inputs` were not stored: describe them again next time.
    pub(crate) fn undo(&self, inputs: &[Input]) {
        for input in inputs {
            if let Input::Batch(batch) = input
                && batch.kind() == SignalKind::Series
            {
                self.forget(batch);
            }
        }
    }

    fn forget(&self, batch: &Batch) {
        let columns = SeriesColumns::of(batch);
        let ids: std::collections::HashSet<u64> = (0..columns.len()).map(|row| columns.row(row).series).collect();
        let described = self.tenant(batch.tenant());
        let mut table = described.write().unwrap_or_else(|held| held.into_inner());
        table.current.retain(|_, id| !ids.contains(id));
        table.previous.retain(|_, id| !ids.contains(id));
        table.related.clear();
    }
}

/// One request's view of a tenant's table.
pub struct Session<'a> {
    table: &'a SeriesTable,
    described: &'a RwLock<Described>,
    reading: Option<RwLockReadGuard<'a, Described>>,
    source: &'a str,
    now: EventTime,
    /// New series of which labels were cut.
    cut: u64,
    series: SeriesBuilder,
    edges: EdgeBuilder,
}

impl Session<'_> {
    /// The id of the series whose labels hash to `key`, when it is described already.
    #[inline]
    pub fn known(&mut self, key: u128) -> Option<u64> {
        let described = self.described;
        let reading = self.reading.get_or_insert_with(|| described.read().unwrap_or_else(|held| held.into_inner()));
        reading.current.get(&key).copied()
    }

    /// Describes a series of these labels, of which none is `__name__`; they need no order.
    /// Returns its id.
    ///
    /// # Errors
    /// The reason to refuse it: labels too long or named twice, or too many series. Of too many labels the
    /// surplus is cut (`Session::labels_cut`).
    pub fn describe(
        &mut self,
        key: u128,
        name: &str,
        unit: &str,
        series_type: SeriesType,
        labels: &mut Vec<(&str, &str)>,
    ) -> Result<u64, &'static str> {
        check_labels(name, labels)?;
        let resolver = &self.table.resolver;
        if labels.len() > LABELS_MAX {
            // Whose it is, all of them say.
            let entity = resolver.resolve(name, labels);
            return self.admit_cut(key, name, &entity, unit, series_type, labels);
        }
        let Some(call) = service_graph::call(resolver, name, labels) else {
            let entity = resolver.resolve(name, labels);
            return self.admit(key, name, &entity, unit, series_type, labels);
        };
        let id = self.admit(key, name, &call.server, unit, series_type, labels)?;
        if let Some(client) = call.client {
            self.relate(&client, &call.server, Relation::Calls);
        }
        Ok(id)
    }

    /// As [`Session::describe`], for a wire that knows the entity and has sorted the labels.
    pub(crate) fn describe_of(
        &mut self,
        key: u128,
        name: &str,
        entity: &str,
        unit: &str,
        series_type: SeriesType,
        labels: &mut Vec<(&str, &str)>,
    ) -> Result<u64, &'static str> {
        check_labels(name, labels)?;
        match labels.len() > LABELS_MAX {
            true => self.admit_cut(key, name, entity, unit, series_type, labels),
            false => self.admit(key, name, entity, unit, series_type, labels),
        }
    }

    /// Admits a series of more labels than are kept.
    fn admit_cut(
        &mut self,
        key: u128,
        name: &str,
        entity: &str,
        unit: &str,
        series_type: SeriesType,
        labels: LabelPairs<'_>,
    ) -> Result<u64, &'static str> {
        let mut kept = labels.to_vec();
        let surplus = cut_surplus(&mut kept, |label| self.table.resolver.reads(label));
        let place = kept.partition_point(|(name, _)| *name < CUT_LABEL);
        kept.insert(place, (CUT_LABEL, &surplus));
        self.cut += 1;
        self.admit(key, name, entity, unit, series_type, &kept)
    }

    /// How many of the series described here have more labels than are kept.
    pub(crate) fn labels_cut(&self) -> u64 {
        self.cut
    }

    fn admit(
        &mut self,
        key: u128,
        name: &str,
        entity: &str,
        unit: &str,
        series_type: SeriesType,
        labels: LabelPairs<'_>,
    ) -> Result<u64, &'static str> {
        self.reading = None;
        let mut described = self.described.write().unwrap_or_else(|held| held.into_inner());
        if let Some(id) = described.current.get(&key) {
            return Ok(*id);
        }
        if let Some(id) = described.previous.remove(&key) {
            described.current.insert(key, id);
            return Ok(id);
        }
        if described.current.len() >= self.table.series_max {
            return Err("series_max");
        }
        if described.new_this_hour >= self.table.new_per_hour_max {
            return Err("new_series_per_hour_max");
        }
        described.new_this_hour += 1;
        let id = self.series.push(name, entity, unit, series_type, labels);
        debug_assert_eq!(id, series_id(name, entity, labels));
        described.current.insert(key, id);
        drop(described);
        if let Some((service, host)) = self.table.resolver.placement(labels) {
            self.relate(&service, &host, Relation::RunsOn);
        }
        Ok(id)
    }

    /// Tells an edge that labels speak of, once.
    fn relate(&mut self, from: &str, to: &str, relation: Relation) {
        let pair = xxh3_128(format!("{from}\n{to}").as_bytes());
        let mut described = self.described.write().unwrap_or_else(|held| held.into_inner());
        if described.related.len() < RELATED_MAX && described.related.insert(pair, ()).is_none() {
            let (time, source, confidence) = (self.now, self.source, LABEL_CONFIDENCE);
            self.edges.push(&EdgeRow { time, from, to, relation, source, confidence });
        }
    }

    fn finish(mut self, tenant: &TenantName) -> Vec<Input> {
        self.reading = None;
        let batches = [self.series.finish_for(tenant), self.edges.finish_for(tenant)];
        batches.into_iter().filter(|batch| !batch.is_empty()).map(Input::Batch).collect()
    }
}

/// Sorts labels by name and checks them against the limits.
fn check_labels(name: &str, labels: &mut Vec<(&str, &str)>) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("no_name");
    }
    labels.retain(|(_, value)| !value.is_empty());
    let too_long =
        |(name, value): &(&str, &str)| name.len() > LABEL_NAME_BYTES_MAX || value.len() > LABEL_VALUE_BYTES_MAX;
    if name.len() > LABEL_VALUE_BYTES_MAX || labels.iter().any(too_long) {
        return Err("label_bytes_max");
    }
    labels.sort_unstable_by_key(|(name, _)| *name);
    if labels.iter().any(|(name, _)| name.is_empty()) {
        return Err("label_name_empty");
    }
    if labels.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return Err("label_twice");
    }
    Ok(())
}

/// The label that stands for those cut off: series that only these tell apart stay apart.
pub(crate) const CUT_LABEL: &str = "labels_cut";

/// Cuts sorted labels so that one more has room, and says in a text what was cut: how many, and a
/// hash. Those that are `kept` stay; of the others the last by name go.
pub(crate) fn cut_surplus(labels: &mut Vec<(&str, &str)>, kept: impl Fn(&str) -> bool) -> String {
    let mut surplus = (labels.len() + 1).saturating_sub(LABELS_MAX);
    let count = surplus;
    let mut hasher = Xxh3::with_seed(6);
    let mut cut = |(name, value): (&str, &str)| {
        hasher.update(name.as_bytes());
        hasher.update(&[0xff]);
        hasher.update(value.as_bytes());
        hasher.update(&[0xff]);
    };
    for place in (0..labels.len()).rev() {
        if surplus > 0 && !kept(labels[place].0) {
            cut(labels.remove(place));
            surplus -= 1;
        }
    }
    while surplus > 0 {
        labels.pop().into_iter().for_each(&mut cut);
        surplus -= 1;
    }
    format!("{count} {:016x}", hasher.digest())
}

/// The type of a series that does not say: Prometheus' and OpenMetrics' suffixes of totals.
pub(crate) fn type_by_name(name: &str) -> SeriesType {
    let totals = ["_total", "_count", "_sum", "_bucket"];
    if totals.iter().any(|suffix| name.ends_with(suffix)) { SeriesType::Counter } else { SeriesType::Gauge }
}

#[cfg(test)]
mod tests;
