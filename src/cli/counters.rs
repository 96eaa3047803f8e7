//! What a running process has received, read from its `/metrics`.

use std::collections::BTreeMap;

use serde::Serialize;

/// The counters of one source.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Received {
    /// Requests, datagrams or groups of rows.
    pub(super) requests: u64,
    /// Events made durable.
    pub(super) accepted: u64,
    /// Events refused, by reason.
    pub(super) refused: BTreeMap<String, u64>,
    /// Events handed to the journal that are not durable yet.
    pub(super) buffered: u64,
    /// How old the newest event of the last group was when it became durable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) lag_secs: Option<f64>,
    /// How many seconds a clock is ahead, by the name of its source: those furthest off.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) clocks: BTreeMap<String, i64>,
    /// Whether it is a wire over HTTP.
    #[serde(skip)]
    pub(super) over_http: bool,
}

impl Received {
    /// `refused 3 late, 1 too_large`, or nothing; `verb` is what became of them.
    pub(super) fn refusals(&self, verb: &str) -> String {
        let parts: Vec<String> = self.refused.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        if parts.is_empty() { String::new() } else { format!("{verb} {}", parts.join(", ")) }
    }
}

impl Received {
    /// `clock of web-7 is 420 s ahead`, the worst first, or nothing.
    pub(super) fn clocks(&self) -> String {
        let mut clocks: Vec<(&String, i64)> = self.clocks.iter().map(|(name, ahead)| (name, *ahead)).collect();
        clocks.sort_by_key(|(_, ahead)| std::cmp::Reverse(ahead.unsigned_abs()));
        let told = |(name, ahead): (&String, i64)| {
            let side = if ahead < 0 { "behind" } else { "ahead" };
            format!("clock of {name} is {} s {side}", ahead.unsigned_abs())
        };
        clocks.into_iter().map(told).collect::<Vec<_>>().join(", ")
    }
}

/// The counters of every source in a page of Prometheus' text format 0.0.4; other families are
/// passed over. `over_http` names the wires over HTTP.
pub(super) fn read_counters(page: &str, over_http: &[&str]) -> BTreeMap<String, Received> {
    let mut found: BTreeMap<String, Received> = BTreeMap::new();
    for line in page.lines() {
        let Some((family, labels, value)) = sample(line) else { continue };
        let Some(id) = labels.get("component_id") else { continue };
        let received = match family {
            "listener_closed_connections_total" => found.entry("http".to_owned()).or_default(),
            _ => found.entry(id.clone()).or_default(),
        };
        if let Some(kind) = labels.get("component_type") {
            received.over_http = over_http.contains(&kind.as_str());
        }
        match family {
            "component_received_requests_total" => received.requests = value as u64,
            "component_accepted_events_total" => received.accepted = value as u64,
            "component_buffered_events" => received.buffered = value as u64,
            "component_lag_seconds" => received.lag_secs = Some(value),
            "component_refused_events_total" | "listener_closed_connections_total" => {
                let reason = labels.get("reason").cloned().unwrap_or_default();
                received.refused.insert(reason, value as u64);
            }
            _ => {}
        }
    }
    found
}

/// What the engine has of each tenant's signals, and what it has dropped of them, in the same page.
pub(super) fn read_tenants(page: &str) -> BTreeMap<String, Received> {
    let mut found: BTreeMap<String, Received> = BTreeMap::new();
    for line in page.lines() {
        let Some((family, labels, value)) = sample(line) else { continue };
        let Some(tenant) = labels.get("tenant") else { continue };
        let label = |name: &str| labels.get(name).map(String::as_str).unwrap_or_default();
        let (rows, received) = (value as u64, found.entry(tenant.clone()).or_default());
        let reason = match family {
            "signals_received_total" => {
                received.requests += rows;
                continue;
            }
            "signals_rejected_total" => label("reason").to_owned(),
            // What else is late is used.
            "signals_late_total" if matches!(label("reason"), "out_of_order" | "too_old") => label("reason").to_owned(),
            "clock_ahead_seconds" => {
                received.clocks.insert(label("source").to_owned(), value as i64);
                continue;
            }
            "samples_duplicate_total" => "duplicate".to_owned(),
            "table_evicted_total" => format!("evicted from {}", label("table")),
            _ => continue,
        };
        if rows > 0 {
            *received.refused.entry(reason).or_default() += rows;
        }
    }
    for received in found.values_mut() {
        let is_row = |reason: &&String| !reason.starts_with("evicted");
        let lost: u64 = received.refused.keys().filter(is_row).map(|reason| received.refused[reason]).sum();
        received.accepted = received.requests.saturating_sub(lost);
    }
    found
}

/// The family without its prefix, the labels, and the value of a line of ours.
fn sample(line: &str) -> Option<(&str, BTreeMap<String, String>, f64)> {
    let line = line.strip_prefix("bellwether_")?;
    let (family, rest) = line.split_once('{')?;
    let (labels, value) = rest.rsplit_once("} ")?;
    Some((family, labels_of(labels), value.trim().parse().ok()?))
}

fn labels_of(mut text: &str) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    while let Some((name, rest)) = text.split_once("=\"") {
        let mut value = String::new();
        let mut chars = rest.char_indices();
        let mut end = rest.len();
        while let Some((at, ch)) = chars.next() {
            match ch {
                '"' => {
                    end = at + 1;
                    break;
                }
                '\\' => match chars.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, escaped)) => value.push(escaped),
                    None => {}
                },
                ch => value.push(ch),
            }
        }
        labels.insert(name.trim_start_matches(',').to_owned(), value);
        text = &rest[end..];
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_engine_dropped_of_a_tenant_is_read_with_its_reason() {
        let of = |family: &str, label: &str, count: u32| {
            format!("bellwether_{family}_total{{tenant=\"acme\",{label}}} {count}\n")
        };
        let page = of("signals_received", "kind=\"metric\"", 100)
            + &of("signals_received", "kind=\"alert\"", 10)
            + &of("signals_late", "kind=\"metric\",source=\"host\",reason=\"too_old\"", 2)
            + &of("signals_late", "kind=\"metric\",source=\"entity\",reason=\"too_old\"", 1)
            + &of("signals_late", "kind=\"alert\",source=\"tool\",reason=\"behind\"", 4)
            + "bellwether_clock_ahead_seconds{tenant=\"acme\",class=\"host\",source=\"web-7\"} 420\n\
               bellwether_clock_ahead_seconds{tenant=\"acme\",class=\"host\",source=\"db-1\"} -600\n"
            + &of("signals_rejected", "reason=\"too_many_series\"", 2)
            + &of("table_evicted", "table=\"alerts\"", 7)
            + &of("table_evicted", "table=\"names\"", 0);
        let found = read_tenants(&page);
        let acme = &found["acme"];
        assert_eq!((acme.requests, acme.accepted), (110, 105), "what is late but in order is used");
        assert_eq!(acme.refusals("dropped"), "dropped 7 evicted from alerts, 2 too_many_series, 3 too_old");
        assert_eq!(acme.clocks(), "clock of db-1 is 600 s behind, clock of web-7 is 420 s ahead");
    }

    #[test]
    fn counters_are_read_as_they_are_written() {
        let of =
            |id: &str, kind: &str| format!("component_id=\"{id}\",component_kind=\"source\",component_type=\"{kind}\"");
        let page = format!(
            "# HELP bellwether_component_accepted_events_total Events.\n\
             bellwether_component_accepted_events_total{{{}}} 12\n\
             bellwether_component_refused_events_total{{{},reason=\"late\"}} 3\n\
             bellwether_component_accepted_events_total{{{}}} 7\n\
             bellwether_component_lag_seconds{{component_id=\"loki\"}} 1.500\n\
             bellwether_engine_rows_total 99\nnonsense{{\n",
            of("loki", "loki"),
            of("loki", "loki"),
            of("a\\\"b,c=\\\\", "source"),
        );
        let found = read_counters(&page, &["loki"]);
        let loki = &found["loki"];
        assert_eq!((loki.accepted, loki.refused["late"], loki.lag_secs, loki.over_http), (12, 3, Some(1.5), true));
        assert_eq!(found["a\"b,c=\\"].accepted, 7);
        assert_eq!(found.len(), 2);
    }
}
