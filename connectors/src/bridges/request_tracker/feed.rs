//! What others change, from the list of transactions: the truth, in the order of their ids.

use bellwether_engine::signal::cut_to;
use bellwether_engine::time::EventTime;
use serde::Deserialize;
use serde_json::Value;

use super::super::rest::with_query;
use super::super::system::{Answered, Change, Changed, Page as Changes, Since, SystemError};
use super::super::worker::PAGE;
use super::api::{Page, RequestTracker, quoted};

/// Bytes of a comment that are read.
const COMMENT_BYTES_MAX: usize = 16 << 10;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Transaction {
    #[serde(rename = "id")]
    id: Value,
    #[serde(rename = "Type")]
    kind: String,
    #[serde(default)]
    field: Option<String>,
    #[serde(default)]
    new_value: Option<String>,
    object_id: Value,
    creator: Who,
    created: String,
}

#[derive(Deserialize)]
struct Who {
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Attachment {
    #[serde(default)]
    content_type: Option<String>,
    #[serde(default)]
    content: Option<String>,
}

fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// The ticket at the end of the address of a link, as it has it.
fn linked(value: &str) -> String {
    value.rsplit('/').next().unwrap_or_default().to_owned()
}

impl RequestTracker {
    /// See [`super::super::system::TicketSystem::changes`].
    pub(super) async fn read_changes(&self, since: Option<Since>) -> Answered<Changes> {
        let after = since.map(|since| since.id);
        let user = quoted(&self.user);
        let (since, order, page) = match after {
            Some(after) => (after, "ASC", PAGE),
            None => (0, "DESC", 1),
        };
        let whose = if after.is_some() { format!(" AND Creator != {user}") } else { String::new() };
        let query = format!("ObjectType='RT::Ticket' AND id > {since}{whose}");
        let page = page.to_string();
        let fields = "Type,Field,NewValue,ObjectId,Creator,Created";
        let parameters =
            [("query", query.as_str()), ("fields", fields), ("per_page", &page), ("orderby", "id"), ("order", order)];
        let Page { items } = self.get::<Page<Transaction>>(&with_query("/transactions", &parameters)).await?;
        let mut changes = Vec::with_capacity(items.len());
        for transaction in items {
            let (Some(id), Some(ticket)) = (number(&transaction.id), number(&transaction.object_id)) else {
                return Err(SystemError::Refused("a change has no number".to_owned()));
            };
            let what = match after {
                Some(_) => self.what(id, &transaction).await?,
                None => Changed::Field(String::new()),
            };
            let at = EventTime::parse_rfc3339(&transaction.created).unwrap_or_default();
            changes.push(Change { id, ticket: ticket.to_string(), at, who: transaction.creator.id, what });
        }
        changes.sort_by_key(|change| change.id);
        let upto = Since { id: changes.last().map_or(0, |change| change.id), ..Since::default() };
        Ok(Changes { more: after.is_some() && changes.len() >= PAGE, changes, upto })
    }

    async fn what(&self, id: u64, of: &Transaction) -> Answered<Changed> {
        let new = || of.new_value.clone().unwrap_or_default();
        Ok(match (of.kind.as_str(), of.field.as_deref().unwrap_or_default()) {
            ("Status", _) => Changed::Status(new()),
            // Each change of the owner is there twice.
            ("SetWatcher", _) => Changed::Field("watcher".to_owned()),
            (_, "Owner") => {
                let name = self.name_of("user", &new()).await?;
                Changed::Owner(if name == "Nobody" { String::new() } else { name })
            }
            (_, "Priority") => Changed::Priority(new()),
            ("Comment" | "Correspond", _) => Changed::Comment(self.text_of(id).await?),
            // The ticket that goes on has one, too: into itself.
            ("AddLink", "MergedInto") if number(&of.object_id).map(|own| own.to_string()) == Some(linked(&new())) => {
                Changed::Field("merged".to_owned())
            }
            ("AddLink", "MergedInto") => Changed::Merged(linked(&new())),
            ("AddLink", _) => Changed::Linked(linked(&new())),
            (kind, "") => Changed::Field(kind.to_owned()),
            (_, field) => Changed::Field(field.to_owned()),
        })
    }

    /// What somebody wrote.
    async fn text_of(&self, transaction: u64) -> Answered<String> {
        let path = with_query(&format!("/transaction/{transaction}/attachments"), &[("fields", "ContentType,Content")]);
        let Page { items } = self.get::<Page<Attachment>>(&path).await?;
        let plain = |of: &&Attachment| of.content_type.as_deref().is_some_and(|kind| kind.starts_with("text/"));
        let text = items.iter().find(plain).and_then(|of| of.content.clone()).unwrap_or_default();
        Ok(cut_to(&text, COMMENT_BYTES_MAX).trim().to_owned())
    }
}
