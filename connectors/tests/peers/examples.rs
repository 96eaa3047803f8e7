//! `examples/` as shipped, in a folder of its own where a test may write.
//!
//! Of the files only places are changed: the ports they name, for several tests run on one machine, and
//! `/etc/bellwether`, which is not ours to write. Tokens are made by the script that users run.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use regex::{Captures, Regex};

use crate::rig::{free_address, output_of, repository};

/// Every port that a shipped file names: ours first, then those of senders.
const PORTS: [&str; 9] = ["9099", "4317", "5514", "8125", "9162", "24224", "9090", "8429", "10514"];
/// Where shipped files of senders look for what Bellwether's operator gives them.
const ETC: &str = "/etc/bellwether";

/// The copy.
pub(crate) struct Examples {
    folder: PathBuf,
    ports: BTreeMap<&'static str, u16>,
}

impl Examples {
    /// Copies all of it to `folder`, with ports that are free.
    pub(crate) fn copied_to(folder: &Path) -> Examples {
        let ports = PORTS.into_iter().map(|port| (port, free_address().port())).collect();
        let examples = Examples { folder: folder.to_owned(), ports };
        examples.copy(&repository().join("examples"), folder);
        let mut tokens = Command::new("sh");
        tokens.arg(folder.join("tokens.sh"));
        output_of(tokens);
        // What an operator puts into `/etc/bellwether`.
        fs::copy(folder.join("mappings/notify.py"), folder.join("notify.py")).expect("temp dir is writable");
        examples
    }

    fn copy(&self, from: &Path, to: &Path) {
        fs::create_dir(to).expect("temp dir is writable");
        for entry in fs::read_dir(from).expect("a folder of examples") {
            let entry = entry.expect("reads");
            let target = to.join(entry.file_name());
            // Tokens of whoever works in this clone are not the test's.
            if entry.file_name() == "token" {
                continue;
            }
            if entry.path().is_dir() {
                self.copy(&entry.path(), &target);
                continue;
            }
            fs::copy(entry.path(), &target).expect("temp dir is writable");
            let text = fs::read_to_string(&target).expect("examples are text");
            fs::write(&target, self.placed(&text)).expect("temp dir is writable");
        }
    }

    /// `text` with every port and folder where this test has it.
    fn placed(&self, text: &str) -> String {
        let port = Regex::new(r#"(:|port=")(\d{4,5})\b"#).expect("a pattern");
        let moved = port.replace_all(text, |found: &Captures<'_>| match self.ports.get(&found[2]) {
            Some(port) => format!("{}{port}", &found[1]),
            None => found[0].to_owned(),
        });
        moved.replace(ETC, &self.folder.display().to_string())
    }

    /// Where relative paths of the shipped files begin.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The copy of a file.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// What a file says.
    pub(crate) fn text(&self, name: &str) -> String {
        let path = self.file(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Where a port of the shipped files is here.
    pub(crate) fn moved(&self, port: &str) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.ports[port]))
    }
}

/// Each folder of `examples/`, and the test that runs its files as shipped with the real program; where
/// there is none, why.
const RUN_BY: [(&str, &str); 29] = [
    ("alertmanager", "alerts::alertmanager_repeats_a_refused_webhook_and_tells_the_recovery"),
    ("argocd", "changes::the_template_of_argo_cd_filled_in_is_a_change"),
    ("collectd", "logs::collectd_writes_its_values"),
    ("fluent-logger", "notifications::the_fluent_logger_for_python_sends_records"),
    ("icinga", "suites::icinga_tells_a_full_disk_and_a_host_that_is_down_and_their_end"),
    ("jira", "no sender: connectors/src/bridges/tests runs it with a strict server of our own"),
    ("mail", "no sender: connectors/src/bridges/tests/told.rs runs it with a real mail server"),
    ("mappings", "suites::the_notification_command_posts_the_variables_of_checkmk"),
    ("mattermost", "no sender: connectors/src/bridges/tests runs it with a strict server of our own"),
    ("nagios", "suites::nagios_tells_a_full_disk_and_a_host_that_is_down_and_their_end"),
    ("opentelemetry-python", "opentelemetry::the_python_sdk_sends_all_signals_over_http_with_gzip"),
    ("operations", "no sender: tests/first_day/operations.rs has each file read by its program"),
    ("pagerduty", "changes::pagerdutys_client_tells_of_a_deployment_and_asks_again_when_refused"),
    ("pagerduty-events", "no sender: connectors/src/bridges/tests runs it with a strict server of our own"),
    ("prometheus", "metrics::prometheus_loses_and_doubles_nothing_when_the_journal_is_full_for_a_while"),
    ("redmine", "no sender: tests/bridge runs it with a real Redmine"),
    ("request-tracker", "no sender: tests/bridge runs it with a real Request Tracker"),
    ("roundup", "no sender: tests/bridge runs it with a real Roundup"),
    ("rsyslog", "logs::rsyslog_forwards_and_indexes_and_keeps_what_a_full_journal_refuses"),
    ("service-now", "no sender: connectors/src/bridges/tests runs it with a strict server of our own"),
    ("shop", "no sender: the configuration of the README reads it, tests/cli.rs runs that"),
    ("slack", "no sender: connectors/src/bridges/tests runs it with a strict server of our own"),
    ("snmp", "notifications::snmptrap_tells_a_link_down_and_up_and_snmpinform_waits_for_the_journal"),
    ("subscriber", "no sender: tests/conform runs it, through a pipe and by webhooks"),
    ("teams", "no sender: connectors/src/bridges/tests runs it with a strict server of our own"),
    ("ticketing", "changes::what_the_ticketing_script_says_is_in_the_journal"),
    ("vmagent", "metrics::vmagent_writes_its_own_scrapes"),
    ("webhook", "no sender: connectors/src/bridges/tests/told.rs runs it with a strict receiver"),
    ("zammad", "no sender: connectors/src/bridges/tests runs it with a strict server of our own"),
];

#[test]
fn every_folder_of_examples_is_run_by_a_test() {
    let folders = fs::read_dir(repository().join("examples")).expect("a folder");
    let folders = folders.filter_map(Result::ok).filter(|entry| entry.path().is_dir());
    let mut there: Vec<String> = folders.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    there.sort();
    let listed: Vec<&str> = RUN_BY.iter().map(|(folder, _)| *folder).collect();
    assert_eq!(there, listed, "a new example has a test that runs it, and a line in RUN_BY");
    let sources = repository().join("connectors/tests/peers");
    for (folder, test) in RUN_BY {
        let Some((module, name)) = test.split_once("::") else { continue };
        let source = fs::read_to_string(sources.join(module).with_extension("rs")).expect("a module of these tests");
        let of_it = source.split("\n#[").find(|part| part.contains(&format!("fn {name}(")));
        assert!(of_it.is_some(), "{folder}: there is no test {test}");
        // Named in the test itself or in what it is built of.
        assert!(
            source.contains(&format!("{folder}/")) || source.contains(&format!("\"{folder}\"")),
            "{test}: {folder}"
        );
    }
}
