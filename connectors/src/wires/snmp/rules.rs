//! What a trap means: an alert, its end, a change, or a log line.
//!
//! A list from notification to meaning; what a configuration says comes before what is built
//! in. A pair of traps that names the same `alert` and the same instance of its objects is one
//! alert that fires and recovers.

use bellwether_engine::signal::{AlertStatus, Severity};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a trap becomes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Meaning {
    /// An alert that fires until another trap ends it.
    Firing,
    /// The end of an alert.
    Resolved,
    /// A change: a restart, a new configuration.
    Change,
    /// A log line.
    #[default]
    Log,
}

impl Meaning {
    /// The alert's status, when it is one.
    pub(super) fn status(self) -> Option<AlertStatus> {
        match self {
            Meaning::Firing => Some(AlertStatus::Firing),
            Meaning::Resolved => Some(AlertStatus::Resolved),
            Meaning::Change | Meaning::Log => None,
        }
    }
}

/// What one trap means.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrapRule {
    /// The notification's object identifier, `1.3.6.1.4.1.9.9.43.2.0.1`; with `.*` at its end
    /// everything below it.
    pub trap: String,
    /// Its name for people.
    pub name: String,
    /// What it becomes.
    pub meaning: Meaning,
    /// The alert that fires or ends; its own name when absent.
    #[serde(default)]
    pub alert: Option<String>,
    /// How bad.
    #[serde(default)]
    pub severity: Severity,
    /// Objects whose instance tells apart what it is about: the first that is in the trap.
    /// Without one the alert is about the device.
    #[serde(default)]
    pub objects: Vec<String>,
}

impl TrapRule {
    /// Whether it speaks of `trap`.
    pub(super) fn holds(&self, trap: &str) -> bool {
        match self.trap.strip_suffix(".*") {
            Some(above) => below(trap, above).is_some_and(|rest| !rest.is_empty()),
            None => self.trap == trap,
        }
    }
}

/// What of `object` comes after `above`: the instance of a column, `""` for the same object.
pub(super) fn below<'a>(object: &'a str, above: &str) -> Option<&'a str> {
    match object.strip_prefix(above)? {
        "" => Some(""),
        rest => rest.strip_prefix('.'),
    }
}

/// Whether `text` is an object identifier, or one with `.*` behind it.
pub(super) fn is_object(text: &str) -> bool {
    let arcs = text.strip_suffix(".*").unwrap_or(text);
    let arc = |arc: &str| !arc.is_empty() && arc.parse::<u32>().is_ok() && !arc.starts_with('+');
    arcs.contains('.') && arcs.split('.').all(arc)
}

/// Objects of the interfaces' tables, indexed by ifIndex: IF-MIB, RFC 2863.
const OF_INTERFACE: [&str; 6] = [
    "1.3.6.1.2.1.2.2.1.1",
    "1.3.6.1.2.1.2.2.1.7",
    "1.3.6.1.2.1.2.2.1.8",
    "1.3.6.1.2.1.2.2.1.2",
    "1.3.6.1.2.1.31.1.1.1.1",
    "1.3.6.1.2.1.31.1.1.1.18",
];

/// Objects of BGP's peer table, indexed by the peer's address: BGP4-MIB, RFC 4273.
const OF_PEER: [&str; 3] = ["1.3.6.1.2.1.15.3.1.7", "1.3.6.1.2.1.15.3.1.14", "1.3.6.1.2.1.15.3.1.2"];

/// The notifications of SNMPv2-MIB (RFC 3418), IF-MIB, BGP4-MIB, UPS-MIB (RFC 1628) and
/// ENTITY-MIB (RFC 6933).
pub(super) fn built_in() -> Vec<TrapRule> {
    let rule = |trap: &str, name: &str, meaning, alert: Option<&str>, severity, objects: &[&str]| TrapRule {
        trap: trap.to_owned(),
        name: name.to_owned(),
        meaning,
        alert: alert.map(str::to_owned),
        severity,
        objects: objects.iter().map(|object| (*object).to_owned()).collect(),
    };
    let alarm: &[&str] = &["1.3.6.1.2.1.33.1.6.2.1.1", "1.3.6.1.2.1.33.1.6.2.1.2"];
    use Meaning::{Change, Firing, Log, Resolved};
    use Severity::{Critical, Info, Major, Warning};
    vec![
        rule("1.3.6.1.6.3.1.1.5.1", "coldStart", Change, None, Info, &[]),
        rule("1.3.6.1.6.3.1.1.5.2", "warmStart", Change, None, Info, &[]),
        rule("1.3.6.1.6.3.1.1.5.3", "linkDown", Firing, None, Major, &OF_INTERFACE),
        rule("1.3.6.1.6.3.1.1.5.4", "linkUp", Resolved, Some("linkDown"), Major, &OF_INTERFACE),
        rule("1.3.6.1.6.3.1.1.5.5", "authenticationFailure", Log, None, Warning, &[]),
        rule("1.3.6.1.2.1.15.0.1", "bgpEstablished", Resolved, Some("bgpDown"), Major, &OF_PEER),
        rule("1.3.6.1.2.1.15.0.2", "bgpBackwardTransition", Firing, Some("bgpDown"), Major, &OF_PEER),
        rule("1.3.6.1.2.1.15.7.1", "bgpEstablished", Resolved, Some("bgpDown"), Major, &OF_PEER),
        rule("1.3.6.1.2.1.15.7.2", "bgpBackwardTransition", Firing, Some("bgpDown"), Major, &OF_PEER),
        rule("1.3.6.1.2.1.33.2.3", "upsAlarmEntryAdded", Firing, Some("upsAlarm"), Critical, alarm),
        rule("1.3.6.1.2.1.33.2.4", "upsAlarmEntryRemoved", Resolved, Some("upsAlarm"), Critical, alarm),
        rule("1.3.6.1.2.1.47.2.0.1", "entConfigChange", Change, None, Info, &[]),
    ]
}

/// Names of objects that traps carry often; others are shown by their identifiers.
const NAMES: [(&str, &str); 12] = [
    ("1.3.6.1.2.1.1.3", "sysUpTime"),
    ("1.3.6.1.2.1.1.5", "sysName"),
    ("1.3.6.1.2.1.2.2.1.1", "ifIndex"),
    ("1.3.6.1.2.1.2.2.1.2", "ifDescr"),
    ("1.3.6.1.2.1.2.2.1.7", "ifAdminStatus"),
    ("1.3.6.1.2.1.2.2.1.8", "ifOperStatus"),
    ("1.3.6.1.2.1.31.1.1.1.1", "ifName"),
    ("1.3.6.1.2.1.31.1.1.1.18", "ifAlias"),
    ("1.3.6.1.2.1.15.3.1.2", "bgpPeerState"),
    ("1.3.6.1.2.1.15.3.1.7", "bgpPeerRemoteAddr"),
    ("1.3.6.1.2.1.15.3.1.14", "bgpPeerLastError"),
    ("1.3.6.1.6.3.1.1.4.3", "snmpTrapEnterprise"),
];

/// The name of an object, without its instance.
pub(super) fn name_of(object: &str) -> &str {
    let named = NAMES.iter().find(|(above, _)| below(object, above).is_some());
    named.map_or(object, |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_below_another_by_whole_arcs() {
        assert_eq!(below("1.3.6.1.2.1.2.2.1.1.7", "1.3.6.1.2.1.2.2.1.1"), Some("7"));
        assert_eq!(below("1.3.6.1.2.1.2.2.1.10.7", "1.3.6.1.2.1.2.2.1.1"), None);
        assert_eq!((name_of("1.3.6.1.2.1.2.2.1.8.3"), name_of("1.3.6.1.4.1.9.1")), ("ifOperStatus", "1.3.6.1.4.1.9.1"));
        assert!(is_object("1.3.6.1.*") && is_object("1.3"));
        for bad in ["", "1", "1..3", ".1.3", "linkDown", "1.3.*.4", "1.+3"] {
            assert!(!is_object(bad), "{bad}");
        }
    }

    #[test]
    fn every_built_in_rule_can_hold_and_each_end_has_its_beginning() {
        let rules = built_in();
        for rule in &rules {
            assert!(is_object(&rule.trap) && rule.objects.iter().all(|object| is_object(object)), "{}", rule.name);
            let begins = |other: &&TrapRule| {
                let alert = other.alert.as_ref().unwrap_or(&other.name);
                other.meaning == Meaning::Firing && rule.alert.as_ref() == Some(alert) && other.objects == rule.objects
            };
            assert!(rule.meaning != Meaning::Resolved || rules.iter().any(|other| begins(&other)), "{}", rule.name);
        }
    }
}
