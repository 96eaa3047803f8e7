//! The connections of the gRPC listener: how many, with TLS or without, and who has called.
//!
//! tonic serves what comes out of `connections`: each connection has a place
//! (`limits.connections_max`), has shaken hands within `limits.header_timeout_secs`, and carries
//! the certificate its sender has shown, which tonic puts beside each call.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::Stream;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tonic::transport::server::Connected;

use crate::intake::Stop;
use crate::limits::Limits;
use crate::server::DRAIN;
use crate::server::accept::Acceptor;
use crate::server::counters::WireCounters;
use crate::server::streams::{Duplex, secured};
use crate::server::tls::LiveTls;

/// Connections that have shaken hands and wait for the server; it takes them at once.
const READY_MAX: usize = 16;

/// Who calls, as the connection knows it.
#[derive(Clone, Default)]
pub(crate) struct Caller {
    /// From where.
    pub(crate) address: Option<IpAddr>,
    /// Verified by the TLS layer.
    pub(crate) certificate: Option<Arc<CertificateDer<'static>>>,
}

/// One connection.
pub(crate) struct Connection {
    stream: Box<dyn Duplex>,
    caller: Caller,
    /// Completes when nobody is to be waited for any more.
    cut: Pin<Box<dyn Future<Output = ()> + Send>>,
    _place: OwnedSemaphorePermit,
}

/// Accepts on `listener` until what is returned is dropped. Connections end at the latest [`DRAIN`] after
/// `stop`, whatever their senders do.
pub(crate) fn connections(
    listener: TcpListener,
    tls: Option<Arc<LiveTls>>,
    limits: &Limits,
    counters: Arc<WireCounters>,
    stop: Stop,
) -> impl Stream<Item = io::Result<Connection>> + use<> {
    let places = Arc::new(Semaphore::new(limits.connections_max));
    let patience = Duration::from_secs(limits.header_timeout_secs);
    let (ready, mut served) = mpsc::channel(READY_MAX);
    let mut listener = Acceptor::new(listener, counters.clone());
    tokio::spawn(async move {
        loop {
            let (stream, from) = tokio::select! {
                () = ready.closed() => break,
                accepted = listener.accept() => accepted,
            };
            let _ = stream.set_nodelay(true);
            let Ok(place) = places.clone().try_acquire_owned() else {
                counters.refuse("connections_max", 1);
                continue;
            };
            let (tls, ready, counters) = (tls.clone(), ready.clone(), counters.clone());
            let mut stop = stop.clone();
            let cut = Box::pin(async move {
                stop.stopped().await;
                tokio::time::sleep(DRAIN).await;
            });
            tokio::spawn(async move {
                match secured(stream, tls.as_deref(), patience).await {
                    Some((stream, certificate)) => {
                        let address = Some(from.ip().to_canonical());
                        let caller = Caller { address, certificate: certificate.map(Arc::new) };
                        // A server that stops takes no more.
                        let _ = ready.send(Ok(Connection { stream, caller, cut, _place: place })).await;
                    }
                    None => counters.refuse("tls_handshake", 1),
                }
            });
        }
    });
    futures::stream::poll_fn(move |context| served.poll_recv(context))
}

impl Connected for Connection {
    type ConnectInfo = Caller;

    fn connect_info(&self) -> Caller {
        self.caller.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.cut.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
