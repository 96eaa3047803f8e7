//! How long something took, of many: the middle, the slow ones, and how they spread.

use bellwether_engine::time::Span;

/// Upper ends of the bins of a picture, in seconds; the last bin is what took longer.
pub const BINS: [(i64, &str); 9] = [
    (60, "1 min"),
    (300, "5 min"),
    (900, "15 min"),
    (1_800, "30 min"),
    (3_600, "1 h"),
    (4 * 3_600, "4 h"),
    (8 * 3_600, "8 h"),
    (24 * 3_600, "1 d"),
    (i64::MAX, "longer"),
];

/// Spans of time, summed up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spread {
    /// How many.
    pub count: u64,
    /// Their mean.
    pub mean: Span,
    /// Half took no longer.
    pub p50: Span,
    /// Nine of ten took no longer.
    pub p90: Span,
    /// The longest.
    pub longest: Span,
    /// How many took as long as each bin says.
    pub bins: [u64; BINS.len()],
}

impl Spread {
    /// Of these spans.
    pub fn of(mut spans: Vec<Span>) -> Spread {
        let Some(last) = spans.len().checked_sub(1) else { return Spread::default() };
        spans.sort_unstable();
        let mut bins = [0; BINS.len()];
        for span in &spans {
            let secs = span.as_secs_f64();
            let bin = BINS.iter().position(|(end, _)| secs <= *end as f64).unwrap_or(BINS.len() - 1);
            bins[bin] += 1;
        }
        // The smallest that so many are no longer than.
        let rank = |share: f64| spans[((share * spans.len() as f64).ceil() as usize).clamp(1, spans.len()) - 1];
        let sum: i128 = spans.iter().map(|span| i128::from(span.0)).sum();
        Spread {
            count: spans.len() as u64,
            mean: Span((sum / spans.len() as i128) as i64),
            p50: rank(0.5),
            p90: rank(0.9),
            longest: spans[last],
            bins,
        }
    }
}
