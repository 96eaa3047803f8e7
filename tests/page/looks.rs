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
            "/page/entities",
            "/page/entity?name=host%3Adb-1",
            "/page/alerts?state=any",
            "/page/changes",
            "/page/logs",
            "/page/problems",
            "/page/reports",
            "/page/models",
            "/page/audit",
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

/// Each text that stands out too little from what is behind it, as WCAG 2.2 measures: 4.5, or 3 where it is large.
const FAINT: &str = r#"
const channel = c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
const read = text => (text.match(/[\d.]+/g) || []).map(Number);
const over = ([r, g, b, a = 1], under) => [r, g, b].map((c, i) => c * a + under[i] * (1 - a));
const behind = element => {
  if (!element) return [255, 255, 255];
  const own = read(getComputedStyle(element).backgroundColor);
  return own[3] === 0 ? behind(element.parentElement) : over(own, behind(element.parentElement));
};
const faint = [];
for (const element of document.querySelectorAll('body *:not(svg *)')) {
  const said = [...element.childNodes].filter(n => n.nodeType === 3).map(n => n.data.trim()).join('');
  if (!said || !element.checkVisibility()) continue;
  const style = getComputedStyle(element), back = behind(element);
  const [a, b] = [light(over(read(style.color), back)), light(back)].sort((x, y) => y - x);
  const size = parseFloat(style.fontSize);
  const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
  const ratio = (a + 0.05) / (b + 0.05);
  if (ratio < (large ? 3 : 4.5)) faint.push(`${ratio.toFixed(2)} ${element.tagName}.${element.className}: ${said.slice(0, 40)}`);
}
return faint;
"#;

#[test]
fn every_text_stands_out_from_what_is_behind_it_in_both_themes() {
    let Some(driver) = driver() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let (service, http) = serve(folder.path());
    let id = incident(&service, "db-1", &["DiskFull", "DiskSlow"]);
    for dark in [false, true] {
        let browser = driver.open(Kind { dark, ..Kind::default() });
        browser.go(&format!("http://{http}/page"));
        assert_eq!(browser.run(FAINT), serde_json::json!([]), "sign in, dark: {dark}");
        sign_in(&browser, http, "Ana");
        let estate =
            ["/entities", "/entity?name=host%3Adb-1", "/alerts?state=any", "/logs", "/models", "/audit", "/reports"];
        let pages = ["", "/incidents", "/silences", "/forecasts", &format!("/incidents/{id}"), "/nowhere"];
        for page in pages.into_iter().chain(estate) {
            browser.go(&format!("http://{http}/page{page}"));
            assert_eq!(browser.run(FAINT), serde_json::json!([]), "/page{page}, dark: {dark}");
        }
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
