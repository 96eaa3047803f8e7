//! The commands as a user types them.

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
