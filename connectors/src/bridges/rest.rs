//! What systems have in common that are asked in JSON over HTTP: who asks, what an answer's status means, and what it
//! says of itself.

use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Method, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use super::outgoing::{Answer, Destination};
use super::system::{Answered, SystemError};
use super::text::{cut, one_line};

/// Characters of what a system says that are shown.
const SAID_CHARS_MAX: usize = 500;
/// Texts that are taken out of what it says.
const SAID_PARTS_MAX: usize = 8;

/// A system, as one of its users asks it.
pub(super) struct Rest {
    destination: Destination,
    /// What every request carries: who asks among it.
    headers: HeaderMap,
    /// What every path begins with.
    base: &'static str,
    /// What is in no log, also where the system says it.
    secrets: Vec<String>,
}

impl Rest {
    /// Requests below `base` of `destination`.
    pub(super) fn new(destination: Destination, base: &'static str) -> Rest {
        Rest { destination, headers: HeaderMap::new(), base, secrets: Vec::new() }
    }

    /// Has every request carry `value`, whose last word appears in no log; `None` when it cannot be a header's.
    pub(super) fn with_secret(mut self, name: HeaderName, value: &str) -> Option<Rest> {
        let mut header = HeaderValue::from_str(value).ok()?;
        header.set_sensitive(true);
        self.headers.insert(name, header);
        self.secrets.extend(value.rsplit(' ').next().map(str::to_owned));
        Some(self)
    }

    /// Has `secret` appear in no log: it goes in a path or a body.
    pub(super) fn hiding(mut self, secret: String) -> Rest {
        self.secrets.push(secret);
        self
    }

    /// Looks whether somebody is there whom we trust.
    pub(super) async fn reach(&self) -> Answered<()> {
        self.destination.reach().await
    }

    /// Has every request carry `value`, which was put together from what is configured.
    pub(super) fn with_own(mut self, name: HeaderName, value: &str) -> Option<Rest> {
        self.headers.insert(name, HeaderValue::from_str(value).ok()?);
        Some(self)
    }

    /// What an answer says, without what is a secret.
    pub(super) fn said(&self, body: &[u8]) -> String {
        said_but(body, &self.secrets)
    }

    /// Has every request carry `value`.
    pub(super) fn with(mut self, name: HeaderName, value: &'static str) -> Rest {
        self.headers.insert(name, HeaderValue::from_static(value));
        self
    }

    /// Where it is, for people, without a slash at its end.
    pub(super) fn web(&self) -> &str {
        self.destination.web()
    }

    /// One request; what is no success is an error.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        more: &[(HeaderName, &str)],
        body: Option<&Value>,
    ) -> Answered<Answer> {
        let mut headers = self.headers.clone();
        for (name, value) in more {
            let value = HeaderValue::from_str(value).map_err(|error| SystemError::Refused(error.to_string()))?;
            headers.insert(name, value);
        }
        let body = body.map(|body| body.to_string().into_bytes());
        let answer = self.destination.ask(method, &format!("{}{path}", self.base), &headers, body).await?;
        let said = || self.said(&answer.body);
        match answer.status {
            status if status.is_success() => Ok(answer),
            StatusCode::UNAUTHORIZED => Err(SystemError::Denied(format!("the token is not accepted: {}", said()))),
            StatusCode::PRECONDITION_FAILED => Err(SystemError::Stale),
            StatusCode::NOT_FOUND | StatusCode::GONE => Err(SystemError::Gone),
            status => Err(SystemError::Refused(format!("it answers {status}: {}", said()))),
        }
    }

    /// What it has at a path.
    pub(super) async fn get<T: for<'de> Deserialize<'de>>(&self, path: &str) -> Answered<T> {
        self.read(&self.send(Method::GET, path, &[], None).await?)
    }

    /// An answer, read.
    pub(super) fn read<T: for<'de> Deserialize<'de>>(&self, answer: &Answer) -> Answered<T> {
        let wrong = |error: serde_json::Error| {
            let error = without(&self.secrets, error.to_string());
            SystemError::Refused(format!("its answer does not read ({error}): {}", self.said(&answer.body)))
        };
        serde_json::from_slice(&answer.body).map_err(wrong)
    }

    /// What it answers to `body`.
    pub(super) async fn post(&self, path: &str, body: &Value) -> Answered<Answer> {
        self.send(Method::POST, path, &[], Some(body)).await
    }
}

/// A text without these secrets.
fn without(secrets: &[String], text: String) -> String {
    secrets.iter().filter(|secret| !secret.is_empty()).fold(text, |text, secret| text.replace(secret.as_str(), "***"))
}

/// What an answer says, for people: the texts in it, or it itself.
pub(super) fn said(body: &[u8]) -> String {
    said_but(body, &[])
}

fn said_but(body: &[u8], secrets: &[String]) -> String {
    let text = match serde_json::from_slice::<Value>(body) {
        Ok(value) => {
            let mut parts = Vec::new();
            texts(&value, &mut parts);
            parts.join("; ")
        }
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    };
    cut(&one_line(&without(secrets, text)), SAID_CHARS_MAX)
}

/// Keys under which systems say what is wrong.
const TELLING: [&str; 9] =
    ["message", "msg", "error", "errors", "errorMessages", "detail", "error_human", "Error", "ErrorMessage"];

/// Gathers the texts of an answer: all of a list, of an object those that tell what is wrong.
fn texts(value: &Value, parts: &mut Vec<String>) {
    if parts.len() >= SAID_PARTS_MAX {
        return;
    }
    match value {
        Value::String(text) => parts.push(text.clone()),
        Value::Array(all) => all.iter().for_each(|one| texts(one, parts)),
        Value::Object(of) => {
            let telling = of.iter().filter(|(key, _)| TELLING.contains(&key.as_str()));
            for (key, value) in telling {
                match value {
                    // Which field, and what is wrong with it.
                    Value::Object(fields) if key == "errors" => {
                        parts.extend(fields.iter().map(|(field, what)| format!("{field}: {what}")));
                    }
                    other => texts(other, parts),
                }
            }
        }
        _ => {}
    }
}

/// A path with a query of these parameters.
pub(super) fn with_query(path: &str, parameters: &[(&str, &str)]) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    format!("{path}?{query}")
}

/// A name as a part of a path.
pub(super) fn in_path(name: &str) -> String {
    form_urlencoded::byte_serialize(name.as_bytes()).collect::<String>().replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leaves_its_place_in_a_path() {
        assert_eq!(in_path("a b/../c?d#e"), "a%20b%2F..%2Fc%3Fd%23e");
    }

    #[test]
    fn what_a_system_says_is_found_in_each_ones_form() {
        for (answer, is) in [
            (r#"["Priority changed", "Status: no permission"]"#, "Priority changed; Status: no permission"),
            (r#"{"errors": ["Subject is too long"]}"#, "Subject is too long"),
            (r#"{"error": {"status": 412, "msg": "stale"}}"#, "stale"),
            (r#"{"errorMessages": ["no"], "errors": {"summary": "too long"}}"#, "no; summary: \"too long\""),
            (r#"{"id": 5}"#, ""),
            ("<html>bad\n gateway", "<html>bad gateway"),
        ] {
            assert_eq!(said(answer.as_bytes()), is);
        }
    }
}
