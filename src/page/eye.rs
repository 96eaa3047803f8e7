//! What only the engines know: why an alert is where it is, what is near an entity, what runs out.
//!
//! A running engine is asked through its own thread, which stands still for as long as that takes. So looks of one
//! partition come one after another, each after a pause a hundred times as long as the one before took: whoever looks
//! how often, an engine gives a hundredth of its time. What was seen is kept for some seconds.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bellwether_connectors::partition::partition_of;
use bellwether_engine::topology::NearEdge;
use bellwether_engine::{Engine, Explanation, ForecastView};
use tokio::sync::{mpsc, oneshot};

use super::lately::Lately;
use super::model::Scope;
use crate::wiring::question::{Look, Question};

/// An engine gives one part in so many of its time.
const SHARE: u32 = 100;
/// The longest pause between two looks.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// How long somebody waits for a look.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long what was seen of an incident is shown.
const DETAIL_FOR: Duration = Duration::from_secs(10);
/// How long forecasts are shown: they move by the minute.
const FORECASTS_FOR: Duration = Duration::from_secs(60);
/// Incidents of which is kept what was seen.
const DETAILS_MAX: usize = 64;
/// Alerts that are explained of one incident; it may have thousands.
const MEMBERS_MAX: usize = 200;
/// Forecasts that are kept of a tenant, the soonest.
const FORECASTS_MAX: usize = 200;
/// Edges in the neighbourhood of an incident, and how far they are looked for.
const EDGES_MAX: usize = 400;
const HOPS: u8 = 2;

/// Why nothing was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unseen {
    /// The engine reads what is before it.
    #[error("the engine is busy reading; this part comes when it has a moment")]
    Busy,
    /// It has ended.
    #[error("the engine has ended")]
    Gone,
}

/// What is seen of an incident.
#[derive(Debug)]
pub(crate) struct Detail {
    /// Why each alert is in it, the first ones; `None` when the engine no longer knows it.
    pub(crate) explanation: Option<Explanation>,
    /// How many alerts there are.
    pub(crate) members: usize,
    pub(crate) near: Vec<NearEdge>,
}

/// Of an incident: its tenant and its id.
type Name = (Arc<str>, Box<str>);

/// What runs out, the soonest first, with whose it is.
pub(crate) type Forecasts = Vec<(String, ForecastView)>;

/// Looks at engines.
pub(crate) struct Eye {
    behind: Behind,
    details: Mutex<HashMap<Name, Seen<Detail>>>,
    forecasts: Mutex<BTreeMap<Scope, Seen<Forecasts>>>,
    /// What was seen of estates.
    pub(super) lately: Lately,
}

struct Seen<T> {
    when: Instant,
    revision: u64,
    what: Arc<T>,
}

enum Behind {
    /// Engines at work, each with when it may be looked at again.
    Running(Vec<(mpsc::Sender<Question>, Arc<tokio::sync::Mutex<Instant>>)>),
    /// One that has done its work.
    Finished(Box<Mutex<Engine>>),
}

impl Eye {
    /// At engines that run, in the order of their partitions.
    pub(crate) fn on(running: Vec<mpsc::Sender<Question>>) -> Eye {
        let gate = || Arc::new(tokio::sync::Mutex::new(Instant::now()));
        Eye::at(Behind::Running(running.into_iter().map(|asking| (asking, gate())).collect()))
    }

    /// At an engine that has done its work.
    pub(crate) fn at_rest(engine: Engine) -> Eye {
        Eye::at(Behind::Finished(Box::new(Mutex::new(engine))))
    }

    fn at(behind: Behind) -> Eye {
        Eye { behind, details: Mutex::default(), forecasts: Mutex::default(), lately: Lately::default() }
    }

    /// What is known of an incident that holds `around`.
    pub(crate) async fn detail(
        &self,
        (tenant, id, revision): (&Arc<str>, &str, u64),
        around: Vec<String>,
    ) -> Result<Arc<Detail>, Unseen> {
        let name = (tenant.clone(), Box::from(id));
        if let Some(seen) = lock(&self.details).get(&name)
            && seen.revision == revision
            && seen.when.elapsed() < DETAIL_FOR
        {
            return Ok(seen.what.clone());
        }
        let (whose, incident) = (tenant.clone(), id.to_owned());
        let look = move |engine: &mut Engine| {
            let mut explanation = engine.explain(&whose, &incident);
            let members = explanation.as_ref().map_or(0, |explanation| explanation.members.len());
            if let Some(explanation) = &mut explanation {
                explanation.members.truncate(MEMBERS_MAX);
            }
            let around: Vec<&str> = around.iter().map(String::as_str).collect();
            Detail { explanation, members, near: engine.near(&whose, &around, HOPS, EDGES_MAX) }
        };
        let what = Arc::new(self.look(tenant, look).await?);
        let mut details = lock(&self.details);
        if details.len() >= DETAILS_MAX {
            details.retain(|_, seen| seen.when.elapsed() < DETAIL_FOR);
        }
        if details.len() >= DETAILS_MAX {
            details.clear();
        }
        details.insert(name, Seen { when: Instant::now(), revision, what: what.clone() });
        Ok(what)
    }

    /// Why an alert is not in an incident; `None` when either is not known.
    pub(crate) async fn why_not(&self, tenant: &Arc<str>, alert: u64, id: &str) -> Result<Option<String>, Unseen> {
        let (whose, incident) = (tenant.clone(), id.to_owned());
        self.look(tenant, move |engine| engine.explain_not_in(&whose, alert, &incident)).await
    }

    /// What is expected to run out, the soonest first, with whose it is.
    pub(crate) async fn forecasts(&self, scope: &Scope) -> Result<Arc<Forecasts>, Unseen> {
        if let Some(seen) = lock(&self.forecasts).get(scope)
            && seen.when.elapsed() < FORECASTS_FOR
        {
            return Ok(seen.what.clone());
        }
        let mut found = Vec::new();
        for partition in self.partitions_of(scope) {
            let wanted = scope.clone();
            let look = move |engine: &mut Engine| {
                let tenants: Vec<String> =
                    engine.tenant_names().filter(|tenant| wanted.has(tenant)).map(str::to_owned).collect();
                let of = |tenant: String| {
                    let soonest = engine.forecasts(&tenant).into_iter().take(FORECASTS_MAX);
                    soonest.map(|forecast| (tenant.clone(), forecast)).collect::<Vec<_>>()
                };
                tenants.into_iter().flat_map(of).collect::<Vec<_>>()
            };
            found.extend(self.look_at(partition, look).await?);
        }
        found.sort_by(|(_, a), (_, b)| (a.p50, &a.entity, &a.metric).cmp(&(b.p50, &b.entity, &b.metric)));
        let what = Arc::new(found);
        lock(&self.forecasts).insert(scope.clone(), Seen { when: Instant::now(), revision: 0, what: what.clone() });
        Ok(what)
    }

    fn partitions_of(&self, scope: &Scope) -> std::ops::Range<usize> {
        match (&self.behind, scope) {
            (Behind::Running(running), Scope::All) => 0..running.len(),
            (_, Scope::All) => 0..1,
            (_, Scope::Tenant(tenant)) => {
                let at = self.partition(tenant);
                at..at + 1
            }
        }
    }

    fn partition(&self, tenant: &str) -> usize {
        match &self.behind {
            Behind::Running(running) => NonZeroUsize::new(running.len()).map_or(0, |all| partition_of(tenant, all)),
            Behind::Finished(_) => 0,
        }
    }

    /// Looks at the engine of a tenant, in turn.
    pub(super) async fn look<T: Send + 'static>(
        &self,
        tenant: &str,
        look: impl FnOnce(&mut Engine) -> T + Send + 'static,
    ) -> Result<T, Unseen> {
        self.look_at(self.partition(tenant), look).await
    }

    async fn look_at<T: Send + 'static>(
        &self,
        partition: usize,
        look: impl FnOnce(&mut Engine) -> T + Send + 'static,
    ) -> Result<T, Unseen> {
        match &self.behind {
            Behind::Finished(engine) => Ok(look(&mut lock(engine))),
            Behind::Running(running) => {
                let (asking, gate) = running.get(partition).ok_or(Unseen::Gone)?;
                let looked = tokio::time::timeout(PATIENCE, look_in_turn(asking, gate.clone(), look)).await;
                looked.unwrap_or(Err(Unseen::Busy))
            }
        }
    }
}

/// Looks when the pause after the last look is over. Who has lost patience keeps its turn until the engine has done with
/// it: a second look is not asked for before.
async fn look_in_turn<T: Send + 'static>(
    asking: &mpsc::Sender<Question>,
    gate: Arc<tokio::sync::Mutex<Instant>>,
    look: impl FnOnce(&mut Engine) -> T + Send + 'static,
) -> Result<T, Unseen> {
    let mut again = gate.lock_owned().await;
    tokio::time::sleep_until((*again).into()).await;
    let (answer, seen) = oneshot::channel();
    let look = move |engine: &mut Engine| {
        let began = Instant::now();
        let what = look(engine);
        let pause = (began.elapsed() * SHARE).min(PAUSE_MAX);
        *again = Instant::now() + pause;
        // Who asked may have gone.
        let _ = answer.send(what);
    };
    let question = Question::Look(Look(Box::new(look)));
    asking.try_send(question).map_err(|error| match error {
        mpsc::error::TrySendError::Full(_) => Unseen::Busy,
        mpsc::error::TrySendError::Closed(_) => Unseen::Gone,
    })?;
    seen.await.map_err(|_| Unseen::Gone)
}

fn lock<T>(table: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use bellwether_engine::EngineConfig;

    use super::*;

    #[tokio::test]
    async fn an_engine_gives_a_hundredth_of_its_time_and_who_waits_too_long_hears_that_it_is_busy() {
        let (asking, mut questions) = mpsc::channel(8);
        let eye = Eye::on(vec![asking]);
        let answering = std::thread::spawn(move || {
            let mut engine = Engine::new(EngineConfig::default(), NonZeroUsize::MIN).expect("settings do");
            while let Some(Question::Look(Look(look))) = questions.blocking_recv() {
                look(&mut engine);
            }
        });
        assert_eq!((eye.look("acme", |_| 1).await, eye.look("acme", |_| 2).await), (Ok(1), Ok(2)));
        let slow = |_: &mut Engine| {
            let began = Instant::now();
            while began.elapsed() < Duration::from_millis(50) {}
        };
        assert_eq!(eye.look("acme", slow).await, Ok(()));
        assert_eq!(eye.look("acme", |_| 3).await, Err(Unseen::Busy), "five seconds have to pass");
        drop(eye);
        answering.join().expect("ends");
    }
}
