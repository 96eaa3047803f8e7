//! OTLP/JSON, read by the proto3 JSON mapping as encoders differ within it: a field that is missing or
//! `null` has its default, numbers may be texts and texts of numbers numbers, enums are names or
//! numbers, names are in lowerCamelCase or as in the `.proto` files, ids are hexadecimal (OTLP) or
//! base64 (plain proto3).
//!
//! What does not fit costs the event that it stands in, which is counted, and not the request.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as PointValue;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint,
    Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use serde_json::{Map, Value};

use super::{Export, Signal, Unreadable};

/// Deepest nesting of a value that is read; JSON's parser stops at 128.
const DEPTH_MAX: usize = 64;

/// A value that cannot be what the field holds.
struct Odd;

type Read<T> = Result<T, Odd>;

/// Reads a request; with it comes how many of its events cannot be read.
///
/// # Errors
/// [`Unreadable`] when it is no JSON object, or its lists are none.
pub(super) fn read(signal: Signal, body: &[u8]) -> Result<(Export, u64), Unreadable> {
    let document: Value = serde_json::from_slice(body)?;
    let document = document.as_object().ok_or(Unreadable::NoObject)?;
    let mut odd = 0;
    let export = match signal {
        Signal::Logs => {
            let scope = |log_records| ScopeLogs { log_records, ..Default::default() };
            let of = |resource, scope_logs| ResourceLogs { resource, scope_logs, ..Default::default() };
            let names = ["resourceLogs", "scopeLogs", "logRecords"];
            let resource_logs = grouped(document, names, &mut odd, |object, _| log_record(object), scope, of)?;
            Export::Logs(ExportLogsServiceRequest { resource_logs })
        }
        Signal::Metrics => {
            let scope = |metrics| ScopeMetrics { metrics, ..Default::default() };
            let of = |resource, scope_metrics| ResourceMetrics { resource, scope_metrics, ..Default::default() };
            let names = ["resourceMetrics", "scopeMetrics", "metrics"];
            let resource_metrics = grouped(document, names, &mut odd, metric, scope, of)?;
            Export::Metrics(ExportMetricsServiceRequest { resource_metrics })
        }
        Signal::Traces => {
            let scope = |spans| ScopeSpans { spans, ..Default::default() };
            let of = |resource, scope_spans| ResourceSpans { resource, scope_spans, ..Default::default() };
            let names = ["resourceSpans", "scopeSpans", "spans"];
            let resource_spans = grouped(document, names, &mut odd, |object, _| span(object), scope, of)?;
            Export::Traces(ExportTraceServiceRequest { resource_spans })
        }
    };
    Ok((export, odd))
}

/// What a request of any signal holds: events by scope by resource, in lists of these names.
fn grouped<Event, Scope, Of>(
    document: &Map<String, Value>,
    [groups, scopes, events]: [&'static str; 3],
    odd: &mut u64,
    event: impl Fn(&Map<String, Value>, &mut u64) -> Read<Event>,
    scope: impl Fn(Vec<Event>) -> Scope,
    of: impl Fn(Option<Resource>, Vec<Scope>) -> Of,
) -> Result<Vec<Of>, Unreadable> {
    let groups = list(document, groups).map_err(|Odd| Unreadable::NoList(groups))?;
    Ok(members(groups, odd, |group, odd| {
        let scopes =
            members(list(group, scopes)?, odd, |held, odd| Ok(scope(members(list(held, events)?, odd, &event))));
        Ok(of(resource(group), scopes))
    }))
}

/// The members of a list that `read` reads; the others are counted. `null` is no member.
fn members<T>(list: &[Value], odd: &mut u64, mut read: impl FnMut(&Map<String, Value>, &mut u64) -> Read<T>) -> Vec<T> {
    let mut found = Vec::with_capacity(list.len());
    for value in list.iter().filter(|value| !value.is_null()) {
        match value.as_object().ok_or(Odd).and_then(|object| read(object, odd)) {
            Ok(member) => found.push(member),
            Err(Odd) => *odd += 1,
        }
    }
    found
}

/// The field called `name` in lowerCamelCase, or as the `.proto` file has it; `null` is absent.
fn field<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let there = object.get(name).or_else(|| {
        if !name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return None;
        }
        let mut snake = String::with_capacity(name.len() + 4);
        for ch in name.chars() {
            if ch.is_ascii_uppercase() {
                snake.push('_');
            }
            snake.push(ch.to_ascii_lowercase());
        }
        object.get(&snake)
    });
    there.filter(|value| !value.is_null())
}

fn list<'a>(object: &'a Map<String, Value>, name: &str) -> Read<&'a [Value]> {
    match field(object, name) {
        None => Ok(&[]),
        Some(Value::Array(list)) => Ok(list),
        Some(_) => Err(Odd),
    }
}

fn text(object: &Map<String, Value>, name: &str) -> Read<String> {
    match field(object, name) {
        None => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Number(number)) => Ok(number.to_string()),
        Some(_) => Err(Odd),
    }
}

/// A whole number, also as a text or written as `5.0` or `1e3`.
fn whole(value: &Value) -> Read<i128> {
    let of_float = |number: f64| match number.fract() == 0.0 && number.abs() < 1e19 {
        true => Ok(number as i128),
        false => Err(Odd),
    };
    match value {
        Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => Ok(i128::from(number)),
            (_, Some(number)) => Ok(i128::from(number)),
            _ => of_float(number.as_f64().ok_or(Odd)?),
        },
        Value::String(text) => match text.trim().parse() {
            Ok(number) => Ok(number),
            Err(_) => of_float(text.trim().parse().map_err(|_| Odd)?),
        },
        _ => Err(Odd),
    }
}

fn unsigned(object: &Map<String, Value>, name: &str) -> Read<u64> {
    field(object, name).map_or(Ok(0), |value| u64::try_from(whole(value)?).map_err(|_| Odd))
}

/// Any number; also `"NaN"`, `"Infinity"` and `"-Infinity"`.
fn double(value: &Value) -> Read<f64> {
    match value {
        Value::Number(number) => number.as_f64().ok_or(Odd),
        Value::String(text) => text.trim().parse().map_err(|_| Odd),
        _ => Err(Odd),
    }
}

fn double_at(object: &Map<String, Value>, name: &str) -> Read<Option<f64>> {
    field(object, name).map(double).transpose()
}

fn flag(value: &Value) -> Read<bool> {
    match value {
        Value::Bool(value) => Ok(*value),
        Value::String(text) => text.parse().map_err(|_| Odd),
        _ => Err(Odd),
    }
}

/// An enum by its name or number.
fn enumerated(object: &Map<String, Value>, name: &str, of_name: impl Fn(&str) -> Option<i32>) -> Read<i32> {
    match field(object, name) {
        None => Ok(0),
        Some(Value::String(text)) if of_name(text).is_some() => of_name(text).ok_or(Odd),
        Some(value) => i32::try_from(whole(value)?).map_err(|_| Odd),
    }
}

/// An id of `length` bytes: hexadecimal, or base64, which has another length.
fn id(object: &Map<String, Value>, name: &str, length: usize) -> Read<Vec<u8>> {
    let Some(value) = field(object, name) else { return Ok(Vec::new()) };
    let text = value.as_str().ok_or(Odd)?;
    if text.is_empty() {
        return Ok(Vec::new());
    }
    if text.len() == length * 2 {
        return crate::server::auth::from_hex(&text.to_ascii_lowercase()).ok_or(Odd);
    }
    STANDARD.decode(text).ok().filter(|bytes| bytes.len() == length).ok_or(Odd)
}

/// Attributes of a list; one without a key or with a value of no kind says nothing.
fn attributes(object: &Map<String, Value>, depth: usize) -> Vec<KeyValue> {
    let list = list(object, "attributes").unwrap_or_default();
    list.iter().filter_map(|value| key_value(value, depth)).collect()
}

fn key_value(value: &Value, depth: usize) -> Option<KeyValue> {
    let object = value.as_object()?;
    let key = text(object, "key").ok()?;
    let value = field(object, "value").and_then(|value| any_value(value, depth));
    Some(KeyValue { key, value, ..Default::default() })
}

/// A value; of one that is written plainly, without its type, what it is.
fn any_value(value: &Value, depth: usize) -> Option<AnyValue> {
    let depth = depth.checked_sub(1)?;
    let any = match value {
        Value::String(text) => Any::StringValue(text.clone()),
        Value::Bool(value) => Any::BoolValue(*value),
        Value::Number(number) => match number.as_i64() {
            Some(number) => Any::IntValue(number),
            None => Any::DoubleValue(number.as_f64()?),
        },
        Value::Object(object) => return Some(AnyValue { value: typed(object, depth) }),
        Value::Null | Value::Array(_) => return None,
    };
    Some(AnyValue { value: Some(any) })
}

fn typed(object: &Map<String, Value>, depth: usize) -> Option<Any> {
    if let Some(value) = field(object, "stringValue") {
        return crate::decode::json::scalar(value).map(|text| Any::StringValue(text.into_owned()));
    }
    if let Some(value) = field(object, "boolValue") {
        return flag(value).ok().map(Any::BoolValue);
    }
    if let Some(value) = field(object, "intValue") {
        return i64::try_from(whole(value).ok()?).ok().map(Any::IntValue);
    }
    if let Some(value) = field(object, "doubleValue") {
        return double(value).ok().map(Any::DoubleValue);
    }
    if let Some(Value::Object(array)) = field(object, "arrayValue") {
        let members = list(array, "values").unwrap_or_default();
        let values = members.iter().map(|value| any_value(value, depth).unwrap_or_default()).collect();
        return Some(Any::ArrayValue(ArrayValue { values }));
    }
    if let Some(Value::Object(map)) = field(object, "kvlistValue") {
        let members = list(map, "values").unwrap_or_default();
        let values = members.iter().filter_map(|value| key_value(value, depth)).collect();
        return Some(Any::KvlistValue(KeyValueList { values }));
    }
    let text = field(object, "bytesValue")?.as_str()?;
    STANDARD.decode(text).ok().map(Any::BytesValue)
}

fn resource(of: &Map<String, Value>) -> Option<Resource> {
    let resource = field(of, "resource")?.as_object()?;
    Some(Resource { attributes: attributes(resource, DEPTH_MAX), ..Default::default() })
}

fn log_record(record: &Map<String, Value>) -> Read<LogRecord> {
    Ok(LogRecord {
        time_unix_nano: unsigned(record, "timeUnixNano")?,
        observed_time_unix_nano: unsigned(record, "observedTimeUnixNano")?,
        severity_number: enumerated(record, "severityNumber", |name| {
            SeverityNumber::from_str_name(name).map(|number| number as i32)
        })?,
        severity_text: text(record, "severityText")?,
        body: field(record, "body").and_then(|value| any_value(value, DEPTH_MAX)),
        attributes: attributes(record, DEPTH_MAX),
        trace_id: id(record, "traceId", 16)?,
        span_id: id(record, "spanId", 8)?,
        event_name: text(record, "eventName")?,
        ..Default::default()
    })
}

fn span(span: &Map<String, Value>) -> Read<Span> {
    let status = match field(span, "status") {
        None => None,
        Some(value) => {
            let of_name = |name: &str| StatusCode::from_str_name(name).map(|code| code as i32);
            let code = enumerated(value.as_object().ok_or(Odd)?, "code", of_name)?;
            Some(Status { code, ..Default::default() })
        }
    };
    Ok(Span {
        trace_id: id(span, "traceId", 16)?,
        span_id: id(span, "spanId", 8)?,
        parent_span_id: id(span, "parentSpanId", 8)?,
        name: text(span, "name")?,
        kind: enumerated(span, "kind", |name| SpanKind::from_str_name(name).map(|kind| kind as i32))?,
        start_time_unix_nano: unsigned(span, "startTimeUnixNano")?,
        end_time_unix_nano: unsigned(span, "endTimeUnixNano")?,
        attributes: attributes(span, DEPTH_MAX),
        status,
        ..Default::default()
    })
}

/// A metric; its points that cannot be read are counted one by one.
fn metric(metric: &Map<String, Value>, odd: &mut u64) -> Read<Metric> {
    let name = text(metric, "name")?;
    let data = |name: &str| field(metric, name).map(|value| value.as_object().ok_or(Odd)).transpose();
    let temporality = |data: &Map<String, Value>| {
        enumerated(data, "aggregationTemporality", |name| {
            AggregationTemporality::from_str_name(name).map(|kind| kind as i32)
        })
    };
    let data = if let Some(gauge) = data("gauge")? {
        let data_points = members(list(gauge, "dataPoints")?, odd, |point, _| number_point(point));
        Some(Data::Gauge(Gauge { data_points }))
    } else if let Some(sum) = data("sum")? {
        let data_points = members(list(sum, "dataPoints")?, odd, |point, _| number_point(point));
        let is_monotonic = field(sum, "isMonotonic").map_or(Ok(false), flag)?;
        Some(Data::Sum(Sum { data_points, is_monotonic, aggregation_temporality: temporality(sum)? }))
    } else if let Some(histogram) = data("histogram")? {
        let data_points = members(list(histogram, "dataPoints")?, odd, |point, _| {
            Ok(HistogramDataPoint {
                attributes: attributes(point, DEPTH_MAX),
                time_unix_nano: unsigned(point, "timeUnixNano")?,
                count: unsigned(point, "count")?,
                sum: double_at(point, "sum")?,
                min: double_at(point, "min")?,
                max: double_at(point, "max")?,
                flags: flags(point)?,
                ..Default::default()
            })
        });
        Some(Data::Histogram(Histogram { data_points, aggregation_temporality: temporality(histogram)? }))
    } else if let Some(histogram) = data("exponentialHistogram")? {
        let data_points = members(list(histogram, "dataPoints")?, odd, |point, _| {
            Ok(ExponentialHistogramDataPoint {
                attributes: attributes(point, DEPTH_MAX),
                time_unix_nano: unsigned(point, "timeUnixNano")?,
                count: unsigned(point, "count")?,
                sum: double_at(point, "sum")?,
                min: double_at(point, "min")?,
                max: double_at(point, "max")?,
                flags: flags(point)?,
                ..Default::default()
            })
        });
        let aggregation_temporality = temporality(histogram)?;
        Some(Data::ExponentialHistogram(ExponentialHistogram { data_points, aggregation_temporality }))
    } else if let Some(summary) = data("summary")? {
        let data_points = members(list(summary, "dataPoints")?, odd, summary_point);
        Some(Data::Summary(Summary { data_points }))
    } else {
        None
    };
    Ok(Metric { name, unit: text(metric, "unit")?, data, ..Default::default() })
}

fn flags(point: &Map<String, Value>) -> Read<u32> {
    u32::try_from(unsigned(point, "flags")?).map_err(|_| Odd)
}

fn number_point(point: &Map<String, Value>) -> Read<NumberDataPoint> {
    let value = match (field(point, "asDouble"), field(point, "asInt")) {
        (Some(value), _) => Some(PointValue::AsDouble(double(value)?)),
        (_, Some(value)) => Some(PointValue::AsInt(i64::try_from(whole(value)?).map_err(|_| Odd)?)),
        _ => None,
    };
    Ok(NumberDataPoint {
        attributes: attributes(point, DEPTH_MAX),
        time_unix_nano: unsigned(point, "timeUnixNano")?,
        flags: flags(point)?,
        value,
        ..Default::default()
    })
}

fn summary_point(point: &Map<String, Value>, odd: &mut u64) -> Read<SummaryDataPoint> {
    let quantile_values = members(list(point, "quantileValues")?, odd, |value, _| {
        let number = |name| Ok(double_at(value, name)?.unwrap_or_default());
        Ok(ValueAtQuantile { quantile: number("quantile")?, value: number("value")? })
    });
    Ok(SummaryDataPoint {
        attributes: attributes(point, DEPTH_MAX),
        time_unix_nano: unsigned(point, "timeUnixNano")?,
        count: unsigned(point, "count")?,
        sum: double_at(point, "sum")?.unwrap_or_default(),
        flags: flags(point)?,
        quantile_values,
        ..Default::default()
    })
}
