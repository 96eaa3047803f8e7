//! The requests, as REST 2 has them.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use bellwether_engine::signal::cut_to;
use futures::future::BoxFuture;
use http::header::{AUTHORIZATION, HeaderValue, IF_MATCH};
use http::{HeaderMap, Method, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::outgoing::{Answer, Destination};
use super::super::system::{
    Answered, COMMENT, Change, Draft, Fields, KEY, LinkKind, OWNER, PRIORITY, QUEUE, STATUS, SUBJECT, SystemError,
    TEXT, Ticket, TicketSystem,
};
use super::RequestTrackerConfig;

/// Characters of a subject: it cuts what is longer without a word.
const SUBJECT_CHARS_MAX: usize = 200;
/// Characters of a custom field: what is longer is kept elsewhere and not searched.
const FIELD_CHARS_MAX: usize = 255;
/// Bytes of a text.
const TEXT_BYTES_MAX: usize = 32 << 10;
/// Who has what nobody has.
const NOBODY: &str = "Nobody";
/// Names that are remembered; beyond, all are asked for again.
const NAMES_MAX: usize = 10_000;
/// Characters of what it says that are shown.
const SAID_CHARS_MAX: usize = 500;

/// Request Tracker as one of its users has it.
pub(in crate::bridges) struct RequestTracker {
    destination: Destination,
    token: HeaderValue,
    pub(super) user: String,
    key_field: String,
    web: String,
    /// What its numbers stand for, by path.
    names: Mutex<BTreeMap<String, String>>,
}

/// A list, as it answers it.
#[derive(Deserialize)]
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
}

#[derive(Deserialize)]
struct Named {
    #[serde(rename = "Name")]
    name: String,
}

#[derive(Deserialize)]
struct Id {
    id: Value,
}

impl Id {
    fn text(&self) -> String {
        self.id.as_str().map_or_else(|| self.id.to_string(), str::to_owned)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TicketBody {
    #[serde(rename = "id")]
    id: Value,
    subject: String,
    status: String,
    queue: Id,
    owner: Id,
    priority: Value,
    #[serde(default)]
    custom_fields: Vec<CustomField>,
}

#[derive(Deserialize)]
struct CustomField {
    name: String,
    /// One that was taken away is there as null.
    #[serde(default)]
    values: Vec<Option<String>>,
}

#[derive(Deserialize)]
struct Said {
    #[serde(rename = "Data", default)]
    data: Option<String>,
}

/// A value as a query has it between quotes.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// A path with a query of these parameters.
pub(super) fn with_query(path: &str, parameters: &[(&str, &str)]) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    format!("{path}?{query}")
}

/// A name as a part of a path.
fn in_path(name: &str) -> String {
    form_urlencoded::byte_serialize(name.as_bytes()).collect::<String>().replace('+', "%20")
}

impl RequestTracker {
    /// As the user with this token; `None` when that is no token.
    pub(super) fn new(config: &RequestTrackerConfig, destination: Destination, token: &str) -> Option<RequestTracker> {
        let mut token = HeaderValue::from_str(&format!("token {token}")).ok()?;
        token.set_sensitive(true);
        let (user, key_field) = (config.user.clone(), config.key_field.clone());
        let web = config.url.trim_end_matches('/').to_owned();
        Some(RequestTracker { destination, token, user, key_field, web, names: Mutex::default() })
    }

    async fn send(&self, method: Method, path: &str, version: &str, body: Option<&Value>) -> Answered<Answer> {
        let mut headers = HeaderMap::from_iter([(AUTHORIZATION, self.token.clone())]);
        if let Some(version) = HeaderValue::from_str(version).ok().filter(|_| !version.is_empty()) {
            headers.insert(IF_MATCH, version);
        }
        let body = body.map(|body| body.to_string().into_bytes());
        let answer = self.destination.ask(method, &format!("/REST/2.0{path}"), &headers, body).await?;
        let said = || said(&answer.body);
        match answer.status {
            status if status.is_success() => Ok(answer),
            StatusCode::UNAUTHORIZED => Err(SystemError::Denied(format!("the token is not accepted: {}", said()))),
            StatusCode::PRECONDITION_FAILED => Err(SystemError::Stale),
            StatusCode::NOT_FOUND => Err(SystemError::Gone),
            status => Err(SystemError::Refused(format!("it answers {status}: {}", said()))),
        }
    }

    /// What it has at a path.
    pub(super) async fn get<T: for<'de> Deserialize<'de>>(&self, path: &str) -> Answered<T> {
        let answer = self.send(Method::GET, path, "", None).await?;
        read(&answer)
    }

    async fn post(&self, path: &str, body: &Value) -> Answered<Answer> {
        self.send(Method::POST, path, "", Some(body)).await
    }

    /// What a number of a user or a queue stands for.
    pub(super) async fn name_of(&self, kind: &str, id: &str) -> Answered<String> {
        let path = format!("/{kind}/{}", in_path(id));
        let known = self.names.lock().unwrap_or_else(PoisonError::into_inner).get(&path).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let Named { name } = self.get(&path).await?;
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if names.len() >= NAMES_MAX {
            names.clear();
        }
        names.insert(path, name.clone());
        Ok(name)
    }

    /// Its version, when it lets us in.
    pub(super) async fn version(&self) -> Answered<String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Version {
            version: String,
        }
        let Version { version } = self.get("/rt").await?;
        Ok(version)
    }

    /// Whether there is a queue of this name that we may see.
    pub(super) async fn has_queue(&self, queue: &str) -> Answered<()> {
        let found: Answered<Named> = self.get(&format!("/queue/{}", in_path(queue))).await;
        found.map(drop).map_err(|error| match error {
            SystemError::Gone | SystemError::Refused(_) => {
                SystemError::Refused(format!("there is no queue `{queue}`, or `{}` may not see it", self.user))
            }
            other => other,
        })
    }

    /// Whether there is a custom field of this name.
    pub(super) async fn has_field(&self, field: &str) -> Answered<()> {
        let asked = json!([{"field": "Name", "value": field}]);
        let answer = self.post("/customfields", &asked).await?;
        let Page { items } = read::<Page<Value>>(&answer)?;
        match items.is_empty() {
            false => Ok(()),
            true => Err(SystemError::Refused(format!(
                "there is no custom field `{field}` that `{}` may see: make it for tickets, of the type `Enter one value`",
                self.user
            ))),
        }
    }

    /// Fields as it takes them.
    fn body(&self, fields: &Fields) -> Map<String, Value> {
        let mut body = Map::new();
        let mut custom = Map::new();
        for (name, value) in fields {
            let (own, value) = match name.as_str() {
                SUBJECT => ("Subject", value.as_str()),
                QUEUE => ("Queue", value.as_str()),
                STATUS => ("Status", value.as_str()),
                PRIORITY => ("Priority", value.as_str()),
                OWNER => ("Owner", if value.is_empty() { NOBODY } else { value.as_str() }),
                KEY => {
                    custom.insert(self.key_field.clone(), value.as_str().into());
                    continue;
                }
                other => {
                    custom.insert(other.to_owned(), value.as_str().into());
                    continue;
                }
            };
            body.insert(own.to_owned(), value.into());
        }
        if !custom.is_empty() {
            body.insert("CustomFields".to_owned(), custom.into());
        }
        body
    }

    async fn ticket(&self, answer: &Answer) -> Answered<Ticket> {
        let body: TicketBody = read(answer)?;
        let id = Id { id: body.id }.text();
        let owner = body.owner.text();
        let mut fields = Fields::from([
            (SUBJECT.to_owned(), body.subject),
            (STATUS.to_owned(), body.status),
            (QUEUE.to_owned(), self.name_of("queue", &body.queue.text()).await?),
            (OWNER.to_owned(), if owner == NOBODY { String::new() } else { owner }),
            (PRIORITY.to_owned(), Id { id: body.priority }.text()),
        ]);
        for CustomField { name, values } in body.custom_fields {
            let name = if name == self.key_field { KEY.to_owned() } else { name };
            let values: Vec<String> = values.into_iter().flatten().collect();
            fields.insert(name, values.join("\n"));
        }
        let key = fields.get(KEY).cloned().unwrap_or_default();
        let url = format!("{}/Ticket/Display.html?id={id}", self.web);
        Ok(Ticket { id, key, version: answer.version.clone(), url, fields })
    }

    async fn find(&self, key: &str) -> Answered<Vec<Ticket>> {
        let query = format!("CF.{{{}}} = {}", self.key_field, quoted(key));
        let path = with_query("/tickets", &[("query", &query), ("orderby", "id"), ("order", "ASC")]);
        let Page { items } = self.get::<Page<Id>>(&path).await?;
        let mut found = Vec::new();
        for id in items {
            let ticket = self.read(&id.text()).await?;
            // Its comparison knows no capitals.
            if ticket.key == key {
                found.push(ticket);
            }
        }
        Ok(found)
    }

    async fn create(&self, draft: &Draft) -> Answered<String> {
        let mut fields = draft.fields.clone();
        fields.insert(KEY.to_owned(), draft.key.clone());
        let mut body = self.body(&fields);
        body.insert("Content".to_owned(), draft.text.as_str().into());
        body.insert("ContentType".to_owned(), "text/plain".into());
        let answer = self.post("/ticket", &Value::Object(body)).await?;
        Ok(read::<Id>(&answer)?.text())
    }

    async fn read(&self, ticket: &str) -> Answered<Ticket> {
        let answer = self.send(Method::GET, &format!("/ticket/{}", in_path(ticket)), "", None).await?;
        self.ticket(&answer).await
    }

    async fn update(&self, ticket: &str, version: &str, fields: &Fields) -> Answered<String> {
        let path = format!("/ticket/{}", in_path(ticket));
        let body = Value::Object(self.body(fields));
        let answer = self.send(Method::PUT, &path, version, Some(&body)).await?;
        Ok(said(&answer.body))
    }

    async fn comment(&self, ticket: &str, mark: &str, text: &str) -> Answered<()> {
        let body = json!({"Subject": mark, "Content": text, "ContentType": "text/plain"});
        self.post(&format!("/ticket/{}/comment", in_path(ticket)), &body).await.map(drop)
    }

    async fn has_comment(&self, ticket: &str, mark: &str) -> Answered<bool> {
        let Ok(number) = ticket.parse::<u64>() else { return Ok(false) };
        let user = quoted(&self.user);
        let query = format!("ObjectType='RT::Ticket' AND ObjectId={number} AND Type='Comment' AND Creator={user}");
        let more = [("fields", "Data"), ("per_page", "100"), ("orderby", "id"), ("order", "DESC")];
        let path = with_query("/transactions", &[&[("query", query.as_str())], &more[..]].concat());
        let Page { items } = self.get::<Page<Said>>(&path).await?;
        Ok(items.iter().any(|said| said.data.as_deref().is_some_and(|data| data.trim() == mark)))
    }

    async fn link(&self, ticket: &str, kind: LinkKind, other: &str) -> Answered<()> {
        let link = match kind {
            LinkKind::PartOf => "AddMemberOf",
            // One that depends on another cannot be resolved before it: it is only told of.
            LinkKind::DuplicateOf | LinkKind::SplitFrom | LinkKind::Follows => "AddRefersTo",
        };
        let path = format!("/ticket/{}", in_path(ticket));
        self.send(Method::PUT, &path, "", Some(&json!({ link: other }))).await.map(drop)
    }
}

impl TicketSystem for RequestTracker {
    fn find<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Answered<Vec<Ticket>>> {
        Box::pin(self.find(key))
    }

    fn create<'a>(&'a self, draft: &'a Draft) -> BoxFuture<'a, Answered<String>> {
        Box::pin(self.create(draft))
    }

    fn read<'a>(&'a self, ticket: &'a str) -> BoxFuture<'a, Answered<Ticket>> {
        Box::pin(self.read(ticket))
    }

    fn update<'a>(&'a self, ticket: &'a str, version: &'a str, fields: &'a Fields) -> BoxFuture<'a, Answered<String>> {
        Box::pin(self.update(ticket, version, fields))
    }

    fn comment<'a>(&'a self, ticket: &'a str, mark: &'a str, text: &'a str) -> BoxFuture<'a, Answered<()>> {
        Box::pin(self.comment(ticket, mark, text))
    }

    fn has_comment<'a>(&'a self, ticket: &'a str, mark: &'a str) -> BoxFuture<'a, Answered<bool>> {
        Box::pin(self.has_comment(ticket, mark))
    }

    fn link<'a>(&'a self, ticket: &'a str, kind: LinkKind, other: &'a str) -> BoxFuture<'a, Answered<()>> {
        Box::pin(self.link(ticket, kind, other))
    }

    fn changes(&self, after: Option<u64>) -> BoxFuture<'_, Answered<Vec<Change>>> {
        Box::pin(self.read_changes(after))
    }

    fn fit(&self, field: &str, text: &str) -> String {
        match field {
            SUBJECT => cut(&one_line(text), SUBJECT_CHARS_MAX),
            TEXT | COMMENT => cut_to(text, TEXT_BYTES_MAX).to_owned(),
            _ => cut(&one_line(text), FIELD_CHARS_MAX),
        }
    }
}

/// A text in one line.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// At most so many characters; a mark says where it was cut.
fn cut(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        None => text.to_owned(),
        Some(_) => text.chars().take(chars_max - 1).collect::<String>().trim_end().to_owned() + "…",
    }
}

pub(super) fn read<T: for<'de> Deserialize<'de>>(answer: &Answer) -> Answered<T> {
    let wrong = |error| SystemError::Refused(format!("its answer does not read ({error}): {}", said(&answer.body)));
    serde_json::from_slice(&answer.body).map_err(wrong)
}

/// What it says, for people.
fn said(body: &[u8]) -> String {
    let text = match serde_json::from_slice(body) {
        Ok(Value::Array(lines)) => lines.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("; "),
        Ok(Value::Object(of)) => of.get("message").and_then(Value::as_str).unwrap_or_default().to_owned(),
        _ => String::from_utf8_lossy(body).into_owned(),
    };
    cut(&one_line(&text), SAID_CHARS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_by_characters_after_it_was_rendered_and_never_inside_one() {
        let long = "ש🔥".repeat(150);
        let subject = cut(&one_line(&long), SUBJECT_CHARS_MAX);
        assert_eq!(subject.chars().count(), SUBJECT_CHARS_MAX);
        assert!(subject.ends_with('…'));
        assert_eq!(cut(&one_line(" a\n b "), SUBJECT_CHARS_MAX), "a b");
        assert_eq!(cut(&"x".repeat(200), SUBJECT_CHARS_MAX), "x".repeat(200));
    }

    #[test]
    fn no_name_leaves_its_quotes_or_its_place_in_a_path() {
        assert_eq!(quoted(r"a'b\"), r"'a\'b\\'");
        assert_eq!(in_path("a b/../c?d#e"), "a%20b%2F..%2Fc%3Fd%23e");
    }
}
