//! Metric samples, and the series table beside them.

use std::sync::Arc;

use arrow::array::{
    Float64Array, MapArray, RecordBatch, StringArray, StringBuilder, TimestampNanosecondArray, UInt8Array,
    UInt8Builder, UInt64Array, UInt64Builder,
};
use arrow::datatypes::{DataType, Field, SchemaRef};

use super::builder::batch_builder;
use super::labels::{LabelBuilder, append_labels, identity_hash, label_builder};
use super::lengths::{append_entity, append_name, entity_fits, name_fits};
use super::{
    Batch, LabelPairs, Labels, SignalError, SignalKind, TenantName, map_field, text_field, time_field, versioned,
};
use crate::columns::column;
use crate::time::EventTime;

pub(super) fn schema() -> SchemaRef {
    versioned(vec![
        time_field("time", false),
        Field::new("series", DataType::UInt64, false),
        Field::new("value", DataType::Float64, false),
    ])
}

pub(super) fn series_schema() -> SchemaRef {
    versioned(vec![
        Field::new("series", DataType::UInt64, false),
        text_field("name", false),
        text_field("entity", false),
        text_field("unit", false),
        Field::new("type", DataType::UInt8, false),
        map_field("labels"),
    ])
}

/// How a series' values are to be read.
#[derive(
    Clone, Copy, PartialEq, Eq, Hash, Debug, Default, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum SeriesType {
    /// A level that goes up and down.
    #[default]
    Gauge,
    /// A running total that only grows, but for restarts; its rate is what matters.
    Counter,
}

impl SeriesType {
    /// The number in the `type` column.
    pub const fn code(self) -> u8 {
        match self {
            SeriesType::Gauge => 0,
            SeriesType::Counter => 1,
        }
    }

    /// The type of a `type` column's number; unknown numbers read as gauges.
    pub(crate) const fn from_code(code: u8) -> SeriesType {
        match code {
            1 => SeriesType::Counter,
            _ => SeriesType::Gauge,
        }
    }
}

/// The id of a series: a stable 64-bit hash (XXH3) of its name, entity and sorted labels.
/// The tenant keeps its own tables, so it is not part of the hash.
pub fn series_id(name: &str, entity: &str, sorted_labels: LabelPairs<'_>) -> u64 {
    identity_hash(&[name, entity], sorted_labels)
}

/// Builds metric batches.
#[derive(Debug, Default)]
pub struct MetricBuilder {
    time: Vec<i64>,
    series: Vec<u64>,
    value: Vec<f64>,
}

impl MetricBuilder {
    /// An empty builder.
    pub fn new() -> MetricBuilder {
        MetricBuilder::default()
    }

    /// Appends one sample.
    pub fn push(&mut self, time: EventTime, series: u64, value: f64) {
        self.time.push(time.0);
        self.series.push(series);
        self.value.push(value);
    }

    /// Rows so far.
    pub fn len(&self) -> usize {
        self.time.len()
    }

    /// True when no row was appended.
    pub fn is_empty(&self) -> bool {
        self.time.is_empty()
    }

    /// The batch; the builder is empty afterwards.
    ///
    /// # Errors
    /// [`SignalError::Tenant`] when `tenant` is not usable as a name.
    pub fn finish(&mut self, tenant: &str) -> Result<Batch, SignalError> {
        Ok(self.finish_for(&TenantName::new(tenant)?))
    }

    /// The batch of a tenant whose name is known to be one; the builder is empty afterwards.
    pub fn finish_for(&mut self, tenant: &TenantName) -> Batch {
        let time = TimestampNanosecondArray::from(std::mem::take(&mut self.time)).with_timezone("UTC");
        let records = RecordBatch::try_new(
            SignalKind::Metric.schema(),
            vec![
                Arc::new(time),
                Arc::new(UInt64Array::from(std::mem::take(&mut self.series))),
                Arc::new(Float64Array::from(std::mem::take(&mut self.value))),
            ],
        )
        .expect("columns grow together and fit the schema");
        Batch::built(tenant, SignalKind::Metric, records, 0)
    }
}

/// The columns of a metric batch, typed. Slices have one element a row.
#[derive(Clone, Copy)]
pub struct MetricColumns<'a> {
    /// Event times in nanoseconds.
    pub time: &'a [i64],
    /// Series ids.
    pub series: &'a [u64],
    /// Values, possibly not finite.
    pub value: &'a [f64],
}

impl<'a> MetricColumns<'a> {
    /// The columns of `batch`, which must be of kind `metric`.
    pub fn of(batch: &'a Batch) -> MetricColumns<'a> {
        debug_assert_eq!(batch.kind(), SignalKind::Metric);
        let records = batch.records();
        MetricColumns {
            time: column::<TimestampNanosecondArray>(records, 0).values(),
            series: column::<UInt64Array>(records, 1).values(),
            value: column::<Float64Array>(records, 2).values(),
        }
    }
}

/// One description of a series.
#[derive(Clone, Copy)]
pub struct SeriesRow<'a> {
    /// The id, see [`series_id`].
    pub series: u64,
    /// Metric name, e.g. `http.server.request.duration`.
    pub name: &'a str,
    /// The entity measured, `type:name`.
    pub entity: &'a str,
    /// UCUM unit, or empty.
    pub unit: &'a str,
    /// Gauge or counter.
    pub series_type: SeriesType,
    /// The other labels.
    pub labels: Labels<'a>,
}

impl SeriesRow<'_> {
    /// Whether its texts are as long as they may be: builders see to it, other programs may not.
    pub(crate) fn fits(&self) -> bool {
        name_fits(self.name) && entity_fits(self.entity) && name_fits(self.unit) && self.labels.fit()
    }
}

batch_builder! {
    /// Builds series batches.
    SeriesBuilder, SignalKind::Series, {
        series: UInt64Builder = UInt64Builder::new(),
        name: StringBuilder = StringBuilder::new(),
        entity: StringBuilder = StringBuilder::new(),
        unit: StringBuilder = StringBuilder::new(),
        kind: UInt8Builder = UInt8Builder::new(),
        labels: LabelBuilder = label_builder(),
    }
}

impl SeriesBuilder {
    /// Describes a series and returns its id. `labels` must be sorted by name.
    pub fn push(
        &mut self,
        name: &str,
        entity: &str,
        unit: &str,
        series_type: SeriesType,
        labels: LabelPairs<'_>,
    ) -> u64 {
        let id = series_id(name, entity, labels);
        self.series.append_value(id);
        let mut short = append_name(&mut self.name, name);
        short |= append_entity(&mut self.entity, entity);
        short |= append_name(&mut self.unit, unit);
        self.kind.append_value(series_type.code());
        short |= append_labels(&mut self.labels, labels);
        self.shortened += u32::from(short);
        id
    }
}

/// The columns of a series batch, typed.
#[derive(Clone, Copy)]
pub struct SeriesColumns<'a> {
    series: &'a UInt64Array,
    name: &'a StringArray,
    entity: &'a StringArray,
    unit: &'a StringArray,
    kind: &'a UInt8Array,
    labels: &'a MapArray,
}

impl<'a> SeriesColumns<'a> {
    /// The columns of `batch`, which must be of kind `series`.
    pub fn of(batch: &'a Batch) -> SeriesColumns<'a> {
        debug_assert_eq!(batch.kind(), SignalKind::Series);
        let records = batch.records();
        SeriesColumns {
            series: column(records, 0),
            name: column(records, 1),
            entity: column(records, 2),
            unit: column(records, 3),
            kind: column(records, 4),
            labels: column(records, 5),
        }
    }

    /// Row `row`; panics when out of range.
    pub fn row(&self, row: usize) -> SeriesRow<'a> {
        SeriesRow {
            series: self.series.value(row),
            name: self.name.value(row),
            entity: self.entity.value(row),
            unit: self.unit.value(row),
            series_type: SeriesType::from_code(self.kind.value(row)),
            labels: Labels::of(self.labels, row),
        }
    }

    /// How many rows.
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// True when there is no row.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_id_depends_on_each_part_and_its_place() {
        let base = series_id("cpu", "host:a", &[("core", "1")]);
        assert_eq!(base, series_id("cpu", "host:a", &[("core", "1")]));
        assert_ne!(base, series_id("cpu", "host:a", &[("core", "2")]));
        assert_ne!(base, series_id("cpuh", "ost:a", &[("core", "1")]));
        assert_ne!(base, series_id("cpu", "host:a", &[]));
    }

    #[test]
    fn samples_come_back_as_they_went_in() {
        let mut series = SeriesBuilder::new();
        let id = series.push("cpu", "host:a", "1", SeriesType::Gauge, &[("core", "1")]);
        let batch = series.finish("acme").expect("tenant is plain");
        let row = SeriesColumns::of(&batch).row(0);
        assert_eq!((row.series, row.name, row.labels.get("core")), (id, "cpu", Some("1")));

        let mut metric = MetricBuilder::new();
        metric.push(EventTime::from_secs(1), id, 0.5);
        let batch = metric.finish("acme").expect("tenant is plain");
        let columns = MetricColumns::of(&batch);
        assert_eq!((columns.time, columns.value), (&[1_000_000_000][..], &[0.5][..]));
    }
}
