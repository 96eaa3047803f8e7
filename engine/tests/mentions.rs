//! What a text names: the shop's alert says which database it waits for, and no catalogue knows.

mod common;

use std::sync::Arc;

use bellwether_engine::EngineConfig;
use bellwether_engine::catalogue::{Catalogue, CatalogueItem};
use bellwether_engine::incident::{IncidentEvent, IncidentRecord};
use bellwether_engine::input::Input;
use bellwether_engine::signal::{
    AlertBuilder, AlertRow, AlertStatus, EdgeBuilder, EdgeRow, Relation, Severity, alert_fingerprint,
};

use common::{at, engine, run};

fn firing(secs: i64, name: &str, entity: &str, key: &str, text: &str) -> Input {
    let mut builder = AlertBuilder::new();
    builder.push(&AlertRow {
        time: at(secs),
        source: "test",
        name,
        entity,
        severity: Severity::Major,
        status: AlertStatus::Firing,
        fingerprint: alert_fingerprint("test", name, entity, &[]),
        labels: &[],
        annotations: &[(key, text)],
        starts_at: at(secs),
        ends_at: None,
        url: None,
    });
    Input::Batch(builder.finish("acme").expect("the tenant is plain"))
}

/// A topology that knows nothing of the shop and its database.
fn elsewhere() -> Input {
    let mut builder = EdgeBuilder::new();
    let (from, to) = ("service:mail", "host:mail-1");
    builder.push(&EdgeRow { time: at(0), from, to, relation: Relation::RunsOn, source: "cmdb", confidence: 1.0 });
    Input::Batch(builder.finish("acme").expect("the tenant is plain"))
}

/// Long enough for everything to be told.
fn later() -> Input {
    Input::Tick(at(300))
}

/// The last record of each incident, in order of id.
fn last(events: &[IncidentEvent]) -> Vec<IncidentRecord> {
    let mut records = std::collections::BTreeMap::new();
    events.iter().for_each(|event| drop(records.insert(event.record.id.clone(), event.record.clone())));
    records.into_values().collect()
}

fn texts(record: &IncidentRecord) -> String {
    record.evidence.iter().map(|entry| entry.text.as_str()).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_alert_that_names_a_database_is_one_incident_with_the_database_whichever_comes_first() {
    let says = |text: &'static str| move |secs| firing(secs, "Errors", "service:shop", "description", text);
    let (shop, silent) = (says("POST pay-db-3.prod:5432/pay timed out"), says("POST to the database timed out"));
    let db = |secs| firing(secs, "SlowQueries", "host:pay-db-3", "summary", "95 % within 4.1 s");
    let records = |first, second| {
        let inputs = [elsewhere(), first, second, later()];
        last(&run(&mut engine(EngineConfig::default(), 1), &inputs))
    };
    assert_eq!([records(silent(10), db(70)), records(db(10), silent(70))].map(|apart| apart.len()), [2, 2]);
    for records in [records(shop(10), db(70)), records(db(10), shop(70))] {
        assert_eq!(records.len(), 1);
        let words = texts(&records[0]);
        assert!(words.contains("names the other's entity") || words.contains("text names its entity"), "{words}");
        let db = records[0].probable_causes.iter().find(|cause| cause.reference == "host:pay-db-3");
        let why = &db.expect("it is suspected").explanation;
        assert!(why.contains("the alerts of one entity name it"), "{why}");
    }
}

#[test]
fn a_plain_word_is_a_name_once_something_is_called_so_and_another_name_of_it_counts_too() {
    let item = |entity: &str, aliases: &[&str]| CatalogueItem {
        entity: entity.to_owned(),
        aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
        ..CatalogueItem::default()
    };
    let catalogue = |services| Input::Catalogue {
        tenant: "acme".into(),
        at: at(0),
        catalogue: Arc::new(Catalogue { services, ..Catalogue::default() }),
    };
    let pay = firing(70, "Down", "service:payments", "summary", "no answer");
    let count = |text: &str, known: Option<Input>| {
        let shop = firing(10, "Errors", "service:shop", "message", text);
        let inputs: Vec<Input> = [elsewhere()].into_iter().chain(known).chain([shop, pay.clone(), later()]).collect();
        last(&run(&mut engine(EngineConfig::default(), 1), &inputs)).len()
    };
    let known = || Some(catalogue(vec![item("service:payments", &["service:kassa"])]));
    assert_eq!(count("calls of payments fail", known()), 1);
    assert_eq!(count("calls of payments fail", None), 2, "nobody knows it yet");
    assert_eq!(count("calls of kassa fail", known()), 1);
    assert_eq!(count("calls of others fail", known()), 2);
}

/// The catalogue's topology: the shop calls payments, which runs on a host of its own.
fn shop_calls_payments() -> Input {
    let mut builder = EdgeBuilder::new();
    for (from, to, relation) in [
        ("service:shop", "service:payments", Relation::Calls),
        ("service:payments", "host:pay-1", Relation::RunsOn),
        ("service:desk", "service:shop", Relation::Calls),
    ] {
        builder.push(&EdgeRow { time: at(0), from, to, relation, source: "cmdb", confidence: 1.0 });
    }
    Input::Batch(builder.finish("acme").expect("the tenant is plain"))
}

#[test]
fn whom_an_alert_says_it_waits_for_is_the_first_suspect_though_silent_and_though_named_by_its_address() {
    let first = |text: &str| {
        let shop = firing(10, "OrdersFail", "service:shop", "message", text);
        let record =
            last(&run(&mut engine(EngineConfig::default(), 1), &[shop_calls_payments(), shop, later()])).remove(0);
        record.probable_causes[0].reference.clone()
    };
    assert_eq!(first("call to payments failed: connection refused"), "service:payments");
    assert_eq!(first("call to pay-1:8001 failed: connection refused"), "service:payments");
    assert_eq!(first("call to payments at pay-1:8001 failed: connection refused"), "service:payments");
    assert_eq!(first("order of desk failed"), "service:shop", "who waits for the shop is named, too");
    assert_eq!(first("order failed"), "service:shop");
}
