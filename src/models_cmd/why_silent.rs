//! Why a forecast of exhaustion tells nothing: what a user would ask next.

use super::forecast::Decision;

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

/// Why none of `decisions` over `points` points in `hours` hours says that a series runs out; `None` when one does.
pub(super) fn why_silent(asked: Asked<'_>, points: usize, hours: f64, decisions: &[Decision]) -> Option<String> {
    if decisions.iter().any(|decision| decision.full_within_horizon) {
        return None;
    }
    let (Some(first), Some(last)) = (decisions.first(), decisions.last()) else {
        return Some(format!(
            "{points} points over {:.0} min hold no whole hour, and decisions are made by the hour",
            60.0 * hours
        ));
    };
    if let Some([_, middle, _]) = last.hours {
        let away = if middle < 48.0 { format!("{middle:.0} h") } else { format!("{:.0} days", middle / 24.0) };
        return Some(format!(
            "it reaches {} in about {away}, which is not surely within --horizon {}",
            asked.limit, asked.horizon
        ));
    }
    let towards = if asked.falling { first.level - last.level } else { last.level - first.level };
    let way = (asked.limit - first.level).abs();
    let course = format!("the level went from {:.4} to {:.4} in {hours:.0} h", first.level, last.level);
    Some(match towards {
        towards if towards > STANDS_STILL * way => format!(
            "{course}, too unsteadily or too shortly to point at {}: a forecast looks no further ahead than its history \
             is long, an eighth of that before it is two days",
            asked.limit
        ),
        towards if towards < -STANDS_STILL * way => {
            let remedy = if asked.falling { "leave --falling out" } else { "say --falling" };
            format!("{course}, away from {}: if it is used up at the other end, {remedy}", asked.limit)
        }
        _ => format!("{course}: it stands still"),
    })
}

/// Says on standard error why series are silent.
pub(super) fn tell(silent: &[(String, String)]) {
    for (name, why) in silent.iter().take(EXPLAINED_MAX) {
        let whose = if name.is_empty() { String::new() } else { format!(" of {name}") };
        eprintln!("nothing is told{whose}: {why}");
    }
    if silent.len() > EXPLAINED_MAX {
        eprintln!("nothing is told of {} further series", silent.len() - EXPLAINED_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models_cmd::forecast::decisions;
    use bellwether_models::exhaustion::ExhaustionParams;

    fn why(hours: usize, falling: bool, level: impl Fn(f64) -> f64) -> Option<String> {
        let at: Vec<i64> = (0..12 * hours as i64 + 1).map(|i| i * 300_000_000_000).collect();
        let values: Vec<f64> = at.iter().map(|at| level(*at as f64 / 3.6e12)).collect();
        let limit = if falling { 0.0 } else { 100.0 };
        let params = ExhaustionParams { limit, falling, ..ExhaustionParams::default() };
        let decisions = decisions(&params, &at, &values).expect("it forecasts");
        why_silent(Asked { limit, falling, horizon: "24h" }, at.len(), hours as f64, &decisions)
    }

    #[test]
    fn each_silence_has_its_reason_and_a_warning_has_none() {
        assert_eq!(why(72, false, |hour| 20.0 + hour), None);
        let holds =
            |why: Option<String>, word: &str| assert!(why.as_ref().is_some_and(|w| w.contains(word)), "{why:?}");
        holds(why(0, false, |_| 50.0), "no whole hour");
        holds(why(72, false, |_| 50.0), "stands still");
        holds(why(72, false, |hour| 90.0 - hour), "say --falling");
        holds(why(72, true, |hour| 10.0 + hour), "leave --falling out");
        holds(why(96, false, |hour| 40.0 + 0.2 * hour), "--horizon 24h");
        holds(why(3, false, |hour| 40.0 + hour), "an eighth");
    }
}
