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

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::intake::Source;
use crate::limits::Limits;
use crate::resolve::entity_resolution::{EntityConfig, EntityError, EntityResolver};
use crate::resolve::series_table::SeriesTable;
use crate::server::auth::{Auth, AuthConfig, AuthError};
use crate::server::counters::WireCounters;
use crate::server::http::{HttpConfig, HttpSource, HttpWires, RouteError};
use crate::server::packets::Datagrams;
use crate::server::tls::{LiveTls, TlsConfig, TlsError};
use crate::server::wire::HttpWire;
use crate::wires::actions::{Actions, ActionsConfig};
use crate::wires::alertmanager::{Alertmanager, AlertmanagerConfig};
use crate::wires::bulk::{Bulk, BulkConfig};
use crate::wires::changes::{Changes, ChangesConfig};
use crate::wires::collectd::{Collectd, CollectdConfig};
use crate::wires::forward::{Forward, ForwardConfig, ForwardError};
use crate::wires::influx::{Influx, InfluxConfig};
use crate::wires::loki::{Loki, LokiConfig};
use crate::wires::otlp::grpc::OtlpGrpc;
use crate::wires::otlp::{Otlp, OtlpConfig};
use crate::wires::remote_write::{RemoteWrite, RemoteWriteConfig};
use crate::wires::snmp::{Snmp, SnmpConfig, SnmpError};
use crate::wires::statsd::{Statsd, StatsdConfig};
use crate::wires::syslog::{Syslog, SyslogConfig, SyslogStream};
use crate::wires::topology_import::TopologyImport;
use crate::wires::webhook::{WebhookConfig, WebhookError, Webhooks};

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
    /// Where all wires over HTTP listen, and the pages about the process itself: named, it
    /// listens even when no wire needs it.
    pub http: Option<HttpConfig>,
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
    /// What operators and ticketing systems say about incidents.
    pub actions: Option<ActionsConfig>,
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
        let syslog = self.syslog.as_ref();
        let all = [
            ("http", self.http().map(|http| http.listen)),
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

    /// The HTTP listener, when there is to be one.
    pub fn http(&self) -> Option<HttpConfig> {
        let over_http = self.topology_import
            || self.remote_write.is_some()
            || self.alertmanager.is_some()
            || self.otlp.is_some()
            || self.loki.is_some()
            || self.bulk.is_some()
            || self.influx.is_some()
            || self.collectd.is_some()
            || self.actions.is_some()
            || self.changes.is_some()
            || !self.webhooks.is_empty();
        self.http.clone().or_else(|| over_http.then(HttpConfig::default))
    }

    /// Whether strangers can reach a listener that would not ask who they are.
    fn check_listeners(&self, auth: &Auth) -> Result<(), AuthError> {
        let asks_for_key = self.forward.as_ref().is_some_and(|forward| !forward.shared_keys.is_empty());
        for (name, listen) in self.listeners() {
            if name != "forward" || !asks_for_key {
                auth.check_listener(listen)?;
            }
        }
        Ok(())
    }

    /// Whether anything listens beside HTTP.
    fn has_other_listeners(&self) -> bool {
        self.listeners().iter().any(|(name, _)| *name != "http")
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
        for operator in &mut self.auth.operators {
            operator.bearer_file.iter_mut().for_each(|path| *path = folder.join(&*path));
        }
        for hook in self.changes.iter_mut().flat_map(|changes| &mut changes.github) {
            hook.secret_file = folder.join(&hook.secret_file);
        }
        for webhook in &mut self.webhooks {
            webhook.mapping = folder.join(&webhook.mapping);
        }
        self.http.iter_mut().filter_map(|http| http.tls.as_mut()).for_each(tls);
        self.otlp.iter_mut().filter_map(|otlp| otlp.grpc_tls.as_mut()).for_each(tls);
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
    /// Fluent Forward's keys and certificates.
    #[error(transparent)]
    Forward(#[from] ForwardError),
    /// Two wires on one path.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// A certificate or key.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A TLS listener without a certificate.
    #[error("syslog.tls_listen is set but syslog.tls is not; name a certificate and its key")]
    SyslogTls,
}

/// The built wires: sources to run, and what tells how they fare.
pub struct Wires {
    /// To be run with the journal's intake.
    pub sources: Vec<Box<dyn Source>>,
    /// The HTTP listener, for its reports; absent when there is none.
    pub http: Option<Arc<HttpWires>>,
    /// Totals of the other listeners, by source name.
    pub counters: Vec<(&'static str, Arc<WireCounters>)>,
    /// Which labels make which entity, for sources beside the wires.
    pub resolver: Arc<EntityResolver>,
    /// What can be changed while they run.
    pub live: LiveWires,
}

/// Builds every wire that `config` names.
///
/// # Errors
/// [`WiresError`] for the first thing that cannot work.
pub fn build(config: &WiresConfig) -> Result<Wires, WiresError> {
    let auth = Arc::new(Auth::new(&config.auth)?);
    config.check_listeners(&auth)?;
    let parts = Parts::new(config, None)?;
    let (mut sources, mut counters): (Vec<Box<dyn Source>>, _) = (Vec::new(), Vec::new());
    let mut certificates = Vec::new();
    let mut http = None;
    if let Some(own) = config.http() {
        let named = over_http(config, &auth, &parts, None)?;
        let wires = Arc::new(HttpWires::new(auth.clone(), config.limits.clone(), named)?);
        let source = HttpSource::new("http", own, wires.clone())?;
        certificates.extend(source.tls());
        sources.push(Box::new(source));
        http = Some(wires);
    }
    if let (Some(otlp), Some(own)) = (&parts.otlp, &config.otlp)
        && own.grpc_listen.is_some()
    {
        let grpc = OtlpGrpc::new("otlp_grpc", otlp.clone(), auth.clone())?;
        certificates.extend(grpc.tls());
        counters.push(("otlp_grpc", grpc.counters()));
        sources.push(Box::new(grpc));
    }
    if let Some(own) = &config.statsd {
        let wire = Arc::new(Statsd::new(own, parts.series.clone()));
        let statsd = Datagrams::new("statsd", own.listen, wire, auth.clone());
        counters.push(("statsd", statsd.counters()));
        sources.push(Box::new(statsd));
    }
    if let Some(own) = &config.syslog {
        let wire = Arc::new(Syslog::new(config.limits.clone(), parts.resolver.clone()));
        if let Some(listen) = own.udp_listen {
            let udp = Datagrams::new("syslog_udp", listen, wire.clone(), auth.clone());
            counters.push(("syslog_udp", udp.counters()));
            sources.push(Box::new(udp));
        }
        for (name, listen, tls) in syslog_streams(own)? {
            let stream = SyslogStream::new(name, listen, tls, wire.clone(), auth.clone())?;
            certificates.extend(stream.tls());
            counters.push((name, stream.counters()));
            sources.push(Box::new(stream));
        }
    }
    if let Some(own) = &config.snmp {
        let wire = Arc::new(Snmp::new(own, parts.resolver.clone())?);
        let snmp = Datagrams::new("snmp", own.listen, wire, auth.clone());
        counters.push(("snmp", snmp.counters()));
        sources.push(Box::new(snmp));
    }
    if let Some(own) = &config.forward {
        let resolver = parts.resolver.clone();
        let forward = Forward::new("forward", own.clone(), config.limits.clone(), resolver, auth.clone())?;
        certificates.extend(forward.tls());
        counters.push(("forward", forward.counters()));
        sources.push(Box::new(forward));
    }
    if let Some(http) = &http {
        http.show_others(counters.clone());
    }
    let resolver = parts.resolver.clone();
    let live =
        LiveWires { started: config.clone(), config: config.clone(), auth, parts, http: http.clone(), certificates };
    Ok(Wires { sources, http, counters, resolver, live })
}

/// What several wires share.
#[derive(Clone)]
struct Parts {
    resolver: Arc<EntityResolver>,
    series: Arc<SeriesTable>,
    otlp: Option<Arc<Otlp>>,
}

impl Parts {
    /// Those of `config`; what is as it was `before` stays, with what it has learned.
    fn new(config: &WiresConfig, before: Option<(&WiresConfig, &Parts)>) -> Result<Parts, WiresError> {
        let kept =
            before.filter(|(was, _)| was.entity_resolution == config.entity_resolution && was.limits == config.limits);
        let (resolver, series) = match kept {
            Some((_, parts)) => (parts.resolver.clone(), parts.series.clone()),
            None => {
                let resolver = Arc::new(EntityResolver::new(config.entity_resolution.clone())?);
                let series = Arc::new(SeriesTable::new(resolver.clone(), &config.limits));
                (resolver, series)
            }
        };
        let fresh = || config.otlp.clone().map(|own| Otlp::new(own, config.limits.clone(), series.clone()));
        let otlp = match kept {
            Some((was, parts)) if was.otlp == config.otlp => parts.otlp.clone(),
            _ => fresh().map(Arc::new),
        };
        Ok(Parts { resolver, series, otlp })
    }
}

/// The running wires' other half: what can be changed while they listen.
pub struct LiveWires {
    /// What the listeners were opened with: what needs a restart is compared with it.
    started: WiresConfig,
    /// What is in force where it can be replaced.
    config: WiresConfig,
    auth: Arc<Auth>,
    parts: Parts,
    http: Option<Arc<HttpWires>>,
    certificates: Vec<Arc<LiveTls>>,
}

/// A reload that has been checked and only needs to be put in force.
pub struct PreparedWires {
    config: WiresConfig,
    parts: Parts,
    over_http: Option<Vec<Named>>,
    /// Parts of the configuration that will be in force.
    pub applied: Vec<String>,
    /// Parts that stay as they were until a restart.
    pub needs_restart: Vec<String>,
}

impl LiveWires {
    /// Checks `config` against what runs: secrets are read, wires built, nothing is changed.
    /// Credentials, limits, entity rules and wires over HTTP can change; addresses and what
    /// listens beside HTTP cannot.
    ///
    /// # Errors
    /// [`WiresError`] for the first thing that cannot work.
    pub fn prepare(&self, config: &WiresConfig) -> Result<PreparedWires, WiresError> {
        let checked = Arc::new(Auth::new(&config.auth)?);
        self.started.check_listeners(&checked)?;
        let mut applied = vec!["wires.auth".to_owned()];
        if !self.certificates.is_empty() {
            applied.push("certificates".to_owned());
        }
        let needs_restart = self.fixed_parts(config);
        let was = &self.config;
        let parts = Parts::new(config, Some((was, &self.parts)))?;
        let over_http = match &self.http {
            Some(_) => Some(over_http(config, &self.auth, &parts, Some((was, self)))?),
            None => None,
        };
        let mut same = config.clone();
        same.auth = was.auth.clone();
        (same.http, same.statsd, same.syslog) = (was.http.clone(), was.statsd.clone(), was.syslog.clone());
        (same.snmp, same.forward) = (was.snmp.clone(), was.forward.clone());
        if same != *was && self.http.is_some() {
            applied.push("wires over HTTP".to_owned());
        }
        Ok(PreparedWires { config: config.clone(), parts, over_http, applied, needs_restart })
    }

    /// The parts of `config` that no running listener can take.
    fn fixed_parts(&self, config: &WiresConfig) -> Vec<String> {
        let was = &self.started;
        let fixed = [
            ("wires.http", was.http() != config.http()),
            ("wires.statsd", was.statsd != config.statsd),
            ("wires.syslog", was.syslog != config.syslog),
            ("wires.snmp", was.snmp != config.snmp),
            ("wires.forward", was.forward != config.forward),
            ("wires.otlp (gRPC)", grpc_of(was).is_some() && was.otlp != config.otlp),
            ("wires.otlp.grpc_listen", grpc_of(was) != grpc_of(config)),
            (
                "wires.limits of syslog, StatsD, SNMP, Forward and gRPC",
                was.limits != config.limits && was.has_other_listeners(),
            ),
        ];
        fixed.iter().filter(|(_, changed)| *changed).map(|(name, _)| (*name).to_owned()).collect()
    }

    /// Puts a prepared reload in force.
    ///
    /// # Errors
    /// [`WiresError`] when a secret or certificate has changed since it was prepared; then the
    /// parts before it are in force.
    pub fn commit(&mut self, prepared: PreparedWires) -> Result<(), WiresError> {
        for tls in &self.certificates {
            tls.reload()?;
        }
        if let (Some(http), Some(wires)) = (&self.http, prepared.over_http) {
            http.replace(prepared.config.limits.clone(), wires)?;
        }
        self.auth.replace(&prepared.config.auth)?;
        self.parts = prepared.parts;
        self.config = prepared.config;
        Ok(())
    }
}

fn grpc_of(config: &WiresConfig) -> Option<SocketAddr> {
    config.otlp.as_ref().and_then(|otlp| otlp.grpc_listen)
}

type Named = (&'static str, Arc<dyn HttpWire>);

/// The list of wires over HTTP. A wire whose settings are as they were `before` stays, with what
/// it has learned.
fn over_http(
    config: &WiresConfig,
    auth: &Arc<Auth>,
    parts: &Parts,
    before: Option<(&WiresConfig, &LiveWires)>,
) -> Result<Vec<Named>, WiresError> {
    let limits = || config.limits.clone();
    let (resolver, series) = (&parts.resolver, &parts.series);
    // Shared parts are replaced together with the wires that hold them.
    let kept = before.filter(|(_, live)| Arc::ptr_eq(&live.parts.resolver, resolver));
    let running = |kind: &str| kept.and_then(|(_, live)| live.http.as_ref()?.wire(kind));
    let mut wires: Vec<Named> = Vec::new();
    let mut add = |kind: &'static str, same: bool, build: &dyn Fn() -> Result<Arc<dyn HttpWire>, WiresError>| {
        let wire = match running(kind).filter(|_| same) {
            Some(wire) => wire,
            None => build()?,
        };
        wires.push((kind, wire));
        Ok::<_, WiresError>(())
    };
    let was = kept.map(|(was, _)| was);
    if let Some(own) = &config.remote_write {
        let same = was.is_some_and(|was| was.remote_write == config.remote_write);
        add("remote_write", same, &|| Ok(Arc::new(RemoteWrite::new(own.clone(), limits(), series.clone()))))?;
    }
    if let Some(own) = &config.alertmanager {
        let same = was.is_some_and(|was| was.alertmanager == config.alertmanager);
        add("alertmanager", same, &|| Ok(Arc::new(Alertmanager::new(own.clone(), limits(), resolver.clone()))))?;
    }
    if let Some(otlp) = &parts.otlp {
        add("otlp", false, &|| Ok(otlp.clone()))?;
    }
    if let Some(own) = &config.loki {
        let same = was.is_some_and(|was| was.loki == config.loki);
        add("loki", same, &|| Ok(Arc::new(Loki::new(own.clone(), limits(), resolver.clone()))))?;
    }
    if let Some(own) = &config.bulk {
        let same = was.is_some_and(|was| was.bulk == config.bulk);
        add("bulk", same, &|| Ok(Arc::new(Bulk::new(own.clone(), limits(), resolver.clone()))))?;
    }
    if let Some(own) = &config.influx {
        let same = was.is_some_and(|was| was.influx == config.influx);
        add("influx", same, &|| Ok(Arc::new(Influx::new(own.clone(), limits(), series.clone()))))?;
    }
    if let Some(own) = &config.collectd {
        let same = was.is_some_and(|was| was.collectd == config.collectd);
        add("collectd", same, &|| Ok(Arc::new(Collectd::new(own.clone(), limits(), series.clone()))))?;
    }
    if config.actions.is_some() {
        let same = was.is_some_and(|was| was.actions.is_some());
        add("actions", same, &|| Ok(Arc::new(Actions::new(limits()))))?;
    }
    if let Some(own) = &config.changes {
        // Always anew: its secrets are in files.
        add("changes", false, &|| Ok(Arc::new(Changes::new(own, auth.clone(), limits(), resolver.clone())?)))?;
    }
    if !config.webhooks.is_empty() {
        // Always anew: their mappings are in files.
        add("webhooks", false, &|| Ok(Arc::new(Webhooks::new(&config.webhooks, limits(), resolver.clone())?)))?;
    }
    if config.topology_import {
        let same = was.is_some_and(|was| was.topology_import);
        add("topology_import", same, &|| Ok(Arc::new(TopologyImport::new(limits(), resolver.clone()))))?;
    }
    Ok(wires)
}

type SyslogListener = (&'static str, SocketAddr, Option<TlsConfig>);

/// The streams that syslog is read from.
fn syslog_streams(own: &SyslogConfig) -> Result<Vec<SyslogListener>, WiresError> {
    let tls = match (own.tls_listen, &own.tls) {
        (Some(_), None) => return Err(WiresError::SyslogTls),
        (listen, tls) => listen.map(|listen| ("syslog_tls", listen, tls.clone())),
    };
    let tcp = own.tcp_listen.map(|listen| ("syslog_tcp", listen, None));
    Ok(tcp.into_iter().chain(tls).collect())
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
            "{remote_write: {}, alertmanager: {}, otlp: {}, loki: {}, bulk: {}, influx: {}, collectd: {}, actions: {},
              changes: {}, topology_import: true, statsd: {}, syslog: {udp_listen: '127.0.0.1:1', tcp_listen: '127.0.0.1:1'},
              snmp: {}, forward: {}}",
        );
        let built = build(&config).expect("no path is claimed twice");
        let names: Vec<&str> = built.sources.iter().map(|source| source.name()).collect();
        assert_eq!(names, ["http", "otlp_grpc", "statsd", "syslog_udp", "syslog_tcp", "snmp", "forward"]);
        let listeners: Vec<&str> = config.listeners().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, listeners);
        assert_eq!(built.http.expect("wires over HTTP").reports().len(), 10);
    }

    #[test]
    fn a_listener_strangers_can_reach_is_refused_before_it_is_opened() {
        for open in [
            "{http: {listen: '0.0.0.0:1'}}",
            "{http: {listen: '0.0.0.0:1'}, loki: {}}",
            "{statsd: {listen: '0.0.0.0:1'}}",
        ] {
            let error = build(&read(open)).err().expect("no credentials").to_string();
            assert!(error.contains("needs credentials"), "{error}");
        }
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("key"), "secret").expect("writes");
        let keyed = read("{forward: {listen: '0.0.0.0:1', shared_keys: [{tenant: acme, key_file: key}]}}");
        assert!(build(&keyed.relative_to(dir.path())).is_ok(), "every sender must know the key");
    }

    #[test]
    fn what_waits_for_a_restart_is_named_at_every_reload_until_it_is_undone() {
        let yaml = |grpc: &str, limit: u32| {
            read(&format!(
                "{{otlp: {{grpc_listen: '127.0.0.1:{grpc}'}}, statsd: {{}}, limits: {{events_max: {limit}}}}}"
            ))
        };
        let started = yaml("1", 1_000);
        let mut live = build(&started).expect("builds").live;
        let mut reload = |config: &WiresConfig| {
            let prepared = live.prepare(config).expect("good");
            let waits = prepared.needs_restart.clone();
            live.commit(prepared).expect("in force");
            waits
        };
        let changed = yaml("2", 2_000);
        let first = reload(&changed);
        assert_eq!(first[..2], ["wires.otlp (gRPC)", "wires.otlp.grpc_listen"]);
        assert!(first[2].starts_with("wires.limits of"), "{first:?}");
        assert_eq!(reload(&changed), first, "it still waits");
        assert!(reload(&started).is_empty(), "what runs is what is asked for");
    }

    #[test]
    fn secret_files_are_found_beside_the_configuration() {
        let config = read(
            "{auth: {credentials: [{tenant: acme, bearer_file: token}]}, changes: {github: [{hook: a, tenant: acme, secret_file: hook}]},
              otlp: {grpc_tls: {certificate_file: tls.crt, key_file: tls.key}},
              http: {tls: {certificate_file: tls.crt, key_file: /etc/tls.key}}}",
        );
        let config = config.relative_to(Path::new("/conf"));
        let beside = |name: &str| Some(Path::new("/conf").join(name));
        assert_eq!(config.auth.credentials[0].bearer_file, beside("token"));
        assert_eq!(config.changes.map(|changes| changes.github[0].secret_file.clone()), beside("hook"));
        let grpc = config.otlp.and_then(|otlp| otlp.grpc_tls).expect("TLS");
        assert_eq!((Some(grpc.certificate_file), Some(grpc.key_file)), (beside("tls.crt"), beside("tls.key")));
        let tls = config.http.and_then(|http| http.tls).expect("TLS");
        assert_eq!((Some(tls.certificate_file), tls.key_file), (beside("tls.crt"), "/etc/tls.key".into()));
    }

    #[test]
    fn tls_without_a_certificate_is_refused_with_the_remedy() {
        let config = read("{syslog: {tls_listen: '127.0.0.1:6514'}}");
        let error = build(&config).err().expect("no certificate").to_string();
        assert!(error.contains("syslog.tls"), "{error}");
    }
}
