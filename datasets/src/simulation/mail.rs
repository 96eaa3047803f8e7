//! What has been said and has not arrived yet.
//!
//! Each signal has a time of arrival of its own: its tool's delay, some jitter, and for a few a
//! long way round. A heap puts them in order; what has arrived by a step's end comes out as one
//! batch for each tenant and kind.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use bellwether_engine::input::Input;
use bellwether_engine::signal::{
    AlertBuilder, AlertRow, AlertStatus, Batch, ChangeBuilder, ChangeRow, LogBuilder, LogRow, MetricBuilder, SignalKind,
};
use bellwether_engine::signal::{Severity, SignalError};
use bellwether_engine::time::EventTime;

use super::plan::{Plan, PlannedChange};
use crate::monitoring::AlertWords;

/// One signal under way.
#[derive(Clone, Debug)]
pub(super) enum Signal {
    Metric { at: EventTime, series: u64, value: f64 },
    Log(Box<LogLine>),
    Alert(Box<Notice>),
    Change(Box<PlannedChange>),
}

impl Signal {
    fn kind(&self) -> SignalKind {
        match self {
            Signal::Metric { .. } => SignalKind::Metric,
            Signal::Log(_) => SignalKind::Log,
            Signal::Alert(_) => SignalKind::Alert,
            Signal::Change(_) => SignalKind::Change,
        }
    }
}

/// One log line.
#[derive(Clone, Debug)]
pub(super) struct LogLine {
    pub(super) at: EventTime,
    pub(super) entity: usize,
    pub(super) severity: u8,
    pub(super) body: String,
}

/// One notification of a tool.
#[derive(Clone, Debug)]
pub(super) struct Notice {
    pub(super) at: EventTime,
    pub(super) source: &'static str,
    pub(super) name: &'static str,
    pub(super) entity: usize,
    pub(super) severity: Severity,
    pub(super) status: AlertStatus,
    pub(super) fingerprint: u64,
    pub(super) words: AlertWords,
    pub(super) starts_at: EventTime,
    pub(super) ends_at: Option<EventTime>,
}

#[derive(Debug)]
struct Letter {
    arrives: EventTime,
    /// Equal arrivals keep the order in which they were sent.
    number: u64,
    tenant: usize,
    signal: Signal,
}

impl PartialEq for Letter {
    fn eq(&self, other: &Letter) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Letter {}

impl PartialOrd for Letter {
    fn partial_cmp(&self, other: &Letter) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Letter {
    fn cmp(&self, other: &Letter) -> Ordering {
        (self.arrives, self.number).cmp(&(other.arrives, other.number))
    }
}

/// Everything under way.
pub(super) struct Mail {
    letters: BinaryHeap<Reverse<Letter>>,
    sent: u64,
    tenants: Vec<String>,
    entities: Vec<String>,
}

impl Mail {
    pub(super) fn new(plan: &Plan) -> Mail {
        Mail {
            letters: BinaryHeap::new(),
            sent: 0,
            tenants: plan.estate.tenants.iter().map(|t| t.name.clone()).collect(),
            entities: plan.estate.entities.iter().map(|e| e.id.clone()).collect(),
        }
    }

    /// Puts a signal on its way.
    pub(super) fn send(&mut self, tenant: usize, arrives: EventTime, signal: Signal) {
        self.sent += 1;
        self.letters.push(Reverse(Letter { arrives, number: self.sent, tenant, signal }));
    }

    /// Takes out what arrives before `until`, as batches.
    pub(super) fn deliver(&mut self, until: EventTime, ready: &mut VecDeque<Input>) {
        let mut piles: BTreeMap<(usize, SignalKind), Pile> = BTreeMap::new();
        while self.letters.peek().is_some_and(|Reverse(letter)| letter.arrives < until) {
            let Some(Reverse(letter)) = self.letters.pop() else {
                break;
            };
            let kind = letter.signal.kind();
            piles.entry((letter.tenant, kind)).or_insert_with(|| Pile::new(kind)).push(
                &letter.signal,
                &self.entities,
                &self.tenants[letter.tenant],
            );
        }
        for ((tenant, _), pile) in piles {
            let batch = pile.finish(&self.tenants[tenant]).expect("tenant names are checked");
            ready.push_back(Input::Batch(batch));
        }
    }
}

/// A batch being filled.
#[allow(clippy::large_enum_variant)] // a handful live at a time
enum Pile {
    Metric(MetricBuilder),
    Log(LogBuilder),
    Alert(AlertBuilder),
    Change(ChangeBuilder),
}

impl Pile {
    fn new(kind: SignalKind) -> Pile {
        match kind {
            SignalKind::Metric => Pile::Metric(MetricBuilder::new()),
            SignalKind::Log => Pile::Log(LogBuilder::new()),
            SignalKind::Alert => Pile::Alert(AlertBuilder::new()),
            _ => Pile::Change(ChangeBuilder::new()),
        }
    }

    fn push(&mut self, signal: &Signal, entities: &[String], tenant: &str) {
        match (self, signal) {
            (Pile::Metric(builder), Signal::Metric { at, series, value }) => builder.push(*at, *series, *value),
            (Pile::Log(builder), Signal::Log(line)) => {
                builder.push(&LogRow {
                    time: line.at,
                    entity: &entities[line.entity],
                    severity: line.severity,
                    body: &line.body,
                    attributes: &[],
                    trace_id: None,
                });
            }
            (Pile::Alert(builder), Signal::Alert(notice)) => push_notice(builder, notice, &entities[notice.entity]),
            (Pile::Change(builder), Signal::Change(change)) => builder.push(&ChangeRow {
                time: change.at,
                id: &change.id,
                change_type: &change.change_type,
                entity: &entities[change.entity],
                artifact: None,
                who: Some(&change.who),
                url: Some(&format!("https://changes.{tenant}.example/{}", change.id)),
                text: Some(&change.text),
            }),
            _ => debug_assert!(false, "a signal lies on the pile of its kind"),
        }
    }

    fn finish(self, tenant: &str) -> Result<Batch, SignalError> {
        match self {
            Pile::Metric(mut builder) => builder.finish(tenant),
            Pile::Log(mut builder) => builder.finish(tenant),
            Pile::Alert(mut builder) => builder.finish(tenant),
            Pile::Change(mut builder) => builder.finish(tenant),
        }
    }
}

fn push_notice(builder: &mut AlertBuilder, notice: &Notice, entity: &str) {
    let labels: Vec<(&str, &str)> = notice.words.labels.iter().map(|(k, v)| (*k, v.as_str())).collect();
    let annotations: Vec<(&str, &str)> = notice.words.annotations.iter().map(|(k, v)| (*k, v.as_str())).collect();
    builder.push(&AlertRow {
        time: notice.at,
        source: notice.source,
        name: notice.name,
        entity,
        severity: notice.severity,
        status: notice.status,
        fingerprint: notice.fingerprint,
        labels: &labels,
        annotations: &annotations,
        starts_at: notice.starts_at,
        ends_at: notice.ends_at,
        url: Some(&notice.words.url),
    });
}
