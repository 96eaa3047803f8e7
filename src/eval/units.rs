//! Results per unit: what a task measured on each file, series, system or
//! session, for every method, and how its figures follow from them.
//!
//! A figure is a mean of a column, a sum, or a ratio of weighted sums (F1 is
//! `2 hit / (2 hit + false_alarm + missed)`), so that a figure over any
//! selection of units can be had again: `eval --compare` draws such selections.

use crate::models_cmd::io::{Column, Table};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Which way a figure gets better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    /// More is better.
    Higher,
    /// Less is better.
    Lower,
}

/// How a figure follows from the columns of its units.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Mean of a column over the units where it is known.
    Mean(String),
    /// Sum of a column.
    Sum(String),
    /// Weighted sum over weighted sum.
    Ratio {
        /// Weight by column.
        numerator: BTreeMap<String, f64>,
        /// Weight by column.
        denominator: BTreeMap<String, f64>,
    },
}

/// A figure of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// Its name among the metrics of `run.json`.
    pub name: String,
    /// Which way is better.
    pub better: Better,
    /// How it follows.
    #[serde(flatten)]
    pub rule: Rule,
}

impl Figure {
    /// A mean, higher is better.
    #[must_use]
    pub fn mean(name: &str, column: &str) -> Self {
        Self { name: name.to_owned(), better: Better::Higher, rule: Rule::Mean(column.to_owned()) }
    }

    /// A sum, lower is better: alarms that should not be.
    #[must_use]
    pub fn sum_of_harm(name: &str, column: &str) -> Self {
        Self { name: name.to_owned(), better: Better::Lower, rule: Rule::Sum(column.to_owned()) }
    }

    /// A ratio of weighted sums.
    #[must_use]
    pub fn ratio(name: &str, better: Better, numerator: &[(&str, f64)], denominator: &[(&str, f64)]) -> Self {
        let weights = |pairs: &[(&str, f64)]| pairs.iter().map(|(name, w)| ((*name).to_owned(), *w)).collect();
        let rule = Rule::Ratio { numerator: weights(numerator), denominator: weights(denominator) };
        Self { name: name.to_owned(), better, rule }
    }

    /// F1 of `<prefix>hit`, `<prefix>false_alarm` and `<prefix>missed`.
    #[must_use]
    pub fn f1(name: &str, prefix: &str) -> Self {
        let [hit, alarm, missed] = ["hit", "false_alarm", "missed"].map(|count| format!("{prefix}{count}"));
        Self::ratio(name, Better::Higher, &[(&hit, 2.0)], &[(&hit, 2.0), (&alarm, 1.0), (&missed, 1.0)])
    }

    /// The figure over the rows given by `row(i)` for each of `picked`; NaN
    /// where it is not defined. Unknown columns count as not known.
    #[must_use]
    pub fn over<'a>(&self, columns: &[String], picked: impl Iterator<Item = &'a [f64]>) -> f64 {
        let place = |name: &str| columns.iter().position(|column| column == name);
        let weights = |by: &BTreeMap<String, f64>| -> Vec<_> {
            by.iter().filter_map(|(name, w)| Some((place(name)?, *w))).collect()
        };
        let (numerator, denominator) = match &self.rule {
            Rule::Mean(column) | Rule::Sum(column) => (weights(&BTreeMap::from([(column.clone(), 1.0)])), Vec::new()),
            Rule::Ratio { numerator, denominator } => (weights(numerator), weights(denominator)),
        };
        let (mut above, mut below) = (0.0, 0.0);
        for row in picked {
            let sum = |weights: &[(usize, f64)]| weights.iter().map(|(at, w)| w * row[*at]).sum::<f64>();
            let (over, under) = (sum(&numerator), if denominator.is_empty() { 1.0 } else { sum(&denominator) });
            if over.is_finite() && under.is_finite() {
                above += over;
                below += under;
            }
        }
        match self.rule {
            Rule::Sum(_) => above,
            _ if below == 0.0 => f64::NAN,
            _ => above / below,
        }
    }
}

/// What every method did on every unit.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Units {
    /// What a unit is, as a word: `series`, `machine`, `system`, …
    pub kind: String,
    /// Names of the measured columns.
    pub columns: Vec<String>,
    /// The figures that follow from them.
    pub figures: Vec<Figure>,
    /// Unit, method and one cell per column.
    pub rows: Vec<(String, String, Vec<f64>)>,
}

impl Units {
    /// No rows yet.
    #[must_use]
    pub fn new(kind: &str, columns: &[&str], figures: Vec<Figure>) -> Self {
        let columns = columns.iter().map(|name| (*name).to_owned()).collect();
        Self { kind: kind.to_owned(), columns, figures, rows: Vec::new() }
    }

    /// Adds what `method` did on `unit`.
    pub fn push(&mut self, unit: &str, method: &str, cells: &[f64]) {
        debug_assert_eq!(cells.len(), self.columns.len(), "one cell per column");
        self.rows.push((unit.to_owned(), method.to_owned(), cells.to_vec()));
    }

    /// As a table: `unit,method` and the columns.
    #[must_use]
    pub fn table(&self) -> Table {
        let text = |pick: fn(&(String, String, Vec<f64>)) -> &String| {
            Column::Text(self.rows.iter().map(|row| pick(row).clone()).collect())
        };
        let table = Table::default().with("unit", text(|row| &row.0)).with("method", text(|row| &row.1));
        let cells = |at: usize| Column::Float(self.rows.iter().map(|row| row.2[at]).collect());
        self.columns.iter().enumerate().fold(table, |table, (at, name)| table.with(name, cells(at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over(figure: &Figure, rows: &[&[f64]]) -> f64 {
        let columns = ["hit", "false_alarm", "missed"].map(str::to_owned);
        figure.over(&columns, rows.iter().copied())
    }

    #[test]
    fn a_ratio_pools_counts_and_a_mean_weighs_units_alike() {
        let rows: [&[f64]; 2] = [&[3.0, 1.0, 0.0], &[1.0, 0.0, 4.0]];
        // 2·4 / (2·4 + 1 + 4)
        assert_eq!(over(&Figure::f1("f1", ""), &rows), 8.0 / 13.0);
        assert_eq!(over(&Figure::mean("hits", "hit"), &rows), 2.0);
        assert_eq!(over(&Figure::sum_of_harm("alarms", "false_alarm"), &rows), 1.0);
    }

    #[test]
    fn unknown_cells_are_left_out_and_nothing_is_nan() {
        let rows: [&[f64]; 2] = [&[f64::NAN, 0.0, 0.0], &[5.0, 0.0, 0.0]];
        assert_eq!(over(&Figure::mean("hits", "hit"), &rows), 5.0);
        assert!(over(&Figure::f1("f1", ""), &[]).is_nan());
        assert!(over(&Figure::mean("hits", "hit"), &[]).is_nan());
    }

    #[test]
    fn a_figure_comes_back_from_its_json() {
        for figure in [Figure::f1("f1", "event_"), Figure::mean("a", "b"), Figure::sum_of_harm("c", "d")] {
            let text = serde_json::to_string(&figure).expect("json");
            assert_eq!(serde_json::from_str::<Figure>(&text).expect("reads"), figure, "{text}");
        }
    }
}
