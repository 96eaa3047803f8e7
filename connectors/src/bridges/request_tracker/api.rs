//! The requests, as REST 2 has them.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use futures::future::BoxFuture;
use http::Method;
use http::header::{AUTHORIZATION, IF_MATCH};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::outgoing::{Answer, Destination};
use super::super::rest::{Rest, in_path, with_query};
use super::super::system::{
    Answered, COMMENT, Draft, FeedOrder, Fields, KEY, LinkKind, OWNER, PRIORITY, QUEUE, STATUS, SUBJECT, SystemError,
    TEXT, Ticket, ticket_system,
};
use super::super::text::{cut_bytes, one_line};
use super::RequestTrackerConfig;

/// Bytes of a subject: it cuts what is longer without a word.
const SUBJECT_BYTES_MAX: usize = 200;
/// Bytes of a custom field: what is longer is kept elsewhere and not searched.
const FIELD_BYTES_MAX: usize = 255;
/// Bytes of a text.
const TEXT_BYTES_MAX: usize = 32 << 10;
/// Who has what nobody has.
const NOBODY: &str = "Nobody";
/// Names that are remembered; beyond, all are asked for again.
const NAMES_MAX: usize = 10_000;

/// Request Tracker as one of its users has it.
pub(in crate::bridges) struct RequestTracker {
    rest: Rest,
    pub(super) user: String,
    key_field: String,
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

impl RequestTracker {
    /// As the user with this token; `None` when that is no token.
    pub(super) fn new(config: &RequestTrackerConfig, destination: Destination, token: &str) -> Option<RequestTracker> {
        let rest = Rest::new(destination, "/REST/2.0").with_secret(AUTHORIZATION, &format!("token {token}"))?;
        let (user, key_field) = (config.user.clone(), config.key_field.clone());
        Some(RequestTracker { rest, user, key_field, names: Mutex::default() })
    }

    /// What it has at a path.
    pub(super) async fn get<T: for<'de> Deserialize<'de>>(&self, path: &str) -> Answered<T> {
        self.rest.get(path).await
    }

    async fn post(&self, path: &str, body: &Value) -> Answered<Answer> {
        self.rest.post(path, body).await
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
        let Page { items } = self.rest.read::<Page<Value>>(&answer)?;
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
        let body: TicketBody = self.rest.read(answer)?;
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
        let url = format!("{}/Ticket/Display.html?id={id}", self.rest.web());
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
        Ok(self.rest.read::<Id>(&answer)?.text())
    }

    async fn read(&self, ticket: &str) -> Answered<Ticket> {
        let answer = self.rest.send(Method::GET, &format!("/ticket/{}", in_path(ticket)), &[], None).await?;
        self.ticket(&answer).await
    }

    async fn update(&self, ticket: &str, version: &str, fields: &Fields) -> Answered<String> {
        let path = format!("/ticket/{}", in_path(ticket));
        let body = Value::Object(self.body(fields));
        let condition = [(IF_MATCH, version)];
        let condition = if version.is_empty() { &[][..] } else { &condition[..] };
        let answer = self.rest.send(Method::PUT, &path, condition, Some(&body)).await?;
        Ok(self.rest.said(&answer.body))
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
        self.rest.send(Method::PUT, &path, &[], Some(&json!({ link: other }))).await.map(drop)
    }

    fn fit(&self, field: &str, text: &str) -> String {
        match field {
            SUBJECT => cut_bytes(&one_line(text), SUBJECT_BYTES_MAX),
            TEXT | COMMENT => cut_bytes(text, TEXT_BYTES_MAX),
            _ => cut_bytes(&one_line(text), FIELD_BYTES_MAX),
        }
    }
}

ticket_system!(RequestTracker, FeedOrder::Number);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leaves_its_quotes() {
        assert_eq!(quoted(r"a'b\"), r"'a\'b\\'");
    }
}
