//! A bridge without a process: its memory on disk, the strict system, and a clock that is turned by hand.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bellwether_engine::incident::{IncidentRecord, IncidentStatus};
use bellwether_engine::input::Action;
use bellwether_engine::time::{EventTime, Span};

use super::super::entry::{Entry, Key};
use super::super::heard::heard;
use super::super::learn::{Answer, answer, learn};
use super::super::mapping::{Mapping, Rules, tests::MAPPING};
use super::super::receiver::Receiver;
use super::super::rules::Shared;
use super::super::step::{Ask, Next};
use super::super::store::{FeedPlace, Store};
use super::super::strict::{Fate, Held, Strict};
use super::super::system::{Change, Page, Since, SystemError, Ticket, TicketSystem};
use super::super::tickets::Tickets;
use super::super::turn::next;

/// After this a lost request is looked up.
pub(super) const SETTLE: Span = Span::from_secs(10);
/// The first revision's time.
pub(super) const BEGAN: EventTime = EventTime::from_secs(1_772_359_200);

/// An incident as it is told.
pub(super) struct Told(pub(super) IncidentRecord);

impl Told {
    /// Revision 1 of incident `name`.
    pub(super) fn new(name: &str) -> Told {
        let record = serde_json::json!({
            "schema_version": "1", "id": format!("inc_{name}"), "dedup_key": format!("key-{name}"), "revision": 1,
            "status": "open", "severity": "major", "priority": "P2", "title": format!("{name} is slow"),
            "opened_at": "2026-03-01T10:00:00Z", "updated_at": "2026-03-01T10:00:00Z", "entities": [], "alert_count": 1,
        });
        Told(serde_json::from_value(record).expect("a record"))
    }

    /// The next revision of it.
    pub(super) fn next(&mut self, change: impl FnOnce(&mut IncidentRecord)) -> &mut Told {
        self.0.revision += 1;
        change(&mut self.0);
        self
    }

    /// The next revision, in this status.
    pub(super) fn status(&mut self, status: IncidentStatus) -> &mut Told {
        self.next(|record| record.status = status)
    }
}

pub(super) struct Bench {
    folder: tempfile::TempDir,
    pub(super) shared: Shared,
    pub(super) system: Arc<Strict>,
    pub(super) now: EventTime,
    /// What the engine was told.
    pub(super) actions: Vec<Action>,
    runtime: tokio::runtime::Runtime,
    heard_upto: u64,
    place: FeedPlace,
}

impl Bench {
    pub(super) fn new() -> Bench {
        Bench::with(|_| ())
    }

    /// With another mapping.
    pub(super) fn with(change: impl FnOnce(&mut Mapping)) -> Bench {
        let mut mapping: Mapping = serde_json::from_str(MAPPING).expect("reads");
        change(&mut mapping);
        let system = Arc::new(Strict::default());
        Bench { system: system.clone(), ..Bench::over(Receiver::Tickets(system), mapping) }
    }

    /// Over another system.
    pub(super) fn over(over: Receiver, mapping: Mapping) -> Bench {
        let folder = tempfile::tempdir().expect("a folder");
        let rules = Arc::new(Rules::new(mapping).expect("it does"));
        let tickets = Tickets::new(Store::open(&folder.path().join("t.tickets"), 64 << 20).expect("opens"));
        let shared = Shared { name: "desk".into(), system: over, rules, tickets, settle: SETTLE };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (system, place) = (Arc::default(), FeedPlace::default());
        Bench { folder, shared, system, runtime, now: BEGAN, actions: Vec::new(), heard_upto: 0, place }
    }

    pub(super) fn key(told: &Told) -> Key {
        Key { tenant: "acme".to_owned(), incident: told.0.id.clone() }
    }

    pub(super) fn tell(&mut self, told: &Told) {
        self.tell_of("acme", told);
    }

    pub(super) fn tell_of(&mut self, tenant: &str, told: &Told) {
        let key = Key { tenant: tenant.to_owned(), incident: told.0.id.clone() };
        let (now, record) = (self.now, &told.0);
        let begin = || Some(Entry::new(key.clone(), &record.dedup_key, now));
        let mut store = self.shared.tickets.lock();
        store.change(&key, begin, |entry, _| entry.file(record, now)).expect("kept");
    }

    pub(super) fn entry(&self, told: &Told) -> Entry {
        let key = Bench::key(told);
        self.shared.tickets.lock().try_out(&key, |entry, _| entry.clone()).expect("it is remembered")
    }

    pub(super) fn fates(&self, fates: impl IntoIterator<Item = Fate>) {
        self.system.inside().fates.extend(fates);
    }

    /// The file of the memory.
    pub(super) fn memory(&self) -> std::path::PathBuf {
        self.folder.path().join("t.tickets")
    }

    /// The process ends and starts: what is on disk is all there is.
    pub(super) fn restart(&mut self) {
        let path = self.memory();
        self.shared.tickets = Tickets::new(Store::open(&path, 64 << 20).expect("opens"));
    }

    pub(super) fn wait(&mut self, span: Span) {
        self.now = self.now.plus(span);
    }

    /// The next request for an incident, durable and not sent yet.
    pub(super) fn next_of(&self, key: &Key) -> Option<Next> {
        let mut store = self.shared.tickets.lock();
        store.change(key, || None, |entry, peers| next(entry, &self.shared.around(peers), self.now)).expect("kept")
    }

    pub(super) fn send(&self, ask: &Ask) -> Result<Answer, SystemError> {
        self.runtime.block_on(answer(&self.shared.system, ask))
    }

    pub(super) fn learn(&mut self, key: &Key, ask: &Ask, answered: Result<Answer, SystemError>) {
        let mut store = self.shared.tickets.lock();
        let learned = store.change(
            key,
            || None,
            |entry, peers| learn(entry, ask, answered, &self.shared.around(peers), self.now),
        );
        drop(store);
        self.actions.extend(learned.expect("kept").expect("it is remembered").actions);
    }

    /// One step of an incident; whether something was sent.
    pub(super) fn step(&mut self, key: &Key) -> bool {
        let Some(Next::Ask(ask)) = self.next_of(key) else { return false };
        let answered = self.send(&ask);
        self.learn(key, &ask, answered);
        true
    }

    pub(super) fn keys(&self) -> Vec<Key> {
        self.shared.tickets.lock().entries().map(|entry| entry.key.clone()).collect()
    }

    /// Everything that can be done now.
    pub(super) fn settle(&mut self) {
        for _ in 0..1_000 {
            let keys = self.keys();
            let stepped = keys.iter().filter(|key| self.step(key)).count();
            if stepped == 0 {
                return;
            }
        }
        panic!("it never comes to rest: {:?}", self.system.inside().asked.iter().rev().take(8).collect::<Vec<_>>());
    }

    /// Everything, waiting where it has to be waited.
    pub(super) fn settle_in_time(&mut self) {
        for _ in 0..12 {
            self.settle();
            self.wait(Span::from_secs(61));
            self.hear();
        }
        self.settle();
    }

    /// What others changed comes back.
    pub(super) fn hear(&mut self) {
        let changes = self.system.inside().changes.clone();
        let upto = self.heard_upto;
        for change in changes.into_iter().filter(|change| change.id > upto) {
            self.heard_upto = change.id;
            self.take_in(&change);
        }
    }

    /// What others changed comes back from the system's own list, which is read as the bridge reads it.
    pub(super) fn hear_from_system(&mut self) {
        let (system, order) = (self.shared.system.clone(), self.shared.system.feed_order());
        let mut since = self.place.from();
        loop {
            let Page { changes, upto, more } = self.runtime.block_on(system.changes(Some(since))).expect("a page");
            for change in changes.iter().filter(|change| !self.place.knows(change, order)).collect::<Vec<_>>() {
                self.take_in(change);
            }
            changes.iter().for_each(|change| self.place.note(change, order));
            self.place.reach(upto, order);
            let further = Since { id: since.id.max(upto.id), at: since.at.max(upto.at) };
            if !more || further == since {
                return;
            }
            since = further;
        }
    }

    fn take_in(&mut self, change: &Change) {
        let mut store = self.shared.tickets.lock();
        let Some(key) = store.of_ticket(&change.ticket) else { return };
        let heard = store.change(
            &key,
            || None,
            |entry, _| (heard(entry, change, &self.shared.rules, "desk", self.now), entry.dedup_key.clone()),
        );
        let (heard, dedup_key) = heard.expect("kept").expect("it is remembered");
        if heard.mutes {
            let until = self.now.plus(self.shared.rules.mapping().mute_for);
            store.mute(&key.tenant, &dedup_key, until).expect("kept");
        }
        drop(store);
        self.actions.extend(heard.actions);
    }

    /// What the system has under an incident's key.
    pub(super) fn found(&self, told: &Told) -> Vec<Ticket> {
        let key = Bench::key(told).to_string();
        self.runtime.block_on(self.tickets_of().find(&key)).expect("found")
    }

    /// A ticket as the system has it.
    pub(super) fn read(&self, ticket: &str) -> Result<Ticket, SystemError> {
        self.runtime.block_on(self.tickets_of().read(ticket))
    }

    fn tickets_of(&self) -> &dyn TicketSystem {
        let Receiver::Tickets(system) = &self.shared.system else { panic!("there are no tickets") };
        &**system
    }

    pub(super) fn tickets(&self) -> Vec<Held> {
        self.system.inside().tickets.clone()
    }

    pub(super) fn field(&self, ticket: usize, field: &str) -> String {
        self.system.inside().tickets[ticket].fields.get(field).cloned().unwrap_or_default()
    }

    /// How many tickets each key has.
    pub(super) fn per_key(&self) -> BTreeMap<String, usize> {
        let mut sums = BTreeMap::new();
        self.tickets().iter().for_each(|held| *sums.entry(held.key.clone()).or_default() += 1);
        sums
    }

    /// Comments whose mark is there twice.
    pub(super) fn doubled_comments(&self) -> Vec<String> {
        let mut seen = BTreeSet::new();
        let all = self.tickets().into_iter().flat_map(|held| held.comments).map(|(mark, _)| mark);
        all.filter(|mark| !seen.insert(mark.clone())).collect()
    }
}
