//! collectd's `write_http` in JSON.
//!
//! ```yaml
//! collectd: { path: /collectd }
//! ```
//!
//! ```text
//! # collectd.conf
//! <Plugin write_http>
//!   <Node "bellwether">
//!     URL "http://127.0.0.1:9099/collectd"
//!     Format "JSON"
//!   </Node>
//! </Plugin>
//! ```
//!
//! A value list `df/df_complex` with data source `value` is the series `collectd.df.df_complex`
//! of its host, other data sources are appended to the name. Derives and counters are totals.
//! Notifications (`Notifications true`) are alerts of their host.
//! The plugin reads 2xx as accepted and keeps nothing it was refused.

use std::collections::BTreeMap;
use std::sync::Arc;

use bellwether_engine::input::Input;
use bellwether_engine::signal::{
    AlertBuilder, AlertRow, AlertStatus, LABELS_MAX, MetricBuilder, SeriesType, Severity, alert_fingerprint,
};
use bellwether_engine::time::EventTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use xxhash_rust::xxh3::Xxh3;

use crate::decode::any_time::{any_time, epoch_time};
use crate::decode::json::{readable, scalar};
use crate::intake::reject::{LABELS_CUT, Refusals};
use crate::limits::Limits;
use crate::resolve::series_table::{SeriesTable, Session};
use crate::server::outcome::{Accepted, Outcome};
use crate::server::reply::Reply;
use crate::server::request::{Request, unpacked};
use crate::server::wire::{HttpHandler, Route};
use crate::wires::declare::{Door, WireConfig, WireRow};

/// Where value lists are received.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CollectdConfig {
    /// The path to answer.
    pub path: String,
}

impl Default for CollectdConfig {
    fn default() -> CollectdConfig {
        CollectdConfig { path: "/collectd".to_owned() }
    }
}

impl WireConfig for CollectdConfig {
    fn doors(&self) -> Vec<Door<'_>> {
        vec![Door::http(|shared| Ok(Collectd::new(self.clone(), shared.limits.clone(), shared.series.clone())))]
    }

    fn rows() -> &'static [WireRow] {
        &[WireRow {
            wire: "collectd `write_http` (`src/wires/collectd.rs`)",
            at: "`/collectd`",
            answers: "200; 400 partly refused; 503 full",
            again: "same body",
            peer: "collectd 5.12",
        }]
    }
}

/// The wire.
pub struct Collectd {
    config: CollectdConfig,
    limits: Limits,
    series: Arc<SeriesTable>,
}

#[derive(Deserialize)]
struct ValueList {
    values: Vec<Option<f64>>,
    #[serde(default)]
    dstypes: Vec<String>,
    #[serde(default)]
    dsnames: Vec<String>,
    time: f64,
    host: String,
    plugin: String,
    #[serde(default)]
    plugin_instance: String,
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    type_instance: String,
}

impl Collectd {
    /// A wire that describes new series through `series`.
    pub fn new(config: CollectdConfig, limits: Limits, series: Arc<SeriesTable>) -> Collectd {
        Collectd { config, limits, series }
    }

    fn take(&self, request: &Request<'_>) -> Result<Outcome, Outcome> {
        let body = unpacked(&self.limits, request)?;
        let malformed = |error: &dyn std::fmt::Display| {
            Outcome::refused(Reply::text(400, format!("not collectd's JSON: {error}\n")), "malformed")
        };
        let mut odd = 0;
        let mut notifications: Vec<Notification> = Vec::new();
        let lists: Vec<ValueList> = match serde_json::from_slice(&body) {
            Ok(lists) => lists,
            // Notifications come among them, and what one list says wrong is not its neighbours'.
            Err(error) => {
                let items: Vec<Value> = serde_json::from_slice(&body).map_err(|_| malformed(&error))?;
                let (told, lists): (Vec<Value>, Vec<Value>) =
                    items.into_iter().partition(|item| item.get("labels").is_some());
                notifications = readable(&told, &mut odd);
                readable(&lists, &mut odd)
            }
        };
        if lists.len() + notifications.len() > self.limits.events_max {
            let text = "more value lists than `limits.events_max`\n";
            return Err(Outcome::refused(Reply::text(413, text), "events_max"));
        }
        let mut samples = MetricBuilder::new();
        let mut refused = Refusals::default();
        refused.add_some("malformed", odd);
        let window = self.limits.window(request.received);
        let ((), described) = self.series.session(request.tenant, "collectd", request.received, |session| {
            for list in &lists {
                let time = epoch_time(list.time).unwrap_or(EventTime(i64::MAX));
                if let Some(reason) = window.refusal(time) {
                    refused.add(reason, list.values.len() as u64);
                    continue;
                }
                for (at, value) in list.values.iter().enumerate() {
                    // A gauge without a value is `null`: there is nothing to keep.
                    let Some(value) = value else { continue };
                    match series(list, at, session) {
                        Ok(id) => samples.push(time, id, *value),
                        Err(reason) => refused.add(reason, 1),
                    }
                }
            }
            refused.add_some(LABELS_CUT, session.labels_cut());
        });
        let mut accepted = Accepted::describing(described);
        accepted.add_rows(samples.finish_for(request.tenant));
        let mut alerts = AlertBuilder::new();
        for notification in &notifications {
            if let Err(reason) = self.alert(notification, request.received, &mut alerts) {
                refused.add(reason, 1);
            }
        }
        accepted.add_rows(alerts.finish_for(request.tenant));
        let reply = match refused.lost().is_empty() {
            true => Reply::empty(200),
            false => Reply::text(400, format!("refused: {}; the rest was stored\n", refused.describe())),
        };
        Ok(Outcome::store(accepted, refused, reply))
    }
}

/// A notification: what a threshold or a plugin tells, in the form of an alert.
#[derive(Deserialize)]
struct Notification {
    labels: BTreeMap<String, Value>,
    #[serde(default)]
    annotations: BTreeMap<String, Value>,
    #[serde(default, rename = "startsAt")]
    starts_at: Value,
}

impl Collectd {
    /// Appends a notification as an alert: `OKAY` ends what `WARNING` or `FAILURE` began, so the
    /// severity is no part of who it is.
    fn alert(
        &self,
        notification: &Notification,
        received: EventTime,
        out: &mut AlertBuilder,
    ) -> Result<(), &'static str> {
        let texts = |map: &BTreeMap<String, Value>| -> Vec<(String, String)> {
            map.iter().filter_map(|(name, value)| Some((name.clone(), scalar(value)?.into_owned()))).collect()
        };
        let (labels, annotations) = (texts(&notification.labels), texts(&notification.annotations));
        let pairs = |texts: &[(String, String)], without: &str| -> Vec<(String, String)> {
            texts.iter().filter(|(name, value)| name != without && !value.is_empty()).cloned().collect()
        };
        let label = |name: &str| labels.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let name = label("alertname").ok_or("no_name")?;
        let (severity, status) = match label("severity").unwrap_or_default().to_ascii_uppercase().as_str() {
            "FAILURE" => (Severity::Critical, AlertStatus::Firing),
            "OKAY" | "OK" => (Severity::default(), AlertStatus::Resolved),
            _ => (Severity::Warning, AlertStatus::Firing),
        };
        let host = label("instance").or_else(|| label("host")).ok_or("no_host")?;
        let entity = self.series.resolver().host(host);
        let identity = pairs(&labels, "severity");
        let identity: Vec<(&str, &str)> = identity.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let all = pairs(&labels, "");
        let mut all: Vec<(&str, &str)> = all.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let mut notes: Vec<(&str, &str)> = annotations.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        all.truncate(LABELS_MAX);
        notes.truncate(LABELS_MAX);
        out.push(&AlertRow {
            time: received,
            source: "collectd",
            name,
            entity: &entity,
            severity,
            status,
            fingerprint: alert_fingerprint("collectd", name, &entity, &identity),
            labels: &all,
            annotations: &notes,
            starts_at: self.limits.believed(any_time(&notification.starts_at), received),
            ends_at: (status == AlertStatus::Resolved).then_some(received),
            url: None,
        });
        Ok(())
    }
}

/// The series of data source `at` of a value list.
fn series(list: &ValueList, at: usize, session: &mut Session<'_>) -> Result<u64, &'static str> {
    let source = list.dsnames.get(at).map_or("value", String::as_str);
    let mut hasher = Xxh3::with_seed(4);
    let parts = [&list.host, &list.plugin, &list.plugin_instance, &list.kind, &list.type_instance];
    for part in parts.into_iter().map(String::as_str).chain([source]) {
        hasher.update(part.as_bytes());
        hasher.update(&[0xff]);
    }
    let key = hasher.digest128();
    if let Some(id) = session.known(key) {
        return Ok(id);
    }
    let mut name = format!("collectd.{}", list.plugin);
    for part in [list.kind.as_str(), source] {
        if part != "value" && part != list.plugin && !part.is_empty() {
            name.push('.');
            name.push_str(part);
        }
    }
    let kind = match list.dstypes.get(at).map(String::as_str) {
        Some("derive" | "counter") => SeriesType::Counter,
        _ => SeriesType::Gauge,
    };
    let mut labels = vec![
        ("host.name", list.host.as_str()),
        ("plugin_instance", list.plugin_instance.as_str()),
        ("type_instance", list.type_instance.as_str()),
    ];
    session.describe(key, &name, "", kind, &mut labels)
}

impl HttpHandler for Collectd {
    fn routes(&self) -> Vec<Route<Collectd>> {
        vec![Route::post_or_put(&self.config.path, Collectd::take)]
    }

    fn resend_is_duplicate(&self, _: &Request<'_>) -> bool {
        true
    }

    fn undo(&self, inputs: &[Input]) {
        self.series.undo(inputs);
    }
}

#[cfg(test)]
mod tests {
    use bellwether_engine::signal::{MetricColumns, SeriesColumns};
    use http::HeaderMap;
    use proptest::prelude::*;

    use super::*;
    use crate::resolve::entity_resolution::EntityResolver;
    use crate::server::testing::{batches, post, serve};

    fn collectd() -> Collectd {
        let limits = Limits::default();
        let table = SeriesTable::new(Arc::new(EntityResolver::default()), &limits);
        Collectd::new(CollectdConfig::default(), limits, Arc::new(table))
    }

    const BODY: &str = r#"[{"values":[1.5,null],"dstypes":["gauge","gauge"],"dsnames":["shortterm","midterm"],
        "time":5.5,"interval":10.0,"host":"db-1.example.com","plugin":"load","plugin_instance":"","type":"load","type_instance":""},
        {"values":[7],"dstypes":["derive"],"dsnames":["value"],"time":5.5,"host":"db-1.example.com","plugin":"cpu",
        "plugin_instance":"0","type":"cpu","type_instance":"idle"}]"#;

    #[test]
    fn a_value_list_is_a_series_per_data_source() {
        let outcome = serve(&collectd(), &post("/collectd", &HeaderMap::new(), BODY.as_bytes()));
        assert_eq!((outcome.reply().status, outcome.accepted()), (200, 2));
        let found = batches(&outcome);
        let series = SeriesColumns::of(found[0]);
        assert_eq!((series.row(0).name, series.row(0).entity), ("collectd.load.shortterm", "host:db-1"));
        assert_eq!((series.row(1).name, series.row(1).series_type), ("collectd.cpu", SeriesType::Counter));
        assert_eq!(series.row(1).labels.get("type_instance"), Some("idle"));
        let samples = MetricColumns::of(found[1]);
        assert_eq!((samples.value, samples.time[0]), (&[1.5, 7.0][..], 5_500_000_000));
    }

    #[test]
    fn a_notification_is_an_alert_and_an_odd_list_is_not_its_neighbours() {
        use bellwether_engine::signal::AlertColumns;
        let told = |severity: &str| {
            format!(
                r#"{{"labels":{{"alertname":"collectd_load","instance":"db-1.example.com","severity":"{severity}",
                "service":"collectd"}},"annotations":{{"summary":"load is 9"}},"startsAt":"2026-11-30T00:00:00.5Z"}}"#
            )
        };
        let good = r#"{"values":[3],"dstypes":["gauge"],"time":6,"host":"h","plugin":"p"}"#;
        let odd = r#"{"values":"x","time":6,"host":"h","plugin":"p"}"#;
        let body = format!("[{},{odd},{good},{}]", told("FAILURE"), told("OKAY"));
        let outcome = serve(&collectd(), &post("/collectd", &HeaderMap::new(), body.as_bytes()));
        assert_eq!((outcome.reply().status, outcome.accepted()), (400, 3));
        assert_eq!(outcome.refused.describe(), "1 malformed");
        let found = batches(&outcome);
        let alerts = AlertColumns::of(found[2]);
        assert_eq!((alerts.name(0), alerts.entity(0)), ("collectd_load", "host:db-1"));
        assert_eq!((alerts.severity(0), alerts.status(0)), (Severity::Critical, Some(AlertStatus::Firing)));
        assert_eq!(alerts.status(1), Some(AlertStatus::Resolved));
        assert_eq!(alerts.fingerprint[0], alerts.fingerprint[1], "it ends what the first began");
    }

    proptest! {
        #![proptest_config(crate::fuzz::config())]

        #[test]
        fn damaged_bodies_never_panic(at in any::<prop::sample::Index>(), with in any::<u8>()) {
            let mut damaged = BODY.as_bytes().to_vec();
            let place = at.index(damaged.len());
            damaged[place] = with;
            let outcome = serve(&collectd(), &post("/collectd", &HeaderMap::new(), &damaged));
            prop_assert!(outcome.reply().status < 500);
        }
    }
}
