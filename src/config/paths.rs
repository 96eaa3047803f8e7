//! One rule for relative paths: whatever a configuration names begins at the configuration's
//! folder, wherever the process was started.

use std::path::{Path, PathBuf};

use bellwether_connectors::wires::WireList as _;

use super::Refused;
use super::include::included;
use super::model::Config;

/// Reads a configuration whose relative paths begin at its own folder, with what it includes.
///
/// # Errors
/// As [`load`](super::load), for it and for each file that it includes.
pub fn load_beside(file: &Path) -> Result<Config, Refused> {
    let config = relative_to(super::load(file)?, super::folder_of(file));
    let engine = included(config.engine.clone(), config.include.iter().map(PathBuf::as_path))?;
    let mut config = Config { engine, ..config };
    if config.page.is_some() {
        // A page needs the listener, also where no wire does.
        config.wires.http.get_or_insert_default();
    }
    Ok(config)
}

/// Makes the relative paths of `config` begin at `folder`.
fn relative_to(mut config: Config, folder: &Path) -> Config {
    paths(&mut config).into_iter().for_each(|path| *path = folder.join(&*path));
    config
}

/// Every path that is named.
fn paths(config: &mut Config) -> Vec<&mut PathBuf> {
    let mut paths = vec![&mut config.state];
    paths.extend(config.include.iter_mut());
    paths.extend(config.journal.iter_mut().map(|journal| &mut journal.dir));
    paths.extend(config.incident_log.dir.as_mut());
    paths.extend(
        config.tenants.values_mut().flat_map(|tenant| tenant.catalogue.iter_mut().chain(&mut tenant.knowledge)),
    );
    paths.extend(config.sources.iter_mut().flat_map(|source| source.paths()));
    paths.extend(config.wires.paths());
    paths.extend(config.sinks.iter_mut().flat_map(|sink| sink.paths()));
    paths.extend(config.bridges.iter_mut().flat_map(|bridge| bridge.paths()));
    paths
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use regex::Regex;

    use super::*;
    use crate::config::{parse, schema_of};

    /// Every path there is, each with the type and field that holds it as its value.
    const EVERY_PATH: &str = r#"
incident_log: {dir: here/IncidentLogConfig.dir}
state: here/Config.state
include: [here/Config.include]
journal: {dir: here/JournalConfig.dir}
tenants: {acme: {catalogue: here/TenantConfig.catalogue, knowledge: here/TenantConfig.knowledge}}
sources:
  - files: {tenant: acme, paths: [here/FilesConfig.paths]}
  - nats:
      name: said
      stream: SAID
      tenant: acme
      connection:
        credentials_file: here/NatsConnection.credentials_file
        token_file: here/NatsConnection.token_file
        ca_file: here/NatsConnection.ca_file
sinks:
  - ndjson: {path: here/NdjsonSinkConfig.path}
  - nats: {connection: {token_file: here/NatsConnection.token_file}}
bridges:
  - request_tracker:
      url: https://rt.test
      token_file: here/RequestTrackerConfig.token_file
      ca_file: here/RequestTrackerConfig.ca_file
      mapping:
        tenants: {acme: {queue: acme}}
        priority: {P1: "90", P2: "70", P3: "50", P4: "30", P5: "10"}
        states: {open: new, acknowledged: open, resolved: resolved, closed: resolved, merged: resolved}
        said: {resolved: resolved}
  - redmine:
      url: https://redmine.test
      token_file: here/RedmineConfig.token_file
      ca_file: here/RedmineConfig.ca_file
      custom_fields: {bw_incident: 1}
      mapping:
        tenants: {acme: {queue: acme}}
        priority: {P1: Immediate, P2: Urgent, P3: High, P4: Normal, P5: Low}
        states: {open: New, acknowledged: Open, resolved: Resolved, closed: Resolved, merged: Resolved}
        said: {Resolved: resolved}
  - roundup:
      url: https://roundup.test
      token_file: here/RoundupConfig.token_file
      ca_file: here/RoundupConfig.ca_file
      mapping:
        tenants: {acme: {queue: acme}}
        priority: {P1: critical, P2: urgent, P3: bug, P4: feature, P5: wish}
        states: {open: unread, acknowledged: open, resolved: resolved, closed: resolved, merged: resolved}
        said: {resolved: resolved}
  - service_now:
      url: https://acme.test
      token_file: here/ServiceNowConfig.token_file
      ca_file: here/ServiceNowConfig.ca_file
      mapping:
        tenants: {acme: {queue: acme}}
        priority: {P1: 1/1, P2: 1/2, P3: 2/2, P4: 2/3, P5: 3/3}
        states: {open: New, acknowledged: In Progress, resolved: Resolved, closed: Resolved, merged: Resolved}
        said: {Resolved: resolved}
  - service_now_events:
      url: https://acme.test
      token_file: here/ServiceNowEventsConfig.token_file
      ca_file: here/ServiceNowEventsConfig.ca_file
      audience: {tenants: {acme: {queue: acme}}}
  - jira:
      url: https://acme.test
      user: bellwether@acme.test
      token_file: here/JiraConfig.token_file
      ca_file: here/JiraConfig.ca_file
      mapping:
        tenants: {acme: {queue: OPS}}
        priority: {P1: Highest, P2: High, P3: Medium, P4: Low, P5: Lowest}
        states: {open: To Do, acknowledged: In Progress, resolved: Done, closed: Done, merged: Done}
        said: {Done: resolved}
  - zammad:
      url: https://zammad.test
      user: bellwether
      token_file: here/ZammadConfig.token_file
      ca_file: here/ZammadConfig.ca_file
      mapping:
        tenants: {acme: {queue: acme}}
        priority: {P1: 3 high, P2: 3 high, P3: 2 normal, P4: 2 normal, P5: 1 low}
        states: {open: new, acknowledged: open, resolved: closed, closed: closed, merged: closed}
        said: {closed: resolved}
  - pagerduty:
      url: https://pagerduty.test
      token_file: here/PagerDutyConfig.token_file
      ca_file: here/PagerDutyConfig.ca_file
      audience: {tenants: {acme: {queue: main}}}
  - slack:
      url: https://slack.test
      token_file: here/SlackConfig.token_file
      ca_file: here/SlackConfig.ca_file
      audience: {tenants: {acme: {queue: C024BE91L}}}
  - mattermost:
      url: https://mattermost.test
      token_file: here/MattermostConfig.token_file
      ca_file: here/MattermostConfig.ca_file
      audience: {tenants: {acme: {queue: 4xp9fdt7pbgium38k0k6w95oa4}}}
  - teams:
      url: https://teams.test
      token_file: here/TeamsConfig.token_file
      ca_file: here/TeamsConfig.ca_file
      audience: {tenants: {acme: {queue: main}}}
  - mail:
      relay: smtp://mail.test
      token_file: here/MailConfig.token_file
      ca_file: here/MailConfig.ca_file
      replies: here/MailConfig.replies
      from: bellwether@desk.test
      audience: {tenants: {acme: {queue: oncall@acme.test}}}
  - webhook:
      url: https://desk.test/hook
      token_file: here/WebhookBridgeConfig.token_file
      ca_file: here/WebhookBridgeConfig.ca_file
      audience: {tenants: {acme: {queue: acme}}}
wires:
  auth:
    credentials:
      - {tenant: acme, bearer_file: here/Credential.bearer_file, password_file: here/Credential.password_file}
    operators: [{bearer_file: here/Operator.bearer_file}]
  http:
    tls:
      certificate_file: here/TlsConfig.certificate_file
      key_file: here/TlsConfig.key_file
      client_ca_file: here/TlsConfig.client_ca_file
  otlp: {grpc_tls: {certificate_file: here/TlsConfig.certificate_file, key_file: here/TlsConfig.key_file}}
  syslog: {tls: {certificate_file: here/TlsConfig.certificate_file, key_file: here/TlsConfig.key_file}}
  forward:
    tls: {certificate_file: here/TlsConfig.certificate_file, key_file: here/TlsConfig.key_file}
    shared_keys: [{tenant: acme, key_file: here/SharedKey.key_file}]
  changes: {github: [{hook: shop, tenant: acme, secret_file: here/GithubHook.secret_file}]}
  webhooks: [{name: zabbix, mapping: here/WebhookConfig.mapping}]
"#;

    /// `Type.field` of each path in a type that is read from a configuration, by the sources.
    fn declared() -> BTreeSet<String> {
        let schema = schema_of::<Config>();
        let defined = |name: &str| name == "Config" || schema["$defs"].get(name).is_some();
        let configuration =
            Regex::new(r"(?s)#\[derive\([^)]*JsonSchema[^)]*\)\](?:\s*#\[[^\]]*\])*\s*pub struct (\w+) \{(.*?)\n\}")
                .expect("a pattern");
        let path = Regex::new(r"(?m)^\s*(?:pub )?(\w+): [\w<>:]*PathBuf>*,$").expect("a pattern");
        // What is asked or told over HTTP has some keys from a macro.
        let by_macro = Regex::new(r"(?s)http_(?:system|channel)! \{.*?pub struct (\w+) for ").expect("a pattern");
        let of_macro = include_str!("../../connectors/src/bridges/site.rs");
        let of_macro = of_macro.split("pub struct $Config {").nth(1).and_then(|text| text.split('}').next());
        let of_macro = of_macro.expect("the macro has a struct");
        let mut found = BTreeSet::new();
        for crate_folder in ["connectors/src", "engine/src", "models/src", "src"] {
            let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(crate_folder)];
            while let Some(folder) = folders.pop() {
                for entry in fs::read_dir(folder).expect("a folder of sources") {
                    let entry = entry.expect("reads").path();
                    if entry.is_dir() {
                        folders.push(entry);
                    } else if entry.extension().is_some_and(|ending| ending == "rs") {
                        let text = fs::read_to_string(&entry).expect("UTF-8");
                        let systems = by_macro.captures_iter(&text).map(|system| system[1].to_owned());
                        found.extend(systems.flat_map(|system| {
                            path.captures_iter(of_macro).map(move |field| format!("{system}.{}", &field[1]))
                        }));
                        for captures in configuration.captures_iter(&text).filter(|found| defined(&found[1])) {
                            found.extend(
                                path.captures_iter(&captures[2]).map(|field| format!("{}.{}", &captures[1], &field[1])),
                            );
                        }
                    }
                }
            }
        }
        found
    }

    #[test]
    fn every_path_of_a_configuration_begins_at_its_folder() {
        let named = Regex::new(r"here/(\w+\.\w+)").expect("a pattern");
        let names = |text: &str| named.captures_iter(text).map(|found| found[1].to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(names(EVERY_PATH), declared(), "EVERY_PATH names each path of the configuration");
        let config: Config = parse("bellwether.yaml", EVERY_PATH.to_owned()).expect("reads");
        let placed = serde_json::to_string(&relative_to(config, Path::new("/conf"))).expect("JSON");
        assert!(!placed.contains("\"here/"), "a path was not moved: {placed}");
        assert_eq!(placed.matches("\"/conf/here/").count(), EVERY_PATH.matches("here/").count());
    }

    #[test]
    fn what_is_not_named_begins_there_too() {
        let config = relative_to(Config::default(), Path::new("/conf"));
        assert_eq!(config.journal_config().dir, Path::new("/conf/bellwether-state/journal"));
    }
}
