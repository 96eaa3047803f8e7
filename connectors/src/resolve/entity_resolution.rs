//! Which labels name which entity: the one place where telemetry gets its subject.
//!
//! ```yaml
//! entity_resolution:
//!   hosts:
//!     cut_domain: true              # db-1.example.com and db-1 are one host
//!     aliases: { 10.0.0.5: db-1 }   # and so is its address
//!   rules:                          # replaces the built-in list
//!     - { type: service, labels: [service.name, service] }
//!     - { type: host, labels: [host.name, instance], when: { job: [node] } }
//! ```
//!
//! Rules are tried in order; the first whose condition holds and one of whose labels is there
//! decides. Label names follow the OpenTelemetry conventions, and `.` and `_` are one
//! character here, because Prometheus writes `service.name` as `service_name`. A label
//! `entity` of the form `type:name` overrules everything: a sender that knows, says so.
//!
//! Two names of one host become one entity: names are put in lower case, ports, brackets and
//! trailing dots fall off, domains are cut, and aliases replace what is left. A URL (`instance` of a
//! probe) is no host: it is an entity of its own, `url:http://10.0.0.5:8080/health`.
//!
//! A name is good within its namespace and cluster, so these are part of who it is, where labels
//! name them: `scope.rs` says how.

use std::collections::BTreeMap;
use std::net::IpAddr;

use bellwether_engine::signal::LabelPairs;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use super::names::UNKNOWN_ENTITY;
use super::names::{joined, same_name, url_of, value_of, without_port};
use super::scope;

/// How labels become entities.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EntityConfig {
    /// Tried in order.
    pub rules: Vec<EntityRule>,
    /// How host names are made equal.
    pub hosts: HostNames,
}

/// One rule: these labels name an entity of this type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EntityRule {
    /// The entity's type: `service`, `host`, `switch`, `k8s.pod`, …
    #[serde(rename = "type")]
    pub entity_type: String,
    /// Labels that hold its name, best first.
    pub labels: Vec<String>,
    /// Holds when each of these labels has one of these values.
    #[serde(default)]
    pub when: BTreeMap<String, Vec<String>>,
    /// Holds when the metric's name begins with one of these; empty for any.
    #[serde(default)]
    pub metric_prefixes: Vec<String>,
}

/// How two names of one host become one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HostNames {
    /// Keep what stands before the first dot. Switch it off when `db-1.east` and `db-1.west`
    /// are two hosts.
    pub cut_domain: bool,
    /// Further names and addresses, each with the name to use instead.
    pub aliases: BTreeMap<String, String>,
}

impl Default for HostNames {
    fn default() -> HostNames {
        HostNames { cut_domain: true, aliases: BTreeMap::new() }
    }
}

impl Default for EntityConfig {
    fn default() -> EntityConfig {
        EntityConfig { rules: default_rules(), hosts: HostNames::default() }
    }
}

/// Exporters whose `instance` is the machine they watch.
const HOST_JOBS: [&str; 9] = [
    "node",
    "node-exporter",
    "node_exporter",
    "windows",
    "windows-exporter",
    "windows_exporter",
    "snmp",
    "blackbox",
    "ping",
];

/// Exporters that speak about other objects than themselves.
const CLUSTER_JOBS: [&str; 3] = ["kube-state-metrics", "kubelet", "cadvisor"];

fn default_rules() -> Vec<EntityRule> {
    let rule = |entity_type: &str, labels: &[&str]| EntityRule {
        entity_type: entity_type.to_owned(),
        labels: labels.iter().map(|name| (*name).to_owned()).collect(),
        when: BTreeMap::new(),
        metric_prefixes: Vec::new(),
    };
    let of_jobs = |mut rule: EntityRule, jobs: &[&str]| {
        let jobs = jobs.iter().map(|job| (*job).to_owned()).collect();
        rule.when.insert("job".to_owned(), jobs);
        rule
    };
    let of_metrics = |mut rule: EntityRule, prefixes: &[&str]| {
        rule.metric_prefixes = prefixes.iter().map(|prefix| (*prefix).to_owned()).collect();
        rule
    };
    let machine = rule("host", &["host.name", "nodename", "instance"]);
    vec![
        of_jobs(rule("k8s.pod", &["pod"]), &CLUSTER_JOBS),
        of_jobs(rule("k8s.deployment", &["deployment"]), &CLUSTER_JOBS),
        of_jobs(rule("host", &["node", "instance"]), &CLUSTER_JOBS),
        of_jobs(machine.clone(), &HOST_JOBS),
        of_metrics(machine, &["node_", "windows_"]),
        rule("service", &["service.name", "service", "app.kubernetes.io/name", "app", "application"]),
        rule("k8s.deployment", &["k8s.deployment.name", "deployment", "kubernetes.deployment.name"]),
        rule("k8s.statefulset", &["k8s.statefulset.name", "statefulset", "kubernetes.statefulset.name"]),
        // The last two as Elastic's and Fluent Bit's shippers write them.
        rule("k8s.pod", &["k8s.pod.name", "pod", "pod_name", "kubernetes.pod.name", "kubernetes.pod_name"]),
        rule("switch", &["switch"]),
        rule("router", &["router"]),
        rule("host", &["host.name", "hostname", "host", "k8s.node.name", "nodename", "node", "server"]),
        rule("service", &["job"]),
        rule("host", &["instance"]),
    ]
}

/// A configuration that cannot resolve anything.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum EntityError {
    /// The type is part of a key.
    #[error("entity type `{0}` is not usable: lower case letters, digits, `.`, `_` or `-`")]
    Type(String),
    /// A rule that can never decide.
    #[error("the rule for `{0}` names no label")]
    NoLabels(String),
}

struct Rule {
    prefix: String,
    is_host: bool,
    is_scoped: bool,
    labels: Vec<String>,
    when: Vec<(String, Vec<String>)>,
    metric_prefixes: Vec<String>,
}

/// Checked rules.
pub struct EntityResolver {
    rules: Vec<Rule>,
    hosts: HostNames,
}

impl Default for EntityResolver {
    fn default() -> EntityResolver {
        EntityResolver::new(EntityConfig::default()).expect("built-in rules are usable")
    }
}

impl EntityResolver {
    /// Checks `config`.
    ///
    /// # Errors
    /// [`EntityError`] for an odd type or a rule without labels.
    pub fn new(config: EntityConfig) -> Result<EntityResolver, EntityError> {
        let mut rules = Vec::with_capacity(config.rules.len());
        for rule in config.rules {
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
            if rule.entity_type.is_empty() || !rule.entity_type.bytes().all(plain) {
                return Err(EntityError::Type(rule.entity_type));
            }
            if rule.labels.is_empty() {
                return Err(EntityError::NoLabels(rule.entity_type));
            }
            rules.push(Rule {
                is_host: rule.entity_type == "host",
                is_scoped: scope::is_scoped(&rule.entity_type),
                prefix: format!("{}:", rule.entity_type),
                labels: rule.labels,
                when: rule.when.into_iter().collect(),
                metric_prefixes: rule.metric_prefixes,
            });
        }
        let mut hosts = config.hosts;
        hosts.aliases =
            hosts.aliases.into_iter().map(|(name, to)| (name.to_ascii_lowercase(), to.to_ascii_lowercase())).collect();
        Ok(EntityResolver { rules, hosts })
    }

    /// The entity these labels speak of; `metric` is the metric's name, or empty.
    /// Telemetry that names nothing belongs to `UNKNOWN_ENTITY`.
    pub fn resolve(&self, metric: &str, labels: LabelPairs<'_>) -> String {
        if let Some(entity) = value_of(labels, "entity").and_then(|text| self.spoken(text)) {
            return entity;
        }
        if let Some(object) = scope::Object::of(labels) {
            return object.entity(labels).unwrap_or_else(|node| self.host(node));
        }
        self.rules
            .iter()
            .filter(|rule| rule.holds(metric, labels))
            .find_map(|rule| {
                let found = rule.labels.iter().find_map(|name| value_of(labels, name))?;
                self.named(rule, found, labels)
            })
            .unwrap_or_else(|| UNKNOWN_ENTITY.to_owned())
    }

    /// Whether label `name` can have a say in [`EntityResolver::resolve`].
    pub(crate) fn reads(&self, name: &str) -> bool {
        let looked_at = |rule: &Rule| {
            rule.labels.iter().any(|label| same_name(label, name))
                || rule.when.iter().any(|(label, _)| same_name(label, name))
        };
        same_name(name, "entity") || scope::reads(name) || self.rules.iter().any(looked_at)
    }

    /// The entity a sender names itself as `type:name`, with the name made canonical.
    pub fn spoken(&self, text: &str) -> Option<String> {
        let (kind, name) = text.trim().split_once(':')?;
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
        if kind.is_empty() || name.is_empty() || !kind.bytes().all(plain) {
            return None;
        }
        if kind == "host" {
            return Some(self.host(name));
        }
        Some(joined(kind, name))
    }

    /// The entity of the host called `name`, which may carry a port or a domain. What has a path
    /// (`http://10.0.0.5/health`, `shop.example.com/cart`) is no host but the entity of that URL.
    pub fn host(&self, name: &str) -> String {
        if let Some(url) = url_of(name) {
            return joined("url", &url);
        }
        let name = self.host_name(name);
        // A scheme without an address names nobody.
        if name.is_empty() || name.ends_with("://") {
            return UNKNOWN_ENTITY.to_owned();
        }
        joined("host", &name)
    }

    /// The entity of the service called `name`; `namespace/name` is the service `name`.
    pub fn service(&self, name: &str) -> String {
        let name = name.trim();
        if name.contains("://") {
            return self.host(name);
        }
        let short = name.rsplit_once('/').map_or(name, |(_, last)| last);
        if short.is_empty() {
            return UNKNOWN_ENTITY.to_owned();
        }
        joined("service", short)
    }

    /// `entity`, when names of its type are good within a namespace only, within `namespace`.
    pub(crate) fn within(&self, entity: String, namespace: &str) -> String {
        match entity.split_once(':').is_some_and(|(kind, _)| scope::is_scoped(kind)) {
            true => scope::Scope::of_namespace(namespace).around(entity),
            false => entity,
        }
    }

    /// Where the entity of `labels` runs, when they name a service or pod and also a machine:
    /// the pair of a `runs_on` edge.
    pub(crate) fn placement(&self, labels: LabelPairs<'_>) -> Option<(String, String)> {
        let service = value_of(labels, "service.name").map(|name| self.service(name))?;
        let service = scope::Scope::of("service", labels).around(service);
        let host = ["host.name", "k8s.node.name"].iter().find_map(|name| value_of(labels, name))?;
        let host = self.host(host);
        (service != UNKNOWN_ENTITY && host != UNKNOWN_ENTITY).then_some((service, host))
    }

    fn named(&self, rule: &Rule, value: &str, labels: LabelPairs<'_>) -> Option<String> {
        if value.trim().is_empty() {
            return None;
        }
        let entity = match rule.prefix.as_str() {
            "service:" => self.service(value),
            _ if rule.is_host => self.host(value),
            prefix => joined(prefix.trim_end_matches(':'), value.trim()),
        };
        if entity == UNKNOWN_ENTITY {
            return None;
        }
        match rule.is_scoped {
            true => Some(scope::Scope::of(rule.prefix.trim_end_matches(':'), labels).around(entity)),
            false => Some(entity),
        }
    }

    fn host_name(&self, name: &str) -> String {
        let lower = name.trim().to_ascii_lowercase();
        let bare = without_port(&lower).trim_end_matches('.');
        if let Some(alias) = self.hosts.aliases.get(bare) {
            return alias.clone();
        }
        let is_address = bare.parse::<IpAddr>().is_ok();
        let short = match bare.split_once('.') {
            Some((first, _)) if self.hosts.cut_domain && !is_address && !first.is_empty() => first,
            _ => bare,
        };
        self.hosts.aliases.get(short).map_or(short, String::as_str).to_owned()
    }
}

impl Rule {
    fn holds(&self, metric: &str, labels: LabelPairs<'_>) -> bool {
        let named = self.metric_prefixes.is_empty()
            || self.metric_prefixes.iter().any(|prefix| metric.starts_with(prefix.as_str()));
        named
            && self
                .when
                .iter()
                .all(|(name, values)| value_of(labels, name).is_some_and(|have| values.iter().any(|want| want == have)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::names::ENTITY_BYTES_MAX;
    use super::*;

    fn resolve(labels: LabelPairs<'_>) -> String {
        EntityResolver::default().resolve("", labels)
    }

    #[test]
    fn every_name_of_one_host_is_one_entity() {
        let config = EntityConfig {
            hosts: HostNames {
                cut_domain: true,
                aliases: BTreeMap::from([
                    ("10.0.0.5".to_owned(), "DB-1".to_owned()),
                    ("database".to_owned(), "db-1".to_owned()),
                ]),
            },
            ..EntityConfig::default()
        };
        let resolver = EntityResolver::new(config).expect("config is good");
        for name in [
            "db-1",
            "DB-1",
            "db-1.example.com",
            "db-1.example.com.",
            "db-1:9100",
            "10.0.0.5",
            "10.0.0.5:9100",
            "database.example.com:80",
            " db-1 ",
        ] {
            assert_eq!(resolver.host(name), "host:db-1", "{name}");
        }
        assert_eq!(resolver.host("10.0.0.6:9100"), "host:10.0.0.6");
        assert_eq!(resolver.host("[2001:db8::1]:9100"), "host:2001:db8::1");
        assert_eq!(resolver.host("2001:db8::1"), "host:2001:db8::1");
    }

    #[test]
    fn a_url_is_an_entity_of_its_own_and_no_host() {
        let resolver = EntityResolver::default();
        for (name, want) in [
            ("http://10.0.0.5:8080/health", "url:http://10.0.0.5:8080/health"),
            ("http://10.9.9.9/ready", "url:http://10.9.9.9/ready"),
            ("http://10.44.1.2/", "url:http://10.44.1.2"),
            ("HTTPS://u:p@Shop.example.com/Cart/?q=1#x", "url:https://shop.example.com/Cart"),
            ("https://shop.example.org/Cart", "url:https://shop.example.org/Cart"),
            ("shop.example.com/pay", "url:shop.example.com/pay"),
            ("tcp://[2001:db8::1]:5432", "url:tcp://[2001:db8::1]:5432"),
            ("10.0.0.5:8080", "host:10.0.0.5"),
            ("http://", "service:blackbox"),
        ] {
            assert_eq!(resolver.resolve("", &[("job", "blackbox"), ("instance", name)]), want, "{name}");
        }
        assert_eq!(resolver.service("https://shop.example.com/cart"), "url:https://shop.example.com/cart");
    }

    #[test]
    fn domains_stay_when_they_tell_hosts_apart() {
        let config = EntityConfig {
            hosts: HostNames { cut_domain: false, aliases: BTreeMap::new() },
            ..EntityConfig::default()
        };
        let resolver = EntityResolver::new(config).expect("config is good");
        assert_ne!(resolver.host("db-1.east"), resolver.host("db-1.west"));
    }

    #[test]
    fn the_conventions_of_common_senders_are_known() {
        let cases: [(LabelPairs<'_>, &str); 12] = [
            (&[("service.name", "checkout"), ("host.name", "db-1")], "service:checkout"),
            (&[("service_name", "checkout")], "service:checkout"),
            (&[("instance", "db-1:9100"), ("job", "node")], "host:db-1"),
            (&[("instance", "10.0.0.7:8080"), ("job", "shop/checkout")], "service:checkout"),
            (&[("job", "kube-state-metrics"), ("pod", "web-1"), ("service", "ksm")], "k8s.pod:web-1"),
            (&[("namespace", "shop"), ("pod", "web-1")], "k8s.pod:shop/web-1"),
            (&[("host", "DB-1.example.com")], "host:db-1"),
            (&[("k8s.node.name", "n1")], "host:n1"),
            (&[("switch", "plant-7")], "switch:plant-7"),
            (&[("entity", "line:press 4"), ("service", "x")], "line:press 4"),
            (&[("entity", "no entity"), ("service", "x")], "service:x"),
            (&[("service", ""), ("colour", "red")], UNKNOWN_ENTITY),
        ];
        for (labels, want) in cases {
            assert_eq!(resolve(labels), want, "{labels:?}");
        }
    }

    #[test]
    fn a_value_of_white_space_names_nobody() {
        assert_eq!(resolve(&[("pod", "\u{b}"), ("service", " "), ("host", "h1")]), "host:h1");
        assert_eq!(resolve(&[("pod", " \t")]), UNKNOWN_ENTITY);
    }

    #[test]
    fn the_metric_name_can_decide() {
        let resolver = EntityResolver::default();
        let labels = [("instance", "db-1:9100"), ("job", "linux")];
        assert_eq!(resolver.resolve("node_load1", &labels), "host:db-1");
        assert_eq!(resolver.resolve("http_requests_total", &labels), "service:linux");
    }

    #[test]
    fn a_service_with_a_machine_is_placed_on_it() {
        let resolver = EntityResolver::default();
        let labels = [("host.name", "db-1.example.com"), ("service.name", "shop/checkout")];
        let placed = resolver.placement(&labels).expect("both are named");
        assert_eq!(placed, ("service:checkout".to_owned(), "host:db-1".to_owned()));
        assert_eq!(resolver.placement(&labels[..1]), None);
    }

    #[test]
    fn an_odd_type_is_refused_with_its_name() {
        let rule = |entity_type: &str, labels: Vec<String>| EntityConfig {
            rules: vec![EntityRule {
                entity_type: entity_type.to_owned(),
                labels,
                when: BTreeMap::new(),
                metric_prefixes: Vec::new(),
            }],
            hosts: HostNames::default(),
        };
        let error = EntityResolver::new(rule("My Type", vec!["a".to_owned()])).err();
        assert_eq!(error, Some(EntityError::Type("My Type".to_owned())));
        assert!(EntityResolver::new(rule("x", Vec::new())).is_err());
    }

    proptest! {
        #![proptest_config(crate::fuzz::config())]

        #[test]
        fn any_labels_give_a_bounded_entity_of_one_form(
            pairs in proptest::collection::vec((".{0,12}", ".{0,400}"), 0..6),
            key in prop::sample::select(vec!["service", "host", "pod", "instance", "entity", "job"]),
            value in ".{0,400}",
        ) {
            let mut labels: Vec<(&str, &str)> =
                pairs.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
            labels.push((key, &value));
            let entity = resolve(&labels);
            prop_assert!(entity.len() <= ENTITY_BYTES_MAX);
            let (kind, name) = entity.split_once(':').expect("type:name");
            prop_assert!(!kind.is_empty() && !name.is_empty());
            prop_assert!(!entity.chars().any(char::is_control));
            prop_assert_eq!(resolve(&labels), entity);
        }
    }
}
