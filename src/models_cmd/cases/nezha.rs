//! Nezha: services with the metrics of their pods, the two sides of each link,
//! and visits from traces and logs where the day has them.

use super::NamedCase;
use anyhow::{Context, Result, bail};
use bellwether_datasets::public::nezha::{self, LogLine, Metrics, Span, service_of};
use bellwether_models::causes::case::{Indicator, IndicatorKind};
use bellwether_models::causes::visits::{LineView, SpanView, Visit, patterns, self_times, visits};
use bellwether_models::causes::{CauseEdge, Relation};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Seconds from the given time on that count as the fault: faults of the set
/// last three minutes and more.
const FAULT_SECS: i64 = 240;

/// Seconds around the given time that do not count as normal either.
const MARGIN_SECS: i64 = 600;

/// Seconds before the given time that count as its start: a sample is an
/// average over the minute before.
const LEAD_SECS: i64 = -20;

/// Seconds of logs and traces before the given time that count as normal.
const CALM_SECS: i64 = 60;

/// The case of one fault of a day. `at_secs` chooses the fault; it may be left
/// out when the fault list has one entry.
///
/// # Errors
/// When a file is broken, or the time is neither given nor clear.
pub fn read(day: &Path, at_secs: Option<i64>) -> Result<NamedCase> {
    let at_secs = match at_secs {
        Some(at) => at,
        None => match nezha::fault_times(day)?.as_slice() {
            [only] => *only,
            many => bail!("`{}` lists {} faults: name the time of one with --at", day.display(), many.len()),
        },
    };
    Day::open(day)?.case(at_secs)
}

/// One day, its metrics in memory, its logs and traces on disk.
pub struct Day {
    folder: PathBuf,
    fault_free: Option<PathBuf>,
    metrics: Metrics,
    normal: Metrics,
    calm: Option<(Vec<Span>, Vec<LogLine>)>,
}

impl Day {
    /// Reads the metrics of a day, and the fault-free phase beside it.
    ///
    /// # Errors
    /// When a file is broken.
    pub fn open(folder: &Path) -> Result<Self> {
        let fault_free = nezha::fault_free(folder);
        let metrics = nezha::metrics(folder)?;
        let normal = fault_free.as_deref().map(nezha::metrics).transpose()?.unwrap_or_default();
        let calm = fault_free.as_deref().map(|folder| telemetry(folder, i64::MIN, i64::MAX)).transpose()?;
        Ok(Self { folder: folder.to_path_buf(), fault_free, metrics, normal, calm })
    }

    /// The case of the fault at this time.
    ///
    /// # Errors
    /// When a log or trace file is broken.
    pub fn case(&self, at_secs: i64) -> Result<NamedCase> {
        let mut out = NamedCase::default();
        for pod in &self.metrics.pods {
            out.entity(service_of(&pod.name));
        }
        self.add_calls(&mut out);
        self.add_pods(&mut out, at_secs);
        self.add_links(&mut out, at_secs);
        self.add_visits(&mut out, at_secs).with_context(|| format!("in `{}`", self.folder.display()))?;
        Ok(out)
    }

    fn add_calls(&self, out: &mut NamedCase) {
        let mut calls: BTreeSet<(u32, u32)> = BTreeSet::new();
        for (from, to) in &self.metrics.dependencies {
            let known = |name: &str| out.names.iter().position(|other| other == name);
            if let (Some(from), Some(to)) = (known(from), known(to)) {
                calls.insert((from as u32, to as u32));
            }
        }
        add_edges(out, &calls);
    }

    fn add_pods(&self, out: &mut NamedCase, at_secs: i64) {
        for pod in &self.metrics.pods {
            let entity = out.entity(service_of(&pod.name));
            for (column, name) in pod.series.names.iter().enumerate() {
                let Some(kind) = kind_of(name) else { continue };
                let calm = self.normal.pods.iter().find(|other| other.name == pod.name);
                let calm = calm.and_then(|other| Some((&other.series, column_of(&other.series, name)?)));
                let (mut before, mut during) = (Vec::new(), Vec::new());
                if let Some((series, column)) = calm {
                    outside(&series.at_secs, &series.values[column], at_secs, &mut before);
                } else {
                    outside(&pod.series.at_secs, &pod.series.values[column], at_secs, &mut before);
                }
                inside(&pod.series.at_secs, &pod.series.values[column], at_secs, &mut during);
                out.case.indicators.push(Indicator { entity, kind, before, during });
            }
        }
    }

    /// Latency of a link belongs to the callee; what the caller sees beyond
    /// that is the network before the callee.
    fn add_links(&self, out: &mut NamedCase, at_secs: i64) {
        for (column, name) in self.metrics.source.names.iter().enumerate() {
            let Some((_, callee)) = name.split_once('_') else { continue };
            let Some(entity) = out.names.iter().position(|other| other == callee) else { continue };
            let entity = entity as u32;
            let Some(far) = column_of(&self.metrics.destination, name) else { continue };
            let seen = &self.metrics.destination.values[far];
            let gap: Vec<f64> =
                self.metrics.source.values[column].iter().zip(seen).map(|(near, far)| (near - far).max(0.0) + 1e-3).collect();
            for (kind, clock, values) in [
                (IndicatorKind::Latency, &self.metrics.destination.at_secs, seen),
                (IndicatorKind::Network, &self.metrics.source.at_secs, &gap),
            ] {
                let (mut before, mut during) = (Vec::new(), Vec::new());
                outside(clock, values, at_secs, &mut before);
                inside(clock, values, at_secs, &mut during);
                out.case.indicators.push(Indicator { entity, kind, before, during });
            }
        }
    }

    fn add_visits(&self, out: &mut NamedCase, at_secs: i64) -> Result<()> {
        let (spans, lines) = telemetry(&self.folder, at_secs - CALM_SECS, at_secs + FAULT_SECS)?;
        if spans.is_empty() {
            return Ok(());
        }
        let mut names = Names::default();
        let start_ns = at_secs.saturating_mul(1_000_000_000);
        let (mut before, mut during): (Vec<Visit>, Vec<Visit>) =
            names.visits(out, &spans, &lines).into_iter().partition(|visit| visit.start_ns < start_ns);
        if let Some((spans, lines)) = &self.calm {
            before.extend(names.visits(out, spans, lines));
        }
        during.retain(|visit| visit.start_ns < start_ns + FAULT_SECS * 1_000_000_000);
        let mut calls: BTreeSet<(u32, u32)> = BTreeSet::new();
        for pattern in patterns(&before, &during) {
            calls.extend(pattern.callee.map(|callee| (pattern.entity, callee)));
            out.case.patterns.push(pattern);
        }
        add_edges(out, &calls);
        out.case.indicators.extend(self_times(&before, &during));
        let _ = &self.fault_free;
        Ok(())
    }
}

/// Numbers for operations and templates.
#[derive(Default)]
struct Names {
    operations: BTreeMap<String, u32>,
    templates: BTreeMap<String, u32>,
}

impl Names {
    fn visits(&mut self, out: &mut NamedCase, spans: &[Span], lines: &[LogLine]) -> Vec<Visit> {
        let span_views: Vec<SpanView> = spans
            .iter()
            .map(|span| SpanView {
                trace: hash(&span.trace),
                span: hash(&span.span),
                parent: hash(&span.parent),
                entity: out.entity(service_of(&span.pod)),
                operation: number(&mut self.operations, &span.operation),
                start_ns: span.start_ns,
                end_ns: span.end_ns,
            })
            .collect();
        let line_views: Vec<LineView> = lines
            .iter()
            .map(|line| LineView {
                trace: hash(&line.trace),
                span: hash(&line.span),
                entity: out.entity(service_of(&line.pod)),
                template: number(&mut self.templates, &template(&line.body)),
            })
            .collect();
        visits(&span_views, &line_views)
    }
}

fn number(known: &mut BTreeMap<String, u32>, name: &str) -> u32 {
    if let Some(number) = known.get(name) {
        return *number;
    }
    let next = known.len() as u32;
    known.insert(name.to_owned(), next);
    next
}

fn hash(text: &str) -> u64 {
    xxhash_rust::xxh3::xxh3_64(text.as_bytes())
}

/// Words of a template: the first this many words without digits. Values come
/// late in a line, and two lines of one statement share its first words.
const TEMPLATE_WORDS: usize = 9;

/// The words of a line that do not vary: without those that hold a digit or
/// are a single letter, at most nine.
fn template(body: &str) -> String {
    let mut out = String::with_capacity(80);
    let words = body.split(|c: char| !(c.is_alphanumeric() || c == '.'));
    let fixed = |word: &&str| word.len() > 1 && !word.bytes().any(|byte| byte.is_ascii_digit());
    for word in words.filter(fixed).take(TEMPLATE_WORDS) {
        out.push_str(word);
        out.push(' ');
    }
    out
}

/// Spans and lines of the files around a stretch of time.
fn telemetry(folder: &Path, from_secs: i64, to_secs: i64) -> Result<(Vec<Span>, Vec<LogLine>)> {
    let minute = |secs: i64| secs.rem_euclid(86_400).div_euclid(60);
    let all = from_secs == i64::MIN;
    // A file is named after the minute it ends in.
    let wanted = |path: &PathBuf| {
        let Some(named) = nezha::minute_of(path) else { return false };
        all || (named >= minute(from_secs) && named <= minute(to_secs) + 1)
    };
    let (mut spans, mut lines) = (Vec::new(), Vec::new());
    for path in nezha::trace_files(folder)?.iter().filter(|path| wanted(path)) {
        spans.extend(nezha::spans(path)?);
    }
    for path in nezha::log_files(folder)?.iter().filter(|path| wanted(path)) {
        lines.extend(nezha::logs(path)?);
    }
    if !all {
        let (from_ns, to_ns) = (from_secs.saturating_mul(1_000_000_000), to_secs.saturating_mul(1_000_000_000));
        spans.retain(|span| span.start_ns >= from_ns && span.start_ns < to_ns);
        lines.retain(|line| line.at_ns >= from_ns && line.at_ns < to_ns);
    }
    Ok((spans, lines))
}

fn add_edges(out: &mut NamedCase, calls: &BTreeSet<(u32, u32)>) {
    for &(from, to) in calls {
        let known = out.case.edges.iter().any(|edge| (edge.from, edge.to) == (from, to));
        if !known {
            out.case.edges.push(CauseEdge { from, to, relation: Relation::Calls, confidence: 1.0 });
        }
    }
}

fn column_of(series: &bellwether_datasets::public::Series, name: &str) -> Option<usize> {
    series.names.iter().position(|known| known == name)
}

/// Values far from the fault.
fn outside(clock: &[f64], values: &[f64], at_secs: i64, out: &mut Vec<f64>) {
    let at = at_secs as f64;
    let margin = MARGIN_SECS as f64;
    let calm = clock.iter().zip(values).filter(|(time, _)| **time < at - 60.0 || **time > at + margin);
    out.extend(calm.map(|(_, value)| *value));
}

/// Values of the fault.
fn inside(clock: &[f64], values: &[f64], at_secs: i64, out: &mut Vec<f64>) {
    let from = (at_secs + LEAD_SECS) as f64;
    let to = (at_secs + FAULT_SECS) as f64;
    out.extend(clock.iter().zip(values).filter(|(time, _)| **time >= from && **time < to).map(|(_, value)| *value));
}

/// What a metric of a pod measures; metrics of its node are not its own.
fn kind_of(metric: &str) -> Option<IndicatorKind> {
    match metric {
        "CpuUsageRate(%)" => Some(IndicatorKind::Cpu),
        "MemoryUsageRate(%)" => Some(IndicatorKind::Memory),
        "PodServerLatencyP90(s)" | "PodServerLatencyP95(s)" => Some(IndicatorKind::Latency),
        "PodWorkload(Ops)" | "NetworkReceiveBytes" | "NetworkTransmitBytes" => Some(IndicatorKind::Traffic),
        _ => None,
    }
}
