//! The remembered alerts of one tenant, bounded, with the index of conditions that stand.

use std::collections::VecDeque;

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use super::conditions::{Conditions, stands};
use super::config::DedupConfig;
use super::shed::{SHED_BYTES, Shed, ShedAlert};
use crate::alert::{Alert, AlertRow};
use crate::signal::AlertStatus;
use crate::symbols::{Sym, Symbols};
use crate::time::{EventTime, Span};

/// A late alert is held for no longer than this: a lone one of little severity is told once it has lasted five
/// minutes, and the group waits before.
const HELD_MAX: Span = Span::from_mins(6);

/// What a row meant.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum News {
    /// The alert has not been seen before.
    Fired,
    /// It had recovered and fires again.
    FiredAgain,
    /// It fires on, worse than before.
    Worse,
    /// Nothing new: counted.
    Repeat,
    /// It has recovered.
    Recovered,
    /// Nothing was heard of it for too long: it counts as recovered.
    Expired,
    /// The recovery of something that never fired here.
    UnknownRecovery,
    /// A further row of an alert whose details were shed: they are known again.
    Recalled,
    /// A further row of an alert whose details stay shed.
    ShedRepeat,
    /// An alert whose details were shed has recovered: what was left of it.
    ShedRecovered(ShedAlert),
}

impl News {
    /// Whether the alert fires by it, with words that are to be read.
    pub(crate) fn says_what_is(&self) -> bool {
        matches!(self, News::Fired | News::FiredAgain | News::Worse | News::Recalled)
    }
}

/// What had to leave the tables for a row.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Evicted {
    /// No longer known in detail; when it fires, its state is kept.
    pub(crate) detail: Option<Alert>,
    /// Lost with its state.
    pub(crate) lost: Option<(u64, ShedAlert)>,
}

/// The remembered alerts of one tenant.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Alerts {
    slots: Vec<Option<Alert>>,
    free: Vec<u32>,
    #[serde(skip)]
    index: HashMap<u64, u32, foldhash::fast::FixedState>,
    /// Which of them tell a condition; made anew when a checkpoint is restored.
    #[serde(skip)]
    conditions: Conditions,
    /// Fingerprints in order of last recovery; stale entries are skipped when read.
    recovered: VecDeque<(EventTime, u64)>,
    /// Fingerprints in order of first sight; stale entries are skipped when read.
    seen: VecDeque<u64>,
    capacity: usize,
    evicted: u64,
    shed: Shed,
    /// About how many bytes the details take.
    #[serde(skip)]
    bytes: usize,
}

impl Alerts {
    /// Room for `capacity` alerts, and for the states of `shed_capacity` whose details were shed.
    pub(crate) fn new(capacity: usize, shed_capacity: usize) -> Alerts {
        Alerts {
            slots: Vec::new(),
            free: Vec::new(),
            index: HashMap::default(),
            conditions: Conditions::default(),
            recovered: VecDeque::new(),
            seen: VecDeque::new(),
            capacity: capacity.max(1),
            evicted: 0,
            shed: Shed::new(shed_capacity),
            bytes: 0,
        }
    }

    /// Remembers at most `capacity` alerts and `shed_capacity` states from now on.
    pub(super) fn set_capacity(&mut self, capacity: usize, shed_capacity: usize) {
        self.capacity = capacity.max(1);
        self.shed.set_capacity(shed_capacity);
    }

    /// Rebuilds what a checkpoint leaves out.
    pub(crate) fn reindex(&mut self) {
        self.index = self
            .slots
            .iter()
            .enumerate()
            .filter_map(|(slot, alert)| alert.as_ref().map(|a| (a.fingerprint, slot as u32)))
            .collect();
        self.conditions = Conditions::default();
        self.bytes = self.iter().map(Alert::bytes).sum();
        for alert in self.slots.iter().flatten() {
            self.conditions.note(alert);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// About how many bytes the details of alerts take.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// About how many bytes the states take whose details were shed.
    pub(crate) fn shed_bytes(&self) -> usize {
        self.shed.len() * SHED_BYTES
    }

    /// The states whose details were shed take `bytes` at most from now on.
    pub(crate) fn bound_states(&mut self, bytes: usize) {
        self.shed.bound(bytes);
    }

    pub(crate) fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Alerts known by their state only.
    pub(crate) fn shed_len(&self) -> usize {
        self.shed.len()
    }

    /// States that were lost: the recoveries of these are unknown.
    pub(crate) fn lost(&self) -> u64 {
        self.shed.lost()
    }

    /// What is left of an alert whose details were shed.
    pub(crate) fn shed(&self, fingerprint: u64) -> Option<&ShedAlert> {
        self.shed.get(fingerprint)
    }

    pub(super) fn shed_mut(&mut self, fingerprint: u64) -> Option<&mut ShedAlert> {
        self.shed.get_mut(fingerprint)
    }

    /// Forgets what was left of an alert.
    pub(super) fn forget_shed(&mut self, fingerprint: u64) -> Option<ShedAlert> {
        self.shed.remove(fingerprint)
    }

    pub(crate) fn get(&self, fingerprint: u64) -> Option<&Alert> {
        let slot = *self.index.get(&fingerprint)?;
        self.slots[slot as usize].as_ref()
    }

    pub(super) fn get_mut(&mut self, fingerprint: u64) -> Option<&mut Alert> {
        let slot = *self.index.get(&fingerprint)?;
        self.slots[slot as usize].as_mut()
    }

    /// Every remembered alert, in no order that may be shown.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Alert> {
        self.slots.iter().flatten()
    }

    /// The condition alerts of `entity` that fired at `onset` or since and that nothing holds
    /// back, in order of fingerprint.
    pub(crate) fn conditions_at(&self, entity: Sym, onset: EventTime) -> impl Iterator<Item = &Alert> {
        let of = self.conditions.at(entity).filter_map(|fingerprint| self.get(fingerprint));
        of.filter(move |alert| stands(alert, onset))
    }

    /// The series of `entity` that moved within `around` of `onset` and do not stand in an incident, in order of
    /// fingerprint.
    pub(crate) fn evidence_at(&self, entity: Sym, onset: EventTime, around: Span) -> impl Iterator<Item = &Alert> {
        let of = self.conditions.anomalies_at(entity).filter_map(|fingerprint| self.get(fingerprint));
        of.filter(move |alert| {
            let near = onset.minus(around)..=onset.plus(around);
            alert.incident.is_none() && near.contains(&alert.starts_at) && alert.suppression.is_none()
        })
    }

    /// The entities anywhere with a condition that began within `around` of `onset`, in order of
    /// time; `None` when there are more than `most`: then nothing follows from the coincidence.
    /// `counts` says which of them mean something.
    pub(crate) fn conditions_near(
        &self,
        onset: EventTime,
        around: Span,
        most: usize,
        counts: impl Fn(&Alert) -> bool,
    ) -> Option<Vec<Sym>> {
        let mut found = Vec::new();
        for fingerprint in self.conditions.near(onset, around) {
            let Some(alert) = self.get(fingerprint).filter(|alert| stands(alert, onset) && counts(alert)) else {
                continue;
            };
            if !found.contains(&alert.entity) {
                found.push(alert.entity);
            }
            if found.len() > most {
                return None;
            }
        }
        Some(found)
    }

    /// Gives an alert its entity's one name.
    pub(super) fn rename(&mut self, fingerprint: u64, entity: Sym) {
        if let Some(alert) = self.get_mut(fingerprint) {
            alert.entity = entity;
        }
    }

    /// Notes how much an alert that fires speaks of a condition.
    pub(super) fn describe(&mut self, fingerprint: u64, condition: f64) {
        let Some(slot) = self.index.get(&fingerprint) else {
            return;
        };
        if let Some(alert) = self.slots[*slot as usize].as_mut() {
            alert.condition = condition;
            self.conditions.note(alert);
        }
    }

    /// Takes one row at `now`; details take at most `bytes_max` together. Also answers what had to make room.
    pub(super) fn observe(
        &mut self,
        row: &AlertRow<'_>,
        now: EventTime,
        config: &DedupConfig,
        bytes_max: usize,
        names: &mut Symbols,
        entities: &mut Symbols,
    ) -> (News, Vec<Evicted>) {
        let fingerprint = row.fingerprint();
        let ended = row.ends_at(now).is_some_and(|at| at <= now);
        let status = if ended { AlertStatus::Resolved } else { row.status() };
        if let Some(alert) = self.get_mut(fingerprint) {
            let before = alert.text_bytes();
            let news = refresh(alert, row, status, now, config);
            let after = if news.says_what_is() { alert.text_bytes() } else { before };
            self.bytes = self.bytes + after - before;
            if news == News::Recovered {
                self.recovered.push_back((now, fingerprint));
            }
            return (news, Vec::new());
        }
        if status == AlertStatus::Resolved {
            let news = self.shed.remove(fingerprint).map_or(News::UnknownRecovery, News::ShedRecovered);
            return (news, Vec::new());
        }
        if !self.has_room(0, bytes_max)
            && let Some(shed) = self.shed.get_mut(fingerprint)
        {
            shed.expires_at = expiry(row, now, config);
            return (News::ShedRepeat, Vec::new());
        }
        let mut alert = new_alert(row, now, config, names, entities);
        let evicted = self.make_room(alert.bytes(), bytes_max);
        let known = self.shed.remove(fingerprint);
        let news = if known.is_some() { News::Recalled } else { News::Fired };
        if let Some(shed) = known {
            (alert.incident, alert.timer) = (shed.incident, shed.timer);
        }
        self.insert(alert);
        (news, evicted)
    }

    /// Ends an alert without a row: its end time has passed or nothing was heard of it.
    pub(super) fn expire(&mut self, fingerprint: u64, now: EventTime) -> bool {
        let Some(alert) = self.get_mut(fingerprint) else {
            return false;
        };
        if !alert.is_firing() || alert.expires_at > now {
            return false;
        }
        recover(alert, now);
        self.recovered.push_back((now, fingerprint));
        true
    }

    /// Forgets an alert for good.
    pub(super) fn forget(&mut self, fingerprint: u64) -> Option<Alert> {
        let slot = self.index.remove(&fingerprint)?;
        self.free.push(slot);
        let alert = self.slots[slot as usize].take()?;
        self.conditions.forget(&alert);
        self.bytes -= alert.bytes();
        Some(alert)
    }

    fn insert(&mut self, alert: Alert) {
        let fingerprint = alert.fingerprint;
        self.bytes += alert.bytes();
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            (self.slots.len() - 1) as u32
        });
        self.slots[slot as usize] = Some(alert);
        self.index.insert(fingerprint, slot);
        self.seen.push_back(fingerprint);
    }

    /// Whether there is a place for one more alert, of `bytes`.
    fn has_room(&self, bytes: usize, bytes_max: usize) -> bool {
        self.index.len() < self.capacity && self.bytes + bytes <= bytes_max
    }

    /// Evicts alerts until there is room for one of `bytes`.
    fn make_room(&mut self, bytes: usize, bytes_max: usize) -> Vec<Evicted> {
        let mut evicted = Vec::new();
        self.trim_queues();
        while !self.has_room(bytes, bytes_max) && !self.index.is_empty() {
            evicted.push(self.evict());
        }
        evicted
    }

    /// Evicts one alert: one that has recovered for good, one that fires but for its state.
    fn evict(&mut self) -> Evicted {
        self.evicted += 1;
        while let Some((at, fingerprint)) = self.recovered.pop_front() {
            let still = self.get(fingerprint).is_some_and(|a| !a.is_firing() && a.resolved_at == Some(at));
            if still {
                return Evicted { detail: self.forget(fingerprint), lost: None };
            }
        }
        while let Some(fingerprint) = self.seen.pop_front() {
            if let Some(alert) = self.forget(fingerprint) {
                let lost = self.shed.keep(fingerprint, ShedAlert::of(&alert));
                return Evicted { detail: Some(alert), lost };
            }
        }
        Evicted::default()
    }

    /// The queues hold stale entries; they are cleaned before they outgrow the table.
    fn trim_queues(&mut self) {
        let limit = self.capacity.saturating_mul(2).max(1024);
        if self.recovered.len() > limit {
            let alive = |(at, f): &(EventTime, u64)| {
                self.index
                    .get(f)
                    .and_then(|slot| self.slots[*slot as usize].as_ref())
                    .is_some_and(|a| a.resolved_at == Some(*at))
            };
            self.recovered = self.recovered.iter().copied().filter(alive).collect();
        }
        if self.seen.len() > limit {
            let index = &self.index;
            let mut known: Vec<u64> = Vec::with_capacity(index.len());
            let mut once = hashbrown::HashSet::with_capacity(index.len());
            for fingerprint in &self.seen {
                if index.contains_key(fingerprint) && once.insert(*fingerprint) {
                    known.push(*fingerprint);
                }
            }
            self.seen = known.into();
        }
    }
}

fn new_alert(
    row: &AlertRow<'_>,
    now: EventTime,
    config: &DedupConfig,
    names: &mut Symbols,
    entities: &mut Symbols,
) -> Alert {
    Alert {
        fingerprint: row.fingerprint(),
        source: names.intern(row.source()),
        name: names.intern(row.name()),
        entity: entities.intern(row.entity()),
        severity: row.severity(),
        status: AlertStatus::Firing,
        starts_at: row.starts_at().min(now),
        began_at: row.starts_at().min(now),
        resolved_at: None,
        last_at: now,
        expires_at: expiry(row, now, config),
        late: row.late(now),
        count: 1,
        transitions: vec![now],
        labels: row.labels(),
        annotations: row.annotations(),
        url: row.url().map(Into::into),
        observation: row.observation(),
        suppression: None,
        condition: 0.0,
        mentioned: Box::default(),
        incident: None,
        timer: None,
    }
}

/// When an alert counts as recovered if nothing more is heard of it.
fn expiry(row: &AlertRow<'_>, now: EventTime, config: &DedupConfig) -> EventTime {
    row.ends_at(now).unwrap_or_else(|| now.plus(config.stale_after))
}

/// When an alert that fired late recovers: what is said at once of what lasted, as in a backlog, lasts as long
/// as it did. `None` for now.
fn held_until(alert: &Alert, row: &AlertRow<'_>, now: EventTime) -> Option<EventTime> {
    let sooner = Span(alert.late.0.saturating_sub(row.late(now).0));
    if sooner <= Span::ZERO {
        return None;
    }
    let fired = alert.transitions.last().copied().unwrap_or(alert.starts_at);
    let lasted = Span(now.since(fired).0.saturating_add(sooner.0));
    Some(fired.plus(lasted.min(HELD_MAX))).filter(|until| *until > now)
}

/// Takes a further row of a known alert.
fn refresh(alert: &mut Alert, row: &AlertRow<'_>, status: AlertStatus, now: EventTime, config: &DedupConfig) -> News {
    alert.count += 1;
    alert.last_at = now;
    match (alert.status, status) {
        (AlertStatus::Firing, AlertStatus::Resolved) => match held_until(alert, row, now) {
            Some(until) => {
                alert.expires_at = until;
                News::Repeat
            }
            None => {
                recover(alert, now);
                News::Recovered
            }
        },
        (AlertStatus::Resolved, AlertStatus::Resolved) => News::Repeat,
        (before, AlertStatus::Firing) => {
            alert.expires_at = expiry(row, now, config);
            let again = before == AlertStatus::Resolved;
            let worse = row.severity() > alert.severity;
            alert.severity = row.severity();
            if again {
                alert.status = AlertStatus::Firing;
                alert.starts_at = row.starts_at().min(now);
                alert.late = row.late(now);
                alert.note_transition(now);
            }
            if again || worse {
                take_texts(alert, row);
            }
            match (again, worse) {
                (true, _) => News::FiredAgain,
                (false, true) => News::Worse,
                (false, false) => News::Repeat,
            }
        }
    }
}

/// Takes over the texts of a row; a row without texts (a bare resolve, a re-fire) keeps ours.
fn take_texts(alert: &mut Alert, row: &AlertRow<'_>) {
    let annotations = row.annotations();
    if !annotations.is_empty() {
        alert.annotations = annotations;
    }
    if let Some(observation) = row.observation() {
        alert.observation = Some(observation);
    }
    if let Some(url) = row.url() {
        alert.url = Some(url.into());
    }
}

fn recover(alert: &mut Alert, now: EventTime) {
    alert.status = AlertStatus::Resolved;
    alert.resolved_at = Some(now);
    alert.note_transition(now);
}

#[cfg(test)]
mod tests;
