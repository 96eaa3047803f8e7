//! The drawings of an evaluation: a series with its band and alarms, scores of
//! rows, a level on its way to a limit, precision–recall curves of points, and of
//! events what is told against false alarms a week; bars.

mod frame;

use bellwether_models::metric::Verdict;
use bellwether_models::score::causes::reliability as bins_of;
use bellwether_models::score::delay::{Counts, Labelled, segments, told_counts, told_curve};
use frame::{Axis, BLUE, CURVES, Frame, GREEN, ORANGE, RED};

/// Columns of the drawing: each shows the lowest and highest of its points.
const COLUMNS: usize = 1000;
/// Most points a drawing shows: the end of a longer series is drawn.
const DRAWN_MAX: usize = 20_000;
/// Most names under an axis that can still be read.
const WORDS_MAX: usize = 12;

/// One series of points to draw; all slices have one length.
#[derive(Debug, Clone, Copy)]
pub struct Drawn<'a> {
    /// Its name.
    pub name: &'a str,
    /// Nanoseconds since 1970, or row numbers.
    pub at: &'a [i64],
    /// What was measured.
    pub values: &'a [f64],
    /// Where it is labelled anomalous.
    pub truth: &'a [bool],
}

impl<'a> Drawn<'a> {
    fn last(self, count: usize) -> Self {
        let from = self.values.len().saturating_sub(count);
        Self { name: self.name, at: &self.at[from..], values: &self.values[from..], truth: &self.truth[from..] }
    }

    fn x(&self, index: usize) -> f64 {
        self.at.get(index).or(self.at.last()).map_or(0.0, |at| *at as f64)
    }

    fn x_axis(&self) -> Axis<'static> {
        let (first, last) = (self.x(0), self.x(self.at.len()));
        Axis::new(if first >= 1e15 { "time (UTC)" } else { "point" }, first, last)
    }

    fn columns(&self) -> (usize, Vec<usize>) {
        let step = self.values.len().div_ceil(COLUMNS).max(1);
        (step, (0..self.values.len()).step_by(step).collect())
    }

    fn shade_truth(&self, frame: &mut Frame<'_>) {
        for (first, end) in segments(self.truth) {
            frame.shade(self.x(first), self.x(end), ORANGE);
        }
        frame.legend(ORANGE, "labelled");
    }

    /// The line of `values`, thinned to lowest and highest of each column.
    fn course(&self, values: &[f64], frame: &mut Frame<'_>, colour: &str) {
        let (step, columns) = self.columns();
        let mut points = Vec::with_capacity(2 * columns.len());
        for start in columns {
            let some = values[start..(start + step).min(values.len())].iter().copied().filter(|v| v.is_finite());
            let (low, high) = some.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
            points.extend([(self.x(start), low), (self.x(start), high)]);
        }
        frame.line(points.into_iter(), colour, 1.0);
    }
}

/// Nanoseconds of a week.
pub(super) const WEEK_NS: f64 = 604_800e9;
/// False alarms a week of one series to which the axis reaches: more nobody reads.
const FALSE_A_WEEK_MAX: f64 = 7.0;

/// A series with the expected band, alarms, and each labelled stretch as told or missed.
#[must_use]
pub fn series(drawn: Drawn<'_>, verdicts: &[Verdict]) -> String {
    let verdicts = &verdicts[verdicts.len().saturating_sub(DRAWN_MAX)..];
    let drawn = drawn.last(DRAWN_MAX);
    let alarms: Vec<bool> = verdicts.iter().map(|verdict| verdict.anomaly).collect();
    let counts = told_counts(&alarms, drawn.truth);
    let weeks = (drawn.x(drawn.at.len()) - drawn.x(0)) / WEEK_NS;
    let title = format!(
        "{}: {} of {} anomalies told, {} a week",
        drawn.name,
        counts.hit,
        counts.hit + counts.missed,
        false_alarms(counts.false_alarm, weeks)
    );
    let mut frame = Frame::new(&title, drawn.x_axis(), Axis::over("value", drawn.values.iter().copied()));
    for (first, end) in segments(drawn.truth) {
        let told = alarms[first..end].contains(&true);
        frame.shade(drawn.x(first), drawn.x(end), if told { GREEN } else { ORANGE });
    }
    frame.legend(ORANGE, "missed");
    frame.legend(GREEN, "told");
    let edge = |pick: fn(&Verdict) -> f64| -> Vec<(f64, f64)> {
        drawn.columns().1.into_iter().map(|i| (drawn.x(i), pick(&verdicts[i]))).collect()
    };
    frame.band(&edge(|v| v.upper), &edge(|v| v.lower), BLUE);
    drawn.course(drawn.values, &mut frame, BLUE);
    for (index, _) in verdicts.iter().enumerate().filter(|(_, verdict)| verdict.anomaly) {
        frame.dot(drawn.x(index), drawn.values[index], RED);
    }
    frame.legend(BLUE, "value and band");
    frame.legend(RED, "alarm");
    frame.finish()
}

/// `3 false alarms, 0.4`, or without the rate where no time passes.
fn false_alarms(count: usize, weeks: f64) -> String {
    let rate = if weeks > 0.0 { count as f64 / weeks } else { f64::NAN };
    if rate.is_finite() { format!("{count} false alarms, {rate:.1}") } else { format!("{count} false alarms, –") }
}

/// Share of anomalies told over false alarms a week of one series, as the threshold falls: one curve for
/// each method. `weeks` is how long all series of `truth` are together.
#[must_use]
pub fn told(title: &str, methods: &[(&str, &[Vec<f64>])], truth: &[&[bool]], weeks: f64) -> String {
    let title = format!("{title}: anomalies told over false alarms a week, per event");
    let axis = Axis::new("false alarms a week and series", 0.0, FALSE_A_WEEK_MAX);
    let mut frame = Frame::new(&title, axis, Axis::new("share of anomalies told", 0.0, 1.0));
    for ((name, scores), colour) in methods.iter().zip(CURVES).rev() {
        let labelled: Vec<Labelled<'_>> =
            scores.iter().zip(truth).map(|(scores, labels)| Labelled { scores, labels }).collect();
        let share = |counts: &Counts| counts.hit as f64 / (counts.hit + counts.missed).max(1) as f64;
        let rate = |counts: &Counts| counts.false_alarm as f64 / weeks.max(1e-9);
        let mut reach: Vec<(f64, f64)> =
            told_curve(&labelled).iter().map(|(_, counts)| (rate(counts), share(counts))).collect();
        // A lower threshold also joins alarms: their number may fall with it.
        reach.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1)));
        let (mut points, mut reached) = (vec![(0.0, 0.0)], 0.0);
        for (rate, share) in reach.into_iter().filter(|(rate, _)| *rate <= FALSE_A_WEEK_MAX) {
            if share > reached {
                points.extend([(rate, reached), (rate, share)]);
                reached = share;
            }
        }
        points.push((FALSE_A_WEEK_MAX, reached));
        frame.line(points.into_iter(), colour, if *name == "bellwether" { 2.5 } else { 1.5 });
        frame.legend(colour, name);
    }
    frame.finish()
}

/// Scores of rows, labelled stretches, and the threshold they are judged by.
#[must_use]
pub fn scores(drawn: Drawn<'_>, threshold: f64) -> String {
    let drawn = drawn.last(DRAWN_MAX);
    let title = format!("{}: score of each row", drawn.name);
    let mut frame = Frame::new(&title, drawn.x_axis(), Axis::over("score", drawn.values.iter().copied()));
    drawn.shade_truth(&mut frame);
    drawn.course(drawn.values, &mut frame, BLUE);
    frame.legend(BLUE, "score");
    if threshold.is_finite() {
        frame.line([drawn.x(0), drawn.x(drawn.at.len())].into_iter().map(|x| (x, threshold)), RED, 1.0);
        frame.legend(RED, "threshold");
    }
    frame.finish()
}

/// A level on its way to a limit, in hours: warnings as dots; `full_at` is when
/// it was full, if it ever was.
#[must_use]
pub fn level(name: &str, levels: &[(f64, f64)], warnings: &[f64], limit: f64, full_at: Option<f64>) -> String {
    let end = levels.last().map_or(1.0, |point| point.0);
    let y = Axis::over("level", levels.iter().map(|point| point.1).chain([limit]));
    let title = format!("{name}: level and “full within a day” warnings");
    let mut frame = Frame::new(&title, Axis::new("hours", 0.0, end), y);
    if let Some(at) = full_at {
        frame.shade((at - 24.0).max(0.0), at, ORANGE);
        frame.legend(ORANGE, "the day before it was full");
    }
    frame.line([(0.0, limit), (end, limit)].into_iter(), "#333", 1.0);
    frame.line(levels.iter().copied(), BLUE, 1.5);
    for at in warnings {
        let near = levels.partition_point(|point| point.0 < *at).min(levels.len().saturating_sub(1));
        frame.dot(*at, levels.get(near).map_or(f64::NAN, |point| point.1), RED);
    }
    frame.legend(BLUE, "level");
    frame.legend(RED, "warning");
    frame.finish()
}

/// Precision over recall as the threshold falls, one curve for each method.
#[must_use]
pub fn precision_recall(title: &str, methods: &[(String, Vec<f64>)], truth: &[bool]) -> String {
    let positives = truth.iter().filter(|t| **t).count().max(1) as f64;
    let title = format!("{title}: precision over recall, per point");
    let mut frame = Frame::new(&title, Axis::new("recall", 0.0, 1.0), Axis::new("precision", 0.0, 1.0));
    for ((name, scores), colour) in methods.iter().zip(CURVES).rev() {
        let mut order: Vec<usize> = (0..scores.len().min(truth.len())).collect();
        order.sort_unstable_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b)));
        let (mut hits, mut reached, mut points) = (0.0, 0.0, Vec::new());
        let step = order.len().div_ceil(COLUMNS).max(1);
        for (rank, index) in order.iter().enumerate() {
            hits += f64::from(u8::from(truth[*index]));
            // Points of one score are judged together: between them no threshold lies.
            let last = order.get(rank + 1).is_none_or(|next| scores[*next] < scores[*index]);
            if last && (rank < COLUMNS || rank % step == 0 || rank + 1 == order.len()) {
                // A step, as average precision counts it: no threshold lies between two points.
                let (recall, precision) = (hits / positives, hits / (rank + 1) as f64);
                points.extend([(reached, precision), (recall, precision)]);
                reached = recall;
            }
        }
        frame.line(points.into_iter(), colour, if name == "bellwether" { 2.5 } else { 1.5 });
        frame.legend(colour, name);
    }
    frame.finish()
}

/// What was right of answers that said a confidence, one curve for each kind of answer `(confidence, right)`, beside
/// the line of honest ones.
#[must_use]
pub fn reliability(title: &str, kinds: &[(String, Vec<(f64, bool)>)]) -> String {
    let title = format!("{title}: share that came true over what was said");
    let mut frame = Frame::new(&title, Axis::new("said", 0.0, 1.0), Axis::new("came true", 0.0, 1.0));
    frame.line([(0.0, 0.0), (1.0, 1.0)].into_iter(), "#333", 1.0);
    for ((name, answers), colour) in kinds.iter().zip(CURVES) {
        let bins = bins_of(answers, RELIABILITY_BINS);
        frame.line(bins.iter().map(|bin| (bin.confidence, bin.accuracy)), colour, 2.5);
        bins.iter().for_each(|bin| frame.dot(bin.confidence, bin.accuracy, colour));
        frame.legend(colour, name);
    }
    frame.finish()
}

/// Bins of a reliability curve, as many as the calibration error has.
const RELIABILITY_BINS: usize = 10;

/// Bars from 0 to 1: for each unit one of each measure.
#[must_use]
pub fn bars(title: &str, measures: &[&str], units: &[(String, Vec<f64>)]) -> String {
    let mut frame = Frame::new(title, Axis::new("", -0.25, units.len() as f64), Axis::new("share", 0.0, 1.0));
    let width = 0.75 / measures.len().max(1) as f64;
    for (at, (name, cells)) in units.iter().enumerate() {
        for (number, (cell, colour)) in cells.iter().zip(CURVES).enumerate().filter(|(_, (cell, _))| cell.is_finite()) {
            frame.bar(at as f64 + number as f64 * width, width * 0.9, *cell, colour);
        }
        if units.len() <= WORDS_MAX {
            frame.word(at as f64 + 0.375, name);
        }
    }
    for (measure, colour) in measures.iter().zip(CURVES).rev() {
        frame.legend(colour, measure);
    }
    frame.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_models::metric::Reason;

    const AT: [i64; 3] = [0, 60, 120];

    #[test]
    fn alarms_labels_and_axes_are_drawn() {
        let quiet = Verdict {
            score: 0.0,
            rarity: 0.0,
            anomaly: false,
            expected: 1.0,
            lower: 0.0,
            upper: 2.0,
            reason: Reason::None,
            departure: 0.0,
        };
        let verdicts = [quiet, Verdict { anomaly: true, ..quiet }, quiet];
        let drawn = Drawn { name: "a", at: &AT, values: &[1.0, 9.0, f64::NAN], truth: &[false, true, false] };
        let svg = series(drawn, &verdicts);
        assert_eq!(svg.matches("<circle").count(), 1);
        assert!(svg.contains("1 of 1 anomalies told, 0 false alarms"), "{svg}");
        assert!(svg.contains(GREEN) && svg.contains(">alarm<") && svg.contains(">value<") && svg.contains(">point<"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        let svg = scores(drawn, 4.0);
        assert!(svg.contains(">threshold<"), "{svg}");
    }

    #[test]
    fn nothing_to_draw_is_an_empty_frame() {
        let nothing = Drawn { name: "empty", at: &[], values: &[], truth: &[] };
        for svg in [series(nothing, &[]), scores(nothing, f64::INFINITY), level("x", &[], &[], 100.0, None)] {
            assert!(svg.ends_with("</svg>\n") && !svg.contains("NaN"), "{svg}");
        }
        assert!(bars("none", &["GA"], &[]).ends_with("</svg>\n"));
        assert!(precision_recall("none", &[], &[]).ends_with("</svg>\n"));
        assert!(told("none", &[("null", &[])], &[], 0.0).ends_with("</svg>\n"));
    }

    #[test]
    fn what_is_told_without_a_false_alarm_stands_at_the_left_edge() {
        let truth: &[bool] = &[false, false, true, false];
        let (good, bad) = (vec![vec![0.1, 0.2, 0.9, 0.1]], vec![vec![0.9, 0.2, 0.3, 0.1]]);
        let svg = told("x", &[("bellwether", &good), ("random", &bad)], &[truth], 1.0);
        let curves: Vec<&str> = svg.split("points=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        let points = |curve: &str| curve.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        // Drawn from the last method to the first: at once to the top, or at one false alarm.
        assert_eq!(points(curves[1])[1..3], ["74.0,348.0", "74.0,58.0"], "{svg}");
        assert_ne!(points(curves[0])[1], "74.0,348.0", "{svg}");
    }

    #[test]
    fn every_method_has_its_curve_and_every_measure_its_bar() {
        let methods = [("bellwether".to_owned(), vec![0.1, 0.9]), ("null".to_owned(), vec![0.0, 0.0])];
        let svg = precision_recall("x", &methods, &[false, true]);
        assert_eq!(svg.matches("<polyline").count(), 2);
        assert!(svg.contains(">null<") && svg.contains(">recall<"));
        let svg = bars("x", &["GA", "PA"], &[("Apache".to_owned(), vec![1.0, f64::NAN])]);
        assert!(svg.contains(">Apache<") && svg.contains(">GA<"));
    }

    #[test]
    fn answers_are_drawn_beside_honest_ones() {
        let kinds = [("group".to_owned(), vec![(0.9, true), (0.9, false), (0.2, false)])];
        let svg = reliability("x", &kinds);
        assert_eq!((svg.matches("<polyline").count(), svg.matches("<circle").count()), (2, 2), "{svg}");
        assert!(reliability("none", &[]).ends_with("</svg>\n"));
    }

    #[test]
    fn a_level_shows_its_warnings_and_its_last_day() {
        let svg = level("disk", &[(0.0, 40.0), (1.0, 50.0), (30.0, 99.0)], &[29.0], 100.0, Some(30.0));
        assert_eq!(svg.matches("<circle").count(), 1);
        assert!(svg.contains("the day before it was full"));
    }
}
