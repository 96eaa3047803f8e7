//! A row before it is a signal: named scalars and label maps, whatever format it came in.
//!
//! | kind | needs | may have |
//! |---|---|---|
//! | `metric` | time, name, entity, value | unit, type (`gauge`, `counter`), labels |
//! | `log` | time, entity, body | severity (word or OpenTelemetry number), attributes, trace_id |
//! | `alert` | time, name, entity | source, severity, status, fingerprint, labels, annotations, starts_at, ends_at, url |
//! | `change` | time, id, type, entity | artifact, who, url, text |
//! | `edge` | time, from, to, relation | source, confidence |

use std::borrow::Cow;
use std::collections::BTreeMap;

use bellwether_engine::signal::SignalKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::scalar::Scalar;
use super::time::TimeUnit;

macro_rules! fields {
    ($($variant:ident $name:literal),+ $(,)?) => {
        /// The scalar columns of a row.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        #[allow(missing_docs, reason = "the names are those of the signal schemas")]
        pub enum Field { $($variant),+ }

        impl Field {
            /// Every column.
            pub const ALL: &'static [Field] = &[$(Field::$variant),+];

            /// Its name, as in the schemas.
            pub const fn name(self) -> &'static str {
                match self { $(Field::$variant => $name),+ }
            }

            /// The column of that name.
            pub(crate) fn of_name(name: &str) -> Option<Field> {
                match name { $($name => Some(Field::$variant),)+ _ => None }
            }
        }
    };
}

fields! {
    Signal "signal", Time "time", Name "name", Entity "entity", Unit "unit", Type "type",
    Value "value", Severity "severity", Body "body", TraceId "trace_id", Source "source",
    Status "status", Fingerprint "fingerprint", StartsAt "starts_at", EndsAt "ends_at",
    Url "url", Id "id", Artifact "artifact", Who "who", Text "text", From "from", To "to",
    Relation "relation", Confidence "confidence",
}

impl Field {
    /// True when rows of `kind` have this column.
    pub(crate) fn belongs_to(self, kind: SignalKind) -> bool {
        use Field as F;
        matches!(self, F::Signal | F::Time)
            || match kind {
                SignalKind::Metric => {
                    matches!(self, F::Name | F::Entity | F::Unit | F::Type | F::Value)
                }
                SignalKind::Log => matches!(self, F::Entity | F::Severity | F::Body | F::TraceId),
                SignalKind::Alert => matches!(
                    self,
                    F::Source
                        | F::Name
                        | F::Entity
                        | F::Severity
                        | F::Status
                        | F::Fingerprint
                        | F::StartsAt
                        | F::EndsAt
                        | F::Url
                ),
                SignalKind::Change => {
                    matches!(self, F::Id | F::Type | F::Entity | F::Artifact | F::Who | F::Url | F::Text)
                }
                SignalKind::Edge => matches!(self, F::From | F::To | F::Relation | F::Source | F::Confidence),
                SignalKind::Series => false,
            }
    }
}

/// Text pairs of a map column, unsorted.
pub type Pairs<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// One row.
#[derive(Debug, Default)]
pub struct Row<'a> {
    fields: [Scalar<'a>; Field::ALL.len()],
    /// `labels`, and `attributes` of log rows.
    pub labels: Pairs<'a>,
    /// `annotations` of alerts.
    pub annotations: Pairs<'a>,
    /// Columns nobody knows.
    pub unknown: Vec<(Cow<'a, str>, Scalar<'a>)>,
}

impl<'a> Row<'a> {
    /// The value of `field`.
    pub fn get(&self, field: Field) -> &Scalar<'a> {
        &self.fields[field as usize]
    }

    /// Sets the value of `field`.
    pub fn set(&mut self, field: Field, value: Scalar<'a>) {
        self.fields[field as usize] = value;
    }

    /// The first column with a value that rows of `kind` do not have.
    pub fn stranger(&self, kind: SignalKind) -> Option<Field> {
        Field::ALL.iter().copied().find(|f| !self.get(*f).is_null() && !f.belongs_to(kind))
    }
}

/// How rows become signals.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RowsConfig {
    /// What every row is: `metric`, `log`, `alert`, `change` or `edge`. Without it each row
    /// says so itself in its column `signal`.
    #[schemars(with = "Option<String>")]
    pub signal: Option<SignalKind>,
    /// Unit of times that are bare numbers.
    pub time_unit: TimeUnit,
    /// Put before entities that are written without a type: `host` makes `db-1` to
    /// `host:db-1`.
    pub entity_type: String,
    /// Which column of the file holds which field, field first: `{time: timestamp, value:
    /// cpu_util}`. Columns not named here, in `labels` or in `values` are then ignored.
    /// For CSV and Parquet.
    pub columns: BTreeMap<String, String>,
    /// Fields that are the same in every row: `{entity: host:db-1, name: cpu}`. A value in the
    /// row wins.
    pub constants: BTreeMap<String, String>,
    /// Columns kept as labels (metrics, alerts) or attributes (logs). For CSV and Parquet.
    pub labels: Vec<String>,
    /// Metric columns of a wide table: each is a sample whose metric name is the column's
    /// name. For CSV and Parquet.
    pub values: Vec<String>,
    /// Field delimiter of CSV: one character.
    pub delimiter: char,
}

impl Default for RowsConfig {
    fn default() -> RowsConfig {
        RowsConfig {
            signal: None,
            time_unit: TimeUnit::Auto,
            entity_type: "service".to_owned(),
            columns: BTreeMap::new(),
            constants: BTreeMap::new(),
            labels: Vec::new(),
            values: Vec::new(),
            delimiter: ',',
        }
    }
}

impl RowsConfig {
    /// Checks the names of fields.
    ///
    /// # Errors
    /// [`RowsError`] naming the key and what is known.
    pub fn check(&self) -> Result<(), RowsError> {
        for name in self.columns.keys().chain(self.constants.keys()) {
            if Field::of_name(name).is_none() {
                return Err(RowsError::Field { name: name.clone(), known: known_fields(self.signal) });
            }
        }
        if !self.delimiter.is_ascii() || matches!(self.delimiter, '"' | '\n' | '\r') {
            return Err(RowsError::Delimiter(self.delimiter));
        }
        if self.signal == Some(SignalKind::Series) {
            return Err(RowsError::Series);
        }
        if !self.values.is_empty() && self.signal.is_some_and(|s| s != SignalKind::Metric) {
            return Err(RowsError::Values);
        }
        Ok(())
    }
}

/// What contradicts itself in how rows are to be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowsError {
    /// A name that no field has.
    #[error("unknown field `{name}` in `rows`, known: {known}")]
    Field {
        /// The name.
        name: String,
        /// The fields there are.
        known: String,
    },
    /// What cannot stand between fields.
    #[error("`delimiter` `{0}` must be one ASCII character other than a quote")]
    Delimiter(char),
    /// A signal that has no rows of its own.
    #[error("`signal: series` is no row: a metric row describes its series itself")]
    Series,
    /// Wide rows of what is no metric.
    #[error("`values` is for `signal: metric`")]
    Values,
}

/// The fields rows of `kind` have, for messages.
pub(crate) fn known_fields(kind: Option<SignalKind>) -> String {
    let names: Vec<&str> =
        Field::ALL.iter().filter(|f| kind.is_none_or(|kind| f.belongs_to(kind))).map(|f| f.name()).collect();
    let maps = match kind {
        Some(SignalKind::Metric) => ", labels",
        Some(SignalKind::Log) => ", attributes",
        Some(SignalKind::Change | SignalKind::Edge) => "",
        _ => ", labels, annotations, attributes",
    };
    names.join(", ") + maps
}
