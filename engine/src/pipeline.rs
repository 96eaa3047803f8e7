//! The stages in order, and the loop that runs what happens through them.
//!
//! ```text
//! admit       checks rows, decides lateness            admit/       row by row, as they come
//! sense       telemetry → alerts, by shards            sense/       over what a watermark releases
//! topology    who depends on whom, one name for each   topology/    from here on one event at a time
//! dedup       knows an alert again                     dedup/
//! mention     which entities its texts name            correlate/
//! suppress    holds back what needs nobody             suppress/
//! correlate   alerts → groups                          correlate/
//! diagnose    causes, blast radius                     diagnose/
//! enrich      owner, priority, SLA, history, words     enrich/
//! ledger      the life of incidents, revisions         ledger/
//! ```
//!
//! An item runs down [`STAGES`]. A stage that has nothing to do with it passes it on as it is; the one that
//! it is for takes it, and answers what goes on from there. What a stage asks for besides ([`Effect`]) is
//! done first, in the order in which it was asked for, each with everything that follows from it: the order
//! of the calls that would have been, without the calls.

use std::sync::Arc;

use crate::compiled::Compiled;
use crate::incident::IncidentEvent;
use crate::planted::panic_if_planted;
use crate::tables::Tables;
use crate::time::EventTime;
use crate::timers::Timer;
use crate::turn::{Effect, Item, TimerEffect, Turn};
use crate::{correlate, dedup, diagnose, enrich, ledger, suppress, topology};

/// One stage.
pub(crate) struct Stage {
    /// As its section of the configuration, where it has one.
    pub(crate) name: &'static str,
    /// Takes an item: answers what goes on to the next stage, which is the item itself where it is not for
    /// this one.
    pub(crate) take: fn(Item, &mut Tables, &mut Turn<'_>) -> Option<Item>,
}

/// The stages that run over single events, in order.
pub(crate) const STAGES: [Stage; 8] = [
    Stage { name: "topology", take: topology::stage::take },
    Stage { name: "dedup", take: dedup::stage::take },
    Stage { name: "mention", take: correlate::mention::take },
    Stage { name: "suppress", take: suppress::stage::take },
    Stage { name: "correlate", take: correlate::stage::take },
    Stage { name: "diagnose", take: diagnose::stage::take },
    Stage { name: "enrich", take: enrich::stage::take },
    Stage { name: "ledger", take: ledger::stage::take },
];

/// The loop, for one tenant under one configuration.
pub(crate) struct Pipeline<'a> {
    turn: Turn<'a>,
    /// What is left to do, the next on top, each with the number of the stage that asked for it.
    left: Vec<(usize, Effect)>,
    out: &'a mut Vec<IncidentEvent>,
}

impl<'a> Pipeline<'a> {
    pub(crate) fn new(tenant: &'a Arc<str>, compiled: &'a Compiled, out: &'a mut Vec<IncidentEvent>) -> Pipeline<'a> {
        Pipeline { turn: Turn::new(tenant, compiled), left: Vec::new(), out }
    }

    /// Runs one item through the stages at `now`, with all that follows from it.
    pub(crate) fn run(&mut self, item: Item, now: EventTime, tables: &mut Tables) {
        self.turn.now = now;
        self.pass(0, item, tables);
        while let Some((stage, effect)) = self.left.pop() {
            match effect {
                Effect::Run(item) => self.pass(0, item, tables),
                Effect::Then(item) => self.pass(stage, item, tables),
                Effect::Next(item) => self.pass(stage + 1, item, tables),
                Effect::Tell(event) => self.out.push(*event),
                Effect::Timer(timer) => set_timer(timer, tables),
            }
        }
    }

    /// Fires the timers before `until`, and those at it when `inclusive`.
    pub(crate) fn fire_timers(&mut self, until: EventTime, inclusive: bool, tables: &mut Tables) {
        while let Some((at, timer)) = tables.timers.take_due(until, inclusive) {
            self.run(Item::Due(timer), at, tables);
        }
    }

    /// Passes an item down the stages from number `from` on, until one takes it or asks for something.
    fn pass(&mut self, from: usize, item: Item, tables: &mut Tables) {
        let mut item = item;
        for (at, stage) in STAGES.iter().enumerate().skip(from) {
            panic_if_planted(stage.name, self.turn.tenant, &(&item, &tables.estate.entities));
            let next = (stage.take)(item, tables, &mut self.turn);
            if self.turn.asks() {
                self.left.extend(next.map(|next| (at, Effect::Next(next))));
                self.left.extend(self.turn.effects().rev().map(|effect| (at, effect)));
                return;
            }
            match next {
                Some(next) => item = next,
                None => return,
            }
        }
        // Settings are for every stage; anything else is for one.
        debug_assert!(
            matches!(item, Item::Settings),
            "no stage after `{}` takes {item:?}",
            STAGES[STAGES.len() - 1].name
        );
    }
}

/// Sets or puts away a timer.
fn set_timer(effect: TimerEffect, tables: &mut Tables) {
    let Tables { alerts, ledger, timers, .. } = tables;
    match effect {
        TimerEffect::WakeAlert(alert, at) => {
            if let Some(slot) = alerts.timer_mut(alert) {
                timers.bring_forward(slot, at, Timer::Alert(alert));
            }
        }
        TimerEffect::WakeIncident(number, at) => {
            if let Some(set_for) = ledger.timer_mut(number) {
                let timer = Timer::Incident(number);
                // The first look at a candidate is planned before its timer is set.
                let mut slot = Some(*set_for).filter(|at| timers.is_set(*at, timer));
                timers.bring_forward(&mut slot, at, timer);
                *set_for = slot.unwrap_or(at);
            }
        }
        TimerEffect::WakeSweep(at) => timers.set(at, Timer::Sweep),
        TimerEffect::Drop(at, timer) => timers.drop(at, timer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::Verb;
    use crate::testing::Bench;

    #[test]
    fn the_stages_are_those_of_the_design_in_its_order() {
        let names = STAGES.map(|stage| stage.name);
        let order = ["topology", "dedup", "mention", "suppress", "correlate", "diagnose", "enrich", "ledger"];
        assert_eq!(names, order);
    }

    #[test]
    fn an_alert_runs_down_the_stages_and_its_timers_come_back_at_their_top() {
        let mut bench = Bench::new();
        assert!(bench.fire(0, 7, "host:a").is_empty(), "it waits for other symptoms");
        assert!(bench.wait(29).is_empty());
        let told = bench.wait(30);
        assert_eq!(told.iter().map(|event| event.verb).collect::<Vec<_>>(), [Verb::Opened]);
        bench.end(60, 7, "host:a");
        assert_eq!(bench.wait(60 + 300).iter().map(|event| event.verb).collect::<Vec<_>>(), [Verb::Resolved]);
    }

    #[test]
    fn what_is_asked_for_is_done_in_order_each_with_what_follows_from_it() {
        let mut bench = Bench::with(serde_json::json!({"ledger": {"major": {"incidents_min": 0}}}));
        bench.fire(0, 1, "host:a");
        let id = bench.wait(30)[0].record.id.clone();
        let close =
            crate::action::Action::Close { incident: id, who: "ana".to_owned(), voice: crate::action::Voice::Operator };
        let told = bench.run(40, Item::Event(crate::event::Event::Action(Box::new(close))));
        let told: Vec<(Verb, u64)> = told.iter().map(|event| (event.verb, event.record.revision)).collect();
        assert_eq!(told, [(Verb::Resolved, 2), (Verb::Closed, 3)], "it resolves before it closes");
        assert_eq!(bench.tables.ledger.len(), 0);
    }
}
