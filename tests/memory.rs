//! A running program with little memory: bombs of names and links, doors that close by class, a load far
//! beyond what it can take, and the limit of a real cgroup.
//!
//! `BELLWETHER_OVERLOAD_SECS=1800` makes the load last as long as the gate asks for (`make trials`).

#![allow(clippy::print_stdout)] // the figure is what people look for

mod service;
#[path = "support/skipped.rs"]
mod skipped;

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use service::{PATIENCE, Reply, Service, TOKEN, free_address, pause, wait_until};
use skipped::skipped;

const MIB: usize = 1 << 20;
/// The wires that the tests speak.
const WIRES: &str = "  alertmanager: {}\n  loki: {}\n  influx: {}\n";

/// Writes the configuration with a limit of memory; without one when it is `None`.
fn configure(folder: &Path, limit: Option<usize>) -> std::net::SocketAddr {
    let http = free_address();
    let config = Service::configure(folder, http, "", WIRES);
    if let Some(limit) = limit {
        let text = std::fs::read_to_string(&config).expect("just written");
        std::fs::write(&config, format!("memory: {{limit_bytes: {limit}}}\n{text}")).expect("writes");
    }
    http
}

fn resident(service: &Service) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", service.id())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux says it");
    line.trim().trim_end_matches("kB").trim().parse::<usize>().expect("a number") << 10
}

/// Posts a body, compressed; `None` where the connection is cut.
fn post(service: &Service, path: &str, body: &[u8]) -> Option<Reply> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(body).expect("memory");
    let packed = packer.finish().expect("memory");
    let mut stream = TcpStream::connect(service.http).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).expect("a time limit");
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n\
         Content-Encoding: gzip\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        packed.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    // Who is refused before the body may have closed.
    let _ = stream.write_all(&packed);
    let mut text = Vec::new();
    let _ = stream.read_to_end(&mut text);
    let text = String::from_utf8_lossy(&text).into_owned();
    let status = text.split(' ').nth(1)?.parse().ok()?;
    Some(Reply { status, text })
}

fn figure(page: &str, begins: &str) -> u64 {
    let values = page.lines().filter(|line| line.starts_with(begins)).filter_map(|line| line.rsplit(' ').next());
    values.filter_map(|value| value.parse::<f64>().ok()).sum::<f64>() as u64
}

fn refused(service: &Service, wire: &str, reason: &str) -> u64 {
    let begins = format!("bellwether_component_refused_events_total{{component_id=\"{wire}\"");
    let page = service.metrics();
    let lines = page.lines().filter(|line| line.starts_with(&begins) && line.contains(&format!("reason=\"{reason}\"")));
    lines.map(|line| figure(line, "")).sum()
}

/// Alerts whose names and links are a megabyte each.
fn long_alerts(part: usize, count: usize) -> String {
    let noise: String = (0..1_000_000_u64).map(|n| char::from(b'a' + (n.wrapping_mul(n) >> 3) as u8 % 26)).collect();
    let mut body = String::from("[");
    for number in 0..count {
        let comma = if number == 0 { "" } else { "," };
        let _ = write!(
            body,
            r#"{comma}{{"labels":{{"alertname":"{part}-{number}-{noise}","service":"s{number}","severity":"critical"}},"generatorURL":"http://x/{part}/{number}/{noise}"}}"#
        );
    }
    body.push(']');
    body
}

#[test]
fn names_and_links_of_a_megabyte_are_cut_counted_and_told() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let limit = 512 * MIB;
    let service = Service::run(dir.path(), configure(dir.path(), Some(limit)));
    let (mut sent, mut worst) = (0, 0);
    while sent < 25 {
        let reply = post(&service, "/api/v2/alerts", long_alerts(sent, 14).as_bytes()).expect("an answer");
        assert_eq!(reply.status, 200, "{}", reply.text);
        assert!(reply.text.contains("bellwether-notice: 14 fields_cut (names over 256 bytes"), "{}", reply.text);
        worst = worst.max(resident(&service));
        sent += 1;
    }
    // 350 MB of names and as much of links; none is lost, none is taken for another.
    wait_until("all are known", || figure(&service.metrics(), "bellwether_alerts_known{tenant=\"acme\"}") == 14 * 25);
    worst = worst.max(resident(&service));
    assert!(worst <= limit + limit / 10, "{} MiB of {}", worst / MIB, limit / MIB);
    assert_eq!(refused(&service, "alertmanager", "fields_cut"), 14 * 25);
    let page = service.metrics();
    let held = figure(&page, "bellwether_tenant_bytes{tenant=\"acme\"");
    assert!((100_000..50_000_000).contains(&held), "{held}");
    wait_until("it is told", || !service.records().is_empty());
}

fn log_line(service: &Service) -> Reply {
    let body = r#"{"streams":[{"stream":{"service":"shop"},"values":[["1900000000000000000","a line"]]}]}"#;
    post(service, "/loki/api/v1/push", body.as_bytes()).expect("an answer")
}

fn sample(service: &Service) -> Reply {
    service.ask("POST", "/api/v2/write?bucket=b", TOKEN, "cpu,host=a value=1").expect("an answer")
}

/// Started in a folder of that name, and warm: some alerts were sent. A limit may be too tight even for them.
fn warm(folder: &Path, name: &str, limit: Option<usize>) -> Service {
    let folder = folder.join(name);
    std::fs::create_dir(&folder).expect("a new folder");
    let service = Service::run(&folder, configure(&folder, limit));
    for number in 0..20 {
        service.alert(TOKEN, &format!("host-{number}"), &["Full"]);
    }
    pause(Duration::from_secs(1));
    service
}

/// How much of its limit the program has resident, in percent.
fn filled(service: &Service) -> usize {
    let page = service.metrics();
    let (limit, resident) = ("bellwether_memory_limit_bytes", "bellwether_memory_resident_bytes");
    (figure(&page, resident) * 100 / figure(&page, limit)) as usize
}

/// One that is filled as asked for. No start takes exactly as much memory as the one before, so that the limit is
/// looked for: from what the last one took to the next.
fn filled_to(fill: usize, folder: &Path, usual: &mut usize) -> Service {
    for attempt in 0..20 {
        let service = warm(folder, &format!("{fill}-{attempt}"), Some(*usual / fill * 100));
        if filled(&service).abs_diff(fill) <= 2 {
            return service;
        }
        *usual = resident(&service);
    }
    panic!("no start of twenty is filled to {fill} %");
}

#[test]
fn near_to_the_limit_logs_are_turned_away_first_then_metrics_and_alerts_last() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let mut usual = resident(&warm(dir.path(), "unlimited", None));
    // Filled to two thirds, four fifths and nine tenths: between the marks of the classes, 75, 85 and 97.
    for (fill, of_logs, of_metrics) in [(65, 204, 204), (80, 503, 204), (91, 503, 503)] {
        let service = filled_to(fill, dir.path(), &mut usual);
        let (before, was_refused) = (filled(&service), refused(&service, "loki", "memory"));
        let line = log_line(&service);
        let (metrics, alert) = (sample(&service), service.alert(TOKEN, "b", &["Full"]));
        let at = format!("at {before} % to {} %", filled(&service));
        assert_eq!(line.status, of_logs, "{at}: {}", line.text);
        if of_logs == 503 {
            assert!(line.text.contains("retry-after: 1") && line.text.contains("memory is short"), "{}", line.text);
        }
        assert_eq!(metrics.status, of_metrics, "{at}");
        assert_eq!(alert.status, 200, "{at}");
        assert_eq!(refused(&service, "loki", "memory") - was_refused, u64::from(of_logs == 503));
    }
}

#[test]
fn a_tenant_that_sends_faster_than_it_may_is_told_to_come_again() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let http = free_address();
    Service::configure(dir.path(), http, "", &format!("{WIRES}  limits: {{tenant_requests_per_sec_max: 1}}\n"));
    let service = Service::run(dir.path(), http);
    let answers: Vec<u16> = (0..25).map(|_| sample(&service).status).collect();
    let taken = answers.iter().filter(|status| **status == 204).count();
    assert!((10..20).contains(&taken), "ten seconds' worth and what came meanwhile: {answers:?}");
    assert!(answers.iter().all(|status| matches!(status, 204 | 503)), "{answers:?}");
    assert_eq!(refused(&service, "influx", "tenant_rate"), (25 - taken) as u64);
}

/// Series that nobody has seen, or lines that share no words.
fn flood(thread: usize, number: usize) -> (&'static str, String) {
    let mut body = String::new();
    if thread.is_multiple_of(2) {
        for row in 0..5_000 {
            let _ = writeln!(body, "bomb,host=h{thread}-{number}-{row},path=/a/b/{row} value={row}");
        }
        return ("/api/v2/write?bucket=b", body);
    }
    body.push_str(r#"{"streams":[{"stream":{"service":"flood"},"values":["#);
    for row in 0..5_000 {
        let comma = if row == 0 { "" } else { "," };
        let word =
            |n: usize| format!("{:x}", (thread + number * 5_000 + row + 7).wrapping_mul(0x9E37_79B9 + n) % 0xFFFF_FFFF);
        let words: Vec<String> = (0..10).map(word).collect();
        let _ = write!(body, r#"{comma}["{}","{}"]"#, now_ns(), words.join(" "));
    }
    body.push_str("]}]}");
    ("/loki/api/v1/push", body)
}

fn now_ns() -> i64 {
    bellwether::clock::now().0
}

#[test]
fn a_load_beyond_its_means_stays_within_the_limit_and_alerts_get_through() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let secs = std::env::var("BELLWETHER_OVERLOAD_SECS").ok().and_then(|secs| secs.parse().ok()).unwrap_or(15);
    let limit = 512 * MIB;
    let service = Service::run(dir.path(), configure(dir.path(), Some(limit)));
    let (over, odd) = (AtomicBool::new(false), AtomicUsize::new(0));
    let (mut worst, mut posted, mut slowest) = (0, 0_u64, Duration::ZERO);
    std::thread::scope(|scope| {
        for thread in 0..16 {
            let (service, over, odd) = (&service, &over, &odd);
            scope.spawn(move || {
                let mut number = 0;
                while !over.load(Ordering::Relaxed) {
                    let (path, body) = flood(thread, number);
                    number += 1;
                    let answer = post(service, path, body.as_bytes()).map(|reply| reply.status);
                    odd.fetch_add(usize::from(!matches!(answer, Some(204 | 400 | 503) | None)), Ordering::Relaxed);
                    if answer == Some(503) {
                        pause(Duration::from_millis(50));
                    }
                }
            });
        }
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(secs) {
            let asked = Instant::now();
            let reply = service.alert(TOKEN, &format!("host-{posted}"), &["Full"]);
            assert_eq!(reply.status, 200, "{}", reply.text);
            (posted, slowest) = (posted + 1, slowest.max(asked.elapsed()));
            worst = worst.max(resident(&service));
            pause(Duration::from_millis(200));
        }
        over.store(true, Ordering::Relaxed);
    });
    println!("worst {} MiB of {}; {posted} alerts, the slowest in {slowest:?}", worst / MIB, limit / MIB);
    assert!(worst <= limit + limit / 10, "{} MiB of {}", worst / MIB, limit / MIB);
    assert_eq!(odd.load(Ordering::Relaxed), 0, "who is refused is told to come again");
    assert!(posted >= secs / 2, "{posted}");
    assert!(slowest < PATIENCE, "{slowest:?}");
}

/// A cgroup of its own, gone when dropped.
struct Cgroup(PathBuf);

impl Cgroup {
    /// One of at most `bytes`; `None` where none can be made.
    fn make(bytes: usize) -> Option<Cgroup> {
        let name = format!("bellwether-test-{}", std::process::id());
        let roots = [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")];
        roots.into_iter().find_map(|(root, file)| {
            let group = Cgroup(Path::new(root).join(&name));
            std::fs::create_dir(&group.0).ok()?;
            std::fs::write(group.0.join(file), bytes.to_string()).ok()?;
            Some(group)
        })
    }

    fn take(&self, process: u32) {
        std::fs::write(self.0.join("cgroup.procs"), process.to_string()).expect("it can be moved");
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}

#[test]
fn the_limit_of_its_cgroup_is_found_and_it_is_not_killed() {
    let limit = 400 * MIB;
    let Some(group) = Cgroup::make(limit) else {
        skipped("no cgroup can be made here; run it as who may write in /sys/fs/cgroup");
        return;
    };
    let dir = tempfile::tempdir().expect("temporary folder");
    let http = configure(dir.path(), None);
    let mut service = Service::spawn_in(&group.0.join("cgroup.procs"), dir.path(), http);
    group.take(service.id());
    wait_until("it is ready", || service.ask("GET", "/-/ready", "", "").is_some_and(|reply| reply.status == 200));
    assert_eq!(figure(&service.metrics(), "bellwether_memory_limit_bytes"), limit as u64);
    for part in 0..20 {
        let reply = post(&service, "/api/v2/alerts", long_alerts(part, 14).as_bytes());
        assert!(reply.is_some_and(|reply| matches!(reply.status, 200 | 503)), "it was killed");
    }
    assert_eq!(service.stop(), Some(0));
    drop(service);
}
