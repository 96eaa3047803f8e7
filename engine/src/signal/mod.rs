//! Signals: what every connector produces and the engine reads.
//!
//! A [`Batch`] is one Arrow record batch of one kind and one tenant. The tenant stands on the
//! batch, not in a column: it comes from the credential the sender used, so no payload can
//! name another one, and no row pays for it.
//!
//! | kind | columns |
//! |---|---|
//! | `series` | series, name, entity, unit, type, labels |
//! | `metric` | time, series, value |
//! | `log` | time, entity, severity, body, attributes, trace_id |
//! | `alert` | time, source, name, entity, severity, status, fingerprint, labels, annotations, starts_at, ends_at, url |
//! | `change` | time, id, type, entity, artifact, who, url, text |
//! | `edge` | time, from, to, relation, source, confidence |
//!
//! Times are `Timestamp(Nanosecond, "UTC")`. `series` is the table beside `metric`: a series
//! is described once, and its samples carry only its id, a stable hash of its identity.
//! Schemas carry `SCHEMA_VERSION` in their metadata; a batch of another version is refused.

mod alert;
mod builder;
mod change;
mod edge;
pub mod ipc;
mod labels;
mod lengths;
mod levels;
mod log;
mod metric;
mod tenant;
mod words;

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use serde::{Deserialize, Serialize};

pub use alert::{AlertBuilder, AlertColumns, AlertRow, alert_fingerprint};
pub use change::{ChangeBuilder, ChangeColumns, ChangeRow};
pub use edge::{EdgeBuilder, EdgeColumns, EdgeRow};
pub(crate) use labels::identity_hash;
pub use labels::{LabelPairs, Labels, cut_to, sorted_labels};
pub use lengths::{ENTITY_BYTES_MAX, NAME_BYTES_MAX, URL_BYTES_MAX, entity_within};
pub use levels::{level_number, log_severity, syslog_severity};
pub use log::{LogBuilder, LogColumns, LogRow};
pub use metric::{MetricBuilder, MetricColumns, SeriesBuilder, SeriesColumns, SeriesRow, SeriesType, series_id};
pub use tenant::{TENANT_BYTES_MAX, TenantName, check_tenant};
pub use words::{AlertStatus, Relation, Severity};

/// Version of the five schemas; in each schema's metadata as `bellwether.schema`.
pub(crate) const SCHEMA_VERSION: &str = "1";

/// Metadata key of [`SCHEMA_VERSION`].
pub(crate) const SCHEMA_VERSION_KEY: &str = "bellwether.schema";

/// Most labels kept on one alert, series or log line (VictoriaMetrics keeps 40 as well).
pub const LABELS_MAX: usize = 40;
/// Longest label name in bytes.
pub const LABEL_NAME_BYTES_MAX: usize = 256;
/// Longest label or annotation value in bytes.
pub const LABEL_VALUE_BYTES_MAX: usize = 4_096;
/// Longest log body in bytes; the rest is cut off.
pub(crate) const LOG_BODY_BYTES_MAX: usize = 65_536;

/// The kinds of batch, in the order in which they act at one instant: what describes the
/// world comes before what happens in it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignalKind {
    /// Descriptions of metric series.
    Series,
    /// Topology edges.
    Edge,
    /// Changes: deployments, configuration, feature flags.
    Change,
    /// Metric samples.
    Metric,
    /// Log records.
    Log,
    /// Alerts of other tools.
    Alert,
}

impl SignalKind {
    /// Every kind.
    pub const ALL: [SignalKind; 6] = [
        SignalKind::Series,
        SignalKind::Edge,
        SignalKind::Change,
        SignalKind::Metric,
        SignalKind::Log,
        SignalKind::Alert,
    ];

    /// The kind's name, as in configuration and in the journal.
    pub const fn name(self) -> &'static str {
        match self {
            SignalKind::Series => "series",
            SignalKind::Edge => "edge",
            SignalKind::Change => "change",
            SignalKind::Metric => "metric",
            SignalKind::Log => "log",
            SignalKind::Alert => "alert",
        }
    }

    /// The Arrow schema of this kind.
    pub fn schema(self) -> SchemaRef {
        static SCHEMAS: LazyLock<[SchemaRef; 6]> = LazyLock::new(|| {
            [
                metric::series_schema(),
                edge::schema(),
                change::schema(),
                metric::schema(),
                log::schema(),
                alert::schema(),
            ]
        });
        SCHEMAS[self as usize].clone()
    }
}

impl fmt::Display for SignalKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for SignalKind {
    type Err = SignalError;

    fn from_str(text: &str) -> Result<Self, SignalError> {
        SignalKind::ALL
            .into_iter()
            .find(|kind| kind.name() == text)
            .ok_or_else(|| SignalError::Kind(text.chars().take(32).collect()))
    }
}

/// One Arrow batch of one kind of signal of one tenant.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    tenant: Arc<str>,
    kind: SignalKind,
    records: RecordBatch,
    shortened: u32,
}

impl Batch {
    /// Wraps record batch `records` after checking its schema and the tenant's name.
    ///
    /// # Errors
    /// [`SignalError::Tenant`] for an empty, long or odd tenant name,
    /// [`SignalError::Schema`] when a column is missing or has another type.
    pub fn new(tenant: &str, kind: SignalKind, records: RecordBatch) -> Result<Batch, SignalError> {
        check_tenant(tenant)?;
        let want = kind.schema();
        let have = records.schema();
        if want.fields() != have.fields() {
            return Err(SignalError::schema(kind, &want, &have));
        }
        let version = have.metadata().get(SCHEMA_VERSION_KEY);
        if version.is_some_and(|v| v != SCHEMA_VERSION) {
            return Err(SignalError::Version { kind, have: version.cloned().unwrap_or_default() });
        }
        Ok(Batch { tenant: tenant.into(), kind, records, shortened: 0 })
    }

    /// What a builder of `kind` has put together: its name is checked and its columns fit. Texts of
    /// `shortened` rows were longer than they may be.
    pub(crate) fn built(tenant: &TenantName, kind: SignalKind, records: RecordBatch, shortened: u32) -> Batch {
        debug_assert_eq!(kind.schema().fields(), records.schema().fields(), "a builder fills the columns of its kind");
        Batch { tenant: tenant.shared(), kind, records, shortened }
    }

    /// The tenant the sender's credential stands for.
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// What the rows are.
    pub fn kind(&self) -> SignalKind {
        self.kind
    }

    /// The rows.
    pub fn records(&self) -> &RecordBatch {
        &self.records
    }

    /// Rows of which a builder cut a text, or left a link out, because it was too long.
    pub fn shortened(&self) -> u64 {
        u64::from(self.shortened)
    }

    /// How many rows.
    pub fn len(&self) -> usize {
        self.records.num_rows()
    }

    /// True when there is no row.
    pub fn is_empty(&self) -> bool {
        self.records.num_rows() == 0
    }

    /// `length` rows from `offset`, without a copy. Panics when out of range, as arrow does.
    #[must_use]
    pub fn slice(&self, offset: usize, length: usize) -> Batch {
        Batch {
            tenant: self.tenant.clone(),
            kind: self.kind,
            records: self.records.slice(offset, length),
            shortened: 0,
        }
    }
}

/// Why a batch is not a signal.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SignalError {
    /// Tenant names are subject tokens.
    #[error("tenant `{0}` is not usable: 1 to 64 letters, digits, `_`, `-` or `.`")]
    Tenant(String),
    /// No such kind.
    #[error("unknown signal `{0}`, known: series, edge, change, metric, log, alert")]
    Kind(String),
    /// A column is missing, extra, or of another type.
    #[error("{kind} batch does not fit its schema: {detail}; `bellwether schema signals` prints it")]
    Schema {
        /// The kind claimed.
        kind: SignalKind,
        /// Which column, and how.
        detail: String,
    },
    /// Another version of the schema.
    #[error(
        "{kind} batch has schema version `{have}`, this build reads `{SCHEMA_VERSION}`: use the version that wrote it"
    )]
    Version {
        /// The kind claimed.
        kind: SignalKind,
        /// The version found.
        have: String,
    },
    /// Arrow IPC could not be read.
    #[error("not an Arrow IPC stream of one batch, write one with a stream writer: {0}")]
    Ipc(String),
}

impl SignalError {
    fn schema(kind: SignalKind, want: &Schema, have: &Schema) -> SignalError {
        let mut detail = Vec::new();
        for field in want.fields() {
            match have.field_with_name(field.name()) {
                Err(_) => detail.push(format!("column `{}` is missing", field.name())),
                Ok(found) if found != field.as_ref() => detail.push(format!(
                    "column `{}` is {} but should be {}",
                    field.name(),
                    found.data_type(),
                    field.data_type()
                )),
                Ok(_) => {}
            }
        }
        for field in have.fields() {
            if want.field_with_name(field.name()).is_err() {
                detail.push(format!("column `{}` is not known", field.name()));
            }
        }
        if detail.is_empty() {
            detail.push("the columns are in another order".to_owned());
        }
        SignalError::Schema { kind, detail: detail.join(", ") }
    }
}

/// Builds a schema with the version in its metadata.
fn versioned(fields: Vec<Field>) -> SchemaRef {
    let metadata = HashMap::from([(SCHEMA_VERSION_KEY.to_owned(), SCHEMA_VERSION.to_owned())]);
    Arc::new(Schema::new_with_metadata(fields, metadata))
}

/// The type of every time column.
pub(crate) fn timestamp_type() -> DataType {
    DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()))
}

fn time_field(name: &str, nullable: bool) -> Field {
    Field::new(name, timestamp_type(), nullable)
}

fn text_field(name: &str, nullable: bool) -> Field {
    Field::new(name, DataType::Utf8, nullable)
}

fn map_field(name: &str) -> Field {
    let entries =
        Fields::from(vec![Field::new("keys", DataType::Utf8, false), Field::new("values", DataType::Utf8, true)]);
    let entry = Field::new("entries", DataType::Struct(entries), false);
    Field::new(name, DataType::Map(Arc::new(entry), false), false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_of_another_shape_says_which_column() {
        let log = RecordBatch::new_empty(SignalKind::Log.schema());
        let error = Batch::new("acme", SignalKind::Metric, log).expect_err("log is no metric");
        let text = error.to_string();
        assert!(text.contains("column `series` is missing"), "{text}");
        assert!(text.contains("column `body` is not known"), "{text}");
    }

    #[test]
    fn every_kind_is_named_once() {
        for kind in SignalKind::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
            let empty = RecordBatch::new_empty(kind.schema());
            assert!(Batch::new("acme", kind, empty).is_ok());
        }
        assert!("alerts".parse::<SignalKind>().is_err());
    }
}
