//! Reading a body: within its size and time, and as far as there is room for it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Body;

use crate::limits::Limits;
use crate::server::doors::{Held, Metered};
use crate::server::reply::Reply;

/// Why a body was not read.
pub(super) enum NotRead {
    /// Its sender holds its share of the room.
    NoRoom,
    /// The answer, and the reason counted.
    Refused(Reply, &'static str),
}

/// The holder of a body has its share.
#[derive(Debug, thiserror::Error)]
#[error("there is no room for more of the body")]
struct NoRoom;

/// The body, and the room that it holds until that is dropped.
pub(super) async fn read<B>(
    body: B,
    limits: &Limits,
    room: impl FnOnce() -> Option<Arc<Held>>,
) -> Result<(Bytes, Arc<Held>), NotRead>
where
    B: Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let bytes_max = limits.body_bytes_max;
    let too_large = || {
        let text = format!("the body is larger than `limits.body_bytes_max` ({bytes_max} bytes)\n");
        NotRead::Refused(Reply::text(413, text), "too_large")
    };
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(too_large());
    }
    let held = room().ok_or(NotRead::NoRoom)?;
    let within = Duration::from_secs(limits.body_timeout_secs);
    let metered = Metered::new(body, held.clone(), || Box::new(NoRoom));
    let read = Limited::new(metered, bytes_max).collect();
    match tokio::time::timeout(within, read).await {
        Ok(Ok(collected)) => Ok((collected.to_bytes(), held)),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(error)) if error.is::<NoRoom>() => Err(NotRead::NoRoom),
        Ok(Err(_)) => Err(NotRead::Refused(Reply::text(400, "the body could not be read\n"), "body_not_read")),
        Err(_) => Err(NotRead::Refused(Reply::text(408, "the body took too long\n"), "body_timeout")),
    }
}
