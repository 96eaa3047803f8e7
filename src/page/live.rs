//! The stream that tells a browser that something has changed: server-sent events, a number each.
//!
//! What has changed is not told: the browser asks for its page again, and gets what it may see. Changes within a second
//! are one. A stream that has nothing to tell says so now and then, so that nobody takes it for dead.

use std::sync::Arc;
use std::time::Duration;

use bellwether_engine::time::EventTime;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::model::{Model, Scope};

/// Changes within this time are one.
const TOGETHER: Duration = Duration::from_secs(1);
/// A word at least this often.
const SILENT_MAX: Duration = Duration::from_secs(15);
/// When a browser tries again after the stream has ended, in milliseconds.
const AGAIN_MS: u32 = 2_000;

struct Following {
    model: Arc<Model>,
    scope: Scope,
    changes: watch::Receiver<u64>,
    /// Tells this process from another: what one counted means nothing to the next.
    began: EventTime,
    closing: watch::Receiver<bool>,
    told: Option<u64>,
    _place: OwnedSemaphorePermit,
}

/// The stream for who sees `scope`, until the listener closes.
pub(crate) fn stream(
    model: &Arc<Model>,
    scope: Scope,
    began: EventTime,
    closing: watch::Receiver<bool>,
    place: OwnedSemaphorePermit,
) -> BoxStream<'static, Bytes> {
    let following =
        Following { model: model.clone(), scope, changes: model.changes(), began, closing, told: None, _place: place };
    Box::pin(stream::unfold(following, |mut following| async move { Some((following.next().await?, following)) }))
}

impl Following {
    async fn next(&mut self) -> Option<Bytes> {
        let Some(told) = self.told else {
            return Some(self.tell(&format!("retry: {AGAIN_MS}\n")));
        };
        // What came just now is told with what comes soon after.
        tokio::select! {
            () = tokio::time::sleep(TOGETHER) => {}
            _ = self.closing.wait_for(|closing| *closing) => return None,
        }
        loop {
            if self.model.version(&self.scope) != told {
                return Some(self.tell(""));
            }
            tokio::select! {
                changed = self.changes.changed() => { changed.ok()?; }
                () = tokio::time::sleep(SILENT_MAX) => return Some(Bytes::from_static(b": still here\n\n")),
                _ = self.closing.wait_for(|closing| *closing) => return None,
            }
        }
    }

    fn tell(&mut self, before: &str) -> Bytes {
        let version = self.model.version(&self.scope);
        self.told = Some(version);
        Bytes::from(format!("{before}event: version\ndata: {}.{version}\n\n", self.began.0))
    }
}
