//! Whose telemetry is, with the scope of names.

use bellwether_engine::signal::LabelPairs;

use super::entity_resolution::EntityResolver;

fn resolve(labels: LabelPairs<'_>) -> String {
    EntityResolver::default().resolve("", labels)
}

#[test]
fn equal_names_of_two_namespaces_or_clusters_are_two() {
    let cases: [(LabelPairs<'_>, &str); 9] = [
        (&[("namespace", "prod"), ("pod", "postgres-0")], "k8s.pod:prod/postgres-0"),
        (&[("namespace", "staging"), ("pod", "postgres-0")], "k8s.pod:staging/postgres-0"),
        (&[("cluster", "eu-1"), ("namespace", "prod"), ("pod", "p")], "k8s.pod:prod/p@eu-1"),
        (&[("k8s_namespace_name", "shop"), ("service.name", "pay")], "service:shop/pay"),
        (&[("namespace", "a"), ("service.namespace", "b"), ("service.name", "x/pay")], "service:b/pay"),
        (&[("k8s.cluster.name", "eu"), ("k8s.deployment.name", "web")], "k8s.deployment:web@eu"),
        (&[("namespace", "prod"), ("instance", "10.0.0.5:80"), ("job", "node")], "host:10.0.0.5"),
        (&[("namespace", " "), ("pod", "p")], "k8s.pod:p"),
        (&[("job", "shop/checkout")], "service:checkout"),
    ];
    for (labels, want) in cases {
        assert_eq!(resolve(labels), want, "{labels:?}");
    }
}

#[test]
fn a_service_is_placed_under_the_name_it_has() {
    let resolver = EntityResolver::default();
    let labels = [("host.name", "n1"), ("service.name", "pay"), ("service.namespace", "shop")];
    let placed = resolver.placement(&labels).expect("both are named");
    assert_eq!(placed, (resolver.resolve("", &labels), "host:n1".to_owned()));
}

#[test]
fn an_event_is_its_objects() {
    let cases: [(LabelPairs<'_>, &str); 7] = [
        (
            &[("k8s.object.kind", "Pod"), ("k8s.object.name", "cart-1"), ("k8s.namespace.name", "shop")],
            "k8s.pod:shop/cart-1",
        ),
        (&[("k8s_object_kind", "Pod"), ("k8s_object_name", "db-0"), ("service.name", "otelcol")], "k8s.pod:db-0"),
        (
            &[
                ("involvedObject.kind", "Deployment"),
                ("involvedObject.name", "web"),
                ("involvedObject.namespace", "a"),
                ("namespace", "monitoring"),
            ],
            "k8s.deployment:a/web",
        ),
        (&[("regarding.kind", "Node"), ("regarding.name", "n1.example.com")], "host:n1"),
        (&[("involvedObject.kind", "Service"), ("involvedObject.name", "pay")], "service:pay"),
        (&[("k8s.object.kind", "Namespace"), ("k8s.object.name", "shop"), ("namespace", "x")], "k8s.namespace:shop"),
        (&[("k8s.object.kind", "Pod"), ("k8s.object.name", ""), ("host", "h1")], "host:h1"),
    ];
    for (labels, want) in cases {
        assert_eq!(resolve(labels), want, "{labels:?}");
    }
}
