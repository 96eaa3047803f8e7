//! What becomes of the engine's state when checkpoints cannot be written, the process dies again and again, or all
//! checkpoints are lost.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[path = "service/mod.rs"]
mod service;

use service::{Service, TOKEN, bellwether, free_address, home, pause, wait_until};

fn metric(service: &Service, name: &str) -> u64 {
    let text = service.metrics();
    let line = text.lines().find(|line| line.split(' ').next() == Some(name)).map(str::to_owned);
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or_else(|| panic!("{name} in {text}"))
}

fn checkpoints(folder: &Path) -> PathBuf {
    home(folder, "acme").join("checkpoints")
}

/// The position of the newest checkpoint; 0 when there is none.
fn newest(folder: &Path) -> u64 {
    let files = std::fs::read_dir(checkpoints(folder)).into_iter().flatten().filter_map(Result::ok);
    let positions = files.filter_map(|file| file.path().file_stem()?.to_str()?.parse().ok());
    positions.max().unwrap_or(0)
}

fn told(service: &Service, what: &str) -> bool {
    service.records().iter().any(|line| line.to_string().contains(what))
}

#[test]
fn checkpoints_that_cannot_be_written_are_told_and_tried_again_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = Service::start(folder.path());
    // Writing fails like on a full disk, whoever runs the test.
    let aside = folder.path().join("aside");
    std::fs::rename(checkpoints(folder.path()), &aside).expect("moved");
    std::fs::write(checkpoints(folder.path()), "in the way").expect("written");
    service.alert(TOKEN, "db1", &["DiskFull"]);
    wait_until("an attempt has failed", || metric(&service, "bellwether_checkpoint_failures_total") > 0);
    wait_until("alerts are told meanwhile", || told(&service, "db1"));
    wait_until("it is told itself", || told(&service, "CheckpointNotWritten"));
    std::fs::remove_file(checkpoints(folder.path())).expect("removed");
    std::fs::rename(&aside, checkpoints(folder.path())).expect("moved back");
    let before = metric(&service, "bellwether_checkpoints_total");
    wait_until("it is tried again", || metric(&service, "bellwether_checkpoints_total") > before);
}

#[test]
fn a_process_that_dies_again_and_again_still_moves_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let http = free_address();
    Service::configure(folder.path(), http, "", "  alertmanager: {}\n");
    let mut before = 0;
    for restart in 0..4 {
        let mut service = Service::run(folder.path(), http);
        let began = Instant::now();
        // Far less than the 30 seconds that checkpoints are apart.
        while began.elapsed() < Duration::from_secs(3) {
            service.alert(TOKEN, &format!("db{restart}"), &["DiskFull"]);
            pause(Duration::from_millis(100));
        }
        service.signal("KILL");
        service.wait_for_end();
        let now = newest(folder.path());
        assert!(now > before, "restart {restart}: the newest checkpoint stays at {before}");
        before = now;
    }
}

#[test]
fn a_start_without_the_state_and_its_journal_is_refused_unless_the_loss_is_accepted() {
    let folder = tempfile::tempdir().expect("a folder");
    let http = free_address();
    // Each fault is one of its own, whenever it comes.
    let apart = "  correlate: {threshold: 0.999}\n";
    let file = Service::configure(folder.path(), http, apart, "  alertmanager: {}\n");
    let text = std::fs::read_to_string(&file).expect("there");
    let journal = folder.path().join("state/journal");
    let kept = format!("journal: {{dir: {}, segment_bytes: 65536, retain_bytes: 100000}}\n", journal.display());
    let text = format!("{text}{kept}partitions: 1\ncheckpoint: {{entries: 20}}\n");
    std::fs::write(&file, text).expect("written");
    let mut service = Service::run(folder.path(), http);
    let first = folder.path().join("state/journal/00000000000000000001.journal");
    let names: Vec<String> = (0..200).map(|n| format!("AlertWithAName{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    wait_until("the beginning of the journal is gone", || {
        service.alert(TOKEN, "db1", &names);
        !first.exists()
    });
    service.signal("KILL");
    service.wait_for_end();
    for checkpoint in std::fs::read_dir(checkpoints(folder.path())).expect("there") {
        std::fs::remove_file(checkpoint.expect("read").path()).expect("removed");
    }
    let refused = bellwether(&["run", "-c", file.to_str().expect("UTF-8")]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{said}");
    for part in ["no longer has entries 1 to", "--accept-data-loss"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let service = Service::spawn_with(folder.path(), http, &["--accept-data-loss"]);
    // The log has been told up to the end of the journal, by the engine that is gone: that holds nothing back.
    let ids = || service.records().iter().map(|line| line["record"]["id"].to_string()).collect::<BTreeSet<_>>();
    wait_until("what goes on is told under another id", || ids().len() > 1);
    assert!(service.said().contains("as accepted, the engine begins anew"), "{}", service.said());
}
