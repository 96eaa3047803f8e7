//! What people look at: each list says where things are and why, and a look leaves no trace.

mod common;

use std::sync::Arc;

use bellwether_engine::catalogue::{Catalogue, CatalogueItem, Criticality, Team};
use bellwether_engine::input::{Action, Input};
use bellwether_engine::signal::{
    AlertStatus, EdgeBuilder, EdgeRow, MetricBuilder, Relation, SeriesBuilder, SeriesType, Severity,
};
use bellwether_engine::{AlertsWanted, Engine, EngineConfig, Place};

use common::{alerts, at, engine, run};

use AlertStatus::{Firing, Resolved};
use Severity::{Critical, Major};

fn edges(rows: &[(&str, Relation, &str, &str)]) -> Input {
    let mut builder = EdgeBuilder::new();
    for (from, relation, to, source) in rows {
        builder.push(&EdgeRow { time: at(0), from, to, relation: *relation, source, confidence: 0.9 });
    }
    Input::Batch(builder.finish("acme").expect("the tenant is plain"))
}

fn catalogue() -> Input {
    let item = CatalogueItem {
        entity: "service:shop".into(),
        owner: "web".into(),
        criticality: Criticality::Critical,
        aliases: vec!["app:shop".into()],
        ..CatalogueItem::default()
    };
    let team = Team { name: "web".into(), escalation: "web-lead".into(), ..Team::default() };
    let catalogue = Catalogue { services: vec![item], teams: vec![team], ..Catalogue::default() };
    Input::Catalogue { tenant: "acme".into(), at: at(0), catalogue: Arc::new(catalogue) }
}

fn known() -> Engine {
    let mut engine = engine(EngineConfig::default(), 1);
    let mut series = SeriesBuilder::new();
    let ids = [("load", "host:only-measured"), ("latency", "app:shop")]
        .map(|(metric, entity)| series.push(metric, entity, "1", SeriesType::Gauge, &[]));
    let mut samples = MetricBuilder::new();
    ids.into_iter().for_each(|id| samples.push(at(1), id, 1.0));
    let inputs = [
        catalogue(),
        edges(&[
            ("service:shop", Relation::RunsOn, "host:a", "traces"),
            ("service:shop", Relation::RunsOn, "host:b", "cmdb"),
            ("service:mail", Relation::OwnedBy, "team:post", "cmdb"),
        ]),
        Input::Batch(series.finish("acme").expect("plain")),
        Input::Batch(samples.finish("acme").expect("plain")),
        Input::Tick(at(120)),
    ];
    inputs.iter().for_each(|input| engine.apply(input, &mut Vec::new()));
    engine
}

#[test]
fn every_entity_is_listed_once_under_its_one_name_with_its_owner() {
    let engine = known();
    let lines = engine.entities("acme");
    let names: Vec<&str> = lines.iter().map(|line| &*line.name).collect();
    assert_eq!(names, ["host:a", "host:b", "host:only-measured", "service:mail", "service:shop"]);
    let line = |name: &str| lines.iter().find(|line| &*line.name == name).expect("it is listed");
    let shop = line("service:shop");
    assert_eq!((&*shop.owner, shop.criticality, shop.edges, shop.series), ("web", Some(Criticality::Critical), 2, 1));
    assert_eq!((&*line("service:mail").owner, line("host:only-measured").series), ("post", 1));
    assert!(engine.entities("beta").is_empty());
}

#[test]
fn an_entity_is_known_by_any_name_with_who_contradicts_its_edges() {
    let engine = known();
    let shop = engine.entity("acme", "app:shop", 9).expect("it is known by its other name");
    assert_eq!((shop.name.as_str(), shop.owners.as_slice()), ("service:shop", &["web".to_owned()][..]));
    assert_eq!(shop.team.map(|team| team.escalation).as_deref(), Some("web-lead"));
    let said: Vec<(&str, &[String])> =
        shop.edges.iter().map(|edge| (edge.to.as_str(), edge.contradicted_by.as_slice())).collect();
    let (a, b) = (&["cmdb: host:b".to_owned()][..], &["traces: host:a".to_owned()][..]);
    assert_eq!(said, [("host:a", a), ("host:b", b), ("team:web", &[])]);
    assert!(engine.entity("acme", "host:only-measured", 9).is_some_and(|host| host.edges.is_empty()));
    assert!(engine.entity("acme", "host:nowhere", 9).is_none() && engine.entity("beta", "service:shop", 9).is_none());
}

#[test]
fn an_alert_says_where_it_is_and_who_holds_it_back() {
    let mut engine = engine(EngineConfig::default(), 1);
    let quiet = Action::Silence {
        id: "s1".into(),
        matching: "name = 'Noisy'".into(),
        from: at(0),
        until: at(9_000),
        who: "ana".into(),
        why: "new disks".into(),
    };
    let rows = [
        (10, "DiskFull", "host:db-1", Critical, Firing),
        (11, "Noisy", "host:web", Major, Firing),
        (12, "Gone", "host:app", Major, Firing),
        (13, "Gone", "host:app", Major, Resolved),
    ];
    let inputs = [
        Input::Action { tenant: "acme".into(), at: at(1), action: quiet },
        Input::Batch(alerts(&rows)),
        Input::Tick(at(600)),
    ];
    let events = run(&mut engine, &inputs[..2]);
    assert!(!events.is_empty());
    let before = engine.digest();
    let seen = engine.alerts("acme", &AlertsWanted { max: 9, ..AlertsWanted::default() });
    let of = |name: &str| seen.alerts.iter().find(|alert| alert.name == name).expect("it is listed");
    assert_eq!((seen.total, of("DiskFull").place), (3, Place::Incident));
    assert_eq!(of("DiskFull").incident.as_ref(), Some(&events[0].record.id));
    let held = of("Noisy").held.clone().expect("it is held back");
    assert_eq!((of("Noisy").place, held.by), (Place::Suppressed, "silence"));
    assert!(held.reason.contains("ana") && held.reason.contains("new disks"), "{held:?}");
    assert!(!of("Gone").firing && of("Gone").resolved_at == Some(at(13)));
    assert!(seen.alerts[0].firing && !seen.alerts[2].firing, "those that fire come first");
    let wanted = |wanted: AlertsWanted| {
        let seen = engine.alerts("acme", &AlertsWanted { max: 9, ..wanted });
        seen.alerts.into_iter().map(|alert| alert.name).collect::<Vec<_>>()
    };
    assert_eq!(wanted(AlertsWanted { place: Place::Suppressed, ..AlertsWanted::default() }), ["Noisy"]);
    assert_eq!(wanted(AlertsWanted { entity: Some("host:app".into()), ..AlertsWanted::default() }), ["Gone"]);
    assert_eq!(wanted(AlertsWanted { words: vec!["db-1".into()], ..AlertsWanted::default() }), ["DiskFull"]);
    assert_eq!(wanted(AlertsWanted { skip: 1, firing: true, ..AlertsWanted::default() }).len(), 1);
    assert!(wanted(AlertsWanted { logs: true, ..AlertsWanted::default() }).is_empty());
    let _ = (engine.entities("acme"), engine.changes("acme", 9), engine.templates("acme", 9), engine.problems("acme"));
    assert_eq!(engine.digest(), before, "who looks changes nothing");
}
