//! The interface for programs and the command line over it, beside the running program.

use std::path::Path;

use serde_json::{Value, json};

use super::service::{Service, TICKETING, TOKEN, bellwether, wait_until};
use super::{incident, serve};

fn asked(service: &Service, method: &str, path: &str, token: &str, body: &str) -> (u16, Value) {
    let reply = service.ask(method, path, token, body).expect("an answer");
    let body = reply.text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (reply.status, serde_json::from_str(body).unwrap_or(Value::Null))
}

/// The command line, as the ticketing credential.
fn told(folder: &Path, args: &[&str]) -> String {
    let (config, token) =
        (folder.join("bellwether.yaml").display().to_string(), folder.join("ticketing").display().to_string());
    let args: Vec<&str> = args.iter().copied().chain(["-c", &config, "--token-file", &token]).collect();
    let output = bellwether(&args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_list_goes_on_where_its_page_ended_and_an_incident_has_its_history() {
    let folder = tempfile::tempdir().expect("a folder");
    let (service, _) = serve(folder.path());
    // Flaws are faults of their own, whatever else happens.
    let flaws = [("db-1", "DiskFull"), ("web-7", "CertificateExpiresSoon"), ("app-3", "ClockSkew")];
    let ids: Vec<String> = flaws.iter().map(|(host, flaw)| incident(&service, host, &[flaw])).collect();
    let list = |query: &str| asked(&service, "GET", &format!("/api/v1/incidents?{query}"), TICKETING, "");
    wait_until("all are there", || list("status=live").1["incidents"].as_array().is_some_and(|all| all.len() == 3));
    let mut seen = Vec::new();
    let mut query = "limit=1".to_owned();
    loop {
        let (status, page) = list(&query);
        assert_eq!((status, page["incidents"].as_array().map(Vec::len)), (200, Some(1)));
        seen.push(page["incidents"][0]["id"].as_str().expect("an id").to_owned());
        match page["next"].as_str() {
            Some(next) => query = format!("limit=1&cursor={next}"),
            None => break,
        }
    }
    seen.sort();
    let mut wanted = ids.clone();
    wanted.sort();
    assert_eq!(seen, wanted, "each once");
    let (status, whole) = asked(&service, "GET", &format!("/api/v1/incidents/{}", ids[0]), TICKETING, "");
    assert_eq!((status, &whole["record"]["id"], &whole["history"][0]["verb"]), (200, &json!(ids[0]), &json!("opened")));
    for (path, wrong) in [
        ("/api/v1/incidents/inc_none", 404),
        ("/api/v1/incidents?limit=9000", 400),
        ("/api/v1/incidents?cursor=x", 400),
        ("/api/v1/incidents/a/b/c", 404),
    ] {
        let (status, problem) = asked(&service, "GET", path, TICKETING, "");
        assert_eq!((status, &problem["status"]), (wrong, &json!(wrong)), "{path}: {problem}");
        assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{problem}");
    }
    assert_eq!(asked(&service, "GET", "/api/v1/incidents", "", "").0, 401);
    let (_, document) = asked(&service, "GET", "/api/v1/openapi.json", TICKETING, "");
    assert_eq!(document["openapi"], "3.1.0");
    let validator = jsonschema::validator_for(&json!({
        "$ref": "#/components/schemas/Whole", "components": document["components"]
    }));
    let validator = validator.expect("a schema");
    let mistakes: Vec<String> = validator.iter_errors(&whole).map(|error| error.to_string()).collect();
    assert!(mistakes.is_empty(), "{mistakes:?}");
}

#[test]
fn what_the_command_line_does_is_done_by_who_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let (service, _) = serve(folder.path());
    let id = incident(&service, "db-1", &["DiskFull"]);
    wait_until("it is known", || told(folder.path(), &["incidents", "--status", "any"]).contains(&id));
    let list = told(folder.path(), &["incidents", "db-1"]);
    assert!(list.contains("DiskFull") && list.contains("P"), "{list}");
    let end = &id[id.len() - 8..];
    assert!(told(folder.path(), &["ack", end, "--who", "ana"]).contains("You have it"));
    wait_until("ana has it", || told(folder.path(), &["incidents"]).contains("with ana"));
    told(folder.path(), &["assign", end, "--to", "ben", "--who", "ana"]);
    let shown = told(folder.path(), &["incident", end]);
    assert!(shown.contains("ana takes it") && shown.contains("ana gives it to ben"), "{shown}");
    told(folder.path(), &["silence", "--entity", "host:db-1", "--for", "2h", "--why", "new disks", "--who", "ana"]);
    let (_, silences) = asked(&service, "GET", "/api/v1/silences", TICKETING, "");
    assert_eq!((&silences[0]["matching"], &silences[0]["who"]), (&json!("entity = 'host:db-1'"), &json!("ana")));
    let silence = silences[0]["id"].as_str().expect("an id");
    assert_eq!(asked(&service, "DELETE", &format!("/api/v1/silences/{silence}"), TICKETING, "").0, 202);
    told(folder.path(), &["resolve", end, "--who", "ben"]);
    wait_until("it is resolved", || told(folder.path(), &["incidents", "--status", "resolved"]).contains(&id));
    let wrong =
        |token: &str, body: &str| asked(&service, "POST", &format!("/api/v1/incidents/{id}/actions"), token, body).0;
    assert_eq!(wrong(TOKEN, r#"{"do":"close"}"#), 403, "a credential that sends does not act");
    assert_eq!(
        (wrong(TICKETING, r#"{"do":"explode"}"#), wrong(TICKETING, "{"), wrong(TICKETING, r#"{"do":"close","x":1}"#)),
        (400, 400, 400)
    );
}

#[test]
fn what_is_posted_twice_with_one_key_is_done_once_also_over_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut service, http) = serve(folder.path());
    let post = |service: &Service, key: &str, body: &str| {
        let client = service.client();
        let reply = client.ask_with("POST", "/api/v1/silences", TICKETING, &[("Idempotency-Key", key)], body);
        let reply = reply.expect("an answer");
        let text = reply.text.split_once("\r\n\r\n").map_or("", |(_, body)| body).to_owned();
        (reply.status, serde_json::from_str::<Value>(&text).unwrap_or(Value::Null))
    };
    let quiet = r#"{"entity": "host:a", "for": "2h", "why": "work", "who": "ana", "repeat": "weekly", "times": 3}"#;
    let (status, first) = post(&service, "k-1", quiet);
    assert_eq!(status, 202, "{first}");
    assert_eq!(post(&service, "k-1", quiet), (202, first.clone()), "the same answer");
    assert_eq!(post(&service, "k-1", &quiet.replace("work", "other")).0, 422, "another body");
    let set = |service: &Service| {
        let (_, all) = asked(service, "GET", "/api/v1/silences", TICKETING, "");
        all.as_array().map_or(0, Vec::len)
    };
    wait_until("it is set", || set(&service) == 3);
    service.stop();
    let service = Service::run(folder.path(), http);
    assert_eq!(post(&service, "k-1", quiet), (202, first), "the journal knows it");
    assert_eq!(post(&service, "k-2", quiet).0, 202, "another key is another thing to do");
    wait_until("that is set, too", || set(&service) == 6);
    assert_eq!(post(&service, "", quiet).0, 400);
}
