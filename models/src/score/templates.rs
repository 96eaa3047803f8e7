//! How well mined templates agree with labels: GA, PA, FGA and FTA.
//!
//! GA and PA count lines (Zhu et al., ICSE-SEIP 2019; Dai et al., TSE 2020), so a few
//! frequent templates decide them. FGA and FTA count templates (Jiang et al., ISSTA 2024,
//! LogHub-2.0), so that rare ones weigh as much.

use std::collections::BTreeMap;

/// The four measures, each 0..=1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TemplateScores {
    /// Grouping accuracy: share of lines whose group is exactly a labelled one.
    pub ga: f64,
    /// F1 over groups: exactly right groups against mined and labelled ones.
    pub fga: f64,
    /// Parsing accuracy: share of lines with the exact text of the labelled template.
    pub pa: f64,
    /// F1 over templates: a mined template is right when all of its lines are labelled
    /// with one template of the same text.
    pub fta: f64,
}

/// Scores mined templates against labels. `groups` are the mined group of each line,
/// `texts` the mined template of each line, `labels` the labelled template of each line.
///
/// Returns `None` when the three differ in length or are empty.
#[must_use]
pub fn template_scores(groups: &[u64], texts: &[&str], labels: &[&str]) -> Option<TemplateScores> {
    if groups.is_empty() || groups.len() != texts.len() || groups.len() != labels.len() {
        return None;
    }
    let mined = lines_by(groups.iter());
    let labelled = lines_by(labels.iter());
    let exact = mined.values().filter(|lines| labelled[&labels[lines[0]]] == **lines);
    let (right_groups, right_lines) = exact.fold((0, 0), |(groups, lines), group| (groups + 1, lines + group.len()));
    let by_text = lines_by(texts.iter());
    let right_texts = by_text.iter().filter(|(text, lines)| lines.iter().all(|&line| labels[line] == ***text)).count();
    let same_text = texts.iter().zip(labels).filter(|(text, label)| text == label).count();
    let lines = groups.len() as f64;
    Some(TemplateScores {
        ga: right_lines as f64 / lines,
        fga: f1(right_groups, mined.len(), labelled.len()),
        pa: same_text as f64 / lines,
        fta: f1(right_texts, by_text.len(), labelled.len()),
    })
}

fn lines_by<K: Ord>(keys: impl Iterator<Item = K>) -> BTreeMap<K, Vec<usize>> {
    let mut lines: BTreeMap<K, Vec<usize>> = BTreeMap::new();
    for (line, key) in keys.enumerate() {
        lines.entry(key).or_default().push(line);
    }
    lines
}

/// Harmonic mean of `right / found` and `right / wanted`.
fn f1(right: usize, found: usize, wanted: usize) -> f64 {
    2.0 * right as f64 / (found + wanted) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Six lines, three labels: a a a b b c. Mined: {a a a}, {b}, {b c}.
    #[test]
    fn hand_computed_case() {
        let labels = ["a <*>", "a <*>", "a <*>", "b", "b", "c"];
        let groups = [1, 1, 1, 2, 3, 3];
        let texts = ["a <*>", "a <*>", "a <*>", "b", "x", "x"];
        let scores = template_scores(&groups, &texts, &labels).expect("same lengths");
        // Right group: the first alone, 3 of 6 lines, 1 of 3 mined and 3 labelled.
        assert_eq!(scores.ga, 0.5);
        assert_eq!(scores.fga, 1.0 / 3.0);
        // Right text on lines 1 to 4; the text `b` is right though a `b` line is missing from it.
        assert_eq!(scores.pa, 4.0 / 6.0);
        assert_eq!(scores.fta, 2.0 * 2.0 / (3.0 + 3.0));
    }

    #[test]
    fn one_group_for_all_is_wrong_where_labels_differ() {
        let scores = template_scores(&[7, 7], &["<*>", "<*>"], &["a", "b"]).expect("same lengths");
        assert_eq!(scores, TemplateScores { ga: 0.0, fga: 0.0, pa: 0.0, fta: 0.0 });
    }

    #[test]
    fn lengths_must_agree() {
        assert_eq!(template_scores(&[1], &[], &["a"]), None);
        assert_eq!(template_scores(&[], &[], &[]), None);
    }
}
