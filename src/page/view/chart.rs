//! One series as a small picture that reads without a legend: its line with the spread of each minute, its unit, what was
//! expected, and what happened when.

use bellwether_engine::time::{EventTime, Span};
use maud::{Markup, html};

use super::words::{clock, level, said};
use crate::page::points::{Drawn, Point};

const WIDTH: f64 = 320.0;
const HEIGHT: f64 = 132.0;
/// Where the plot is.
const LEFT: f64 = 46.0;
const RIGHT: f64 = 312.0;
const TOP: f64 = 18.0;
const BOTTOM: f64 = 110.0;
/// A line is broken where a point is missing for longer than this, or than some of the usual steps.
const GAP_MIN: Span = Span::from_mins(3);
const GAP_STEPS: f64 = 2.5;
/// The scale begins at nought where that costs no more than this share of the height.
const NOUGHT_SHARE: f64 = 0.6;

/// What is marked in a picture.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mark {
    pub(crate) at: EventTime,
    pub(crate) kind: MarkKind,
    /// In words, for who points at it.
    pub(crate) said: String,
}

/// What a mark means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MarkKind {
    /// It left what is usual.
    Onset,
    /// Something was changed.
    Change,
    /// It was over.
    End,
}

/// A level that was named when it happened.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Named {
    pub(crate) value: f64,
    /// `expected`, `limit`.
    pub(crate) word: &'static str,
    /// What was usual then, from where to where.
    pub(crate) usual: Option<(f64, f64)>,
}

/// The range that an alert's own text says was usual (`models::metric`: `(usual range 10.00 to 14.00)`): the band as it was
/// known then, which nothing else keeps.
pub(crate) fn usual_range(text: &str) -> Option<(f64, f64)> {
    let (_, rest) = text.rsplit_once("(usual range ")?;
    let (low, rest) = rest.split_once(" to ")?;
    let (high, _) = rest.split_once(')')?;
    let (low, high): (f64, f64) = (low.parse().ok()?, high.parse().ok()?);
    (low.is_finite() && high.is_finite() && low <= high).then_some((low, high))
}

/// Everything in one picture.
pub(crate) struct Chart<'c> {
    pub(crate) drawn: &'c Drawn,
    pub(crate) from: EventTime,
    pub(crate) until: EventTime,
    pub(crate) now: EventTime,
    pub(crate) marks: &'c [Mark],
    pub(crate) named: Option<Named>,
    /// What was seen when it was told: when, and how much.
    pub(crate) told: Option<(EventTime, f64)>,
}

/// A value with its unit, as people write it.
pub(crate) fn with_unit(value: f64, unit: &str, rate: bool) -> String {
    let (value, unit) = match unit {
        "1" | "" => (value, ""),
        "By" => (value, "B"),
        "bit" => (value, "bit"),
        // Annotations of UCUM name what is counted: `{request}`.
        other => (value, other.trim_matches(['{', '}'])),
    };
    let per = if rate { "/s" } else { "" };
    let text = level(value);
    // `1.2 G` and `B` are one word.
    match text.ends_with(char::is_alphabetic) || unit.is_empty() {
        true => format!("{text}{}{per}", said(unit)),
        false => format!("{text} {}{per}", said(unit)),
    }
}

struct Scale {
    low: f64,
    high: f64,
    from: EventTime,
    span: f64,
}

impl Scale {
    fn of(chart: &Chart<'_>) -> Scale {
        let usual = chart.named.iter().filter_map(|named| named.usual).flat_map(|(low, high)| [low, high]);
        let named = chart.named.iter().map(|named| named.value).chain(usual).chain(chart.told.map(|(_, value)| value));
        let points = chart.drawn.points.iter().flat_map(|point| [f64::from(point.low), f64::from(point.high)]);
        let (mut low, mut high) =
            points.chain(named).fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        if low > 0.0 && low <= high * NOUGHT_SHARE {
            low = 0.0;
        }
        if high - low < high.abs().max(low.abs()).max(1e-9) * 1e-6 {
            let room = high.abs().max(1.0) * 0.1;
            (low, high) = (low - room, high + room);
        }
        Scale { low, high, from: chart.from, span: chart.until.since(chart.from).as_secs_f64().max(60.0) }
    }

    fn x(&self, at: EventTime) -> f64 {
        round(LEFT + (at.since(self.from).as_secs_f64() / self.span).clamp(0.0, 1.0) * (RIGHT - LEFT))
    }

    fn y(&self, value: f64) -> f64 {
        let share = ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        round(BOTTOM - share * (BOTTOM - TOP))
    }
}

/// The picture.
pub(crate) fn picture(chart: &Chart<'_>) -> Markup {
    let (meta, scale) = (&chart.drawn.meta, Scale::of(chart));
    let shown = |value: f64| with_unit(value, &meta.unit, meta.counter);
    let runs = runs(&chart.drawn.points);
    html! {
        svg.chart viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(in_words(chart)) {
            line.axis x1=(LEFT) x2=(RIGHT) y1=(TOP) y2=(TOP) {}
            line.axis x1=(LEFT) x2=(RIGHT) y1=(BOTTOM) y2=(BOTTOM) {}
            text.end x=(LEFT - 5.0) y=(TOP + 4.0) { (shown(scale.high)) }
            text.end x=(LEFT - 5.0) y=(BOTTOM + 1.0) { (shown(scale.low)) }
            text x=(LEFT) y=(HEIGHT - 6.0) { (clock(chart.from, chart.now)) }
            text.end x=(RIGHT) y=(HEIGHT - 6.0) { (clock(chart.until, chart.now)) }
            @if let Some((low, high)) = chart.named.as_ref().and_then(|named| named.usual) {
                @let top = scale.y(high);
                rect.usual x=(LEFT) y=(top) width=(RIGHT - LEFT) height=(round((scale.y(low) - top).max(1.0))) {
                    title { "usual then: " (shown(low)) " to " (shown(high)) }
                }
            }
            @if let Some(named) = &chart.named {
                @let y = scale.y(named.value);
                line.named x1=(LEFT) x2=(RIGHT) y1=(y) y2=(y) {}
                text.named.end x=(RIGHT) y=(if y < TOP + 14.0 { y + 11.0 } else { y - 4.0 }) { (named.word) " " (shown(named.value)) }
            }
            @for run in &runs { path.spread d=(spread(run, &scale)) {} }
            @for run in &runs { path.line d=(line(run, &scale)) {} }
            @for mark in chart.marks.iter().filter(|mark| mark.at >= chart.from && mark.at <= chart.until) {
                (marked(mark, &scale, chart.now))
            }
            @if let Some((at, value)) = chart.told.filter(|(at, _)| *at >= chart.from && *at <= chart.until) {
                circle.told cx=(scale.x(at)) cy=(scale.y(value)) r="3.2" { title { "told with " (shown(value)) " at " (clock(at, chart.now)) } }
            }
        }
    }
}

fn marked(mark: &Mark, scale: &Scale, now: EventTime) -> Markup {
    let (class, word) = match mark.kind {
        MarkKind::Onset => ("onset", "began"),
        MarkKind::Change => ("change", "change"),
        MarkKind::End => ("over", "over"),
    };
    let x = scale.x(mark.at);
    // A word near the right edge stands before its mark.
    let before = x > RIGHT - 70.0;
    html! {
        g class={ "mark " (class) } {
            title { (said(&mark.said)) " " (clock(mark.at, now)) }
            line x1=(x) x2=(x) y1=(TOP - 8.0) y2=(BOTTOM) {}
            text.end[before] x=(if before { x - 3.0 } else { x + 3.0 }) y=(TOP - 5.0) { (word) " " (clock(mark.at, now)) }
        }
    }
}

/// What the picture shows, for who does not see it.
fn in_words(chart: &Chart<'_>) -> String {
    let meta = &chart.drawn.meta;
    let shown = |value: f64| with_unit(value, &meta.unit, meta.counter);
    let points = &chart.drawn.points;
    let low = points.iter().map(|point| f64::from(point.low)).fold(f64::MAX, f64::min);
    let high = points.iter().map(|point| f64::from(point.high)).fold(f64::MIN, f64::max);
    let last = points.last().map_or(0.0, Point::middle);
    let mut text =
        format!("{} between {} and {}, at last {}", said(&meta.metric), shown(low), shown(high), shown(last));
    if let Some(named) = &chart.named {
        text.push_str(&format!(", {} {}", named.word, shown(named.value)));
    }
    if let Some((low, high)) = chart.named.as_ref().and_then(|named| named.usual) {
        text.push_str(&format!(", usual then {} to {}", shown(low), shown(high)));
    }
    for mark in chart.marks {
        text.push_str(&format!("; {} {}", said(&mark.said), clock(mark.at, chart.now)));
    }
    text
}

/// The stretches without a gap.
fn runs(points: &[Point]) -> Vec<&[Point]> {
    let mut steps: Vec<i64> = points.windows(2).map(|two| two[1].at.since(two[0].at).0).collect();
    steps.sort_unstable();
    let usual = steps.get(steps.len() / 2).copied().unwrap_or(0);
    let gap = GAP_MIN.0.max((usual as f64 * GAP_STEPS) as i64);
    points.chunk_by(|a, b| b.at.since(a.at).0 <= gap).collect()
}

fn line(run: &[Point], scale: &Scale) -> String {
    let mut path = String::new();
    for (place, point) in run.iter().enumerate() {
        let letter = if place == 0 { 'M' } else { 'L' };
        path.push_str(&format!("{letter}{} {}", scale.x(point.at), scale.y(point.middle())));
    }
    if run.len() == 1 {
        path.push_str("h2");
    }
    path
}

fn spread(run: &[Point], scale: &Scale) -> String {
    let mut path = String::new();
    for (place, point) in run.iter().enumerate() {
        let letter = if place == 0 { 'M' } else { 'L' };
        path.push_str(&format!("{letter}{} {}", scale.x(point.at), scale.y(f64::from(point.high))));
    }
    for point in run.iter().rev() {
        path.push_str(&format!("L{} {}", scale.x(point.at), scale.y(f64::from(point.low))));
    }
    path.push('Z');
    path
}

fn round(place: f64) -> f64 {
    (place * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::page::points::Meta;

    fn drawn(minutes: &[(i64, f32)]) -> Drawn {
        let point =
            |(minute, value): &(i64, f32)| Point { at: EventTime::from_secs(minute * 60), low: *value, high: *value };
        let meta = Meta {
            metric: "load<1>".into(),
            entity: "host:a".into(),
            unit: "By".into(),
            counter: false,
            labels: Box::default(),
        };
        Drawn { meta: Arc::new(meta), points: minutes.iter().map(point).collect() }
    }

    #[test]
    fn a_gap_breaks_the_line_and_a_slow_series_has_none() {
        let broken = drawn(&[(0, 1.0), (1, 2.0), (9, 3.0), (10, 4.0)]);
        assert_eq!(runs(&broken.points).iter().map(|run| run.len()).collect::<Vec<_>>(), [2, 2]);
        let slow = drawn(&[(0, 1.0), (5, 2.0), (10, 3.0)]);
        assert_eq!(runs(&slow.points).len(), 1);
    }

    #[test]
    fn a_picture_says_what_it_shows_and_escapes_what_others_wrote() {
        let drawn = drawn(&[(0, 10.0), (1, 2_000_000.0)]);
        let marks = [Mark { at: EventTime::from_secs(60), kind: MarkKind::Onset, said: "<b>began".to_owned() }];
        let chart = Chart {
            drawn: &drawn,
            from: EventTime::from_secs(0),
            until: EventTime::from_secs(120),
            now: EventTime::from_secs(120),
            marks: &marks,
            named: Some(Named { value: 100.0, word: "expected", usual: Some((50.0, 150.0)) }),
            told: None,
        };
        let text = picture(&chart).into_string();
        assert!(text.contains("between 10 B and 2.0 MB") && text.contains("expected 100 B"), "{text}");
        assert!(text.contains("usual then 50 B to 150 B"), "{text}");
        assert!(!text.contains("<b>") && text.contains("&lt;b&gt;began") && !text.contains("NaN"), "{text}");
    }

    #[test]
    fn the_band_is_the_one_that_the_alert_was_told_with() {
        let told = "x is far above the expected 12.00 (usual range 10.00 to 14.00)";
        assert_eq!(usual_range(told), Some((10.0, 14.0)));
        for other in
            ["", "(usual range a to b)", "(usual range 3 to 1)", "(usual range NaN to 1)", "usual range 1 to 2"]
        {
            assert_eq!(usual_range(other), None, "{other}");
        }
    }

    #[test]
    fn the_band_is_read_out_of_what_the_detector_says() {
        use bellwether_models::metric::{Reason, Verdict};
        for (reason, value) in [(Reason::Spike, 950.0), (Reason::Drop, 1.0)] {
            let (expected, lower, upper) = (12.0, 10.0, 14.0);
            let verdict =
                Verdict { score: 0.9, rarity: 0.9, anomaly: true, expected, lower, upper, reason, departure: 0.0 };
            assert_eq!(usual_range(&verdict.reason.sentence(&verdict, value)), Some((lower, upper)));
        }
        assert_eq!(usual_range("12 (usual range 5 to 3)"), None);
    }

    #[test]
    fn what_never_moves_is_a_line_in_the_middle() {
        let drawn = drawn(&[(0, 0.0), (1, 0.0)]);
        let (from, until) = (EventTime::from_secs(0), EventTime::from_secs(60));
        let chart = Chart { drawn: &drawn, from, until, now: until, marks: &[], named: None, told: None };
        let scale = Scale::of(&chart);
        assert!((scale.y(0.0) - (TOP + BOTTOM) / 2.0).abs() < 0.2, "{}", scale.y(0.0));
    }
}
