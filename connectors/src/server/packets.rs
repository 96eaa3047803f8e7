//! Wires of single packets: datagrams, and the frames of a byte stream.
//!
//! A [`PacketWire`] turns one packet into rows without I/O. The loops here read the socket,
//! gather rows per tenant for a moment ([`GATHER`]) and hand them to the journal. Datagrams
//! that the journal refuses are counted as lost, for nobody would send them again; a stream
//! is simply not read further until there is room. The tenant comes from the sender's address
//! (`auth.networks`), which can be forged: keep such listeners inside a trusted network.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bellwether_engine::input::Input;
use bellwether_engine::signal::{AlertBuilder, LogBuilder, TenantName};
use bellwether_engine::time::EventTime;
use futures::future::BoxFuture;
use tokio::net::UdpSocket;
use tokio::time::MissedTickBehavior;

use crate::intake::reject::Refusals;
use crate::intake::{AcceptError, Intake, Source, SourceError, Stop};
use crate::journal::PendingAppend;
use crate::journal::receipts::{Claim, Claims};
use crate::server::auth::Auth;
use crate::server::counters::WireCounters;
use crate::server::http::now;
use crate::server::listener::Listening;
use crate::server::refusals::Refused;

/// How long rows are gathered before they become journal entries.
pub const GATHER: Duration = Duration::from_millis(200);

/// How many packets are gathered at most.
const GATHER_PACKETS_MAX: usize = 1_000;

/// Largest datagram; UDP has no larger ones.
const DATAGRAM_BYTES_MAX: usize = 65_535;

/// One packet.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// The tenant of its sender.
    pub tenant: &'a TenantName,
    /// Its sender.
    pub from: IpAddr,
    /// Its bytes.
    pub bytes: &'a [u8],
    /// When it came.
    pub received: EventTime,
}

/// Rows of one tenant on their way to the journal.
#[derive(Debug, Default)]
pub struct Gathered {
    /// Log records.
    pub logs: LogBuilder,
    /// Alerts.
    pub alerts: AlertBuilder,
    /// Entries complete already.
    pub inputs: Vec<Input>,
    /// Events in all of them.
    pub events: u64,
    /// Parts of packets that were refused, to be counted.
    pub refused: Refusals,
    /// Answers to send when they are durable.
    pub replies: Vec<(SocketAddr, Vec<u8>)>,
    /// What of them may come again; `None` when nobody remembers anything.
    pub claims: Option<Claims>,
}

impl Gathered {
    /// Nothing yet, with these claims.
    pub fn claiming(claims: Claims) -> Gathered {
        Gathered { claims: Some(claims), ..Gathered::default() }
    }

    /// Claims a packet that may come again.
    pub fn claim(&self, key: u128) -> Claim {
        self.claims.as_ref().map_or(Claim::Ours, |claims| claims.take(key))
    }

    /// True when there is nothing to store.
    pub fn is_empty(&self) -> bool {
        self.logs.is_empty() && self.alerts.is_empty() && self.inputs.is_empty()
    }

    /// The entries.
    pub fn finish(&mut self, tenant: &TenantName) -> Vec<Input> {
        let mut inputs = std::mem::take(&mut self.inputs);
        let batches = [self.logs.finish_for(tenant), self.alerts.finish_for(tenant)];
        inputs.extend(batches.into_iter().filter(|batch| !batch.is_empty()).map(Input::Batch));
        inputs
    }
}

/// A wire of packets.
pub trait PacketWire: Send + Sync + 'static {
    /// Reads one packet into rows; returns an answer for its sender, sent once the rows are
    /// durable.
    ///
    /// # Errors
    /// The reason to refuse it.
    fn read(&self, packet: Packet<'_>, out: &mut Gathered) -> Result<Option<Vec<u8>>, &'static str>;

    /// Called every [`GATHER`]: what has become due since, by tenant.
    fn due(&self, now: EventTime) -> Vec<(TenantName, Vec<Input>)> {
        let _ = now;
        Vec::new()
    }

    /// Entries it made were not stored.
    fn undo(&self, inputs: &[Input]) {
        let _ = inputs;
    }
}

/// A UDP listener as a source.
pub struct Datagrams {
    name: String,
    listen: SocketAddr,
    wire: Arc<dyn PacketWire>,
    auth: Arc<Auth>,
    counters: Arc<WireCounters>,
}

impl Datagrams {
    /// A listener called `name` at `listen`.
    pub fn new(name: impl Into<String>, listen: SocketAddr, wire: Arc<dyn PacketWire>, auth: Arc<Auth>) -> Datagrams {
        Datagrams { name: name.into(), listen, wire, auth, counters: Arc::default() }
    }

    /// What it has received so far.
    pub fn counters(&self) -> Arc<WireCounters> {
        self.counters.clone()
    }

    /// Ready to run.
    pub fn listening(self) -> Listening {
        Listening { counters: self.counters(), tls: None, source: Box::new(self) }
    }

    async fn listen(self, intake: Intake, mut stop: Stop) -> Result<(), SourceError> {
        let wrong = |reason: String| SourceError::config(&self.name, reason);
        self.auth.check_listener(self.listen).map_err(|error| wrong(error.to_string()))?;
        let socket = UdpSocket::bind(self.listen)
            .await
            .map_err(|error| wrong(format!("cannot listen on `{}`: {error}", self.listen)))?;
        let mut gathered: BTreeMap<TenantName, Gathered> = BTreeMap::new();
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
        let mut beat = tokio::time::interval(GATHER);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut packets = 0;
        loop {
            let flush = tokio::select! {
                () = stop.stopped() => break,
                _ = beat.tick() => true,
                received = socket.recv_from(&mut buffer) => {
                    if let Ok((length, from)) = received {
                        self.take(&buffer[..length], from, &intake, &mut gathered);
                        packets += 1;
                    }
                    packets >= GATHER_PACKETS_MAX
                }
            };
            if flush {
                packets = 0;
                self.flush(&intake, &socket, &mut gathered).await?;
            }
        }
        self.flush(&intake, &socket, &mut gathered).await
    }

    fn take(&self, bytes: &[u8], from: SocketAddr, intake: &Intake, gathered: &mut BTreeMap<TenantName, Gathered>) {
        self.counters.request(bytes.len());
        let Some(tenant) = self.auth.tenant_of_address(from.ip()) else {
            self.counters.refuse("unauthorized", 1);
            // Nobody waits for an answer: there is nothing to hold back.
            let sender = Some(from.ip());
            drop(self.auth.refused(Refused { sender, component: &self.name, reason: "unauthorized" }));
            return;
        };
        let packet = Packet { tenant: &tenant, from: from.ip().to_canonical(), bytes, received: now() };
        let claiming = || Gathered::claiming(intake.claims(&tenant));
        let of_tenant = gathered.entry(tenant.clone()).or_insert_with(claiming);
        let read = self.wire.read(packet, of_tenant);
        for (reason, count) in std::mem::take(&mut of_tenant.refused).iter() {
            self.counters.refuse(reason, count);
        }
        match read {
            Ok(Some(reply)) => of_tenant.replies.push((from, reply)),
            Ok(None) => {}
            Err(reason) => self.counters.refuse(reason, 1),
        }
        for (reason, count) in std::mem::take(&mut of_tenant.refused).iter() {
            self.counters.refuse(reason, count);
        }
    }

    async fn flush(
        &self,
        intake: &Intake,
        socket: &UdpSocket,
        gathered: &mut BTreeMap<TenantName, Gathered>,
    ) -> Result<(), SourceError> {
        for (tenant, inputs) in self.wire.due(now()) {
            let of_tenant = gathered.entry(tenant).or_default();
            of_tenant.events += inputs.len() as u64;
            of_tenant.inputs.extend(inputs);
        }
        for (tenant, mut of_tenant) in std::mem::take(gathered) {
            let inputs = of_tenant.finish(&tenant);
            if intake.is_short_of_memory(&inputs) {
                self.wire.undo(&inputs);
                self.counters.refuse("memory", of_tenant.events);
                continue;
            }
            if !inputs.is_empty() {
                let claims = of_tenant.claims.take().unwrap_or_else(|| intake.claims(&tenant));
                match intake.accept_now(&inputs, claims, PendingAppend::default()).await {
                    Ok(_) => self.counters.accept(of_tenant.events),
                    Err(AcceptError::Fatal(error)) => return Err(SourceError::Fatal(error)),
                    Err(_) => {
                        self.wire.undo(&inputs);
                        self.counters.refuse("journal", of_tenant.events);
                        continue;
                    }
                }
            }
            for (to, reply) in of_tenant.replies {
                let _ = socket.send_to(&reply, to).await;
            }
        }
        Ok(())
    }
}

impl Source for Datagrams {
    fn name(&self) -> &str {
        &self.name
    }

    fn run(self: Box<Self>, intake: Intake, stop: Stop) -> BoxFuture<'static, Result<(), SourceError>> {
        Box::pin(self.listen(intake, stop))
    }
}
