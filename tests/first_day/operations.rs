//! `examples/operations`: each file is read by the program that it is written for.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use regex::Regex;
use serde_json::Value;

use crate::programs::{bellwether, output_of, peer, root, said, text_of};
use crate::service::{Service, TOKEN, free_address, pause, wait_until};
use crate::skipped::skipped;

fn file(name: &str) -> String {
    text_of(&format!("examples/operations/{name}"))
}

/// The names of all metrics in a text of PromQL.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let name = Regex::new(r"\bbellwether_[a-z_]+").expect("a pattern");
    name.find_iter(text).map(|found| found.as_str().to_owned()).collect()
}

/// The names of all metrics that a running program shows.
fn exported() -> BTreeSet<String> {
    let dir = tempfile::tempdir().expect("temporary folder");
    let service = Service::start(dir.path());
    assert_eq!(service.alert(TOKEN, "db-1", &["DiskFull"]).status, 200);
    wait_until("an incident is told", || !service.records().is_empty());
    // The engine's figures are shown once they have been gathered.
    pause(Duration::from_secs(2));
    let page = service.metrics();
    page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).map(str::to_owned).collect()
}

/// Checks that the program shows every metric that `text` names.
fn names_what_is_shown(what: &str, text: &str) {
    let (named, shown) = (metrics_in(text), exported());
    assert!(named.len() > 8, "{what} names {named:?}");
    let missing: Vec<&String> = named.difference(&shown).collect();
    assert!(missing.is_empty(), "{what} names what /metrics does not show: {missing:?}");
}

#[test]
fn the_dashboard_names_only_metrics_that_are_shown() {
    names_what_is_shown("dashboard.json", &file("dashboard.json"));
}

#[test]
fn the_rules_name_only_metrics_that_are_shown() {
    names_what_is_shown("rules.yml", &file("rules.yml"));
}

#[test]
fn every_query_of_the_dashboard_is_promql_and_no_panel_lies_over_another() {
    let dashboard: Value = serde_json::from_str(&file("dashboard.json")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let number = |value: &Value| value.as_u64().expect("a number");
    let (mut cells, mut ids, mut rules) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    for panel in panels {
        let place = &panel["gridPos"];
        for x in number(&place["x"])..number(&place["x"]) + number(&place["w"]) {
            for y in number(&place["y"])..number(&place["y"]) + number(&place["h"]) {
                assert!(x < 24 && cells.insert((x, y)), "{} lies over another", panel["title"]);
            }
        }
        assert!(ids.insert(number(&panel["id"])), "{}", panel["title"]);
        let targets = panel["targets"].as_array().map_or(&[][..], Vec::as_slice);
        assert_eq!(targets.is_empty(), panel["type"] == "row", "{}", panel["title"]);
        rules.extend(targets.iter().map(|target| target["expr"].as_str().expect("a query").to_owned()));
    }
    // As Grafana fills them in.
    let filled = rules.iter().enumerate().map(|(number, query)| {
        let query = query.replace("$__rate_interval", "5m");
        let query = Regex::new(r"\$\w+").expect("a pattern").replace_all(&query, ".*").into_owned();
        serde_json::json!({"record": format!("panel:{number}"), "expr": query})
    });
    let groups = serde_json::json!({"groups": [{"name": "dashboard", "rules": filled.collect::<Vec<_>>()}]});
    let dir = tempfile::tempdir().expect("temporary folder");
    let path = dir.path().join("dashboard.yml");
    // JSON is YAML.
    fs::write(&path, groups.to_string()).expect("writes");
    let mut promtool = peer("peers/usr/bin/promtool");
    promtool.args(["check", "rules"]).arg(path);
    output_of(promtool);
}

#[test]
fn the_rules_about_ourselves_fire_as_their_tests_say() {
    let folder = root().join("examples/operations");
    for arguments in [["check", "rules", "rules.yml"], ["test", "rules", "rules.test.yml"]] {
        let mut promtool = peer("peers/usr/bin/promtool");
        promtool.args(arguments).current_dir(&folder);
        output_of(promtool);
    }
}

#[test]
fn systemd_accepts_the_unit_and_finds_it_hardened() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        return skipped("systemd-analyze is not installed: nobody looks at the unit");
    }
    let dir = tempfile::tempdir().expect("temporary folder");
    let unit = dir.path().join("bellwether.service");
    let text = file("bellwether.service");
    // systemd looks whether the program is there.
    let text = text.replace("/usr/local/bin/bellwether", env!("CARGO_BIN_EXE_bellwether"));
    fs::write(&unit, &text).expect("writes");
    let mut verify = Command::new("systemd-analyze");
    verify.args(["verify", "--man=no"]).arg(&unit);
    let output = verify.output().expect("it starts");
    assert!(output.status.success() && said(&output).trim().is_empty(), "{}", said(&output));
    let mut security = Command::new("systemd-analyze");
    // In tenths; below two it is among the best protected of a usual machine.
    security.args(["security", "--offline=true", "--threshold=20"]).arg(&unit);
    let output = security.output().expect("it starts");
    assert!(output.status.success(), "{}", said(&output));
    for line in text.lines().filter_map(|line| line.strip_prefix("Exec")) {
        let (_, command) = line.split_once('=').expect("a command");
        if let Some(arguments) = command.strip_prefix(env!("CARGO_BIN_EXE_bellwether")) {
            understood(arguments.split_whitespace());
        }
    }
}

/// The command that the head of a file shows, from its first word on.
fn in_head(name: &str, begin: &str) -> String {
    let text = file(name);
    let line = text.lines().find_map(|line| line.strip_prefix("#   ").filter(|line| line.starts_with(begin)));
    line.unwrap_or_else(|| panic!("the head of {name} shows no `{begin}`")).to_owned()
}

#[test]
fn a_first_configuration_is_that_of_the_unit_and_of_the_container_by_the_commands_in_their_heads() {
    for (name, folder) in [("bellwether.service", "/etc/bellwether"), ("Containerfile", "bellwether/")] {
        for preset in ["prometheus", "opentelemetry", "kubernetes", "syslog"] {
            let dir = tempfile::tempdir().expect("temporary folder");
            let made = dir.path().join("made");
            let mut init = bellwether();
            init.args(["init", preset]).arg(&made);
            output_of(init);
            let place = if folder.ends_with('/') { format!("{}/", made.display()) } else { made.display().to_string() };
            let mut sed = Command::new("sh");
            // The last word is the file; what stands before it names places in the unit or the image.
            let command = in_head(name, "sed ");
            let (edit, target) = command.rsplit_once(' ').expect("a file");
            sed.args(["-ec", &format!("{edit} '{}'", target.replace(folder, &place))]);
            output_of(sed);
            let mut validate = bellwether();
            validate.arg("validate").arg(made.join("bellwether.yaml"));
            let shown = output_of(validate);
            // What the unit lets it write, and what logrotate moves.
            for part in ["state    /var/lib/bellwether\n", "file /var/lib/bellwether/incidents.ndjson\n"] {
                assert!(shown.contains(part), "{name}, {preset}: {shown}");
            }
            assert_eq!(shown.contains("at 0.0.0.0:"), name == "Containerfile", "{name}, {preset}: {shown}");
        }
    }
    assert!(file("bellwether.service").contains("\nStateDirectory=bellwether\n"));
    assert!(file("bellwether.logrotate").contains("\n/var/lib/bellwether/incidents.ndjson {"));
}

/// Our own command line takes these arguments.
fn understood<'a>(arguments: impl Iterator<Item = &'a str>) {
    let words: Vec<&str> = std::iter::once("bellwether").chain(arguments).collect();
    if let Err(error) = bellwether::cli::command_tree().try_get_matches_from(&words) {
        panic!("{words:?}: {error}");
    }
}

#[test]
fn the_container_runs_as_nobody_special_and_asks_after_its_health_by_itself() {
    let text = file("Containerfile");
    assert!(text.matches("\nFROM ").count() == 2, "it is built in one image and runs in another");
    let (_, runs) = text.rsplit_once("\nFROM ").expect("two stages");
    assert!(runs.contains("\nUSER 10001:10001\n"), "{runs}");
    let lists = Regex::new(r"CMD (\[.*\])").expect("a pattern");
    let lists: Vec<Vec<String>> =
        lists.captures_iter(runs).map(|found| serde_json::from_str(&found[1]).expect("a list")).collect();
    assert_eq!(lists.len(), 2, "what runs, and what looks after it");
    for list in &lists {
        understood(list.iter().map(String::as_str).filter(|word| *word != "bellwether"));
    }
    let health = lists.iter().find(|list| list.contains(&"check".to_owned())).expect("a look at its health");
    let dir = tempfile::tempdir().expect("temporary folder");
    let mut service = Service::start(dir.path());
    let look = || {
        let mut command = bellwether();
        let config = dir.path().join("bellwether.yaml").display().to_string();
        command.args(health[1..].iter().map(|word| word.replace("/etc/bellwether/bellwether.yaml", &config)));
        command.output().expect("it starts")
    };
    let output = look();
    assert!(output.status.success() && said(&output).contains("a process runs with it"), "{}", said(&output));
    assert_eq!(service.stop(), Some(0));
}

/// The revisions in the file of incidents and in those that were moved away before it, by incident.
fn revisions(folder: &Path) -> BTreeMap<String, Vec<u64>> {
    let mut found: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("a folder").filter_map(Result::ok) {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with("incidents.ndjson") {
            continue;
        }
        let mut read = Command::new(if name.ends_with(".gz") { "zcat" } else { "cat" });
        read.arg(entry.path());
        for line in output_of(read).lines() {
            let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{name}: {error}: {line}"));
            let key = line["key"].as_str().expect("a key");
            let (incident, revision) = key.rsplit_once('/').expect("tenant/id/revision");
            found.entry(incident.to_owned()).or_default().push(revision.parse().expect("a number"));
        }
    }
    found.values_mut().for_each(|revisions| revisions.sort_unstable());
    found
}

#[test]
fn logrotate_moves_the_file_of_incidents_and_no_revision_is_lost_or_there_twice() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let folder = dir.path();
    let http = free_address();
    // Each alert is an incident of its own.
    Service::configure(
        folder,
        http,
        "  correlate: {threshold: 0.9999, merge_threshold: 0.9999}\n",
        "  alertmanager: {}\n",
    );
    let incidents = folder.join("incidents.ndjson").display().to_string();
    let config = folder.join("logrotate.conf");
    // The user of the unit is not on this machine.
    let text = file("bellwether.logrotate").replace("/var/lib/bellwether/incidents.ndjson", &incidents);
    fs::write(&config, text.replace("    su bellwether bellwether\n", "")).expect("writes");
    let rotate = || {
        let mut logrotate = peer("peers/usr/sbin/logrotate");
        logrotate.arg("--force").arg("--state").arg(folder.join("logrotate.state")).arg(&config);
        output_of(logrotate);
    };
    let mut service = Service::run(folder, http);
    for (round, host) in ["db-1", "db-2", "db-3", "db-4"].into_iter().enumerate() {
        assert_eq!(service.alert(TOKEN, host, &["DiskFull"]).status, 200);
        wait_until(&format!("an incident of {host}"), || {
            service.records().iter().any(|line| line["record"]["title"] == format!("DiskFull on {host}"))
        });
        if round == 2 {
            // Also where the program is not there to see it, and is told to read its configuration again.
            service.signal("HUP");
            assert_eq!(service.stop(), Some(0));
            rotate();
            service = Service::run(folder, http);
        } else {
            rotate();
        }
    }
    assert_eq!(service.stop(), Some(0));
    assert!(folder.join("incidents.ndjson.2.gz").exists(), "the older ones are compressed");
    let found = revisions(folder);
    assert_eq!(found.len(), 4, "{found:?}");
    for (incident, revisions) in &found {
        let expected: Vec<u64> = (1..=revisions.len() as u64).collect();
        assert_eq!(*revisions, expected, "{incident}");
    }
}
