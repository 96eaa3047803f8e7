//! The bridge at work: it writes the tickets that are due, listens to what others change, and follows what a person
//! asks. It runs beside the sources, for what it hears goes into the journal.
//!
//! Up to `at_once` tickets are written at a time, one request each. When the system is away or asks to wait, all wait,
//! and one tries. What is being sent when the process stops is looked up at the next start.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bellwether_engine::input::{Action, Input};
use bellwether_engine::time::{EventTime, Span};
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt as _};

use super::entry::Key;
use super::heard::heard;
use super::learn::{Answer, Learned, Pause, answer, doubled, learn};
use super::request::{self, Asked};
use super::rules::Shared;
use super::step::{Ask, Next};
use super::store::{FeedPlace, StoreError};
use super::system::{Answered, Change, Page, Since, SystemError};
use super::turn::next;
use crate::intake::{AcceptError, Intake, Source, SourceError, Stop, arrival_time};
use crate::journal::receipts::{Claim, request_key};

/// Requests for one ticket before others have their turn.
const TURN_MAX: usize = 16;
/// Longest pause between looks at what is due.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Changes that come as one page.
pub(super) const PAGE: usize = 100;
/// Pages read before the feed waits for its next turn.
const PAGES_MAX: usize = 50;
/// How often what has long been over is forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(3_600);

/// How a bridge works.
#[derive(Clone, Debug)]
pub(super) struct Manner {
    /// Tickets written at a time.
    pub(super) at_once: usize,
    /// How often the system is asked for changes.
    pub(super) poll: Span,
    /// Where people leave what they ask.
    pub(super) requests: PathBuf,
}

/// Writes tickets and hears of them.
pub(super) struct Worker {
    pub(super) shared: Shared,
    pub(super) manner: Manner,
}

/// Something stopped the bridge for now; it is tried again.
#[derive(Debug, thiserror::Error)]
enum WorkError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Accept(#[from] AcceptError),
}

/// Whether the system is let alone.
#[derive(Debug, Default)]
struct Gate {
    /// Until when.
    until: EventTime,
    /// How often in a row it was away.
    attempts: u32,
}

struct Work<'w> {
    shared: &'w Shared,
    manner: &'w Manner,
    intake: &'w Intake,
    gate: Mutex<Gate>,
}

impl Source for Worker {
    fn name(&self) -> &str {
        &self.shared.name
    }

    fn run(self: Box<Self>, intake: Intake, mut stop: Stop) -> BoxFuture<'static, Result<(), SourceError>> {
        Box::pin(async move {
            let work = Work { shared: &self.shared, manner: &self.manner, intake: &intake, gate: Mutex::default() };
            tokio::select! {
                () = work.write_what_is_due() => {}
                () = work.listen() => {}
                () = work.follow_requests() => {}
                () = stop.stopped() => {}
            }
            Ok(())
        })
    }
}

impl Work<'_> {
    async fn write_what_is_due(&self) {
        let mut running = FuturesUnordered::new();
        let mut busy: BTreeSet<Key> = BTreeSet::new();
        let mut tidied = tokio::time::Instant::now();
        loop {
            let now = arrival_time();
            // While it is away one tries: when that succeeds, the others follow.
            let (until, away) = self.gate_state();
            let at_once = if away { 1 } else { self.manner.at_once };
            let room = at_once.saturating_sub(busy.len());
            let (due, later) = match now < until {
                true => (Vec::new(), until),
                false => self.shared.tickets.lock().due(now, &busy, room),
            };
            for key in due {
                busy.insert(key.clone());
                running.push(self.turn(key));
            }
            let pause = Duration::from_nanos(later.since(now).0.max(0).unsigned_abs()).min(LOOK_EVERY);
            tokio::select! {
                Some(key) = running.next() => { busy.remove(&key); }
                () = self.shared.tickets.woken() => {}
                () = tokio::time::sleep(pause) => {}
            }
            if tidied.elapsed() >= FORGET_EVERY {
                tidied = tokio::time::Instant::now();
                let forgotten = self.shared.tickets.with(|store| store.forget_old(arrival_time())).await;
                self.note(forgotten);
            }
        }
    }

    /// Some requests for one ticket.
    async fn turn(&self, key: Key) -> Key {
        for _ in 0..TURN_MAX {
            match self.step(&key).await {
                Ok(true) => {}
                Ok(false) => return key,
                Err(error) => {
                    tracing::error!(bridge = &*self.shared.name, %error, "the ticket waits");
                    self.shared.tickets.lock().wake(&key, arrival_time().plus(Span::from_secs(1)));
                    return key;
                }
            }
        }
        key
    }

    /// One request; false when there is nothing to do for now.
    async fn step(&self, key: &Key) -> Result<bool, WorkError> {
        let (of, shared) = (key.clone(), self.shared.clone());
        let stepped = self.shared.tickets.with(move |store| {
            let now = arrival_time();
            let next = store.change(&of, || None, |entry, peers| next(entry, &shared.around(peers), now))?;
            let due = match &next {
                Some(Next::Wait(at)) => *at,
                Some(Next::Ask(_)) => EventTime::MIN,
                Some(Next::Rest) | None => EventTime::MAX,
            };
            store.wake(&of, due);
            Ok(next)
        });
        let Some(Next::Ask(ask)) = stepped.await? else { return Ok(false) };
        let answered = self.send(&ask).await;
        if let Err(error) = &answered
            && *error != SystemError::Stale
        {
            self.shared.tickets.count(|counts| &counts.failures);
            tracing::warn!(bridge = &*self.shared.name, incident = %key, %error, "a request did not succeed");
        }
        let tried = self.shared.tickets.try_out(key, |entry, peers| {
            learn(entry, &ask, answered.clone(), &self.shared.around(peers), arrival_time()).actions
        });
        // The journal first: what is told twice after a crash changes nothing the second time.
        self.tell(&key.tenant, tried.unwrap_or_default(), None).await?;
        let (of, shared) = (key.clone(), self.shared.clone());
        let failed = answered.is_err();
        let learned = self.shared.tickets.with(move |store| {
            store.change(
                &of,
                || None,
                |entry, peers| learn(entry, &ask, answered, &shared.around(peers), arrival_time()),
            )
        });
        let Learned { pause, .. } = learned.await?.unwrap_or_default();
        self.pass(pause, failed);
        Ok(!failed)
    }

    /// Asks the system, and counts what it has done.
    async fn send(&self, ask: &Ask) -> Result<Answer, SystemError> {
        let (system, tickets) = (&self.shared.system, &self.shared.tickets);
        let answer = answer(system, ask).await?;
        match answer {
            Answer::Created(_) => tickets.count(|counts| &counts.created),
            Answer::Updated => tickets.count(|counts| &counts.updated),
            Answer::Commented => tickets.count(|counts| &counts.commented),
            Answer::Linked => tickets.count(|counts| &counts.linked),
            Answer::Told(_) if matches!(ask, Ask::Tell(telling) if telling.opens) => {
                tickets.count(|counts| &counts.created)
            }
            Answer::Told(_) => tickets.count(|counts| &counts.commented),
            Answer::Found(_) | Answer::Is(_) | Answer::Has(_) => {}
        }
        Ok(answer)
    }

    /// Writes what the engine is told into the journal; under `key` it is known when it comes again.
    async fn tell(&self, tenant: &str, actions: Vec<Action>, key: Option<u128>) -> Result<(), AcceptError> {
        if actions.is_empty() {
            return Ok(());
        }
        let claims = self.intake.claims(tenant);
        if let Some(key) = key
            && claims.take(key) != Claim::Ours
        {
            self.shared.tickets.count(|counts| &counts.known);
            return Ok(());
        }
        let at = arrival_time();
        let inputs: Vec<Input> =
            actions.into_iter().map(|action| Input::Action { tenant: tenant.into(), at, action }).collect();
        self.intake.accept_claimed(&inputs, claims).await
    }

    async fn listen(&self) {
        loop {
            let (until, _) = self.gate_state();
            if arrival_time() >= until {
                match self.hear().await {
                    Ok(None) => {}
                    Ok(Some(error)) => {
                        self.shared.tickets.count(|counts| &counts.failures);
                        tracing::warn!(bridge = &*self.shared.name, %error, "what others changed is not known for now");
                    }
                    Err(error) => tracing::error!(bridge = &*self.shared.name, %error, "what others changed waits"),
                }
            }
            tokio::time::sleep(Duration::from_nanos(self.manner.poll.0.max(1).unsigned_abs())).await;
        }
    }

    /// Takes in what others changed since the last time.
    async fn hear(&self) -> Result<Option<SystemError>, WorkError> {
        let (system, tickets) = (&self.shared.system, &self.shared.tickets);
        let order = system.feed_order();
        let known = tickets.lock().feed().cloned();
        let Some(mut place) = known else {
            // A bridge that is new hears of what comes.
            let newest = match system.changes(None).await {
                Ok(newest) => newest,
                Err(error) => return Ok(Some(error)),
            };
            let mut place = FeedPlace::default();
            newest.changes.iter().for_each(|change| place.note(change, order));
            place.reach(newest.upto, order);
            tickets.with(move |store| store.keep_feed(place)).await?;
            return Ok(None);
        };
        let mut since = place.from();
        for _ in 0..PAGES_MAX {
            let page: Answered<Page> = system.changes(Some(since)).await;
            let Page { changes, upto, more } = match page {
                Ok(page) => page,
                Err(error) => return Ok(Some(error)),
            };
            for change in changes {
                if place.knows(&change, order) {
                    continue;
                }
                self.take_in(&change).await?;
                place.note(&change, order);
            }
            place.reach(upto, order);
            let noted = place.clone();
            tickets.with(move |store| store.keep_feed(noted)).await?;
            let further = Since { id: since.id.max(upto.id), at: since.at.max(upto.at) };
            if !more || further == since {
                break;
            }
            since = further;
        }
        Ok(None)
    }

    /// Takes in one change: into the journal, then into the memory.
    async fn take_in(&self, change: &Change) -> Result<(), WorkError> {
        let key = self.shared.tickets.lock().of_ticket(&change.ticket);
        let Some(key) = key else {
            self.shared.tickets.count(|counts| &counts.foreign);
            return Ok(());
        };
        let tried = self.shared.tickets.try_out(&key, |entry, _| {
            let ours = entry.ticket.as_ref() == Some(&change.ticket);
            let heard = ours.then(|| heard(entry, change, &self.shared.rules, &self.shared.name, arrival_time()));
            heard.map(|heard| (heard, entry.dedup_key.clone()))
        });
        let Some((heard_now, dedup_key)) = tried.flatten() else { return Ok(()) };
        self.shared.tickets.count(|counts| &counts.heard);
        let id = format!("{}/{}", self.shared.name, change.id);
        self.tell(&key.tenant, heard_now.actions, Some(request_key(&key.tenant, "bridge", id.as_bytes()))).await?;
        let (shared, change) = (self.shared.clone(), change.clone());
        let until = arrival_time().plus(self.shared.rules.mapping().mute_for);
        let taken = self.shared.tickets.with(move |store| {
            store.change(
                &key,
                || None,
                |entry, _| {
                    heard(entry, &change, &shared.rules, &shared.name, arrival_time());
                },
            )?;
            store.wake(&key, EventTime::MIN);
            if heard_now.mutes {
                store.mute(&key.tenant, &dedup_key, until)?;
            }
            Ok(())
        });
        taken.await?;
        self.shared.tickets.wake();
        Ok(())
    }

    async fn follow_requests(&self) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            for Asked { key, what } in request::take_all(&self.manner.requests, &self.shared.name) {
                tracing::info!(bridge = &*self.shared.name, incident = %key, ?what, "done, as asked");
                let done =
                    self.shared.tickets.with(move |store| request::follow(store, &key, what, arrival_time())).await;
                self.note(done);
                self.shared.tickets.wake();
            }
        }
    }

    fn note<T>(&self, done: Result<T, StoreError>) {
        if let Err(error) = done {
            tracing::error!(bridge = &*self.shared.name, %error);
        }
    }

    fn gate_state(&self) -> (EventTime, bool) {
        let gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        (gate.until, gate.attempts > 0)
    }

    /// Has all wait where the system is away, and go on where it is not.
    fn pass(&self, pause: Option<Pause>, failed: bool) {
        let mut gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        match pause {
            Some(Pause::Away) => {
                gate.attempts += 1;
                gate.until = arrival_time().plus(doubled(gate.attempts));
            }
            Some(Pause::For(span)) => gate.until = arrival_time().plus(span),
            None if !failed => *gate = Gate::default(),
            None => {}
        }
    }
}
