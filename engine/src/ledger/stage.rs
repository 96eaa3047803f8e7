//! `ledger`: takes what becomes of alerts, of groups and of time, and makes incidents of it.

use super::desk::Desk;
use super::step::Step;
use super::{actions, escalation, hierarchy, joining, life, looks, members, merging, splitting};
use crate::event::Event;
use crate::tables::Tables;
use crate::timers::Timer;
use crate::turn::{Item, Turn};

/// Takes whatever concerns incidents.
pub(crate) fn take(item: Item, tables: &mut Tables, turn: &mut Turn<'_>) -> Option<Item> {
    let Tables { ledger, alerts, estate, correlator, stats, .. } = tables;
    let desk = &mut Desk { ledger, alerts, estate, correlator, stats, turn };
    match item {
        Item::Event(Event::Action(action)) => actions::act(desk, *action),
        Item::Due(Timer::Incident(number)) => looks::due(desk, number),
        Item::Row(alert) => members::count_row(desk, alert),
        Item::Left(alert) => members::leave(desk, alert),
        Item::ShedEnded { alert, shed } => members::end_shed(desk, alert, &shed),
        Item::TakenOut { alert, incident } => members::take_out(desk, alert, incident),
        Item::Returned { alert, incident } => joining::enlist(desk, incident, alert),
        Item::Grouped { alert, group, merged } => joining::grouped(desk, alert, group, merged),
        Item::GroupsClosed(groups) => groups.into_iter().for_each(|group| desk.ledger.unbind(group)),
        Item::Parts { incident, parts } => splitting::split_off(desk, incident, parts),
        Item::NewCatalogue => escalation::look_again(desk),
        Item::Enriched(judged) => looks::judged(desk, *judged),
        Item::Ledger(step) => go_on(desk, step),
        other => return Some(other),
    }
    None
}

/// Does what was left to do.
fn go_on(desk: &mut Desk<'_, '_>, step: Step) {
    match step {
        Step::Enlist { incident, alert } => joining::enlist(desk, incident, alert),
        Step::Merge { alert, group, merged } => joining::merge_groups(desk, alert, group, merged),
        Step::Absorb { winner, loser } => merging::absorb(desk, winner, loser),
        Step::Bind { group, incident, own } => merging::bind(desk, group, incident, own),
        Step::LookAgain(number) => desk.look_again(number),
        Step::Born { incident, alone } => splitting::born(desk, incident, alone),
        Step::Plan(number) => life::plan(desk, number),
        Step::Review(number) => looks::review(desk, number),
        Step::Relate(number) => hierarchy::relate(desk, number),
        Step::TellPlace(number) => hierarchy::tell_place(desk, number),
    }
}
