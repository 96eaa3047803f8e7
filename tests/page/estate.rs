//! Entities, alerts and who did what, beside the running program: what is said of them, and only to whom it belongs.

use serde_json::{Value, json};

use super::service::{OPERATOR, Service, TICKETING, TOKEN, wait_until};
use super::{incident, serve};

fn asked(service: &Service, path: &str, token: &str) -> (u16, Value) {
    let reply = service.ask("GET", path, token, "").expect("an answer");
    let body = reply.text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (reply.status, serde_json::from_str(body).unwrap_or(Value::Null))
}

fn page(service: &Service, path: &str, token: &str) -> String {
    service.ask("GET", path, token, "").expect("an answer").text
}

/// A service that serves topology, too.
fn with_topology(folder: &std::path::Path) -> Service {
    let http = super::free_address();
    Service::configure(folder, http, "", "  alertmanager: {}\n  actions: {}\n  topology_import: true\npage: {}\n");
    Service::run(folder, http)
}

#[test]
fn an_entity_tells_its_edges_its_alerts_and_what_hurts_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = with_topology(folder.path());
    let told = |format: &str, edges: &str| {
        let reply = service.ask("POST", &format!("/topology/{format}"), TOKEN, edges).expect("an answer");
        assert!(reply.status < 300, "{}", reply.text);
    };
    told("csv", "from,to,relation\nservice:shop,host:old,runs_on\n");
    told("yaml", "- {from: 'service:shop', to: 'host:db-1', relation: runs_on}\n");
    let id = incident(&service, "db-1", &["DiskFull"]);
    let entity = || asked(&service, "/api/v1/entities/host%3Adb-1", TICKETING);
    wait_until("it is known", || entity().1["incident"] == json!(id) && entity().1["edges"][0].is_object());
    let (status, seen) = entity();
    assert_eq!((status, &seen["name"], &seen["alerts"][0]["name"]), (200, &json!("host:db-1"), &json!("DiskFull")));
    assert_eq!(seen["alerts"][0]["incident"], json!(id));
    assert_eq!(seen["edges"][0]["contradicted_by"], json!(["csv: host:old"]));
    let (_, list) = asked(&service, "/api/v1/entities?q=HOST&limit=1", TICKETING);
    assert_eq!((&list["entities"][0]["name"], &list["entities"][0]["incident"]), (&json!("host:db-1"), &json!(id)));
    let next = list["next"].as_str().expect("there are more");
    let (_, rest) = asked(&service, &format!("/api/v1/entities?q=host&cursor={next}"), TICKETING);
    assert_eq!((&rest["entities"][0]["name"], &rest["next"]), (&json!("host:old"), &Value::Null));
    let (_, topology) = asked(&service, "/api/v1/topology", TICKETING);
    assert_eq!(topology["edges"].as_array().map(Vec::len), Some(2), "{topology}");
    for (path, wrong) in [
        ("/api/v1/entities/host%3Anowhere", 404),
        ("/api/v1/entities?limit=0", 400),
        ("/api/v1/entities?cursor=%2F%2F", 400),
        ("/api/v1/topology?tenant=other", 403),
    ] {
        assert_eq!(asked(&service, path, TICKETING).0, wrong, "{path}");
    }
    assert_eq!(asked(&service, "/api/v1/entities", OPERATOR).0, 400, "who sees several says whose");
    assert_eq!(asked(&service, "/api/v1/entities?tenant=acme", OPERATOR).0, 200);
    let shown = page(&service, "/page/entity?name=service%3Ashop", TICKETING);
    assert!(shown.contains("contradicted by yaml: host:db-1") && shown.contains("runs on"), "{shown}");
    let shown = page(&service, "/page/entity?name=host%3Adb-1", TICKETING);
    assert!(shown.contains(&id) && shown.contains("DiskFull"), "{shown}");
    assert!(page(&service, "/page/entity?name=host%3Anowhere", TICKETING).starts_with("HTTP/1.1 404"));
}

#[test]
fn an_alert_that_is_held_back_says_by_whose_silence_and_the_audit_who_set_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let (service, _) = serve(folder.path());
    let quiet = r#"{"entity": "host:web-7", "for": "2h", "why": "new disks", "who": "ana"}"#;
    assert_eq!(service.ask("POST", "/api/v1/silences", TICKETING, quiet).expect("an answer").status, 202);
    assert!(service.alert(TOKEN, "web-7", &["LinkDown"]).status < 300);
    incident(&service, "db-1", &["DiskFull"]);
    let shown = || page(&service, "/page/alerts?in=suppressed", TICKETING);
    wait_until("it is held back", || shown().contains("LinkDown"));
    assert!(shown().contains("new disks") && !shown().contains("DiskFull"), "{}", shown());
    let all = page(&service, "/page/alerts?q=DISKFULL", TICKETING);
    assert!(all.contains("DiskFull") && !all.contains("LinkDown"), "{all}");
    let audit = page(&service, "/page/audit?q=ana", TICKETING);
    assert!(audit.contains("keeps alerts quiet") && audit.contains("host:web-7"), "{audit}");
    assert!(!page(&service, "/page/audit?q=nobody", TICKETING).contains("keeps alerts quiet"));
    for path in ["changes", "logs", "problems", "models"] {
        assert!(page(&service, &format!("/page/{path}"), TICKETING).starts_with("HTTP/1.1 200"), "{path}");
    }
}

#[test]
fn a_report_says_on_the_page_in_a_file_and_by_the_command_what_came_to_pass() {
    let folder = tempfile::tempdir().expect("a folder");
    let (service, _) = serve(folder.path());
    let id = incident(&service, "db-1", &["DiskFull"]);
    let act = format!("/api/v1/incidents/{id}/actions");
    wait_until("it is known", || asked(&service, &format!("/api/v1/incidents/{id}"), TICKETING).0 == 200);
    let took = service.ask("POST", &act, TICKETING, r#"{"do": "acknowledge", "who": "ana"}"#).expect("an answer");
    assert_eq!(took.status, 202);
    let csv = || page(&service, "/page/reports.csv", TICKETING);
    // Cases are counted anew every half minute.
    wait_until("it is counted", || csv().contains("incidents,,1\r\n"));
    let file = page(&service, "/page/reports.html", TICKETING);
    assert!(file.contains("DiskFull") && file.contains("<style>") && !file.contains("<link"), "{file}");
    assert!(page(&service, "/page/reports?from=2020-01-01&to=2020-01-31", TICKETING).contains("Report 2020-01-01"));
    assert!(page(&service, "/page/reports?from=tomorrow", TICKETING).starts_with("HTTP/1.1 400"));
    let by_command = || {
        let config = folder.path().join("bellwether.yaml").display().to_string();
        let output = super::service::bellwether(&["report", "-c", &config, "--tenant", "acme", "--format", "csv"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    wait_until("the log has it", || by_command().contains("time_to_acknowledge,count,1\r\n"));
    assert!(by_command().contains("rule_incidents,DiskFull,1\r\n"), "{}", by_command());
}

#[test]
fn a_series_is_drawn_as_it_passes_and_after_a_restart_from_the_journal() {
    let folder = tempfile::tempdir().expect("a folder");
    let http = super::free_address();
    Service::configure(folder.path(), http, "", "  alertmanager: {}\n  influx: {}\npage: {}\n");
    let mut service = Service::run(folder.path(), http);
    let drawn = |service: &Service| {
        let shown = page(service, "/page/entity?name=host%3Adb-1", TICKETING);
        shown.matches("class=\"chart\"").count()
    };
    let told = service.ask("POST", "/write?precision=s", TOKEN, "cpu,host=db-1 usage=41.5\nmem,host=db-1 used=7\n");
    assert_eq!(told.map(|reply| reply.status), Some(204));
    wait_until("both are drawn", || drawn(&service) == 2);
    // Which tenants there are is known as of a second ago.
    let operators = || page(&service, "/page/entity?name=host%3Adb-1&tenant=acme", OPERATOR);
    wait_until("the value is told, too, and to whoever sees all tenants", || operators().contains("41.5"));
    service.stop();
    let service = Service::run(folder.path(), http);
    wait_until("the journal has them", || drawn(&service) == 2);
}
