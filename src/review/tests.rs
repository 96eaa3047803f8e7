//! Figures against cases made by hand.

use std::sync::Arc;

use bellwether_engine::incident::IncidentRecord;
use bellwether_engine::input::{Action, Voice};
use serde_json::{Value, json};

use super::*;
use crate::wiring::said::Word;

fn record(changes: Value) -> IncidentRecord {
    let mut record = json!({
        "schema_version": "2", "id": "inc_00000000000000000000000001", "dedup_key": "k", "revision": 1, "status": "resolved",
        "status_reason": "auto_resolved", "severity": "major", "priority": "P2", "title": "fault", "class": "disk",
        "started_at": "2026-03-01T10:00:00Z", "detected_at": "2026-03-01T10:02:00Z", "opened_at": "2026-03-01T10:03:00Z",
        "updated_at": "2026-03-01T11:00:00Z", "resolved_at": "2026-03-01T10:33:00Z", "alert_count": 10,
        "owner": {"team": "web", "assignment_group": "WEB"},
        "entities": [{"id": "service:shop", "type": "service", "role": "affected"}],
    });
    for (field, value) in changes.as_object().expect("fields") {
        record[field] = value.clone();
    }
    serde_json::from_value(record).expect("a record")
}

fn word(action: Action) -> Arc<Word> {
    Arc::new(Word { at: EventTime::from_secs(0), tenant: "acme".into(), partition: 0, position: 0, action })
}

fn case(changes: Value, reopenings: u64, words: &[Arc<Word>]) -> Case {
    Case::of(&"acme".into(), &record(changes), reopenings, words)
}

fn march() -> Asked {
    let (from, until) = asked_days("2026-03-01", "2026-03-31").expect("days");
    Asked { from, until, tenant: None, team: None, service: None }
}

#[test]
fn times_are_from_the_first_symptom_and_from_when_it_was_told_where_both_ends_are_known() {
    let cases = [
        case(json!({}), 0, &[]),
        case(json!({"acknowledged_at": "2026-03-01T10:08:00Z", "resolved_at": "2026-03-01T12:03:00Z"}), 0, &[]),
        case(json!({"status": "open", "resolved_at": null, "started_at": null}), 0, &[]),
        case(json!({"status_reason": "false_positive"}), 0, &[]),
        case(json!({"status": "merged"}), 0, &[]),
    ];
    let review = review(&cases, &march());
    assert_eq!((review.incidents, review.open, review.called_false), (4, 1, 1), "a part of another is none");
    let mins = Span::from_mins;
    assert_eq!((review.detect.count, review.detect.mean), (2, mins(2)));
    assert_eq!((review.acknowledge.count, review.acknowledge.p50), (1, mins(5)));
    assert_eq!((review.resolve.count, review.resolve.mean, review.resolve.p50), (2, mins(75), mins(30)));
    assert_eq!((review.resolve.p90, review.resolve.longest), (mins(120), mins(120)));
    assert_eq!((review.resolve.bins[3], review.resolve.bins[5]), (1, 1), "to 30 min, to 4 h");
    assert_eq!(review.untouched, 1, "the first ended by itself");
    assert_eq!((review.notifications, review.noise_reduction()), (40, Some(0.9)));
}

#[test]
fn a_period_is_of_whole_days_and_ends_after_it_began() {
    let (from, until) = asked_days("2026-03-01", "2026-03-01").expect("days");
    assert_eq!((from.to_string().as_str(), until.since(from)), ("2026-03-01T00:00:00Z", Span::from_hours(24)));
    for (from, to) in [("2026-03-02", "2026-03-01"), ("yesterday", "2026-03-01"), ("2026-02-30", "2026-03-01")] {
        assert!(asked_days(from, to).is_err(), "{from} to {to}");
    }
}

#[test]
fn only_what_is_asked_for_is_counted() {
    let cases = [
        case(json!({}), 0, &[]),
        case(json!({"owner": {"team": "dba"}, "entities": [{"id": "host:a", "type": "host"}]}), 0, &[]),
        case(json!({"opened_at": "2026-02-28T23:59:59Z"}), 0, &[]),
        case(json!({"opened_at": "2026-04-01T00:00:00Z"}), 0, &[]),
    ];
    let incidents = |asked: Asked| review(&cases, &asked).incidents;
    assert_eq!(incidents(march()), 2);
    assert_eq!(incidents(Asked { team: Some("WEB".into()), ..march() }), 1, "the queue is the team's, too");
    assert_eq!(incidents(Asked { service: Some("shop".into()), ..march() }), 1);
    assert_eq!(incidents(Asked { service: Some("host:a".into()), ..march() }), 1);
    assert_eq!(incidents(Asked { tenant: Some("beta".into()), ..march() }), 0);
}

#[test]
fn promises_rules_reopenings_and_kinds_are_counted() {
    let sla = |respond: &str, resolve: &str| json!({"name": "gold", "respond": {"state": respond}, "resolve": {"state": resolve}});
    let alert = |name: &str| json!({"fingerprint": "0".repeat(16), "source": "x", "name": name, "status": "resolved", "starts_at": "2026-03-01T10:00:00Z"});
    let cause = json!([{"rank": 1, "kind": "change", "ref": "dep-1", "score": 0.9, "explanation": "x"}]);
    let cases = [
        case(json!({"sla": sla("met", "breached"), "alerts": [alert("Disk"), alert("Disk"), alert("Slow")]}), 2, &[]),
        case(
            json!({"sla": sla("met", "at_risk"), "status": "acknowledged", "alerts": [alert("Disk")], "class": "", "priority": "P1"}),
            0,
            &[],
        ),
        case(json!({"probable_causes": cause, "acknowledged_at": "2026-03-01T10:08:00Z"}), 1, &[]),
    ];
    let review = review(&cases, &march());
    assert_eq!(review.respond, Promise { kept: 2, ..Promise::default() });
    assert_eq!(review.mend, Promise { at_risk: 1, broken: 1, ..Promise::default() });
    assert_eq!((review.respond.share_kept(), review.mend.share_kept()), (Some(1.0), Some(0.0)));
    assert_eq!((review.reopenings, review.reopened, review.by_change), (3, 2, 1));
    let disk = Rule { incidents: 2, alerts: 3, untouched: 1, called_false: 0 };
    assert_eq!(review.rules[0], ("Disk".to_owned(), disk));
    assert_eq!((review.classes["disk"], review.classes["unknown"], review.priorities["P1"]), (2, 1, 1));
    let text = csv(&review);
    assert!(text.contains("sla_mend,broken,1\r\n") && text.contains("rule_alerts,Disk,3\r\n"), "{text}");
}

#[test]
fn confidence_is_compared_with_the_cause_that_a_person_named() {
    let sure = |confidence: f64| json!({"confidence": confidence, "probable_causes": [{"rank": 1, "kind": "entity", "ref": "host:a", "score": confidence, "explanation": "x"}]});
    let said =
        |cause: &str| word(Action::Cause { incident: String::new(), cause: cause.to_owned(), who: "ana".to_owned() });
    let took = word(Action::Acknowledge { incident: String::new(), who: "ana".to_owned(), voice: Voice::Operator });
    let cases = [
        case(sure(0.9), 0, &[said("host:a")]),
        case(sure(1.0), 0, &[said("host:b")]),
        case(sure(0.1), 0, &[said("host:b"), said("host:a")]),
        case(sure(0.9), 0, &[took]),
    ];
    let review = review(&cases, &march());
    let class = |at: usize| (review.calibration[at].judged, review.calibration[at].right);
    assert_eq!((class(4), class(0), class(2)), ((2, 1), (1, 1), (0, 0)), "the last word counts");
    assert!((review.calibration[4].mean() - 0.95).abs() < 1e-9);
    assert_eq!(review.untouched, 0, "somebody did something about each");
}
