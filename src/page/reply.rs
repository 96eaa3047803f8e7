//! Answers: what stands in the head of each, and packing for who takes it.

use std::io::Write as _;

use bellwether_connectors::server::reply::Reply;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::HeaderMap;
use maud::Markup;

/// What a page may load and do: its own files, and nothing that is written into it.
pub(crate) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
    frame-ancestors 'none'; base-uri 'none'; form-action 'self'";
/// What is shorter is not worth packing.
const PACKED_BYTES_MIN: usize = 1_024;

/// A page.
pub(crate) fn html(status: u16, page: &Markup) -> Reply {
    let body = Bytes::from(page.clone().into_string());
    Reply { status, headers: vec![("content-type", "text/html; charset=utf-8".to_owned())], body }.guarded()
}

/// To another page, to be asked for by GET.
pub(crate) fn see_other(to: &str) -> Reply {
    Reply { status: 303, headers: vec![("location", to.to_owned())], body: Bytes::new() }.guarded()
}

/// What every answer for people carries.
pub(crate) trait Guarded {
    /// With the heads that keep browsers from being used against who uses them.
    fn guarded(self) -> Self;
}

impl Guarded for Reply {
    fn guarded(mut self) -> Reply {
        let heads = [
            ("content-security-policy", POLICY),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "same-origin"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("permissions-policy", "camera=(), microphone=(), geolocation=(), payment=()"),
        ];
        self.headers.extend(heads.map(|(name, value)| (name, value.to_owned())));
        if self.header("cache-control").is_none() {
            self.headers.push(("cache-control", "no-store".to_owned()));
        }
        self
    }
}

/// The same packed, where its reader takes that.
pub(crate) fn packed(mut reply: Reply, headers: &HeaderMap) -> Reply {
    let accepts = headers.get("accept-encoding").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let gzip =
        accepts.split(',').map(str::trim).any(|one| one == "gzip" || one.starts_with("gzip;") && !one.ends_with("q=0"));
    if !gzip || reply.body.len() < PACKED_BYTES_MIN {
        return reply;
    }
    let mut encoder = GzEncoder::new(Vec::with_capacity(reply.body.len() / 4), Compression::fast());
    if let Ok(bytes) = encoder.write_all(&reply.body).and_then(|()| encoder.finish()) {
        reply.body = Bytes::from(bytes);
        reply.headers.push(("content-encoding", "gzip".to_owned()));
        reply.headers.push(("vary", "accept-encoding".to_owned()));
    }
    reply
}
