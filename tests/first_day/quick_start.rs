//! `docs/quick-start.md`, followed as it stands: its files, its commands, its failure, its incident.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::programs::{Ports, Running, bellwether, peer, said, text_of};
use crate::service::pause;

/// The page promises an incident within a minute or so.
const PATIENCE: Duration = Duration::from_secs(120);
/// What goes on until it is stopped, and so has a terminal of its own.
const SERVE: [&str; 3] = ["bellwether run", "prometheus-node-exporter", "prometheus "];

/// A fenced block: its language and its text.
struct Block {
    language: String,
    text: String,
}

/// The fenced blocks of a document, by the heading of the second level that they stand under.
fn blocks(document: &str) -> Vec<(String, Vec<Block>)> {
    let mut sections = vec![(String::new(), Vec::new())];
    let mut open: Option<Block> = None;
    for line in document.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (Some(_), Some(_)) => sections.last_mut().expect("never empty").1.extend(open.take()),
            (Some(block), None) => block.text.push_str(&format!("{line}\n")),
            (None, Some(language)) => open = Some(Block { language: language.to_owned(), text: String::new() }),
            (None, None) => {
                if let Some(heading) = line.strip_prefix("## ") {
                    sections.push((heading.to_owned(), Vec::new()));
                }
            }
        }
    }
    sections
}

/// Somebody who follows the page, each port and program where it is here.
struct Reader<'a> {
    folder: &'a Path,
    ports: Ports,
    /// What runs in terminals of its own, by its first word.
    terminals: Vec<(String, Running)>,
}

impl Reader<'_> {
    fn follow(&mut self, block: &Block) -> String {
        let text = self.ports.place(&block.text);
        match block.language.as_str() {
            "yaml" => {
                let name = text.lines().next().and_then(|line| line.strip_prefix("# ")).expect("a file has its name");
                fs::write(self.folder.join(name), &text).expect("writes");
                String::new()
            }
            "sh" => text.lines().map(|line| self.type_in(line)).collect(),
            _ => String::new(),
        }
    }

    fn type_in(&mut self, line: &str) -> String {
        let mut words = line.split_whitespace();
        let program = words.next().expect("a command");
        let mut command = match program {
            "bellwether" => bellwether(),
            "prometheus" | "prometheus-node-exporter" => peer(&format!("peers/usr/bin/{program}")),
            other => Command::new(other),
        };
        command.args(words).current_dir(self.folder);
        if SERVE.iter().any(|serving| line.starts_with(serving)) {
            let shown = fs::File::create(self.folder.join(format!("{program}.shown"))).expect("a file");
            let child = command.stdin(Stdio::null()).stdout(shown).stderr(Stdio::null()).spawn();
            self.terminals.push((program.to_owned(), Running(child.expect("it starts"))));
            // What a person types next comes later, too.
            pause(Duration::from_secs(2));
            return String::new();
        }
        let output = command.output().unwrap_or_else(|error| panic!("{line}: {error}"));
        assert!(output.status.success(), "{line}\n{}", said(&output));
        if line.starts_with("bellwether init") {
            // What it writes listens at a port that another test may have.
            let config = self.folder.join("bellwether/bellwether.yaml");
            let text = fs::read_to_string(&config).expect("written");
            fs::write(&config, self.ports.place(&text)).expect("writes");
        }
        said(&output)
    }

    fn stop(&mut self, program: &str) {
        self.terminals.retain(|(running, _)| running != program);
    }

    fn shown(&self, program: &str) -> String {
        fs::read_to_string(self.folder.join(format!("{program}.shown"))).expect("reads")
    }
}

#[test]
fn who_follows_the_quick_start_sees_a_real_incident() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let ports = Ports::of(&[9099, 9090, 9100]);
    let sections = blocks(&text_of("docs/quick-start.md"));
    let mut reader = Reader { folder: dir.path(), ports, terminals: Vec::new() };
    let (before, after): (Vec<_>, Vec<_>) =
        sections.iter().partition(|(heading, _)| !heading.starts_with("4.") && !heading.starts_with("5."));
    assert_eq!(after.len(), 2, "the failure has a section, and there is one after it");
    for block in before.iter().flat_map(|(_, blocks)| blocks) {
        reader.follow(block);
    }
    reader.stop("prometheus-node-exporter");
    let began = Instant::now();
    while !reader.shown("bellwether").contains("HostDown") {
        assert!(began.elapsed() < PATIENCE, "no incident within {PATIENCE:?}: {}", reader.shown("bellwether"));
        pause(Duration::from_millis(500));
    }
    let shown = reader.shown("bellwether");
    assert!(shown.contains(" opened ") && shown.contains("HostDown on 127.0.0.1"), "{shown}");
    // The page shows such a line.
    let promised = after[0].1.iter().find(|block| block.language == "text").expect("what is to be seen");
    for part in ["P3  opened", "HostDown on 127.0.0.1  [default] 1 alerts, rev 1  → operations"] {
        assert!(promised.text.contains(part) && shown.contains(part), "{part} in {shown}");
    }
    let told: String = after[0].1.iter().map(|block| reader.follow(block)).collect();
    assert!(told.contains("HostDown on 127.0.0.1") && told.contains(".opened."), "{told}");
}
