//! How many faults of a public case the incidents name.
//!
//! A fault counts as found when an incident event within [`WITHIN`] after it names the injured
//! component as cause or as affected. Naming everything would find everything: the entities
//! an event names on average stand beside the count.

use std::path::Path;

use bellwether_engine::incident::{EntityRole, IncidentEvent};
use bellwether_engine::time::{EventTime, Span};

use super::{RealError, known, nezha, petshop};
use crate::public;

/// An incident counts for a fault when it says something within this long after it.
pub const WITHIN: Span = Span::from_mins(12);

/// PetShop keeps 25 minutes around an alarm and does not say when the trouble began: whatever
/// is told in these minutes counts.
const PETSHOP_WITHIN: Span = Span::from_mins(25);

/// A fault that somebody caused and wrote down, and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// Not before this.
    pub at: EventTime,
    /// Nor later than this after it.
    pub within: Span,
    /// The names the injured component goes by.
    pub entities: Vec<String>,
    /// The first incident that named it.
    pub found: Option<String>,
}

/// The faults of a case, judged event by event.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judge {
    /// The faults, in order of time.
    pub faults: Vec<Fault>,
    /// Entities named by the events that fall into the time of a fault.
    pub named: u64,
    /// Those events.
    pub events: u64,
}

impl Judge {
    /// The answers of the case called `name` below the data folder `data`.
    ///
    /// # Errors
    /// [`RealError`] when no loader knows the name, or the answers are absent or broken.
    pub fn of(data: &Path, name: &str) -> Result<Judge, RealError> {
        let folder = known(data, name)?;
        if name.starts_with("petshop/") {
            return Ok(Judge::petshop(&folder)?);
        }
        let mut judge = Judge::default();
        for fault in public::nezha::truth(&folder)? {
            let entities = vec![nezha::pod_entity(&fault.pod), nezha::service_entity(&fault.pod)];
            judge.expect(EventTime::from_secs(fault.at_secs), WITHIN, entities);
        }
        Ok(judge)
    }

    fn petshop(folder: &Path) -> Result<Judge, public::LoadError> {
        let issue = public::petshop::load(folder)?;
        let begins = issue.issue.at_secs.iter().copied().fold(f64::INFINITY, f64::min);
        let mut judge = Judge::default();
        let entities = vec![petshop::entity(&public::petshop::truth(folder)?)];
        judge.expect(EventTime::from_millis((begins * 1_000.0) as i64), PETSHOP_WITHIN, entities);
        Ok(judge)
    }

    fn expect(&mut self, at: EventTime, within: Span, entities: Vec<String>) {
        self.faults.push(Fault { at, within, entities, found: None });
    }

    /// Looks at one event.
    pub fn observe(&mut self, event: &IncidentEvent) {
        let record = &event.record;
        let hurt = record.entities.iter().filter(|e| matches!(e.role, Some(EntityRole::Cause | EntityRole::Affected)));
        let names: Vec<&str> = hurt.map(|e| e.id.as_str()).collect();
        for fault in &mut self.faults {
            if record.updated_at < fault.at || record.updated_at > fault.at.plus(fault.within) {
                continue;
            }
            self.named += names.len() as u64;
            self.events += 1;
            if fault.found.is_none() && fault.entities.iter().any(|e| names.contains(&e.as_str())) {
                fault.found = Some(record.id.clone());
            }
        }
    }

    /// Faults that were named.
    #[must_use]
    pub fn found(&self) -> usize {
        self.faults.iter().filter(|fault| fault.found.is_some()).count()
    }

    /// Entities an event names on average; 0 without events.
    #[must_use]
    pub fn entities_per_event(&self) -> f64 {
        self.named as f64 / self.events.max(1) as f64
    }
}
