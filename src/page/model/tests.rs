//! The read model: whatever order revisions come in, it says the same, and it stays within its bytes.

use bellwether_engine::incident::{IncidentEvent, IncidentStatus, Verb};
use serde_json::json;

use super::*;

fn event(tenant: &str, number: u32, revision: u64, status: &str) -> IncidentEvent {
    let at = format!("2026-03-01T10:{:02}:{:02}Z", number % 60, revision);
    let record = json!({
        "schema_version": "2", "id": format!("inc_{number:026}"), "dedup_key": "k", "revision": revision, "status": status,
        "severity": "major", "priority": if number.is_multiple_of(2) { "P1" } else { "P3" }, "title": format!("fault {number}"),
        "opened_at": at, "updated_at": at, "alert_count": revision,
        "entities": [{"id": "service:checkout", "type": "service", "role": "affected"}],
        "sla": {"name": "gold", "respond": {"by": "2026-03-01T10:15:00Z", "state": "on_track"}},
        "labels": {"noise": format!("{:x}", u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15)).repeat(20)},
    });
    let verb = if revision == 1 { Verb::Opened } else { Verb::Updated };
    IncidentEvent { tenant: tenant.into(), verb, record: serde_json::from_value(record).expect("a record") }
}

fn acme() -> Scope {
    Scope::Tenant("acme".into())
}

#[test]
fn revisions_in_any_order_and_twice_say_the_same() {
    let events = [event("acme", 1, 1, "open"), event("acme", 1, 2, "acknowledged"), event("acme", 1, 3, "resolved")];
    let mut shown = Vec::new();
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let model = Model::new(1 << 20);
        order.iter().chain(&order).for_each(|at| model.take([&events[*at]]));
        let known = model.get(&acme(), "inc_00000000000000000000000001").expect("it is known");
        assert_eq!(known.record().as_ref(), Some(&events[2].record));
        shown.push((known.line, known.life, model.live(&acme(), 9).total, model.bytes()));
    }
    assert_eq!((shown[0].0.status, shown[0].1.len(), shown[0].2), (IncidentStatus::Resolved, 3, 0));
    assert!(shown.windows(2).all(|two| two[0] == two[1]));
}

#[test]
fn whom_a_rule_of_escalation_told_is_news_of_that_revision_alone() {
    let mut escalated = event("acme", 1, 2, "open");
    escalated.verb = Verb::Escalated;
    let entry = json!([{"rule": "nobody answers", "at": escalated.record.updated_at, "kind": "person", "to": "ana", "time": 1}]);
    escalated.record.escalations = serde_json::from_value(entry).expect("escalations");
    let mut after = event("acme", 1, 3, "open");
    after.record.escalations.clone_from(&escalated.record.escalations);
    let told = [event("acme", 1, 1, "open"), escalated, after].map(|event| Told::of(&event));
    let says =
        |at: usize| told[at].news(Some(&told[at - 1])).iter().any(|news| news == "person ana is told: nobody answers");
    assert_eq!((says(1), says(2)), (true, false));
}

#[test]
fn the_most_urgent_comes_first_and_nothing_of_another_tenant() {
    let model = Model::new(1 << 20);
    let events: Vec<_> = (1..=4).map(|n| event("acme", n, 1, "open")).chain([event("beta", 6, 1, "open")]).collect();
    model.take(&events);
    let titles =
        |scope: &Scope, max| model.live(scope, max).lines.iter().map(|line| line.title.to_string()).collect::<Vec<_>>();
    assert_eq!(titles(&acme(), 9), ["fault 2", "fault 4", "fault 1", "fault 3"]);
    assert_eq!((titles(&acme(), 2).len(), model.live(&acme(), 2).total), (2, 4));
    assert_eq!(titles(&Scope::All, 9).len(), 5);
    assert!(model.get(&acme(), &events[4].record.id).is_none(), "it is another's");
    assert!(model.get(&Scope::All, &events[4].record.id).is_some());
    let found = model.find(&acme(), 0, 9, |line| line.has(&["p1".to_owned(), "check".to_owned()]));
    assert_eq!(found.total, 2);
}

#[test]
fn it_stays_within_its_bytes_and_forgets_what_is_over_first() {
    let bytes_max = 64 << 10;
    let model = Model::new(bytes_max);
    let open: Vec<_> = (0..20).map(|n| event("acme", n, 1, "open")).collect();
    model.take(&open);
    for n in 100..2_000 {
        model.take([&event("acme", n, 1, "closed")]);
        assert!(model.bytes().0 <= bytes_max);
    }
    let listed = model.live(&acme(), 99);
    assert_eq!(listed.total, 20, "what is open stays");
    assert!(listed.forgotten > 1_000 && model.bytes().0 > bytes_max / 2, "{listed:?} {:?}", model.bytes());
}

#[test]
fn a_revision_tells_what_is_new() {
    let told = |event: &IncidentEvent| Told::of(event);
    let (mut first, mut second) = (event("acme", 1, 1, "open"), event("acme", 1, 2, "open"));
    first.record.confidence = Some(0.4);
    second.record.confidence = Some(0.9);
    second.record.owner = Some(bellwether_engine::incident::Owner { assignee: "ana".to_owned(), ..Default::default() });
    let (first, second) = (told(&first), told(&second));
    assert_eq!(first.news(None), ["P3 of 1 alert notifications"]);
    assert_eq!(second.news(Some(&first)), ["40 % → 90 % sure", "1 → 2 notifications", "ana has it"]);
}
