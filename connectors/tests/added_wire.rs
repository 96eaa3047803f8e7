//! A wire that the product does not have: its file here, its line in a list, and it listens, is
//! checked, is reloaded and is counted like any other.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bellwether_connectors::intake::reject::Refusals;
use bellwether_connectors::server::listener::{Endpoint, Transport};
use bellwether_connectors::server::outcome::{Accepted, Outcome};
use bellwether_connectors::server::packets::{Datagrams, Gathered, Packet, PacketWire};
use bellwether_connectors::server::reply::Reply;
use bellwether_connectors::server::request::Request;
use bellwether_connectors::server::wire::{HttpHandler, Route};
use bellwether_connectors::wires::loki::LokiConfig;
use bellwether_connectors::wires::{Door, WireConfig, WireList, WireRow, build};
use bellwether_connectors::{Intake, JournalConfig, LocalJournal, RejectLog, stop_pair};
use bellwether_engine::signal::{LogBuilder, LogRow};
use bellwether_engine::time::EventTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

bellwether_connectors::wire_list! {
    /// One wire of the product, and the one of this file.
    pub struct TestWires {
        /// Loki push.
        loki: Option<LokiConfig>,
        /// Smoke signals.
        smoke: Option<SmokeConfig>,
    }
}

/// Where smoke is seen, over HTTP and as datagrams.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SmokeConfig {
    /// The path of puffs.
    path: String,
    /// Where puffs come by UDP.
    listen: SocketAddr,
    /// What colours mean.
    code_file: Option<PathBuf>,
}

impl WireConfig for SmokeConfig {
    fn doors(&self) -> Vec<Door<'_>> {
        let endpoint = Endpoint {
            name: "smoke_udp",
            protocol: "smoke over UDP",
            key: "listen",
            transport: Transport::Udp,
            address: self.listen,
            tls: None,
            asks_for_secret: false,
        };
        vec![
            Door::http(|_| Ok(Smoke { path: self.path.clone() })),
            Door::own(endpoint, |shared| {
                let wire = Arc::new(Smoke { path: self.path.clone() });
                Ok(Datagrams::new("smoke_udp", self.listen, wire, shared.auth.clone()).listening())
            }),
        ]
    }

    fn paths(&mut self) -> Vec<&mut PathBuf> {
        self.code_file.iter_mut().collect()
    }

    fn rows() -> &'static [WireRow] {
        &[WireRow { wire: "smoke", at: "`/smoke`", answers: "204", again: "–", peer: "–" }]
    }
}

struct Smoke {
    path: String,
}

fn puff(received: EventTime, body: &[u8], out: &mut LogBuilder) {
    let body = &String::from_utf8_lossy(body);
    out.push(&LogRow { time: received, entity: "hill:1", severity: 9, body, attributes: &[], trace_id: None });
}

impl Smoke {
    fn take(&self, request: &Request<'_>) -> Outcome {
        let mut rows = LogBuilder::new();
        puff(request.received, request.body, &mut rows);
        let mut accepted = Accepted::default();
        accepted.add_rows(rows.finish_for(request.tenant));
        Outcome::store(accepted, Refusals::default(), Reply::empty(204))
    }

    fn look(&self, _: &Request<'_>) -> Reply {
        Reply::text(200, "no fire\n")
    }
}

impl HttpHandler for Smoke {
    fn routes(&self) -> Vec<Route<Smoke>> {
        vec![Route::post(&self.path, Smoke::take), Route::get(&self.path, Smoke::look)]
    }
}

impl PacketWire for Smoke {
    fn read(&self, packet: Packet<'_>, out: &mut Gathered) -> Result<Option<Vec<u8>>, &'static str> {
        puff(packet.received, packet.bytes, &mut out.logs);
        out.events += 1;
        Ok(None)
    }
}

/// An address nothing listens on.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port")
}

fn config(http: SocketAddr, udp: SocketAddr, path: &str) -> TestWires {
    let yaml = format!(
        "{{auth: {{anonymous_tenant: acme}}, http: {{listen: '{http}'}}, smoke: {{path: {path}, listen: '{udp}', code_file: code}}}}"
    );
    serde_saphyr::from_str(&yaml).expect("the list reads its wire")
}

async fn ask(http: SocketAddr, method: &str, path: &str, body: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(http).await.expect("listens");
    let length = body.len();
    let request =
        format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).await.expect("takes");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answers");
    answer
}

/// Every address, and whether it can be had.
fn checked(config: &TestWires) -> Vec<(&'static str, bool)> {
    let mut found = Vec::new();
    config.each_endpoint(&mut |endpoint| found.push((endpoint.name, endpoint.try_bind().is_ok())));
    found
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < Duration::from_secs(20), "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_added_wire_listens_is_checked_is_reloaded_and_is_counted() {
    let (http, udp) = (free(), free());
    let config_at = |path: &str| config(http, udp, path);
    let started = config_at("/smoke");
    assert_eq!(checked(&started), [("http", true), ("smoke_udp", true)]);
    assert_eq!(TestWires::rows().last().map(|row| row.wire), Some("smoke"));
    let placed = started.clone().relative_to(Path::new("/conf"));
    assert_eq!(placed.smoke.and_then(|smoke| smoke.code_file), Some("/conf/code".into()));

    let mut wires = build(&started).expect("builds");
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, _) = LocalJournal::open(&JournalConfig::new(folder.path())).expect("a new journal");
    let intake = Intake::new(Arc::new(journal), RejectLog::counting());
    let (stopper, stop) = stop_pair();
    let sources = wires.sources.drain(..).map(|source| {
        let own = intake.of(source.name());
        tokio::spawn(source.run(own, stop.clone()))
    });
    let running: Vec<_> = sources.collect();

    // Listens, and what is taken for TCP or UDP is known without saying so again.
    until("it listens", async || checked(&started) == [("http", false), ("smoke_udp", false)]).await;
    assert!(ask(http, "POST", "/smoke", "puff").await.starts_with("HTTP/1.1 204"));
    UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.send_to(b"puff", udp)).expect("sends");

    // HEAD is GET without the body; what no route takes is told what they take.
    let seen = ask(http, "GET", "/smoke", "").await;
    assert!(seen.starts_with("HTTP/1.1 200") && seen.ends_with("no fire\n"), "{seen}");
    let head = ask(http, "HEAD", "/smoke", "").await;
    assert!(head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"), "{head}");
    let refused = ask(http, "DELETE", "/smoke", "").await;
    assert!(refused.starts_with("HTTP/1.1 405") && refused.contains("\r\nallow: POST, GET, HEAD\r\n"), "{refused}");

    // Is counted under its name, each way.
    let counted = |id: &str| {
        format!(
            "bellwether_component_accepted_events_total{{component_id=\"{id}\",component_kind=\"source\",component_type=\"{id}\"}} 1"
        )
    };
    until("both are counted", async || {
        let page = ask(http, "GET", "/metrics", "").await;
        page.contains(&counted("smoke")) && page.contains(&counted("smoke_udp"))
    })
    .await;

    // Is reloaded where it is over HTTP; its own listener waits for a restart and is named.
    let prepared = wires.live.prepare(&config_at("/fire")).expect("good");
    assert!(prepared.applied.contains(&"wires over HTTP".to_owned()), "{:?}", prepared.applied);
    assert_eq!(prepared.needs_restart, ["wires.smoke (smoke over UDP)"]);
    wires.live.commit(prepared).expect("in force");
    assert!(ask(http, "POST", "/fire", "puff").await.starts_with("HTTP/1.1 204"));
    assert!(ask(http, "POST", "/smoke", "puff").await.starts_with("HTTP/1.1 404"));

    stopper.stop();
    for source in running {
        source.await.expect("no panic").expect("ends well");
    }
}
