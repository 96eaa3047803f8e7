//! The series of an incident side by side, all with the same time: what moved, from what was expected, and after what.

use bellwether_engine::incident::{EvidenceEntry, EvidenceSignal, IncidentRecord};
use bellwether_engine::time::{EventTime, Span};
use maud::{Markup, html};

use super::chart::{Chart, Mark, MarkKind, Named, picture, usual_range, with_unit};
use super::words::{entity_at, many, said, short};
use crate::page::points::{Drawn, MINUTES, Points};

/// Series shown.
const SHOWN_MAX: usize = 12;
/// Series of one metric of an entity that are looked at.
const ALIKE_MAX: usize = 32;
/// Series shown of an entity.
pub(crate) const ENTITY_MAX: usize = 24;
/// What is shown before the first symptom, and after the end.
const BEFORE: Span = Span::from_mins(45);
const AFTER: Span = Span::from_mins(15);
/// The least time that a picture shows.
const SHORTEST: Span = Span::from_mins(30);
/// How far a point that was told may be from the minute that it was seen in.
const NEAR: Span = Span::from_mins(3);

/// What of an incident is drawn.
#[derive(Debug)]
pub(crate) struct Involved {
    from: EventTime,
    until: EventTime,
    series: Vec<(EvidenceEntry, Drawn)>,
    /// Series that were told of, with or without points.
    told: usize,
}

impl Involved {
    /// The series that the evidence of an incident names, as far as there are points.
    pub(crate) fn of(record: &IncidentRecord, tenant: &str, points: &Points, now: EventTime) -> Involved {
        let began = record.started_at.unwrap_or(record.opened_at);
        let until = record.resolved_at.map_or(now, |end| end.plus(AFTER).min(now));
        let from = began.minus(BEFORE).max(until.minus(Span::from_mins(MINUTES as i64)));
        let mut named: Vec<&EvidenceEntry> = Vec::new();
        for one in
            record.evidence.iter().filter(|one| one.signal == EvidenceSignal::Metric && !one.entity_id.is_empty())
        {
            let same = |known: &&EvidenceEntry| known.entity_id == one.entity_id && known.name == one.name;
            match named.iter_mut().find(|known| same(known)) {
                // The first word on a series dates it.
                Some(known) if one.at < known.at => *known = one,
                Some(_) => {}
                None => named.push(one),
            }
        }
        named.sort_by(|a, b| (a.at, &a.entity_id, &a.name).cmp(&(b.at, &b.entity_id, &b.name)));
        let told = named.len();
        let drawn = |one: &EvidenceEntry| {
            let alike = points.of(tenant, &one.entity_id, Some(&one.name), (from, until), ALIKE_MAX);
            Some((one.clone(), meant(alike, one)?))
        };
        let series = named.into_iter().filter_map(drawn).take(SHOWN_MAX).collect();
        Involved { from, until, series, told }
    }
}

/// Of series of one metric the one that was at what was told when it was told; where none was, the first.
fn meant(alike: Vec<Drawn>, one: &EvidenceEntry) -> Option<Drawn> {
    let miss = |drawn: &Drawn| {
        let Some(value) = one.value else { return 0.0 };
        let near = drawn.points.iter().filter(|point| {
            let end = point.at.plus(Span::from_mins(1));
            end >= one.at.minus(NEAR) && point.at <= one.at.plus(NEAR)
        });
        let off = near.map(|point| (f64::from(point.low) - value).max(value - f64::from(point.high)).max(0.0));
        off.fold(f64::INFINITY, f64::min)
    };
    // The first of equals.
    alike.into_iter().map(|drawn| (miss(&drawn), drawn)).min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, drawn)| drawn)
}

/// The card; nothing where no series was told of.
pub(crate) fn card(record: &IncidentRecord, tenant: &str, involved: &Involved, now: EventTime) -> Markup {
    html! {
        @if involved.told > 0 {
            section.card aria-labelledby="series" {
                h2 #series { "Series" span.small { (many(involved.told as u64, "metric")) " moved, the first first" } }
                @if involved.series.is_empty() {
                    p.soft { "Points are kept for three hours: those of then are gone, or were never here." }
                } @else {
                    div.multiples { @for (one, drawn) in &involved.series { (figure(record, tenant, one, drawn, involved, now)) } }
                    @if involved.told > involved.series.len() {
                        p.small.soft { (many((involved.told - involved.series.len()) as u64, "other")) " without points, or later." }
                    }
                }
            }
        }
    }
}

fn figure(
    record: &IncidentRecord,
    tenant: &str,
    one: &EvidenceEntry,
    drawn: &Drawn,
    involved: &Involved,
    now: EventTime,
) -> Markup {
    let word = if one.detector == "exhaustion" { "limit" } else { "expected" };
    let shown = |value: f64| with_unit(value, &drawn.meta.unit, drawn.meta.counter);
    let changes = record.changes.iter().filter(|change| change.entity_id == one.entity_id);
    let mut marks: Vec<Mark> = changes
        .map(|change| Mark { at: change.at, kind: MarkKind::Change, said: format!("change {}", change.id) })
        .collect();
    marks.push(Mark { at: one.at, kind: MarkKind::Onset, said: "began".to_owned() });
    marks.extend(record.resolved_at.map(|at| Mark { at, kind: MarkKind::End, said: "over".to_owned() }));
    let chart = Chart {
        drawn,
        from: involved.from,
        until: involved.until,
        now,
        marks: &marks,
        named: one.expected.map(|value| Named { value, word, usual: usual_range(&one.text) }),
        told: one.value.map(|value| (one.at, value)),
    };
    html! {
        figure {
            figcaption {
                a href=(entity_at(tenant, &one.entity_id)) { (said(short(&one.entity_id))) } " "
                strong { (said(&one.name)) } (labels(drawn))
                span.sub {
                    @if let Some(value) = one.value { (shown(value)) @if let Some(expected) = one.expected { ", " (word) " " (shown(expected)) } }
                    @if let Some(score) = one.score { " · score " (format!("{score:.2}")) }
                    " · " (said(&one.detector))
                }
            }
            (picture(&chart))
        }
    }
}

fn labels(drawn: &Drawn) -> Markup {
    let labels: Vec<String> = drawn.meta.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    html! { @if !labels.is_empty() { span.small.faint { " " (said(&labels.join(" "))) } } }
}

/// The series of one entity.
pub(crate) fn of_entity(drawn: &[Drawn], marks: &[Mark], now: EventTime, more: bool) -> Markup {
    // All have one time, and no more of it than there are points.
    let oldest = drawn.iter().filter_map(|one| one.points.first()).map(|point| point.at).min();
    let from = oldest.unwrap_or(now).min(now.minus(SHORTEST)).max(now.minus(Span::from_mins(MINUTES as i64)));
    html! {
        section.card aria-labelledby="series" {
            h2 #series { "Series" @if !drawn.is_empty() { span.small { "the last three hours, a minute each" } } }
            @if drawn.is_empty() {
                p.soft { "None was heard of in the last three hours." }
            } @else {
                div.multiples {
                    @for one in drawn {
                        figure {
                            figcaption {
                                strong { (said(&one.meta.metric)) } (labels(one))
                                @if let Some(last) = one.points.last() { span.sub { "at last " (with_unit(last.middle(), &one.meta.unit, one.meta.counter)) } }
                            }
                            (picture(&Chart { drawn: one, from, until: now, now, marks, named: None, told: None }))
                        }
                    }
                }
                @if more { p.small.soft { "The first " (drawn.len()) " by name." } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::page::points::{Meta, Point};

    #[test]
    fn of_series_of_one_name_the_one_is_meant_that_was_at_what_was_told() {
        let one = |disk: &str, value: f32| {
            let meta = Meta {
                metric: "disk".into(),
                entity: "host:a".into(),
                unit: "1".into(),
                counter: false,
                labels: [("disk".into(), disk.into())].into(),
            };
            let points = vec![Point { at: EventTime::from_secs(600), low: value, high: value + 1.0 }];
            Drawn { meta: Arc::new(meta), points }
        };
        let told = serde_json::json!({
            "signal": "metric", "at": "1970-01-01T00:10:30Z", "name": "disk", "entity_id": "host:a", "value": 90.5
        });
        let told: EvidenceEntry = serde_json::from_value(told).expect("it is evidence");
        let chosen = meant(vec![one("sda", 10.0), one("sdb", 90.0), one("sdc", 99.0)], &told).expect("one");
        assert_eq!(&*chosen.meta.labels[0].1, "sdb");
    }
}
