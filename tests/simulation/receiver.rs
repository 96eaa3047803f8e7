//! Receivers that are made up: slow, away, or heard of too late; and what they were told.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bellwether_connectors::{Delivered, Outgoing, Sink, SinkError};
use futures::future::BoxFuture;

use super::chance::Chance;
use super::disk::MadeUpDisk;
use super::world::{Group, World};

/// How often the way to a receiver fails, in percent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Way {
    /// What is sent does not arrive.
    pub(crate) lost: u64,
    /// It arrives and is not answered, or not in time.
    pub(crate) unanswered: u64,
    /// The longest way, in milliseconds.
    pub(crate) slow: u64,
}

/// One attempt to tell a receiver something.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    /// In which life of the process.
    pub(crate) life: Group,
    /// What was sent.
    pub(crate) events: Vec<Outgoing>,
    /// Whether the receiver has it.
    pub(crate) arrived: bool,
    /// Whether its reader was told so.
    pub(crate) answered: bool,
    /// Whether the disk had failed in this life: then what was delivered may not be remembered.
    pub(crate) excused: bool,
}

/// A receiver. Clones share it.
#[derive(Clone)]
pub(crate) struct MadeUpReceiver(Arc<Mutex<State>>);

struct State {
    name: String,
    away: bool,
    way: Way,
    chance: Chance,
    attempts: Vec<Attempt>,
}

impl MadeUpReceiver {
    /// One that has got nothing.
    pub(crate) fn new(name: &str, seed: u64, way: Way) -> MadeUpReceiver {
        let chance = Chance::new(seed, name);
        MadeUpReceiver(Arc::new(Mutex::new(State {
            name: name.to_owned(),
            away: false,
            way,
            chance,
            attempts: Vec::new(),
        })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its name.
    pub(crate) fn name(&self) -> String {
        self.lock().name.clone()
    }

    /// Whether nobody answers.
    pub(crate) fn away(&self, away: bool) {
        self.lock().away = away;
    }

    /// From here on everything arrives and is answered.
    pub(crate) fn calm(&self) {
        let mut state = self.lock();
        state.away = false;
        state.way = Way { slow: 20, ..Way::default() };
    }

    /// What was tried.
    pub(crate) fn attempts(&self) -> Vec<Attempt> {
        self.lock().attempts.clone()
    }

    /// The sink in front of it.
    pub(crate) fn sink(&self, world: &World, disk: &MadeUpDisk) -> Box<dyn Sink> {
        Box::new(MadeUpSink { name: self.name(), receiver: self.clone(), world: world.clone(), disk: disk.clone() })
    }
}

struct MadeUpSink {
    name: String,
    receiver: MadeUpReceiver,
    world: World,
    disk: MadeUpDisk,
}

impl MadeUpSink {
    fn unavailable(&self, reason: &str) -> SinkError {
        SinkError::unavailable(&self.name, reason)
    }
}

impl Sink for MadeUpSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn deliver<'a>(&'a mut self, events: &'a [Outgoing]) -> BoxFuture<'a, Result<Delivered, SinkError>> {
        Box::pin(async move {
            let (at, there, back, lost, unanswered, hangs) = {
                let mut state = self.receiver.lock();
                let way = state.way;
                let chance = &mut state.chance;
                let (there, back) = (chance.millis(0, way.slow), chance.millis(0, way.slow));
                let (lost, unanswered) = (chance.percent(way.lost), chance.percent(way.unanswered));
                let hangs = chance.percent(20);
                let (life, excused) = (self.world.group(), self.disk.failed());
                let events = events.to_vec();
                state.attempts.push(Attempt { life, events, arrived: false, answered: false, excused });
                (state.attempts.len() - 1, there, back, lost, unanswered, hangs)
            };
            self.world.note(events.len() as u64, |line| {
                let keys: Vec<String> = events.iter().map(|outgoing| outgoing.event.key()).collect();
                line.push_str(&format!("{}: offered {}", self.name, keys.join(" ")));
            });
            self.world.sleep(there).await;
            if lost || self.receiver.lock().away {
                return Err(self.unavailable("nobody answers"));
            }
            self.receiver.lock().attempts[at].arrived = true;
            self.world.note(at as u64, |line| line.push_str(&format!("{}: has it", self.name)));
            self.world.sleep(back).await;
            if unanswered {
                if hangs {
                    self.world.sleep(Duration::from_secs(3_600)).await;
                }
                return Err(self.unavailable("the answer is lost"));
            }
            self.receiver.lock().attempts[at].answered = true;
            Ok(Delivered { sent: events.len() as u64, skipped: 0 })
        })
    }
}
