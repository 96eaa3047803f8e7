//! Recorded shapes of each source.

use bellwether_engine::signal::EdgeColumns;
use http::HeaderMap;
use proptest::prelude::*;

use super::*;
use crate::server::testing::{batches, post, serve};

fn send(format: &str, body: &str) -> (Outcome, Vec<String>) {
    let wire = TopologyImport::new(Limits::default(), Arc::new(EntityResolver::default()));
    let outcome = serve(&wire, &post(&format!("/topology/{format}"), &HeaderMap::new(), body.as_bytes()));
    let mut found = Vec::new();
    for batch in batches(&outcome) {
        let columns = EdgeColumns::of(batch);
        for row in 0..columns.len() {
            let edge = columns.row(row).expect("a known relation");
            assert_eq!(edge.source, format);
            found.push(format!("{} {} {}", edge.from, edge.relation, edge.to));
        }
    }
    (outcome, found)
}

#[test]
fn csv_and_yaml_are_read_and_bad_rows_are_counted() {
    let csv = "to,from,relation,confidence\nhost:DB-1.x,service:pay,runs_on,0.5\nhost:a,host:a,runs_on,\nx,host:b,runs_on,\nhost:c,host:d,loves,\nhost:c,host:d,connects_to,7\n";
    let (outcome, found) = send("csv", csv);
    assert_eq!((outcome.reply().status, found), (200, vec!["service:pay runs_on host:db-1".to_owned()]));
    let reasons = "1 edge_to_itself, 1 entity_unreadable, 1 relation_unknown, 1 confidence_unreadable";
    assert_eq!(outcome.refused.describe(), reasons);
    assert_eq!(EdgeColumns::of(batches(&outcome)[0]).row(0).map(|edge| edge.confidence), Some(0.5));
    let yaml = "topology:\n  - {from: 'service:shop', to: 'service:pay', relation: calls}\n";
    assert_eq!(send("yaml", yaml).1, ["service:shop calls service:pay"]);
    assert_eq!(send("csv", "a,b\n1,2\n").0.reply().status, 400);
    assert_eq!(send("yaml", "a: [").0.reply().status, 400);
}

#[test]
fn backstage_relations_become_edges() {
    let yaml = "
kind: Component
metadata: {name: checkout}
spec:
  owner: group:default/shop
  system: store
  dependsOn: [component:default/pay, 'resource:orders-db']
  providesApis: [checkout-api]
---
kind: System
metadata: {name: store}
spec: {owner: shop, domain: retail}
---
kind: Template
metadata: {name: x}
";
    let (outcome, found) = send("backstage", yaml);
    assert_eq!(
        found,
        [
            "service:checkout owned_by team:shop",
            "service:checkout part_of system:store",
            "service:checkout calls service:pay",
            "service:checkout calls resource:orders-db",
            "api:checkout-api part_of service:checkout",
            "system:store owned_by team:shop",
            "system:store part_of domain:retail",
        ]
    );
    assert_eq!(outcome.refused.describe(), "1 entity_unreadable");
}

#[test]
fn servicenow_relations_are_read_with_texts_and_references() {
    let json = r#"{"result":[
        {"parent":{"display_value":"pay","link":"x"},"child":"db-1.example.com","type":{"display_value":"Runs on::Runs"},
         "parent.sys_class_name":"cmdb_ci_service","child.sys_class_name":"cmdb_ci_linux_server"},
        {"parent":"store","child":"pay","type":"Contains::Contained by","parent.sys_class_name":"cmdb_ci_service","child.sys_class_name":"cmdb_ci_appl"},
        {"parent":"a","child":"b","type":"Cools::Cooled By"},
        {"parent":"","child":"b","type":"Runs on::Runs"}]}"#;
    let (outcome, found) = send("servicenow", json);
    assert_eq!(found, ["service:pay runs_on host:db-1", "service:pay part_of service:store"]);
    assert_eq!(outcome.refused.describe(), "1 relation_unknown, 1 entity_unreadable");
}

#[test]
fn netbox_cables_connect_devices() {
    let json = r#"{"count":2,"results":[
        {"a_terminations":[{"object":{"name":"eth0","device":{"name":"web-1","role":{"slug":"server"}}}}],
         "b_terminations":[{"object":{"name":"1/1","device":{"name":"plant-7","role":{"slug":"access-switch"}}}}]},
        {"a_terminations":[],"b_terminations":[]}]}"#;
    let (outcome, found) = send("netbox", json);
    assert_eq!(found, ["host:web-1 connects_to switch:plant-7"]);
    assert_eq!(outcome.refused.describe(), "1 cable_without_devices");
    let before =
        r#"{"results":[{"termination_a":{"device":{"name":"sw-1"}},"termination_b":{"device":{"name":"sw-2"}}}]}"#;
    assert_eq!(send("netbox", before).1, ["device:sw-1 connects_to device:sw-2"]);
}

#[test]
fn kubernetes_pods_have_nodes_workloads_and_services() {
    let json = r#"{"kind":"List","items":[
        {"kind":"Pod","metadata":{"name":"pay-5d9-x1","namespace":"shop","labels":{"app":"pay","v":"1"},
          "ownerReferences":[{"kind":"ReplicaSet","name":"pay-5d9"}]},"spec":{"nodeName":"node-1.internal"}},
        {"kind":"Service","metadata":{"name":"pay","namespace":"shop"},"spec":{"selector":{"app":"pay"}}},
        {"kind":"Service","metadata":{"name":"other","namespace":"else"},"spec":{"selector":{"app":"pay"}}},
        {"kind":"Service","metadata":{"name":"headless","namespace":"shop"},"spec":{}}]}"#;
    let want = [
        "k8s.pod:shop/pay-5d9-x1 runs_on host:node-1",
        "k8s.pod:shop/pay-5d9-x1 part_of k8s.deployment:shop/pay",
        "k8s.pod:shop/pay-5d9-x1 part_of service:shop/pay",
    ];
    assert_eq!(send("kubernetes", json).1, want);
    let yaml = "kind: List\nitems:\n- {kind: Pod, metadata: {name: p, namespace: shop}, spec: {nodeName: n1}}\n";
    assert_eq!(send("kubernetes", yaml).1, ["k8s.pod:shop/p runs_on host:n1"]);
}

#[test]
fn every_relation_type_reads_from_either_end() {
    let found = |kind: &str| {
        let json = format!(r#"{{"result":[{{"parent":"p","child":"c","type":"{kind}"}}]}}"#);
        send("servicenow", &json).1.pop().unwrap_or_default()
    };
    for (kind, want) in [
        ("Depends on::Used by", "ci:p calls ci:c"),
        ("Used by::Depends on", "ci:c calls ci:p"),
        ("Receives data from::Sends data to", "ci:c calls ci:p"),
        ("Exchanges data with::Exchanges data with", "ci:p connects_to ci:c"),
        ("Cluster of::Cluster", "ci:c part_of ci:p"),
        ("Located in::Houses", "ci:p part_of ci:c"),
        ("Applicative Flow To::Applicative Flow From", "ci:p calls ci:c"),
        ("Use End Point To::Use End Point From", "ci:p calls ci:c"),
        ("Provides storage for::Stored on", "ci:c runs_on ci:p"),
        ("Virtualizes::Virtualized by", "ci:c runs_on ci:p"),
        ("Our own word::Runs on", "ci:c runs_on ci:p"),
        ("Runs on", "ci:p runs_on ci:c"),
        ("Owns::Owned by", "ci:c owned_by ci:p"),
        ("Cools::Cooled By", ""),
    ] {
        assert_eq!(found(kind), want, "{kind}");
    }
}

#[test]
fn semicolons_separate_as_well_as_commas() {
    let csv = "\u{feff}From;To;Relation;Confidence\r\nservice:pay;db:orders;calls;0,5\r\n";
    assert_eq!(send("csv", csv).1, ["service:pay calls db:orders"]);
    assert_eq!(send("csv", "from\tto\trelation\na:b\tc:d\tcalls\n").1, ["a:b calls c:d"]);
}

proptest! {
    #![proptest_config(crate::fuzz::config())]

    #[test]
    fn any_body_is_taken_or_refused(
        text in "[a-z:,\\[\\]{}\"\\n -]{0,80}",
        format in prop::sample::select(FORMATS.to_vec()),
    ) {
        prop_assert!(send(format, &text).0.reply().status < 500);
    }
}
