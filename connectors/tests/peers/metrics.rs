//! Prometheus and vmagent write their samples; a refused or unanswered request loses and
//! doubles nothing.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bellwether_engine::signal::{MetricColumns, SeriesColumns, SignalKind};

use crate::rig::{Peer, Rig, command};

/// The times of each series' samples in milliseconds, by name and entity; panics on a double.
fn samples(rig: &Rig) -> BTreeMap<(String, String), Vec<i64>> {
    // The journal grows while it is read: samples first, or one could come after its description was looked for.
    let metrics = rig.batches(SignalKind::Metric);
    let mut names = HashMap::new();
    for batch in rig.batches(SignalKind::Series) {
        let columns = SeriesColumns::of(&batch);
        for row in (0..columns.len()).map(|row| columns.row(row)) {
            names.insert(row.series, (row.name.to_owned(), row.entity.to_owned()));
        }
    }
    let mut seen = HashSet::new();
    let mut found: BTreeMap<_, Vec<i64>> = BTreeMap::new();
    for batch in metrics {
        let columns = MetricColumns::of(&batch);
        for (time, series) in columns.time.iter().zip(columns.series) {
            assert!(seen.insert((*series, *time)), "sample {series} at {time} is there twice");
            let name = names.get(series).expect("a series is described before its samples");
            found.entry(name.clone()).or_default().push(time / 1_000_000);
        }
    }
    found
}

/// The scrapes of `up`, when there are at least `count`.
fn scrapes(rig: &Rig, entity: &str, count: usize) -> Option<Vec<i64>> {
    let mut times = samples(rig).remove(&("up".to_owned(), entity.to_owned()))?;
    times.sort_unstable();
    (times.len() >= count).then_some(times)
}

fn prometheus(rig: &Rig, target: SocketAddr) -> Peer {
    let config = rig.redirected("prometheus/prometheus.yml", rig.http, target);
    let mut command = command("peers/usr/bin/prometheus");
    command
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", rig.dir.path().join("tsdb").display()))
        .arg(format!("--web.listen-address={}", rig.moved("9090")));
    Peer::start(command)
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_loses_and_doubles_nothing_when_the_journal_is_full_for_a_while() {
    let rig = Rig::start().await;
    let _prometheus = prometheus(&rig, rig.http);
    rig.until("the first scrapes", || scrapes(&rig, "service:prometheus", 2));
    rig.set_full(true);
    rig.until("three refusals", || (rig.refused() >= 3).then_some(()));
    rig.set_full(false);
    let times = rig.until("ten scrapes", || scrapes(&rig, "service:prometheus", 10));
    for pair in times.windows(2) {
        let apart = pair[1] - pair[0];
        assert!((800..1_500).contains(&apart), "scrapes are a second apart: {times:?}");
    }
}

/// Forwards connections and cuts them before the answer of each of the first `cuts` requests.
fn answer_cutter(to: SocketAddr, cuts: usize) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has ports");
    let address = listener.local_addr().expect("bound");
    let left = Arc::new(AtomicUsize::new(cuts));
    let counter = left.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let left = counter.clone();
            std::thread::spawn(move || forward(stream, to, &left));
        }
    });
    (address, left)
}

fn forward(mut from: TcpStream, to: SocketAddr, left: &AtomicUsize) {
    let Ok(mut server) = TcpStream::connect(to) else { return };
    let (Ok(mut reader), Ok(mut writer)) = (from.try_clone(), server.try_clone()) else { return };
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut reader, &mut writer);
        let _ = writer.shutdown(Shutdown::Write);
    });
    let mut buffer = [0; 4_096];
    while let Ok(length @ 1..) = server.read(&mut buffer) {
        let cut = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if cut.is_ok() {
            // The server has answered, so it has stored; the sender never learns it.
            let _ = from.shutdown(Shutdown::Both);
            return;
        }
        if from.write_all(&buffer[..length]).is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_makes_prometheus_send_again_and_doubles_no_sample() {
    let rig = Rig::start().await;
    let (address, left) = answer_cutter(rig.http, 4);
    let _prometheus = prometheus(&rig, address);
    let times = rig.until("eight scrapes", || scrapes(&rig, "service:prometheus", 8));
    assert_eq!(left.load(Ordering::SeqCst), 0, "four answers were cut");
    for pair in times.windows(2) {
        assert!((800..1_500).contains(&(pair[1] - pair[0])), "no scrape is missing: {times:?}");
    }
}

/// Forwards connections and keeps what the sender says.
fn eavesdropper(to: SocketAddr) -> (SocketAddr, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has ports");
    let address = listener.local_addr().expect("bound");
    let heard = Arc::new(Mutex::new(Vec::new()));
    let kept = heard.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let kept = kept.clone();
            let Ok(mut server) = TcpStream::connect(to) else { continue };
            let (Ok(mut back), Ok(mut answers)) = (stream.try_clone(), server.try_clone()) else { continue };
            std::thread::spawn(move || std::io::copy(&mut answers, &mut back));
            std::thread::spawn(move || {
                let mut buffer = [0; 4_096];
                while let Ok(length @ 1..) = stream.read(&mut buffer) {
                    kept.lock().expect("not poisoned").extend_from_slice(&buffer[..length]);
                    if server.write_all(&buffer[..length]).is_err() {
                        return;
                    }
                }
            });
        }
    });
    (address, heard)
}

/// The value of a counter on a page of Prometheus', summed over its labels.
fn counter(own: SocketAddr, family: &str) -> Option<f64> {
    let mut stream = TcpStream::connect(own).ok()?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").ok()?;
    let mut page = String::new();
    stream.read_to_string(&mut page).ok()?;
    let lines: Vec<&str> = page.lines().filter(|line| line.starts_with(&format!("{family}{{"))).collect();
    let values = lines.iter().filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    (!lines.is_empty()).then(|| values.sum())
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_3_writes_by_remote_write_2_and_believes_the_counts() {
    let rig = Rig::start().await;
    let (address, heard) = eavesdropper(rig.http);
    let own = rig.moved("9090");
    let config = rig.redirected("prometheus/prometheus3.yml", rig.http, address);
    let mut command = command("newer/usr/bin/prometheus");
    command
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", rig.dir.path().join("tsdb").display()))
        .arg(format!("--web.listen-address={own}"));
    let _prometheus = Peer::start(command);
    rig.until("the first scrapes", || scrapes(&rig, "service:prometheus", 2));
    rig.set_full(true);
    rig.until("three refusals", || (rig.refused() >= 3).then_some(()));
    rig.set_full(false);
    let times = rig.until("ten scrapes", || scrapes(&rig, "service:prometheus", 10));
    for pair in times.windows(2) {
        assert!((800..1_500).contains(&(pair[1] - pair[0])), "scrapes are a second apart: {times:?}");
    }
    let said = String::from_utf8_lossy(&heard.lock().expect("not poisoned")).to_lowercase();
    for line in ["proto=io.prometheus.write.v2.request", "x-prometheus-remote-write-version: 2.0.0"] {
        assert!(said.contains(line), "it did not say `{line}`");
    }
    // Answers without the counts of what was written would have been failures to it.
    let sent = rig.until("its own account", || counter(own, "prometheus_remote_storage_samples_total"));
    assert!(sent > 0.0);
    assert_eq!(counter(own, "prometheus_remote_storage_samples_failed_total"), Some(0.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn vmagent_writes_its_own_scrapes() {
    let rig = Rig::start().await;
    let flags = rig.example("vmagent/flags.txt");
    let mut command = command("peers/usr/bin/vmagent");
    command
        .current_dir(flags.parent().expect("a folder"))
        .args(std::fs::read_to_string(&flags).expect("just written").lines())
        .arg(format!("-httpListenAddr={}", rig.moved("8429")));
    let _vmagent = Peer::start(command);
    let times = rig.until("three scrapes", || scrapes(&rig, "service:vmagent", 3));
    assert!(times[2] - times[0] < 60_000, "{times:?}");
    tokio::time::sleep(Duration::from_millis(10)).await;
}
