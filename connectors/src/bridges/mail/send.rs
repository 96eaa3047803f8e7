//! What is told, as a mail in the thread of its incident.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use futures::future::BoxFuture;
use mail_builder::MessageBuilder;
use mail_builder::headers::text::Text;

use super::super::receiver::{Channel, Telling, Tells};
use super::super::system::{Answered, Page, QUEUE, Since, SystemError, TEXT};
use super::super::text::{cut, cut_bytes, one_line};
use super::address::{Mailbox, mailboxes};
use super::replies::Replies;
use super::smtp::Relay;
use super::thread::Thread;

/// Characters of a subject, bytes of a text.
const SUBJECT_CHARS_MAX: usize = 200;
const TEXT_BYTES_MAX: usize = 64 << 10;
/// Characters of whom it goes to: several addresses of 254 each.
const QUEUE_CHARS_MAX: usize = 2_000;

/// Mail of one sender by one relay.
pub(super) struct Mail {
    relay: Relay,
    from: Mailbox,
    replies: Option<Mutex<Replies>>,
}

impl Mail {
    pub(super) fn new(relay: Relay, from: Mailbox, replies: Option<PathBuf>) -> Mail {
        let replies = replies.map(|folder| Mutex::new(Replies::new(folder, &from)));
        Mail { relay, from, replies }
    }

    /// Whether the relay is there and lets us in.
    pub(super) async fn greet(&self) -> Answered<()> {
        self.relay.greet().await
    }

    async fn tell(&self, telling: &Telling) -> Answered<Option<String>> {
        let thread = Thread::of(&telling.tenant, &telling.record.id);
        let to = mailboxes(&telling.queue);
        let mut to = to.ok_or_else(|| SystemError::Refused(format!("`{}` is no address", telling.queue)))?;
        for also in telling.also.iter().filter_map(|also| mailboxes(also)).flatten() {
            if !to.iter().any(|known| known.address() == also.address()) {
                to.push(also);
            }
        }
        let refused = |error: std::io::Error| SystemError::Refused(format!("no mail can be made: {error}"));
        let mail = self.mail(telling, &thread, &to).map_err(refused)?;
        let to: Vec<String> = to.iter().map(Mailbox::address).collect();
        self.relay.send(&self.from.address(), &to, &mail).await?;
        Ok(Some(thread.0))
    }

    fn mail(&self, telling: &Telling, thread: &Thread, to: &[Mailbox]) -> std::io::Result<Vec<u8>> {
        let named = |of: &Mailbox| (of.name.clone(), of.address());
        let domain = &self.from.domain;
        let mut mail = MessageBuilder::new()
            .from(named(&self.from))
            .to(to.iter().map(named).collect::<Vec<_>>())
            .subject(telling.subject.as_str())
            .message_id(thread.message(telling.record.revision, domain))
            .in_reply_to(thread.root(domain))
            .references(thread.root(domain))
            // No program is to answer.
            .header("Auto-Submitted", Text::new("auto-generated"))
            .text_body(telling.text.as_str());
        if self.replies.is_some() {
            mail = mail.reply_to(thread.address(&self.from.local, domain));
        }
        mail.write_to_vec()
    }
}

impl Channel for Mail {
    fn tells(&self) -> Tells {
        Tells::WhatIsNew
    }

    fn tell<'a>(&'a self, telling: &'a Telling) -> BoxFuture<'a, Answered<Option<String>>> {
        Box::pin(self.tell(telling))
    }

    fn replies(&self, since: Option<Since>) -> BoxFuture<'_, Answered<Page>> {
        Box::pin(async move {
            let Some(replies) = &self.replies else { return Ok(Page::default()) };
            // A folder with some files, on a disk of this machine.
            replies.lock().unwrap_or_else(PoisonError::into_inner).page(since)
        })
    }

    fn fit(&self, field: &str, text: &str) -> String {
        match field {
            TEXT => cut_bytes(text, TEXT_BYTES_MAX),
            QUEUE => cut(&one_line(text), QUEUE_CHARS_MAX),
            _ => cut(&one_line(text), SUBJECT_CHARS_MAX),
        }
    }
}
