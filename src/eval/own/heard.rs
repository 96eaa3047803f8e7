//! What people said in a journal, as labels: the journal is played as it ran, and whoever took an
//! incident, closed it, corrected it or called it none has judged it.
//!
//! The truth is where alerts were once everything had been said: attached, detached and merged as
//! people wanted it. A ticket alone says nothing, a bridge opens one for every incident.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::Result;
use bellwether_engine::incident::{IncidentEvent, ProbableCause};
use bellwether_engine::input::{Action, Input};
use bellwether_engine::time::EventTime;
use bellwether_engine::{Engine, EngineConfig};
use serde_json::Value;

use crate::config::overlay::lay_over;
use crate::eval::homes::{Homes, IncidentHistory, Key, end_of, keep};
use crate::wiring::recorded::journal_entries;

/// An incident that a person judged.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Judged {
    pub(super) tenant: String,
    pub(super) id: String,
    /// It was one.
    pub(super) real: bool,
    /// What the cause was, where somebody said so: an entity or a change.
    pub(super) cause: Option<String>,
    /// When it was told first.
    pub(super) told_at: EventTime,
}

/// One firing of an alert in a judged incident.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Firing {
    pub(super) key: Key,
    pub(super) at: EventTime,
    /// Index of its incident.
    pub(super) of: usize,
}

/// What was said in a journal.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Heard {
    /// In order of time.
    pub(super) incidents: Vec<Judged>,
    /// In order of time.
    pub(super) firings: Vec<Firing>,
}

/// What an engine made of a journal.
pub(super) struct Played {
    homes: Homes,
    incidents: BTreeMap<String, IncidentHistory>,
    /// The words of people, with their tenants.
    said: Vec<(String, Action)>,
}

impl Played {
    /// The place, from 1, of a cause among those that were named last for an incident.
    pub(super) fn place_of(&self, cause: &str, incident: &str) -> Option<usize> {
        let named = |told: &ProbableCause| {
            told.reference == cause || told.entity.as_ref().is_some_and(|entity| entity.id == cause)
        };
        self.incidents.get(incident)?.last.iter().position(named).map(|place| place + 1)
    }

    /// The incident in which a firing ended, if it was told.
    pub(super) fn home(&self, firing: &Firing) -> Option<String> {
        self.homes.of(&firing.key, firing.at).map(|id| end_of(&self.incidents, id))
    }
}

/// Whether words are obeyed, or only heard.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Words {
    Obeyed,
    LeftOut,
}

/// Plays the journals of the partitions, each by an engine of its own. Where words are left out only silences are obeyed: they are about what is to
/// come. `over` is laid over the settings that the journal holds.
///
/// # Errors
/// When the journal cannot be read, or the settings cannot be used.
pub(super) fn play(journals: &[PathBuf], words: Words, over: &Value) -> Result<Played> {
    let mut played = Played { homes: Homes::default(), incidents: BTreeMap::new(), said: Vec::new() };
    for journal in journals {
        played.play(journal, words, over)?;
    }
    Ok(played)
}

fn is_silence(action: &Action) -> bool {
    matches!(action, Action::Silence { .. })
}

impl Played {
    fn play(&mut self, journal: &Path, words: Words, over: &Value) -> Result<()> {
        let mut engine = Engine::new(lay_over(&EngineConfig::default(), over)?, NonZeroUsize::MIN)?;
        let mut events: Vec<IncidentEvent> = Vec::new();
        for entry in journal_entries(journal)? {
            let entry = match entry? {
                Input::Settings(settings) => Input::Settings(lay_over(&settings, over)?.into()),
                Input::Action { tenant, action, .. } if words == Words::LeftOut && !is_silence(&action) => {
                    self.said.push((tenant.to_string(), action));
                    continue;
                }
                Input::Action { tenant, at, action } => {
                    self.said.push((tenant.to_string(), action.clone()));
                    Input::Action { tenant, at, action }
                }
                other => other,
            };
            engine.apply(&entry, &mut events);
            self.look(&engine, &mut events);
        }
        engine.finish(&mut events);
        self.look(&engine, &mut events);
        Ok(())
    }

    /// Where alerts are now; nothing has moved where nothing was told.
    fn look(&mut self, engine: &Engine, events: &mut Vec<IncidentEvent>) {
        let tenants: BTreeSet<String> = events.iter().map(|event| event.tenant.to_string()).collect();
        events.drain(..).for_each(|event| keep(&mut self.incidents, event));
        self.homes.look(engine, &tenants.into_iter().collect::<Vec<_>>());
    }

    /// The incidents that people judged, with what was in them in the end.
    pub(super) fn heard(&self) -> Heard {
        // By tenant and id in the end: whether anybody called it none.
        let mut verdicts: BTreeMap<(String, String), bool> = BTreeMap::new();
        for (tenant, action) in &self.said {
            for (id, real) in self.verdicts(tenant, action) {
                let id = end_of(&self.incidents, &id);
                if self.incidents.contains_key(&id) {
                    *verdicts.entry((tenant.clone(), id)).or_insert(true) &= real;
                }
            }
        }
        let mut causes: BTreeMap<String, &String> = BTreeMap::new();
        for (_, action) in &self.said {
            if let Action::Cause { incident, cause, .. } = action {
                // The last word counts.
                causes.insert(end_of(&self.incidents, incident), cause);
            }
        }
        let told_at = |id: &String| self.incidents.get(id).and_then(|told| told.first_at).unwrap_or(EventTime::MIN);
        let mut incidents: Vec<Judged> = verdicts
            .into_iter()
            .map(|((tenant, id), real)| {
                let cause = causes.get(&id).map(|cause| (*cause).clone());
                Judged { told_at: told_at(&id), tenant, id, real, cause }
            })
            .collect();
        incidents.sort_by(|a, b| (a.told_at, &a.tenant, &a.id).cmp(&(b.told_at, &b.tenant, &b.id)));
        let number: BTreeMap<&str, usize> =
            incidents.iter().enumerate().map(|(at, one)| (one.id.as_str(), at)).collect();
        let mut firings = Vec::new();
        for (key, homes) in &self.homes.by_alert {
            for (at, home) in homes {
                if let Some(of) = number.get(end_of(&self.incidents, home).as_str()) {
                    firings.push(Firing { key: key.clone(), at: *at, of: *of });
                }
            }
        }
        firings.sort_by(|a, b| (a.at, &a.key).cmp(&(b.at, &b.key)));
        Heard { incidents, firings }
    }

    /// The incidents that a word judges, and whether it says that they are some.
    fn verdicts(&self, tenant: &str, action: &Action) -> Vec<(String, bool)> {
        match action {
            Action::FalsePositive { incident, .. } => vec![(incident.clone(), false)],
            Action::Acknowledge { incident, .. }
            | Action::Resolve { incident, .. }
            | Action::Close { incident, .. } => {
                vec![(incident.clone(), true)]
            }
            // Who takes a false positive back says that it was none.
            Action::Cause { incident, .. } | Action::Retract { incident, .. } | Action::Reopen { incident, .. } => {
                vec![(incident.clone(), true)]
            }
            Action::Merge { into, .. } => vec![(into.clone(), true)],
            Action::Attach { incident, alert, .. } | Action::Detach { incident, alert, .. } => {
                // What was taken out is right where it is now.
                let key = u64::from_str_radix(alert, 16).ok().map(|alert| (tenant.to_owned(), alert));
                let homes = key.and_then(|key| self.homes.by_alert.get(&key)?.values().next_back().cloned());
                std::iter::once(incident.clone()).chain(homes).map(|id| (id, true)).collect()
            }
            Action::Ticket { .. } | Action::TicketChanged { .. } | Action::Solve { .. } | Action::Silence { .. } => {
                Vec::new()
            }
        }
    }
}
