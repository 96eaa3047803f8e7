//! From the alerts of a message to rows: what both the API and the webhooks share.

use std::sync::Arc;

use bellwether_engine::signal::{AlertBuilder, AlertRow, AlertStatus, LABELS_MAX};
use bellwether_engine::time::{EventTime, Span};
use serde::Deserialize;

use super::repeats::{Heard, Identity, Pairs, Repeats};
use super::table::{PostedAlert, Table};
use crate::decode::any_time::{go_time, time_of_text};
use crate::decode::json::{Scalar, Text, TextMap};
use crate::intake::reject::{LABELS_CUT, Refusals};
use crate::limits::Limits;
use crate::resolve::entity_resolution::EntityResolver;
use crate::resolve::series_table::{CUT_LABEL, cut_surplus};

/// One alert as the API and the webhooks carry it; unknown fields are ignored.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Posted<'a> {
    #[serde(borrow, default)]
    pub(super) labels: TextMap<'a>,
    #[serde(borrow, default)]
    pub(super) annotations: TextMap<'a>,
    #[serde(borrow, default)]
    pub(super) starts_at: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) ends_at: Option<Text<'a>>,
    #[serde(borrow, default, rename = "generatorURL")]
    pub(super) generator_url: Option<Text<'a>>,
    /// Only webhooks say it; over the API the end time tells. In what the API itself lists it is an
    /// object, which says nothing here.
    #[serde(borrow, default)]
    pub(super) status: Scalar<'a>,
}

/// What the rows of one message have in common.
pub(super) struct Context<'a> {
    pub(super) source: &'a str,
    pub(super) received: EventTime,
    pub(super) resolve_timeout: Span,
    pub(super) limits: &'a Limits,
    pub(super) resolver: &'a EntityResolver,
}

/// One alert of either way in, read.
#[derive(Clone, Copy)]
struct Telling<'a> {
    identity: &'a Identity,
    annotations: &'a Arc<Pairs>,
    starts_at: Option<&'a str>,
    ends_at: Option<&'a str>,
    url: Option<&'a str>,
    status: Option<&'a str>,
}

/// Where the good alerts of a message go, and the others are counted by reason.
pub(super) struct Decoded<'a> {
    pub(super) table: &'a mut Table,
    pub(super) rows: AlertBuilder,
    pub(super) refused: Refusals,
}

/// Takes alerts as the JSON parser read them.
pub(super) fn take_posted(alerts: &[Posted<'_>], context: &Context<'_>, out: &mut Decoded<'_>) {
    fn text<'a>(text: &'a Option<Text<'_>>) -> Option<&'a str> {
        text.as_ref().map(|text| text.0.as_ref())
    }
    for alert in alerts {
        let identity = Identity::of(&alert.labels, context.source, context.resolver);
        let annotations = Arc::new(Pairs::sorted(alert.annotations.pairs()));
        let telling = Telling {
            identity: &identity,
            annotations: &annotations,
            starts_at: text(&alert.starts_at),
            ends_at: text(&alert.ends_at),
            url: text(&alert.generator_url),
            status: alert.status.0.as_deref(),
        };
        out.take(&telling, context, &mut Vec::new(), &mut Vec::new());
    }
}

/// Takes alerts whose texts `repeats` knows.
pub(super) fn take_heard(alerts: &[Heard<'_>], repeats: &Repeats, context: &Context<'_>, out: &mut Decoded<'_>) {
    let (mut labels, mut annotations) = (Vec::new(), Vec::new());
    for alert in alerts {
        let telling = Telling {
            identity: repeats.identity(alert),
            annotations: repeats.annotations(alert),
            starts_at: alert.starts_at.as_deref(),
            ends_at: alert.ends_at.as_deref(),
            url: alert.url.as_deref(),
            status: alert.status.as_deref(),
        };
        out.take(&telling, context, &mut labels, &mut annotations);
    }
}

impl Decoded<'_> {
    /// `labels` and `annotations` are room for the pairs.
    fn take<'t>(
        &mut self,
        telling: &Telling<'t>,
        context: &Context<'_>,
        labels: &mut Vec<(&'t str, &'t str)>,
        annotations: &mut Vec<(&'t str, &'t str)>,
    ) {
        labels.clear();
        labels.extend(telling.identity.labels.iter());
        annotations.clear();
        annotations.extend(telling.annotations.iter());
        if let Err(reason) = self.row(telling, context, labels, annotations) {
            self.refused.add(reason, 1);
        }
    }

    fn row(
        &mut self,
        telling: &Telling<'_>,
        context: &Context<'_>,
        labels: &[(&str, &str)],
        annotations: &[(&str, &str)],
    ) -> Result<(), &'static str> {
        if labels.is_empty() {
            return Err("no_labels");
        }
        let surplus;
        let mut fewer = Vec::new();
        let mut labels = labels;
        if labels.len() > LABELS_MAX {
            // What the alert is, is known by all its labels already.
            fewer.extend_from_slice(labels);
            surplus = cut_surplus(&mut fewer, |name| {
                matches!(name, "alertname" | "severity" | "job" | "instance") || context.resolver.reads(name)
            });
            fewer.insert(fewer.partition_point(|(name, _)| *name < CUT_LABEL), (CUT_LABEL, &surplus));
            labels = &fewer;
            self.refused.add(LABELS_CUT, 1);
        }
        let (starts_at, ends_at) = times(telling, context)?;
        // An end that is past has come, whatever a status beside it says.
        let resolved = telling.status == Some("resolved") || ends_at <= context.received;
        let Identity { name, entity, severity, fingerprint, .. } = telling.identity;
        let url = telling.url.filter(|url| !url.is_empty());
        let told = PostedAlert {
            fingerprint: *fingerprint,
            labels: &telling.identity.labels,
            annotations: telling.annotations,
            starts_at,
            ends_at: if resolved { ends_at.min(context.received) } else { ends_at },
            url: url.unwrap_or_default(),
        };
        self.table.note(&told, context.received);
        let kept = annotations.is_empty().then(|| self.table.get(*fingerprint)).flatten();
        let kept: Vec<(&str, &str)> = kept.into_iter().flat_map(|listed| listed.annotations()).collect();
        self.rows.push(&AlertRow {
            time: context.received,
            source: context.source,
            name,
            entity,
            severity: *severity,
            status: if resolved { AlertStatus::Resolved } else { AlertStatus::Firing },
            fingerprint: *fingerprint,
            labels,
            annotations: if annotations.is_empty() { &kept } else { annotations },
            starts_at,
            ends_at: Some(ends_at),
            url,
        });
        Ok(())
    }
}

/// Start and end, with Alertmanager's own rules for the ones left out.
fn times(telling: &Telling<'_>, context: &Context<'_>) -> Result<(EventTime, EventTime), &'static str> {
    let read = |text: Option<&str>| match text {
        Some(text) => match go_time(text) {
            Ok(time) => Ok(time),
            // Without a zone, or as a number.
            Err(_) => time_of_text(text).map(Some).ok_or("time_unreadable"),
        },
        None => Ok(None),
    };
    let (starts, ends) = (read(telling.starts_at)?, read(telling.ends_at)?);
    let now = context.received;
    let starts_at = starts.or(ends.filter(|end| *end < now)).unwrap_or(now);
    let ends_at = ends.unwrap_or_else(|| now.plus(context.resolve_timeout));
    if ends.is_some() && ends_at < starts_at {
        return Err("ends_before_it_starts");
    }
    Ok((context.limits.believed(Some(starts_at), now), ends_at))
}
