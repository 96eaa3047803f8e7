//! One request as a wire sees it: who sent it, what it says, when it came.

use std::borrow::Cow;

use bellwether_engine::signal::TenantName;
use bellwether_engine::time::EventTime;
use http::{HeaderMap, Method};

use crate::intake::text::without_mark;
use crate::journal::receipts::{Claim, Claims};
use crate::limits::{Compression, Limits};
use crate::server::outcome::Outcome;
use crate::server::reply::Reply;

/// One request as a wire sees it: authenticated, bounded in size, not yet decompressed.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The tenant of the credential, or of what the wire checked itself.
    pub tenant: &'a TenantName,
    /// The HTTP method.
    pub method: &'a Method,
    /// The path, without the query.
    pub path: &'a str,
    /// The raw query, without `?`.
    pub query: &'a str,
    /// All headers.
    pub headers: &'a HeaderMap,
    /// The body as it came over the wire.
    pub body: &'a [u8],
    /// When it was received: stands in where a payload carries no time.
    pub received: EventTime,
    /// What of it is claimed; `None` when nobody remembers anything.
    pub claims: Option<&'a Claims>,
}

impl Request<'_> {
    /// A header's value without the spaces around it, as it was sent, or `""`.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).map_or("", str::trim)
    }

    /// The media type: the part of `Content-Type` before `;`, in lower case.
    pub fn media_type(&self) -> String {
        let value = self.header("content-type");
        let plain = value.split(';').next().unwrap_or_default();
        plain.trim().to_ascii_lowercase()
    }

    /// Claims a part of the body that may come again in another request.
    pub fn claim(&self, key: u128) -> Claim {
        self.claims.map_or(Claim::Ours, |claims| claims.take(key))
    }

    /// The first value of query parameter `name`, percent-decoded.
    pub fn parameter(&self, name: &str) -> Option<String> {
        self.parameters(name).into_iter().next()
    }

    /// All values of query parameter `name`, percent-decoded.
    pub fn parameters(&self, name: &str) -> Vec<String> {
        let pairs = form_urlencoded::parse(self.query.as_bytes());
        pairs.filter(|(key, _)| key == name).map(|(_, value)| value.into_owned()).collect()
    }
}

/// The request's body, unpacked as its `Content-Encoding` says; the refusal otherwise.
pub(crate) fn unpacked<'r>(limits: &Limits, request: &Request<'r>) -> Result<Cow<'r, [u8]>, Outcome> {
    let encoding = request.header("content-encoding");
    let Some(compression) = Compression::from_header(encoding) else {
        let text = format!("content encoding `{encoding}` is not supported\n");
        return Err(Outcome::refused(Reply::text(415, text), "encoding"));
    };
    if compression == Compression::None && request.body.len() <= limits.decompressed_bytes_max {
        return Ok(Cow::Borrowed(without_mark(request.body)));
    }
    let mut body = Vec::new();
    match limits.unpack(request.body, compression, &mut body) {
        Ok(()) => {
            // No message of protobuf begins with these bytes either.
            let mark = body.len() - without_mark(&body).len();
            body.drain(..mark);
            Ok(Cow::Owned(body))
        }
        Err(error) => {
            let reply = Reply::text(error.status(), format!("{error}\n"));
            Err(Outcome::refused(reply, error.reason()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::testing;

    #[test]
    fn a_parameter_is_decoded_and_may_repeat() {
        let headers = HeaderMap::new();
        let mut request = testing::post("/", &headers, b"");
        request.query = "filter=a%3D%22b+c%22&filter=x&bad=%4";
        assert_eq!(request.parameters("filter"), vec!["a=\"b c\"", "x"]);
        assert_eq!(request.parameter("bad").as_deref(), Some("%4"));
        assert_eq!(request.parameter("none"), None);
    }
}
