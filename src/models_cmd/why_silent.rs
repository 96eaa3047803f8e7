//! Why a forecast of exhaustion tells nothing: what a user would ask next.

/// Series that are explained; of more it is said how many.
const EXPLAINED_MAX: usize = 10;

/// Moves by less than this share of the way to the limit are none.
const STANDS_STILL: f64 = 0.01;

/// What is asked of a forecast.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) limit: f64,
    pub(super) falling: bool,
    /// As it was written: `24h`.
    pub(super) horizon: &'a str,
}

/// What was decided about a series: at the first decision, and at the last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Course {
    /// Levels.
    pub(super) first: f64,
    pub(super) last: f64,
    /// Hours to the limit from the last decision, in the middle of what is likely.
    pub(super) hours_left: Option<f64>,
}

/// Why no decision over `points` points in `hours` hours says that a series runs out; `course` is `None` where there was no
/// decision.
pub(super) fn why_silent(asked: Asked<'_>, points: usize, hours: f64, course: Option<Course>) -> String {
    let Some(Course { first, last, hours_left }) = course else {
        return format!(
            "{points} points over {:.0} min hold no whole hour, and decisions are made by the hour",
            60.0 * hours
        );
    };
    if let Some(middle) = hours_left {
        let away = if middle < 48.0 { format!("{middle:.0} h") } else { format!("{:.0} days", middle / 24.0) };
        return format!(
            "it reaches {} in about {away}, which is not surely within --horizon {}",
            asked.limit, asked.horizon
        );
    }
    let towards = if asked.falling { first - last } else { last - first };
    let way = (asked.limit - first).abs();
    let course = format!("the level went from {first:.4} to {last:.4} in {hours:.0} h");
    match towards {
        towards if towards > STANDS_STILL * way => format!(
            "{course}, too slowly, too unsteadily or for too short a time to point at {} within --horizon {}: a forecast \
             looks no further ahead than its history is long, an eighth of that before it is two days",
            asked.limit, asked.horizon
        ),
        towards if towards < -STANDS_STILL * way => {
            let remedy = if asked.falling { "leave --falling out" } else { "say --falling" };
            format!("{course}, away from {}: if it is used up at the other end, {remedy}", asked.limit)
        }
        _ => format!("{course}: it stands still"),
    }
}

/// Says on standard error why series are silent.
pub(super) fn tell(silent: &[(String, String)]) {
    for (name, why) in silent.iter().take(EXPLAINED_MAX) {
        let whose = if name.is_empty() { String::new() } else { format!(" of {name}") };
        tracing::warn!("nothing is told{whose}: {why}");
    }
    if silent.len() > EXPLAINED_MAX {
        tracing::warn!("nothing is told of {} further series", silent.len() - EXPLAINED_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_silence_has_its_reason() {
        let why = |falling, first: f64, last: f64, hours_left| {
            let asked = Asked { limit: if falling { 0.0 } else { 100.0 }, falling, horizon: "24h" };
            why_silent(asked, 864, 72.0, Some(Course { first, last, hours_left }))
        };
        let asked = Asked { limit: 100.0, falling: false, horizon: "24h" };
        for (said, word) in [
            (why_silent(asked, 5, 0.3, None), "no whole hour"),
            (why(false, 50.0, 50.1, None), "stands still"),
            (why(false, 90.0, 40.0, None), "say --falling"),
            (why(true, 40.0, 90.0, None), "leave --falling out"),
            (why(false, 40.0, 59.0, Some(200.0)), "about 8 days"),
            (why(false, 40.0, 59.0, None), "an eighth"),
        ] {
            assert!(said.contains(word), "{said}");
        }
    }
}
