//! What is described, when, and what is refused or cut.

use super::*;
use crate::server::testing::acme;

const NOW: EventTime = EventTime::from_secs(1_000_000);

fn table(limits: Limits) -> SeriesTable {
    SeriesTable::new(Arc::new(EntityResolver::default()), &limits)
}

fn add(table: &SeriesTable, now: EventTime, key: u128) -> (Result<u64, &'static str>, usize) {
    let (id, inputs) = table.session(acme(), "test", now, |session| {
        let host = format!("h{key}");
        let mut labels = vec![("host", host.as_str())];
        match session.known(key) {
            Some(id) => Ok(id),
            None => session.describe(key, "cpu", "", SeriesType::Gauge, &mut labels),
        }
    });
    (id, inputs.len())
}

#[test]
fn a_pair_of_a_service_graph_is_an_edge_told_once() {
    let table = table(Limits::default());
    let describe = |key: u128, code: &str| {
        let (_, inputs) = table.session(acme(), "remote_write", NOW, |session| {
            let mut labels = vec![("client", "shop"), ("server", "pay"), ("code", code)];
            session.describe(key, "traces_service_graph_request_total", "", SeriesType::Counter, &mut labels)
        });
        inputs
    };
    let first = describe(1, "200");
    let [Input::Batch(series), Input::Batch(edges)] = &first[..] else { panic!("two batches: {first:?}") };
    assert_eq!(SeriesColumns::of(series).row(0).entity, "service:pay");
    let edge = bellwether_engine::signal::EdgeColumns::of(edges).row(0).expect("an edge");
    assert_eq!((edge.from, edge.to, edge.relation), ("service:shop", "service:pay", Relation::Calls));
    assert_eq!(describe(2, "500").len(), 1, "the series alone");
}

#[test]
fn a_series_is_described_once_and_again_after_it_was_not_stored() {
    let table = table(Limits::default());
    let (first, inputs) = table.session(acme(), "test", NOW, |session| {
        let mut labels = vec![("service", "a"), ("host.name", "h")];
        session.describe(7, "cpu", "", SeriesType::Gauge, &mut labels)
    });
    assert_eq!(inputs.len(), 1);
    let known = table.session(acme(), "test", NOW, |session| session.known(7));
    assert_eq!((known.0, known.1.len()), (first.ok(), 0));
    assert_eq!(table.session(&TenantName::new("other").expect("a name"), "test", NOW, |s| s.known(7)).0, None);
    table.undo(&inputs);
    assert_eq!(table.session(acme(), "test", NOW, |s| s.known(7)).0, None);
}

#[test]
fn a_service_and_its_machine_are_told_once_as_an_edge() {
    let table = table(Limits::default());
    let mut told = Vec::new();
    for name in ["a", "b"] {
        let ((), inputs) = table.session(acme(), "test", NOW, |session| {
            let mut labels = vec![("service.name", "shop"), ("host.name", "h1")];
            let key = xxh3_128(name.as_bytes());
            session.describe(key, name, "", SeriesType::Gauge, &mut labels).expect("plain");
        });
        told.push(inputs.len());
    }
    assert_eq!(told, vec![2, 1]);
}

#[test]
fn a_silent_series_is_forgotten_and_a_live_one_is_not() {
    let table = table(Limits::default());
    assert_eq!((add(&table, NOW, 1).1, add(&table, NOW, 2).1), (1, 1));
    let hour = Span::from_mins(61);
    let later = NOW.plus(hour);
    assert_eq!(add(&table, later, 1).1, 0, "still known in the older generation");
    let last = later.plus(hour);
    assert_eq!(add(&table, last, 1).1, 0);
    assert_eq!(add(&table, last, 2).1, 1, "silent for two hours, described again");
}

#[test]
fn too_many_series_are_refused_by_name_of_the_limit() {
    let small = table(Limits { series_max: 2, ..Limits::default() });
    let hourly = table(Limits { new_series_per_hour_max: 2, ..Limits::default() });
    for key in 0..2 {
        assert!(add(&small, NOW, key).0.is_ok());
        assert!(add(&hourly, NOW, key).0.is_ok());
    }
    assert_eq!(add(&small, NOW, 2).0, Err("series_max"));
    assert_eq!(add(&hourly, NOW, 2).0, Err("new_series_per_hour_max"));
    let next_hour = NOW.plus(Span::from_mins(61));
    assert!(add(&hourly, next_hour, 2).0.is_ok());
}

#[test]
fn surplus_labels_are_cut_and_series_that_they_tell_apart_stay_apart() {
    let table = table(Limits::default());
    let names: Vec<String> = (0..LABELS_MAX + 5).map(|n| format!("l{n:02}")).collect();
    let describe = |key: u128, last: &str| {
        table.session(acme(), "test", NOW, |session| {
            let mut labels: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "v")).collect();
            labels.extend([("pod", "web-1"), ("zz", last)]);
            (session.describe(key, "m", "", SeriesType::Gauge, &mut labels), session.labels_cut())
        })
    };
    let ((first, cut), inputs) = describe(1, "a");
    assert_eq!(cut, 1);
    let [Input::Batch(series)] = &inputs[..] else { panic!("one batch: {inputs:?}") };
    let columns = SeriesColumns::of(series);
    let row = columns.row(0);
    assert_eq!((row.entity, row.labels.len(), row.labels.get("pod")), ("k8s.pod:web-1", LABELS_MAX, Some("web-1")));
    assert!(row.labels.get(CUT_LABEL).is_some_and(|text| text.starts_with("8 ")), "47 labels and the mark of the cut");
    let ((second, _), _) = describe(2, "b");
    assert!(first.is_ok() && second.is_ok() && first != second);
}

#[test]
fn labels_that_name_nothing_or_too_much_are_refused() {
    let table = table(Limits::default());
    let long = "x".repeat(LABEL_VALUE_BYTES_MAX + 1);
    type Case<'a> = (&'a str, Vec<(&'a str, &'a str)>, &'a str);
    let cases: [Case<'_>; 4] = [
        ("", vec![("a", "b")], "no_name"),
        ("m", vec![("a", "b"), ("a", "c")], "label_twice"),
        ("m", vec![("", "b")], "label_name_empty"),
        ("m", vec![("a", &long)], "label_bytes_max"),
    ];
    for (name, mut labels, why) in cases {
        let (result, _) =
            table.session(acme(), "test", NOW, |session| session.describe(1, name, "", SeriesType::Gauge, &mut labels));
        assert_eq!(result, Err(why));
    }
}
