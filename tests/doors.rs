//! The doors of a running program: who is let in, and what becomes of those who hold them open.
//!
//! Certificates are made with `openssl` on the spot, requests with `curl` and bare sockets, log
//! lines with `rsyslogd`, telemetry with the OpenTelemetry SDK for Python.

#[path = "support/certificates.rs"]
mod certificates;
mod service;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use certificates::{authority, certificate};
use service::{OPERATOR, PATIENCE, Service, TOKEN, free_address, pause, wait_until};

fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time limit");
    stream
}

/// Everything the other side says until it closes.
fn rest(mut stream: TcpStream) -> String {
    let mut said = Vec::new();
    // A connection that is reset has said what it has said.
    let _ = stream.read_to_end(&mut said);
    String::from_utf8_lossy(&said).into_owned()
}

/// Starts a program with InfluxDB lines and these limits.
fn with_limits(folder: &Path, limits: &str) -> Service {
    let http = free_address();
    Service::configure(folder, http, "", &format!("  influx: {{}}\n  limits: {{{limits}}}\n"));
    Service::run(folder, http)
}

fn head(token: &str, more: &str) -> String {
    format!("POST /api/v2/write?bucket=b HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n{more}\r\n")
}

fn closed(service: &Service, reason: &str) -> Option<u64> {
    let line = format!("bellwether_listener_closed_connections_total{{component_id=\"http\",reason=\"{reason}\"}} ");
    let page = service.metrics();
    page.lines().find_map(|shown| shown.strip_prefix(&line)).and_then(|count| count.parse().ok())
}

fn refused(service: &Service, reason: &str) -> Option<u64> {
    let page = service.metrics();
    let of = |line: &&str| {
        line.starts_with("bellwether_component_refused_events_total") && line.contains(&format!("reason=\"{reason}\""))
    };
    page.lines().find(of).and_then(|line| line.rsplit(' ').next()?.parse().ok())
}

#[test]
fn without_a_credential_no_body_is_waited_for() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let service = with_limits(dir.path(), "");
    for more in [
        "Content-Length: 1000000\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Content-Length: 9\r\nExpect: 100-continue\r\n",
    ] {
        let mut stream = connect(service.http);
        let began = Instant::now();
        stream.write_all(head("wrong", more).as_bytes()).expect("sends");
        let mut said = [0; 64];
        let length = stream.read(&mut said).expect("an answer");
        let said = String::from_utf8_lossy(&said[..length]);
        assert!(said.starts_with("HTTP/1.1 401 "), "{said}");
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    }
    assert_eq!(refused(&service, "unauthorized"), Some(3));
}

#[test]
fn dribbled_headers_and_silence_are_cut_off() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let service = with_limits(dir.path(), "header_timeout_secs: 1, idle_timeout_secs: 2");
    let before = closed(&service, "header_timeout").unwrap_or(0);
    let silent = connect(service.http);
    let mut dribbling = connect(service.http);
    let began = Instant::now();
    for byte in head(TOKEN, "Content-Length: 1\r\n").bytes() {
        if dribbling.write_all(&[byte]).is_err() {
            break;
        }
        pause(Duration::from_millis(100));
    }
    assert!(began.elapsed() < Duration::from_secs(10), "it was let go on for {:?}", began.elapsed());
    assert_eq!(rest(silent), "");
    wait_until("both are counted", || closed(&service, "header_timeout") >= Some(before + 2));

    // A request, then nothing.
    let mut idle = connect(service.http);
    idle.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n").expect("sends");
    let began = Instant::now();
    assert!(rest(idle).starts_with("HTTP/1.1 200 "));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    wait_until("it is counted", || closed(&service, "idle_timeout") >= Some(1));
}

#[test]
fn a_body_that_does_not_come_is_answered_408() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let service = with_limits(dir.path(), "body_timeout_secs: 1");
    let mut stream = connect(service.http);
    stream.write_all(head(TOKEN, "Content-Length: 100\r\nConnection: close\r\n").as_bytes()).expect("sends");
    stream.write_all(b"disk us").expect("sends");
    assert!(rest(stream).starts_with("HTTP/1.1 408 "));
    assert_eq!(refused(&service, "body_timeout"), Some(1));
}

#[test]
fn a_connection_too_many_is_told_so_and_the_others_go_on() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let service = with_limits(dir.path(), "connections_max: 3");
    // The connections that asked whether it listens must be gone.
    pause(Duration::from_millis(300));
    let held: Vec<TcpStream> = (0..3).map(|_| connect(service.http)).collect();
    // The program takes connections in order: when it answers this one, it has taken the others.
    let told = rest(connect(service.http));
    assert!(
        told.starts_with("HTTP/1.1 503 ") && told.contains("retry-after: 1") && told.contains("connections_max"),
        "{told}"
    );
    drop(held);
    wait_until("there is room again", || {
        service.ask("GET", "/-/healthy", "", "").is_some_and(|reply| reply.status == 200)
    });
    assert!(closed(&service, "connections_max") >= Some(1));
}

/// The most memory the program has held, in bytes.
#[test]
fn slow_bodies_with_a_credential_or_without_keep_no_alert_out() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let http = free_address();
    std::fs::write(dir.path().join("hook"), "s".repeat(40)).expect("writes");
    let hook = "  changes: {github: [{hook: shop, tenant: acme, secret_file: hook}]}\n";
    Service::configure(dir.path(), http, "", &format!("  alertmanager: {{}}\n  influx: {{}}\n{hook}"));
    let mut service = Service::run(dir.path(), http);
    let slow = |head: &str| {
        let mut stream = connect(service.http);
        stream.write_all(format!("{head}Content-Length: 1000\r\n\r\n[").as_bytes()).expect("sends");
        stream
    };
    let mut held: Vec<TcpStream> = Vec::new();
    for head in [
        format!("POST /api/v2/alerts HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"),
        format!("POST /api/v2/write?bucket=b HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"),
        "POST /changes/github/shop HTTP/1.1\r\nHost: x\r\n".to_owned(),
    ] {
        held.extend((0..70).map(|_| slow(&head)));
        pause(Duration::from_millis(300));
        let taken = service.alert(TOKEN, "h1", &["DiskFull"]);
        assert_eq!(taken.status, 200, "{head}: {}", taken.text);
        let ready = service.ask("GET", "/-/ready", "", "").expect("an answer");
        assert_eq!(ready.status, 200, "it is, and says so: {}", ready.text);
    }
    assert_eq!(refused(&service, "busy"), None);
    let began = Instant::now();
    assert_eq!(service.stop(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(10), "slow senders are cut off: {:?}", began.elapsed());
}

/// A call of gRPC up to the end of its headers: the client's preface, empty settings, and a header block
/// of literals (RFC 7541, 6.2.2).
fn unfinished_call(token: &str) -> Vec<u8> {
    let authorization = format!("Bearer {token}");
    let headers = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/opentelemetry.proto.collector.logs.v1.LogsService/Export"),
        (":authority", "x"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("authorization", &authorization),
    ];
    let mut block = Vec::new();
    for (name, value) in headers {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).expect("short"));
            block.extend_from_slice(text.as_bytes());
        }
    }
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00".to_vec();
    bytes.extend_from_slice(&u32::try_from(block.len()).expect("short").to_be_bytes()[1..]);
    // HEADERS with END_HEADERS, of stream 1.
    bytes.extend_from_slice(&[1, 4, 0, 0, 0, 1]);
    bytes.extend_from_slice(&block);
    bytes
}

#[test]
fn a_call_of_grpc_that_never_ends_does_not_keep_the_process() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let (http, grpc) = (free_address(), free_address());
    Service::configure(dir.path(), http, "", &format!("  otlp: {{grpc_listen: '{grpc}'}}\n"));
    let mut service = Service::run(dir.path(), http);
    let mut held: Vec<TcpStream> = (0..3).map(|_| connect(grpc)).collect();
    for stream in &mut held {
        stream.write_all(&unfinished_call(TOKEN)).expect("sends");
    }
    pause(Duration::from_millis(300));
    assert_eq!(refused(&service, "unauthorized"), None, "the calls are let in");
    let began = Instant::now();
    assert_eq!(service.stop(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(10), "it waited for {:?}", began.elapsed());
}

#[test]
fn silent_strangers_give_way_to_who_has_a_credential() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let service = with_limits(dir.path(), "connections_max: 3");
    pause(Duration::from_millis(300));
    let mut held: Vec<TcpStream> = (0..2).map(|_| connect(service.http)).collect();
    let mut known = connect(service.http);
    let ask = format!("{}x", head(TOKEN, "Content-Length: 1\r\n"));
    known.write_all(ask.as_bytes()).expect("sends");
    assert!(known.read(&mut [0; 512]).expect("an answer") > 0);
    pause(Duration::from_millis(1_200));
    let reply = service.ask("GET", "/-/healthy", "", "").expect("an answer");
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(held.remove(0).read(&mut [0]).unwrap_or(0), 0, "the oldest has been closed");
    known.write_all(ask.as_bytes()).expect("who is known is still connected");
    assert!(known.read(&mut [0; 512]).expect("an answer") > 0);
    assert!(closed(&service, "made_room") >= Some(1));
}

#[test]
fn more_connections_than_descriptors_stop_neither_the_journal_nor_checkpoints() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let http = free_address();
    let config = Service::configure(dir.path(), http, "", "  alertmanager: {}\n");
    let text = std::fs::read_to_string(&config).expect("reads");
    std::fs::write(&config, format!("checkpoint: {{every: 200ms, entries: 1}}\n{text}")).expect("writes");
    let mut service = Service::spawn_limited(300, dir.path(), http);
    let held: Vec<TcpStream> = (0..310).map_while(|_| TcpStream::connect(service.http).ok()).collect();
    assert_eq!(held.len(), 310);
    let newest = || {
        let files =
            std::fs::read_dir(service::home(dir.path(), "bellwether").join("checkpoints")).expect("a folder").flatten();
        files.map(|file| file.file_name()).max()
    };
    wait_until("there is a checkpoint", || newest().is_some());
    let before = newest();
    wait_until("there is another while all connections are held", || newest() > before);
    drop(held);
    wait_until("an alert is taken", || service.alert(TOKEN, "h1", &["DiskFull"]).status == 200);
    assert_eq!(closed(&service, "file_descriptors"), None, "the reserve was not touched");
    assert!(service.said().contains("limits.connections_max"), "{}", service.said());
    let find = Command::new("find").arg(dir.path().join("state")).args(["-perm", "/077"]).output().expect("find");
    assert_eq!(String::from_utf8_lossy(&find.stdout), "", "nobody else may read the state");
    assert_eq!(service.stop(), Some(0));
}

fn peak_memory(service: &Service) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", service.id())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the kernel says");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib << 10
}

#[test]
fn a_bomb_is_refused_before_it_takes_memory() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let service = with_limits(dir.path(), "");
    // A gzip file may have many members: 256 times 4 MiB.
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(&vec![b' '; 4 << 20]).expect("memory");
    let bomb = packed.finish().expect("memory").repeat(256);
    assert!(bomb.len() < 4 << 20, "{} bytes would be refused as they are", bomb.len());
    let before = peak_memory(&service);
    for _ in 0..3 {
        let mut stream = connect(service.http);
        let more = format!("Content-Encoding: gzip\r\nContent-Length: {}\r\nConnection: close\r\n", bomb.len());
        stream.write_all(head(TOKEN, &more).as_bytes()).expect("sends");
        stream.write_all(&bomb).expect("sends");
        let said = rest(stream);
        assert!(said.starts_with("HTTP/1.1 413 ") && said.contains("limits."), "{said}");
    }
    assert_eq!(refused(&service, "too_large"), Some(3));
    let grown = peak_memory(&service).saturating_sub(before);
    assert!(grown < 256 << 20, "{grown} bytes for three bombs of 1 GiB");
}

/// curl with these arguments; `{}` is the folder of the certificates.
fn curl(folder: &Path, service: &Service, path: &str, args: &[&str]) -> Output {
    let url = format!("https://localhost:{}{path}", service.http.port());
    let mut program = Command::new("curl");
    program
        .args(["--silent", "--show-error", "--cacert", "ca.crt", "--write-out", "\n%{http_code}"])
        .args(args)
        .arg(url);
    program.current_dir(folder).output().expect("curl is installed")
}

/// Status and text of an answer; 0 when there was none.
fn answer(output: &Output) -> (u16, String) {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let status = text.lines().last().and_then(|last| last.parse().ok()).unwrap_or(0);
    (status, text)
}

/// The serial number of the certificate the program shows.
fn serial(folder: &Path, service: &Service) -> String {
    let mut program = Command::new("sh");
    let port = service.http.port();
    let script = format!(
        "openssl s_client -connect 127.0.0.1:{port} -cert agent.crt -key agent.key </dev/null 2>/dev/null | openssl x509 -noout -serial"
    );
    let output = program.args(["-c", &script]).current_dir(folder).output().expect("sh");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn a_client_certificate_stands_for_its_tenant_and_nothing_else_gets_in() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let folder = dir.path();
    authority(folder);
    certificate(folder, "server", "DNS:localhost,IP:127.0.0.1");
    certificate(folder, "agent", "DNS:agent.acme.test");
    certificate(folder, "stranger", "DNS:agent.other.test");
    certificate(folder, "both", "DNS:agent.acme.test,DNS:agent.umbrella.test");
    let http = free_address();
    let text = format!(
        "state: {}\nsinks:\n  - ndjson: {{path: {}}}\nwires:\n  auth:\n    credentials:\n      \
         - {{tenant: acme, certificate_name: agent.acme.test}}\n      - {{tenant: umbrella, bearer_file: token}}\n      \
         - {{tenant: umbrella, certificate_name: agent.umbrella.test}}\n    \
         operators: [{{bearer_file: operator}}]\n  influx: {{}}\n  http:\n    listen: '{http}'\n    \
         tls: {{certificate_file: server.crt, key_file: server.key, client_ca_file: ca.crt}}\n",
        folder.join("state").display(),
        folder.join("incidents.ndjson").display()
    );
    std::fs::write(folder.join("bellwether.yaml"), text).expect("writes");
    std::fs::write(folder.join("token"), TOKEN).expect("writes");
    std::fs::write(folder.join("operator"), OPERATOR).expect("writes");
    let service = Service::spawn(folder, http);
    let write = "/api/v2/write?bucket=b";
    let line = ["--data-binary", "disk,host=db-1 used=97"];
    let agent = ["--cert", "agent.crt", "--key", "agent.key"];
    let stranger = ["--cert", "stranger.crt", "--key", "stranger.key"];
    let both = ["--cert", "both.crt", "--key", "both.key"];
    let post = |args: &[&[&str]]| answer(&curl(folder, &service, write, &args.concat()));
    let umbrella = format!("Authorization: Bearer {TOKEN}");

    assert_eq!(post(&[&agent, &line]).0, 204);
    assert_eq!(post(&[&stranger, &line]).0, 401, "vouched for, but nobody's");
    assert_eq!(post(&[&both, &line]).0, 401, "good for two tenants: whose it is would be a matter of their order");
    assert_eq!(post(&[&stranger, &line, &["--header", &umbrella]]).0, 204, "the token says whose");
    assert_eq!(post(&[&agent, &line, &["--header", &umbrella]]).0, 401, "two tenants at once");
    assert_eq!(post(&[&agent, &line, &["--header", "Authorization: Bearer wrong"]]).0, 401);
    assert_eq!(post(&[&line]).0, 0, "no certificate, no connection");
    let page = answer(&curl(folder, &service, "/metrics", &agent)).1;
    for shown in ["component_id=\"http\",reason=\"tls_handshake\"}", "reason=\"unauthorized\"} 4\n"] {
        assert!(page.contains(shown), "{shown} in {page}");
    }

    // Asked by its own configuration, it is known by its certificate.
    let config = folder.join("bellwether.yaml").display().to_string();
    let (certificate_file, key) =
        (folder.join("agent.crt").display().to_string(), folder.join("agent.key").display().to_string());
    let checked = service::bellwether(&["check", "-c", &config, "--certificate", &certificate_file, "--key", &key]);
    let shown = String::from_utf8_lossy(&checked.stdout);
    assert!(checked.status.success() && shown.contains("certificate and key fit"), "{shown}");

    // A renewed certificate is shown without a restart.
    let before = serial(folder, &service);
    certificate(folder, "server", "DNS:localhost,IP:127.0.0.1");
    assert_eq!(serial(folder, &service), before, "nobody has said so yet");
    let operator = format!("Authorization: Bearer {OPERATOR}");
    let reload = |certificate: &[&str]| {
        curl(folder, &service, "/-/reload", &[certificate, &["--request", "POST", "--header", &operator]].concat())
    };
    assert_eq!(answer(&reload(&agent)).0, 401, "a tenant's certificate makes no operator");
    certificate(folder, "staff", "DNS:staff.test");
    let staff = ["--cert", "staff.crt", "--key", "staff.key"];
    let reloaded = reload(&staff);
    assert_eq!(answer(&reloaded).0, 200, "{}", answer(&reloaded).1);
    let after = serial(folder, &service);
    assert!(after.starts_with("serial=") && after != before, "{before} {after}");
    std::fs::write(folder.join("server.key"), "no key").expect("writes");
    assert_eq!(answer(&reload(&staff)).0, 500);
    assert_eq!(serial(folder, &service), after, "what was read before stays");
}

fn peers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools/peers")
}

#[test]
fn the_opentelemetry_sdk_sends_over_grpc_with_tls_and_its_certificate() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let folder = dir.path();
    authority(folder);
    certificate(folder, "server", "DNS:localhost,IP:127.0.0.1");
    certificate(folder, "agent", "DNS:agent.acme.test");
    let (http, grpc) = (free_address(), free_address());
    let text = format!(
        "state: {}\nsinks:\n  - ndjson: {{path: {}}}\nwires:\n  auth: {{credentials: [{{tenant: acme, certificate_name: agent.acme.test}}]}}\n  \
         http: {{listen: '{http}'}}\n  otlp:\n    grpc_listen: '{grpc}'\n    \
         grpc_tls: {{certificate_file: server.crt, key_file: server.key, client_ca_file: ca.crt}}\n",
        folder.join("state").display(),
        folder.join("incidents.ndjson").display()
    );
    std::fs::write(folder.join("bellwether.yaml"), text).expect("writes");
    let service = Service::run(folder, http);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join(".tools/py/bin/python");
    assert!(python.exists(), "{} is missing: run tools/peers.sh", python.display());
    let mut sdk = Command::new(python);
    let address = format!("localhost:{}", grpc.port());
    sdk.arg(root.join("examples/opentelemetry-python/send.py")).args(["grpc", &address, ""]).arg(folder);
    let sent = sdk.output().expect("Python starts");
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    let accepted = "bellwether_component_accepted_events_total{component_id=\"otlp_grpc\",component_kind=\"source\",component_type=\"otlp_grpc\"} ";
    let count = || service.metrics().lines().find_map(|line| line.strip_prefix(accepted)?.parse::<u64>().ok());
    // A counter, a histogram's three, a log record and two spans.
    assert!(count() >= Some(5), "{:?}: {}", count(), String::from_utf8_lossy(&sent.stderr));

    // Without a certificate, or in the clear, there is no connection.
    let before = count();
    let closed = |reason: &str| refused(&service, reason).unwrap_or(0);
    for hello in [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], b"\x16\x03\x01"] {
        let mut stream = connect(grpc);
        stream.write_all(hello).expect("sends");
        stream.shutdown(std::net::Shutdown::Write).expect("an open stream");
        let _ = rest(stream);
    }
    let script = format!("openssl s_client -connect localhost:{} -CAfile ca.crt -alpn h2 </dev/null", grpc.port());
    let stranger = Command::new("sh").args(["-c", &script]).current_dir(folder).output().expect("sh");
    assert!(!String::from_utf8_lossy(&stranger.stdout).is_empty(), "openssl has spoken");
    wait_until("all three are counted", || closed("tls_handshake") == 3);
    assert_eq!(count(), before);
}

#[test]
fn rsyslog_sends_over_tls_with_its_certificate() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let folder = dir.path();
    authority(folder);
    certificate(folder, "server", "DNS:localhost,IP:127.0.0.1");
    certificate(folder, "agent", "DNS:agent.acme.test");
    let (http, syslog, input) = (free_address(), free_address(), free_address());
    let text = format!(
        "state: {}\nsinks:\n  - ndjson: {{path: {}}}\nwires:\n  auth: {{credentials: [{{tenant: acme, certificate_name: agent.acme.test}}]}}\n  \
         http: {{listen: '{http}'}}\n  syslog:\n    tls_listen: '{syslog}'\n    \
         tls: {{certificate_file: server.crt, key_file: server.key, client_ca_file: ca.crt}}\n",
        folder.join("state").display(),
        folder.join("incidents.ndjson").display()
    );
    std::fs::write(folder.join("bellwether.yaml"), text).expect("writes");
    let service = Service::run(folder, http);
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/rsyslog/tls.conf");
    let mut conf = std::fs::read_to_string(&example).expect("the example reads");
    let port = syslog.port().to_string();
    for (from, to) in [
        ("/etc/bellwether/", format!("{}/", folder.display())),
        ("port=\"6514\"", format!("port=\"{port}\"")),
        ("10514", input.port().to_string()),
    ] {
        assert!(conf.contains(from), "`{from}` is not in {}", example.display());
        conf = conf.replace(from, &to);
    }
    std::fs::write(folder.join("rsyslog.conf"), conf).expect("writes");
    let libraries = peers().join(format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH));
    let program = peers().join("usr/sbin/rsyslogd");
    assert!(libraries.join("rsyslog/lmnsd_gtls.so").exists(), "rsyslog-gnutls is missing: run tools/peers.sh");
    let mut rsyslogd = Command::new(program);
    rsyslogd
        .args(["-n", "-i", "NONE", "-f", "rsyslog.conf", "-M"])
        .arg(libraries.join("rsyslog"))
        .env("LD_LIBRARY_PATH", &libraries)
        .current_dir(folder)
        .stderr(Stdio::null())
        .stdout(Stdio::null());
    let mut rsyslogd = rsyslogd.spawn().expect("rsyslogd starts");
    let accepted = "bellwether_component_accepted_events_total{component_id=\"syslog_tls\",component_kind=\"source\",component_type=\"syslog_tls\"} ";
    let count = || service.metrics().lines().find_map(|line| line.strip_prefix(accepted)?.parse::<u64>().ok());
    // Whether a UDP listener is up cannot be asked; what is lost before is sent again.
    wait_until("a line is durable", || {
        let mut sent = Command::new("logger");
        sent.args(["--udp", "--rfc5424", "--server", "127.0.0.1", "--port", &input.port().to_string(), "over TLS"]);
        assert!(sent.status().expect("logger runs").success());
        count() >= Some(1)
    });
    let _ = rsyslogd.kill();
    let _ = rsyslogd.wait();
}
