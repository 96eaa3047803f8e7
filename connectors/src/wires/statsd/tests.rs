//! Packets as clients write them, and what is written of them.

use bellwether_engine::signal::{MetricColumns, SeriesColumns, SignalKind};
use proptest::prelude::*;

use super::*;
use crate::limits::Limits;
use crate::resolve::entity_resolution::EntityResolver;
use crate::server::testing::acme;

fn statsd() -> Statsd {
    let table = SeriesTable::new(Arc::new(EntityResolver::default()), &Limits::default());
    Statsd::new(&StatsdConfig::default(), Arc::new(table))
}

fn send(statsd: &Statsd, text: &[u8], secs: i64) -> Result<(), &'static str> {
    let packet =
        Packet { tenant: acme(), from: [10, 0, 0, 9].into(), bytes: text, received: EventTime::from_secs(secs) };
    let mut gathered = Gathered::default();
    statsd.read(packet, &mut gathered)?;
    gathered.refused.iter().next().map_or(Ok(()), |(reason, _)| Err(reason))
}

/// Names and values written at `secs`.
fn written(statsd: &Statsd, names: &mut BTreeMap<u64, (String, String)>, secs: i64) -> BTreeMap<String, f64> {
    let mut found = BTreeMap::new();
    for (tenant, inputs) in statsd.due(EventTime::from_secs(secs)) {
        assert_eq!(&*tenant, "acme");
        for input in inputs {
            let Input::Batch(batch) = input else { continue };
            if batch.kind() == SignalKind::Series {
                let columns = SeriesColumns::of(&batch);
                for row in (0..columns.len()).map(|row| columns.row(row)) {
                    names.insert(row.series, (row.name.to_owned(), row.entity.to_owned()));
                }
            } else {
                let columns = MetricColumns::of(&batch);
                for (series, value) in columns.series.iter().zip(columns.value) {
                    found.insert(names[series].0.clone(), *value);
                }
            }
        }
    }
    found
}

#[test]
fn values_are_summed_up_once_per_interval() {
    let (statsd, mut names) = (statsd(), BTreeMap::new());
    assert!(statsd.due(EventTime::from_secs(100)).is_empty());
    send(&statsd, b"hits:2|c|@0.5\nhits:1|c\nload:3|g\nload:-1|g\n", 101).expect("well formed");
    send(&statsd, b"t:10|ms\nt:30|ms\nu:ann|s\nu:bob|s\nu:ann|s\ntagged:1|c|#host:db-1.x,fast", 102)
        .expect("well formed");
    assert!(written(&statsd, &mut names, 105).is_empty(), "the interval is not over");
    let first = written(&statsd, &mut names, 110);
    let want =
        [("hits", 5.0), ("load", 2.0), ("t.count", 2.0), ("t.max", 30.0), ("t.sum", 40.0), ("tagged", 1.0), ("u", 2.0)];
    assert_eq!(first, want.map(|(name, value)| (name.to_owned(), value)).into());
    let entity = |name: &str| names.values().find(|(known, _)| known == name).map(|(_, entity)| entity.clone());
    assert_eq!(entity("tagged").as_deref(), Some("host:db-1"));
    assert_eq!(entity("hits").as_deref(), Some("host:10.0.0.9"));
    send(&statsd, b"hits:1|c", 111).expect("well formed");
    assert_eq!(written(&statsd, &mut names, 120), BTreeMap::from([("hits".to_owned(), 6.0)]));
}

#[test]
fn what_is_no_metric_is_refused_and_the_rest_of_the_packet_counts() {
    let (statsd, mut names) = (statsd(), BTreeMap::new());
    statsd.due(EventTime::from_secs(100));
    for bad in [&b"x"[..], b"x:1", b"x:1|q", b":1|c", b"x:|c", b"x:nan|g", b"x:1|c|@0", b"\xff"] {
        assert_eq!(send(&statsd, bad, 101), Err("malformed"), "{bad:?}");
    }
    assert_eq!(send(&statsd, b"x:1|c\nbad\nx:2|g", 101), Err("malformed"));
    assert_eq!(send(&statsd, b"_e{5,4}:title|text", 101), Err("event"));
    assert_eq!(send(&statsd, b"_sc|db|0|#a:b", 101), Err("service_check"));
    let found = written(&statsd, &mut names, 110);
    assert_eq!((found.get("x"), found.get("x.gauge")), (Some(&1.0), Some(&2.0)), "two types of a name are two");
}

#[test]
fn a_line_may_hold_several_values() {
    let (statsd, mut names) = (statsd(), BTreeMap::new());
    statsd.due(EventTime::from_secs(100));
    let text = b"t:11:22:33|ms|#svc:web\nc:1:2|c|@0.5\ng:5:+1:-2|g\nu:a:b|s\nbad:1:x|ms";
    assert_eq!(send(&statsd, text, 101), Err("malformed"));
    let want = [("c", 6.0), ("g", 4.0), ("t.count", 3.0), ("t.max", 33.0), ("t.sum", 66.0), ("u", 1.0)];
    assert_eq!(written(&statsd, &mut names, 110), want.map(|(name, value)| (name.to_owned(), value)).into());
}

#[test]
fn the_order_of_tags_says_nothing() {
    let (statsd, mut names) = (statsd(), BTreeMap::new());
    statsd.due(EventTime::from_secs(100));
    send(&statsd, b"ord:1|c|#host:db-7,env:a,fast\nord:10|c|#fast,env:a,host:db-7", 101).expect("well formed");
    send(&statsd, b"ord:100|c|#env:a,fast:true,host:db-7,", 101).expect("well formed");
    assert_eq!(written(&statsd, &mut names, 110), BTreeMap::from([("ord".to_owned(), 111.0)]));
    assert_eq!(names.len(), 1);
}

#[test]
fn a_line_that_is_no_text_is_refused_alone_and_each_is_counted() {
    let (statsd, mut names) = (statsd(), BTreeMap::new());
    statsd.due(EventTime::from_secs(100));
    let bytes = b"good:2|c\nk\xfc:1|c\nbad\nworse\r\ngood:3|c\n";
    let packet = Packet { tenant: acme(), from: [10, 0, 0, 9].into(), bytes, received: EventTime::from_secs(101) };
    let mut gathered = Gathered::default();
    statsd.read(packet, &mut gathered).expect("no packet is refused whole");
    assert_eq!(gathered.refused.describe(), "3 malformed");
    assert_eq!(written(&statsd, &mut names, 110).get("good"), Some(&5.0));
}

proptest! {
    #![proptest_config(crate::fuzz::config())]

    #[test]
    fn any_packet_is_taken_or_refused(text in "[a-z:|@#.,0-9+\\n-]{0,80}", bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let statsd = statsd();
        let _ = send(&statsd, text.as_bytes(), 1);
        let _ = send(&statsd, &bytes, 1);
        statsd.due(EventTime::from_secs(100));
    }
}
