//! The memory of tickets: what is to be known after any end of the process, in one file that is appended to.
//!
//! ```text
//! <crc32 in hex> {"entry": {…}}\n     an incident's entry as it is from here on
//! <crc32 in hex> {"gone": {…}}\n      it is forgotten
//! <crc32 in hex> {"feed": {…}}\n      up to where the system's changes are known
//! <crc32 in hex> {"mute": {…}}\n      a trouble that opens no ticket for a time
//! ```
//!
//! A change is durable when the call that made it returns. What a crash cut short is cut off; a line that is damaged
//! is left out and said: its ticket is found by its key before anything is written. The file is written anew when
//! most of it is of the past. What is over is forgotten after `KEEP`, and sooner where there is no room.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use bellwether_engine::time::{EventTime, Span};
use serde::{Deserialize, Serialize};

use super::entry::{Entry, Key, View};
use super::step::Peers;
use super::system::{Change, FeedOrder, Since};
use crate::host;
use crate::private;

/// How long an incident that is over is remembered: its ticket may still be spoken of.
const KEEP: Span = Span::from_hours(30 * 24);
/// The file is written anew when it is larger than this and twice what is alive in it.
const REWRITE_FROM_BYTES: u64 = 1 << 20;
/// Changes before the newest that are read again: their ids were taken before they could be seen.
pub(super) const OVERLAP: u64 = 500;
/// Troubles that open no ticket; the first to end gives way.
const MUTES_MAX: usize = 10_000;

/// The memory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk.
    #[error("the memory of tickets `{path}` cannot be {operation}: {error}; check the disk and the folder's owner", path = .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        operation: &'static str,
        /// What the system said.
        error: io::Error,
    },
    /// There is no room.
    #[error(
        "the memory of tickets is full: {bytes} bytes of incidents that are not over; see `bellwether tickets`, or \
         raise `memory_bytes`"
    )]
    Full {
        /// How much there may be.
        bytes: u64,
    },
}

/// Changes of the last while are read again, in a feed by time: they were made before they could be seen.
pub(super) const OVERLAP_TIME: Span = Span::from_secs(30);
/// For how much longer it is known that they were.
const KNOWN_FOR: Span = Span::from_mins(10);
/// Changes that are known at most in a feed by time; the first give way.
const KNOWN_MAX: usize = 20_000;

/// Up to where the system's changes are known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FeedPlace {
    /// The newest change, by number.
    pub(super) newest: u64,
    /// Those that are known of the last [`OVERLAP`].
    pub(super) seen: BTreeSet<u64>,
    /// The newest change, by time.
    #[serde(default)]
    at: EventTime,
    /// Those that are known of the time before.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    lately: BTreeSet<(EventTime, u64)>,
}

impl FeedPlace {
    /// From where it is read again.
    pub(super) fn from(&self) -> Since {
        Since { id: self.newest.saturating_sub(OVERLAP), at: self.at.minus(OVERLAP_TIME) }
    }

    /// Whether a change is known.
    pub(super) fn knows(&self, change: &Change, order: FeedOrder) -> bool {
        match order {
            FeedOrder::Number => self.seen.contains(&change.id),
            FeedOrder::Time => self.lately.contains(&(change.at, change.id)),
        }
    }

    /// Notes a change.
    pub(super) fn note(&mut self, change: &Change, order: FeedOrder) {
        match order {
            FeedOrder::Number => self.seen.insert(change.id),
            FeedOrder::Time => self.lately.insert((change.at, change.id)),
        };
        self.reach(Since { id: change.id, at: change.at }, order);
    }

    /// Notes up to where everything is known.
    pub(super) fn reach(&mut self, upto: Since, order: FeedOrder) {
        match order {
            FeedOrder::Number => {
                self.newest = self.newest.max(upto.id);
                self.seen = self.seen.split_off(&self.newest.saturating_sub(OVERLAP));
            }
            FeedOrder::Time => {
                self.at = self.at.max(upto.at);
                self.lately = self.lately.split_off(&(self.at.minus(OVERLAP_TIME).minus(KNOWN_FOR), 0));
                while self.lately.len() > KNOWN_MAX {
                    self.lately.pop_first();
                }
            }
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum LineOut<'a> {
    Entry(&'a Entry),
    Gone(&'a Key),
    Feed(&'a FeedPlace),
    Mute { tenant: &'a str, dedup_key: &'a str, until: EventTime },
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum LineIn {
    Entry(Box<Entry>),
    Gone(Key),
    Feed(FeedPlace),
    Mute { tenant: String, dedup_key: String, until: EventTime },
}

struct Kept {
    entry: Entry,
    /// Of its line.
    bytes: u64,
    /// When it is to be looked at.
    due: EventTime,
}

/// The memory of one bridge's tickets.
pub(super) struct Store {
    path: PathBuf,
    file: File,
    /// Bytes of whole lines in the file.
    bytes: u64,
    /// Bytes of the entries that are alive.
    live: u64,
    bytes_max: u64,
    /// A write failed: the end of the file has to be cut before the next.
    unsure: bool,
    entries: BTreeMap<Key, Kept>,
    /// Who has a ticket.
    by_ticket: HashMap<String, Key>,
    feed: Option<FeedPlace>,
    mutes: BTreeMap<(String, String), EventTime>,
}

/// What a file of the memory holds.
#[derive(Default)]
struct Read {
    entries: BTreeMap<Key, (Entry, u64)>,
    feed: Option<FeedPlace>,
    mutes: BTreeMap<(String, String), EventTime>,
    bytes: u64,
    damaged: usize,
}

/// What the file at `path` holds; nothing when it is not there.
fn read(path: &Path) -> Result<Read, StoreError> {
    match std::fs::read(path) {
        Ok(text) => Ok(read_lines(&text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Read::default()),
        Err(error) => Err(StoreError::Io { path: path.to_owned(), operation: "read", error }),
    }
}

fn read_lines(text: &[u8]) -> Read {
    let mut read = Read::default();
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let Some(whole) = line.strip_suffix(b"\n") else { break };
        read.bytes += line.len() as u64;
        let Some(line_in) = line_of(whole) else {
            read.damaged += 1;
            continue;
        };
        match line_in {
            LineIn::Entry(entry) => drop(read.entries.insert(entry.key.clone(), (*entry, line.len() as u64))),
            LineIn::Gone(key) => drop(read.entries.remove(&key)),
            LineIn::Feed(place) => read.feed = Some(place),
            LineIn::Mute { tenant, dedup_key, until } => drop(read.mutes.insert((tenant, dedup_key), until)),
        }
    }
    read
}

fn line_of(line: &[u8]) -> Option<LineIn> {
    let (crc, json) = std::str::from_utf8(line).ok()?.split_once(' ')?;
    (u32::from_str_radix(crc, 16).ok()? == crc32fast::hash(json.as_bytes())).then_some(())?;
    serde_json::from_str(json).ok()
}

fn encode(line: &LineOut<'_>) -> Vec<u8> {
    let json = serde_json::to_string(line).expect("an entry has only plain values");
    format!("{:08x} {json}\n", crc32fast::hash(json.as_bytes())).into_bytes()
}

/// What was found in a memory.
pub(super) struct Looked {
    pub(super) entries: Vec<Entry>,
    /// Until when a tenant's trouble opens no ticket.
    pub(super) mutes: BTreeMap<(String, String), EventTime>,
}

/// The entries of a memory that another process may be writing, for who only looks.
///
/// # Errors
/// [`StoreError::Io`]; a memory that is not there is empty.
pub(super) fn look(path: &Path) -> Result<Looked, StoreError> {
    let read = read(path)?;
    Ok(Looked { entries: read.entries.into_values().map(|(entry, _)| entry).collect(), mutes: read.mutes })
}

impl Store {
    /// Opens the memory at `path`, which may hold `bytes_max`.
    pub(super) fn open(path: &Path, bytes_max: u64) -> Result<Store, StoreError> {
        let io = |operation: &'static str| {
            move |error: io::Error| StoreError::Io { path: path.to_owned(), operation, error }
        };
        if let Some(folder) = path.parent() {
            private::folder(folder).map_err(io("made"))?;
        }
        let read = read(path)?;
        if read.damaged > 0 {
            let (file, lines) = (path.display(), read.damaged);
            tracing::error!(%file, lines, "lines of the memory of tickets are damaged and left out: tickets are found again by their keys");
        }
        let file = private::file().create(true).append(true).open(path).map_err(io("opened"))?;
        let live = read.entries.values().map(|(_, bytes)| bytes).sum();
        let kept = |(entry, bytes): (Entry, u64)| Kept { entry, bytes, due: EventTime::MIN };
        let entries: BTreeMap<Key, Kept> = read.entries.into_iter().map(|(key, of)| (key, kept(of))).collect();
        let by_ticket = entries.values().filter_map(|kept| Some((kept.entry.ticket.clone()?, kept.entry.key.clone())));
        let by_ticket = by_ticket.collect();
        let (feed, mutes, bytes) = (read.feed, read.mutes, read.bytes);
        let path = path.to_owned();
        Ok(Store { path, file, bytes, live, bytes_max, unsure: true, entries, by_ticket, feed, mutes })
    }

    /// Changes an entry, or begins one, by `change`, which sees what else is remembered. Durable when this returns.
    pub(super) fn change<T>(
        &mut self,
        key: &Key,
        begin: impl FnOnce() -> Option<Entry>,
        change: impl FnOnce(&mut Entry, &dyn Peers) -> T,
    ) -> Result<Option<T>, StoreError> {
        let before = self.entries.get(key).map(|kept| kept.entry.clone());
        let Some(mut entry) = before.clone().or_else(begin) else { return Ok(None) };
        let done = change(&mut entry, self);
        // What is known of the ticket at the moment is not kept: nothing is written for it.
        let view = std::mem::take(&mut entry.view);
        let same = before.is_some_and(|before| Entry { view: View::Unknown, ..before } == entry);
        if !same {
            let line = encode(&LineOut::Entry(&entry));
            self.make_room(line.len() as u64, key)?;
            self.append(&line)?;
            let bytes = line.len() as u64;
            self.note_ticket(&entry);
            let due = self.entries.get(key).map_or(EventTime::MIN, |kept| kept.due);
            let old = self.entries.insert(key.clone(), Kept { entry, bytes, due });
            self.live = self.live + bytes - old.map_or(0, |old| old.bytes);
            self.rewrite_if_worth()?;
        }
        if let Some(kept) = self.entries.get_mut(key) {
            kept.entry.view = view;
        }
        Ok(Some(done))
    }

    /// What `change` would do, without doing it.
    pub(super) fn try_out<T>(&self, key: &Key, change: impl FnOnce(&mut Entry, &dyn Peers) -> T) -> Option<T> {
        let mut entry = self.entries.get(key)?.entry.clone();
        Some(change(&mut entry, self))
    }

    /// Has an entry looked at when it is time.
    pub(super) fn wake(&mut self, key: &Key, due: EventTime) {
        if let Some(kept) = self.entries.get_mut(key) {
            kept.due = due;
        }
    }

    /// Up to `max` entries to look at, of those that are not `busy`: first those that have no ticket yet; and when
    /// the next is due.
    pub(super) fn due(&self, now: EventTime, busy: &BTreeSet<Key>, max: usize) -> (Vec<Key>, EventTime) {
        let waits = |kept: &&Kept| kept.due <= now && !busy.contains(&kept.entry.key);
        let mut due: Vec<&Kept> = self.entries.values().filter(waits).collect();
        due.sort_by_key(|kept| (kept.entry.ticket.is_some(), kept.entry.touched));
        let next = self.entries.values().map(|kept| kept.due).filter(|due| *due > now).min();
        (due.into_iter().take(max).map(|kept| kept.entry.key.clone()).collect(), next.unwrap_or(EventTime::MAX))
    }

    /// Whose ticket this is.
    pub(super) fn of_ticket(&self, ticket: &str) -> Option<Key> {
        self.by_ticket.get(ticket).cloned()
    }

    /// Everything that is remembered.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values().map(|kept| &kept.entry)
    }

    /// Up to where the system's changes are known; `None` when nothing was read yet.
    pub(super) fn feed(&self) -> Option<&FeedPlace> {
        self.feed.as_ref()
    }

    /// Keeps up to where they are known.
    pub(super) fn keep_feed(&mut self, place: FeedPlace) -> Result<(), StoreError> {
        if self.feed.as_ref() != Some(&place) {
            self.append(&encode(&LineOut::Feed(&place)))?;
            self.feed = Some(place);
            self.rewrite_if_worth()?;
        }
        Ok(())
    }

    /// Has a trouble open no ticket for a time.
    pub(super) fn mute(&mut self, tenant: &str, dedup_key: &str, until: EventTime) -> Result<(), StoreError> {
        self.append(&encode(&LineOut::Mute { tenant, dedup_key, until }))?;
        self.mutes.insert((tenant.to_owned(), dedup_key.to_owned()), until);
        if self.mutes.len() > MUTES_MAX
            && let Some(first) = self.mutes.iter().min_by_key(|(_, until)| **until).map(|(key, _)| key.clone())
        {
            self.mutes.remove(&first);
        }
        Ok(())
    }

    /// Forgets an incident, as a person asks.
    pub(super) fn forget(&mut self, key: &Key) -> Result<bool, StoreError> {
        if !self.entries.contains_key(key) {
            return Ok(false);
        }
        self.append(&encode(&LineOut::Gone(key)))?;
        self.drop_entry(key);
        Ok(true)
    }

    /// Forgets what has been over for long.
    pub(super) fn forget_old(&mut self, now: EventTime) -> Result<(), StoreError> {
        let old = |kept: &&Kept| kept.entry.is_over() && now.since(kept.entry.touched) > KEEP;
        let old: Vec<Key> = self.entries.values().filter(old).map(|kept| kept.entry.key.clone()).collect();
        old.iter().try_for_each(|key| self.forget(key).map(drop))?;
        self.mutes.retain(|_, until| *until > now);
        Ok(())
    }

    fn note_ticket(&mut self, entry: &Entry) {
        if let Some(ticket) = &entry.ticket {
            self.by_ticket.insert(ticket.clone(), entry.key.clone());
        }
    }

    fn drop_entry(&mut self, key: &Key) {
        if let Some(kept) = self.entries.remove(key) {
            self.live -= kept.bytes;
            if let Some(ticket) = &kept.entry.ticket {
                self.by_ticket.remove(ticket);
            }
        }
    }

    /// Lets go of what is over, the oldest first, until there is room.
    fn make_room(&mut self, bytes: u64, but: &Key) -> Result<(), StoreError> {
        while self.live + bytes > self.bytes_max {
            let over = self.entries.values().filter(|kept| kept.entry.is_over() && kept.entry.key != *but);
            let Some(key) = over.min_by_key(|kept| kept.entry.touched).map(|kept| kept.entry.key.clone()) else {
                return Err(StoreError::Full { bytes: self.bytes_max });
            };
            self.forget(&key)?;
        }
        Ok(())
    }

    fn append(&mut self, line: &[u8]) -> Result<(), StoreError> {
        let mut write = || {
            if self.unsure {
                self.file.set_len(self.bytes)?;
            }
            self.unsure = true;
            self.file.write_all(line)?;
            self.file.sync_data()
        };
        write().map_err(|error| StoreError::Io { path: self.path.clone(), operation: "written", error })?;
        self.unsure = false;
        self.bytes += line.len() as u64;
        Ok(())
    }

    /// Writes the file anew where most of it is of the past.
    fn rewrite_if_worth(&mut self) -> Result<(), StoreError> {
        if self.bytes < REWRITE_FROM_BYTES.max(2 * self.live) {
            return Ok(());
        }
        let mut lines: Vec<Vec<u8>> = Vec::new();
        lines.extend(self.entries.values().map(|kept| encode(&LineOut::Entry(&kept.entry))));
        lines.extend(self.feed.iter().map(|place| encode(&LineOut::Feed(place))));
        let mutes = self.mutes.iter();
        lines.extend(
            mutes.map(|((tenant, dedup_key), until)| encode(&LineOut::Mute { tenant, dedup_key, until: *until })),
        );
        let parts: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
        let io = |error| StoreError::Io { path: self.path.clone(), operation: "written anew", error };
        host::replace(&*host::disk(), &self.path, &parts).map_err(io)?;
        self.file = private::file().append(true).open(&self.path).map_err(io)?;
        self.bytes = parts.iter().map(|part| part.len() as u64).sum();
        Ok(())
    }
}

impl Peers for Store {
    fn ticket_of(&self, tenant: &str, incident: &str) -> Option<(String, bool)> {
        let key = Key { tenant: tenant.to_owned(), incident: incident.to_owned() };
        let entry = &self.entries.get(&key)?.entry;
        Some((entry.ticket.clone()?, entry.major))
    }

    fn muted_until(&self, tenant: &str, dedup_key: &str) -> Option<EventTime> {
        self.mutes.get(&(tenant.to_owned(), dedup_key.to_owned())).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::super::system::Changed;
    use super::*;

    // insight#1739, servicenow.itsm#517: changes were lost behind a bound in time.
    #[test]
    fn a_change_that_was_committed_late_is_new_and_one_that_was_seen_is_not() {
        let change = |id: u64, secs: i64| {
            let what = Changed::Field(String::new());
            Change { id, ticket: "1".to_owned(), at: EventTime::from_secs(secs), who: String::new(), what }
        };
        let mut place = FeedPlace::default();
        [7, 9, 900].into_iter().for_each(|id| place.note(&change(id, 0), FeedOrder::Number));
        assert_eq!((place.newest, place.from().id), (900, 400));
        place.note(&change(650, 0), FeedOrder::Number);
        let knows = |place: &FeedPlace, id| place.knows(&change(id, 0), FeedOrder::Number);
        assert_eq!((place.newest, knows(&place, 650), knows(&place, 651)), (900, true, false));
        assert!(!knows(&place, 9), "what is before the overlap is not read again");
        assert!(place.seen.len() <= usize::try_from(OVERLAP).expect("small"));

        let mut place = FeedPlace::default();
        [change(70, 1_000), change(3, 1_020)].iter().for_each(|one| place.note(one, FeedOrder::Time));
        assert_eq!(place.from().at, EventTime::from_secs(990), "what was made before it could be seen is asked for");
        let knows = |place: &FeedPlace, id, secs| place.knows(&change(id, secs), FeedOrder::Time);
        assert_eq!((knows(&place, 70, 1_000), knows(&place, 71, 1_000)), (true, false));
        place.reach(Since { id: 0, at: EventTime::from_secs(5_000) }, FeedOrder::Time);
        assert_eq!((place.from().at, place.lately.len()), (EventTime::from_secs(4_970), 0));
    }

    #[test]
    fn the_file_stays_in_proportion_to_what_is_alive() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("t.tickets");
        let mut store = Store::open(&path, 8 << 20).expect("opens");
        let key = Key { tenant: "acme".to_owned(), incident: "inc_1".to_owned() };
        let begin = || Some(Entry::new(key.clone(), "k", EventTime::default()));
        for turn in 0..3_000 {
            let change = |entry: &mut Entry, _: &dyn Peers| entry.told = format!("{turn} {}", "x".repeat(700));
            store.change(&key, begin, change).expect("kept");
        }
        assert!(std::fs::metadata(&path).expect("is there").len() < 2 * REWRITE_FROM_BYTES);
        let told = |store: &Store| store.entries().next().expect("one").told.clone();
        let was = told(&store);
        assert_eq!(told(&Store::open(&path, 8 << 20).expect("opens")), was);
        assert!(was.starts_with("2999 "));
    }
}
