//! The power is cut under load, time and again: what was acknowledged is there afterwards, told once.

#![allow(clippy::print_stdout)] // the counts are what people look for

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use super::cut::Disk;
use super::load::{Senders, Told};
use super::service::{Service, free_address, pause, wait_until};
use super::skipped::skipped;

/// Cuts in one run; more with `BELLWETHER_CUTS`.
const CUTS: usize = 3;
/// Senders at once.
const SENDERS: usize = 3;
/// The receiver's file on the same disk.
const BESIDE: &str = "beside.ndjson";
/// A cut comes when so many more alerts were acknowledged than before, and a little later each time.
const BETWEEN_CUTS: usize = 40;

/// Everything on the disk is begun and replaced often: segments, checkpoints, cursors.
const OFTEN: &str = "journal: {dir: DISK/state/journal, segment_bytes: 65536, retain_bytes: 1000000}\n\
                     incident_log: {segment_bytes: 65536, retain_bytes: 1000000}\n\
                     checkpoint: {every: 200ms, entries: 40}\npartitions: 2\n";

/// The state is on the disk, and so is one receiver; the other is elsewhere, and what it says on standard error is.
fn configure(folder: &Path, disk: &Path) -> SocketAddr {
    let http = free_address();
    let engine = "  correlate: {threshold: 0.999}\n";
    let file = Service::configure(folder, http, engine, "  alertmanager: {}\n");
    let text = fs::read_to_string(&file).expect("written");
    let disk = disk.to_str().expect("UTF-8");
    let text = text
        .replace(&format!("state: {}\n", folder.join("state").display()), &format!("state: {disk}/state\n"))
        .replace("sinks:\n", &format!("sinks:\n  - ndjson: {{name: beside, path: {disk}/{BESIDE}}}\n"));
    fs::write(&file, text + &OFTEN.replace("DISK", disk)).expect("written");
    http
}

#[test]
fn what_was_acknowledged_before_the_power_was_cut_is_there_afterwards_and_told_once() {
    let cuts = std::env::var("BELLWETHER_CUTS").ok().and_then(|text| text.parse().ok()).unwrap_or(CUTS);
    let around = tempfile::tempdir().expect("a folder");
    let mut disk = match Disk::new(around.path()) {
        Ok(disk) => disk,
        Err(reason) => return skipped(&format!("it needs root, loop devices and ext4 ({reason})")),
    };
    let http = configure(around.path(), &disk.folder);
    let next = Arc::<AtomicU64>::default();
    let mut acknowledged = BTreeSet::new();
    for cut in 1..=cuts {
        let mut service = Service::run(around.path(), http);
        let senders = Senders::start(SENDERS, &service.client(), &next);
        wait_until("alerts are acknowledged", || senders.count() > BETWEEN_CUTS);
        // Another moment each time, between two writes of anything.
        pause(Duration::from_millis(37 * cut as u64 % 400));
        disk.cut().expect("the disk is shut down");
        service.signal("KILL");
        service.wait_for_end();
        acknowledged.extend(senders.stop());
        let said = service.said();
        assert!(!said.contains("panicked"), "{said}");
        drop(service);
        disk = disk.after(cut).expect("the disk comes back");
    }
    let mut service = Service::run(around.path(), http);
    for file in [service.incidents.clone(), disk.folder.join(BESIDE)] {
        wait_until("what was acknowledged is told", || Told::of(&file).hosts.is_superset(&acknowledged));
        assert_eq!(Told::of(&file).wrong, Vec::<String>::new(), "{}", file.display());
    }
    assert_eq!(service.stop(), Some(0), "{}", service.said());
    println!("{cuts} cuts, {} alerts acknowledged, none lost, no revision twice", acknowledged.len());
}
