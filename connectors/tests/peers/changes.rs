//! PagerDuty's Python client, and the webhooks that GitHub's own client library is tested with.

use std::path::Path;
use std::process::Command;

use bellwether_connectors::server::tls::TlsConfig;
use bellwether_connectors::wires::changes::{ChangesConfig, GithubHook};
use bellwether_engine::input::{Action, Input};
use bellwether_engine::signal::{ChangeColumns, SignalKind};
use serde_json::Value;

use crate::rig::{Rig, command, output_of, repository};
use crate::skipped::skipped;

/// A certificate of this machine in `folder`: `server.crt` and its key.
fn certify(folder: &Path) {
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
    openssl.args(["-subj", "/CN=bellwether", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]);
    openssl.arg("-keyout").arg(folder.join("server.key")).arg("-out").arg(folder.join("server.crt"));
    output_of(openssl);
}

/// `(id, entity, artifact, who, text)` of every change in the journal.
fn changes(rig: &Rig) -> Vec<[String; 5]> {
    let mut found = Vec::new();
    for batch in rig.batches(SignalKind::Change) {
        let rows = ChangeColumns::of(&batch);
        found.extend((0..rows.len()).map(|at| {
            let row = rows.row(at);
            let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
            [row.id.to_owned(), row.entity.to_owned(), text(row.artifact), text(row.who), text(row.text)]
        }));
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn pagerdutys_client_tells_of_a_deployment_and_asks_again_when_refused() {
    // The client speaks TLS only; the shipped file has the line as a comment.
    let rig = Rig::changed(|wires, folder| {
        certify(folder);
        let at = |name: &str| name.into();
        let tls = TlsConfig { certificate_file: at("server.crt"), key_file: at("server.key"), client_ca_file: None };
        wires.http.as_mut().expect("the shipped file names it").tls = Some(tls);
    })
    .await;
    let token = rig.token();
    let client = |version: &str| {
        let mut python = command("py/bin/python");
        python.env("SSL_CERT_FILE", rig.example("server.crt"));
        python.arg(rig.example("pagerduty/deployed.py"));
        python.args([format!("https://agent:{token}@{}", rig.http), "checkout".to_owned(), version.to_owned()]);
        python
    };
    output_of(client("2.41"));
    let told = changes(&rig);
    let [_, entity, artifact, who, text] = &told[0];
    assert_eq!(
        (entity.as_str(), artifact.as_str(), who.as_str(), text.as_str()),
        ("service:checkout", "2.41", "ann", "checkout 2.41 deployed")
    );

    rig.set_full(true);
    let patient = std::thread::spawn({
        let mut python = client("2.42");
        move || python.output()
    });
    rig.until("a refusal", || (rig.refused() >= 1).then_some(()));
    rig.set_full(false);
    let told = tokio::task::block_in_place(|| patient.join()).expect("no panic").expect("it runs");
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    assert_eq!(changes(&rig).len(), 2, "the second is there once");
}

/// GitHub's webhooks of one kind as its client library keeps them; none where npm is not there to
/// fetch them.
fn github_examples(event: &str) -> Vec<Value> {
    let file = repository().join(".tools/github-examples/api.github.com/index.json");
    let Ok(text) = std::fs::read_to_string(&file) else {
        skipped(&format!("{} is missing: tools/peers.sh fetches it where npm is installed", file.display()));
        return Vec::new();
    };
    let index: Vec<Value> = serde_json::from_str(&text).expect("an index");
    let of_kind = index.iter().filter(|kind| kind["name"] == event);
    of_kind.flat_map(|kind| kind["examples"].as_array().expect("a list")).cloned().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deployments_that_github_tells_of_are_changes_once_they_are_over() {
    // The secret of the webhook `shop` is the senders' token.
    let rig = Rig::changed(|wires, _| {
        let hook = GithubHook { hook: "shop".to_owned(), tenant: "acme".to_owned(), secret_file: "token".into() };
        wires.changes = Some(ChangesConfig { github: vec![hook] });
    })
    .await;
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, rig.token().as_bytes());
    let examples = github_examples("deployment_status");
    for (number, example) in examples.iter().enumerate() {
        let body = example.to_string();
        let tag = ring::hmac::sign(&key, body.as_bytes());
        let signature: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        for (signature, answer) in [(signature.as_str(), "202"), ("00", "401")] {
            let file = rig.dir.path().join("body.json");
            std::fs::write(&file, &body).expect("temp dir is writable");
            let mut curl = Command::new("curl");
            curl.args(["-sS", "-o", "/dev/null", "-w", "%{http_code}", "-H", "Content-Type: application/json"]);
            curl.args(["-H", "X-GitHub-Event: deployment_status", "-H", &format!("X-GitHub-Delivery: {number}")]);
            curl.args(["-H", &format!("X-Hub-Signature-256: sha256={signature}"), "--data-binary"]);
            curl.arg(format!("@{}", file.display())).arg(format!("http://{}/changes/github/shop", rig.http));
            assert_eq!(output_of(curl), answer, "{body}");
        }
    }
    let over = examples.iter().filter(|example| example["deployment_status"]["state"] == "success").count();
    let found = changes(&rig);
    assert_eq!(found.len(), over);
    for [_, entity, artifact, who, text] in found {
        assert_eq!((entity.as_str(), who.as_str()), ("service:Hello-World", "Codertocat"));
        assert!(artifact.starts_with("pkg:github/Codertocat/Hello-World@"), "{artifact}");
        assert!(text.starts_with("success in production"), "{text}");
    }
}

/// What Argo CD puts into the template for an application that has been synchronised.
const FILLED: [(&str, &str); 6] = [
    ("{{.app.metadata.uid}}", "0a1b"),
    ("{{.app.metadata.namespace}}", "argocd"),
    ("{{.app.metadata.name}}", "checkout"),
    ("{{.app.spec.destination.namespace}}", "shop"),
    ("{{.app.spec.source.repoURL}}", "https://git.example/shop.git"),
    ("{{.app.status.sync.revision}}", "4f2d"),
];

/// The body in the shipped ConfigMap, filled in as of now.
fn filled(config_map: &str) -> String {
    let (_, body) = config_map.split_once("body: |\n").expect("the template has a body");
    let body = body.lines().take_while(|line| line.starts_with("          ")).collect::<Vec<_>>().join("\n");
    let now = jiff::Timestamp::now().to_string();
    let body = body.replace("{{.app.status.operationState.startedAt}}", &now);
    let mut body = body.replace("{{.app.status.operationState.finishedAt}}", &now);
    for (part, value) in FILLED {
        body = body.replace(part, value);
    }
    assert!(!body.contains("{{"), "a part of the template is not filled in: {body}");
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn the_template_of_argo_cd_filled_in_is_a_change() {
    let rig = Rig::start().await;
    let config_map = std::fs::read_to_string(rig.example("argocd/notifications.yaml")).expect("reads");
    assert!(config_map.contains("path: /changes/cdevents") && config_map.contains(&format!("http://{}", rig.http)));
    let mut curl = Command::new("curl");
    curl.args(["--fail", "-sS", "-H", &format!("Authorization: Bearer {}", rig.token())]);
    curl.args(["-H", "Content-Type: application/json", "--data-binary", &filled(&config_map)]);
    curl.arg(format!("http://{}/changes/cdevents", rig.http));
    output_of(curl);
    let told = changes(&rig);
    let [_, entity, artifact, who, _] = &told[0];
    assert_eq!((entity.as_str(), who.as_str()), ("service:checkout", "argocd"));
    assert_eq!(artifact, "https://git.example/shop.git@4f2d");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_ticketing_script_says_is_in_the_journal() {
    let rig = Rig::start().await;
    let incident = "inc_01JNP5R3X4V6Z8B0C2D4F6H8KM";
    for words in [["acknowledge", incident, "ana"].as_slice(), &["ticket", "resolved", "rt", incident, "17"]] {
        let mut say = Command::new("sh");
        // Its token is the one beside it, its address the shipped one.
        say.arg(rig.example("ticketing/say.sh")).args(words).env_remove("TOKEN_FILE").env_remove("BELLWETHER_URL");
        output_of(say);
    }
    let said: Vec<Action> = rig
        .entries()
        .into_iter()
        .filter_map(|input| match input {
            Input::Action { action, .. } => Some(action),
            _ => None,
        })
        .collect();
    assert!(matches!(&said[0], Action::Acknowledge { who, .. } if who == "ana"), "{said:?}");
    assert!(matches!(&said[1], Action::Ticket { ticket, .. } if ticket.key == "17"), "{said:?}");
    assert!(matches!(&said[2], Action::Resolve { who, .. } if who == "rt"), "{said:?}");
}
