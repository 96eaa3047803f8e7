//! The requests, as Jira's REST interface has them.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bellwether_engine::time::{EventTime, Span};
use futures::future::BoxFuture;
use http::Method;
use http::header::{ACCEPT, AUTHORIZATION};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::names::Names;
use super::super::outgoing::Destination;
use super::super::rest::{Rest, in_path, with_query};
use super::super::system::{
    Answered, COMMENT, Draft, FeedOrder, Fields, KEY, LinkKind, OWNER, PRIORITY, QUEUE, STATUS, SUBJECT, SystemError,
    TEXT, Ticket, ticket_system,
};
use super::super::text::{cut_utf16, one_line};
use super::JiraConfig;
use super::dialect::Edition;

/// A summary and a text field, in UTF-16, as it counts: it refuses what is longer.
const LINE_MAX: usize = 255;
/// A text: 32,767, less what it is wrapped in and the mark below.
const TEXT_MAX: usize = 32_000;
/// Issues under one key that are read: more than one is somebody's copy.
const FOUND_MAX: usize = 20;
/// How long an issue of Cloud is not found after it was made or touched: "from a few seconds to minutes".
const CLOUD_LAG: Span = Span::from_mins(2);
/// The label of every issue of ours, by which the feed asks; and what begins the one with the key.
const OURS: &str = "bellwether";
const KEY_PREFIX: &str = "bw:";

/// Jira as one of its users has it.
pub(in crate::bridges) struct Jira {
    rest: Rest,
    config: JiraConfig,
    names: Names,
}

/// What a search finds.
#[derive(Deserialize)]
pub(super) struct Touched {
    pub(super) issues: Vec<TouchedIssue>,
    #[serde(default, rename = "nextPageToken")]
    pub(super) next: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct TouchedIssue {
    pub(super) key: String,
}

/// Somebody, in the words of either edition.
#[derive(Clone, Deserialize)]
pub(super) struct Account {
    #[serde(default, rename = "accountId")]
    id: String,
    #[serde(default)]
    name: String,
    #[serde(default, rename = "displayName")]
    shown: String,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct Keyed {
    key: String,
}

#[derive(Deserialize)]
pub(super) struct Issue {
    pub(super) key: String,
    pub(super) fields: IssueFields,
    #[serde(default)]
    pub(super) changelog: Changelog,
}

#[derive(Deserialize)]
pub(super) struct IssueFields {
    #[serde(default)]
    summary: String,
    status: Named,
    #[serde(default)]
    priority: Option<Named>,
    project: Keyed,
    #[serde(default)]
    assignee: Option<Account>,
    #[serde(default)]
    labels: Vec<String>,
    #[serde(default)]
    pub(super) updated: String,
    #[serde(default)]
    pub(super) comment: Comments,
    #[serde(default)]
    issuelinks: Vec<IssueLink>,
    #[serde(flatten)]
    more: BTreeMap<String, Value>,
}

#[derive(Default, Deserialize)]
pub(super) struct Comments {
    #[serde(default)]
    pub(super) comments: Vec<Comment>,
}

#[derive(Deserialize)]
pub(super) struct Comment {
    pub(super) id: String,
    #[serde(default)]
    pub(super) author: Option<Account>,
    #[serde(default)]
    pub(super) body: Value,
    pub(super) created: String,
}

#[derive(Deserialize)]
struct IssueLink {
    #[serde(default, rename = "inwardIssue")]
    inward: Option<Keyed>,
    #[serde(default, rename = "outwardIssue")]
    outward: Option<Keyed>,
}

#[derive(Default, Deserialize)]
pub(super) struct Changelog {
    #[serde(default)]
    pub(super) histories: Vec<History>,
}

/// What somebody did at one time.
#[derive(Deserialize)]
pub(super) struct History {
    pub(super) id: String,
    #[serde(default)]
    pub(super) author: Option<Account>,
    pub(super) created: String,
    #[serde(default)]
    pub(super) items: Vec<Item>,
}

#[derive(Deserialize)]
pub(super) struct Item {
    pub(super) field: String,
    #[serde(default)]
    pub(super) to: Option<String>,
    #[serde(default, rename = "toString")]
    pub(super) to_string: Option<String>,
}

#[derive(Deserialize)]
struct Transitions {
    transitions: Vec<Transition>,
}

#[derive(Deserialize)]
struct Transition {
    id: String,
    to: Named,
    #[serde(default)]
    fields: BTreeMap<String, Value>,
}

/// A time as it has it: `2026-11-30T22:51:49.123+0000`.
pub(super) fn time(text: &str) -> EventTime {
    EventTime::parse_rfc3339(text).unwrap_or_default()
}

/// A number as it has it, in a text.
pub(super) fn number(text: &str) -> u64 {
    text.parse().unwrap_or(0)
}

/// The label with a key: one has no blanks.
fn label(key: &str) -> String {
    let letters = key.chars().flat_map(|letter| match letter {
        '%' => "%25".chars().collect::<Vec<_>>(),
        blank if blank.is_whitespace() => "%20".chars().collect(),
        other => vec![other],
    });
    KEY_PREFIX.chars().chain(letters).collect()
}

/// A text within a search.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

impl Jira {
    /// As the user with this token; `None` when it cannot be sent.
    pub(super) fn new(config: &JiraConfig, destination: Destination, token: &str) -> Option<Jira> {
        let who = match &config.user {
            Some(user) => format!("Basic {}", STANDARD.encode(format!("{user}:{token}"))),
            None => format!("Bearer {token}"),
        };
        let rest = Rest::new(destination, config.edition.base()).with_secret(AUTHORIZATION, &who)?;
        Some(Jira { rest: rest.with(ACCEPT, "application/json"), config: config.clone(), names: Names::default() })
    }

    pub(super) fn edition(&self) -> Edition {
        self.config.edition
    }

    /// How long what was done may not be found.
    pub(super) fn lag(&self) -> Span {
        match self.config.edition {
            Edition::Cloud => CLOUD_LAG,
            Edition::DataCenter => Span::ZERO,
        }
    }

    async fn own(&self) -> Answered<Account> {
        self.rest.get("/myself").await
    }

    pub(super) async fn own_name(&self) -> Answered<String> {
        Ok(self.own().await?.shown)
    }

    /// The account of the bridge's user.
    pub(super) async fn own_account(&self) -> Answered<String> {
        let ask = || async { Ok(BTreeMap::from([("me".to_owned(), self.account_of(&self.own().await?))])) };
        let account = self.names.id("me", "me", ask).await?;
        account.ok_or_else(|| SystemError::Denied("Jira does not say who we are".to_owned()))
    }

    pub(super) fn account_of(&self, account: &Account) -> String {
        match self.config.edition {
            Edition::Cloud => account.id.clone(),
            Edition::DataCenter => account.name.clone(),
        }
    }

    /// What somebody is called here.
    pub(super) fn person(&self, account: &Account) -> String {
        let shown = if self.config.edition == Edition::Cloud { &account.shown } else { &account.name };
        self.person_named(&self.account_of(account), shown)
    }

    /// The same, of an account that is shown so.
    pub(super) fn person_named(&self, account: &str, shown: &str) -> String {
        let named = self.config.people.iter().find(|(_, known)| *known == account);
        match (named, self.config.edition) {
            (Some((name, _)), _) => name.clone(),
            (None, Edition::Cloud) => shown.to_owned(),
            (None, Edition::DataCenter) => account.to_owned(),
        }
    }

    /// The account of somebody who can be assigned there; `None` for who cannot.
    async fn assignable(&self, project: &str, name: &str) -> Answered<Option<String>> {
        if let Some(account) = self.config.people.get(name) {
            return Ok(Some(account.clone()));
        }
        let parameters = [("project", project), (self.config.edition.people_by(), name)];
        let ask = || async {
            let found: Vec<Account> = self.rest.get(&with_query("/user/assignable/search", &parameters)).await?;
            Ok(found.iter().map(|account| (self.person(account), self.account_of(account))).collect())
        };
        self.names.id(&format!("{project} {name}"), name, ask).await
    }

    /// The statuses that issues of a type can have in a project.
    pub(super) async fn statuses(&self, project: &str, issue_type: &str) -> Answered<BTreeSet<String>> {
        #[derive(Deserialize)]
        struct OfType {
            name: String,
            #[serde(default)]
            statuses: Vec<Named>,
        }
        let path = format!("/project/{}/statuses", in_path(project));
        let types: Vec<OfType> = self.rest.get(&path).await.map_err(|error| match error {
            SystemError::Gone => SystemError::Refused(format!("there is no project `{project}`, or we may not see it")),
            other => other,
        })?;
        let of = types.into_iter().find(|of| of.name == issue_type);
        let missing = || SystemError::Refused(format!("project `{project}` has no type of issue `{issue_type}`"));
        Ok(of.ok_or_else(missing)?.statuses.into_iter().map(|status| status.name).collect())
    }

    pub(super) async fn priorities(&self) -> Answered<BTreeSet<String>> {
        let all: Vec<Named> = self.rest.get("/priority").await?;
        Ok(all.into_iter().map(|priority| priority.name).collect())
    }

    /// Issues of ours that a search finds; `next` is where its last page ended.
    pub(super) async fn touched(&self, more: &str, limit: usize, next: Option<&str>) -> Answered<Touched> {
        self.search(&format!("labels = {} {more}", quoted(OURS)), limit, next).await
    }

    async fn search(&self, query: &str, limit: usize, next: Option<&str>) -> Answered<Touched> {
        let limit_text = limit.to_string();
        let mut parameters = vec![("jql", query), ("fields", "updated"), ("maxResults", &limit_text)];
        match self.config.edition {
            Edition::Cloud => parameters.extend(next.map(|next| ("nextPageToken", next))),
            Edition::DataCenter => parameters.push(("startAt", next.unwrap_or("0"))),
        }
        let mut found: Touched = self.rest.get(&with_query(self.config.edition.search(), &parameters)).await?;
        if self.config.edition == Edition::DataCenter && found.issues.len() >= limit {
            found.next = Some((next.map_or(0, number) + limit as u64).to_string());
        }
        Ok(found)
    }

    pub(super) async fn issue(&self, key: &str) -> Answered<Issue> {
        let own = self.config.custom_fields.values().map(String::as_str);
        let all =
            ["summary", "status", "priority", "project", "assignee", "labels", "updated", "comment", "issuelinks"];
        let fields = all.into_iter().chain(own).collect::<Vec<_>>().join(",");
        let path = format!("/issue/{}", in_path(key));
        self.rest.get(&with_query(&path, &[("fields", &fields), ("expand", "changelog")])).await
    }

    fn key_of(issue: &Issue) -> String {
        let key = issue.fields.labels.iter().find_map(|label| label.strip_prefix(KEY_PREFIX)).unwrap_or_default();
        key.replace("%20", " ").replace("%25", "%")
    }

    /// An issue that was asked for as `id`: one that was moved to another project has another key now, and is the same.
    fn ticket(&self, id: &str, issue: Issue) -> Ticket {
        let key = Jira::key_of(&issue);
        let url = format!("{}/browse/{}", self.rest.web(), issue.key);
        let IssueFields { summary, status, priority, project, assignee, updated, mut more, .. } = issue.fields;
        let mut fields = Fields::from([
            (SUBJECT.to_owned(), summary),
            (STATUS.to_owned(), status.name),
            (PRIORITY.to_owned(), priority.map(|priority| priority.name).unwrap_or_default()),
            (QUEUE.to_owned(), project.key),
            (OWNER.to_owned(), assignee.map(|account| self.person(&account)).unwrap_or_default()),
            (KEY.to_owned(), key.clone()),
        ]);
        for (name, field) in &self.config.custom_fields {
            let value = more.remove(field).map(|value| self.config.edition.words(&value)).unwrap_or_default();
            fields.insert(name.clone(), value);
        }
        Ticket { id: id.to_owned(), key, version: updated, url, fields }
    }

    /// Fields as it takes them; an owner who cannot be assigned is left out.
    async fn body(&self, fields: &Fields, project: &str) -> Answered<Map<String, Value>> {
        let mut body = Map::new();
        for (name, value) in fields {
            let (field, value): (&str, Value) = match name.as_str() {
                SUBJECT => ("summary", value.as_str().into()),
                PRIORITY => ("priority", json!({ "name": value })),
                OWNER if value.is_empty() => ("assignee", Value::Null),
                OWNER => match self.assignable(project, value).await? {
                    Some(account) => ("assignee", json!({ self.config.edition.account(): account })),
                    None => continue,
                },
                // A status is reached, a project left, by other requests; the key is a label.
                STATUS | QUEUE | KEY => continue,
                other => match self.config.custom_fields.get(other) {
                    // An empty text is none.
                    Some(id) if value.is_empty() => (id.as_str(), Value::Null),
                    Some(id) => (id.as_str(), value.as_str().into()),
                    None => continue,
                },
            };
            body.insert(field.to_owned(), value);
        }
        Ok(body)
    }

    async fn find(&self, key: &str) -> Answered<Vec<Ticket>> {
        let query = format!("labels = {} ORDER BY created ASC", quoted(&label(key)));
        let mut found = Vec::new();
        for issue in self.search(&query, FOUND_MAX, None).await?.issues {
            match self.read(&issue.key).await {
                Ok(ticket) if ticket.key == key => found.push(ticket),
                // It knows no capitals; and what it finds may be gone.
                Ok(_) | Err(SystemError::Gone) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    async fn create(&self, draft: &Draft) -> Answered<String> {
        let project = draft.fields.get(QUEUE).map_or("", String::as_str);
        let mut issue = self.body(&draft.fields, project).await?;
        issue.retain(|_, value| !value.is_null());
        issue.insert("project".to_owned(), json!({ "key": project }));
        issue.insert("issuetype".to_owned(), json!({ "name": self.config.issue_type }));
        issue.insert("labels".to_owned(), json!([OURS, label(&draft.key)]));
        issue.insert("description".to_owned(), self.config.edition.text(&draft.text, ""));
        let sent = self.rest.post("/issue", &json!({ "fields": issue })).await;
        let answer = match sent {
            // Whoever may not have it has it not, and the rest is done all the same.
            Err(SystemError::Refused(_)) if issue.remove("assignee").is_some() => {
                self.rest.post("/issue", &json!({ "fields": issue })).await?
            }
            other => other?,
        };
        let Keyed { key } = self.rest.read(&answer)?;
        // The workflow says where it begins.
        if let Some(status) = draft.fields.get(STATUS) {
            self.reach(&key, status).await.map_err(|error| match error {
                // The issue is there: it is looked up, and written to like any other.
                SystemError::Refused(reason) => SystemError::Lost(reason),
                other => SystemError::Lost(other.to_string()),
            })?;
        }
        Ok(key)
    }

    /// Brings an issue to a status, when one of its transitions leads there.
    async fn reach(&self, key: &str, status: &str) -> Answered<()> {
        let issue = self.issue(key).await?;
        if issue.fields.status.name == status {
            return Ok(());
        }
        let path = format!("/issue/{}/transitions", in_path(key));
        let Transitions { transitions } = self.rest.get(&format!("{path}?expand=transitions.fields")).await?;
        let Some(transition) = transitions.into_iter().find(|transition| transition.to.name == status) else {
            // That it was not reached is seen when it is read back.
            return Ok(());
        };
        let mut body = json!({"transition": {"id": transition.id}});
        if transition.fields.contains_key("resolution") {
            body["fields"] = json!({"resolution": {"name": self.config.resolution}});
        }
        self.rest.post(&path, &body).await.map(drop)
    }

    async fn read(&self, ticket: &str) -> Answered<Ticket> {
        Ok(self.ticket(ticket, self.issue(ticket).await?))
    }

    async fn update(&self, ticket: &str, version: &str, fields: &Fields) -> Answered<String> {
        // It takes no condition: what is left is the time between this and the next request.
        let issue = self.issue(ticket).await?;
        if issue.fields.updated != version {
            return Err(SystemError::Stale);
        }
        let path = format!("/issue/{}", in_path(ticket));
        let mut body = json!({ "fields": self.body(fields, &issue.fields.project.key).await? });
        if let Some(key) = fields.get(KEY) {
            body["update"] = json!({"labels": [{"add": OURS}, {"add": label(key)}]});
        }
        let has_fields = body["fields"].as_object().is_some_and(|fields| !fields.is_empty());
        if has_fields || body.get("update").is_some() {
            let sent = self.rest.send(Method::PUT, &path, &[], Some(&body)).await;
            match sent {
                Err(SystemError::Refused(_))
                    if body["fields"].as_object_mut().is_some_and(|fields| fields.remove("assignee").is_some()) =>
                {
                    self.rest.send(Method::PUT, &path, &[], Some(&body)).await?
                }
                other => other?,
            };
        }
        if let Some(status) = fields.get(STATUS) {
            self.reach(ticket, status).await?;
        }
        Ok(String::new())
    }

    async fn comment(&self, ticket: &str, mark: &str, text: &str) -> Answered<()> {
        let body = json!({ "body": self.config.edition.text(text, mark) });
        self.rest.post(&format!("/issue/{}/comment", in_path(ticket)), &body).await.map(drop)
    }

    async fn has_comment(&self, ticket: &str, mark: &str) -> Answered<bool> {
        let (issue, own, end) = (self.issue(ticket).await?, self.own_account().await?, format!("({mark})"));
        let ours = |comment: &Comment| comment.author.as_ref().is_some_and(|who| self.account_of(who) == own);
        let marked = |comment: &Comment| self.config.edition.words(&comment.body).trim_end().ends_with(&end);
        Ok(issue.fields.comment.comments.iter().any(|comment| ours(comment) && marked(comment)))
    }

    async fn link(&self, ticket: &str, kind: LinkKind, other: &str) -> Answered<()> {
        let issue = self.issue(ticket).await?;
        let ends = |link: &IssueLink| link.inward.iter().chain(&link.outward).any(|end| end.key == other);
        if issue.fields.issuelinks.iter().any(ends) {
            return Ok(());
        }
        let name = if kind == LinkKind::DuplicateOf { "Duplicate" } else { "Relates" };
        let body = json!({"type": {"name": name}, "inwardIssue": {"key": ticket}, "outwardIssue": {"key": other}});
        self.rest.post("/issueLink", &body).await.map(drop)
    }

    fn fit(&self, field: &str, text: &str) -> String {
        match field {
            TEXT | COMMENT => cut_utf16(text, TEXT_MAX),
            _ => cut_utf16(&one_line(text), LINE_MAX),
        }
    }
}

ticket_system!(Jira, FeedOrder::Time, Jira::lag);
