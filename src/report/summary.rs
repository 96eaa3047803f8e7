//! What a run did, in a few lines: how much came in, what came out, how long it took.

use std::sync::Arc;
use std::time::Duration;

use bellwether_engine::incident::{IncidentEvent, IncidentRecord, IncidentStatus, Priority, Verb};
use bellwether_engine::time::{EventTime, Span};
use serde_json::{Value, json};

use super::{date_and_time, rough, safe};
use crate::term::{Lean, Table, Term, count, thousands};
use crate::wiring::gauges::Gauges;
use crate::wiring::screen::Kept;

/// Incidents in the table; the file has all.
const ROWS_MAX: usize = 40;

/// One incident as a table tells it.
#[derive(Clone, Debug)]
pub struct IncidentLine {
    tenant: String,
    priority: Priority,
    opened_at: EventTime,
    alerts: u64,
    status: IncidentStatus,
    id: String,
    title: String,
}

impl IncidentLine {
    /// What a table tells of `record`.
    pub fn of(tenant: &str, record: &IncidentRecord) -> IncidentLine {
        IncidentLine {
            tenant: safe(tenant),
            priority: record.priority,
            opened_at: record.opened_at,
            alerts: record.alert_count,
            status: record.status,
            id: record.id.clone(),
            title: safe(&record.title),
        }
    }
}

/// A table of incidents in the order given, with their tenants where there are several.
pub fn incident_lines(lines: &[IncidentLine], ids: bool) -> Table {
    let several = tenants(lines.iter().map(|line| line.tenant.as_str())) > 1;
    let mut columns =
        vec![("", Lean::Left), ("opened (UTC)", Lean::Left), ("alerts", Lean::Right), ("state", Lean::Left)];
    columns.extend(several.then_some(("tenant", Lean::Left)));
    columns.extend(ids.then_some(("id", Lean::Left)));
    columns.push(("incident", Lean::Left));
    let mut table = Table::new(&columns);
    for line in lines {
        let mut row = vec![
            line.priority.to_string(),
            date_and_time(line.opened_at),
            thousands(line.alerts),
            state(line.status).to_owned(),
        ];
        row.extend(several.then(|| line.tenant.clone()));
        row.extend(ids.then(|| line.id.clone()));
        row.push(line.title.clone());
        table.row(row);
    }
    table
}

/// The table of incidents, the gravest and longest first.
pub fn incident_table(latest: &[Arc<IncidentEvent>], term: &Term) -> String {
    let mut lines: Vec<IncidentLine> = latest
        .iter()
        .filter(|event| event.record.status != IncidentStatus::Merged)
        .map(|event| IncidentLine::of(&event.tenant, &event.record))
        .collect();
    lines.sort_by(|a, b| (a.priority, a.opened_at, &a.id).cmp(&(b.priority, b.opened_at, &b.id)));
    let mut out = incident_lines(&lines[..lines.len().min(ROWS_MAX)], false).render(term, 2);
    if lines.len() > ROWS_MAX {
        out.push_str(&format!("  … and {} more\n", thousands((lines.len() - ROWS_MAX) as u64)));
    }
    out
}

/// How many tenants have an incident.
pub fn tenant_count(latest: &[Arc<IncidentEvent>]) -> usize {
    tenants(latest.iter().map(|event| &*event.tenant))
}

fn tenants<'a>(names: impl Iterator<Item = &'a str>) -> usize {
    names.collect::<std::collections::BTreeSet<&str>>().len()
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
