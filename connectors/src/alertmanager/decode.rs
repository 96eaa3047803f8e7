//! From the alerts of a message to rows: what both the API and the webhooks share.

use bellwether_engine::signal::{
    AlertBuilder, AlertRow, AlertStatus, LABELS_MAX, Severity, alert_fingerprint, sorted_labels,
};
use bellwether_engine::time::{EventTime, Span};
use serde::Deserialize;

use super::table::{Table, Told};
use crate::entity_resolution::EntityResolver;
use crate::json::{Text, TextMap, go_time};
use crate::limits::Limits;
use crate::wire::Refusals;

/// One alert as the API and the webhooks carry it; unknown fields are ignored.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Posted<'a> {
    #[serde(borrow, default)]
    labels: TextMap<'a>,
    #[serde(borrow, default)]
    annotations: TextMap<'a>,
    #[serde(borrow, default)]
    starts_at: Option<Text<'a>>,
    #[serde(borrow, default)]
    ends_at: Option<Text<'a>>,
    #[serde(borrow, default, rename = "generatorURL")]
    generator_url: Option<Text<'a>>,
    /// Only webhooks say it; over the API the end time tells.
    #[serde(borrow, default)]
    status: Option<Text<'a>>,
}

/// What the rows of one message have in common.
pub(super) struct Context<'a> {
    pub(super) source: &'a str,
    pub(super) received: EventTime,
    pub(super) resolve_timeout: Span,
    pub(super) limits: &'a Limits,
    pub(super) resolver: &'a EntityResolver,
}

/// Appends the good ones of `alerts` to `out` and counts the others by reason.
pub(super) fn decode(
    alerts: &[Posted<'_>],
    context: &Context<'_>,
    table: &mut Table,
    out: &mut AlertBuilder,
    refused: &mut Refusals,
) {
    for alert in alerts {
        if let Err(reason) = one(alert, context, table, out) {
            refused.add(reason, 1);
        }
    }
}

fn one(
    alert: &Posted<'_>,
    context: &Context<'_>,
    table: &mut Table,
    out: &mut AlertBuilder,
) -> Result<(), &'static str> {
    let labels = sorted_labels(alert.labels.pairs().filter(|(_, value)| !value.is_empty()));
    if labels.is_empty() {
        return Err("no_labels");
    }
    if labels.len() > LABELS_MAX {
        return Err("labels_max");
    }
    let (starts_at, ends_at) = times(alert, context)?;
    let resolved = match &alert.status {
        Some(status) => status.0 == "resolved",
        None => ends_at <= context.received,
    };
    let label = |name: &str| labels.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
    let name = label("alertname").unwrap_or("unnamed");
    let entity = context.resolver.resolve("", &labels);
    let severity = ["severity", "priority", "level"]
        .iter()
        .find_map(|name| label(name).and_then(Severity::read))
        .unwrap_or_default();
    let fingerprint = alert_fingerprint(context.source, name, &entity, &labels);
    let annotations = sorted_labels(alert.annotations.pairs());
    let url = alert.generator_url.as_ref().map(|url| url.0.as_ref()).filter(|url| !url.is_empty());
    table.note(
        &Told {
            fingerprint,
            labels: &labels,
            annotations: &annotations,
            starts_at,
            ends_at: if resolved { ends_at.min(context.received) } else { ends_at },
            url: url.unwrap_or_default(),
        },
        context.received,
    );
    let kept = annotations.is_empty().then(|| table.get(fingerprint)).flatten();
    let kept: Vec<(&str, &str)> = kept.into_iter().flat_map(|listed| listed.annotations()).collect();
    out.push(&AlertRow {
        time: context.received,
        source: context.source,
        name,
        entity: &entity,
        severity,
        status: if resolved { AlertStatus::Resolved } else { AlertStatus::Firing },
        fingerprint,
        labels: &labels,
        annotations: if annotations.is_empty() { &kept } else { &annotations },
        starts_at,
        ends_at: Some(ends_at),
        url,
    });
    Ok(())
}

/// Start and end, with Alertmanager's own rules for the ones left out.
fn times(alert: &Posted<'_>, context: &Context<'_>) -> Result<(EventTime, EventTime), &'static str> {
    let read = |text: &Option<Text<'_>>| match text {
        Some(text) => go_time(&text.0).map_err(|_| "time_unreadable"),
        None => Ok(None),
    };
    let (starts, ends) = (read(&alert.starts_at)?, read(&alert.ends_at)?);
    let now = context.received;
    let starts_at = starts.or(ends.filter(|end| *end < now)).unwrap_or(now);
    let ends_at = ends.unwrap_or_else(|| now.plus(context.resolve_timeout));
    if ends.is_some() && ends_at < starts_at {
        return Err("ends_before_it_starts");
    }
    Ok((context.limits.believed(Some(starts_at), now), ends_at))
}
