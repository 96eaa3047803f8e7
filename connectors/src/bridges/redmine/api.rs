//! The requests, as Redmine's REST interface has them.

use std::collections::BTreeMap;

use futures::future::BoxFuture;
use http::Method;
use http::header::HeaderName;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::names::Names;
use super::super::outgoing::Destination;
use super::super::rest::{Rest, in_path, with_query};
use super::super::system::{
    Answered, COMMENT, Draft, FeedOrder, Fields, KEY, LinkKind, OWNER, PRIORITY, QUEUE, STATUS, SUBJECT, SystemError,
    TEXT, Ticket, ticket_system,
};
use super::super::text::{cut, cut_bytes, one_line};
use super::RedmineConfig;

/// Characters of a subject: it refuses what is longer.
const SUBJECT_CHARS_MAX: usize = 255;
/// Characters of a custom field of one line.
const FIELD_CHARS_MAX: usize = 255;
/// Bytes of a text.
const TEXT_BYTES_MAX: usize = 32 << 10;
/// Members of a project in a page, and pages that are read: nobody is assigned who comes later.
const MEMBERS_PAGE: usize = 100;
const MEMBERS_PAGES_MAX: usize = 20;
/// Where its lists are.
const STATUSES: &str = "/issue_statuses.json";
const PRIORITIES: &str = "/enumerations/issue_priorities.json";

/// Redmine as one of its users has it.
pub(in crate::bridges) struct Redmine {
    pub(super) rest: Rest,
    key_field: String,
    custom_fields: BTreeMap<String, u64>,
    tracker: Option<String>,
    names: Names,
}

/// Something it names with its number.
#[derive(Clone, Deserialize)]
pub(super) struct Named {
    pub(super) id: u64,
    #[serde(default)]
    pub(super) name: String,
}

#[derive(Deserialize)]
struct CustomField {
    id: u64,
    #[serde(default)]
    value: Value,
}

#[derive(Deserialize)]
pub(super) struct Issue {
    pub(super) id: u64,
    project: Named,
    status: Named,
    priority: Named,
    #[serde(default)]
    assigned_to: Option<Named>,
    #[serde(default)]
    subject: String,
    #[serde(default)]
    custom_fields: Vec<CustomField>,
    #[serde(default)]
    pub(super) journals: Vec<Journal>,
    #[serde(default)]
    relations: Vec<Relation>,
}

/// What somebody did at one time.
#[derive(Deserialize)]
pub(super) struct Journal {
    pub(super) id: u64,
    /// Left out of what somebody did who is no user any more.
    #[serde(default)]
    pub(super) user: Option<Named>,
    #[serde(default)]
    pub(super) notes: Option<String>,
    pub(super) created_on: String,
    #[serde(default)]
    pub(super) details: Vec<Detail>,
}

#[derive(Deserialize)]
pub(super) struct Detail {
    pub(super) property: String,
    pub(super) name: String,
    #[serde(default)]
    pub(super) new_value: Option<String>,
}

#[derive(Deserialize)]
struct Relation {
    issue_id: u64,
    issue_to_id: u64,
}

#[derive(Deserialize)]
struct One {
    issue: Issue,
}

#[derive(Deserialize)]
struct Login {
    id: u64,
    #[serde(default)]
    login: String,
}

#[derive(Deserialize)]
struct User {
    user: Login,
}

/// The key under which a comment is found again, as it stands at its end.
fn signed(text: &str, mark: &str) -> String {
    format!("{text}\n\n({mark})")
}

impl Redmine {
    /// As the user with this key; `None` when that is none.
    pub(super) fn new(config: &RedmineConfig, destination: Destination, key: &str) -> Option<Redmine> {
        let rest = Rest::new(destination, "").with_secret(HeaderName::from_static("x-redmine-api-key"), key)?;
        let (key_field, custom_fields) = (config.key_field.clone(), config.custom_fields.clone());
        Some(Redmine { rest, key_field, custom_fields, tracker: config.tracker.clone(), names: Names::default() })
    }

    /// Names with their numbers, of one of its lists.
    async fn list(&self, path: &str) -> Answered<BTreeMap<String, String>> {
        let lists: BTreeMap<String, Value> = self.rest.get(path).await?;
        let of_list = |value: Value| serde_json::from_value::<Vec<Named>>(value).ok();
        let all = lists.into_values().filter_map(of_list).flatten();
        Ok(all.map(|of| (of.name, of.id.to_string())).collect())
    }

    async fn id_in(&self, path: &str, name: &str, what: &str) -> Answered<String> {
        let id = self.names.id(path, name, || self.list(path)).await?;
        id.ok_or_else(|| SystemError::Refused(format!("there is no {what} `{name}` in Redmine: correct `mapping`")))
    }

    pub(super) async fn status_id(&self, name: &str) -> Answered<String> {
        self.id_in(STATUSES, name, "status").await
    }

    pub(super) async fn priority_id(&self, name: &str) -> Answered<String> {
        self.id_in(PRIORITIES, name, "priority").await
    }

    pub(super) async fn status_name(&self, id: &str) -> Answered<String> {
        self.names.name(STATUSES, id, || self.list(STATUSES)).await
    }

    pub(super) async fn priority_name(&self, id: &str) -> Answered<String> {
        self.names.name(PRIORITIES, id, || self.list(PRIORITIES)).await
    }

    /// By which a user logs in; whoever may not be seen is called as Redmine shows them.
    pub(super) async fn login(&self, user: &Named) -> Answered<String> {
        let (list, id) = (format!("user {}", user.id), user.id.to_string());
        let ask = || async {
            let found: Answered<User> = self.rest.get(&format!("/users/{id}.json")).await;
            let login = match found {
                Ok(User { user }) => user.login,
                Err(SystemError::Gone | SystemError::Refused(_)) => user.name.clone(),
                Err(error) => return Err(error),
            };
            Ok(BTreeMap::from([(login, id.clone())]))
        };
        self.names.name(&list, &id, ask).await
    }

    /// The number of a member of a project; `None` for who is none.
    async fn member_id(&self, project: &str, login: &str) -> Answered<Option<String>> {
        let list = format!("/projects/{}/memberships.json", in_path(project));
        let members = || async {
            #[derive(Deserialize)]
            struct Memberships {
                memberships: Vec<Membership>,
            }
            #[derive(Deserialize)]
            struct Membership {
                #[serde(default)]
                user: Option<Named>,
                #[serde(default)]
                group: Option<Named>,
            }
            let mut members = BTreeMap::new();
            for page in 0..MEMBERS_PAGES_MAX {
                let (limit, offset) = (MEMBERS_PAGE.to_string(), (page * MEMBERS_PAGE).to_string());
                let path = with_query(&list, &[("limit", &limit), ("offset", &offset)]);
                let Memberships { memberships } = self.rest.get(&path).await?;
                let full = memberships.len() >= MEMBERS_PAGE;
                for membership in memberships {
                    if let Some(user) = membership.user {
                        members.insert(self.login(&user).await?, user.id.to_string());
                    } else if let Some(group) = membership.group {
                        members.insert(group.name, group.id.to_string());
                    }
                }
                if !full {
                    break;
                }
            }
            Ok(members)
        };
        self.names.id(&list, login, members).await
    }

    /// Our own number there.
    pub(super) async fn own_id(&self) -> Answered<String> {
        let me = || async {
            let User { user } = self.rest.get("/users/current.json").await?;
            Ok(BTreeMap::from([("me".to_owned(), user.id.to_string())]))
        };
        let id = self.names.id("me", "me", me).await?;
        id.ok_or_else(|| SystemError::Denied("Redmine does not say who we are".to_owned()))
    }

    /// By which our user logs in.
    pub(super) async fn own_login(&self) -> Answered<String> {
        let User { user } = self.rest.get("/users/current.json").await?;
        Ok(user.login)
    }

    /// Whether there is a project of this identifier that we may see, with this tracker.
    pub(super) async fn has_project(&self, project: &str, tracker: Option<&str>) -> Answered<()> {
        let refused = |what: String| SystemError::Refused(what);
        let trackers = self.trackers(project).await.map_err(|error| match error {
            SystemError::Gone | SystemError::Refused(_) => {
                refused(format!("there is no project `{project}`, or the bridge's user is not in it"))
            }
            other => other,
        })?;
        match tracker.filter(|name| !trackers.contains_key(*name)) {
            Some(name) => Err(refused(format!("project `{project}` has no tracker `{name}`"))),
            None => Ok(()),
        }
    }

    async fn trackers(&self, project: &str) -> Answered<BTreeMap<String, String>> {
        #[derive(Deserialize)]
        struct Project {
            project: Trackers,
        }
        #[derive(Deserialize)]
        struct Trackers {
            #[serde(default)]
            trackers: Vec<Named>,
        }
        let path = format!("/projects/{}.json?include=trackers", in_path(project));
        let Project { project } = self.rest.get(&path).await?;
        Ok(project.trackers.into_iter().map(|of| (of.name, of.id.to_string())).collect())
    }

    /// The identifier of a project.
    async fn project_name(&self, id: u64) -> Answered<String> {
        #[derive(Deserialize)]
        struct Project {
            project: Identifier,
        }
        #[derive(Deserialize)]
        struct Identifier {
            identifier: String,
        }
        let id = id.to_string();
        let ask = || async {
            let Project { project } = self.rest.get(&format!("/projects/{id}.json")).await?;
            Ok(BTreeMap::from([(project.identifier, id.clone())]))
        };
        self.names.name(&format!("project {id}"), &id, ask).await
    }

    /// The name of a custom field.
    pub(super) fn field_name(&self, id: u64) -> Option<&str> {
        self.custom_fields.iter().find(|(_, number)| **number == id).map(|(name, _)| name.as_str())
    }

    /// What the key's field is searched by.
    pub(super) fn key_filter(&self) -> String {
        format!("cf_{}", self.custom_fields[&self.key_field])
    }

    /// Whether the key's field can be searched.
    pub(super) async fn has_key_field(&self) -> Answered<()> {
        let path = with_query("/issues.json", &[(&self.key_filter(), "*"), ("status_id", "*"), ("limit", "1")]);
        self.rest.get::<Value>(&path).await.map(drop)
    }

    /// Fields as it takes them; an owner whom it does not know is left out.
    async fn body(&self, fields: &Fields, project: &str) -> Answered<Map<String, Value>> {
        let mut body = Map::new();
        let mut custom = Vec::new();
        for (name, value) in fields {
            let (own, value): (_, Value) = match name.as_str() {
                SUBJECT => ("subject", value.as_str().into()),
                QUEUE => ("project_id", value.as_str().into()),
                STATUS => ("status_id", self.status_id(value).await?.into()),
                PRIORITY => ("priority_id", self.priority_id(value).await?.into()),
                OWNER if value.is_empty() => ("assigned_to_id", "".into()),
                OWNER => match self.member_id(project, value).await? {
                    Some(id) => ("assigned_to_id", id.into()),
                    None => continue,
                },
                other => {
                    let field = if other == KEY { &self.key_field } else { name };
                    if let Some(id) = self.custom_fields.get(field) {
                        custom.push(json!({"id": id, "value": value}));
                    }
                    continue;
                }
            };
            body.insert(own.to_owned(), value);
        }
        if !custom.is_empty() {
            body.insert("custom_fields".to_owned(), custom.into());
        }
        Ok(body)
    }

    /// Sends an issue; whoever may not have it has it not, and the rest is done all the same.
    async fn write(&self, method: Method, path: &str, mut issue: Map<String, Value>) -> Answered<Option<Issue>> {
        let sent = self.rest.send(method.clone(), path, &[], Some(&json!({"issue": issue}))).await;
        let answer = match sent {
            Err(SystemError::Refused(_)) if issue.remove("assigned_to_id").is_some() => {
                self.rest.send(method, path, &[], Some(&json!({"issue": issue}))).await?
            }
            other => other?,
        };
        if answer.body.is_empty() {
            return Ok(None);
        }
        let One { issue } = self.rest.read(&answer)?;
        Ok(Some(issue))
    }

    pub(super) async fn issue(&self, id: &str) -> Answered<Issue> {
        let path = format!("/issues/{}.json?include=journals,relations", in_path(id));
        let One { issue } = self.rest.get(&path).await?;
        Ok(issue)
    }

    async fn ticket(&self, issue: Issue) -> Answered<Ticket> {
        let owner = match &issue.assigned_to {
            Some(user) => self.login(user).await?,
            None => String::new(),
        };
        let version = issue.journals.iter().map(|journal| journal.id).max().unwrap_or(0).to_string();
        let mut fields = Fields::from([
            (SUBJECT.to_owned(), issue.subject),
            (STATUS.to_owned(), issue.status.name),
            (PRIORITY.to_owned(), issue.priority.name),
            (QUEUE.to_owned(), self.project_name(issue.project.id).await?),
            (OWNER.to_owned(), owner),
        ]);
        for CustomField { id, value } in issue.custom_fields {
            let Some(name) = self.field_name(id) else { continue };
            let name = if name == self.key_field { KEY } else { name };
            fields.insert(name.to_owned(), text_of(value));
        }
        let key = fields.get(KEY).cloned().unwrap_or_default();
        let url = format!("{}/issues/{}", self.rest.web(), issue.id);
        Ok(Ticket { id: issue.id.to_string(), key, version, url, fields })
    }

    async fn find(&self, key: &str) -> Answered<Vec<Ticket>> {
        #[derive(Deserialize)]
        struct Issues {
            issues: Vec<Named>,
        }
        let filter = self.key_filter();
        let path = with_query("/issues.json", &[(&filter, key), ("status_id", "*"), ("sort", "id")]);
        let Issues { issues } = self.rest.get(&path).await?;
        let mut found = Vec::new();
        for issue in issues {
            let ticket = self.read(&issue.id.to_string()).await?;
            // A `|` in a value would be "or", and some databases know no capitals.
            if ticket.key == key {
                found.push(ticket);
            }
        }
        Ok(found)
    }

    async fn create(&self, draft: &Draft) -> Answered<String> {
        let mut fields = draft.fields.clone();
        fields.insert(KEY.to_owned(), draft.key.clone());
        let project = draft.fields.get(QUEUE).map_or("", String::as_str);
        let mut issue = self.body(&fields, project).await?;
        issue.insert("description".to_owned(), draft.text.as_str().into());
        if let Some(tracker) = &self.tracker {
            let list = format!("trackers of {project}");
            let id = self.names.id(&list, tracker, || self.trackers(project)).await?;
            issue.extend(id.map(|id| ("tracker_id".to_owned(), id.into())));
        }
        let made = self.write(Method::POST, "/issues.json", issue).await?;
        let made = made.ok_or_else(|| SystemError::Lost("it does not say which issue it has made".to_owned()))?;
        Ok(made.id.to_string())
    }

    async fn read(&self, ticket: &str) -> Answered<Ticket> {
        self.ticket(self.issue(ticket).await?).await
    }

    async fn update(&self, ticket: &str, version: &str, fields: &Fields) -> Answered<String> {
        // It takes no condition that we could know: what is left is the time between this and the next request.
        let is = self.read(ticket).await?;
        if is.version != version {
            return Err(SystemError::Stale);
        }
        let project = fields.get(QUEUE).or_else(|| is.fields.get(QUEUE)).map_or("", String::as_str);
        let body = self.body(fields, project).await?;
        self.write(Method::PUT, &format!("/issues/{}.json", in_path(ticket)), body).await?;
        Ok(String::new())
    }

    async fn comment(&self, ticket: &str, mark: &str, text: &str) -> Answered<()> {
        let notes = json!({"issue": {"notes": signed(text, mark)}});
        let path = format!("/issues/{}.json", in_path(ticket));
        self.rest.send(Method::PUT, &path, &[], Some(&notes)).await.map(drop)
    }

    async fn has_comment(&self, ticket: &str, mark: &str) -> Answered<bool> {
        let (issue, own) = (self.issue(ticket).await?, self.own_id().await?);
        let end = signed("", mark);
        let ours = |journal: &Journal| journal.user.as_ref().is_some_and(|user| user.id.to_string() == own);
        let ends = |notes: &String| notes.replace('\r', "").trim_end().ends_with(end.trim_start());
        Ok(issue.journals.iter().any(|journal| ours(journal) && journal.notes.as_ref().is_some_and(ends)))
    }

    async fn link(&self, ticket: &str, kind: LinkKind, other: &str) -> Answered<()> {
        let issue = self.issue(ticket).await?;
        let joins = |relation: &Relation| [relation.issue_id, relation.issue_to_id].map(|id| id.to_string());
        if issue.relations.iter().any(|relation| joins(relation).contains(&other.to_owned())) {
            return Ok(());
        }
        // Parents take over priority and dates of what is under them.
        let relation = match kind {
            LinkKind::DuplicateOf => "duplicates",
            LinkKind::PartOf | LinkKind::SplitFrom | LinkKind::Follows => "relates",
        };
        let body = json!({"relation": {"issue_to_id": other, "relation_type": relation}});
        self.rest.post(&format!("/issues/{}/relations.json", in_path(ticket)), &body).await.map(drop)
    }

    fn fit(&self, field: &str, text: &str) -> String {
        match field {
            SUBJECT => cut(&one_line(text), SUBJECT_CHARS_MAX),
            TEXT | COMMENT => cut_bytes(text, TEXT_BYTES_MAX),
            _ => cut(&one_line(text), FIELD_CHARS_MAX),
        }
    }
}

/// A value of a custom field, of which one can have several.
fn text_of(value: Value) -> String {
    match value {
        Value::String(text) => text,
        Value::Array(all) => all.into_iter().map(text_of).collect::<Vec<_>>().join("\n"),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

ticket_system!(Redmine, FeedOrder::Time);
