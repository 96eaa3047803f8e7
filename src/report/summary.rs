//! What a run did, in a few lines: how much came in, what came out, how long it took.

use std::sync::Arc;
use std::time::Duration;

use bellwether_engine::incident::{IncidentEvent, IncidentStatus, Verb};
use bellwether_engine::time::Span;
use serde_json::{Value, json};

use super::{date_and_time, rough, safe};
use crate::term::{Lean, Table, Term, count, thousands};
use crate::wiring::gauges::Gauges;
use crate::wiring::screen::Kept;

/// Incidents in the table; the file has all.
const ROWS_MAX: usize = 40;

/// The table of incidents, the gravest and longest first.
pub fn incident_table(latest: &[Arc<IncidentEvent>], term: &Term) -> String {
    let tenants = tenant_count(latest);
    let mut events: Vec<&Arc<IncidentEvent>> =
        latest.iter().filter(|event| event.record.status != IncidentStatus::Merged).collect();
    events.sort_by_key(|event| (event.record.priority, event.record.opened_at, event.record.id.clone()));
    let mut columns =
        vec![("", Lean::Left), ("opened (UTC)", Lean::Left), ("alerts", Lean::Right), ("state", Lean::Left)];
    if tenants > 1 {
        columns.push(("tenant", Lean::Left));
    }
    columns.push(("incident", Lean::Left));
    let mut table = Table::new(&columns);
    for event in events.iter().take(ROWS_MAX) {
        let record = &event.record;
        let mut row = vec![
            record.priority.to_string(),
            date_and_time(record.opened_at),
            thousands(record.alert_count),
            state(record.status).to_owned(),
        ];
        if tenants > 1 {
            row.push(event.tenant.to_string());
        }
        row.push(safe(&record.title));
        table.row(row);
    }
    let mut out = table.render(term, 2);
    if events.len() > ROWS_MAX {
        out.push_str(&format!("  … and {} more\n", thousands((events.len() - ROWS_MAX) as u64)));
    }
    out
}

/// How many tenants have an incident.
pub fn tenant_count(latest: &[Arc<IncidentEvent>]) -> usize {
    let mut tenants: Vec<&str> = latest.iter().map(|event| &*event.tenant).collect();
    tenants.sort_unstable();
    tenants.dedup();
    tenants.len()
}

/// A status in a word.
pub(crate) fn state(status: IncidentStatus) -> &'static str {
    match status {
        IncidentStatus::Open => "open",
        IncidentStatus::Acknowledged => "taken",
        IncidentStatus::Resolved => "resolved",
        IncidentStatus::Closed => "closed",
        IncidentStatus::Merged => "merged",
    }
}

/// Figures of a run.
#[derive(Clone, Debug)]
pub struct Figures {
    /// Signals read.
    pub signals: u64,
    /// Rows refused.
    pub rejected: u64,
    /// Incidents, without those merged into others.
    pub incidents: u64,
    /// Events by verb.
    pub events: Vec<(Verb, u64)>,
    /// From start to end.
    pub took: Duration,
    /// p50, p99 and p99.9 from arrival to delivery, in microseconds.
    pub latency_us: Option<[u64; 3]>,
    /// Digest of the engine's last state.
    pub digest: u64,
}

impl Figures {
    /// Gathers the figures of a run.
    pub fn gather(gauges: &Gauges, kept: &Kept, rejected: u64, took: Duration, digest: u64) -> Figures {
        let latest = kept.latest();
        let live = latest.iter().filter(|event| event.record.status != IncidentStatus::Merged).count() as u64;
        let quantiles = |h: hdrhistogram::Histogram<u64>| [0.5, 0.99, 0.999].map(|q| h.value_at_quantile(q));
        Figures {
            signals: gauges.signals(),
            rejected,
            incidents: live + kept.forgotten(),
            events: kept.verbs().into_iter().collect(),
            took,
            latency_us: gauges.latency_us().map(quantiles),
            digest,
        }
    }

    /// Signals per second.
    pub fn rate(&self) -> u64 {
        (self.signals as f64 / self.took.as_secs_f64().max(1e-9)) as u64
    }

    /// The figures for a program.
    pub fn json(&self) -> Value {
        let events: serde_json::Map<String, Value> =
            self.events.iter().map(|(verb, count)| (verb.name().to_owned(), json!(count))).collect();
        json!({
            "signals": self.signals,
            "rejected": self.rejected,
            "incidents": self.incidents,
            "events": events,
            "seconds": self.took.as_secs_f64(),
            "signals_per_second": self.rate(),
            "latency_us": self.latency_us.map(|[p50, p99, p999]| json!({"p50": p50, "p99": p99, "p99.9": p999})),
            "state_digest": format!("{:016x}", self.digest),
        })
    }

    /// One line: what came in and what came out.
    pub fn line(&self) -> String {
        let events: u64 = self.events.iter().map(|(_, count)| count).sum();
        format!(
            "{} signals in {} ({} a second), {} told in {}",
            thousands(self.signals),
            rough(Span(i64::try_from(self.took.as_nanos()).unwrap_or(i64::MAX))),
            thousands(self.rate()),
            count(self.incidents, "incident"),
            count(events, "event"),
        )
    }
}

/// `0.8 ms`, `12 ms`, `1.2 s`.
pub fn micros(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..10_000 => format!("{:.1} ms", us as f64 / 1e3),
        10_000..1_000_000 => format!("{} ms", us / 1_000),
        _ => format!("{:.1} s", us as f64 / 1e6),
    }
}
