//! Sessions of log events, each labelled normal or anomalous.
//!
//! HDFS: the blocks of the first 100,000 lines, as JSON lines with `session`, `templates`
//! and `label`. OpenStack (Parisa Kalaki's set): `id,event ids` text files in three parts.

use super::LoadError;
use flate2::bufread::MultiGzDecoder;
use serde::Deserialize;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

/// One session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its name.
    pub name: String,
    /// Ids of its events, in order.
    pub events: Vec<u32>,
    /// Labelled anomalous, where a label is given.
    pub anomalous: Option<bool>,
}

/// Sessions, and what their event ids stand for.
#[derive(Debug, Clone, Default)]
pub struct Sessions {
    /// In the order of the file.
    pub sessions: Vec<Session>,
    /// Event by id.
    pub events: Events,
}

/// Names of events, numbered by first sight.
#[derive(Debug, Clone, Default)]
pub struct Events {
    names: Vec<String>,
    ids: HashMap<String, u32>,
}

impl Events {
    /// Id of a name, a new one at first sight.
    pub fn id(&mut self, name: &str) -> u32 {
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        let id = self.names.len() as u32;
        self.names.push(name.to_owned());
        self.ids.insert(name.to_owned(), id);
        id
    }

    /// Name of an id.
    #[must_use]
    pub fn name(&self, id: u32) -> &str {
        self.names.get(id as usize).map_or("", String::as_str)
    }
}

/// One line of a JSON lines file of sessions.
#[derive(Debug, Deserialize)]
struct Record {
    session: String,
    #[serde(alias = "events")]
    templates: Vec<Event>,
    #[serde(default)]
    label: Option<u8>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Event {
    Text(String),
    Number(i64),
}

/// Reads sessions from JSON lines: `{"session": "…", "templates": ["…", …], "label": 0}`.
/// Events may be text or whole numbers, and `events` is another name for `templates`; the
/// label is 1 for anomalous and may be absent. `events` carries the numbering on from file
/// to file; `path` is for messages.
///
/// # Errors
/// [`LoadError`] with the line that does not parse.
pub fn read_jsonl(path: &Path, reader: impl Read, events: &mut Events) -> Result<Vec<Session>, LoadError> {
    let mut text = String::new();
    BufReader::new(reader).read_to_string(&mut text).map_err(LoadError::read(path))?;
    let mut sessions = Vec::new();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let record: Record =
            serde_json::from_str(line).map_err(|error| LoadError::meta(path, format!("row {}: {error}", at + 1)))?;
        let ids = record.templates.iter().map(|event| match event {
            Event::Text(name) => events.id(name),
            Event::Number(number) => events.id(&number.to_string()),
        });
        let ids = ids.collect();
        sessions.push(Session { name: record.session, events: ids, anomalous: record.label.map(|label| label != 0) });
    }
    Ok(sessions)
}

/// The labelled HDFS sessions below `data/log_sequences`, and the file.
///
/// # Errors
/// [`LoadError`] naming file and row.
pub fn hdfs_100k(data: &Path) -> Result<(Sessions, PathBuf), LoadError> {
    let path = data.join("log_sequences/hdfs_100k_sessions_train.jsonl.gz");
    let mut events = Events::default();
    let sessions = read_jsonl(&path, MultiGzDecoder::new(open(&path)?), &mut events)?;
    Ok((Sessions { sessions, events }, path))
}

/// The OpenStack sessions below `data/log_sequences`: normal ones to train on, labelled ones
/// to test on, and the three files.
///
/// # Errors
/// [`LoadError`] naming file and row.
pub fn openstack(data: &Path) -> Result<(Sessions, Vec<Session>, [PathBuf; 3]), LoadError> {
    let folder = data.join("log_sequences/openstack_parisakalaki");
    let paths =
        ["openstack_train", "openstack_test_normal.gz", "openstack_test_abnormal.gz"].map(|name| folder.join(name));
    let mut events = Events::default();
    let train = read_ids(&paths[0], open(&paths[0])?, false, &mut events)?;
    let mut test = read_ids(&paths[1], MultiGzDecoder::new(open(&paths[1])?), false, &mut events)?;
    test.extend(read_ids(&paths[2], MultiGzDecoder::new(open(&paths[2])?), true, &mut events)?);
    Ok((Sessions { sessions: train, events }, test, paths))
}

fn open(path: &Path) -> Result<BufReader<File>, LoadError> {
    Ok(BufReader::new(File::open(path).map_err(LoadError::read(path))?))
}

fn read_ids(
    path: &Path,
    mut reader: impl Read,
    anomalous: bool,
    events: &mut Events,
) -> Result<Vec<Session>, LoadError> {
    let mut text = String::new();
    reader.read_to_string(&mut text).map_err(LoadError::read(path))?;
    let mut sessions = Vec::new();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let (name, ids) = line
            .split_once(',')
            .ok_or_else(|| LoadError::meta(path, format!("row {}: `id,event ids` expected", at + 1)))?;
        let ids = ids.split_ascii_whitespace().map(|id| events.id(id)).collect();
        sessions.push(Session { name: name.to_owned(), events: ids, anomalous: Some(anomalous) });
    }
    Ok(sessions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_keep_their_numbers_from_file_to_file() {
        let mut events = Events::default();
        let path = Path::new("a.jsonl");
        let first = "{\"session\":\"x\",\"templates\":[\"up\",\"down\",\"up\"],\"label\":0}\n\n";
        let second = "{\"session\":\"y\",\"events\":[\"down\",7],\"label\":1}\n";
        let first = read_jsonl(path, first.as_bytes(), &mut events).expect("valid");
        let second = read_jsonl(path, second.as_bytes(), &mut events).expect("valid");
        assert_eq!((first[0].events.as_slice(), first[0].anomalous), ([0, 1, 0].as_slice(), Some(false)));
        assert_eq!((second[0].events.as_slice(), second[0].anomalous), ([1, 2].as_slice(), Some(true)));
        assert_eq!(events.name(2), "7");
    }

    #[test]
    fn a_broken_line_is_named() {
        let error =
            read_jsonl(Path::new("a.jsonl"), "{}\n".as_bytes(), &mut Events::default()).expect_err("no session");
        assert!(error.to_string().starts_with("`a.jsonl`: row 1: missing field `session`"), "{error}");
    }
}
