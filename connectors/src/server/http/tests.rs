//! The server's promises, without a socket: bodies are handed over as hyper would.

use std::sync::atomic::{AtomicBool, Ordering};

use bellwether_engine::input::Input;
use http::Method;

use super::*;
use crate::intake::reject::Refusals;
use crate::server::auth::{AuthConfig, Credential, sha256};
use crate::server::outcome::Accepted;
use crate::server::outcome::Outcome;
use crate::server::testing::{Shelf, acme};
use crate::server::wire::{HttpHandler, Route};

/// Answers 204 and stores one tick per request.
#[derive(Default)]
struct Ticker {
    undone: AtomicBool,
}

impl Ticker {
    fn take(&self, request: &Request<'_>) -> Outcome {
        let mut accepted = Accepted::default();
        accepted.add_one(Input::Tick(EventTime(request.body.len() as i64)));
        Outcome::store(accepted, Refusals::default(), Reply::empty(204).with("x-tenant", &**request.tenant))
    }
}

impl HttpHandler for Ticker {
    fn routes(&self) -> Vec<Route<Ticker>> {
        vec![
            Route::get("/tick", |_, _| Reply::text(200, "tick\n")),
            Route::post("/tick", Ticker::take),
            Route::delete("/tick", Ticker::take).acting(),
            Route::post_or_put("/tick/{id}", Ticker::take),
            Route::post("/signed/{id}", Ticker::take).own(),
        ]
    }

    fn tenant_of(&self, request: &Unsigned<'_>) -> Option<TenantName> {
        (request.body != b"forged").then(|| acme().clone())
    }

    fn credential_of(&self, query: &str) -> Option<(String, String)> {
        query.strip_prefix("p=").map(|password| ("influx".to_owned(), password.to_owned()))
    }

    fn resend_is_duplicate(&self, _: &Request<'_>) -> bool {
        true
    }

    fn undo(&self, _: &[Input]) {
        self.undone.store(true, Ordering::Relaxed);
    }
}

struct Rig {
    shelf: Arc<Shelf>,
    intake: Intake,
    ticker: Arc<Ticker>,
    wires: HttpRouter,
}

fn rig(limits: Limits) -> Rig {
    let digest = sha256(&[b"secret"]);
    let auth = AuthConfig {
        credentials: vec![
            Credential {
                tenant: "acme".to_owned(),
                bearer_sha256: Some(digest.iter().map(|b| format!("{b:02x}")).collect()),
                ..Credential::default()
            },
            Credential {
                tenant: "acme".to_owned(),
                user: Some("influx".to_owned()),
                password_sha256: Some(digest.iter().map(|b| format!("{b:02x}")).collect()),
                ..Credential::default()
            },
        ],
        ..AuthConfig::default()
    };
    let (shelf, intake) = Shelf::with_intake();
    let ticker = Arc::new(Ticker::default());
    let wires = HttpRouter::new(
        Arc::new(Auth::new(&auth).expect("config is good")),
        limits,
        vec![("ticker", HttpWire::new(ticker.clone()))],
    );
    Rig { shelf, intake, ticker, wires: wires.expect("one wire has no conflict") }
}

/// An answer as its sender reads it.
#[derive(Debug, PartialEq)]
struct Answer {
    status: u16,
    headers: http::HeaderMap,
    body: Bytes,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl Rig {
    async fn send(&self, path: &str, token: Option<&str>, body: &'static [u8]) -> Answer {
        self.send_body(path, token, Full::new(Bytes::from_static(body))).await
    }

    async fn send_body<B>(&self, path: &str, token: Option<&str>, body: B) -> Answer
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.ask(Method::POST, path, token, body).await
    }

    async fn ask<B>(&self, method: Method, path: &str, token: Option<&str>, body: B) -> Answer
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let mut request = HttpRequest::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.body(body).expect("plain request");
        let (head, body) = self.wires.answer(&self.intake, request, Sender::default()).await.into_parts();
        let body = body.collect().await.expect("no answer fails").to_bytes();
        Answer { status: head.status.as_u16(), headers: head.headers, body }
    }

    fn stored(&self) -> usize {
        self.shelf.entries().len()
    }
}

/// A body that must not be looked at.
struct Untouchable;

impl Body for Untouchable {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, std::io::Error>>> {
        panic!("the body was read before the credential was checked")
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        hyper::body::SizeHint::with_exact(1 << 40)
    }
}

#[tokio::test]
async fn a_credential_in_the_query_counts_where_no_other_is_shown() {
    let rig = rig(Limits::default());
    assert_eq!(rig.send("/tick?p=secret", None, b"a").await.status, 204);
    assert_eq!(rig.send("/tick?p=guess", None, b"b").await.status, 401);
    assert_eq!(rig.send("/tick?p=secret", Some("guess"), b"c").await.status, 401);
}

#[tokio::test]
async fn a_wrong_credential_is_refused_before_the_body_is_read() {
    let rig = rig(Limits::default());
    for token in [None, Some("wrong")] {
        let reply = rig.send_body("/tick", token, Untouchable).await;
        assert_eq!(reply.status, 401);
        assert!(reply.header("www-authenticate").is_some());
    }
    assert_eq!(rig.stored(), 0);
    let declared_too_large = rig.send_body("/tick", Some("secret"), Untouchable).await;
    assert_eq!(declared_too_large.status, 413);
}

#[tokio::test]
async fn the_tenant_is_the_credentials() {
    let rig = rig(Limits::default());
    let reply = rig.send("/tick", Some("secret"), b"x").await;
    assert_eq!((reply.status, reply.header("x-tenant")), (204, Some("acme")));
    let signed = rig.send("/signed/7", None, b"x").await;
    assert_eq!((signed.status, signed.header("x-tenant")), (204, Some("acme")));
    assert_eq!(rig.send("/signed/7", None, b"forged").await.status, 401);
    assert_eq!(rig.send("/nothing", Some("secret"), b"x").await.status, 404);
}

#[tokio::test]
async fn a_method_that_no_route_takes_is_told_which_do_before_the_body_is_read() {
    let rig = rig(Limits::default());
    let ask = async |method, path, token| {
        let answer = rig.ask(method, path, token, Full::<Bytes>::default()).await;
        (answer.status, answer.header("allow").map(str::to_owned))
    };
    let allows = |methods: &str| (405, Some(methods.to_owned()));
    assert_eq!(ask(Method::PATCH, "/tick", Some("secret")).await, allows("GET, HEAD, POST, DELETE"));
    assert_eq!(ask(Method::GET, "/tick/7/", Some("secret")).await, allows("POST, PUT"));
    assert_eq!(ask(Method::PUT, "/signed/7", None).await, allows("POST"));
    assert_eq!(ask(Method::PATCH, "/tick", None).await, (401, None), "a stranger learns nothing");
    assert_eq!(rig.wires.reports()[0].totals.refused.get("method"), Some(&3));
    assert_eq!(rig.stored(), 0);
}

#[tokio::test]
async fn routes_of_one_path_have_handlers_and_rights_of_their_own_and_head_is_answered_as_get() {
    let rig = rig(Limits::default());
    let ask = async |method, path| rig.ask(method, path, Some("secret"), Full::<Bytes>::default()).await;
    let (get, head) = (ask(Method::GET, "/tick").await, ask(Method::HEAD, "/tick").await);
    assert_eq!((get.status, &get.body[..], &get), (200, &b"tick\n"[..], &head), "hyper leaves the body of HEAD out");
    assert_eq!(ask(Method::DELETE, "/tick").await.status, 403, "the credential may only send");
    assert_eq!(rig.stored(), 0);
    assert_eq!(ask(Method::POST, "/tick/").await.status, 204);
    assert_eq!(ask(Method::PUT, "/tick/7").await.status, 204);
    assert_eq!(rig.stored(), 2);
}

#[tokio::test]
async fn one_method_of_a_path_is_answered_once() {
    struct Twice;
    impl HttpHandler for Twice {
        fn routes(&self) -> Vec<Route<Twice>> {
            ["/a", "/a/"].map(|path| Route::get(path, |_, _| Reply::empty(204))).into()
        }
    }
    let rig = rig(Limits::default());
    let refused = rig.wires.replace(Limits::default(), vec![("twice", HttpWire::new(Arc::new(Twice)))]);
    let conflict = RouteError::Conflict { path: "/a/".to_owned(), first: "twice", second: "twice" };
    assert_eq!(refused, Err(conflict));
}

#[tokio::test]
async fn a_request_sent_again_is_answered_and_not_stored_twice() {
    let rig = rig(Limits::default());
    let first = rig.send("/tick", Some("secret"), b"same").await;
    let second = rig.send("/tick", Some("secret"), b"same").await;
    assert_eq!(first, second);
    assert_eq!(rig.stored(), 1);
    rig.send("/tick", Some("secret"), b"other").await;
    assert_eq!(rig.stored(), 2);
    assert_eq!(rig.wires.reports()[0].totals.duplicates, 1);
}

#[tokio::test]
async fn a_request_that_another_connection_is_storing_waits_for_what_becomes_of_it() {
    for becomes_durable in [true, false] {
        let rig = rig(Limits::default());
        let other = rig.intake.claims("acme");
        assert_eq!(other.take(request_key("acme", "/tick", b"same")), Claim::Ours);
        let sending = rig.send("/tick", Some("secret"), b"same");
        tokio::pin!(sending);
        let waits = tokio::time::timeout(Duration::from_millis(100), sending.as_mut()).await;
        assert!(waits.is_err(), "nobody knows yet");
        if becomes_durable {
            other.keep();
        }
        drop(other);
        assert_eq!(sending.await.status, 204);
        assert_eq!(rig.stored(), usize::from(!becomes_durable));
    }
}

#[tokio::test]
async fn a_request_that_is_being_stored_for_too_long_is_to_come_again() {
    let rig = rig(Limits::default());
    let other = rig.intake.claims("acme");
    other.take(request_key("acme", "/tick", b"same"));
    let reply = rig.send("/tick", Some("secret"), b"same").await;
    assert_eq!((reply.status, reply.header("retry-after"), rig.stored()), (503, Some("1"), 0));
}

#[tokio::test]
async fn a_full_journal_is_503_and_the_same_request_is_welcome_later() {
    let rig = rig(Limits::default());
    rig.shelf.full.store(true, Ordering::Relaxed);
    let refused = rig.send("/tick", Some("secret"), b"x").await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert_eq!(&refused.body[..], b"the journal is full; retry later\n", "paths and reasons are the operator's");
    assert!(rig.ticker.undone.load(Ordering::Relaxed));
    assert_eq!(rig.send("/readyz", None, b"").await.status, 503);
    assert_eq!(rig.send("/livez", None, b"").await.status, 200);
    rig.shelf.full.store(false, Ordering::Relaxed);
    assert_eq!(rig.send("/tick", Some("secret"), b"x").await.status, 204);
    assert_eq!(rig.send("/-/ready", None, b"").await.status, 200);
    assert_eq!(rig.stored(), 1);
}

#[tokio::test]
async fn readiness_comes_back_with_whatever_the_journal_takes_next() {
    let rig = rig(Limits::default());
    rig.shelf.full.store(true, Ordering::Relaxed);
    rig.send("/tick", Some("secret"), b"x").await;
    assert_eq!(rig.send("/-/ready", None, b"").await.status, 503);
    rig.shelf.full.store(false, Ordering::Relaxed);
    // No sender comes while we are not ready; the clock's ticks do.
    let other_source = rig.intake.clone();
    other_source.accept(&[Input::Tick(EventTime(1))], None).await.expect("the journal takes it");
    assert_eq!(rig.send("/-/ready", None, b"").await.status, 200);
}

#[tokio::test]
async fn metrics_show_other_listeners_within_their_families_and_what_else_there_is() {
    let rig = rig(Limits::default());
    let counters = Arc::new(WireCounters::default());
    counters.accept(5);
    rig.wires.show_others(vec![("statsd", counters)]);
    rig.wires.show_more(|| "engine_rows_total 7\n".to_owned());
    let page = rig.send("/metrics", None, b"").await.body;
    let page = std::str::from_utf8(&page).expect("text");
    let family = "bellwether_component_accepted_events_total";
    assert_eq!(page.matches(&format!("# TYPE {family} ")).count(), 1, "{page}");
    let own =
        page.lines().filter(|line| line.starts_with(family) && line.contains("\"statsd\"") && line.ends_with(" 5"));
    assert_eq!(own.count(), 1, "{page}");
    assert!(page.ends_with("\nengine_rows_total 7\n"), "{page}");
}

#[tokio::test]
async fn replaced_wires_answer_at_once_and_go_on_counting() {
    let rig = rig(Limits::default());
    assert_eq!(rig.send("/tick", Some("secret"), b"12345").await.status, 204);
    let limits = Limits { body_bytes_max: 4, ..Limits::default() };
    rig.wires.replace(limits, vec![("ticker", HttpWire::new(rig.ticker.clone()))]).expect("one wire");
    assert_eq!(rig.send("/tick", Some("secret"), b"123456").await.status, 413);
    assert_eq!(rig.send("/tick", Some("secret"), b"1234").await.status, 204);
    assert_eq!(rig.wires.reports()[0].totals.accepted, 2);
    let wire = || HttpWire::new(rig.ticker.clone());
    let twice = vec![("one", wire()), ("two", wire())];
    assert!(rig.wires.replace(Limits::default(), twice).is_err());
    assert_eq!(rig.send("/tick", Some("secret"), b"1234567").await.status, 413, "nothing has changed");
}

#[tokio::test]
async fn a_tap_needs_a_credential_and_a_source_that_is_there() {
    let rig = rig(Limits::default());
    let tap = |path: &str, token: Option<&'static str>| {
        let mut request = HttpRequest::get(path);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        request.body(Full::new(Bytes::new())).expect("plain request")
    };
    let status = async |path: &str, token| {
        let answer = rig.wires.answer(&rig.intake, tap(path, token), Sender::default()).await;
        answer.status().as_u16()
    };
    assert_eq!(status("/-/tap?source=ticker", None).await, 401);
    assert_eq!(status("/-/tap?source=tikcer", Some("secret")).await, 404);
    assert_eq!(status("/-/tap?source=ticker&tenant=other", Some("secret")).await, 403);
    assert_eq!(status("/-/tap?source=ticker&tenant=acme", Some("secret")).await, 200);
    assert_eq!(rig.send("/-/tap?source=ticker", Some("secret"), b"").await.status, 405);
}

#[tokio::test]
async fn only_an_operator_reloads() {
    let rig = rig(Limits::default());
    let refused = rig.send("/-/reload", Some("secret"), b"").await;
    assert_eq!(refused.status, 403, "there is no operator");
    assert!(String::from_utf8_lossy(&refused.body).contains("auth.operators"));
    let digest = |token: &str| sha256(&[token.as_bytes()]).iter().map(|b| format!("{b:02x}")).collect::<String>();
    let operator = crate::server::auth::Operator { bearer_sha256: Some(digest("boss")), ..Default::default() };
    rig.wires.auth.replace(&AuthConfig { operators: vec![operator], ..AuthConfig::default() }).expect("good");
    assert_eq!(rig.send("/-/reload", Some("secret"), b"").await.status, 401);
    assert_eq!(rig.send("/-/reload", Some("boss"), b"").await.status, 501, "nobody has said how");
}

#[tokio::test]
async fn a_body_that_grows_over_the_limit_is_413() {
    let rig = rig(Limits { body_bytes_max: 4, ..Limits::default() });
    assert_eq!(rig.send("/tick", Some("secret"), b"12345").await.status, 413);
    assert_eq!(rig.send("/tick", Some("secret"), b"1234").await.status, 204);
    let totals = rig.wires.reports().remove(0).totals;
    assert_eq!(totals.refused.get("too_large"), Some(&1));
}

#[tokio::test]
async fn without_a_free_place_the_sender_is_asked_to_come_back() {
    let rig = rig(Limits { requests_in_flight_max: 0, ..Limits::default() });
    let reply = rig.send("/tick", Some("secret"), b"x").await;
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("1")));
}

#[tokio::test]
async fn two_credentials_are_refused_whatever_they_are() {
    let rig = rig(Limits::default());
    for path in ["/tick", "/-/tap", "/-/reload"] {
        let request = HttpRequest::post(path).header("authorization", "Bearer secret");
        let request = request.header("authorization", "Bearer secret").body(Full::new(Bytes::new()));
        let answer = rig.wires.answer(&rig.intake, request.expect("a request"), Sender::default()).await;
        assert_eq!(answer.status(), 400, "{path}");
    }
    assert_eq!(rig.stored(), 0);
}

#[tokio::test]
async fn readiness_says_in_words_what_is_wrong() {
    let rig = rig(Limits { requests_in_flight_max: 1, ..Limits::default() });
    assert_eq!(rig.send("/-/ready", None, b"").await.status, 200);
    let holder = Holder { tenant: Some(acme().clone()), credential: 7 };
    let place = rig.wires.doors.places.take(&holder, crate::server::doors::Lane::Alerts).await;
    assert!(place.is_some());
    assert_eq!(rig.send("/tick", Some("secret"), b"x").await.status, 503);
    let full = rig.send("/-/ready", None, b"").await;
    assert_eq!(full.status, 503);
    assert!(String::from_utf8_lossy(&full.body).contains("requests_in_flight_max"));
    drop(place);
    rig.wires.ready_unless(|| vec!["the engine is 90 s behind".to_owned()]);
    let behind = rig.send("/-/ready", None, b"").await;
    assert_eq!((behind.status, &behind.body[..]), (503, &b"the engine is 90 s behind\n"[..]));
}

#[tokio::test]
async fn two_wires_on_one_path_are_refused_by_name() {
    let rig = rig(Limits::default());
    let wire = || HttpWire::new(Arc::new(Ticker::default()));
    let conflict = HttpRouter::new(rig.wires.auth.clone(), Limits::default(), vec![("one", wire()), ("two", wire())]);
    let text = conflict.err().expect("same paths").to_string();
    assert!(text.contains("`one`") && text.contains("`two`"), "{text}");
}
