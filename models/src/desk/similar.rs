//! Which earlier report was about the same trouble: the cosine of TF-IDF weights (Salton and Buckley, 1988)
//! over summary and description, and more for what was reported lately.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::words::{WORD_BITS, each_word};

/// Reports kept; the oldest goes first. Fifteen years of a tracker like Hadoop's, 13 MB with full ones.
const REPORTS_MAX: usize = 8_192;
/// Different words kept of a report, the first ones: what follows are logs and dumps.
const WORDS_MAX: usize = 192;
/// How often a word of the summary counts: it says in ten words what the description says in a hundred.
const SUMMARY_WEIGHT: f32 = 3.0;
/// Characters of the description that are read, for the same reason.
const DESCRIPTION_CHARS_MAX: usize = 2_000;
/// How much more a report of today counts than one of long ago: who meets the same trouble meets it in the same
/// version.
const LATELY: f64 = 0.5;
/// Seconds after which that is down to 1/e.
const LATELY_S: f64 = 180.0 * 86_400.0;

/// A report, as it was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Report<'a> {
    /// Seconds since 1970.
    pub at_s: i64,
    /// One line.
    pub summary: &'a str,
    /// The rest.
    pub description: &'a str,
}

/// An earlier report.
#[derive(Clone, PartialEq, Debug)]
pub struct Found {
    /// The number it was learned with.
    pub id: u64,
    /// How alike it is, from 0 to 1.5.
    pub score: f64,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Kept {
    id: u64,
    at_s: i64,
    /// Words and the logarithm of their counts, sorted by word.
    words: Box<[(u32, f32)]>,
}

/// The reports of a desk.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Similar {
    reports: VecDeque<Kept>,
}

impl Similar {
    /// What it holds at most.
    pub const BYTES_MAX: usize = REPORTS_MAX * (WORDS_MAX * size_of::<(u32, f32)>() + size_of::<Kept>());

    /// Learns a report; `id` is the caller's own number of it.
    pub fn learn(&mut self, id: u64, report: &Report<'_>) {
        if self.reports.len() == REPORTS_MAX {
            self.reports.pop_front();
        }
        self.reports.push_back(Kept { id, at_s: report.at_s, words: weighed(report).into() });
    }

    /// The reports most like this one that were written before it, best first, at most `ranks`; those
    /// that share no word with it are none.
    #[must_use]
    pub fn find(&self, report: &Report<'_>, ranks: usize) -> Vec<Found> {
        let earlier = || self.reports.iter().filter(|kept| kept.at_s < report.at_s);
        let mut held_by = vec![0_u32; 1 << WORD_BITS];
        earlier().flat_map(|kept| &kept.words).for_each(|(word, _)| held_by[*word as usize] += 1);
        let all = 1.0 + earlier().count() as f32;
        let rarity = |word: u32| (all / (1.0 + held_by[word as usize] as f32)).ln() + 1.0;
        let asked = weighed(report);
        let mut weights = vec![0.0_f32; 1 << WORD_BITS];
        for (word, count) in &asked {
            weights[*word as usize] = count * rarity(*word);
        }
        let length = asked.iter().map(|(word, _)| square(weights[*word as usize])).sum::<f64>().sqrt();
        let score = |kept: &Kept| {
            let (mut dot, mut own) = (0.0, 0.0);
            for (word, count) in &kept.words {
                let weight = count * rarity(*word);
                dot += f64::from(weight * weights[*word as usize]);
                own += square(weight);
            }
            let lately = (-(report.at_s - kept.at_s) as f64 / LATELY_S).exp();
            dot / (length * own.sqrt()) * (1.0 + LATELY * lately)
        };
        let scored = earlier().map(|kept| Found { id: kept.id, score: score(kept) });
        let mut found: Vec<Found> = scored.filter(|found| found.score > 0.0).collect();
        found.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.id.cmp(&b.id)));
        found.truncate(ranks);
        found
    }
}

fn square(x: f32) -> f64 {
    f64::from(x) * f64::from(x)
}

/// The words of a report with one and the logarithm of their counts, sorted by word.
fn weighed(report: &Report<'_>) -> Vec<(u32, f32)> {
    let mut words: Vec<(u32, f32)> = Vec::new();
    let read = report.description.char_indices().nth(DESCRIPTION_CHARS_MAX).map_or(report.description.len(), |c| c.0);
    for (text, weight) in [(report.summary, SUMMARY_WEIGHT), (&report.description[..read], 1.0)] {
        each_word(text, |word| match words.binary_search_by_key(&word, |(word, _)| *word) {
            Ok(at) => words[at].1 += weight,
            Err(at) if words.len() < WORDS_MAX => words.insert(at, (word, weight)),
            Err(_) => {}
        });
    }
    words.iter_mut().for_each(|(_, count)| *count = 1.0 + count.ln());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    fn report(at_s: i64, summary: &str) -> Report<'_> {
        Report { at_s, summary, description: "" }
    }

    fn ids(similar: &Similar, asked: &Report<'_>) -> Vec<u64> {
        similar.find(asked, 10).into_iter().map(|found| found.id).collect()
    }

    #[test]
    fn the_rare_word_decides_and_what_shares_none_is_not_found() {
        let mut similar = Similar::default();
        for (id, text) in ["error in login page", "error in ShuffleHandler", "error in report page", "nothing alike"]
            .into_iter()
            .enumerate()
        {
            similar.learn(id as u64, &report(0, text));
        }
        assert_eq!(ids(&similar, &report(DAY, "error: shuffle handler"))[0], 1);
        assert_eq!(ids(&similar, &report(DAY, "zebra")), [0_u64; 0]);
        assert_eq!(ids(&similar, &report(DAY, "")), [0_u64; 0]);
    }

    #[test]
    fn only_earlier_reports_are_found_whatever_a_later_one_says() {
        let mut similar = Similar::default();
        similar.learn(1, &report(DAY, "disk full on node"));
        similar.learn(2, &report(3 * DAY, "disk full on node seven"));
        let before = similar.find(&report(2 * DAY, "disk full on node seven"), 10);
        similar.learn(3, &report(2 * DAY, "disk full on node seven"));
        assert_eq!(similar.find(&report(2 * DAY, "disk full on node seven"), 10), before);
        assert_eq!(before.len(), 1);
    }

    #[test]
    fn of_two_equal_ones_the_later_comes_first() {
        let mut similar = Similar::default();
        similar.learn(1, &report(0, "mail is slow"));
        similar.learn(2, &report(300 * DAY, "mail is slow"));
        assert_eq!(ids(&similar, &report(301 * DAY, "mail slow")), [2, 1]);
    }

    #[test]
    fn the_oldest_goes_first_and_a_long_report_is_cut() {
        let mut similar = Similar::default();
        let long: String = (0..5_000).map(|n| format!("word{n} ")).collect();
        similar.learn(0, &Report { at_s: 0, summary: "first", description: &long });
        assert_eq!(similar.reports[0].words.len(), WORDS_MAX);
        (0..REPORTS_MAX as u64).for_each(|id| similar.learn(1 + id, &report(1, "later")));
        assert_eq!(similar.reports.len(), REPORTS_MAX);
        assert_eq!(ids(&similar, &report(DAY, "first")), [0_u64; 0]);
    }

    #[test]
    fn a_saved_index_finds_the_same() {
        let mut similar = Similar::default();
        similar.learn(9, &report(0, "mail is slow"));
        let saved: Similar = postcard::from_bytes(&postcard::to_stdvec(&similar).expect("saves")).expect("restores");
        assert_eq!(saved.find(&report(DAY, "slow mail"), 3), similar.find(&report(DAY, "slow mail"), 3));
    }
}
