//! Messages of every form, and whole conversations over a journal in memory.

use std::io::Write;
use std::sync::atomic::Ordering;

use bellwether_engine::signal::{LogColumns, SignalKind};
use bellwether_engine::time::EventTime;
use proptest::prelude::*;
use tokio::io::DuplexStream;

use super::handshake::NONCE_BYTES;
use super::handshake::testing::ping_with;
use super::*;
use crate::intake::{Stopper, stop_pair};
use crate::server::testing::{Shelf, acme};

const NOW: EventTime = EventTime::from_secs(1_000_000);

fn text(text: &str) -> Vec<u8> {
    let mut out = vec![0xd9, text.len() as u8];
    out.extend(text.as_bytes());
    out
}

fn record(pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut out = vec![0x80 | pairs.len() as u8];
    out.extend(pairs.iter().flat_map(|(name, value)| [text(name), text(value)].concat()));
    out
}

fn event_time(secs: u32, nanos: u32) -> Vec<u8> {
    [&[0xd7, 0][..], &secs.to_be_bytes(), &nanos.to_be_bytes()].concat()
}

fn list(items: &[Vec<u8>]) -> Vec<u8> {
    let mut out = vec![0x90 | items.len() as u8];
    out.extend(items.concat());
    out
}

fn bin(bytes: &[u8]) -> Vec<u8> {
    [&[0xc5][..], &(bytes.len() as u16).to_be_bytes(), bytes].concat()
}

/// Three entries, the second of which is none.
fn entries() -> Vec<Vec<u8>> {
    vec![
        list(&[event_time(5, 7), record(&[("message", "one"), ("host", "DB-1"), ("level", "error")])]),
        text("no entry"),
        list(&[vec![0x00], record(&[("n", "two"), ("m", "x")])]),
    ]
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn rows(message: &[u8]) -> (Vec<(String, String, i64)>, String) {
    let resolver = EntityResolver::default();
    let limits = Limits::default();
    let context = Context { limits: &limits, resolver: &resolver, entity: "host:10.0.0.9", received: NOW };
    let (mut out, mut refused) = (LogBuilder::new(), Refusals::default());
    decode(message, &context, &mut out, &mut refused);
    let batch = out.finish("acme").expect("a tenant");
    let columns = LogColumns::of(&batch);
    let row = |row| (columns.body(row).to_owned(), columns.entity(row).to_owned(), columns.time[row]);
    ((0..columns.len()).map(row).collect(), refused.describe())
}

#[test]
fn the_four_forms_give_the_same_rows() {
    let row = |body: &str, entity: &str, time| (body.to_owned(), entity.to_owned(), time);
    let want = [row("one", "host:db-1", 5_000_000_007), row("fluent.tag=app n=two m=x", "host:10.0.0.9", NOW.0)];
    let options = record(&[("chunk", "c1")]);
    let compressed = record(&[("compressed", "gzip")]);
    let forms = [
        list(&[text("app"), list(&entries()), options.clone()]),
        list(&[text("app"), bin(&entries().concat()), options]),
        list(&[text("app"), bin(&gzip(&entries().concat())), compressed]),
    ];
    for form in forms {
        assert_eq!(rows(&form), (want.to_vec(), "1 malformed".to_owned()));
    }
    for (message, want) in [(&entries()[0], &want[0]), (&entries()[2], &want[1])] {
        let message = [&[0x93][..], &text("app"), &message[1..]].concat();
        assert_eq!(rows(&message), (vec![want.clone()], String::new()));
    }
}

#[test]
fn a_time_may_have_metadata_beside_it() {
    let with = |time: Vec<u8>| list(&[time, record(&[("trace", "t1")])]);
    let entry = |secs, text: &str| list(&[with(event_time(secs, 0)), record(&[("log", text), ("host", "h9")])]);
    let group = |time: Vec<u8>| list(&[with(time), record(&[("schema", "otlp")])]);
    let entries = [
        group(vec![0xff]),
        entry(5, "one"),
        list(&[with(vec![0x06]), text("two")]),
        group(event_time(u32::MAX - 1, 0)),
        list(&[list(&[event_time(7, 0)]), record(&[("log", "three")])]),
    ];
    let found = |message: &[u8]| {
        let (rows, refused) = rows(message);
        (rows.into_iter().map(|(body, entity, time)| (body, entity, time / 1_000_000_000)).collect::<Vec<_>>(), refused)
    };
    let row = |body: &str, entity: &str, secs| (body.to_owned(), entity.to_owned(), secs);
    let want = vec![row("one", "host:h9", 5), row("two", "host:10.0.0.9", 6), row("three", "host:10.0.0.9", 7)];
    assert_eq!(found(&list(&[text("t"), list(&entries)])), (want.clone(), String::new()));
    assert_eq!(found(&list(&[text("t"), bin(&entries.concat())])), (want, String::new()));
    let alone = list(&[text("t"), with(event_time(5, 0)), record(&[("log", "one"), ("host", "h9")])]);
    assert_eq!(found(&alone), (vec![row("one", "host:h9", 5)], String::new()));
}

#[test]
fn a_record_is_flattened_and_bounded() {
    let nested = [&[0x82][..], &text("k8s"), &[0x81], &text("pod"), &[0x92, 0x01, 0xc3], &text("f"), &[0xcb]].concat();
    let nested = [&nested[..], &1.5f64.to_be_bytes()].concat();
    let (found, refused) = rows(&list(&[text("t"), vec![0x01], nested]));
    assert_eq!((found[0].0.as_str(), refused.as_str()), ("fluent.tag=t k8s.pod.0=1 k8s.pod.1=true f=1.5", ""));
    assert_eq!(found[0].2, 1_000_000_000);
    let mut deep = vec![0x81, 0xa1, b'd'];
    deep.extend([0x91].repeat(100_000));
    deep.push(0xc0);
    assert_eq!(rows(&list(&[text("t"), vec![0x01], deep])).0.len(), 1);
    let wide = [&[0x81, 0xa1, b'w', 0xdc, 0x10, 0x00][..], &[0x01].repeat(4_096)].concat();
    assert_eq!(rows(&list(&[text("t"), vec![0x01], wide])).0.len(), 1);
}

#[test]
fn what_is_no_message_is_refused_and_a_heartbeat_is_not() {
    assert_eq!(rows(&[0xc0]), (Vec::new(), String::new()));
    let zipped = list(&[text("t"), bin(b"no gzip"), record(&[("compressed", "gzip")])]);
    let other = list(&[text("t"), bin(b"x"), record(&[("compressed", "zstd")])]);
    let no_record = list(&[text("t"), vec![0x01], vec![0x02]]);
    let cases = [
        (&[0x01][..], "1 malformed"),
        (&[0x92, 0x01, 0x02], "1 malformed"),
        (&zipped, "1 not_decompressible"),
        (&other, "1 compression"),
        (&no_record, "1 no_record"),
    ];
    for (message, why) in cases {
        assert_eq!(rows(message), (Vec::new(), why.to_owned()));
    }
}

/// A conversation with a listener of `config`; the sender's address has no tenant of its own
/// when there are keys.
fn call(config: ForwardConfig, intake: &Intake) -> (DuplexStream, Stopper, Arc<Forward>) {
    let auth = Arc::new(Auth::new(&Default::default()).expect("empty is good"));
    let forward = Forward::new("forward", config, Limits::default(), Arc::default(), auth).expect("config is good");
    let forward = Arc::new(forward);
    let (stream, stopper) = connect(&forward, intake);
    (stream, stopper, forward)
}

fn connect(forward: &Arc<Forward>, intake: &Intake) -> (DuplexStream, Stopper) {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let tenant = forward.keys.is_empty().then(|| acme().clone());
    let caller = Caller { stream: Box::new(theirs), from: SocketAddr::from(([10, 0, 0, 9], 1)), tenant };
    let (stopper, stop) = stop_pair();
    tokio::spawn(forward.clone().converse(caller, intake.clone(), stop));
    (ours, stopper)
}

async fn answer_of(stream: &mut DuplexStream, length: usize) -> Vec<u8> {
    let mut answer = vec![0; length];
    let read = tokio::time::timeout(Duration::from_secs(10), stream.read_exact(&mut answer)).await;
    read.expect("an answer in time").expect("an open stream");
    answer
}

fn lines(shelf: &Shelf) -> usize {
    shelf.entries().iter().map(Input::rows).sum()
}

fn chunk(id: &str) -> Vec<u8> {
    list(&[text("app"), list(&entries()[..1]), record(&[("chunk", id)])])
}

#[tokio::test]
async fn a_chunk_is_acknowledged_when_it_is_stored_and_stored_once() {
    let (shelf, intake) = Shelf::with_intake();
    let (mut stream, _stopper, forward) = call(ForwardConfig::default(), &intake);
    shelf.full.store(true, Ordering::Relaxed);
    stream.write_all(&chunk("a")).await.expect("open");
    let none = tokio::time::timeout(Duration::from_millis(300), stream.read_u8()).await;
    assert!(none.is_err() && lines(&shelf) == 0, "nothing is stored and nothing answered");
    // The sender has lost patience and calls again while the first is still being stored.
    let (mut again, _again_stopper) = connect(&forward, &intake);
    again.write_all(&chunk("a")).await.expect("open");
    tokio::time::sleep(Duration::from_millis(100)).await;
    shelf.full.store(false, Ordering::Relaxed);
    let want = acknowledgement(b"a");
    assert_eq!(answer_of(&mut stream, want.len()).await, want);
    assert_eq!(answer_of(&mut again, want.len()).await, want);
    again.write_all(&[chunk("a"), chunk("b")].concat()).await.expect("open");
    let both = answer_of(&mut again, 2 * want.len()).await;
    assert_eq!(both, [want, acknowledgement(b"b")].concat());
    assert_eq!(lines(&shelf), 2, "`a` and `b` once each");
}

#[tokio::test]
async fn a_chunk_with_a_refused_entry_is_never_acknowledged_and_its_good_ones_are_stored_once() {
    let (shelf, intake) = Shelf::with_intake();
    let (mut stream, _stopper, forward) = call(ForwardConfig::default(), &intake);
    let partly = list(&[text("app"), list(&entries()), record(&[("chunk", "p")])]);
    for _ in 0..2 {
        stream.write_all(&[&partly[..], &chunk("a")].concat()).await.expect("open");
        let want = acknowledgement(b"a");
        assert_eq!(answer_of(&mut stream, want.len()).await, want, "of the other chunk alone");
    }
    assert_eq!(lines(&shelf), 3, "two of `p` and one of `a`");
    assert_eq!(forward.counters.read().refused.get("malformed"), Some(&1));
}

#[tokio::test]
async fn a_sender_without_chunks_is_stored_soon_and_garbage_ends_the_conversation() {
    let (shelf, intake) = Shelf::with_intake();
    let (mut stream, _stopper, forward) = call(ForwardConfig::default(), &intake);
    let message = list(&[text("app"), vec![0x05], record(&[("m", "x")])]);
    stream.write_all(&[&message[..], &message[..3]].concat()).await.expect("open");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(lines(&shelf), 1);
    stream.write_all(&[&message[3..], &[0xc1]].concat()).await.expect("open");
    assert_eq!(stream.read(&mut [0]).await.expect("closed"), 0);
    assert_eq!(lines(&shelf), 2);
    assert_eq!(forward.counters.read().refused.get("malformed"), Some(&1));
}

#[tokio::test]
async fn with_a_shared_key_the_key_names_the_tenant() {
    let dir = tempfile::tempdir().expect("a folder");
    let key_file = dir.path().join("key");
    std::fs::write(&key_file, "secret\n").expect("writes");
    let config = ForwardConfig {
        shared_keys: vec![SharedKey { tenant: "umbrella".to_owned(), key_file }],
        ..Default::default()
    };
    let (shelf, intake) = Shelf::with_intake();
    let helo_length = helo(&[0; NONCE_BYTES]).len();
    for (secret, known) in [("guess", false), ("secret", true)] {
        let (mut stream, _stopper, forward) = call(config.clone(), &intake);
        let greeting = answer_of(&mut stream, helo_length).await;
        let at = greeting.windows(5).position(|w| w == b"nonce").expect("it has one") + 7;
        let nonce: [u8; NONCE_BYTES] = greeting[at..at + NONCE_BYTES].try_into().expect("16 bytes");
        stream.write_all(&ping_with(secret, &nonce)).await.expect("open");
        let mut pong = vec![0; 8];
        stream.read_exact(&mut pong).await.expect("a PONG");
        assert_eq!((&pong[4..], stream.read_u8().await.expect("an answer") == 0xc3), (&b"PONG"[..], known));
        let _ = stream.write_all(&chunk("k")).await;
        let mut rest = Vec::new();
        let patience = tokio::time::timeout(Duration::from_millis(500), stream.read_to_end(&mut rest)).await;
        assert_eq!(patience.is_err(), known, "only who is known may stay");
        assert_eq!(forward.counters.read().refused.contains_key("unauthorized"), !known);
    }
    let entries = shelf.entries();
    assert!(matches!(&entries[..], [Input::Batch(b)] if b.tenant() == "umbrella" && b.kind() == SignalKind::Log));
}

proptest! {
    #![proptest_config(crate::fuzz::config())]

    #[test]
    fn damaged_and_arbitrary_messages_never_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        places in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        form in 0usize..4,
    ) {
        let mut damaged = match form {
            0 => list(&[text("app"), list(&entries()), record(&[("chunk", "c")])]),
            1 => list(&[text("app"), bin(&entries().concat())]),
            2 => list(&[text("app"), bin(&gzip(&entries().concat())), record(&[("compressed", "gzip")])]),
            _ => [&[0x93][..], &text("app"), &entries()[0][1..]].concat(),
        };
        for (place, with) in places {
            let at = place.index(damaged.len());
            damaged[at] = with;
        }
        for message in [bytes, damaged] {
            let (found, _) = rows(&message);
            prop_assert!(found.len() <= message.len());
            let _ = options(&message);
            let mut framer = Framer { buffer: message, walk: Walk::default(), bytes_max: 100 };
            while let Ok(Some(found)) = framer.next_message() {
                prop_assert!(!found.is_empty());
            }
        }
    }
}
