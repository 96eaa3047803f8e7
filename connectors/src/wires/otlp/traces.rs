//! Spans to topology: who calls whom, how often, how well and how fast.
//!
//! A server or consumer span whose parent belongs to another service is a call. Parent and
//! child come in requests of different senders, so both wait for each other in a bounded table
//! of span ids; a span id seen before is a re-send and counted once. Calls to databases, which
//! send no spans, are read from the client's `db.system`. Each pair of services is told as an
//! edge once a minute while it is used, and as three counters of the called service:
//! `traces_service_graph_request_total`, `…_request_failed_total` and
//! `…_request_server_seconds_sum`, with labels `client` and `server`, the names of the
//! OpenTelemetry service graph connector. It works when all spans of a trace reach one
//! instance.

use std::collections::{BTreeMap, HashMap};

use bellwether_engine::signal::{EdgeBuilder, EdgeRow, MetricBuilder, Relation, SeriesType};
use bellwether_engine::time::{EventTime, Span as TimeSpan};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::attributes::{Label, all, of_list, of_resource};
use crate::intake::reject::Refusals;
use crate::limits::Limits;
use crate::resolve::entity_resolution::{EntityResolver, UNKNOWN_ENTITY};
use crate::resolve::series_table::Session;

/// Span ids remembered per generation; two generations are kept: about 10 MB per tenant.
const SPANS_MAX: usize = 131_072;
/// How long a span waits for its parent at least.
const WAIT: TimeSpan = TimeSpan::from_secs(120);
/// Pairs of services counted per tenant; further ones are refused and counted.
const PAIRS_MAX: usize = 20_000;
/// An edge in use is told again after this long, so that its age is known.
const EDGE_EVERY: TimeSpan = TimeSpan::from_mins(1);

const ERROR: i32 = 2;

/// A server span that waits for its parent.
#[derive(Clone, Copy)]
struct Call {
    server: u32,
    seconds: f64,
    failed: bool,
    end: EventTime,
}

#[derive(Default)]
struct Generation {
    /// Span → its service.
    spans: HashMap<u64, u32>,
    /// Parent span → calls made under it.
    waiting: HashMap<u64, Vec<Call>>,
}

/// Totals of one pair since the start.
#[derive(Default)]
struct Pair {
    calls: u64,
    failed: u64,
    seconds: f64,
    /// Latest end of a call; the counters' time.
    time: EventTime,
    told: Option<EventTime>,
    changed: bool,
}

/// What is remembered of one tenant's traces.
#[derive(Default)]
pub(super) struct Graph {
    names: Vec<String>,
    numbers: HashMap<String, u32>,
    current: Generation,
    previous: Generation,
    turned: EventTime,
    pairs: BTreeMap<(u32, u32), Pair>,
}

/// What came of one request.
pub(super) struct Folded {
    pub(super) edges: EdgeBuilder,
    pub(super) samples: MetricBuilder,
    pub(super) accepted: u64,
    pub(super) refused: Refusals,
}

impl Graph {
    /// Reads the spans of `request` and tells what they changed.
    pub(super) fn decode(
        &mut self,
        request: &ExportTraceServiceRequest,
        resolver: &EntityResolver,
        limits: &Limits,
        received: EventTime,
        session: &mut Session<'_>,
    ) -> Folded {
        let mut told = Folded {
            edges: EdgeBuilder::new(),
            samples: MetricBuilder::new(),
            accepted: 0,
            refused: Refusals::default(),
        };
        for of_resource_spans in &request.resource_spans {
            let resource = of_resource(of_resource_spans.resource.as_ref());
            let of_no_span: [Label<'_>; 0] = [];
            let entity = resolver.resolve("", &all(&of_no_span, &resource));
            for scope in &of_resource_spans.scope_spans {
                for span in &scope.spans {
                    self.turn(received);
                    match self.span(span, &entity, resolver, limits, received) {
                        Ok(()) => told.accepted += 1,
                        Err(reason) => told.refused.add(reason, 1),
                    }
                }
            }
        }
        self.tell(session, &mut told);
        told
    }

    fn turn(&mut self, received: EventTime) {
        let full = self.current.spans.len() >= SPANS_MAX || self.current.waiting.len() >= SPANS_MAX;
        if full || received.since(self.turned) > WAIT {
            self.previous = std::mem::take(&mut self.current);
            self.turned = received;
        }
    }

    fn span(
        &mut self,
        span: &Span,
        entity: &str,
        resolver: &EntityResolver,
        limits: &Limits,
        received: EventTime,
    ) -> Result<(), &'static str> {
        if span.span_id.len() != 8 || span.trace_id.len() != 16 {
            return Err("span_id");
        }
        if entity == UNKNOWN_ENTITY {
            return Err("no_service");
        }
        let sent = match span.end_time_unix_nano {
            0 => None,
            nanos => Some(EventTime(i64::try_from(nanos).unwrap_or(i64::MAX))),
        };
        let end = limits.dated(sent, received)?;
        let own = span_key(&span.trace_id, &span.span_id);
        if self.current.spans.contains_key(&own) || self.previous.spans.contains_key(&own) {
            return Ok(());
        }
        let service = self.number(entity)?;
        self.current.spans.insert(own, service);
        for generation in [&mut self.current, &mut self.previous] {
            if let Some(calls) = generation.waiting.remove(&own) {
                for call in calls {
                    count(&mut self.pairs, service, call)?;
                }
            }
        }
        let nanos = span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano);
        let call = Call {
            server: service,
            seconds: nanos as f64 / 1e9,
            failed: span.status.as_ref().is_some_and(|status| status.code == ERROR),
            end,
        };
        match SpanKind::try_from(span.kind) {
            Ok(SpanKind::Server | SpanKind::Consumer) if !span.parent_span_id.is_empty() => {
                let parent = span_key(&span.trace_id, &span.parent_span_id);
                let known = self.current.spans.get(&parent).or_else(|| self.previous.spans.get(&parent));
                match known {
                    Some(client) => count(&mut self.pairs, *client, call)?,
                    None => self.current.waiting.entry(parent).or_default().push(call),
                }
            }
            Ok(SpanKind::Client) => {
                if let Some(database) = database(span, resolver) {
                    let server = self.number(&database)?;
                    count(&mut self.pairs, service, Call { server, ..call })?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn number(&mut self, entity: &str) -> Result<u32, &'static str> {
        if let Some(number) = self.numbers.get(entity) {
            return Ok(*number);
        }
        if self.names.len() >= PAIRS_MAX {
            return Err("services_max");
        }
        let number = self.names.len() as u32;
        self.names.push(entity.to_owned());
        self.numbers.insert(entity.to_owned(), number);
        Ok(number)
    }

    /// Writes the pairs that changed.
    fn tell(&mut self, session: &mut Session<'_>, told: &mut Folded) {
        for ((client, server), pair) in &mut self.pairs {
            if !std::mem::take(&mut pair.changed) {
                continue;
            }
            let (from, to) = (&self.names[*client as usize], &self.names[*server as usize]);
            if pair.told.is_none_or(|at| pair.time.since(at) >= EDGE_EVERY) {
                pair.told = Some(pair.time);
                told.edges.push(&EdgeRow {
                    time: pair.time,
                    from,
                    to,
                    relation: Relation::Calls,
                    source: "traces",
                    confidence: 1.0,
                });
            }
            let counters = [
                ("traces_service_graph_request_total", "", pair.calls as f64),
                ("traces_service_graph_request_failed_total", "", pair.failed as f64),
                ("traces_service_graph_request_server_seconds_sum", "s", pair.seconds),
            ];
            for (name, unit, value) in counters {
                let key = xxh3_128(format!("{name}\n{from}\n{to}").as_bytes());
                let id = match session.known(key) {
                    Some(id) => Ok(id),
                    None => {
                        let mut labels = vec![("client", from.as_str()), ("server", to.as_str())];
                        session.describe_of(key, name, to, unit, SeriesType::Counter, &mut labels)
                    }
                };
                match id {
                    Ok(id) => told.samples.push(pair.time, id, value),
                    Err(reason) => told.refused.add(reason, 1),
                }
            }
        }
    }

    /// What was told was not stored: tell it again with the next spans.
    pub(super) fn tell_again(&mut self) {
        for pair in self.pairs.values_mut() {
            pair.told = None;
        }
    }
}

fn count(pairs: &mut BTreeMap<(u32, u32), Pair>, client: u32, call: Call) -> Result<(), &'static str> {
    if client == call.server {
        return Ok(());
    }
    if pairs.len() >= PAIRS_MAX && !pairs.contains_key(&(client, call.server)) {
        return Err("pairs_max");
    }
    let pair = pairs.entry((client, call.server)).or_default();
    pair.calls += 1;
    pair.failed += u64::from(call.failed);
    pair.seconds += call.seconds;
    // Counters of one pair never share an instant, or the second would look like a re-send.
    let next = EventTime(pair.time.0.saturating_add(1));
    if !pair.changed {
        pair.time = call.end.max(next);
        pair.changed = true;
    } else {
        pair.time = pair.time.max(call.end);
    }
    Ok(())
}

/// The database a client span calls.
fn database(span: &Span, resolver: &EntityResolver) -> Option<String> {
    let attributes = of_list(&span.attributes);
    let get = |names: &[&str]| {
        names.iter().find_map(|name| {
            let found = attributes.iter().find(|(key, value)| key == name && !value.is_empty());
            found.map(|(_, value)| value.as_ref())
        })
    };
    let system = get(&["db.system.name", "db.system"])?;
    let name = get(&["db.namespace", "db.name", "server.address", "net.peer.name"]).unwrap_or(system);
    resolver.spoken(&format!("db:{name}"))
}

fn span_key(trace: &[u8], span: &[u8]) -> u64 {
    let mut bytes = [0u8; 24];
    let (head, tail) = bytes.split_at_mut(16);
    head.copy_from_slice(&trace[..16]);
    let length = span.len().min(8);
    tail[..length].copy_from_slice(&span[..length]);
    xxh3_64(&bytes)
}
