//! Senders that are made up: they send again what was not answered, at once or in vain, out of order, and by
//! clocks that differ. And a file that grows, which a source reads at its cursor.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bellwether_connectors::journal::receipts::Claim;
use bellwether_connectors::{Intake, Mark, Stop, host};
use bellwether_engine::input::Input;
use bellwether_engine::signal::{AlertBuilder, AlertRow, AlertStatus, Severity, alert_fingerprint};
use bellwether_engine::time::EventTime;
use tokio::sync::oneshot;

use super::chance::Chance;
use super::disk::EPOCH;
use super::world::{Group, OUTSIDE, Sleep, World};

/// How long a sender waits for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(3);
/// The source that reads the file.
const FILE: &str = "file";

/// What is sent in one go, and again in the same bytes.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// By which it is known.
    pub(crate) key: u128,
    /// Whose it is.
    pub(crate) tenant: &'static str,
    /// What is in it.
    pub(crate) inputs: Vec<Input>,
}

/// How often the way of a request fails, in percent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Road {
    /// It does not arrive.
    pub(crate) lost: u64,
    /// Its answer does not.
    pub(crate) unanswered: u64,
    /// It arrives twice.
    pub(crate) twice: u64,
}

/// Where requests are taken, and whose life that is; nobody is there while the process is not.
#[derive(Clone, Default)]
pub(crate) struct Door(Arc<Mutex<Option<(Group, Intake)>>>);

impl Door {
    /// Opens it, or closes it.
    pub(crate) fn set(&self, open: Option<(Group, Intake)>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = open;
    }

    fn get(&self) -> Option<(Group, Intake)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What the process does with a request: the loop of `hand_over` of the HTTP server, which asks to come again
/// where that waits.
async fn take(intake: Intake, request: Request, decoding: Sleep) -> bool {
    let coming = intake.coming(request.tenant);
    let claims = intake.claims(request.tenant);
    match claims.take(request.key) {
        Claim::Taken => true,
        Claim::Busy => false,
        Claim::Ours => {
            decoding.await;
            intake.accept_now(&request.inputs, claims, coming).await.is_ok()
        }
    }
}

/// A way to the process.
#[derive(Clone)]
pub(crate) struct Network {
    /// In which world.
    pub(crate) world: World,
    /// Where it leads.
    pub(crate) door: Door,
    /// How it fails.
    pub(crate) road: Arc<Mutex<(Chance, Road)>>,
}

impl Network {
    fn draw<T>(&self, draw: impl FnOnce(&mut Chance, Road) -> T) -> T {
        let mut road = self.road.lock().unwrap_or_else(PoisonError::into_inner);
        let way = road.1;
        draw(&mut road.0, way)
    }

    /// Sends once; true when it is answered that it is stored.
    async fn send(&self, request: &Request) -> bool {
        let (lost, unanswered, way) = self
            .draw(|chance, road| (chance.percent(road.lost), chance.percent(road.unanswered), chance.millis(0, 80)));
        if lost {
            self.world.sleep(ANSWER_MAX).await;
            return false;
        }
        self.world.sleep(way).await;
        let Some((life, intake)) = self.door.get() else { return false };
        let (tell, told) = oneshot::channel();
        let (taken, decoding) = (request.clone(), self.draw(|chance, _| chance.millis(0, 150)));
        let decoding = self.world.sleep(decoding);
        self.world.spawn(life, async move {
            let _ = tell.send(take(intake, taken, decoding).await);
        });
        let answer = host::timeout(ANSWER_MAX, told).await;
        self.world.sleep(way).await;
        !unanswered && answer == Ok(Ok(true))
    }

    /// Sends until it is answered that it is stored.
    pub(crate) async fn deliver(&self, request: &Request) {
        loop {
            let (twice, later) = self.draw(|chance, road| (chance.percent(road.twice), chance.millis(0, 400)));
            if twice {
                let (network, request) = (self.clone(), request.clone());
                self.world.spawn(OUTSIDE, async move {
                    network.world.sleep(later).await;
                    let _ = network.send(&request).await;
                });
            }
            if self.send(request).await {
                self.world
                    .note(request.key as u64, |line| line.push_str(&format!("sender: {:x} is stored", request.key)));
                return;
            }
            let pause = self.draw(|chance, _| chance.millis(50, 1_500));
            self.world.sleep(pause).await;
        }
    }
}

/// One alert, whose annotation tells it from every other.
pub(crate) fn alert(
    world: &World,
    (tenant, source): (&str, &str),
    entity: &str,
    behind: Duration,
    status: AlertStatus,
    mark: &str,
) -> Input {
    let time = EventTime(EPOCH.0 + world.now().as_nanos() as i64 + 10_000_000_000 - behind.as_nanos() as i64);
    let name = "Unreachable";
    let mut builder = AlertBuilder::new();
    builder.push(&AlertRow {
        time,
        source,
        name,
        entity,
        severity: Severity::Critical,
        status,
        fingerprint: alert_fingerprint(source, name, entity, &[]),
        labels: &[],
        annotations: &[("mark", mark)],
        starts_at: time,
        ends_at: (status == AlertStatus::Resolved).then_some(time),
        url: None,
    });
    Input::Batch(builder.finish(tenant).expect("it is a tenant's name"))
}

/// The file: what stands in it so far. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct GrowingFile(Arc<Mutex<Vec<Input>>>);

impl GrowingFile {
    /// Something more.
    pub(crate) fn grow(&self, input: Input) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(input);
    }

    /// What is in it.
    pub(crate) fn lines(&self) -> Vec<Input> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The source: reads on at its cursor, and ends with the journal.
    pub(crate) async fn read(self, world: World, intake: Intake, stop: Stop) {
        let cursor = intake.cursor(FILE).and_then(|bytes| Some(u64::from_le_bytes(bytes.try_into().ok()?)));
        let mut at = cursor.unwrap_or(0) as usize;
        while !stop.is_stopped() {
            let lines = self.lines();
            // What is stored together with the cursor is one tenant's: it lies in one partition.
            let rest = lines.get(at..).unwrap_or_default();
            let next: Vec<Input> =
                rest.iter().take(2).take_while(|line| line.tenant() == rest[0].tenant()).cloned().collect();
            if next.is_empty() {
                world.sleep(Duration::from_millis(300)).await;
                continue;
            }
            at += next.len();
            let mark = Mark { source: FILE.to_owned(), cursor: (at as u64).to_le_bytes().to_vec() };
            if intake.accept(&next, Some(mark)).await.is_err() {
                return;
            }
        }
    }
}
