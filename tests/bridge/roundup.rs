//! A real Roundup on loopback, with a tracker of its own. It refuses to run as root and is run as nobody, which root
//! alone can do.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::server::{Server, ask, ask_whole, home, secrets};

/// Where the seed thinks it is.
const SEED_URL: &str = "http://127.0.0.1:8087/";

/// Looks at something that is throttled.
const LOOKS_MAX: usize = 60;

/// The server and the folder of its tracker.
pub(crate) struct Roundup {
    home: PathBuf,
    server: Server,
    words: BTreeMap<String, String>,
}

impl Roundup {
    /// A fresh one; `None`, said loudly, where `make itsm` has not been run.
    pub(crate) fn start() -> Option<Roundup> {
        // Over a line it is asked under another address than it thinks it has.
        let headers = ["referer", "origin", "x-forwarded-host", "host"];
        let headers = headers.map(|name| format!("csrf_enforce_header_{name} = "));
        let mut changes: Vec<_> = headers.iter().map(|key| (format!("{key}yes"), format!("{key}no"))).collect();
        changes.push(("allowed_api_origins = ".to_owned(), "allowed_api_origins = *".to_owned()));
        changes.push(("csrf_header_min_count = 1".to_owned(), "csrf_header_min_count = 0".to_owned()));
        Roundup::with(&changes)
    }

    /// One that takes `limit` requests from somebody in three seconds.
    pub(crate) fn throttled(limit: u32) -> Option<Roundup> {
        Roundup::with(&[
            ("api_calls_per_interval = 0".to_owned(), format!("api_calls_per_interval = {limit}")),
            ("api_interval_in_sec = 3600".to_owned(), "api_interval_in_sec = 3".to_owned()),
        ])
    }

    /// One with these lines of its configuration changed.
    fn with(changes: &[(String, String)]) -> Option<Roundup> {
        let home = home("roundup")?;
        let words = secrets(&home.join("words")).into_iter().collect();
        let mut server = Server::new();
        let tracker = server.folder.path().join("tracker");
        let run = |command: &mut Command| assert!(command.status().expect("it starts").success(), "{command:?}");
        run(Command::new("cp").arg("-r").arg(home.join("seed")).arg(&tracker));
        let config = fs::read_to_string(tracker.join("config.ini")).expect("its configuration");
        let config = config.replace(SEED_URL, &format!("http://{}/support/", server.address));
        let config = changes.iter().fold(config, |config, (was, is)| {
            assert!(config.contains(was.as_str()), "{was}");
            config.replace(was.as_str(), is)
        });
        fs::write(tracker.join("config.ini"), config).expect("writes");
        let program = home.join("venv/bin/roundup-server");
        let is_root = fs::metadata("/proc/self").is_ok_and(|of| std::os::unix::fs::MetadataExt::uid(&of) == 0);
        let mut command = match is_root {
            true => {
                run(Command::new("chown").arg("-R").arg("nobody:nogroup").arg(server.folder.path()));
                let mut command = Command::new("setpriv");
                command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"]).arg(program);
                command
            }
            false => Command::new(program),
        };
        command.args(["-n", "127.0.0.1", "-p", &server.address.port().to_string()]);
        command.arg("-L").arg(format!("support={}", tracker.display())).current_dir(&tracker).env("HOME", &tracker);
        let address = server.address;
        server.run(command, || ask(address, &[], "GET", "/support/", None).is_some_and(|(status, _)| status == 200));
        Some(Roundup { home, server, words })
    }

    /// Where it is.
    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// The password of the bridge's user.
    pub(crate) fn password(&self) -> &str {
        &self.words["bellwether"]
    }

    /// What the head of a request of `user` has.
    fn head(&self, user: &str) -> [String; 3] {
        let basic = STANDARD.encode(format!("{user}:{}", self.words[user]));
        let address = self.server.address;
        [
            format!("Authorization: Basic {basic}"),
            format!("X-Requested-With: rest\r\nOrigin: http://{address}"),
            format!("Referer: http://{address}/support/"),
        ]
    }

    /// What there is under a path.
    pub(crate) fn get(&self, path: &str) -> Value {
        let head = self.head("ana");
        let head: Vec<&str> = head.iter().map(String::as_str).collect();
        let path = format!("/support/rest/data{path}");
        // Who looks time and again is throttled like everybody else.
        for _ in 0..LOOKS_MAX {
            let found = ask(self.server.address, &head, "GET", &path, None);
            let (status, mut body) = found.expect("an answer");
            if status != 429 {
                assert_eq!(status, 200, "{body}");
                return body["data"].take();
            }
            std::thread::park_timeout(Duration::from_millis(500));
        }
        panic!("{path} is throttled for ever");
    }

    /// Somebody makes something.
    pub(crate) fn make(&self, who: &str, class: &str, of: Value) -> String {
        let head = self.head(who);
        let head: Vec<&str> = head.iter().map(String::as_str).collect();
        let made = ask(self.server.address, &head, "POST", &format!("/support/rest/data/{class}"), Some(&of));
        let (status, body) = made.expect("an answer");
        assert_eq!(status, 201, "{body}");
        body["data"]["id"].as_str().expect("an id").to_owned()
    }

    /// Somebody changes an issue.
    pub(crate) fn change(&self, who: &str, issue: &str, change: Value) {
        let path = format!("/support/rest/data/issue/{issue}");
        let head = self.head(who);
        let mut head: Vec<&str> = head.iter().map(String::as_str).collect();
        let (_, answered, _) = ask_whole(self.server.address, &head, "GET", &path, None).expect("an answer");
        let etag = answered.lines().find_map(|line| line.to_lowercase().starts_with("etag: ").then(|| &line[6..]));
        let condition = format!("If-Match: {}", etag.expect("a version").trim());
        head.push(&condition);
        let (status, said) = ask(self.server.address, &head, "PATCH", &path, Some(&change)).expect("an answer");
        assert_eq!(status, 200, "{said}");
    }

    /// Somebody retires an issue, which is how it deletes: only an administrator may, by its own program.
    pub(crate) fn retire(&self, issue: &str) {
        let tracker = self.server.folder.path().join("tracker");
        let mut admin = Command::new(self.home.join("venv/bin/roundup-admin"));
        let retired = admin.arg("-i").arg(tracker).args(["retire", &format!("issue{issue}")]).output();
        let retired = retired.expect("it starts");
        assert!(retired.status.success(), "{}", String::from_utf8_lossy(&retired.stdout));
    }

    /// Somebody writes something under an issue.
    pub(crate) fn comment(&self, who: &str, issue: &str, text: &str) {
        let message = self.make(who, "msg", json!({"content": text, "author": who, "date": "2026-11-30.10:00:00"}));
        self.change(who, issue, json!({"messages": [message], "@op": "add"}));
    }
}
