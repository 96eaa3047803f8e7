//! Whose clock dated a row, and what became of rows whose time is not that of their arrival.
//!
//! A *source* is what has a clock: the host that a label of the series or log line names, else the entity it
//! is about; for alerts, changes and edges the tool that says them. The credential says less: a collector
//! sends for many hosts by one, and the collector's clock dates none of their rows.

use serde::{Deserialize, Serialize};

use crate::signal::SignalKind;
use crate::time::{EventTime, Span};

/// Labels that name the host whose clock dates a row, the surest first.
const HOST_LABELS: [&str; 8] =
    ["host.name", "host_name", "hostname", "host", "nodename", "k8s.node.name", "node", "instance"];

/// What kind of thing has the clock.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceClass {
    /// A host that a label names.
    Host,
    /// The entity that a row is about; no label names a host.
    Entity,
    /// A tool that says alerts, changes or edges.
    Tool,
}

impl SourceClass {
    /// Every class.
    pub const ALL: [SourceClass; 3] = [SourceClass::Host, SourceClass::Entity, SourceClass::Tool];

    /// The word in figures.
    pub const fn name(self) -> &'static str {
        match self {
            SourceClass::Host => "host",
            SourceClass::Entity => "entity",
            SourceClass::Tool => "tool",
        }
    }
}

/// Who dated a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Origin<'a> {
    pub(crate) class: SourceClass,
    pub(crate) name: &'a str,
}

impl<'a> Origin<'a> {
    /// A tool that says alerts, changes or edges.
    pub(crate) fn tool(name: &'a str) -> Origin<'a> {
        Origin { class: SourceClass::Tool, name }
    }

    /// Who dated a row about `entity`; `label` finds the value of a label.
    pub(crate) fn of(entity: &'a str, label: impl Fn(&str) -> Option<&'a str>) -> Origin<'a> {
        match HOST_LABELS.into_iter().find_map(|name| label(name).filter(|host| !host.is_empty())) {
            Some(name) => Origin { class: SourceClass::Host, name },
            None => Origin { class: SourceClass::Entity, name: entity },
        }
    }
}

/// What became of a row whose time is not that of its arrival.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    /// From the future: dated as of its arrival.
    Ahead,
    /// Late, and used: a sample in the order of its source, anything else as of now.
    Behind,
    /// A sample older than its series has come already: left out.
    OutOfOrder,
    /// A sample older than any that is watched: left out.
    TooOld,
}

const FATES: [(Fate, &str); 4] =
    [(Fate::Ahead, "ahead"), (Fate::Behind, "behind"), (Fate::OutOfOrder, "out_of_order"), (Fate::TooOld, "too_old")];

/// The kinds of rows that have a time, as figures name them: those of signals, and what people say.
const KINDS: [&str; 6] = ["edge", "change", "metric", "log", "alert", "action"];

/// What a row is, for these counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Dated {
    /// A signal.
    Signal(SignalKind),
    /// What somebody said.
    Action,
}

impl Dated {
    fn place(self) -> usize {
        match self {
            Dated::Signal(SignalKind::Edge) => 0,
            Dated::Signal(SignalKind::Change) => 1,
            // Series have no time.
            Dated::Signal(SignalKind::Metric | SignalKind::Series) => 2,
            Dated::Signal(SignalKind::Log) => 3,
            Dated::Signal(SignalKind::Alert) => 4,
            Dated::Action => 5,
        }
    }
}

/// Rows whose time was not that of their arrival, by what they are, whose clock dated them, and their fate.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct OffTime([[[u64; FATES.len()]; SourceClass::ALL.len()]; KINDS.len()]);

impl OffTime {
    pub(crate) fn add(&mut self, what: Dated, class: SourceClass, fate: Fate, rows: u64) {
        self.0[what.place()][class as usize][fate as usize] += rows;
    }

    pub(crate) fn sum(&mut self, other: &OffTime) {
        let counts = self.0.as_flattened_mut().as_flattened_mut();
        let more = other.0.as_flattened().as_flattened();
        counts.iter_mut().zip(more).for_each(|(count, more)| *count += more);
    }

    /// What was counted: kind of signal, class of source, fate, rows. What was not is left out.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &'static str, &'static str, u64)> {
        let by_kind = KINDS.into_iter().zip(&self.0);
        let by_class = by_kind.flat_map(|(kind, classes)| {
            SourceClass::ALL.into_iter().zip(classes).map(move |(class, fates)| (kind, class.name(), fates))
        });
        by_class.flat_map(|(kind, class, fates)| {
            let counted = FATES.into_iter().zip(fates).filter(|(_, rows)| **rows > 0);
            counted.map(move |((_, fate), rows)| (kind, class, fate, *rows))
        })
    }

    /// Rows that came late, used or not.
    pub fn late(&self) -> u64 {
        self.iter().filter(|(_, _, fate, _)| *fate != "ahead").map(|(_, _, _, rows)| rows).sum()
    }

    /// Rows that came too late to be used: samples.
    pub fn left_out(&self) -> u64 {
        self.iter().filter(|(_, _, fate, _)| matches!(*fate, "out_of_order" | "too_old")).map(|(.., rows)| rows).sum()
    }
}

/// A source whose clock is far from the time at which its rows arrive.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ClockView {
    /// What kind of thing it is.
    pub class: SourceClass,
    /// Its name.
    pub name: String,
    /// How far ahead its clock is; negative when it is behind, or all it sends takes so long.
    pub ahead: Span,
    /// Since when, in engine time.
    pub since: EventTime,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fast_host_behind_a_shared_collector_is_known_by_its_own_label() {
        let label = |name: &str| match name {
            "host.name" => Some("web-7"),
            "instance" => Some("collector:4317"),
            _ => None,
        };
        assert_eq!(Origin::of("service:shop", label), Origin { class: SourceClass::Host, name: "web-7" });
        let none = |_: &str| None;
        assert_eq!(Origin::of("service:shop", none), Origin { class: SourceClass::Entity, name: "service:shop" });
    }

    #[test]
    fn what_is_counted_is_told_by_name_and_added_up() {
        let (metric, mut one) = (Dated::Signal(SignalKind::Metric), OffTime::default());
        one.add(metric, SourceClass::Host, Fate::TooOld, 2);
        one.add(Dated::Action, SourceClass::Tool, Fate::Ahead, 1);
        let mut both = one;
        both.sum(&one);
        let told: Vec<_> = both.iter().collect();
        assert_eq!(told, [("metric", "host", "too_old", 4), ("action", "tool", "ahead", 2)]);
        assert_eq!((both.late(), both.left_out()), (4, 4));
    }
}
