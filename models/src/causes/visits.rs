//! From spans and log lines to what a service does when it is visited.
//!
//! A visit is the part of one trace that runs inside one entity without
//! leaving it. It has an entry operation, its own time (without the visits it
//! makes), and patterns: operations, log templates and callees that occur in
//! it. Comparing visits of the same entry operation separates a service that
//! behaves differently from one that is merely called less or differently: a
//! callee that returns early changes its own visits, its caller's patterns stay.
//! The idea to compare event patterns of a faulty with those of a fault-free
//! phase is Nezha's (Yu et al. 2023); the visit as the unit is ours.

use hashbrown::HashMap;

use super::case::{Indicator, IndicatorKind, Pattern};

type Map<K, V> = HashMap<K, V, foldhash::fast::FixedState>;

/// One span, names as numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpanView {
    /// Trace id.
    pub trace: u64,
    /// Span id, unique within the trace.
    pub span: u64,
    /// Parent span id; one that does not exist means a root.
    pub parent: u64,
    /// Entity it runs in.
    pub entity: u32,
    /// Operation.
    pub operation: u32,
    /// Start in nanoseconds.
    pub start_ns: i64,
    /// End in nanoseconds.
    pub end_ns: i64,
}

/// One log line, names as numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LineView {
    /// Trace id.
    pub trace: u64,
    /// Span id.
    pub span: u64,
    /// Entity that wrote it.
    pub entity: u32,
    /// Its template.
    pub template: u32,
}

/// One visit of an entity.
#[derive(Clone, Debug, PartialEq)]
pub struct Visit {
    /// The entity.
    pub entity: u32,
    /// Operation of the span it was entered by.
    pub entry: u32,
    /// When it began.
    pub start_ns: i64,
    /// Its duration without the visits it made, in nanoseconds.
    pub self_ns: i64,
    /// What its caller waited beyond its duration, in nanoseconds, where the
    /// caller has a span for this call alone.
    pub network_ns: Option<i64>,
    /// What occurred in it, each once, in order of number.
    pub patterns: Vec<PatternKey>,
}

/// Something that occurs in a visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PatternKey {
    /// An operation of its own.
    Operation(u32),
    /// A log template.
    Template(u32),
    /// A visit to another entity.
    Callee(u32),
}

/// All visits in `spans`, with the templates of `lines` that belong to them;
/// in order of entity, entry and start. Lines without a span are left out.
#[must_use]
pub fn visits(spans: &[SpanView], lines: &[LineView]) -> Vec<Visit> {
    let index: Map<(u64, u64), usize> =
        spans.iter().enumerate().map(|(at, span)| ((span.trace, span.span), at)).collect();
    let entry_of: Vec<usize> = (0..spans.len()).map(|at| entry(spans, &index, at)).collect();
    let mut found: Map<usize, Visit> = Map::default();
    for (at, span) in spans.iter().enumerate() {
        let visit = found.entry(entry_of[at]).or_insert_with(|| begin(&spans[entry_of[at]]));
        if at != entry_of[at] {
            visit.patterns.push(PatternKey::Operation(span.operation));
        }
    }
    let calls: Vec<(usize, usize)> = (0..spans.len())
        .filter(|at| entry_of[*at] == *at)
        .filter_map(|at| Some((*index.get(&(spans[at].trace, spans[at].parent))?, at)))
        .filter(|(parent, at)| parent != at)
        .collect();
    let mut made: Map<usize, u32> = Map::default();
    for (parent, _) in &calls {
        *made.entry(*parent).or_default() += 1;
    }
    for (parent, at) in calls {
        // A span with one call is the client's side of it: all its time is the call's.
        let client = made[&parent] == 1 && entry_of[parent] != parent;
        let (span, outer) = (duration(&spans[at]), duration(&spans[parent]));
        if let Some(visit) = found.get_mut(&entry_of[parent]) {
            visit.self_ns -= if client { outer } else { span };
            visit.patterns.push(PatternKey::Callee(spans[at].entity));
        }
        if let Some(visit) = found.get_mut(&at).filter(|_| client) {
            visit.network_ns = Some((outer - span).max(0));
        }
    }
    for line in lines {
        let Some(at) = index.get(&(line.trace, line.span)) else {
            continue;
        };
        let visit = found.get_mut(&entry_of[*at]).filter(|visit| visit.entity == line.entity);
        if let Some(visit) = visit {
            visit.patterns.push(PatternKey::Template(line.template));
        }
    }
    finish(found)
}

fn begin(span: &SpanView) -> Visit {
    Visit {
        entity: span.entity,
        entry: span.operation,
        start_ns: span.start_ns,
        self_ns: duration(span),
        network_ns: None,
        patterns: Vec::new(),
    }
}

fn duration(span: &SpanView) -> i64 {
    span.end_ns.saturating_sub(span.start_ns).max(0)
}

fn finish(found: Map<usize, Visit>) -> Vec<Visit> {
    let mut keyed: Vec<(usize, Visit)> = found.into_iter().collect();
    keyed.sort_by_key(|(at, visit)| (visit.entity, visit.entry, visit.start_ns, *at));
    let mut out: Vec<Visit> = keyed.into_iter().map(|(_, visit)| visit).collect();
    for visit in &mut out {
        visit.patterns.sort_unstable();
        visit.patterns.dedup();
        visit.self_ns = visit.self_ns.max(0);
    }
    out
}

/// The span by which the entity of span `at` was entered: up the parents while
/// they stay in it. A loop of parents ends at the number of spans of a trace.
fn entry(spans: &[SpanView], index: &Map<(u64, u64), usize>, at: usize) -> usize {
    const DEPTH_MAX: usize = 1024;
    let mut here = at;
    for _ in 0..DEPTH_MAX {
        let span = &spans[here];
        match index.get(&(span.trace, span.parent)) {
            Some(&up) if up != here && spans[up].entity == span.entity => here = up,
            _ => break,
        }
    }
    here
}

/// What visits usually look like: a phase known to be calm, and what came
/// earlier, minute by minute, which may hold other faults.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usual {
    /// Visits of the calm phase.
    pub calm: Vec<Visit>,
    /// Visits of earlier minutes, one list each.
    pub earlier: Vec<Vec<Visit>>,
}

/// Minutes of history that weigh as much as the calm phase.
const EARLIER_HALF: f64 = 12.0;

/// How often each pattern occurs in visits of the same entity and entry, usually
/// and during; in order of entity, entry and pattern.
///
/// The usual share mixes the calm phase with the median of the earlier minutes:
/// the median forgets minutes with other faults, and the longer the history the
/// more it counts.
#[must_use]
pub fn patterns(usual: &Usual, during: &[Visit]) -> Vec<Pattern> {
    let (calm, now) = (Shares::count(&usual.calm), Shares::count(during));
    let earlier: Vec<Shares> = usual.earlier.iter().map(|minute| Shares::count(minute)).collect();
    let mut keys: Vec<(Entry, PatternKey)> = calm.counts.keys().chain(now.counts.keys()).copied().collect();
    keys.extend(earlier.iter().flat_map(|minute| minute.counts.keys().copied()));
    keys.sort_unstable();
    keys.dedup();
    let mut out = Vec::with_capacity(keys.len());
    for (entry, key) in keys {
        let during_of = now.visits(entry);
        if during_of == 0 {
            continue;
        }
        let mut shares: Vec<f64> = earlier.iter().filter_map(|minute| minute.share(entry, key)).collect();
        shares.sort_by(f64::total_cmp);
        let history = shares.get(shares.len() / 2).copied();
        let weight = shares.len() as f64 / (shares.len() as f64 + EARLIER_HALF);
        let share = match (calm.share(entry, key), history) {
            (Some(calm), Some(history)) => weight * history + (1.0 - weight) * calm,
            (Some(only), None) | (None, Some(only)) => only,
            (None, None) => continue,
        };
        let before_of = f64::from(calm.visits(entry)) + earlier.iter().map(|m| f64::from(m.visits(entry))).sum::<f64>();
        let callee = match key {
            PatternKey::Callee(callee) => Some(callee),
            PatternKey::Operation(_) | PatternKey::Template(_) => None,
        };
        let during = f64::from(now.counts.get(&(entry, key)).copied().unwrap_or(0));
        let during_of = f64::from(during_of);
        out.push(Pattern { entity: entry.0, callee, before: share * before_of, before_of, during, during_of });
    }
    out
}

/// An entity and the operation it is entered by.
type Entry = (u32, u32);

/// Visits per entry, and how many of them show each pattern.
#[derive(Default)]
struct Shares {
    visits: Map<Entry, u32>,
    counts: Map<(Entry, PatternKey), u32>,
}

impl Shares {
    fn count(visits: &[Visit]) -> Self {
        let mut out = Self::default();
        for visit in visits {
            let entry = (visit.entity, visit.entry);
            *out.visits.entry(entry).or_default() += 1;
            for key in &visit.patterns {
                *out.counts.entry((entry, *key)).or_default() += 1;
            }
        }
        out
    }

    fn visits(&self, entry: Entry) -> u32 {
        self.visits.get(&entry).copied().unwrap_or(0)
    }

    fn share(&self, entry: Entry, key: PatternKey) -> Option<f64> {
        let visits = self.visits(entry);
        let shown = self.counts.get(&(entry, key)).copied().unwrap_or(0);
        (visits > 0).then(|| f64::from(shown) / f64::from(visits))
    }
}

/// Own time and network time of visits, in milliseconds: one indicator per
/// entity and entry, so that slow entries do not hide in a mix.
#[must_use]
pub fn times(usual: &Usual, during: &[Visit]) -> Vec<Indicator> {
    let mut times: Map<(u32, u32, IndicatorKind), [Vec<f64>; 2]> = Map::default();
    let before = usual.earlier.iter().map(Vec::as_slice).chain([usual.calm.as_slice()]);
    for (side, list) in before.map(|list| (0, list)).chain([(1, during)]) {
        for visit in list {
            let mut add = |kind, ns: i64| {
                times.entry((visit.entity, visit.entry, kind)).or_default()[side].push(ns as f64 / 1e6);
            };
            add(IndicatorKind::SelfTime, visit.self_ns);
            if let Some(ns) = visit.network_ns {
                add(IndicatorKind::Network, ns);
            }
        }
    }
    let mut keyed: Vec<_> = times.into_iter().collect();
    keyed.sort_by_key(|(key, _)| *key);
    keyed
        .into_iter()
        .map(|((entity, _, kind), [before, during])| Indicator { entity, kind, before, recent: Vec::new(), during })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(span: u64, parent: u64, entity: u32, operation: u32, start: i64, end: i64) -> SpanView {
        SpanView { trace: 1, span, parent, entity, operation, start_ns: start, end_ns: end }
    }

    #[test]
    fn a_visit_ends_where_another_entity_begins_and_own_time_leaves_callees_out() {
        let spans = [span(1, 0, 0, 10, 0, 100), span(2, 1, 0, 11, 10, 90), span(3, 2, 1, 20, 20, 60)];
        let lines = [LineView { trace: 1, span: 3, entity: 1, template: 7 }];
        let found = visits(&spans, &lines);
        assert_eq!(found.len(), 2);
        // The client's span (80) is all the call's: 20 are its own, 80 - 40 the network's.
        assert_eq!((found[0].entity, found[0].entry, found[0].self_ns), (0, 10, 20));
        assert_eq!((found[0].network_ns, found[1].network_ns), (None, Some(40)));
        assert_eq!(found[0].patterns, [PatternKey::Operation(11), PatternKey::Callee(1)]);
        assert_eq!((found[1].self_ns, found[1].patterns.as_slice()), (40, [PatternKey::Template(7)].as_slice()));
    }

    #[test]
    fn patterns_are_counted_among_visits_of_the_same_entry() {
        let with = span(1, 0, 0, 10, 0, 5);
        let before = visits(&[with, span(2, 1, 0, 11, 1, 2)], &[]);
        let during = visits(&[SpanView { trace: 2, ..with }], &[]);
        let usual = Usual { calm: before, earlier: Vec::new() };
        let found = patterns(&usual, &during);
        let wanted = Pattern { entity: 0, callee: None, before: 1.0, before_of: 1.0, during: 0.0, during_of: 1.0 };
        assert_eq!(found, [wanted]);
    }

    #[test]
    fn a_loop_of_parents_ends() {
        let spans = [span(1, 2, 0, 1, 0, 5), span(2, 1, 0, 2, 0, 5)];
        assert!(!visits(&spans, &[]).is_empty());
    }
}
