//! Exports of inventories: ServiceNow's CMDB, NetBox, Kubernetes.

use bellwether_engine::signal::Relation;
use serde_json::{Value, json};

use super::Found;
use crate::decode::json::{at, scalar, text_at};
use crate::resolve::entity_resolution::EntityResolver;

/// What relation types say, read from the parent to the child, and the other way round: those that
/// ServiceNow ships and its discovery and service maps write. Data flows from who calls; a storage
/// carries what is stored on it.
const SERVICENOW: [(Relation, &[&str], &[&str]); 5] = [
    (
        Relation::RunsOn,
        &[
            "runs on",
            "hosted on",
            "virtualized by",
            "instantiates",
            "stored on",
            "installed on",
            "deployed on",
            "is loaded on",
            "registered on",
            "gets resources from",
            "mounted on",
            "runs in",
            "executed on",
        ],
        &[
            "runs",
            "hosts",
            "virtualizes",
            "instantiated by",
            "provides storage for",
            "stores",
            "has installed",
            "has registered",
            "defines resources for",
            "mounts",
            "executes",
        ],
    ),
    (
        Relation::Calls,
        &[
            "depends on",
            "uses",
            "sends data to",
            "consumes",
            "requires",
            "accesses",
            "applicative flow to",
            "use end point to",
            "implement end point to",
            "subscribes to",
            "exports to",
            "load balances",
            "served by",
            "refers to",
            "impacted by",
            "powered by",
            "enabled by",
            "dr provided by",
            "controlled by",
        ],
        &[
            "used by",
            "receives data from",
            "consumed by",
            "required by",
            "accessed by",
            "applicative flow from",
            "use end point from",
            "implement end point from",
            "subscribed by",
            "subscribed to by",
            "imports from",
            "load balanced by",
            "serves",
            "referenced by",
            "impacts",
            "powers",
            "enables",
            "provides dr for",
            "controls",
            "depended on by",
        ],
    ),
    (
        Relation::PartOf,
        &[
            "member of",
            "contained by",
            "contained in",
            "part of",
            "cluster",
            "located in",
            "housed in",
            "in rack",
            "located in zone",
            "provided by",
            "allocated from",
            "component of",
            "child of",
            "belongs to",
        ],
        &[
            "members",
            "contains",
            "cluster of",
            "houses",
            "rack contains",
            "zone contains",
            "provides",
            "allocated to",
            "composed of",
            "parent of",
            "has part",
            "has member",
        ],
    ),
    (
        Relation::ConnectsTo,
        &[
            "connects to",
            "connected by",
            "connected to",
            "ip connection",
            "exchanges data with",
            "attached to",
            "replicates to",
            "replicated from",
        ],
        &[],
    ),
    (
        Relation::OwnedBy,
        &["owned by", "managed by", "supported by", "administered by", "maintained by"],
        &["owns", "manages", "supports", "administers", "maintains"],
    ),
];

/// The relation that a type's name stands for, and whether it leads from the child to the parent. Of a
/// name whose first half is not known, the second half tells.
fn relation_of(kind: &str) -> Option<(Relation, bool)> {
    let find = |words: &str| {
        SERVICENOW.iter().find_map(|(relation, down, up)| {
            let there = |list: &[&str]| list.contains(&words);
            if there(down) { Some((*relation, false)) } else { there(up).then_some((*relation, true)) }
        })
    };
    let (to_child, to_parent) = kind.split_once("::").unwrap_or((kind, ""));
    find(to_child.trim()).or_else(|| find(to_parent.trim()).map(|(relation, up)| (relation, !up)))
}

/// ServiceNow's `cmdb_rel_ci`: `parent`, `child` and `type`, each a text or a reference.
///
/// A type's name is `<parent to child>::<child to parent>`. The class of an item tells its
/// type when the export has it (`sysparm_fields=…,parent.sys_class_name,child.sys_class_name`).
pub(crate) fn servicenow(document: &Value, resolver: &EntityResolver) -> Found {
    let mut found = Found::default();
    for record in list(document, "result") {
        let item = |name: &str| {
            let text = reference(record.get(name)?)?;
            let class = text_at(record, &format!("{name}.sys_class_name")).unwrap_or_default();
            resolver.spoken(&format!("{}:{text}", type_of_class(&class)))
        };
        let kind = record.get("type").and_then(reference).unwrap_or_default().to_ascii_lowercase();
        let (Some(parent), Some(child)) = (item("parent"), item("child")) else {
            found.refused.add("entity_unreadable", 1);
            continue;
        };
        match relation_of(&kind) {
            Some((relation, false)) => found.add(parent, relation, child),
            Some((relation, true)) => found.add(child, relation, parent),
            None => found.refused.add("relation_unknown", 1),
        }
    }
    found
}

/// A reference field: a text, or `{display_value, value, link}`.
fn reference(value: &Value) -> Option<String> {
    let text = match value {
        Value::Object(_) => text_at(value, "display_value").or_else(|| text_at(value, "value"))?,
        other => scalar(other)?,
    };
    (!text.is_empty()).then(|| text.into_owned())
}

fn type_of_class(class: &str) -> &'static str {
    match class {
        class if class.contains("switch") => "switch",
        class if class.contains("router") => "router",
        class if class.contains("server") || class.contains("computer") || class.contains("vm_") => "host",
        class if class.contains("service") || class.contains("appl") => "service",
        class if class.contains("db_") || class.contains("database") => "db",
        _ => "ci",
    }
}

/// NetBox's cables: each pair of devices at the two ends.
pub(crate) fn netbox(document: &Value, resolver: &EntityResolver) -> Found {
    let mut found = Found::default();
    for cable in list(document, "results") {
        let end = |side: &str, before: &str| -> Vec<String> {
            // Before NetBox 3.3 a cable had one termination at each end, which names its device itself.
            let one = cable.get(before).map(|termination| json!([{"object": termination}]));
            let terminations = cable.get(side).or(one.as_ref()).and_then(Value::as_array);
            terminations
                .into_iter()
                .flatten()
                .filter_map(|termination| {
                    let name = text_at(termination, "object.device.name")
                        .or_else(|| text_at(termination, "object.device.display"))?;
                    let role = text_at(termination, "object.device.role.slug").unwrap_or_default();
                    let kind = match role.as_ref() {
                        role if role.contains("switch") => "switch",
                        role if role.contains("router") => "router",
                        role if role.contains("server") => "host",
                        _ => "device",
                    };
                    resolver.spoken(&format!("{kind}:{name}"))
                })
                .collect()
        };
        let (near, far) = (end("a_terminations", "termination_a"), end("b_terminations", "termination_b"));
        if near.is_empty() || far.is_empty() {
            found.refused.add("cable_without_devices", 1);
        }
        for a in &near {
            for b in &far {
                found.add(a.clone(), Relation::ConnectsTo, b.clone());
            }
        }
    }
    found
}

/// Kubernetes objects: pods on their nodes, in their workloads and behind their services.
pub(crate) fn kubernetes(document: &Value, resolver: &EntityResolver) -> Found {
    let mut found = Found::default();
    let objects = list(document, "items");
    let of_kind = |kind: &str| -> Vec<&Value> {
        objects.iter().copied().filter(|object| text_at(object, "kind").as_deref() == Some(kind)).collect()
    };
    let services = of_kind("Service");
    for pod in of_kind("Pod") {
        // Names are good within their namespace, in telemetry as here.
        let namespace = text_at(pod, "metadata.namespace").unwrap_or_default();
        let spoken = |text: &str| Some(resolver.within(resolver.spoken(text)?, &namespace));
        let Some(this) = text_at(pod, "metadata.name").and_then(|name| spoken(&format!("k8s.pod:{name}"))) else {
            found.refused.add("entity_unreadable", 1);
            continue;
        };
        if let Some(node) = text_at(pod, "spec.nodeName") {
            found.add(this.clone(), Relation::RunsOn, resolver.host(&node));
        }
        for owner in list(pod, "metadata.ownerReferences") {
            let (kind, name) = (text_at(owner, "kind").unwrap_or_default(), text_at(owner, "name").unwrap_or_default());
            let workload = match kind.as_ref() {
                // A replica set is a deployment's name and a hash.
                "ReplicaSet" => name.rsplit_once('-').map(|(name, _)| format!("k8s.deployment:{name}")),
                kind => Some(format!("k8s.{}:{name}", kind.to_ascii_lowercase())),
            };
            if let Some(workload) = workload.and_then(|text| spoken(&text)) {
                found.add(this.clone(), Relation::PartOf, workload);
            }
        }
        for service in &services {
            if selects(service, pod)
                && let Some(name) = text_at(service, "metadata.name")
            {
                found.add(this.clone(), Relation::PartOf, resolver.within(resolver.service(&name), &namespace));
            }
        }
    }
    found
}

/// Whether a service of the pod's namespace selects its labels.
fn selects(service: &Value, pod: &Value) -> bool {
    let namespace = |object| text_at(object, "metadata.namespace");
    let selector = at(service, "spec.selector").and_then(Value::as_object);
    let labels = at(pod, "metadata.labels").and_then(Value::as_object);
    let (Some(selector), Some(labels)) = (selector, labels) else {
        return false;
    };
    namespace(service) == namespace(pod)
        && !selector.is_empty()
        && selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// The members of the list at `path`; of a document that is a list itself, its members.
fn list<'a>(document: &'a Value, path: &str) -> Vec<&'a Value> {
    let list = document.as_array().or_else(|| at(document, path).and_then(Value::as_array));
    list.into_iter().flatten().collect()
}
