//! Major incidents: declared, joined, left, inherited.

use std::collections::BTreeMap;

use super::desk::Desk;
use super::incident::Incident;
use super::major::{Tie, tie};
use super::step::Step;
use crate::incident::{StatusReason, Verb};

/// Other incidents looked at for relations, the newest: with more open at once nobody reads on.
const RELATIVES_MAX: usize = 256;

/// Incidents considered as the major one, those that explain the newest best.
const RIVALS_MAX: usize = 16;

/// Looks for the place of a told incident among the others: under a major one, or over some.
pub(super) fn relate(desk: &mut Desk<'_, '_>, number: u64) {
    if desk.config().major.incidents_min < 2 || leaves_parent(desk, number) {
        return;
    }
    let Some(incident) = desk.ledger.get(number).filter(|i| i.is_active() && i.over.is_none()) else {
        return;
    };
    let related = related(desk, number, incident);
    if !incident.under.is_empty() {
        let free = related.into_iter().filter(|other| desk.ledger.is_free(*other));
        let ties = free.filter_map(|other| Some((other, explanation(desk, number, other)?))).collect();
        put_under(desk, number, ties);
        return;
    }
    let score = |other: &u64| explanation(desk, *other, number).map_or(0.0, |tie| tie.score);
    let majors = related.iter().filter(|other| desk.ledger.get(**other).is_some_and(|i| !i.under.is_empty()));
    let best = majors.max_by(|a, b| score(a).total_cmp(&score(b)).then(b.cmp(a))).copied();
    if let Some(major) = best {
        if let Some(tie) = explanation(desk, major, number) {
            put_under(desk, major, BTreeMap::from([(number, tie)]));
        }
        return;
    }
    if let Some((major, ties)) = major_of(desk, number, related) {
        put_under(desk, major, ties);
    }
}

/// The active incidents related to one, in order of their numbers.
fn related(desk: &Desk<'_, '_>, number: u64, incident: &Incident) -> Vec<u64> {
    let config = &desk.turn.compiled.config;
    let Some(own) = &incident.told else {
        return Vec::new();
    };
    let fresh = |other: &Incident| desk.now().since(other.last_news) <= config.correlate.quiet;
    let others = desk.ledger.active().rev().filter(|(other, i)| *other != number && fresh(i));
    let is_related = |told| tie(own, told, &config.ledger.major).score >= config.ledger.major.related_min;
    let mut related: Vec<u64> = others
        .take(RELATIVES_MAX)
        .filter(|(_, other)| other.told.as_ref().is_some_and(is_related))
        .map(|(other, _)| other)
        .collect();
    related.sort_unstable();
    related
}

fn tie_between(desk: &Desk<'_, '_>, above: u64, below: u64) -> Option<Tie> {
    let told = |number: u64| desk.ledger.get(number)?.told.as_ref();
    Some(tie(told(above)?, told(below)?, &desk.config().major))
}

/// How one incident is related to another that it explains; `None` when it does not.
fn explanation(desk: &Desk<'_, '_>, above: u64, below: u64) -> Option<Tie> {
    tie_between(desk, above, below).filter(|tie| tie.explains > 0.0)
}

/// Of an incident and those related to it the one that explains its own relatives best, with
/// these; `None` when none has enough.
fn major_of(desk: &Desk<'_, '_>, number: u64, others: Vec<u64>) -> Option<(u64, BTreeMap<u64, Tie>)> {
    let mut rivals: Vec<(f64, u64)> = others
        .into_iter()
        .filter(|other| desk.ledger.is_free(*other))
        .filter_map(|other| Some((tie_between(desk, other, number)?.explains, other)))
        .collect();
    rivals.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    rivals.truncate(RIVALS_MAX);
    let mut best: Option<(f64, u64, BTreeMap<u64, Tie>)> = None;
    for above in rivals.into_iter().map(|(_, other)| other).chain([number]) {
        let below = related(desk, above, desk.ledger.get(above)?);
        let free = below.into_iter().filter(|other| desk.ledger.is_free(*other));
        let ties: BTreeMap<u64, Tie> =
            free.filter_map(|other| Some((other, explanation(desk, above, other)?))).collect();
        if ties.len() + 1 < desk.config().major.incidents_min {
            continue;
        }
        let explains: f64 = ties.values().map(|tie| tie.explains).sum();
        // Of two alike the one told first: numbers follow the order of event time.
        let better = best.as_ref().is_none_or(|(most, first, _)| {
            explains > most + 1e-9 || ((explains - most).abs() <= 1e-9 && above < *first)
        });
        if better {
            best = Some((explains, above, ties));
        }
    }
    best.map(|(_, above, ties)| (above, ties))
}

/// Puts incidents under a major one, and has both sides told.
fn put_under(desk: &mut Desk<'_, '_>, major: u64, ties: BTreeMap<u64, Tie>) {
    let children_max = desk.config().major.children_max;
    let Some(id) = desk.ledger.get(major).map(|i| i.id.clone()) else {
        return;
    };
    let mut fresh = Vec::new();
    for (child, tie) in ties {
        let Some(above) = desk.ledger.get_mut(major) else {
            return;
        };
        if above.under.len() >= children_max {
            break;
        }
        above.under.insert(child, tie);
        if let Some(below) = desk.ledger.get_mut(child) {
            below.over = Some(major);
            below.parent = Some(id.clone());
        }
        fresh.push(child);
    }
    if fresh.is_empty() {
        return;
    }
    for number in std::iter::once(major).chain(fresh) {
        desk.then(Step::TellPlace(number));
    }
}

/// Tells a new place of an incident.
pub(super) fn tell_place(desk: &mut Desk<'_, '_>, number: u64) {
    if let Some(incident) = desk.ledger.get_mut(number) {
        incident.reason = StatusReason::Updated;
    }
    desk.tell(number, Verb::Updated);
    desk.then(Step::Plan(number));
}

/// A child that is hardly related any more leaves its major incident; answers whether it does.
fn leaves_parent(desk: &mut Desk<'_, '_>, number: u64) -> bool {
    let Some(over) = desk.ledger.get(number).filter(|i| i.is_active()).and_then(|i| i.over) else {
        return false;
    };
    let release = desk.config().major.release_min;
    if tie_between(desk, over, number).is_some_and(|tie| tie.score >= release) {
        return false;
    }
    if let Some(major) = desk.ledger.get_mut(over) {
        major.under.remove(&number);
        major.dirty = true;
    }
    desk.wake(over, desk.now());
    if let Some(incident) = desk.ledger.get_mut(number) {
        (incident.over, incident.parent) = (None, None);
    }
    tell_place(desk, number);
    true
}

/// `heir` has absorbed `gone`: it takes its place over others, or under one.
pub(super) fn inherit_place(desk: &mut Desk<'_, '_>, heir: u64, loser: u64, gone: &Incident) {
    let now = desk.now();
    if let Some(over) = gone.over {
        let tie = desk.ledger.get_mut(over).and_then(|major| {
            major.dirty = true;
            major.under.remove(&loser)
        });
        let free = heir != over && desk.ledger.is_free(heir) && gone.under.is_empty();
        if let Some(tie) = tie.filter(|_| free) {
            desk.ledger.tie(over, heir, tie);
        }
        desk.wake(over, now);
    }
    let orphans: Vec<(u64, Tie)> = gone.under.iter().map(|(child, tie)| (*child, tie.clone())).collect();
    if orphans.is_empty() {
        return;
    }
    // Who has children gets no parent.
    let above = desk.ledger.get(heir).and_then(|i| i.over);
    if let Some(major) = above.and_then(|above| desk.ledger.get_mut(above)) {
        major.under.remove(&heir);
        major.dirty = true;
    }
    if let Some(heir) = desk.ledger.get_mut(heir) {
        if heir.over.take().is_some() {
            heir.parent = None;
        }
        heir.dirty = true;
    }
    for (child, tie) in orphans {
        if child != heir {
            desk.ledger.tie(heir, child, tie);
            desk.wake(child, now);
        }
    }
}

/// An incident is closed: its place is free. What was told of it stays told.
pub(super) fn leave_place(desk: &mut Desk<'_, '_>, number: u64) {
    let Some(incident) = desk.ledger.get(number) else {
        return;
    };
    let (over, under) = (incident.over, incident.under.keys().copied().collect::<Vec<u64>>());
    if let Some(major) = over.and_then(|over| desk.ledger.get_mut(over)) {
        major.under.remove(&number);
    }
    for child in under {
        if let Some(child) = desk.ledger.get_mut(child) {
            child.over = None;
        }
    }
}
