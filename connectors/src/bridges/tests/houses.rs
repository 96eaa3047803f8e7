//! The systems that are under the contract, each with the hands of people who work in it.

use bellwether_engine::time::Span;
use serde_json::{Value, json};

use super::super::jira::Edition;
use super::super::list::BridgeConfig;
use super::super::system::{OWNER, PRIORITY, STATUS};
use super::bench::{Bench, SETTLE, Told};
use super::line::{Cut, Line};
use super::redmine::Redmine;
use super::roundup::Roundup;
use super::rt::RequestTracker;
use super::strict::jira::Jira;
use super::strict::service_now::ServiceNow;
use super::strict::zammad::Zammad;
use super::suite::{House, configured, contract};

impl House for RequestTracker {
    fn example(&self) -> (&'static str, &'static str) {
        (include_str!("../../../../examples/request-tracker/bridges.yaml"), "127.0.0.1:8085")
    }

    fn place(&self) -> std::net::SocketAddr {
        self.address()
    }

    fn secret(&self) -> &str {
        self.token()
    }

    fn set(&self, who: &str, ticket: &str, field: &str, value: &str) {
        let field = match field {
            STATUS => "Status",
            PRIORITY => "Priority",
            OWNER => "Owner",
            other => panic!("{other}"),
        };
        self.change(who, ticket, json!({ field: value }));
    }

    fn say(&self, who: &str, ticket: &str, text: &str) {
        self.comment(who, ticket, text);
    }

    fn delete(&self, ticket: &str) {
        self.change("ana", ticket, json!({"Status": "deleted"}));
    }

    fn texts(&self, ticket: &str) -> Vec<String> {
        self.written(ticket)
    }
}

impl House for Redmine {
    fn example(&self) -> (&'static str, &'static str) {
        (include_str!("../../../../examples/redmine/bridges.yaml"), "127.0.0.1:8086")
    }

    fn place(&self) -> std::net::SocketAddr {
        self.address()
    }

    fn secret(&self) -> &str {
        self.key()
    }

    fn set(&self, who: &str, ticket: &str, field: &str, value: &str) {
        let id = |path: &str| {
            let (_, lists) = self.ask_as("ana", "GET", path, None);
            let lists = lists.as_object().expect("lists").values().filter_map(Value::as_array).flatten();
            let named = lists.map(|of| if of.get("user").is_some() { &of["user"] } else { of });
            let login =
                |of: &Value| of["name"].as_str().is_some_and(|name| name.to_lowercase() == format!("{value} test"));
            named.clone().find(|of| of["name"] == value || login(of)).expect(value)["id"].clone()
        };
        let change = match field {
            STATUS => json!({"status_id": id("/issue_statuses.json")}),
            PRIORITY => json!({"priority_id": id("/enumerations/issue_priorities.json")}),
            OWNER => json!({"assigned_to_id": id("/projects/acme/memberships.json")}),
            other => panic!("{other}"),
        };
        self.change(who, ticket, change);
    }

    fn say(&self, who: &str, ticket: &str, text: &str) {
        self.change(who, ticket, json!({"notes": text}));
    }

    fn delete(&self, ticket: &str) {
        let (status, _) = self.ask_as("ana", "DELETE", &format!("/issues/{ticket}.json"), None);
        assert_eq!(status, 204);
    }

    fn texts(&self, ticket: &str) -> Vec<String> {
        let issue = self.issue(ticket);
        let notes = issue["journals"].as_array().expect("journals").iter().map(|journal| &journal["notes"]);
        let all = std::iter::once(&issue["description"]).chain(notes);
        all.filter_map(Value::as_str).map(str::to_owned).collect()
    }
}

impl House for Roundup {
    fn example(&self) -> (&'static str, &'static str) {
        (include_str!("../../../../examples/roundup/bridges.yaml"), "127.0.0.1:8087")
    }

    fn place(&self) -> std::net::SocketAddr {
        self.address()
    }

    fn secret(&self) -> &str {
        self.password()
    }

    fn set(&self, who: &str, ticket: &str, field: &str, value: &str) {
        let property = if field == OWNER { "assignedto" } else { field };
        self.change(who, ticket, json!({ property: value }));
    }

    fn say(&self, who: &str, ticket: &str, text: &str) {
        self.comment(who, ticket, text);
    }

    fn delete(&self, ticket: &str) {
        self.retire(ticket);
    }

    fn texts(&self, ticket: &str) -> Vec<String> {
        let issue = self.get(&format!("/issue/{ticket}?@fields=messages&@verbose=2"));
        let messages = issue["attributes"]["messages"].as_array().expect("messages").iter();
        let ids = messages.map(|of| of["id"].as_str().expect("an id").to_owned());
        let text = |id: String| self.get(&format!("/msg/{id}?@fields=content&@verbose=3"));
        ids.map(|id| text(id)["attributes"]["content"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

#[test]
fn request_tracker_keeps_the_contract() {
    let Some(house) = RequestTracker::start() else { return };
    contract(&house);
}

#[test]
fn redmine_keeps_the_contract() {
    let Some(house) = Redmine::start() else { return };
    contract(&house);
}

#[test]
fn roundup_keeps_the_contract() {
    let Some(house) = Roundup::start() else { return };
    contract(&house);
}

#[test]
fn service_now_keeps_the_contract_as_far_as_its_documents_say() {
    contract(&ServiceNow::start());
}

#[test]
fn zammad_keeps_the_contract_as_far_as_its_documents_say() {
    contract(&Zammad::start());
}

#[test]
fn jira_cloud_keeps_the_contract_as_far_as_its_documents_say() {
    contract(&Jira::start(Edition::Cloud));
}

#[test]
fn jira_data_center_keeps_the_contract_as_far_as_its_documents_say() {
    contract(&Jira::start(Edition::DataCenter));
}

#[test]
fn what_jira_does_not_find_yet_is_not_made_again() {
    let house = Jira::start(Edition::Cloud);
    let (line, folder) = (Line::to(house.address), tempfile::tempdir().expect("a folder"));
    let config: BridgeConfig = configured(&house, &line, folder.path());
    let mut bench = Bench::over(config.open().expect("it opens"), config.mapping());
    let told = Told::new("late");
    house.with(|own| own.indexed = Some(0));
    line.cut_write(0, Cut::Answer);
    bench.tell(&told);
    bench.settle();
    bench.wait(SETTLE);
    bench.settle();
    assert!(bench.entry(&told).intent.is_some(), "it is waited for longer than elsewhere");
    // By then everything is found.
    house.with(|own| own.indexed = None);
    bench.wait(Span::from_mins(2));
    bench.settle();
    assert!(bench.entry(&told).ticket.is_some(), "{:?}", bench.entry(&told));
    assert_eq!(house.with(|own| own.keys()).get("bw:acme/inc_late"), Some(&1));
}
