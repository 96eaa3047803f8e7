//! Rows that cannot be read: counted by reason, and kept aside so that nothing is lost.
//!
//! One line of JSON for each: `{"source":"files","file":"a.csv","row":7,"column":"value",
//! "reason":"bad_number","detail":"`abc` is no number","excerpt":"…"}`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::limits::{AFTER_2090, BEFORE_2000};
use crate::private;

/// Bytes of a bad row that are kept with it: enough to find and to understand it.
pub(crate) const EXCERPT_BYTES_MAX: usize = 1_024;
/// Bad rows written aside per file; beyond, they are only counted. A sender that speaks
/// another format would otherwise fill the disk.
pub(crate) const KEPT_ROWS_MAX: u64 = 100_000;

/// Why a row is bad; a label of counters, so a closed list.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Not the format it should be: broken JSON, a wrong number of fields, not UTF-8.
    Syntax,
    /// A value of another type than the column's.
    Type,
    /// A field without which the row means nothing.
    Missing,
    /// A field that nobody knows.
    Unknown,
    /// A number that is not finite.
    NotFinite,
    /// A time that does not read, or is before 2000 or after 2090.
    Time,
    /// A word outside its vocabulary.
    Word,
    /// A line or a value over its limit.
    TooLong,
}

impl Reason {
    /// The word in counters and files.
    pub const fn name(self) -> &'static str {
        match self {
            Reason::Syntax => "syntax",
            Reason::Type => "type",
            Reason::Missing => "missing",
            Reason::Unknown => "unknown",
            Reason::NotFinite => "not_finite",
            Reason::Time => "time",
            Reason::Word => "word",
            Reason::TooLong => "too_long",
        }
    }
}

/// What is wrong with one row, found by a decoder that does not know where the row came from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{detail}", self.place())]
pub struct BadRow {
    /// Which kind of wrong.
    pub reason: Reason,
    /// The column, when one is to blame.
    pub column: String,
    /// The value and the remedy.
    pub detail: String,
}

impl BadRow {
    /// A bad row; `column` may be empty.
    pub fn new(reason: Reason, column: &str, detail: impl Into<String>) -> BadRow {
        BadRow { reason, column: column.to_owned(), detail: detail.into() }
    }

    fn place(&self) -> String {
        if self.column.is_empty() { String::new() } else { format!("column `{}`: ", self.column) }
    }

    /// Puts the row in its place.
    pub fn at(self, source: &str, file: &str, row: u64, raw: &[u8]) -> Rejection {
        let head = &raw[..raw.len().min(EXCERPT_BYTES_MAX)];
        Rejection {
            source: source.to_owned(),
            file: file.to_owned(),
            row,
            column: self.column,
            reason: self.reason,
            detail: self.detail,
            excerpt: String::from_utf8_lossy(head).into_owned(),
        }
    }
}

/// A bad row and where it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// The source's name.
    pub source: String,
    /// File, subject or peer.
    pub file: String,
    /// Row or line, from 1; 0 when it is not about one row.
    pub row: u64,
    /// The column, when one is to blame.
    pub column: String,
    /// Which kind of wrong.
    pub reason: Reason,
    /// The value and the remedy.
    pub detail: String,
    /// The beginning of the row.
    pub excerpt: String,
}

impl std::fmt::Display for Rejection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: ", self.file, self.row)?;
        if !self.column.is_empty() {
            write!(f, "column `{}`: ", self.column)?;
        }
        f.write_str(&self.detail)
    }
}

/// Counts bad rows and writes them aside. Cheap to clone; clones share everything.
#[derive(Clone, Debug, Default)]
pub struct RejectLog(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    counts: BTreeMap<(String, Reason), u64>,
    first: Option<Rejection>,
    kept: u64,
    file: Option<BufWriter<File>>,
}

impl RejectLog {
    /// Counts only.
    pub fn counting() -> RejectLog {
        RejectLog::default()
    }

    /// Counts, and appends rows to the file at `path`.
    ///
    /// # Errors
    /// When the file cannot be opened for appending.
    pub fn to_file(path: &Path) -> std::io::Result<RejectLog> {
        let file = private::file().create(true).append(true).open(path)?;
        let state = State { file: Some(BufWriter::new(file)), ..State::default() };
        Ok(RejectLog(Arc::new(Mutex::new(state))))
    }

    /// Takes one bad row.
    pub fn add(&self, rejection: &Rejection) {
        let mut state = self.state();
        let key = (rejection.source.clone(), rejection.reason);
        let count = state.counts.entry(key).or_default();
        *count += 1;
        if *count == 1 {
            tracing::warn!(
                source = rejection.source,
                file = rejection.file,
                row = rejection.row,
                column = rejection.column,
                reason = rejection.reason.name(),
                detail = rejection.detail,
                "row refused; more of the same reason are only counted"
            );
        }
        state.keep(rejection);
        state.first.get_or_insert_with(|| rejection.clone());
    }

    /// Bad rows so far, by source and reason.
    pub fn counts(&self) -> BTreeMap<(String, Reason), u64> {
        self.state().counts.clone()
    }

    /// All bad rows so far.
    pub fn total(&self) -> u64 {
        self.state().counts.values().sum()
    }

    /// The first bad row.
    pub fn first(&self) -> Option<Rejection> {
        self.state().first.clone()
    }

    /// Writes buffered rows to the file.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn flush(&self) -> std::io::Result<()> {
        self.state().file.as_mut().map_or(Ok(()), Write::flush)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn keep(&mut self, rejection: &Rejection) {
        if self.kept >= KEPT_ROWS_MAX {
            return;
        }
        let Some(file) = &mut self.file else { return };
        let written = serde_json::to_writer(&mut *file, rejection)
            .map_err(std::io::Error::from)
            .and_then(|()| file.write_all(b"\n"));
        match written {
            Ok(()) => self.kept += 1,
            Err(error) => {
                tracing::error!(%error, "refused rows cannot be kept aside, they are only counted from here");
                self.file = None;
            }
        }
    }
}
/// Events refused, by reason. Reasons are few and known at compile time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusals(Vec<(&'static str, u64)>);

impl Refusals {
    /// Counts `count` more events refused for `reason`.
    pub fn add(&mut self, reason: &'static str, count: u64) {
        match self.0.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, total)) => *total += count,
            None => self.0.push((reason, count)),
        }
    }

    /// As [`Refusals::add`], when there were any.
    pub fn add_some(&mut self, reason: &'static str, count: u64) {
        if count > 0 {
            self.add(reason, count);
        }
    }

    /// How many were refused for `reason`.
    pub(crate) fn of(&self, reason: &str) -> u64 {
        self.iter().filter(|(known, _)| *known == reason).map(|(_, count)| count).sum()
    }

    /// All refused events.
    pub fn total(&self) -> u64 {
        self.0.iter().map(|(_, count)| count).sum()
    }

    /// True when nothing was refused.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reasons with their counts, in order of first appearance.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.0.iter().copied()
    }

    /// Adds the counts of `others`.
    pub fn extend(&mut self, others: &Refusals) {
        for (reason, count) in others.iter() {
            self.add(reason, count);
        }
    }

    /// Those that an event was lost for. A loss of detail is counted, and no failure of the request:
    /// the event is stored, and a sender told of a failure would count it as lost.
    pub fn lost(&self) -> Refusals {
        Refusals(self.0.iter().copied().filter(|(reason, _)| !DETAILS.contains(reason)).collect())
    }

    /// `3 label_order, 1 no_value`, for the sender's eyes; with the remedy where the word alone does
    /// not tell it.
    pub fn describe(&self) -> String {
        let part = |(why, n): (&'static str, u64)| match REMEDIES.iter().find(|(reason, _)| *reason == why) {
            Some((_, remedy)) => format!("{n} {why} ({remedy})"),
            None => format!("{n} {why}"),
        };
        let parts: Vec<String> = self.iter().map(part).collect();
        parts.join(", ")
    }
}

/// Of an event whose surplus labels were cut.
pub(crate) const LABELS_CUT: &str = "labels_cut";

/// Of a sample that is no number (NaN) or infinite, as a quantile of nothing: there is nothing to keep.
pub(crate) const NOT_FINITE: &str = "not_finite";

/// Of an event of which a name, a link or a text was too long.
pub(crate) const FIELDS_CUT: &str = "fields_cut";

/// Losses of detail.
const DETAILS: [&str; 5] = ["exemplar", "histogram_buckets", LABELS_CUT, FIELDS_CUT, NOT_FINITE];

/// What a sender can do about it.
const REMEDIES: [(&str, &str); 4] = [
    (
        BEFORE_2000,
        "is the unit right? Loki and OTLP take nanoseconds, remote write milliseconds, InfluxDB what `precision` says",
    ),
    (
        AFTER_2090,
        "is the unit right? Loki and OTLP take nanoseconds, remote write milliseconds, InfluxDB what `precision` says",
    ),
    (LABELS_CUT, "more than 40 labels: stored without the surplus"),
    (FIELDS_CUT, "names over 256 bytes, entities over 512, texts over 4096 are cut, longer links left out"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_of_one_reason_are_summed() {
        let mut refusals = Refusals::default();
        refusals.add("late", 2);
        refusals.add("early", 1);
        refusals.add("late", 3);
        assert_eq!(refusals.describe(), "5 late, 1 early");
        assert_eq!(refusals.total(), 6);
        refusals.add(LABELS_CUT, 1);
        assert_eq!((refusals.lost().total(), refusals.total()), (6, 7), "a cut label is no lost event");
        let mut early = Refusals::default();
        early.add("before_2000", 1);
        assert!(early.describe().contains("nanoseconds"), "{}", early.describe());
    }
}
