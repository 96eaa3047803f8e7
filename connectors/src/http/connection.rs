//! Accepting connections: how many, how long they may take for their headers, and TLS.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::HttpWires;
use crate::source::Intake;

/// Streams one HTTP/2 connection may have open; OTLP exporters use one to four.
const STREAMS_MAX: u32 = 64;

/// How long running requests may take after the server was told to stop.
const DRAIN: Duration = Duration::from_secs(5);

/// Serves `wires` on `listener` until `stop` resolves, then lets running requests end.
pub async fn serve(
    wires: Arc<HttpWires>,
    intake: Intake,
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    stop: impl Future<Output = ()>,
) {
    let places = Arc::new(Semaphore::new(wires.limits().connections_max));
    let (stopping, _) = tokio::sync::watch::channel(false);
    let mut running = JoinSet::new();
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            _ = running.join_next(), if !running.is_empty() => continue,
            accepted = accept(&listener, &places) => accepted,
        };
        let Some((stream, place)) = accepted else {
            continue;
        };
        let (wires, intake) = (wires.clone(), intake.clone());
        let tls = tls.clone();
        let mut stopped = stopping.subscribe();
        running.spawn(async move {
            let header_time = Duration::from_secs(wires.limits().header_timeout_secs);
            let stop = async move {
                let _ = stopped.wait_for(|stop| *stop).await;
            };
            match tls {
                None => converse(wires, intake, stream, stop).await,
                Some(acceptor) => {
                    if let Ok(Ok(stream)) = tokio::time::timeout(header_time, acceptor.accept(stream)).await {
                        converse(wires, intake, stream, stop).await;
                    }
                }
            }
            drop(place);
        });
    }
    let _ = stopping.send(true);
    let _ = tokio::time::timeout(DRAIN, async { while running.join_next().await.is_some() {} }).await;
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(tokio::net::TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => {
            let _ = stream.set_nodelay(true);
            Some((stream, place))
        }
        Err(error) => {
            // Out of file descriptors, most likely: waiting is all that helps.
            tracing::warn!(%error, "a connection could not be accepted");
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}

async fn converse(
    wires: Arc<HttpWires>,
    intake: Intake,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    stop: impl Future<Output = ()>,
) {
    let header_time = Duration::from_secs(wires.limits().header_timeout_secs);
    let service = service_fn(move |request| {
        let (wires, intake) = (wires.clone(), intake.clone());
        async move { Ok::<_, Infallible>(wires.respond(&intake, request).await) }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(header_time);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .keep_alive_interval(Some(Duration::from_secs(30)));
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => {}
        () = stop => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}
