//! What was told of entries that are read again, against what they give now.
//!
//! A restarted engine reads what came after its checkpoint once more, and everything when its checkpoint is of a build
//! with another format. What it tells meanwhile is in the incident log already and is passed over. The same build tells
//! the same; another build need not. Where what is read again ends, the two are made one: what only this build knows
//! is told, what this one does not know any more is ended at the receivers, and revisions go on from those told.
//!
//! Until that is done no checkpoint is written: it would forget that there is anything to be done.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bellwether_connectors::journal::Position;
use bellwether_connectors::outbox::{IncidentLog, LookError};
use bellwether_engine::Engine;
use bellwether_engine::incident::{IncidentEvent, IncidentRecord, IncidentStatus, StatusReason, Verb};
use bellwether_engine::time::EventTime;

/// Tenant and incident.
type Key = (Arc<str>, String);

/// What an incident's revisions are now.
#[derive(Debug)]
struct Again {
    first: u64,
    last: IncidentEvent,
}

/// What is compared.
#[derive(Debug)]
pub struct Retold {
    /// Up to which journal entry the log has what was told.
    upto: Position,
    /// The log has everything that was ever told of what is read again.
    whole: bool,
    /// The last revision told of each incident.
    told: BTreeMap<Key, IncidentEvent>,
    /// What the entries give now.
    now: BTreeMap<Key, Again>,
}

impl Retold {
    /// For an engine that goes on after `position`, with what it knew there unless it is `new`; `None` when nothing
    /// was told of what it reads. Blocking.
    ///
    /// # Errors
    /// [`LookError`] when the log does not read.
    pub fn of(log: &IncidentLog, position: Position, new: bool) -> Result<Option<Retold>, LookError> {
        let Some(upto) = log.told().map(|told| told.journal).filter(|upto| *upto > position) else { return Ok(None) };
        let mut told = BTreeMap::new();
        // What was told before a checkpoint is in it.
        log.told_after(if new { Position::START } else { position }, |event| {
            told.insert(key(&event), kept(event));
        })?;
        let whole = !new || log.first() <= Position(1);
        Ok(Some(Retold { upto, whole, told, now: BTreeMap::new() }))
    }

    /// Whether an entry is one of those that are read again.
    pub fn holds(&self, position: Position) -> bool {
        position <= self.upto
    }

    /// Such an entry gave this.
    pub fn note(&mut self, events: &[IncidentEvent]) {
        for event in events {
            let first = event.record.revision;
            let last = kept(event.clone());
            match self.now.entry(key(event)) {
                Entry::Occupied(mut known) => known.get_mut().last = last,
                Entry::Vacant(new) => drop(new.insert(Again { first, last })),
            }
        }
    }

    /// Whether the entries give the very revisions that were told, up to the last.
    pub fn is_the_same(&self) -> bool {
        let last = |event: &IncidentEvent| (event.record.revision, event.record.status);
        self.told.len() == self.now.len()
            && self
                .told
                .iter()
                .zip(&self.now)
                .all(|((told_key, told), (now_key, again))| told_key == now_key && last(told) == last(&again.last))
    }

    /// What is to be told so that receivers have what `engine` has, which goes on from there.
    pub fn settle(&self, engine: &mut Engine, at: Option<EventTime>) -> Vec<IncidentEvent> {
        let mut events = Vec::new();
        let mut revisions: BTreeMap<&str, BTreeMap<String, u64>> = BTreeMap::new();
        let all: BTreeSet<&Key> = self.told.keys().chain(self.now.keys()).collect();
        for key in all {
            let known = || engine.incident_ids(&key.0).any(|id| id == key.1);
            let (told, more) = match (self.told.get(key), self.now.get(key)) {
                (Some(told), Some(again)) => (told.record.revision, Retold::other(told, &again.last)),
                (Some(told), None) if !is_over(told) && !known() => (told.record.revision, ended(told, at)),
                (Some(told), None) => (told.record.revision, Vec::new()),
                (None, Some(again)) => match self.untold(again) {
                    Some(more) => (again.first - 1, more),
                    None => continue,
                },
                (None, None) => continue,
            };
            let mut revision = told;
            for mut event in more {
                revision += 1;
                event.record.revision = revision;
                events.push(event);
            }
            revisions.entry(&key.0).or_default().insert(key.1.clone(), revision);
        }
        revisions.iter().for_each(|(tenant, revisions)| engine.count_revisions_from(tenant, revisions));
        if !events.is_empty() {
            tracing::warn!(
                revisions = events.len(),
                "entries that were read again give other incidents than were told: receivers are told the difference"
            );
        }
        events
    }

    /// What is to be told of an incident that both know.
    fn other(told: &IncidentEvent, now: &IncidentEvent) -> Vec<IncidentEvent> {
        if told.record.status == now.record.status {
            return Vec::new();
        }
        if is_over(now) {
            // What it was about is what was told of it.
            let IncidentRecord { status, status_reason, resolved_at, merged_into, updated_at, .. } = now.record.clone();
            let about = told.record.clone();
            let record = IncidentRecord { status, status_reason, resolved_at, merged_into, updated_at, ..about };
            return vec![IncidentEvent { tenant: told.tenant.clone(), verb: now.verb, record }];
        }
        let active = matches!(now.record.status, IncidentStatus::Open | IncidentStatus::Acknowledged);
        let verb = match now.verb {
            Verb::Opened => Verb::Updated,
            _ if active && is_over(told) => Verb::Reopened,
            verb => verb,
        };
        vec![IncidentEvent { verb, ..now.clone() }]
    }

    /// What is to be told of an incident that nothing was told of; `None` when that is not known.
    fn untold(&self, again: &Again) -> Option<Vec<IncidentEvent>> {
        let opened_here = again.first == 1;
        if opened_here && !self.whole {
            return None;
        }
        if opened_here && is_over(&again.last) {
            return Some(Vec::new());
        }
        let verb = if opened_here { Verb::Opened } else { again.last.verb };
        Some(vec![IncidentEvent { verb, ..again.last.clone() }])
    }
}

fn key(event: &IncidentEvent) -> Key {
    (event.tenant.clone(), event.record.id.clone())
}

/// What has to be known of it. Of what is over that is its revision and its status: there is no bound on how many are.
fn kept(mut event: IncidentEvent) -> IncidentEvent {
    if is_over(&event) {
        let IncidentRecord { summary, description, entities, probable_causes, changes, evidence, alerts, .. } =
            &mut event.record;
        (*summary, *description) = Default::default();
        (*entities, *probable_causes, *changes, *evidence, *alerts) = Default::default();
    }
    event
}

/// Nothing follows at the receivers.
fn is_over(event: &IncidentEvent) -> bool {
    matches!(event.record.status, IncidentStatus::Closed | IncidentStatus::Merged)
}

/// The end of an incident that the engine does not know: it resolves, and it closes.
fn ended(told: &IncidentEvent, at: Option<EventTime>) -> Vec<IncidentEvent> {
    let at = at.map_or(told.record.updated_at, |at| at.max(told.record.updated_at));
    let resolved_at = Some(told.record.resolved_at.unwrap_or(at));
    let end = |verb, status| {
        let status_reason = Some(StatusReason::Updated);
        let record = IncidentRecord { status, status_reason, resolved_at, updated_at: at, ..told.record.clone() };
        IncidentEvent { verb, record, ..told.clone() }
    };
    let resolved =
        (told.record.status != IncidentStatus::Resolved).then(|| end(Verb::Resolved, IncidentStatus::Resolved));
    resolved.into_iter().chain([end(Verb::Closed, IncidentStatus::Closed)]).collect()
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use bellwether_engine::EngineConfig;
    use bellwether_engine::input::Input;
    use bellwether_engine::signal::{AlertBuilder, AlertRow, AlertStatus, Severity, TenantName, alert_fingerprint};
    use bellwether_engine::time::Span;

    use super::*;

    fn engine() -> Engine {
        let settings = serde_json::json!({"lateness": "1s", "ledger": {"group_wait": "5s"}});
        Engine::new(serde_json::from_value::<EngineConfig>(settings).expect("settings"), NonZeroUsize::MIN)
            .expect("fit")
    }

    /// What an engine tells of hosts that go down one minute after the other.
    fn down(engine: &mut Engine, hosts: &[&str]) -> Vec<IncidentEvent> {
        let mut told = Vec::new();
        for (minute, host) in hosts.iter().enumerate() {
            let time = EventTime::from_secs(1_780_000_000 + 600 * minute as i64);
            let mut rows = AlertBuilder::new();
            rows.push(&AlertRow {
                time,
                source: "probe",
                name: "Down",
                entity: host,
                severity: Severity::Critical,
                status: AlertStatus::Firing,
                fingerprint: alert_fingerprint("probe", "Down", host, &[]),
                labels: &[],
                annotations: &[],
                starts_at: time,
                ends_at: None,
                url: None,
            });
            engine.apply(&Input::Batch(rows.finish_for(&TenantName::new("acme").expect("a name"))), &mut told);
            engine.apply(&Input::Tick(time.plus(Span::from_secs(60))), &mut told);
        }
        told
    }

    fn retold(told: &[IncidentEvent], now: &[IncidentEvent]) -> Retold {
        let told = told.iter().map(|event| (key(event), kept(event.clone()))).collect();
        let mut retold = Retold { upto: Position(9), whole: true, told, now: BTreeMap::new() };
        retold.note(now);
        retold
    }

    fn settled(retold: &Retold, engine: &mut Engine) -> Vec<(Verb, u64, IncidentStatus)> {
        let events = retold.settle(engine, Some(EventTime::from_secs(1_780_010_000)));
        events.iter().map(|event| (event.verb, event.record.revision, event.record.status)).collect()
    }

    #[test]
    fn what_was_told_and_is_told_again_leaves_nothing_to_tell() {
        let mut engine = engine();
        let told = down(&mut engine, &["host:a", "host:b"]);
        assert_eq!(told.len(), 2);
        let same = retold(&told, &told);
        assert!(same.is_the_same() && settled(&same, &mut engine).is_empty());
        assert!(same.holds(Position(9)) && !same.holds(Position(10)));
    }

    #[test]
    fn what_only_this_build_opens_is_told_and_what_it_does_not_open_is_ended() {
        let mut engine = engine();
        let now = down(&mut engine, &["host:a"]);
        let before = down(&mut self::engine(), &["host:b"]);
        let other = retold(&before, &now);
        assert!(!other.is_the_same());
        let mut told = settled(&other, &mut engine);
        told.sort_by_key(|(verb, ..)| *verb);
        let open = (Verb::Opened, 1, IncidentStatus::Open);
        let ends = [(Verb::Resolved, 2, IncidentStatus::Resolved), (Verb::Closed, 3, IncidentStatus::Closed)];
        assert_eq!(told, [vec![open], ends.to_vec()].concat());
    }

    #[test]
    fn where_the_log_is_not_whole_nothing_is_told_that_may_have_been_told() {
        let mut engine = engine();
        let now = down(&mut engine, &["host:a"]);
        let unknown = Retold { whole: false, ..retold(&[], &now) };
        assert!(settled(&unknown, &mut engine).is_empty());
    }

    #[test]
    fn revisions_go_on_from_those_told_and_a_status_that_differs_is_told() {
        let mut engine = engine();
        let now = down(&mut engine, &["host:a"]);
        let mut before = now.clone();
        before[0].record.revision = 4;
        assert!(settled(&retold(&before, &now), &mut engine).is_empty(), "it is open as it was");
        before[0].record.status = IncidentStatus::Acknowledged;
        assert_eq!(settled(&retold(&before, &now), &mut engine), [(Verb::Updated, 5, IncidentStatus::Open)]);
    }
}
