//! Ours is killed, the server is killed, the line is cut, people edit: in the end each incident has one ticket as it
//! is, with every edit in it and no comment twice.
//!
//! `BELLWETHER_BRIDGE_KILLS` and `BELLWETHER_BRIDGE_INCIDENTS` make it longer, `BELLWETHER_SEED` repeats one.

// The seed of a trial that fails repeats it.
#![allow(clippy::print_stdout)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng as _, SeedableRng as _};
use serde_json::json;

use crate::life::{configure, newest, recover};
use crate::line::{Cut, Line};
use crate::rt::{RequestTracker, Ticket};
use crate::service::{Service, TOKEN, pause, wait_until};

/// Each alert is an incident of its own.
const APART: &str = "  correlate: {threshold: 0.9999, merge_threshold: 0.9999}\n";
const KILLS: u64 = 15;
const INCIDENTS: u64 = 12;
/// Longest wait for everything to come to rest, for an incident.
const REST_MAX: Duration = Duration::from_secs(6);

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn of_incident(tickets: &[Ticket]) -> BTreeMap<String, Vec<&Ticket>> {
    let mut all: BTreeMap<String, Vec<&Ticket>> = BTreeMap::new();
    for ticket in tickets {
        let key = ticket.fields["bw_incident"].strip_prefix("acme/").unwrap_or("a ticket without its key");
        all.entry(key.to_owned()).or_default().push(ticket);
    }
    all
}

#[test]
#[ignore = "takes minutes, more on a busy machine: `make bridge-trials` runs it"]
fn whatever_is_killed_or_cut_each_incident_has_one_ticket_as_it_is() {
    let Some(mut tracker) = RequestTracker::start() else { return };
    let (kills, incidents) =
        (number("BELLWETHER_BRIDGE_KILLS", KILLS), number("BELLWETHER_BRIDGE_INCIDENTS", INCIDENTS));
    let seed = number("BELLWETHER_SEED", u64::from(std::process::id()));
    println!("seed {seed}, {kills} kills, {incidents} incidents");
    let mut dice = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut roll = move |sides: u64| dice.next_u64() % sides;
    let line = Line::to(tracker.address());
    let dir = tempfile::tempdir().expect("temporary folder");
    let http = configure(dir.path(), line.address, tracker.token(), APART, "");
    let mut service = Service::run(dir.path(), http);
    let (mut opened, mut ended) = (0, BTreeSet::new());
    let mut edits: BTreeMap<String, String> = BTreeMap::new();
    let mut sort = [0_u64; 4];
    for kill in 0..kills {
        // Something happens to the incidents ...
        while opened < incidents * (kill + 1) / kills {
            assert_eq!(service.alert(TOKEN, &format!("h-{opened}"), &["DiskFull"]).status, 200);
            opened += 1;
        }
        // An alert that is over at once is no incident.
        wait_until("each is told", || newest(&service).len() as u64 == opened);
        if opened > 2 && roll(2) == 0 {
            let host = roll(opened);
            if ended.insert(host) {
                recover(&service, &format!("h-{host}"), "DiskFull");
            }
        }
        if let Some((200, _)) = tracker.ask_as("ana", "GET", "/ticket/1", None) {
            let tickets = tracker.tickets();
            let at = roll(tickets.len() as u64) as usize;
            let ticket = &tickets[at];
            if !edits.contains_key(&ticket.id) && ticket.status != "resolved" {
                let priority = (11 + roll(7)).to_string();
                tracker.change("ana", &ticket.id, json!({"Priority": priority, "Owner": "boris"}));
                edits.insert(ticket.id.clone(), priority);
            }
        }
        // ... and in the middle of what follows something breaks.
        pause(Duration::from_millis(roll(900)));
        let what = roll(4);
        sort[what as usize] += 1;
        match what {
            0 => {
                service.signal("KILL");
                service.wait_for_end();
                service = Service::run(dir.path(), http);
            }
            1 => {
                tracker.kill();
                pause(Duration::from_millis(roll(500)));
                tracker.run();
            }
            2 => line.cut(Cut::Answer),
            _ => line.cut(Cut::Request),
        }
    }
    line.mend();
    for host in (0..opened).filter(|host| !ended.contains(host)) {
        recover(&service, &format!("h-{host}"), "DiskFull");
    }
    let began = Instant::now();
    let settled = |service: &Service| {
        let records = newest(service);
        let over = records.values().filter(|record| record["status"] == "resolved").count();
        let page = service.metrics();
        let idle = ["waiting", "parked"]
            .iter()
            .all(|what| page.contains(&format!("bellwether_tickets_{what}{{bridge=\"rt\"}} 0")));
        records.len() as u64 == incidents && over as u64 == incidents && idle
    };
    while !settled(&service) {
        let told = newest(&service).len();
        assert!(began.elapsed() < REST_MAX * (20 + incidents as u32), "{told} told, and it does not come to rest");
        pause(Duration::from_millis(300));
    }
    let tickets = tracker.tickets();
    let by_incident = of_incident(&tickets);
    let told: BTreeSet<String> = newest(&service).into_keys().collect();
    assert_eq!(by_incident.keys().cloned().collect::<BTreeSet<_>>(), told, "a ticket for each, and none else");
    let doubled: Vec<_> = by_incident.iter().filter(|(_, tickets)| tickets.len() > 1).collect();
    assert!(doubled.is_empty(), "more than one ticket: {doubled:?}");
    let live: Vec<&Ticket> = tickets.iter().filter(|ticket| ticket.status != "resolved").collect();
    assert!(live.is_empty(), "not as their incidents are: {live:?}");
    for ticket in &tickets {
        let marks = tracker.marks(&ticket.id);
        let different: BTreeSet<&String> = marks.iter().collect();
        assert_eq!(marks.len(), different.len(), "a comment is there twice: {marks:?}");
        if let Some(priority) = edits.get(&ticket.id) {
            assert_eq!((&ticket.priority, ticket.owner.as_str()), (priority, "boris"), "an edit is gone: {ticket:?}");
        }
    }
    println!(
        "kills of ours {}, of the server {}; answers cut {}, requests cut {}; {} connections cut, {} edits kept",
        sort[0],
        sort[1],
        sort[2],
        sort[3],
        line.cuts(),
        edits.len()
    );
}
