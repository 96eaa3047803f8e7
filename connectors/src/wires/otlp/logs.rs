//! Log records: body, severity, attributes and trace id, under the entity of the resource.

use std::borrow::Cow;

use bellwether_engine::signal::{LogBuilder, LogRow, log_severity};
use bellwether_engine::time::EventTime;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::logs::v1::LogRecord;

use super::attributes::{Label, hex_id, merged, of_list, of_resource, text};
use crate::decode::level;
use crate::limits::Limits;
use crate::resolve::entity_resolution::EntityResolver;

/// Appends all records of `request` to `out`; none is refused.
pub(super) fn decode(
    request: &ExportLogsServiceRequest,
    resolver: &EntityResolver,
    limits: &Limits,
    received: EventTime,
    out: &mut LogBuilder,
) {
    for of_resource_logs in &request.resource_logs {
        let resource = of_resource(of_resource_logs.resource.as_ref());
        let of_no_record: [Label<'_>; 0] = [];
        let entity = resolver.resolve("", &merged(&of_no_record, &resource));
        for scope in &of_resource_logs.scope_logs {
            for record in &scope.log_records {
                push(record, &resource, &entity, limits, received, out);
            }
        }
    }
}

fn push(
    record: &LogRecord,
    resource: &[Label<'_>],
    entity: &str,
    limits: &Limits,
    received: EventTime,
    out: &mut LogBuilder,
) {
    let nanos = [record.time_unix_nano, record.observed_time_unix_nano];
    let sent = nanos.into_iter().find(|nanos| *nanos > 0);
    let time = sent.and_then(|nanos| i64::try_from(nanos).ok()).map(EventTime);
    let told = match u8::try_from(record.severity_number) {
        Ok(number @ 1..=24) => number,
        _ => log_severity(&record.severity_text),
    };
    let body = record.body.as_ref().and_then(text);
    // An event carries its meaning in its name.
    let body = match body {
        Some(body) => body,
        None => Cow::Borrowed(record.event_name.as_str()),
    };
    let own = of_list(&record.attributes);
    let told = match told {
        0 => level::of_fields(own.iter().map(|(name, value)| (*name, value.as_ref()))),
        told => told,
    };
    let attributes = merged(&own, resource);
    out.push(&LogRow {
        time: limits.believed(time, received),
        entity,
        severity: level::told_or_read(told, &body),
        body: &body,
        attributes: &attributes,
        trace_id: hex_id(&record.trace_id).as_deref(),
    });
}
