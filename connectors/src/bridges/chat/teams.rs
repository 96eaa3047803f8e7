//! Microsoft Teams, by a workflow that posts what comes to its address.
//!
//! ```yaml
//! bridges:
//!   - teams:
//!       # A workflow's address up to its `?`; what stands behind that is the secret, in `token_file`.
//!       url: https://prod-12.westeurope.logic.azure.com/workflows/0a1b/triggers/manual/paths/invoke
//!       token_file: teams-signature
//!       page: https://ops.example.org            # what messages link to
//!       audience: {tenants: {acme: {queue: on call}}}
//! ```
//!
//! A workflow leads to one channel; another channel is another bridge. It says nothing of what it has posted, so that
//! each news is a card of its own, and one whose answer was lost is posted again.

use std::time::Duration;

use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::super::declare::BridgeError;
use super::super::mapping::MappingError;
use super::super::outgoing::Destination;
use super::super::receiver::{Channel, Telling, Tells};
use super::super::rest::Rest;
use super::super::site::http_channel;
use super::super::system::{Answered, SystemError, TEXT};
use super::super::text::{cut, cut_bytes, one_line};
use super::card::{Card, Light};
use super::check_page;

/// Bytes of a message: it is refused when it has more.
const MESSAGE_BYTES_MAX: usize = 28 << 10;
/// Bytes of a text: in JSON a byte may be two, and the rest of a card is a few thousand.
const TEXT_BYTES_MAX: usize = 10 << 10;
/// Characters of a line.
const LINE_CHARS_MAX: usize = 140;

http_channel! {
    /// A bridge to Microsoft Teams. In `token_file` is what stands behind the `?` of the workflow's address.
    pub struct TeamsConfig for "Teams" named by "default_name" {
        /// Where Bellwether's page is, as people reach it: what cards link to.
        #[serde(default)]
        pub page: Option<String>,
    }
}

fn default_name() -> String {
    "teams".to_owned()
}

/// What stands behind the address; `None` when it is no query with a signature.
fn signature(text: &str) -> Option<String> {
    let query = text.trim_start_matches('?');
    let plain = query.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    (plain && form_urlencoded::parse(query.as_bytes()).any(|(name, value)| name == "sig" && !value.is_empty()))
        .then(|| query.to_owned())
}

impl TeamsConfig {
    fn check_words(&self) -> Result<(), MappingError> {
        check_page(self.page.as_ref())
    }

    fn connect(&self, patience: Duration) -> Result<Teams, BridgeError> {
        let destination: Destination = self.site().destination()?.patient(patience);
        let query = self.site().secret(signature)?;
        let signed: Vec<String> =
            form_urlencoded::parse(query.as_bytes()).map(|(_, value)| value.into_owned()).collect();
        let signature = query.split('&').filter_map(|pair| pair.strip_prefix("sig=")).map(str::to_owned);
        let secrets = signature.chain(signed.into_iter().filter(|value| value.len() >= 16));
        Ok(Teams { rest: secrets.fold(Rest::new(destination, ""), Rest::hiding), query, page: self.page.clone() })
    }

    async fn look(&self, teams: &Teams) -> Answered<String> {
        teams.rest.reach().await?;
        Ok("somebody listens at the workflow's address".to_owned())
    }
}

struct Teams {
    rest: Rest,
    query: String,
    page: Option<String>,
}

fn colour(light: Light) -> &'static str {
    match light {
        Light::Red | Light::Orange => "Attention",
        Light::Yellow => "Warning",
        Light::Grey => "Default",
        Light::Green => "Good",
    }
}

/// A line in which nothing is markup, as nothing in a run is.
fn runs(runs: &[Value]) -> Value {
    json!({"type": "RichTextBlock", "inlines": runs})
}

fn run(text: &str) -> Value {
    json!({"type": "TextRun", "text": text})
}

/// An Adaptive Card in the message that a workflow takes.
fn message(card: &Card, text: &str) -> Value {
    let title = json!({
        "type": "TextRun", "text": card.title, "weight": "Bolder", "size": "Large", "color": colour(card.light),
    });
    let mut body = vec![runs(&[title])];
    let name = |name: &str| json!({"type": "TextRun", "text": format!("{name}  "), "weight": "Bolder"});
    body.extend(card.facts.iter().map(|(fact, value)| runs(&[name(fact), run(value)])));
    if !text.is_empty() {
        body.push(json!({"type": "RichTextBlock", "separator": true, "inlines": [run(text)]}));
    }
    let actions: Vec<Value> =
        card.link.iter().map(|link| json!({"type": "Action.OpenUrl", "title": "Look", "url": link})).collect();
    let content = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4",
        "msteams": {"width": "Full"}, "body": body, "actions": actions,
    });
    let attachment =
        json!({"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": null, "content": content});
    json!({"type": "message", "attachments": [attachment]})
}

impl Teams {
    async fn tell(&self, telling: &Telling) -> Answered<Option<String>> {
        let body = message(&Card::of(telling, self.page.as_deref()), &telling.text);
        if body.to_string().len() > MESSAGE_BYTES_MAX {
            return Err(SystemError::Refused(format!(
                "the card has more than {MESSAGE_BYTES_MAX} bytes: shorten `text`"
            )));
        }
        self.rest.post(&format!("?{}", self.query), &body).await?;
        Ok(None)
    }
}

impl Channel for Teams {
    fn tells(&self) -> Tells {
        Tells::WhatIsNew
    }

    fn tell<'a>(&'a self, telling: &'a Telling) -> BoxFuture<'a, Answered<Option<String>>> {
        Box::pin(self.tell(telling))
    }

    fn fit(&self, field: &str, text: &str) -> String {
        match field {
            TEXT => cut_bytes(text, TEXT_BYTES_MAX),
            _ => cut(&one_line(text), LINE_CHARS_MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_signature_is_refused() {
        assert_eq!(signature("?api-version=1&sig=x").as_deref(), Some("api-version=1&sig=x"));
        for wrong in ["", "api-version=1", "sig=", "sig=a b", "sig=a#b"] {
            assert_eq!(signature(wrong), None, "{wrong}");
        }
    }
}
