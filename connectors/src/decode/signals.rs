//! Gathers rows into batches, one builder a kind, and describes each series once.

use std::borrow::Cow;
use std::collections::HashSet;

use bellwether_engine::input::Input;
use bellwether_engine::signal::{
    AlertBuilder, AlertRow, AlertStatus, Batch, ChangeBuilder, ChangeRow, EdgeBuilder, EdgeRow, LogBuilder, LogRow,
    MetricBuilder, Relation, SeriesBuilder, SeriesType, Severity, SignalKind, alert_fingerprint, log_severity,
    series_id,
};
use bellwether_engine::time::EventTime;

use super::level::told_or_read;
use super::row::{Field, Pairs, Row, RowsConfig, known_fields};
use super::scalar::Scalar;
use super::time::read_time;
use crate::intake::reject::{BadRow, Reason};

/// Series whose description was sent. Beyond, all are described again as they come: a
/// description costs a row, a forgotten one nothing else.
const SERIES_KNOWN_MAX: usize = 1_000_000;
/// Longest entity and metric name; they are keys of the engine's tables.
const NAME_BYTES_MAX: usize = 512;

/// Rows on their way to batches.
#[derive(Debug, Default)]
pub struct Signals {
    metric: MetricBuilder,
    series: SeriesBuilder,
    known: HashSet<u64>,
    log: LogBuilder,
    alert: AlertBuilder,
    change: ChangeBuilder,
    edge: EdgeBuilder,
    /// Rows whose log body was cut to its limit.
    cut: u64,
}

impl Signals {
    /// Nothing yet.
    pub fn new() -> Signals {
        Signals::default()
    }

    /// Rows gathered, without series descriptions.
    pub fn len(&self) -> usize {
        self.metric.len() + self.log.len() + self.alert.len() + self.change.len() + self.edge.len()
    }

    /// True when no row was gathered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Log bodies cut to the limit so far.
    pub fn cut(&self) -> u64 {
        self.cut
    }

    /// The batches of `tenant`, descriptions first; the gatherer is empty afterwards but
    /// remembers which series it has described.
    ///
    /// # Panics
    /// When the tenant's name is not usable; configuration and credentials check it.
    pub fn take(&mut self, tenant: &str) -> Vec<Batch> {
        if self.known.len() > SERIES_KNOWN_MAX {
            self.known.clear();
        }
        let batches = [
            (!self.series.is_empty()).then(|| self.series.finish(tenant)),
            (!self.edge.is_empty()).then(|| self.edge.finish(tenant)),
            (!self.change.is_empty()).then(|| self.change.finish(tenant)),
            (!self.metric.is_empty()).then(|| self.metric.finish(tenant)),
            (!self.log.is_empty()).then(|| self.log.finish(tenant)),
            (!self.alert.is_empty()).then(|| self.alert.finish(tenant)),
        ];
        let checked = |batch: Result<Batch, _>| batch.expect("the tenant's name was checked");
        batches.into_iter().flatten().map(checked).collect()
    }

    /// [`Signals::take`] as journal entries.
    pub(crate) fn take_inputs(&mut self, tenant: &str) -> Vec<Input> {
        self.take(tenant).into_iter().map(Input::Batch).collect()
    }

    /// Appends one sample, and the description of its series when it is new. `labels` must be
    /// sorted by name.
    pub fn sample(
        &mut self,
        time: EventTime,
        (name, entity, unit, series_type): (&str, &str, &str, SeriesType),
        labels: &[(&str, &str)],
        value: f64,
    ) {
        let id = series_id(name, entity, labels);
        if self.known.insert(id) {
            self.series.push(name, entity, unit, series_type, labels);
        }
        self.metric.push(time, id, value);
    }

    /// Appends one log record.
    pub fn log(&mut self, row: &LogRow<'_>) {
        self.cut += u64::from(self.log.push(row));
    }

    /// Checks `row` and appends it.
    ///
    /// # Errors
    /// [`BadRow`] naming the column; nothing is appended.
    pub fn push(&mut self, row: &Row<'_>, config: &RowsConfig) -> Result<(), BadRow> {
        let cells = Cells { row, config };
        let kind = cells.kind()?;
        cells.no_strangers(kind)?;
        let time = cells.time(Field::Time)?;
        match kind {
            SignalKind::Metric => self.push_metric(&cells, time),
            SignalKind::Log => self.push_log(&cells, time),
            SignalKind::Alert => self.push_alert(&cells, time),
            SignalKind::Change => self.push_change(&cells, time),
            SignalKind::Edge => self.push_edge(&cells, time),
            SignalKind::Series => {
                Err(BadRow::new(Reason::Word, "signal", "`series` is no row: a metric row describes its series itself"))
            }
        }
    }

    fn push_metric(&mut self, cells: &Cells<'_, '_>, time: EventTime) -> Result<(), BadRow> {
        let name = cells.needed(Field::Name)?;
        let entity = cells.entity(Field::Entity)?;
        let value = cells.number(Field::Value)?;
        let unit = cells.optional(Field::Unit)?.unwrap_or_default();
        let series_type = match cells.optional(Field::Type)?.as_deref() {
            None | Some("gauge") => SeriesType::Gauge,
            Some("counter") => SeriesType::Counter,
            Some(other) => return Err(word(Field::Type, other, "gauge, counter")),
        };
        let labels = sorted(&cells.row.labels);
        self.sample(time, (&name, &entity, &unit, series_type), &labels, value);
        Ok(())
    }

    fn push_log(&mut self, cells: &Cells<'_, '_>, time: EventTime) -> Result<(), BadRow> {
        let entity = cells.entity(Field::Entity)?;
        let body = cells.needed(Field::Body)?;
        let severity = match cells.get(Field::Severity) {
            Scalar::Int(number @ 0..=24) => *number as u8,
            Scalar::Null => 0,
            // The column is OpenTelemetry's; its numbers come as text in CSV.
            other => other.text().map_or(0, |level| match level.trim().parse() {
                Ok(number @ 0..=24) => number,
                _ => log_severity(&level),
            }),
        };
        let severity = told_or_read(severity, &body);
        let trace_id = cells.optional(Field::TraceId)?;
        let unknown: Vec<(&str, Cow<'_, str>)> =
            cells.row.unknown.iter().filter_map(|(name, value)| Some((name.as_ref(), value.text()?))).collect();
        let labels = cells.row.labels.iter().map(|(k, v)| (k.as_ref(), v.as_ref()));
        let unknown = unknown.iter().map(|(k, v)| (*k, v.as_ref()));
        let attributes = bellwether_engine::signal::sorted_labels(unknown.chain(labels));
        self.log(&LogRow {
            time,
            entity: &entity,
            severity,
            body: &body,
            attributes: &attributes,
            trace_id: trace_id.as_deref(),
        });
        Ok(())
    }

    fn push_alert(&mut self, cells: &Cells<'_, '_>, time: EventTime) -> Result<(), BadRow> {
        let name = cells.needed(Field::Name)?;
        let entity = cells.entity(Field::Entity)?;
        let source = cells.optional(Field::Source)?.unwrap_or(Cow::Borrowed("rows"));
        let severity = match cells.optional(Field::Severity)? {
            None => Severity::default(),
            Some(text) => Severity::read(&text).ok_or_else(|| {
                word(Field::Severity, &text, "info, warning, minor, major, critical, or a monitoring tool's word")
            })?,
        };
        let status = match cells.optional(Field::Status)? {
            None => AlertStatus::Firing,
            Some(text) => text.parse().map_err(|_| word(Field::Status, &text, "firing, resolved"))?,
        };
        let labels = sorted(&cells.row.labels);
        let annotations = sorted(&cells.row.annotations);
        let starts_at = cells.optional_time(Field::StartsAt)?.unwrap_or(time);
        let ends_at = cells.optional_time(Field::EndsAt)?;
        let fingerprint = cells.fingerprint()?.unwrap_or_else(|| alert_fingerprint(&source, &name, &entity, &labels));
        let url = cells.optional(Field::Url)?;
        self.alert.push(&AlertRow {
            time,
            source: &source,
            name: &name,
            entity: &entity,
            severity,
            status,
            fingerprint,
            labels: &labels,
            annotations: &annotations,
            starts_at,
            ends_at,
            url: url.as_deref(),
        });
        Ok(())
    }

    fn push_change(&mut self, cells: &Cells<'_, '_>, time: EventTime) -> Result<(), BadRow> {
        let id = cells.needed(Field::Id)?;
        let change_type = cells.needed(Field::Type)?;
        let entity = cells.entity(Field::Entity)?;
        let [artifact, who, url, text] = [
            cells.optional(Field::Artifact)?,
            cells.optional(Field::Who)?,
            cells.optional(Field::Url)?,
            cells.optional(Field::Text)?,
        ];
        self.change.push(&ChangeRow {
            time,
            id: &id,
            change_type: &change_type,
            entity: &entity,
            artifact: artifact.as_deref(),
            who: who.as_deref(),
            url: url.as_deref(),
            text: text.as_deref(),
        });
        Ok(())
    }

    fn push_edge(&mut self, cells: &Cells<'_, '_>, time: EventTime) -> Result<(), BadRow> {
        let from = cells.entity(Field::From)?;
        let to = cells.entity(Field::To)?;
        let relation = cells.needed(Field::Relation)?;
        let relation: Relation = relation
            .parse()
            .map_err(|_| word(Field::Relation, &relation, "calls, runs_on, connects_to, part_of, owned_by"))?;
        let source = cells.optional(Field::Source)?.unwrap_or(Cow::Borrowed("rows"));
        let confidence = match cells.get(Field::Confidence) {
            Scalar::Null => 0.9,
            _ => cells.number(Field::Confidence)?,
        };
        if !(0.0..=1.0).contains(&confidence) {
            return Err(BadRow::new(Reason::Type, "confidence", format!("`{confidence}` must be from 0 to 1")));
        }
        self.edge.push(&EdgeRow { time, from: &from, to: &to, relation, source: &source, confidence });
        Ok(())
    }
}

/// A row with the configured constants behind it.
struct Cells<'r, 'a> {
    row: &'r Row<'a>,
    config: &'r RowsConfig,
}

impl<'r, 'a> Cells<'r, 'a> {
    fn get(&self, field: Field) -> &'r Scalar<'a> {
        self.row.get(field)
    }

    fn kind(&self) -> Result<SignalKind, BadRow> {
        let named = self.optional(Field::Signal)?;
        match (named, self.config.signal) {
            (Some(text), _) => text.parse().map_err(|_| word(Field::Signal, &text, "metric, log, alert, change, edge")),
            (None, Some(kind)) => Ok(kind),
            (None, None) => Err(BadRow::new(
                Reason::Missing,
                "signal",
                "is missing: metric, log, alert, change or edge; or set `rows.signal`",
            )),
        }
    }

    /// Unknown columns of a log are attributes, of everything else a mistake.
    fn no_strangers(&self, kind: SignalKind) -> Result<(), BadRow> {
        let unknown = match kind {
            SignalKind::Log => self.row.unknown.iter().find(|(_, v)| matches!(v, Scalar::Nested)),
            _ => self.row.unknown.first(),
        };
        let name = unknown.map(|(name, _)| name.as_ref()).or_else(|| self.row.stranger(kind).map(Field::name));
        let Some(name) = name else { return Ok(()) };
        Err(BadRow::new(
            Reason::Unknown,
            name,
            format!("is no column of a {kind} row, known: {}", known_fields(Some(kind))),
        ))
    }

    /// Text of `field`, or its configured constant; never empty.
    fn optional(&self, field: Field) -> Result<Option<Cow<'r, str>>, BadRow> {
        let value = self.get(field);
        if matches!(value, Scalar::Nested) {
            return Err(BadRow::new(Reason::Type, field.name(), "is an object or a list, should be text"));
        }
        let text = value.text().filter(|text| !text.is_empty());
        let constant = || self.config.constants.get(field.name()).map(|c| Cow::Borrowed(c.as_str()));
        Ok(text.or_else(constant))
    }

    fn needed(&self, field: Field) -> Result<Cow<'r, str>, BadRow> {
        let text = self.optional(field)?.ok_or_else(|| missing(field))?;
        if field != Field::Body && text.len() > NAME_BYTES_MAX {
            let detail = format!("has {} bytes, at most {NAME_BYTES_MAX} are allowed", text.len());
            return Err(BadRow::new(Reason::TooLong, field.name(), detail));
        }
        Ok(text)
    }

    fn entity(&self, field: Field) -> Result<Cow<'r, str>, BadRow> {
        let entity = self.needed(field)?;
        if entity.contains(':') {
            return Ok(entity);
        }
        Ok(Cow::Owned(format!("{}:{entity}", self.config.entity_type)))
    }

    fn number(&self, field: Field) -> Result<f64, BadRow> {
        let text = |text: &str| {
            text.trim().parse::<f64>().map_err(|_| {
                let shown: String = text.chars().take(64).collect();
                BadRow::new(Reason::Type, field.name(), format!("`{shown}` is no number"))
            })
        };
        let number = match self.get(field) {
            Scalar::Int(n) => *n as f64,
            Scalar::UInt(n) => *n as f64,
            Scalar::Float(n) => *n,
            Scalar::Text(value) if !value.trim().is_empty() => text(value)?,
            Scalar::Bool(_) | Scalar::Nested => {
                let shown = self.get(field).show();
                return Err(BadRow::new(Reason::Type, field.name(), format!("`{shown}` is no number")));
            }
            Scalar::Null | Scalar::Text(_) => match self.config.constants.get(field.name()) {
                Some(constant) => text(constant)?,
                None => return Err(missing(field)),
            },
        };
        if !number.is_finite() {
            let detail = format!("`{number}` is not finite: leave the row out when there is no value");
            return Err(BadRow::new(Reason::NotFinite, field.name(), detail));
        }
        Ok(number)
    }

    fn time(&self, field: Field) -> Result<EventTime, BadRow> {
        self.optional_time(field)?.ok_or_else(|| missing(field))
    }

    fn optional_time(&self, field: Field) -> Result<Option<EventTime>, BadRow> {
        match self.get(field) {
            Scalar::Null => Ok(None),
            Scalar::Text(text) if text.is_empty() => Ok(None),
            value => read_time(field.name(), value, self.config.time_unit).map(Some),
        }
    }

    /// A number, or hexadecimal digits as Alertmanager writes them.
    fn fingerprint(&self) -> Result<Option<u64>, BadRow> {
        match self.get(Field::Fingerprint) {
            Scalar::Null => Ok(None),
            Scalar::Int(n) => Ok(Some(*n as u64)),
            Scalar::UInt(n) => Ok(Some(*n)),
            other => {
                let text = other.text().unwrap_or_default();
                u64::from_str_radix(text.trim(), 16).map(Some).map_err(|_| {
                    BadRow::new(
                        Reason::Type,
                        "fingerprint",
                        format!("`{}` is neither a number nor 16 hexadecimal digits", other.show()),
                    )
                })
            }
        }
    }
}

fn missing(field: Field) -> BadRow {
    BadRow::new(Reason::Missing, field.name(), "is missing or empty")
}

fn word(field: Field, text: &str, known: &str) -> BadRow {
    let shown: String = text.chars().take(32).collect();
    BadRow::new(Reason::Word, field.name(), format!("`{shown}` is not known, known: {known}"))
}

fn sorted<'p>(pairs: &'p Pairs<'_>) -> Vec<(&'p str, &'p str)> {
    bellwether_engine::signal::sorted_labels(pairs.iter().map(|(k, v)| (k.as_ref(), v.as_ref())))
}
