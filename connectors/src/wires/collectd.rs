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
//! The plugin reads 2xx as accepted and keeps nothing it was refused.

use std::sync::Arc;

use bellwether_engine::input::Input;
use bellwether_engine::signal::{MetricBuilder, SeriesType};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::decode::json::epoch_time;
use crate::intake::reject::Refusals;
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
            answers: "200; 503 full",
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
        let lists: Vec<ValueList> = serde_json::from_slice(&body).map_err(|error| {
            Outcome::refused(Reply::text(400, format!("not collectd's JSON: {error}\n")), "malformed")
        })?;
        if lists.len() > self.limits.events_max {
            let text = "more value lists than `limits.events_max`\n";
            return Err(Outcome::refused(Reply::text(413, text), "events_max"));
        }
        let mut samples = MetricBuilder::new();
        let mut refused = Refusals::default();
        let latest = self.limits.latest(request.received);
        let ((), described) = self.series.session(request.tenant, "collectd", request.received, |session| {
            for list in &lists {
                let Some(time) = epoch_time(list.time).filter(|time| *time <= latest) else {
                    refused.add("in_the_future", list.values.len() as u64);
                    continue;
                };
                for (at, value) in list.values.iter().enumerate() {
                    // A gauge without a value is `null`: there is nothing to keep.
                    let Some(value) = value else { continue };
                    match series(list, at, session) {
                        Ok(id) => samples.push(time, id, *value),
                        Err(reason) => refused.add(reason, 1),
                    }
                }
            }
        });
        let mut accepted = Accepted::describing(described);
        accepted.add_rows(samples.finish_for(request.tenant));
        let reply = match refused.is_empty() {
            true => Reply::empty(200),
            false => Reply::text(400, format!("refused: {}; the rest was stored\n", refused.describe())),
        };
        Ok(Outcome::store(accepted, refused, reply))
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
