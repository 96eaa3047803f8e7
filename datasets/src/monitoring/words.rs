//! How each tool labels and words its alerts.

use bellwether_engine::signal::Severity;

use super::{Rule, Tool};
use crate::estate::{Entity, Kind, Metric, Tenant};

/// The texts of one alert.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct AlertWords {
    /// Identifying labels, sorted by name.
    pub(crate) labels: Vec<(&'static str, String)>,
    /// Descriptive texts, sorted by name.
    pub(crate) annotations: Vec<(&'static str, String)>,
    /// Where a person could look.
    pub(crate) url: String,
}

/// What `rule` says of `entity` at reading `value` with its line at `limit`. Labels identify:
/// they never hold the reading.
pub(crate) fn words_of(rule: &Rule, tenant: &Tenant, entity: &Entity, value: f64, limit: f64) -> AlertWords {
    let name = entity.name();
    let (reading, line) = (reading(rule.metric, value), reading(rule.metric, limit));
    let mut labels = match rule.tool {
        Tool::Prometheus => vec![
            ("cluster", tenant.environment.clone()),
            ("job", job(entity.kind).to_owned()),
            ("severity", page(rule.severity).to_owned()),
            (target_label(entity.kind), name.to_owned()),
        ],
        Tool::HostAgent => vec![
            ("host", name.to_owned()),
            ("hostgroup", "Linux servers".to_owned()),
            ("trigger.severity", rule.severity.name().to_owned()),
        ],
        Tool::NetworkPoller => vec![("device", name.to_owned()), ("probe", "snmp".to_owned())],
        Tool::Probe => vec![("check", name.to_owned()), ("location", "eu-central".to_owned())],
        Tool::LogMonitor => vec![("query", "level:error".to_owned()), ("stream", name.to_owned())],
    };
    labels.sort_unstable_by_key(|(key, _)| *key);
    let summary = summary(rule, name, &reading);
    let description = match rule.tool {
        Tool::Prometheus => format!("{summary} for more than {} s; the limit is {line}.", rule.hold_secs),
        Tool::HostAgent => format!("{} on {name}: last value {reading}, threshold {line}", rule.name),
        Tool::NetworkPoller => format!("{name}: {} ({reading}, limit {line})", rule.name),
        Tool::Probe => format!("Check of {name} from eu-central: {reading}, objective {line}"),
        Tool::LogMonitor => format!("{reading} in the log of {name}, usually below {line}"),
    };
    let mut annotations = vec![("description", description), ("summary", summary)];
    if !entity.runbook.is_empty() {
        annotations.insert(1, ("runbook_url", entity.runbook.clone()));
    }
    AlertWords {
        labels,
        annotations,
        url: format!("https://{}.{}.example/alerts/{name}", rule.tool.spec().source, tenant.name),
    }
}

fn summary(rule: &Rule, name: &str, reading: &str) -> String {
    match rule.metric {
        Metric::Traffic => format!("{name} handles {reading}"),
        Metric::Latency => format!("{name} answers in {reading} at the 95th percentile"),
        Metric::Errors => format!("{name} fails {reading} of its requests"),
        Metric::Cpu => format!("CPU of {name} at {reading}"),
        Metric::Steal => format!("{reading} of the CPU of {name} is taken by the hypervisor"),
        Metric::Memory => format!("Memory of {name} at {reading}"),
        Metric::Disk => format!("Disk of {name} is {reading} full"),
        Metric::DiskLatency => format!("Disk operations of {name} take {reading}"),
        Metric::Pool => format!("{reading} of the connections of {name} are in use"),
        Metric::Loss => format!("{name} loses {reading} of packets"),
        Metric::LinkUse => format!("Busiest link of {name} at {reading}"),
        Metric::Backlog => format!("{reading} wait in {name}"),
        Metric::Hits => format!("{name} answers only {reading} of reads"),
        Metric::ClockOffset => format!("Clock of {name} is off by {reading}"),
        Metric::CertDays => format!("Certificate of {name} has {reading} left"),
        Metric::Up => format!("{name} does not answer"),
        Metric::Scraped => format!("Exporter of {name} does not answer"),
        Metric::LogErrors => format!("{name} writes {reading}"),
    }
}

/// A reading as a person reads it.
fn reading(metric: Metric, value: f64) -> String {
    match metric {
        Metric::Traffic => format!("{value:.1} requests/s"),
        Metric::Latency | Metric::DiskLatency | Metric::ClockOffset if value < 1.0 => {
            format!("{:.0} ms", value * 1_000.0)
        }
        Metric::Latency | Metric::DiskLatency | Metric::ClockOffset => format!("{value:.1} s"),
        Metric::Backlog => format!("{value:.0} messages"),
        Metric::CertDays => format!("{value:.0} days"),
        Metric::LogErrors => format!("{value:.0} error lines/min"),
        Metric::Up | Metric::Scraped => format!("{value:.0}"),
        _ => format!("{:.1} %", value * 100.0),
    }
}

fn page(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "page",
        Severity::Major => "ticket",
        _ => "warning",
    }
}

fn job(kind: Kind) -> &'static str {
    match kind {
        Kind::Pod => "kube-state-metrics",
        Kind::Database => "postgres-exporter",
        Kind::Queue => "rabbitmq",
        Kind::Cache => "redis-exporter",
        Kind::Scada | Kind::Cell | Kind::Line => "opcua-exporter",
        _ => "istio-mesh",
    }
}

fn target_label(kind: Kind) -> &'static str {
    match kind {
        Kind::Pod => "pod",
        Kind::Database => "database",
        Kind::Queue => "queue",
        Kind::Cache => "cache",
        Kind::Cell => "cell",
        Kind::Line => "line",
        Kind::Scada => "system",
        _ => "service",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estate::Estate;
    use crate::monitoring::RULES;

    #[test]
    fn labels_identify_and_do_not_change_with_the_reading() {
        let mut estate = Estate::default();
        let tenant = estate.add_tenant("acme");
        for rule in RULES {
            let index = estate.add(tenant, rule.kinds[0], "x-1");
            let (tenant, entity) = (&estate.tenants[tenant], &estate.entities[index]);
            let one = words_of(rule, tenant, entity, 0.5, 0.1);
            let two = words_of(rule, tenant, entity, 0.9, 0.1);
            assert_eq!(one.labels, two.labels, "{}", rule.name);
            assert!(one.labels.windows(2).all(|w| w[0].0 < w[1].0), "{}", rule.name);
            assert!(one.annotations.windows(2).all(|w| w[0].0 < w[1].0), "{}", rule.name);
            assert!(one.labels.iter().any(|(_, v)| v == "x-1"), "{}", rule.name);
        }
    }
}
