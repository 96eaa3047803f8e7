//! Log records: body, severity, attributes and trace id, under the entity of the resource.

use std::borrow::Cow;

use bellwether_engine::signal::{LogBuilder, LogRow, log_severity};
use bellwether_engine::time::EventTime;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::logs::v1::LogRecord;

use super::attributes::{Label, all, hex_id, kept, of_list, of_resource, text};
use crate::decode::level;
use crate::intake::reject::Refusals;
use crate::limits::Limits;
use crate::resolve::entity_resolution::{EntityResolver, UNKNOWN_ENTITY};

/// Appends the records of `request` to `out`; those with a time of another unit are refused.
pub(super) fn decode(
    request: &ExportLogsServiceRequest,
    resolver: &EntityResolver,
    limits: &Limits,
    received: EventTime,
    out: &mut LogBuilder,
) -> Refusals {
    let mut refused = Refusals::default();
    for of_resource_logs in &request.resource_logs {
        let resource = of_resource(of_resource_logs.resource.as_ref());
        let of_no_record: [Label<'_>; 0] = [];
        let labels = all(&of_no_record, &resource);
        let entity = resolver.resolve("", &labels);
        // An event's resource names its object, and the record its namespace; a collector that names
        // nobody leaves it to the records.
        let ask_records = entity == UNKNOWN_ENTITY || labels.iter().any(|(name, _)| *name == "k8s.object.name");
        let of = Resource { labels: &resource, entity: &entity, resolver: ask_records.then_some(resolver) };
        for scope in &of_resource_logs.scope_logs {
            for record in &scope.log_records {
                if let Err(reason) = push(record, &of, limits, received, out) {
                    refused.add(reason, 1);
                }
            }
        }
    }
    refused
}

/// Where records come from.
struct Resource<'a> {
    labels: &'a [Label<'a>],
    entity: &'a str,
    /// Names the entity of a record when the record has a say in it.
    resolver: Option<&'a EntityResolver>,
}

fn push(
    record: &LogRecord,
    resource: &Resource<'_>,
    limits: &Limits,
    received: EventTime,
    out: &mut LogBuilder,
) -> Result<(), &'static str> {
    let nanos = [record.time_unix_nano, record.observed_time_unix_nano];
    let sent = nanos.into_iter().find(|nanos| *nanos > 0);
    let time = sent.map(|nanos| EventTime(i64::try_from(nanos).unwrap_or(i64::MAX)));
    let time = limits.dated(time, received)?;
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
    let labels = all(&own, resource.labels);
    let named = resource.resolver.map(|resolver| resolver.resolve("", &labels));
    let attributes = kept(labels);
    out.push(&LogRow {
        time,
        entity: named.as_deref().unwrap_or(resource.entity),
        severity: level::told_or_read(told, &body),
        body: &body,
        attributes: &attributes,
        trace_id: hex_id(&record.trace_id).as_deref(),
    });
    Ok(())
}
