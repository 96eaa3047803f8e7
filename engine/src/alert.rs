//! One alert as the stages after `sense` see it.

use bellwether_models::group::{names_in, tokenize};
use serde::{Deserialize, Serialize};

use crate::incident::EvidenceSignal;
use crate::memory::{allocation, pairs};
use crate::signal::{AlertColumns, AlertStatus, Batch, Labels, Severity, cut_to};
use crate::symbols::Sym;
use crate::time::{EventTime, Span};

/// Owned label pairs, sorted by name.
pub(crate) type LabelSet = Box<[(Box<str>, Box<str>)]>;

/// Label pairs of a row, owned.
pub(crate) fn own_labels(labels: Labels<'_>) -> LabelSet {
    labels.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

/// The value of label `name`.
pub(crate) fn label<'a>(labels: &'a LabelSet, name: &str) -> Option<&'a str> {
    labels.iter().find(|(key, _)| &**key == name).map(|(_, value)| &**value)
}

/// What of our own sensing raised an alert.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum DetectorKind {
    /// A condition that a person wrote.
    Rule,
    /// A series that must keep arriving.
    Heartbeat,
    /// A series that is not as it was.
    Anomaly,
    /// A resource that runs out.
    Exhaustion,
    /// A log stream that does what it never did.
    LogWatch,
}

impl DetectorKind {
    /// The word in the record.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            DetectorKind::Rule => "rule",
            DetectorKind::Heartbeat => "heartbeat",
            DetectorKind::Anomaly => "anomaly",
            DetectorKind::Exhaustion => "exhaustion",
            DetectorKind::LogWatch => "log-watch",
        }
    }
}

/// What a detector saw, for the record's evidence.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Observation {
    /// Which signal.
    pub(crate) signal: EvidenceSignal,
    /// Metric or template.
    pub(crate) name: Box<str>,
    /// What was seen.
    pub(crate) value: Option<f64>,
    /// What was expected.
    pub(crate) expected: Option<f64>,
    /// 0–1.
    pub(crate) score: f64,
    /// Which detector.
    pub(crate) detector: DetectorKind,
    /// What moves is felt by users of the entity, and was watched for long enough to be known.
    pub(crate) felt: bool,
}

/// An alert that our own sensing raises or ends.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Sensed {
    pub(crate) name: Box<str>,
    pub(crate) entity: Box<str>,
    pub(crate) severity: Severity,
    pub(crate) status: AlertStatus,
    pub(crate) fingerprint: u64,
    pub(crate) starts_at: EventTime,
    pub(crate) ends_at: Option<EventTime>,
    /// By how much it acts later than it came to pass.
    pub(crate) late: Span,
    pub(crate) labels: LabelSet,
    pub(crate) summary: Box<str>,
    /// The line as it was written, where a log line raised it; else empty.
    pub(crate) message: Box<str>,
    pub(crate) observation: Option<Observation>,
}

/// The tool name of alerts that our own sensing raises.
pub(crate) const OWN_SOURCE: &str = "bellwether";

/// One row of the ordered alert stream: read in place, owned only when it is news.
pub(crate) enum AlertRow<'a> {
    /// A row of another tool's batch.
    Wire(AlertColumns<'a>, usize),
    /// One of our own.
    Own(&'a Sensed),
}

impl<'a> AlertRow<'a> {
    pub(crate) fn wire(batch: &'a Batch, row: u32) -> AlertRow<'a> {
        AlertRow::Wire(AlertColumns::of(batch), row as usize)
    }

    pub(crate) fn fingerprint(&self) -> u64 {
        match self {
            AlertRow::Wire(columns, row) => columns.fingerprint[*row],
            AlertRow::Own(sensed) => sensed.fingerprint,
        }
    }

    pub(crate) fn status(&self) -> AlertStatus {
        match self {
            // The door keeps rows with other words out.
            AlertRow::Wire(columns, row) => columns.status(*row).unwrap_or(AlertStatus::Firing),
            AlertRow::Own(sensed) => sensed.status,
        }
    }

    /// When it came to pass by whoever says it.
    pub(crate) fn dated(&self) -> EventTime {
        match self {
            AlertRow::Wire(columns, row) => EventTime(columns.time[*row]),
            AlertRow::Own(Sensed { status: AlertStatus::Resolved, ends_at: Some(at), .. }) => *at,
            AlertRow::Own(sensed) => sensed.starts_at,
        }
    }

    pub(crate) fn severity(&self) -> Severity {
        match self {
            AlertRow::Wire(columns, row) => columns.severity(*row),
            AlertRow::Own(sensed) => sensed.severity,
        }
    }

    pub(crate) fn source(&self) -> &'a str {
        match self {
            AlertRow::Wire(columns, row) => columns.source(*row),
            AlertRow::Own(_) => OWN_SOURCE,
        }
    }

    pub(crate) fn name(&self) -> &'a str {
        match self {
            AlertRow::Wire(columns, row) => columns.name(*row),
            AlertRow::Own(sensed) => &sensed.name,
        }
    }

    pub(crate) fn entity(&self) -> &'a str {
        match self {
            AlertRow::Wire(columns, row) => columns.entity(*row),
            AlertRow::Own(sensed) => &sensed.entity,
        }
    }

    pub(crate) fn starts_at(&self) -> EventTime {
        match self {
            AlertRow::Wire(columns, row) => columns.starts_at(*row),
            AlertRow::Own(sensed) => sensed.starts_at,
        }
    }

    /// When it ends, of a row that acts at `now`: another tool's clock says how long from its own time on.
    pub(crate) fn ends_at(&self, now: EventTime) -> Option<EventTime> {
        match self {
            AlertRow::Wire(columns, row) => columns.ends_at(*row).map(|at| at.plus(self.late(now))),
            AlertRow::Own(sensed) => sensed.ends_at,
        }
    }

    /// By how much it acts at `now` later than it came to pass, by the clock that says so.
    pub(crate) fn late(&self, now: EventTime) -> Span {
        match self {
            AlertRow::Wire(columns, row) => now.since(EventTime(columns.time[*row])),
            AlertRow::Own(sensed) => sensed.late,
        }
    }

    pub(crate) fn url(&self) -> Option<&'a str> {
        match self {
            AlertRow::Wire(columns, row) => columns.url(*row),
            AlertRow::Own(_) => None,
        }
    }

    pub(crate) fn labels(&self) -> LabelSet {
        match self {
            AlertRow::Wire(columns, row) => own_labels(columns.labels(*row)),
            AlertRow::Own(sensed) => sensed.labels.clone(),
        }
    }

    pub(crate) fn annotations(&self) -> LabelSet {
        match self {
            AlertRow::Wire(columns, row) => own_labels(columns.annotations(*row)),
            AlertRow::Own(sensed) => [("message", &sensed.message), ("summary", &sensed.summary)]
                .into_iter()
                .filter(|(_, text)| !text.is_empty())
                .map(|(name, text)| (name.into(), text.clone()))
                .collect(),
        }
    }

    pub(crate) fn observation(&self) -> Option<Observation> {
        match self {
            AlertRow::Wire(..) => None,
            AlertRow::Own(sensed) => sensed.observation.clone(),
        }
    }

    /// A text that orders two rows equal in time, fingerprint and status.
    pub(crate) fn tie_break(&self) -> String {
        let mut text = format!("{}|{}|", self.severity(), self.starts_at());
        for (name, value) in self.annotations() {
            text.push_str(&name);
            text.push('=');
            text.push_str(&value);
            text.push('|');
        }
        text
    }
}

/// Why an alert is held back.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Suppression {
    /// Which mechanism.
    pub(crate) by: Suppressor,
    /// In words.
    pub(crate) reason: Box<str>,
    /// When to look again; `None` when only another event can end it.
    pub(crate) until: Option<EventTime>,
}

/// The mechanisms that hold alerts back.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub(crate) enum Suppressor {
    /// It fires and recovers too often to mean anything.
    Flapping,
    /// Work on the entity was announced.
    Maintenance,
    /// Another alert says the same, better.
    Inhibition,
    /// An operator asked for quiet.
    Silence,
}

impl Suppressor {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Suppressor::Flapping => "flapping",
            Suppressor::Maintenance => "maintenance",
            Suppressor::Inhibition => "inhibition",
            Suppressor::Silence => "silence",
        }
    }
}

/// How many status changes an alert remembers: enough to see flapping.
pub(crate) const TRANSITIONS_KEPT: usize = 8;

/// The annotations that hold a text for people, the shortest first.
const TEXTS: [&str; 3] = ["summary", "description", "message"];

/// How much of one text is looked through for names.
const MENTION_BYTES_MAX: usize = 1_024;

/// What an alert takes beside its texts: itself and its status changes, and its place in the look-up tables.
const ALERT_BYTES: usize = size_of::<Option<Alert>>() * 4 / 3 + TRANSITIONS_KEPT * 8 + 160;

/// One remembered alert.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Alert {
    pub(crate) fingerprint: u64,
    pub(crate) source: Sym,
    pub(crate) name: Sym,
    pub(crate) entity: Sym,
    pub(crate) severity: Severity,
    pub(crate) status: AlertStatus,
    /// Beginning of the present or last firing.
    pub(crate) starts_at: EventTime,
    /// Beginning of its first firing as a part of its present incident: who asks what came first
    /// is not misled by what fires again.
    pub(crate) began_at: EventTime,
    /// End of the last firing.
    pub(crate) resolved_at: Option<EventTime>,
    /// Last row.
    pub(crate) last_at: EventTime,
    /// When it counts as recovered without another word.
    pub(crate) expires_at: EventTime,
    /// By how much it fired later than it came to pass.
    pub(crate) late: Span,
    /// Rows so far.
    pub(crate) count: u64,
    /// Times of the latest status changes, newest last.
    pub(crate) transitions: Vec<EventTime>,
    pub(crate) labels: LabelSet,
    pub(crate) annotations: LabelSet,
    pub(crate) url: Option<Box<str>>,
    pub(crate) observation: Option<Observation>,
    pub(crate) suppression: Option<Suppression>,
    /// How much it speaks of its entity's own condition, 0–1; set when it first fires.
    pub(crate) condition: f64,
    /// The names that its texts hold but its own, sorted; set with `condition`.
    pub(crate) mentioned: Box<[u32]>,
    /// The incident it is part of, by the ledger's number.
    pub(crate) incident: Option<u64>,
    /// The one timer it may have.
    pub(crate) timer: Option<EventTime>,
}

impl Alert {
    pub(crate) fn is_firing(&self) -> bool {
        self.status == AlertStatus::Firing
    }

    /// Firing, and nothing holds it back.
    pub(crate) fn is_live(&self) -> bool {
        self.is_firing() && self.suppression.is_none()
    }

    /// What of our own sensing raised it; `None` where another tool did.
    pub(crate) fn detector(&self) -> Option<DetectorKind> {
        self.observation.as_ref().map(|seen| seen.detector)
    }

    /// Whether it tells what is to come.
    pub(crate) fn is_forecast(&self) -> bool {
        self.detector() == Some(DetectorKind::Exhaustion)
    }

    /// Whether it is the movement of a series, by our own model.
    pub(crate) fn is_anomaly(&self) -> bool {
        self.detector() == Some(DetectorKind::Anomaly)
    }

    /// Whether it only supports, dates and explains: a series moved, which nobody needs to have felt.
    /// `matters` says whether users of its entity feel what goes on there.
    pub(crate) fn is_evidence(&self, matters: bool) -> bool {
        let felt = self.observation.as_ref().is_some_and(|seen| seen.felt);
        self.is_anomaly() && !(felt && matters)
    }

    /// Whether it is something that our own models found, and nobody asked for.
    pub(crate) fn is_finding(&self) -> bool {
        matches!(self.detector(), Some(DetectorKind::Anomaly | DetectorKind::LogWatch))
    }

    /// Whether a person wrote the condition that raised it, here or in another tool.
    pub(crate) fn is_written(&self) -> bool {
        matches!(self.detector(), None | Some(DetectorKind::Rule | DetectorKind::Heartbeat))
    }

    /// The metric or log template that one of our detectors saw; empty where another tool raised it.
    pub(crate) fn seen(&self) -> &str {
        self.observation.as_ref().map_or("", |seen| &*seen.name)
    }

    /// About how many bytes it takes in its table.
    pub(crate) fn bytes(&self) -> usize {
        ALERT_BYTES + pairs(&self.labels) + self.text_bytes()
    }

    /// What of it the texts take that a further row may replace.
    pub(crate) fn text_bytes(&self) -> usize {
        let url = self.url.as_ref().map_or(0, |url| allocation(url.len()));
        pairs(&self.annotations) + url + self.observation.as_ref().map_or(0, |seen| allocation(seen.name.len()))
    }

    /// Remembers a status change.
    pub(crate) fn note_transition(&mut self, at: EventTime) {
        if self.transitions.len() == TRANSITIONS_KEPT {
            self.transitions.remove(0);
        }
        self.transitions.push(at);
    }

    /// The text people wrote for it: `summary`, else `description`, else nothing.
    pub(crate) fn summary(&self) -> &str {
        TEXTS.iter().find_map(|key| label(&self.annotations, key)).unwrap_or("")
    }

    /// Appends the names in what people and tools wrote of it, but its own; see [`names_in`].
    pub(crate) fn names_in_texts(&self, name: &str, own: u32, is_name: impl Fn(u32) -> bool, out: &mut Vec<u32>) {
        let texts = TEXTS.iter().filter_map(|key| label(&self.annotations, key));
        for text in std::iter::once(name).chain(texts).chain([self.seen()]) {
            names_in(cut_to(text, MENTION_BYTES_MAX), own, &is_name, out);
        }
    }

    /// The words by which it resembles other alerts.
    pub(crate) fn tokens(&self, name: &str, out: &mut Vec<u32>) {
        let mut text = String::with_capacity(160);
        text.push_str(name);
        text.push(' ');
        text.push_str(self.summary());
        text.push(' ');
        text.push_str(self.seen());
        tokenize(&text, out);
    }
}
