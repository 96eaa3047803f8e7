//! Slack's Web API, strictly: lengths of texts and blocks, ids of channels, what each method takes; refusals come as 200.

use serde_json::{Value, json};

use super::{Asked, Reply, Said, Strict, System};

pub(in super::super) const TOKEN: &str = "xoxb-s3cret0fslack";
const CHANNELS: [&str; 2] = ["C024BE91L", "C0G9QF9GZ"];

/// A message.
#[derive(Clone)]
pub(in super::super) struct Posted {
    pub(in super::super) channel: String,
    pub(in super::super) ts: String,
    pub(in super::super) thread: Option<String>,
    pub(in super::super) body: Value,
}

#[derive(Default)]
pub(in super::super) struct Slack {
    pub(in super::super) messages: Vec<Posted>,
    number: u64,
}

/// Whether a text is of a kind, and not longer.
fn text(value: &Value, kinds: &[&str], longest: usize) -> Result<(), &'static str> {
    let text = value["text"].as_str().filter(|text| !text.is_empty()).ok_or("invalid_blocks")?;
    let kind = kinds.iter().any(|kind| value["type"] == *kind);
    (kind && text.chars().count() <= longest).then_some(()).ok_or("invalid_blocks")?;
    // Markup of ours is ours: a mention or a link of somebody else's is not.
    let marked = value["type"] == "mrkdwn" && text.contains('<');
    if marked { Err("a_mention_in_the_text") } else { Ok(()) }
}

fn block(block: &Value) -> Result<(), &'static str> {
    match block["type"].as_str() {
        Some("header") => text(&block["text"], &["plain_text"], 150),
        Some("section") => {
            let fields = block["fields"].as_array().map_or(&[][..], Vec::as_slice);
            if fields.len() > 10 || (fields.is_empty() && block["text"].is_null()) {
                return Err("invalid_blocks");
            }
            fields.iter().try_for_each(|field| text(field, &["mrkdwn", "plain_text"], 2_000))?;
            if block["text"].is_null() { Ok(()) } else { text(&block["text"], &["mrkdwn", "plain_text"], 3_000) }
        }
        Some("actions") => {
            let elements = block["elements"].as_array().ok_or("invalid_blocks")?;
            elements.iter().try_for_each(|one| {
                let url = one["url"].as_str().is_some_and(|url| url.starts_with("http") && url.len() <= 3_000);
                if one["type"] == "button" && url {
                    text(&one["text"], &["plain_text"], 75)
                } else {
                    Err("invalid_blocks")
                }
            })
        }
        _ => Err("invalid_blocks"),
    }
}

impl Slack {
    pub(in super::super) fn start() -> Strict<Slack> {
        Strict::start(Slack::default())
    }

    fn check(body: &serde_json::Map<String, Value>) -> Result<(), &'static str> {
        let channel = body.get("channel").and_then(Value::as_str).unwrap_or_default();
        if !CHANNELS.contains(&channel) {
            return Err("channel_not_found");
        }
        if body.get("text").and_then(Value::as_str).is_none_or(|text| text.chars().count() > 40_000) {
            return Err("msg_too_long");
        }
        let blocks = body.get("blocks").and_then(Value::as_array).ok_or("no_text")?;
        if blocks.len() > 50 { Err("invalid_blocks") } else { blocks.iter().try_for_each(block) }
    }

    fn write(&mut self, method: &str, asked: &Asked) -> Result<Value, &'static str> {
        let known = ["channel", "text", "blocks", "metadata", if method == "chat.update" { "ts" } else { "thread_ts" }];
        let body = asked.object(&known).map_err(|_| "invalid_arguments")?;
        Slack::check(&body)?;
        let of = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
        let channel = of("channel").unwrap_or_default();
        let ts = if method == "chat.update" {
            let ts = of("ts").unwrap_or_default();
            let posted = self.messages.iter_mut().find(|posted| posted.ts == ts && posted.channel == channel);
            posted.ok_or("message_not_found")?.body = Value::Object(body);
            ts
        } else {
            let thread = of("thread_ts");
            if thread.as_ref().is_some_and(|at| !self.messages.iter().any(|posted| posted.ts == *at)) {
                return Err("thread_not_found");
            }
            self.number += 1;
            let ts = format!("{}.{:06}", jiff::Timestamp::now().as_second(), self.number);
            self.messages.push(Posted { channel: channel.clone(), ts: ts.clone(), thread, body: Value::Object(body) });
            ts
        };
        Ok(json!({"ok": true, "channel": channel, "ts": ts}))
    }

    fn read(&self, method: &str, asked: &Asked) -> Result<Value, &'static str> {
        if !CHANNELS.contains(&asked.parameter("channel")) {
            return Err("channel_not_found");
        }
        let oldest: f64 = asked.parameter("oldest").parse().unwrap_or(0.0);
        let in_thread = |posted: &&Posted| match method {
            "conversations.replies" => posted.thread.as_deref() == Some(asked.parameter("ts")),
            _ => posted.thread.is_none(),
        };
        let of = self.messages.iter().filter(|posted| posted.channel == asked.parameter("channel")).filter(in_thread);
        let of = of.filter(|posted| posted.ts.parse::<f64>().is_ok_and(|ts| ts >= oldest));
        let shown = |posted: &Posted| match asked.parameter("include_all_metadata") {
            "true" => json!({"ts": posted.ts, "metadata": posted.body["metadata"]}),
            _ => json!({"ts": posted.ts}),
        };
        Ok(json!({"ok": true, "messages": of.map(shown).collect::<Vec<_>>()}))
    }
}

impl System for Slack {
    fn answer(&mut self, asked: &Asked) -> Said {
        let method = asked.path.strip_prefix("/api/").unwrap_or_default().to_owned();
        let said = if asked.header("authorization") == format!("Bearer {TOKEN}") {
            match (asked.method.as_str(), method.as_str()) {
                ("POST", "auth.test") => Ok(json!({"ok": true, "user": "bellwether", "team": "acme"})),
                ("POST", "chat.postMessage" | "chat.update") => self.write(&method, asked),
                ("GET", "conversations.history" | "conversations.replies") => self.read(&method, asked),
                _ => Err("unknown_method"),
            }
        } else {
            Err("invalid_auth")
        };
        said.map(|said| Reply::ok(&said)).map_err(|error| Reply::ok(&json!({"ok": false, "error": error})))
    }
}
