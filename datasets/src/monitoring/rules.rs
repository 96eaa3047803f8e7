//! What the tools look for: thresholds of the sort found in everyday rule files.

use bellwether_engine::signal::Severity;

use super::Tool;
use crate::estate::{Kind, Metric};

/// Where a rule draws the line.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Limit {
    /// At this reading.
    At(f64),
    /// At this many times the item's own level on an average hour.
    Times(f64),
}

/// Which side of the line is bad.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// More is bad.
    Above,
    /// Less is bad.
    Below,
}

/// One rule of one tool.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Whose.
    pub tool: Tool,
    /// Of what.
    pub kinds: &'static [Kind],
    /// Looking at.
    pub metric: Metric,
    /// Which side is bad.
    pub side: Side,
    /// Where the line is.
    pub limit: Limit,
    /// It must hold this long.
    pub hold_secs: i64,
    /// How bad the tool calls it.
    pub severity: Severity,
    /// What the tool calls it.
    pub name: &'static str,
}

const ANSWERING: &[Kind] = &[Kind::Service];
const MACHINES: &[Kind] = &[Kind::Host];
const NETWORK: &[Kind] = &[Kind::Switch, Kind::Router, Kind::Firewall];

#[allow(clippy::too_many_arguments)] // the columns of the table below
const fn rule(
    tool: Tool,
    kinds: &'static [Kind],
    metric: Metric,
    side: Side,
    limit: Limit,
    hold_secs: i64,
    severity: Severity,
    name: &'static str,
) -> Rule {
    Rule { tool, kinds, metric, side, limit, hold_secs, severity, name }
}

use Limit::{At, Times};
use Metric as M;
use Severity::{Critical, Major, Minor, Warning};
use Side::{Above, Below};
use Tool::{HostAgent, LogMonitor, NetworkPoller, Probe, Prometheus};

/// Every rule of every tool.
#[rustfmt::skip]
pub const RULES: &[Rule] = &[
    rule(Prometheus, ANSWERING, M::Latency, Above, Times(3.0), 60, Major, "HighRequestLatency"),
    rule(Prometheus, ANSWERING, M::Errors, Above, At(0.05), 60, Critical, "HighErrorRate"),
    rule(Prometheus, ANSWERING, M::Pool, Above, At(0.85), 60, Warning, "ConnectionPoolSaturated"),
    rule(Prometheus, ANSWERING, M::Traffic, Above, Times(3.0), 30, Warning, "TrafficFarAboveNormal"),
    rule(Prometheus, ANSWERING, M::CertDays, Below, At(7.0), 30, Major, "CertificateExpiresSoon"),
    rule(Prometheus, &[Kind::Pod], M::Cpu, Above, At(0.9), 90, Warning, "PodCPUSaturated"),
    rule(Prometheus, &[Kind::Pod], M::Memory, Above, At(0.9), 60, Warning, "PodMemoryNearLimit"),
    rule(Prometheus, &[Kind::Pod], M::Scraped, Below, At(0.5), 60, Major, "TargetDown"),
    rule(Prometheus, &[Kind::Database], M::Latency, Above, Times(4.0), 60, Critical, "DatabaseQueriesSlow"),
    rule(Prometheus, &[Kind::Database], M::Pool, Above, At(0.85), 60, Major, "DatabaseConnectionsNearLimit"),
    rule(Prometheus, &[Kind::Database], M::Errors, Above, At(0.05), 30, Critical, "DatabaseErrors"),
    rule(Prometheus, &[Kind::Queue], M::Backlog, Above, Times(8.0), 60, Major, "QueueBacklogGrowing"),
    rule(Prometheus, &[Kind::Cache], M::Hits, Below, At(0.6), 60, Major, "CacheHitRatioLow"),
    rule(Prometheus, &[Kind::Cache], M::Latency, Above, Times(5.0), 60, Warning, "CacheSlow"),
    rule(HostAgent, MACHINES, M::Cpu, Above, At(0.9), 120, Warning, "CPU utilization is too high"),
    rule(HostAgent, MACHINES, M::Steal, Above, At(0.1), 60, Minor, "CPU steal time is too high"),
    rule(HostAgent, MACHINES, M::Memory, Above, At(0.92), 120, Major, "Lack of available memory"),
    rule(HostAgent, MACHINES, M::Disk, Above, At(0.9), 60, Major, "Disk space is critically low"),
    rule(HostAgent, MACHINES, M::DiskLatency, Above, At(0.05), 60, Major, "Disk read/write request responses are too high"),
    rule(HostAgent, MACHINES, M::ClockOffset, Above, At(1.0), 60, Minor, "System time is out of sync"),
    rule(HostAgent, MACHINES, M::Scraped, Below, At(0.5), 120, Major, "Agent is not available"),
    rule(NetworkPoller, NETWORK, M::Loss, Above, At(0.02), 30, Major, "Interface packet loss above threshold"),
    rule(NetworkPoller, NETWORK, M::LinkUse, Above, At(0.9), 60, Minor, "Link saturated, utilisation above 90 %"),
    rule(NetworkPoller, NETWORK, M::Up, Below, At(0.5), 30, Critical, "Device unreachable, no SNMP answer"),
    rule(NetworkPoller, MACHINES, M::Loss, Above, At(0.03), 60, Minor, "ICMP packet loss"),
    rule(NetworkPoller, MACHINES, M::Up, Below, At(0.5), 60, Critical, "ICMP: unavailable by ping"),
    rule(NetworkPoller, &[Kind::Scada, Kind::Plc], M::Up, Below, At(0.5), 30, Critical, "Network connection lost"),
    rule(NetworkPoller, &[Kind::Monitor], M::Up, Below, At(0.5), 30, Major, "Monitoring server does not answer"),
    rule(Prometheus, &[Kind::Scada], M::Errors, Above, At(0.1), 60, Critical, "ScadaPollErrors"),
    rule(Prometheus, &[Kind::Cell], M::Traffic, Below, Times(0.5), 30, Critical, "CellOutputStopped"),
    rule(Prometheus, &[Kind::Line], M::Traffic, Below, Times(0.75), 90, Major, "LineOutputBelowPlan"),
    rule(Probe, &[Kind::Business], M::Latency, Above, Times(3.0), 60, Major, "Page load time above objective"),
    rule(Probe, &[Kind::Business], M::Errors, Above, At(0.05), 60, Critical, "Customer journey fails"),
    rule(Probe, &[Kind::External], M::Errors, Above, At(0.1), 60, Major, "Partner API check fails"),
    rule(LogMonitor, &[Kind::Service, Kind::Database, Kind::Scada], M::LogErrors, Above, At(12.0), 60, Minor, "Error log rate above normal"),
    rule(LogMonitor, NETWORK, M::LogErrors, Above, At(8.0), 60, Minor, "Device log errors"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estate::channels_of;

    #[test]
    fn every_rule_looks_at_something_its_kinds_have() {
        for rule in RULES {
            for kind in rule.kinds {
                let measured = channels_of(*kind, 1).any(|c| c.metric == rule.metric);
                assert!(measured, "{} of {kind:?}", rule.name);
            }
        }
    }

    #[test]
    fn a_tool_has_one_rule_of_a_name_for_a_kind() {
        for (i, one) in RULES.iter().enumerate() {
            for two in &RULES[..i] {
                let same = one.tool == two.tool && one.name == two.name;
                assert!(!same || one.kinds.iter().all(|k| !two.kinds.contains(k)), "{}", one.name);
            }
        }
    }
}
