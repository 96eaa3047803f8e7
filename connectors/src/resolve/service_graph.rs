//! Who calls whom, from the metrics of a service graph: OpenTelemetry's connector, Tempo and Beyla
//! write `traces_service_graph_request_total{client, server, connection_type}` for each pair.
//!
//! The first sample of a pair is an edge `calls`; the series itself is of the server.

use bellwether_engine::signal::LabelPairs;

use crate::resolve::entity_resolution::{EntityResolver, UNKNOWN_ENTITY};

/// What every metric of a service graph begins with.
const METRICS: &str = "traces_service_graph_request";
/// Clients and servers that stand for what was not traced.
const NOBODY: [&str; 3] = ["user", "unknown", "virtual_node"];

/// One pair of a service graph.
#[derive(Debug, PartialEq)]
pub(crate) struct Call {
    /// Who calls, when it is known.
    pub(crate) client: Option<String>,
    pub(crate) server: String,
}

/// The pair that a series of these labels is about, when it is one of a service graph.
pub(crate) fn call(resolver: &EntityResolver, metric: &str, labels: LabelPairs<'_>) -> Option<Call> {
    if !metric.starts_with(METRICS) {
        return None;
    }
    let label = |name: &str| labels.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| *value);
    let named = |text: &str, is_database: bool| {
        let entity = match resolver.spoken(text) {
            Some(entity) => entity,
            None if is_database => resolver.spoken(&format!("database:{text}"))?,
            None => resolver.service(text),
        };
        (entity != UNKNOWN_ENTITY && !NOBODY.contains(&text)).then_some(entity)
    };
    let server = named(label("server"), label("connection_type") == "database")?;
    let client = named(label("client"), false).filter(|client| *client != server);
    Some(Call { client, server })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(metric: &str, labels: &[(&str, &str)]) -> Option<(String, String)> {
        let call = call(&EntityResolver::default(), metric, labels)?;
        Some((call.client.unwrap_or_default(), call.server))
    }

    #[test]
    fn a_pair_is_read_from_any_metric_of_a_service_graph() {
        let pair = |client: &str, server: &str| Some((client.to_owned(), server.to_owned()));
        let total = "traces_service_graph_request_total";
        assert_eq!(read(total, &[("client", "shop"), ("server", "pay")]), pair("service:shop", "service:pay"));
        let seconds = "traces_service_graph_request_server_seconds_sum";
        assert_eq!(read(seconds, &[("client", "a/shop"), ("server", "b/pay")]), pair("service:shop", "service:pay"));
        let database = [("client", "pay"), ("connection_type", "database"), ("server", "orders")];
        assert_eq!(read(total, &database), pair("service:pay", "database:orders"));
        assert_eq!(read(total, &[("client", "user"), ("server", "shop")]), pair("", "service:shop"));
        assert_eq!(read(total, &[("client", "shop"), ("server", "shop")]), pair("", "service:shop"), "no call");
        assert_eq!(read(total, &[("client", "shop")]), None);
        assert_eq!(read("http_requests_total", &[("client", "shop"), ("server", "pay")]), None);
    }
}
