//! How busy people are: a daily and a weekly rhythm.
//!
//! Hourly load of consumer services rises through the morning, holds through the day, peaks in
//! the evening and rests at night; weekends are flatter. The tables are ours, made to look like
//! that and to average 1; no data set stands behind them.

use bellwether_engine::time::EventTime;

/// Load by hour of the day (UTC), relative to the daily mean.
const BY_HOUR: [f64; 24] = [
    0.55, 0.45, 0.40, 0.38, 0.40, 0.50, 0.70, 0.92, 1.12, 1.24, 1.28, 1.30, 1.26, 1.24, 1.22, 1.20, 1.20, 1.24, 1.32,
    1.42, 1.46, 1.32, 1.06, 0.82,
];

/// Load by day of the week from Monday, relative to the weekly mean.
const BY_DAY: [f64; 7] = [1.06, 1.05, 1.04, 1.06, 1.08, 0.88, 0.83];

const HOUR_SECS: i64 = 3_600;
const DAY_SECS: i64 = 24 * HOUR_SECS;

/// Load at `at` relative to the weekly mean, between about 0.3 and 1.6.
pub(crate) fn season(at: EventTime) -> f64 {
    let secs = at.0.div_euclid(1_000_000_000);
    // 1970-01-01 was a Thursday: day 3 from Monday.
    let day = (secs.div_euclid(DAY_SECS) + 3).rem_euclid(7) as usize;
    let in_day = secs.rem_euclid(DAY_SECS);
    let hour = (in_day / HOUR_SECS) as usize;
    let into_hour = (in_day % HOUR_SECS) as f64 / HOUR_SECS as f64;
    let next = BY_HOUR[(hour + 1) % 24];
    let by_hour = BY_HOUR[hour] + (next - BY_HOUR[hour]) * into_hour;
    let by_day = if hour == 23 { BY_DAY[day] + (BY_DAY[(day + 1) % 7] - BY_DAY[day]) * into_hour } else { BY_DAY[day] };
    by_hour * by_day
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> EventTime {
        EventTime::parse_rfc3339(text).expect("a fixed instant")
    }

    #[test]
    fn evenings_are_busier_than_nights_and_weekdays_than_sundays() {
        let monday_night = season(at("2026-03-02T03:00:00Z"));
        let monday_evening = season(at("2026-03-02T20:00:00Z"));
        let sunday_evening = season(at("2026-03-01T20:00:00Z"));
        assert!(monday_evening > 3.0 * monday_night);
        assert!(monday_evening > 1.2 * sunday_evening);
    }

    #[test]
    fn the_week_averages_one_and_has_no_jump() {
        let start = at("2026-03-02T00:00:00Z");
        let minutes = 7 * 24 * 60;
        let loads: Vec<f64> = (0..=minutes).map(|m| season(EventTime(start.0 + m * 60_000_000_000))).collect();
        let mean = loads.iter().sum::<f64>() / loads.len() as f64;
        assert!((mean - 1.0).abs() < 0.02, "{mean}");
        let jump = loads.windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f64::max);
        assert!(jump < 0.02, "{jump}");
        assert_eq!(loads[0], loads[minutes as usize]);
    }
}
