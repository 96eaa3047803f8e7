//! Entities: configuration items, written `type:name`.

use bellwether_models::group::name_hash;

use crate::incident::{EntityRef, EntityRole};

/// The type and the name of an entity id; an id without a type is a service.
pub(crate) fn split_entity(id: &str) -> (&str, &str) {
    id.split_once(':').unwrap_or(("service", id))
}

/// The name a person calls it by: `checkout` of `service:checkout`.
pub(crate) fn entity_name(id: &str) -> &str {
    split_entity(id).1
}

/// The number of what an entity is called.
pub(crate) fn name_of(id: &str) -> u32 {
    name_hash(entity_name(id))
}

/// The OpenTelemetry resource attribute that names an entity of this type, where one exists.
pub(crate) fn naming_attribute(entity_type: &str) -> Option<&'static str> {
    Some(match entity_type {
        "service" => "service.name",
        "host" => "host.name",
        "k8s.pod" => "k8s.pod.name",
        "k8s.node" => "k8s.node.name",
        "k8s.deployment" => "k8s.deployment.name",
        "k8s.statefulset" => "k8s.statefulset.name",
        "k8s.namespace" => "k8s.namespace.name",
        "k8s.cluster" => "k8s.cluster.name",
        "container" => "container.name",
        "process" => "process.executable.name",
        "db" => "db.namespace",
        _ => return None,
    })
}

/// Whether entities of this type carry packets for others.
pub(crate) fn is_network(entity_type: &str) -> bool {
    matches!(
        entity_type,
        "switch" | "router" | "firewall" | "loadbalancer" | "network.device" | "link" | "accesspoint" | "vpn"
    )
}

/// Whether entities of this type answer to somebody, so that how they answer is felt.
pub(crate) fn is_service(entity_type: &str) -> bool {
    matches!(
        entity_type,
        "service"
            | "business"
            | "application"
            | "api"
            | "db"
            | "database"
            | "queue"
            | "cache"
            | "external"
            | "k8s.pod"
            | "k8s.deployment"
            | "k8s.statefulset"
            | "container"
    )
}

/// Whether entities of this type are run by somebody else: what fails there did not begin here.
pub(crate) fn is_outside(entity_type: &str) -> bool {
    matches!(entity_type, "external" | "partner" | "third_party" | "thirdparty" | "saas")
}

/// The entity as an incident record names it.
pub(crate) fn entity_ref(id: &str, role: Option<EntityRole>) -> EntityRef {
    let (entity_type, name) = split_entity(id);
    let attributes = naming_attribute(entity_type).map(|key| (key.to_owned(), name.to_owned())).into_iter().collect();
    EntityRef {
        id: id.to_owned(),
        entity_type: entity_type.to_owned(),
        role,
        attributes,
        external_ids: Default::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entity_is_named_by_the_opentelemetry_attribute_of_its_type() {
        let entity = entity_ref("host:db-1", None);
        assert_eq!(entity.entity_type, "host");
        assert_eq!(entity.attributes.get("host.name").map(String::as_str), Some("db-1"));
        assert!(entity_ref("cell:press-3", None).attributes.is_empty());
        assert_eq!(entity_name("checkout"), "checkout");
    }
}
