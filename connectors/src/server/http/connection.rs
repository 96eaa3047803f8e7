//! Accepting connections: how many, how long they may take for their headers or stay silent, and
//! TLS.
//!
//! | limit | what the sender sees | counted as |
//! |---|---|---|
//! | `connections_max` | 503 with `Retry-After` (with TLS: the connection closes) | `connections_max` |
//! | the same, for the oldest without a credential | its connection closes in favour of a new one | `made_room` |
//! | `header_timeout_secs`, for TLS too | the connection closes | `header_timeout`, `tls_handshake` |
//! | `idle_timeout_secs` without a request | the connection closes | `idle_timeout` |

use std::convert::Infallible;
use std::future::Future;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::HttpRouter;
use super::strangers::{Acquaintance, Strangers};
use crate::intake::Intake;
use crate::limits::Limits;
use crate::server::DRAIN;
use crate::server::accept::Acceptor;
use crate::server::reply::RETRY_AFTER_SECS;
use crate::server::tls::{LiveTls, shown_certificate};

/// Streams one HTTP/2 connection may have open; OTLP exporters use one to four.
const STREAMS_MAX: u32 = 64;
/// How long a connection over the limit may take to read that there is no room.
const REFUSAL: Duration = Duration::from_secs(1);
/// Connections that are being told so at once; beyond, they are closed without a word.
const REFUSALS_MAX: usize = 64;
/// How often a connection with a running request is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Who sends a request: put beside it for the wires and pages.
#[derive(Clone, Default)]
pub(super) struct Sender {
    /// Its address.
    pub(super) address: Option<IpAddr>,
    /// Verified by the TLS layer.
    pub(super) certificate: Option<Arc<CertificateDer<'static>>>,
    /// Held while its request runs.
    pub(super) busy: Option<Busy>,
    /// To be told when its credential is good.
    pub(super) acquaintance: Option<Arc<Acquaintance>>,
}

impl Sender {
    /// It has shown a good credential: its connection need not give way.
    pub(super) fn introduced(&self) {
        if let Some(acquaintance) = &self.acquaintance {
            acquaintance.introduced();
        }
    }
}

/// A request is running on a connection, until the last clone is dropped.
#[derive(Clone)]
pub(super) struct Busy(#[expect(dead_code, reason = "held for its drop")] Arc<Running>);

struct Running(Arc<Activity>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.ended();
    }
}

/// What happens on one connection.
struct Activity {
    running: AtomicUsize,
    begun: AtomicUsize,
    since: Mutex<Instant>,
}

impl Activity {
    fn new() -> Arc<Activity> {
        Arc::new(Activity {
            running: AtomicUsize::new(0),
            begun: AtomicUsize::new(0),
            since: Mutex::new(Instant::now()),
        })
    }

    fn begin(self: &Arc<Activity>) -> Busy {
        self.running.fetch_add(1, Ordering::SeqCst);
        self.begun.fetch_add(1, Ordering::SeqCst);
        Busy(Arc::new(Running(self.clone())))
    }

    fn ended(&self) {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.running.fetch_sub(1, Ordering::SeqCst);
    }

    /// Returns the limit that the connection has passed.
    async fn overdue(&self, limits: &Limits) -> &'static str {
        loop {
            let (allowed, reason) = match self.begun.load(Ordering::SeqCst) {
                0 => (limits.header_timeout_secs, "header_timeout"),
                _ => (limits.idle_timeout_secs, "idle_timeout"),
            };
            let since = *self.since.lock().unwrap_or_else(PoisonError::into_inner);
            let due = since + Duration::from_secs(allowed);
            match (self.running.load(Ordering::SeqCst), due.checked_duration_since(Instant::now())) {
                (0, None) => return reason,
                (0, Some(left)) => tokio::time::sleep(left).await,
                _ => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
    }
}

/// A counted place, free again when dropped.
struct ConnectionPermit(Arc<AtomicUsize>);

impl ConnectionPermit {
    fn take(taken: &Arc<AtomicUsize>, places: usize) -> Option<ConnectionPermit> {
        let add = |n: usize| (n < places).then_some(n + 1);
        taken.fetch_update(Ordering::SeqCst, Ordering::SeqCst, add).ok().map(|_| ConnectionPermit(taken.clone()))
    }

    /// The place of a connection that has been asked to leave, before it has.
    fn take_over(taken: &Arc<AtomicUsize>) -> ConnectionPermit {
        taken.fetch_add(1, Ordering::SeqCst);
        ConnectionPermit(taken.clone())
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Serves `wires` on `listener` until `stop` resolves, then lets running requests end.
pub async fn serve(
    wires: Arc<HttpRouter>,
    intake: Intake,
    listener: TcpListener,
    tls: Option<Arc<LiveTls>>,
    stop: impl Future<Output = ()>,
) {
    let (open, refused) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    wires.stay_within(intake.memory());
    let (stopping, _) = tokio::sync::watch::channel(false);
    let mut listener = Acceptor::new(listener, wires.listener.clone());
    let (mut running, mut strangers) = (JoinSet::new(), Strangers::default());
    tokio::pin!(stop);
    loop {
        let (stream, from) = tokio::select! {
            () = &mut stop => break,
            _ = running.join_next(), if !running.is_empty() => continue,
            accepted = listener.accept() => accepted,
        };
        let address = from.ip().to_canonical();
        let _ = stream.set_nodelay(true);
        let limits = wires.limits();
        let mut place = ConnectionPermit::take(&open, limits.connections_max);
        if place.is_none() && strangers.make_room() {
            wires.listener.refuse("made_room", 1);
            place = Some(ConnectionPermit::take_over(&open));
        }
        let Some(place) = place else {
            wires.listener.refuse("connections_max", 1);
            if let (None, Some(telling)) = (&tls, ConnectionPermit::take(&refused, REFUSALS_MAX)) {
                running.spawn(async move {
                    let _ = tokio::time::timeout(REFUSAL, refuse(stream)).await;
                    drop(telling);
                });
            }
            continue;
        };
        let (wires, intake, tls) = (wires.clone(), intake.clone(), tls.clone());
        let mut stopped = stopping.subscribe();
        let acquaintance = strangers.add(limits.connections_max);
        running.spawn(async move {
            let stop = async move {
                let _ = stopped.wait_for(|stop| *stop).await;
            };
            let sender =
                Sender { address: Some(address), acquaintance: Some(acquaintance.clone()), ..Sender::default() };
            tokio::select! {
                () = speak(wires, intake, stream, tls, sender, limits, stop) => {}
                () = acquaintance.to_leave() => {}
            }
            drop(place);
        });
    }
    let _ = stopping.send(true);
    intake.taps().close();
    wires.close_guest();
    let _ = tokio::time::timeout(DRAIN, async { while running.join_next().await.is_some() {} }).await;
}

/// Says that there is no room, and reads what the sender is still saying: closing with unread
/// bytes would take the answer away from it.
async fn refuse(mut stream: TcpStream) {
    let text = "every connection is taken: `limits.connections_max`\n";
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nretry-after: {RETRY_AFTER_SECS}\r\nconnection: close\r\n\
         content-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\n\r\n{text}",
        text.len()
    );
    let said = stream.write_all(answer.as_bytes()).await.is_ok() && stream.shutdown().await.is_ok();
    let mut buffer = [0; 4_096];
    while said && matches!(stream.read(&mut buffer).await, Ok(1..)) {}
}

/// Shakes hands where there is TLS, and answers what is asked.
async fn speak(
    wires: Arc<HttpRouter>,
    intake: Intake,
    stream: TcpStream,
    tls: Option<Arc<LiveTls>>,
    sender: Sender,
    limits: Limits,
    stop: impl Future<Output = ()>,
) {
    let Some(tls) = tls else { return converse(wires, intake, stream, sender, limits, stop).await };
    let patience = Duration::from_secs(limits.header_timeout_secs);
    match tokio::time::timeout(patience, tls.acceptor().accept(stream)).await {
        Ok(Ok(stream)) => {
            let certificate = shown_certificate(&stream).map(Arc::new);
            converse(wires, intake, stream, Sender { certificate, ..sender }, limits, stop).await;
        }
        _ => wires.listener.refuse("tls_handshake", 1),
    }
}

async fn converse(
    wires: Arc<HttpRouter>,
    intake: Intake,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    sender: Sender,
    limits: Limits,
    stop: impl Future<Output = ()>,
) {
    let activity = Activity::new();
    let listener = wires.listener.clone();
    let answered = activity.clone();
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        let (wires, intake) = (wires.clone(), intake.clone());
        let busy = answered.begin();
        request.extensions_mut().insert(Sender { busy: Some(busy.clone()), ..sender.clone() });
        async move {
            let response = wires.respond(&intake, request).await;
            drop(busy);
            Ok::<_, Infallible>(response)
        }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    let header_time = Duration::from_secs(limits.header_timeout_secs);
    builder.http1().timer(TokioTimer::new()).header_read_timeout(header_time);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .keep_alive_interval(Some(Duration::from_secs(30)));
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => {
            if ended.is_err_and(|error| is_timeout(&*error)) {
                let first = activity.begun.load(Ordering::SeqCst) == 0;
                listener.refuse(if first { "header_timeout" } else { "idle_timeout" }, 1);
            }
        }
        () = stop => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
        reason = activity.overdue(&limits) => {
            listener.refuse(reason, 1);
            connection.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(REFUSAL, connection).await;
        }
    }
}

fn is_timeout(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_timeout)
}
