//! Chats: one incident is one message that is kept as the incident is, with what is new in its thread.
//!
//! ```text
//! first news ─▶ is it there already? ─▶ post ─▶ its place is remembered
//! later news ─▶ the message shows how things stand ─▶ is it in the thread already? ─▶ reply
//! ```
//!
//! Each message of ours carries a mark, by which one whose answer was lost is known again. What a message shows is one
//! `card::Card`, whichever chat draws it.

mod card;
pub mod mattermost;
pub mod slack;
pub mod teams;

use bellwether_engine::time::{EventTime, Span};

use super::mapping::MappingError;
use super::receiver::Telling;
use super::system::{Answered, SystemError};
use card::Card;

/// Messages that are looked through for one of ours whose answer was lost.
const LOOKED_THROUGH: &str = "200";
/// How far a chat's clock may be behind ours.
const CLOCKS_DIFFER: Span = Span::from_mins(5);

/// What is posted.
struct Message<'t> {
    /// By which it is known again.
    mark: &'t str,
    /// What it shows, where it stands for the incident; what is new, where it is in its thread.
    card: Card,
    /// Everything in words: a notification's, and what is new.
    text: &'t str,
}

/// A chat with threads: where a message is, is `channel` and the chat's own word for it.
trait Chat: Send + Sync {
    /// Our message with this mark since then: in a thread, or the channel.
    fn posted(
        &self,
        channel: &str,
        thread: Option<&str>,
        mark: &str,
        since: EventTime,
    ) -> impl Future<Output = Answered<Option<String>>> + Send;

    /// Posts into a thread, or the channel; its place there.
    fn post(
        &self,
        channel: &str,
        thread: Option<&str>,
        message: &Message<'_>,
    ) -> impl Future<Output = Answered<String>> + Send;

    /// Has a message show this instead.
    fn edit(&self, channel: &str, at: &str, message: &Message<'_>) -> impl Future<Output = Answered<()>> + Send;
}

/// Tells it once; where the incident's message is.
async fn tell(chat: &impl Chat, page: Option<&str>, telling: &Telling) -> Answered<Option<String>> {
    let record = &telling.record;
    let root = format!("{}/{}", telling.tenant, record.id);
    let message = |mark| Message { mark, card: Card::of(telling, page), text: &telling.text };
    let known = telling.thread.as_deref().and_then(|place| place.split_once(':'));
    if let Some((channel, at)) = known {
        match chat.edit(channel, at, &message(&root)).await {
            Ok(()) => {
                if chat.posted(channel, Some(at), &telling.id, record.updated_at.minus(CLOCKS_DIFFER)).await?.is_none()
                {
                    chat.post(channel, Some(at), &message(&telling.id)).await?;
                }
                return Ok(None);
            }
            // Somebody deleted it, and there is news.
            Err(SystemError::Gone) => {}
            Err(error) => return Err(error),
        }
    }
    let channel = telling.queue.as_str();
    let at = match chat.posted(channel, None, &root, record.opened_at.minus(CLOCKS_DIFFER)).await? {
        Some(at) => {
            chat.edit(channel, &at, &message(&root)).await?;
            at
        }
        None => chat.post(channel, None, &message(&root)).await?,
    };
    Ok(Some(format!("{channel}:{at}")))
}

/// Checks the address of the page that messages link to.
fn check_page(page: Option<&String>) -> Result<(), MappingError> {
    let does = |url: &String| url.starts_with("https://") || url.starts_with("http://");
    match page.is_none_or(does) {
        true => Ok(()),
        false => {
            Err(MappingError::at("page", "the address of the page, as people reach it: `https://ops.example.org`"))
        }
    }
}
