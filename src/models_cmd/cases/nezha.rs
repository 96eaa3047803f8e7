//! Nezha: services with the metrics of their pods, the two sides of each link,
//! and visits from traces and logs where the day has them.

use super::NamedCase;
use anyhow::{Context, Result, bail};
use bellwether_datasets::public::nezha::{self, LogLine, Metrics, Span, service_of};
use bellwether_models::causes::case::{Indicator, IndicatorKind};
use bellwether_models::causes::visits::{LineView, SpanView, Usual, Visit, patterns, times, visits};
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

/// Seconds before the given time from which visits count as the fault: its
/// start is known to the minute. Further back lies what was before it.
const VISITS_BACK_SECS: i64 = 30;

/// Seconds from the given time on in which visits count as the fault: the three
/// minutes that the shortest last, less one by which detection may be late.
/// After its end visits are as usual again, and thin it out.
const VISITS_SECS: i64 = 120;

/// Visits older than this count as normal.
const CALM_GAP_SECS: i64 = 300;

/// The stretch just before the fault that tells what was off already.
const RECENT_FROM_SECS: i64 = 420;

/// End of that stretch.
const RECENT_TO_SECS: i64 = 120;

/// Least time on a link, in seconds: clock differences below a millisecond are
/// no signal.
const LINK_SECS_MIN: f64 = 1e-3;

/// The case of one fault of a day. `at_secs` chooses the fault; it may be left
/// out when the fault list has one entry.
///
/// # Errors
/// When a file is broken, or the time is neither given nor clear.
pub fn read(day: &Path, at_secs: Option<i64>, late_secs: i64) -> Result<NamedCase> {
    let at_secs = match at_secs {
        Some(at) => at,
        None => match nezha::fault_times(day)?.as_slice() {
            [only] => *only,
            [] => bail!("the fault list of `{}` is empty: name a time with --at", day.display()),
            many => bail!("`{}` lists {} faults: name the time of one with --at", day.display(), many.len()),
        },
    };
    Day::open(day)?.case(at_secs + late_secs)
}

/// One day: its metrics in memory, its logs and traces read as they are needed.
pub struct Day {
    folder: PathBuf,
    metrics: Metrics,
    normal: Metrics,
    base: NamedCase,
    names: Names,
    minutes: BTreeMap<PathBuf, Vec<Visit>>,
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
        let mut base = NamedCase::default();
        for pod in &metrics.pods {
            base.entity(service_of(&pod.name));
        }
        let (names, minutes) = (Names::default(), BTreeMap::new());
        Ok(Self { folder: folder.to_path_buf(), metrics, normal, base, names, minutes })
    }

    /// The case of the fault at this time.
    ///
    /// # Errors
    /// When a log or trace file is broken.
    pub fn case(&mut self, at_secs: i64) -> Result<NamedCase> {
        let (before, during) =
            self.visits_around(at_secs).with_context(|| format!("in `{}`", self.folder.display()))?;
        let mut out = self.base.clone();
        self.add_calls(&mut out);
        self.add_pods(&mut out, at_secs);
        self.add_volume(&mut out, at_secs);
        self.add_links(&mut out, at_secs);
        add_visits(&mut out, &before, &during);
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
                let calm = self.normal.pods.iter().find(|other| other.name == pod.name).map(|other| &other.series);
                let calm = calm.and_then(|series| Some((series, column_of(series, name)?)));
                let (series, calm_column) = calm.unwrap_or((&pod.series, column));
                let mut indicator = window(entity, kind, &pod.series.at_secs, &pod.series.values[column], at_secs);
                indicator.before = outside(&series.at_secs, &series.values[calm_column], at_secs);
                out.case.indicators.push(indicator);
            }
        }
    }

    /// Requests of each service within the fault, from its rate per second.
    fn add_volume(&self, out: &mut NamedCase, at_secs: i64) {
        out.case.volume = vec![f64::NAN; out.names.len()];
        for pod in &self.metrics.pods {
            let Some(column) = column_of(&pod.series, "PodWorkload(Ops)") else { continue };
            let (clock, values) = (&pod.series.at_secs, &pod.series.values[column]);
            let rates = window(0, IndicatorKind::Traffic, clock, values, at_secs).during;
            let known: Vec<f64> = rates.into_iter().filter(|rate| rate.is_finite()).collect();
            if let Some(slot) = out.names.iter().position(|name| name == service_of(&pod.name)) {
                let requests = known.iter().sum::<f64>() * 60.0;
                let all = &mut out.case.volume[slot];
                *all = if all.is_nan() { requests } else { *all + requests };
            }
        }
    }

    /// Latency of a link belongs to the callee; what the caller sees beyond
    /// that is the network before the callee.
    fn add_links(&self, out: &mut NamedCase, at_secs: i64) {
        let (source, destination) = (&self.metrics.source, &self.metrics.destination);
        for (column, name) in source.names.iter().enumerate() {
            let Some((_, callee)) = name.split_once('_') else { continue };
            let Some(entity) = out.names.iter().position(|other| other == callee) else { continue };
            let Some(far) = column_of(destination, name) else { continue };
            let seen = &destination.values[far];
            let gap = |(near, far): (&f64, &f64)| (near - far).max(0.0) + LINK_SECS_MIN;
            let gaps: Vec<f64> = source.values[column].iter().zip(seen).map(gap).collect();
            for (kind, clock, values) in
                [(IndicatorKind::Latency, &destination.at_secs, seen), (IndicatorKind::Network, &source.at_secs, &gaps)]
            {
                out.case.indicators.push(window(entity as u32, kind, clock, values, at_secs));
            }
        }
    }

    /// Visits of the fault-free phase and of the day long enough before the
    /// fault, and visits of the fault.
    fn visits_around(&mut self, at_secs: i64) -> Result<(Usual, Vec<Visit>)> {
        let minute = at_secs.rem_euclid(86_400).div_euclid(60);
        let (first, last) = (minute - VISITS_BACK_SECS / 60 - 1, minute + VISITS_SECS / 60 + 1);
        let (mut usual, mut during) = (Usual::default(), Vec::new());
        if let Some(folder) = nezha::fault_free(&self.folder) {
            for path in nezha::trace_files(&folder)? {
                usual.calm.extend_from_slice(self.minute(&path)?);
            }
        }
        let from_ns = (at_secs - VISITS_BACK_SECS).saturating_mul(1_000_000_000);
        let to_ns = (at_secs + VISITS_SECS).saturating_mul(1_000_000_000);
        let calm_ns = (at_secs - CALM_GAP_SECS).saturating_mul(1_000_000_000);
        for path in nezha::trace_files(&self.folder)? {
            let Some(named) = nezha::minute_of(&path) else { continue };
            if named > last {
                continue;
            }
            let visits = self.minute(&path)?;
            usual.earlier.push(visits.iter().filter(|visit| visit.start_ns < calm_ns).cloned().collect());
            if named >= first {
                let inside = |visit: &&Visit| visit.start_ns >= from_ns && visit.start_ns < to_ns;
                during.extend(visits.iter().filter(inside).cloned());
            }
        }
        Ok((usual, during))
    }

    /// The visits of one trace file and the log file of the same minute.
    fn minute(&mut self, traces: &Path) -> Result<&[Visit]> {
        if !self.minutes.contains_key(traces) {
            let spans = nezha::spans(traces)?;
            let day = traces.parent().and_then(Path::parent).unwrap_or(traces);
            let minute = nezha::minute_of(traces);
            let log = nezha::log_files(day)?.into_iter().find(|path| nezha::minute_of(path) == minute);
            let lines = log.as_deref().map(nezha::logs).transpose()?.unwrap_or_default();
            let visits = self.names.visits(&mut self.base, &spans, &lines);
            self.minutes.insert(traces.to_path_buf(), visits);
        }
        Ok(&self.minutes[traces])
    }
}

fn add_visits(out: &mut NamedCase, usual: &Usual, during: &[Visit]) {
    let mut calls: BTreeSet<(u32, u32)> = BTreeSet::new();
    // The whole, and each minute: a fault may show in one of them only.
    let mut minutes: BTreeMap<i64, Vec<Visit>> = BTreeMap::new();
    for visit in during {
        minutes.entry(visit.start_ns.div_euclid(60_000_000_000)).or_default().push(visit.clone());
    }
    for window in minutes.values().map(Vec::as_slice).chain([during]) {
        for pattern in patterns(usual, window) {
            calls.extend(pattern.callee.map(|callee| (pattern.entity, callee)));
            out.case.patterns.push(pattern);
        }
    }
    add_edges(out, &calls);
    out.case.indicators.extend(times(usual, during));
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

/// The words of a line that do not vary, at most nine: places in the code, and
/// words without digits longer than a letter.
fn template(body: &str) -> String {
    let mut out = String::with_capacity(80);
    let words = body.split(|c: char| !(c.is_alphanumeric() || matches!(c, '.' | '#')));
    let fixed = |word: &&str| {
        is_code_place(word) || (word.len() > 1 && !word.bytes().any(|byte| byte.is_ascii_digit() || byte == b'#'))
    };
    for word in words.filter(fixed).take(TEMPLATE_WORDS) {
        out.push_str(word);
        out.push(' ');
    }
    out
}

/// Whether a word is where a statement stands, `shop.OrderService#31`: two
/// statements with the same words are told apart by it.
fn is_code_place(word: &str) -> bool {
    word.split_once('#').is_some_and(|(class, line)| {
        class.starts_with(|c: char| c.is_alphabetic()) && !line.is_empty() && line.bytes().all(|b| b.is_ascii_digit())
    })
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

/// One indicator from its own series alone.
fn window(entity: u32, kind: IndicatorKind, clock: &[f64], values: &[f64], at_secs: i64) -> Indicator {
    let at = at_secs as f64;
    let between = |from: f64, to: f64| {
        let inside = clock.iter().zip(values).filter(|(time, _)| **time >= from && **time < to);
        inside.map(|(_, value)| *value).collect::<Vec<f64>>()
    };
    let (first, last) = (at + LEAD_SECS as f64, at + FAULT_SECS as f64);
    let recent = between(at - RECENT_FROM_SECS as f64, at - RECENT_TO_SECS as f64);
    Indicator { entity, kind, before: outside(clock, values, at_secs), recent, during: between(first, last) }
}

/// Values far from the fault.
fn outside(clock: &[f64], values: &[f64], at_secs: i64) -> Vec<f64> {
    let (first, last) = ((at_secs - 60) as f64, (at_secs + MARGIN_SECS) as f64);
    let calm = clock.iter().zip(values).filter(|(time, _)| **time < first || **time > last);
    calm.map(|(_, value)| *value).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_with_the_same_words_are_told_apart_by_their_place_in_the_code() {
        let before =
            template("INFO t.s.TravelServiceImpl#366 TraceID: 4a SpanID: 9 [getTickets][Calculate distance] 12");
        let after =
            template("INFO t.s.TravelServiceImpl#372 TraceID: 7f SpanID: 3 [getTickets][Calculate distance] 99");
        assert_ne!(before, after);
        let again = template("INFO t.s.TravelServiceImpl#366 TraceID: 88 SpanID: 1 [getTickets][Calculate distance] 7");
        assert_eq!(before, again);
        assert!(!is_code_place("order#12a") && !is_code_place("#12") && !is_code_place("plain"));
    }
}
