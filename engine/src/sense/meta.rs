//! What a metric series is: its name, whose it is, its labels.

use serde::{Deserialize, Serialize};

use crate::alert::{LabelSet, label, own_labels};
use crate::origin::Origin;
use crate::signal::{SeriesRow, SeriesType};

/// What a series is.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct SeriesMeta {
    pub(crate) name: Box<str>,
    pub(crate) entity: Box<str>,
    pub(crate) unit: Box<str>,
    pub(crate) series_type: SeriesType,
    pub(crate) labels: LabelSet,
}

/// What a series is, for people.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesView<'a> {
    /// The metric.
    pub name: &'a str,
    /// What it is measured of.
    pub entity: &'a str,
    /// UCUM unit, or empty.
    pub unit: &'a str,
    /// A running total that only grows, rather than a level.
    pub counter: bool,
    /// Its labels.
    pub labels: Vec<(&'a str, &'a str)>,
}

impl SeriesMeta {
    pub(crate) fn of(row: &SeriesRow<'_>) -> SeriesMeta {
        SeriesMeta {
            name: row.name.into(),
            entity: row.entity.into(),
            unit: row.unit.into(),
            series_type: row.series_type,
            labels: own_labels(row.labels),
        }
    }

    /// Whose clock dates its samples.
    pub(crate) fn origin(&self) -> Origin<'_> {
        Origin::of(&self.entity, |name| label(&self.labels, name))
    }
}
