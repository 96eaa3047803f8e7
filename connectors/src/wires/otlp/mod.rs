//! OpenTelemetry protocol: metrics, logs and traces, over HTTP (protobuf and JSON) and gRPC.
//!
//! ```yaml
//! otlp:
//!   path_prefix: ""                # /v1/metrics, /v1/logs, /v1/traces below it
//!   grpc_listen: 127.0.0.1:4317    # see [`grpc`]
//!   grpc_tls: { certificate_file: tls.crt, key_file: tls.key, client_ca_file: clients.crt }
//! ```
//!
//! Answers follow the specification: 200 with `partial_success` when something was refused
//! (the client must not repeat it), 400 for bad data, 503 with `Retry-After` for overload, in
//! the content type of the request; error bodies are `google.rpc.Status`. Specification:
//! OTLP 1.x, <https://opentelemetry.io/docs/specs/otlp/>.

mod attributes;
pub mod grpc;
mod json;
mod logs;
mod metrics;
mod traces;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};

use bellwether_engine::input::Input;
use bellwether_engine::signal::{LogBuilder, MetricBuilder, TenantName};
use bellwether_engine::time::EventTime;
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::intake::reject::{FIELDS_CUT, LABELS_CUT, Refusals};
use crate::limits::{Compression, Limits};
use crate::memory::Class;
use crate::resolve::series_table::SeriesTable;
use crate::server::listener::{Endpoint, Listening, Transport};
use crate::server::outcome::{Accepted, Outcome};
use crate::server::reply::Reply;
use crate::server::request::Request;
use crate::server::tls::TlsConfig;
use crate::server::wire::{HttpHandler, HttpWire, Route};
use crate::wires::declare::{Door, Shared, WireConfig, WireRow};
use crate::wires::otlp::grpc::OtlpGrpc;

/// Where OTLP is received.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OtlpConfig {
    /// Put in front of `/v1/metrics`, `/v1/logs` and `/v1/traces`.
    pub path_prefix: String,
    /// Where gRPC listens; absent for HTTP only.
    pub grpc_listen: Option<SocketAddr>,
    /// Speak TLS on the gRPC listener.
    pub grpc_tls: Option<TlsConfig>,
}

impl Default for OtlpConfig {
    fn default() -> OtlpConfig {
        let grpc_listen = Some(SocketAddr::from(([127, 0, 0, 1], 4317)));
        OtlpConfig { path_prefix: String::new(), grpc_listen, grpc_tls: None }
    }
}

impl WireConfig for OtlpConfig {
    fn doors(&self) -> Vec<Door<'_>> {
        // Both transports share what is remembered of spans.
        let decoder = Arc::new(OnceLock::new());
        let otlp = move |shared: &Shared| -> Arc<Otlp> {
            let new = || Arc::new(Otlp::new(self.clone(), shared.limits.clone(), shared.series.clone()));
            decoder.get_or_init(new).clone()
        };
        let of_http = otlp.clone();
        let mut doors = vec![Door::Http(Box::new(move |shared| Ok(HttpWire::new(of_http(shared)))))];
        if let Some(address) = self.grpc_listen {
            let endpoint = Endpoint {
                name: "otlp_grpc",
                protocol: "gRPC",
                key: "grpc_listen",
                transport: Transport::Tcp,
                address,
                tls: self.grpc_tls.as_ref(),
                asks_for_secret: false,
            };
            doors.push(Door::own(endpoint, move |shared| {
                let grpc = OtlpGrpc::new("otlp_grpc", otlp(shared), shared.auth.clone())?;
                Ok(Listening { counters: grpc.counters(), tls: grpc.tls(), source: Box::new(grpc) })
            }));
        }
        doors
    }

    fn paths(&mut self) -> Vec<&mut PathBuf> {
        self.grpc_tls.iter_mut().flat_map(TlsConfig::paths).collect()
    }

    fn rows() -> &'static [WireRow] {
        &[
            WireRow {
                wire: "OTLP over HTTP, protobuf and JSON, gzip (`src/wires/otlp`)",
                at: "`/v1/metrics`, `/v1/logs`, `/v1/traces`",
                answers: "200 with partial success; 503 and `Retry-After` full",
                again: "same body; spans by id",
                peer: "OpenTelemetry SDK for Python",
            },
            WireRow {
                wire: "OTLP over gRPC, TLS, client certificates (`src/wires/otlp/grpc.rs`)",
                at: "port 4317",
                answers: "`UNAVAILABLE` with `RetryInfo` full",
                again: "same message; spans by id",
                peer: "OpenTelemetry SDK for Python",
            },
        ]
    }
}

/// What is posted to each of the three paths.
#[derive(Clone, Copy)]
enum Signal {
    Metrics,
    Logs,
    Traces,
}

/// One of the three requests, decoded.
#[derive(Debug)]
pub enum Export {
    /// `/v1/metrics`.
    Metrics(ExportMetricsServiceRequest),
    /// `/v1/logs`.
    Logs(ExportLogsServiceRequest),
    /// `/v1/traces`.
    Traces(ExportTraceServiceRequest),
}

impl Export {
    /// Data points, log records or spans in it.
    fn events(&self) -> usize {
        match self {
            Export::Metrics(request) => request
                .resource_metrics
                .iter()
                .flat_map(|resource| &resource.scope_metrics)
                .flat_map(|scope| &scope.metrics)
                .map(points)
                .sum(),
            Export::Logs(request) => request
                .resource_logs
                .iter()
                .flat_map(|resource| &resource.scope_logs)
                .map(|scope| scope.log_records.len())
                .sum(),
            Export::Traces(request) => request
                .resource_spans
                .iter()
                .flat_map(|resource| &resource.scope_spans)
                .map(|scope| scope.spans.len())
                .sum(),
        }
    }
}

fn points(metric: &opentelemetry_proto::tonic::metrics::v1::Metric) -> usize {
    use opentelemetry_proto::tonic::metrics::v1::metric::Data;
    match &metric.data {
        None => 0,
        Some(Data::Gauge(data)) => data.data_points.len(),
        Some(Data::Sum(data)) => data.data_points.len(),
        Some(Data::Histogram(data)) => data.data_points.len(),
        Some(Data::ExponentialHistogram(data)) => data.data_points.len(),
        Some(Data::Summary(data)) => data.data_points.len(),
    }
}

/// What came of an export, before it is put into an answer.
#[derive(Debug, Default)]
pub struct Exported {
    /// For the journal, with the points, records or spans in it.
    pub accepted: Accepted,
    /// Points, records or spans not taken.
    pub refused: Refusals,
}

/// The decoder behind both transports.
pub struct Otlp {
    config: OtlpConfig,
    limits: Limits,
    series: Arc<SeriesTable>,
    graphs: Mutex<HashMap<TenantName, traces::Graph>>,
}

/// `google.rpc.Status` without details.
#[derive(Clone, PartialEq, prost::Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

/// The partial success of all three responses: field 1 holds this.
#[derive(Clone, PartialEq, prost::Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Response {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

const INVALID_ARGUMENT: i32 = 3;
const RESOURCE_EXHAUSTED: i32 = 8;
const UNAVAILABLE: i32 = 14;

impl Otlp {
    /// A decoder that describes new series through `series`.
    pub fn new(config: OtlpConfig, limits: Limits, series: Arc<SeriesTable>) -> Otlp {
        Otlp { config, limits, series, graphs: Mutex::default() }
    }

    /// Turns one decoded request of `tenant` into journal entries.
    ///
    /// # Errors
    /// The name of the limit when it holds more events than `limits.events_max`.
    pub fn export(&self, tenant: &TenantName, export: &Export, received: EventTime) -> Result<Exported, &'static str> {
        if export.events() > self.limits.events_max {
            return Err("events_max");
        }
        let mut exported = match export {
            Export::Metrics(request) => self.metrics(tenant, request, received),
            Export::Logs(request) => self.logs(tenant, request, received),
            Export::Traces(request) => self.traces(tenant, request, received),
        };
        exported.refused.add_some(FIELDS_CUT, exported.accepted.shortened());
        Ok(exported)
    }

    fn metrics(&self, tenant: &TenantName, request: &ExportMetricsServiceRequest, received: EventTime) -> Exported {
        let ((mut samples, points, refused), described) = self.series.session(tenant, "otlp", received, |session| {
            let mut decoder = metrics::Decoder {
                session,
                limits: &self.limits,
                received,
                samples: MetricBuilder::new(),
                accepted: 0,
                refused: Refusals::default(),
            };
            decoder.decode(request);
            let cut = decoder.session.labels_cut();
            decoder.refused.add_some(LABELS_CUT, cut);
            (decoder.samples, decoder.accepted, decoder.refused)
        });
        let mut accepted = Accepted::describing(described);
        accepted.add(samples.finish_for(tenant), points);
        Exported { accepted, refused }
    }

    fn logs(&self, tenant: &TenantName, request: &ExportLogsServiceRequest, received: EventTime) -> Exported {
        let mut builder = LogBuilder::new();
        let refused = logs::decode(request, self.series.resolver(), &self.limits, received, &mut builder);
        let mut accepted = Accepted::default();
        accepted.add_rows(builder.finish_for(tenant));
        Exported { accepted, refused }
    }

    fn traces(&self, tenant: &TenantName, request: &ExportTraceServiceRequest, received: EventTime) -> Exported {
        let mut graphs = self.graphs.lock().unwrap_or_else(|held| held.into_inner());
        let graph = graphs.entry(tenant.clone()).or_default();
        let (mut told, described) = self.series.session(tenant, "otlp", received, |session| {
            graph.decode(request, self.series.resolver(), &self.limits, received, session)
        });
        let mut accepted = Accepted::describing(described);
        accepted.add(told.edges.finish_for(tenant), 0);
        accepted.add(told.samples.finish_for(tenant), 0);
        accepted.add_remembered(told.accepted);
        Exported { accepted, refused: told.refused }
    }

    /// The entries of an export were not stored.
    pub(crate) fn not_stored(&self, tenant: &str, inputs: &[Input]) {
        self.series.undo(inputs);
        let mut graphs = self.graphs.lock().unwrap_or_else(|held| held.into_inner());
        if let Some(graph) = graphs.get_mut(tenant) {
            graph.tell_again();
        }
    }

    /// Takes what was posted for one of the signals.
    fn take(&self, signal: Signal, request: &Request<'_>) -> Outcome {
        let refuse = |(status, text, reason)| Outcome::refused(failure(request, status, text), reason);
        let (export, odd) = match self.decoded(signal, request) {
            Ok(decoded) => decoded,
            Err(error) => return refuse(error),
        };
        match self.export(request.tenant, &export, request.received) {
            Err(limit) => refuse((413, format!("more events than `limits.{limit}`"), limit)),
            Ok(Exported { accepted, mut refused }) => {
                refused.add_some("malformed", odd);
                let reply = success(signal, request, &refused);
                Outcome::store(accepted, refused, reply)
            }
        }
    }

    /// The request, and how many of its events cannot be read.
    fn decoded(&self, signal: Signal, request: &Request<'_>) -> Result<(Export, u64), (u16, String, &'static str)> {
        let encoding = request.header("content-encoding");
        let compression = Compression::from_header(encoding)
            .ok_or_else(|| (415, format!("content encoding `{encoding}` is not supported"), "encoding"))?;
        let mut body = Vec::new();
        self.limits
            .unpack(request.body, compression, &mut body)
            .map_err(|error| (error.status(), error.to_string(), error.reason()))?;
        let json = match request.media_type().as_str() {
            "application/x-protobuf" => false,
            "application/json" => true,
            other => {
                let text =
                    format!("content type `{other}` is not supported, known: application/x-protobuf, application/json");
                return Err((415, text, "content_type"));
            }
        };
        let read = match (signal, json) {
            (signal, true) => json::read(signal, &body),
            (Signal::Metrics, _) => message(&body).map(Export::Metrics).map(whole),
            (Signal::Logs, _) => message(&body).map(Export::Logs).map(whole),
            (Signal::Traces, _) => message(&body).map(Export::Traces).map(whole),
        };
        read.map_err(|error| (400, error.to_string(), "malformed"))
    }
}

/// Why a request holds nothing that could be read.
#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    #[error("not a JSON object")]
    NoObject,
    #[error("`{0}` is no list")]
    NoList(&'static str),
    #[error("{0}")]
    Protobuf(#[from] prost::DecodeError),
}

fn message<T: Message + Default>(body: &[u8]) -> Result<T, Unreadable> {
    Ok(T::decode(body)?)
}

/// A message of which every event can be read.
fn whole(export: Export) -> (Export, u64) {
    (export, 0)
}

/// An error in the content type of the request.
fn failure(request: &Request<'_>, http: u16, text: String) -> Reply {
    let code = match http {
        413 => RESOURCE_EXHAUSTED,
        503 => UNAVAILABLE,
        _ => INVALID_ARGUMENT,
    };
    if request.media_type() == "application/json" {
        return Reply::json(http, &serde_json::json!({"code": code, "message": text}));
    }
    let body = RpcStatus { code, message: text }.encode_to_vec();
    protobuf(http, body)
}

fn protobuf(status: u16, body: Vec<u8>) -> Reply {
    Reply { status, headers: vec![("content-type", "application/x-protobuf".to_owned())], body: Bytes::from(body) }
}

/// 200 for an export of which nothing was refused.
fn complete(request: &Request<'_>) -> Reply {
    match request.media_type() == "application/json" {
        true => Reply::json(200, &serde_json::json!({})),
        false => protobuf(200, Response::default().encode_to_vec()),
    }
}

/// 200, with the refused events when there are any.
fn success(signal: Signal, request: &Request<'_>, refused: &Refusals) -> Reply {
    if refused.is_empty() {
        return complete(request);
    }
    // What lost a detail only is stored: none rejected, and a message, is the protocol's warning.
    let rejected = i64::try_from(refused.lost().total()).unwrap_or(i64::MAX);
    if request.media_type() == "application/json" {
        let field = match signal {
            Signal::Metrics => "rejectedDataPoints",
            Signal::Logs => "rejectedLogRecords",
            Signal::Traces => "rejectedSpans",
        };
        let partial = serde_json::json!({field: rejected.to_string(), "errorMessage": refused.describe()});
        return Reply::json(200, &serde_json::json!({"partialSuccess": partial}));
    }
    let partial = PartialSuccess { rejected, error_message: refused.describe() };
    protobuf(200, Response { partial_success: Some(partial) }.encode_to_vec())
}

impl HttpHandler for Otlp {
    fn class(&self, path: &str) -> Class {
        if path.ends_with("/logs") { Class::Logs } else { Class::Metrics }
    }

    fn routes(&self) -> Vec<Route<Otlp>> {
        let prefix = self.config.path_prefix.trim_end_matches('/');
        let route = |(path, signal)| {
            let take = move |otlp: &Otlp, request: &Request<'_>| otlp.take(signal, request);
            Route::post_or_put(format!("{prefix}/v1/{path}"), take)
        };
        [("metrics", Signal::Metrics), ("logs", Signal::Logs), ("traces", Signal::Traces)].map(route).into()
    }

    fn resend_is_duplicate(&self, _: &Request<'_>) -> bool {
        true
    }

    fn answer_again(&self, request: &Request<'_>) -> Option<Reply> {
        // Spans are not to be counted again for an answer; what was refused of them has been said.
        Some(complete(request))
    }

    fn overloaded(&self, request: &Request<'_>, reason: &str) -> Reply {
        failure(request, 503, reason.to_owned()).with("retry-after", crate::server::reply::RETRY_AFTER_SECS.to_string())
    }

    fn undo(&self, inputs: &[Input]) {
        let tenant = inputs.iter().find_map(|input| match input {
            Input::Batch(batch) => Some(batch.tenant()),
            _ => None,
        });
        self.not_stored(tenant.unwrap_or_default(), inputs);
    }
}

#[cfg(test)]
mod tests;
