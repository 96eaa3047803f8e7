//! How the page looks and follows: live, after a restart, without a script, on a telephone, with keys alone.

use super::browser::{Browser, Kind, wait_for};
use super::service::Service;
use super::{driver, incident, serve, sign_in};

/// Whether anything is wider than the window.
fn overflows(browser: &Browser<'_>) -> bool {
    let script = "return document.scrollingElement.scrollWidth > window.innerWidth + 1";
    browser.run(script).as_bool().expect("an answer")
}

#[test]
fn what_happens_appears_by_itself_and_a_restart_is_no_end() {
    let Some(driver) = driver() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let (mut service, http) = serve(folder.path());
    let browser = driver.open(Kind::default());
    sign_in(&browser, http, "Ana");
    browser.says(".state", "All quiet.");
    browser.says("#live", "live");
    browser.run("window.stays = 'here'");
    let first = incident(&service, "db-1", &["DiskFull"]);
    wait_for("it appears", || !browser.all(&format!("tr[data-row='{first}']")).is_empty());
    browser.says(".state", "1 incident open");
    assert_eq!(browser.run("return window.stays"), "here", "the page was not loaded anew");

    service.stop();
    browser.says("#live", "reconnecting");
    let service = Service::run(folder.path(), http);
    browser.says("#live", "live");
    let second = incident(&service, "web-7", &["LinkDown"]);
    wait_for("the next appears", || !browser.all(&format!("tr[data-row='{second}']")).is_empty());
    assert!(!browser.all(&format!("tr[data-row='{first}']")).is_empty(), "what was told before is known");
    assert_eq!(browser.run("return window.stays"), "here", "nobody has to sign in again");
}

#[test]
fn everything_is_there_without_a_script() {
    let Some(driver) = driver() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let (service, http) = serve(folder.path());
    let id = incident(&service, "db-1", &["DiskFull"]);
    let browser = driver.open(Kind { script: false, ..Kind::default() });
    sign_in(&browser, http, "Ana");
    browser.says("main", "Without its script");
    browser.click("a.title");
    wait_for("the incident is shown", || browser.url().ends_with(&id));
    browser.says("h1", "DiskFull");
    browser.click("form[action$='/acknowledge'] button");
    browser.says(".notice", "You have it.");
    browser.click("header a[href='/page/incidents']");
    browser.write("#q", "db-1");
    browser.click("form[role=search] button");
    browser.says("main table", "DiskFull");
}

#[test]
fn every_page_fits_a_telephone_and_keeps_its_policy() {
    let Some(driver) = driver() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let (service, http) = serve(folder.path());
    let id = incident(&service, "db-1", &["DiskFull", "DiskSlow"]);
    for width in [360, 2_560] {
        let browser = driver.open(Kind { width, height: 800, ..Kind::default() });
        sign_in(&browser, http, "Ana");
        let pages = [
            "/page",
            "/page/incidents",
            "/page/silences",
            "/page/forecasts",
            &format!("/page/incidents/{id}"),
            "/page/nowhere",
        ];
        for page in pages {
            browser.go(&format!("http://{http}{page}"));
            assert!(!overflows(&browser), "{page} at {width}");
        }
        let complaints = browser.complaints();
        let own: Vec<_> = complaints.iter().filter(|line| !line.contains("404")).collect();
        assert!(own.is_empty(), "{own:?}");
    }
}

#[test]
fn everything_can_be_done_with_keys_alone() {
    let Some(driver) = driver() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let (service, http) = serve(folder.path());
    let id = incident(&service, "db-1", &["DiskFull"]);
    incident(&service, "web-7", &["LinkDown"]);
    let browser = driver.open(Kind::default());
    sign_in(&browser, http, "Ana");
    wait_for("both are there", || browser.all("tr[data-row]").len() == 2);
    let enter = "\u{e007}";
    browser.keys("?");
    wait_for("the keys are shown", || !browser.all("dialog[open]").is_empty());
    browser.keys(enter);
    wait_for("they are closed", || browser.all("dialog[open]").is_empty());
    browser.keys("jjk");
    let marked = browser.run("return document.querySelector('tr.at').dataset.row");
    browser.keys(enter);
    wait_for("it is opened", || browser.url().ends_with(marked.as_str().expect("an id")));
    browser.keys("a");
    browser.keys(enter);
    browser.says(".notice", "You have it.");
    browser.keys("gi");
    wait_for("the list is shown", || browser.url().ends_with("/page/incidents"));
    browser.keys("/");
    browser.keys("db-1");
    browser.keys(enter);
    wait_for("one is found", || browser.all("tr[data-row]").len() == 1);
    assert_eq!(browser.run("return document.querySelector('tr[data-row]').dataset.row"), id.as_str());
    browser.keys("gn");
    wait_for("back at the beginning", || browser.url().ends_with("/page"));
}
