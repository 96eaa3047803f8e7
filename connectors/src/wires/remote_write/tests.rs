//! The hand-written reader against prost's generated one, and the answers senders rely on.

use bellwether_engine::signal::{MetricColumns, SeriesColumns, SignalKind};
use http::HeaderMap;
use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::resolve::entity_resolution::EntityResolver;
use crate::server::testing::{batches, headers, post, serve};

/// The messages of both specifications, for prost.
mod oracle {
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct WriteRequest {
        #[prost(message, repeated, tag = "1")]
        pub(super) timeseries: Vec<TimeSeries>,
        #[prost(message, repeated, tag = "3")]
        pub(super) metadata: Vec<Metadata>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct TimeSeries {
        #[prost(message, repeated, tag = "1")]
        pub(super) labels: Vec<Label>,
        #[prost(message, repeated, tag = "2")]
        pub(super) samples: Vec<Sample>,
        #[prost(message, repeated, tag = "3")]
        pub(super) exemplars: Vec<Sample>,
        #[prost(message, repeated, tag = "4")]
        pub(super) histograms: Vec<Histogram>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Label {
        #[prost(string, tag = "1")]
        pub(super) name: String,
        #[prost(string, tag = "2")]
        pub(super) value: String,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Sample {
        #[prost(double, tag = "1")]
        pub(super) value: f64,
        #[prost(int64, tag = "2")]
        pub(super) timestamp: i64,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Histogram {
        #[prost(uint64, tag = "1")]
        pub(super) count: u64,
        #[prost(double, tag = "3")]
        pub(super) sum: f64,
        #[prost(int64, tag = "15")]
        pub(super) timestamp: i64,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Metadata {
        #[prost(int32, tag = "1")]
        pub(super) kind: i32,
        #[prost(string, tag = "2")]
        pub(super) family: String,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Request2 {
        #[prost(string, repeated, tag = "4")]
        pub(super) symbols: Vec<String>,
        #[prost(message, repeated, tag = "5")]
        pub(super) timeseries: Vec<TimeSeries2>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct TimeSeries2 {
        #[prost(uint32, repeated, tag = "1")]
        pub(super) labels_refs: Vec<u32>,
        #[prost(message, repeated, tag = "2")]
        pub(super) samples: Vec<Sample>,
        #[prost(message, repeated, tag = "3")]
        pub(super) histograms: Vec<Histogram>,
        #[prost(message, repeated, tag = "4")]
        pub(super) exemplars: Vec<Sample>,
        #[prost(message, optional, tag = "5")]
        pub(super) metadata: Option<Metadata2>,
        #[prost(int64, tag = "6")]
        pub(super) reserved: i64,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Metadata2 {
        #[prost(int32, tag = "1")]
        pub(super) kind: i32,
        #[prost(uint32, tag = "4")]
        pub(super) unit_ref: u32,
    }
}

use oracle::{Histogram, Label, Metadata2, Request2, Sample, TimeSeries, TimeSeries2, WriteRequest};

fn wire() -> RemoteWrite {
    let limits = Limits::default();
    let table = Arc::new(SeriesTable::new(Arc::new(EntityResolver::default()), &limits));
    RemoteWrite::new(RemoteWriteConfig::default(), limits, table)
}

fn snappy(message: &impl Message) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(&message.encode_to_vec()).expect("small")
}

fn v1_headers() -> HeaderMap {
    headers(&[("content-type", "application/x-protobuf"), ("content-encoding", "snappy")])
}

fn v2_headers() -> HeaderMap {
    headers(&[
        ("content-type", "application/x-protobuf;proto=io.prometheus.write.v2.Request"),
        ("content-encoding", "snappy"),
    ])
}

fn send(wire: &RemoteWrite, headers: &HeaderMap, body: &[u8]) -> Outcome {
    serve(wire, &post("/api/v1/write", headers, body))
}

fn series(labels: &[(&str, &str)], samples: &[(f64, i64)]) -> TimeSeries {
    TimeSeries {
        labels: labels
            .iter()
            .map(|(name, value)| Label { name: (*name).to_owned(), value: (*value).to_owned() })
            .collect(),
        samples: samples.iter().map(|(value, timestamp)| Sample { value: *value, timestamp: *timestamp }).collect(),
        ..TimeSeries::default()
    }
}

/// `(series, millis, bits)` of every sample in an outcome.
fn samples(outcome: &Outcome) -> Vec<(u64, i64, u64)> {
    let mut found = Vec::new();
    for batch in batches(outcome) {
        if batch.kind() == SignalKind::Metric {
            let columns = MetricColumns::of(batch);
            for row in 0..columns.time.len() {
                found.push((columns.series[row], columns.time[row] / 1_000_000, columns.value[row].to_bits()));
            }
        }
    }
    found
}

fn written(outcome: &Outcome) -> [Option<&str>; 3] {
    ["samples", "histograms", "exemplars"].map(|kind| {
        let name = format!("x-prometheus-remote-write-{kind}-written");
        outcome.reply().headers.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str())
    })
}

#[test]
fn a_series_is_described_once_and_its_stale_marker_keeps_its_bits() {
    let wire = wire();
    let labels = [("__name__", "node_load1"), ("instance", "db-1:9100"), ("job", "node")];
    let stale = f64::from_bits(STALE_NAN_BITS);
    let request = |at: i64, value: f64| {
        snappy(&WriteRequest { timeseries: vec![series(&labels, &[(value, at)])], ..WriteRequest::default() })
    };
    let first = send(&wire, &v1_headers(), &request(1_000, 0.5));
    assert_eq!(first.reply().status, 204);
    let described = batches(&first)[0];
    let row = SeriesColumns::of(described).row(0);
    assert_eq!((row.name, row.entity, row.labels.get("job")), ("node_load1", "host:db-1", Some("node")));
    let id = row.series;
    assert_eq!(samples(&first), vec![(id, 1_000, 0.5f64.to_bits())]);

    let second = send(&wire, &v1_headers(), &request(2_000, stale));
    assert_eq!(second.inputs().len(), 1, "no second description");
    assert_eq!(samples(&second), vec![(id, 2_000, STALE_NAN_BITS)]);
    wire.undo(first.inputs());
    assert_eq!(send(&wire, &v1_headers(), &request(3_000, 1.0)).inputs().len(), 2);
}

#[test]
fn both_versions_give_one_series_the_same_id() {
    let wire = wire();
    let labels = [("__name__", "up"), ("job", "shop")];
    let v1 = send(
        &wire,
        &v1_headers(),
        &snappy(&WriteRequest { timeseries: vec![series(&labels, &[(1.0, 5)])], ..WriteRequest::default() }),
    );
    let v2 = send(
        &wire,
        &v2_headers(),
        &snappy(&Request2 {
            symbols: ["", "__name__", "up", "job", "shop", "s"].map(str::to_owned).to_vec(),
            timeseries: vec![TimeSeries2 {
                labels_refs: vec![1, 2, 3, 4],
                samples: vec![Sample { value: 1.0, timestamp: 5 }],
                metadata: Some(Metadata2 { kind: 1, unit_ref: 5 }),
                reserved: 77,
                ..TimeSeries2::default()
            }],
        }),
    );
    assert_eq!(samples(&v1), samples(&v2));
    assert_eq!(written(&v2), [Some("1"), Some("0"), Some("0")]);
    let row = SeriesColumns::of(batches(&v2)[0]).row(0);
    assert_eq!((row.unit, row.series_type), ("s", bellwether_engine::signal::SeriesType::Counter));
}

#[test]
fn what_is_refused_is_400_and_the_rest_is_stored_and_counted() {
    let wire = wire();
    let ahead = 1_000_000_000 + 3_600_000;
    let request = WriteRequest {
        timeseries: vec![
            series(&[("__name__", "good"), ("job", "a")], &[(1.0, 5), (2.0, ahead)]),
            series(&[("job", "nameless")], &[(1.0, 5)]),
            series(&[("__name__", "twice"), ("a", "1"), ("a", "2")], &[(1.0, 5)]),
        ],
        ..WriteRequest::default()
    };
    let outcome = send(&wire, &v1_headers(), &snappy(&request));
    assert_eq!(outcome.reply().status, 400);
    assert_eq!(samples(&outcome).len(), 1);
    assert_eq!(written(&outcome)[0], Some("1"));
    assert_eq!(outcome.refused.describe(), "1 in_the_future, 1 no_name, 1 label_twice");
}

#[test]
fn what_is_no_number_is_counted_and_a_time_in_seconds_is_refused_with_the_remedy() {
    let wire = wire();
    let now = 1_796_000_000_000;
    let timeseries = vec![series(
        &[("__name__", "q"), ("job", "a")],
        &[(f64::NAN, now), (1.0, now), (f64::INFINITY, now), (2.0, now / 1_000)],
    )];
    let body = snappy(&WriteRequest { timeseries, ..WriteRequest::default() });
    for _ in 0..2 {
        let headers = v1_headers();
        let mut request = post("/api/v1/write", &headers, &body);
        request.received = EventTime::from_millis(now);
        let outcome = serve(&wire, &request);
        assert_eq!((outcome.reply().status, samples(&outcome).len(), written(&outcome)[0]), (400, 1, Some("3")));
        let told = String::from_utf8_lossy(&outcome.reply().body).into_owned();
        assert!(told.contains("1 before_2000 (is the unit right?") && !told.contains("not_finite"), "{told}");
        assert!(outcome.refused.describe().contains("2 not_finite"));
    }
}

#[test]
fn a_native_histogram_becomes_count_and_sum_and_says_what_it_lost() {
    let wire = wire();
    let mut with = series(&[("__name__", "latency"), ("job", "a")], &[]);
    with.histograms = vec![Histogram { count: 7, sum: 3.5, timestamp: 9 }];
    with.exemplars = vec![Sample { value: 1.0, timestamp: 9 }];
    let request = WriteRequest { timeseries: vec![with], ..WriteRequest::default() };
    for _ in 0..2 {
        let outcome = send(&wire, &v1_headers(), &snappy(&request));
        assert_eq!(outcome.reply().status, 204);
        assert_eq!(written(&outcome), [Some("0"), Some("1"), Some("0")]);
        let values: Vec<f64> = samples(&outcome).iter().map(|s| f64::from_bits(s.2)).collect();
        assert_eq!(values, vec![7.0, 3.5]);
        assert_eq!(outcome.refused.describe(), "1 exemplar, 1 histogram_buckets");
    }
}

#[test]
fn metadata_alone_and_zstd_are_accepted_as_vmagent_sends_them() {
    let wire = wire();
    let request = WriteRequest {
        metadata: vec![oracle::Metadata { kind: 1, family: "up".to_owned() }],
        ..WriteRequest::default()
    };
    let zstd_headers = headers(&[
        ("content-type", "application/x-protobuf"),
        ("content-encoding", "zstd"),
        ("x-victoriametrics-remote-write-version", "1"),
    ]);
    let body = zstd::encode_all(request.encode_to_vec().as_slice(), 1).expect("memory");
    let outcome = send(&wire, &zstd_headers, &body);
    assert_eq!((outcome.reply().status, outcome.inputs().len()), (204, 0));
}

#[test]
fn another_encoding_or_message_is_415_and_broken_bytes_are_400() {
    let wire = wire();
    let gzip = headers(&[("content-type", "application/x-protobuf"), ("content-encoding", "gzip")]);
    let json = headers(&[("content-type", "application/json"), ("content-encoding", "snappy")]);
    let odd =
        headers(&[("content-type", "application/x-protobuf;proto=other.Message"), ("content-encoding", "snappy")]);
    for headers in [gzip, json, odd] {
        let outcome = send(&wire, &headers, b"");
        assert_eq!(outcome.reply().status, 415);
        assert_eq!(written(&outcome), [Some("0"); 3]);
    }
    assert_eq!(send(&wire, &v1_headers(), b"not snappy").reply().status, 400);
    let not_protobuf = snap::raw::Encoder::new().compress_vec(b"\x0a\xff\xff").expect("small");
    let outcome = send(&wire, &v1_headers(), &not_protobuf);
    assert_eq!((outcome.reply().status, outcome.inputs().len()), (400, 0));
}

fn any_series() -> impl Strategy<Value = TimeSeries> {
    let label = ("[a-c]{1,2}", "[a-z]{0,3}");
    let labels = proptest::collection::btree_map(label.0, label.1, 0..4);
    // Prost writes -0.0 as an absent field, which reads as 0.0: adding 0.0 avoids it.
    let sample = (any::<f64>().prop_map(|value| value + 0.0), -5i64..2_000_000);
    (labels, "[mn]", proptest::collection::vec(sample, 0..4)).prop_map(|(labels, name, samples)| {
        let mut pairs: Vec<(&str, &str)> = vec![("__name__", &name)];
        pairs.extend(labels.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        series(&pairs, &samples)
    })
}

/// What prost reads, as ids and bits.
fn expected(request: &WriteRequest) -> Vec<(u64, i64, u64)> {
    let resolver = EntityResolver::default();
    let mut found = Vec::new();
    for series in &request.timeseries {
        let name = &series.labels[0].value;
        let pairs: Vec<(&str, &str)> = series.labels[1..]
            .iter()
            .filter(|label| !label.value.is_empty())
            .map(|label| (label.name.as_str(), label.value.as_str()))
            .collect();
        let id = bellwether_engine::signal::series_id(name, &resolver.resolve(name, &pairs), &pairs);
        for sample in &series.samples {
            found.push((id, sample.timestamp, sample.value.to_bits()));
        }
    }
    found
}

/// The same request in version 2's form.
fn as_v2(request: &WriteRequest) -> Request2 {
    let mut symbols = vec![String::new()];
    let mut reference = |text: &String| {
        let at = symbols.iter().position(|known| known == text).unwrap_or_else(|| {
            symbols.push(text.clone());
            symbols.len() - 1
        });
        at as u32
    };
    let timeseries = request
        .timeseries
        .iter()
        .map(|series| TimeSeries2 {
            labels_refs: series
                .labels
                .iter()
                .flat_map(|label| [reference(&label.name), reference(&label.value)])
                .collect(),
            samples: series.samples.clone(),
            ..TimeSeries2::default()
        })
        .collect();
    Request2 { symbols, timeseries }
}

proptest! {
    #![proptest_config(crate::fuzz::config())]

    #[test]
    fn both_readers_find_what_prost_finds(all in proptest::collection::vec(any_series(), 0..6)) {
        let request = WriteRequest { timeseries: all, ..WriteRequest::default() };
        let want = expected(&request);
        let wire = wire();
        for _ in 0..2 {
            let v1 = send(&wire, &v1_headers(), &snappy(&request));
            prop_assert_eq!(v1.reply().status, 204);
            prop_assert_eq!(&samples(&v1), &want);
            let v2 = send(&wire, &v2_headers(), &snappy(&as_v2(&request)));
            prop_assert_eq!(v2.reply().status, 204);
            prop_assert_eq!(&samples(&v2), &want);
        }
    }

    #[test]
    fn damaged_messages_never_panic(
        all in proptest::collection::vec(any_series(), 1..4),
        at in any::<prop::sample::Index>(),
        with in any::<u8>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let request = WriteRequest { timeseries: all, ..WriteRequest::default() };
        let wire = wire();
        let messages = [
            (v1_headers(), request.encode_to_vec()),
            (v2_headers(), as_v2(&request).encode_to_vec()),
        ];
        for (headers, mut message) in messages {
            let place = at.index(message.len());
            message[place] = with;
            message.truncate(cut.index(message.len()) + 1);
            let body = snap::raw::Encoder::new().compress_vec(&message).expect("small");
            let outcome = send(&wire, &headers, &body);
            prop_assert!([204, 400].contains(&outcome.reply().status));
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let wire = wire();
        for headers in [v1_headers(), v2_headers()] {
            send(&wire, &headers, &bytes);
            let body = snap::raw::Encoder::new().compress_vec(&bytes).expect("small");
            send(&wire, &headers, &body);
        }
    }
}
