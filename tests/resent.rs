//! What a sender sends again because it missed the answer is in the journal once: also when the
//! receiver was killed with `kill -9` in between, and when two connections send it at once.
//!
//! The kill between the journal's sync and the answer is made certain by a proxy that keeps the
//! answer to itself: once it has the answer, the journal has the request. A second test kills at
//! random moments under senders that repeat what was not answered.

#![allow(clippy::print_stdout)] // the seed is what people look for

mod service;

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use bellwether_connectors::journal::Journal as _;
use bellwether_connectors::{JournalConfig, LocalJournal, Position};
use bellwether_engine::input::Input;
use bellwether_engine::signal::{LogColumns, SignalKind};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng as _, SeedableRng as _};
use service::{PATIENCE, Service, TOKEN, free_address, pause, wait_until};

/// Kills in one run of the random test; more with `BELLWETHER_KILLS`.
const KILLS: u64 = 6;
/// Requests that come on two connections at once.
const TWICE: usize = 40;

fn variable(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// One way in for log lines.
#[derive(Clone, Copy)]
struct Way {
    path: &'static str,
    /// A request of two lines that hold `number` and the way's path.
    body: fn(u64) -> String,
}

const WAYS: [Way; 2] = [
    Way {
        path: "/loki/api/v1/push",
        body: |number| {
            let time = 1_772_359_200_000_000_000 + number;
            format!(
                r#"{{"streams":[{{"stream":{{"service_name":"pay"}},"values":[["{time}","/loki/api/v1/push {number} a"],["{time}","/loki/api/v1/push {number} b"]]}}]}}"#
            )
        },
    },
    Way {
        path: "/_bulk",
        body: |number| {
            let line = |part: &str| {
                format!(
                    "{{\"index\":{{}}}}\n{{\"@timestamp\":\"2026-03-01T10:00:00Z\",\"message\":\"/_bulk {number} {part}\",\"service\":{{\"name\":\"pay\"}}}}\n"
                )
            };
            line("a") + &line("b")
        },
    },
];

/// The lines that `number` of a way is.
fn lines_of(way: Way, number: u64) -> [String; 2] {
    ["a", "b"].map(|part| format!("{} {number} {part}", way.path))
}

fn request(way: Way, body: &str) -> String {
    format!(
        "POST {} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        way.path,
        body.len()
    )
}

/// Sends one request and waits for what comes back: its status, or nothing.
fn send(to: SocketAddr, way: Way, body: &str) -> Option<u16> {
    let mut stream = TcpStream::connect(to).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(request(way, body).as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split(' ').nth(1)?.parse().ok()
}

/// Sends until it is answered with success.
fn send_until_answered(to: SocketAddr, way: Way, body: &str) {
    let began = Instant::now();
    while !send(to, way, body).is_some_and(|status| (200..300).contains(&status)) {
        assert!(began.elapsed() < PATIENCE, "{} is not answered", way.path);
        pause(Duration::from_millis(20));
    }
}

fn start(folder: &Path, http: SocketAddr) -> Service {
    Service::configure(folder, http, "", "  loki: {}\n  bulk: {}\n");
    Service::run(folder, http)
}

/// The log lines in the journal of a program that has ended, each with how often it is there.
fn journalled(folder: &Path) -> BTreeMap<String, usize> {
    let (journal, _) =
        LocalJournal::open(&JournalConfig::new(service::home(folder, "acme").join("journal"))).expect("opens");
    let mut entries = journal.read(Position::START).expect("nothing was dropped");
    let mut lines = BTreeMap::new();
    while let Some(entry) = entries.next_entry().expect("undamaged") {
        if let Ok(Input::Batch(batch)) = Input::decode(&entry.bytes)
            && batch.kind() == SignalKind::Log
        {
            let columns = LogColumns::of(&batch);
            for row in 0..columns.len() {
                *lines.entry(columns.body(row).to_owned()).or_default() += 1;
            }
        }
    }
    lines
}

/// What each of these requests is in the journal when none is lost and none is doubled.
fn once_each(requests: impl IntoIterator<Item = (Way, u64)>) -> BTreeMap<String, usize> {
    requests.into_iter().flat_map(|(way, number)| lines_of(way, number)).map(|line| (line, 1)).collect()
}

/// Takes one connection, hands its request on, and keeps the answer to itself. Says when it has it.
fn swallow_one_answer(to: SocketAddr) -> (SocketAddr, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    let (answered, answer) = mpsc::channel();
    std::thread::spawn(move || {
        let (mut client, _) = listener.accept().expect("one sender");
        let mut server = TcpStream::connect(to).expect("the program listens");
        let (mut from_client, mut to_server) =
            (client.try_clone().expect("a handle"), server.try_clone().expect("a handle"));
        std::thread::spawn(move || std::io::copy(&mut from_client, &mut to_server));
        let mut said = String::new();
        let _ = server.read_to_string(&mut said);
        let _ = answered.send(said);
        // The sender's connection stays silent until the test is over with this sender.
        let _ = client.read(&mut [0]);
    });
    (address, answer)
}

#[test]
fn a_request_whose_answer_a_kill_swallowed_is_in_the_journal_once() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let http = free_address();
    let mut service = start(dir.path(), http);
    for way in WAYS {
        let body = (way.body)(7);
        let (proxy, answer) = swallow_one_answer(http);
        let mut sender = TcpStream::connect(proxy).expect("the proxy listens");
        sender.write_all(request(way, &body).as_bytes()).expect("sends");
        let said = answer.recv_timeout(PATIENCE).expect("the program answers the proxy");
        assert!(said.starts_with("HTTP/1.1 20"), "{said}");
        // SIGKILL: what was known in memory is gone.
        drop(service);
        let _ = sender.shutdown(Shutdown::Both);
        service = Service::run(dir.path(), http);
        send_until_answered(http, way, &body);
        send_until_answered(http, way, &(way.body)(8));
    }
    let page = service.metrics();
    assert!(page.contains("\nbellwether_receipts 6\n"), "a push is one, a bulk request one for each line: {page}");
    assert_eq!(service.stop(), Some(0));
    assert_eq!(journalled(dir.path()), once_each(WAYS.iter().flat_map(|way| [(*way, 7), (*way, 8)])));
}

#[test]
fn kills_at_any_moment_lose_and_double_nothing_of_senders_that_repeat_themselves() {
    let seed = variable("BELLWETHER_SEED", 1);
    println!("seed {seed}");
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let dir = tempfile::tempdir().expect("temporary folder");
    let http = free_address();
    let mut service = Some(start(dir.path(), http));
    let over = AtomicBool::new(false);
    let sent = std::thread::scope(|scope| {
        // Two senders a way: what one repeats stands among what the other sends for the first time.
        let sender = |way: Way, first: u64| {
            let over = &over;
            move || {
                let mut numbers = Vec::new();
                while !over.load(Ordering::SeqCst) {
                    let number = first + numbers.len() as u64;
                    send_until_answered(http, way, &(way.body)(number));
                    numbers.push((way, number));
                }
                numbers
            }
        };
        let senders: Vec<_> =
            WAYS.iter().flat_map(|way| [0, 1_000_000].map(|first| scope.spawn(sender(*way, first)))).collect();
        for _ in 0..variable("BELLWETHER_KILLS", KILLS) {
            pause(Duration::from_millis(50 + random.next_u64() % 400));
            // SIGKILL.
            drop(service.take());
            service = Some(Service::run(dir.path(), http));
        }
        over.store(true, Ordering::SeqCst);
        senders.into_iter().flat_map(|sender| sender.join().expect("it was answered")).collect::<Vec<_>>()
    });
    assert_eq!(service.as_mut().map(Service::stop), Some(Some(0)));
    assert!(sent.len() > 40, "{} requests are too few to have been interrupted", sent.len());
    assert_eq!(journalled(dir.path()), once_each(sent));
}

#[test]
fn documents_that_come_on_two_connections_at_once_are_in_the_journal_once() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let http = free_address();
    let mut service = start(dir.path(), http);
    let [_, bulk] = WAYS;
    for number in 0..TWICE as u64 {
        // Not the same request: each has a document that the other has, and one of its own.
        let bodies = [1, 2].map(|own| (bulk.body)(number) + &(bulk.body)(1_000 * own + number));
        std::thread::scope(|scope| {
            for body in &bodies {
                scope.spawn(move || send_until_answered(http, bulk, body));
            }
        });
    }
    wait_until("all is counted", || service.metrics().contains("component_id=\"bulk\""));
    assert_eq!(service.stop(), Some(0));
    let numbers = (0..TWICE as u64).flat_map(|number| [number, 1_000 + number, 2_000 + number]);
    assert_eq!(journalled(dir.path()), once_each(numbers.map(|number| (bulk, number))));
}
