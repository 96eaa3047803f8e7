//! PagerDuty's Python client, and the webhooks that GitHub's own client library is tested with.

use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::Arc;

use bellwether_connectors::limits::Limits;
use bellwether_connectors::resolve::entity_resolution::EntityResolver;
use bellwether_connectors::server::auth::Auth;
use bellwether_connectors::server::http::{HttpConfig, HttpRouter, HttpSource, NamedWire};
use bellwether_connectors::server::tls::TlsConfig;
use bellwether_connectors::server::wire::HttpWire;
use bellwether_connectors::wires::changes::{Changes, ChangesConfig, GithubHook};
use bellwether_engine::signal::{ChangeColumns, SignalKind};
use serde_json::Value;

use crate::rig::{Rig, TOKEN, command, free_address, output_of, repository};
use crate::skipped::skipped;

/// The wire, with the token as the secret of the webhook `shop`.
fn wire(resolver: &Arc<EntityResolver>, auth: &Arc<Auth>) -> Vec<NamedWire> {
    let dir = tempfile::tempdir().expect("temp dir");
    let secret_file = dir.path().join("secret");
    std::fs::write(&secret_file, TOKEN).expect("temp dir is writable");
    let hook = GithubHook { hook: "shop".to_owned(), tenant: "acme".to_owned(), secret_file };
    let config = ChangesConfig { github: vec![hook] };
    let changes = Changes::new(&config, auth.clone(), Limits::default(), resolver.clone()).expect("readable");
    vec![("changes", HttpWire::new(Arc::new(changes)))]
}

/// A listener with TLS and a certificate of its own, `server.crt` in the rig's folder; the client
/// speaks to nothing else.
fn with_tls(rig: &Rig) -> SocketAddr {
    let at = |name: &str| rig.dir.path().join(name);
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
    openssl.args(["-subj", "/CN=bellwether", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]);
    openssl.arg("-keyout").arg(at("server.key")).arg("-out").arg(at("server.crt"));
    output_of(openssl);
    let listen = free_address();
    let tls = TlsConfig { certificate_file: at("server.crt"), key_file: at("server.key"), client_ca_file: None };
    let wires = wire(&Arc::default(), &rig.auth());
    let wires = Arc::new(HttpRouter::new(rig.auth(), Limits::default(), wires).expect("paths differ"));
    let source = HttpSource::new("https", HttpConfig { listen, tls: Some(tls) }, wires);
    rig.run(Box::new(source.expect("the certificate is good")));
    rig.until("the listener", || TcpStream::connect(listen).ok());
    listen
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
    let rig = Rig::start(|_, _, _| Vec::new()).await;
    let listen = with_tls(&rig);
    let client = |version: &str| {
        let mut python = command("py/bin/python");
        python.env("SSL_CERT_FILE", rig.dir.path().join("server.crt"));
        python.arg(repository().join("examples/pagerduty/deployed.py"));
        python.args([format!("https://agent:{TOKEN}@{listen}"), "checkout".to_owned(), version.to_owned()]);
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
    let rig = Rig::start(|resolver, _, auth| wire(resolver, auth)).await;
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, TOKEN.as_bytes());
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
