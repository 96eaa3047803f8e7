//! What the running service says of itself on standard error: at the start what it listens on and where
//! incidents go, then now and then how much it watches, when that has changed.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use bellwether_connectors::outbox;
use bellwether_connectors::wires::WireList as _;

use crate::config::Config;
use crate::logging::SERVICE;
use crate::wiring::figures::EngineFigures;
use crate::wiring::gauges::Gauges;

/// A line of status at most this often.
const STATUS_EVERY: Duration = Duration::from_secs(60);
/// A receiver that is behind for less than this is at work.
const WAITS_AFTER: Duration = Duration::from_secs(10);

/// Says what is about to listen, what is read, and where incidents go.
pub(super) fn say_start(config: &Config, partitions: NonZeroUsize) {
    let page = config.page.as_ref().map(|_| "the page at /page");
    let over_http = config.wires.names_over_http().into_iter().chain(page).collect::<Vec<_>>().join(", ");
    let mut listens = Vec::new();
    config.wires.each_endpoint(&mut |endpoint| {
        let wires =
            if endpoint.name == "http" && !over_http.is_empty() { format!(" ({over_http})") } else { String::new() };
        let scheme = if endpoint.tls.is_some() { " with TLS" } else { "" };
        listens.push(format!("{} at {}{scheme}{wires}", endpoint.protocol, endpoint.address));
    });
    let reads: Vec<String> = config.sources.iter().map(|source| source.describe()).collect();
    let sinks = config.sinks_or_default();
    let sinks = sinks.iter().map(|sink| sink.describe());
    let sinks: Vec<String> = sinks.chain(config.bridges.iter().map(|bridge| bridge.describe())).collect();
    let none = |all: Vec<String>| if all.is_empty() { "nothing".to_owned() } else { all.join("; ") };
    let (listens, reads, incidents_to) = (none(listens), none(reads), none(sinks));
    let version = env!("CARGO_PKG_VERSION");
    tracing::info!(target: SERVICE, version, listens, reads, incidents_to, state = %config.state.display(), partitions, "starting");
}

/// What a line of status says.
#[derive(Clone, Debug, Default, PartialEq)]
struct Status {
    series: u64,
    entities: u64,
    open: u64,
    dropped: u64,
    waiting: String,
}

impl Status {
    fn of(figures: &EngineFigures, gauges: &Gauges) -> Status {
        let total = &figures.stats.total;
        let lost = [&total.rejected, &total.evicted].into_iter().flat_map(|counts| counts.values()).sum::<u64>();
        let late = total.off_time.left_out();
        let behind = outbox::waiting(gauges.readers(), WAITS_AFTER);
        let behind: Vec<String> = behind.into_iter().map(|(name, records)| format!("{records} for {name}")).collect();
        Status {
            series: total.series,
            entities: figures.watched.values().map(|watched| watched.entities).sum(),
            open: total.incidents_live,
            dropped: lost + late,
            waiting: behind.join(", "),
        }
    }

    fn say(&self) {
        let Status { series, entities, open: open_incidents, dropped, waiting } = self;
        match waiting.as_str() {
            "" => tracing::info!(target: SERVICE, series, entities, open_incidents, dropped, "watching"),
            waiting => {
                tracing::info!(target: SERVICE, series, entities, open_incidents, dropped, records_waiting = waiting, "watching");
            }
        }
    }
}

/// Says how much is watched, at once and then whenever that has changed.
pub(super) async fn follow(gauges: Arc<Gauges>) {
    let mut told: Option<Status> = None;
    let mut ticks = tokio::time::interval(STATUS_EVERY);
    if !gauges.figures_there().await {
        return;
    }
    loop {
        ticks.tick().await;
        let Some(newest) = gauges.figures() else { continue };
        let status = Status::of(&newest, &gauges);
        if told.as_ref() != Some(&status) {
            status.say();
            told = Some(status);
        }
    }
}
