//! Exports of inventories: ServiceNow's CMDB, NetBox, Kubernetes.

use bellwether_engine::signal::Relation;
use serde_json::Value;

use super::Found;
use crate::decode::json::{at, scalar, text_at};
use crate::resolve::entity_resolution::EntityResolver;

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
        let word = |words: &[&str]| words.iter().any(|word| kind.starts_with(word));
        if word(&["runs on", "hosted on", "virtualized by", "instantiates"]) {
            found.add(parent, Relation::RunsOn, child);
        } else if word(&["depends on", "uses", "sends data to", "consumes"]) {
            found.add(parent, Relation::Calls, child);
        } else if word(&["runs::", "hosts"]) {
            found.add(child, Relation::RunsOn, parent);
        } else if word(&["contains", "members", "provides"]) {
            found.add(child, Relation::PartOf, parent);
        } else if word(&["member of", "contained by", "part of"]) {
            found.add(parent, Relation::PartOf, child);
        } else if word(&["connects to", "connected by", "ip connection"]) {
            found.add(parent, Relation::ConnectsTo, child);
        } else if word(&["owned by", "managed by", "supported by"]) {
            found.add(parent, Relation::OwnedBy, child);
        } else {
            found.refused.add("relation_unknown", 1);
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
        let end = |side: &str| -> Vec<String> {
            let terminations = cable.get(side).and_then(Value::as_array);
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
        let (near, far) = (end("a_terminations"), end("b_terminations"));
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
        let Some(this) = text_at(pod, "metadata.name").and_then(|name| resolver.spoken(&format!("k8s.pod:{name}")))
        else {
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
            if let Some(workload) = workload.and_then(|text| resolver.spoken(&text)) {
                found.add(this.clone(), Relation::PartOf, workload);
            }
        }
        for service in &services {
            if selects(service, pod)
                && let Some(name) = text_at(service, "metadata.name")
            {
                found.add(this.clone(), Relation::PartOf, resolver.service(&name));
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
