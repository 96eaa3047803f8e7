//! `bellwether tap`: what a running process accepts, as it comes.

use std::io::Write as _;
use std::path::PathBuf;
use std::str::FromStr as _;
use std::time::Duration;

use anyhow::{Result, bail};
use bellwether_connectors::server::http::client::Lines;
use bellwether_engine::time::Span;
use clap::Args;
use serde_json::Value;

use super::process::{Process, Reach, process_at, process_of};
use crate::config;
use crate::exit::Exit;
use crate::report::safe;
use crate::term::{Ink, Term, clip};

/// Show the signals that a running process accepts, as they come
#[derive(Debug, Args)]
#[command(after_help = "\
SOURCE is a wire (`remote_write`, `alertmanager`, `syslog_tcp`, …) or the name of a source; without
it all are shown. Nothing waits for the tap: when more comes than can be shown, rows are left out
and their number is told. A tenant's token shows that tenant's signals, an operator's all.

Examples:
  bellwether tap alertmanager -c bellwether.yaml
  bellwether tap remote_write -c bellwether.yaml --json | jq 'select(.name == \"up\")'
  bellwether tap --url http://127.0.0.1:9099 --token-file token --count 10")]
pub(super) struct TapArgs {
    /// What to look at; everything when left out
    #[arg(value_name = "SOURCE")]
    source: Option<String>,
    /// The YAML file of the process
    #[arg(long, short, value_name = "FILE", required_unless_present = "url")]
    config: Option<PathBuf>,
    /// Where the process listens, instead of a file
    #[arg(long, value_name = "URL", conflicts_with = "config")]
    url: Option<String>,
    #[command(flatten)]
    reach: Reach,
    /// Only this tenant; for operators
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Stop after so many signals
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// Stop after so long: 30s, 5m
    #[arg(long = "for", value_name = "TIME", value_parser = Span::from_str)]
    lasts: Option<Span>,
    /// A line of JSON for each signal
    #[arg(long)]
    json: bool,
}

/// Shows signals until Ctrl-C, the limit, or the end of the process.
///
/// # Errors
/// When the process is not there or refuses.
pub(super) fn run(args: &TapArgs) -> Result<Exit> {
    let process = match (&args.config, &args.url) {
        (Some(file), _) => process_of(&config::load_beside(file)?, &args.reach)?,
        (None, url) => process_at(url.as_deref().unwrap_or_default(), &args.reach)?,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        tokio::select! {
            shown = show(args, &process) => shown,
            _ = tokio::signal::ctrl_c() => Ok(Exit::Ok),
            () = end(args.lasts) => Ok(Exit::Ok),
        }
    })
}

async fn end(lasts: Option<Span>) {
    match lasts {
        Some(lasts) => tokio::time::sleep(Duration::from_nanos(lasts.0.unsigned_abs())).await,
        None => std::future::pending().await,
    }
}

async fn show(args: &TapArgs, process: &Process) -> Result<Exit> {
    let mut lines = open(args, process).await?;
    let term = Term::stdout();
    let mut left = args.count.unwrap_or(u64::MAX);
    while left > 0 {
        let Some(line) = lines.next().await else {
            bail!("the process has ended the tap: it stops, or was asked to");
        };
        let row: Value = serde_json::from_str(&line)?;
        match row.get("missed").and_then(Value::as_u64) {
            Some(missed) => {
                let told =
                    format!("{} left out: they came faster than they can be shown", crate::term::count(missed, "row"));
                writeln!(std::io::stderr().lock(), "{}", Term::stderr().paint(Ink::Yellow, &told))?;
            }
            None => {
                left -= 1;
                let mut out = std::io::stdout().lock();
                writeln!(out, "{}", if args.json { line } else { person_line(&row, &term) })?;
                out.flush()?;
            }
        }
    }
    Ok(Exit::Ok)
}

async fn open(args: &TapArgs, process: &Process) -> Result<Lines> {
    let mut path = "/-/tap?".to_owned();
    for (name, value) in [("source", &args.source), ("tenant", &args.tenant)] {
        if let Some(value) = value {
            path.push_str(&format!("{name}={}&", escaped(value)));
        }
    }
    let (status, lines) = match process.open(&path).await {
        Ok(opened) => opened,
        Err(error) => bail!("{error}; start it with `bellwether run -c FILE`, or correct the address"),
    };
    match status {
        200 => Ok(lines),
        401 => bail!("the process asks for a credential: name a file with a token with --token-file"),
        404 | 403 | 503 => bail!("{}", lines.rest().await.trim()),
        status => bail!("the process answers {status}: {}", lines.rest().await.trim()),
    }
}

/// A value for a query: everything but letters, digits and a few signs is escaped.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:/".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// One signal for a person: when, from where, what, of what.
fn person_line(row: &Value, term: &Term) -> String {
    let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
    let entity = |name: &str| safe(&text(name));
    let said = match row["signal"].as_str().unwrap_or_default() {
        "metric" => {
            let named = [text("name"), format!("series {}", text("series"))];
            let name = if named[0].is_empty() { &named[1] } else { &named[0] };
            format!("{} {} = {}{}", entity("entity"), safe(name), row["value"], labels(&row["labels"]))
        }
        "log" => format!("{} severity {}: {}", entity("entity"), row["severity"], safe(&text("body"))),
        "alert" => {
            format!(
                "{} {} {} ({}){}",
                text("status"),
                safe(&text("name")),
                entity("entity"),
                text("severity"),
                labels(&row["labels"])
            )
        }
        "change" => format!("{} {}: {}", entity("entity"), safe(&text("type")), safe(&text("text"))),
        "edge" => format!("{} {} {}", entity("from"), text("relation"), entity("to")),
        other => other.to_owned(),
    };
    let time = text("time");
    let clock = time.split_once('T').map_or(time.as_str(), |(_, clock)| clock);
    let head = format!("{}  {:<14} {:<7}", clip(clock.trim_end_matches('Z'), 12), text("source"), text("signal"));
    let width = term.width.saturating_sub(head.chars().count() + 1).max(20);
    format!("{} {}", term.paint(Ink::Dim, &head), clip(said.trim(), width))
}

fn labels(value: &Value) -> String {
    let pairs = value.as_object().into_iter().flatten();
    let pairs: Vec<String> =
        pairs.map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default())).collect();
    if pairs.is_empty() { String::new() } else { format!("  {{{}}}", safe(&pairs.join(", "))) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_signal_fits_one_line_and_cannot_steer_the_terminal() {
        let row = json!({"source": "syslog_tcp", "tenant": "acme", "signal": "log", "time": "2026-11-20T11:39:02.990271Z",
            "entity": "host:db-1", "severity": 17, "body": format!("red \u{1b}[31m \u{202e}alert\n{}", "x".repeat(300))});
        let line = person_line(&row, &Term::PLAIN);
        assert!(line.chars().count() <= Term::PLAIN.width && !line.contains(['\u{1b}', '\u{202e}', '\n']), "{line}");
        assert!(line.starts_with("11:39:02.99") && line.contains("host:db-1 severity 17: red"), "{line}");
    }

    #[test]
    fn a_name_is_escaped_for_the_query() {
        assert_eq!(escaped("a b&c=d"), "a%20b%26c%3Dd");
    }
}
