//! What is listened on, before and after it is opened.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;

use crate::intake::Source;
use crate::server::counters::WireCounters;
use crate::server::tls::{LiveTls, TlsConfig};

/// How bytes come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Connections.
    Tcp,
    /// Datagrams.
    Udp,
}

/// An address that will be listened on, as the configuration says it.
#[derive(Clone, Debug)]
pub struct Endpoint<'c> {
    /// The name of the source that listens, in counters and logs: `syslog_udp`.
    pub name: &'static str,
    /// What is spoken, as people call it: `syslog over UDP`.
    pub protocol: &'static str,
    /// The key of its address in the wire's settings: `udp_listen`.
    pub key: &'static str,
    /// How bytes come.
    pub transport: Transport,
    /// Where.
    pub address: SocketAddr,
    /// Its certificate and key, when it speaks TLS.
    pub tls: Option<&'c TlsConfig>,
    /// Whether the protocol itself asks every sender for a secret, so that strangers may reach it.
    pub asks_for_secret: bool,
}

impl Endpoint<'_> {
    /// Opens it and lets it go.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub fn try_bind(&self) -> std::io::Result<()> {
        match self.transport {
            Transport::Tcp => TcpListener::bind(self.address).map(drop),
            Transport::Udp => UdpSocket::bind(self.address).map(drop),
        }
    }
}

/// A listener ready to run, and what tells how it fares.
pub struct Listening {
    /// To be run with the journal's intake.
    pub source: Box<dyn Source>,
    /// What it has received.
    pub counters: Arc<WireCounters>,
    /// Its certificate, to be read again.
    pub tls: Option<Arc<LiveTls>>,
}
