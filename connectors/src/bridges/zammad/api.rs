//! The requests, as Zammad's REST interface has them, and what others change.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_engine::time::EventTime;
use futures::future::BoxFuture;
use http::Method;
use http::header::AUTHORIZATION;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::outgoing::Destination;
use super::super::rest::{Rest, in_path, with_query};
use super::super::snapshot;
use super::super::system::{
    Answered, COMMENT, Change, Draft, FeedOrder, Fields, KEY, LinkKind, OWNER, PRIORITY, Page, QUEUE, STATUS, SUBJECT,
    Since, SystemError, TEXT, Ticket, ticket_system,
};
use super::super::text::{cut, cut_bytes, one_line};
use super::ZammadConfig;

/// Characters of a title, and of an attribute of one line.
const LINE_CHARS_MAX: usize = 250;
/// Bytes of a text.
const TEXT_BYTES_MAX: usize = 32 << 10;
/// Tickets under one key that are read: more than one is somebody's copy.
const FOUND_MAX: usize = 20;
/// Tickets in a page of what was touched lately; pages of those of the same second.
const TOUCHED: usize = 50;
const PAGES_MAX: usize = 40;
/// The oldest first.
const BY_NUMBER: [&str; 2] = ["id", "asc"];
/// Who has what nobody has.
const NOBODY: &str = "-";

/// Zammad as one of its users has it.
pub(in crate::bridges) struct Zammad {
    rest: Rest,
    config: ZammadConfig,
}

#[derive(Deserialize)]
struct Is {
    id: u64,
    #[serde(default)]
    number: String,
    #[serde(default)]
    updated_at: String,
    #[serde(default)]
    updated_by: String,
    /// Its attributes, with the names of what they stand for.
    #[serde(flatten)]
    of: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct Article {
    id: u64,
    #[serde(default)]
    body: String,
    #[serde(default)]
    created_by: String,
    created_at: String,
}

#[derive(Deserialize)]
struct Linked {
    link_object_value: u64,
}

#[derive(Deserialize)]
struct Links {
    #[serde(default)]
    links: Vec<Linked>,
}

fn time(text: &str) -> EventTime {
    EventTime::parse_rfc3339(text).unwrap_or_default()
}

/// The key under which a note is found again, as it stands at its end.
fn signed(text: &str, mark: &str) -> String {
    format!("{text}\n\n({mark})")
}

impl Zammad {
    /// As the user with this token; `None` when it cannot be sent.
    pub(super) fn new(config: &ZammadConfig, destination: Destination, token: &str) -> Option<Zammad> {
        let rest = Rest::new(destination, "/api/v1").hiding(token.to_owned());
        let rest = rest.with_secret(AUTHORIZATION, &format!("Token token={token}"))?;
        Some(Zammad { rest, config: config.clone() })
    }

    pub(super) async fn own_login(&self) -> Answered<String> {
        #[derive(Deserialize)]
        struct Me {
            login: String,
        }
        let Me { login } = self.rest.get("/users/me").await?;
        Ok(login.to_lowercase())
    }

    /// The names in one of its lists.
    pub(super) async fn names(&self, list: &str) -> Answered<BTreeSet<String>> {
        #[derive(Deserialize)]
        struct Named {
            name: String,
        }
        let all: Vec<Named> = self.rest.get(list).await?;
        Ok(all.into_iter().map(|named| named.name).collect())
    }

    pub(super) async fn has_key_field(&self) -> Answered<()> {
        let nobodys = self.key_is("none/none");
        self.tickets(&nobodys, BY_NUMBER, 1, 1).await.map(drop).map_err(|error| match error {
            SystemError::Refused(reason) => SystemError::Refused(format!(
                "tickets have no attribute `{}` that can be asked for: add a text of that name ({reason})",
                self.config.key_field
            )),
            other => other,
        })
    }

    /// The condition that a ticket has this key.
    fn key_is(&self, key: &str) -> [(String, String); 2] {
        let of = format!("condition[ticket.{}]", self.config.key_field);
        [(format!("{of}[operator]"), "is".to_owned()), (format!("{of}[value]"), key.to_owned())]
    }

    /// Tickets that a condition holds for, in this order: how many, and which page.
    async fn tickets(
        &self,
        condition: &[(String, String)],
        order: [&str; 2],
        size: usize,
        page: usize,
    ) -> Answered<Vec<Is>> {
        let (size, number) = (size.to_string(), page.to_string());
        let mut parameters: Vec<(&str, &str)> =
            condition.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        parameters.extend([("expand", "true"), ("sort_by", order[0]), ("order_by", order[1])]);
        parameters.extend([("per_page", size.as_str()), ("page", number.as_str())]);
        self.rest.get(&with_query("/tickets/search", &parameters)).await
    }

    async fn ticket_of(&self, id: &str) -> Answered<Is> {
        self.rest.get(&format!("/tickets/{}?expand=true", in_path(id))).await
    }

    fn ticket(&self, is: &Is) -> Ticket {
        let word = |name: &str| match is.of.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Null) | None => String::new(),
            Some(other) => other.to_string(),
        };
        let owner = Some(word("owner")).filter(|owner| owner != NOBODY).unwrap_or_default();
        let key = word(&self.config.key_field);
        let mut fields = Fields::from([
            (SUBJECT.to_owned(), word("title")),
            (STATUS.to_owned(), word("state")),
            (PRIORITY.to_owned(), word("priority")),
            (QUEUE.to_owned(), word("group")),
            (OWNER.to_owned(), owner),
            (KEY.to_owned(), key.clone()),
        ]);
        fields.extend(self.config.mapping.fields.keys().map(|name| (name.clone(), word(name))));
        let url = format!("{}/#ticket/zoom/{}", self.rest.web(), is.id);
        Ticket { id: is.id.to_string(), key, version: is.updated_at.clone(), url, fields }
    }

    fn body(&self, fields: &Fields) -> Map<String, Value> {
        let of = |(name, value): (&String, &String)| match name.as_str() {
            SUBJECT => ("title".to_owned(), value.clone()),
            STATUS => ("state".to_owned(), value.clone()),
            QUEUE => ("group".to_owned(), value.clone()),
            OWNER if value.is_empty() => ("owner".to_owned(), NOBODY.to_owned()),
            KEY => (self.config.key_field.clone(), value.clone()),
            other => (other.to_owned(), value.clone()),
        };
        fields.iter().map(of).map(|(name, value)| (name, value.into())).collect()
    }

    /// Sends a ticket; whoever may not have it has it not, and the rest is done all the same.
    async fn write(&self, method: Method, path: &str, mut body: Map<String, Value>) -> Answered<Is> {
        let sent = self.rest.send(method.clone(), path, &[], Some(&Value::Object(body.clone()))).await;
        let answer = match sent {
            Err(SystemError::Refused(_)) if body.remove("owner").is_some() => {
                self.rest.send(method, path, &[], Some(&Value::Object(body))).await?
            }
            other => other?,
        };
        self.rest.read(&answer)
    }

    async fn find(&self, key: &str) -> Answered<Vec<Ticket>> {
        let found = self.tickets(&self.key_is(key), BY_NUMBER, FOUND_MAX, 1).await?;
        // Its database may know no capitals.
        Ok(found.iter().map(|is| self.ticket(is)).filter(|ticket| ticket.key == key).collect())
    }

    async fn create(&self, draft: &Draft) -> Answered<String> {
        let mut fields = draft.fields.clone();
        fields.insert(KEY.to_owned(), draft.key.clone());
        let mut body = self.body(&fields);
        body.insert("customer".to_owned(), self.config.customer.as_ref().unwrap_or(&self.config.user).as_str().into());
        body.insert("article".to_owned(), note(&draft.text));
        Ok(self.write(Method::POST, "/tickets?expand=true", body).await?.id.to_string())
    }

    async fn read(&self, ticket: &str) -> Answered<Ticket> {
        Ok(self.ticket(&self.ticket_of(ticket).await?))
    }

    async fn update(&self, ticket: &str, version: &str, fields: &Fields) -> Answered<String> {
        // It takes no condition: what is left is the time between this and the next request.
        if self.ticket_of(ticket).await?.updated_at != version {
            return Err(SystemError::Stale);
        }
        let path = format!("/tickets/{}?expand=true", in_path(ticket));
        self.write(Method::PUT, &path, self.body(fields)).await?;
        Ok(String::new())
    }

    async fn comment(&self, ticket: &str, mark: &str, text: &str) -> Answered<()> {
        let id: u64 = ticket.parse().map_err(|_| SystemError::Gone)?;
        let mut article = note(&signed(text, mark));
        article["ticket_id"] = id.into();
        self.rest.post("/ticket_articles", &article).await.map(drop)
    }

    async fn articles(&self, ticket: &str) -> Answered<Vec<Article>> {
        self.rest.get(&format!("/ticket_articles/by_ticket/{}?expand=true", in_path(ticket))).await
    }

    fn is_ours(&self, who: &str) -> bool {
        who.eq_ignore_ascii_case(&self.config.user)
    }

    async fn has_comment(&self, ticket: &str, mark: &str) -> Answered<bool> {
        let end = signed("", mark);
        let ends = |article: &Article| article.body.replace('\r', "").trim_end().ends_with(end.trim_start());
        let articles = self.articles(ticket).await?;
        Ok(articles.iter().any(|article| self.is_ours(&article.created_by) && ends(article)))
    }

    async fn link(&self, ticket: &str, kind: LinkKind, other: &str) -> Answered<()> {
        let (is, other) = (self.ticket_of(ticket).await?, self.ticket_of(other).await?);
        let id = is.id.to_string();
        let path = with_query("/links", &[("link_object", "Ticket"), ("link_object_value", &id)]);
        let Links { links } = self.rest.get(&path).await?;
        if links.iter().any(|link| link.link_object_value == other.id) {
            return Ok(());
        }
        // Of what this one is a part, the other is the parent; nothing follows from that there.
        let link_type = if kind == LinkKind::PartOf { "parent" } else { "normal" };
        let body = json!({
            "link_type": link_type, "link_object_target": "Ticket", "link_object_target_value": is.id,
            "link_object_source": "Ticket", "link_object_source_number": other.number,
        });
        self.rest.post("/links/add", &body).await.map(drop)
    }

    /// See [`super::super::system::TicketSystem::changes`]: how the tickets that were touched lately are now.
    async fn read_changes(&self, since: Option<Since>) -> Answered<Page> {
        let Some(since) = since else {
            let newest = self.tickets(&touched_after(EventTime::default()), ["updated_at", "desc"], 1, 1).await?;
            let at = newest.first().map_or_else(EventTime::default, |is| time(&is.updated_at));
            return Ok(Page { upto: Since { at, ..Since::default() }, ..Page::default() });
        };
        let condition = touched_after(since.at.max(EventTime::default()));
        let mut page = Page { upto: since, ..Page::default() };
        for number in 1..=PAGES_MAX {
            let touched = self.tickets(&condition, ["updated_at", "asc"], TOUCHED, number).await?;
            page.more = touched.len() >= TOUCHED;
            for is in &touched {
                page.upto.at = page.upto.at.max(time(&is.updated_at));
                self.changes_of(is, since.at, &mut page.changes).await?;
            }
            // The next page begins where this one ends, which is no further when all is of one time.
            if !page.more || page.upto.at > since.at {
                break;
            }
        }
        page.changes.sort_by_key(|change| (change.at, change.id));
        Ok(page)
    }

    async fn changes_of(&self, is: &Is, since: EventTime, changes: &mut Vec<Change>) -> Answered<()> {
        let ticket = self.ticket(is);
        if ticket.key.is_empty() {
            return Ok(());
        }
        for article in self.articles(&ticket.id).await? {
            let at = time(&article.created_at);
            if at >= since && !self.is_ours(&article.created_by) {
                changes.push(snapshot::said(
                    &ticket.id,
                    &article.id.to_string(),
                    at,
                    &article.created_by,
                    &article.body,
                ));
            }
        }
        let who = if self.is_ours(&is.updated_by) { "" } else { is.updated_by.as_str() };
        changes.push(snapshot::now(&ticket.id, time(&is.updated_at), who, ticket.fields));
        Ok(())
    }

    fn fit(&self, field: &str, text: &str) -> String {
        match field {
            TEXT | COMMENT => cut_bytes(text, TEXT_BYTES_MAX),
            _ => cut(&one_line(text), LINE_CHARS_MAX),
        }
    }
}

/// The condition that a ticket was touched after that.
fn touched_after(at: EventTime) -> [(String, String); 2] {
    let of = "condition[ticket.updated_at]";
    [(format!("{of}[operator]"), "after (absolute)".to_owned()), (format!("{of}[value]"), at.to_string())]
}

/// An article that only agents see.
fn note(text: &str) -> Value {
    json!({"body": text, "content_type": "text/plain", "type": "note", "internal": true})
}

ticket_system!(Zammad, FeedOrder::Time);
