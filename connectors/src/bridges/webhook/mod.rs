//! Any program that takes webhooks: each revision of an incident as a CloudEvent, signed as Standard Webhooks says.
//!
//! ```yaml
//! bridges:
//!   - webhook:
//!       url: https://desk.example.org/hooks/bellwether
//!       token_file: webhook-secret        # `whsec_…`, a line each: while one takes another's place, both sign
//!       audience:
//!         tenants: {acme: {queue: main}}
//! ```
//!
//! It is told at least once: `webhook-id` is `tenant/incident/revision`, the same when it is sent again, and a greater
//! revision makes a smaller one needless. What the receiver may mend by itself is sent again, later each time: 408, 409,
//! 425 and 5xx; 429 and 503 are waited for as `Retry-After` says. With any other refusal the incident waits for a person
//! or its next revision, and after 410 nothing is sent any more until the program starts again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bellwether_engine::incident::IncidentRecord;
use futures::future::BoxFuture;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method, StatusCode};
use ring::hmac;
use serde::Serialize;

use super::declare::BridgeError;
use super::mapping::MappingError;
use super::outgoing::Destination;
use super::receiver::{Channel, Telling, Tells};
use super::rest::said;
use super::site::http_channel;
use super::system::{Answered, SystemError, TEXT};
use super::text::{cut, cut_bytes, one_line};

http_channel! {
    /// A bridge to any program that takes webhooks. In `token_file` are the secrets that sign, a line each: `whsec_` and
    /// 24 to 64 bytes in base64. The names of queues go with what is told, in `queue`.
    pub struct WebhookBridgeConfig for "webhooks" named by "default_name" {}
}

fn default_name() -> String {
    "webhook".to_owned()
}

/// What a secret begins with.
const SECRET_PREFIX: &str = "whsec_";
/// Bytes of a secret, as Standard Webhooks says.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// Secrets that sign at a time.
const SECRETS_MAX: usize = 4;
/// Characters of a line, bytes of a text.
const LINE_CHARS_MAX: usize = 255;
const TEXT_BYTES_MAX: usize = 16 << 10;

impl WebhookBridgeConfig {
    #[expect(clippy::unused_self, reason = "other channels have words of their own")]
    fn check_words(&self) -> Result<(), MappingError> {
        Ok(())
    }

    fn connect(&self, patience: Duration) -> Result<Webhook, BridgeError> {
        let destination = self.site().destination()?.patient(patience);
        Ok(Webhook { destination, keys: self.site().secret(keys)?, ended: AtomicBool::new(false) })
    }

    async fn look(&self, channel: &Webhook) -> Answered<String> {
        channel.destination.reach().await?;
        Ok(format!("somebody listens at {}, and {} secrets sign", self.url, channel.keys.len()))
    }

    /// Where it sends to, with its keys read.
    ///
    /// # Errors
    /// [`BridgeError`]: an address or a secret that does not do.
    pub fn channel(&self) -> Result<Webhook, BridgeError> {
        self.connect(Duration::ZERO)
    }
}

/// The keys in a file of secrets; `None` when one does not do.
fn keys(text: &str) -> Option<Vec<hmac::Key>> {
    let key = |line: &str| {
        let bytes = STANDARD.decode(line.trim().strip_prefix(SECRET_PREFIX)?).ok()?;
        SECRET_BYTES.contains(&bytes.len()).then(|| hmac::Key::new(hmac::HMAC_SHA256, &bytes))
    };
    let keys: Vec<hmac::Key> = text.lines().map(key).collect::<Option<_>>()?;
    (1..=SECRETS_MAX).contains(&keys.len()).then_some(keys)
}

/// Where webhooks go, and what signs them.
pub struct Webhook {
    destination: Destination,
    keys: Vec<hmac::Key>,
    /// That the receiver wants no more.
    ended: AtomicBool,
}

/// An event as CloudEvents 1.0 has it, in structured mode.
#[derive(Serialize)]
pub struct CloudEvent<'t, D> {
    specversion: &'static str,
    id: &'t str,
    source: String,
    #[serde(rename = "type")]
    kind: String,
    subject: &'t str,
    time: String,
    datacontenttype: &'static str,
    /// Extensions: whose it is, and which queue's.
    tenant: &'t str,
    queue: &'t str,
    data: &'t D,
}

impl<'t, D> CloudEvent<'t, D> {
    /// The event with the id `tenant/incident/revision`, of `record`, whose JSON is `data`.
    pub fn new(id: &'t str, tenant: &'t str, queue: &'t str, record: &'t IncidentRecord, data: &'t D) -> Self {
        CloudEvent {
            specversion: "1.0",
            id,
            source: format!("/bellwether/{tenant}"),
            kind: format!("bellwether.incident.{}", record.status.name()),
            subject: &record.id,
            time: record.updated_at.to_string(),
            datacontenttype: "application/json",
            tenant,
            queue,
            data,
        }
    }
}

impl Webhook {
    async fn tell(&self, telling: &Telling) -> Answered<Option<String>> {
        let record = &*telling.record;
        self.post(&CloudEvent::new(&telling.id, &telling.tenant, &telling.queue, record, record)).await
    }

    /// Sends one event, signed.
    ///
    /// # Errors
    /// [`SystemError`]: it did not arrive, or nobody knows whether it did.
    pub async fn post<D: Serialize>(&self, event: &CloudEvent<'_, D>) -> Answered<Option<String>> {
        if self.ended.load(Ordering::Relaxed) {
            return Err(no_more());
        }
        let body = serde_json::to_vec(event).map_err(|error| SystemError::Refused(error.to_string()))?;
        let at = jiff::Timestamp::now().as_second();
        let headers = self.headers(event.id, at, &body)?;
        let answer = self.destination.ask(Method::POST, "", &headers, Some(body)).await?;
        match answer.status {
            status if status.is_success() => Ok(None),
            StatusCode::NOT_FOUND => Err(SystemError::Gone),
            StatusCode::GONE => {
                self.ended.store(true, Ordering::Relaxed);
                Err(no_more())
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(SystemError::Denied(format!("the signature is not accepted: {}", said(&answer.body))))
            }
            // Too slow, too early, or in the way of another: the same may be taken the next time.
            StatusCode::REQUEST_TIMEOUT | StatusCode::CONFLICT | StatusCode::TOO_EARLY => {
                Err(SystemError::Lost(format!("it answers {}", answer.status)))
            }
            status => Err(SystemError::Refused(format!("it answers {status}: {}", said(&answer.body)))),
        }
    }

    /// Id, time and signatures.
    fn headers(&self, id: &str, at: i64, body: &[u8]) -> Answered<HeaderMap> {
        let signatures: Vec<String> = self.keys.iter().map(|key| signature(key, id, at, body)).collect();
        let mut headers = HeaderMap::new();
        let all = [
            ("webhook-id", id.to_owned()),
            ("webhook-timestamp", at.to_string()),
            ("webhook-signature", signatures.join(" ")),
        ];
        for (name, value) in all {
            let value = HeaderValue::from_str(&value).map_err(|error| SystemError::Refused(error.to_string()))?;
            headers.insert(HeaderName::from_static(name), value);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/cloudevents+json; charset=utf-8"));
        Ok(headers)
    }
}

/// That the receiver has said 410: it is not to be asked again.
fn no_more() -> SystemError {
    let reason =
        "it answered 410 Gone: it wants no more of this; correct `url`, or take the bridge out, and start again";
    SystemError::Refused(reason.to_owned())
}

fn signature(key: &hmac::Key, id: &str, at: i64, body: &[u8]) -> String {
    let mut context = hmac::Context::with_key(key);
    context.update(format!("{id}.{at}.").as_bytes());
    context.update(body);
    format!("v1,{}", STANDARD.encode(context.sign()))
}

impl Channel for Webhook {
    fn tells(&self) -> Tells {
        Tells::EachRevision
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

    // The example of the specification of Standard Webhooks.
    #[test]
    fn it_signs_as_the_specifications_example_is_signed() {
        let keys = keys("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a secret");
        let signed = signature(&keys[0], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_that_is_short_or_of_another_form_is_refused() {
        let long = format!("whsec_{}", STANDARD.encode([7; 32]));
        assert_eq!(keys(&format!("{long}\n{long}")).map(|keys| keys.len()), Some(2));
        for wrong in ["whsec_c2hvcnQ=", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_?", &format!("{long}\n\n{long}")] {
            assert!(keys(wrong).is_none(), "{wrong}");
        }
    }
}
