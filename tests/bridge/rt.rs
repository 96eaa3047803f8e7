//! A real Request Tracker on loopback, with a database of its own, ended by its process ids.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use super::server::{Server, ask, home, secrets};

/// The server and the folder of its database.
pub(crate) struct RequestTracker {
    home: PathBuf,
    server: Server,
    tokens: BTreeMap<String, String>,
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

impl RequestTracker {
    /// A fresh one; `None`, said loudly, where `make itsm` has not been run.
    pub(crate) fn start() -> Option<RequestTracker> {
        let home = home("rt")?;
        let tokens = secrets(&home.join("tokens")).into_iter().collect();
        let server = Server::new();
        fs::copy(home.join("seed/rt.sqlite"), server.folder.path().join("rt.sqlite")).expect("the seed is there");
        let mut tracker = RequestTracker { home, server, tokens };
        tracker.run();
        Some(tracker)
    }

    /// Starts it on its database; it is there when this returns.
    pub(crate) fn run(&mut self) {
        let (folder, port) = (self.server.folder.path(), self.server.address.port());
        let site = folder.join("RT_SiteConfig.pm");
        let text = format!(
            "Set($rtname, 'test.local'); Set($Organization, 'test.local'); Set($Timezone, 'UTC');\n\
             Set($WebDomain, '127.0.0.1'); Set($WebPort, {port});\n\
             Set($DatabaseType, 'SQLite'); Set($DatabaseName, '{}');\n\
             Set($LogToSyslog, undef); Set($LogToSTDERR, 'warning'); Set($LogToFile, undef);\n\
             Set($MailCommand, 'testfile'); Set($WebSessionClass, 'Apache::Session::File');\n1;\n",
            folder.join("rt.sqlite").display()
        );
        fs::write(&site, text).expect("writes");
        let mut command = Command::new("perl");
        command
            .arg(self.home.join("root/usr/share/request-tracker5/libexec/rt-server"))
            .args(["--host", "127.0.0.1", "--workers", "2", "--port", &port.to_string()])
            .env("RT_SITE_CONFIG", &site)
            .current_dir(folder);
        let env = fs::read_to_string(self.home.join("env")).expect("its environment is there");
        command.envs(env.lines().filter_map(|line| line.split_once('=')));
        let (address, token) = (self.server.address, format!("Authorization: token {}", self.token()));
        let answers = || ask(address, &[&token], "GET", "/REST/2.0/rt", None).is_some_and(|(status, _)| status == 200);
        self.server.run(command, answers);
    }

    /// Where it is.
    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// SIGKILL to the server and its workers, at whatever they are.
    pub(crate) fn kill(&mut self) {
        self.server.kill();
    }

    /// The token of the bridge's user.
    pub(crate) fn token(&self) -> &str {
        &self.tokens["bellwether"]
    }

    /// One request as `user`; `None` while nothing answers.
    pub(crate) fn ask_as(&self, user: &str, method: &str, path: &str, body: Option<&Value>) -> Option<(u16, Value)> {
        let token = format!("Authorization: token {}", self.tokens[user]);
        ask(self.server.address, &[&token], method, &format!("/REST/2.0{path}"), body)
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

    /// Every text of a ticket: its first one, and the comments.
    pub(crate) fn written(&self, ticket: &str) -> Vec<String> {
        let query = format!("ObjectType='RT::Ticket' AND ObjectId={ticket}");
        let query: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let found = self.get(&format!("/transactions?query={query}&fields=Type&per_page=100"));
        let with_text = |item: &&Value| ["Create", "Comment", "Correspond"].iter().any(|kind| item["Type"] == *kind);
        let ids = found["items"].as_array().expect("a list").iter().filter(with_text).map(|item| text(&item["id"]));
        let all = ids.map(|id| self.get(&format!("/transaction/{id}/attachments?fields=Content")));
        all.filter_map(|all| all["items"][0]["Content"].as_str().map(str::to_owned)).collect()
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

/// A value as it reads, a number too.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn ticket(body: &Value) -> Ticket {
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
