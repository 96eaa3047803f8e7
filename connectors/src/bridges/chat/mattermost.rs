//! Mattermost, over its REST API.
//!
//! ```yaml
//! bridges:
//!   - mattermost:
//!       url: https://chat.example.org/
//!       token_file: mattermost-token             # of a bot
//!       page: https://ops.example.org            # what messages link to
//!       audience:
//!         tenants: {acme: {queue: 4xp9fdt7pbgium38k0k6w95oa4}}     # channels, by their ids
//! ```
//!
//! What it does that has to be known: a text is Markdown, in which a name behind an `@` calls people; both are written
//! so that they are only text.

use std::collections::BTreeMap;
use std::time::Duration;

use bellwether_engine::time::EventTime;
use futures::future::BoxFuture;
use http::Method;
use http::header::AUTHORIZATION;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::declare::BridgeError;
use super::super::mapping::MappingError;
use super::super::receiver::{Channel, Telling, Tells};
use super::super::rest::{Rest, in_path};
use super::super::site::{LIST_BYTES_MAX, http_channel};
use super::super::system::{Answered, QUEUE, TEXT};
use super::super::text::{cut, one_line};
use super::card::Card;
use super::{Chat, Message, check_page, tell};

/// Characters of a text: 16,383 are taken, and each may be escaped.
const TEXT_CHARS_MAX: usize = 8_000;
/// Characters of a line.
const LINE_CHARS_MAX: usize = 140;
/// Letters of an id.
const ID_LETTERS: usize = 26;
/// The property that our messages are known by.
const MARK: &str = "bellwether";

http_channel! {
    /// A bridge to Mattermost.
    pub struct MattermostConfig for "Mattermost" named by "default_name" {
        /// Where Bellwether's page is, as people reach it: what messages link to.
        #[serde(default)]
        pub page: Option<String>,
    }
}

fn default_name() -> String {
    "mattermost".to_owned()
}

impl MattermostConfig {
    fn check_words(&self) -> Result<(), MappingError> {
        check_page(self.page.as_ref())?;
        let is_id =
            |channel: &&String| channel.len() == ID_LETTERS && channel.bytes().all(|byte| byte.is_ascii_alphanumeric());
        match self.site().queues().find(|channel| !is_id(channel)) {
            Some(name) => {
                let reason = format!("`{name}` is no channel's id: 26 letters and digits, in the channel's info");
                Err(MappingError::at("audience.tenants", reason))
            }
            None => Ok(()),
        }
    }

    fn connect(&self, patience: Duration) -> Result<Mattermost, BridgeError> {
        // A page of messages is looked through for our own.
        let destination = self.site().destination()?.patient(patience).reading(LIST_BYTES_MAX);
        let with =
            |token: &str| Rest::new(destination, "/api/v4").with_secret(AUTHORIZATION, &format!("Bearer {token}"));
        Ok(Mattermost { rest: self.site().secret(with)?, page: self.page.clone() })
    }

    async fn look(&self, mattermost: &Mattermost) -> Answered<String> {
        #[derive(Deserialize)]
        struct Me {
            username: String,
        }
        let Me { username } = mattermost.rest.get("/users/me").await?;
        for channel in self.site().queues() {
            mattermost.rest.get::<Value>(&format!("/channels/{}", in_path(channel))).await?;
        }
        Ok(format!("Mattermost lets `{username}` in; its channels are there"))
    }
}

struct Mattermost {
    rest: Rest,
    page: Option<String>,
}

#[derive(Deserialize)]
struct Post {
    id: String,
    #[serde(default)]
    props: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct Posts {
    #[serde(default)]
    posts: BTreeMap<String, Post>,
}

/// A text in which nothing is markup and nobody is called.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if "\\`*_{}[]()#+-.!|<>~:".contains(letter) {
            out.push('\\');
        }
        out.push(letter);
        // Behind it comes no name any more.
        if letter == '@' {
            out.push('\u{200b}');
        }
    }
    out
}

/// What a message shows of an incident.
fn attachment(card: &Card) -> Value {
    let field =
        |(name, value): &(&str, String)| json!({"title": name, "value": escaped(value), "short": value.len() < 40});
    json!({
        "fallback": escaped(&card.title), "color": card.light.colour(), "title": escaped(&card.title),
        "title_link": card.link.as_deref().unwrap_or_default(), "fields": card.facts.iter().map(field).collect::<Vec<_>>(),
    })
}

impl Chat for Mattermost {
    async fn posted(
        &self,
        channel: &str,
        _thread: Option<&str>,
        mark: &str,
        since: EventTime,
    ) -> Answered<Option<String>> {
        // What is in a thread is in its channel, too.
        let path = format!("/channels/{}/posts?since={}", in_path(channel), since.as_millis().max(0));
        let Posts { posts } = self.rest.get(&path).await?;
        let ours = |post: &Post| post.props.get(MARK).is_some_and(|is| is == mark);
        Ok(posts.into_values().find(ours).map(|post| post.id))
    }

    async fn post(&self, channel: &str, thread: Option<&str>, message: &Message<'_>) -> Answered<String> {
        let body = match thread {
            Some(at) => json!({
                "channel_id": channel, "root_id": at, "message": escaped(message.text), "props": {MARK: message.mark},
            }),
            None => json!({
                "channel_id": channel, "message": "",
                "props": {MARK: message.mark, "attachments": [attachment(&message.card)]},
            }),
        };
        let answer = self.rest.post("/posts", &body).await?;
        Ok(self.rest.read::<Post>(&answer)?.id)
    }

    async fn edit(&self, _channel: &str, at: &str, message: &Message<'_>) -> Answered<()> {
        let props = json!({MARK: message.mark, "attachments": [attachment(&message.card)]});
        let path = format!("/posts/{}/patch", in_path(at));
        self.rest.send(Method::PUT, &path, &[], Some(&json!({ "props": props }))).await.map(drop)
    }
}

impl Channel for Mattermost {
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
