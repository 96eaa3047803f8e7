//! `bellwether incidents`, `incident`, `ack`, `resolve`, `assign`, `silence`: a running process by its interface, as amtool is
//! to Alertmanager.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use bellwether_connectors::server::http::client::Method;
use bellwether_engine::incident::IncidentStatus;
use clap::{Args, ValueEnum};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::process::{Process, Reach, process_at, process_of};
use crate::clock;
use crate::config;
use crate::exit::Exit;
use crate::page::api::{Brief, Deed, Done, Incidents, Problem, Quiet, Whole};
use crate::report::{glance, incident_page, safe};
use crate::term::{Ink, Lean, Table, Term, clip};

/// Characters of a title in a list.
const TITLE_CHARS: usize = 60;

/// Which process, and as whom.
#[derive(Clone, Debug, Args)]
pub(super) struct At {
    /// The YAML file of the process
    #[arg(long, short, value_name = "FILE", required_unless_present = "url")]
    config: Option<PathBuf>,
    /// Where the process listens, instead of a file
    #[arg(long, value_name = "URL", conflicts_with = "config")]
    url: Option<String>,
    #[command(flatten)]
    reach: Reach,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// In which state.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum State {
    Live,
    Open,
    Acknowledged,
    Resolved,
    Closed,
    Any,
}

/// List incidents of a running process, those that are open unless something else is asked for
#[derive(Debug, Args)]
#[command(after_help = "\
The process needs `page: {}`; the token is that of the configuration, or the one in --token-file.

Examples:
  bellwether incidents -c bellwether.yaml
  bellwether incidents checkout --status any -c bellwether.yaml
  bellwether incidents --url http://127.0.0.1:9099 --json | jq '.incidents[].id'")]
pub(super) struct IncidentsArgs {
    /// Words that have to be somewhere in title, entities, owner, id or ticket
    #[arg(value_name = "WORD")]
    words: Vec<String>,
    /// In which state
    #[arg(long, value_enum, default_value = "live")]
    status: State,
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=200))]
    limit: u16,
    #[command(flatten)]
    at: At,
}

/// Show one incident of a running process: its record, what was told, what people said
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bellwether incident inc_01KJ9QYV6ZK6QK3Q9GV3S5T7XN -c bellwether.yaml
  bellwether incident 5T7XN -c bellwether.yaml           the end of the id is enough")]
pub(super) struct IncidentArgs {
    /// Its id, or enough of its end
    #[arg(value_name = "INCIDENT")]
    id: String,
    #[command(flatten)]
    at: At,
}

/// Take an incident: you have it
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bellwether ack 5T7XN --who ana -c bellwether.yaml")]
pub(super) struct AckArgs {
    #[command(flatten)]
    deed: DeedArgs,
}

/// Say that an incident is fixed
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bellwether resolve 5T7XN --who ana -c bellwether.yaml")]
pub(super) struct ResolveArgs {
    #[command(flatten)]
    deed: DeedArgs,
}

/// Give an incident to somebody
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bellwether assign 5T7XN --to ben --who ana -c bellwether.yaml")]
pub(super) struct AssignArgs {
    /// To whom
    #[arg(long, value_name = "NAME")]
    to: String,
    #[command(flatten)]
    deed: DeedArgs,
}

#[derive(Debug, Args)]
struct DeedArgs {
    /// Its id, or enough of its end
    #[arg(value_name = "INCIDENT")]
    id: String,
    /// Who says so, where the credential has no name of its own; the user's name when left out
    #[arg(long, value_name = "NAME")]
    who: Option<String>,
    #[command(flatten)]
    at: At,
}

/// Keep alerts quiet for a while
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bellwether silence --entity host:db-1 --for 2h --why 'new disks' -c bellwether.yaml
  bellwether silence --matching \"name = 'DiskFull'\" --for 30m --why tests -c bellwether.yaml
  bellwether silence --entity host:db-1 --begin 2026-12-24T22:00 --for 2h --repeat weekly --times 8 --why patches")]
pub(super) struct SilenceArgs {
    /// Alerts of this entity, `type:name`
    #[arg(long, value_name = "ENTITY", required_unless_present = "matching", conflicts_with = "matching")]
    entity: Option<String>,
    /// Alerts for which this expression over alert columns holds
    #[arg(long, value_name = "EXPRESSION")]
    matching: Option<String>,
    /// For how long: 30m, 2h
    #[arg(long = "for", value_name = "TIME")]
    lasts: String,
    /// From when, in UTC or with a zone: 2026-12-24T22:00; from now on where it is left out
    #[arg(long, value_name = "TIME")]
    begin: Option<String>,
    /// Whether it comes again: once, daily, weekly
    #[arg(long, value_name = "HOW OFTEN")]
    repeat: Option<String>,
    /// How many times it comes, when it comes again
    #[arg(long, value_name = "NUMBER", requires = "repeat")]
    times: Option<u32>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    why: String,
    /// Whose alerts, where the credential sees several tenants
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Who says so, where the credential has no name of its own; the user's name when left out
    #[arg(long, value_name = "NAME")]
    who: Option<String>,
    #[command(flatten)]
    at: At,
}

/// Lists.
///
/// # Errors
/// When the process is not there or refuses.
pub(super) fn list(args: &IncidentsArgs) -> Result<Exit> {
    let state = args.status.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    let found: Incidents = args.at.get(&listed(&args.words.join(" "), &state, args.limit))?;
    let mut out = std::io::stdout().lock();
    if args.at.json {
        writeln!(out, "{}", serde_json::to_string(&found)?)?;
        return Ok(Exit::Ok);
    }
    if found.incidents.is_empty() {
        writeln!(out, "None.")?;
        return Ok(Exit::Ok);
    }
    write!(out, "{}", table(&found.incidents).render(&Term::stdout(), 0))?;
    if found.next.is_some() {
        writeln!(out, "There are more: --limit, or words that narrow it down.")?;
    }
    Ok(Exit::Ok)
}

fn listed(words: &str, state: &str, limit: u16) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("q", words).append_pair("status", state).append_pair("limit", &limit.to_string());
    format!("/api/v1/incidents?{}", query.finish())
}

fn table(incidents: &[Brief]) -> Table {
    let columns = [
        ("", Lean::Left),
        ("incident", Lean::Left),
        ("state", Lean::Left),
        ("owner", Lean::Left),
        ("due", Lean::Right),
        ("sure", Lean::Right),
        ("age", Lean::Right),
        ("title", Lean::Left),
    ];
    let mut table = Table::new(&columns);
    let now = clock::now();
    for one in incidents {
        let state = match (one.status, one.assignee.as_str()) {
            (IncidentStatus::Acknowledged, who) if !who.is_empty() => format!("with {}", safe(who)),
            (status, _) => status.name().to_owned(),
        };
        let due = one.respond_by.filter(|_| one.status == IncidentStatus::Open).or(one.resolve_by);
        let due = due.map_or_else(String::new, |at| {
            if at < now { format!("{} over", glance(at.since(now))) } else { glance(at.since(now)) }
        });
        let sure = one.confidence.map_or_else(String::new, |sure| format!("{:.0} %", sure * 100.0));
        let row = [
            one.priority.to_string(),
            one.id.clone(),
            state,
            safe(&one.team),
            due,
            sure,
            glance(now.since(one.began_at)),
            clip(&safe(&one.title), TITLE_CHARS),
        ];
        table.row(row);
    }
    table
}

/// Shows one.
///
/// # Errors
/// When the process is not there or refuses, or there is no such incident.
pub(super) fn show(args: &IncidentArgs) -> Result<Exit> {
    let id = args.at.id_of(&args.id)?;
    let whole: Whole = args.at.get(&format!("/api/v1/incidents/{id}"))?;
    let (mut out, term) = (std::io::stdout().lock(), Term::stdout());
    if args.at.json {
        writeln!(out, "{}", serde_json::to_string(&whole)?)?;
        return Ok(Exit::Ok);
    }
    write!(out, "{}", incident_page(&whole.record, Some(&whole.tenant), &term))?;
    writeln!(out, "\n{}", term.paint(Ink::Bold, "History"))?;
    let told = whole.history.iter().map(|step| (step.at, format!("{} {}", step.verb, step.news.join(", "))));
    let said = whole.said.iter().map(|saying| (saying.at, format!("{} {} {}", saying.who, saying.what, saying.text)));
    let mut lines: Vec<_> = told.chain(said).collect();
    lines.sort();
    for (at, text) in lines {
        writeln!(out, "  {}  {}", crate::report::date_and_time(at), safe(text.trim_end()))?;
    }
    Ok(Exit::Ok)
}

/// Takes one.
///
/// # Errors
/// As [`show`].
pub(super) fn ack(args: &AckArgs) -> Result<Exit> {
    args.deed.run(Deed { what: "acknowledge".to_owned(), ..Deed::default() })
}

/// Says that one is fixed.
///
/// # Errors
/// As [`show`].
pub(super) fn resolve(args: &ResolveArgs) -> Result<Exit> {
    args.deed.run(Deed { what: "resolve".to_owned(), ..Deed::default() })
}

/// Gives one to somebody.
///
/// # Errors
/// As [`show`].
pub(super) fn assign(args: &AssignArgs) -> Result<Exit> {
    args.deed.run(Deed { what: "assign".to_owned(), to: Some(args.to.clone()), ..Deed::default() })
}

/// Keeps alerts quiet.
///
/// # Errors
/// As [`show`].
pub(super) fn silence(args: &SilenceArgs) -> Result<Exit> {
    let SilenceArgs { entity, matching, lasts, begin, repeat, times, why, tenant, who, at } = args;
    let quiet = Quiet {
        tenant: tenant.clone(),
        entity: entity.clone(),
        matching: matching.clone(),
        lasts: lasts.clone(),
        why: why.clone(),
        from: begin.clone(),
        repeat: repeat.clone(),
        times: *times,
        who: who.clone().or_else(user),
    };
    at.say("/api/v1/silences", &quiet)
}

impl DeedArgs {
    fn run(&self, deed: Deed) -> Result<Exit> {
        let id = self.at.id_of(&self.id)?;
        let deed = Deed { who: self.who.clone().or_else(user), ..deed };
        self.at.say(&format!("/api/v1/incidents/{id}/actions"), &deed)
    }
}

/// Who is at this terminal.
fn user() -> Option<String> {
    std::env::var("USER").ok().filter(|user| !user.is_empty())
}

impl At {
    fn process(&self) -> Result<Process> {
        match (&self.url, &self.config) {
            (Some(url), _) => process_at(url, &self.reach),
            (None, Some(file)) => process_of(&config::load_beside(file)?, &self.reach),
            (None, None) => bail!("name the process with --config or --url"),
        }
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        read(self.answer(Method::GET, path, None)?)
    }

    fn say(&self, path: &str, what: &impl Serialize) -> Result<Exit> {
        let done: Done = read(self.answer(Method::POST, path, Some(serde_json::to_vec(what)?))?)?;
        let mut out = std::io::stdout().lock();
        match self.json {
            true => writeln!(out, "{}", serde_json::to_string(&done)?)?,
            false => writeln!(out, "{}", safe(&done.done))?,
        }
        Ok(Exit::Ok)
    }

    fn answer(&self, method: Method, path: &str, body: Option<Vec<u8>>) -> Result<(u16, String)> {
        let process = self.process()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(runtime.block_on(process.say(method, path, body))?)
    }

    /// The whole id of the one incident that is meant.
    fn id_of(&self, end: &str) -> Result<String> {
        if end.starts_with("inc_") && end.len() == "inc_".len() + 26 {
            return Ok(end.to_owned());
        }
        let found: Incidents = self.get(&listed(end, "any", 200))?;
        let mut fits = found.incidents.into_iter().filter(|one| one.id.ends_with(end));
        let first = fits.next().with_context(|| format!("no incident whose id ends in `{end}`"))?;
        match fits.next() {
            Some(other) => bail!("`{end}` could be {} or {}: write more of it", first.id, other.id),
            None => Ok(first.id),
        }
    }
}

/// What was answered; a refusal is an error with its remedy.
fn read<T: DeserializeOwned>((status, text): (u16, String)) -> Result<T> {
    if (200..300).contains(&status) {
        return serde_json::from_str(&text).context("the answer is not one of this build's: use the same version");
    }
    match serde_json::from_str::<Problem>(&text) {
        Ok(problem) => bail!("{}: {}", problem.title, problem.detail),
        Err(_) if status == 404 => {
            bail!("the process has no such interface: it needs `page: {{}}` in its configuration")
        }
        Err(_) => bail!("{status}: {}", safe(text.trim())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_refusal_is_told_with_its_remedy() {
        let problem = r#"{"title":"It has changed","status":412,"detail":"look again"}"#;
        let error = read::<Value>((412, problem.to_owned())).expect_err("refused").to_string();
        assert_eq!(error, "It has changed: look again");
        assert!(read::<Value>((404, "no wire".to_owned())).expect_err("refused").to_string().contains("page: {}"));
    }
}
