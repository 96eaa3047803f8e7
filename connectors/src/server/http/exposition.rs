//! `/metrics`: what each source received, accepted and refused, what waits and how late it is, in
//! Prometheus' text format 0.0.4.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::HTTP_ID;
use crate::exposition::{head, label_value};
use crate::intake::FlowTotals;
use crate::intake::reject::Reason;
use crate::journal::receipts::ReceiptTotals;
use crate::server::counters::WireTotals;

/// One wire's totals under its component id.
#[derive(Clone, Debug)]
pub struct WireReport {
    /// The component's name in the configuration, e.g. `remote_write`.
    pub id: String,
    /// The kind of wire.
    pub kind: &'static str,
    /// Its totals.
    pub totals: WireTotals,
}

/// Rows refused, by source and reason, as the reject log counts them.
pub type RefusedRows = BTreeMap<(String, Reason), u64>;

/// Writes the counters of all sources: of wires as they count themselves, of the others as
/// they went through their door (`flows`) and into the reject log.
pub fn exposition(reports: &[WireReport], flows: &[FlowTotals], refused: &RefusedRows) -> String {
    let mut out = String::with_capacity(4_096);
    let readers = flows.iter().filter(|flow| reports.iter().all(|report| report.id != *flow.name));
    let readers = readers.filter(|flow| !flow.name.is_empty() && *flow.name != *HTTP_ID);
    let reports: Vec<WireReport> = reports.iter().cloned().chain(readers.map(|flow| reader(flow, refused))).collect();
    type Read = fn(&WireTotals) -> u64;
    let counted: [(&str, &str, Read); 4] = [
        ("component_received_requests_total", "Requests, datagrams or writes of rows received.", |t| t.requests),
        ("component_received_bytes_total", "Bytes received, before decompression.", |t| t.bytes),
        ("component_accepted_events_total", "Events made durable.", |t| t.accepted),
        ("component_duplicate_events_total", "Requests recognised as sent before.", |t| t.duplicates),
    ];
    for (name, help, read) in counted {
        head(&mut out, name, "counter", help);
        for report in &reports {
            line(&mut out, name, report, "", read(&report.totals));
        }
    }
    let name = "component_refused_events_total";
    head(&mut out, name, "counter", "Events refused, by reason.");
    for report in &reports {
        for (reason, count) in &report.totals.refused {
            line(&mut out, name, report, reason, *count);
        }
    }
    flow_gauges(&mut out, flows);
    out
}

/// What a source that counts nothing itself has done.
fn reader(flow: &FlowTotals, refused: &RefusedRows) -> WireReport {
    let of_source = refused.iter().filter(|((source, _), _)| **source == *flow.name);
    let totals = WireTotals {
        requests: flow.writes,
        accepted: flow.rows,
        refused: of_source.map(|((_, reason), count)| (reason.name(), *count)).collect(),
        ..WireTotals::default()
    };
    WireReport { id: flow.name.to_string(), kind: "source", totals }
}

/// What waits for the journal, how late it was, and when it last came.
fn flow_gauges(out: &mut String, flows: &[FlowTotals]) {
    type Read = fn(&FlowTotals) -> Option<f64>;
    let gauges: [(&str, &str, Read); 3] = [
        ("component_buffered_events", "Events handed to the journal that are not durable yet.", |flow| {
            Some(flow.waiting as f64)
        }),
        ("component_lag_seconds", "How old the newest event of the last group was when it became durable.", |flow| {
            flow.lag_secs
        }),
        ("component_last_accepted_timestamp_seconds", "When a group last became durable.", |flow| {
            flow.last.map(|at| at.0 as f64 / 1e9)
        }),
    ];
    for (name, help, read) in gauges {
        head(out, name, "gauge", help);
        for flow in flows.iter().filter(|flow| !flow.name.is_empty() && *flow.name != *HTTP_ID) {
            if let Some(value) = read(flow) {
                let _ = writeln!(out, "bellwether_{name}{{component_id=\"{}\"}} {value:.3}", label_value(&flow.name));
            }
        }
    }
}

/// Families of other parts, in the same form.
pub(super) mod families {
    use super::*;

    /// Connections that a listener refused or closed.
    pub(in crate::server::http) fn listener(out: &mut String, id: &str, totals: &WireTotals) {
        let name = "listener_closed_connections_total";
        head(out, name, "counter", "Connections refused or closed by a limit, and credentials refused, by reason.");
        for (reason, count) in &totals.refused {
            let _ = writeln!(out, "bellwether_{name}{{component_id=\"{id}\",reason=\"{reason}\"}} {count}");
        }
    }

    /// What is remembered of what senders may send again.
    pub(in crate::server::http) fn receipts(out: &mut String, totals: ReceiptTotals) {
        let name = "receipts";
        head(out, name, "gauge", "Keys of requests, documents and chunks that would be recognised if sent again.");
        let _ = writeln!(out, "bellwether_{name} {}", totals.keys);
        let name = "receipts_forgotten_total";
        head(
            out,
            name,
            "counter",
            "Keys forgotten: evicted because there were too many, expired because of their age.",
        );
        for (reason, count) in [("evicted", totals.evicted), ("expired", totals.expired)] {
            let _ = writeln!(out, "bellwether_{name}{{reason=\"{reason}\"}} {count}");
        }
    }
}

fn line(out: &mut String, name: &str, report: &WireReport, reason: &str, value: u64) {
    let (id, kind) = (label_value(&report.id), report.kind);
    let _ = write!(out, "bellwether_{name}{{component_id=\"{id}\",component_kind=\"source\",component_type=\"{kind}\"");
    if !reason.is_empty() {
        let _ = write!(out, ",reason=\"{reason}\"");
    }
    let _ = writeln!(out, "}} {value}");
}

#[cfg(test)]
mod tests {
    use bellwether_engine::time::EventTime;

    use super::*;

    #[test]
    fn totals_are_written_with_their_component() {
        let report = WireReport {
            id: "a\"b".to_owned(),
            kind: "syslog",
            totals: WireTotals {
                requests: 3,
                accepted: 2,
                refused: BTreeMap::from([("too_large", 1)]),
                ..WireTotals::default()
            },
        };
        let text = exposition(&[report], &[], &BTreeMap::new());
        let of = "component_id=\"a\\\"b\",component_kind=\"source\",component_type=\"syslog\"";
        for want in [
            format!("bellwether_component_received_requests_total{{{of}}} 3\n"),
            format!("bellwether_component_accepted_events_total{{{of}}} 2\n"),
            format!("bellwether_component_refused_events_total{{{of},reason=\"too_large\"}} 1\n"),
        ] {
            assert!(text.contains(&want), "{want} in {text}");
        }
    }

    #[test]
    fn a_source_that_is_no_wire_is_shown_by_what_went_through_its_door() {
        let flow = FlowTotals {
            name: "orders".into(),
            writes: 2,
            rows: 70,
            waiting: 5,
            lag_secs: Some(1.25),
            last: Some(EventTime::from_secs(9)),
        };
        let refused = BTreeMap::from([(("orders".to_owned(), Reason::Time), 4)]);
        let text = exposition(&[], &[flow], &refused);
        let of = "component_id=\"orders\",component_kind=\"source\",component_type=\"source\"";
        for want in [
            format!("bellwether_component_accepted_events_total{{{of}}} 70\n"),
            format!("bellwether_component_refused_events_total{{{of},reason=\"time\"}} 4\n"),
            "bellwether_component_buffered_events{component_id=\"orders\"} 5.000\n".to_owned(),
            "bellwether_component_lag_seconds{component_id=\"orders\"} 1.250\n".to_owned(),
            "bellwether_component_last_accepted_timestamp_seconds{component_id=\"orders\"} 9.000\n".to_owned(),
        ] {
            assert!(text.contains(&want), "{want} in {text}");
        }
    }
}
