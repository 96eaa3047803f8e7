//! What holds for every system there is, by its example: where it leads, and that its secret is shown nowhere.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::list::BridgeConfig;
use super::super::receiver::{Receiver, Telling};
use super::super::system::{
    Answered, Draft, Fields, LinkKind, OWNER, PRIORITY, QUEUE, STATUS, SUBJECT, Since, SystemError,
};
use super::bench::Told;
use super::suite::read;

/// Each example, the address in it, and a secret of its form.
const EXAMPLES: [(&str, &str, &str, &str); 14] = [
    (
        "request_tracker",
        include_str!("../../../../examples/request-tracker/bridges.yaml"),
        "127.0.0.1:8085",
        "1-14-s3cret0f",
    ),
    ("redmine", include_str!("../../../../examples/redmine/bridges.yaml"), "127.0.0.1:8086", "s3cret0fredmine"),
    ("roundup", include_str!("../../../../examples/roundup/bridges.yaml"), "127.0.0.1:8087", "s3cret0froundup"),
    (
        "service_now",
        include_str!("../../../../examples/service-now/bridges.yaml"),
        "127.0.0.1:8090",
        "s3cret0fservicenow",
    ),
    (
        "service_now_events",
        include_str!("../../../../examples/service-now/events.yaml"),
        "127.0.0.1:8090",
        "s3cret0fservicenow",
    ),
    ("jira", include_str!("../../../../examples/jira/bridges.yaml"), "127.0.0.1:8091", "s3cret0fjira"),
    ("jira", include_str!("../../../../examples/jira/data-center.yaml"), "127.0.0.1:8091", "s3cret0fjira"),
    (
        "pagerduty",
        include_str!("../../../../examples/pagerduty-events/bridges.yaml"),
        "127.0.0.1:8095",
        "main s3cret0fpagerduty0s3cret0fpagerd\ndatabase s3cret0fpagerduty0s3cret0fpagerd",
    ),
    ("slack", include_str!("../../../../examples/slack/bridges.yaml"), "127.0.0.1:8092", "xoxb-s3cret0fslack"),
    (
        "mattermost",
        include_str!("../../../../examples/mattermost/bridges.yaml"),
        "127.0.0.1:8093",
        "s3cret0fmattermost",
    ),
    (
        "teams",
        include_str!("../../../../examples/teams/bridges.yaml"),
        "127.0.0.1:8094",
        "api-version=1&sig=s3cret0fteams",
    ),
    ("zammad", include_str!("../../../../examples/zammad/bridges.yaml"), "127.0.0.1:8096", "s3cret0fzammad"),
    ("mail", include_str!("../../../../examples/mail/bridges.yaml"), "127.0.0.1:8025", "s3cret0fmail"),
    (
        "webhook",
        include_str!("../../../../examples/webhook/bridges.yaml"),
        "127.0.0.1:8089",
        "whsec_czNjcmV0czNjcmV0czNjcmV0czNjcmV0",
    ),
];

/// A server that answers every request so: `{request}` is what it was asked.
fn server(status: &'static str, more: &'static str, body: &'static str) -> (SocketAddr, Arc<Mutex<usize>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let asked: Arc<Mutex<usize>> = Arc::default();
    let of_thread = asked.clone();
    // It ends with the test's process.
    std::thread::spawn(move || {
        for mut stream in listener.incoming().filter_map(Result::ok) {
            *of_thread.lock().unwrap_or_else(PoisonError::into_inner) += 1;
            // One that waits to be greeted says nothing.
            let _ = stream.set_read_timeout(Some(Duration::from_millis(200)));
            let mut request = [0; 8_192];
            let read = stream.read(&mut request).unwrap_or(0);
            let body = body.replace("{request}", &String::from_utf8_lossy(&request[..read]));
            let length = body.len();
            let answer =
                format!("HTTP/1.1 {status}\r\n{more}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}");
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (address, asked)
}

/// What of a secret may be shown nowhere, as it is and as it is sent.
fn forms(example: &str, secret: &str) -> Vec<String> {
    let user = example.lines().find_map(|line| line.trim().strip_prefix("user: ")).unwrap_or("bellwether");
    let words = secret.split_whitespace().filter(|word| word.contains("s3cret") || word.contains("whsec"));
    let words = words.map(|word| word.split_once("sig=").map_or(word, |(_, signature)| signature).to_owned());
    words.chain([STANDARD.encode(format!("{user}:{secret}"))]).collect()
}

/// Every request that a system can be asked, to `to`; what is known of each.
fn everything(example: &str, was: &str, to: &str, secret: &str) -> Vec<SystemError> {
    let folder = tempfile::tempdir().expect("a folder");
    let token = folder.path().join("token");
    std::fs::write(&token, secret).expect("writes");
    let config: BridgeConfig = read(&example.replace(was, to), &token);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let receiver = config.open().expect("it opens");
    let mut known = Vec::new();
    let mut note = |error: Option<SystemError>| known.extend(error);
    match &receiver {
        Receiver::Tickets(system) => {
            let words = config.mapping();
            let fields = Fields::from([
                (SUBJECT.to_owned(), "x".to_owned()),
                (QUEUE.to_owned(), "acme".to_owned()),
                (STATUS.to_owned(), words.states.open.clone()),
                (PRIORITY.to_owned(), words.priority.P1.clone()),
                (OWNER.to_owned(), "ana".to_owned()),
            ]);
            let draft = Draft { key: "acme/inc_1".to_owned(), fields: fields.clone(), text: "x".to_owned() };
            runtime.block_on(async {
                note(system.find("acme/inc_1").await.err());
                note(system.create(&draft).await.err());
                note(system.read("1").await.err());
                note(system.update("1", "7", &fields).await.err());
                note(system.comment("1", "mark", "x").await.err());
                note(system.has_comment("1", "mark").await.err());
                note(system.link("1", LinkKind::PartOf, "2").await.err());
                note(system.changes(None).await.err());
                note(system.changes(Some(Since::default())).await.err());
            });
        }
        Receiver::Channel(channel) => {
            let telling = Telling {
                id: "acme/inc_1/1".to_owned(),
                tenant: "acme".to_owned(),
                queue: config.mapping().tenants["acme"].queue.clone(),
                also: Vec::new(),
                opens: true,
                thread: None,
                subject: "x".to_owned(),
                text: "x".to_owned(),
                record: Box::new(Told::new("1").0),
            };
            let told: Answered<_> = runtime.block_on(channel.tell(&telling));
            note(told.err());
        }
    }
    known
}

#[test]
fn no_system_says_its_secret_even_where_the_other_side_says_it() {
    for (name, example, was, secret) in EXAMPLES {
        for status in ["400 Bad Request", "401 Unauthorized", "200 OK"] {
            let (address, asked) = server(status, "", "[\"{request}\"]");
            let known = everything(example, was, &address.to_string(), secret);
            assert!(*asked.lock().unwrap_or_else(PoisonError::into_inner) > 0, "{name}: nothing was asked");
            assert!(!known.is_empty() || status == "200 OK", "{name}: it takes {status}");
            let secrets = forms(example, secret);
            for error in known {
                for said in [error.to_string(), format!("{error:?}")] {
                    let shown = secrets.iter().find(|secret| said.contains(*secret));
                    assert_eq!(shown, None, "{name}, {status}: {said}");
                }
            }
        }
    }
}

#[test]
fn no_system_is_reached_at_an_address_inside_that_no_network_names() {
    for (name, example, was, secret) in EXAMPLES {
        let (address, asked) = server("200 OK", "", "{}");
        let example = example.replace("networks: [\"127.0.0.1\"]", "networks: [\"10.0.0.0/8\"]");
        let known = everything(&example, was, &address.to_string(), secret);
        assert!(!known.is_empty(), "{name}");
        for error in known {
            let names_it = error.to_string().contains("`networks`");
            assert!(matches!(error, SystemError::Away(_)) && names_it, "{name}: {error}");
        }
        assert_eq!(*asked.lock().unwrap_or_else(PoisonError::into_inner), 0, "{name} was asked");
    }
}

#[test]
fn no_system_follows_a_redirect() {
    for (name, example, was, secret) in EXAMPLES.into_iter().filter(|(name, ..)| *name != "mail") {
        let (elsewhere, reached) = server("200 OK", "", "{}");
        let location: &'static str = Box::leak(format!("Location: http://{elsewhere}/\r\n").into_boxed_str());
        let (address, _) = server("307 Temporary Redirect", location, "");
        let known = everything(example, was, &address.to_string(), secret);
        assert!(
            !known.is_empty() && known.iter().all(|error| matches!(error, SystemError::Denied(_))),
            "{name}: {known:?}"
        );
        assert_eq!(*reached.lock().unwrap_or_else(PoisonError::into_inner), 0, "{name} went there");
    }
}

#[test]
fn every_system_of_the_list_has_an_example_here() {
    let list = include_str!("../list.rs");
    let variants = list.split("pub enum BridgeConfig: DeclaredBridge {").nth(1).expect("the list");
    let variants = variants.split("\n}").next().expect("its end").matches("Config),").count();
    let names: BTreeSet<&str> = EXAMPLES.iter().map(|(name, ..)| *name).collect();
    assert_eq!(variants, names.len());
    for (name, example, ..) in EXAMPLES {
        let config = read(example, Path::new("none"));
        let written = serde_json::to_value(&config).expect("JSON");
        assert!(written.get(name).is_some(), "{name}: {written}");
    }
}
