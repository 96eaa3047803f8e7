//! Syslog over UDP, TCP and TLS: RFC 5424, RFC 3164, framing of RFC 6587, TLS of RFC 5425.
//!
//! ```yaml
//! syslog:
//!   udp_listen: 127.0.0.1:5514
//!   tcp_listen: 127.0.0.1:5514
//!   tls_listen: 127.0.0.1:6514
//!   tls: { certificate_file: tls.crt, key_file: tls.key }
//! ```
//!
//! A message belongs to the host it names, else to the address it came from. Over TCP a full
//! journal stops the reading, so that the sender keeps its queue; over UDP what does not fit
//! is lost and counted. Tenants come from `auth.networks`.

mod frame;
mod legacy;
mod message;
mod parse;
mod text;
mod zones;

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bellwether_engine::signal::{LABELS_MAX, LogRow, TenantName, syslog_severity};
use bellwether_engine::time::EventTime;
use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt;
use tokio::time::Instant;

pub(crate) use frame::Framer;
pub use message::Message;
pub use parse::parse;
use text::unescaped;
use xxhash_rust::xxh3::Xxh3;
use zones::Zones;

use crate::decode::level;
use crate::intake::{AcceptError, Intake, Source, SourceError, Stop};
use crate::limits::Limits;
use crate::resolve::entity_resolution::{EntityResolver, UNKNOWN_ENTITY};
use crate::server::auth::Auth;
use crate::server::counters::WireCounters;
use crate::server::http::now;
use crate::server::listener::{Endpoint, Listening, Transport};
use crate::server::packets::{Datagrams, GATHER, Gathered, Packet, PacketWire};
use crate::server::streams::{Caller, Conversation, Listener, listen};
use crate::server::tls::{LiveTls, TlsConfig, TlsError};
use crate::wires::declare::{Door, Shared, WireConfig, WireRow};

/// Frames gathered from one connection before they are stored.
const FRAMES_MAX: usize = 1_000;

/// Where syslog is received; each listener is optional.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SyslogConfig {
    /// Datagrams.
    pub udp_listen: Option<SocketAddr>,
    /// Streams in the clear.
    pub tcp_listen: Option<SocketAddr>,
    /// Streams with TLS; needs `tls`.
    pub tls_listen: Option<SocketAddr>,
    /// Certificate and key.
    pub tls: Option<TlsConfig>,
}

impl WireConfig for SyslogConfig {
    fn doors(&self) -> Vec<Door<'_>> {
        let endpoint = |name, protocol, key, transport, address, tls| Endpoint {
            name,
            protocol,
            key,
            transport,
            address,
            tls,
            asks_for_secret: false,
        };
        let mut doors = Vec::new();
        if let Some(address) = self.udp_listen {
            let udp = endpoint("syslog_udp", "syslog over UDP", "udp_listen", Transport::Udp, address, None);
            doors.push(Door::own(udp, move |shared| {
                Ok(Datagrams::new("syslog_udp", address, Syslog::of(shared), shared.auth.clone()).listening())
            }));
        }
        if let Some(address) = self.tcp_listen {
            let tcp = endpoint("syslog_tcp", "syslog over TCP", "tcp_listen", Transport::Tcp, address, None);
            doors.push(Door::own(tcp, move |shared| Ok(stream("syslog_tcp", address, None, shared)?)));
        }
        if let Some(address) = self.tls_listen {
            let tls = self.tls.as_ref();
            let secured = endpoint("syslog_tls", "syslog over TLS", "tls_listen", Transport::Tcp, address, tls);
            doors.push(Door::own(secured, move |shared| {
                let tls = self.tls.clone().ok_or(SyslogError)?;
                Ok(stream("syslog_tls", address, Some(tls), shared)?)
            }));
        }
        doors
    }

    fn paths(&mut self) -> Vec<&mut PathBuf> {
        self.tls.iter_mut().flat_map(TlsConfig::paths).collect()
    }

    fn rows() -> &'static [WireRow] {
        &[WireRow {
            wire: "syslog, RFC 5424, 3164, 6587, 5425 (`src/wires/syslog`)",
            at: "UDP, TCP, TLS",
            answers: "a full journal stops the reading; UDP is lost and counted",
            again: "–",
            peer: "logger, rsyslog 8.2302",
        }]
    }
}

/// A TLS listener without a certificate.
#[derive(Debug, thiserror::Error)]
#[error("syslog.tls_listen is set but syslog.tls is not; name a certificate and its key")]
struct SyslogError;

fn stream(
    name: &'static str,
    address: SocketAddr,
    tls: Option<TlsConfig>,
    shared: &Shared,
) -> Result<Listening, TlsError> {
    let stream = SyslogStream::new(name, address, tls, Syslog::of(shared), shared.auth.clone())?;
    Ok(Listening { counters: stream.counters(), tls: stream.tls(), source: Box::new(stream) })
}

/// The decoder, behind all three transports.
pub struct Syslog {
    limits: Limits,
    resolver: Arc<EntityResolver>,
    zones: Zones,
}

impl Syslog {
    /// A decoder that names hosts by `resolver`.
    pub fn new(limits: Limits, resolver: Arc<EntityResolver>) -> Syslog {
        Syslog { limits, resolver, zones: Zones::default() }
    }

    fn of(shared: &Shared) -> Arc<Syslog> {
        Arc::new(Syslog::new(shared.limits.clone(), shared.resolver.clone()))
    }
}

impl PacketWire for Syslog {
    fn read(&self, packet: Packet<'_>, out: &mut Gathered) -> Result<Option<Vec<u8>>, &'static str> {
        let text = String::from_utf8_lossy(packet.bytes);
        let message = parse(&text, packet.received);
        let body = body(&message);
        if body.is_empty() {
            return Err("empty");
        }
        let named = [("host.name", message.host)];
        let entity = match self.resolver.resolve("", &named) {
            unknown if unknown == UNKNOWN_ENTITY => self.resolver.host(&packet.from.to_string()),
            entity => entity,
        };
        let facility = message.facility.to_string();
        let fixed = [
            ("syslog.appname", message.app),
            ("syslog.facility", facility.as_str()),
            ("syslog.msgid", message.id),
            ("syslog.procid", message.process),
        ];
        let data = message.data.iter().map(|(name, value)| (name.as_str(), value.as_ref()));
        let mut attributes: Vec<(&str, &str)> =
            fixed.into_iter().filter(|(_, value)| !value.is_empty()).chain(data).take(LABELS_MAX).collect();
        attributes.sort_unstable_by_key(|(name, _)| *name);
        attributes.dedup_by_key(|(name, _)| *name);
        out.logs.push(&LogRow {
            time: self.limits.believed(self.instant(&message, &packet), packet.received),
            entity: &entity,
            severity: severity(&message, &body),
            body: &body,
            attributes: &attributes,
            trace_id: None,
        });
        out.events += 1;
        Ok(None)
    }
}

impl Syslog {
    /// When a message was written, as far as it says.
    fn instant(&self, message: &Message<'_>, packet: &Packet<'_>) -> Option<EventTime> {
        let time = message.time?;
        if !message.zoneless {
            return Some(time);
        }
        // Behind one relay stand hosts of several zones.
        let mut sender = Xxh3::new();
        sender.update(packet.tenant.as_bytes());
        match packet.from {
            IpAddr::V4(address) => sender.update(&address.octets()),
            IpAddr::V6(address) => sender.update(&address.octets()),
        }
        sender.update(message.host.as_bytes());
        Some(self.zones.instant(sender.digest(), time, packet.received))
    }
}

/// The text; of a message without one what else it tells, or nothing could be grouped.
fn body<'a>(message: &Message<'a>) -> Cow<'a, str> {
    match (message.text, message.id, message.raw_data) {
        ("", id, "") => Cow::Borrowed(id),
        ("", "", data) => Cow::Borrowed(data),
        ("", id, data) => Cow::Owned(format!("{id} {data}")),
        (text, ..) => unescaped(text),
    }
}

/// The sender's severity, unless the line says that it is worse or the sender says none: what a program
/// prints reaches syslog under one severity, whatever its lines say (`logger`, containers, journald).
/// A line that says less does not take away from what its sender meant.
fn severity(message: &Message<'_>, body: &str) -> u8 {
    let (told, read) = (syslog_severity(message.severity), level::level_of(body));
    if read > 0 && (read > told || !message.prioritised) { read } else { told }
}

/// A TCP or TLS listener as a source.
pub struct SyslogStream {
    name: String,
    listen: SocketAddr,
    tls: Option<Arc<LiveTls>>,
    wire: Arc<Syslog>,
    auth: Arc<Auth>,
    counters: Arc<WireCounters>,
}

impl SyslogStream {
    /// A listener called `name` at `listen`; with `tls`, RFC 5425.
    ///
    /// # Errors
    /// [`TlsError`] when a certificate or key cannot be used.
    pub fn new(
        name: impl Into<String>,
        listen: SocketAddr,
        tls: Option<TlsConfig>,
        wire: Arc<Syslog>,
        auth: Arc<Auth>,
    ) -> Result<SyslogStream, TlsError> {
        let tls = tls.map(|tls| LiveTls::new(tls, &[])).transpose()?.map(Arc::new);
        Ok(SyslogStream { name: name.into(), listen, tls, wire, auth, counters: Arc::default() })
    }

    /// Its TLS, to be reloaded.
    pub fn tls(&self) -> Option<Arc<LiveTls>> {
        self.tls.clone()
    }

    /// What it has received so far.
    pub fn counters(&self) -> Arc<WireCounters> {
        self.counters.clone()
    }

    /// Reads one connection to its end, storing what has gathered whenever it falls silent.
    async fn converse(&self, caller: Caller, intake: &Intake, mut stop: Stop) -> Result<(), SourceError> {
        let Caller { mut stream, from, tenant: Some(tenant) } = caller else { return Ok(()) };
        let tenant = &tenant;
        let idle = Duration::from_secs(self.wire.limits.idle_timeout_secs);
        let mut framer = Framer::default();
        let mut gathered = Gathered::default();
        let mut buffer = vec![0; 16 << 10];
        let mut frames = 0;
        // A sender that never falls silent must not keep its first line waiting.
        let mut due: Option<Instant> = None;
        loop {
            let patience = match due {
                Some(due) if !gathered.is_empty() => due.saturating_duration_since(Instant::now()),
                _ => idle,
            };
            let read = tokio::select! {
                () = stop.stopped() => break,
                read = tokio::time::timeout(patience, stream.read(&mut buffer)) => read,
            };
            match read {
                Ok(Ok(length @ 1..)) => {
                    self.counters.request(length);
                    framer.feed(&buffer[..length]);
                    while let Some(frame) = framer.next_frame() {
                        self.frame(frame, from, tenant, &mut gathered);
                        frames += 1;
                    }
                    let since = *due.get_or_insert_with(|| Instant::now() + GATHER);
                    if frames < FRAMES_MAX && Instant::now() < since {
                        continue;
                    }
                }
                Err(_) if !gathered.is_empty() => {}
                _ => break,
            }
            (frames, due) = (0, None);
            self.store(tenant, &mut gathered, intake).await?;
        }
        if let Some(frame) = framer.rest() {
            self.frame(frame, from, tenant, &mut gathered);
        }
        self.store(tenant, &mut gathered, intake).await
    }

    fn frame(&self, frame: &[u8], from: SocketAddr, tenant: &TenantName, gathered: &mut Gathered) {
        let packet = Packet { tenant, from: from.ip(), bytes: frame, received: now() };
        if let Err(reason) = self.wire.read(packet, gathered) {
            self.counters.refuse(reason, 1);
        }
    }

    /// Waits for the journal: while it is full nothing is read, and the sender keeps its queue.
    async fn store(&self, tenant: &TenantName, gathered: &mut Gathered, intake: &Intake) -> Result<(), SourceError> {
        let events = std::mem::take(&mut gathered.events);
        let inputs = gathered.finish(tenant);
        if inputs.is_empty() {
            return Ok(());
        }
        match intake.accept(&inputs, None).await {
            Ok(_) => self.counters.accept(events),
            Err(AcceptError::Fatal(error)) => return Err(SourceError::Fatal(error)),
            Err(_) => self.counters.refuse("journal", events),
        }
        Ok(())
    }
}

impl Source for SyslogStream {
    fn name(&self) -> &str {
        &self.name
    }

    fn run(self: Box<Self>, intake: Intake, stop: Stop) -> BoxFuture<'static, Result<(), SourceError>> {
        listen(*self, intake, stop)
    }
}

impl Conversation for SyslogStream {
    fn listener(&self) -> Listener<'_> {
        Listener {
            name: &self.name,
            address: self.listen,
            tls: self.tls.as_ref(),
            auth: &self.auth,
            limits: &self.wire.limits,
            counters: &self.counters,
        }
    }

    fn converse(
        self: Arc<Self>,
        caller: Caller,
        intake: Intake,
        stop: Stop,
    ) -> BoxFuture<'static, Result<(), SourceError>> {
        Box::pin(async move { SyslogStream::converse(&self, caller, &intake, stop).await })
    }
}

#[cfg(test)]
mod tests {
    use bellwether_engine::signal::LogColumns;
    use bellwether_engine::time::EventTime;
    use proptest::prelude::*;

    use super::*;
    use crate::server::testing::acme;

    fn read(text: &[u8]) -> (Result<(), &'static str>, Gathered) {
        let wire = Syslog::new(Limits::default(), Arc::new(EntityResolver::default()));
        let mut gathered = Gathered::default();
        let packet = Packet {
            tenant: acme(),
            from: [10, 0, 0, 9].into(),
            bytes: text,
            received: EventTime::from_secs(1_795_174_743),
        };
        (wire.read(packet, &mut gathered).map(|_| ()), gathered)
    }

    #[test]
    fn a_message_is_a_log_record_of_its_host() {
        let (result, mut gathered) =
            read(b"<131>1 2026-11-20T11:39:02Z DB-1.example.com app 7 - [o@1 a=\"b\"] one#012two");
        assert_eq!(result, Ok(()));
        let batch = gathered.logs.finish_for(acme());
        let columns = LogColumns::of(&batch);
        assert_eq!((columns.entity(0), columns.body(0), columns.severity[0]), ("host:db-1", "one\ntwo", 17));
        let attributes: Vec<(&str, &str)> = columns.attributes(0).iter().collect();
        let want = [("o@1.a", "b"), ("syslog.appname", "app"), ("syslog.facility", "16"), ("syslog.procid", "7")];
        assert_eq!(attributes, want);
    }

    #[test]
    fn a_message_without_a_host_belongs_to_its_sender() {
        let (_, mut gathered) = read(b"%LINK-3-UPDOWN: down");
        let batch = gathered.logs.finish_for(acme());
        assert_eq!(LogColumns::of(&batch).entity(0), "host:10.0.0.9");
        for empty in [&b"<13>\n"[..], b"<13>\0", b"", b"<13>1 - - - - - -"] {
            assert_eq!(read(empty).0, Err("empty"));
        }
    }

    fn row(text: &[u8]) -> (String, String, u8, i64) {
        let (result, mut gathered) = read(text);
        assert_eq!(result, Ok(()));
        let batch = gathered.logs.finish_for(acme());
        let columns = LogColumns::of(&batch);
        let (entity, body) = (columns.entity(0).to_owned(), columns.body(0).to_owned());
        (entity, body, columns.severity[0], columns.time[0] / 1_000_000_000 - 1_795_174_743)
    }

    #[test]
    fn a_message_without_text_tells_its_id_and_data() {
        let (_, body, ..) = row(b"<165>1 2026-11-20T11:39:02Z mx-1 mgd 7 UI_LOGOUT [junos@2636 username=\"ops\"]");
        assert_eq!(body, "UI_LOGOUT [junos@2636 username=\"ops\"]");
        assert_eq!(row(b"<165>1 2026-11-20T11:39:02Z mx-1 mgd 7 UI_LOGOUT -").1, "UI_LOGOUT");
    }

    #[test]
    fn a_line_may_say_that_it_is_worse_than_its_priority() {
        for (text, severity) in [
            (&b"<14>web-1 app: level=error msg=x"[..], 17),
            (b"<11>app: level=info msg=x", 17),
            (b"app: level=info msg=x", 9),
            (b"<14>{\"level\":\"fatal\"}", 21),
            (b"<14>Nov 20 11:39:02 web-1 app: #033[31mERROR#033[0m x", 17),
            (b"<14>login without error", 9),
            (b"no priority at all", 10),
        ] {
            assert_eq!(row(text).2, severity, "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn a_late_message_keeps_its_time_and_one_ahead_is_in_its_zone() {
        assert_eq!(row(b"<11>Nov 20 11:18:02 web-1 app[3]: late").3, -21 * 60 - 1);
        assert_eq!(row(b"<11>Nov 20 12:39:02 web-1 app[3]: x").3, -1);
        assert_eq!(row(b"<11>Nov 20 12:39:02 CET web-1 app[3]: x").3, -1);
        assert_eq!(row(b"<189>45: *Mar  1 00:01:11.123: %SYS-5-CONFIG_I: x").3, 0);
    }

    proptest! {
        #![proptest_config(crate::fuzz::config())]

        #[test]
        fn any_datagram_is_taken_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let (result, gathered) = read(&bytes);
            prop_assert_eq!(result.is_ok(), gathered.logs.len() == 1);
        }
    }
}
