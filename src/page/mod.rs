//! The page for people: how things stand in five seconds, the reason of one incident in thirty.
//!
//! ```yaml
//! page: {}
//! ```
//!
//! It is a guest of the HTTP listener, at `/page`. What it shows comes from a read model that a reader of the incident
//! log feeds (`model/`, `feed.rs`), from what the engines have counted (`world.rs`, `funnel.rs`), and from looks at the
//! engines that take a hundredth of their time (`eye.rs`). Pages are rendered here (`view/`) and work without a script;
//! with one they follow what happens (`live.rs`). Who sees what is in `who.rs` and `session.rs`; what people do becomes an
//! entry of the journal (`act.rs`).

mod act;
pub mod api;
mod assets;
mod cases;
mod estate;
mod eye;
mod feed;
mod form;
mod funnel;
mod guest;
mod kept;
mod lately;
mod live;
mod looks;
mod model;
mod points;
mod posts;
mod rendered;
mod reply;
mod reports;
mod session;
mod shows;
mod view;
mod who;
mod world;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bellwether_connectors::Source;
use bellwether_connectors::outbox::Reader;
use bellwether_engine::Engine;
use bellwether_engine::incident::IncidentEvent;
use bellwether_engine::time::{EventTime, Span};
use tokio::sync::{Semaphore, mpsc, watch};

use crate::clock;
use crate::config::PageConfig;
use crate::review::{Asked, Review};
use crate::wiring::figures::EngineFigures;
use crate::wiring::gauges::Gauges;
use crate::wiring::question::Question;
use crate::wiring::said::Word;
use cases::Cases;
use eye::Eye;
use feed::{PageSink, keep_words, recall, words, write_words};
use model::Model;
use points::{MINUTES, Points, PointsFeed};
use session::Sessions;
use who::Tries;
use world::World;

/// Browsers that follow what happens at a time; each takes a connection and a few kilobytes.
const STREAMS_MAX: usize = 2_000;
/// How often it is looked whether a mark of what was counted is due.
const MARKED_EVERY: std::time::Duration = std::time::Duration::from_secs(60);

/// What people said, as it was written down in a state folder, oldest first.
pub fn words_of(state: &Path) -> Vec<Arc<Word>> {
    words(state).into_iter().map(Arc::new).collect()
}

/// A review as one file that needs nothing beside itself.
pub fn report_file(review: &Review, asked: &Asked) -> String {
    view::review::file(review, asked, 0)
}

/// Everything behind the page.
pub struct Page {
    model: Arc<Model>,
    points: Arc<Points>,
    eye: Eye,
    world: World,
    sessions: Sessions,
    tries: Tries,
    cases: Cases,
    closing: watch::Sender<bool>,
    streams: Arc<Semaphore>,
    /// When it began: what it counts is told from what another process counted.
    began: EventTime,
}

impl Page {
    /// The page of a process at work. `reasons` says in words why it is not ready, `asking` asks its engines, in the order
    /// of their partitions.
    ///
    /// # Errors
    /// When the key of its cookies cannot be read or written.
    pub fn running(
        config: &PageConfig,
        state: &Path,
        gauges: &Arc<Gauges>,
        reasons: impl Fn() -> Vec<String> + Send + Sync + 'static,
        asking: Vec<mpsc::Sender<Question>>,
    ) -> io::Result<Arc<Page>> {
        let sessions = Sessions::open(state, config.session)?;
        let world = World::running(gauges.clone(), Box::new(reasons));
        let memory = (Model::new(config.memory_bytes), Points::new(config.points_bytes));
        Ok(Arc::new(Page::new(memory, Eye::on(asking), world, sessions)))
    }

    /// The page of what is over: everybody at this machine may look, nobody can do anything. `told` says what it is.
    pub fn finished(engine: Engine, gauges: Arc<Gauges>, told: String) -> Arc<Page> {
        let figures = EngineFigures { stats: engine.stats(), watched: Arc::new(engine.watch_totals()) };
        let at = engine.watermark().max(gauges.time());
        let world = World::finished(gauges, at, figures, told);
        let config = PageConfig::default();
        let memory = (Model::new(config.memory_bytes), Points::new(config.points_bytes));
        Arc::new(Page::new(memory, Eye::at_rest(engine), world, Sessions::of_this_process(Span::from_hours(12))))
    }

    fn new((model, points): (Model, Points), eye: Eye, world: World, sessions: Sessions) -> Page {
        let streams = Arc::new(Semaphore::new(STREAMS_MAX));
        let (tries, closing) = (Tries::default(), watch::Sender::new(false));
        let (model, points) = (Arc::new(model), Arc::new(points));
        Page {
            model,
            points,
            eye,
            world,
            sessions,
            tries,
            cases: Cases::default(),
            closing,
            streams,
            began: clock::now(),
        }
    }

    /// The reader of the incident log that feeds it.
    pub fn reader(&self) -> Reader {
        Reader::of(Box::new(PageSink(self.model.clone())))
    }

    /// What feeds its pictures, after it has read the ends of these journals.
    pub fn points_feed(self: &Arc<Page>, journals: Vec<PathBuf>) -> Box<dyn Source> {
        let since = clock::now().minus(Span::from_mins(MINUTES as i64));
        Box::new(PointsFeed { points: self.points.clone(), journals, since, describe: self.clone() })
    }

    /// Takes in the points that the ends of these journals have, of a run that is over. Nobody is served meanwhile.
    pub async fn recall_points(&self, journals: &[PathBuf]) {
        points::recall(&self.points, journals, None, self.world.now());
        points::ask(&self.points, self).await;
    }

    /// Takes in revisions that were told.
    pub fn take<'e>(&self, events: impl IntoIterator<Item = &'e IncidentEvent>) {
        self.model.take(events);
    }

    /// About how many bytes what it knows of incidents takes.
    pub fn bytes(&self) -> usize {
        self.model.bytes().0
    }

    /// Takes in what the logs in these folders have. Blocking.
    pub fn recall(&self, logs: &[PathBuf]) {
        recall(&self.model, logs);
    }

    /// Takes in what people said, as it was written down in a state folder. Blocking.
    pub fn recall_words(&self, state: &Path) {
        self.world.gauges().said().recall(words(state));
    }

    /// Writes down what people said last, when the process ends. Blocking.
    pub fn keep_last_words(&self, state: &Path) {
        if let Err(error) = write_words(self.world.gauges(), state) {
            tracing::warn!(%error, "what people said last is not written down for the page");
        }
    }

    /// Does what is to be done while the process runs: reads the past beside what comes, writes down what people say, and
    /// marks what was counted.
    pub async fn keep(self: Arc<Page>, gauges: Arc<Gauges>, logs: Vec<PathBuf>, state: PathBuf) {
        let (model, folder, said) = (self.model.clone(), state.clone(), gauges.clone());
        let past = tokio::task::spawn_blocking(move || {
            said.said().recall(words(&folder));
            recall(&model, &logs);
        });
        if past.await.is_err() {
            tracing::warn!("what was told before could not be read for the page");
        }
        let (counting, world) = (gauges.clone(), &self.world);
        let writing = keep_words(gauges, self.model.clone(), state);
        let marking = async move {
            counting.figures_there().await;
            let mut ticks = tokio::time::interval(MARKED_EVERY);
            loop {
                ticks.tick().await;
                if let Some(figures) = world.figures() {
                    world.funnel.note(&figures, world.now());
                }
            }
        };
        tokio::select! { () = writing => {} () = marking => {} }
    }
}
