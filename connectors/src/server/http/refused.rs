//! A request that is refused before its body is read: its answer gets through, and to a sender that goes
//! on like this it comes later.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use http::Version;
use http::request::Parts;
use http_body_util::{BodyExt, Limited};
use hyper::body::Body;

use super::HttpRouter;
use super::routes::Mounted;
use crate::server::refusals::Refused;
use crate::server::reply::Reply;

/// Bytes of a refused body that are taken in and thrown away.
const REFUSED_BYTES_MAX: usize = 64 << 10;
/// How long they are waited for.
const REFUSED_FOR: Duration = Duration::from_secs(1);

/// Takes in what little of a refused body is on its way, while the answer goes out: a connection
/// closed with unread bytes is reset, and the reset can overtake the answer (RFC 9112, 9.6).
pub(super) fn let_run_out<B>(body: B)
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    tokio::spawn(async move {
        let rest = Limited::new(body, REFUSED_BYTES_MAX).collect();
        let _ = tokio::time::timeout(REFUSED_FOR, rest).await.is_ok();
    });
}

impl HttpRouter {
    /// Lets a refusal go out as its sender has earned it: after many, later and with the connection's end.
    pub(super) async fn refuse(
        &self,
        mounted: &Mounted,
        reason: &'static str,
        head: &Parts,
        from: Option<IpAddr>,
        reply: Reply,
    ) -> Reply {
        mounted.counters.refuse(reason, 1);
        let answering = self.auth.refused(Refused { sender: from, component: mounted.id, reason });
        match answering.wait().await {
            // HTTP/2 has no such header; its answers wait all the same.
            true if head.version <= Version::HTTP_11 => reply.with("connection", "close"),
            _ => reply,
        }
    }
}
