//! The page in a real browser, beside the running program: what people see and do, and what must not be possible.

// Nothing interrupts a waiting test; the pictures say where they are.
#![allow(clippy::disallowed_methods, clippy::print_stdout)]

#[path = "../service/mod.rs"]
mod service;
#[path = "../support/skipped.rs"]
mod skipped;

mod browser;
mod deeds;
mod estate;
mod guarded;
mod interface;
mod looks;
mod pictures;

use std::net::SocketAddr;
use std::path::Path;

use browser::{Browser, Driver};
use service::{Service, TICKETING, free_address, wait_until};

/// What the page needs beside itself.
const WIRES: &str = "  alertmanager: {}\n  actions: {}\npage: {}\n";

/// A browser's driver; skips loudly where there is none.
fn driver() -> Option<Driver> {
    let root = browser::installed();
    if root.is_none() {
        skipped::skipped("`make browser` unpacks Chromium and its driver");
    }
    root.map(Driver::start)
}

/// The service with a page, in `folder`.
fn serve(folder: &Path) -> (Service, SocketAddr) {
    let http = free_address();
    Service::configure(folder, http, "", WIRES);
    (Service::run(folder, http), http)
}

/// Tells alerts of a host, and waits until they are an incident; answers its id.
fn incident(service: &Service, host: &str, names: &[&str]) -> String {
    assert!(service.alert(service::TOKEN, host, names).status < 300);
    let of_host =
        |record: &serde_json::Value| record["record"]["primary_entity"]["id"].as_str() == Some(&format!("host:{host}"));
    wait_until("it is an incident", || service.records().iter().any(of_host));
    let records = service.records();
    let found = records.iter().rfind(|record| of_host(record)).expect("there is one");
    found["record"]["id"].as_str().expect("an id").to_owned()
}

/// Signs in with the ticketing credential, which may act.
fn sign_in(browser: &Browser<'_>, http: SocketAddr, name: &str) {
    browser.go(&format!("http://{http}/page"));
    assert!(browser.url().contains("/page/sign-in"), "{}", browser.url());
    browser.write("#who", name);
    browser.write("#secret", TICKETING);
    browser.click("main button.main");
    browser::wait_for("the page is shown", || browser.url().ends_with("/page"));
}
