//! The timeline of an incident: a lane for each entity, in the order in which they showed trouble.
//!
//! Trouble spreads within a minute or two and lasts for hours. So the axis has up to three parts: what came before, the
//! spread at a scale of its own, and the rest. A part that is drawn at another scale than its neighbour is set off from it.

use std::collections::BTreeMap;

use bellwether_engine::Explanation;
use bellwether_engine::incident::{AlertEntry, EvidenceSignal, IncidentRecord, Verb};
use bellwether_engine::time::{EventTime, Span};
use maud::{Markup, html};

use super::words::{clock, said, short, span, told};
use crate::page::model::{Known, Told};

/// Entities with a lane of their own.
const LANES_MAX: usize = 16;
/// Alerts of one entity that lie one above the other.
const ROWS_MAX: usize = 3;
const WIDTH: f64 = 1_000.0;
const LABELS_WIDTH: f64 = 190.0;
const LANE_HEIGHT: f64 = 27.0;
const TOP: f64 = 50.0;
const BOTTOM: f64 = 26.0;
/// About the width of a character.
const CHAR_WIDTH: f64 = 7.0;
/// Characters of an entity's name beside its lane.
const NAME_CHARS: usize = 28;

/// A part of the axis: from when to when, and from where to where.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Part {
    from: EventTime,
    to: EventTime,
    left: f64,
    right: f64,
}

/// Where moments lie.
#[derive(Debug)]
struct Axis(Vec<Part>);

impl Axis {
    /// Over `from` to `to`, with room for what happens between the first onset and the last.
    fn new(from: EventTime, (first, last): (EventTime, EventTime), to: EventTime) -> Axis {
        let spread = last.since(first).0.max(Span::from_secs(20).0);
        let (begin, end) = (first.minus(Span(spread / 8)), last.plus(Span(spread / 6)));
        let before = begin.since(from).0 > spread / 2;
        let after = to.since(end).0 > spread;
        let (begin, end) = (if before { begin } else { from.min(begin) }, if after { end } else { to.max(end) });
        let (left, right) = (LABELS_WIDTH, WIDTH - 12.0);
        let inner_left = if before { left + (right - left) * 0.14 } else { left };
        let inner_right = if after { right - (right - left) * 0.32 } else { right };
        let mut parts = Vec::new();
        if before {
            parts.push(Part { from, to: begin, left, right: inner_left });
        }
        parts.push(Part { from: begin, to: end, left: inner_left, right: inner_right });
        if after {
            parts.push(Part { from: end, to, left: inner_right, right });
        }
        Axis(parts)
    }

    fn at(&self, at: EventTime) -> f64 {
        let part = self.0.iter().find(|part| at <= part.to).or(self.0.last()).expect("an axis has a part");
        let share = at.since(part.from).as_secs_f64() / part.to.since(part.from).as_secs_f64().max(1e-9);
        part.left + share.clamp(0.0, 1.0) * (part.right - part.left)
    }

    /// Moments that are written below it.
    fn ticks(&self) -> Vec<EventTime> {
        let steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400];
        let mut ticks = Vec::new();
        for part in &self.0 {
            let room = ((part.right - part.left) / 78.0).max(1.0);
            let wanted = part.to.since(part.from).as_secs_f64() / room;
            let step = steps.iter().copied().find(|step| *step as f64 >= wanted).unwrap_or(7 * 86_400);
            let step = Span::from_secs(step).0;
            let first = part.from.0.div_euclid(step) + 1;
            let all = (first..).map(|n| EventTime(n * step)).take_while(|at| at.0 < part.to.0);
            ticks.extend(all.take(24));
        }
        ticks
    }
}

/// One alert in its lane.
struct Fire {
    from: EventTime,
    to: Option<EventTime>,
    class: &'static str,
    title: String,
}

/// What happened to one entity.
#[derive(Default)]
struct Lane {
    fires: Vec<Fire>,
    odd: Vec<(EventTime, String)>,
    changes: Vec<(EventTime, String)>,
}

impl Lane {
    fn onset(&self) -> EventTime {
        let fires = self.fires.iter().map(|fire| fire.from);
        fires.chain(self.odd.iter().map(|(at, _)| *at)).min().unwrap_or(EventTime::MAX)
    }
}

/// The entity of an alert: by the engine's word, else the most particular one that its labels name.
fn home<'r>(alert: &AlertEntry, record: &'r IncidentRecord, known: &BTreeMap<&str, &'r str>) -> &'r str {
    if let Some(entity) = known.get(alert.fingerprint.as_str()) {
        return entity;
    }
    let names = |entity: &str| alert.labels.values().any(|value| value == entity || value == short(entity));
    record.entities.iter().map(|entity| entity.id.as_str()).find(|entity| names(entity)).unwrap_or("others")
}

fn lanes<'r>(record: &'r IncidentRecord, explained: Option<&'r Explanation>) -> Vec<(&'r str, Lane)> {
    let members = explained.map(|explanation| explanation.members.as_slice()).unwrap_or_default();
    let known: BTreeMap<&str, &str> =
        members.iter().map(|member| (member.fingerprint.as_str(), member.entity.as_str())).collect();
    let mut lanes: BTreeMap<&str, Lane> = BTreeMap::new();
    let listed: Vec<&str> = record.alerts.iter().map(|alert| alert.fingerprint.as_str()).collect();
    for alert in &record.alerts {
        let class = match alert.labels.get("severity").map(|severity| severity.to_lowercase()).as_deref() {
            Some("page" | "critical" | "error" | "disaster" | "high") => "fire bad",
            Some("info" | "notice" | "low" | "none") => "fire mild",
            _ => "fire",
        };
        let until = alert.ends_at.map_or_else(|| "still firing".to_owned(), |end| span(end.since(alert.starts_at)));
        let title = format!("{} ({}), {until}", alert.name, alert.source);
        let fire = Fire { from: alert.starts_at, to: alert.ends_at, class, title };
        lanes.entry(home(alert, record, &known)).or_default().fires.push(fire);
    }
    for member in members.iter().filter(|member| !listed.contains(&member.fingerprint.as_str())) {
        let lane = lanes.entry(member.entity.as_str()).or_default();
        lane.odd.push((member.starts_at, member.name.clone()));
    }
    let seen = record.evidence.iter().filter(|one| one.signal != EvidenceSignal::Event && !one.entity_id.is_empty());
    for one in seen {
        let text = if one.text.is_empty() { one.name.clone() } else { one.text.clone() };
        lanes.entry(one.entity_id.as_str()).or_default().odd.push((one.at, text));
    }
    let began = record.started_at.unwrap_or(record.opened_at);
    for change in &record.changes {
        let named = change.score.unwrap_or(0.0) >= 0.5
            || record.probable_causes.iter().take(3).any(|c| c.reference == change.id);
        if lanes.contains_key(change.entity_id.as_str()) || named {
            let text = format!("{} ({}), {} before", change.id, change.change_type, span(began.since(change.at)));
            lanes.entry(change.entity_id.as_str()).or_default().changes.push((change.at, text));
        }
    }
    let mut lanes: Vec<(&str, Lane)> = lanes.into_iter().collect();
    lanes.sort_by_key(|(name, lane)| (lane.onset(), *name));
    lanes
}

/// The picture, and in words what it does not show.
pub(crate) fn picture(
    known: &Known,
    record: &IncidentRecord,
    explained: Option<&Explanation>,
    now: EventTime,
) -> Markup {
    let all = lanes(record, explained);
    let hidden = all.len().saturating_sub(LANES_MAX);
    let lanes = &all[..all.len() - hidden];
    let began = record.started_at.unwrap_or(record.opened_at);
    let end = if known.line.is_live() { now } else { record.updated_at };
    let onsets = lanes.iter().map(|(_, lane)| lane.onset()).filter(|onset| *onset < EventTime::MAX);
    let (first, last) = (onsets.clone().min().unwrap_or(began), onsets.max().unwrap_or(began).max(record.opened_at));
    let changed = lanes.iter().flat_map(|(_, lane)| lane.changes.iter().map(|(at, _)| *at)).min();
    let axis = Axis::new(changed.unwrap_or(first).min(first), (first, last), end.max(last));
    let height = TOP + LANE_HEIGHT * lanes.len() as f64 + BOTTOM;
    html! {
        div.scroll {
            svg.picture viewBox={ "0 0 " (WIDTH) " " (height) } role="img" aria-label="Timeline: a lane for each entity, in the order in which they showed trouble" {
                @for part in &axis.0[1..] {
                    line.now x1=(tenth(part.left)) y1=(TOP - 6.0) x2=(tenth(part.left)) y2=(height - BOTTOM + 4.0) {}
                }
                @for tick in axis.ticks() {
                    @let x = tenth(axis.at(tick));
                    line.tick x1=(x) y1=(TOP) x2=(x) y2=(height - BOTTOM) {}
                    text x=(x) y=(height - 9.0) text-anchor="middle" { (clock(tick, record.opened_at)) }
                }
                @for (place, (name, lane)) in lanes.iter().enumerate() {
                    (drawn(place, name, lane, &axis, end, known.line.is_live()))
                }
                (marks(known, &axis, height))
            }
        }
        p.legend {
            span { (dot("fire")) "alert, while it fires" }
            span { (dot("odd")) "something odd was seen" }
            span { (dot("end")) "recovered" }
            span { (dot("change")) "change" }
            @if axis.0.len() > 1 { span { "dotted: another scale of time" } }
            @if hidden > 0 { span { (hidden) " more entities in the table of alerts" } }
        }
    }
}

fn dot(class: &str) -> Markup {
    html! { svg viewBox="0 0 10 10" aria-hidden="true" { @if class == "change" { path class=(class) d="M5 0l5 5-5 5-5-5z" {} } @else { circle class=(class) cx="5" cy="5" r="4" {} } } }
}

/// A place to a tenth of a unit, which is as fine as anybody sees.
fn tenth(place: f64) -> f64 {
    (place * 10.0).round() / 10.0
}

fn drawn(place: usize, name: &str, lane: &Lane, axis: &Axis, end: EventTime, live: bool) -> Markup {
    let top = TOP + LANE_HEIGHT * place as f64;
    let middle = top + LANE_HEIGHT / 2.0;
    let mut rows = [f64::MIN; ROWS_MAX];
    let mut fires: Vec<&Fire> = lane.fires.iter().collect();
    fires.sort_by_key(|fire| (fire.from, fire.to));
    let placed: Vec<(&Fire, f64, f64, f64)> = fires
        .into_iter()
        .map(|fire| {
            let (left, right) = (axis.at(fire.from), axis.at(fire.to.unwrap_or(end)));
            let row = rows.iter().position(|until| *until <= left).unwrap_or(ROWS_MAX - 1);
            rows[row] = rows[row].max(right);
            (fire, left, right.max(left + 3.0), top + 4.0 + 7.0 * row as f64)
        })
        .collect();
    let shown: String = said(short(name)).chars().take(NAME_CHARS).collect();
    html! {
        line.lane x1="0" y1=(top + LANE_HEIGHT) x2=(WIDTH) y2=(top + LANE_HEIGHT) {}
        text.strong x=(LABELS_WIDTH - 10.0) y=(middle + 4.0) text-anchor="end" { title { (said(name)) } (shown) }
        @for (fire, left, right, y) in placed {
            rect class=(fire.class) x=(tenth(left)) y=(y) width=(tenth(right - left)) height="5" rx="2" { title { (said(&fire.title)) } }
            @match fire.to {
                Some(to) => { circle.end cx=(tenth(axis.at(to))) cy=(y + 2.5) r="3" { title { "recovered at " (clock(to, end)) } } }
                None if live => { path class=(fire.class) d={ "M" (tenth(right)) " " (y - 1.0) "l5 3.5-5 3.5z" } {} }
                None => {}
            }
        }
        @for (at, text) in &lane.odd {
            circle.odd cx=(tenth(axis.at(*at))) cy=(top + LANE_HEIGHT - 5.0) r="2.6" { title { (clock(*at, end)) " " (said(text)) } }
        }
        @for (at, text) in &lane.changes {
            path.change d={ "M" (tenth(axis.at(*at))) " " (middle - 7.0) "l7 7-7 7-7-7z" } { title { (clock(*at, end)) " change " (said(text)) } }
        }
    }
}

/// When it was told, taken, over.
fn marks(known: &Known, axis: &Axis, height: f64) -> Markup {
    let mut rows = [f64::MIN; 3];
    let marks: Vec<(f64, f64, String)> = known
        .life
        .values()
        .filter(|told| told.verb != Verb::Updated)
        .map(|one: &Told| {
            let (x, text) = (axis.at(one.at), format!("{} {}", told(one.verb), clock(one.at, one.at)));
            let wide = text.chars().count() as f64 * CHAR_WIDTH;
            let left = (x - wide / 2.0).clamp(LABELS_WIDTH, WIDTH - wide);
            let row = rows.iter().position(|until| *until <= left).unwrap_or(0);
            rows[row] = left + wide + 8.0;
            (x, 13.0 + 13.0 * row as f64, text)
        })
        .collect();
    html! {
        @for (x, y, text) in marks {
            @let wide = text.chars().count() as f64 * CHAR_WIDTH;
            line.mark x1=(tenth(x)) y1=(y + 3.0) x2=(tenth(x)) y2=(height - BOTTOM) {}
            text.strong x=(tenth((x - wide / 2.0).clamp(LABELS_WIDTH, WIDTH - wide))) y=(y) { (text) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> EventTime {
        EventTime::from_secs(1_772_355_600 + secs)
    }

    #[test]
    fn the_spread_has_room_whatever_came_before_and_after_it() {
        let axis = Axis::new(at(-3_600), (at(0), at(60)), at(7_200));
        let places: Vec<f64> = [-3_600, -600, 0, 30, 60, 300, 7_200].map(|secs| axis.at(at(secs))).to_vec();
        assert!(places.windows(2).all(|two| two[0] < two[1]), "{places:?}");
        assert!(axis.at(at(60)) - axis.at(at(0)) > 0.3 * WIDTH, "{places:?}");
        assert!(axis.at(at(9_999_999)) <= WIDTH && axis.at(at(-9_999_999)) >= LABELS_WIDTH);
        let short = Axis::new(at(0), (at(0), at(60)), at(70));
        assert_eq!(short.0.len(), 1);
        for axis in [axis, short] {
            let ticks = axis.ticks();
            assert!((3..30).contains(&ticks.len()), "{ticks:?}");
        }
    }

    #[test]
    fn one_moment_is_an_axis_too() {
        let axis = Axis::new(at(0), (at(0), at(0)), at(0));
        assert!(axis.at(at(0)).is_finite() && axis.ticks().len() < 30);
    }
}
