//! What Prometheus, amtool, Alertmanager and Grafana rely on.

use bellwether_engine::input::Action;
use bellwether_engine::signal::{AlertColumns, AlertStatus, Severity, SignalKind};
use http::{HeaderMap, Method};
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::server::testing::{batches, look, post, serve};

fn wire() -> Alertmanager {
    Alertmanager::new(AlertmanagerConfig::default(), Limits::default(), Arc::new(EntityResolver::default()))
}

/// Second 1,000,000 is 1970-01-12T13:46:40Z.
const STARTED: &str = "1970-01-12T13:40:00Z";
const ENDS: &str = "1970-01-12T13:50:00Z";

fn send(wire: &Alertmanager, path: &str, body: &str) -> Outcome {
    serve(wire, &post(path, &HeaderMap::new(), body.as_bytes()))
}

fn get(wire: &Alertmanager, path: &str, query: &str) -> (u16, Value) {
    let headers = HeaderMap::new();
    let mut request = post(path, &headers, b"");
    request.method = &Method::GET;
    request.query = query;
    let reply = look(wire, &request);
    (reply.status, serde_json::from_slice(&reply.body).unwrap_or(Value::Null))
}

fn alert(name: &str, ends: &str) -> String {
    format!(
        r#"{{"labels":{{"alertname":"{name}","instance":"db-1:9100","job":"node","severity":"page"}},
            "annotations":{{"summary":"disk"}},"startsAt":"{STARTED}","endsAt":"{ends}","generatorURL":"http://p/g"}}"#
    )
}

#[test]
fn an_alert_is_read_as_prometheus_posts_it() {
    let outcome = send(&wire(), "/api/v2/alerts", &format!("[{}]", alert("Disk", ENDS)));
    assert_eq!((outcome.reply().status, outcome.reply().body.len()), (200, 0));
    let batch = batches(&outcome)[0];
    assert_eq!(batch.kind(), SignalKind::Alert);
    let columns = AlertColumns::of(batch);
    assert_eq!(columns.source(0), "prometheus");
    assert_eq!((columns.name(0), columns.entity(0)), ("Disk", "host:db-1"));
    assert_eq!(columns.severity(0), Severity::Critical);
    assert_eq!(columns.status(0), Some(AlertStatus::Firing));
    assert_eq!(columns.starts_at(0), EventTime::from_secs(1_000_000 - 400));
    assert_eq!(columns.ends_at(0), Some(EventTime::from_secs(1_000_000 + 200)));
    assert_eq!(columns.url(0), Some("http://p/g"));
}

#[test]
fn an_end_in_the_past_is_a_recovery_and_gos_zero_time_is_none() {
    let wire = wire();
    let resolved = send(&wire, "/api/v2/alerts", &format!("[{}]", alert("Disk", STARTED)));
    assert_eq!(AlertColumns::of(batches(&resolved)[0]).status(0), Some(AlertStatus::Resolved));
    let amtool =
        r#"[{"labels":{"alertname":"x"},"startsAt":"0001-01-01T00:00:00.000Z","endsAt":"0001-01-01T00:00:00.000Z"}]"#;
    let outcome = send(&wire, "/api/v2/alerts", amtool);
    let columns = AlertColumns::of(batches(&outcome)[0]);
    assert_eq!(columns.status(0), Some(AlertStatus::Firing));
    assert_eq!(columns.starts_at(0), EventTime::from_secs(1_000_000));
    assert_eq!(columns.ends_at(0), Some(EventTime::from_secs(1_000_300)));
}

#[test]
fn the_good_alert_of_a_bad_request_is_stored_and_400_is_answered() {
    let wire = wire();
    let body = format!(r#"[{},{{"labels":{{}}}},{{"labels":{{"a":"b"}},"startsAt":"soon"}}]"#, alert("Disk", ENDS));
    let outcome = send(&wire, "/api/v2/alerts", &body);
    assert_eq!(outcome.reply().status, 400);
    assert_eq!((outcome.accepted(), outcome.refused.describe().as_str()), (1, "1 no_labels, 1 time_unreadable"));
    let (status, listed) = get(&wire, "/api/v2/alerts", "active=true&silenced=true&inhibited=true");
    assert_eq!((status, listed.as_array().map(Vec::len)), (200, Some(1)));
    for broken in ["", "{}", "[1]", "[{\"labels\":{\"a\":\"b\"}]"] {
        assert_eq!(send(&wire, "/api/v2/alerts", broken).reply().status, 400, "{broken}");
    }
}

#[test]
fn the_webhook_and_the_api_give_one_alert_one_fingerprint() {
    let wire = wire();
    let over_api = send(&wire, "/api/v2/alerts", &format!("[{}]", alert("Disk", ENDS)));
    let resolved =
        alert("Disk", "1970-01-12T13:46:00Z").replace(r#""annotations":{"summary":"disk"}"#, r#""annotations":{}"#);
    let resolved = format!("{},\"status\":\"resolved\"}}", resolved.trim_end().trim_end_matches('}'));
    let body =
        format!(r#"{{"version":"4","groupKey":"k","truncatedAlerts":3,"status":"resolved","alerts":[{resolved}]}}"#);
    let over_webhook = send(&wire, "/webhook/alertmanager", &body);
    assert_eq!(over_webhook.reply().status, 200, "{:?}", over_webhook.reply());
    let (first, second) = (batches(&over_api)[0], batches(&over_webhook)[0]);
    let (first, second) = (AlertColumns::of(first), AlertColumns::of(second));
    assert_eq!(first.fingerprint, second.fingerprint);
    assert_eq!(second.status(0), Some(AlertStatus::Resolved));
    assert_eq!(second.annotations(0).get("summary"), Some("disk"), "kept from the first telling");
    assert_eq!(over_webhook.refused.describe(), "3 truncated_by_sender");
}

#[test]
fn a_firing_webhook_with_a_zero_end_is_firing_and_grafana_is_known_by_its_organisation() {
    let body = r#"{"version":"1","orgId":1,"title":"t","state":"alerting","alerts":[{"status":"firing",
        "labels":{"alertname":"Load","service":"checkout"},"annotations":{},"startsAt":"1970-01-12T13:40:00Z",
        "endsAt":"0001-01-01T00:00:00Z","values":{"A":1.5},"silenceURL":"http://g/s"}]}"#;
    let outcome = send(&wire(), "/webhook/alertmanager", body);
    assert_eq!(outcome.reply().status, 200);
    let columns = AlertColumns::of(batches(&outcome)[0]);
    assert_eq!((columns.source(0), columns.entity(0)), ("grafana", "service:checkout"));
    assert_eq!(columns.status(0), Some(AlertStatus::Firing));
}

#[test]
fn a_silence_goes_to_the_engine_and_hides_the_alert_from_the_active_list() {
    let wire = wire();
    send(&wire, "/api/v2/alerts", &format!("[{}]", alert("Disk", ENDS)));
    let silence = r#"{"matchers":[{"name":"alertname","value":"Di.*","isRegex":true,"isEqual":true}],
        "startsAt":"1970-01-12T13:40:00Z","endsAt":"1970-01-12T15:00:00Z","createdBy":"ann","comment":"known"}"#;
    let set = send(&wire, "/api/v2/silences", silence);
    assert_eq!(set.reply().status, 200, "{:?}", set.reply());
    let answer: Value = serde_json::from_slice(&set.reply().body).expect("json");
    let id = answer["silenceID"].as_str().expect("an id").to_owned();
    let Input::Action { action: Action::Silence { matching, who, .. }, tenant, .. } = &set.inputs()[0] else {
        panic!("a silence is an action: {:?}", set.inputs());
    };
    assert_eq!((tenant.as_ref(), who.as_str()), ("acme", "ann"));
    assert_eq!(matching, r#"regexp_like(coalesce("label.alertname", ''), '^(?:Di.*)$')"#);

    let (_, active) = get(&wire, "/api/v2/alerts", "silenced=false");
    assert_eq!(active.as_array().map(Vec::len), Some(0));
    let (_, all) = get(&wire, "/api/v2/alerts", "");
    assert_eq!(all[0]["status"]["silencedBy"][0], Value::String(id.clone()));
    assert_eq!(all[0]["status"]["state"], "suppressed");
    let (_, silences) = get(&wire, "/api/v2/silences", "");
    assert_eq!(silences[0]["status"]["state"], "active");

    let path = format!("/api/v2/silence/{id}");
    let headers = HeaderMap::new();
    let mut delete = post(&path, &headers, b"");
    delete.method = &Method::DELETE;
    assert_eq!(serve(&wire, &delete).inputs().len(), 1);
    assert_eq!(get(&wire, &path, "").1["status"]["state"], "expired");
    assert_eq!(get(&wire, "/api/v2/silence/unknown", "").0, 404);
}

#[test]
fn a_silence_that_would_hide_everything_is_refused() {
    let wire = wire();
    for body in [
        r#"{"matchers":[],"endsAt":"1970-01-12T15:00:00Z"}"#,
        r#"{"matchers":[{"name":"a","value":".*","isRegex":true}],"endsAt":"1970-01-12T15:00:00Z"}"#,
        r#"{"matchers":[{"name":"a","value":"b"}],"endsAt":"1970-01-01T15:00:00Z"}"#,
        r#"{"matchers":[{"name":"a","value":"b"}]}"#,
        r#"{"id":"unknown","matchers":[{"name":"a","value":"b"}],"endsAt":"1970-01-12T15:00:00Z"}"#,
    ] {
        let outcome = send(&wire, "/api/v2/silences", body);
        assert_eq!((outcome.reply().status, outcome.inputs().len()), (400, 0), "{body}");
    }
}

#[test]
fn amtool_finds_what_it_asks_for_first() {
    let wire = wire();
    let (code, status) = get(&wire, "/api/v2/status", "");
    assert_eq!(code, 200);
    assert!(status["config"]["original"].as_str().is_some_and(|text| text.contains("receiver")));
    assert_eq!(get(&wire, "/api/v2/receivers", "").1[0]["name"], "bellwether");
    send(&wire, "/api/v2/alerts", &format!("[{},{}]", alert("Disk", ENDS), alert("Load", ENDS)));
    assert_eq!(get(&wire, "/api/v2/alerts/groups", "").1.as_array().map(Vec::len), Some(2));
    let filtered = get(&wire, "/api/v2/alerts", "filter=alertname%3D~%22D.*%22&filter=job%3Dnode").1;
    assert_eq!(filtered[0]["labels"]["alertname"], "Disk");
    assert_eq!(filtered.as_array().map(Vec::len), Some(1));
    assert_eq!(get(&wire, "/api/v2/alerts", "filter=a%3D~%22(%22").0, 400);
}

proptest! {
    #![proptest_config(crate::fuzz::config())]

    #[test]
    fn arbitrary_and_damaged_bodies_never_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        at in any::<prop::sample::Index>(),
        with in any::<u8>(),
    ) {
        let wire = wire();
        let mut damaged = format!(r#"{{"version":"4","alerts":[{}]}}"#, alert("Disk", ENDS)).into_bytes();
        let place = at.index(damaged.len());
        damaged[place] = with;
        for path in ["/api/v2/alerts", "/webhook/alertmanager", "/api/v2/silences"] {
            for body in [&bytes, &damaged, &damaged[29..].to_vec()] {
                let outcome = serve(&wire, &post(path, &HeaderMap::new(), body));
                prop_assert!(outcome.reply().status < 500);
            }
        }
    }
}

#[test]
fn an_odd_alert_is_not_its_neighbours() {
    let good = alert("Disk", ENDS);
    for odd in [r#"{"labels":"x"}"#, "7", r#"{"labels":{"alertname":"a"},"startsAt":{"odd":1}}"#] {
        let outcome = send(&wire(), "/api/v2/alerts", &format!("[{odd},{good}]"));
        assert_eq!((outcome.reply().status, outcome.accepted()), (400, 1), "{odd}");
        assert_eq!(outcome.refused.describe(), "1 malformed", "{odd}");
        let webhook = format!(r#"{{"alerts":[{odd},{good}],"orgId":1,"truncatedAlerts":0}}"#);
        let outcome = send(&wire(), "/webhook/alertmanager", &webhook);
        assert_eq!((outcome.reply().status, outcome.accepted()), (400, 1), "{odd}");
        assert_eq!(AlertColumns::of(batches(&outcome)[0]).source(0), "grafana");
    }
    let listed = good.replacen('{', r#"{"status":{"state":"active","silencedBy":[]},"#, 1);
    let outcome = send(&wire(), "/api/v2/alerts", &format!("[{listed}]"));
    assert_eq!((outcome.reply().status, outcome.accepted()), (200, 1), "as the API itself lists it");
}

#[test]
fn an_end_that_is_past_ends_it_whatever_the_status_says() {
    let of = |ends: &str, status: &str| {
        let alert = alert("Disk", ends).replacen('{', &format!(r#"{{"status":"{status}","#), 1);
        let outcome = send(&wire(), "/api/v2/alerts", &format!("[{alert}]"));
        AlertColumns::of(batches(&outcome)[0]).status(0)
    };
    for status in ["firing", "active", "unprocessed"] {
        assert_eq!(of(STARTED, status), Some(AlertStatus::Resolved), "{status}");
        assert_eq!(of(ENDS, status), Some(AlertStatus::Firing), "{status}");
    }
    assert_eq!(of(ENDS, "resolved"), Some(AlertStatus::Resolved));
}

#[test]
fn surplus_labels_are_cut_and_the_alert_is_kept() {
    let wire = wire();
    let more: Vec<String> = (0..60).map(|n| format!("\"a{n:02}\":\"v\"")).collect();
    let alert = |last: &str| {
        format!(
            r#"[{{"labels":{{{},"alertname":"Disk","instance":"db-1:9100","severity":"critical","zz":"{last}"}},
            "startsAt":"{STARTED}","endsAt":"{ENDS}"}}]"#,
            more.join(",")
        )
    };
    let outcomes = ["a", "b"].map(|last| send(&wire, "/api/v2/alerts", &alert(last)));
    for outcome in &outcomes {
        assert_eq!((outcome.reply().status, outcome.accepted()), (200, 1));
        let told = String::from_utf8_lossy(&outcome.reply().body).into_owned();
        assert!(told.contains("1 labels_cut (more than 40 labels"), "{told}");
        let columns = AlertColumns::of(batches(outcome)[0]);
        assert_eq!(
            (columns.name(0), columns.entity(0), columns.severity(0)),
            ("Disk", "host:db-1", Severity::Critical)
        );
        assert_eq!((columns.labels(0).len(), columns.labels(0).get("instance")), (40, Some("db-1:9100")));
    }
    let [first, second] = outcomes.each_ref().map(|outcome| AlertColumns::of(batches(outcome)[0]).fingerprint[0]);
    assert_ne!(first, second, "all labels tell alerts apart");
}

#[test]
fn a_time_without_a_zone_is_utc() {
    let body = alert("Disk", "1970-01-12 13:50:00").replace(STARTED, "1970-01-12T13:40:00");
    let outcome = send(&wire(), "/api/v2/alerts", &format!("[{body}]"));
    let columns = AlertColumns::of(batches(&outcome)[0]);
    assert_eq!(columns.starts_at(0), EventTime::from_secs(1_000_000 - 400));
    assert_eq!(columns.ends_at(0), Some(EventTime::from_secs(1_000_000 + 200)));
}
