//! What must not be possible: scripts in names, forms of other sites, other tenants' incidents, pages in frames, paths out
//! of the page.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use serde_json::json;

use super::browser::Kind;
use super::service::{OPERATOR, Service, TICKETING, TOKEN, wait_until};
use super::{driver, incident, serve, sign_in};

/// One request with these heads, and the whole answer.
fn raw(http: SocketAddr, method: &str, path: &str, heads: &[(&str, &str)], body: &str) -> String {
    let mut stream = TcpStream::connect(http).expect("it listens");
    let host = if heads.iter().any(|(name, _)| *name == "host") { String::new() } else { format!("host: {http}\r\n") };
    let heads: String = heads.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let form = "content-type: application/x-www-form-urlencoded\r\n";
    let text = format!(
        "{method} {path} HTTP/1.1\r\n{host}connection: close\r\n{form}content-length: {}\r\n{heads}\r\n{body}",
        body.len()
    );
    stream.write_all(text.as_bytes()).expect("it reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("it answers");
    String::from_utf8_lossy(&answer).into_owned()
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
}

fn head<'a>(answer: &'a str, name: &str) -> &'a str {
    let heads = answer.split("\r\n\r\n").next().unwrap_or_default();
    let value = heads.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
    value.unwrap_or_default()
}

/// A cookie of somebody who has signed in, and a token of one of their forms.
fn signed_in(http: SocketAddr, secret: &str, page: &str) -> (String, String) {
    let answer = raw(http, "POST", "/page/sign-in", &[], &format!("who=Ana&secret={secret}&next=/page"));
    assert_eq!(status(&answer), 303, "{answer}");
    let cookie = head(&answer, "set-cookie").split(';').next().expect("a cookie").to_owned();
    let page = raw(http, "GET", page, &[("cookie", &cookie)], "");
    let token = page.split("name=\"token\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
    (cookie, token.unwrap_or_default().to_owned())
}

#[test]
fn what_senders_call_things_is_text_and_nothing_else() {
    let Some(driver) = driver() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let (service, http) = serve(folder.path());
    let evil = [
        "<script>window.hit=1</script>",
        "\"><img src=x onerror=window.hit=1>",
        "'-window.hit=1-'",
        "</title><svg onload=window.hit=1>",
        "pay\u{202e}lap\u{200b}",
    ];
    let alert = |name: &&str| {
        let labels =
            json!({"alertname": name, "instance": "db-1:9100", "job": name, "severity": "critical", "cluster": name});
        let annotations = json!({"summary": name, "description": name, "runbook_url": "javascript:window.hit=1"});
        json!({"labels": labels, "annotations": annotations, "generatorURL": "javascript:window.hit=1"})
    };
    let body = serde_json::Value::Array(evil.iter().map(alert).collect()).to_string();
    assert!(service.ask("POST", "/api/v2/alerts", TOKEN, &body).expect("an answer").status < 300);
    wait_until("it is an incident", || !service.records().is_empty());
    let id = service.records()[0]["record"]["id"].as_str().expect("an id").to_owned();
    let browser = driver.open(Kind::default());
    sign_in(&browser, http, "<b onmouseover=window.hit=1>Eve\u{202e}");
    browser.go(&format!("http://{http}/page/incidents/{id}"));
    browser.write(
        "form[action$='/comment'] textarea",
        "<script>window.hit=1</script><a href=javascript:window.hit=1>x</a>",
    );
    browser.click("form[action$='/comment'] button");
    browser.says(".story", "<script>window.hit=1</script>");
    let query = "q=%22%3E%3Cscript%3Ewindow.hit=1%3C/script%3E&alert=%3Cscript%3E&done=%3Cscript%3E&next=javascript:window.hit=1";
    for page in ["/page", "/page/incidents", "/page/silences", "/page/sign-in", &format!("/page/incidents/{id}")] {
        browser.go(&format!("http://{http}{page}?{query}"));
        assert_eq!(browser.run("return window.hit || 0"), 0, "{page}");
        assert_eq!(
            browser.run(
                "return document.querySelectorAll('main script, main img, [onerror], [onload], [onmouseover]').length"
            ),
            0,
            "{page}"
        );
        assert_eq!(
            browser.run("return [...document.links].filter(link => !/^https?:/.test(link.href)).length"),
            0,
            "{page}"
        );
        let shown = browser.run("return document.title + document.body.innerText");
        assert!(!shown.as_str().expect("a text").contains(['\u{202e}', '\u{200b}']), "{page}");
    }
    assert!(
        browser.text("#alerts + .scroll, section[aria-labelledby=alerts]").contains("<U+202E>"),
        "what turns text is shown"
    );
}

#[test]
fn a_form_of_another_site_does_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let (service, http) = serve(folder.path());
    let id = incident(&service, "db-1", &["DiskFull"]);
    let page = format!("/page/incidents/{id}");
    wait_until("the page knows it", || {
        let (cookie, _) = signed_in(http, TICKETING, &page);
        status(&raw(http, "GET", &page, &[("cookie", &cookie)], "")) == 200
    });
    let (cookie, token) = signed_in(http, TICKETING, &page);
    let (other, _) = signed_in(http, TICKETING, &page);
    let path = format!("{page}/acknowledge");
    let post = |cookie: &str, token: &str, heads: &[(&str, &str)]| {
        let heads: Vec<(&str, &str)> = heads.iter().copied().chain([("cookie", cookie)]).collect();
        status(&raw(http, "POST", &path, &heads, &format!("token={token}&seen=1")))
    };
    assert_eq!(post(&cookie, "", &[]), 403, "no token");
    assert_eq!(post(&other, &token, &[]), 403, "the token of another session");
    assert_eq!(post(&cookie, &token, &[("origin", "https://evil.example")]), 403, "from another site");
    assert_eq!(post(&cookie, &token, &[("origin", "null")]), 403, "from nowhere");
    assert_eq!(post(&cookie, &token, &[("sec-fetch-site", "cross-site")]), 403);
    assert_eq!(post("bellwether_session=forged.forged", &token, &[]), 303, "to sign in");
    assert_eq!(service.records().last().expect("told")["record"]["status"], "open", "nothing was done");
    assert_eq!(post(&cookie, &token, &[]), 303, "the form itself");
    let out = raw(http, "POST", "/page/sign-out", &[("cookie", &cookie)], &format!("token={token}"));
    assert!(head(&out, "set-cookie").contains("Max-Age=0"), "{out}");
    assert_eq!(status(&raw(http, "GET", "/page", &[("cookie", &cookie)], "")), 303, "it is signed out");
}

#[test]
fn nobody_sees_or_does_what_is_anothers() {
    let folder = tempfile::tempdir().expect("a folder");
    let (service, http) = serve(folder.path());
    let id = incident(&service, "db-1", &["DiskFull"]);
    // Another tenant with a credential of its own.
    let text = std::fs::read_to_string(&service.config).expect("reads");
    let more = "{tenant: beta, name: Beth, bearer_sha256: '";
    let digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let text = text.replacen("{credentials: [", &format!("{{credentials: [{more}{digest}', may: [act]}}, "), 1);
    std::fs::write(&service.config, text).expect("written");
    assert_eq!(service.ask("POST", "/-/reload", OPERATOR, "").expect("an answer").status, 200);
    let page = format!("/page/incidents/{id}");
    let get = |token: &str, path: &str| raw(http, "GET", path, &[("authorization", &format!("Bearer {token}"))], "");
    wait_until("its own tenant sees it", || status(&get(TICKETING, &page)) == 200);
    assert_eq!(status(&get(OPERATOR, &page)), 200, "who runs the service sees all");
    assert_eq!(status(&get("test", &page)), 404, "another tenant does not");
    for path in [
        format!("{page}?tenant=acme"),
        format!("{page}/post-mortem.md"),
        format!("/page/incidents?q={id}&tenant=acme"),
        "/page".to_owned(),
        "/page/silences?tenant=acme".to_owned(),
    ] {
        let shown = get("test", &path);
        assert!(!shown.contains("DiskFull") && !shown.contains("host:db-1"), "{path}");
    }
    let forged = raw(
        http,
        "GET",
        &page,
        &[("authorization", "Bearer test"), ("x-tenant", "acme"), ("x-scope-orgid", "acme")],
        "",
    );
    assert_eq!(status(&forged), 404, "a header names no tenant");
    let (cookie, token) = signed_in(http, "test", "/page/silences");
    let act = raw(
        http,
        "POST",
        &format!("{page}/resolve"),
        &[("cookie", &cookie)],
        &format!("token={token}&seen=1&tenant=acme"),
    );
    assert_eq!(status(&act), 404, "it is not theirs to resolve");
    assert!(raw(http, "GET", "/page", &[("cookie", &cookie)], "").contains("Beth"), "the configuration says who it is");
    assert_eq!(status(&get("test", "/page/system")), 404);
    assert_eq!(status(&get(OPERATOR, "/page/system")), 200);
    // The token that sends may look and do nothing.
    let (cookie, _) = signed_in(http, TOKEN, "/page");
    let looked = raw(http, "GET", &page, &[("cookie", &cookie)], "");
    assert!(status(&looked) == 200 && !looked.contains("/acknowledge"), "{looked}");
    // A credential that is taken away signs out who has it.
    let text = std::fs::read_to_string(&service.config).expect("reads").replacen(digest, &"0".repeat(64), 1);
    std::fs::write(&service.config, text).expect("written");
    let (beth, _) = signed_in(http, "test", "/page");
    assert_eq!(service.ask("POST", "/-/reload", OPERATOR, "").expect("an answer").status, 200);
    assert_eq!(status(&raw(http, "GET", "/page", &[("cookie", &beth)], "")), 303);
}

#[test]
fn every_answer_is_kept_out_of_frames_and_runs_nothing_of_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_service, http) = serve(folder.path());
    let (cookie, _) = signed_in(http, TICKETING, "/page");
    let paths = [
        "/page",
        "/page/incidents",
        "/page/silences",
        "/page/forecasts",
        "/page/sign-in",
        "/page/nowhere",
        "/page/incidents/%3Cscript%3E",
        "/",
    ];
    for path in paths {
        let answer = raw(http, "GET", path, &[("cookie", &cookie)], "");
        let policy = head(&answer, "content-security-policy");
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert_eq!(head(&answer, "x-frame-options"), "DENY", "{path}");
        assert_eq!(head(&answer, "x-content-type-options"), "nosniff", "{path}");
        assert!(!answer.contains(" style=") && !answer.contains("javascript:"), "{path}");
    }
    for path in [
        "/page/../state/page-key",
        "/page/assets/../../state/page-key",
        "/page/assets/%2e%2e/%2e%2e/Cargo.toml",
        "/page/assets//etc/passwd",
        "/page/incidents/../../metrics",
    ] {
        let answer = raw(http, "GET", path, &[("cookie", &cookie)], "");
        assert_eq!(status(&answer), 404, "{path}");
    }
    let cookie = raw(http, "POST", "/page/sign-in", &[], &format!("who=Ana&secret={TICKETING}"));
    let cookie = head(&cookie, "set-cookie");
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict") && !cookie.contains("Secure"),
        "{cookie}"
    );
    let behind = raw(http, "POST", "/page/sign-in", &[("host", "bw.example")], &format!("who=Ana&secret={TICKETING}"));
    assert!(head(&behind, "set-cookie").contains("; Secure"), "{behind}");
    let away = raw(http, "POST", "/page/sign-in", &[], &format!("who=Ana&secret={TICKETING}&next=//evil.example"));
    assert_eq!(head(&away, "location"), "/page");
}

#[test]
fn who_guesses_tokens_is_answered_slower_and_then_not_at_all() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_service, http) = serve(folder.path());
    let guess = || status(&raw(http, "POST", "/page/sign-in", &[], "who=Eve&secret=guess"));
    let answers: Vec<u16> = (0..22).map(|_| guess()).collect();
    assert!(answers[..20].iter().all(|status| *status == 401) && answers[21] == 429, "{answers:?}");
    let good = raw(http, "POST", "/page/sign-in", &[], &format!("who=Eve&secret={TICKETING}"));
    assert_eq!(status(&good), 429, "not even the right one");
}

#[test]
fn at_this_machine_nobody_has_to_say_who_they_are_and_a_name_that_leads_here_is_not_this_machine() {
    let folder = tempfile::tempdir().expect("a folder");
    let http = super::free_address();
    let config = Service::configure(folder.path(), http, "", super::WIRES);
    let text = std::fs::read_to_string(&config).expect("reads").replacen(
        "{credentials:",
        "{anonymous_tenant: acme, credentials:",
        1,
    );
    std::fs::write(&config, text).expect("written");
    let _service = Service::run(folder.path(), http);
    let here = raw(http, "GET", "/page", &[], "");
    assert!(status(&here) == 200 && head(&here, "set-cookie").contains("bellwether_session="), "{here}");
    let rebound = raw(http, "GET", "/page", &[("host", "evil.example:9099")], "");
    assert_eq!(status(&rebound), 303, "to sign in");
    let cookie = head(&here, "set-cookie").split(';').next().expect("a cookie").to_owned();
    let rebound = raw(http, "GET", "/page", &[("host", "evil.example:9099"), ("cookie", &cookie)], "");
    assert_eq!(status(&rebound), 303, "also with a cookie from before");
}
