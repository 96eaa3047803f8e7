//! Recorded shapes of each tool, and the signatures that open the door.

use bellwether_engine::signal::{Batch, ChangeColumns};
use http::HeaderMap;
use proptest::prelude::*;

use super::*;
use crate::server::auth::{AuthConfig, Credential};
use crate::server::testing::{batches, headers, post, serve};
use crate::server::wire::Unsigned;

fn changes() -> Changes {
    let dir = tempfile::tempdir().expect("temp dir");
    let secret_file = dir.path().join("secret");
    std::fs::write(&secret_file, "It's a Secret to Everybody\n").expect("writable");
    let auth = AuthConfig {
        credentials: vec![Credential {
            tenant: "umbrella".to_owned(),
            bearer_file: Some(secret_file.clone()),
            ..Credential::default()
        }],
        ..AuthConfig::default()
    };
    let auth = Arc::new(Auth::new(&auth).expect("config is good"));
    let hook = GithubHook { hook: "shop".to_owned(), tenant: "acme".to_owned(), secret_file };
    let config = ChangesConfig { github: vec![hook] };
    Changes::new(&config, auth, Limits::default(), Arc::new(EntityResolver::default())).expect("secret is readable")
}

fn send(path: &str, headers: &HeaderMap, body: &str) -> Outcome {
    let (wire, mut request) = (changes(), post(path, headers, body.as_bytes()));
    let signed_for = wire.tenant_of(&Unsigned { path, headers, body: body.as_bytes() });
    if path.starts_with("/changes/git") {
        match &signed_for {
            Some(tenant) => request.tenant = tenant,
            // What the server answers then.
            None => return Outcome::refused(Reply::empty(401), "unauthorized"),
        }
        return serve(&wire, &request);
    }
    serve(&wire, &request)
}

fn row(outcome: &Outcome) -> bellwether_engine::signal::ChangeRow<'_> {
    let batch: &Batch = batches(outcome)[0];
    ChangeColumns::of(batch).row(0)
}

const GITHUB: &str = r#"{"deployment_status":{"id":5,"state":"success","environment":"production","log_url":"https://ci/1",
    "creator":{"login":"ann"},"description":"done","updated_at":"1970-01-12T13:46:00Z"},
    "deployment":{"sha":"abc","ref":"main"},"repository":{"name":"shop","full_name":"acme/shop"}}"#;

fn signature(secret: &str, body: &str) -> String {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
    let tag = ring::hmac::sign(&key, body.as_bytes());
    let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={hex}")
}

#[test]
fn githubs_own_example_of_a_signature_verifies() {
    // From GitHub's documentation, "Validating webhook deliveries".
    let want = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    assert_eq!(signature("It's a Secret to Everybody", "Hello, World!"), want);
}

#[test]
fn a_signed_deployment_status_is_a_change_of_the_hooks_tenant() {
    let good = signature("It's a Secret to Everybody", GITHUB);
    let signed = |signature: &str| {
        headers(&[
            ("x-github-event", "deployment_status"),
            ("x-github-delivery", "guid-1"),
            ("x-hub-signature-256", signature),
        ])
    };
    let outcome = send("/changes/github/shop", &signed(&good), GITHUB);
    assert_eq!(outcome.reply().status, 202);
    assert_eq!(batches(&outcome)[0].tenant(), "acme");
    let change = row(&outcome);
    assert_eq!((change.id, change.entity, change.who), ("guid-1", "service:shop", Some("ann")));
    assert_eq!(change.artifact, Some("pkg:github/acme/shop@abc"));
    assert_eq!(change.text, Some("success in production: done"));
    assert_eq!(change.time.0, (1_000_000 - 40) * 1_000_000_000);

    let forged = signature("another secret", GITHUB);
    for (path, signature) in [
        ("/changes/github/shop", forged.as_str()),
        ("/changes/github/shop", ""),
        ("/changes/github/shop", "sha256=zz"),
        ("/changes/github/other", good.as_str()),
    ] {
        let outcome = send(path, &signed(signature), GITHUB);
        assert_eq!((outcome.reply().status, outcome.inputs().len()), (401, 0), "{path} {signature}");
    }
    let started = GITHUB.replace("\"success\"", "\"in_progress\"");
    let outcome = send("/changes/github/shop", &signed(&signature("It's a Secret to Everybody", &started)), &started);
    assert_eq!((outcome.reply().status, outcome.inputs().len()), (202, 0), "starting changes nothing yet");
}

#[test]
fn a_form_has_the_document_in_its_payload() {
    let encoded: String = form_urlencoded::Serializer::new(String::new()).append_pair("payload", GITHUB).finish();
    let signed = |body: &str| {
        headers(&[
            ("content-type", "application/x-www-form-urlencoded"),
            ("x-github-event", "deployment_status"),
            ("x-hub-signature-256", &signature("It's a Secret to Everybody", body)),
        ])
    };
    let outcome = send("/changes/github/shop", &signed(&encoded), &encoded);
    assert_eq!((outcome.reply().status, row(&outcome).entity), (202, "service:shop"));
    let outcome = send("/changes/github/shop", &signed("a=b"), "a=b");
    assert_eq!(outcome.reply().status, 415);
    assert!(String::from_utf8_lossy(&outcome.reply().body).contains("application/json"));
    let plain = r#"{"service":"pay"}"#;
    let called_a_form = headers(&[("content-type", "application/x-www-form-urlencoded")]);
    assert_eq!(send("/changes/plain", &called_a_form, plain).accepted(), 1, "as curl calls every body");
}

#[test]
fn events_may_come_in_a_batch_and_in_base64() {
    use base64::Engine as _;
    let event = |id: &str, kind: &str| {
        format!(
            r#"{{"context":{{"id":"{id}","type":"dev.cdevents.{kind}.0.2.0","timestamp":"1970-01-12T13:46:00Z"}},
            "subject":{{"id":"{id}"}}}}"#
        )
    };
    let wrapped = base64::engine::general_purpose::STANDARD.encode(event("pay", "service.deployed"));
    let batch = format!(
        r#"[{{"specversion":"1.0","data":{}}},{{"specversion":"1.0","data_base64":"{wrapped}"}},{{"x":1}},{}]"#,
        event("shop", "service.removed"),
        event("build-4711", "build.queued"),
    );
    let outcome = send("/changes/cdevents", &HeaderMap::new(), &batch);
    assert_eq!((outcome.reply().status, outcome.refused.describe().as_str()), (400, "1 malformed"));
    let changes = ChangeColumns::of(batches(&outcome)[0]);
    let entities: Vec<&str> = (0..changes.len()).map(|at| changes.row(at).entity).collect();
    assert_eq!(entities, ["service:shop", "service:pay"], "a queued build changes nothing that runs");
}

#[test]
fn gitlabs_token_names_the_tenant() {
    let body = r#"{"object_kind":"deployment","status":"success","deployment_id":15,"environment":"prod","short_sha":"279484c0",
        "project":{"name":"pay","path_with_namespace":"acme/pay"},"user":{"username":"bob"},"commit_title":"Fix"}"#;
    let token = headers(&[("x-gitlab-token", "It's a Secret to Everybody")]);
    let outcome = send("/changes/gitlab", &token, body);
    assert_eq!((outcome.reply().status, batches(&outcome)[0].tenant()), (202, "umbrella"));
    let change = row(&outcome);
    assert_eq!((change.id, change.entity, change.who), ("15/success", "service:pay", Some("bob")));
    assert_eq!(send("/changes/gitlab", &headers(&[("x-gitlab-token", "guess")]), body).reply().status, 401);
    assert_eq!(send("/changes/gitlab", &HeaderMap::new(), body).reply().status, 401);
}

#[test]
fn cdevents_are_taken_in_both_modes() {
    let event = r#"{"context":{"version":"0.4.1","id":"271","source":"/argo","type":"dev.cdevents.service.upgraded.0.2.0",
        "timestamp":"1970-01-12T13:46:00Z"},"subject":{"id":"shop/checkout","type":"service",
        "content":{"environment":{"id":"prod"},"artifactId":"pkg:oci/checkout@sha256%3Aab"}}}"#;
    let structured = format!(r#"{{"specversion":"1.0","id":"271","data":{event}}}"#);
    for body in [event, &structured] {
        let outcome = send("/changes/cdevents", &HeaderMap::new(), body);
        let change = row(&outcome);
        assert_eq!((change.id, change.entity), ("271", "service:checkout"));
        assert_eq!(change.change_type, "dev.cdevents.service.upgraded.0.2.0");
        assert_eq!((change.artifact, change.text), (Some("pkg:oci/checkout@sha256%3Aab"), Some("prod")));
    }
    assert_eq!(send("/changes/cdevents", &HeaderMap::new(), r#"{"context":{"type":"x"}}"#).reply().status, 400);
}

#[test]
fn pagerduty_and_plain_changes_are_known_again_when_sent_again() {
    let body = r#"{"routing_key":"r","payload":{"summary":"Build Success - Increase snapshot create timeout to 30 seconds",
        "source":"acme-build-pipeline","timestamp":"1970-01-12T13:46:00Z","custom_details":{"service":"checkout","version":"1.4"}},
        "links":[{"href":"https://ci/1","text":"build"}]}"#;
    let first = send("/v2/change/enqueue", &HeaderMap::new(), body);
    assert_eq!(first.reply().status, 202);
    let change = row(&first);
    assert_eq!((change.entity, change.artifact, change.url), ("service:checkout", Some("1.4"), Some("https://ci/1")));
    assert_eq!(change.id, row(&send("/v2/change/enqueue", &HeaderMap::new(), body)).id);

    let plain =
        send("/changes/plain", &HeaderMap::new(), r#"{"entity":"switch:plant-7","type":"firmware","who":"eve"}"#);
    assert_eq!((row(&plain).entity, row(&plain).change_type), ("switch:plant-7", "firmware"));
    assert_eq!(send("/changes/plain", &HeaderMap::new(), "{}").reply().status, 400);
}

proptest! {
    #![proptest_config(crate::fuzz::config())]

    #[test]
    fn damaged_documents_never_panic(at in any::<prop::sample::Index>(), with in any::<u8>(), bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        let wire = changes();
        let mut damaged = GITHUB.as_bytes().to_vec();
        let place = at.index(damaged.len());
        damaged[place] = with;
        for path in ["/changes/cdevents", "/changes/plain", "/changes/gitlab", "/v2/change/enqueue"] {
            for body in [&damaged, &bytes] {
                prop_assert!(serve(&wire, &post(path, &HeaderMap::new(), body)).reply().status < 500);
            }
        }
    }
}

/// `examples/argocd` with its placeholders filled as Argo CD's template engine fills them.
#[test]
fn argo_cds_template_gives_a_cdevent() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/argocd/notifications.yaml");
    let text = std::fs::read_to_string(path).expect("the example reads");
    let map: Value = serde_saphyr::from_str(&text).expect("YAML");
    let template = map["data"]["template.bellwether-change"].as_str().expect("a template");
    let webhook: Value = serde_saphyr::from_str(template).expect("YAML");
    let (path, body) = (&webhook["webhook"]["bellwether"]["path"], &webhook["webhook"]["bellwether"]["body"]);
    let mut body = body.as_str().expect("a body").to_owned();
    for (placeholder, value) in [
        ("{{.app.metadata.uid}}", "0b5f"),
        ("{{.app.metadata.namespace}}", "argocd"),
        ("{{.app.metadata.name}}", "checkout"),
        ("{{.app.status.operationState.startedAt}}", "2026-03-01T09:57:00Z"),
        ("{{.app.status.operationState.finishedAt}}", "2026-03-01T09:58:00Z"),
        ("{{.app.spec.destination.namespace}}", "prod"),
        ("{{.app.spec.source.repoURL}}", "https://git.example.com/shop"),
        ("{{.app.status.sync.revision}}", "c1a5"),
    ] {
        assert!(body.contains(placeholder), "{placeholder}");
        body = body.replace(placeholder, value);
    }
    assert!(!body.contains("{{"), "{body}");
    let outcome = send(path.as_str().expect("a path"), &HeaderMap::new(), &body);
    assert_eq!(outcome.reply().status, 202);
    let change = row(&outcome);
    assert_eq!((change.id, change.entity), ("0b5f/2026-03-01T09:57:00Z", "service:checkout"));
    assert_eq!((change.artifact, change.who), (Some("https://git.example.com/shop@c1a5"), Some("argocd")));
}
