//! OTLP over gRPC: the same decoder behind tonic's services.
//!
//! The credential is checked from the call's metadata, and from the certificate that the sender
//! has shown where the listener asks for one, before its message is read. Overload is
//! `UNAVAILABLE` with `RetryInfo`, which exporters repeat; a message over the limit is
//! `RESOURCE_EXHAUSTED` without it, which they do not.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bellwether_engine::signal::TenantName;
use bellwether_engine::time::EventTime;
use futures::future::BoxFuture;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message;
use tonic::body::Body;
use tonic::codec::CompressionEncoding;
use tonic::codegen::Service;
use tonic::server::NamedService;
use tonic::service::interceptor::InterceptedService;
use tonic::{Code, Request, Response, Status};

use super::{Export, Exported, Otlp};
use crate::intake::{AcceptError, Intake, Source, SourceError, Stop};
use crate::journal::PendingAppend;
use crate::journal::receipts::{Claim, Claims, request_key};
use crate::limits::Limits;
use crate::memory::{Class, Memory, Work};
use crate::server::DRAIN;
use crate::server::auth::{Auth, Grant, Right, Shown};
use crate::server::connections::{Caller, connections};
use crate::server::counters::WireCounters;
use crate::server::doors::{BodyError, Doors, Held, Lane, Metered, NO_MEMORY, TOO_FAST};
use crate::server::http::now;
use crate::server::refusals::Refused;
use crate::server::reply::RETRY_AFTER_SECS;
use crate::server::tls::{LiveTls, TlsError};

/// Calls one connection may have open.
const STREAMS_MAX: u32 = 64;

/// What a sender is told whose share of the room is taken.
const NO_ROOM: &str = "too much is being received of this sender at once";

/// ALPN of the listener: gRPC is HTTP/2.
const GRPC_PROTOCOLS: &[&[u8]] = &[b"h2"];

/// The gRPC listener as a source.
pub struct OtlpGrpc {
    name: String,
    otlp: Arc<Otlp>,
    tls: Option<Arc<LiveTls>>,
    auth: Arc<Auth>,
    counters: Arc<WireCounters>,
}

impl OtlpGrpc {
    /// A listener called `name` at the decoder's `grpc_listen`, with its `grpc_tls`.
    ///
    /// # Errors
    /// [`TlsError`] when a certificate or key cannot be used.
    pub fn new(name: impl Into<String>, otlp: Arc<Otlp>, auth: Arc<Auth>) -> Result<OtlpGrpc, TlsError> {
        let tls = otlp.config.grpc_tls.clone().map(|tls| LiveTls::new(tls, GRPC_PROTOCOLS)).transpose()?;
        Ok(OtlpGrpc { name: name.into(), otlp, tls: tls.map(Arc::new), auth, counters: Arc::default() })
    }

    /// Its TLS, to be reloaded.
    pub fn tls(&self) -> Option<Arc<LiveTls>> {
        self.tls.clone()
    }

    /// What it has received so far.
    pub fn counters(&self) -> Arc<WireCounters> {
        self.counters.clone()
    }
}

impl Source for OtlpGrpc {
    fn name(&self) -> &str {
        &self.name
    }

    fn run(self: Box<Self>, intake: Intake, mut stop: Stop) -> BoxFuture<'static, Result<(), SourceError>> {
        Box::pin(async move {
            let Some(address) = self.otlp.config.grpc_listen else {
                let reason = "otlp.grpc_listen is not set; set it or leave this source out";
                return Err(SourceError::config(&self.name, reason));
            };
            let wrong = |reason: String| SourceError::config(&self.name, reason);
            self.auth.check_listener(address).map_err(|error| wrong(error.to_string()))?;
            let listener = tokio::net::TcpListener::bind(address)
                .await
                .map_err(|error| wrong(format!("cannot listen on `{address}`: {error}")))?;
            let (limits, doors) = (&self.otlp.limits, Arc::new(Doors::new(&self.otlp.limits)));
            doors.within(limits, intake.memory());
            let incoming = connections(listener, self.tls.clone(), limits, self.counters.clone(), stop.clone());
            let counters = self.counters.clone();
            let memory = intake.memory().clone();
            let receiver = Receiver { otlp: self.otlp.clone(), intake, doors: doors.clone(), counters };
            let size = self.otlp.limits.decompressed_bytes_max;
            let name: Arc<str> = Arc::from(self.name.as_str());
            let guard = |class| Guard {
                name: name.clone(),
                auth: self.auth.clone(),
                doors: doors.clone(),
                counters: self.counters.clone(),
                memory: memory.clone(),
                class,
            };
            let bounded = Bounds { limits: limits.clone(), memory: memory.clone(), counters: self.counters.clone() };
            let metrics = MetricsServiceServer::new(receiver.clone())
                .accept_compressed(CompressionEncoding::Gzip)
                .max_decoding_message_size(size);
            let logs = LogsServiceServer::new(receiver.clone())
                .accept_compressed(CompressionEncoding::Gzip)
                .max_decoding_message_size(size);
            let traces = TraceServiceServer::new(receiver)
                .accept_compressed(CompressionEncoding::Gzip)
                .max_decoding_message_size(size);
            let within = Duration::from_secs(limits.body_timeout_secs);
            let mut stopping = stop.clone();
            let serving = tonic::transport::Server::builder()
                .timeout(within)
                .max_concurrent_streams(STREAMS_MAX)
                .concurrency_limit_per_connection(STREAMS_MAX as usize)
                .http2_keepalive_interval(Some(std::time::Duration::from_secs(30)))
                .add_service(InterceptedService::new(bounded.around(metrics, Class::Metrics), guard(Class::Metrics)))
                .add_service(InterceptedService::new(bounded.around(logs, Class::Logs), guard(Class::Logs)))
                .add_service(InterceptedService::new(bounded.around(traces, Class::Metrics), guard(Class::Metrics)))
                .serve_with_incoming_shutdown(incoming, async move { stopping.stopped().await });
            let cut = async {
                stop.stopped().await;
                tokio::time::sleep(DRAIN).await;
            };
            tokio::select! {
                ended = serving => ended.map_err(|error| wrong(format!("cannot serve on `{address}`: {error}"))),
                () = cut => Ok(()),
            }
        })
    }
}

/// Refuses a call without a credential.
#[derive(Clone)]
struct Guard {
    name: Arc<str>,
    auth: Arc<Auth>,
    doors: Arc<Doors>,
    counters: Arc<WireCounters>,
    memory: Memory,
    class: Class,
}

impl tonic::service::Interceptor for Guard {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let headers = request.metadata().clone().into_headers();
        let caller = request.extensions().get::<Caller>().cloned().unwrap_or_default();
        // A call is refused without a pause here: exporters do not repeat what is refused so.
        let refuse = |reason| {
            self.counters.refuse(reason, 1);
            drop(self.auth.refused(Refused { sender: caller.address, component: &self.name, reason }));
        };
        if Auth::is_ambiguous(&headers) {
            refuse("two_credentials");
            return Err(Status::invalid_argument("more than one credential: send one"));
        }
        match self.auth.grant(Shown { headers: &headers, certificate: caller.certificate.as_deref() }) {
            Some(grant) if grant.may.include(Right::Send) => {
                if self.memory.refuses(self.class) {
                    self.counters.refuse("memory", 1);
                    return Err(unavailable(NO_MEMORY));
                }
                if !self.doors.rates.admit(&grant.tenant) {
                    self.counters.refuse("tenant_rate", 1);
                    return Err(unavailable(TOO_FAST));
                }
                let Some(held) = self.doors.room.hold(&grant.holder(), Lane::Bulk) else {
                    self.counters.refuse("busy", 1);
                    return Err(unavailable(NO_ROOM));
                };
                request.extensions_mut().insert(held);
                request.extensions_mut().insert(grant);
                Ok(request)
            }
            Some(_) => {
                refuse("forbidden");
                Err(Status::permission_denied(Right::Send.refusal()))
            }
            None => {
                refuse("unauthorized");
                Err(Status::unauthenticated("a credential is needed"))
            }
        }
    }
}

/// What messages are read within.
#[derive(Clone)]
struct Bounds {
    limits: Limits,
    memory: Memory,
    counters: Arc<WireCounters>,
}

impl Bounds {
    fn around<S>(&self, service: S, class: Class) -> Bounded<S> {
        Bounded { service, bounds: self.clone(), class }
    }

    /// Reads the message as it was sent, held by the room that the guard has found for its sender, and then waits
    /// for what unpacking it may take: tonic unpacks whatever it is given.
    async fn read(&self, class: Class, request: http::Request<Body>) -> Result<http::Request<Body>, Status> {
        let (mut head, body) = request.into_parts();
        let Some(held) = head.extensions.get::<Arc<Held>>().cloned() else {
            return Ok(http::Request::from_parts(head, body));
        };
        let metered = Metered::new(body, held, || unavailable(NO_ROOM).into());
        let read = Limited::new(metered, self.limits.decompressed_bytes_max).collect().await;
        let body = read.map_err(|error| self.not_read(error))?.to_bytes();
        let encoding = head.headers.get("grpc-encoding").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let Some(work) = self.memory.work(class, self.limits.work_bytes(&body, encoding)).await else {
            self.counters.refuse("memory", 1);
            return Err(unavailable(NO_MEMORY));
        };
        head.extensions.insert(Arc::new(work));
        Ok(http::Request::from_parts(head, Body::new(Full::new(body))))
    }

    fn not_read(&self, error: BodyError) -> Status {
        if error.is::<LengthLimitError>() {
            self.counters.refuse("too_large", 1);
            return Status::resource_exhausted("the message is larger than `limits.decompressed_bytes_max`");
        }
        match error.downcast::<Status>() {
            Ok(refusal) => {
                self.counters.refuse("busy", 1);
                *refusal
            }
            Err(_) => Status::cancelled("the message could not be read"),
        }
    }
}

/// A service whose messages are read within bounds.
#[derive(Clone)]
struct Bounded<S> {
    service: S,
    bounds: Bounds,
    class: Class,
}

impl<S: NamedService> NamedService for Bounded<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<http::Request<Body>> for Bounded<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        // The one that is ready is called.
        let next = self.service.clone();
        let mut service = std::mem::replace(&mut self.service, next);
        let (bounds, class) = (self.bounds.clone(), self.class);
        Box::pin(async move {
            match bounds.read(class, request).await {
                Ok(request) => service.call(request).await,
                Err(refusal) => Ok(refusal.into_http()),
            }
        })
    }
}

/// What the three services share.
#[derive(Clone)]
struct Receiver {
    otlp: Arc<Otlp>,
    intake: Intake,
    doors: Arc<Doors>,
    counters: Arc<WireCounters>,
}

impl Receiver {
    /// Decodes, stores, and returns how much was refused and why.
    async fn receive<T: Message>(
        &self,
        request: Request<T>,
        path: &str,
        export: impl FnOnce(T) -> Export,
    ) -> Result<Option<(i64, String)>, Status> {
        // Put beside it by the guard.
        let Some(grant) = request.extensions().get::<Grant>().cloned() else {
            return Err(Status::unauthenticated("a credential is needed"));
        };
        // Held until it is answered: what was decoded takes at least as much.
        let _held = request.extensions().get::<Arc<Held>>().cloned();
        let _work = request.extensions().get::<Arc<Work>>().cloned();
        let Some(_place) = self.doors.places.take(&grant.holder(), Lane::Bulk).await else {
            self.counters.refuse("busy", 1);
            return Err(unavailable("too many calls at once"));
        };
        let tenant = grant.tenant;
        let message = request.into_inner();
        let received = now();
        let bytes = message.encode_to_vec();
        self.counters.request(bytes.len());
        self.doors.rates.charge(&tenant, bytes.len());
        let key = request_key(&tenant, path, &bytes);
        drop(bytes);
        let claims = self.intake.claims(&tenant);
        match claims.take(key) {
            Claim::Ours => {}
            Claim::Busy => return Err(unavailable("the same request is being stored")),
            Claim::Taken => {
                self.counters.duplicate(1);
                return Ok(None);
            }
        }
        self.store(&tenant, export(message), received, claims).await
    }

    async fn store(
        &self,
        tenant: &TenantName,
        export: Export,
        received: EventTime,
        claims: Claims,
    ) -> Result<Option<(i64, String)>, Status> {
        let exported = self.otlp.export(tenant, &export, received);
        let Exported { accepted, refused } = exported.map_err(|limit| {
            self.counters.refuse(limit, 1);
            Status::resource_exhausted(format!("more events than `limits.{limit}`"))
        })?;
        for (reason, count) in refused.iter() {
            self.counters.refuse(reason, count);
        }
        if !accepted.inputs().is_empty()
            && let Err(error) = self.intake.accept_now(accepted.inputs(), claims, PendingAppend::default()).await
        {
            self.otlp.not_stored(tenant, accepted.inputs());
            self.counters.refuse("journal", accepted.events());
            return Err(match error {
                AcceptError::TooLarge { reason } => Status::resource_exhausted(reason),
                error => unavailable(error.told()),
            });
        }
        self.counters.accept(accepted.events());
        let rejected = i64::try_from(refused.lost().total()).unwrap_or(i64::MAX);
        Ok((!refused.is_empty()).then(|| (rejected, refused.describe())))
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct StatusDetails {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes, tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<ProtoDuration>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ProtoDuration {
    #[prost(int64, tag = "1")]
    seconds: i64,
}

/// `UNAVAILABLE` with the time after which to come back.
fn unavailable(text: &str) -> Status {
    let retry = RetryInfo { retry_delay: Some(ProtoDuration { seconds: RETRY_AFTER_SECS as i64 }) };
    let details = StatusDetails {
        code: Code::Unavailable as i32,
        message: text.to_owned(),
        details: vec![Any {
            type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(),
            value: retry.encode_to_vec(),
        }],
    };
    Status::with_details(Code::Unavailable, text, details.encode_to_vec().into())
}

#[tonic::async_trait]
impl MetricsService for Receiver {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let refused = self.receive(request, "metrics", Export::Metrics).await?;
        Ok(Response::new(ExportMetricsServiceResponse {
            partial_success: refused.map(|(rejected_data_points, error_message)| ExportMetricsPartialSuccess {
                rejected_data_points,
                error_message,
            }),
        }))
    }
}

#[tonic::async_trait]
impl LogsService for Receiver {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        let refused = self.receive(request, "logs", Export::Logs).await?;
        Ok(Response::new(ExportLogsServiceResponse {
            partial_success: refused.map(|(rejected_log_records, error_message)| ExportLogsPartialSuccess {
                rejected_log_records,
                error_message,
            }),
        }))
    }
}

#[tonic::async_trait]
impl TraceService for Receiver {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let refused = self.receive(request, "traces", Export::Traces).await?;
        Ok(Response::new(ExportTraceServiceResponse {
            partial_success: refused
                .map(|(rejected_spans, error_message)| ExportTracePartialSuccess { rejected_spans, error_message }),
        }))
    }
}
