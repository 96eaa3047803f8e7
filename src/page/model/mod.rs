//! What the page knows of incidents: a fold over the incident log, bounded in bytes.
//!
//! Of each incident it keeps a line for lists, what each revision said that was new, and the newest record, packed. It
//! may be fed in any order and twice: a revision that is there is passed over. So the past is read beside what comes,
//! and a restart begins with the same state that it ended with, as far as the log keeps it.
//!
//! | of an incident | takes about |
//! |---|---|
//! | its line | 0.6 KiB |
//! | each of its revisions, 512 at most | 0.2 KiB |
//! | its newest record, packed | 3 KiB |
//!
//! When all take more than they may, those that are over go first, the longest ago first; lists say how many were
//! forgotten.

mod line;
mod packed;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use bellwether_engine::incident::{IncidentEvent, IncidentRecord, Priority};
use bellwether_engine::time::EventTime;
use tokio::sync::watch;

pub(crate) use line::{Line, Told};
use packed::Packed;

/// Revisions of an incident that are kept, beside the first one.
const LIFE_MAX: usize = 512;
/// What an incident takes beside its texts.
const ENTRY_BYTES: usize = 256;

/// Whose incidents somebody sees.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Scope {
    /// Everybody's.
    All,
    /// One tenant's.
    Tenant(Arc<str>),
}

impl Scope {
    /// Whether it takes in `tenant`.
    pub(crate) fn has(&self, tenant: &str) -> bool {
        match self {
            Scope::All => true,
            Scope::Tenant(own) => **own == *tenant,
        }
    }
}

/// One incident as it is known.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) line: Line,
    pub(crate) life: BTreeMap<u64, Told>,
    record: Packed,
}

impl Known {
    /// The newest record; `None` when it does not unpack, which is a bug.
    pub(crate) fn record(&self) -> Option<IncidentRecord> {
        self.record.unpack()
    }

    fn bytes(&self) -> usize {
        ENTRY_BYTES + self.line.bytes() + self.record.bytes() + self.life.len() * size_of::<(u64, Told)>()
    }

    /// The higher, the longer it is kept: what is live, then what was told last.
    fn worth(&self) -> Worth {
        (self.line.is_live(), self.line.updated)
    }
}

type Worth = (bool, EventTime);
type Name = (Arc<str>, Box<str>);

#[derive(Debug, Default)]
struct Table {
    known: BTreeMap<Name, Known>,
    /// By worth.
    order: BTreeSet<(Worth, Name)>,
    /// Those that are live, as lists show them.
    live: BTreeSet<(Place, Name)>,
    bytes: usize,
    forgotten: u64,
    /// Counts what has changed of each tenant, so that nobody hears of another's.
    versions: BTreeMap<Arc<str>, u64>,
}

/// How soon somebody must look: by priority, then the one that has waited the longest.
type Place = (Priority, EventTime);

fn place(line: &Line) -> Place {
    (line.priority, line.began)
}

/// All incidents that are known.
#[derive(Debug)]
pub(crate) struct Model {
    table: RwLock<Table>,
    bytes_max: usize,
    /// Counts what has changed.
    version: watch::Sender<u64>,
}

/// A list, and how much was left out of it.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    pub(crate) lines: Vec<Line>,
    /// All that would be listed.
    pub(crate) total: usize,
    /// Those that there was no room for.
    pub(crate) forgotten: u64,
}

/// What is open that hurts an entity.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Hurt {
    pub(crate) worst: Priority,
    /// Open incidents that it is in.
    pub(crate) count: usize,
    /// The most urgent of them,
    pub(crate) id: Box<str>,
    pub(crate) title: Box<str>,
    pub(crate) since: EventTime,
}

impl Model {
    /// One that takes `bytes_max` at most, about.
    pub(crate) fn new(bytes_max: usize) -> Model {
        Model { table: RwLock::default(), bytes_max, version: watch::Sender::new(0) }
    }

    /// Takes revisions in, in whatever order they come.
    pub(crate) fn take<'e>(&self, events: impl IntoIterator<Item = &'e IncidentEvent>) {
        // Packing is the work: it needs no lock.
        let packed = events.into_iter().map(|event| (event, Packed::of(&event.record)));
        let packed: Vec<_> = packed.collect();
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        for (event, record) in packed {
            *table.versions.entry(event.tenant.clone()).or_default() += 1;
            table.put(event, record);
        }
        table.shed(self.bytes_max);
        drop(table);
        self.version.send_modify(|version| *version += 1);
    }

    /// To be told of changes.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// Something of a tenant beside the log has changed that pages show.
    pub(crate) fn touch(&self, tenant: &Arc<str>) {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        *table.versions.entry(tenant.clone()).or_default() += 1;
        drop(table);
        self.version.send_modify(|version| *version += 1);
    }

    /// Counts what has changed of what somebody sees.
    pub(crate) fn version(&self, scope: &Scope) -> u64 {
        match scope {
            Scope::All => *self.version.borrow(),
            Scope::Tenant(tenant) => self.read().versions.get(tenant).copied().unwrap_or(0),
        }
    }

    /// One incident of `scope`.
    pub(crate) fn get(&self, scope: &Scope, id: &str) -> Option<Known> {
        let table = self.read();
        match scope {
            Scope::Tenant(tenant) => table.known.get(&(tenant.clone(), id.into())).cloned(),
            Scope::All => table.known.iter().find(|((_, known), _)| **known == *id).map(|(_, known)| known.clone()),
        }
    }

    /// The line of one incident of a tenant.
    pub(crate) fn line(&self, tenant: &Arc<str>, id: &str) -> Option<Line> {
        self.read().known.get(&(tenant.clone(), id.into())).map(|known| known.line.clone())
    }

    /// What is live, the most urgent first.
    pub(crate) fn live(&self, scope: &Scope, max: usize) -> Listed {
        let table = self.read();
        let mut listed = Listed { forgotten: table.forgotten, ..Listed::default() };
        for (_, name) in table.live.iter().filter(|(_, (tenant, _))| scope.has(tenant)) {
            listed.total += 1;
            if listed.lines.len() < max {
                listed.lines.extend(table.known.get(name).map(|known| known.line.clone()));
            }
        }
        listed
    }

    /// What hurts each entity of a tenant now, by its name.
    pub(crate) fn hurt(&self, tenant: &Arc<str>) -> BTreeMap<Box<str>, Hurt> {
        let table = self.read();
        let mut hurt: BTreeMap<Box<str>, Hurt> = BTreeMap::new();
        // The most urgent come first.
        for (_, name) in table.live.iter().filter(|(_, (whose, _))| whose == tenant) {
            let Some(line) = table.known.get(name).map(|known| &known.line) else { continue };
            for entity in &line.names {
                let one = hurt.entry(entity.clone()).or_insert_with(|| Hurt {
                    worst: line.priority,
                    count: 0,
                    id: line.id.clone(),
                    title: line.title.clone(),
                    since: line.began,
                });
                one.count += 1;
            }
        }
        hurt
    }

    /// Those that `wanted`, the last told first, from the `skip`th on.
    pub(crate) fn find(&self, scope: &Scope, skip: usize, max: usize, wanted: impl Fn(&Line) -> bool) -> Listed {
        let table = self.read();
        let known = table.known.iter().filter(|((tenant, _), _)| scope.has(tenant)).map(|(_, known)| &known.line);
        let mut found: Vec<&Line> = known.filter(|line| wanted(line)).collect();
        found.sort_unstable_by(|a, b| b.updated.cmp(&a.updated).then_with(|| a.id.cmp(&b.id)));
        let total = found.len();
        let lines = found.into_iter().skip(skip).take(max).cloned().collect();
        Listed { lines, total, forgotten: table.forgotten }
    }

    /// The incidents of a scope that are known, by tenant and id.
    pub(crate) fn names(&self, scope: &Scope) -> Vec<(Arc<str>, Box<str>)> {
        self.read().known.keys().filter(|(tenant, _)| scope.has(tenant)).cloned().collect()
    }

    /// The tenants that there are incidents of.
    pub(crate) fn tenants(&self) -> Vec<Arc<str>> {
        let mut tenants: Vec<Arc<str>> = self.read().known.keys().map(|(tenant, _)| tenant.clone()).collect();
        tenants.dedup();
        tenants
    }

    /// About how many bytes it takes, and may take.
    pub(crate) fn bytes(&self) -> (usize, usize) {
        (self.read().bytes, self.bytes_max)
    }

    fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn put(&mut self, event: &IncidentEvent, record: Packed) {
        let name: Name = (event.tenant.clone(), event.record.id.as_str().into());
        let mut known = match self.known.remove(&name) {
            Some(known) => {
                self.bytes -= known.bytes();
                self.order.remove(&(known.worth(), name.clone()));
                self.live.remove(&(place(&known.line), name.clone()));
                known
            }
            None => Known { line: Line::of(event), life: BTreeMap::new(), record: record.clone() },
        };
        known.life.entry(event.record.revision).or_insert_with(|| Told::of(event));
        if known.life.len() > LIFE_MAX {
            let second = known.life.keys().nth(1).copied();
            second.and_then(|second| known.life.remove(&second));
        }
        if event.record.revision > known.line.revision {
            known.line = Line::of(event);
            known.record = record;
        }
        self.bytes += known.bytes();
        self.order.insert((known.worth(), name.clone()));
        if known.line.is_live() {
            self.live.insert((place(&known.line), name.clone()));
        }
        self.known.insert(name, known);
    }

    fn shed(&mut self, bytes_max: usize) {
        while self.bytes > bytes_max
            && let Some((_, name)) = self.order.pop_first()
        {
            if let Some(known) = self.known.remove(&name) {
                self.bytes -= known.bytes();
                self.live.remove(&(place(&known.line), name));
                self.forgotten += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests;
