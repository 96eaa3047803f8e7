//! Alerts of other tools, and of our own sensing stage.

use arrow::array::{
    MapArray, StringArray, StringBuilder, TimestampNanosecondArray, TimestampNanosecondBuilder, UInt64Array,
    UInt64Builder,
};
use arrow::datatypes::{DataType, Field, SchemaRef};

use super::builder::{self, batch_builder};
use super::labels::{LabelBuilder, append_labels, identity_hash, label_builder};
use super::lengths::{append_entity, append_name, append_url, entity_fits, name_fits, url_fits};
use super::{
    AlertStatus, Batch, LabelPairs, Labels, Severity, SignalKind, map_field, text_field, time_field, versioned,
};
use crate::columns::{column, optional_text, optional_time};
use crate::time::EventTime;

pub(super) fn schema() -> SchemaRef {
    versioned(vec![
        time_field("time", false),
        text_field("source", false),
        text_field("name", false),
        text_field("entity", false),
        text_field("severity", false),
        text_field("status", false),
        Field::new("fingerprint", DataType::UInt64, false),
        map_field("labels"),
        map_field("annotations"),
        time_field("starts_at", false),
        time_field("ends_at", true),
        text_field("url", true),
    ])
}

/// The fingerprint of an alert whose sender gives none: a stable 64-bit hash (XXH3) of its
/// source, name, entity and sorted labels. Annotations and times never identify an alert.
pub fn alert_fingerprint(source: &str, name: &str, entity: &str, sorted_labels: LabelPairs<'_>) -> u64 {
    identity_hash(&[source, name, entity], sorted_labels)
}

/// One alert as a builder takes it.
#[derive(Clone, Copy, Debug)]
pub struct AlertRow<'a> {
    /// When the sender said it.
    pub time: EventTime,
    /// The tool that says so, e.g. `prometheus`.
    pub source: &'a str,
    /// The rule's name, e.g. `HighErrorRate`.
    pub name: &'a str,
    /// The entity it is about, `type:name`.
    pub entity: &'a str,
    /// How bad.
    pub severity: Severity,
    /// Firing or resolved.
    pub status: AlertStatus,
    /// Its identity within source and tenant, see [`alert_fingerprint`].
    pub fingerprint: u64,
    /// Identifying labels, sorted by name.
    pub labels: LabelPairs<'a>,
    /// Descriptive texts, sorted by name.
    pub annotations: LabelPairs<'a>,
    /// When the condition began.
    pub starts_at: EventTime,
    /// When it ended or will be taken as ended.
    pub ends_at: Option<EventTime>,
    /// Where a person can look at it.
    pub url: Option<&'a str>,
}

/// What a row takes beside its texts.
const ROW_BYTES: usize = 100;

/// Rows that room is made for beforehand: who announces more is believed when they come.
const ROOM_ROWS_MAX: usize = 8_192;

batch_builder! {
    /// Builds alert batches.
    AlertBuilder, SignalKind::Alert, {
        time: TimestampNanosecondBuilder = builder::times(),
        source: StringBuilder = StringBuilder::new(),
        name: StringBuilder = StringBuilder::new(),
        entity: StringBuilder = StringBuilder::new(),
        severity: StringBuilder = StringBuilder::new(),
        status: StringBuilder = StringBuilder::new(),
        fingerprint: UInt64Builder = UInt64Builder::new(),
        labels: LabelBuilder = label_builder(),
        annotations: LabelBuilder = label_builder(),
        starts_at: TimestampNanosecondBuilder = builder::times(),
        ends_at: TimestampNanosecondBuilder = builder::times(),
        url: StringBuilder = StringBuilder::new(),
    }
}

impl AlertBuilder {
    /// An empty builder with room for about `rows` alerts.
    pub fn with_capacity(rows: usize) -> AlertBuilder {
        let rows = rows.min(ROOM_ROWS_MAX);
        let texts = |bytes: usize| StringBuilder::with_capacity(rows, rows * bytes);
        AlertBuilder {
            time: builder::times(),
            source: texts(12),
            name: texts(24),
            entity: texts(32),
            severity: texts(8),
            status: texts(8),
            fingerprint: UInt64Builder::with_capacity(rows),
            labels: label_builder(),
            annotations: label_builder(),
            starts_at: builder::times(),
            ends_at: builder::times(),
            url: texts(48),
            shortened: 0,
        }
    }

    /// Appends one alert; what is longer than it may be is cut.
    pub fn push(&mut self, row: &AlertRow<'_>) {
        self.time.append_value(row.time.0);
        let mut short = append_name(&mut self.source, row.source);
        short |= append_name(&mut self.name, row.name);
        short |= append_entity(&mut self.entity, row.entity);
        self.severity.append_value(row.severity.name());
        self.status.append_value(row.status.name());
        self.fingerprint.append_value(row.fingerprint);
        short |= append_labels(&mut self.labels, row.labels);
        short |= append_labels(&mut self.annotations, row.annotations);
        self.starts_at.append_value(row.starts_at.0);
        self.ends_at.append_option(row.ends_at.map(|at| at.0));
        short |= append_url(&mut self.url, row.url);
        self.shortened += u32::from(short);
    }
}

/// The columns of an alert batch, typed.
#[derive(Clone, Copy)]
pub struct AlertColumns<'a> {
    /// Event times in nanoseconds.
    pub time: &'a [i64],
    /// Fingerprints.
    pub fingerprint: &'a [u64],
    source: &'a StringArray,
    name: &'a StringArray,
    entity: &'a StringArray,
    severity: &'a StringArray,
    status: &'a StringArray,
    labels: &'a MapArray,
    annotations: &'a MapArray,
    starts_at: &'a TimestampNanosecondArray,
    ends_at: &'a TimestampNanosecondArray,
    url: &'a StringArray,
}

impl<'a> AlertColumns<'a> {
    /// The columns of `batch`, which must be of kind `alert`.
    pub fn of(batch: &'a Batch) -> AlertColumns<'a> {
        debug_assert_eq!(batch.kind(), SignalKind::Alert);
        let records = batch.records();
        AlertColumns {
            time: column::<TimestampNanosecondArray>(records, 0).values(),
            source: column(records, 1),
            name: column(records, 2),
            entity: column(records, 3),
            severity: column(records, 4),
            status: column(records, 5),
            fingerprint: column::<UInt64Array>(records, 6).values(),
            labels: column(records, 7),
            annotations: column(records, 8),
            starts_at: column(records, 9),
            ends_at: column(records, 10),
            url: column(records, 11),
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

    /// The tool that raised row `row`.
    pub fn source(&self, row: usize) -> &'a str {
        self.source.value(row)
    }

    /// The rule's name.
    pub fn name(&self, row: usize) -> &'a str {
        self.name.value(row)
    }

    /// The entity the alert is about.
    pub fn entity(&self, row: usize) -> &'a str {
        self.entity.value(row)
    }

    /// The severity; an unknown word reads as a warning (builders write only known ones).
    pub fn severity(&self, row: usize) -> Severity {
        Severity::read(self.severity.value(row)).unwrap_or_default()
    }

    /// The status; `None` for a word that is neither firing nor resolved.
    pub fn status(&self, row: usize) -> Option<AlertStatus> {
        self.status.value(row).parse().ok()
    }

    /// The identifying labels.
    pub fn labels(&self, row: usize) -> Labels<'a> {
        Labels::of(self.labels, row)
    }

    /// The descriptive texts.
    pub fn annotations(&self, row: usize) -> Labels<'a> {
        Labels::of(self.annotations, row)
    }

    /// When the condition began.
    pub fn starts_at(&self, row: usize) -> EventTime {
        EventTime(self.starts_at.value(row))
    }

    /// When it ended or will be taken as ended.
    pub fn ends_at(&self, row: usize) -> Option<EventTime> {
        optional_time(self.ends_at, row)
    }

    /// Where a person can look at it.
    pub fn url(&self, row: usize) -> Option<&'a str> {
        optional_text(self.url, row)
    }

    /// About how many bytes row `row` takes.
    pub(crate) fn bytes(&self, row: usize) -> usize {
        let names = self.source(row).len() + self.name(row).len() + self.entity(row).len();
        let texts = self.labels(row).bytes() + self.annotations(row).bytes();
        ROW_BYTES + names + texts + self.url(row).map_or(0, str::len)
    }

    /// Whether its names are as long as they may be: builders see to it, other programs may not.
    pub(crate) fn fits(&self, row: usize) -> bool {
        name_fits(self.source(row))
            && name_fits(self.name(row))
            && entity_fits(self.entity(row))
            && url_fits(self.url(row))
            && self.labels(row).fit()
            && self.annotations(row).fit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_comes_back_as_it_went_in() {
        let labels = [("job", "api"), ("severity", "page")];
        let fingerprint = alert_fingerprint("prometheus", "HighErrorRate", "service:api", &labels);
        let mut builder = AlertBuilder::new();
        builder.push(&AlertRow {
            time: EventTime::from_secs(10),
            source: "prometheus",
            name: "HighErrorRate",
            entity: "service:api",
            severity: Severity::Major,
            status: AlertStatus::Resolved,
            fingerprint,
            labels: &labels,
            annotations: &[("summary", "5 % errors")],
            starts_at: EventTime::from_secs(1),
            ends_at: Some(EventTime::from_secs(9)),
            url: None,
        });
        let batch = builder.finish("acme").expect("tenant is plain");
        let columns = AlertColumns::of(&batch);
        assert_eq!(columns.len(), 1);
        assert_eq!(columns.severity(0), Severity::Major);
        assert_eq!(columns.status(0), Some(AlertStatus::Resolved));
        assert_eq!(columns.labels(0).get("job"), Some("api"));
        assert_eq!(columns.annotations(0).get("summary"), Some("5 % errors"));
        assert_eq!(columns.ends_at(0), Some(EventTime::from_secs(9)));
        assert_eq!(columns.url(0), None);
        assert!(builder.is_empty());
    }
}
