//! `bellwether init`: a first configuration, written for who reads it.
//!
//! The files are beside this one as they are written; each `.sender` is the other half, what the sender
//! is told. `{folder}` in it is where the configuration went.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};

use crate::exit::{Exit, UsageError};
use crate::term::{Ink, Term};

/// Bytes of a new token: it cannot be guessed, and a plain digest of it is safe to keep.
const TOKEN_BYTES: usize = 32;
const CONFIG: &str = "bellwether.yaml";
const CATALOGUE: &str = "catalogue.yaml";
const TOKEN: &str = "token";

/// Write a first configuration, with a token and what to tell the sender
#[derive(Debug, Args)]
#[command(after_help = "\
Writes bellwether.yaml with comments, an empty catalogue.yaml, and a random token that only you can
read. Files that are there are left alone; --force writes them anew, but keeps the token, which
senders have.

Examples:
  bellwether init prometheus
  bellwether init syslog /etc/bellwether")]
pub(super) struct InitArgs {
    /// What sends
    #[arg(value_enum)]
    preset: Preset,
    /// The folder to write to
    #[arg(value_name = "FOLDER", default_value = "bellwether")]
    folder: PathBuf,
    /// Write over files that are there
    #[arg(long)]
    force: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Preset {
    /// Prometheus: samples by remote write, alerting rules
    Prometheus,
    /// OpenTelemetry SDKs and Collectors: metrics, logs, traces
    Opentelemetry,
    /// A Kubernetes cluster: Prometheus, OpenTelemetry, logs, what runs where
    Kubernetes,
    /// Syslog of servers and devices
    Syslog,
}

impl Preset {
    /// The configuration, and what the sender is told.
    const fn files(self) -> (&'static str, &'static str) {
        match self {
            Preset::Prometheus => (include_str!("prometheus.yaml"), include_str!("prometheus.sender")),
            Preset::Opentelemetry => (include_str!("opentelemetry.yaml"), include_str!("opentelemetry.sender")),
            Preset::Kubernetes => (include_str!("kubernetes.yaml"), include_str!("kubernetes.sender")),
            Preset::Syslog => (include_str!("syslog.yaml"), include_str!("syslog.sender")),
        }
    }
}

/// Writes the files and says what comes next.
///
/// # Errors
/// When a file is there already, or cannot be written.
pub(super) fn run(args: &InitArgs) -> Result<Exit> {
    let (config, sender) = args.preset.files();
    let folder = &args.folder;
    if !args.force {
        refuse_to_overwrite(folder)?;
    }
    let cannot_make = || format!("cannot make the folder `{}`: name another", folder.display());
    fs::create_dir_all(folder).with_context(cannot_make)?;
    let token = folder.join(TOKEN);
    let kept = token.exists();
    if !kept {
        write_token(&token).with_context(|| format!("cannot write `{}`", token.display()))?;
    }
    // The configuration last: where it is, everything that it names is.
    for (name, text) in [(CATALOGUE, include_str!("catalogue.yaml")), (CONFIG, config)] {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    let place = fs::canonicalize(folder).with_context(|| format!("cannot find `{}` again", folder.display()))?;
    let sender = sender.replace("{folder}", &place.display().to_string());
    let mut out = io::stdout().lock();
    write!(out, "{}", next_steps(&Term::stdout(), folder, &place, &sender, kept))?;
    Ok(Exit::Ok)
}

fn refuse_to_overwrite(folder: &Path) -> Result<(), UsageError> {
    let there: Vec<String> = [CONFIG, CATALOGUE, TOKEN]
        .iter()
        .map(|name| folder.join(name))
        .filter(|path| path.exists())
        .map(|path| format!("`{}`", path.display()))
        .collect();
    match there.is_empty() {
        true => Ok(()),
        false => {
            let message = format!(
                "{} is there already: name another folder, or --force to write anew what is not the token",
                there.join(", ")
            );
            Err(UsageError(message))
        }
    }
}

/// A random token that only its owner can read, without a line feed at the end: some senders take a file
/// as it is.
fn write_token(path: &Path) -> io::Result<()> {
    let mut random = [0; TOKEN_BYTES];
    File::open("/dev/urandom")?.read_exact(&mut random)?;
    let text: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn next_steps(term: &Term, folder: &Path, place: &Path, sender: &str, token_kept: bool) -> String {
    let config = folder.join(CONFIG);
    let token = if token_kept { "the token that was there is kept" } else { "a random token, mode 0600" };
    let command = |text: &str| term.paint(Ink::Cyan, text);
    let mut text = format!("wrote {}: {CONFIG}, {CATALOGUE}; {token}\n\nNext:\n", folder.display());
    let (check, run) =
        (format!("bellwether check -c {}", config.display()), format!("bellwether run -c {}", config.display()));
    text.push_str(&format!("  1. {}\n  2. {}\n", command(&check), command(&run)));
    // Not indented: it is to be copied.
    text.push_str(&format!("  3. {sender}\n"));
    text.push_str(&format!(
        "Incidents: on the terminal, and a line each in {}/state/incidents.ndjson\n",
        place.display()
    ));
    text
}
