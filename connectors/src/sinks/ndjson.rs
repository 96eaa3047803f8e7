//! Incident events as NDJSON in a file, one line a revision: `{"key":…,"subject":…,"record":…}`.
//!
//! The file is its own memory: at opening the keys in it are read, so a replay appends only
//! what is missing, and a line that a crash cut short is removed. Whoever moves the file away, as
//! logrotate does, needs to tell nobody: before each write the sink looks whether its file is still the
//! one at its path, and goes on in a new one where it is not. What was moved to `<path>.1` is remembered,
//! too.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::private;
use crate::sinks::{DeclaredSink, Delivered, Order, Outgoing, RecordVersion, Sink, SinkError};

/// Where to write incident events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NdjsonSinkConfig {
    /// Name in logs.
    #[serde(default = "default_name")]
    pub name: String,
    /// The file; appended to when it exists.
    pub path: PathBuf,
    /// The version of the record that its readers know.
    #[serde(default)]
    pub schema_version: RecordVersion,
}

impl NdjsonSinkConfig {
    /// A file with records of the newest version.
    #[must_use]
    pub fn new(name: &str, path: PathBuf) -> NdjsonSinkConfig {
        NdjsonSinkConfig { name: name.to_owned(), path, schema_version: RecordVersion::default() }
    }
}

fn default_name() -> String {
    "ndjson".to_owned()
}

impl DeclaredSink for NdjsonSinkConfig {
    fn name(&self) -> &str {
        &self.name
    }

    fn describe(&self) -> String {
        format!("file {}", self.path.display())
    }

    fn remembers(&self) -> bool {
        true
    }

    fn order(&self) -> Order {
        Order::EveryRevision
    }

    fn paths(&mut self) -> Vec<&mut PathBuf> {
        vec![&mut self.path]
    }

    fn open(&self) -> BoxFuture<'_, Result<Box<dyn Sink>, SinkError>> {
        Box::pin(async { Ok(self.schema_version.of(Box::new(NdjsonSink::open(self.clone())?))) })
    }
}

/// Incident events as NDJSON in a file.
pub struct NdjsonSink {
    config: NdjsonSinkConfig,
    file: File,
    /// Bytes of whole lines.
    bytes: u64,
    /// Latest revision in the file, by tenant and incident. As many as the file has: moving it away
    /// bounds them.
    known: HashMap<String, u64>,
    /// The same of the file that was moved away last.
    before: HashMap<String, u64>,
    /// A write failed: the end of the file has to be cut before the next.
    unsure: bool,
}

#[derive(Deserialize)]
struct WrittenLine {
    key: String,
}

#[derive(Serialize)]
struct LineToWrite<'a> {
    key: String,
    subject: String,
    record: &'a bellwether_engine::incident::IncidentRecord,
}

impl NdjsonSink {
    /// Opens the file and reads what is in it.
    ///
    /// # Errors
    /// [`SinkError`] when it cannot be opened, or holds something else.
    pub fn open(config: NdjsonSinkConfig) -> Result<NdjsonSink, SinkError> {
        let fail = |e: std::io::Error| SinkError::io(&config.name, format!("`{}`: {e}", config.path.display()));
        let file =
            File::options().create(true).truncate(false).read(true).write(true).open(&config.path).map_err(fail)?;
        let (known, bytes) = read_known(&config, &file)?;
        if bytes == 0
            && let Err(error) = private::sync_name(&config.path)
        {
            tracing::warn!(file = %config.path.display(), %error, "a power cut may lose the name of the new file");
        }
        if file.metadata().map_err(fail)?.len() > bytes {
            tracing::warn!(file = %config.path.display(), "a line cut short by a crash is removed");
        }
        let before = match File::open(moved_aside(&config.path)) {
            // Something else of that name says nothing about what was told.
            Ok(before) => read_known(&config, &before).unwrap_or_default().0,
            Err(error) if error.kind() == io::ErrorKind::NotFound => HashMap::new(),
            Err(error) => return Err(fail(error)),
        };
        Ok(NdjsonSink { config, file, bytes, known, before, unsure: true })
    }

    /// Goes on in a new file where the open one is not at its path any more.
    fn follow(&mut self) -> Result<(), SinkError> {
        let path = &self.config.path;
        let fail = |e: io::Error| SinkError::io(&self.config.name, format!("`{}`: {e}", path.display()));
        let open = self.file.metadata().map_err(fail)?;
        let same = match fs::metadata(path) {
            Ok(named) => (named.dev(), named.ino()) == (open.dev(), open.ino()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(fail(error)),
        };
        if same {
            if open.len() < self.bytes {
                tracing::warn!(file = %path.display(), "somebody has made the file shorter: written on at its end");
                self.bytes = open.len();
                self.unsure = true;
            }
            return Ok(());
        }
        if self.unsure {
            // What a failed write left is told in the new file.
            self.file.set_len(self.bytes).map_err(fail)?;
        }
        tracing::info!(file = %path.display(), "the file was moved away: a new one is begun");
        let begun = NdjsonSink::open(self.config.clone())?;
        // It may have been moved to another name than the one that is read.
        let moved = std::mem::replace(self, begun).known;
        self.before.extend(moved);
        Ok(())
    }

    /// The latest revision of an incident that was written.
    fn latest(&self, incident: &str) -> u64 {
        let of = |file: &HashMap<String, u64>| file.get(incident).copied().unwrap_or(0);
        of(&self.known).max(of(&self.before))
    }

    fn write(&mut self, events: &[Outgoing]) -> io::Result<Delivered> {
        if self.unsure {
            self.file.set_len(self.bytes)?;
            self.file.seek(SeekFrom::Start(self.bytes))?;
        }
        self.unsure = true;
        let mut text = Vec::new();
        let mut news: HashMap<String, u64> = HashMap::new();
        let mut sent = 0;
        for outgoing in events {
            let key = outgoing.event.key();
            let Some((incident, _)) = key.rsplit_once('/') else {
                continue;
            };
            let revision = outgoing.event.record.revision;
            let latest = news.get(incident).copied().unwrap_or_else(|| self.latest(incident));
            if revision <= latest {
                continue;
            }
            news.insert(incident.to_owned(), revision);
            sent += 1;
            let line = LineToWrite { subject: outgoing.event.subject(), record: &outgoing.event.record, key };
            serde_json::to_writer(&mut text, &line)?;
            text.push(b'\n');
        }
        self.file.write_all(&text)?;
        self.file.sync_data()?;
        self.bytes += text.len() as u64;
        self.known.extend(news);
        self.unsure = false;
        Ok(Delivered { sent, skipped: events.len() as u64 - sent })
    }
}

/// Where logrotate puts what was written before, unless told otherwise.
fn moved_aside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    PathBuf::from(name)
}

/// The latest revision of each incident in the file, and where its last whole line ends.
fn read_known(config: &NdjsonSinkConfig, file: &File) -> Result<(HashMap<String, u64>, u64), SinkError> {
    let mut known = HashMap::new();
    let mut bytes = 0;
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    let mut number = 0u64;
    loop {
        line.clear();
        let read = reader
            .read_until(b'\n', &mut line)
            .map_err(|e| SinkError::io(&config.name, format!("`{}`: {e}", config.path.display())))?;
        number += 1;
        if read == 0 || line.last() != Some(&b'\n') {
            return Ok((known, bytes));
        }
        let (incident, revision) = identity(&line).ok_or_else(|| not_ours(config, &config.path, number))?;
        let latest = known.entry(incident).or_insert(0);
        *latest = revision.max(*latest);
        bytes += read as u64;
    }
}

fn identity(line: &[u8]) -> Option<(String, u64)> {
    let WrittenLine { key } = serde_json::from_slice(line).ok()?;
    let (incident, revision) = key.rsplit_once('/')?;
    Some((incident.to_owned(), revision.parse().ok()?))
}

fn not_ours(config: &NdjsonSinkConfig, path: &Path, line: u64) -> SinkError {
    let reason = format!("`{}` line {line} is no incident event: name another file", path.display());
    SinkError::config(&config.name, reason)
}

impl Sink for NdjsonSink {
    fn name(&self) -> &str {
        &self.config.name
    }

    fn deliver<'a>(&'a mut self, events: &'a [Outgoing]) -> BoxFuture<'a, Result<Delivered, SinkError>> {
        Box::pin(async move {
            self.follow()?;
            self.write(events)
                .map_err(|e| SinkError::io(&self.config.name, format!("`{}`: {e}", self.config.path.display())))
        })
    }
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;

    use super::*;
    use crate::sinks::tests::event;

    fn open(path: &Path) -> NdjsonSink {
        NdjsonSink::open(NdjsonSinkConfig::new("ndjson", path.to_owned())).expect("opens")
    }

    #[test]
    fn a_replay_appends_only_what_is_missing_also_after_a_torn_line() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("incidents.ndjson");
        let events = [event("acme", 1, 1), event("beta", 1, 1), event("acme", 1, 2)];
        assert_eq!(block_on(open(&path).deliver(&events)).expect("delivered").sent, 3);
        let whole = std::fs::read(&path).expect("bytes");
        let last_line = whole[..whole.len() - 1].iter().rposition(|b| *b == b'\n').expect("lines") + 1;
        for cut in last_line..whole.len() {
            std::fs::write(&path, &whole[..cut]).expect("written");
            let delivered = block_on(open(&path).deliver(&events)).expect("delivered");
            assert_eq!((delivered.sent, delivered.skipped), (1, 2), "cut at {cut}");
            assert_eq!(std::fs::read(&path).expect("bytes"), whole);
        }
    }

    /// The keys in a file, in order.
    fn keys(path: &Path) -> Vec<String> {
        let text = std::fs::read_to_string(path).expect("text");
        text.lines().map(|line| serde_json::from_str::<WrittenLine>(line).expect("whole lines").key).collect()
    }

    #[test]
    fn a_file_that_is_moved_away_is_followed_by_a_new_one_and_no_revision_is_in_both() {
        let dir = tempfile::tempdir().expect("a folder");
        let (path, aside) = (dir.path().join("incidents.ndjson"), dir.path().join("incidents.ndjson.1"));
        let events: Vec<Outgoing> = (1..=4).map(|revision| event("acme", 1, revision)).collect();
        let of = |range: std::ops::RangeInclusive<usize>| -> Vec<String> {
            events[range.start() - 1..*range.end()].iter().map(|outgoing| outgoing.event.key()).collect()
        };
        let mut sink = open(&path);
        assert_eq!(block_on(sink.deliver(&events[..2])).expect("delivered").sent, 2);
        std::fs::rename(&path, &aside).expect("moved");
        let delivered = block_on(sink.deliver(&events[..3])).expect("delivered");
        assert_eq!((delivered.sent, delivered.skipped), (1, 2));
        assert_eq!((keys(&aside), keys(&path)), (of(1..=2), of(3..=3)));
        // Started again right after the move, it knows what was moved.
        std::fs::remove_file(&path).expect("removed");
        assert_eq!(block_on(open(&path).deliver(&events)).expect("delivered").skipped, 2);
        assert_eq!(keys(&path), of(3..=4));
    }

    #[test]
    fn what_a_failed_write_left_is_cut_from_the_file_that_was_moved() {
        let dir = tempfile::tempdir().expect("a folder");
        let (path, aside) = (dir.path().join("incidents.ndjson"), dir.path().join("incidents.ndjson.1"));
        let (first, second) = (event("acme", 1, 1), event("acme", 1, 2));
        let mut sink = open(&path);
        block_on(sink.deliver(std::slice::from_ref(&first))).expect("delivered");
        let mut torn = File::options().append(true).open(&path).expect("opens");
        torn.write_all(b"{\"key\":\"acme/").expect("written");
        sink.unsure = true;
        std::fs::rename(&path, &aside).expect("moved");
        block_on(sink.deliver(std::slice::from_ref(&second))).expect("delivered");
        assert_eq!((keys(&aside), keys(&path)), (vec![first.event.key()], vec![second.event.key()]));
    }

    #[test]
    fn a_file_that_was_emptied_in_place_is_written_on_from_its_beginning() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("incidents.ndjson");
        let (first, second) = (event("acme", 1, 1), event("acme", 1, 2));
        let mut sink = open(&path);
        block_on(sink.deliver(std::slice::from_ref(&first))).expect("delivered");
        File::options().write(true).open(&path).and_then(|file| file.set_len(0)).expect("emptied");
        block_on(sink.deliver(std::slice::from_ref(&second))).expect("delivered");
        assert_eq!(keys(&path), [second.event.key()]);
    }

    #[test]
    fn another_file_is_not_written_over() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("notes.txt");
        std::fs::write(&path, "my notes\n").expect("written");
        let config = NdjsonSinkConfig::new("ndjson", path.clone());
        assert!(NdjsonSink::open(config).is_err());
        assert_eq!(std::fs::read_to_string(&path).expect("text"), "my notes\n");
    }
}
