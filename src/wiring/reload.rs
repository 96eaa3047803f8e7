//! Reading the configuration again while everything runs.
//!
//! Everything is checked first; only then is anything changed, and on a mistake all stays as
//! it is. What becomes of each part:
//!
//! | part | what happens |
//! |---|---|
//! | `engine` | an entry of the journal: the engine changes between two entries, a replay at the same place |
//! | catalogues | an entry of the journal, for each tenant whose catalogue has changed |
//! | credentials, limits, entity rules, wires over HTTP, certificates | replaced in the running listeners |
//! | addresses, other listeners, sources, sinks, the page, bridges, journal, state, threads, ticks | named, and kept until a restart |

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use bellwether_connectors::intake::tap::{Describe, SeriesName};
use bellwether_connectors::journal::Journal;
use bellwether_connectors::memory::Limit;
use bellwether_connectors::partition::partition_of;
use bellwether_connectors::server::http::{Admin, ReloadRefused, Reloaded};
use bellwether_connectors::wires::{RunningWires, WiresConfig, WiresError};
use bellwether_connectors::{Intake, Mark, RejectLog};
use bellwether_engine::input::Input;
use bellwether_engine::time::EventTime;
use bellwether_engine::{BuildError, EngineConfig, check_settings};
use futures::future::BoxFuture;
use tokio::sync::{Mutex, mpsc, oneshot};

use super::question::Question;
use crate::clock;
use crate::config::{self, Config, NameTwice, Refused, changed_keys};
use crate::logging::SERVICE;

/// Questions that may wait for the engine's thread.
pub const QUESTIONS_MAX: usize = 64;
/// How long a tap waits for the names of series: the engine may be far behind.
const NAMES_WAIT_MAX: Duration = Duration::from_secs(1);

/// How the last reloads went, for `/metrics`.
#[derive(Debug)]
pub struct ReloadGauges {
    successful: AtomicBool,
    success_ns: AtomicI64,
    succeeded: AtomicU64,
    failed: AtomicU64,
}

impl ReloadGauges {
    /// The configuration that the process started with counts as read.
    fn started() -> ReloadGauges {
        ReloadGauges {
            successful: AtomicBool::new(true),
            success_ns: AtomicI64::new(clock::now().0),
            succeeded: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }

    fn note(&self, success: bool) {
        self.successful.store(success, Ordering::Relaxed);
        match success {
            true => {
                self.success_ns.store(clock::now().0, Ordering::Relaxed);
                self.succeeded.fetch_add(1, Ordering::Relaxed);
            }
            false => {
                self.failed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// The gauges in Prometheus' text format 0.0.4, named as Prometheus names its own.
    pub fn exposition(&self) -> String {
        let (ok, failed) = (self.succeeded.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed));
        format!(
            "# HELP bellwether_config_last_reload_successful Whether the configuration was accepted when it was read last.\n\
             # TYPE bellwether_config_last_reload_successful gauge\n\
             bellwether_config_last_reload_successful {}\n\
             # HELP bellwether_config_last_reload_success_timestamp_seconds When a configuration was accepted last.\n\
             # TYPE bellwether_config_last_reload_success_timestamp_seconds gauge\n\
             bellwether_config_last_reload_success_timestamp_seconds {:.3}\n\
             # HELP bellwether_config_reloads_total Reloads since the start, by result.\n\
             # TYPE bellwether_config_reloads_total counter\n\
             bellwether_config_reloads_total{{result=\"ok\"}} {ok}\n\
             bellwether_config_reloads_total{{result=\"failed\"}} {failed}\n",
            u8::from(self.successful.load(Ordering::Relaxed)),
            self.success_ns.load(Ordering::Relaxed) as f64 / 1e9,
        )
    }
}

/// Writes what the configuration says into the journals, unless it was written last.
pub struct SettingsWriter {
    intake: Intake,
}

impl SettingsWriter {
    /// One that writes to the journals of the partitions.
    pub fn new(journals: Vec<Arc<dyn Journal>>, rejects: RejectLog) -> SettingsWriter {
        SettingsWriter { intake: Intake::over(journals, rejects) }
    }

    /// Writes the engine's settings for every partition; true when they are news for any.
    ///
    /// # Errors
    /// When a journal does not take them.
    pub async fn settings(&self, settings: &EngineConfig) -> anyhow::Result<bool> {
        let input = Input::Settings(Arc::new(settings.clone()));
        let mut news = false;
        for partition in 0..self.intake.partitions().get() {
            news |= tell(&self.intake.only(partition), "settings".to_owned(), input.clone()).await?;
        }
        Ok(news)
    }

    /// Writes the catalogues of `config`; the names of the tenants whose catalogue is news.
    ///
    /// # Errors
    /// When a catalogue is not accepted, or the journal does not take it.
    pub async fn catalogues(&self, config: &Config) -> anyhow::Result<Vec<String>> {
        let mut news = Vec::new();
        for (tenant, catalogue) in config::load_catalogues(config)? {
            // It describes the world as it was before the first signal, too.
            let at = EventTime::from_secs(0);
            let input = Input::Catalogue { tenant: tenant.as_str().into(), at, catalogue: Arc::new(catalogue) };
            let door = self.intake.only(self.intake.partition_of(&tenant));
            if tell(&door, format!("catalogue/{tenant}"), input).await? {
                news.push(tenant);
            }
        }
        Ok(news)
    }
}

/// Writes `input` unless it was the last that was written as `name`.
async fn tell(door: &Intake, name: String, input: Input) -> anyhow::Result<bool> {
    let mut bytes = Vec::new();
    input.encode(&mut bytes);
    let cursor = xxhash_rust::xxh3::xxh3_64(&bytes).to_le_bytes().to_vec();
    if door.cursor(&name).as_ref() == Some(&cursor) {
        return Ok(false);
    }
    door.accept(&[input], Some(Mark { source: name, cursor })).await?;
    Ok(true)
}

/// Reads the configuration again, and knows what a tap asks for.
pub struct Reloader {
    file: PathBuf,
    running: Mutex<Running>,
    settings_writer: SettingsWriter,
    questions: Questions,
    gauges: ReloadGauges,
    /// What the process may take: it was found at the start.
    memory: Option<Limit>,
}

struct Running {
    /// What is in force; of what cannot change, what the process was started with.
    config: Config,
    /// What the file said when it was accepted last.
    read: Config,
    wires: RunningWires<WiresConfig>,
}

impl Reloader {
    /// For a process that was started with `config`, read from `file`.
    pub fn new(
        file: PathBuf,
        config: Config,
        wires: RunningWires<WiresConfig>,
        settings_writer: SettingsWriter,
        questions: Vec<mpsc::Sender<Question>>,
    ) -> Reloader {
        Reloader {
            memory: config.memory.limit(),
            file,
            running: Mutex::new(Running { read: config.clone(), config, wires }),
            settings_writer,
            questions: Questions(questions),
            gauges: ReloadGauges::started(),
        }
    }

    /// How the reloads went.
    pub fn gauges(&self) -> &ReloadGauges {
        &self.gauges
    }

    /// Reads the file again and puts in force what can be; one reload at a time.
    ///
    /// # Errors
    /// [`ReloadError`], with every mistake; nothing has changed.
    pub async fn run(&self) -> Result<Reloaded, ReloadError> {
        let mut running = self.running.lock().await;
        let result = self.apply(&mut running).await;
        self.gauges.note(result.is_ok());
        match &result {
            Ok(done) => {
                say(done);
            }
            Err(error) => {
                tracing::error!(%error, "configuration not accepted, the one before stays in force");
            }
        }
        result
    }

    async fn apply(&self, running: &mut Running) -> Result<Reloaded, ReloadError> {
        let config = config::load_beside(&self.file)?;
        check_settings(&config.engine)?;
        config.check_names()?;
        config::load_catalogues(&config)?;
        let prepared = running.wires.prepare(&config.wires)?;
        let mut done = Reloaded {
            changed: changed_keys(&running.read, &config),
            applied: prepared.applied.clone(),
            needs_restart: fixed_parts(&running.config, &config),
        };
        done.needs_restart.extend(prepared.needs_restart.clone());

        if self.settings_writer.settings(&config.engine_within(self.memory)).await.map_err(ReloadError::Journal)? {
            done.applied.insert(0, "engine".to_owned());
        }
        let catalogues = self.settings_writer.catalogues(&config).await.map_err(ReloadError::Journal)?;
        done.applied.extend(catalogues.into_iter().map(|tenant| format!("catalogue of {tenant}")));
        running.wires.commit(prepared)?;
        running.read = config.clone();
        running.config.engine = config.engine;
        running.config.tenants = config.tenants;
        Ok(done)
    }
}

/// Says what came of a reload: what the file says otherwise than before, what of it is in force, and what
/// waits for a restart.
fn say(done: &Reloaded) {
    let listed = |all: &[String]| if all.is_empty() { "nothing".to_owned() } else { all.join(", ") };
    let (changed, in_force) = (listed(&done.changed), listed(&done.applied));
    match done.needs_restart.is_empty() {
        true => tracing::info!(target: SERVICE, changed, in_force, "configuration read again"),
        false => {
            let needs_restart = listed(&done.needs_restart);
            tracing::warn!(target: SERVICE, changed, in_force, needs_restart, "configuration read again: a part waits for a restart");
        }
    }
}

/// Why the configuration was not put in force.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The file, or a catalogue it names, has mistakes.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The engine cannot run with its settings.
    #[error(transparent)]
    Engine(#[from] BuildError),
    /// A name is there twice.
    #[error(transparent)]
    Names(#[from] NameTwice),
    /// The wires cannot be built.
    #[error("wires: {0}")]
    Wires(#[from] WiresError),
    /// The journal does not take what has changed.
    #[error("{0:#}")]
    Journal(anyhow::Error),
}

/// The parts that differ and cannot change while the process runs.
fn fixed_parts(was: &Config, is: &Config) -> Vec<String> {
    let parts = [
        ("state", was.state != is.state),
        ("threads", was.threads != is.threads),
        ("partitions", was.partitions != is.partitions),
        ("tick", was.tick != is.tick),
        ("journal", was.journal != is.journal),
        ("checkpoint", was.checkpoint != is.checkpoint),
        ("memory", was.memory != is.memory),
        ("sources", was.sources != is.sources),
        ("sinks", was.sinks != is.sinks),
        ("page", was.page != is.page),
        ("bridges", was.bridges != is.bridges),
    ];
    parts.iter().filter(|(_, differs)| *differs).map(|(name, _)| (*name).to_owned()).collect()
}

impl Admin for Reloader {
    fn reload(&self) -> BoxFuture<'_, Result<Reloaded, ReloadRefused>> {
        Box::pin(async { self.run().await.map_err(|error| ReloadRefused(Box::new(error))) })
    }

    fn series(&self) -> &dyn Describe {
        &self.questions
    }
}

/// Asks the thread of the tenant's engine.
struct Questions(Vec<mpsc::Sender<Question>>);

impl Describe for Questions {
    fn describe<'a>(&'a self, tenant: &'a str, series: Vec<u64>) -> BoxFuture<'a, Vec<SeriesName>> {
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            let question = Question::Series { tenant: tenant.to_owned(), series, answer };
            let asked = async {
                let partition = partition_of(tenant, NonZeroUsize::new(self.0.len())?);
                self.0[partition].send(question).await.ok()?;
                answered.await.ok()
            };
            tokio::time::timeout(NAMES_WAIT_MAX, asked).await.ok().flatten().unwrap_or_default()
        })
    }
}
