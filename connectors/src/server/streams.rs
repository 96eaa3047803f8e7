//! Listening for byte streams: syslog over TCP and TLS, Fluent Forward.
//!
//! Accepts connections within the limits, does the TLS handshake, finds the tenant of the
//! sender's certificate or else of its address, and hands each connection to its `Conversation`. One that ends with a
//! fatal error ends the listener.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bellwether_engine::signal::TenantName;
use futures::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::rustls::pki_types::CertificateDer;

use crate::intake::{Intake, SourceError, Stop};
use crate::limits::Limits;
use crate::server::DRAIN;
use crate::server::accept::Acceptor;
use crate::server::auth::Auth;
use crate::server::counters::WireCounters;
use crate::server::refusals::{Answering, Refused};
use crate::server::tls::{LiveTls, shown_certificate};

/// A connection, in the clear or not.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Duplex for S {}

/// A connection that was let in.
pub(crate) struct Caller {
    /// Its bytes.
    pub(crate) stream: Box<dyn Duplex>,
    /// Its sender.
    pub(crate) from: SocketAddr,
    /// The tenant of the sender's certificate or address; `None` only when the conversation finds
    /// it.
    pub(crate) tenant: Option<TenantName>,
}

/// What is spoken on each connection.
pub(crate) trait Conversation: Send + Sync + 'static {
    /// Whether it asks the sender for a secret itself, so that its address need not be known.
    fn asks_for_secret(&self) -> bool {
        false
    }

    /// Where it listens, and who may call.
    fn listener(&self) -> Listener<'_>;

    /// Speaks until the sender hangs up or `stop` is called.
    fn converse(
        self: Arc<Self>,
        caller: Caller,
        intake: Intake,
        stop: Stop,
    ) -> BoxFuture<'static, Result<(), SourceError>>;
}

/// A listener on its way.
pub(crate) struct Listener<'a> {
    /// The source's name.
    pub(crate) name: &'a str,
    /// Where.
    pub(crate) address: SocketAddr,
    /// With TLS.
    pub(crate) tls: Option<&'a Arc<LiveTls>>,
    /// Who may.
    pub(crate) auth: &'a Arc<Auth>,
    /// How many, and how slowly.
    pub(crate) limits: &'a Limits,
    /// Where refusals are counted.
    pub(crate) counters: &'a Arc<WireCounters>,
}

/// Listens until told to stop: the whole of a source that speaks `conversation`.
pub(crate) fn listen(
    conversation: impl Conversation,
    intake: Intake,
    stop: Stop,
) -> BoxFuture<'static, Result<(), SourceError>> {
    let conversation = Arc::new(conversation);
    Box::pin(async move { conversation.listener().run(conversation.clone(), intake, stop).await })
}

impl Listener<'_> {
    /// Listens until told to stop, and then waits for the conversations.
    async fn run(
        self,
        conversation: Arc<impl Conversation>,
        intake: Intake,
        mut stop: Stop,
    ) -> Result<(), SourceError> {
        let wrong = |reason: String| SourceError::config(self.name, reason);
        if !conversation.asks_for_secret() {
            self.auth.check_listener(self.address).map_err(|error| wrong(error.to_string()))?;
        }
        let listener = TcpListener::bind(self.address)
            .await
            .map_err(|error| wrong(format!("cannot listen on `{}`: {error}", self.address)))?;
        let mut listener = Acceptor::new(listener, self.counters.clone());
        let places = Arc::new(Semaphore::new(self.limits.connections_max));
        let patience = Duration::from_secs(self.limits.header_timeout_secs);
        let mut running: JoinSet<Result<(), SourceError>> = JoinSet::new();
        loop {
            let (stream, from) = tokio::select! {
                () = stop.stopped() => break,
                Some(ended) = running.join_next(), if !running.is_empty() => {
                    if let Ok(Err(error)) = ended {
                        return Err(error);
                    }
                    continue;
                }
                accepted = listener.accept() => accepted,
            };
            // A listener on `[::]` sees IPv4 senders as `::ffff:10.0.0.9`; they are named as they are.
            let from = SocketAddr::new(from.ip().to_canonical(), from.port());
            let by_address = self.auth.tenant_of_address(from.ip());
            let must_be_known = !conversation.asks_for_secret();
            let refused = Refused { sender: Some(from.ip()), component: self.name, reason: "unauthorized" };
            if by_address.is_none() && self.tls.is_none() && must_be_known {
                self.counters.refuse(refused.reason, 1);
                hold(stream, self.auth.refused(refused));
                continue;
            }
            let Ok(place) = places.clone().try_acquire_owned() else {
                self.counters.refuse("connections_max", 1);
                continue;
            };
            let (conversation, intake, stop) = (conversation.clone(), intake.clone(), stop.clone());
            let (tls, auth, counters) = (self.tls.cloned(), self.auth.clone(), self.counters.clone());
            let name = self.name.to_owned();
            running.spawn(async move {
                let _place = place;
                let Some((stream, certificate)) = secured(stream, tls.as_deref(), patience).await else {
                    counters.refuse("tls_handshake", 1);
                    return Ok(());
                };
                let by_certificate = certificate.and_then(|certificate| auth.tenant_of_certificate(&certificate));
                let tenant = by_certificate.or(by_address);
                if tenant.is_none() && must_be_known {
                    let refused = Refused { sender: Some(from.ip()), component: &name, reason: "unauthorized" };
                    counters.refuse(refused.reason, 1);
                    auth.refused(refused).wait().await;
                    return Ok(());
                }
                conversation.converse(Caller { stream, from, tenant }, intake, stop).await
            });
        }
        let all_ended = async {
            while let Some(ended) = running.join_next().await {
                ended.unwrap_or(Ok(()))?;
            }
            Ok(())
        };
        // Whoever goes on is cut off with `running`.
        tokio::time::timeout(DRAIN, all_ended).await.unwrap_or(Ok(()))
    }
}

/// Ends a connection that was refused: at once, or after its pause, so that who dials again at once is slowed.
fn hold(stream: TcpStream, answering: Answering) {
    match answering {
        Answering::AtOnce => drop(stream),
        slowly @ Answering::Slowly(_) => drop(tokio::spawn(async move {
            slowly.wait().await;
            drop(stream);
        })),
    }
}

/// A stream, and the certificate that its sender showed.
pub(crate) type Secured = (Box<dyn Duplex>, Option<CertificateDer<'static>>);

/// The stream after the TLS handshake, when there is to be one.
pub(crate) async fn secured(stream: TcpStream, tls: Option<&LiveTls>, patience: Duration) -> Option<Secured> {
    let Some(tls) = tls else { return Some((Box::new(stream), None)) };
    let stream = tokio::time::timeout(patience, tls.acceptor().accept(stream)).await.ok()?.ok()?;
    let certificate = shown_certificate(&stream);
    Some((Box::new(stream), certificate))
}
