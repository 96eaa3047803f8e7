//! The store: what it keeps, of whom, and what it lets go.

use bellwether_engine::signal::{MetricBuilder, SeriesBuilder, SeriesType};

use super::*;

const HOUR: i64 = 3_600;

fn at(secs: i64) -> EventTime {
    EventTime::from_secs(1_800_000_000 + secs)
}

fn described(tenant: &str, series: &[(&str, &str, SeriesType)]) -> (Batch, Vec<u64>) {
    let mut builder = SeriesBuilder::new();
    let ids = series.iter().map(|(metric, entity, kind)| builder.push(metric, entity, "By", *kind, &[])).collect();
    (builder.finish(tenant).expect("plain"), ids)
}

fn samples(tenant: &str, rows: &[(i64, u64, f64)]) -> Batch {
    let mut builder = MetricBuilder::new();
    rows.iter().for_each(|(secs, id, value)| builder.push(at(*secs), *id, *value));
    builder.finish(tenant).expect("plain")
}

fn all(points: &Points, tenant: &str, entity: &str) -> Vec<(String, Vec<f64>)> {
    let drawn = points.of(tenant, entity, None, (at(-24 * HOUR), at(24 * HOUR)), 99);
    let values = |drawn: Drawn| (drawn.meta.metric.to_string(), drawn.points.iter().map(Point::middle).collect());
    drawn.into_iter().map(values).collect()
}

#[test]
fn a_level_is_kept_as_it_is_and_a_counter_as_its_rate_and_each_for_its_tenant() {
    let points = Points::new(1 << 20);
    let (batch, ids) =
        described("acme", &[("load", "host:a", SeriesType::Gauge), ("bytes", "host:a", SeriesType::Counter)]);
    points.take(&batch, at(0));
    let rows = [
        (0, ids[0], 1.0),
        (10, ids[0], 3.0),
        (60, ids[0], 5.0),
        (0, ids[1], 1e12),
        (60, ids[1], 1e12 + 120.0),
        (120, ids[1], 40.0),
        (180, ids[1], 100.0),
    ];
    points.take(&samples("acme", &rows), at(200));
    let seen = all(&points, "acme", "host:a");
    assert_eq!(seen, [("bytes".to_owned(), vec![2.0, 1.0]), ("load".to_owned(), vec![2.0, 5.0])]);
    assert!(all(&points, "beta", "host:a").is_empty(), "it is not theirs");
    assert_eq!(points.of("acme", "host:a", Some("load"), (at(60), at(99)), 9)[0].points.len(), 1);
}

#[test]
fn a_clock_that_is_ahead_pushes_nothing_out() {
    let points = Points::new(1 << 20);
    let (batch, ids) = described("acme", &[("load", "host:a", SeriesType::Gauge)]);
    points.take(&batch, at(0));
    points.take(&samples("acme", &[(0, ids[0], 1.0), (9 * HOUR, ids[0], 9.0), (60, ids[0], f64::NAN)]), at(60));
    assert_eq!(all(&points, "acme", "host:a"), [("load".to_owned(), vec![1.0])]);
}

#[test]
fn when_there_is_no_room_the_silent_go_and_new_ones_wait_and_are_counted() {
    let points = Points::new(3 * (SERIES_BYTES + 64));
    let names: Vec<String> = (0..6).map(|n| format!("host:{n}")).collect();
    let rows: Vec<(&str, &str, SeriesType)> =
        names.iter().map(|name| ("load", name.as_str(), SeriesType::Gauge)).collect();
    let (batch, ids) = described("acme", &rows[..3]);
    points.take(&batch, at(0));
    points.take(&samples("acme", &[(0, ids[0], 1.0), (0, ids[1], 1.0), (2_000, ids[2], 1.0)]), at(2_000));
    assert_eq!((points.totals().series, points.totals().refused), (3, 0));
    let (batch, more) = described("acme", &rows[3..]);
    points.take(&batch, at(2_000));
    let refused = points.totals().refused;
    assert_eq!((points.totals().series, refused), (3, 3), "nobody is known to be silent yet");
    points.take(&samples("acme", &[(2_000, more[0], 7.0), (2_000, more[1], 7.0), (2_000, more[2], 7.0)]), at(2_000));
    let totals = points.totals();
    assert_eq!((totals.series, totals.refused), (3, refused + 1), "two were silent for half an hour");
    assert!(totals.bytes <= totals.bytes_max);
    assert!(all(&points, "acme", "host:0").is_empty() && !all(&points, "acme", "host:2").is_empty());
}

#[test]
fn what_nobody_described_is_asked_for_once_and_let_go_when_nobody_knows_it() {
    let points = Points::new(1 << 20);
    points.take(&samples("acme", &[(0, 7, 1.0), (0, 8, 2.0), (60, 8, 4.0)]), at(60));
    let acme: Arc<str> = "acme".into();
    let mut asked = points.unknown();
    asked[0].1.sort_unstable();
    assert_eq!(asked, [(acme.clone(), vec![7, 8])]);
    assert!(points.unknown().is_empty());
    let meta = Meta {
        metric: "load".into(),
        entity: "host:a".into(),
        unit: "1".into(),
        counter: false,
        labels: Box::default(),
    };
    points.told(&acme, 7, None);
    points.told(&acme, 8, Some(meta));
    assert_eq!(all(&points, "acme", "host:a"), [("load".to_owned(), vec![2.0, 4.0])], "what came before is there");
    assert_eq!(points.totals().series, 1);
}
