//! Within what a name is good: the namespace and the cluster of pods, services and workloads, and the
//! object that a Kubernetes event speaks of.
//!
//! An entity is `type:[namespace/]name[@cluster]`: `k8s.pod:prod/postgres-0`,
//! `service:shop/checkout@eu-1`. Without labels that name a namespace or cluster it is
//! `type:name`.

use bellwether_engine::signal::LabelPairs;

use super::names::{UNKNOWN_ENTITY, joined, same_name, value_of};

/// Labels with the namespace of a service, best first; those after the first hold for all kinds.
const NAMESPACES: [&str; 4] = ["service.namespace", "k8s.namespace.name", "namespace", "kubernetes.namespace"];

/// Labels with the namespace of others, as further shippers write them.
const MORE_NAMESPACES: [&str; 2] = ["kubernetes.namespace_name", "namespace_name"];

/// Labels with the cluster, best first.
const CLUSTERS: [&str; 4] = ["k8s.cluster.name", "cluster", "cluster_name", "orchestrator.cluster.name"];

/// Whether names of this type are good within a namespace only. Nodes and namespaces are the
/// cluster's.
pub(super) fn is_scoped(kind: &str) -> bool {
    let of_the_cluster = ["k8s.node", "k8s.namespace", "k8s.cluster"];
    kind == "service" || kind.starts_with("k8s.") && !of_the_cluster.contains(&kind)
}

/// Whether label `name` can have a say in it.
pub(super) fn reads(name: &str) -> bool {
    let scopes = NAMESPACES.iter().chain(&MORE_NAMESPACES).chain(&CLUSTERS);
    scopes.copied().any(|known| same_name(known, name)) || OBJECTS.iter().flatten().any(|known| same_name(known, name))
}

/// The namespace and cluster around a name.
#[derive(Clone, Copy, Default)]
pub(super) struct Scope<'a> {
    namespace: Option<&'a str>,
    cluster: Option<&'a str>,
}

impl<'a> Scope<'a> {
    /// Of an entity of type `kind` with these labels.
    pub(super) fn of(kind: &str, labels: LabelPairs<'a>) -> Scope<'a> {
        let own = if kind == "service" { &NAMESPACES[..] } else { &NAMESPACES[1..] };
        let named = |name: &&str| value_of(labels, name).map(str::trim).filter(|name| !name.is_empty());
        let namespace = own.iter().chain(&MORE_NAMESPACES).find_map(named);
        // A Prometheus names its site's cluster on everything it sends: a service of no namespace keeps its name,
        // by which catalogues know it.
        let cluster = CLUSTERS.iter().find_map(named).filter(|_| namespace.is_some() || kind != "service");
        Scope { namespace, cluster }
    }

    /// That of a namespace alone.
    pub(super) fn of_namespace(namespace: &'a str) -> Scope<'a> {
        Scope { namespace: Some(namespace.trim()).filter(|name| !name.is_empty()), cluster: None }
    }

    /// `entity`, `type:name`, within it.
    pub(super) fn around(self, entity: String) -> String {
        let Some((kind, name)) = entity.split_once(':') else { return entity };
        // A URL is the same from everywhere.
        if self.namespace.is_none() && self.cluster.is_none() || kind == "url" || entity == UNKNOWN_ENTITY {
            return entity;
        }
        let mut scoped = String::with_capacity(entity.len() + 32);
        if let Some(part) = self.namespace {
            scoped.push_str(part);
            scoped.push('/');
        }
        scoped.push_str(name);
        if let Some(part) = self.cluster {
            scoped.push('@');
            scoped.push_str(part);
        }
        joined(kind, &scoped)
    }
}

/// Kind, name and namespace of the object that an event speaks of: OpenTelemetry's receiver, the
/// event itself, in its two versions and as exporters nest it, Elastic's shipper.
const OBJECTS: [[&str; 3]; 6] = [
    ["k8s.object.kind", "k8s.object.name", "k8s.object.namespace"],
    ["involvedObject.kind", "involvedObject.name", "involvedObject.namespace"],
    ["event.involvedObject.kind", "event.involvedObject.name", "event.involvedObject.namespace"],
    ["object.involvedObject.kind", "object.involvedObject.name", "object.involvedObject.namespace"],
    ["regarding.kind", "regarding.name", "regarding.namespace"],
    [
        "kubernetes.event.involved_object.kind",
        "kubernetes.event.involved_object.name",
        "kubernetes.event.metadata.namespace",
    ],
];

/// The object that an event speaks of; who tells of it (a collector, a namespace's events) is not
/// meant.
pub(super) struct Object<'a> {
    kind: &'a str,
    name: &'a str,
    namespace: Option<&'a str>,
}

impl<'a> Object<'a> {
    /// Named by these labels.
    pub(super) fn of(labels: LabelPairs<'a>) -> Option<Object<'a>> {
        OBJECTS.iter().find_map(|[kind, name, namespace]| {
            let (kind, name) = (value_of(labels, kind)?.trim(), value_of(labels, name)?.trim());
            let namespace = value_of(labels, namespace);
            (!kind.is_empty() && !name.is_empty()).then_some(Object { kind, name, namespace })
        })
    }

    /// Its entity.
    ///
    /// # Errors
    /// The name of the node that it is: a host, whose names are made equal elsewhere.
    pub(super) fn entity(&self, labels: LabelPairs<'a>) -> Result<String, &'a str> {
        let kind = match self.kind.to_ascii_lowercase() {
            kind if kind == "node" => return Err(self.name),
            kind if kind == "service" => kind,
            kind => format!("k8s.{kind}"),
        };
        let entity = match kind.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) {
            true => joined(&kind, self.name),
            false => joined("k8s.object", self.name),
        };
        if !is_scoped(&kind) {
            return Ok(entity);
        }
        let around = Scope::of(&kind, labels);
        Ok(Scope { namespace: self.namespace.or(around.namespace), ..around }.around(entity))
    }
}
