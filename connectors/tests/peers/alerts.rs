//! Prometheus' rules, amtool and Alertmanager.

use std::process::Command;

use bellwether_engine::input::{Action, Input};
use bellwether_engine::signal::{AlertColumns, AlertStatus, Severity, SignalKind};

use crate::rig::{Peer, Rig, command, free_address, output_of, peer};

/// `(name, entity, status, fingerprint)` of every alert in the journal.
fn alerts(rig: &Rig) -> Vec<(String, String, Option<AlertStatus>, u64)> {
    let mut found = Vec::new();
    for batch in rig.batches(SignalKind::Alert) {
        let columns = AlertColumns::of(&batch);
        for row in 0..columns.len() {
            let (name, entity) = (columns.name(row).to_owned(), columns.entity(row).to_owned());
            found.push((name, entity, columns.status(row), columns.fingerprint[row]));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_takes_us_for_one_more_alertmanager() {
    let rig = Rig::start().await;
    let config = rig.example("prometheus/prometheus.yml");
    let mut command = command("peers/usr/bin/prometheus");
    command
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", rig.dir.path().join("tsdb").display()))
        .arg(format!("--web.listen-address={}", rig.moved("9090")))
        // The first alert comes before the discovery of Alertmanagers; the next a minute later.
        .arg("--rules.alert.resend-delay=1s");
    let _prometheus = Peer::start(command);
    rig.until("the alert", || alerts(&rig).first().cloned());
    let batch = rig.batches(SignalKind::Alert).remove(0);
    let columns = AlertColumns::of(&batch);
    assert_eq!((columns.name(0), columns.entity(0)), ("DiskAlmostFull", "host:db-1"));
    assert_eq!(columns.status(0), Some(AlertStatus::Firing));
    assert_eq!(columns.severity(0), Severity::Critical);
    assert_eq!(columns.labels(0).get("cluster"), Some("plant-7"));
    assert_eq!(columns.annotations(0).get("summary"), Some("The disk of db-1 is 97 % full"));
}

fn amtool(rig: &Rig, token: &str, arguments: &[&str]) -> String {
    let config = rig.dir.path().join("amtool-http.yml");
    std::fs::write(&config, format!("authorization: {{ credentials: {token} }}\n")).expect("temp dir is writable");
    let mut command: Command = command("peers/usr/bin/amtool");
    command
        .arg(format!("--alertmanager.url=http://{}", rig.http))
        .arg(format!("--http.config.file={}", config.display()))
        .args(arguments);
    output_of(command)
}

#[tokio::test(flavor = "multi_thread")]
async fn amtool_adds_lists_and_silences_alerts() {
    let rig = Rig::start().await;
    // Who may send may not silence.
    let (sender, actor) = (rig.token(), rig.ticketing());
    amtool(&rig, &sender, &["alert", "add", "DiskFull", "instance=db-1:9100", "job=node", "--annotation=summary=full"]);
    let listed = amtool(&rig, &sender, &["alert", "query", "-o", "extended"]);
    assert!(listed.contains("DiskFull") && listed.contains("full"), "{listed}");
    assert!(!amtool(&rig, &sender, &["alert", "query", "alertname=Other"]).contains("DiskFull"));

    let id = amtool(
        &rig,
        &actor,
        &["silence", "add", "alertname=~Disk.*", "--author=ann", "--comment=known", "--duration=1h"],
    );
    let id = id.trim();
    assert!(amtool(&rig, &actor, &["silence", "query"]).contains(id));
    assert!(!amtool(&rig, &sender, &["alert", "query"]).contains("DiskFull"), "silenced alerts are not active");
    amtool(&rig, &actor, &["silence", "expire", id]);
    assert!(amtool(&rig, &sender, &["alert", "query"]).contains("DiskFull"));

    let told: Vec<bool> = rig
        .entries()
        .iter()
        .filter_map(|input| match input {
            Input::Action { action: Action::Silence { id: of, who, .. }, .. } => Some(of == id && who == "ann"),
            _ => None,
        })
        .collect();
    assert_eq!(told, vec![true, true], "set and expired, both told to the engine");
}

/// Debian's Alertmanager reads its template from /usr/share, where an unpacked one is not: it
/// gets a mount namespace of its own in which it is.
fn in_its_own_share(program: &str) -> Command {
    let program = peer(program);
    let templates = peer("peers/usr/share/prometheus/alertmanager");
    let script = "mount -t tmpfs share /usr/share && mkdir /usr/share/prometheus && \
                  ln -s \"$1\" /usr/share/prometheus/alertmanager && shift && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "--map-root-user", "sh", "-c", script, "sh"]);
    command.arg(templates.canonicalize().expect("exists")).arg(program.canonicalize().expect("exists"));
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn alertmanager_repeats_a_refused_webhook_and_tells_the_recovery() {
    let rig = Rig::start().await;
    let own = free_address();
    let config = rig.example("alertmanager/alertmanager.yml");
    let mut daemon = in_its_own_share("peers/usr/bin/prometheus-alertmanager");
    daemon
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.path={}", rig.dir.path().join("alertmanager").display()))
        .arg(format!("--web.listen-address={own}"))
        .arg("--cluster.listen-address=");
    let _alertmanager = Peer::start(daemon);
    rig.until("Alertmanager", || std::net::TcpStream::connect(own).ok());
    rig.set_full(true);
    let mut add = command("peers/usr/bin/amtool");
    add.arg(format!("--alertmanager.url=http://{own}")).args([
        "alert",
        "add",
        "DiskFull",
        "service=checkout",
        "--annotation=summary=full",
    ]);
    output_of(add);
    rig.until("a refusal", || (rig.refused() >= 1).then_some(()));
    rig.set_full(false);
    rig.until("the repeated webhook", || alerts(&rig).first().cloned());

    let mut resolve = command("peers/usr/bin/amtool");
    resolve.arg(format!("--alertmanager.url=http://{own}")).args([
        "alert",
        "add",
        "DiskFull",
        "service=checkout",
        "--end=2020-01-01T00:00:00Z",
        "--start=2019-01-01T00:00:00Z",
    ]);
    output_of(resolve);
    rig.until("the recovery", || alerts(&rig).into_iter().find(|alert| alert.2 == Some(AlertStatus::Resolved)));
    let found = alerts(&rig);
    assert!(found.iter().all(|alert| alert.1 == "service:checkout" && alert.3 == found[0].3), "{found:?}");
    let last = rig.batches(SignalKind::Alert).pop().expect("not empty");
    let annotations = AlertColumns::of(&last);
    assert_eq!(annotations.annotations(0).get("summary"), Some("full"), "kept from the first telling");
}
