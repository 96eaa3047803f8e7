//! `bellwether models templates FILE.log`: which lines of a log say the same thing.
//!
//! Lines are mined online, in order, with state that is bounded. The output is written at
//! the end of the file, so that every line carries its group's final template: groups may
//! have merged since the line was read.

use super::io::{self, Column, OutputArgs, Table};
use crate::eval::settings::Settings;
use crate::progress::shared_bar;
use anyhow::{Context, Result};
use bellwether_models::templates::{Miner, without_colours};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// `bellwether models templates`
#[derive(Debug, Clone, clap::Args)]
pub struct TemplatesArgs {
    /// Log file with one message a line, or - for stdin; .gz is decompressed
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Where the output goes
    #[command(flatten)]
    pub output: OutputArgs,
    /// Templates held at once; the one unused the longest makes room
    #[arg(long, value_name = "N")]
    pub templates_max: Option<usize>,
    /// Parameters that differ from the defaults, as YAML (section `miner`)
    #[arg(long, value_name = "FILE")]
    pub params: Option<PathBuf>,
}

/// Bytes of a line that are kept; the rest of a longer one is skipped.
const LINE_BYTES_MAX: u64 = 1 << 20;

/// Runs the command.
///
/// # Errors
/// When the file cannot be read or the output cannot be written.
pub fn run(args: &TemplatesArgs) -> Result<ExitCode> {
    let settings = args.params.as_deref().map(Settings::read).transpose()?.unwrap_or_default();
    let mut params = settings.miner;
    params.templates_max = args.templates_max.unwrap_or(params.templates_max);
    let mut mined = Mined::new(Miner::new(params.check()?));
    let bar = shared_bar(None, "lines");
    for_each_line(&args.file, |line| {
        mined.learn(line);
        bar.add(1);
    })?;
    drop(bar);
    let (ids, texts) = mined.finish();
    let table = Table::default()
        .with("line", Column::Int((1..=ids.len() as i64).collect()))
        .with("template_id", Column::Text(ids.iter().map(|id| format!("{id:016x}")).collect()))
        .with("template", Column::Text(texts));
    args.output.write(&table)?;
    Ok(ExitCode::SUCCESS)
}

/// A miner and what it said of each line.
#[derive(Debug)]
pub struct Mined {
    miner: Miner,
    /// Index into `groups` per line.
    lines: Vec<u32>,
    /// Slot, id and text of each group as of its last new sight.
    groups: Vec<(u32, u64, String)>,
    by_slot: HashMap<u32, u32>,
}

impl Mined {
    /// Starts with a miner.
    #[must_use]
    pub fn new(miner: Miner) -> Self {
        Self { miner, lines: Vec::new(), groups: Vec::new(), by_slot: HashMap::new() }
    }

    /// Learns the next line.
    pub fn learn(&mut self, line: &str) {
        let slot = self.miner.learn(&without_colours(line)).template;
        let id = self.miner.id(slot);
        let known = self.by_slot.get(&slot).copied().filter(|&group| self.groups[group as usize].1 == id);
        let group = known.unwrap_or_else(|| {
            self.groups.push((slot, id, self.miner.text(slot).to_owned()));
            self.by_slot.insert(slot, self.groups.len() as u32 - 1);
            self.groups.len() as u32 - 1
        });
        self.lines.push(group);
    }

    /// Final id and template of each line. A template evicted since keeps its last known text.
    #[must_use]
    pub fn finish(self) -> (Vec<u64>, Vec<String>) {
        let last: Vec<(u64, &str)> = self
            .groups
            .iter()
            .map(|(slot, id, text)| match self.miner.find(*slot, *id) {
                Some(root) => (self.miner.id(root), self.miner.text(root)),
                None => (*id, text.as_str()),
            })
            .collect();
        self.lines.iter().map(|&group| (last[group as usize].0, last[group as usize].1.to_owned())).unzip()
    }
}

/// Calls `each` with every line, without its end. Bytes that are no UTF-8 become `�`.
fn for_each_line(path: &Path, mut each: impl FnMut(&str)) -> Result<()> {
    let failed = || format!("cannot read `{}`", path.display());
    let mut reader = BufReader::with_capacity(1 << 16, io::open(path)?);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line).with_context(failed)?;
        if read == 0 {
            return Ok(());
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        } else if read as u64 == LINE_BYTES_MAX {
            reader.skip_until(b'\n').with_context(failed)?;
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        each(&String::from_utf8_lossy(&line));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table_of(text: &[u8]) -> String {
        let folder = tempfile::tempdir().expect("temporary folder");
        let (file, out) = (folder.path().join("in.log"), folder.path().join("out.csv"));
        std::fs::write(&file, text).expect("temporary file");
        let output = OutputArgs { out: Some(out.clone()), format: None };
        run(&TemplatesArgs { file, output, templates_max: None, params: None }).expect("mines");
        std::fs::read_to_string(out).expect("written")
    }

    #[test]
    fn every_line_gets_its_groups_final_template() {
        let table = table_of(b"session opened for user ann by pam\r\nsession opened for user bob by pam\nup\n");
        let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split(',').collect()).collect();
        assert_eq!(rows[0], ["line", "template_id", "template"]);
        assert_eq!(rows[1][2], "session opened for user <*> by pam");
        assert_eq!(rows[1][1..], rows[2][1..]);
        assert_eq!((rows[3][0], rows[3][2], rows[3][1].len()), ("3", "up", 16));
    }

    #[test]
    fn a_last_line_without_an_end_counts_and_broken_text_is_read() {
        let table = table_of(b"caf\xff 1\n\nlast");
        assert_eq!(table.lines().count(), 4);
        assert!(table.contains("caf\u{fffd} <*>"), "{table}");
    }
}
