//! Per-point files of a run: `points.parquet` with the columns `series`,
//! `timestamp`, `value`, `y_true`, `y_score`, and the drawings beside it.

use super::methods::OURS;
use super::plot::{self, Drawn};
use super::report::write;
use crate::models_cmd::io::{Column, Table};
use anyhow::Result;
use bellwether_models::metric::Verdict;
use std::path::Path;

/// Writes points and drawings of single series: ours in `points.parquet`, every
/// method in the precision–recall curves and in what is told over false alarms a week.
///
/// # Errors
/// When a file cannot be written.
pub fn leave(
    out: &Path,
    title: &str,
    shown: &[Drawn<'_>],
    verdicts: &[Vec<Verdict>],
    methods: &[(&'static str, Vec<Vec<f64>>)],
) -> Result<()> {
    for (one, verdicts) in shown.iter().zip(verdicts) {
        write(&out.join(file_name(one.name)), &plot::series(*one, verdicts))?;
    }
    let truths: Vec<&[bool]> = shown.iter().map(|one| one.truth).collect();
    let lasts = |one: &Drawn<'_>| one.at.last().zip(one.at.first()).map_or(0.0, |(end, begin)| (end - begin) as f64);
    let weeks = shown.iter().map(lasts).sum::<f64>() / plot::WEEK_NS;
    let by_method: Vec<(&str, &[Vec<f64>])> = methods.iter().map(|(name, scores)| (*name, scores.as_slice())).collect();
    write(&out.join("told.svg"), &plot::told(title, &by_method, &truths, weeks))?;
    let pooled: Vec<(String, Vec<f64>)> =
        methods.iter().map(|(name, scores)| ((*name).to_owned(), scores.concat())).collect();
    let truth = shown.iter().map(|one| one.truth).collect::<Vec<_>>().concat();
    write(&out.join("precision_recall.svg"), &plot::precision_recall(title, &pooled, &truth))?;
    let own = pooled.into_iter().find(|(name, _)| name == OURS).map(|(_, scores)| scores).unwrap_or_default();
    table(shown, own, truth).save(&out.join("points.parquet"))
}

/// `series,timestamp,value,y_true,y_score`.
fn table(shown: &[Drawn<'_>], scores: Vec<f64>, truth: Vec<bool>) -> Table {
    let names = shown.iter().flat_map(|one| std::iter::repeat_n(one.name.to_owned(), one.values.len()));
    Table::default()
        .with("series", Column::Text(names.collect()))
        .with("timestamp", Column::times(shown.iter().flat_map(|one| one.at.iter().copied())))
        .with("value", Column::Float(shown.iter().map(|one| one.values).collect::<Vec<_>>().concat()))
        .with("y_true", Column::Flag(truth))
        .with("y_score", Column::Float(scores))
}

/// The name of a drawing, safe as a file name.
#[must_use]
pub fn file_name(name: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    format!("{}.svg", name.chars().map(safe).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_folder() {
        assert_eq!(file_name("realAWS/ec2.csv"), "realAWS_ec2.csv.svg");
        assert_eq!(file_name("../x y"), ".._x_y.svg");
    }
}
