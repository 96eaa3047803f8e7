//! Looking at what a source has accepted, while it runs: bounded, lossy, and beside the journal.
//!
//! A tap gets a copy of every write that has become durable. Nobody waits for it: a tap that
//! reads too slowly misses writes, and is told how many rows. When nobody looks, it costs one
//! atomic read per write. [`Rows`] turns writes into JSON objects, one per signal.
//!
//! A sample carries the id of its series only. The series that are described while the tap
//! looks are known by that; the others are asked for ([`Describe`]) from who holds them, the
//! engine.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bellwether_engine::input::Input;
use bellwether_engine::signal::{
    AlertColumns, Batch, ChangeColumns, EdgeColumns, Labels, LogColumns, MetricColumns, SeriesColumns, SignalKind,
    TenantName,
};
use bellwether_engine::time::EventTime;
use futures::future::BoxFuture;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

/// Taps at once: each costs the sources a copy of a pointer per write.
pub(crate) const TAPS_MAX: usize = 8;
/// Of them, those of one tenant; operators look for everybody and may have all.
const TAPS_OF_ONE_MAX: usize = TAPS_MAX / 2;
/// Writes a tap may be behind before it misses some.
const QUEUE_WRITES_MAX: usize = 256;
/// Series whose names a tap remembers; beyond, all are forgotten and asked for again.
const NAMES_MAX: usize = 100_000;
/// Series asked for at a time.
const ASKED_MAX: usize = 4_096;

/// What one source has accepted together.
#[derive(Clone, Debug)]
pub struct Tapped {
    /// The source.
    pub source: Arc<str>,
    /// The entries.
    pub inputs: Arc<[Input]>,
}

/// Every tap of a process. Cheap to clone; clones share everything.
#[derive(Clone, Default)]
pub struct Taps(Arc<Shared>);

#[derive(Default)]
struct Shared {
    open: AtomicUsize,
    queues: Mutex<Vec<Queue>>,
}

struct Queue {
    /// It belongs to the program itself, and stands for as long as that runs.
    stands: bool,
    /// `None`: an operator.
    holder: Option<TenantName>,
    source: Option<String>,
    sender: mpsc::Sender<Tapped>,
    missed: Arc<AtomicU64>,
}

/// One tap: writes come out in the order in which they became durable.
#[derive(Debug)]
pub struct Tap {
    writes: mpsc::Receiver<Tapped>,
    missed: Arc<AtomicU64>,
}

impl std::fmt::Debug for Taps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Taps({} open)", self.0.open.load(Ordering::Relaxed))
    }
}

impl Taps {
    /// A tap on `source`, or on all of them, for a tenant or an operator; `None` when there are `TAPS_MAX`
    /// already, or half as many of that tenant's. The last one is kept for an operator.
    pub fn open(&self, source: Option<&str>, holder: Option<&TenantName>) -> Option<Tap> {
        let mut queues = self.queues();
        queues.retain(|queue| !queue.sender.is_closed());
        let visitors = || queues.iter().filter(|queue| !queue.stands);
        let own = visitors().filter(|queue| queue.holder.as_ref() == holder).count();
        let (own_max, all_max) = if holder.is_some() { (TAPS_OF_ONE_MAX, TAPS_MAX - 1) } else { (TAPS_MAX, TAPS_MAX) };
        if own >= own_max || visitors().count() >= all_max {
            return None;
        }
        Some(self.add(&mut queues, Queue::new(false, source, holder)))
    }

    /// A tap on everything for a part of the program itself: it takes nobody's place, and misses what it does not read
    /// in time as any other.
    pub fn stand(&self) -> Tap {
        self.add(&mut self.queues(), Queue::new(true, None, None))
    }

    fn add(&self, queues: &mut Vec<Queue>, (queue, tap): (Queue, Tap)) -> Tap {
        queues.push(queue);
        self.0.open.store(queues.len(), Ordering::Relaxed);
        tap
    }

    /// Taps that somebody reads.
    pub fn count(&self) -> usize {
        self.queues().iter().filter(|queue| !queue.stands && !queue.sender.is_closed()).count()
    }

    /// Ends every tap.
    pub fn close(&self) {
        self.queues().clear();
        self.0.open.store(0, Ordering::Relaxed);
    }

    /// Shows `inputs` of `source` to who looks.
    pub(crate) fn offer(&self, source: &Arc<str>, inputs: &[Input]) {
        if self.0.open.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut write: Option<Tapped> = None;
        let mut queues = self.queues();
        queues.retain(|queue| {
            if queue.source.as_deref().is_some_and(|wanted| *wanted != **source) {
                return !queue.sender.is_closed();
            }
            let tapped =
                write.get_or_insert_with(|| Tapped { source: source.clone(), inputs: inputs.to_vec().into() }).clone();
            match queue.sender.try_send(tapped) {
                Err(mpsc::error::TrySendError::Closed(_)) => false,
                Err(mpsc::error::TrySendError::Full(_)) => {
                    let rows: usize = inputs.iter().map(Input::rows).sum();
                    queue.missed.fetch_add(rows as u64, Ordering::Relaxed);
                    true
                }
                Ok(()) => true,
            }
        });
        self.0.open.store(queues.len(), Ordering::Relaxed);
    }

    fn queues(&self) -> std::sync::MutexGuard<'_, Vec<Queue>> {
        self.0.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn new(stands: bool, source: Option<&str>, holder: Option<&TenantName>) -> (Queue, Tap) {
        let (sender, writes) = mpsc::channel(QUEUE_WRITES_MAX);
        let missed = Arc::new(AtomicU64::new(0));
        let (holder, source) = (holder.cloned(), source.map(str::to_owned));
        (Queue { stands, holder, source, sender, missed: missed.clone() }, Tap { writes, missed })
    }
}

impl Tap {
    /// The next write; `None` when the process stops.
    pub async fn next(&mut self) -> Option<Tapped> {
        self.writes.recv().await
    }

    /// Rows missed since it was asked last.
    pub fn missed(&self) -> u64 {
        self.missed.swap(0, Ordering::Relaxed)
    }
}

/// What a series is, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesName {
    /// Its id.
    pub series: u64,
    /// The metric.
    pub name: String,
    /// What it is measured of.
    pub entity: String,
    /// Its labels.
    pub labels: Vec<(String, String)>,
}

/// Knows the series that were described before a tap was opened.
pub trait Describe: Send + Sync {
    /// The names of those of `series` that are known.
    fn describe<'a>(&'a self, tenant: &'a str, series: Vec<u64>) -> BoxFuture<'a, Vec<SeriesName>>;
}

/// Turns writes into JSON objects, one per signal.
#[derive(Default)]
pub struct Rows {
    names: HashMap<(Arc<str>, u64), Arc<SeriesName>>,
    /// Only this tenant's rows.
    tenant: Option<Arc<str>>,
}

impl Rows {
    /// Rows of `tenant`, or of all tenants.
    pub fn new(tenant: Option<Arc<str>>) -> Rows {
        Rows { names: HashMap::new(), tenant }
    }

    /// The signals of a write. Descriptions of series are not shown by themselves but with
    /// their samples.
    pub async fn of(&mut self, write: &Tapped, describe: Option<&dyn Describe>) -> Vec<Value> {
        let own = |tenant: &str| self.tenant.as_deref().is_none_or(|wanted| wanted == tenant);
        let batches: Vec<&Batch> = write
            .inputs
            .iter()
            .filter_map(|input| match input {
                Input::Batch(batch) if own(batch.tenant()) => Some(batch),
                _ => None,
            })
            .collect();
        let mut rows = Vec::new();
        for batch in batches {
            let tenant: Arc<str> = batch.tenant().into();
            match batch.kind() {
                SignalKind::Series => self.learn(&tenant, batch),
                SignalKind::Metric => {
                    self.ask(&tenant, batch, describe).await;
                    self.samples(&tenant, batch, &write.source, &mut rows);
                }
                SignalKind::Log => logs(batch, &write.source, &mut rows),
                SignalKind::Alert => alerts(batch, &write.source, &mut rows),
                SignalKind::Change => changes(batch, &write.source, &mut rows),
                SignalKind::Edge => edges(batch, &write.source, &mut rows),
            }
        }
        rows
    }

    fn note(&mut self, tenant: &Arc<str>, name: SeriesName) {
        if self.names.len() >= NAMES_MAX {
            self.names.clear();
        }
        self.names.insert((tenant.clone(), name.series), Arc::new(name));
    }

    fn learn(&mut self, tenant: &Arc<str>, batch: &Batch) {
        let columns = SeriesColumns::of(batch);
        for row in (0..columns.len()).map(|row| columns.row(row)) {
            let labels = row.labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            let (name, entity) = (row.name.to_owned(), row.entity.to_owned());
            self.note(tenant, SeriesName { series: row.series, name, entity, labels });
        }
    }

    async fn ask(&mut self, tenant: &Arc<str>, batch: &Batch, describe: Option<&dyn Describe>) {
        let Some(describe) = describe else { return };
        let columns = MetricColumns::of(batch);
        let mut unknown: Vec<u64> = columns
            .series
            .iter()
            .copied()
            .filter(|series| !self.names.contains_key(&(tenant.clone(), *series)))
            .collect();
        unknown.sort_unstable();
        unknown.dedup();
        unknown.truncate(ASKED_MAX);
        if !unknown.is_empty() {
            for name in describe.describe(tenant, unknown).await {
                self.note(tenant, name);
            }
        }
    }

    fn samples(&self, tenant: &Arc<str>, batch: &Batch, source: &str, out: &mut Vec<Value>) {
        let columns = MetricColumns::of(batch);
        for row in 0..columns.series.len() {
            let series = columns.series[row];
            let mut object = head(batch, source, columns.time[row]);
            match self.names.get(&(tenant.clone(), series)) {
                Some(known) => {
                    put(&mut object, "name", &known.name);
                    put(&mut object, "entity", &known.entity);
                    let labels = known.labels.iter().map(|(name, value)| (name.clone(), value.clone().into()));
                    object.insert("labels".to_owned(), Value::Object(labels.collect()));
                }
                None => put(&mut object, "series", &format!("{series:016x}")),
            }
            // JSON has no NaN: a stale marker is `null`.
            object.insert("value".to_owned(), json!(columns.value[row]));
            out.push(Value::Object(object));
        }
    }
}

/// What every row begins with.
fn head(batch: &Batch, source: &str, time: i64) -> Map<String, Value> {
    let mut object = Map::new();
    put(&mut object, "source", source);
    put(&mut object, "tenant", batch.tenant());
    put(&mut object, "signal", batch.kind().name());
    put(&mut object, "time", &EventTime(time).to_string());
    object
}

fn put(object: &mut Map<String, Value>, name: &str, value: &str) {
    object.insert(name.to_owned(), Value::String(value.to_owned()));
}

fn put_filled(object: &mut Map<String, Value>, name: &str, value: Option<&str>) {
    if let Some(value) = value.filter(|value| !value.is_empty()) {
        put(object, name, value);
    }
}

fn put_labels(object: &mut Map<String, Value>, name: &str, labels: Labels<'_>) {
    if !labels.is_empty() {
        let pairs = labels.iter().map(|(name, value)| (name.to_owned(), Value::String(value.to_owned())));
        object.insert(name.to_owned(), Value::Object(pairs.collect()));
    }
}

fn logs(batch: &Batch, source: &str, out: &mut Vec<Value>) {
    let columns = LogColumns::of(batch);
    for row in 0..columns.len() {
        let mut object = head(batch, source, columns.time[row]);
        put(&mut object, "entity", columns.entity(row));
        object.insert("severity".to_owned(), json!(columns.severity[row]));
        put(&mut object, "body", columns.body(row));
        put_labels(&mut object, "attributes", columns.attributes(row));
        put_filled(&mut object, "trace_id", columns.trace_id(row));
        out.push(Value::Object(object));
    }
}

fn alerts(batch: &Batch, source: &str, out: &mut Vec<Value>) {
    let columns = AlertColumns::of(batch);
    for row in 0..columns.len() {
        let mut object = head(batch, source, columns.time[row]);
        put(&mut object, "name", columns.name(row));
        put(&mut object, "entity", columns.entity(row));
        put(&mut object, "severity", columns.severity(row).name());
        put_filled(&mut object, "status", columns.status(row).map(|status| status.name()));
        put(&mut object, "fingerprint", &format!("{:016x}", columns.fingerprint[row]));
        put_labels(&mut object, "labels", columns.labels(row));
        put_labels(&mut object, "annotations", columns.annotations(row));
        out.push(Value::Object(object));
    }
}

fn changes(batch: &Batch, source: &str, out: &mut Vec<Value>) {
    let columns = ChangeColumns::of(batch);
    for row in (0..columns.len()).map(|row| columns.row(row)) {
        let mut object = head(batch, source, row.time.0);
        put(&mut object, "id", row.id);
        put(&mut object, "type", row.change_type);
        put(&mut object, "entity", row.entity);
        for (name, value) in [("artifact", row.artifact), ("who", row.who), ("url", row.url), ("text", row.text)] {
            put_filled(&mut object, name, value);
        }
        out.push(Value::Object(object));
    }
}

fn edges(batch: &Batch, source: &str, out: &mut Vec<Value>) {
    let columns = EdgeColumns::of(batch);
    for row in (0..columns.len()).filter_map(|row| columns.row(row)) {
        let mut object = head(batch, source, row.time.0);
        put(&mut object, "from", row.from);
        put(&mut object, "relation", row.relation.name());
        put(&mut object, "to", row.to);
        object.insert("confidence".to_owned(), json!(row.confidence));
        out.push(Value::Object(object));
    }
}

#[cfg(test)]
mod tests {
    use bellwether_engine::signal::{LogBuilder, LogRow, MetricBuilder};

    use super::*;

    fn log(tenant: &str, body: &str) -> Input {
        let mut logs = LogBuilder::new();
        let time = EventTime::from_secs(1_772_359_200);
        logs.push(&LogRow { time, entity: "host:a", severity: 17, body, attributes: &[("k", "v")], trace_id: None });
        Input::Batch(logs.finish(tenant).expect("a tenant"))
    }

    #[tokio::test]
    async fn a_tap_sees_its_source_and_its_tenant_only() {
        let taps = Taps::default();
        let mut tap = taps.open(Some("syslog"), None).expect("the first");
        taps.offer(&"loki".into(), &[log("acme", "elsewhere")]);
        taps.offer(&"syslog".into(), &[log("acme", "ours"), log("other", "theirs")]);
        taps.close();
        let mut rows = Rows::new(Some("acme".into()));
        let write = tap.next().await.expect("one write");
        let shown = rows.of(&write, None).await;
        assert_eq!(shown.len(), 1, "{shown:?}");
        assert_eq!(shown[0]["body"], "ours");
        assert_eq!(shown[0]["attributes"]["k"], "v");
        assert!(tap.next().await.is_none(), "closed");
    }

    #[tokio::test]
    async fn a_slow_tap_misses_rows_is_told_so_and_holds_nobody_up() {
        let taps = Taps::default();
        let mut tap = taps.open(None, None).expect("the first");
        for _ in 0..QUEUE_WRITES_MAX + 5 {
            taps.offer(&"x".into(), &[log("acme", "line")]);
        }
        assert_eq!((tap.missed(), tap.missed()), (5, 0));
        assert!(tap.next().await.is_some());
    }

    #[test]
    fn there_are_never_too_many_taps_and_a_closed_one_makes_room() {
        let taps = Taps::default();
        let mut open: Vec<Tap> = (0..TAPS_MAX).map(|_| taps.open(None, None).expect("room")).collect();
        assert!(taps.open(None, None).is_none());
        open.pop();
        assert!(taps.open(None, None).is_some());
    }

    #[tokio::test]
    async fn a_sample_is_shown_with_its_series_name_whoever_knows_it() {
        struct Book;
        impl Describe for Book {
            fn describe<'a>(&'a self, _: &'a str, series: Vec<u64>) -> BoxFuture<'a, Vec<SeriesName>> {
                let known = series.into_iter().filter(|series| *series == 7).map(|series| SeriesName {
                    series,
                    name: "up".to_owned(),
                    entity: "host:a".to_owned(),
                    labels: Vec::new(),
                });
                let known = known.collect();
                Box::pin(async move { known })
            }
        }
        let mut samples = MetricBuilder::new();
        samples.push(EventTime::from_secs(1), 7, 1.0);
        samples.push(EventTime::from_secs(1), 8, f64::NAN);
        let inputs: Arc<[Input]> = [Input::Batch(samples.finish("acme").expect("a tenant"))].into();
        let write = Tapped { source: "remote_write".into(), inputs };
        let shown = Rows::default().of(&write, Some(&Book)).await;
        assert_eq!((&shown[0]["name"], &shown[0]["value"]), (&json!("up"), &json!(1.0)));
        assert_eq!((&shown[1]["series"], &shown[1]["value"]), (&json!("0000000000000008"), &Value::Null));
    }

    #[test]
    fn no_tenant_has_all_taps_and_operators_always_find_one() {
        let (taps, [a, b]) = (Taps::default(), ["a", "b"].map(|name| TenantName::new(name).expect("a name")));
        let open = |holder| std::iter::from_fn(|| taps.open(None, holder)).collect::<Vec<Tap>>();
        let (of_a, of_b) = (open(Some(&a)), open(Some(&b)));
        assert_eq!((of_a.len(), of_b.len()), (4, 3));
        assert_eq!(open(None).len(), 1);
        drop(of_a);
        assert!(taps.open(None, Some(&b)).is_some(), "what is closed is free again");
    }
}
