//! `bellwether models templates FILE.log`: which lines of a log say the same thing.
//!
//! Lines are mined online, in order, with state that is bounded. The output is written at
//! the end of the file, so that every line carries its group's final template: groups may
//! have merged since the line was read. `values` are the variable parts of the line, where its
//! template has `<*>`. With `--state` a file goes on with the templates of those before it.

use super::io::{self, Column, OutputArgs, Table};
use super::state::StateFile;
use crate::eval::settings::Settings;
use crate::progress::shared_bar;
use anyhow::{Context, Result};
use bellwether_models::templates::{Miner, values, without_colours};
use serde::{Deserialize, Serialize};
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
    /// Go on from what was learned before, and keep what was learned here at the end
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
}

/// What the files so far have taught.
#[derive(Debug, Serialize, Deserialize)]
struct Learned {
    /// Lines so far: they go on counting.
    lines: u64,
    miner: Miner,
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
    let state = args.state.as_deref().map(|path| StateFile::new(path, "templates", &params));
    let kept: Option<Learned> = state.as_ref().map(StateFile::load).transpose()?.flatten();
    let miner = Miner::new(params.check()?);
    let Learned { lines: before, miner } = kept.unwrap_or(Learned { lines: 0, miner });
    let mut mined = Mined::new(miner);
    let mut lines: Vec<String> = Vec::new();
    let bar = shared_bar(None, "lines");
    for_each_line(&args.file, |line| {
        let line = without_colours(line).into_owned();
        mined.learn(&line);
        lines.push(line);
        bar.add(1);
    })?;
    drop(bar);
    let after = before + lines.len() as u64;
    let (ids, texts) = mined.told();
    if let Some(state) = state {
        state.save(&Learned { lines: after, miner: mined.miner })?;
    }
    let values = texts.iter().zip(&lines).map(|(template, line)| values(template, line).unwrap_or_default());
    let values = Column::Texts(values.collect());
    let table = Table::default()
        .with("line", Column::Int((before as i64 + 1..=after as i64).collect()))
        .with("template_id", Column::Text(ids.iter().map(|id| format!("{id:016x}")).collect()))
        .with("template", Column::Text(texts))
        .with("values", values);
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
    pub fn told(&self) -> (Vec<u64>, Vec<String>) {
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
        run(&TemplatesArgs { file, output, templates_max: None, params: None, state: None }).expect("mines");
        std::fs::read_to_string(out).expect("written")
    }

    #[test]
    fn a_second_file_with_a_state_goes_on_with_ids_and_lines_of_the_first() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = |name: &str| folder.path().join(name);
        let log: Vec<String> = (0..600)
            .map(|n| match n % 3 {
                0 => format!("opened port {} for user u{n}\n", n * 7),
                1 => format!("took {n} ms\n"),
                _ => format!("worker {} is {}\n", n % 5, ["idle", "busy"][n % 2]),
            })
            .collect();
        let said = |lines: &[String], state: Option<PathBuf>| -> Vec<String> {
            std::fs::write(path("in.log"), lines.concat()).expect("writes");
            let output = OutputArgs { out: Some(path("out.csv")), format: None };
            run(&TemplatesArgs { file: path("in.log"), output, templates_max: None, params: None, state })
                .expect("mines");
            std::fs::read_to_string(path("out.csv")).expect("written").lines().skip(1).map(str::to_owned).collect()
        };
        let whole = said(&log, None);
        said(&log[..300], Some(path("state")));
        assert_eq!(said(&log[300..], Some(path("state"))), whole[300..]);
        assert!(whole[0].contains("opened port <*> for user <*>") && whole[0].contains("u0"), "{}", whole[0]);
    }

    #[test]
    fn every_line_gets_its_groups_final_template() {
        let table = table_of(b"session opened for user ann by pam\r\nsession opened for user bob by pam\nup\n");
        let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split(',').collect()).collect();
        assert_eq!(rows[0], ["line", "template_id", "template", "values"]);
        assert_eq!((rows[1][3], rows[3][3]), (r#""[""ann""]""#, "[]"));
        assert_eq!(rows[1][2], "session opened for user <*> by pam");
        assert_eq!(rows[1][1..3], rows[2][1..3]);
        assert_eq!((rows[3][0], rows[3][2], rows[3][1].len()), ("3", "up", 16));
    }

    #[test]
    fn a_last_line_without_an_end_counts_and_broken_text_is_read() {
        let table = table_of(b"caf\xff 1\n\nlast");
        assert_eq!(table.lines().count(), 4);
        assert!(table.contains("caf\u{fffd} <*>"), "{table}");
    }
}
