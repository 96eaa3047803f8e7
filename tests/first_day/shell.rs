//! Completions that a shell loads, and manual pages that a formatter reads.

use std::path::Path;
use std::process::Command;

use regex::Regex;

use crate::programs::{bellwether, output_of, peer, said};
use crate::skipped::skipped;

fn completions(shell: &str) -> String {
    let mut command = bellwether();
    command.args(["completions", shell]);
    output_of(command)
}

#[test]
fn bash_completes_commands_flags_and_values() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let script = dir.path().join("bellwether.bash");
    std::fs::write(&script, completions("bash")).expect("writes");
    let complete = |words: &[&str]| {
        let asked = format!(
            "set -e; source '{}'; COMP_WORDS=({}); COMP_CWORD={}; COMPREPLY=(); \
             _bellwether bellwether '{}' '{}'; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            script.display(),
            words.join(" "),
            words.len() - 1,
            words.last().expect("a word"),
            words[words.len() - 2],
        );
        let mut bash = Command::new("bash");
        bash.args(["--norc", "-c", &asked]);
        output_of(bash)
    };
    let found = |text: String, word: &str| text.lines().any(|line| line == word);
    assert!(found(complete(&["bellwether", "in"]), "init"));
    assert!(found(complete(&["bellwether", "init", "kub"]), "kubernetes"));
    assert!(found(complete(&["bellwether", "run", "--conf"]), "--config"));
}

#[test]
fn every_shell_has_completions_that_name_the_commands() {
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        let script = completions(shell);
        for command in bellwether::cli::command_tree().get_subcommands() {
            assert!(script.contains(command.get_name()), "{shell} lacks {}", command.get_name());
        }
    }
}

fn pages(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder").filter_map(Result::ok);
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn each_command_has_a_manual_page_that_formats_without_a_warning() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let out = dir.path().join("man1");
    let mut command = bellwether();
    command.arg("man").arg("--out").arg(&out);
    output_of(command);
    let names = pages(&out);
    assert!(names.contains(&"bellwether.1".to_owned()), "{names:?}");
    for command in bellwether::cli::command_tree().get_subcommands() {
        assert!(names.contains(&format!("bellwether-{}.1", command.get_name())), "{}: {names:?}", command.get_name());
    }
    // What mandoc warns of (a page without a date) is a matter of taste; what it calls an error is not.
    for name in &names {
        let mut mandoc = peer("peers/usr/bin/mandoc");
        mandoc.args(["-T", "lint", "-W", "error"]).arg(out.join(name));
        let output = mandoc.output().expect("it starts");
        assert!(output.status.success(), "{name}: {}", said(&output));
    }
    let mut mandoc = peer("peers/usr/bin/mandoc");
    mandoc.args(["-T", "utf8"]).arg(out.join("bellwether-init.1"));
    // Bold and underlined as on a typewriter: a letter, back, a letter.
    let page = Regex::new(".\u{8}").expect("a pattern").replace_all(&output_of(mandoc), "").into_owned();
    assert!(page.contains("prometheus") && page.contains("FOLDER"), "{page}");
    if Command::new("man").arg("--version").output().is_err() {
        return skipped("`man` is not installed: groff's warnings are not looked at");
    }
    for name in names {
        let mut man = Command::new("man");
        man.args(["--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z"]).arg(out.join(&name)).env("LC_ALL", "C.UTF-8");
        let output = man.output().expect("it starts");
        let warnings = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && warnings.is_empty(), "{name}: {warnings}");
    }
}
