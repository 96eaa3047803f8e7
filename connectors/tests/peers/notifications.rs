//! net-snmp's snmptrap and snmpinform, and the Fluent logger for Python.

use std::path::Path;
use std::process::Command;

use bellwether_engine::signal::{AlertColumns, AlertStatus, LogColumns, SignalKind};

use crate::rig::{Rig, command, output_of, peer};

/// `(name, entity, status, fingerprint)` of every alert in the journal.
fn alerts(rig: &Rig) -> Vec<(String, String, Option<AlertStatus>, u64)> {
    let mut found = Vec::new();
    for batch in rig.batches(SignalKind::Alert) {
        let rows = AlertColumns::of(&batch);
        let told =
            |row| (rows.name(row).to_owned(), rows.entity(row).to_owned(), rows.status(row), rows.fingerprint[row]);
        found.extend((0..rows.len()).map(told));
    }
    found
}

/// `examples/snmp/link.sh` with the unpacked programs.
fn link(rig: &Rig, script: &Path, program: &str, arguments: &[&str]) -> Command {
    let mut link = command("peers/usr/bin/snmptrap");
    let libraries = link.get_envs().find_map(|(name, value)| (name == "LD_LIBRARY_PATH").then_some(value?.to_owned()));
    let libraries = libraries.expect("peers run with their libraries");
    link = Command::new("sh");
    link.arg(script).args(arguments).env("LD_LIBRARY_PATH", libraries);
    link.env("PROGRAM", peer(&format!("peers/usr/bin/{program}")));
    link.env("SNMP_PERSISTENT_DIR", rig.dir.path()).env("SNMPCONFPATH", rig.dir.path()).env("MIBS", "");
    link
}

#[tokio::test(flavor = "multi_thread")]
async fn snmptrap_tells_a_link_down_and_up_and_snmpinform_waits_for_the_journal() {
    let rig = Rig::start().await;
    let script = rig.example("snmp/link.sh");
    // An inform is repeated until it is answered, so it also waits for the listener.
    output_of(link(&rig, &script, "snmpinform", &["down", "7"]));
    assert_eq!(alerts(&rig).len(), 1, "answered when it was stored, and stored once");

    rig.set_full(true);
    let inform = std::thread::spawn({
        let inform = link(&rig, &script, "snmpinform", &["down", "8"]);
        move || {
            let mut inform = inform;
            inform.output()
        }
    });
    rig.until("a refusal", || (rig.refused() >= 1).then_some(()));
    assert!(!inform.is_finished(), "nothing is answered that is not stored");
    rig.set_full(false);
    let told = tokio::task::block_in_place(|| inform.join()).expect("no panic").expect("it runs");
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));

    output_of(link(&rig, &script, "snmptrap", &["up", "7"]));
    let found = rig.until("the recovery", || {
        let found = alerts(&rig);
        found.iter().any(|alert| alert.2 == Some(AlertStatus::Resolved)).then_some(found)
    });
    let status: Vec<_> = found.iter().map(|alert| alert.2).collect();
    assert_eq!(status, [Some(AlertStatus::Firing), Some(AlertStatus::Firing), Some(AlertStatus::Resolved)]);
    assert!(
        found.iter().all(|alert| (alert.0.as_str(), alert.1.as_str()) == ("linkDown", "host:127.0.0.1")),
        "{found:?}"
    );
    assert!(found[0].3 == found[2].3 && found[0].3 != found[1].3, "one alert for each interface: {found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fluent_logger_for_python_sends_records() {
    let rig = Rig::start().await;
    let mut logger = command("py/bin/python");
    logger.arg(rig.example("fluent-logger/send.py"));
    logger.args([rig.forward.ip().to_string(), rig.forward.port().to_string()]);
    output_of(logger);
    let mut found = rig.until("three records", || {
        let mut found = Vec::new();
        for batch in rig.batches(SignalKind::Log) {
            let rows = LogColumns::of(&batch);
            for row in 0..rows.len() {
                let tag = rows.attributes(row).get("fluent.tag").unwrap_or_default().to_owned();
                found.push((
                    rows.body(row).to_owned(),
                    rows.entity(row).to_owned(),
                    rows.severity[row],
                    tag,
                    rows.time[row],
                ));
            }
        }
        (found.len() >= 3).then_some(found)
    });
    found.sort();
    assert_eq!(found.len(), 3);
    for (order, (body, entity, severity, tag, time)) in found.iter().enumerate() {
        assert_eq!(body, &format!("payment refused for order {order}"));
        assert_eq!((entity.as_str(), *severity, tag.as_str()), ("service:pay", 17, "shop.checkout"));
        assert_ne!(time % 1_000_000_000, 0, "the time has its nanoseconds");
    }
}
