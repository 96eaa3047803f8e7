//! The requests, as Roundup's REST interface has them.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::future::BoxFuture;
use http::Method;
use http::header::{AUTHORIZATION, HeaderName, IF_MATCH, ORIGIN, REFERER};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::outgoing::Destination;
use super::super::rest::{Rest, in_path, with_query};
use super::super::system::{
    Answered, COMMENT, Draft, FeedOrder, Fields, KEY, LinkKind, OWNER, QUEUE, SUBJECT, SystemError, TEXT, Ticket,
    ticket_system,
};
use super::super::text::{cut, cut_bytes, one_line};
use super::RoundupConfig;

/// Characters of a title and of other properties: what people can read in a list.
const LINE_CHARS_MAX: usize = 255;
/// Bytes of a text.
const TEXT_BYTES_MAX: usize = 32 << 10;

/// Roundup as one of its users has it.
pub(in crate::bridges) struct Roundup {
    pub(super) rest: Rest,
    pub(super) user: String,
    key_field: String,
    queue_property: String,
}

#[derive(Deserialize)]
pub(super) struct Data<T> {
    pub(super) data: T,
}

#[derive(Deserialize)]
pub(super) struct Collection {
    pub(super) collection: Vec<Item>,
}

/// One of its things: the properties that were asked for.
#[derive(Deserialize)]
pub(super) struct Item {
    pub(super) id: String,
    #[serde(flatten)]
    pub(super) of: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
pub(super) struct Element {
    pub(super) id: String,
    #[serde(default)]
    pub(super) attributes: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct Made {
    #[serde(default)]
    id: String,
    #[serde(default)]
    link: String,
}

/// A value in words: of what it links to the name, of a list all of them.
pub(super) fn words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(of) => {
            let name = ["name", "username", "id"].iter().find_map(|key| of.get(*key)?.as_str());
            name.unwrap_or_default().to_owned()
        }
        Value::Array(all) => {
            let mut all: Vec<String> = all.iter().map(words).collect();
            all.sort_unstable();
            all.join(", ")
        }
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

impl Roundup {
    /// As the user with this password; `None` when it cannot be sent.
    pub(super) fn new(config: &RoundupConfig, destination: Destination, password: &str) -> Option<Roundup> {
        let basic = format!("Basic {}", STANDARD.encode(format!("{}:{password}", config.user)));
        let web = format!("{}/", destination.web());
        let (scheme, rest) = web.split_once("://")?;
        let origin = format!("{scheme}://{}", rest.split('/').next()?);
        let rest = Rest::new(destination, "/rest/data")
            .with(HeaderName::from_static("x-requested-with"), "rest")
            .with_secret(AUTHORIZATION, &basic)?
            .with_own(ORIGIN, &origin)?
            .with_own(REFERER, &web)?;
        let (key_field, queue_property) = (config.key_field.clone(), config.queue_property.clone());
        Some(Roundup { rest, user: config.user.clone(), key_field, queue_property })
    }

    /// What it has under a path.
    pub(super) async fn get<T: for<'de> Deserialize<'de>>(&self, path: &str) -> Answered<T> {
        let Data { data } = self.rest.get(path).await?;
        Ok(data)
    }

    /// Whether there is a thing of this class and name.
    pub(super) async fn has(&self, class: &str, name: &str) -> Answered<()> {
        let path = with_query(&format!("/{}", in_path(class)), &[("name:", name), ("@fields", "name")]);
        let Collection { collection } = self.get(&path).await?;
        match collection.iter().any(|item| item.of.get("name").is_some_and(|is| is == name)) {
            true => Ok(()),
            false => Err(SystemError::Refused(format!("there is no {class} `{name}` in Roundup"))),
        }
    }

    /// Whether issues have this property.
    pub(super) async fn has_property(&self, property: &str) -> Answered<()> {
        let path = with_query("/issue", &[("@fields", property), ("@page_size", "1")]);
        let found: Answered<Collection> = self.get(&path).await;
        found.map(drop).map_err(|error| match error {
            SystemError::Refused(reason) => SystemError::Refused(format!(
                "issues have no property `{property}`: add `{property}=String()` to them in the tracker's `schema.py` \
                 ({reason})"
            )),
            other => other,
        })
    }

    fn body(&self, fields: &Fields) -> Map<String, Value> {
        let property = |name: &str| match name {
            SUBJECT => "title".to_owned(),
            OWNER => "assignedto".to_owned(),
            QUEUE => self.queue_property.clone(),
            KEY => self.key_field.clone(),
            other => other.to_owned(),
        };
        // A list takes a name, too, and is then that one.
        fields.iter().map(|(name, value)| (property(name), value.as_str().into())).collect()
    }

    /// Fields of an issue as `@fields` names them.
    pub(super) fn properties(&self) -> String {
        format!("title,status,priority,assignedto,{},{}", self.queue_property, self.key_field)
    }

    /// The fields of an issue, by what it has of them.
    pub(super) fn fields(&self, attributes: &BTreeMap<String, Value>) -> Fields {
        let name = |property: &str| match property {
            "title" => SUBJECT.to_owned(),
            "assignedto" => OWNER.to_owned(),
            of if *of == self.queue_property => QUEUE.to_owned(),
            of if *of == self.key_field => KEY.to_owned(),
            other => other.to_owned(),
        };
        attributes.iter().map(|(property, value)| (name(property), words(value))).collect()
    }

    async fn find(&self, key: &str) -> Answered<Vec<Ticket>> {
        let exactly = format!("{}:", self.key_field);
        let path = with_query("/issue", &[(&exactly, key), ("@fields", &self.key_field), ("@sort", "id")]);
        let Collection { collection } = self.get(&path).await?;
        let mut found = Vec::new();
        for item in collection {
            let ticket = self.read(&item.id).await?;
            if ticket.key == key {
                found.push(ticket);
            }
        }
        Ok(found)
    }

    async fn create(&self, draft: &Draft) -> Answered<String> {
        // The first text is a message, which an issue is made with.
        let message = self.message(&draft.key, &draft.text).await?;
        let mut fields = draft.fields.clone();
        fields.insert(KEY.to_owned(), draft.key.clone());
        let mut body = self.body(&fields);
        body.insert("messages".to_owned(), json!([message]));
        // A new issue has a text or none: an empty one is refused.
        body.retain(|_, value| value != "");
        match self.send_once(&body).await {
            // Whom it does not know has it not, and the rest is done all the same.
            Err(SystemError::Refused(_)) if body.remove("assignedto").is_some() => self.send_once(&body).await,
            other => other,
        }
    }

    /// Sends a new issue to an address that is used up by it, also when it is refused.
    async fn send_once(&self, body: &Map<String, Value>) -> Answered<String> {
        let once = self.once().await?;
        let answer = self.rest.post(&once, &Value::Object(body.clone())).await?;
        Ok(self.rest.read::<Data<Made>>(&answer)?.data.id)
    }

    /// An address that takes one new issue, once.
    async fn once(&self) -> Answered<String> {
        let answer = self.rest.post("/issue/@poe", &json!({})).await?;
        let Data { data: Made { link, .. } } = self.rest.read(&answer)?;
        // It names its own idea of where it is.
        let path = link.split_once("/rest/data").map(|(_, path)| path.to_owned());
        path.ok_or_else(|| SystemError::Refused(format!("`{link}` is no address for a new issue")))
    }

    /// A message of ours with this mark; the one that is there already when an answer was lost.
    async fn message(&self, mark: &str, text: &str) -> Answered<String> {
        if let Some(id) = self.message_id(mark).await? {
            return Ok(id);
        }
        let at = jiff::Timestamp::now().strftime("%Y-%m-%d.%H:%M:%S").to_string();
        let body = json!({"content": text, "messageid": mark, "author": self.user, "date": at});
        let answer = self.rest.post("/msg", &body).await?;
        Ok(self.rest.read::<Data<Made>>(&answer)?.data.id)
    }

    async fn message_id(&self, mark: &str) -> Answered<Option<String>> {
        let path = with_query("/msg", &[("messageid:", mark), ("@fields", "messageid"), ("@sort", "id")]);
        let Collection { collection } = self.get(&path).await?;
        let ours = collection.into_iter().find(|item| item.of.get("messageid").is_some_and(|is| is == mark));
        Ok(ours.map(|item| item.id))
    }

    async fn read(&self, ticket: &str) -> Answered<Ticket> {
        let path = with_query(&format!("/issue/{}", in_path(ticket)), &[("@verbose", "2")]);
        let answer = self.rest.send(Method::GET, &path, &[], None).await?;
        let Data { data: Element { id, attributes } } = self.rest.read(&answer)?;
        // One that was retired is in no list any more.
        let path = with_query("/issue", &[("id", ticket), ("@fields", "id")]);
        let Collection { collection } = self.get(&path).await?;
        if !collection.iter().any(|item| item.id == id) {
            return Err(SystemError::Gone);
        }
        let fields = self.fields(&attributes);
        let key = fields.get(KEY).cloned().unwrap_or_default();
        let url = format!("{}/issue{id}", self.rest.web());
        Ok(Ticket { id, key, version: answer.version, url, fields })
    }

    async fn update(&self, ticket: &str, version: &str, fields: &Fields) -> Answered<String> {
        let path = format!("/issue/{}", in_path(ticket));
        let mut body = self.body(fields);
        let condition = [(IF_MATCH, version)];
        let sent = self.rest.send(Method::PATCH, &path, &condition, Some(&Value::Object(body.clone()))).await;
        match sent {
            Err(SystemError::Refused(_)) if body.remove("assignedto").is_some() => {
                self.rest.send(Method::PATCH, &path, &condition, Some(&Value::Object(body))).await?
            }
            other => other?,
        };
        Ok(String::new())
    }

    async fn comment(&self, ticket: &str, mark: &str, text: &str) -> Answered<()> {
        let message = self.message(mark, text).await?;
        let path = format!("/issue/{}", in_path(ticket));
        let answer = self.rest.send(Method::GET, &with_query(&path, &[("@verbose", "2")]), &[], None).await?;
        let Data { data: Element { attributes, .. } } = self.rest.read(&answer)?;
        let known = attributes.get("messages").and_then(Value::as_array);
        let mut messages: Vec<&str> = known.into_iter().flatten().filter_map(|one| one.get("id")?.as_str()).collect();
        messages.push(&message);
        // Said again with it, or the template's detector sets it to `chatting`, which opens what is resolved.
        let status = attributes.get("status").map(words).unwrap_or_default();
        let body = json!({"messages": messages, "status": status});
        self.rest.send(Method::PATCH, &path, &[(IF_MATCH, &answer.version)], Some(&body)).await.map(drop)
    }

    async fn has_comment(&self, ticket: &str, mark: &str) -> Answered<bool> {
        let Some(message) = self.message_id(mark).await? else { return Ok(false) };
        let path = with_query(&format!("/issue/{}", in_path(ticket)), &[("@fields", "messages")]);
        let Element { attributes, .. } = self.get(&path).await?;
        let messages = attributes.get("messages").and_then(Value::as_array);
        Ok(messages.into_iter().flatten().any(|one| one.get("id").is_some_and(|id| *id == message)))
    }

    async fn link(&self, ticket: &str, _kind: LinkKind, other: &str) -> Answered<()> {
        // It has one kind: what is superseded. It does not close anything by itself.
        let path = format!("/issue/{}", in_path(ticket));
        let version = self.rest.send(Method::GET, &path, &[], None).await?.version;
        let body = json!({"superseder": [other], "@op": "add"});
        self.rest.send(Method::PATCH, &path, &[(IF_MATCH, &version)], Some(&body)).await.map(drop)
    }

    fn fit(&self, field: &str, text: &str) -> String {
        match field {
            TEXT | COMMENT => cut_bytes(text, TEXT_BYTES_MAX),
            _ => cut(&one_line(text), LINE_CHARS_MAX),
        }
    }
}

ticket_system!(Roundup, FeedOrder::Time);
