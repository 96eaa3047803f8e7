//! Lines as the protocol has them, and as senders write them.

use bellwether_engine::signal::{MetricColumns, SeriesColumns};
use http::HeaderMap;
use proptest::prelude::*;

use super::*;
use crate::resolve::entity_resolution::EntityResolver;
use crate::server::testing::{batches, post, serve};

fn send(query: &str, body: &str) -> Outcome {
    let limits = Limits::default();
    let table = SeriesTable::new(Arc::new(EntityResolver::default()), &limits);
    let wire = Influx::new(InfluxConfig::default(), limits, Arc::new(table));
    let headers = HeaderMap::new();
    let mut request = post("/api/v2/write", &headers, body.as_bytes());
    request.query = query;
    serve(&wire, &request)
}

#[test]
fn numeric_fields_are_series_of_the_tags_entity() {
    let body = "cpu,host=db-1.example.com,cpu=cpu\\ 0 usage=1.5,idle=7i,note=\"a b,c=\\\"\" 5\n\n# comment\nup,service=pay value=t\n";
    let outcome = send("bucket=b&precision=s", body);
    assert_eq!((outcome.reply().status, outcome.accepted()), (204, 3));
    let found = batches(&outcome);
    let series = SeriesColumns::of(found[0]);
    assert_eq!((series.row(0).name, series.row(0).entity), ("cpu_usage", "host:db-1"));
    assert_eq!(series.row(0).labels.get("cpu"), Some("cpu 0"));
    assert_eq!((series.row(2).name, series.row(2).entity), ("up", "service:pay"));
    let samples = MetricColumns::of(found[1]);
    assert_eq!(samples.value, &[1.5, 7.0, 1.0]);
    assert_eq!((samples.time[0], samples.time[2]), (5_000_000_000, 1_000_000_000_000_000));
}

#[test]
fn bad_lines_are_400_and_good_ones_are_stored() {
    let outcome = send("", "good v=1\nbad\nalso bad=\n,x v=1\nm v=1 noon\nm v=nan\n");
    assert_eq!((outcome.reply().status, outcome.accepted()), (400, 1));
    assert_eq!(outcome.refused.describe(), "5 malformed");
    assert_eq!(send("precision=d", "a v=1").reply().status, 400);
    assert_eq!(send("", "a v=1 2000000000000000000").refused.describe(), "1 in_the_future");
    assert!(send("", "a v=1 9000000000000000000").refused.describe().starts_with("1 after_2090 ("));
}

/// Names of the series of `outcome`.
fn names(outcome: &Outcome) -> Vec<String> {
    let found = batches(outcome);
    let Some(batch) = found.first() else { return Vec::new() };
    let series = SeriesColumns::of(batch);
    (0..series.len()).map(|row| series.row(row).name.to_owned()).collect()
}

#[test]
fn a_quote_is_a_character_but_around_the_value_of_a_field() {
    let body = concat!(
        "# it's 15\" wide\n",
        "disk,host=a1,label=15\"\\ rack used=1\n",
        "cpu,host=\"a1 us\"age=2\n",
        "m\"em,host=a1 used=3,note=\"two\nlines, and = \\\" in it\",free=4 1000\n",
        "open note=\"never closed\n",
        "last v=5",
    );
    let outcome = send("", body);
    assert_eq!(names(&outcome), ["disk_used", "cpu_us\"age", "m\"em_used", "m\"em_free", "last_v"]);
    assert_eq!(outcome.refused.describe(), "1 malformed");
}

#[test]
fn every_precision_of_either_version_is_known() {
    for (precision, time, want) in [
        ("n", "120000000000", 120),
        ("u", "120000000", 120),
        ("ms", "120000", 120),
        ("s", "120", 120),
        ("m", "2", 120),
        ("h", "2", 7_200),
    ] {
        let outcome = send(&format!("db=x&precision={precision}"), &format!("a v=1 {time}"));
        let found = batches(&outcome);
        assert_eq!(MetricColumns::of(found[1]).time[0], want * 1_000_000_000, "{precision}");
    }
}

#[test]
fn a_time_of_another_unit_and_a_line_that_is_no_text_are_refused_alone() {
    let limits = Limits::default();
    let table = SeriesTable::new(Arc::new(EntityResolver::default()), &limits);
    let wire = Influx::new(InfluxConfig::default(), limits, Arc::new(table));
    let headers = HeaderMap::new();
    let mut request = post("/write", &headers, b"a v=1 1796000000\nb v=2 1796000000000000000\nc\xfc v=3\n");
    request.received = EventTime::from_secs(1_796_000_100);
    let outcome = serve(&wire, &request);
    assert_eq!((outcome.reply().status, names(&outcome)), (400, vec!["b_v".to_owned()]));
    let told = String::from_utf8_lossy(&outcome.reply().body).into_owned();
    assert!(told.contains("1 before_2000 (is the unit right?") && told.contains("1 malformed"), "{told}");
}

#[test]
fn user_and_password_may_stand_in_the_query() {
    let limits = Limits::default();
    let table = SeriesTable::new(Arc::new(EntityResolver::default()), &limits);
    let wire = Influx::new(InfluxConfig::default(), limits, Arc::new(table));
    let found = wire.credential_of("db=x&u=in%20flux&p=a%26b");
    assert_eq!(found, Some(("in flux".to_owned(), "a&b".to_owned())));
    assert_eq!(wire.credential_of("db=x&u=influx"), None);
}

proptest! {
    #![proptest_config(crate::fuzz::config())]

    #[test]
    fn any_text_is_taken_or_refused(text in "[a-z,= \\\\\"0-9.\\n#ié]{0,120}") {
        let outcome = send("", &text);
        prop_assert!([204, 400].contains(&outcome.reply().status));
    }
}
