//! Log records, after the OpenTelemetry log data model.

use arrow::array::{
    MapArray, StringArray, StringBuilder, TimestampNanosecondArray, TimestampNanosecondBuilder, UInt8Array,
    UInt8Builder,
};
use arrow::datatypes::{DataType, Field, SchemaRef};

use bellwether_models::templates::without_colours;

use super::builder::{self, batch_builder};
use super::labels::{LabelBuilder, append_labels, cut_to, label_builder};
use super::lengths::{append_entity, entity_fits};
use super::{
    Batch, LOG_BODY_BYTES_MAX, LabelPairs, Labels, NAME_BYTES_MAX, SignalKind, map_field, text_field, time_field,
    versioned,
};
use crate::columns::{column, optional_text};
use crate::time::EventTime;

pub(super) fn schema() -> SchemaRef {
    versioned(vec![
        time_field("time", false),
        text_field("entity", false),
        Field::new("severity", DataType::UInt8, false),
        text_field("body", false),
        map_field("attributes"),
        text_field("trace_id", true),
    ])
}

/// What records usually have; a guess that is wrong costs a copy.
const ATTRIBUTES_USUAL: usize = 8;
const ENTITY_BYTES_USUAL: usize = 16;
const TRACE_BYTES: usize = 32;

/// One log record as a builder takes it.
#[derive(Clone, Copy, Debug)]
pub struct LogRow<'a> {
    /// When it happened.
    pub time: EventTime,
    /// Who wrote it, `type:name`.
    pub entity: &'a str,
    /// OpenTelemetry severity number, 1–24; 0 when unknown.
    pub severity: u8,
    /// The line.
    pub body: &'a str,
    /// Structured fields beside it, sorted by name.
    pub attributes: LabelPairs<'a>,
    /// 32 hexadecimal digits.
    pub trace_id: Option<&'a str>,
}

/// What a row takes beside its texts.
const ROW_BYTES: usize = 40;

batch_builder! {
    /// Builds log batches.
    LogBuilder, SignalKind::Log, {
        time: TimestampNanosecondBuilder = builder::times(),
        entity: StringBuilder = StringBuilder::new(),
        severity: UInt8Builder = UInt8Builder::new(),
        body: StringBuilder = StringBuilder::new(),
        attributes: LabelBuilder = label_builder(),
        trace_id: StringBuilder = StringBuilder::new(),
    }
}

impl LogBuilder {
    /// An empty builder with room for `rows` records of `bytes` bytes of text together, so that a
    /// large batch is not copied while it grows.
    pub fn with_capacity(rows: usize, bytes: usize) -> LogBuilder {
        let text = |bytes| StringBuilder::with_capacity(rows, bytes);
        let words = |share| StringBuilder::with_capacity(rows * ATTRIBUTES_USUAL, bytes / share);
        LogBuilder {
            time: builder::times_of(rows),
            entity: text(rows * ENTITY_BYTES_USUAL),
            severity: UInt8Builder::with_capacity(rows),
            body: text(bytes / 2),
            attributes: LabelBuilder::with_capacity(None, words(4), words(4), rows),
            trace_id: text(rows * TRACE_BYTES),
            shortened: 0,
        }
    }

    /// Appends one record without the colours of its body; a body over `LOG_BODY_BYTES_MAX` is cut.
    /// Returns whether it was.
    pub fn push(&mut self, row: &LogRow<'_>) -> bool {
        let plain = without_colours(row.body);
        let body = cut_to(&plain, LOG_BODY_BYTES_MAX);
        self.time.append_value(row.time.0);
        let mut short = append_entity(&mut self.entity, row.entity);
        self.severity.append_value(row.severity.min(24));
        self.body.append_value(body);
        short |= append_labels(&mut self.attributes, row.attributes);
        // What is longer is no trace's id.
        self.trace_id.append_option(row.trace_id.filter(|id| id.len() <= NAME_BYTES_MAX));
        self.shortened += u32::from(short);
        body.len() < plain.len()
    }
}

/// The columns of a log batch, typed.
#[derive(Clone, Copy)]
pub struct LogColumns<'a> {
    /// Event times in nanoseconds.
    pub time: &'a [i64],
    /// OpenTelemetry severity numbers.
    pub severity: &'a [u8],
    entity: &'a StringArray,
    body: &'a StringArray,
    attributes: &'a MapArray,
    trace_id: &'a StringArray,
}

impl<'a> LogColumns<'a> {
    /// The columns of `batch`, which must be of kind `log`.
    pub fn of(batch: &'a Batch) -> LogColumns<'a> {
        debug_assert_eq!(batch.kind(), SignalKind::Log);
        let records = batch.records();
        LogColumns {
            time: column::<TimestampNanosecondArray>(records, 0).values(),
            entity: column(records, 1),
            severity: column::<UInt8Array>(records, 2).values(),
            body: column(records, 3),
            attributes: column(records, 4),
            trace_id: column(records, 5),
        }
    }

    /// How many rows.
    pub fn len(&self) -> usize {
        self.time.len()
    }

    /// True when there is no row.
    pub fn is_empty(&self) -> bool {
        self.time.is_empty()
    }

    /// Whether row `row` is as long as it may be: builders see to it, other programs may not.
    pub(crate) fn fits(&self, row: usize) -> bool {
        entity_fits(self.entity(row)) && self.body(row).len() <= LOG_BODY_BYTES_MAX && self.attributes(row).fit()
    }

    /// About how many bytes row `row` takes.
    pub(crate) fn bytes(&self, row: usize) -> usize {
        ROW_BYTES + self.entity(row).len() + self.body(row).len() + self.attributes(row).bytes()
    }

    /// Who wrote row `row`.
    pub fn entity(&self, row: usize) -> &'a str {
        self.entity.value(row)
    }

    /// The line.
    pub fn body(&self, row: usize) -> &'a str {
        self.body.value(row)
    }

    /// Structured fields beside the line.
    pub fn attributes(&self, row: usize) -> Labels<'a> {
        Labels::of(self.attributes, row)
    }

    /// 32 hexadecimal digits.
    pub fn trace_id(&self, row: usize) -> Option<&'a str> {
        optional_text(self.trace_id, row)
    }
}
