//! `/metrics`: what each wire received, accepted and refused, in Prometheus' text format 0.0.4.

use std::fmt::Write as _;

use crate::wire::WireTotals;

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

/// Writes the counters of all wires.
pub fn exposition(reports: &[WireReport]) -> String {
    let mut out = String::with_capacity(1_024);
    type Read = fn(&WireTotals) -> u64;
    let families: [(&str, &str, Read); 4] = [
        ("component_received_requests_total", "Requests or datagrams received.", |t| t.requests),
        ("component_received_bytes_total", "Bytes received, before decompression.", |t| t.bytes),
        ("component_accepted_events_total", "Events made durable.", |t| t.accepted),
        ("component_duplicate_events_total", "Requests recognised as sent before.", |t| t.duplicates),
    ];
    for (name, help, read) in families {
        header(&mut out, name, help);
        for report in reports {
            line(&mut out, name, report, "", read(&report.totals));
        }
    }
    let name = "component_refused_events_total";
    header(&mut out, name, "Events refused, by reason.");
    for report in reports {
        for (reason, count) in &report.totals.refused {
            line(&mut out, name, report, reason, *count);
        }
    }
    out
}

fn header(out: &mut String, name: &str, help: &str) {
    let _ = writeln!(out, "# HELP bellwether_{name} {help}");
    let _ = writeln!(out, "# TYPE bellwether_{name} counter");
}

fn line(out: &mut String, name: &str, report: &WireReport, reason: &str, value: u64) {
    let _ = write!(out, "bellwether_{name}{{component_id=\"");
    for ch in report.id.chars() {
        match ch {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            _ => out.push(ch),
        }
    }
    let _ = write!(out, "\",component_kind=\"source\",component_type=\"{}\"", report.kind);
    if !reason.is_empty() {
        let _ = write!(out, ",reason=\"{reason}\"");
    }
    let _ = writeln!(out, "}} {value}");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

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
        let text = exposition(&[report]);
        let of = "component_id=\"a\\\"b\",component_kind=\"source\",component_type=\"syslog\"";
        for want in [
            format!("bellwether_component_received_requests_total{{{of}}} 3\n"),
            format!("bellwether_component_accepted_events_total{{{of}}} 2\n"),
            format!("bellwether_component_refused_events_total{{{of},reason=\"too_large\"}} 1\n"),
        ] {
            assert!(text.contains(&want), "{want} in {text}");
        }
    }
}
