//! A run: what a seed decides, who does what to whom, and the end, when everything has to have arrived.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bellwether_connectors::Position;
use bellwether_connectors::host::{self, Disk, MadeUp};
use bellwether_engine::planted::{Bug, plant};
use bellwether_engine::signal::AlertStatus;
use bellwether_engine::time::EventTime;
use futures::future::BoxFuture;
use tokio::sync::mpsc;

use super::chance::Chance;
use super::disk::{EPOCH, Fall, MadeUpDisk};
use super::oracle::{self, Held, Run};
use super::process::Process;
use super::receiver::{MadeUpReceiver, Way};
use super::sender::{Door, GrowingFile, Network, Request, Road, alert};
use super::witness::Seen;
use super::world::{Group, OUTSIDE, World};

/// How long there are faults.
const FAULTS: Duration = Duration::from_secs(45);
/// When everything has to have arrived, every incident to be closed, and the end is asked for: what could not be
/// delivered while there were faults fired late, and lasts as long as it did.
const CALM: Duration = Duration::from_secs(160);
/// By when it has to have come.
const OVER: Duration = Duration::from_secs(230);
/// Tenants, and what each watches.
const TENANTS: [&str; 2] = ["acme", "globex"];
const ENTITIES: [&str; 2] = ["host:a", "host:b"];

/// The machine of the simulation.
struct Machine {
    world: World,
    disk: MadeUpDisk,
    life: Arc<AtomicU64>,
    chance: Mutex<Chance>,
}

impl MadeUp for Machine {
    fn disk(&self) -> Arc<dyn Disk> {
        Arc::new(self.disk.clone())
    }

    fn now(&self) -> EventTime {
        EventTime(EPOCH.0 + 10_000_000_000 + self.world.now().as_nanos() as i64)
    }

    fn uptime(&self) -> Duration {
        self.world.now()
    }

    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        Box::pin(self.world.sleep(time))
    }

    fn chance(&self, bytes: &mut [u8]) {
        let mut chance = self.chance.lock().unwrap_or_else(PoisonError::into_inner);
        bytes.fill_with(|| chance.bits() as u8);
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.world.spawn(self.life.load(Ordering::Relaxed), task);
    }
}

/// Which faults a run has: each seed leaves some out, so that none hides another.
#[derive(Clone, Debug)]
struct Plan {
    kills: bool,
    power_cuts: bool,
    full: bool,
    errors: bool,
    damage: bool,
    away: bool,
    stops: bool,
    road: Road,
    ways: [Way; 2],
    cadence: u64,
    segment_bytes: u64,
    partitions: usize,
    requests: u64,
    pace: u64,
}

impl Plan {
    fn of(seed: u64) -> Plan {
        let mut chance = Chance::new(seed, "plan");
        let mut some = |percent, most| if chance.percent(percent) { chance.between(1, most) } else { 0 };
        let road = Road { lost: some(60, 25), unanswered: some(60, 40), twice: some(50, 40) };
        let mut way = || Way { lost: some(60, 30), unanswered: some(60, 40), slow: 20 + some(60, 2_000) };
        let ways = [way(), way()];
        Plan {
            kills: chance.percent(50),
            power_cuts: chance.percent(70),
            full: chance.percent(40),
            errors: chance.percent(30),
            damage: chance.percent(30),
            away: chance.percent(50),
            stops: chance.percent(30),
            road,
            ways,
            cadence: chance.pick(&[3, 6, 12]),
            segment_bytes: chance.pick(&[6_000, 12_000, 30_000]),
            partitions: chance.pick(&[1, 2]),
            requests: chance.between(4, 9),
            pace: chance.pick(&[800, 2_000, 4_000]),
        }
    }
}

/// How a run went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// A hash of everything that happened.
    pub(crate) trace: u64,
    /// Lives of the process.
    pub(crate) lives: u64,
    /// Events that each receiver was told.
    pub(crate) events: usize,
}

/// Runs `seed`, with a bug or without.
///
/// # Errors
/// What went wrong, and what happened before.
pub(crate) fn run(seed: u64, bug: Option<Bug>) -> Result<Outcome, String> {
    let told = |told: bool| {
        plant(bug);
        let outcome = Rig::new(seed, told).run();
        plant(None);
        outcome
    };
    // What happened is written down only where it is to be read.
    told(false).map_err(|wrong| match bug {
        Some(_) => wrong,
        None => format!("seed {seed}: {}", told(true).err().unwrap_or(wrong)),
    })
}

struct Rig {
    plan: Plan,
    chance: Chance,
    process: Process,
    life: Arc<AtomicU64>,
    /// Asks the process to end in order.
    ask: Option<mpsc::Sender<()>>,
    /// How the life ended, when it did by itself.
    over: Arc<Mutex<Option<Result<(), String>>>>,
    requests: Arc<Mutex<Vec<Request>>>,
    waiting: Arc<AtomicU64>,
    network: Network,
    _machine: host::Standing,
}

impl Rig {
    fn new(seed: u64, told: bool) -> Rig {
        let plan = Plan::of(seed);
        let world = World::new(seed, told);
        let disk = MadeUpDisk::new(&world, seed);
        let life = Arc::new(AtomicU64::new(OUTSIDE));
        let chance = Mutex::new(Chance::new(seed, "machine"));
        let machine = Machine { world: world.clone(), disk: disk.clone(), life: life.clone(), chance };
        let door = Door::default();
        let receivers = vec![
            (MadeUpReceiver::new("forgets", seed, plan.ways[0]), false),
            (MadeUpReceiver::new("remembers", seed, plan.ways[1]), true),
        ];
        let road = Arc::new(Mutex::new((Chance::new(seed, "road"), plan.road)));
        let process = Process {
            world: world.clone(),
            disk,
            door: door.clone(),
            file: GrowingFile::default(),
            receivers,
            seen: (0..plan.partitions).map(|_| Seen::default()).collect(),
            cadence: plan.cadence,
            segment_bytes: plan.segment_bytes,
            last: Arc::default(),
        };
        Rig {
            chance: Chance::new(seed, "faults"),
            plan,
            process,
            life,
            ask: None,
            over: Arc::default(),
            requests: Arc::default(),
            waiting: Arc::default(),
            network: Network { world, door, road },
            _machine: host::stand_on(Arc::new(machine)),
        }
    }

    fn run(mut self) -> Result<Outcome, String> {
        let world = self.process.world.clone();
        self.start_senders();
        self.start();
        let mut next_fault = self.chance.millis(500, 4_000);
        let mut down_until = None;
        let (mut calm, mut asked) = (false, false);
        let alarm = world.clone();
        world.spawn(OUTSIDE, async move {
            // So that time always has somewhere to go.
            while alarm.now() < OVER {
                alarm.sleep(Duration::from_millis(250)).await;
            }
        });
        while world.step() {
            let now = world.now();
            if !calm && now >= FAULTS {
                calm = true;
                self.calm_down();
            }
            if self.process.disk.fell().is_some() && down_until.is_none() {
                self.fall();
                down_until = Some(now + self.chance.millis(50, 1_500));
            }
            if let Some(ended) = self.over.lock().unwrap_or_else(PoisonError::into_inner).take() {
                if asked && ended.is_ok() {
                    break;
                }
                if let Err(error) = &ended
                    && !self.process.disk.failed()
                {
                    world.wrong(format!("the process ended although nothing was wrong: {error}"));
                }
                self.process.disk.fall(Fall::Killed);
            }
            if down_until.is_some_and(|until| now >= until) {
                down_until = None;
                self.start();
            }
            if !calm && now >= next_fault && down_until.is_none() {
                next_fault = now + self.chance.millis(500, 6_000);
                self.fault();
            }
            if now >= CALM && !asked && down_until.is_none() {
                asked = true;
                if self.waiting.load(Ordering::Relaxed) > 0 {
                    world.wrong("senders still wait for an answer");
                }
                self.ask_to_end();
            }
            if now >= OVER {
                world.wrong("it does not end");
            }
        }
        self.judge()
    }

    fn judge(self) -> Result<Outcome, String> {
        let world = self.process.world.clone();
        let trace = world.trace();
        world.clear();
        let outcome = match world.verdict() {
            Some(wrong) => Err(wrong),
            None => {
                let last = self.process.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let held = |(partition, seen): (usize, &Seen)| Held {
                    entries: seen.entries(),
                    last: last.get(&partition).copied().unwrap_or((Position::START, 0)),
                };
                let run = Run {
                    partitions: self.process.seen.iter().enumerate().map(held).collect(),
                    requests: self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone(),
                    lines: self.process.file.lines(),
                    attempts: self.process.receivers.iter().map(|(r, _)| (r.name(), r.attempts())).collect(),
                };
                plant(None);
                oracle::judge(&run).map_err(|wrong| {
                    world.wrong(wrong);
                    world.verdict().unwrap_or_default()
                })
            }
        };
        let lives = self.life.load(Ordering::Relaxed);
        outcome.map(|events| Outcome { trace, lives, events })
    }

    fn start_senders(&self) {
        let Plan { requests: count, pace, .. } = self.plan;
        for (sender, tenant) in TENANTS.into_iter().enumerate() {
            let (network, sent, waiting) = (self.network.clone(), self.requests.clone(), self.waiting.clone());
            // Clocks differ, each by as much all the time, and what is sent may be older than it need be.
            let mut chance = Chance::new(self.chance.clone().bits(), tenant);
            let skew = chance.millis(0, 3_000);
            waiting.fetch_add(1, Ordering::Relaxed);
            self.network.world.spawn(OUTSIDE, async move {
                let world = network.world.clone();
                for number in 0..count + ENTITIES.len() as u64 {
                    world.sleep(chance.millis(50, pace)).await;
                    // In the end everything is well again.
                    let last = number.checked_sub(count);
                    let firing = last.is_none() && chance.percent(65);
                    let status = if firing { AlertStatus::Firing } else { AlertStatus::Resolved };
                    let some = |chance: &mut Chance, part: u64| {
                        let entity = last.map_or_else(|| chance.pick(&ENTITIES), |last| ENTITIES[last as usize]);
                        let late = match last {
                            None if chance.percent(25) => skew + chance.millis(0, 9_000),
                            _ => skew,
                        };
                        alert(&world, (tenant, "probe"), entity, late, status, &format!("{sender}-{number}-{part}"))
                    };
                    let parts = chance.between(1, 2);
                    let inputs = (0..parts).map(|part| some(&mut chance, part)).collect();
                    let key = (u128::from(number + 1) << 64) | (sender as u128 + 1);
                    let request = Request { key, tenant, inputs };
                    sent.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
                    network.deliver(&request).await;
                }
                waiting.fetch_sub(1, Ordering::Relaxed);
            });
        }
        let (file, world) = (self.process.file.clone(), self.network.world.clone());
        let mut chance = Chance::new(self.chance.clone().bits(), "file");
        self.network.world.spawn(OUTSIDE, async move {
            for line in 0..count {
                world.sleep(chance.millis(100, pace)).await;
                let ends = line + 1 == count || line % 3 == 2;
                let status = if ends { AlertStatus::Resolved } else { AlertStatus::Firing };
                let late = if ends { Duration::ZERO } else { chance.millis(0, 2_000) };
                // Each has its turn, which ends well.
                let tenant = TENANTS[(line / 3 % 2) as usize];
                file.grow(alert(&world, (tenant, "file"), "host:c", late, status, &format!("file-{line}")));
            }
        });
    }

    fn life(&self) -> Group {
        self.life.load(Ordering::Relaxed)
    }

    fn start(&mut self) {
        self.process.disk.start_again();
        let life = self.life.fetch_add(1, Ordering::Relaxed) + 1;
        let (ask, asked) = mpsc::channel(1);
        self.ask = Some(ask);
        let (process, over) = (self.process.clone(), self.over.clone());
        self.process.world.spawn(life, async move {
            let ended = process.live(life, asked).await.map_err(|error| format!("{error:#}"));
            *over.lock().unwrap_or_else(PoisonError::into_inner) = Some(ended);
        });
    }

    /// Nothing is left of the life.
    fn fall(&mut self) {
        let life = self.life();
        self.process.world.note(life, |line| line.push_str(&format!("process: life {life} is over")));
        self.process.door.set(None);
        self.ask = None;
        self.process.world.end(life);
        *self.over.lock().unwrap_or_else(PoisonError::into_inner) = None;
        // One at a time: nothing helps when all are damaged.
        if self.plan.damage && self.chance.percent(40) {
            self.plan.damage = false;
            let partition = self.chance.below(self.plan.partitions);
            self.process.disk.damage_newest(&self.process.checkpoints_folder(partition), ".checkpoint");
        }
    }

    fn ask_to_end(&self) {
        if let Some(ask) = &self.ask {
            let _ = ask.try_send(());
        }
    }

    fn fault(&mut self) {
        let plan = self.plan.clone();
        let possible = [
            (plan.kills, 0),
            (plan.kills, 1),
            (plan.power_cuts, 2),
            (plan.power_cuts, 3),
            (plan.power_cuts, 3),
            (plan.full, 4),
            (plan.errors, 5),
            (plan.away, 6),
            (plan.stops, 7),
        ];
        let possible: Vec<u8> = possible.into_iter().filter(|(is, _)| *is).map(|(_, fault)| fault).collect();
        if possible.is_empty() {
            return;
        }
        let fault = self.chance.pick(&possible);
        let disk = self.process.disk.clone();
        let soon = self.chance.between(0, 25);
        self.process.world.note(soon, |line| line.push_str(&format!("fault {fault}, {soon}")));
        match fault {
            0 => disk.fall(Fall::Killed),
            1 => disk.faults(|faults| faults.fall_in = Some((soon, Fall::Killed))),
            2 => disk.fall(Fall::PowerCut),
            3 => disk.faults(|faults| faults.fall_in = Some((soon, Fall::PowerCut))),
            4 => {
                disk.faults(|faults| faults.full = true);
                self.later(self.chance.clone().millis(300, 5_000), move || disk.faults(|faults| faults.full = false));
            }
            5 => disk.faults(|faults| faults.error_in = Some(soon)),
            6 => {
                let at = self.chance.below(self.process.receivers.len());
                let receiver = self.process.receivers[at].0.clone();
                receiver.away(true);
                self.later(self.chance.clone().millis(500, 15_000), move || receiver.away(false));
            }
            _ => self.ask_to_end(),
        }
    }

    fn later(&self, time: Duration, work: impl FnOnce() + Send + 'static) {
        let world = self.process.world.clone();
        self.process.world.spawn(OUTSIDE, async move {
            world.sleep(time).await;
            work();
        });
    }

    /// No more faults.
    fn calm_down(&mut self) {
        self.process.disk.faults(|faults| *faults = super::disk::Faults::default());
        self.process.receivers.iter().for_each(|(receiver, _)| receiver.calm());
        self.network.road.lock().unwrap_or_else(PoisonError::into_inner).1 = Road::default();
        self.process.world.note(3, |line| line.push_str("no more faults"));
    }
}
