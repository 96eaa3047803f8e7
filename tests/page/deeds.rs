//! What people do on the page is done: each deed by its form, and two people at once are told of each other.

use std::net::SocketAddr;

use super::browser::{Browser, Kind, wait_for};
use super::service::Service;
use super::{driver, incident, serve, sign_in};

/// The newest record of an incident.
fn newest(service: &Service, id: &str) -> serde_json::Value {
    let records = service.records();
    let found = records.iter().rfind(|line| line["record"]["id"] == id).expect("it was told");
    found["record"].clone()
}

fn press(browser: &Browser<'_>, http: SocketAddr, id: &str, deed: &str) {
    browser.go(&format!("http://{http}/page/incidents/{id}"));
    browser.click(&format!("form[action$='/{deed}'] button"));
}

#[test]
fn each_deed_is_done_and_told_with_who_did_it() {
    let Some(driver) = driver() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let (service, http) = serve(folder.path());
    let id = incident(&service, "db-1", &["DiskFull", "DiskSlow"]);
    let other = incident(&service, "web-7", &["LinkDown"]);
    let browser = driver.open(Kind::default());
    sign_in(&browser, http, "Ana Ω");
    let status = |id: &str, wanted: &str| {
        wait_for(&format!("it is {wanted}"), || newest(&service, id)["status"] == wanted);
    };

    press(&browser, http, &id, "acknowledge");
    browser.says(".notice", "You have it.");
    status(&id, "acknowledged");
    assert_eq!(newest(&service, &id)["owner"]["assignee"], "Ana Ω");
    browser.says(".story", "Ana Ω takes it");

    browser.go(&format!("http://{http}/page/incidents/{id}"));
    browser.write("form[action$='/comment'] textarea", "The disk of db-1\nis being replaced.");
    browser.click("form[action$='/comment'] button");
    browser.says(".story", "is being replaced");

    browser.run("document.querySelector(\"form[action$='/assign'] input[name=to]\").value = 'Ben'");
    browser.click("form[action$='/assign'] button");
    browser.says(".head", "by Ben");
    browser.says(".story", "gives it to Ben");

    browser.go(&format!("http://{http}/page/incidents/{id}"));
    browser.write("form[action$='/cause'] input[name=other]", "change:firmware-7");
    browser.click(".deeds form[action$='/cause'] button");
    browser.says(".story", "names the cause change:firmware-7");

    press(&browser, http, &id, "resolve");
    status(&id, "resolved");
    press(&browser, http, &id, "reopen");
    status(&id, "open");
    press(&browser, http, &id, "false_positive");
    status(&id, "resolved");
    assert_eq!(newest(&service, &id)["status_reason"], "false_positive");
    press(&browser, http, &id, "close");
    status(&id, "closed");

    let third = incident(&service, "web-8", &["CertificateExpiresSoon"]);
    browser.go(&format!("http://{http}/page/incidents/{third}"));
    browser.run(&format!("document.querySelector('select[name=into]').value = '{other}'"));
    browser.click("form[action$='/merge'] button");
    status(&third, "merged");
    assert_eq!(newest(&service, &third)["merged_into"], other.as_str());

    browser.go(&format!("http://{http}/page/incidents/{other}"));
    browser.run("const choice = document.querySelector('select[name=alert]'); choice.value = choice.options[1].value");
    browser.click("form[action$='/detach'] button");
    wait_for("it is split", || {
        let told =
            |line: &serde_json::Value| line["subject"].as_str().is_some_and(|subject| subject.contains(".split."));
        service.records().iter().any(told)
    });

    browser.go(&format!("http://{http}/page/silences"));
    browser.write("input[name=entity]", "host:web-9");
    browser.write("input[name=why]", "new cables");
    browser.click(".deeds button");
    browser.says("main table", "entity = 'host:web-9'");
    browser.says("main table", "new cables");
    browser.click("tr[data-row] button");
    browser.says("main table", "over since");
}

#[test]
fn two_people_at_once_are_told_of_each_other() {
    let Some(driver) = driver() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let (service, http) = serve(folder.path());
    let id = incident(&service, "db-1", &["DiskFull"]);
    // What nobody's script refreshes stays as it was when it was read.
    let (ana, ben) = (driver.open(Kind { script: false, ..Kind::default() }), driver.open(Kind::default()));
    sign_in(&ana, http, "Ana");
    sign_in(&ben, http, "Ben");
    ana.go(&format!("http://{http}/page/incidents/{id}"));
    press(&ben, http, &id, "acknowledge");
    wait_for("Ben has it", || newest(&service, &id)["owner"]["assignee"] == "Ben");
    wait_for("the page knows", || {
        ben.go(&format!("http://{http}/page/incidents/{id}"));
        ben.text(".head").contains("acknowledged")
    });
    ana.click("form[action$='/resolve'] button");
    ana.says(".notice.wrong", "It has changed since you looked");
    ana.says(".notice.wrong", "Ben has it");
    assert_eq!(newest(&service, &id)["status"], "acknowledged", "nothing was done yet");
    ana.click(".notice.wrong button");
    wait_for("it is resolved", || newest(&service, &id)["status"] == "resolved");
}
