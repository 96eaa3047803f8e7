//! What an alert speaks of: the state of its own entity, or what others do to it.
//!
//! "Disk is full" and "link has errors" are conditions: they begin where they are. "Answers are
//! slow" and "does not answer" are effects: they travel. Among entities in trouble, one with a
//! condition is the likelier cause. The distinction is that of causes and symptoms in Google's
//! *Site Reliability Engineering* (2016), chapter 6; the words are those of common rule sets
//! (node, kube, blackbox and SNMP exporters, Zabbix and Checkmk templates) and of the
//! OpenTelemetry metric names.

use bellwether_models::group::Begins;

use crate::alert::Alert;
use crate::entity::{is_network, is_outside, split_entity};
use crate::symbols::Symbols;

/// An alert of which nothing can be said.
const UNDECIDED: f64 = 0.4;

/// Demand from outside is a cause in its own right; a state of the entity may follow from demand.
const STATE: f64 = 0.9;

/// What an alert says of demand.
const DEMAND: f64 = 1.0;

/// What fails outside is a cause for all that is known here: nothing that it depends on is.
const OUTSIDE: f64 = 0.8;

/// Words of demand.
const DEMANDS: &[&str] = &["traffic", "request rate", "requestrate", "requests rate", "throughput", "rps", "qps"];

/// Words of conditions that nobody else's trouble brings about, but that of what the entity stands on.
const FLAWS: &[&str] = &[
    "disk",
    "filesystem",
    "file system",
    "no space left",
    "permission denied",
    "corrupt",
    "inode",
    "volume",
    "storage",
    "raid",
    "smart",
    "steal",
    "certificate",
    "expir",
    "clock",
    "time sync",
    "out of sync",
    "ntp",
    "duplex",
    "crc",
    "bgp",
    "ospf",
    "spanning",
    "temperature",
    "fan",
    "power",
    "ups ",
    "voltage",
    "hardware",
    "quota",
    "license",
    "segfault",
    "config",
    "drift",
    "dns",
    "name resolution",
    "kernel",
];

/// Words of conditions that also come of load, or of waiting for others.
const STRAINS: &[&str] = &[
    "interface",
    "link",
    "port ",
    "packet loss",
    "packetloss",
    "memory",
    "oom",
    "swap",
    "cpu",
    "throttl",
    "load average",
    "near limit",
    "nearlimit",
    "limit reached",
    "exhaust",
    "crashloop",
    "crash",
    "restart",
    "killed",
    "panic",
    "deadlock",
    "replication",
    "leak",
    "hit ratio",
    "cache hit",
    "file descriptor",
    "too many open",
    "heap",
    "garbage",
    "zombie",
];

/// Words of effects. Where both stand, "disk latency" say, the condition counts.
const EFFECTS: &[&str] = &[
    "latency",
    "slow",
    "response time",
    "duration",
    "errors",
    "error ratio",
    "error rate",
    "errorrate",
    "error log",
    "log rate",
    "5xx",
    "fail",
    "refused",
    "http error",
    "availability",
    "timeout",
    "timed out",
    "apdex",
    "slo",
    "objective",
    "page load",
    "journey",
    "probe",
    "health",
    "agent",
];

/// Words of somebody who does not answer.
const UNREACHABLE: &[&str] = &[
    "unreachable",
    "unavailable",
    "not available",
    "does not answer",
    "no answer",
    "not responding",
    "ping",
    "icmp",
    "connection lost",
    "host down",
    "target down",
    "is down",
];

/// 1 for demand on the alert's own entity, a little less for its state, 0 for an effect, between
/// where one cannot know.
pub(crate) fn condition(alert: &Alert, names: &Symbols, entities: &Symbols) -> f64 {
    if alert.is_forecast() {
        // What runs out some day has done nothing yet.
        return UNDECIDED;
    }
    let (kind, _) = split_entity(entities.text(alert.entity));
    let said = of_words(&words_of(alert, names), is_network(kind) || kind == "monitor");
    if is_outside(kind) { said.max(OUTSIDE) } else { said }
}

/// Where the trouble of an alert begins, where its words leave no doubt.
pub(crate) fn begins(alert: &Alert, names: &Symbols) -> Begins {
    let text = words_of(alert, names);
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    match () {
        () if alert.is_forecast() || has(UNREACHABLE) => Begins::Anywhere,
        () if has(DEMANDS) => Begins::Demand,
        () if has(FLAWS) => Begins::Here,
        () if has(STRAINS) => Begins::Strain,
        () => Begins::Anywhere,
    }
}

/// What an alert is called and about, in lower case.
fn words_of(alert: &Alert, names: &Symbols) -> String {
    let mut text = names.text(alert.name).to_ascii_lowercase();
    if let Some(observation) = &alert.observation {
        text.push(' ');
        text.push_str(&observation.name.to_ascii_lowercase());
    }
    // `http.server.request.rate` and `disk_used` are words with other spaces.
    text.replace(['.', '_', '-'], " ")
}

/// Whether a metric of this name tells a state of its entity: how full, how busy, how hot.
pub(crate) fn speaks_of_state(metric: &str) -> bool {
    of_words(&metric.to_ascii_lowercase().replace(['.', '_', '-'], " "), false) == STATE
}

/// The same of lower-case words; a device that `carries` others is itself the matter when it
/// does not answer.
fn of_words(text: &str, carries: bool) -> f64 {
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if has(UNREACHABLE) {
        return if carries { 0.8 } else { 0.0 };
    }
    if has(DEMANDS) {
        return DEMAND;
    }
    match (has(FLAWS) || has(STRAINS), has(EFFECTS)) {
        (true, _) => STATE,
        (false, true) => 0.0,
        (false, false) => UNDECIDED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_begin_where_they_are_and_effects_travel() {
        for name in
            ["nodefilesystemalmostfull", "cpu steal time is too high", "system memory utilization", "disk latency"]
        {
            assert_eq!(of_words(name, false), STATE, "{name}");
        }
        for name in ["highrequestlatency", "http server request duration", "customer journey fails", "kubeapierrors"] {
            assert_eq!(of_words(name, false), 0.0, "{name}");
        }
    }

    #[test]
    fn who_does_not_answer_is_the_matter_only_when_others_hang_on_it() {
        assert_eq!(of_words("icmp: unavailable by ping", false), 0.0);
        assert!(of_words("device unreachable, no snmp answer", true) > 0.5);
        assert_eq!(of_words("somethingodd", false), UNDECIDED);
    }
}
