//! Drawings as plain SVG, no library: a series with its band and alarms, and a
//! precision–recall curve.

use bellwether_models::metric::Verdict;
use std::fmt::Write;

const WIDTH: f64 = 1200.0;
const HEIGHT: f64 = 360.0;
const MARGIN: f64 = 46.0;
/// Columns of the drawing: each shows the lowest and highest of its points.
const COLUMNS: usize = 1000;

/// A series with the expected band, labelled stretches and alarms.
#[must_use]
pub fn series(title: &str, values: &[f64], verdicts: &[Verdict], truth: &[bool]) -> String {
    let (low, high) = range(values);
    let x = |index: usize| MARGIN + (WIDTH - 2.0 * MARGIN) * index as f64 / values.len().max(2) as f64;
    let y = |value: f64| HEIGHT - MARGIN - (HEIGHT - 2.0 * MARGIN) * ((value - low) / (high - low)).clamp(0.0, 1.0);
    let mut svg = head(title);
    for (first, end) in bellwether_models::score::delay::segments(truth) {
        let width = (x(end) - x(first)).max(2.0);
        let _ = write!(
            svg,
            r##"<rect x="{:.1}" y="{MARGIN}" width="{width:.1}" height="{:.1}" fill="#f4b942" opacity="0.35"/>"##,
            x(first),
            HEIGHT - 2.0 * MARGIN
        );
    }
    let step = values.len().div_ceil(COLUMNS).max(1);
    let columns: Vec<usize> = (0..values.len()).step_by(step).collect();
    let edge = |pick: fn(&Verdict) -> f64, rows: &mut dyn Iterator<Item = &usize>| {
        rows.map(|i| format!("{:.1},{:.1}", x(*i), y(pick(&verdicts[*i])))).collect::<Vec<_>>().join(" ")
    };
    let band = edge(|v| v.upper, &mut columns.iter()) + " " + &edge(|v| v.lower, &mut columns.iter().rev());
    let _ = write!(svg, r##"<polygon points="{band}" fill="#4c78a8" opacity="0.18"/>"##);
    let mut line = String::new();
    for start in &columns {
        let (low, high) = range(&values[*start..(start + step).min(values.len())]);
        let _ = write!(line, "{:.1},{:.1} {:.1},{:.1} ", x(*start), y(low), x(*start), y(high));
    }
    let _ = write!(svg, r##"<polyline points="{line}" fill="none" stroke="#2f4b6e" stroke-width="1"/>"##);
    for (index, _) in verdicts.iter().enumerate().filter(|(_, verdict)| verdict.anomaly) {
        let _ = write!(svg, r##"<circle cx="{:.1}" cy="{:.1}" r="4" fill="#d62728"/>"##, x(index), y(values[index]));
    }
    let _ = write!(
        svg,
        r##"<text x="4" y="{:.1}">{high:.4}</text><text x="4" y="{:.1}">{low:.4}</text>"##,
        MARGIN,
        HEIGHT - MARGIN
    );
    svg + "</svg>\n"
}

/// Precision over recall as the threshold falls.
#[must_use]
pub fn precision_recall(title: &str, scores: &[f64], truth: &[bool]) -> String {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_unstable_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b)));
    let positives = truth.iter().filter(|t| **t).count().max(1) as f64;
    let (mut hits, mut points) = (0.0, String::new());
    let step = order.len().div_ceil(COLUMNS).max(1);
    for (rank, index) in order.iter().enumerate() {
        hits += f64::from(u8::from(truth[*index]));
        if rank % step == 0 {
            let (recall, precision) = (hits / positives, hits / (rank + 1) as f64);
            let _ = write!(
                points,
                "{:.1},{:.1} ",
                MARGIN + (WIDTH - 2.0 * MARGIN) * recall,
                HEIGHT - MARGIN - (HEIGHT - 2.0 * MARGIN) * precision
            );
        }
    }
    let mut svg = head(&format!("{title}: precision (up) over recall (right), per point"));
    let _ = write!(svg, r##"<polyline points="{points}" fill="none" stroke="#d62728" stroke-width="2"/>"##);
    svg + "</svg>\n"
}

fn head(title: &str) -> String {
    let title = title.replace('&', "&amp;").replace('<', "&lt;");
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="11"><rect width="{WIDTH}" height="{HEIGHT}" fill="white"/><rect x="{MARGIN}" y="{MARGIN}" width="{:.1}" height="{:.1}" fill="none" stroke="#bbb"/><text x="{MARGIN}" y="24" font-size="14">{title}</text>"##,
        WIDTH - 2.0 * MARGIN,
        HEIGHT - 2.0 * MARGIN
    )
}

/// Lowest and highest finite value, a little apart when they are equal.
fn range(values: &[f64]) -> (f64, f64) {
    let finite = values.iter().copied().filter(|v| v.is_finite());
    let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    if low < high {
        (low, high)
    } else if low.is_finite() {
        (low - 0.5, low + 0.5)
    } else {
        (0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_models::metric::Reason;

    #[test]
    fn alarms_and_labels_are_drawn_and_titles_cannot_break_the_picture() {
        let quiet = Verdict { score: 0.0, anomaly: false, expected: 1.0, lower: 0.0, upper: 2.0, reason: Reason::None };
        let verdicts = [quiet, Verdict { anomaly: true, ..quiet }, quiet];
        let svg = series("a<b>", &[1.0, 9.0, f64::NAN], &verdicts, &[false, true, false]);
        assert_eq!(svg.matches("<circle").count(), 1);
        assert!(svg.contains("#f4b942") && svg.contains("a&lt;b>") && svg.ends_with("</svg>\n"));
        assert!(precision_recall("x", &[0.1, 0.9], &[false, true]).contains("<polyline"));
        assert!(series("empty", &[], &[], &[]).ends_with("</svg>\n"));
    }
}
