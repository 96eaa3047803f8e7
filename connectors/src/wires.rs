//! The visible list of wires: one configuration, one function that builds their sources.
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
//! A wire that is not named is not listened for. Adding one: its file, its field and line
//! here, its row in `WIRES.md`.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::alertmanager::{Alertmanager, AlertmanagerConfig};
use crate::auth::{Auth, AuthConfig, AuthError};
use crate::bulk::{Bulk, BulkConfig};
use crate::changes::{Changes, ChangesConfig};
use crate::collectd::{Collectd, CollectdConfig};
use crate::entity_resolution::{EntityConfig, EntityError, EntityResolver};
use crate::forward::{Forward, ForwardConfig};
use crate::http::{HttpConfig, HttpSource, HttpWires, RouteConflict};
use crate::influx::{Influx, InfluxConfig};
use crate::limits::Limits;
use crate::loki::{Loki, LokiConfig};
use crate::otlp::grpc::OtlpGrpc;
use crate::otlp::{Otlp, OtlpConfig};
use crate::packets::Datagrams;
use crate::remote_write::{RemoteWrite, RemoteWriteConfig};
use crate::series_table::SeriesTable;
use crate::snmp::{Snmp, SnmpConfig, SnmpError};
use crate::source::Source;
use crate::statsd::{Statsd, StatsdConfig};
use crate::syslog::{Syslog, SyslogConfig, SyslogStream};
use crate::tls::TlsConfig;
use crate::topology_import::TopologyImport;
use crate::webhook::{WebhookConfig, WebhookError, Webhooks};
use crate::wire::{HttpWire, WireCounters};

/// Every wire's configuration; an absent one is off.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WiresConfig {
    /// Who may send, and whose it is.
    pub auth: AuthConfig,
    /// How much they may send.
    pub limits: Limits,
    /// Which labels make which entity.
    pub entity_resolution: EntityConfig,
    /// Where all wires over HTTP listen.
    pub http: HttpConfig,
    /// Prometheus remote write.
    pub remote_write: Option<RemoteWriteConfig>,
    /// Alertmanager's API and webhook, Grafana's webhook.
    pub alertmanager: Option<AlertmanagerConfig>,
    /// OpenTelemetry over HTTP and gRPC.
    pub otlp: Option<OtlpConfig>,
    /// Loki push.
    pub loki: Option<LokiConfig>,
    /// Elasticsearch `_bulk`.
    pub bulk: Option<BulkConfig>,
    /// InfluxDB lines.
    pub influx: Option<InfluxConfig>,
    /// collectd's `write_http`.
    pub collectd: Option<CollectdConfig>,
    /// Deployment webhooks.
    pub changes: Option<ChangesConfig>,
    /// Webhooks read by mapping files.
    pub webhooks: Vec<WebhookConfig>,
    /// Posted inventories and catalogues.
    pub topology_import: bool,
    /// Syslog.
    pub syslog: Option<SyslogConfig>,
    /// StatsD.
    pub statsd: Option<StatsdConfig>,
    /// SNMP traps and informs.
    pub snmp: Option<SnmpConfig>,
    /// Fluent Forward.
    pub forward: Option<ForwardConfig>,
}

impl WiresConfig {
    /// Where it listens, by the name of the source: what [`build`] gives, before it is built.
    pub fn listeners(&self) -> Vec<(&'static str, SocketAddr)> {
        let over_http = self.topology_import
            || self.remote_write.is_some()
            || self.alertmanager.is_some()
            || self.otlp.is_some()
            || self.loki.is_some()
            || self.bulk.is_some()
            || self.influx.is_some()
            || self.collectd.is_some()
            || self.changes.is_some()
            || !self.webhooks.is_empty();
        let syslog = self.syslog.as_ref();
        let all = [
            ("http", over_http.then_some(self.http.listen)),
            ("otlp_grpc", self.otlp.as_ref().and_then(|otlp| otlp.grpc_listen)),
            ("statsd", self.statsd.as_ref().map(|statsd| statsd.listen)),
            ("syslog_udp", syslog.and_then(|syslog| syslog.udp_listen)),
            ("syslog_tcp", syslog.and_then(|syslog| syslog.tcp_listen)),
            ("syslog_tls", syslog.and_then(|syslog| syslog.tls_listen)),
            ("snmp", self.snmp.as_ref().map(|snmp| snmp.listen)),
            ("forward", self.forward.as_ref().map(|forward| forward.listen)),
        ];
        all.into_iter().filter_map(|(name, listen)| Some((name, listen?))).collect()
    }

    /// Makes the relative paths of secrets and certificates begin at `folder`.
    #[must_use]
    pub fn relative_to(mut self, folder: &Path) -> WiresConfig {
        let tls = |tls: &mut TlsConfig| {
            let files = [Some(&mut tls.certificate_file), Some(&mut tls.key_file), tls.client_ca_file.as_mut()];
            files.into_iter().flatten().for_each(|path| *path = folder.join(&*path));
        };
        for credential in &mut self.auth.credentials {
            let files = [&mut credential.bearer_file, &mut credential.password_file];
            files.into_iter().flatten().for_each(|path| *path = folder.join(&*path));
        }
        for hook in self.changes.iter_mut().flat_map(|changes| &mut changes.github) {
            hook.secret_file = folder.join(&hook.secret_file);
        }
        for webhook in &mut self.webhooks {
            webhook.mapping = folder.join(&webhook.mapping);
        }
        self.http.tls.iter_mut().for_each(tls);
        self.syslog.iter_mut().filter_map(|syslog| syslog.tls.as_mut()).for_each(tls);
        self.forward.iter_mut().filter_map(|forward| forward.tls.as_mut()).for_each(tls);
        for key in self.forward.iter_mut().flat_map(|forward| &mut forward.shared_keys) {
            key.key_file = folder.join(&key.key_file);
        }
        self
    }
}

/// Why the wires cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum WiresError {
    /// Credentials.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// Entity rules.
    #[error(transparent)]
    Entity(#[from] EntityError),
    /// Rules for traps.
    #[error(transparent)]
    Snmp(#[from] SnmpError),
    /// Webhooks and their mapping files.
    #[error(transparent)]
    Webhook(#[from] WebhookError),
    /// Two wires on one path.
    #[error(transparent)]
    Route(#[from] RouteConflict),
    /// A TLS listener without a certificate.
    #[error("syslog.tls_listen is set but syslog.tls is not; name a certificate and its key")]
    SyslogTls,
}

/// The built wires: sources to run, and what tells how they fare.
pub struct Wires {
    /// To be run with the journal's intake.
    pub sources: Vec<Box<dyn Source>>,
    /// The wires over HTTP, for their reports; absent when there is none.
    pub http: Option<Arc<HttpWires>>,
    /// Totals of the other listeners, by source name.
    pub counters: Vec<(&'static str, Arc<WireCounters>)>,
}

/// Builds every wire that `config` names.
///
/// # Errors
/// [`WiresError`] for the first thing that cannot work.
pub fn build(config: &WiresConfig) -> Result<Wires, WiresError> {
    let auth = Arc::new(Auth::new(&config.auth)?);
    let asks_for_key = config.forward.as_ref().is_some_and(|forward| !forward.shared_keys.is_empty());
    for (name, listen) in config.listeners() {
        if name != "forward" || !asks_for_key {
            auth.check_listener(listen)?;
        }
    }
    let resolver = Arc::new(EntityResolver::new(config.entity_resolution.clone())?);
    let series = Arc::new(SeriesTable::new(resolver.clone(), &config.limits));
    let otlp = config.otlp.clone().map(|own| Arc::new(Otlp::new(own, config.limits.clone(), series.clone())));
    let mut built = Wires { sources: Vec::new(), http: None, counters: Vec::new() };

    let wires = over_http(config, &auth, &resolver, &series, otlp.as_ref())?;
    if !wires.is_empty() {
        let wires = Arc::new(HttpWires::new(auth.clone(), config.limits.clone(), wires)?);
        built.sources.push(Box::new(HttpSource::new("http", config.http.clone(), wires.clone())));
        built.http = Some(wires);
    }
    if let (Some(otlp), Some(own)) = (otlp, &config.otlp)
        && own.grpc_listen.is_some()
    {
        let grpc = OtlpGrpc::new("otlp_grpc", otlp, auth.clone());
        built.counters.push(("otlp_grpc", grpc.counters()));
        built.sources.push(Box::new(grpc));
    }
    if let Some(own) = &config.statsd {
        let statsd = Datagrams::new("statsd", own.listen, Arc::new(Statsd::new(own, series)), auth.clone());
        built.counters.push(("statsd", statsd.counters()));
        built.sources.push(Box::new(statsd));
    }
    if let Some(own) = &config.syslog {
        syslog(own, config, &auth, resolver.clone(), &mut built)?;
    }
    if let Some(own) = &config.snmp {
        let snmp = Datagrams::new("snmp", own.listen, Arc::new(Snmp::new(own, resolver.clone())?), auth.clone());
        built.counters.push(("snmp", snmp.counters()));
        built.sources.push(Box::new(snmp));
    }
    if let Some(own) = &config.forward {
        let forward = Forward::new("forward", own.clone(), config.limits.clone(), resolver, auth)?;
        built.counters.push(("forward", forward.counters()));
        built.sources.push(Box::new(forward));
    }
    if let Some(http) = &built.http {
        http.show_others(built.counters.clone());
    }
    Ok(built)
}

type Named = (String, Arc<dyn HttpWire>);

/// The list of wires over HTTP.
fn over_http(
    config: &WiresConfig,
    auth: &Arc<Auth>,
    resolver: &Arc<EntityResolver>,
    series: &Arc<SeriesTable>,
    otlp: Option<&Arc<Otlp>>,
) -> Result<Vec<Named>, WiresError> {
    let limits = || config.limits.clone();
    let mut wires: Vec<Named> = Vec::new();
    let mut add = |wire: Arc<dyn HttpWire>| wires.push((wire.kind().to_owned(), wire));
    if let Some(own) = &config.remote_write {
        add(Arc::new(RemoteWrite::new(own.clone(), limits(), series.clone())));
    }
    if let Some(own) = &config.alertmanager {
        add(Arc::new(Alertmanager::new(own.clone(), limits(), resolver.clone())));
    }
    if let Some(otlp) = otlp {
        add(otlp.clone());
    }
    if let Some(own) = &config.loki {
        add(Arc::new(Loki::new(own.clone(), limits(), resolver.clone())));
    }
    if let Some(own) = &config.bulk {
        add(Arc::new(Bulk::new(own.clone(), limits(), resolver.clone())));
    }
    if let Some(own) = &config.influx {
        add(Arc::new(Influx::new(own.clone(), limits(), series.clone())));
    }
    if let Some(own) = &config.collectd {
        add(Arc::new(Collectd::new(own.clone(), limits(), series.clone())));
    }
    if let Some(own) = &config.changes {
        add(Arc::new(Changes::new(own, auth.clone(), limits(), resolver.clone())?));
    }
    if !config.webhooks.is_empty() {
        add(Arc::new(Webhooks::new(&config.webhooks, limits(), resolver.clone())?));
    }
    if config.topology_import {
        add(Arc::new(TopologyImport::new(limits(), resolver.clone())));
    }
    Ok(wires)
}

fn syslog(
    own: &SyslogConfig,
    config: &WiresConfig,
    auth: &Arc<Auth>,
    resolver: Arc<EntityResolver>,
    built: &mut Wires,
) -> Result<(), WiresError> {
    let wire = Arc::new(Syslog::new(config.limits.clone(), resolver));
    if let Some(listen) = own.udp_listen {
        let udp = Datagrams::new("syslog_udp", listen, wire.clone(), auth.clone());
        built.counters.push(("syslog_udp", udp.counters()));
        built.sources.push(Box::new(udp));
    }
    let tls = match (own.tls_listen, &own.tls) {
        (Some(_), None) => return Err(WiresError::SyslogTls),
        (listen, tls) => listen.map(|listen| ("syslog_tls", listen, tls.clone())),
    };
    let tcp = own.tcp_listen.map(|listen| ("syslog_tcp", listen, None));
    for (name, listen, tls) in tcp.into_iter().chain(tls) {
        let stream = SyslogStream::new(name, listen, tls, wire.clone(), auth.clone());
        built.counters.push((name, stream.counters()));
        built.sources.push(Box::new(stream));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> WiresConfig {
        serde_saphyr::from_str(yaml).expect("config is good")
    }

    #[test]
    fn a_wire_that_is_not_named_does_not_listen() {
        let none = build(&WiresConfig::default()).expect("nothing to build");
        assert!(none.sources.is_empty() && none.http.is_none());
    }

    #[test]
    fn every_wire_fits_on_one_listener() {
        let config = read(
            "{remote_write: {}, alertmanager: {}, otlp: {}, loki: {}, bulk: {}, influx: {}, collectd: {}, changes: {},
              topology_import: true, statsd: {}, syslog: {udp_listen: '127.0.0.1:1', tcp_listen: '127.0.0.1:1'},
              snmp: {}, forward: {}}",
        );
        let built = build(&config).expect("no path is claimed twice");
        let names: Vec<&str> = built.sources.iter().map(|source| source.name()).collect();
        assert_eq!(names, ["http", "otlp_grpc", "statsd", "syslog_udp", "syslog_tcp", "snmp", "forward"]);
        let listeners: Vec<&str> = config.listeners().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, listeners);
        assert_eq!(built.http.expect("wires over HTTP").reports().len(), 9);
    }

    #[test]
    fn a_listener_strangers_can_reach_is_refused_before_it_is_opened() {
        for open in ["{http: {listen: '0.0.0.0:1'}, loki: {}}", "{statsd: {listen: '0.0.0.0:1'}}"] {
            let error = build(&read(open)).err().expect("no credentials").to_string();
            assert!(error.contains("needs credentials"), "{error}");
        }
        assert!(build(&read("{http: {listen: '0.0.0.0:1'}}")).is_ok(), "nothing listens there");
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("key"), "secret").expect("writes");
        let keyed = read("{forward: {listen: '0.0.0.0:1', shared_keys: [{tenant: acme, key_file: key}]}}");
        assert!(build(&keyed.relative_to(dir.path())).is_ok(), "every sender must know the key");
    }

    #[test]
    fn secret_files_are_found_beside_the_configuration() {
        let config = read(
            "{auth: {credentials: [{tenant: acme, bearer_file: token}]}, changes: {github: [{hook: a, tenant: acme, secret_file: hook}]},
              http: {tls: {certificate_file: tls.crt, key_file: /etc/tls.key}}}",
        );
        let config = config.relative_to(Path::new("/conf"));
        let beside = |name: &str| Some(Path::new("/conf").join(name));
        assert_eq!(config.auth.credentials[0].bearer_file, beside("token"));
        assert_eq!(config.changes.map(|changes| changes.github[0].secret_file.clone()), beside("hook"));
        let tls = config.http.tls.expect("TLS");
        assert_eq!((Some(tls.certificate_file), tls.key_file), (beside("tls.crt"), "/etc/tls.key".into()));
    }

    #[test]
    fn tls_without_a_certificate_is_refused_with_the_remedy() {
        let config = read("{syslog: {tls_listen: '127.0.0.1:6514'}}");
        let error = build(&config).err().expect("no certificate").to_string();
        assert!(error.contains("syslog.tls"), "{error}");
    }
}
