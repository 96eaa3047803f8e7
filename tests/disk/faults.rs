//! Writes fail, each once and all for a while: nothing panics, nothing acknowledged is lost, senders and operators
//! are told, and the program goes on when the disk does.

#![allow(clippy::print_stdout)] // the counts are what people look for

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use super::faulty::{EIO, ENOSPC, EROFS, Fault, Faulty};
use super::load::{Senders, Told};
use super::service::{Service, TOKEN, pause, wait_until};
use super::skipped::skipped;

/// Faults of one write that are tried; all with `BELLWETHER_FAULTS=all`.
const TRIED: u32 = 6;
/// About as many writes as the load below makes.
const WRITES: u32 = 150;
/// How long senders send in a trial.
const LOAD: Duration = Duration::from_millis(700);
/// Alerts that are acknowledged before the disk fails.
const BEFORE: usize = 12;

/// What a trial saw.
struct Seen {
    acknowledged: BTreeSet<String>,
    /// The program ended by itself.
    ended: bool,
}

/// Sends while something fails, then starts the program on a disk that works when it has ended.
fn tried(disk: &Faulty, fault: Fault, from_the_start: bool) -> Seen {
    let next = Arc::<AtomicU64>::default();
    if from_the_start {
        disk.fail(fault);
    }
    let mut service = disk.spawn();
    let client = service.client();
    let began = Instant::now();
    let listens = |service: &mut Service| {
        while client.ask("GET", "/-/healthy", "", "").is_none() {
            if service.has_ended() || began.elapsed() > Duration::from_secs(10) {
                return false;
            }
            pause(Duration::from_millis(20));
        }
        true
    };
    let mut acknowledged = BTreeSet::new();
    if listens(&mut service) {
        let senders = Senders::start(2, &client, &next);
        if !from_the_start {
            wait_until("the first are acknowledged", || senders.count() >= BEFORE);
            disk.fail(fault);
        }
        pause(LOAD);
        disk.heal();
        pause(Duration::from_millis(300));
        acknowledged = senders.stop();
    }
    let ended = service.has_ended();
    let mut service = if ended { restarted(disk, &service, fault) } else { service };
    wait_until(&format!("what was acknowledged is told after {fault:?}"), || {
        Told::of(&service.incidents).hosts.is_superset(&acknowledged)
    });
    let client = service.client();
    let after = || client.ask("POST", "/api/v2/alerts", TOKEN, "[]").is_some_and(|reply| reply.status == 200);
    wait_until("it accepts again", || after() || service.has_ended());
    if !after() {
        // The first write after the fault was the one that told it.
        service = restarted(disk, &service, fault);
    }
    assert_eq!(Told::of(&service.incidents).wrong, Vec::<String>::new(), "{fault:?}");
    let code = service.stop();
    let said = service.said();
    assert!(!said.contains("panicked"), "{fault:?}: {said}");
    assert_eq!(code, Some(0), "{fault:?}: {said}");
    Seen { acknowledged, ended }
}

/// A program that has ended has said why, in words; the next start goes on.
fn restarted(disk: &Faulty, ended: &Service, fault: Fault) -> Service {
    let said = ended.said();
    assert!(!said.contains("panicked"), "{fault:?}: {said}");
    assert!(said.lines().last().is_some_and(|line| line.contains(':')), "{fault:?} ended without a word: {said}");
    disk.run()
}

#[test]
fn each_write_may_find_the_disk_full_and_nothing_acknowledged_is_lost() {
    let all = std::env::var("BELLWETHER_FAULTS").is_ok_and(|text| text == "all");
    let step = if all { 1 } else { WRITES as usize / TRIED as usize };
    let (mut failed, mut ended) = (0, 0);
    for after in (0..WRITES).step_by(step) {
        let Some(disk) = Faulty::new() else { return skipped("it needs a C compiler, `cc`") };
        let fault = Fault { error: ENOSPC, operation: "write", after, times: 1, of: "/state/" };
        let seen = tried(&disk, fault, true);
        failed += u32::from(disk.has_failed());
        ended += u32::from(seen.ended);
    }
    println!("{failed} writes found the disk full, each once; {ended} ended the start");
    assert!(failed > 0, "no write failed: the test tests nothing");
}

#[test]
fn an_error_of_any_file_is_told_and_nothing_acknowledged_is_lost() {
    let mut ended = Vec::new();
    for of in ["/journal/", "/checkpoints/", "/incident-log/", "/readers/"] {
        for (error, operation) in [(EIO, "write"), (EIO, "sync"), (EROFS, "any")] {
            let Some(disk) = Faulty::new() else { return skipped("it needs a C compiler, `cc`") };
            let seen = tried(&disk, Fault::always(error, operation, of), false);
            assert!(disk.has_failed(), "{of} {operation}: nothing failed, the test tests nothing");
            assert!(seen.acknowledged.len() >= BEFORE);
            if seen.ended {
                ended.push(format!("{of} {operation} {error}"));
            }
        }
    }
    println!("ended, and went on at the next start: {}", ended.join(", "));
}

#[test]
fn a_full_disk_is_told_within_a_second_and_left_behind_within_seconds() {
    let Some(disk) = Faulty::new() else { return skipped("it needs a C compiler, `cc`") };
    let mut service = disk.spawn();
    wait_until("it is ready", || service.ask("GET", "/-/ready", "", "").is_some_and(|reply| reply.status == 200));
    assert_eq!(service.alert(TOKEN, "before", &["DiskFull"]).status, 200);
    disk.fail(Fault::always(ENOSPC, "grow", "/state/"));
    let began = Instant::now();
    let refused = service.alert(TOKEN, "meanwhile", &["DiskFull"]);
    assert_eq!(refused.status, 503, "{}", refused.text);
    assert!(refused.text.to_ascii_lowercase().contains("retry-after"), "{}", refused.text);
    assert!(began.elapsed() < Duration::from_secs(1), "it took {:?}", began.elapsed());
    let unready = service.ask("GET", "/-/ready", "", "").expect("an answer");
    assert_eq!(unready.status, 503, "{}", unready.text);
    assert_eq!(service.ask("GET", "/-/healthy", "", "").expect("an answer").status, 200);
    pause(Duration::from_secs(3));
    assert!(!service.has_ended(), "{}", service.said());
    disk.heal();
    wait_until("it accepts again", || service.alert(TOKEN, "after", &["DiskFull"]).status == 200);
    wait_until("it is ready again", || service.ask("GET", "/-/ready", "", "").is_some_and(|reply| reply.status == 200));
    wait_until("all is told", || {
        let told = Told::of(&service.incidents).hosts;
        told.contains("before:9100") && told.contains("after:9100")
    });
    assert_eq!(service.stop(), Some(0), "{}", service.said());
}
