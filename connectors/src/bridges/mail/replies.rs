//! What people reply, from a Maildir: each file in `new` is read, and goes to `cur` when it is in the journal.

use std::fs;
use std::io::Read as _;
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use bellwether_engine::signal::cut_to;
use bellwether_engine::time::EventTime;
use mail_parser::{Address, HeaderValue, Message, MessageParser};
use xxhash_rust::xxh3::xxh3_64;

use super::super::store::OVERLAP_TIME;
use super::super::system::{Answered, Change, Changed, Page, Since, SystemError};
use super::address::Mailbox;
use super::thread::Thread;

/// Bytes of a mail that are read: what is attached is not.
const MAIL_BYTES_MAX: u64 = 1 << 20;
/// Mails in a page.
const MAILS: usize = 100;
/// Bytes of what somebody writes.
const TEXT_BYTES_MAX: usize = 16 << 10;

/// The Maildir.
pub(super) struct Replies {
    folder: PathBuf,
    /// Whose mail is replied to: `local@domain`.
    local: String,
    domain: String,
    /// What was told last, and when: it is put away once that is kept.
    told: (EventTime, Vec<String>),
}

impl Replies {
    pub(super) fn new(folder: PathBuf, to: &Mailbox) -> Replies {
        let (local, domain) = (to.local.clone(), to.domain.clone());
        Replies { folder, local, domain, told: (EventTime::MAX, Vec::new()) }
    }

    /// The replies that have come. Those of the page before are put away when `since` says that it was taken in.
    pub(super) fn page(&mut self, since: Option<Since>) -> Answered<Page> {
        let Some(since) = since else { return Ok(Page::default()) };
        if since.at.plus(OVERLAP_TIME) >= self.told.0 {
            for name in std::mem::take(&mut self.told.1) {
                // Another program may have been quicker.
                let _ = fs::rename(
                    self.folder.join("new").join(&name),
                    self.folder.join("cur").join(format!("{name}:2,S")),
                );
            }
        }
        let new = self.folder.join("new");
        let unreadable = |error: std::io::Error| SystemError::Away(format!("{}: {error}", new.display()));
        let mut names = Vec::new();
        for entry in fs::read_dir(&new).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            names.extend(entry.file_name().into_string().ok().filter(|name| !name.starts_with('.')));
        }
        names.sort_unstable();
        let more = names.len() > MAILS;
        names.truncate(MAILS);
        let changes = names.iter().filter_map(|name| self.change(name)).collect();
        let now = crate::intake::arrival_time();
        self.told = (now, names);
        Ok(Page { changes, upto: Since { at: now, ..Since::default() }, more })
    }

    /// What somebody replied; `None` of what is no reply of a person to one of our mails.
    fn change(&self, name: &str) -> Option<Change> {
        let file = fs::File::open(self.folder.join("new").join(name)).ok()?;
        let at = file.metadata().ok()?.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        let mut raw = Vec::new();
        file.take(MAIL_BYTES_MAX).read_to_end(&mut raw).ok()?;
        let mail = MessageParser::default().parse(&raw)?;
        // Programs that answer, and our own mail where the folder is of more than replies.
        let auto = mail.header_raw("Auto-Submitted").map(str::trim).filter(|value| !value.eq_ignore_ascii_case("no"));
        if auto.is_some() || mail.header_raw("List-Id").is_some() {
            return None;
        }
        let thread = self.thread(&mail)?;
        let who = mail.from().and_then(Address::first).and_then(|from| from.address()).unwrap_or_default().to_owned();
        let text = own_words(&mail.body_text(0).unwrap_or_default());
        let what = Changed::Comment(cut_to(&text, TEXT_BYTES_MAX).to_owned());
        let at = EventTime(i64::try_from(at.as_nanos()).ok()?);
        Some(Change { id: xxh3_64(name.as_bytes()), ticket: thread.0, at, who, what })
    }

    /// Which incident a mail is about: by whom it went to, else by what it refers to.
    fn thread(&self, mail: &Message<'_>) -> Option<Thread> {
        let lists = [mail.to(), mail.cc()];
        let named =
            lists.into_iter().flatten().flat_map(Address::iter).filter_map(|of| of.address().map(str::to_owned));
        let delivered = ["Delivered-To", "X-Original-To"].into_iter().filter_map(|name| mail.header_raw(name));
        let mut addresses = named.chain(delivered.map(|value| value.trim().trim_matches(['<', '>']).to_owned()));
        let addressed = addresses.find_map(|address| Thread::of_address(&address, &self.local, &self.domain));
        let ids = |value: &HeaderValue<'_>| match value {
            HeaderValue::Text(id) => vec![id.to_string()],
            HeaderValue::TextList(all) => all.iter().map(ToString::to_string).collect(),
            _ => Vec::new(),
        };
        addressed.or_else(|| {
            let mut all = ids(mail.in_reply_to()).into_iter().chain(ids(mail.references()));
            all.find_map(|id| Thread::of_message(&id, &self.domain))
        })
    }
}

/// What somebody wrote, without what it answers.
fn own_words(text: &str) -> String {
    let own = text.lines().filter(|line| !line.starts_with('>'));
    own.collect::<Vec<_>>().join("\n").trim().to_owned()
}
