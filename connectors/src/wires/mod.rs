//! The visible list of wires: what others send us.
//!
//! ```yaml
//! auth: { credentials: [{ tenant: acme, bearer_file: token }] }
//! http: { listen: 127.0.0.1:9099 }
//! remote_write: {}
//! alertmanager: {}
//! otlp: { grpc_listen: 127.0.0.1:4317 }
//! syslog: { udp_listen: 127.0.0.1:5514, tcp_listen: 127.0.0.1:5514 }
//! ```
//!
//! A wire that is not named is not listened for. Adding one touches its own file or folder, which
//! says everything about it ([`WireConfig`]), its line here, and its example.

mod build;
mod declare;
mod list;
mod live;
mod parts;

pub mod actions;
pub mod alertmanager;
pub mod bulk;
pub mod changes;
pub mod collectd;
pub mod forward;
pub mod influx;
pub mod loki;
pub mod otlp;
pub mod remote_write;
pub mod snmp;
pub mod statsd;
pub mod syslog;
pub mod topology_import;
pub mod webhook;

pub use build::{Wires, build};
pub use declare::{Build, Door, Shared, WireConfig, WireError, WireRow};
pub use list::{Common, Switch, WireList};
pub use live::{PreparedWires, RunningWires};
pub use parts::WiresError;
pub(crate) use parts::over_http;

use actions::ActionsConfig;
use alertmanager::AlertmanagerConfig;
use bulk::BulkConfig;
use changes::ChangesConfig;
use collectd::CollectdConfig;
use forward::ForwardConfig;
use influx::InfluxConfig;
use loki::LokiConfig;
use otlp::OtlpConfig;
use remote_write::RemoteWriteConfig;
use snmp::SnmpConfig;
use statsd::StatsdConfig;
use syslog::SyslogConfig;
use topology_import::TopologyImportConfig;
use webhook::WebhookConfig;

crate::wire_list! {
    /// Every wire's configuration; an absent one is off.
    pub struct WiresConfig {
        /// Prometheus remote write.
        remote_write: Option<RemoteWriteConfig>,
        /// Alertmanager's API and webhook, Grafana's webhook.
        alertmanager: Option<AlertmanagerConfig>,
        /// OpenTelemetry over HTTP and gRPC.
        otlp: Option<OtlpConfig>,
        /// Loki push.
        loki: Option<LokiConfig>,
        /// Elasticsearch `_bulk`.
        bulk: Option<BulkConfig>,
        /// InfluxDB lines.
        influx: Option<InfluxConfig>,
        /// collectd's `write_http`.
        collectd: Option<CollectdConfig>,
        /// What operators and ticketing systems say about incidents.
        actions: Option<ActionsConfig>,
        /// Deployment webhooks.
        changes: Option<ChangesConfig>,
        /// Webhooks read by mapping files.
        webhooks: Vec<WebhookConfig>,
        /// Posted inventories and catalogues.
        topology_import: TopologyImportConfig,
        /// StatsD.
        statsd: Option<StatsdConfig>,
        /// Syslog.
        syslog: Option<SyslogConfig>,
        /// SNMP traps and informs.
        snmp: Option<SnmpConfig>,
        /// Fluent Forward.
        forward: Option<ForwardConfig>,
    }
}

#[cfg(test)]
mod tests;
