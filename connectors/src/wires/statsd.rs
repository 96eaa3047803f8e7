//! StatsD and DogStatsD over UDP.
//!
//! ```yaml
//! statsd: { listen: 127.0.0.1:8125, interval_secs: 10 }
//! ```
//!
//! Values are summed up and written once per interval: a counter `c` as a running total, a
//! gauge `g` as it stands (`+1` and `-1` change it), a timer `ms`, `h` or `d` as `<name>.count`
//! and `<name>.sum` totals with the interval's `<name>.max`, a set `s` as its number of
//! distinct members. A line may hold several values (`t:1:2:3|ms`). A name that comes with a second
//! type is a second series, `<name>.gauge` and so on. DogStatsD's events and service checks are counted
//! as `event` and `service_check` and not kept. Tags (`|#host:db-1`) are labels; without a tag that names one, the entity
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

/// Tenant, sender, name, and tags sorted by name: their order says nothing.
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
    /// One, or several with colons between them.
    values: &'a str,
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
    fn read(&self, packet: Packet<'_>, out: &mut Gathered) -> Result<Option<Vec<u8>>, &'static str> {
        let mut state = self.state.lock().unwrap_or_else(|held| held.into_inner());
        for line in packet.bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii) {
            // A line stands for itself: what is wrong with it is not its neighbours'.
            if !line.is_empty()
                && let Err(reason) = parse(line).and_then(|line| state.add(&packet, &line))
            {
                out.refused.add(reason, 1);
            }
        }
        Ok(None)
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
        let tags = sorted(line.tags);
        let mut key = (packet.tenant.clone(), packet.from, line.name.to_owned(), tags);
        let of_another_type = |entry: &Entry| entry.kind.is_some_and(|kind| kind != line.kind);
        if self.entries.get(&key).is_some_and(of_another_type) {
            key.2 = format!("{}{}", line.name, line.kind.suffix());
        }
        if self.entries.len() >= NAMES_MAX && !self.entries.contains_key(&key) {
            return Err("names_max");
        }
        if self.entries.get(&key).is_some_and(of_another_type) {
            return Err("another_type");
        }
        // All values of a line or none.
        let values = || line.values.split(':').filter(|_| line.kind != Kind::Set);
        if values().any(|text| !text.parse::<f64>().is_ok_and(f64::is_finite)) {
            return Err("malformed");
        }
        let entry = self.entries.entry(key).or_default();
        entry.kind = Some(line.kind);
        for text in values() {
            let value = text.parse::<f64>().map_err(|_| "malformed")?;
            match line.kind {
                Kind::Gauge if text.starts_with(['+', '-']) => entry.total += value,
                Kind::Gauge => entry.total = value,
                Kind::Timer => {
                    entry.count += 1.0 / line.rate;
                    entry.total += value / line.rate;
                    entry.max = entry.max.max(value);
                }
                Kind::Counter | Kind::Set => entry.total += value / line.rate,
            }
        }
        // A member may hold a colon, so that a set's values are not told apart.
        if line.kind == Kind::Set && entry.members.len() < MEMBERS_MAX {
            entry.members.insert(xxh3_64(line.values.as_bytes()));
        }
        entry.changed = true;
        entry.heard = packet.received;
        Ok(())
    }
}

impl Kind {
    /// What sets the name of a second type of a name apart.
    const fn suffix(self) -> &'static str {
        match self {
            Kind::Counter => ".counter",
            Kind::Gauge => ".gauge",
            Kind::Timer => ".timer",
            Kind::Set => ".set",
        }
    }
}

/// `name:value[:value…]|type[|@rate][|#tag:value,…]`
fn parse(line: &[u8]) -> Result<StatsdSample<'_>, &'static str> {
    if line.starts_with(b"_e{") {
        return Err("event");
    }
    if line.starts_with(b"_sc|") {
        return Err("service_check");
    }
    let line = std::str::from_utf8(line).map_err(|_| "malformed")?;
    metric(line).ok_or("malformed")
}

fn metric(line: &str) -> Option<StatsdSample<'_>> {
    let (name, rest) = line.split_once(':')?;
    let mut parts = rest.split('|');
    let values = parts.next()?;
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
    let line = StatsdSample { name, values, kind, rate, tags };
    (!name.is_empty() && !values.is_empty()).then_some(line)
}

/// The tags sorted by name, each once.
fn sorted(tags: &str) -> String {
    let pairs = labels_of(tags);
    let mut text = String::with_capacity(tags.len());
    for (name, value) in pairs {
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(name);
        text.push(':');
        text.push_str(value);
    }
    text
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
mod tests;
