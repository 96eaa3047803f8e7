//! What kind of incident it is, by the words of its alerts; and what usually helps.

use serde::{Deserialize, Serialize};

use crate::alert::Alert;
use crate::entity::{is_network, split_entity};
use crate::symbols::Symbols;

/// The kind of an incident.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub(crate) enum Class {
    /// More demand than there is capacity.
    Capacity,
    /// A change broke it.
    Change,
    /// Packets do not get through.
    Network,
    /// A database is slow or down.
    Database,
    /// Disks are slow or full.
    Storage,
    /// Memory runs out.
    Memory,
    /// Names or certificates.
    Identity,
    /// Something is down.
    Availability,
    /// Answers are slow or wrong.
    Performance,
}

impl Class {
    /// The word in the record.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Class::Capacity => "capacity",
            Class::Change => "change",
            Class::Network => "network",
            Class::Database => "database",
            Class::Storage => "storage",
            Class::Memory => "memory",
            Class::Identity => "identity",
            Class::Availability => "availability",
            Class::Performance => "performance",
        }
    }

    /// What usually helps, in one sentence about `name`.
    pub(crate) fn advice(self, name: &str) -> String {
        match self {
            Class::Capacity => format!(
                "Scale out {name} or shed load at the edge, and tell the support team that users see slow answers."
            ),
            Class::Change => format!("Roll the change on {name} back or verify it before anything else."),
            Class::Network => {
                format!("Check power, links and interface errors of {name}, and switch over to its standby.")
            }
            Class::Database => {
                format!("Check connections, locks and disk latency of {name} before restarting its clients.")
            }
            Class::Storage => format!("Free or add space on {name} and check what writes so much."),
            Class::Memory => format!("Restart {name} in a rolling way and keep a heap dump."),
            Class::Identity => format!("Renew the certificate or check name resolution of {name}."),
            Class::Availability => format!("Check whether {name} runs at all and what its last log lines say."),
            Class::Performance => format!("Look at the slowest dependency of {name} first."),
        }
    }
}

/// Words that speak for a class, in alert and metric names.
const WORDS: [(Class, &[&str]); 8] = [
    (
        Class::Capacity,
        &[
            "traffic",
            "requestrate",
            "request rate",
            "request.rate",
            "cpu.utilization",
            "link.utilization",
            "rps",
            "saturat",
            "capacity",
            "surge",
            "spike",
            "overload",
            "queue",
        ],
    ),
    (
        Class::Network,
        &["packet", "network", "link", "interface", "bgp", "port", "switch", "unreachable", "connectivity", "retrans"],
    ),
    (
        Class::Database,
        &["database", "sql", "replication", "query", "lock", "connectionpool", "connection pool", "commit"],
    ),
    (Class::Storage, &["disk", "volume", "inode", "iops", "filesystem", "storage"]),
    (Class::Memory, &["memory", "heap", "oom", "swap", "gc pause"]),
    (Class::Identity, &["certificate", "tls", "dns", "name resolution", "ntp", "clock"]),
    (Class::Availability, &["down", "offline", "crash", "restart", "heartbeat", "probe failed", "lost"]),
    (Class::Performance, &["latency", "slow", "error", "timeout", "response", "duration"]),
];

/// Slow and failing answers are what every kind of trouble ends in: such words count for less
/// than one that names a reason.
const SYMPTOM_SHARE: f64 = 0.4;

/// The class of an incident: a named change decides; otherwise the words of its alerts, those
/// of the primary entity and of the first alerts counting most.
pub(crate) fn classify<'a>(
    by_change: bool,
    primary: &str,
    alerts: impl Iterator<Item = &'a Alert>,
    names: &Symbols,
    entities: &Symbols,
) -> Class {
    if by_change {
        return Class::Change;
    }
    let mut ordered: Vec<&Alert> = alerts.collect();
    ordered.sort_by_key(|a| (a.began_at, a.fingerprint));
    let mut votes = [0.0_f64; WORDS.len()];
    for (rank, alert) in ordered.iter().take(200).enumerate() {
        let entity = entities.text(alert.entity);
        let near = if entity == primary { 3.0 } else { 1.0 };
        let weight = near / (1.0 + rank as f64 / 4.0);
        let mut text = names.text(alert.name).to_ascii_lowercase();
        if let Some(observation) = &alert.observation {
            text.push(' ');
            text.push_str(&observation.name.to_ascii_lowercase());
        }
        for (vote, (_, words)) in votes.iter_mut().zip(&WORDS) {
            if words.iter().any(|word| text.contains(word)) {
                *vote += weight;
            }
        }
    }
    if is_network(split_entity(primary).0) {
        votes[1] += 2.0;
    }
    for (vote, (class, _)) in votes.iter_mut().zip(&WORDS) {
        if *class == Class::Performance {
            *vote *= SYMPTOM_SHARE;
        }
    }
    let best =
        votes.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0))).filter(|(_, vote)| **vote > 0.0);
    best.map_or(Class::Availability, |(i, _)| WORDS[i].0)
}
