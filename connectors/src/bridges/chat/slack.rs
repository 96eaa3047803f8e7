//! Slack, over its Web API.
//!
//! ```yaml
//! bridges:
//!   - slack:
//!       url: https://slack.com/
//!       token_file: slack-token                  # of a bot: `xoxb-…`
//!       page: https://ops.example.org            # what messages link to
//!       audience:
//!         tenants: {acme: {queue: C024BE91L, teams: {database: C0G9QF9GZ}}}    # channels, by their ids
//! ```
//!
//! What it does that has to be known: it answers 200 to what it refuses, and says so in the answer; it asks to wait
//! after a message a second in a channel.

use std::time::Duration;

use bellwether_engine::time::{EventTime, Span};
use futures::future::BoxFuture;
use http::header::AUTHORIZATION;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::declare::BridgeError;
use super::super::mapping::MappingError;
use super::super::receiver::{Channel, Telling, Tells};
use super::super::rest::{Rest, with_query};
use super::super::site::{LIST_BYTES_MAX, http_channel};
use super::super::system::{Answered, QUEUE, SystemError, TEXT};
use super::super::text::{cut, one_line};
use super::card::{Card, Light};
use super::{Chat, LOOKED_THROUGH, Message, check_page, tell};

/// Characters of a text: of more than 3,000 in a block none is shown, and the escapes come after the cut.
const TEXT_CHARS_MAX: usize = 2_900;
/// Characters of a line.
const LINE_CHARS_MAX: usize = 140;
/// What our messages are marked as.
const EVENT_TYPE: &str = "bellwether";

http_channel! {
    /// A bridge to Slack.
    pub struct SlackConfig for "Slack" named by "default_name" {
        /// Where Bellwether's page is, as people reach it: what messages link to.
        #[serde(default)]
        pub page: Option<String>,
    }
}

fn default_name() -> String {
    "slack".to_owned()
}

impl SlackConfig {
    fn check_words(&self) -> Result<(), MappingError> {
        check_page(self.page.as_ref())?;
        let is_id = |channel: &&String| {
            channel.starts_with(['C', 'G', 'D'])
                && channel.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        };
        match self.site().queues().find(|channel| !is_id(channel)) {
            Some(name) => {
                let reason = format!("`{name}` is no channel's id: `C024BE91L`, at the end of the channel's details");
                Err(MappingError::at("audience.tenants", reason))
            }
            None => Ok(()),
        }
    }

    fn connect(&self, patience: Duration) -> Result<Slack, BridgeError> {
        // A page of messages is looked through for our own.
        let destination = self.site().destination()?.patient(patience).reading(LIST_BYTES_MAX);
        let with = |token: &str| Rest::new(destination, "/api").with_secret(AUTHORIZATION, &format!("Bearer {token}"));
        Ok(Slack { rest: self.site().secret(with)?, page: self.page.clone() })
    }

    async fn look(&self, slack: &Slack) -> Answered<String> {
        let Said { user, team, .. } = slack.ask("auth.test", &json!({})).await?;
        for channel in self.site().queues() {
            slack.get("conversations.history", &[("channel", channel), ("limit", "1")]).await?;
        }
        Ok(format!("Slack lets `{user}` of `{team}` in; its channels can be read"))
    }
}

struct Slack {
    rest: Rest,
    page: Option<String>,
}

/// An answer, in as far as anything of it matters.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Said {
    ok: bool,
    error: String,
    ts: String,
    user: String,
    team: String,
    messages: Vec<Posted>,
}

#[derive(Deserialize)]
struct Posted {
    ts: String,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Metadata {
    event_type: String,
    event_payload: Payload,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Payload {
    mark: String,
}

impl Slack {
    async fn ask(&self, method: &str, body: &Value) -> Answered<Said> {
        let answer = self.rest.post(&format!("/{method}"), body).await?;
        Slack::taken(self.rest.read(&answer)?)
    }

    async fn get(&self, method: &str, parameters: &[(&str, &str)]) -> Answered<Said> {
        Slack::taken(self.rest.get(&with_query(&format!("/{method}"), parameters)).await?)
    }

    /// What it makes of a request.
    fn taken(said: Said) -> Answered<Said> {
        if said.ok {
            return Ok(said);
        }
        let why = format!("Slack says `{}`", said.error);
        Err(match said.error.as_str() {
            "ratelimited" | "rate_limited" => SystemError::Throttled(Span::from_secs(30)),
            "message_not_found" | "thread_not_found" => SystemError::Gone,
            "internal_error" | "fatal_error" | "service_unavailable" | "request_timeout" => SystemError::Lost(why),
            "not_authed" | "invalid_auth" | "account_inactive" | "token_revoked" | "token_expired"
            | "missing_scope" => SystemError::Denied(why),
            _ => SystemError::Refused(why),
        })
    }
}

/// A text in which nothing is a mention, a link or markup of Slack's own.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn circle(light: Light) -> &'static str {
    match light {
        Light::Red => ":red_circle:",
        Light::Orange => ":large_orange_circle:",
        Light::Yellow => ":large_yellow_circle:",
        Light::Grey => ":white_circle:",
        Light::Green => ":large_green_circle:",
    }
}

/// The blocks of a card.
fn blocks(card: &Card) -> Value {
    let title = format!("{} {}", circle(card.light), card.title);
    let field =
        |(name, value): &(&str, String)| json!({"type": "mrkdwn", "text": format!("*{name}*\n{}", escaped(value))});
    let mut blocks = vec![
        json!({"type": "header", "text": {"type": "plain_text", "text": cut(&title, 150), "emoji": true}}),
        json!({"type": "section", "fields": card.facts.iter().map(field).collect::<Vec<_>>()}),
    ];
    if let Some(link) = &card.link {
        let button = json!({"type": "button", "text": {"type": "plain_text", "text": "Look"}, "url": link});
        blocks.push(json!({"type": "actions", "elements": [button]}));
    }
    blocks.into()
}

/// What is new, as a block that is shown whole.
fn news(text: &str) -> Value {
    json!([{"type": "section", "text": {"type": "plain_text", "text": if text.is_empty() { "…" } else { text }}}])
}

impl Chat for Slack {
    async fn posted(
        &self,
        channel: &str,
        thread: Option<&str>,
        mark: &str,
        since: EventTime,
    ) -> Answered<Option<String>> {
        let since = since.0.div_euclid(1_000_000_000).max(0).to_string();
        let mut parameters = vec![("channel", channel), ("limit", LOOKED_THROUGH), ("include_all_metadata", "true")];
        parameters.push(("oldest", &since));
        parameters.extend(thread.map(|at| ("ts", at)));
        let method = if thread.is_some() { "conversations.replies" } else { "conversations.history" };
        let Said { messages, .. } = self.get(method, &parameters).await?;
        let ours =
            |posted: &&Posted| posted.metadata.event_type == EVENT_TYPE && posted.metadata.event_payload.mark == mark;
        Ok(messages.iter().find(ours).map(|posted| posted.ts.clone()))
    }

    async fn post(&self, channel: &str, thread: Option<&str>, message: &Message<'_>) -> Answered<String> {
        let mut body = body(channel, message);
        match thread {
            Some(at) => {
                body["thread_ts"] = at.into();
                body["text"] = escaped(message.text).into();
                body["blocks"] = news(message.text);
            }
            None => body["blocks"] = blocks(&message.card),
        }
        Ok(self.ask("chat.postMessage", &body).await?.ts)
    }

    async fn edit(&self, channel: &str, at: &str, message: &Message<'_>) -> Answered<()> {
        let mut body = body(channel, message);
        body["ts"] = at.into();
        body["blocks"] = blocks(&message.card);
        self.ask("chat.update", &body).await.map(drop)
    }
}

/// What every message has: for a notification its title.
fn body(channel: &str, message: &Message<'_>) -> Value {
    let metadata = json!({"event_type": EVENT_TYPE, "event_payload": {"mark": message.mark}});
    json!({"channel": channel, "text": escaped(&message.card.title), "metadata": metadata})
}

impl Channel for Slack {
    fn tells(&self) -> Tells {
        Tells::WhatIsNew
    }

    fn tell<'a>(&'a self, telling: &'a Telling) -> BoxFuture<'a, Answered<Option<String>>> {
        Box::pin(tell(self, self.page.as_deref(), telling))
    }

    fn fit(&self, field: &str, text: &str) -> String {
        match field {
            TEXT => cut(text, TEXT_CHARS_MAX),
            QUEUE => text.to_owned(),
            _ => cut(&one_line(text), LINE_CHARS_MAX),
        }
    }
}
