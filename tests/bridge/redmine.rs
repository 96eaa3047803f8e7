//! A real Redmine on loopback, with a database of its own.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use super::server::{Server, ask, home, secrets};

/// The server and the folder of its database.
pub(crate) struct Redmine {
    home: PathBuf,
    server: Server,
    keys: BTreeMap<String, String>,
}

impl Redmine {
    /// A fresh one; `None`, said loudly, where `make itsm` has not been run.
    pub(crate) fn start() -> Option<Redmine> {
        let home = home("redmine")?;
        let keys = secrets(&home.join("keys")).into_iter().collect();
        let server = Server::new();
        let database = server.folder.path().join("redmine.sqlite3");
        fs::copy(home.join("seed/redmine.sqlite3"), &database).expect("the seed is there");
        let mut redmine = Redmine { home, server, keys };
        redmine.run();
        Some(redmine)
    }

    fn run(&mut self) {
        let root = self.home.join("root");
        let folder = self.server.folder.path();
        let ruby = root.join("usr/bin/ruby");
        let mut command = Command::new(&ruby);
        command.arg(root.join("usr/bin/bundle")).arg("exec").arg(&ruby).args(["bin/rails", "server", "-u", "webrick"]);
        command.args(["-b", "127.0.0.1", "-p", &self.server.address.port().to_string(), "-P"]).arg(folder.join("pid"));
        command.current_dir(root.join("usr/share/redmine")).env("REDMINE_DATABASE", folder.join("redmine.sqlite3"));
        let env = fs::read_to_string(self.home.join("env")).expect("its environment is there");
        command.envs(env.lines().filter_map(|line| line.split_once('=')));
        let (address, key) = (self.server.address, self.key().to_owned());
        self.server.run(command, || {
            let me = ask(address, &[&format!("X-Redmine-API-Key: {key}")], "GET", "/users/current.json", None);
            me.is_some_and(|(status, _)| status == 200)
        });
    }

    /// Where it is.
    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// The key of the bridge's user.
    pub(crate) fn key(&self) -> &str {
        &self.keys["bellwether"]
    }

    /// One request as `user`.
    pub(crate) fn ask_as(&self, user: &str, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let key = format!("X-Redmine-API-Key: {}", self.keys[user]);
        ask(self.server.address, &[&key], method, path, body).expect("an answer")
    }

    /// Somebody changes an issue.
    pub(crate) fn change(&self, who: &str, issue: &str, change: Value) {
        let (status, said) =
            self.ask_as(who, "PUT", &format!("/issues/{issue}.json"), Some(&json!({ "issue": change })));
        assert_eq!(status, 204, "{said}");
    }

    /// An issue with what was done to it.
    pub(crate) fn issue(&self, id: &str) -> Value {
        let (status, mut body) =
            self.ask_as("ana", "GET", &format!("/issues/{id}.json?include=journals,relations"), None);
        assert_eq!(status, 200, "{body}");
        body["issue"].take()
    }

    /// Every issue there is, in the order of their ids.
    pub(crate) fn issues(&self) -> Vec<Value> {
        let (status, mut body) = self.ask_as("ana", "GET", "/issues.json?status_id=*&sort=id&limit=100", None);
        assert_eq!(status, 200, "{body}");
        body["issues"].as_array_mut().map(std::mem::take).expect("a list")
    }
}
