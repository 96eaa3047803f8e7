//! The commands as a user types them.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn bellwether(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bellwether"))
        .args(args)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("NO_COLOR", "1")
        .output()
        .expect("the program starts")
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn every_command_explains_itself() {
    for command in bellwether::cli::command_tree().get_subcommands() {
        let help = stdout(&bellwether(&[command.get_name(), "--help"]));
        assert!(help.lines().next().is_some_and(|first| first.len() > 20), "{help}");
    }
}

#[test]
fn a_simulation_replays_the_same_on_any_number_of_threads() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let out = dir.path().join("sim").display().to_string();
    stdout(&bellwether(&["simulate", "--seed", "7", "--estate", "60", "--faults", "1", "--out", &out]));
    let figures = |threads: &str| -> Value {
        let file = dir.path().join(format!("incidents-{threads}.ndjson")).display().to_string();
        let args = ["replay", &out, "--threads", threads, "--json", "--out", &file];
        serde_json::from_str(&stdout(&bellwether(&args))).expect("figures")
    };
    let one = figures("1");
    assert!(one["signals"].as_u64().is_some_and(|signals| signals > 1_000), "{one}");
    assert_eq!(one["state_digest"], figures("3")["state_digest"]);
    let events = |threads: &str| std::fs::read(dir.path().join(format!("incidents-{threads}.ndjson"))).expect("events");
    assert_eq!(events("1"), events("3"));
}

#[test]
fn a_replay_of_standard_input_tells_what_that_of_the_file_tells() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/shop/signals.ndjson");
    let named: Value = serde_json::from_str(&stdout(&bellwether(&["replay", &file.display().to_string(), "--json"])))
        .expect("figures");
    let mut program = Command::new(env!("CARGO_BIN_EXE_bellwether"));
    let program = program.args(["replay", "-", "--json"]).stdin(File::open(&file).expect("opens"));
    let piped: Value = serde_json::from_str(&stdout(&program.output().expect("it starts"))).expect("figures");
    assert!(named["signals"].as_u64().is_some_and(|signals| signals > 30), "{named}");
    for figure in ["signals", "incidents"] {
        assert_eq!(named[figure], piped[figure], "{figure}");
    }
}

/// The first YAML block of the README.
fn readme_config() -> String {
    let readme =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("README reads");
    let block = readme.split("```yaml\n").nth(1).expect("the README shows a configuration");
    block.split("```").next().expect("the block ends").to_owned()
}

#[test]
fn the_configuration_in_the_readme_runs_as_pasted() {
    let dir = tempfile::tempdir().expect("temporary folder");
    // Pasted beside the examples; what it writes goes elsewhere.
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let state = dir.path().join("state");
    let text = readme_config()
        .replace("demo-out/shop", &state.display().to_string())
        .replace("examples/", &format!("{}/examples/", here.display()));
    let config = dir.path().join("bellwether.yaml").display().to_string();
    std::fs::write(&config, text).expect("writes");
    stdout(&bellwether(&["validate", &config]));
    let said = stdout(&bellwether(&["run", "-c", &config]));
    assert!(said.contains("incident"), "{said}");
    let events = std::fs::read_to_string(state.join("incidents.ndjson")).expect("events");
    assert!(events.lines().count() >= 2, "{events}");
    let first: Value = serde_json::from_str(events.lines().next().expect("a line")).expect("JSON");
    let id = first["record"]["id"].as_str().expect("an id");
    let told = stdout(&bellwether(&["explain", id, "--from", &state.display().to_string()]));
    assert!(told.contains("who should act"), "{told}");
    let nothing = bellwether(&["topology", "--from", &here.display().to_string()]);
    let nothing = String::from_utf8_lossy(&nothing.stderr).into_owned();
    assert!(nothing.contains("name the folder of a run with --from"), "{nothing}");
    let listed = stdout(&bellwether(&["explain", "--from", &state.display().to_string()]));
    assert!(listed.lines().any(|line| line.contains(id) && line.contains("resolved")), "{listed}");
    let alert = first["record"]["alerts"][0]["fingerprint"].as_str().expect("a fingerprint");
    let told = stdout(&bellwether(&["explain", alert, "--not-in", id, "--from", &state.display().to_string()]));
    assert!(told.contains(&format!("Alert {alert}")) && told.contains("is in it"), "{told}");
    let refused = bellwether(&["explain", id, "--not-in", id, "--from", &state.display().to_string()]);
    assert!(
        !refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("--not-in asks about an alert")
    );
    // Started again, it tells nothing twice.
    stdout(&bellwether(&["run", "-c", &config]));
    assert_eq!(std::fs::read_to_string(state.join("incidents.ndjson")).expect("events"), events);
}

#[test]
fn two_sinks_of_one_name_are_refused_before_they_share_a_cursor() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let file = dir.path().join("bellwether.yaml");
    let config = |second: &str| {
        format!(
            "sources: [{{files: {{tenant: acme, paths: [in.ndjson]}}}}]\n\
             sinks:\n  - ndjson: {{path: a.ndjson}}\n  - ndjson: {{path: b.ndjson{second}}}\n"
        )
    };
    std::fs::write(&file, config("")).expect("writes");
    let path = file.display().to_string();
    for args in [vec!["validate", &path], vec!["run", "-c", &path]] {
        let output = bellwether(&args);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains("two sinks are called `ndjson`"), "{args:?}: {said}");
    }
    std::fs::write(&file, config(", name: copy")).expect("writes");
    stdout(&bellwether(&["validate", &path]));
}

/// A filesystem that fills within hours, and an alert, as rows of a file.
fn filling_disk() -> String {
    let at = |step: u32| format!("2026-03-{:02}T{:02}:{:02}:00Z", 1 + step / 144, step / 6 % 24, step % 6 * 10);
    let sample = |step: u32| {
        let value = 1e9 * (1.0 - f64::from(step) / 400.0);
        format!(
            r#"{{"signal":"metric","time":"{}","name":"node_filesystem_avail_bytes","entity":"host:a","value":{value},"labels":{{"mountpoint":"/data"}}}}"#,
            at(step)
        )
    };
    let alert = format!(
        r#"{{"signal":"alert","time":"{}","source":"test","name":"Down","entity":"host:a","severity":"critical","status":"firing"}}"#,
        at(330)
    );
    let mut rows: Vec<String> = (0..=360).map(sample).collect();
    rows.insert(331, alert);
    rows.join("\n") + "\n"
}

#[test]
fn every_command_that_looks_takes_the_configuration_or_the_folder_and_needs_no_file_of_incidents() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let (config, state) = (dir.path().join("bellwether.yaml"), dir.path().join("state"));
    std::fs::write(dir.path().join("rows.ndjson"), filling_disk()).expect("writes");
    let text = "state: state\ntick: 0s\nsources: [{files: {tenant: acme, paths: [rows.ndjson]}}]\n\
                sinks: [{ndjson: {path: elsewhere.ndjson}}]\n";
    std::fs::write(&config, text).expect("writes");
    let (config, state) = (config.display().to_string(), state.display().to_string());
    stdout(&bellwether(&["run", "-c", &config]));
    std::fs::remove_file(dir.path().join("elsewhere.ndjson")).expect("it was written where it should be");
    for of in [["-c", &config], ["--from", &state]] {
        let looked = |args: &[&str]| stdout(&bellwether(&[args, &of].concat()));
        let listed = looked(&["explain", "--json"]);
        let last: Value = serde_json::from_str(listed.lines().next_back().expect("an incident")).expect("JSON");
        let told = looked(&["explain", last["record"]["id"].as_str().expect("an id")]);
        for part in ["Why each alert is in it", "What follows is as of", "checkpoint, at journal position"] {
            assert!(told.contains(part), "{of:?}: {part} in {told}");
        }
        let forecasts = looked(&["forecasts"]);
        let disk = forecasts.lines().find(|line| line.contains("host:a")).unwrap_or_else(|| panic!("{forecasts}"));
        assert!(disk.starts_with('!') && disk.contains("mountpoint=/data"), "{disk}");
        assert!(forecasts.starts_with("as of ") && forecasts.contains(" ago"), "{forecasts}");
        let one: Value = serde_json::from_str(&looked(&["forecasts", "--json"])).expect("one document");
        let forecast = &one["forecast"];
        assert_eq!(
            (&one["tenant"], &forecast["alerting"], &forecast["limit"]),
            (&"acme".into(), &true.into(), &0.0.into())
        );
        assert!(forecast["p50"].as_str().is_some_and(|at| at.starts_with("2026-03-03T1")), "{forecast}");
        assert!(one["checkpoint"]["position"].as_u64().is_some_and(|at| at > 0), "{one}");
        assert!(looked(&["topology"]).starts_with("as of "));
    }
    let nothing = bellwether(&["forecasts", "--from", &dir.path().display().to_string()]);
    let said = String::from_utf8_lossy(&nothing.stderr).into_owned();
    assert!(nothing.status.code() == Some(2) && said.contains("with -c"), "{said}");
}
