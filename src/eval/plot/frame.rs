//! The frame of a drawing as plain SVG, no library: title, axes with names and
//! round ticks, a legend, and the marks drawn inside. Colours are Okabe and
//! Ito's, which colour-blind readers tell apart.

use std::fmt::Write;

const WIDTH: f64 = 1200.0;
const HEIGHT: f64 = 400.0;
/// Room left, right, above and below for the axes' words.
const LEFT: f64 = 74.0;
const RIGHT: f64 = 24.0;
const ABOVE: f64 = 58.0;
const BELOW: f64 = 52.0;
/// Most ticks of an axis.
const TICKS_MAX: f64 = 8.0;
/// Steps of a time axis: minutes, hours, days, weeks.
const TIME_STEPS_SECS: [f64; 16] = [
    60.0,
    300.0,
    900.0,
    1_800.0,
    3_600.0,
    10_800.0,
    21_600.0,
    43_200.0,
    86_400.0,
    172_800.0,
    604_800.0,
    1_209_600.0,
    2_419_200.0,
    4_838_400.0,
    9_676_800.0,
    31_449_600.0,
];
/// Times before 2001 are row numbers in disguise.
const TIME_NS_MIN: f64 = 978_307_200e9;

/// Blue: what was measured.
pub(super) const BLUE: &str = "#0072B2";
/// Orange: what is labelled.
pub(super) const ORANGE: &str = "#E69F00";
/// Bluish green: what was told.
pub(super) const GREEN: &str = "#009E73";
/// Vermilion: alarms.
pub(super) const RED: &str = "#D55E00";
/// Curves, in order.
pub(super) const CURVES: [&str; 6] = [RED, BLUE, "#009E73", "#CC79A7", "#56B4E9", "#999999"];

/// What an axis shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Axis<'a> {
    /// Its name and unit.
    pub(super) name: &'a str,
    /// Value at the beginning.
    pub(super) low: f64,
    /// Value at the end.
    pub(super) high: f64,
}

impl<'a> Axis<'a> {
    /// From `low` to `high`, a little apart where they meet.
    pub(super) fn new(name: &'a str, low: f64, high: f64) -> Self {
        match () {
            () if low < high => Self { name, low, high },
            () if low.is_finite() => Self { name, low: low - 0.5, high: low + 0.5 },
            () => Self { name, low: 0.0, high: 1.0 },
        }
    }

    /// Over the finite ones of `values`.
    pub(super) fn over(name: &'a str, values: impl Iterator<Item = f64>) -> Self {
        let finite = values.filter(|v| v.is_finite());
        let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        Self::new(name, low, high)
    }

    /// Round values of this axis.
    fn ticks(&self) -> Vec<f64> {
        let rough = (self.high - self.low) / TICKS_MAX;
        let power = 10_f64.powf(rough.log10().floor());
        let round = [1.0, 2.0, 5.0, 10.0].map(|m| m * power).into_iter().find(|step| *step >= rough);
        let of_time = TIME_STEPS_SECS.iter().map(|secs| secs * 1e9).find(|step| *step >= rough);
        let step = if self.is_time() { of_time.or(round) } else { round }.unwrap_or(10.0 * power);
        let first = (self.low / step).ceil();
        (0..=TICKS_MAX as usize + 1).map(|i| (first + i as f64) * step).filter(|tick| *tick <= self.high).collect()
    }

    /// True when the values are nanoseconds since 1970.
    fn is_time(&self) -> bool {
        self.low >= TIME_NS_MIN
    }

    fn label(&self, tick: f64) -> String {
        if !self.is_time() {
            let tidy = (tick * 1e9).round() / 1e9;
            return if tidy != 0.0 && !(1e-3..1e7).contains(&tidy.abs()) {
                format!("{tick:.2e}")
            } else {
                format!("{tidy}")
            };
        }
        let form = if self.high - self.low > 10.0 * 86_400e9 { "%Y-%m-%d" } else { "%m-%d %H:%M" };
        let stamp = jiff::Timestamp::from_nanosecond(tick as i128);
        stamp.map_or_else(|_| String::new(), |stamp| stamp.strftime(form).to_string())
    }
}

/// A drawing under way.
#[derive(Debug)]
pub(super) struct Frame<'a> {
    x: Axis<'a>,
    y: Axis<'a>,
    svg: String,
    legend_at: f64,
}

impl<'a> Frame<'a> {
    /// Title, axes, ticks.
    pub(super) fn new(title: &str, x: Axis<'a>, y: Axis<'a>) -> Self {
        let mut svg = format!(
            r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12" fill="#333"><rect width="{WIDTH}" height="{HEIGHT}" fill="white"/><text x="{LEFT}" y="24" font-size="15">{}</text>"##,
            escape(title)
        );
        let (middle, floor) = ((LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - BELOW);
        let _ = write!(
            svg,
            r##"<text x="{middle:.0}" y="{:.0}" text-anchor="middle">{}</text><text transform="translate(16 {:.0}) rotate(-90)" text-anchor="middle">{}</text>"##,
            HEIGHT - 12.0,
            escape(x.name),
            (ABOVE + floor) / 2.0,
            escape(y.name)
        );
        let mut frame = Self { x, y, svg, legend_at: WIDTH - RIGHT };
        // An axis without a name gets words from the caller.
        let x_ticks = if frame.x.name.is_empty() { Vec::new() } else { frame.x.ticks() };
        for tick in x_ticks {
            let (at, label) = (frame.x(tick), frame.x.label(tick));
            let _ = write!(
                frame.svg,
                r##"<path d="M{at:.1} {ABOVE}V{floor}" stroke="#eee"/><text x="{at:.1}" y="{:.0}" text-anchor="middle">{label}</text>"##,
                floor + 18.0
            );
        }
        for tick in frame.y.ticks() {
            let (at, label) = (frame.y(tick), frame.y.label(tick));
            let _ = write!(
                frame.svg,
                r##"<path d="M{LEFT} {at:.1}H{:.0}" stroke="#eee"/><text x="{:.0}" y="{:.1}" text-anchor="end">{label}</text>"##,
                WIDTH - RIGHT,
                LEFT - 6.0,
                at + 4.0
            );
        }
        frame
    }

    fn x(&self, value: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * ((value - self.x.low) / (self.x.high - self.x.low)).clamp(0.0, 1.0)
    }

    fn y(&self, value: f64) -> f64 {
        HEIGHT - BELOW - (HEIGHT - ABOVE - BELOW) * ((value - self.y.low) / (self.y.high - self.y.low)).clamp(0.0, 1.0)
    }

    /// Where points lie, as SVG writes them; points that are not finite are left out.
    fn points(&self, points: impl Iterator<Item = (f64, f64)>) -> String {
        let mut text = String::new();
        for (x, y) in points.filter(|(x, y)| x.is_finite() && y.is_finite()) {
            let _ = write!(text, "{:.1},{:.1} ", self.x(x), self.y(y));
        }
        text
    }

    /// A stretch of the x axis, over the whole height, at least two pixels wide.
    pub(super) fn shade(&mut self, from: f64, to: f64, colour: &str) {
        let (left, width) = (self.x(from), (self.x(to) - self.x(from)).max(2.0));
        let height = HEIGHT - ABOVE - BELOW;
        let _ = write!(
            self.svg,
            r##"<rect x="{left:.1}" y="{ABOVE}" width="{width:.1}" height="{height:.1}" fill="{colour}" opacity="0.3"/>"##
        );
    }

    /// The area between an upper and a lower edge.
    pub(super) fn band(&mut self, upper: &[(f64, f64)], lower: &[(f64, f64)], colour: &str) {
        let points = self.points(upper.iter().chain(lower.iter().rev()).copied());
        let _ = write!(self.svg, r##"<polygon points="{points}" fill="{colour}" opacity="0.18"/>"##);
    }

    /// A line through points.
    pub(super) fn line(&mut self, points: impl Iterator<Item = (f64, f64)>, colour: &str, width: f64) {
        let points = self.points(points);
        let _ = write!(
            self.svg,
            r##"<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{width}" stroke-linejoin="round"/>"##
        );
    }

    /// A dot.
    pub(super) fn dot(&mut self, x: f64, y: f64, colour: &str) {
        if x.is_finite() && y.is_finite() {
            let (x, y) = (self.x(x), self.y(y));
            let _ = write!(self.svg, r##"<circle cx="{x:.1}" cy="{y:.1}" r="4" fill="{colour}"/>"##);
        }
    }

    /// A bar from the floor, `width` wide in the unit of x.
    pub(super) fn bar(&mut self, x: f64, width: f64, y: f64, colour: &str) {
        let (left, right, top) = (self.x(x), self.x(x + width), self.y(y));
        let _ = write!(
            self.svg,
            r##"<rect x="{left:.1}" y="{top:.1}" width="{:.1}" height="{:.1}" fill="{colour}"/>"##,
            right - left,
            HEIGHT - BELOW - top
        );
    }

    /// A word under the x axis, in place of a tick.
    pub(super) fn word(&mut self, x: f64, word: &str) {
        let _ = write!(
            self.svg,
            r##"<text x="{:.1}" y="{:.0}" text-anchor="middle">{}</text>"##,
            self.x(x),
            HEIGHT - BELOW + 18.0,
            escape(word)
        );
    }

    /// One more entry of the legend, from the right.
    pub(super) fn legend(&mut self, colour: &str, word: &str) {
        self.legend_at -= 22.0 + 6.6 * word.chars().count() as f64;
        let at = self.legend_at;
        let _ = write!(
            self.svg,
            r##"<rect x="{at:.0}" y="36" width="12" height="12" fill="{colour}"/><text x="{:.0}" y="46">{}</text>"##,
            at + 16.0,
            escape(word)
        );
    }

    /// The whole document.
    pub(super) fn finish(self) -> String {
        let (width, height) = (WIDTH - LEFT - RIGHT, HEIGHT - ABOVE - BELOW);
        let border =
            format!(r##"<rect x="{LEFT}" y="{ABOVE}" width="{width}" height="{height}" fill="none" stroke="#999"/>"##);
        self.svg + &border + "</svg>\n"
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(Axis::new("", 0.0, 1.0).ticks(), [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]);
        assert_eq!(Axis::new("", 97.0, 103.0).ticks(), [97.0, 98.0, 99.0, 100.0, 101.0, 102.0, 103.0]);
        assert_eq!(Axis::new("", f64::INFINITY, f64::NEG_INFINITY).ticks().len(), 6);
    }

    #[test]
    fn an_axis_of_times_shows_dates() {
        let day = 86_400e9;
        let axis = Axis::new("time", 1_763_596_800e9, 1_763_596_800e9 + 30.0 * day);
        assert_eq!(axis.label(1_763_596_800e9), "2025-11-20");
        let steps: Vec<f64> = axis.ticks().windows(2).map(|pair| (pair[1] - pair[0]) / day).collect();
        assert!(steps.len() > 2 && steps.iter().all(|days| (days - 7.0).abs() < 1e-6), "{steps:?}");
        assert_eq!(Axis::new("point", 0.0, 10.0).label(0.30000000000000004), "0.3");
    }

    #[test]
    fn names_cannot_break_the_picture() {
        let mut frame = Frame::new("a<b>&", Axis::new("<x>", 0.0, 1.0), Axis::new("y", 0.0, 1.0));
        frame.dot(f64::NAN, 0.0, RED);
        frame.legend(BLUE, "<l>");
        let svg = frame.finish();
        assert!(svg.contains("a&lt;b>&amp;") && svg.contains("&lt;l>") && !svg.contains("<l>"), "{svg}");
        assert!(!svg.contains("NaN") && !svg.contains("<circle"));
    }
}
