//! `sense`: turns telemetry into alerts.
//!
//! ```yaml
//! sense:
//!   rules:
//!     - {name: HighErrorRate, metric: http.server.error_ratio, when: value > 0.05, for: 2m, severity: major}
//!     - {name: OutOfMemory, signal: log, when: "body LIKE '%OutOfMemory%'", severity: critical}
//!   heartbeats:
//!     - {name: AgentSilent, metric: up, timeout: 5m}
//!   anomalies: {metrics: ["*"], exclude: ["*.build_info"]}
//!   exhaustion:
//!     - {name: DiskWillFill, metric: "*disk*used*", where: {mount: "!/tmp*"}, limit: 100, horizon: 24h}
//!     - {name: DescriptorsRunOut, metric: process_open_fds, limit_of: process_max_fds, horizon: 6h}
//!   logs: {enabled: true}
//! ```
//!
//! Telemetry is spread over 64 logical shards by series or log stream. The number is
//! fixed, so the number of threads changes nothing; a shard's alerts carry event times, and
//! the engine merges the shards in the order of those times.

mod anomaly;
mod compiled;
mod config;
mod conventions;
mod exhaustion;
mod glob;
mod heartbeat;
mod kept;
mod level;
mod line;
mod logs;
mod meta;
mod metrics;
mod outlook;
mod partners;
mod raise;
mod reconfigure;
mod rules;
mod sample;
mod selector;
mod series;
pub(crate) mod stage;
mod table;

pub(crate) use compiled::CompiledSense;
pub use config::{AnomalyConfig, HeartbeatRule, LogConfig, SenseConfig};
pub use conventions::{Convention, Exhausts, Role};
pub use exhaustion::ExhaustionRule;
pub(crate) use line::LogLine;
pub(crate) use meta::SeriesMeta;
pub use meta::SeriesView;
pub use outlook::{ForecastTotals, ForecastView, WatchTotals};
pub use rules::{Rule, RuleSignal};
pub(crate) use sample::Sample;
pub(crate) use table::Shards;
