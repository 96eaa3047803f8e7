//! `bellwether models groups ALERTS.csv [--topology FILE]`: alerts to groups.
//!
//! Output: `alert,group`, one line per alert in the order of the file; `alert`
//! is its id where the file has a column for that, else its row from 0.
//!
//! Columns are found by their names; flags name others. Repeats (same type and
//! entity within five minutes) follow the first of them. With a topology, or
//! where alerts seldom recur, alerts are grouped by evidence
//! ([`Grouper`]); a stream of mostly recurring alerts without topology is cut
//! into [`Episodes`].

use super::io::{Column, OutputArgs, Table};
use super::text_table::TextTable;
use super::topology::Topology;
use anyhow::{Context, Result};
use bellwether_models::group::{
    AlertView, Begins, EpisodeParams, Episodes, GroupParams, Grouper, NO_ENTITY, Names, dbscan, name_hash, names_in,
    tokenize,
};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::process::ExitCode;

/// `bellwether models groups`
#[derive(Debug, Clone, clap::Args)]
pub struct GroupsArgs {
    /// CSV with a header or Parquet, or - for stdin
    #[arg(value_name = "ALERTS.csv")]
    pub alerts: PathBuf,
    /// Edges as CSV or JSON with the columns from, to and perhaps relation, or a .npy adjacency matrix
    #[arg(long, value_name = "FILE")]
    pub topology: Option<PathBuf>,
    /// Columns of the file
    #[command(flatten)]
    pub columns: AlertColumns,
    /// Column with the alert's id
    #[arg(long, value_name = "NAME")]
    pub id_column: Option<String>,
    /// How to group; by the data where it is not named
    #[arg(long, value_enum, value_name = "METHOD")]
    pub method: Option<Method>,
    /// Where and how to write
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Which columns of a file of alerts hold what; known names are found without.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct AlertColumns {
    /// Column with the time
    #[arg(long, value_name = "NAME")]
    pub time_column: Option<String>,
    /// Column with the type of alert
    #[arg(long, value_name = "NAME")]
    pub type_column: Option<String>,
    /// Column with the entity
    #[arg(long, value_name = "NAME")]
    pub entity_column: Option<String>,
}

/// How alerts are grouped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Method {
    /// One alert after the other, by the evidence: what the engine does
    Evidence,
    /// Novelties begin episodes: for recurring alerts without topology
    Episodes,
    /// All at once, by density of the evidence
    Dbscan,
}

/// Alerts that must lie around one, itself counted, for DBSCAN to go on from it.
const NEIGHBOURS: usize = 3;

const TIME_COLUMNS: &[&str] =
    &["time", "timestamp", "starts_at", "startsat", "start_timestamp", "start", "at", "event_time", "at_ns"];
const TYPE_COLUMNS: &[&str] = &["name", "alertname", "alert_name", "alarm_id", "type", "rule", "check", "short"];
const ENTITY_COLUMNS: &[&str] = &["entity", "host", "device_id", "instance", "service", "node", "pod"];
const ID_COLUMNS: &[&str] = &["alert", "id", "fingerprint", "event_id"];
const TEXT_COLUMNS: &[&str] = &["summary", "message", "text", "description", "title"];

/// Repeats of a type on an entity within this count as one alert.
const REPEAT_NS: i64 = 300_000_000_000;

/// Share of alerts that are old acquaintances from which a stream counts as
/// recurring.
const RECURRING_MIN: f64 = 0.5;

/// One alert of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Nanoseconds since 1970, or since any start.
    pub time_ns: i64,
    /// Type.
    pub kind: String,
    /// Entity, empty for none.
    pub entity: String,
    /// Further text.
    pub text: String,
}

/// Runs the command.
///
/// # Errors
/// For unreadable input, a missing column, a broken cell (file, row and column
/// are named), or output that cannot be written.
pub fn run(args: &GroupsArgs) -> Result<ExitCode> {
    let table = TextTable::read(&args.alerts)?;
    let topology = args.topology.as_deref().map(Topology::read).transpose()?;
    let groups = group_by(
        &rows(&args.columns, &table)?,
        topology,
        args.method,
        &EpisodeParams::default(),
        &GroupParams::default(),
    );
    let alerts = match column(&table, args.id_column.as_deref(), ID_COLUMNS)? {
        Some(id) => table.text(id),
        None => (0..table.rows()).map(|row| row.to_string()).collect(),
    };
    let groups = groups.into_iter().map(|group| group as i64).collect();
    let out = Table::default().with("alert", Column::Text(alerts)).with("group", Column::Int(groups));
    args.output.write(&out)?;
    Ok(ExitCode::SUCCESS)
}

/// The column a flag names, or the first known name the file has.
fn column(table: &TextTable, flag: Option<&str>, known: &[&str]) -> Result<Option<usize>> {
    match flag {
        Some(name) => table.require(name).map(Some),
        None => Ok(known.iter().find_map(|name| table.position(name))),
    }
}

/// The alerts of a table.
///
/// # Errors
/// When a column is missing, or a cell broken.
pub fn rows(args: &AlertColumns, table: &TextTable) -> Result<Vec<Row>> {
    let none = |what: &str, known: &[&str]| {
        format!("no column for the {what} (known: {}): name it with --{what}-column", known.join(", "))
    };
    let time = column(table, args.time_column.as_deref(), TIME_COLUMNS)?.with_context(|| none("time", TIME_COLUMNS))?;
    let kind = column(table, args.type_column.as_deref(), TYPE_COLUMNS)?.with_context(|| none("type", TYPE_COLUMNS))?;
    let entity = column(table, args.entity_column.as_deref(), ENTITY_COLUMNS)?;
    let texts: Vec<Vec<String>> =
        TEXT_COLUMNS.iter().filter_map(|name| table.position(name)).map(|column| table.text(column)).collect();
    let mut entities = entity.map(|column| table.text(column)).unwrap_or_default().into_iter();
    let times = table.times(time)?;
    let row = |(index, (time_ns, kind)): (usize, (i64, String))| Row {
        time_ns,
        kind,
        entity: entities.next().unwrap_or_default(),
        text: texts.iter().map(|text| text[index].as_str()).collect::<Vec<_>>().join(" "),
    };
    Ok(times.into_iter().zip(table.text(kind)).enumerate().map(row).collect())
}

/// The group of each alert, numbered from 0 by first appearance in time.
/// The order of `alerts` does not matter but for the order of the result.
#[must_use]
pub fn group(alerts: &[Row], topology: Option<Topology>) -> Vec<u64> {
    group_by(alerts, topology, None, &EpisodeParams::default(), &GroupParams::default())
}

/// [`group`] by a method that is named, or with other parameters.
#[must_use]
pub fn group_by(
    alerts: &[Row],
    topology: Option<Topology>,
    method: Option<Method>,
    episodes: &EpisodeParams,
    evidence: &GroupParams,
) -> Vec<u64> {
    let order = in_order(alerts);
    let (firsts, first_of) = without_repeats(alerts, &order);
    let by_data = if topology.is_none() && recurring(alerts, &firsts) { Method::Episodes } else { Method::Evidence };
    let found = match method.unwrap_or(by_data) {
        Method::Episodes => by_episodes(alerts, &firsts, episodes),
        Method::Evidence => by_evidence(alerts, &firsts, topology.unwrap_or_default(), evidence),
        Method::Dbscan => by_density(alerts, &firsts, topology.unwrap_or_default(), evidence),
    };
    let mut names: BTreeMap<u64, u64> = BTreeMap::new();
    let mut out = vec![0; alerts.len()];
    for at in order {
        let next = names.len() as u64;
        out[at] = *names.entry(found[first_of[at]]).or_insert(next);
    }
    out
}

/// The alerts in order of time, then of what they say.
pub(super) fn in_order(alerts: &[Row]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..alerts.len()).collect();
    order.sort_by(|a, b| {
        let key = |at: &usize| (alerts[*at].time_ns, &alerts[*at].kind, &alerts[*at].entity, &alerts[*at].text);
        key(a).cmp(&key(b))
    });
    order
}

/// The alerts that are no repeats, in order, and for each alert the place of
/// its first there.
pub(super) fn without_repeats(alerts: &[Row], order: &[usize]) -> (Vec<usize>, Vec<usize>) {
    let mut open: HashMap<(&str, &str), (i64, usize)> = HashMap::new();
    let (mut firsts, mut first_of) = (Vec::new(), vec![0; alerts.len()]);
    for &at in order {
        let alert = &alerts[at];
        let key = (alert.kind.as_str(), alert.entity.as_str());
        match open.get(&key) {
            Some(&(since, place)) if alert.time_ns.saturating_sub(since) < REPEAT_NS => first_of[at] = place,
            _ => {
                open.insert(key, (alert.time_ns, firsts.len()));
                first_of[at] = firsts.len();
                firsts.push(at);
            }
        }
    }
    (firsts, first_of)
}

fn recurring(alerts: &[Row], firsts: &[usize]) -> bool {
    let distinct: BTreeSet<(&str, &str)> =
        firsts.iter().map(|at| (alerts[*at].kind.as_str(), alerts[*at].entity.as_str())).collect();
    (distinct.len() as f64) < (1.0 - RECURRING_MIN) * firsts.len() as f64
}

fn by_episodes(alerts: &[Row], firsts: &[usize], params: &EpisodeParams) -> Vec<u64> {
    let mut episodes = Episodes::new(params.clone());
    let keys: Vec<u64> = firsts.iter().map(|at| hash(&[&alerts[*at].kind, &alerts[*at].entity])).collect();
    let mut out = vec![0; firsts.len()];
    let mut places: Vec<usize> = (0..firsts.len()).collect();
    for same_time in places.chunk_by_mut(|a, b| alerts[firsts[*a]].time_ns == alerts[firsts[*b]].time_ns) {
        same_time.sort_by_key(|place| (episodes.is_known(keys[*place]), keys[*place]));
        for &mut place in same_time {
            out[place] = episodes.assign(keys[place], alerts[firsts[place]].time_ns);
        }
    }
    out
}

/// What an alert says: its words, and the names in it.
pub(super) struct Says {
    tokens: Vec<u32>,
    own: u32,
    mentioned: Vec<u32>,
}

/// What each of `firsts` says.
pub(super) fn says(alerts: &[Row], firsts: &[usize]) -> Vec<Says> {
    let names: HashSet<u32> = alerts.iter().map(|alert| name_hash(named(&alert.entity))).collect();
    let says = |at: &usize| {
        let (alert, mut tokens, mut mentioned) = (&alerts[*at], Vec::new(), Vec::new());
        tokenize(&format!("{} {} {}", alert.kind, alert.entity, alert.text), &mut tokens);
        let own = name_hash(named(&alert.entity));
        for text in [&alert.kind, &alert.text] {
            names_in(text, own, |word| names.contains(&word), &mut mentioned);
        }
        Says { tokens, own, mentioned }
    };
    firsts.iter().map(says).collect()
}

/// The name of an entity, which a file may write with its type or with a port: `host:db-1`, `db-1:9100`.
fn named(entity: &str) -> &str {
    let typed = entity.split_once(':').filter(|(_, name)| !name.bytes().all(|byte| byte.is_ascii_digit()));
    typed.map_or(entity, |(_, name)| name)
}

/// Each of `firsts` as the grouper takes it; its id is its place there.
pub(super) fn views<'a>(
    alerts: &[Row],
    firsts: &[usize],
    says: &'a [Says],
    topology: &mut Topology,
) -> Vec<AlertView<'a>> {
    let view = |(place, at): (usize, &usize)| AlertView {
        id: place as u64,
        time_ns: alerts[*at].time_ns,
        begins: Begins::Anywhere,
        kind: hash(&[&alerts[*at].kind]) as u32,
        entity: if alerts[*at].entity.is_empty() { NO_ENTITY } else { topology.number(&alerts[*at].entity) },
        tokens: &says[place].tokens,
        names: Names { own: says[place].own, mentioned: &says[place].mentioned },
    };
    firsts.iter().enumerate().map(view).collect()
}

fn by_evidence(alerts: &[Row], firsts: &[usize], mut topology: Topology, evidence: &GroupParams) -> Vec<u64> {
    let says = says(alerts, firsts);
    let mut views = views(alerts, firsts, &says, &mut topology);
    let mut grouper = Grouper::new(evidence.clone());
    let mut assigned = Vec::with_capacity(views.len());
    grouper.assign_batch(&mut views, &topology, &mut assigned);
    let mut into: HashMap<u64, u64> = HashMap::new();
    let mut out = vec![0; firsts.len()];
    for (id, assignment) in assigned {
        into.extend(assignment.merged.iter().map(|gone| (gone.0, assignment.group.0)));
        out[id as usize] = assignment.group.0;
    }
    for group in &mut out {
        while let Some(survivor) = into.get(group) {
            *group = *survivor;
        }
    }
    out
}

fn by_density(alerts: &[Row], firsts: &[usize], mut topology: Topology, evidence: &GroupParams) -> Vec<u64> {
    let says = says(alerts, firsts);
    let views = views(alerts, firsts, &says, &mut topology);
    dbscan(&views, &topology, evidence, NEIGHBOURS)
}

/// A token of text: the same in every run.
pub(super) fn hash(parts: &[&str]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(parts.join("\u{1f}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(second: i64, kind: &str, entity: &str) -> Row {
        Row { time_ns: second * 1_000_000_000, kind: kind.into(), entity: entity.into(), text: String::new() }
    }

    fn edges(text: &str) -> Topology {
        let path = std::env::temp_dir().join(format!("bellwether-edges-{}-{}.csv", std::process::id(), text.len()));
        std::fs::write(&path, text).expect("temporary file");
        let topology = Topology::read(&path).expect("a topology");
        std::fs::remove_file(&path).expect("temporary file");
        topology
    }

    #[test]
    fn linked_entities_group_and_others_do_not() {
        let topology = || Some(edges("from,to\nweb,api\nmail,disk\n"));
        let alerts = [row(0, "slow", "web"), row(9, "errors", "api"), row(10, "full", "disk")];
        assert_eq!(group(&alerts, topology()), [0, 0, 1]);
        let shuffled = [alerts[2].clone(), alerts[0].clone(), alerts[1].clone()];
        assert_eq!(group(&shuffled, topology()), [1, 0, 0]);
    }

    #[test]
    fn density_finds_the_same_groups_where_they_are_plain() {
        let alerts = [row(0, "slow", "web"), row(1, "errors", "api"), row(2, "late", "db"), row(3, "full", "disk")];
        let topology = || Some(edges("from,to\nweb,api\napi,db\nmail,disk\n"));
        let by =
            |method| group_by(&alerts, topology(), Some(method), &EpisodeParams::default(), &GroupParams::default());
        let dense = by(Method::Dbscan);
        assert_eq!(dense, by(Method::Evidence));
        assert_eq!(dense, [0, 0, 0, 1]);
    }

    #[test]
    fn what_a_text_names_is_in_its_group() {
        let shop = Row { text: "POST orders-db-2.prod:5432 timed out".into(), ..row(0, "errors", "service:shop") };
        let topology = || Some(edges("from,to\nweb,api\n"));
        let db = row(30, "full", "host:orders-db-2");
        assert_eq!(group(&[shop.clone(), db.clone(), row(31, "late", "mail-1")], topology()), [0, 0, 1]);
        let silent = Row { text: String::new(), ..shop };
        assert_eq!(group(&[silent, db], topology()), [0, 1]);
    }

    #[test]
    fn an_entity_is_named_without_its_type_and_its_port() {
        assert_eq!(["host:db-1", "db-1:9100", "db-1"].map(|entity| name_hash(named(entity))), [name_hash("db-1"); 3]);
    }

    #[test]
    fn repeats_follow_their_first() {
        let alerts: Vec<Row> = (0..5).map(|minute| row(minute * 50, "slow", "web")).collect();
        assert_eq!(group(&alerts, None), [0; 5]);
    }

    #[test]
    fn a_new_kind_of_alert_amid_recurring_ones_begins_a_group() {
        let mut alerts: Vec<Row> = (0..40).map(|round| row(round * 400, "noise", "mail")).collect();
        alerts.push(row(8010, "intrusion", "mail"));
        let groups = group(&alerts, None);
        assert_ne!(groups[40], groups[0]);
        assert_eq!(groups[1], groups[19]);
    }

    #[test]
    fn a_file_without_the_columns_says_which_are_known() {
        let table = TextTable::from_reader("a.csv", "when,what\n1,2\n".as_bytes()).expect("a table");
        let error = rows(&AlertColumns::default(), &table).expect_err("no time").to_string();
        assert!(error.contains("timestamp") && error.contains("--time-column"), "{error}");
    }
}
