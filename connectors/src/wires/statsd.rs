//! StatsD and DogStatsD over UDP.
//!
//! ```yaml
//! statsd: { listen: 127.0.0.1:8125, interval_secs: 10 }
//! ```
//!
//! Values are summed up and written once per interval: a counter `c` as a running total, a
//! gauge `g` as it stands (`+1` and `-1` change it), a timer `ms`, `h` or `d` as `<name>.count`
//! and `<name>.sum` totals with the interval's `<name>.max`, a set `s` as its number of
//! distinct members. Tags (`|#host:db-1`) are labels; without a tag that names one, the entity
//! is the sender's address. Reference: statsd `docs/metric_types.md`, DogStatsD datagrams.

use std::collections::{BTreeMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use bellwether_engine::input::Input;
use bellwether_engine::signal::{MetricBuilder, SeriesType, TenantName};
use bellwether_engine::time::{EventTime, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use crate::resolve::entity_resolution::UNKNOWN_ENTITY;
use crate::resolve::series_table::SeriesTable;
use crate::server::listener::{Endpoint, Transport};
use crate::server::packets::{Datagrams, Gathered, Packet, PacketWire};
use crate::wires::declare::{Door, WireConfig, WireRow};

/// Most names held between two writes, per process; further ones are refused.
const NAMES_MAX: usize = 100_000;
/// Most members of a set that are told apart.
const MEMBERS_MAX: usize = 10_000;
/// A name that is silent for this long is forgotten.
const FORGET: Span = Span::from_hours(1);

/// Where StatsD is received.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StatsdConfig {
    /// Address and port.
    pub listen: SocketAddr,
    /// Seconds between two writes; statsd's own default is 10.
    pub interval_secs: u32,
}

impl Default for StatsdConfig {
    fn default() -> StatsdConfig {
        StatsdConfig { listen: SocketAddr::from(([127, 0, 0, 1], 8125)), interval_secs: 10 }
    }
}

impl WireConfig for StatsdConfig {
    fn doors(&self) -> Vec<Door<'_>> {
        let endpoint = Endpoint {
            name: "statsd",
            protocol: "StatsD",
            key: "listen",
            transport: Transport::Udp,
            address: self.listen,
            tls: None,
            asks_for_secret: false,
        };
        vec![Door::own(endpoint, |shared| {
            let wire = Arc::new(Statsd::new(self, shared.series.clone()));
            Ok(Datagrams::new("statsd", self.listen, wire, shared.auth.clone()).listening())
        })]
    }

    fn rows() -> &'static [WireRow] {
        &[WireRow {
            wire: "StatsD, DogStatsD (`src/wires/statsd.rs`)",
            at: "UDP",
            answers: "none",
            again: "–",
            peer: "–",
        }]
    }
}

/// What is known of one name.
#[derive(Default)]
struct Entry {
    kind: Option<Kind>,
    total: f64,
    count: f64,
    max: f64,
    members: HashSet<u64>,
    changed: bool,
    heard: EventTime,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Counter,
    Gauge,
    Timer,
    Set,
}

/// Tenant, sender, name and tags as sent.
type Key = (TenantName, IpAddr, String, String);

#[derive(Default)]
struct State {
    entries: BTreeMap<Key, Entry>,
    written: EventTime,
}

/// The aggregator.
pub(crate) struct Statsd {
    interval: Span,
    series: Arc<SeriesTable>,
    state: Mutex<State>,
}

struct StatsdSample<'a> {
    name: &'a str,
    value: &'a str,
    kind: Kind,
    rate: f64,
    tags: &'a str,
}

impl Statsd {
    /// An aggregator that describes new series through `series`.
    pub(crate) fn new(config: &StatsdConfig, series: Arc<SeriesTable>) -> Statsd {
        Statsd { interval: Span::from_secs(i64::from(config.interval_secs.max(1))), series, state: Mutex::default() }
    }

    fn write(&self, state: &mut State, now: EventTime) -> Vec<(TenantName, Vec<Input>)> {
        state.entries.retain(|_, entry| now.since(entry.heard) < FORGET);
        let mut by_tenant: BTreeMap<TenantName, Vec<(&Key, &mut Entry)>> = BTreeMap::new();
        for (key, entry) in &mut state.entries {
            if entry.changed {
                by_tenant.entry(key.0.clone()).or_default().push((key, entry));
            }
        }
        by_tenant
            .into_iter()
            .map(|(tenant, entries)| {
                let inputs = self.write_tenant(&tenant, entries, now);
                (tenant, inputs)
            })
            .collect()
    }

    fn write_tenant(&self, tenant: &TenantName, entries: Vec<(&Key, &mut Entry)>, now: EventTime) -> Vec<Input> {
        let mut samples = MetricBuilder::new();
        let ((), mut inputs) = self.series.session(tenant, "statsd", now, |session| {
            for (key, entry) in entries {
                let (total, level) = (SeriesType::Counter, SeriesType::Gauge);
                let parts: Vec<(&str, f64, SeriesType)> = match entry.kind {
                    Some(Kind::Counter) => vec![("", entry.total, total)],
                    Some(Kind::Timer) => {
                        vec![(".count", entry.count, total), (".sum", entry.total, total), (".max", entry.max, level)]
                    }
                    Some(Kind::Set) => vec![("", entry.members.len() as f64, level)],
                    Some(Kind::Gauge) | None => vec![("", entry.total, level)],
                };
                for (suffix, value, kind) in parts {
                    let (_, from, name, tags) = key;
                    let hash = xxh3_128(format!("{from}\n{name}{suffix}\n{tags}").as_bytes());
                    let id = match session.known(hash) {
                        Some(id) => Ok(id),
                        None => {
                            let mut labels = labels_of(tags);
                            let entity = match self.series.resolver().resolve(name, &labels) {
                                unknown if unknown == UNKNOWN_ENTITY => self.series.resolver().host(&from.to_string()),
                                entity => entity,
                            };
                            session.describe_of(hash, &format!("{name}{suffix}"), &entity, "", kind, &mut labels)
                        }
                    };
                    // A refused series stays refused until its hour is over; there is nobody to tell.
                    if let Ok(id) = id {
                        samples.push(now, id, value);
                    }
                }
                entry.changed = false;
                entry.max = 0.0;
                entry.members.clear();
            }
        });
        let batch = samples.finish_for(tenant);
        if !batch.is_empty() {
            inputs.push(Input::Batch(batch));
        }
        inputs
    }
}

impl PacketWire for Statsd {
    fn read(&self, packet: Packet<'_>, _: &mut Gathered) -> Result<Option<Vec<u8>>, &'static str> {
        let text = std::str::from_utf8(packet.bytes).map_err(|_| "malformed")?;
        let mut state = self.state.lock().unwrap_or_else(|held| held.into_inner());
        let mut result = Ok(None);
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            // DogStatsD's events and service checks are no metrics.
            let read = parse(line.trim()).ok_or("malformed");
            if let Err(reason) = read.and_then(|line| state.add(&packet, &line)) {
                result = Err(reason);
            }
        }
        result
    }

    fn due(&self, now: EventTime) -> Vec<(TenantName, Vec<Input>)> {
        let mut state = self.state.lock().unwrap_or_else(|held| held.into_inner());
        if now.since(state.written) < self.interval {
            return Vec::new();
        }
        state.written = now;
        self.write(&mut state, now)
    }

    fn undo(&self, inputs: &[Input]) {
        self.series.undo(inputs);
    }
}

impl State {
    fn add(&mut self, packet: &Packet<'_>, line: &StatsdSample<'_>) -> Result<(), &'static str> {
        let key = (packet.tenant.clone(), packet.from, line.name.to_owned(), line.tags.to_owned());
        if self.entries.len() >= NAMES_MAX && !self.entries.contains_key(&key) {
            return Err("names_max");
        }
        let number = || line.value.parse::<f64>().ok().filter(|value| value.is_finite()).ok_or("malformed");
        let value = if line.kind == Kind::Set { 0.0 } else { number()? };
        let entry = self.entries.entry(key).or_default();
        if *entry.kind.get_or_insert(line.kind) != line.kind {
            return Err("another_type");
        }
        match line.kind {
            Kind::Counter => entry.total += value / line.rate,
            Kind::Gauge if line.value.starts_with(['+', '-']) => entry.total += value,
            Kind::Gauge => entry.total = value,
            Kind::Timer => {
                entry.count += 1.0 / line.rate;
                entry.total += value / line.rate;
                entry.max = entry.max.max(value);
            }
            Kind::Set => {
                if entry.members.len() < MEMBERS_MAX {
                    entry.members.insert(xxh3_64(line.value.as_bytes()));
                }
            }
        }
        entry.changed = true;
        entry.heard = packet.received;
        Ok(())
    }
}

/// `name:value|type[|@rate][|#tag:value,…]`
fn parse(line: &str) -> Option<StatsdSample<'_>> {
    let (name, rest) = line.split_once(':')?;
    let mut parts = rest.split('|');
    let value = parts.next()?;
    let kind = match parts.next()? {
        "c" => Kind::Counter,
        "g" => Kind::Gauge,
        "ms" | "h" | "d" => Kind::Timer,
        "s" => Kind::Set,
        _ => return None,
    };
    let (mut rate, mut tags) = (1.0, "");
    for part in parts {
        if let Some(text) = part.strip_prefix('@') {
            rate = text.parse::<f64>().ok().filter(|rate| *rate > 0.0 && *rate <= 1.0)?;
        } else if let Some(text) = part.strip_prefix('#') {
            tags = text;
        }
    }
    let line = StatsdSample { name, value, kind, rate, tags };
    (!name.is_empty() && !value.is_empty()).then_some(line)
}

/// `host:db-1,fast` → labels; a tag without a value is `true`, the last of equal names wins.
fn labels_of(tags: &str) -> Vec<(&str, &str)> {
    let pairs = tags
        .split(',')
        .filter(|tag| !tag.is_empty())
        .map(|tag| tag.split_once(':').unwrap_or((tag, "true")))
        .filter(|(name, _)| !name.is_empty());
    bellwether_engine::signal::sorted_labels(pairs)
}

#[cfg(test)]
mod tests {
    use bellwether_engine::signal::{MetricColumns, SeriesColumns, SignalKind};
    use proptest::prelude::*;

    use super::*;
    use crate::limits::Limits;
    use crate::resolve::entity_resolution::EntityResolver;
    use crate::server::testing::acme;

    fn statsd() -> Statsd {
        let table = SeriesTable::new(Arc::new(EntityResolver::default()), &Limits::default());
        Statsd::new(&StatsdConfig::default(), Arc::new(table))
    }

    fn send(statsd: &Statsd, text: &[u8], secs: i64) -> Result<(), &'static str> {
        let packet =
            Packet { tenant: acme(), from: [10, 0, 0, 9].into(), bytes: text, received: EventTime::from_secs(secs) };
        statsd.read(packet, &mut Gathered::default()).map(|_| ())
    }

    /// Names and values written at `secs`.
    fn written(statsd: &Statsd, names: &mut BTreeMap<u64, (String, String)>, secs: i64) -> BTreeMap<String, f64> {
        let mut found = BTreeMap::new();
        for (tenant, inputs) in statsd.due(EventTime::from_secs(secs)) {
            assert_eq!(&*tenant, "acme");
            for input in inputs {
                let Input::Batch(batch) = input else { continue };
                if batch.kind() == SignalKind::Series {
                    let columns = SeriesColumns::of(&batch);
                    for row in (0..columns.len()).map(|row| columns.row(row)) {
                        names.insert(row.series, (row.name.to_owned(), row.entity.to_owned()));
                    }
                } else {
                    let columns = MetricColumns::of(&batch);
                    for (series, value) in columns.series.iter().zip(columns.value) {
                        found.insert(names[series].0.clone(), *value);
                    }
                }
            }
        }
        found
    }

    #[test]
    fn values_are_summed_up_once_per_interval() {
        let (statsd, mut names) = (statsd(), BTreeMap::new());
        assert!(statsd.due(EventTime::from_secs(100)).is_empty());
        send(&statsd, b"hits:2|c|@0.5\nhits:1|c\nload:3|g\nload:-1|g\n", 101).expect("well formed");
        send(&statsd, b"t:10|ms\nt:30|ms\nu:ann|s\nu:bob|s\nu:ann|s\ntagged:1|c|#host:db-1.x,fast", 102)
            .expect("well formed");
        assert!(written(&statsd, &mut names, 105).is_empty(), "the interval is not over");
        let first = written(&statsd, &mut names, 110);
        let want = [
            ("hits", 5.0),
            ("load", 2.0),
            ("t.count", 2.0),
            ("t.max", 30.0),
            ("t.sum", 40.0),
            ("tagged", 1.0),
            ("u", 2.0),
        ];
        assert_eq!(first, want.map(|(name, value)| (name.to_owned(), value)).into());
        let entity = |name: &str| names.values().find(|(known, _)| known == name).map(|(_, entity)| entity.clone());
        assert_eq!(entity("tagged").as_deref(), Some("host:db-1"));
        assert_eq!(entity("hits").as_deref(), Some("host:10.0.0.9"));
        send(&statsd, b"hits:1|c", 111).expect("well formed");
        assert_eq!(written(&statsd, &mut names, 120), BTreeMap::from([("hits".to_owned(), 6.0)]));
    }

    #[test]
    fn what_is_no_metric_is_refused_and_the_rest_of_the_packet_counts() {
        let (statsd, mut names) = (statsd(), BTreeMap::new());
        statsd.due(EventTime::from_secs(100));
        for bad in [&b"x"[..], b"x:1", b"x:1|q", b":1|c", b"x:|c", b"x:nan|g", b"x:1|c|@0", b"\xff"] {
            assert_eq!(send(&statsd, bad, 101), Err("malformed"), "{bad:?}");
        }
        assert_eq!(send(&statsd, b"x:1|c\nbad\nx:2|g", 101), Err("another_type"));
        assert_eq!(written(&statsd, &mut names, 110).get("x"), Some(&1.0));
    }

    proptest! {
        #![proptest_config(crate::fuzz::config())]

        #[test]
        fn any_packet_is_taken_or_refused(text in "[a-z:|@#.,0-9+\\n-]{0,80}", bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let statsd = statsd();
            let _ = send(&statsd, text.as_bytes(), 1);
            let _ = send(&statsd, &bytes, 1);
            statsd.due(EventTime::from_secs(100));
        }
    }
}
