//! Senders that note what was acknowledged, and what of it a receiver has.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

use super::service::{Client, TOKEN, pause};

/// Alerts in one request: some share a write of the journal, some do not.
const ALERTS_OF_REQUEST: u64 = 3;
/// Between two requests of one sender.
const BETWEEN: Duration = Duration::from_millis(15);

/// Who sends alerts, each on a host of its own.
pub(crate) struct Senders {
    stop: Arc<AtomicBool>,
    /// Hosts of acknowledged alerts.
    acknowledged: Arc<Mutex<BTreeSet<String>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Senders {
    /// So many senders, whose hosts are counted on from `next`.
    pub(crate) fn start(count: usize, client: &Client, next: &Arc<AtomicU64>) -> Senders {
        let (stop, acknowledged) = (Arc::<AtomicBool>::default(), Arc::<Mutex<BTreeSet<String>>>::default());
        let send = |_| {
            let (client, next) = (*client, next.clone());
            let (stop, acknowledged) = (stop.clone(), acknowledged.clone());
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let hosts: Vec<String> =
                        (0..ALERTS_OF_REQUEST).map(|_| format!("h{}", next.fetch_add(1, Ordering::Relaxed))).collect();
                    if client.ask("POST", "/api/v2/alerts", TOKEN, &alerts(&hosts)).is_some_and(|r| r.status == 200) {
                        acknowledged.lock().unwrap_or_else(PoisonError::into_inner).extend(hosts);
                    }
                    pause(BETWEEN);
                }
            })
        };
        let threads = (0..count).map(send).collect();
        Senders { stop, acknowledged, threads }
    }

    /// Ends them; the hosts that were acknowledged.
    pub(crate) fn stop(self) -> BTreeSet<String> {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().for_each(|thread| thread.join().expect("a sender does not panic"));
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many alerts were acknowledged so far.
    pub(crate) fn count(&self) -> usize {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

fn alerts(hosts: &[String]) -> String {
    let alert = |host: &String| {
        let labels = serde_json::json!({"alertname": "Down", "instance": host, "job": "node", "severity": "critical"});
        serde_json::json!({"labels": labels, "annotations": {"summary": "it does not answer"}})
    };
    Value::Array(hosts.iter().map(alert).collect()).to_string()
}

/// What a receiver's file has.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Hosts whose alerts are in an incident.
    pub(crate) hosts: BTreeSet<String>,
    /// What is not as it should be: revisions that are missing, doubled or out of order.
    pub(crate) wrong: Vec<String>,
}

impl Told {
    /// Reads the file.
    pub(crate) fn of(file: &Path) -> Told {
        let mut told = Told::default();
        let mut revisions: BTreeMap<String, u64> = BTreeMap::new();
        for line in fs::read_to_string(file).unwrap_or_default().lines() {
            // The last line may be on its way.
            let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
            let key = line["key"].as_str().unwrap_or_default();
            let Some((incident, revision)) = key.rsplit_once('/') else { continue };
            let (last, revision) =
                (revisions.entry(incident.to_owned()).or_default(), revision.parse().unwrap_or_default());
            if revision != *last + 1 {
                told.wrong.push(format!("{key} comes after revision {last}"));
            }
            *last = revision;
            let alerts = line["record"]["alerts"].as_array().into_iter().flatten();
            told.hosts.extend(alerts.filter_map(|alert| Some(alert["labels"]["instance"].as_str()?.to_owned())));
        }
        told
    }
}
