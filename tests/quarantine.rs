//! A bug in the engine that one tenant's entry meets: the entry is set aside, everything else goes on, also after
//! a restart. The bugs are planted: builds with debug assertions panic in the stage that an entity of the tenant
//! `planted` names.

use std::path::Path;

use serde_json::json;

#[path = "service/mod.rs"]
mod service;

use service::{Service, TICKETING as OTHERS, TOKEN as PLANTED, free_address, home, wait_until};

/// Stages that alerts run through, in order.
const STAGES: [&str; 9] =
    ["admit", "topology", "dedup", "mention", "suppress", "correlate", "diagnose", "enrich", "ledger"];

/// Two tenants that send: `planted`, and `acme` beside it.
fn start(folder: &Path) -> Service {
    let http = free_address();
    let file = Service::configure(folder, http, "", "  alertmanager: {}\n");
    let text = std::fs::read_to_string(&file).expect("there");
    let text = text
        .replace("{tenant: acme, bearer_file: token}", "{tenant: planted, bearer_file: token}")
        .replace("bearer_file: ticketing, may: [act]", "bearer_file: ticketing")
        // Each alert is an incident of its own, told at once.
        .replace(
            "{group_wait: 500ms}",
            "{group_wait: 500ms, update_every: 1s, update_every_max: 1s}\n  correlate: {threshold: 0.999}",
        );
    std::fs::write(&file, text).expect("writes");
    Service::run(folder, http)
}

fn post(service: &Service, token: &str, of: &str) {
    let labels = json!({"alertname": format!("Down-{of}"), "service": of, "severity": "critical"});
    let body = json!([{"labels": labels, "annotations": {"summary": "it does not answer"}}]).to_string();
    let reply = service.ask("POST", "/api/v2/alerts", token, &body).expect("an answer");
    assert_eq!(reply.status, 200, "{}", reply.text);
}

fn metric(service: &Service, name: &str) -> Option<u64> {
    let text = service.metrics();
    let line = text.lines().find(|line| line.split(' ').next() == Some(name))?;
    line.rsplit(' ').next()?.parse().ok()
}

/// Whether an incident of the tenant was told that holds an alert of this service.
fn told(service: &Service, of: &str) -> bool {
    service.records().iter().any(|line| line.to_string().contains(&format!("service:{of}\"")))
}

#[test]
fn an_entry_that_meets_a_bug_in_any_stage_is_set_aside_and_everything_else_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut service = start(folder.path());
    for (count, stage) in (1..).zip(STAGES) {
        post(&service, PLANTED, &format!("before-{stage}"));
        post(&service, PLANTED, &format!("panic-in-{stage}"));
        post(&service, PLANTED, &format!("after-{stage}"));
        post(&service, OTHERS, &format!("others-{stage}"));
        let quarantined = || metric(&service, "bellwether_quarantined_entries");
        wait_until(&format!("the bug in {stage} is set aside"), || quarantined() == Some(count));
        for innocent in ["before", "after", "others"] {
            let of = format!("{innocent}-{stage}");
            wait_until(&format!("{of} is told"), || told(&service, &of));
        }
        assert!(!told(&service, &format!("panic-in-{stage}")));
    }
    let ours = |service: &Service| service.records().iter().any(|l| l.to_string().contains("JournalEntryQuarantined"));
    wait_until("it is told as an incident of ours", || ours(&service));
    let aside = std::fs::read_dir(home(folder.path(), "planted").join("quarantine")).expect("there").count();
    assert_eq!(aside, 2 * STAGES.len(), "each has its reason and its bytes");

    service.signal("KILL");
    service.wait_for_end();
    let service = Service::run(folder.path(), service.http);
    post(&service, PLANTED, "after-restart");
    wait_until("the tenant goes on", || told(&service, "after-restart"));
    assert_eq!(metric(&service, "bellwether_quarantined_entries"), Some(STAGES.len() as u64));
    assert_eq!(metric(&service, "bellwether_engine_panics_total"), Some(0), "what was set aside is not met again");
}

#[test]
fn what_was_set_aside_is_left_out_when_everything_is_read_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut service = start(folder.path());
    post(&service, PLANTED, "panic-in-ledger");
    post(&service, PLANTED, "innocent");
    wait_until("it is set aside", || metric(&service, "bellwether_quarantined_entries") == Some(1));
    wait_until("the innocent is told", || told(&service, "innocent"));
    assert_eq!(service.stop(), Some(0));
    let replayed = service::bellwether(&["replay", folder.path().to_str().expect("UTF-8")]);
    let said = String::from_utf8_lossy(&replayed.stdout);
    assert!(replayed.status.success(), "{}", String::from_utf8_lossy(&replayed.stderr));
    assert!(said.contains("innocent") && !said.contains("panic-in-ledger"), "{said}");
    // Without any checkpoint, too: the journal is whole.
    std::fs::remove_dir_all(home(folder.path(), "planted").join("checkpoints")).expect("there");
    let service = Service::run(folder.path(), service.http);
    post(&service, PLANTED, "after-all");
    wait_until("the tenant goes on", || told(&service, "after-all"));
    assert_eq!(metric(&service, "bellwether_engine_panics_total"), Some(0));
}
