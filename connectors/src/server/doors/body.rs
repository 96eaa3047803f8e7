//! A body that is let in as far as there is room for it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use super::Held;

/// Any error of a body.
pub(crate) type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// A body whose bytes are held as they come; it ends with `refusal` when there is no room.
pub(crate) struct Metered<B> {
    body: Pin<Box<B>>,
    held: Arc<Held>,
    refusal: fn() -> BodyError,
}

impl<B> Metered<B> {
    /// `body`, held by `held`.
    pub(crate) fn new(body: B, held: Arc<Held>, refusal: fn() -> BodyError) -> Metered<B> {
        Metered { body: Box::pin(body), held, refusal }
    }
}

impl<B> Body for Metered<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BodyError>,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Poll::Ready(frame) = self.body.as_mut().poll_frame(context) else { return Poll::Pending };
        Poll::Ready(match frame {
            None => None,
            Some(Err(error)) => Some(Err(error.into())),
            Some(Ok(frame)) => match frame.data_ref().is_none_or(|data| self.held.grow(data.len())) {
                true => Some(Ok(frame)),
                false => Some(Err((self.refusal)())),
            },
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
