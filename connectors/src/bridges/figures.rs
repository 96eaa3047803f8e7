//! What bridges have done and how their tickets fare, for `/metrics`.

use std::fmt::Write as _;
use std::sync::atomic::Ordering;

use super::tickets::{Counts, Standing, Tickets};
use crate::exposition::{head, label_value};

/// The figures of one bridge.
#[derive(Clone)]
pub struct BridgeFigures {
    name: String,
    tickets: Tickets,
}

impl BridgeFigures {
    pub(super) fn new(name: &str, tickets: Tickets) -> BridgeFigures {
        BridgeFigures { name: name.to_owned(), tickets }
    }
}

type Counted = (&'static str, &'static str, fn(&Counts) -> u64);
type Standings = (&'static str, &'static str, fn(&Standing) -> u64);

const COUNTED: [Counted; 8] = [
    ("created_total", "Tickets made.", |counts| counts.created.load(Ordering::Relaxed)),
    ("updated_total", "Changes of tickets written.", |counts| counts.updated.load(Ordering::Relaxed)),
    ("commented_total", "Comments written.", |counts| counts.commented.load(Ordering::Relaxed)),
    ("linked_total", "Tickets linked.", |counts| counts.linked.load(Ordering::Relaxed)),
    ("failures_total", "Requests that did not succeed.", |counts| counts.failures.load(Ordering::Relaxed)),
    ("heard_total", "Changes of others that were taken in.", |counts| counts.heard.load(Ordering::Relaxed)),
    ("foreign_total", "Changes of others to tickets that are not the bridge's.", |counts| {
        counts.foreign.load(Ordering::Relaxed)
    }),
    ("known_total", "Changes of others that came again and were known.", |counts| counts.known.load(Ordering::Relaxed)),
];

const STANDING: [Standings; 5] = [
    ("mapped", "Incidents with a ticket.", |standing| standing.mapped),
    ("waiting", "Tickets that do not show the newest revision yet.", |standing| standing.waiting),
    ("parked", "Tickets that wait for a person.", |standing| standing.parked),
    ("conflicts", "Tickets whose system or people want them otherwise.", |standing| standing.conflicts),
    ("ended", "Tickets that somebody deleted or merged into another.", |standing| standing.ended),
];

/// The bridges in Prometheus' text format 0.0.4.
pub fn exposition(bridges: &[BridgeFigures]) -> String {
    let mut out = String::new();
    if bridges.is_empty() {
        return out;
    }
    for (name, help, value) in COUNTED {
        head(&mut out, &format!("tickets_{name}"), "counter", help);
        for bridge in bridges {
            let (of, value) = (label_value(&bridge.name), value(bridge.tickets.counts()));
            let _ = writeln!(out, "bellwether_tickets_{name}{{bridge=\"{of}\"}} {value}");
        }
    }
    let standing: Vec<Standing> = bridges.iter().map(|bridge| bridge.tickets.standing()).collect();
    for (name, help, value) in STANDING {
        head(&mut out, &format!("tickets_{name}"), "gauge", help);
        for (bridge, standing) in bridges.iter().zip(&standing) {
            let (of, value) = (label_value(&bridge.name), value(standing));
            let _ = writeln!(out, "bellwether_tickets_{name}{{bridge=\"{of}\"}} {value}");
        }
    }
    out
}
