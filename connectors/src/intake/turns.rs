//! Whose turn it is: how much work of each tenant lies before the engine of a partition.
//!
//! Tenants of one partition share its journal, which is read in order: whoever hands in more than the engine folds makes
//! all others wait. So a tenant with neighbours hands in what the engine has done within [`AHEAD_MAX`], of bulk data and
//! of alerts, and takes [`PART`] of its time; its next write waits until there is less. Who has a partition alone fills
//! the journal as fast as they like.
//!
//! How long a row takes is learned of each tenant and kind from what the engine took for the last ones. Much of it is
//! done when a tick says that their time has come: what that took is divided among the rows since the tick before.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bellwether_engine::input::Input;
use bellwether_engine::signal::SignalKind;
use tokio::sync::Notify;

use crate::host;
use crate::journal::Position;
use crate::memory::Class;

/// Work of one tenant that may lie before the engine, of bulk data and of alerts each: what the others notice of it at
/// most, but for one write.
const AHEAD_MAX: Duration = Duration::from_millis(200);
/// Whose trouble it is when something of ours waits for a person: nobody's neighbour.
pub const OWN_TENANT: &str = "bellwether";
/// What part of the engine's time one tenant may take, of bulk data and of alerts each.
const PART: f64 = 0.4;
/// How much the last rows say about the cost of the next.
const NEWEST_WEIGHT: f64 = 0.5;
/// Tenants known: names and costs of some 200 bytes each. Who comes later is not held back.
const TENANTS_MAX: usize = 16_384;
/// Writes remembered until they are folded: 48 bytes each. Beyond them the oldest count as folded.
const WRITES_MAX: usize = 65_536;

/// Bulk data and alerts do not wait for each other.
const LANES: usize = 2;
const KINDS: usize = SignalKind::ALL.len();

/// The turns of one partition. Nobody waits before an engine attends to them.
#[derive(Debug, Default)]
pub struct Turns {
    state: Mutex<State>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct State {
    attended: bool,
    numbers: HashMap<Box<str>, usize>,
    tenants: Vec<Tenant>,
    /// Tenants that are neighbours of each other.
    neighbours: usize,
    /// What was handed in and is not folded, in the order of the journal.
    ahead: VecDeque<(Position, Share)>,
    /// Whose rows of which kind were folded since the last tick.
    since_tick: Vec<(usize, usize)>,
    /// Nanoseconds that a row of each kind took lately, whosever it was.
    row_ns: [f64; KINDS],
    held_back: u64,
}

#[derive(Debug, Default)]
struct Tenant {
    lanes: [Lane; LANES],
    row_ns: [Option<f64>; KINDS],
    /// Rows since the last tick, and the nanoseconds that they have taken so far.
    since_tick: [(f64, f64); KINDS],
}

#[derive(Clone, Copy, Debug, Default)]
struct Lane {
    /// Nanoseconds of work that lie before the engine.
    ahead_ns: f64,
    /// Nanoseconds of the engine's time that were taken beyond the tenant's part, at `at`.
    taken_ns: f64,
    at: Duration,
}

impl Lane {
    /// How long it is not its turn; nothing when it is.
    fn waits(&mut self, now: Duration) -> Duration {
        let passed = now.saturating_sub(self.at).as_nanos() as f64;
        self.taken_ns = (self.taken_ns - passed * PART).max(0.0);
        self.at = now;
        let most = AHEAD_MAX.as_nanos() as f64;
        let over = ((self.taken_ns - most) / PART).max(self.ahead_ns - most).max(0.0);
        Duration::from_nanos(over as u64)
    }
}

/// What of a write is one tenant's.
#[derive(Clone, Copy, Debug)]
struct Share {
    tenant: usize,
    lane: usize,
    ns: f64,
}

/// Work that was let in. What is not said to be durable is given back.
#[must_use]
pub(super) struct Turn<'t> {
    turns: &'t Turns,
    shares: Vec<Share>,
}

impl Turns {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An engine reads what is handed in, and will say what it has folded.
    pub fn attend(&self) {
        self.state().attended = true;
    }

    /// How often a write had to wait.
    pub fn held_back(&self) -> u64 {
        self.state().held_back
    }

    /// Lets `inputs` in if it is their tenants' turn; else it says how long it is not, if nothing is folded meanwhile.
    fn take(&self, inputs: &[Input]) -> Result<Turn<'_>, Duration> {
        let shares = self.state().take(inputs, host::uptime())?;
        Ok(Turn { turns: self, shares })
    }

    /// Waits until it is.
    pub(super) async fn wait(&self, inputs: &[Input]) -> Turn<'_> {
        if let Ok(turn) = self.take(inputs) {
            return turn;
        }
        self.state().held_back += 1;
        loop {
            let freed = self.freed.notified();
            match self.take(inputs) {
                Ok(turn) => return turn,
                Err(long) => drop(host::timeout(long, freed).await),
            }
        }
    }

    /// The engine has folded `input` in this time.
    pub fn folded(&self, input: &Input, took: Duration) {
        self.state().learn(input, took);
    }

    /// The engine has read so far.
    pub fn passed(&self, position: Position) {
        if self.state().pass(position) {
            self.freed.notify_waiters();
        }
    }
}

impl State {
    fn take(&mut self, inputs: &[Input], now: Duration) -> Result<Vec<Share>, Duration> {
        if !self.attended {
            return Ok(Vec::new());
        }
        let mut shares: Vec<Share> = Vec::new();
        for input in inputs {
            let Some(tenant) = input.tenant().and_then(|name| self.number(name)) else { continue };
            let Input::Batch(batch) = input else { continue };
            let (kind, lane) = (batch.kind() as usize, lane_of(batch.kind()));
            let known = &mut self.tenants[tenant];
            let waits = known.lanes[lane].waits(now);
            if !waits.is_zero() && self.neighbours > 1 {
                return Err(waits);
            }
            let ns = batch.len() as f64 * known.row_ns[kind].unwrap_or(self.row_ns[kind]);
            match shares.iter_mut().find(|share| (share.tenant, share.lane) == (tenant, lane)) {
                Some(share) => share.ns += ns,
                None => shares.push(Share { tenant, lane, ns }),
            }
        }
        for share in &shares {
            let lane = &mut self.tenants[share.tenant].lanes[share.lane];
            lane.ahead_ns += share.ns;
            lane.taken_ns += share.ns;
        }
        Ok(shares)
    }

    fn number(&mut self, name: &str) -> Option<usize> {
        if let Some(number) = self.numbers.get(name) {
            return Some(*number);
        }
        if self.tenants.len() == TENANTS_MAX {
            return None;
        }
        self.numbers.insert(name.into(), self.tenants.len());
        self.tenants.push(Tenant::default());
        self.neighbours += usize::from(name != OWN_TENANT);
        Some(self.tenants.len() - 1)
    }

    fn learn(&mut self, input: &Input, took: Duration) {
        let took = took.as_nanos() as f64;
        match input {
            Input::Batch(batch) => {
                let Some(tenant) = self.number(batch.tenant()) else { return };
                let kind = batch.kind() as usize;
                let (rows, ns) = &mut self.tenants[tenant].since_tick[kind];
                if *rows == 0.0 {
                    self.since_tick.push((tenant, kind));
                }
                *rows += batch.len().max(1) as f64;
                *ns += took;
            }
            Input::Tick(_) => self.divide(took),
            // Rare, and nobody's habit.
            _ => {}
        }
    }

    /// A tick took so long: it is laid on the rows that came before it, by what such rows took lately.
    fn divide(&mut self, took: f64) {
        let parts = std::mem::take(&mut self.since_tick);
        let weight = |state: &State, (tenant, kind): (usize, usize)| {
            let (rows, ns) = state.tenants[tenant].since_tick[kind];
            ns.max(rows * state.tenants[tenant].row_ns[kind].unwrap_or(state.row_ns[kind])).max(rows)
        };
        let all: f64 = parts.iter().map(|part| weight(self, *part)).sum();
        for (tenant, kind) in parts {
            let part = took * weight(self, (tenant, kind)) / all;
            let (rows, ns) = std::mem::take(&mut self.tenants[tenant].since_tick[kind]);
            let row_ns = (ns + part) / rows;
            let own = &mut self.tenants[tenant].row_ns[kind];
            *own = Some(own.map_or(row_ns, |known| known + NEWEST_WEIGHT * (row_ns - known)));
            self.row_ns[kind] += NEWEST_WEIGHT * (row_ns - self.row_ns[kind]);
        }
    }

    /// What lies up to `position` is done. Answers whether that was anything.
    fn pass(&mut self, position: Position) -> bool {
        let mut any = false;
        while let Some((_, share)) = self.ahead.front().copied().filter(|(last, _)| *last <= position) {
            self.ahead.pop_front();
            self.give_back(share);
            any = true;
        }
        any
    }

    fn give_back(&mut self, share: Share) {
        let lane = &mut self.tenants[share.tenant].lanes[share.lane];
        lane.ahead_ns = (lane.ahead_ns - share.ns).max(0.0);
    }
}

impl Turn<'_> {
    /// It is in the journal up to `last`, and counts until the engine has folded that.
    pub(super) fn durable(mut self, last: Position) {
        let mut state = self.turns.state();
        for share in self.shares.drain(..) {
            if state.ahead.len() == WRITES_MAX
                && let Some((_, oldest)) = state.ahead.pop_front()
            {
                state.give_back(oldest);
            }
            // Appends end in the order of their positions except when two sources race for the lock.
            let place = state.ahead.partition_point(|(position, _)| *position <= last);
            state.ahead.insert(place, (last, share));
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.shares.is_empty() {
            return;
        }
        let mut state = self.turns.state();
        for share in self.shares.drain(..) {
            state.give_back(share);
            let lane = &mut state.tenants[share.tenant].lanes[share.lane];
            lane.taken_ns = (lane.taken_ns - share.ns).max(0.0);
        }
        drop(state);
        self.turns.freed.notify_waiters();
    }
}

fn lane_of(kind: SignalKind) -> usize {
    usize::from(Class::of(kind) == Class::Alerts)
}

#[cfg(test)]
mod tests {
    use bellwether_engine::signal::{AlertBuilder, AlertRow, AlertStatus, LogBuilder, LogRow, Severity, TenantName};
    use bellwether_engine::time::EventTime;

    use super::*;

    const AT: EventTime = EventTime::from_secs(1_772_359_200);

    fn lines(tenant: &str, count: usize) -> Input {
        let mut logs = LogBuilder::new();
        let row = LogRow { time: AT, entity: "host:a", severity: 0, body: "x", attributes: &[], trace_id: None };
        for _ in 0..count {
            logs.push(&row);
        }
        Input::Batch(logs.finish(tenant).expect("a tenant"))
    }

    fn alert(tenant: &str) -> Input {
        let mut alerts = AlertBuilder::new();
        alerts.push(&AlertRow {
            time: AT,
            source: "test",
            name: "Down",
            entity: "host:a",
            severity: Severity::Critical,
            status: AlertStatus::Firing,
            fingerprint: 1,
            labels: &[],
            annotations: &[],
            starts_at: AT,
            ends_at: None,
            url: None,
        });
        Input::Batch(alerts.finish_for(&TenantName::new(tenant).expect("a name")))
    }

    /// An engine that took a millisecond for a line, half of it at the tick, and tenants `acme` and `beta`.
    fn attended() -> Turns {
        let turns = Turns::default();
        turns.attend();
        for tenant in ["acme", "beta"] {
            turns.folded(&lines(tenant, 100), Duration::from_millis(50));
        }
        turns.folded(&Input::Tick(AT), Duration::from_millis(100));
        turns
    }

    fn hand_in(turns: &Turns, input: Input, at: u64) {
        turns.take(&[input]).expect("its turn").durable(Position(at));
    }

    /// As if it had taken none of the engine's time lately.
    fn forget(turns: &Turns) {
        turns.state().tenants.iter_mut().flat_map(|tenant| &mut tenant.lanes).for_each(|lane| lane.taken_ns = 0.0);
    }

    #[test]
    fn who_has_an_engine_alone_waits_for_nothing() {
        let turns = Turns::default();
        turns.attend();
        turns.folded(&lines("acme", 100), Duration::from_secs(100));
        turns.folded(&alert(OWN_TENANT), Duration::from_secs(1));
        (1..50).for_each(|at| hand_in(&turns, lines("acme", 100), at));
    }

    #[test]
    fn nobody_waits_where_no_engine_reads() {
        let turns = Turns::default();
        for at in 1..50 {
            hand_in(&turns, lines("acme", 1_000), at);
            hand_in(&turns, lines("beta", 1_000), at);
        }
    }

    #[test]
    fn who_has_neighbours_hands_in_what_the_engine_keeps_up_with() {
        let turns = attended();
        hand_in(&turns, lines("acme", 150), 1);
        hand_in(&turns, lines("acme", 150), 2);
        forget(&turns);
        assert!(turns.take(&[lines("acme", 1)]).is_err(), "300 ms lie before the engine");
        hand_in(&turns, lines("beta", 1), 3);
        hand_in(&turns, alert("acme"), 4);
        turns.passed(Position(1));
        assert!(turns.take(&[lines("acme", 1)]).is_ok(), "150 ms are left");
    }

    #[test]
    fn who_has_neighbours_takes_a_part_of_the_engines_time() {
        let turns = attended();
        hand_in(&turns, lines("acme", 600), 1);
        turns.passed(Position(1));
        let waits = turns.take(&[lines("acme", 1)]).err().expect("400 ms too many");
        assert!((950..=1_000).contains(&waits.as_millis()), "{waits:?}");
        hand_in(&turns, lines("beta", 1), 2);
    }

    #[tokio::test]
    async fn what_waits_is_let_in_when_something_is_folded() {
        let turns = attended();
        hand_in(&turns, lines("acme", 10_000), 1);
        forget(&turns);
        let one = [lines("acme", 1)];
        let folded = async {
            tokio::task::yield_now().await;
            turns.passed(Position(1));
        };
        let (_turn, ()) = tokio::time::timeout(Duration::from_secs(5), futures::future::join(turns.wait(&one), folded))
            .await
            .expect("it waits for no clock");
        assert_eq!(turns.held_back(), 1);
    }

    #[test]
    fn what_did_not_become_durable_counts_no_longer() {
        let turns = attended();
        drop(turns.take(&[lines("acme", 10_000)]).expect("it had nothing there"));
        hand_in(&turns, lines("acme", 10_000), 1);
        assert!(turns.take(&[lines("acme", 1)]).is_err());
    }

    #[test]
    fn what_a_tick_takes_is_laid_on_what_came_before_it() {
        let turns = attended();
        for _ in 0..20 {
            turns.folded(&lines("acme", 1_000), Duration::from_millis(1));
            turns.folded(&lines("beta", 1), Duration::from_millis(1));
            turns.folded(&Input::Tick(AT), Duration::from_secs(4));
        }
        let state = turns.state();
        let row_ms = |name: &str| state.tenants[state.numbers[name]].row_ns[SignalKind::Log as usize].unwrap() / 1e6;
        assert!((3.5..4.1).contains(&row_ms("acme")), "{}", row_ms("acme"));
        assert!(row_ms("beta") < 20.0, "{}", row_ms("beta"));
    }

    #[test]
    fn more_tenants_than_are_known_and_more_writes_than_are_remembered_pass() {
        let turns = attended();
        for number in 0..TENANTS_MAX + 10 {
            drop(turns.take(&[lines(&format!("tenant-{number}"), 1)]).expect("it had nothing there"));
        }
        assert_eq!(turns.state().tenants.len(), TENANTS_MAX);
        (1..=WRITES_MAX as u64 + 10).for_each(|at| hand_in(&turns, alert("beta"), at));
        assert_eq!(turns.state().ahead.len(), WRITES_MAX);
    }
}
