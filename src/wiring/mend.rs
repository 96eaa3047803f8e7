//! After a panic: the tenant's state from before it, without the entry that led to it.
//!
//! The engine is a function of the journal, so the last good state is a checkpoint and the entries since. They
//! are folded once more; a panic that does not come again is over with that. Else the first entry is looked for
//! without which nothing panics up to here: signals wait for the watermark, so that the entry at which the panic
//! was met need not be the one that led to it. A state that panics without any entry of the tenant is older:
//! an older checkpoint is tried, and in the end the tenant begins anew.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;

use bellwether_connectors::Checkpoints;
use bellwether_connectors::intake::event_times;
use bellwether_connectors::journal::{Entry, Journal, JournalError, Position};
use bellwether_engine::incident::IncidentEvent;
use bellwether_engine::input::Input;
use bellwether_engine::time::{EventTime, Span};
use bellwether_engine::{Engine, EngineConfig};

use super::quarantine::{Quarantine, SetAside};

/// Entries looked for in one go: more that panic within one checkpoint's reach are no accident.
const CULPRITS_MAX: usize = 8;

/// Where states of before are had from.
pub struct Past {
    /// Checkpoints on disk.
    pub checkpoints: Checkpoints,
    /// Where an engine without a checkpoint begins, and its settings; `None` when the beginning is gone.
    pub beginning: Option<(Position, EngineConfig)>,
}

/// What became of it.
pub(super) struct Mended {
    /// An engine that knows this tenant alone, behind the entry.
    pub(super) engine: Engine,
    /// What the entry gave.
    pub(super) events: Vec<IncidentEvent>,
    /// What is to be set aside with its bytes; nothing when the panic did not come again.
    pub(super) aside: Vec<(SetAside, Vec<u8>)>,
}

/// One tenant's way to the entry where a panic was met.
pub(super) struct Mender<'a> {
    pub(super) tenant: &'a str,
    pub(super) reason: &'a str,
    pub(super) met: &'a Entry,
    pub(super) journal: &'a dyn Journal,
    pub(super) past: &'a Past,
    pub(super) quarantine: &'a Quarantine,
}

/// What folding up to some entry gave.
#[derive(Default)]
struct Walked {
    /// The revision told last of each incident, before the entry where the panic was met.
    told: BTreeMap<String, u64>,
    /// What that entry gave.
    events: Vec<IncidentEvent>,
    /// Of `told`, what had been told with the entries that are left out, where it is more.
    more: BTreeMap<String, u64>,
    panicked: bool,
}

impl Mender<'_> {
    /// Finds the state to go on from.
    ///
    /// # Errors
    /// [`JournalError`] when the journal does not read.
    pub(super) fn mend(&self) -> Result<Mended, JournalError> {
        let mut limit = self.met.position;
        while let Some((at, state)) = self.state_before(limit) {
            match self.from(at, &state) {
                Ok(Some(mended)) => return Ok(mended),
                Ok(None) => {}
                // Retention has dropped what follows so old a state.
                Err(JournalError::Gone { .. }) => break,
                Err(error) => return Err(error),
            }
            limit = at;
        }
        Ok(self.anew())
    }

    /// The newest state before `limit`, of this tenant alone.
    fn state_before(&self, limit: Position) -> Option<(Position, Vec<u8>)> {
        let only = |mut engine: Engine| {
            engine.keep_only(self.tenant);
            engine.snapshot()
        };
        // One that does not read is no reason to end: the one before is tried.
        let mut below = limit;
        while let Ok(Some(found)) = self.past.checkpoints.newest_before(below) {
            if let Ok(engine) = Engine::resume(NonZeroUsize::MIN, &found.state) {
                return Some((found.position, only(engine)));
            }
            below = found.position;
        }
        let (at, settings) = self.past.beginning.as_ref().filter(|(at, _)| *at < limit)?;
        Some((*at, Engine::new(settings.clone(), NonZeroUsize::MIN).ok()?.snapshot()))
    }

    /// Tries to go on from one state; `None` when that state itself leads to the panic.
    fn from(&self, base: Position, state: &[u8]) -> Result<Option<Mended>, JournalError> {
        let mut left_out = BTreeSet::new();
        let mut with_all = BTreeMap::new();
        loop {
            let Some(mut engine) = resumed(state) else { return Ok(None) };
            let walked = self.walk(&mut engine, base, self.met.position, &left_out, &with_all)?;
            if !walked.panicked {
                let aside = self.set_aside(&left_out, &walked.more)?;
                return Ok(Some(Mended { engine, events: walked.events, aside }));
            }
            if left_out.is_empty() {
                with_all = walked.told;
            }
            let found = if left_out.len() < CULPRITS_MAX { self.culprit(base, state, &left_out)? } else { None };
            match found {
                Some(culprit) => left_out.insert(culprit),
                None => return Ok(None),
            };
        }
    }

    /// The first entry of the tenant after which the state panics sooner or later.
    fn culprit(
        &self,
        base: Position,
        state: &[u8],
        left_out: &BTreeSet<Position>,
    ) -> Result<Option<Position>, JournalError> {
        let own = self.own_entries(base, left_out)?;
        let (mut good, mut good_state) = (base, state.to_vec());
        // Settings are everybody's, and without them later ones would mean something else.
        let Some(at) = Input::decode(&self.met.bytes).ok().and_then(|input| latest(&input)) else { return Ok(None) };
        if own.is_empty() || panics_later(&good_state, at) {
            return Ok(None);
        }
        let (mut low, mut high) = (0, own.len() - 1);
        while low < high {
            let middle = usize::midpoint(low, high);
            let Some(mut engine) = resumed(&good_state) else { return Ok(None) };
            let panicked = self.walk(&mut engine, good, own[middle], left_out, &BTreeMap::new())?.panicked;
            let reached = engine.snapshot();
            if panicked || panics_later(&reached, at) {
                high = middle;
            } else {
                (low, good, good_state) = (middle + 1, own[middle], reached);
            }
        }
        Ok(Some(own[high]))
    }

    /// The tenant's entries up to the one where the panic was met.
    fn own_entries(&self, after: Position, left_out: &BTreeSet<Position>) -> Result<Vec<Position>, JournalError> {
        let mut own = Vec::new();
        let mut entries = self.journal.read(after)?;
        while let Some(entry) = entries.next_entry()?.filter(|entry| entry.position <= self.met.position) {
            let out = self.quarantine.leaves_out(entry.position) || left_out.contains(&entry.position);
            if Input::tenant_of(&entry.bytes) == Some(self.tenant) && !out {
                own.push(entry.position);
            }
        }
        Ok(own)
    }

    /// Folds what concerns the tenant, after `from` up to `upto`.
    fn walk(
        &self,
        engine: &mut Engine,
        from: Position,
        upto: Position,
        left_out: &BTreeSet<Position>,
        with_all: &BTreeMap<String, u64>,
    ) -> Result<Walked, JournalError> {
        let mut walked = Walked::default();
        let mut entries = self.journal.read(from)?;
        while let Some(entry) = entries.next_entry()?.filter(|entry| entry.position <= upto) {
            self.quarantine.prepare(engine, entry.position);
            if entry.position == self.met.position {
                walked.more = more(with_all, &walked.told);
                engine.count_revisions_from(self.tenant, &walked.more);
            }
            let others = Input::tenant_of(&entry.bytes).is_some_and(|whose| whose != self.tenant);
            let out = self.quarantine.leaves_out(entry.position) || left_out.contains(&entry.position);
            if others || out {
                continue;
            }
            // What does not read has been told by who read it first.
            let Ok(input) = Input::decode(&entry.bytes) else { continue };
            let mut events = Vec::new();
            if !engine.apply_guarded(&input, &mut events).is_empty() {
                walked.panicked = true;
                return Ok(walked);
            }
            if entry.position == self.met.position {
                walked.events = events;
            } else {
                walked.told.extend(events.into_iter().map(|event| (event.record.id, event.record.revision)));
            }
        }
        Ok(walked)
    }

    fn set_aside(
        &self,
        left_out: &BTreeSet<Position>,
        told: &BTreeMap<String, u64>,
    ) -> Result<Vec<(SetAside, Vec<u8>)>, JournalError> {
        let mut aside = Vec::new();
        for position in left_out {
            let mut entries = self.journal.read(Position(position.0.saturating_sub(1)))?;
            let bytes = entries.next_entry()?.map(|entry| entry.bytes).unwrap_or_default();
            let record = SetAside { entry: Some(position.0), told: told.clone(), ..self.record() };
            aside.push((record, bytes));
        }
        Ok(aside)
    }

    /// Nothing is left of the tenant, and its entry at which that was found is left out.
    fn anew(&self) -> Mended {
        let own = Input::tenant_of(&self.met.bytes).is_some();
        let record = SetAside { entry: own.then_some(self.met.position.0), anew: true, ..self.record() };
        let settings = EngineConfig::default();
        let engine = Engine::new(settings, NonZeroUsize::MIN).expect("the defaults can be used");
        Mended { engine, events: Vec::new(), aside: vec![(record, self.met.bytes.clone())] }
    }

    fn record(&self) -> SetAside {
        SetAside {
            entry: None,
            met_at: self.met.position.0,
            tenant: Some(self.tenant.to_owned()),
            reason: self.reason.to_owned(),
            anew: false,
            told: BTreeMap::new(),
        }
    }
}

fn resumed(state: &[u8]) -> Option<Engine> {
    Engine::resume(NonZeroUsize::MIN, state).ok()
}

/// Whether the state panics when it gets as late as it was when the panic was met.
fn panics_later(state: &[u8], at: EventTime) -> bool {
    let Some(mut engine) = resumed(state) else { return true };
    let tick = Input::Tick(at.plus(engine.settings().lateness).plus(Span(1)));
    !engine.apply_guarded(&tick, &mut Vec::new()).is_empty()
}

/// What had been told of incidents, where it is more than is known without the entries left out.
fn more(with: &BTreeMap<String, u64>, without: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let more = with.iter().filter(|(id, told)| without.get(*id).is_none_or(|without| without < *told));
    more.map(|(id, told)| (id.clone(), *told)).collect()
}

/// The latest event time in an entry, when it has one.
fn latest(input: &Input) -> Option<EventTime> {
    match input {
        Input::Tick(at) | Input::Catalogue { at, .. } | Input::Action { at, .. } => Some(*at),
        Input::Settings(_) => None,
        Input::Batch(batch) => event_times(batch)?.iter().copied().max().map(EventTime),
    }
}
