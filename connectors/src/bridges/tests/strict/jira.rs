//! Jira's REST interface, strictly, in both editions: fields, lengths and forms of text as each takes them, statuses by
//! the transitions that are offered, and searches that find nothing that is not indexed yet.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::super::suite::House;
use super::{Asked, Reply, Said, Strict, System, unknown_caller};
use crate::bridges::jira::Edition;
use crate::bridges::system::{OWNER, PRIORITY, STATUS};

const TOKEN: &str = "s3cret0fjira";
const USER: &str = "bellwether@acme.example";
const FIELDS: [&str; 9] = [
    "summary",
    "project",
    "issuetype",
    "labels",
    "description",
    "priority",
    "assignee",
    "customfield_10041",
    "customfield_10042",
];
/// Where each status leads; to be done needs a resolution.
const WORKFLOW: [(&str, &[&str]); 3] =
    [("To Do", &["In Progress", "Done"]), ("In Progress", &["To Do", "Done"]), ("Done", &["To Do"])];
const PRIORITIES: [&str; 5] = ["Highest", "High", "Medium", "Low", "Lowest"];
const PROJECTS: [&str; 3] = ["acme", "globex", "database"];
/// Accounts and the names that are shown.
const PEOPLE: [(&str, &str); 3] = [("acc-bw", "Bellwether"), ("acc-ana", "ana"), ("acc-boris", "boris")];

struct Issue {
    key: String,
    fields: Map<String, Value>,
    comments: Vec<Value>,
    histories: Vec<Value>,
    links: Vec<Value>,
}

pub(in super::super) struct Jira {
    edition: Edition,
    issues: Vec<Issue>,
    /// Issues that searches find, the first so many; all when left out.
    pub(in super::super) indexed: Option<usize>,
    numbers: u64,
    clock: i64,
}

fn refusal(field: &str, reason: &str) -> Reply {
    Reply::of(400, &json!({"errorMessages": [], "errors": { field: reason }}))
}

fn gone() -> Reply {
    Reply::of(404, &json!({"errorMessages": ["Issue does not exist or you do not have permission to see it."]}))
}

fn utf16(text: &str) -> usize {
    text.encode_utf16().count()
}

/// Every text of a document, when it is one.
fn texts(node: &Value, found: &mut String) -> Result<(), String> {
    if node["type"] == "text" {
        let text = node["text"].as_str().filter(|text| !text.is_empty()).ok_or("a text node that is empty")?;
        found.push_str(text);
    }
    node["content"].as_array().into_iter().flatten().try_for_each(|child| texts(child, found))
}

impl Jira {
    pub(in super::super) fn start(edition: Edition) -> Strict<Jira> {
        Strict::start(Jira { edition, issues: Vec::new(), indexed: None, numbers: 10_000, clock: 0 })
    }

    fn number(&mut self) -> String {
        self.numbers += 1;
        self.numbers.to_string()
    }

    /// The time, later each time.
    fn now(&mut self) -> String {
        self.clock = jiff::Timestamp::now().as_millisecond().max(self.clock + 1);
        let at = jiff::Timestamp::from_millisecond(self.clock).expect("a time");
        at.strftime("%Y-%m-%dT%H:%M:%S.%3f+0000").to_string()
    }

    fn account(&self, name: &str) -> Value {
        let (id, shown) = PEOPLE.iter().find(|(id, shown)| *id == name || *shown == name).expect(name);
        match self.edition {
            Edition::Cloud => json!({"accountId": id, "displayName": shown}),
            Edition::DataCenter => json!({"name": shown, "key": id, "displayName": format!("{shown} of the desk")}),
        }
    }

    fn issue(&mut self, key: &str) -> Result<&mut Issue, Reply> {
        self.issues.iter_mut().find(|issue| issue.key == key).ok_or_else(gone)
    }

    fn text(&self, value: &Value) -> Result<(), String> {
        let text = match self.edition {
            Edition::Cloud => {
                let is = value["type"] == "doc" && value["version"] == 1 && value["content"].is_array();
                let mut found = String::new();
                if !is {
                    return Err("Operation value must be an Atlassian Document".to_owned());
                }
                texts(value, &mut found)?;
                found
            }
            Edition::DataCenter => value.as_str().ok_or("Operation value must be a string")?.to_owned(),
        };
        match utf16(&text) > 32_767 {
            true => Err("The entered text is too long. It exceeds the allowed limit of 32,767 characters.".to_owned()),
            false => Ok(()),
        }
    }

    fn check(&self, fields: &Map<String, Value>) -> Result<(), Reply> {
        for (name, value) in fields {
            let wrong = match name.as_str() {
                other if !FIELDS.contains(&other) => {
                    Some("It is not on the appropriate screen, or unknown.".to_owned())
                }
                "summary" => match value.as_str() {
                    Some(text) if text.contains('\n') => Some("The summary is invalid: newline.".to_owned()),
                    Some(text) if utf16(text) > 255 => Some("Summary must be less than 255 characters.".to_owned()),
                    Some("") | None => Some("You must specify a summary of the issue.".to_owned()),
                    Some(_) => None,
                },
                "description" => self.text(value).err(),
                "priority" if !PRIORITIES.iter().any(|known| value["name"] == *known) => {
                    Some("The priority selected is invalid.".to_owned())
                }
                "labels" => {
                    let blank =
                        |label: &Value| label.as_str().is_none_or(|label| label.contains(' ') || utf16(label) > 255);
                    value.as_array().is_none_or(|all| all.iter().any(blank)).then(|| "label with spaces".to_owned())
                }
                "assignee" if !value.is_null() => {
                    let by = if self.edition == Edition::Cloud { &value["accountId"] } else { &value["name"] };
                    let known =
                        |(id, shown): &(&str, &str)| *by == if self.edition == Edition::Cloud { *id } else { *shown };
                    (!PEOPLE.iter().any(known)).then(|| "User does not exist.".to_owned())
                }
                field if field.starts_with("customfield_") => {
                    let too_long = value.as_str().is_some_and(|text| text.is_empty() || utf16(text) > 255);
                    too_long.then(|| "It has to be a text of at most 255.".to_owned())
                }
                _ => None,
            };
            if let Some(reason) = wrong {
                return Err(refusal(name, &reason));
            }
        }
        Ok(())
    }

    fn create(&mut self, asked: &Asked) -> Said {
        let body = asked.object(&["fields"]).map_err(|reason| refusal("body", &reason))?;
        let mut fields = body["fields"].as_object().cloned().unwrap_or_default();
        self.check(&fields)?;
        if fields["issuetype"]["name"] != "Incident" {
            return Err(refusal("issuetype", "The issue type selected is invalid."));
        }
        let project = fields["project"]["key"].as_str().unwrap_or_default().to_owned();
        if !PROJECTS.contains(&project.as_str()) || !fields.contains_key("summary") {
            return Err(refusal("project", "valid project is required"));
        }
        let of_project = self.issues.iter().filter(|issue| issue.fields["project"]["key"] == project.as_str()).count();
        let (key, now) = (format!("{project}-{}", of_project + 1), self.now());
        fields.insert("status".to_owned(), json!({"name": "To Do"}));
        fields.insert("updated".to_owned(), now.into());
        if let Some(assignee) = fields.get("assignee").cloned() {
            let name = assignee["accountId"].as_str().or(assignee["name"].as_str()).unwrap_or_default().to_owned();
            fields.insert("assignee".to_owned(), self.account(&name));
        }
        let id = self.number();
        self.issues.push(Issue { key: key.clone(), fields, comments: vec![], histories: vec![], links: vec![] });
        Ok(Reply::of(201, &json!({"id": id, "key": key})))
    }

    fn edit(&mut self, key: &str, asked: &Asked) -> Said {
        let body = asked.object(&["fields", "update"]).map_err(|reason| refusal("body", &reason))?;
        let fields = body.get("fields").and_then(Value::as_object).cloned().unwrap_or_default();
        self.check(&fields)?;
        self.issue(key)?;
        for (name, value) in fields {
            let value = match (name.as_str(), value.get("accountId").or(value.get("name")).and_then(Value::as_str)) {
                ("assignee", Some(who)) => self.account(who),
                _ => value,
            };
            self.set("acc-bw", key, &name, value);
        }
        let added = body.get("update").and_then(|update| update["labels"].as_array()).cloned().unwrap_or_default();
        for label in added {
            let issue = self.issue(key)?;
            issue.fields["labels"].as_array_mut().expect("labels").push(label["add"].clone());
        }
        Ok(Reply::done(204))
    }

    /// Somebody gives a field this value.
    fn set(&mut self, who: &str, key: &str, field: &str, value: Value) {
        let (id, now, author) = (self.number(), self.now(), self.account(who));
        let issue = self.issue(key).unwrap_or_else(|_| panic!("{key}"));
        let to = value.get("accountId").or(value.get("name")).or(value.get("id")).cloned();
        let shown = value.get("displayName").or(value.get("name")).cloned().unwrap_or_else(|| value.clone());
        issue.fields.insert(field.to_owned(), value);
        issue.fields.insert("updated".to_owned(), now.clone().into());
        let item = json!({"field": field, "to": to, "toString": shown});
        issue.histories.push(json!({"id": id, "author": author, "created": now, "items": [item]}));
    }

    fn say(&mut self, who: &str, key: &str, body: Value) {
        let (id, now, author) = (self.number(), self.now(), self.account(who));
        let issue = self.issue(key).unwrap_or_else(|_| panic!("{key}"));
        issue.fields.insert("updated".to_owned(), now.clone().into());
        issue.comments.push(json!({"id": id, "author": author, "created": now, "body": body}));
    }

    fn shown(&mut self, key: &str, asked: &Asked) -> Said {
        let issue = self.issue(key)?;
        let mut fields = issue.fields.clone();
        fields.insert("comment".to_owned(), json!({ "comments": issue.comments }));
        fields.insert("issuelinks".to_owned(), json!(issue.links));
        let wanted: Vec<&str> = asked.parameter("fields").split(',').collect();
        fields.retain(|name, _| wanted.contains(&name.as_str()));
        let mut body = json!({"id": "1", "key": key, "fields": fields});
        if asked.parameter("expand").contains("changelog") {
            body["changelog"] = json!({ "histories": issue.histories });
        }
        Ok(Reply::ok(&body))
    }

    fn transitions(&mut self, key: &str) -> Result<Vec<Value>, Reply> {
        let status = self.issue(key)?.fields["status"]["name"].clone();
        let (_, offered) = WORKFLOW.iter().find(|(from, _)| status == *from).expect("a status of the workflow");
        let of = |to: &&str| {
            let number = WORKFLOW.iter().position(|(from, _)| from == to).expect("a status").to_string();
            let fields = if *to == "Done" { json!({"resolution": {"required": true}}) } else { json!({}) };
            json!({"id": number, "name": format!("go to {to}"), "to": {"name": to}, "fields": fields})
        };
        Ok(offered.iter().map(of).collect())
    }

    fn transit(&mut self, key: &str, asked: &Asked) -> Said {
        let body = asked.object(&["transition", "fields"]).map_err(|reason| refusal("body", &reason))?;
        let offered = self.transitions(key)?;
        let taken = offered.into_iter().find(|one| one["id"] == body["transition"]["id"]);
        let Some(taken) = taken else {
            return Err(Reply::of(400, &json!({"errorMessages": ["It is not valid for the current state."]})));
        };
        let resolution = body.get("fields").map(|fields| &fields["resolution"]["name"]);
        if taken["to"]["name"] == "Done" && resolution.is_none_or(|name| name != "Done") {
            return Err(refusal("resolution", "Resolution is required."));
        }
        self.set("acc-bw", key, "status", taken["to"].clone());
        Ok(Reply::done(204))
    }

    fn search(&self, asked: &Asked) -> Said {
        let wrong = |reason: &str| Reply::of(400, &json!({"errorMessages": [reason]}));
        let query = asked.parameter("jql");
        let (conditions, order) = query.split_once("ORDER BY ").ok_or_else(|| wrong("no order"))?;
        let mut found: Vec<&Issue> = self.issues.iter().take(self.indexed.unwrap_or(usize::MAX)).collect();
        for condition in conditions.split("AND").map(str::trim) {
            let value = |prefix: &str| condition.strip_prefix(prefix)?.trim().strip_prefix('"')?.strip_suffix('"');
            if let Some(label) = value("labels =") {
                let is = |one: &Value| one.as_str().is_some_and(|one| one.eq_ignore_ascii_case(label));
                found.retain(|issue| issue.fields["labels"].as_array().is_some_and(|all| all.iter().any(is)));
            } else if let Some(span) = value("updated >=") {
                let minutes = span.strip_prefix('-').and_then(|span| span.strip_suffix('m'));
                let minutes: i64 = minutes.and_then(|span| span.parse().ok()).ok_or_else(|| wrong("no span"))?;
                let from = jiff::Timestamp::now().as_millisecond() - minutes * 60_000;
                let at =
                    |issue: &Issue| issue.fields["updated"].as_str().and_then(|at| at.parse::<jiff::Timestamp>().ok());
                found.retain(|issue| at(issue).expect("a time").as_millisecond() >= from);
            } else {
                return Err(wrong(&format!("Error in the JQL Query: {condition}")));
            }
        }
        match order {
            "created ASC" => {}
            "updated ASC" => found.sort_by_key(|issue| issue.fields["updated"].to_string()),
            "updated DESC" => found.sort_by_key(|issue| std::cmp::Reverse(issue.fields["updated"].to_string())),
            other => return Err(wrong(&format!("Error in the JQL Query: {other}"))),
        }
        let (token, size) = match self.edition {
            Edition::Cloud => (asked.parameter("nextPageToken"), asked.parameter("maxResults")),
            Edition::DataCenter => (asked.parameter("startAt"), asked.parameter("maxResults")),
        };
        let (from, size) = (token.parse().unwrap_or(0), size.parse().unwrap_or(50));
        let page: Vec<Value> =
            found.iter().skip(from).take(size).map(|issue| json!({"id": "1", "key": issue.key})).collect();
        let mut body = json!({ "issues": page });
        if self.edition == Edition::Cloud && found.len() > from + size {
            body["nextPageToken"] = (from + size).to_string().into();
        }
        Ok(Reply::ok(&body))
    }

    fn link(&mut self, asked: &Asked) -> Said {
        let body = asked.object(&["type", "inwardIssue", "outwardIssue"]).map_err(|reason| refusal("body", &reason))?;
        if !["Duplicate", "Relates"].iter().any(|known| body["type"]["name"] == *known) {
            return Err(refusal("type", "No issue link type with that name"));
        }
        let ends = ["inwardIssue", "outwardIssue"].map(|end| body[end]["key"].as_str().unwrap_or_default().to_owned());
        self.issue(&ends[1])?.links.push(json!({"inwardIssue": {"key": ends[0]}}));
        self.issue(&ends[0])?.links.push(json!({"outwardIssue": {"key": ends[1]}}));
        Ok(Reply::done(201))
    }

    fn people(&self, asked: &Asked) -> Said {
        let by = if self.edition == Edition::Cloud { "query" } else { "username" };
        let wanted = asked.parameter(by);
        let found = PEOPLE.iter().filter(|(_, shown)| !wanted.is_empty() && shown.starts_with(wanted));
        Ok(Reply::ok(&found.map(|(id, _)| self.account(id)).collect()))
    }
}

impl System for Jira {
    fn answer(&mut self, asked: &Asked) -> Said {
        let (base, who) = match self.edition {
            Edition::Cloud => ("/rest/api/3/", format!("Basic {}", STANDARD.encode(format!("{USER}:{TOKEN}")))),
            Edition::DataCenter => ("/rest/api/2/", format!("Bearer {TOKEN}")),
        };
        if asked.header("authorization") != who {
            return Err(unknown_caller());
        }
        let Some(path) = asked.path.strip_prefix(base) else { return Err(gone()) };
        let path: Vec<&str> = path.split('/').collect();
        match (asked.method.as_str(), path.as_slice(), self.edition) {
            ("GET", ["myself"], _) => Ok(Reply::ok(&self.account("acc-bw"))),
            ("GET", ["priority"], _) => Ok(Reply::ok(&PRIORITIES.iter().map(|name| json!({ "name": name })).collect())),
            ("GET", ["project", project, "statuses"], _) if PROJECTS.contains(project) => {
                let all: Vec<Value> = WORKFLOW.iter().map(|(name, _)| json!({ "name": name })).collect();
                Ok(Reply::ok(&json!([{"name": "Incident", "statuses": all}])))
            }
            ("GET", ["user", "assignable", "search"], _) => self.people(asked),
            ("GET", ["search", "jql"], Edition::Cloud) | ("GET", ["search"], Edition::DataCenter) => self.search(asked),
            ("GET", ["search"], Edition::Cloud) => Err(Reply::of(410, &json!({"errorMessages": ["removed"]}))),
            ("POST", ["issue"], _) => self.create(asked),
            ("GET", ["issue", key], _) => self.shown(key, asked),
            ("PUT", ["issue", key], _) => self.edit(key, asked),
            ("GET", ["issue", key, "transitions"], _) => Ok(Reply::ok(&json!({"transitions": self.transitions(key)?}))),
            ("POST", ["issue", key, "transitions"], _) => self.transit(key, asked),
            ("POST", ["issue", key, "comment"], _) => {
                let body = asked.object(&["body"]).map_err(|reason| refusal("body", &reason))?;
                self.text(&body["body"]).map_err(|reason| refusal("comment", &reason))?;
                self.issue(key)?;
                self.say("acc-bw", key, body["body"].clone());
                Ok(Reply::of(201, &json!({"id": "1"})))
            }
            ("POST", ["issueLink"], _) => self.link(asked),
            _ => Err(gone()),
        }
    }
}

impl House for Strict<Jira> {
    fn example(&self) -> (&'static str, &'static str) {
        let example = match self.with(|own| own.edition) {
            Edition::Cloud => include_str!("../../../../../examples/jira/bridges.yaml"),
            Edition::DataCenter => include_str!("../../../../../examples/jira/data-center.yaml"),
        };
        (example, "127.0.0.1:8091")
    }

    fn place(&self) -> std::net::SocketAddr {
        self.address
    }

    fn secret(&self) -> &str {
        TOKEN
    }

    fn set(&self, who: &str, ticket: &str, field: &str, value: &str) {
        self.with(|own| match field {
            STATUS => own.set(who, ticket, "status", json!({ "name": value })),
            PRIORITY => own.set(who, ticket, "priority", json!({"name": value, "id": "3"})),
            OWNER => {
                let account = own.account(value);
                own.set(who, ticket, "assignee", account);
            }
            other => panic!("{other}"),
        });
    }

    fn say(&self, who: &str, ticket: &str, text: &str) {
        self.with(|own| {
            let paragraph = json!({"type": "paragraph", "content": [{"type": "text", "text": text}]});
            let body = match own.edition {
                Edition::Cloud => json!({"type": "doc", "version": 1, "content": [paragraph]}),
                Edition::DataCenter => text.into(),
            };
            own.say(who, ticket, body);
        });
    }

    fn delete(&self, ticket: &str) {
        self.with(|own| own.issues.retain(|issue| issue.key != ticket));
    }

    fn texts(&self, ticket: &str) -> Vec<String> {
        self.with(|own| {
            let Ok(issue) = own.issue(ticket) else { return Vec::new() };
            let first = issue.fields["description"].clone();
            std::iter::once(first)
                .chain(issue.comments.iter().map(|of| of["body"].clone()))
                .map(|of| of.to_string())
                .collect()
        })
    }
}

/// Every label there is, with how many issues have it.
impl Jira {
    pub(in super::super) fn keys(&self) -> BTreeMap<String, usize> {
        let mut all = BTreeMap::new();
        let labels = self.issues.iter().filter_map(|issue| issue.fields["labels"].as_array()).flatten();
        labels.filter_map(Value::as_str).for_each(|label| *all.entry(label.to_owned()).or_default() += 1);
        all
    }
}
