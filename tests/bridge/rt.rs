//! A real Request Tracker on loopback, with a database of its own, ended by its process ids.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::service::{free_address, pause};
use crate::skipped::skipped;

/// How long it may take to start, beside whatever else the machine does.
const START_MAX: Duration = Duration::from_secs(180);

/// The server and the folder of its database.
pub(crate) struct RequestTracker {
    home: PathBuf,
    folder: tempfile::TempDir,
    pub(crate) address: SocketAddr,
    tokens: BTreeMap<String, String>,
    child: Option<Child>,
}

/// A ticket as its page shows it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ticket {
    pub(crate) id: String,
    pub(crate) status: String,
    pub(crate) owner: String,
    pub(crate) priority: String,
    pub(crate) subject: String,
    pub(crate) fields: BTreeMap<String, String>,
}

impl Drop for RequestTracker {
    fn drop(&mut self) {
        self.kill();
    }
}

impl RequestTracker {
    /// A fresh one; `None`, said loudly, where `make itsm` has not been run.
    pub(crate) fn start() -> Option<RequestTracker> {
        let home = Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools/itsm/rt");
        if !home.join("ready-1").exists() {
            skipped("no Request Tracker in .tools/itsm: `make itsm` unpacks one");
            return None;
        }
        let folder = tempfile::tempdir().expect("temporary folder");
        fs::copy(home.join("seed/rt.sqlite"), folder.path().join("rt.sqlite")).expect("the seed is there");
        let tokens = fs::read_to_string(home.join("tokens")).expect("tokens are there");
        let tokens = tokens.lines().filter_map(|line| line.split_once(' '));
        let tokens = tokens.map(|(name, token)| (name.to_owned(), token.to_owned())).collect();
        let address = free_address();
        let mut tracker = RequestTracker { home, folder, address, tokens, child: None };
        tracker.run();
        Some(tracker)
    }

    /// Starts it on its database; it is there when this returns.
    pub(crate) fn run(&mut self) {
        let site = self.folder.path().join("RT_SiteConfig.pm");
        let text = format!(
            "Set($rtname, 'test.local'); Set($Organization, 'test.local'); Set($Timezone, 'UTC');\n\
             Set($WebDomain, '127.0.0.1'); Set($WebPort, {});\n\
             Set($DatabaseType, 'SQLite'); Set($DatabaseName, '{}');\n\
             Set($LogToSyslog, undef); Set($LogToSTDERR, 'warning'); Set($LogToFile, undef);\n\
             Set($MailCommand, 'testfile'); Set($WebSessionClass, 'Apache::Session::File');\n1;\n",
            self.address.port(),
            self.folder.path().join("rt.sqlite").display()
        );
        fs::write(&site, text).expect("writes");
        let log = fs::File::options().create(true).append(true).open(self.folder.path().join("log")).expect("opens");
        let mut command = Command::new("perl");
        command
            .arg(self.home.join("root/usr/share/request-tracker5/libexec/rt-server"))
            .args(["--host", "127.0.0.1", "--workers", "2", "--port", &self.address.port().to_string()])
            .env("RT_SITE_CONFIG", &site)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            // Its workers are ended with it.
            .process_group(0);
        let env = fs::read_to_string(self.home.join("env")).expect("its environment is there");
        env.lines().filter_map(|line| line.split_once('=')).for_each(|(name, value)| {
            command.env(name, value);
        });
        self.child = Some(command.spawn().expect("perl starts"));
        let began = Instant::now();
        while self.ask_as("bellwether", "GET", "/rt", None).is_none_or(|(status, _)| status != 200) {
            assert!(began.elapsed() < START_MAX, "{}", self.said());
            pause(Duration::from_millis(100));
        }
    }

    /// SIGKILL to the server and its workers, at whatever they are.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let group = format!("-{}", child.id());
            let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
            let _ = child.wait();
        }
    }

    /// What it has written on standard error.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The token of the bridge's user.
    pub(crate) fn token(&self) -> &str {
        &self.tokens["bellwether"]
    }

    /// One request as `user`; `None` while nothing answers.
    pub(crate) fn ask_as(&self, user: &str, method: &str, path: &str, body: Option<&Value>) -> Option<(u16, Value)> {
        let mut stream = TcpStream::connect(self.address).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
        let body = body.map(Value::to_string).unwrap_or_default();
        let head = format!(
            "{method} /REST/2.0{path} HTTP/1.0\r\nHost: {}\r\nAuthorization: token {}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            self.address,
            self.tokens[user],
            body.len()
        );
        stream.write_all(head.as_bytes()).ok()?;
        stream.write_all(body.as_bytes()).ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        let text = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = text.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some((status, serde_json::from_str(body).unwrap_or(Value::Null)))
    }

    fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask_as("bellwether", "GET", path, None).expect("an answer");
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// Somebody changes a ticket.
    pub(crate) fn change(&self, who: &str, ticket: &str, change: Value) {
        let path = format!("/ticket/{ticket}");
        let (status, said) = self.ask_as(who, "PUT", &path, Some(&change)).expect("an answer");
        assert_eq!(status, 200, "{said}");
    }

    /// Somebody writes a comment.
    pub(crate) fn comment(&self, who: &str, ticket: &str, text: &str) {
        let body = json!({"Content": text, "ContentType": "text/plain"});
        let path = format!("/ticket/{ticket}/comment");
        let (status, said) = self.ask_as(who, "POST", &path, Some(&body)).expect("an answer");
        assert_eq!(status, 201, "{said}");
    }

    /// Every ticket there is, in the order of their ids.
    pub(crate) fn tickets(&self) -> Vec<Ticket> {
        let mut tickets = Vec::new();
        for id in 1.. {
            let Some((200, body)) = self.ask_as("bellwether", "GET", &format!("/ticket/{id}"), None) else { break };
            tickets.push(ticket(&body));
        }
        tickets
    }

    /// One of them.
    pub(crate) fn ticket(&self, id: &str) -> Ticket {
        ticket(&self.get(&format!("/ticket/{id}")))
    }

    /// The marks of the bridge's comments under a ticket.
    pub(crate) fn marks(&self, ticket: &str) -> Vec<String> {
        let query =
            format!("ObjectType='RT::Ticket' AND ObjectId={ticket} AND Type='Comment' AND Creator='bellwether'");
        let query: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let found = self.get(&format!("/transactions?query={query}&fields=Data&per_page=100"));
        let items = found["items"].as_array().expect("a list").iter();
        items.map(|item| item["Data"].as_str().unwrap_or_default().trim().to_owned()).collect()
    }

    /// The first text of a ticket.
    pub(crate) fn text(&self, ticket: &str) -> String {
        let query = format!("ObjectType='RT::Ticket' AND ObjectId={ticket} AND Type='Create'");
        let query: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let found = self.get(&format!("/transactions?query={query}"));
        let id = found["items"][0]["id"].as_str().expect("it was created").to_owned();
        let all = self.get(&format!("/transaction/{id}/attachments?fields=Content"));
        all["items"][0]["Content"].as_str().expect("a text").to_owned()
    }
}

fn ticket(body: &Value) -> Ticket {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let fields = body["CustomFields"].as_array().into_iter().flatten().map(|field| {
        let values = field["values"]
            .as_array()
            .expect("values")
            .iter()
            .filter(|value| value.is_string())
            .map(text)
            .collect::<Vec<_>>();
        (text(&field["name"]), values.join("\n"))
    });
    Ticket {
        id: text(&body["id"]),
        status: text(&body["Status"]),
        owner: text(&body["Owner"]["id"]),
        priority: text(&body["Priority"]),
        subject: text(&body["Subject"]),
        fields: fields.collect(),
    }
}
