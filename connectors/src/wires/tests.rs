//! The list as a whole: what is built, refused, reloaded, and documented.

use std::path::Path;

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
    let mut listeners = Vec::new();
    config.each_endpoint(&mut |endpoint| listeners.push(endpoint.name));
    assert_eq!(names, listeners);
    assert_eq!(built.http.expect("wires over HTTP").reports().len(), 10);
}

#[test]
fn a_listener_strangers_can_reach_is_refused_before_it_is_opened() {
    for open in
        ["{http: {listen: '0.0.0.0:1'}}", "{http: {listen: '0.0.0.0:1'}, loki: {}}", "{statsd: {listen: '0.0.0.0:1'}}"]
    {
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
        read(&format!("{{otlp: {{grpc_listen: '127.0.0.1:{grpc}'}}, statsd: {{}}, limits: {{events_max: {limit}}}}}"))
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

#[test]
fn the_documented_table_is_what_the_wires_say_of_themselves() {
    let table: String = WiresConfig::rows()
        .iter()
        .map(|row| format!("| {} | {} | {} | {} | {} |\n", row.wire, row.at, row.answers, row.again, row.peer))
        .collect();
    let document = include_str!("../../WIRES.md");
    let documented: String =
        document.lines().filter(|line| line.starts_with("| ")).skip(1).map(|line| format!("{line}\n")).collect();
    assert_eq!(documented, table, "WIRES.md: its table is, row by row\n{table}");
}
