//! What everybody knows about metrics: the roles of series, by the names that exporters give them.
//!
//! ```yaml
//! sense:
//!   conventions:
//!     - {metrics: ["shop_checkout_*_seconds"], role: latency}
//!     - {metrics: ["shop_debug_*"], role: internal}
//!     - metrics: [shop_licences_used]
//!       role: resource
//!       exhausts: {name: LicencesRunOut, limit: 500}
//! ```
//!
//! The product's own are in `conventions.yaml` beside this file. A site's come first, and the first that
//! names a series counts.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::exhaustion::{CompiledExhaustion, ExhaustionError, ExhaustionRule, default_horizon};
use super::glob::Glob;
use super::meta::SeriesMeta;
use super::selector::LabelSelector;
use crate::alert::LabelSet;
use crate::signal::{SeriesType, Severity};
use crate::time::Span;

/// The product's own conventions.
const OWN: &str = include_str!("conventions.yaml");

/// What a movement of a metric means.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// How long users wait.
    Latency,
    /// What fails for users.
    Errors,
    /// Work that waits, or is refused, for lack of room.
    Saturation,
    /// Whether it answers at all.
    Availability,
    /// How much is asked for.
    Traffic,
    /// How busy something is.
    Utilisation,
    /// Something that fills up or runs out.
    Resource,
    /// How the program or its measuring goes: says nothing alone.
    Internal,
    /// Nothing is known of it.
    #[default]
    Unknown,
}

impl Role {
    /// Whether users of the entity feel it.
    pub(crate) const fn is_felt(self) -> bool {
        matches!(self, Role::Latency | Role::Errors | Role::Saturation | Role::Availability)
    }
}

/// One convention: some metrics, and what they mean.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Convention {
    /// Metric names; `*` stands for anything.
    pub metrics: Vec<String>,
    /// Labels that a series must have: a pattern, with `!` before it what must not be.
    #[serde(default, rename = "where", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// What a movement of them means.
    pub role: Role,
    /// Counter or gauge, where names and senders do not say it.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub series_type: Option<SeriesType>,
    /// How it runs out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exhausts: Option<Exhausts>,
}

/// How a resource runs out.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exhausts {
    /// Name of the alert.
    pub name: String,
    /// It is used up when it falls to the limit, which is 0 where nothing is said: free bytes, days until a
    /// certificate ends.
    #[serde(default)]
    pub falling: bool,
    /// The value at which it is full; with `limit_of` the share of that, 1 where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<f64>,
    /// The metric of the same entity that says how much there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_of: Option<String>,
    /// Labels by which a series and that of its limit belong together; without them all must be equal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<Vec<String>>,
    /// Warn when it is full within this long.
    #[serde(default = "default_horizon")]
    pub horizon: Span,
    /// How bad that is.
    #[serde(default = "default_severity")]
    pub severity: Severity,
}

fn default_severity() -> Severity {
    Severity::Major
}

/// The product's own conventions, as they stand in the file.
pub(crate) fn own() -> &'static [Convention] {
    static READ: OnceLock<Vec<Convention>> = OnceLock::new();
    // A test reads the file; a build in which it does not read knows no conventions.
    READ.get_or_init(|| serde_saphyr::from_str(OWN).unwrap_or_default())
}

/// A number of the product's own conventions: a checkpoint of other ones has to be read by these.
pub(crate) fn own_hash() -> u64 {
    xxhash_rust::xxh3::xxh3_64(OWN.as_bytes())
}

/// A convention with its patterns compiled.
#[derive(Clone, Debug)]
struct Compiled {
    metrics: Vec<Glob>,
    labels: LabelSelector,
    role: Role,
    series_type: Option<SeriesType>,
    /// Its place among the exhaustions that all conventions name.
    exhaustion: Option<u16>,
}

/// The conventions in force, the site's before the product's.
#[derive(Clone, Debug, Default)]
pub(crate) struct Conventions {
    conventions: Vec<Compiled>,
}

/// What the conventions say of a series.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Meaning {
    pub(crate) role: Role,
    pub(crate) series_type: Option<SeriesType>,
    /// The place of its exhaustion among those that all conventions name.
    pub(crate) exhaustion: Option<u16>,
}

impl Conventions {
    /// Compiles `site`'s and the product's, and appends the exhaustions they name to `out`.
    ///
    /// # Errors
    /// The alert's name and what is wrong with its exhaustion.
    pub(crate) fn new(
        site: &[Convention],
        out: &mut Vec<CompiledExhaustion>,
    ) -> Result<Conventions, (String, ExhaustionError)> {
        let conventions = site.iter().chain(own()).map(|written| compile(written, out)).collect::<Result<_, _>>()?;
        Ok(Conventions { conventions })
    }

    /// What is known of a series: the first convention that names it.
    pub(crate) fn of(&self, meta: &SeriesMeta) -> Meaning {
        let found = self.conventions.iter().find(|convention| convention.names(&meta.name, &meta.labels));
        found.map_or_else(Meaning::default, |convention| Meaning {
            role: convention.role,
            series_type: convention.series_type,
            exhaustion: convention.exhaustion,
        })
    }
}

fn compile(written: &Convention, out: &mut Vec<CompiledExhaustion>) -> Result<Compiled, (String, ExhaustionError)> {
    let exhaustion = written.exhausts.as_ref().map(|exhausts| {
        let rule = ExhaustionRule {
            name: exhausts.name.clone(),
            metric: "*".to_owned(),
            labels: BTreeMap::new(),
            limit: exhausts.limit,
            limit_of: exhausts.limit_of.clone(),
            on: exhausts.on.clone(),
            falling: exhausts.falling,
            quantile: 0.5,
            horizon: exhausts.horizon,
            severity: exhausts.severity,
        };
        out.push(CompiledExhaustion::new(&rule).map_err(|why| (rule.name, why))?);
        Ok((out.len() - 1) as u16)
    });
    Ok(Compiled {
        metrics: written.metrics.iter().map(|pattern| Glob::new(pattern)).collect(),
        labels: LabelSelector::new(&written.labels),
        role: written.role,
        series_type: written.series_type,
        exhaustion: exhaustion.transpose()?,
    })
}

impl Compiled {
    fn names(&self, name: &str, labels: &LabelSet) -> bool {
        self.metrics.iter().any(|glob| glob.matches(name)) && self.labels.matches(labels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(name: &str, labels: &[(&str, &str)]) -> Role {
        let labels = labels.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let (entity, unit) = ("host:a".into(), "".into());
        let meta = SeriesMeta { name: name.into(), entity, unit, series_type: SeriesType::Gauge, labels };
        Conventions::new(&[], &mut Vec::new()).expect("they compile").of(&meta).role
    }

    #[test]
    fn the_products_own_read_and_say_what_exporters_mean() {
        let read: Vec<Convention> = serde_saphyr::from_str(OWN).expect("the file reads");
        assert_eq!(read, own());
        for (name, is) in [
            ("go_gc_duration_seconds", Role::Internal),
            ("scrape_duration_seconds", Role::Internal),
            ("node_scrape_collector_duration_seconds", Role::Internal),
            ("http_request_duration_seconds_bucket", Role::Internal),
            ("up", Role::Availability),
            ("mysql_up", Role::Availability),
            ("node_filesystem_avail_bytes", Role::Resource),
            ("node_filesystem_size_bytes", Role::Internal),
            ("node_load1", Role::Utilisation),
            ("pg_stat_database_deadlocks", Role::Errors),
            ("http.server.request.duration.p95", Role::Latency),
            ("http.server.error.ratio", Role::Errors),
            ("shop_orders_failed_total", Role::Errors),
            ("my_own_number", Role::Unknown),
        ] {
            assert_eq!(role(name, &[]), is, "{name}");
        }
    }

    #[test]
    fn labels_choose_and_what_cannot_fill_is_not_watched() {
        let fs = |fstype: &str, mountpoint: &str| {
            role("node_filesystem_avail_bytes", &[("fstype", fstype), ("mountpoint", mountpoint)])
        };
        assert_eq!(fs("ext4", "/"), Role::Resource);
        assert_eq!(fs("squashfs", "/snap/core"), Role::Internal);
        assert_eq!(fs("tmpfs", "/run/user/0"), Role::Internal);
        assert_eq!(fs("tmpfs", "/srv/data"), Role::Resource);
    }
}
