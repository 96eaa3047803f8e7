//! Simple rivals: what people dispatched first, shares by fields of the form, and the floors. One way of counting
//! for all: tickets in order of closing, the answers as [`Said`].

use super::Said;
use crate::models_cmd::assign::RANKS;
use crate::models_cmd::tickets::{Closed, Filed};
use std::collections::{BTreeMap, HashMap};
use xxhash_rust::xxh3::xxh3_64;

/// Fewest tickets from which a share is taken.
const SEEN_MIN: u32 = 3;
/// Tickets of the mean rate that are added to each rate.
const RATE_PRIOR: f64 = 20.0;

/// A field of the form.
type Field = fn(&Filed) -> &str;

const CATEGORY: Field = |filed| filed.ticket().category;
const SUBCATEGORY: Field = |filed| filed.ticket().subcategory;
const SYMPTOM: Field = |filed| filed.ticket().symptom;
const LOCATION: Field = |filed| filed.ticket().location;
const GROUP: Field = |filed| filed.ticket().group;

/// Back-off over subcategory, symptom and location; breaches at the rate of the symptom.
pub(super) fn by_symptom(closed: &[Closed], open: &[Filed]) -> Vec<Said> {
    said(closed, open, &[SUBCATEGORY, SYMPTOM, LOCATION], Some(SYMPTOM))
}

/// Back-off over category and subcategory; breaches at the rate of the first group.
pub(super) fn by_group(closed: &[Closed], open: &[Filed]) -> Vec<Said> {
    said(closed, open, &[CATEGORY, SUBCATEGORY], Some(GROUP))
}

/// The largest groups, and mean rate, for everybody.
pub(super) fn null(closed: &[Closed], open: &[Filed]) -> Vec<Said> {
    said(closed, open, &[], None)
}

/// Where people sent it; nothing is known of how sure they were.
pub(super) fn first_dispatch(_: &[Closed], open: &[Filed]) -> Vec<Said> {
    let nothing = (f64::NAN, f64::NAN, f64::NAN);
    let said = |filed: &Filed| {
        let (confidence, breach, p90_hours) = nothing;
        Said { groups: vec![filed.ticket().group.to_owned()], confidence, breach, p90_hours }
    };
    open.iter().map(said).collect()
}

/// Any group, any chance.
pub(super) fn random(closed: &[Closed], open: &[Filed]) -> Vec<Said> {
    let groups: Vec<String> = ranked(closed.iter().map(last_group)).0;
    let p90_hours = nine_tenths(closed);
    let said = |filed: &Filed| {
        let draw = |salt: u64| xxh3_64(format!("{salt}{}", filed.incident).as_bytes());
        let drawn = (0..RANKS as u64).filter_map(|rank| groups.get((draw(rank) % groups.len().max(1) as u64) as usize));
        let breach = draw(99) as f64 / u64::MAX as f64;
        Said { groups: drawn.cloned().collect(), confidence: 1.0 / groups.len() as f64, breach, p90_hours }
    };
    open.iter().map(said).collect()
}

/// Groups by the longest of `keys` that was seen often enough, breaches by the rate of `rate`.
fn said(closed: &[Closed], open: &[Filed], keys: &[Field], rate: Option<Field>) -> Vec<Said> {
    let key = |filed: &Filed, length: usize| -> Vec<String> {
        keys[..length].iter().map(|field| field(filed).to_owned()).collect()
    };
    let mut seen: HashMap<Vec<String>, BTreeMap<&str, u32>> = HashMap::new();
    for (ticket, length) in closed.iter().flat_map(|ticket| (0..=keys.len()).map(move |length| (ticket, length))) {
        if !ticket.last_group.is_empty() {
            *seen.entry(key(&ticket.filed, length)).or_default().entry(&ticket.last_group).or_default() += 1;
        }
    }
    let all = ranked(closed.iter().map(last_group)).0;
    let p90_hours = nine_tenths(closed);
    let late = rates(closed, rate);
    let said = |filed: &Filed| {
        let counted = (0..=keys.len()).rev().filter_map(|length| seen.get(&key(filed, length)));
        let counts = counted.into_iter().find(|counts| counts.values().sum::<u32>() >= SEEN_MIN);
        let each = counts.into_iter().flatten().flat_map(|(group, n)| std::iter::repeat_n(*group, *n as usize));
        let (mut groups, confidence) = ranked(each);
        let rest: Vec<String> = all.iter().filter(|group| !groups.contains(group)).cloned().collect();
        groups.extend(rest);
        groups.truncate(RANKS);
        let breach = late.get(rate.map_or("", |field| field(filed))).or(late.get("")).copied().unwrap_or(f64::NAN);
        Said { groups, confidence, breach, p90_hours }
    };
    open.iter().map(said).collect()
}

fn last_group(ticket: &Closed) -> &str {
    &ticket.last_group
}

/// Names by how often they come, ties by name, and the share of the first; the empty name is none.
fn ranked<'a>(names: impl Iterator<Item = &'a str>) -> (Vec<String>, f64) {
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    names.filter(|name| !name.is_empty()).for_each(|name| *counts.entry(name).or_default() += 1);
    let all: u32 = counts.values().sum();
    let mut order: Vec<(&str, u32)> = counts.into_iter().collect();
    order.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let share = order.first().map_or(f64::NAN, |first| f64::from(first.1) / f64::from(all));
    (order.into_iter().map(|(name, _)| name.to_owned()).collect(), share)
}

/// Share of breaches by `field`, drawn to the mean of all, which stands under the empty name.
fn rates(closed: &[Closed], field: Option<Field>) -> BTreeMap<String, f64> {
    let mut counts: BTreeMap<String, (f64, f64)> = BTreeMap::new();
    let (mut late, mut all) = (0.0, 0.0);
    for (ticket, breached) in closed.iter().filter_map(|ticket| Some((ticket, ticket.breached?))) {
        let breached = f64::from(u8::from(breached));
        (late, all) = (late + breached, all + 1.0);
        if let Some(field) = field {
            let count = counts.entry(field(&ticket.filed).to_owned()).or_default();
            *count = (count.0 + breached, count.1 + 1.0);
        }
    }
    let mean = late / all;
    let mut rates: BTreeMap<String, f64> =
        counts.into_iter().map(|(name, (late, all))| (name, (late + RATE_PRIOR * mean) / (all + RATE_PRIOR))).collect();
    rates.entry(String::new()).or_insert(mean);
    rates
}

/// The hours by which nine in ten were resolved.
fn nine_tenths(closed: &[Closed]) -> f64 {
    let mut hours: Vec<f64> = closed.iter().filter_map(|ticket| ticket.hours).collect();
    hours.sort_unstable_by(f64::total_cmp);
    hours.get((hours.len() * 9 / 10).min(hours.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}
