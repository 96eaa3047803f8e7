//! Pictures of every page, dark and light, wide and narrow: to be looked at. `make screenshots` makes them.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::browser::{Browser, Kind};
use super::driver;
use super::service::free_address;

/// What is served for the pictures.
struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Serves the page of what a folder knows.
fn page_of(folder: &Path) -> (Served, String) {
    let listen = free_address().to_string();
    let mut child = Command::new(env!("CARGO_BIN_EXE_bellwether"))
        .args(["page", "--from", &folder.display().to_string(), "--listen", &listen])
        .stdout(Stdio::piped())
        .env("NO_COLOR", "1")
        .spawn()
        .expect("the program starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("it says where");
    let address = line.split_whitespace().next().expect("an address").to_owned();
    (Served(child), address)
}

/// Plays a story, and stops it when so many incidents are open.
fn cut(story: &str, open: usize, out: &Path) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_bellwether"))
        .args(["demo", story, "--no-nats", "--seconds", "40", "--out", &out.display().to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .env("NO_COLOR", "1")
        .spawn()
        .expect("the program starts");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
    let opened = lines.filter(|line| line.contains("  opened  ")).take(open).count();
    assert_eq!(opened, open, "the story has so many at once");
    // A checkpoint is written every two seconds.
    std::thread::sleep(Duration::from_secs(4));
    child.kill().and_then(|()| child.wait()).expect("it ends");
}

fn shoot(browser: &Browser<'_>, out: &Path, name: &str) {
    let path = out.join(format!("{name}.png"));
    browser.picture(&path);
    println!("{}", path.display());
}

#[test]
#[ignore = "makes pictures for people: make screenshots"]
fn screenshots() {
    let Some(driver) = driver() else { return };
    let out = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo-out/screenshots");
    std::fs::create_dir_all(&out).expect("made");
    for story in ["database-network-change", "msp"] {
        let open = if story == "msp" { 3 } else { 1 };
        cut(story, open, &out);
        let (_served, address) = page_of(&out.join(story));
        for (theme, dark) in [("light", false), ("dark", true)] {
            for (size, width, height) in [("wide", 1_440, 1_000), ("narrow", 360, 740)] {
                let browser = driver.open(Kind { dark, width, height, ..Kind::default() });
                let pages =
                    ["", "incidents", "silences", "forecasts", "entities", "alerts", "changes", "logs", "problems"];
                for page in pages.into_iter().chain(["models", "audit", "reports"]) {
                    let (name, path) = match page {
                        "" => ("now", String::new()),
                        page => (page, format!("/{page}")),
                    };
                    browser.go(&format!("{address}{path}"));
                    shoot(&browser, &out, &format!("{story}-{name}-{theme}-{size}"));
                }
                browser.go(&format!("{address}/incidents"));
                browser.click("a.title");
                super::browser::wait_for("the incident is shown", || browser.url().contains("/incidents/"));
                shoot(&browser, &out, &format!("{story}-incident-{theme}-{size}"));
                browser.go(&format!("{address}/entities"));
                browser.click("a.title");
                super::browser::wait_for("the entity is shown", || browser.url().contains("/page/entity?"));
                shoot(&browser, &out, &format!("{story}-entity-{theme}-{size}"));
            }
        }
    }
}
