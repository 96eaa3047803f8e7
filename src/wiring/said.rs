//! What people and ticketing systems said about incidents, as the engines read it in their journals.
//!
//! The engine obeys and forgets; the journal keeps it among everything else. For who looks it is noted here, in a table
//! bounded in bytes: when more is said than it holds, the oldest goes. An entry that is read again is the same word.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use bellwether_connectors::journal::Position;
use bellwether_engine::input::{Action, TicketVerb};
use bellwether_engine::time::EventTime;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// Bytes that all words take together, about: some 20,000 of them.
const BYTES_MAX: usize = 8 << 20;
/// What a word takes beside its texts.
const WORD_BYTES: usize = 200;

/// One word.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Word {
    /// When it was said.
    pub at: EventTime,
    /// Whose incident.
    pub tenant: Arc<str>,
    /// In the journal of which partition it stands,
    pub partition: usize,
    /// and where.
    pub position: u64,
    /// What was said.
    pub action: Action,
}

impl Word {
    /// Its place among all words: by time, then by where it stands.
    fn place(&self) -> Place {
        (self.at, self.partition, self.position)
    }

    fn bytes(&self) -> usize {
        // JSON is a good measure of its texts, and words are few.
        WORD_BYTES + serde_json::to_vec(&self.action).map_or(0, |text| text.len())
    }

    /// The id of the silence that it sets.
    fn silence(&self) -> Option<&str> {
        match &self.action {
            Action::Silence { id, .. } => Some(id),
            _ => None,
        }
    }

    /// The incident that it is about, where it is about one.
    pub fn incident(&self) -> Option<&str> {
        about(&self.action)[0]
    }

    /// Whether it is about `id`.
    pub fn is_about(&self, tenant: &str, id: &str) -> bool {
        &*self.tenant == tenant && about(&self.action).into_iter().flatten().any(|incident| incident == id)
    }
}

/// The incidents that an action is about, also those that need not be open for it.
fn about(action: &Action) -> [Option<&str>; 2] {
    match action {
        Action::Merge { incident, into, .. } => [Some(incident), Some(into)],
        Action::Acknowledge { incident, .. }
        | Action::Resolve { incident, .. }
        | Action::Reopen { incident, .. }
        | Action::Close { incident, .. }
        | Action::FalsePositive { incident, .. }
        | Action::Retract { incident, .. }
        | Action::Attach { incident, .. }
        | Action::Detach { incident, .. }
        | Action::Cause { incident, .. }
        | Action::Ticket { incident, .. }
        | Action::TicketChanged { incident, .. } => [Some(incident), None],
        Action::Solve { .. } | Action::Silence { .. } => [None, None],
    }
}

/// By tenant and incident: when, and to whom.
pub type Given = BTreeMap<(Arc<str>, Box<str>), (EventTime, Box<str>)>;

type Place = (EventTime, usize, u64);

/// All of them.
#[derive(Debug)]
pub struct Said {
    table: Mutex<Table>,
    news: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Table {
    words: BTreeMap<Place, Arc<Word>>,
    bytes: usize,
    /// Those that nobody has written down yet; `None` where nobody does.
    unwritten: Option<Vec<Arc<Word>>>,
}

impl Default for Said {
    fn default() -> Said {
        Said { table: Mutex::default(), news: watch::Sender::new(0) }
    }
}

impl Said {
    /// An engine has read `action` at `position`.
    pub fn note(&self, partition: usize, position: Position, (tenant, at): (&Arc<str>, EventTime), action: &Action) {
        let word = Word { at, tenant: tenant.clone(), partition, position: position.0, action: action.clone() };
        if self.add(word) {
            self.news.send_modify(|count| *count += 1);
        }
    }

    /// Takes in what was written down before.
    pub fn recall(&self, words: impl IntoIterator<Item = Word>) {
        for word in words {
            self.add(word);
        }
        // From here on somebody writes down what is new.
        self.table().unwritten.get_or_insert_default();
    }

    fn add(&self, word: Word) -> bool {
        let mut table = self.table();
        let (place, bytes, word) = (word.place(), word.bytes(), Arc::new(word));
        if table.words.insert(place, word.clone()).is_some() {
            return false;
        }
        table.bytes += bytes;
        if let Some(unwritten) = &mut table.unwritten {
            unwritten.push(word);
        }
        while table.bytes > BYTES_MAX
            && let Some((_, oldest)) = table.words.pop_first()
        {
            table.bytes -= oldest.bytes();
        }
        true
    }

    /// Those that are to be written down; they are not handed out again.
    pub fn unwritten(&self) -> Vec<Arc<Word>> {
        self.table().unwritten.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// What was said of an incident, oldest first.
    pub fn of(&self, tenant: &str, id: &str) -> Vec<Arc<Word>> {
        self.table().words.values().filter(|word| word.is_about(tenant, id)).cloned().collect()
    }

    /// The words for which `wanted`, the latest first, at most `max` of them.
    pub fn latest(&self, max: usize, wanted: impl Fn(&Word) -> bool) -> Vec<Arc<Word>> {
        self.table().words.values().rev().filter(|word| wanted(word)).take(max).cloned().collect()
    }

    /// The last word on each silence, the latest first, of at most `max` words about any, of the tenants that `wanted`.
    pub fn silences(&self, max: usize, wanted: impl Fn(&str) -> bool) -> Vec<Arc<Word>> {
        let mut words = self.latest(max, |word| word.silence().is_some() && wanted(&word.tenant));
        let mut seen = BTreeSet::new();
        words.retain(|word| word.silence().is_some_and(|id| seen.insert((word.tenant.clone(), id.to_owned()))));
        words
    }

    /// The last word on one silence, of the tenants that `wanted`.
    pub fn silence(&self, id: &str, wanted: impl Fn(&str) -> bool) -> Option<Arc<Word>> {
        self.latest(1, |word| word.silence() == Some(id) && wanted(&word.tenant)).pop()
    }

    /// To whom people have given incidents and when, by tenant and id: the last word on each, of the tenants that `wanted`.
    pub fn given(&self, wanted: impl Fn(&str) -> bool) -> Given {
        let mut given = Given::new();
        for word in self.table().words.values().filter(|word| wanted(&word.tenant)) {
            if let Action::TicketChanged { incident, verb: TicketVerb::Reassigned, text, .. } = &word.action {
                given.insert((word.tenant.clone(), incident.as_str().into()), (word.at, text.as_str().into()));
            }
        }
        given
    }

    /// To be told when there is more.
    pub fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    fn table(&self) -> std::sync::MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comment(id: &str, text: &str) -> Action {
        Action::TicketChanged {
            incident: id.to_owned(),
            system: "bellwether".to_owned(),
            key: id.to_owned(),
            verb: TicketVerb::Commented,
            who: "ana".to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn of_a_silence_the_last_word_counts_and_only_for_whom_it_is() {
        let said = Said::default();
        let set = |secs: i64, tenant: &str, id: &str, why: &str| {
            let (from, until, who) = (EventTime::from_secs(secs), EventTime::from_secs(secs + 60), "ana".to_owned());
            let (id, matching, why) = (id.to_owned(), "true".to_owned(), why.to_owned());
            let action = Action::Silence { id, matching, from, until, who, why };
            said.note(0, Position(secs as u64), (&Arc::from(tenant), from), &action);
        };
        set(1, "acme", "s1", "first");
        set(2, "acme", "s2", "other");
        set(3, "beta", "s1", "theirs");
        set(4, "acme", "s1", "last");
        let why = |word: &Word| match &word.action {
            Action::Silence { why, .. } => why.clone(),
            other => panic!("{other:?}"),
        };
        let acme = |tenant: &str| tenant == "acme";
        assert_eq!(said.silences(9, acme).iter().map(|word| why(word)).collect::<Vec<_>>(), ["last", "other"]);
        assert_eq!(said.silence("s1", acme).map(|word| why(&word)).as_deref(), Some("last"));
        assert_eq!(said.silence("s1", |tenant| tenant == "beta").map(|word| why(&word)).as_deref(), Some("theirs"));
        assert!(said.silence("s3", acme).is_none());
    }

    #[test]
    fn what_is_read_again_is_the_same_word_and_what_is_too_much_lets_the_oldest_go() {
        let (said, acme) = (Said::default(), Arc::from("acme"));
        let at = EventTime::from_secs;
        said.note(0, Position(7), (&acme, at(1)), &comment("inc_1", "first"));
        said.note(0, Position(7), (&acme, at(1)), &comment("inc_1", "first"));
        said.note(1, Position(7), (&acme, at(1)), &comment("inc_2", "other"));
        assert_eq!((said.of("acme", "inc_1").len(), said.of("beta", "inc_1").len()), (1, 0));
        let long = "x".repeat(1 << 20);
        (2..12).for_each(|n| said.note(0, Position(100 + n), (&acme, at(n as i64)), &comment("inc_3", &long)));
        assert_eq!(said.of("acme", "inc_1").len(), 0, "it was the oldest");
        assert!((6..9).contains(&said.of("acme", "inc_3").len()));
        assert!(said.unwritten().is_empty(), "nobody writes them down");
    }
}
