//! One shard of the log side of `sense`: templates, and what streams do that they never did.

use arrow::array::Array;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use bellwether_models::logs::{LogFinding, LogFindingKind, StreamWatch};
use bellwether_models::templates::Miner;

use super::compiled::CompiledSense;
use super::line::LogLine;
use super::raise::{Raise, short};
use crate::alert::{DetectorKind, Observation, Sensed};
use crate::incident::EvidenceSignal;
use crate::memory::{allocation, hashed};
use crate::signal::{AlertStatus, Severity};
use crate::time::{EventTime, Span};
use crate::waiting::Waiting;

/// One log stream.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Stream {
    entity: Box<str>,
    watch: StreamWatch,
}

/// What a shard may hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogRoom {
    /// Streams.
    pub(super) streams: usize,
    /// Whether there are to be further templates; else a new one takes the place of another.
    pub(super) templates: bool,
    /// Bytes for the shapes of lines.
    pub(super) shapes: usize,
}

/// The log streams of one shard.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct LogShard {
    #[serde(skip)]
    pending: Waiting<LogLine>,
    miner: Option<Miner>,
    #[serde(with = "crate::serial::sorted_map")]
    streams: HashMap<u64, Stream, foldhash::fast::FixedState>,
    /// Windows are closed up to here.
    advanced: Option<EventTime>,
    /// Lines of streams beyond the limit: mined, not watched.
    unwatched: u64,
    /// About how many bytes the streams take.
    #[serde(skip)]
    bytes: usize,
}

/// What a stream takes beside its name and the templates that it follows.
const STREAM_BYTES: usize = hashed(size_of::<(u64, Stream)>());

impl LogShard {
    pub(crate) fn push(&mut self, line: LogLine) {
        self.pending.push(line);
    }

    pub(crate) fn pending(&self) -> &Waiting<LogLine> {
        &self.pending
    }

    /// About how many bytes streams and templates take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.miner.as_ref().map_or(0, Miner::bytes)
    }

    /// Rebuilds what a checkpoint leaves out.
    pub(super) fn revive(&mut self) {
        let of = |stream: &Stream| STREAM_BYTES + allocation(stream.entity.len()) + stream.watch.bytes();
        self.bytes = self.streams.values().map(of).sum();
    }

    pub(crate) fn stream_count(&self) -> usize {
        self.streams.len()
    }

    /// Whose the streams are.
    pub(super) fn entities(&self) -> impl Iterator<Item = &str> {
        self.streams.values().map(|stream| &*stream.entity)
    }

    /// The templates of its lines: id, text and lines.
    pub(super) fn templates(&self) -> impl Iterator<Item = (u64, &str, u64)> {
        self.miner.iter().flat_map(Miner::templates)
    }

    pub(crate) fn template_count(&self) -> usize {
        self.miner.as_ref().map_or(0, Miner::len)
    }

    pub(crate) fn evicted(&self) -> u64 {
        self.unwatched
            + self.miner.as_ref().map_or(0, Miner::evicted)
            + self.streams.values().map(|s| s.watch.evicted()).sum::<u64>()
    }

    /// Works by other settings: what has been learned by the old ones is forgotten when they
    /// shaped it. Alerts of streams end by themselves, at the time they were given.
    pub(crate) fn reconfigure(&mut self, before: &CompiledSense, now: &CompiledSense) {
        let (old, new) = (&before.logs, &now.logs);
        if old.templates != new.templates || old.watch != new.watch {
            self.miner = None;
            self.streams.clear();
            self.bytes = 0;
        }
    }

    /// Releases everything before `until`; alerts go to `out` with their event times. Returns
    /// how many rules DataFusion could not evaluate.
    pub(crate) fn release(
        &mut self,
        until: EventTime,
        room: LogRoom,
        sense: &CompiledSense,
        out: &mut Vec<(EventTime, Sensed)>,
    ) -> u64 {
        let mut ready = self.pending.take(until);
        ready.sort_by_key(|l| (l.time, l.stream, l.content, l.severity));
        let mut errors = 0;
        for rule in &sense.log_rules {
            if ready.is_empty() {
                break;
            }
            let (answers, error) = rule.log_answers(&ready);
            errors += u64::from(error.is_some());
            for (i, line) in ready.iter().enumerate() {
                if answers.is_valid(i) && answers.value(i) {
                    out.push(rule.log_alert(line));
                }
            }
        }
        if sense.logs.enabled {
            self.watch(&ready, room, sense, out);
            self.advance(until, sense, out);
        }
        errors
    }

    fn watch(&mut self, lines: &[LogLine], room: LogRoom, sense: &CompiledSense, out: &mut Vec<(EventTime, Sensed)>) {
        if lines.is_empty() {
            return;
        }
        let miner = self.miner.get_or_insert_with(|| Miner::new(sense.miner.clone()));
        miner.hold(!room.templates);
        miner.remember(room.shapes);
        let mut findings = Vec::new();
        for line in lines {
            let found = miner.learn(line.body());
            if !self.streams.contains_key(&line.stream) && self.streams.len() >= room.streams {
                self.unwatched += 1;
                continue;
            }
            let bytes = &mut self.bytes;
            let stream = self.streams.entry(line.stream).or_insert_with(|| {
                let entity: Box<str> = line.entity().into();
                *bytes += STREAM_BYTES + allocation(entity.len());
                Stream { entity, watch: StreamWatch::new(sense.watch.clone()) }
            });
            let id = miner.id(found.template);
            let before = stream.watch.bytes();
            stream.watch.observe(line.time.0, id, found.is_new, line.severity, &mut findings);
            *bytes = *bytes + stream.watch.bytes() - before;
            for finding in findings.drain(..) {
                let seen = (finding.template == id).then(|| (miner.text(found.template), line.body()));
                out.extend(finding_alert(&stream.entity, &finding, seen, sense));
            }
        }
    }

    /// Closes the windows that end before `until`.
    fn advance(&mut self, until: EventTime, sense: &CompiledSense, out: &mut Vec<(EventTime, Sensed)>) {
        if until == EventTime::MAX {
            return;
        }
        // Windows end on whole multiples: nothing can happen until the next one is over.
        let window = Span::from_secs(i64::from(sense.logs.watch.window_secs)).0.max(1);
        let edge = EventTime(until.0.saturating_sub(1).div_euclid(window).saturating_mul(window));
        if self.advanced.is_some_and(|at| at >= edge) {
            return;
        }
        self.advanced = Some(edge);
        let mut ids: Vec<u64> = self.streams.keys().copied().collect();
        ids.sort_unstable();
        let mut findings = Vec::new();
        for id in ids {
            let stream = self.streams.get_mut(&id).expect("the key came from the map");
            stream.watch.advance(edge.0, &mut findings);
            for finding in findings.drain(..) {
                out.extend(finding_alert(&stream.entity, &finding, None, sense));
            }
        }
    }
}

/// The alert of a finding, `seen` being the text of its template and the line that showed it; `None` when it is not
/// worth one.
fn finding_alert(
    entity: &str,
    finding: &LogFinding,
    seen: Option<(&str, &str)>,
    sense: &CompiledSense,
) -> Option<(EventTime, Sensed)> {
    let template = format!("{:016x}", finding.template);
    let (text, message) = seen.unwrap_or((&template, ""));
    let shown: String = text.chars().take(200).collect();
    let (name, severity, value, expected, summary) = match &finding.kind {
        LogFindingKind::NewTemplate { severity } => {
            if *severity < sense.logs.new_template_severity_min {
                return None;
            }
            let level = log_severity(*severity);
            ("NewLogTemplate", level, None, None, format!("new log line on {entity}: {shown}"))
        }
        LogFindingKind::Surge { rate, expected } => (
            "LogSurge",
            Severity::Warning,
            Some(*rate),
            Some(*expected),
            format!("{} lines a minute on {entity} instead of {}: {shown}", short(*rate), short(*expected)),
        ),
        LogFindingKind::Vanished { expected, windows } => (
            "LogVanished",
            Severity::Info,
            Some(0.0),
            Some(*expected),
            format!("a regular log line stopped on {entity} {windows} minutes ago: {shown}"),
        ),
        LogFindingKind::Reordered { .. } => (
            "LogReordered",
            Severity::Info,
            None,
            None,
            format!("log lines on {entity} come in another order: {shown}"),
        ),
    };
    let at = EventTime(finding.at_ns);
    Some(
        Raise {
            name,
            entity,
            severity,
            status: AlertStatus::Firing,
            starts_at: at,
            ends_at: Some(at.plus(sense.logs.hold)),
            labels: &Box::default(),
            about: ("template", &template),
            summary,
            message,
            observation: Some(Observation {
                signal: EvidenceSignal::Log,
                name: shown.as_str().into(),
                value,
                expected,
                score: finding.score,
                detector: DetectorKind::LogWatch,
                felt: false,
            }),
        }
        .at(at),
    )
}

/// The alert severity of a log line's severity number (OpenTelemetry ranges).
fn log_severity(number: u8) -> Severity {
    match number {
        21.. => Severity::Major,
        17..=20 => Severity::Minor,
        13..=16 => Severity::Warning,
        _ => Severity::Info,
    }
}
