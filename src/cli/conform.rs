//! `bellwether conform`: a subscriber of the incident stream checks itself.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write as _};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use bellwether_connectors::bridges::webhook::WebhookBridgeConfig;
use bellwether_connectors::nats::NatsConnection;
use clap::{Args, Subcommand};
use serde_json::json;

use crate::conform::{Answer, ROUNDS_MAX, Rule, Verdict, judge, plan, to_nats, to_webhook, write_lines};
use crate::exit::{Exit, UsageError};
use crate::report::safe;
use crate::term::{Ink, Term};

/// Findings of one rule that are printed; --json has all.
const SHOWN_MAX: usize = 3;

/// Check a subscriber of the incident stream: send it what it may meet, and judge what it holds afterwards
#[derive(Debug, Args)]
#[command(after_help = "\
The rules are in docs/conformance.md. Give `judge` the seed and rounds of `send`. It ends with 1 when a rule is broken.

Examples:
  bellwether conform rules
  bellwether conform send --file - | my-subscriber > answer.jsonl
  bellwether conform judge answer.jsonl
  bellwether conform send --nats nats://127.0.0.1:4222 --rounds 20 --seed 7
  bellwether conform send --webhook http://127.0.0.1:8080/hook --token-file secret
  bellwether conform judge answer.jsonl --rounds 20 --seed 7")]
pub(super) struct ConformArgs {
    #[command(subcommand)]
    command: ConformCommand,
}

#[derive(Debug, Subcommand)]
enum ConformCommand {
    /// List the rules
    Rules,
    /// Send a stream that has everything in it that a subscriber may meet
    Send {
        #[command(flatten)]
        plan: PlanArgs,
        #[command(flatten)]
        to: ToArgs,
    },
    /// Judge what the subscriber holds afterwards
    Judge {
        /// JSON Lines, one an incident: tenant, incident, revision, status, and what else is kept; - is stdin
        #[arg(value_name = "FILE")]
        answer: PathBuf,
        #[command(flatten)]
        plan: PlanArgs,
        /// Print as JSON, every finding
        #[arg(long)]
        json: bool,
    },
}

#[derive(Clone, Copy, Debug, Args)]
struct PlanArgs {
    /// What decides the order of the stream
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// How often each story is in it
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=i64::from(ROUNDS_MAX)))]
    rounds: u16,
}

#[derive(Clone, Debug, Args)]
struct ToArgs {
    /// A file or pipe, in the lines of the sink `ndjson`; - is stdout
    #[arg(long, value_name = "FILE", group = "to", required = true)]
    file: Option<PathBuf>,
    /// A NATS server of the test's own, in the stream of the sink `nats`
    #[arg(long, value_name = "URL", group = "to")]
    nats: Option<String>,
    /// Where webhooks are taken, as the bridge `webhook` sends them
    #[arg(long, value_name = "URL", group = "to", requires = "token_file")]
    webhook: Option<String>,
    /// The secrets that sign webhooks; a token for NATS
    #[arg(long, value_name = "FILE", conflicts_with = "file")]
    token_file: Option<PathBuf>,
    /// A network that the webhook's address may be in, beside loopback and the public net
    #[arg(long = "network", value_name = "CIDR", requires = "webhook")]
    networks: Vec<String>,
    /// A file with the authorities of the receiver's certificate
    #[arg(long, value_name = "FILE", conflicts_with = "file")]
    ca_file: Option<PathBuf>,
}

/// Lists, sends or judges.
///
/// # Errors
/// When nothing can be sent or read.
pub(super) fn run(args: &ConformArgs) -> Result<Exit> {
    match &args.command {
        ConformCommand::Rules => rules(),
        ConformCommand::Send { plan, to } => send(*plan, to),
        ConformCommand::Judge { answer, plan: args, json } => {
            let read = if answer.as_os_str() == "-" {
                Answer::read(std::io::stdin().lock())
            } else {
                let file = File::open(answer).with_context(|| format!("cannot read `{}`", answer.display()))?;
                Answer::read(BufReader::new(file))
            };
            let read = read.map_err(|error| UsageError(error.to_string()))?;
            let verdict = judge(&plan(args.seed, args.rounds), &read);
            if *json {
                print_json(&verdict)?
            } else {
                print(&verdict)?
            }
            Ok(if verdict.broken.is_empty() { Exit::Ok } else { Exit::Failure })
        }
    }
}

fn rules() -> Result<Exit> {
    let (mut out, term) = (std::io::stdout().lock(), Term::stdout());
    for rule in Rule::ALL {
        writeln!(out, "{}  {}", term.paint(Ink::Bold, &format!("{:<14}", rule.name())), rule.says())?;
    }
    Ok(Exit::Ok)
}

fn send(args: PlanArgs, to: &ToArgs) -> Result<Exit> {
    let deliveries = plan(args.seed, args.rounds);
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build();
    if let Some(file) = &to.file {
        match file.as_os_str() == "-" {
            true => write_lines(&deliveries, &mut BufWriter::new(std::io::stdout().lock()))?,
            false => {
                let open = File::options().write(true).create(true).truncate(true).open(file);
                let open = open.with_context(|| format!("cannot write `{}`", file.display()))?;
                write_lines(&deliveries, &mut BufWriter::new(open))?;
            }
        }
    } else if let Some(url) = &to.nats {
        let (token_file, ca_file) = (to.token_file.clone(), to.ca_file.clone());
        let connection = NatsConnection { servers: vec![url.clone()], token_file, ca_file, credentials_file: None };
        runtime()?.block_on(to_nats(&deliveries, &connection))?;
    } else if let (Some(url), Some(secrets)) = (&to.webhook, &to.token_file) {
        let mut networks = to.networks.clone();
        networks.extend(["127.0.0.0/8".to_owned(), "::1/128".to_owned()]);
        let config = json!({"url": url, "token_file": secrets, "networks": networks, "ca_file": to.ca_file,
            "audience": {"tenants": {}}});
        let config: WebhookBridgeConfig = serde_json::from_value(config)?;
        let webhook = config.channel().map_err(|error| UsageError(error.to_string()))?;
        runtime()?.block_on(to_webhook(&deliveries, &webhook))?;
    }
    let PlanArgs { seed, rounds } = args;
    crate::progress::note(&format!(
        "sent {} revisions; judge with: bellwether conform judge ANSWER --seed {seed} --rounds {rounds}",
        deliveries.len()
    ));
    Ok(Exit::Ok)
}

fn print(verdict: &Verdict) -> Result<()> {
    let (mut out, term) = (std::io::stdout().lock(), Term::stdout());
    for rule in verdict.rules() {
        let broken: Vec<_> = verdict.broken.iter().filter(|broken| broken.rule == rule).collect();
        writeln!(out, "{}  {}", term.paint(Ink::Bold, rule.name()), rule.says())?;
        for broken in broken.iter().take(SHOWN_MAX) {
            writeln!(out, "    {}  {}", safe(&broken.incident), broken.what)?;
        }
        if broken.len() > SHOWN_MAX {
            writeln!(out, "    and {} more", broken.len() - SHOWN_MAX)?;
        }
    }
    match verdict.rules().len() {
        0 => writeln!(out, "{} incidents: every rule is kept", verdict.incidents)?,
        rules => writeln!(out, "{} incidents: {rules} of {} rules are broken", verdict.incidents, Rule::ALL.len())?,
    }
    if !verdict.not_judged.is_empty() {
        writeln!(out, "not judged, for no line has it: {}", verdict.not_judged.join(", "))?;
    }
    Ok(())
}

fn print_json(verdict: &Verdict) -> Result<()> {
    let broken = verdict.broken.iter();
    let broken: Vec<_> = broken
        .map(|broken| json!({"rule": broken.rule.name(), "incident": broken.incident, "what": broken.what}))
        .collect();
    let document = json!({"incidents": verdict.incidents, "broken": broken, "not_judged": verdict.not_judged});
    writeln!(std::io::stdout().lock(), "{document}")?;
    Ok(())
}
