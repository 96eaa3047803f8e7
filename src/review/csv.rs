//! A review as CSV (RFC 4180): a figure a line, for spreadsheets.

use bellwether_engine::time::Span;

use super::spread::BINS;
use super::{Promise, Review, Spread};

/// The lines, with a head. Durations are in seconds, shares between 0 and 1.
pub fn csv(review: &Review) -> String {
    let mut lines = Lines(String::from("figure,of,value\r\n"));
    lines.count("incidents", "", review.incidents);
    lines.count("open", "", review.open);
    lines.count("called_false", "", review.called_false);
    lines.count("untouched", "", review.untouched);
    lines.count("reopenings", "", review.reopenings);
    lines.count("reopened", "", review.reopened);
    lines.count("by_change", "", review.by_change);
    lines.count("notifications", "", review.notifications);
    lines.share("noise_reduction", "", review.noise_reduction());
    for (name, spread) in
        [("detect", &review.detect), ("acknowledge", &review.acknowledge), ("resolve", &review.resolve)]
    {
        lines.spread(name, spread);
    }
    for (name, promise) in [("respond", review.respond), ("mend", review.mend)] {
        lines.promise(name, promise);
    }
    for (name, kinds) in [("priority", &review.priorities), ("class", &review.classes), ("team", &review.teams)] {
        kinds.iter().for_each(|(kind, number)| lines.count(name, kind, *number));
    }
    for (rule, of) in &review.rules {
        lines.count("rule_incidents", rule, of.incidents);
        lines.count("rule_alerts", rule, of.alerts);
        lines.count("rule_untouched", rule, of.untouched);
        lines.count("rule_called_false", rule, of.called_false);
    }
    lines.count("forecasts", "told", review.forecasts);
    lines.count("forecasts", "called_false", review.forecasts_false);
    for (class, of) in review.calibration.iter().enumerate() {
        let share = 100 / review.calibration.len();
        let class = format!("{}-{} %", class * share, (class + 1) * share);
        lines.count("cause_judged", &class, of.judged);
        lines.count("cause_right", &class, of.right);
    }
    lines.0
}

struct Lines(String);

impl Lines {
    fn line(&mut self, figure: &str, of: &str, value: &str) {
        self.0.push_str(&format!("{figure},{},{value}\r\n", field(of)));
    }

    fn count(&mut self, figure: &str, of: &str, number: u64) {
        self.line(figure, of, &number.to_string());
    }

    fn share(&mut self, figure: &str, of: &str, share: Option<f64>) {
        self.line(figure, of, &share.map_or_else(String::new, |share| format!("{share:.4}")));
    }

    fn spread(&mut self, name: &str, spread: &Spread) {
        let figure = format!("time_to_{name}");
        let secs = |span: Span| format!("{:.0}", span.as_secs_f64());
        self.count(&figure, "count", spread.count);
        if spread.count > 0 {
            for (of, span) in
                [("mean", spread.mean), ("p50", spread.p50), ("p90", spread.p90), ("longest", spread.longest)]
            {
                self.line(&figure, of, &secs(span));
            }
            BINS.iter()
                .zip(spread.bins)
                .for_each(|((_, bin), number)| self.count(&figure, &format!("to {bin}"), number));
        }
    }

    fn promise(&mut self, name: &str, promise: Promise) {
        let figure = format!("sla_{name}");
        let states = [
            ("kept", promise.kept),
            ("running", promise.running),
            ("at_risk", promise.at_risk),
            ("broken", promise.broken),
        ];
        states.into_iter().for_each(|(of, number)| self.count(&figure, of, number));
    }
}

/// A text of somebody else: in quotes, and never what a spreadsheet would take for a formula.
fn field(text: &str) -> String {
    let plain = text.replace(['\r', '\n'], " ");
    let safe = if plain.starts_with(['=', '+', '-', '@', '\t']) { format!("'{plain}") } else { plain };
    if safe.contains([',', '"', ';']) { format!("\"{}\"", safe.replace('"', "\"\"")) } else { safe }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_others_stay_text_in_a_spreadsheet() {
        assert_eq!(field("=cmd|' /C calc'!A0"), "'=cmd|' /C calc'!A0");
        assert_eq!(field("a,\"b\"\r\nc"), "\"a,\"\"b\"\"  c\"");
    }
}
