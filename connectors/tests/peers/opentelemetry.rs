//! The OpenTelemetry SDK for Python, over HTTP and gRPC, all three signals.

use bellwether_engine::signal::{EdgeColumns, LogColumns, Relation, SeriesColumns, SignalKind};

use crate::rig::{Rig, command, output_of};

async fn all_signals_arrive(protocol: &str) {
    let rig = Rig::start().await;
    let address = if protocol == "http" { rig.http } else { rig.grpc };
    let mut sdk = command("py/bin/python");
    sdk.arg(rig.example("opentelemetry-python/send.py")).args([protocol, &address.to_string(), &rig.token()]);
    output_of(sdk);

    let mut series = Vec::new();
    for batch in rig.batches(SignalKind::Series) {
        let columns = SeriesColumns::of(&batch);
        for row in (0..columns.len()).map(|row| columns.row(row)) {
            series.push((row.name.to_owned(), row.entity.to_owned()));
        }
    }
    for (name, entity) in [
        ("orders", "service:shop"),
        ("order.value.count", "service:shop"),
        ("order.value.sum", "service:shop"),
        ("traces_service_graph_request_total", "service:pay"),
    ] {
        assert!(series.contains(&(name.to_owned(), entity.to_owned())), "{name} in {series:?}");
    }

    let logs = rig.batches(SignalKind::Log);
    let columns = LogColumns::of(&logs[0]);
    assert_eq!((columns.body(0), columns.entity(0)), ("payment refused for order 7", "service:shop"));
    assert_eq!(columns.severity[0], 17);

    let mut edges = Vec::new();
    for batch in rig.batches(SignalKind::Edge) {
        let columns = EdgeColumns::of(&batch);
        for row in 0..columns.len() {
            let edge = columns.row(row).expect("a known relation");
            edges.push((edge.from.to_owned(), edge.relation, edge.to.to_owned()));
        }
    }
    let edge = |from: &str, relation, to: &str| (from.to_owned(), relation, to.to_owned());
    assert!(edges.contains(&edge("service:shop", Relation::Calls, "service:pay")), "{edges:?}");
    assert!(edges.contains(&edge("service:shop", Relation::RunsOn, "host:web-1")), "{edges:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_sdk_sends_all_signals_over_http_with_gzip() {
    all_signals_arrive("http").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_sdk_sends_all_signals_over_grpc_with_gzip() {
    all_signals_arrive("grpc").await;
}
