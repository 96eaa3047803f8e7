//! The shipped subscriber, with the real program: through a pipe, by webhooks, and a consumer of a real NATS server.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use async_nats::jetstream::consumer::pull::OrderedConfig;
use bellwether_connectors::nats::testing::NatsServer;
use bellwether_connectors::sinks::nats::{INCIDENT_STREAM, INCIDENT_SUBJECTS};
use futures::StreamExt as _;
use serde_json::{Value, json};

use crate::service::{bellwether, free_address, wait_until};
use crate::skipped::skipped;

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/subscriber/subscriber.py")
}

fn python() -> Option<Command> {
    let there = Command::new("python3").arg("--version").output().is_ok_and(|output| output.status.success());
    if !there {
        skipped("no python3 to run examples/subscriber");
    }
    there.then(|| Command::new("python3"))
}

/// What the shipped subscriber answers to these lines.
fn answered(mut python: Command, lines: &[u8]) -> Vec<u8> {
    let piped = python.arg(example()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = piped.expect("python starts");
    child.stdin.take().expect("a pipe").write_all(lines).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "it fails");
    output.stdout
}

/// What the kit says of an answer, of three rounds.
fn judged(folder: &Path, answer: &[u8]) -> (i32, String) {
    let file = folder.join("answer.jsonl");
    std::fs::write(&file, answer).expect("temp dir is writable");
    let Output { status, stdout, .. } = bellwether(&["conform", "judge", &file.display().to_string(), "--rounds", "3"]);
    (status.code().unwrap_or(-1), String::from_utf8(stdout).expect("UTF-8"))
}

#[track_caller]
fn keeps_every_rule(folder: &Path, answer: &[u8]) {
    let (code, said) = judged(folder, answer);
    assert!(code == 0 && said.ends_with("incidents: every rule is kept\n"), "{said}");
}

#[test]
fn through_a_pipe_and_a_fault_is_named_by_its_rule() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let sent = bellwether(&["conform", "send", "--file", "-", "--rounds", "3"]);
    let note = String::from_utf8_lossy(&sent.stderr);
    assert!(note.contains("bellwether conform judge ANSWER --seed 1 --rounds 3"), "{note}");
    let answer = answered(python, &sent.stdout);
    keeps_every_rule(folder.path(), &answer);
    // One that takes line ends where texts have them, as `str.splitlines` does, would not have come so far; one that
    // has lost what was merged is told so.
    let text = String::from_utf8(answer).expect("UTF-8");
    let lost = text.replace("\"status\": \"merged\"", "\"status\": \"open\"");
    let (code, said) = judged(folder.path(), lost.as_bytes());
    assert_eq!(code, 1, "{said}");
    assert!(said.starts_with("merged  ") && said.contains("`status` is \"open\", should be \"merged\""), "{said}");
    assert!(said.contains("1 of 15 rules are broken") && said.contains("    and 3 more"), "{said}");
    let (code, said) = judged(folder.path(), b"{}");
    assert_eq!((code, said.as_str()), (2, ""), "an answer that does not read is the user's mistake");
}

/// The subscriber that listens; ended with the test.
struct Listening(Child);

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn held_by(address: SocketAddr) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.write_all(b"GET /held HTTP/1.0\r\n\r\n").expect("it reads");
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    while reader.read_line(&mut line).expect("it answers") > 2 {
        line.clear();
    }
    let mut body = Vec::new();
    reader.read_to_end(&mut body).expect("it answers");
    body
}

#[test]
fn by_webhooks() {
    let Some(mut python) = python() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").expect("temp dir is writable");
    let address = free_address();
    let child = python.arg(example()).args(["--listen", &address.port().to_string()]).spawn();
    let _listening = Listening(child.expect("python starts"));
    wait_until("it listens", || TcpStream::connect(address).is_ok());
    let url = format!("http://{address}/hook");
    let secret = secret.display().to_string();
    let sent = bellwether(&["conform", "send", "--webhook", &url, "--token-file", &secret, "--rounds", "3"]);
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    keeps_every_rule(folder.path(), &held_by(address));
}

/// Every message of the stream as a line of a pipe.
async fn lines_of(server: &NatsServer) -> Vec<u8> {
    let context = server.connection().connect().await.expect("it is there");
    let mut stream = context.get_stream(INCIDENT_STREAM).await.expect("the kit has made it");
    let last = stream.info().await.expect("it answers").state.last_sequence;
    let consumer = stream.create_consumer(OrderedConfig::default()).await.expect("a consumer");
    let mut messages = consumer.messages().await.expect("messages");
    let mut lines = Vec::new();
    loop {
        let message = messages.next().await.expect("a message").expect("a message");
        let key = message.headers.as_ref().and_then(|headers| headers.get("Nats-Msg-Id")).expect("a key").as_str();
        let record: Value = serde_json::from_slice(&message.payload).expect("JSON");
        lines.extend(json!({"key": key, "subject": message.subject.as_str(), "record": record}).to_string().bytes());
        lines.push(b'\n');
        if message.info().expect("from a stream").stream_sequence >= last {
            return lines;
        }
    }
}

#[test]
fn over_nats_where_what_comes_again_comes_through_and_no_real_stream_is_written_to() {
    let Some(python) = python() else { return };
    let server = match NatsServer::start() {
        Ok(server) => server,
        Err(error) => return skipped(&error.to_string()),
    };
    let folder = tempfile::tempdir().expect("a folder");
    let send = || bellwether(&["conform", "send", "--nats", &server.url(), "--rounds", "3"]);
    // Twice: the second time it empties what it made the first time.
    for _ in 0..2 {
        let sent = send();
        assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let lines = runtime.block_on(lines_of(&server));
    assert_eq!(lines.iter().filter(|byte| **byte == b'\n').count(), bellwether::conform::plan(1, 3).len());
    keeps_every_rule(folder.path(), &answered(python, &lines));
    runtime.block_on(async {
        let context = server.connection().connect().await.expect("it is there");
        context.delete_stream(INCIDENT_STREAM).await.expect("it goes");
        let real = async_nats::jetstream::stream::Config {
            name: INCIDENT_STREAM.to_owned(),
            subjects: vec![INCIDENT_SUBJECTS.to_owned()],
            ..Default::default()
        };
        context.create_stream(real).await.expect("a stream");
    });
    let refused = send();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("that the kit did not make"), "{said}");
}
