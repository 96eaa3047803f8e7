//! How the page comes to know: a reader of the incident log for what comes, the log's past beside it, and what people
//! said, written down so that a restart knows it.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bellwether_connectors::{Delivered, Outgoing, Sink, SinkError, host, outbox, private};
use bellwether_engine::incident::IncidentEvent;
use futures::future::BoxFuture;

use super::model::Model;
use crate::wiring::gauges::Gauges;
use crate::wiring::said::Word;

/// Events of the past that are taken in at once.
const BATCH_EVENTS_MAX: usize = 64;
/// What people said, in the state folder.
const SAID_FILE: &str = "said.ndjson";
/// The file is written anew, with what is remembered alone, when it is longer than this.
const SAID_BYTES_MAX: u64 = 24 << 20;
/// How often what is new is written down.
const WRITTEN_EVERY: Duration = Duration::from_millis(500);

/// The reader in front of the page.
pub(crate) struct PageSink(pub(crate) Arc<Model>);

impl Sink for PageSink {
    fn name(&self) -> &str {
        "page"
    }

    fn deliver<'a>(&'a mut self, events: &'a [Outgoing]) -> BoxFuture<'a, Result<Delivered, SinkError>> {
        Box::pin(async move {
            self.0.take(events.iter().map(|outgoing| &*outgoing.event));
            Ok(Delivered { sent: events.len() as u64, skipped: 0 })
        })
    }
}

/// Takes in what the logs in these folders have, oldest first. Blocking, and for a thread of its own: what comes
/// meanwhile comes by the reader.
pub(crate) fn recall(model: &Model, logs: &[PathBuf]) {
    for log in logs {
        let events = match outbox::events(log) {
            Ok(events) => events,
            Err(error) => {
                tracing::warn!(%error, log = %log.display(), "the page does not know what was told before");
                continue;
            }
        };
        let mut batch: Vec<IncidentEvent> = Vec::with_capacity(BATCH_EVENTS_MAX);
        for event in events {
            match event {
                Ok(event) => batch.push(event),
                // What is behind a record that is being written comes by the reader.
                Err(error) => {
                    tracing::warn!(%error, log = %log.display(), "the page does not know all that was told before");
                    break;
                }
            }
            if batch.len() == BATCH_EVENTS_MAX {
                model.take(&batch);
                batch.clear();
            }
        }
        model.take(&batch);
    }
}

/// What people said before, as far as it was written down.
pub(crate) fn words(state: &Path) -> Vec<Word> {
    let Ok(file) = std::fs::File::open(state.join(SAID_FILE)) else { return Vec::new() };
    // The last line of a process that was killed may be half a line.
    BufReader::new(file).lines().map_while(Result::ok).filter_map(|line| serde_json::from_str(&line).ok()).collect()
}

/// Writes down what people say, for as long as the process runs. The journal has it, too: what the disk does not take
/// here is told again by nobody, and costs a line of a history alone.
pub(crate) async fn keep_words(gauges: Arc<Gauges>, model: Arc<Model>, state: PathBuf) {
    let mut news = gauges.said().news();
    while news.changed().await.is_ok() {
        let new = gauges.said().latest(BATCH_EVENTS_MAX, |_| true);
        new.iter().map(|word| &word.tenant).collect::<BTreeSet<_>>().into_iter().for_each(|tenant| model.touch(tenant));
        tokio::time::sleep(WRITTEN_EVERY).await;
        let (state, gauges) = (state.clone(), gauges.clone());
        let written = tokio::task::spawn_blocking(move || write_words(&gauges, &state)).await;
        if let Ok(Err(error)) = written {
            tracing::warn!(%error, "what people said of incidents is not written down for the page");
        }
    }
}

/// Writes down what nobody has written down yet. Blocking.
pub(crate) fn write_words(gauges: &Gauges, state: &Path) -> std::io::Result<()> {
    let path = state.join(SAID_FILE);
    let line = |word: &Arc<Word>| serde_json::to_string(&**word).map(|text| text + "\n").unwrap_or_default();
    let new = gauges.said().unwritten();
    if std::fs::metadata(&path).is_ok_and(|file| file.len() > SAID_BYTES_MAX) {
        let mut all = gauges.said().latest(usize::MAX, |_| true);
        all.reverse();
        let text: String = all.iter().map(line).collect();
        return host::replace(&*host::disk(), &path, &[text.as_bytes()]);
    }
    let mut file = private::file().create(true).append(true).open(&path)?;
    let text: String = new.iter().map(line).collect();
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use bellwether_connectors::journal::Position;
    use bellwether_engine::input::Action;
    use bellwether_engine::time::EventTime;

    use super::*;

    #[test]
    fn what_was_said_is_known_after_a_restart_also_behind_half_a_line() {
        let state = tempfile::tempdir().expect("a folder");
        let word = |position| Word {
            at: EventTime::from_secs(position as i64),
            tenant: "acme".into(),
            partition: 0,
            position,
            action: Action::Reopen { incident: "inc_1".to_owned(), who: "ana".to_owned() },
        };
        let gauges = Gauges::default();
        gauges.said().recall(Vec::new());
        for Word { at, tenant, position, action, .. } in [word(1), word(2)] {
            gauges.said().note(0, Position(position), (&tenant, at), &action);
        }
        write_words(&gauges, state.path()).expect("written");
        let path = state.path().join(SAID_FILE);
        let mut text = std::fs::read_to_string(&path).expect("reads");
        text.push_str("{\"at\":17");
        std::fs::write(&path, text).expect("written");
        assert_eq!(words(state.path()), [word(1), word(2)]);
    }
}
