//! One turn of the stages: what runs through them, what they see of the moment, and what they ask for.
//!
//! A stage takes an [`Item`], changes its own table, and answers what goes on to the next stage. Whatever
//! else is to happen it asks for in the [`Turn`]; the loop in `pipeline.rs` sees to it, in the order in
//! which it was asked for and before anything goes on. So no stage calls another.

use std::collections::BTreeMap;
use std::sync::Arc;

use bellwether_models::group::GroupId;

use crate::alert::Alert;
use crate::case::{Case, Purpose};
use crate::compiled::Compiled;
use crate::dedup::{News, ShedAlert};
use crate::diagnose::Diagnosed;
use crate::enrich::{Closed, Enriched};
use crate::event::Event;
use crate::incident::{IncidentEvent, Verb};
use crate::ledger::Step;
use crate::symbols::Sym;
use crate::time::EventTime;
use crate::timers::Timer;

/// What runs through the stages. Alerts go by their fingerprints, incidents by the ledger's numbers.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    /// What happened.
    Event(Event),
    /// A timer is due.
    Due(Timer),
    /// Settings have changed to those of the turn.
    Settings,
    /// The rules of suppression have changed: everything is to be asked anew.
    SuppressAnew,

    /// From `topology`: another catalogue is in force.
    NewCatalogue,
    /// The age of edges is to be looked at.
    AgeEdges,

    /// From `dedup`: what a row, or its lack, meant for an alert.
    News { alert: u64, news: News },
    /// A further row of a known alert.
    Row(u64),
    /// From `dedup`: an alert known by its state only has ended.
    ShedEnded { alert: u64, shed: ShedAlert },
    /// From `dedup`: an alert that fires has lost its details.
    Gone(Box<Alert>),
    /// From `dedup`: an alert is known no more.
    TakenOut { alert: u64, incident: Option<u64> },
    /// An alert is to be no part of any group.
    Forget(u64),
    /// Alerts of an incident that is closed: those that are over are to be forgotten.
    Release(Vec<u64>),

    /// An alert is to be asked about as if it had just fired.
    Consider(u64),
    /// To `suppress` itself: what inhibits has been seen to, now the alert.
    Judge(u64),
    /// An alert is to be asked about; only a change of the answer counts.
    Reconsider(u64),

    /// From `suppress`: nothing holds this alert back.
    Live(u64),
    /// From `suppress`: this alert has recovered, or is held back.
    Left(u64),

    /// To `correlate` itself: edges have been seen to, now the alert.
    Place(u64),
    /// From `correlate`: an alert goes back to the incident where it was.
    Returned { alert: u64, incident: u64 },
    /// From `correlate`: the group of an alert, and the groups that became part of it.
    Grouped { alert: u64, group: GroupId, merged: Vec<GroupId> },
    /// From `correlate`: groups that take no more alerts.
    GroupsClosed(Vec<GroupId>),
    /// An operator has judged whether an alert belongs to a group; `moves` takes it out of its own.
    Teach { alert: u64, group: Option<GroupId>, together: bool, moves: bool },
    /// Does this group of an incident still hold together?
    Split { incident: u64, group: GroupId },
    /// From `correlate`: the parts that fell off, with their alerts.
    Parts { incident: u64, parts: Vec<(GroupId, Vec<u64>)> },

    /// An incident is over: when trouble was first seen where.
    Learn(BTreeMap<Sym, EventTime>),
    /// An incident is to be judged.
    Case(Case),
    /// From `diagnose`.
    Diagnosed(Box<Diagnosed>),
    /// From `enrich`.
    Enriched(Box<Enriched>),
    /// An incident is over for good: it is to be learned from and remembered.
    Closed(Box<Closed>),
    /// Somebody says that a problem is solved.
    Solved(String),

    /// To `ledger` itself: what is left to do after something else.
    Ledger(Step),
}

/// What a stage asks for.
#[derive(Clone, Debug)]
pub(crate) enum Effect {
    /// Run this through the stages, from the first.
    Run(Item),
    /// Come back to the stage that asks, with this.
    Then(Item),
    /// Give this to the stage after the one that asks.
    Next(Item),
    /// Set a timer, or put one away.
    Timer(TimerEffect),
    /// Tell the world.
    Tell(Box<IncidentEvent>),
}

/// What a stage asks of the timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimerEffect {
    /// Look at an alert at this time: each has one timer, the earlier one stays.
    WakeAlert(u64, EventTime),
    /// Look at an incident at this time: each has one timer, the earlier one stays.
    WakeIncident(u64, EventTime),
    /// Put old groups and silences away at this time.
    WakeSweep(EventTime),
    /// Put away the timer of something that is no longer there.
    Drop(EventTime, Timer),
}

/// The moment at which the stages work, and what they have asked for.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    pub(crate) now: EventTime,
    pub(crate) tenant: &'a Arc<str>,
    pub(crate) compiled: &'a Compiled,
    effects: Vec<Effect>,
}

impl<'a> Turn<'a> {
    pub(crate) fn new(tenant: &'a Arc<str>, compiled: &'a Compiled) -> Turn<'a> {
        Turn { now: EventTime::MIN, tenant, compiled, effects: Vec::new() }
    }

    /// Asks for this to run through the stages, from the first.
    pub(crate) fn run(&mut self, item: Item) {
        self.effects.push(Effect::Run(item));
    }

    /// Asks to come back to the stage that asks, with this.
    pub(crate) fn then(&mut self, item: Item) {
        self.effects.push(Effect::Then(item));
    }

    /// Asks for a revision of an incident.
    pub(crate) fn tell(&mut self, incident: u64, verb: Verb) {
        self.run(Item::Case(Case { incident, purpose: Purpose::Tell { verb, merged_into: None } }));
    }

    pub(crate) fn wake_alert(&mut self, alert: u64, at: EventTime) {
        self.effects.push(Effect::Timer(TimerEffect::WakeAlert(alert, at)));
    }

    pub(crate) fn wake_incident(&mut self, incident: u64, at: EventTime) {
        self.effects.push(Effect::Timer(TimerEffect::WakeIncident(incident, at)));
    }

    pub(crate) fn wake_sweep(&mut self, at: EventTime) {
        self.effects.push(Effect::Timer(TimerEffect::WakeSweep(at)));
    }

    /// Puts away a timer that was set for `at`, if it was.
    pub(crate) fn drop_timer(&mut self, at: Option<EventTime>, timer: Timer) {
        if let Some(at) = at {
            self.effects.push(Effect::Timer(TimerEffect::Drop(at, timer)));
        }
    }

    /// Tells the world.
    pub(crate) fn publish(&mut self, event: IncidentEvent) {
        self.effects.push(Effect::Tell(Box::new(event)));
    }

    /// What has been asked for, in order.
    pub(crate) fn effects(&mut self) -> impl DoubleEndedIterator<Item = Effect> + ExactSizeIterator {
        self.effects.drain(..)
    }

    /// Whether anything has been asked for.
    pub(crate) fn asks(&self) -> bool {
        !self.effects.is_empty()
    }
}
