//! A real browser: Chromium by its driver, spoken to in plain HTTP as WebDriver says (W3C, Level 2).

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::service::{free_address, wait_until};

/// Longest wait for anything on a page.
const PATIENCE: Duration = Duration::from_secs(30);
/// The key under which WebDriver names an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Where `make browser` unpacks it; `None` where that was not done.
pub(crate) fn installed() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools/browser/root");
    root.join("usr/bin/chromedriver").is_file().then_some(root)
}

/// The driver's process; it ends with its browsers.
pub(crate) struct Driver {
    child: Child,
    at: SocketAddr,
    root: PathBuf,
    _home: tempfile::TempDir,
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a browser is to be.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) dark: bool,
    pub(crate) script: bool,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

impl Default for Kind {
    fn default() -> Kind {
        Kind { dark: false, script: true, width: 1_280, height: 900 }
    }
}

/// One browser with one window, and cookies of its own.
pub(crate) struct Browser<'d> {
    driver: &'d Driver,
    session: String,
}

impl Drop for Browser<'_> {
    fn drop(&mut self) {
        let _ = request(self.driver.at, "DELETE", &format!("/session/{}", self.session), None);
    }
}

impl Driver {
    pub(crate) fn start(root: PathBuf) -> Driver {
        let (at, home) = (free_address(), tempfile::tempdir().expect("a folder"));
        let libraries = root.join(format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH));
        let child = Command::new(root.join("usr/bin/chromedriver"))
            .arg(format!("--port={}", at.port()))
            .env("LD_LIBRARY_PATH", format!("{}:{}", libraries.display(), libraries.join("pulseaudio").display()))
            .env("HOME", home.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the driver starts");
        wait_until("the driver listens", || TcpStream::connect(at).is_ok());
        Driver { child, at, root, _home: home }
    }

    pub(crate) fn open(&self, kind: Kind) -> Browser<'_> {
        // What runs as root in a container has no sandbox of its own.
        let mut arguments = vec![
            "--headless=new".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--hide-scrollbars".to_owned(),
            format!("--window-size={},{}", kind.width, kind.height),
        ];
        if kind.dark {
            arguments.push("--blink-settings=preferredColorScheme=0".to_owned());
        }
        let script = if kind.script { 1 } else { 2 };
        let capabilities = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "pageLoadStrategy": "normal",
            "goog:chromeOptions": {
                "binary": self.root.join("usr/lib/chromium/chromium"),
                "args": arguments,
                "prefs": {"profile.managed_default_content_settings.javascript": script},
            },
        }}});
        let opened = ask(self.at, "POST", "/session", Some(&capabilities));
        let session = opened["sessionId"].as_str().expect("a session").to_owned();
        let browser = Browser { driver: self, session };
        // Headless windows have a least width; a page's own is set like this.
        let screen = json!({"cmd": "Emulation.setDeviceMetricsOverride", "params": {
            "width": kind.width, "height": kind.height, "deviceScaleFactor": 1, "mobile": kind.width < 500}});
        browser.post("/goog/cdp/execute", &screen);
        let scheme = if kind.dark { "dark" } else { "light" };
        let media = json!({"cmd": "Emulation.setEmulatedMedia", "params": {"features": [{"name": "prefers-color-scheme", "value": scheme}]}});
        browser.post("/goog/cdp/execute", &media);
        browser
    }
}

impl Browser<'_> {
    fn path(&self, rest: &str) -> String {
        format!("/session/{}{rest}", self.session)
    }

    fn post(&self, rest: &str, body: &Value) -> Value {
        ask(self.driver.at, "POST", &self.path(rest), Some(body))
    }

    fn get(&self, rest: &str) -> Value {
        ask(self.driver.at, "GET", &self.path(rest), None)
    }

    pub(crate) fn go(&self, url: &str) {
        self.post("/url", &json!({"url": url}));
    }

    pub(crate) fn url(&self) -> String {
        self.get("/url").as_str().expect("an address").to_owned()
    }

    /// What a script on the page answers.
    pub(crate) fn run(&self, script: &str) -> Value {
        self.post("/execute/sync", &json!({"script": script, "args": []}))
    }

    /// The elements that a selector finds.
    pub(crate) fn all(&self, selector: &str) -> Vec<String> {
        let found = self.post("/elements", &json!({"using": "css selector", "value": selector}));
        let found = found.as_array().cloned().unwrap_or_default();
        found.iter().filter_map(|one| Some(one[ELEMENT].as_str()?.to_owned())).collect()
    }

    /// The first that a selector finds, as soon as there is one.
    pub(crate) fn one(&self, selector: &str) -> String {
        let mut found = Vec::new();
        wait_for(&format!("`{selector}` is on the page"), || {
            found = self.all(selector);
            !found.is_empty()
        });
        found.swap_remove(0)
    }

    pub(crate) fn text(&self, selector: &str) -> String {
        let element = self.one(selector);
        // It may have been replaced since.
        let text = request(self.driver.at, "GET", &self.path(&format!("/element/{element}/text")), None);
        text["value"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn click(&self, selector: &str) {
        let element = self.one(selector);
        self.post(&format!("/element/{element}/click"), &json!({}));
    }

    pub(crate) fn write(&self, selector: &str, text: &str) {
        let element = self.one(selector);
        self.post(&format!("/element/{element}/value"), &json!({"text": text}));
    }

    /// Presses keys where the focus is.
    pub(crate) fn keys(&self, keys: &str) {
        let press = |key: char| {
            [json!({"type": "keyDown", "value": key.to_string()}), json!({"type": "keyUp", "value": key.to_string()})]
        };
        let actions: Vec<Value> = keys.chars().flat_map(press).collect();
        self.post("/actions", &json!({"actions": [{"type": "key", "id": "keys", "actions": actions}]}));
    }

    /// Waits until an element says this.
    pub(crate) fn says(&self, selector: &str, text: &str) {
        wait_for(&format!("`{selector}` says `{text}`"), || self.text(selector).contains(text));
    }

    /// What the browser has complained about: a policy that was broken, a file that was not there.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let log = self.post("/se/log", &json!({"type": "browser"}));
        let lines = log.as_array().cloned().unwrap_or_default();
        lines.iter().map(|line| line["message"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// The whole page as a picture.
    pub(crate) fn picture(&self, path: &Path) {
        // After its size has changed it may have none for a moment.
        let width = || self.run("return document.documentElement.getBoundingClientRect().width").as_f64();
        wait_for("the page is laid out", || width().is_some_and(|width| width > 0.0));
        let shot = json!({"cmd": "Page.captureScreenshot", "params": {"format": "png", "captureBeyondViewport": true}});
        let data = self.post("/goog/cdp/execute", &shot);
        let bytes = STANDARD.decode(data["data"].as_str().expect("a picture")).expect("base64");
        std::fs::write(path, bytes).expect("written");
    }
}

/// Waits until something is so.
pub(crate) fn wait_for(what: &str, mut so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn ask(at: SocketAddr, method: &str, path: &str, body: Option<&Value>) -> Value {
    let answer = request(at, method, path, body);
    let error = answer["value"]["error"].as_str();
    assert!(error.is_none(), "{method} {path}: {}", answer["value"]);
    answer["value"].clone()
}

/// One request to the driver, which answers in JSON whatever it is asked.
fn request(at: SocketAddr, method: &str, path: &str, body: Option<&Value>) -> Value {
    let body = body.map(Value::to_string).unwrap_or_default();
    let mut stream = TcpStream::connect(at).expect("the driver is there");
    stream.set_read_timeout(Some(2 * PATIENCE)).expect("a timeout");
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {at}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes())).expect("the driver listens");
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("the driver answers");
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut bytes = vec![0; length];
    reader.read_exact(&mut bytes).expect("the whole answer");
    serde_json::from_slice(&bytes).unwrap_or(Value::Null)
}
