//! State folders of earlier formats, taken over by this build while senders send, and folders of a later one, which
//! are refused. `tools/state_fixture.py` says how the folders were made.

#[path = "../service/mod.rs"]
mod service;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use service::{Service, TOKEN, bellwether, free_address, wait_until};

/// The folders, by the format of their checkpoints.
const FOLDERS: [(u32, &str); 2] = [(9, "faa166b"), (10, "2fb0837")];
/// Services that are down in them, and do not come back.
const DOWN: [u32; 10] = [1, 3, 5, 7, 9, 11, 12, 13, 14, 15];

/// A copy of a recorded folder with a configuration of today, and where it will listen.
fn folder(commit: &str) -> (tempfile::TempDir, SocketAddr) {
    let folder = tempfile::tempdir().expect("a folder");
    let packed = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/upgrade/{commit}.tar.xz"));
    let unpacked = Command::new("tar").arg("-xJf").arg(packed).arg("-C").arg(folder.path()).status().expect("tar runs");
    assert!(unpacked.success());
    let http = free_address();
    let engine = "  correlate: {threshold: 0.999}\n";
    let file = Service::configure(folder.path(), http, engine, "  alertmanager: {}\n");
    let text = fs::read_to_string(&file).expect("written");
    let rows = "sources:\n  - stdin: {tenant: acme, name: rows, rows: {signal: alert}}\n";
    let patient = text.replace("group_wait: 500ms", "group_wait: 500ms, stale_after: 1000000h");
    // The receiver's cursor is under this name.
    let named = patient.replace("ndjson: {path", "ndjson: {name: file, path");
    fs::write(&file, format!("{named}{rows}checkpoint: {{every: 1s, entries: 20}}\n")).expect("written");
    (folder, http)
}

/// Each incident in the receiver's file: its last revision, with its status and the services it is about.
fn told(file: &Path) -> BTreeMap<String, (u64, String, BTreeSet<String>)> {
    let mut told: BTreeMap<String, (u64, String, BTreeSet<String>)> = BTreeMap::new();
    for line in fs::read_to_string(file).unwrap_or_default().lines() {
        let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
        let key = line["key"].as_str().expect("a key");
        let (incident, revision) = key.rsplit_once('/').expect("tenant/id/revision");
        let revision: u64 = revision.parse().expect("a number");
        let (last, status, services) = told.entry(incident.to_owned()).or_default();
        assert_eq!(revision, *last + 1, "{key} comes after revision {last}");
        let record = &line["record"];
        *last = revision;
        *status = record["status"].as_str().expect("a status").to_owned();
        services.extend(record["title"].as_str().and_then(|title| title.rsplit(' ').next()).map(str::to_owned));
    }
    told
}

/// The incident about a service, and its status; there is one.
fn about(file: &Path, service: &str) -> (String, String) {
    let told = told(file);
    let mut about = told.iter().filter(|(_, (_, _, services))| services.contains(service));
    let (incident, (_, status, _)) = about.next().unwrap_or_else(|| panic!("nothing is told of {service}"));
    assert_eq!(about.next(), None, "{service} is told of twice");
    (incident.clone(), status.clone())
}

/// Its files, each with its length and checksum; zeros at the end of a segment are room and not counted.
fn files(folder: &Path) -> BTreeMap<PathBuf, (usize, u32)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("listed").map(|entry| entry.expect("listed").path()) {
        if entry.is_dir() {
            found.extend(files(&entry));
        } else {
            let bytes = fs::read(&entry).expect("reads");
            let length = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            found.insert(entry, (length, crc32fast::hash(&bytes[..length])));
        }
    }
    found
}

#[test]
fn a_folder_of_an_earlier_format_is_taken_over_while_senders_send_and_nothing_is_lost_or_told_twice() {
    for (format, commit) in FOLDERS {
        let (folder, http) = folder(commit);
        let file = folder.path().join("incidents.ndjson");
        let before: BTreeMap<u32, (String, String)> = DOWN.map(|n| (n, about(&file, &format!("s{n}")))).into();
        assert!(before.values().all(|(_, status)| status == "open"), "{before:?}");
        let mut service = Service::begin_with_input(folder.path(), http);
        // A sender that does not wait until it is there.
        let client = service.client();
        let sent = std::thread::spawn(move || {
            let one = |host: u32| {
                let labels =
                    serde_json::json!({"alertname": "Down", "service": format!("new{host}"), "severity": "critical"});
                let body = serde_json::json!([{"labels": labels}]).to_string();
                wait_until("it is accepted", || {
                    client.ask("POST", "/api/v2/alerts", TOKEN, &body).is_some_and(|reply| reply.status == 200)
                });
            };
            (0..20).for_each(one);
        });
        // What was down when the earlier build was killed comes back.
        let mut rows = service.input();
        for n in DOWN {
            let row = serde_json::json!({"signal": "alert", "time": 1_772_500_000, "source": "probe", "name": "Down",
                "entity": format!("service:s{n}"), "severity": "critical", "status": "resolved"});
            writeln!(rows, "{row}").expect("it reads");
        }
        rows.flush().expect("it reads");
        sent.join().expect("everything is accepted");
        wait_until("what came back is over", || {
            DOWN.iter().all(|n| matches!(about(&file, &format!("s{n}")).1.as_str(), "resolved" | "closed"))
        });
        for n in DOWN {
            assert_eq!(about(&file, &format!("s{n}")).0, before[&n].0, "format {format}: s{n} goes on under its id");
        }
        wait_until("what was accepted is told", || {
            let told = told(&file);
            (0..20).all(|n| told.values().any(|(_, _, services)| services.contains(&format!("new{n}"))))
        });
        let state = files(&folder.path().join("state"));
        let ends = |ending: &str| state.keys().filter(|file| file.to_string_lossy().ends_with(ending)).count();
        assert_eq!((ends(".checkpoint.bad"), ends(".checkpoint.old") > 0), (0, true), "the earlier build can go on");
        service.signal("KILL");
        service.wait_for_end();
        assert!(!service.said().contains("panicked"), "{}", service.said());
        let mut again = Service::run(folder.path(), http);
        assert_eq!(again.stop(), Some(0), "{}", again.said());
        told(&file);
    }
}

#[test]
fn without_the_beginning_of_the_journal_an_earlier_format_is_refused_and_nothing_is_changed() {
    let (folder, _) = folder(FOLDERS[1].1);
    let journal = folder.path().join("state/journal");
    let first = journal.join(format!("{:020}.journal", 1));
    // Retention has dropped it: the next begins where it ended.
    let mut header = fs::read(&first).expect("reads")[..32].to_vec();
    header[16..24].copy_from_slice(&100_u64.to_le_bytes());
    header[24..28].copy_from_slice(&4_u32.to_le_bytes());
    let known = [0_u8; 4];
    let mut crc = crc32fast::Hasher::new();
    crc.update(&header[..28]);
    crc.update(&known);
    header[28..].copy_from_slice(&crc.finalize().to_le_bytes());
    fs::remove_file(&first).expect("removed");
    fs::write(journal.join(format!("{:020}.journal", 100)), [&header[..], &known].concat()).expect("written");
    let checkpoints = folder.path().join("state/checkpoints");
    let before = files(&checkpoints);
    let config = folder.path().join("bellwether.yaml");
    let refused = bellwether(&["run", "-c", config.to_str().expect("UTF-8")]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{said}");
    for part in ["of an older build", "format version 10", "Nothing was changed", "--accept-data-loss"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(files(&checkpoints), before);
}

#[test]
fn a_folder_of_a_later_format_is_refused_in_words_and_stays_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let http = free_address();
    let config = Service::configure(folder.path(), http, "", "  alertmanager: {}\n");
    let text = fs::read_to_string(&config).expect("written");
    fs::write(&config, format!("{text}partitions: 1\n")).expect("written");
    let mut service = Service::run(folder.path(), http);
    service.alert(TOKEN, "db1", &["DiskFull"]);
    wait_until("it is told", || !service.records().is_empty());
    assert_eq!(service.stop(), Some(0));
    let state = folder.path().join("state");
    let checkpoints = files(&state.join("checkpoints"));
    let newest = checkpoints.keys().next_back().expect("the last one").clone();
    // The version of the state, with the checksum of the file around it.
    let mut bytes = fs::read(&newest).expect("reads");
    let version = u32::from_le_bytes(bytes[28..32].try_into().expect("four bytes")) + 1;
    bytes[28..32].copy_from_slice(&version.to_le_bytes());
    let crc = crc32fast::hash(&bytes[16..]);
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    fs::write(&newest, bytes).expect("written");
    // The same for a segment of the journal, whose records a later build alone can read.
    for later in ["checkpoint", "journal"] {
        if later == "journal" {
            let segment = state.join(format!("journal/{:020}.journal", 1));
            let mut bytes = fs::read(&segment).expect("reads");
            bytes[8] += 1;
            fs::write(&segment, bytes).expect("written");
        }
        let before = files(&state);
        let refused = bellwether(&["run", "-c", config.to_str().expect("UTF-8")]);
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success(), "{said}");
        let word = if later == "journal" { "use the newer build" } else { "of a newer build" };
        assert!(said.contains(word) && said.contains("version"), "{said}");
        assert_eq!(files(&state), before, "nothing is changed");
    }
}
