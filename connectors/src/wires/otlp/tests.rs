//! The specification's rules and the topology read from traces.

use bellwether_engine::signal::{EdgeColumns, LogColumns, MetricColumns, SeriesColumns, SeriesType, SignalKind};
use http::HeaderMap;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use proptest::prelude::*;

use super::*;
use crate::resolve::entity_resolution::EntityResolver;
use crate::server::testing::{acme, batches, headers, post, serve};

fn otlp() -> Otlp {
    let limits = Limits::default();
    let table = SeriesTable::new(Arc::new(EntityResolver::default()), &limits);
    Otlp::new(OtlpConfig::default(), limits, Arc::new(table))
}

fn json() -> HeaderMap {
    headers(&[("content-type", "application/json")])
}

const METRICS: &str = r#"{"resourceMetrics":[{"resource":{"attributes":[
    {"key":"service.name","value":{"stringValue":"checkout"}},
    {"key":"host.name","value":{"stringValue":"web-1.example.com"}},
    {"key":"telemetry.sdk.name","value":{"stringValue":"x"}}]},
  "scopeMetrics":[{"metrics":[
    {"name":"queue.length","unit":"{items}","gauge":{"dataPoints":[{"asInt":"7","timeUnixNano":"1000000000","attributes":[{"key":"queue","value":{"stringValue":"mail"}}]}]}},
    {"name":"requests","sum":{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[{"asDouble":2.5,"timeUnixNano":1000000000}]}},
    {"name":"latency","histogram":{"aggregationTemporality":1,"dataPoints":[{"count":"4","sum":2.0,"bucketCounts":["4"],"explicitBounds":[],"timeUnixNano":"1000000000"}]}},
    {"name":"broken","gauge":{"dataPoints":[{"timeUnixNano":"1000000000"}]}}
  ]}]}],"unknownField":1}"#;

#[test]
fn metrics_of_every_kind_become_series_of_the_service() {
    let otlp = otlp();
    let outcome = serve(&otlp, &post("/v1/metrics", &json(), METRICS.as_bytes()));
    assert_eq!(outcome.reply().status, 200);
    let answer: serde_json::Value = serde_json::from_slice(&outcome.reply().body).expect("json");
    assert_eq!(answer["partialSuccess"]["rejectedDataPoints"], "1");
    assert_eq!((outcome.accepted(), outcome.refused.describe().as_str()), (3, "1 no_value"));

    let found = batches(&outcome);
    let series = SeriesColumns::of(found[0]);
    let rows: Vec<(&str, &str, SeriesType)> = (0..series.len())
        .map(|row| (series.row(row).name, series.row(row).entity, series.row(row).series_type))
        .collect();
    let entity = "service:checkout";
    assert_eq!(
        rows,
        vec![
            ("queue.length", entity, SeriesType::Gauge),
            ("requests", entity, SeriesType::Counter),
            ("latency.count", entity, SeriesType::Gauge),
            ("latency.sum", entity, SeriesType::Gauge),
        ]
    );
    assert_eq!(series.row(0).labels.get("queue"), Some("mail"));
    assert_eq!(series.row(0).labels.get("telemetry.sdk.name"), None);
    let edge = EdgeColumns::of(found[1]).row(0).expect("a known relation");
    assert_eq!((edge.from, edge.to), ("service:checkout", "host:web-1"));
    assert_eq!(MetricColumns::of(found[2]).value, &[7.0, 2.5, 4.0, 2.0]);

    let again = serve(&otlp, &post("/v1/metrics", &json(), METRICS.as_bytes()));
    assert_eq!(again.inputs().len(), 1, "only samples the second time");
}

#[test]
fn json_and_protobuf_mean_the_same() {
    let message: ExportMetricsServiceRequest = serde_json::from_str(METRICS).expect("json");
    let binary = headers(&[("content-type", "application/x-protobuf")]);
    let from_json = serve(&otlp(), &post("/v1/metrics", &json(), METRICS.as_bytes()));
    let from_binary = serve(&otlp(), &post("/v1/metrics", &binary, &message.encode_to_vec()));
    assert_eq!(from_json.inputs(), from_binary.inputs());
    assert_eq!(from_binary.reply().header("content-type"), Some("application/x-protobuf"));
    let response = Response::decode(from_binary.reply().body.as_ref()).expect("protobuf");
    assert_eq!(response.partial_success.map(|partial| partial.rejected), Some(1));
}

#[test]
fn a_point_that_says_it_has_no_value_is_a_stale_marker() {
    let body = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"up","gauge":{"dataPoints":[
        {"flags":1,"timeUnixNano":"1000000000"}]}}]}]}]}"#;
    let outcome = serve(&otlp(), &post("/v1/metrics", &json(), body.as_bytes()));
    let value = MetricColumns::of(batches(&outcome)[1]).value[0];
    assert_eq!(value.to_bits(), crate::wires::remote_write::STALE_NAN_BITS);
}

#[test]
fn a_record_without_severity_has_the_one_of_its_attributes_or_its_body() {
    let body = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[
        {"body":{"stringValue":"level=error msg=x"}},
        {"body":{"stringValue":"ERROR x"},"attributes":[{"key":"level","value":{"stringValue":"WRN"}}]},
        {"severityNumber":9,"body":{"stringValue":"ERROR x"}},
        {"body":{"kvlistValue":{"values":[{"key":"level","value":{"intValue":"50"}}]}}}
      ]}]}]}"#;
    let outcome = serve(&otlp(), &post("/v1/logs", &json(), body.as_bytes()));
    assert_eq!(LogColumns::of(batches(&outcome)[0]).severity, [17, 13, 9, 17]);
}

#[test]
fn log_records_keep_severity_body_and_trace() {
    let body = r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"pay"}}]},
      "scopeLogs":[{"logRecords":[
        {"timeUnixNano":"5000000000","severityNumber":17,"body":{"stringValue":"card refused"},
         "attributes":[{"key":"n","value":{"intValue":"3"}}],"traceId":"5B8EFFF798038103D269B633813FC60C"},
        {"severityText":"warn","body":{"kvlistValue":{"values":[{"key":"a","value":{"boolValue":true}}]}}}
      ]}]}]}"#;
    let outcome = serve(&otlp(), &post("/v1/logs", &json(), body.as_bytes()));
    assert_eq!((outcome.reply().status, outcome.reply().body.as_ref()), (200, &b"{}"[..]));
    let columns = LogColumns::of(batches(&outcome)[0]);
    assert_eq!((columns.entity(0), columns.body(0), columns.severity[0]), ("service:pay", "card refused", 17));
    assert_eq!(columns.attributes(0).get("n"), Some("3"));
    assert_eq!(columns.trace_id(0), Some("5b8efff798038103d269b633813fc60c"));
    assert_eq!((columns.body(1), columns.severity[1]), ("{\"a\":true}", 13));
    assert_eq!(columns.time[1], EventTime::from_secs(1_000_000).0, "received when no time is sent");
}

fn span(id: u8, parent: u8, kind: i32, millis: u64, failed: bool) -> Span {
    Span {
        trace_id: vec![9; 16],
        span_id: vec![id; 8],
        parent_span_id: if parent == 0 { Vec::new() } else { vec![parent; 8] },
        kind,
        start_time_unix_nano: 1_000_000_000,
        end_time_unix_nano: 1_000_000_000 + millis * 1_000_000,
        status: failed.then(|| Status { code: 2, ..Status::default() }),
        ..Span::default()
    }
}

fn attribute(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(Any::StringValue(value.to_owned())) }),
        ..KeyValue::default()
    }
}

fn of_service(service: &str, spans: Vec<Span>) -> Export {
    Export::Traces(ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource { attributes: vec![attribute("service.name", service)], ..Resource::default() }),
            scope_spans: vec![ScopeSpans { spans, ..ScopeSpans::default() }],
            ..ResourceSpans::default()
        }],
    })
}

/// Edges and counter values in an export.
fn told(exported: &Exported) -> (Vec<(String, String)>, Vec<f64>) {
    let (mut edges, mut values) = (Vec::new(), Vec::new());
    for input in exported.accepted.inputs() {
        let Input::Batch(batch) = input else { continue };
        match batch.kind() {
            SignalKind::Edge => {
                let columns = EdgeColumns::of(batch);
                for row in 0..columns.len() {
                    let edge = columns.row(row).expect("a known relation");
                    edges.push((edge.from.to_owned(), edge.to.to_owned()));
                }
            }
            SignalKind::Metric => values.extend_from_slice(MetricColumns::of(batch).value),
            _ => {}
        }
    }
    (edges, values)
}

#[test]
fn a_call_is_found_whichever_side_comes_first_and_counted_once() {
    let now = EventTime::from_secs(1_000_000);
    let client = || of_service("shop", vec![span(1, 0, 3, 90, false)]);
    let server = || of_service("pay", vec![span(2, 1, 2, 40, true)]);
    let pair = ("service:shop".to_owned(), "service:pay".to_owned());
    for client_first in [true, false] {
        let otlp = otlp();
        let order = if client_first { [client(), server()] } else { [server(), client()] };
        let first = otlp.export(acme(), &order[0], now).expect("small");
        assert_eq!(told(&first), (vec![], vec![]));
        let second = otlp.export(acme(), &order[1], now).expect("small");
        assert_eq!(told(&second), (vec![pair.clone()], vec![1.0, 1.0, 0.04]));
        let resent = otlp.export(acme(), &order[1], now).expect("small");
        assert_eq!(told(&resent), (vec![], vec![]), "a span sent again is not a second call");
        let other_tenant = otlp.export(&TenantName::new("other").expect("a name"), &order[1], now).expect("small");
        assert_eq!(told(&other_tenant), (vec![], vec![]));
    }
}

#[test]
fn a_database_is_called_by_its_name_and_calls_within_a_service_are_none() {
    let now = EventTime::from_secs(1_000_000);
    let mut query = span(3, 1, 3, 5, false);
    query.attributes = vec![attribute("db.system", "postgresql"), attribute("db.name", "orders")];
    let inner = span(4, 1, 2, 5, false);
    let export = of_service("shop", vec![span(1, 0, 2, 50, false), query, inner]);
    let exported = otlp().export(acme(), &export, now).expect("small");
    let (edges, values) = told(&exported);
    assert_eq!(edges, vec![("service:shop".to_owned(), "db:orders".to_owned())]);
    assert_eq!(values, vec![1.0, 0.0, 0.005]);
}

#[test]
fn wrong_requests_are_answered_in_their_own_content_type() {
    let otlp = otlp();
    let bad_json = serve(&otlp, &post("/v1/logs", &json(), b"{"));
    assert_eq!((bad_json.reply().status, bad_json.reply().header("content-type")), (400, Some("application/json")));
    let binary = headers(&[("content-type", "application/x-protobuf")]);
    let bad = serve(&otlp, &post("/v1/traces", &binary, b"\xff\xff"));
    assert_eq!(bad.reply().status, 400);
    let status = RpcStatus::decode(bad.reply().body.as_ref()).expect("a status");
    assert_eq!(status.code, INVALID_ARGUMENT);
    let text = headers(&[("content-type", "text/plain")]);
    assert_eq!(serve(&otlp, &post("/v1/logs", &text, b"")).reply().status, 415);
    let empty = serve(&otlp, &post("/v1/metrics", &binary, b""));
    assert_eq!((empty.reply().status, empty.reply().body.len()), (200, 0));
    let busy = otlp.overloaded(&post("/v1/metrics", &binary, b""), "full");
    assert_eq!((busy.status, busy.header("retry-after")), (503, Some("1")));
}

proptest! {
    #![proptest_config(crate::fuzz::config())]

    #[test]
    fn damaged_and_arbitrary_bodies_never_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        at in any::<prop::sample::Index>(),
        with in any::<u8>(),
    ) {
        let otlp = otlp();
        let message: ExportMetricsServiceRequest = serde_json::from_str(METRICS).expect("json");
        let mut binary_body = message.encode_to_vec();
        let place = at.index(binary_body.len());
        binary_body[place] = with;
        let mut json_body = METRICS.as_bytes().to_vec();
        let place = at.index(json_body.len());
        json_body[place] = with;
        let binary = headers(&[("content-type", "application/x-protobuf")]);
        for path in ["/v1/metrics", "/v1/logs", "/v1/traces"] {
            for (headers, body) in [(&binary, &binary_body), (&json(), &json_body), (&binary, &bytes), (&json(), &bytes)] {
                let outcome = serve(&otlp, &post(path, headers, body));
                prop_assert!(outcome.reply().status < 500);
            }
        }
    }
}

/// Logs in JSON, received in November 2026.
fn logs_now(path: &str, body: &str) -> Outcome {
    let headers = json();
    let mut request = post(path, &headers, body.as_bytes());
    request.received = EventTime::from_secs(1_796_000_100);
    serve(&otlp(), &request)
}

#[test]
fn json_is_read_by_the_mapping_of_proto3() {
    let body = r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},
        "scopeLogs":[{"scope":null,"logRecords":[
        {"timeUnixNano":"1796000000000000000","severityNumber":"SEVERITY_NUMBER_ERROR","body":{"stringValue":"a"},
         "attributes":[{"key":"args","value":{"arrayValue":{}}},{"key":"map","value":{"kvlistValue":{"values":null}}}]},
        {"time_unix_nano":1796000000000000001,"severity_number":"17","body":{"intValue":7},"attributes":null,
         "traceId":"AAECAwQFBgcICQoLDA0ODw==","droppedAttributesCount":"0"},
        {"timeUnixNano":"1.796e18","severityNumber":9.0,"body":{"arrayValue":{"values":[{"doubleValue":"NaN"},{}]}},
         "traceId":"000102030405060708090A0B0C0D0E0F"},
        {"timeUnixNano":{"odd":1},"body":{"stringValue":"refused"}},
        null]}]},{"resource":null,"scopeLogs":null}]}"#;
    let outcome = logs_now("/v1/logs", body);
    assert_eq!((outcome.accepted(), outcome.refused.describe().as_str()), (3, "1 malformed"));
    let answer: serde_json::Value = serde_json::from_slice(&outcome.reply().body).expect("json");
    assert_eq!(answer["partialSuccess"]["rejectedLogRecords"], "1");
    let rows = LogColumns::of(batches(&outcome)[0]);
    assert_eq!((rows.severity[0], rows.severity[1], rows.severity[2]), (17, 17, 9));
    assert_eq!((rows.body(0), rows.body(1), rows.body(2)), ("a", "7", "[NaN,null]"));
    assert_eq!((rows.attributes(0).get("args"), rows.attributes(0).get("map")), (Some("[]"), Some("{}")));
    let id = Some("000102030405060708090a0b0c0d0e0f");
    assert_eq!((rows.trace_id(1), rows.trace_id(2)), (id, id));
    assert_eq!((rows.time[1], rows.time[2]), (1_796_000_000_000_000_001, 1_796_000_000_000_000_000));
}

#[test]
fn points_and_spans_of_json_are_read_one_by_one() {
    let metrics = r#"{"resource_metrics":[{"scopeMetrics":[{"metrics":[
        {"name":"up","gauge":{"dataPoints":[
            {"asInt":7,"timeUnixNano":1796000000000000000},{"asDouble":"2.5","timeUnixNano":"1796000000000000000"},
            {"asInt":"x","timeUnixNano":"1796000000000000000"},{"asDouble":"NaN","timeUnixNano":"1796000000000000000"},
            {"asInt":1,"timeUnixNano":"1796000000"}]}},
        {"name":"n","sum":{"aggregationTemporality":"AGGREGATION_TEMPORALITY_CUMULATIVE","isMonotonic":true,
         "dataPoints":[{"asInt":"3","timeUnixNano":"1796000000000000000","attributes":[]}]}},
        {"name":7,"gauge":{}},
        {"name":"h","histogram":{"aggregationTemporality":"2","dataPoints":[{"count":4,"sum":"2.0",
         "timeUnixNano":"1796000000000000000","bucketCounts":null}]}}]}]}]}"#;
    let outcome = logs_now("/v1/metrics", metrics);
    let found = batches(&outcome);
    assert_eq!(MetricColumns::of(found[1]).value, &[7.0, 2.5, 3.0, 4.0, 2.0]);
    let told = outcome.refused.describe();
    assert!(told.contains("1 malformed") && told.contains("1 not_finite") && told.contains("1 before_2000"), "{told}");
    let span = |id: &str, parent: &str, kind: &str| {
        format!(
            r#"{{"traceId":"000102030405060708090a0b0c0d0e0f","spanId":"{id}","parentSpanId":{parent},"kind":{kind},
            "startTimeUnixNano":"1796000000000000000","endTimeUnixNano":1796000000500000000,"status":{{"code":"STATUS_CODE_ERROR"}}}}"#
        )
    };
    let of = |service: &str, spans: &str| {
        format!(
            r#"{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"{service}"}}}}]}},
            "scopeSpans":[{{"spans":[{spans}]}}]}}"#
        )
    };
    let client = span("0102030405060708", "null", "\"SPAN_KIND_CLIENT\"");
    let server = span("CQoLDA0ODxA=", "\"0102030405060708\"", "2");
    let traces = format!(
        r#"{{"resourceSpans":[{},{}]}}"#,
        of("shop", &client),
        of("pay", &format!("{server},{{\"spanId\":5}}"))
    );
    let outcome = logs_now("/v1/traces", &traces);
    assert_eq!(outcome.refused.describe(), "1 malformed");
    let edges = batches(&outcome).into_iter().find(|batch| batch.kind() == SignalKind::Edge).expect("an edge");
    let edge = EdgeColumns::of(edges).row(0).expect("a known relation");
    assert_eq!((edge.from, edge.to), ("service:shop", "service:pay"));
}

#[test]
fn an_event_is_its_object_and_a_record_may_name_whose_it_is() {
    let pair = |key: &str, value: &str| format!(r#"{{"key":"{key}","value":{{"stringValue":"{value}"}}}}"#);
    let logs = |resource: &[String], own: &[String]| {
        format!(
            r#"{{"resource":{{"attributes":[{}]}},"scopeLogs":[{{"logRecords":[{{"timeUnixNano":"1796000000000000000",
            "body":{{"stringValue":"x"}},"attributes":[{}]}}]}}]}}"#,
            resource.join(","),
            own.join(",")
        )
    };
    let object = [pair("k8s.node.name", ""), pair("k8s.object.kind", "Pod"), pair("k8s.object.name", "cart-1")];
    let many: Vec<String> = (0..60).map(|n| pair(&format!("a{n}"), "v")).chain([pair("host.name", "h1")]).collect();
    let body = format!(
        r#"{{"resourceLogs":[{},{},{}]}}"#,
        logs(&object, &[pair("k8s.namespace.name", "shop")]),
        logs(&[], &[pair("service.name", "pay")]),
        logs(&many, &[]),
    );
    let outcome = logs_now("/v1/logs", &body);
    let rows = LogColumns::of(batches(&outcome)[0]);
    assert_eq!((rows.entity(0), rows.entity(1), rows.entity(2)), ("k8s.pod:shop/cart-1", "service:pay", "host:h1"));
}

#[test]
fn a_log_of_another_unit_is_refused_and_said() {
    let body = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"1796000000000","body":{"stringValue":"x"}},
        {"body":{"stringValue":"now"}}]}]}]}"#;
    let outcome = logs_now("/v1/logs", body);
    assert_eq!((outcome.reply().status, outcome.accepted()), (200, 1));
    assert!(String::from_utf8_lossy(&outcome.reply().body).contains("nanoseconds"));
}
