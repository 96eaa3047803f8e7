//! `bellwether eval TASK… --data DIR [--out DIR]`: accuracy on labelled public
//! data, ours beside peers and the floors `random` and `null`.
//!
//! A task is one function from a [`Bench`] to an [`Outcome`] and one line in
//! [`TASKS`], or in [`own::TASKS`] for a team's own data. With `--out` each task leaves `<out>/<task>/` with `run.json`, the
//! table, results per unit, per-point Parquet with the columns `y_true` and
//! `y_score`, and SVG plots. `eval --compare A B` says where two runs differ.

pub mod causes;
pub mod compare;
pub mod duplicates;
pub mod exhaustion;
pub mod groups;
pub mod homes;
pub mod logs;
pub mod machines;
pub mod methods;
pub mod metric;
pub mod own;
pub mod panel;
pub mod plot;
pub mod points;
pub mod promote;
pub mod proving;
pub mod report;
pub mod settings;
pub mod sure;
pub mod telecom;
pub mod templates;
pub mod tickets;
pub mod units;

use crate::config::keys::nearest;
use anyhow::{Context, Result, bail};
use bellwether_models::metric::MetricModelKind;
use report::Outcome;
use settings::{Settings, usage};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The variable that names the data directory when `--data` does not.
pub const DATA_VARIABLE: &str = "BELLWETHER_DATA";
/// Where the data is when nobody says otherwise.
pub const DATA_DEFAULT: &str = "../shared/data";

/// `bellwether eval`
#[derive(Debug, Clone, clap::Args)]
pub struct EvalArgs {
    /// What to evaluate; everything when left out
    #[arg(value_name = "TASK")]
    pub tasks: Vec<String>,
    /// Folder with the data sets [default: $BELLWETHER_DATA or ../shared/data]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Your own data instead: a folder with series/, machines/, alerts/, cases/ or a journal
    #[arg(long, value_name = "DIR", conflicts_with_all = ["data", "compare", "simulated", "perturbed"])]
    pub own: Option<PathBuf>,
    /// Leave run.json, results per unit and per point, and plots here
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Parameters of the models that differ from the defaults, as YAML
    #[arg(long, value_name = "FILE")]
    pub params: Option<PathBuf>,
    /// Model for single series: detector, as the engine runs [default: detector]
    #[arg(long, value_name = "MODEL", conflicts_with = "simulated")]
    pub model: Option<MetricModelKind>,
    /// Show where two runs that --out left differ, with confidence intervals
    #[arg(long, num_args = 2, value_names = ["RUN_A", "RUN_B"], conflicts_with_all = ["tasks", "data", "out", "params", "perturbed"])]
    pub compare: Vec<PathBuf>,
    /// Play simulated estates instead, for the tasks groups and causes: how many, or 1000..1050
    #[arg(long, value_name = "SEEDS")]
    pub simulated: Option<proving::Seeds>,
    /// Engine settings of this configuration file for the simulated estates
    #[arg(long, short, value_name = "FILE", requires = "simulated")]
    pub config: Option<PathBuf>,
    /// A recorded journal of hosts on which nothing was wrong: its metrics are measured on the hosts of the
    /// simulated estates, too
    #[arg(long, value_name = "JOURNAL", requires = "simulated")]
    pub backdrop: Option<PathBuf>,
    /// exhaustion: also judge stretched, noisier and made-up resources, and print mean and worst
    #[arg(long, conflicts_with = "simulated")]
    pub perturbed: bool,
    /// Print one JSON document a line instead of tables
    #[arg(long)]
    pub json: bool,
}

/// What a task may use.
#[derive(Debug, Clone)]
pub struct Bench {
    /// The folder with the data sets.
    pub data: PathBuf,
    /// This task's own output folder, already made.
    pub out: Option<PathBuf>,
    /// Parameters of the models.
    pub settings: Settings,
    /// Whether resources that run out are also judged disturbed.
    pub perturbed: bool,
    /// Whether the data is a team's own.
    pub own: bool,
}

impl Bench {
    /// The folder of one data set.
    ///
    /// # Errors
    /// When it is absent, saying how to name the data directory.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.data.join(name);
        if !folder.is_dir() {
            let named = if self.own { "--own".to_owned() } else { format!("--data or {DATA_VARIABLE}") };
            return Err(Absent::of(&folder, name, &named).into());
        }
        Ok(folder)
    }
}

/// A data set that is not there: the message says where it was looked for, and the remedy.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Absent(String);

impl Absent {
    fn of(folder: &Path, name: &str, named: &str) -> Self {
        Self(format!("no data set at `{}`: name the folder that holds `{name}` with {named}", folder.display()))
    }
}

/// A task: its name, what it measures in a few words, and the function.
pub type Task = (&'static str, &'static str, fn(&Bench) -> Result<Outcome>);

/// Every task, in the order of the documentation.
pub const TASKS: &[Task] = &[
    ("nab", "Numenta Anomaly Benchmark", metric::nab_task),
    ("kpi", "AIOps Challenge 2018", metric::kpi_task),
    ("wsd", "Web Service Dataset", metric::wsd_task),
    ("ucr", "UCR anomaly archive", metric::ucr_task),
    ("ms", "Microsoft cloud monitoring", metric::ms_task),
    ("asd", "Application Server Dataset", machines::asd_task),
    ("smd", "Server Machine Dataset", machines::smd_task),
    ("exhaustion", "when resources run out", exhaustion::exhaustion_task),
    ("templates", "log templates against the labels of LogHub", templates::run),
    ("logs", "anomalous sessions of log events", logs::run),
    ("petshop", "causes: components of PetShop", causes::petshop),
    ("nezha_ob", "causes: services of OnlineBoutique, metrics only", causes::nezha_ob),
    ("nezha_tt", "causes: services of TrainTicket, logs and traces too", causes::nezha_tt),
    ("sockshop", "causes: metrics of Sock Shop services", causes::sockshop),
    ("ait", "groups: alerts of multi-step attacks", groups::ait),
    ("telecom", "groups: root types of sets of telecom alarms", telecom::telecom),
    ("tickets", "who resolves a ticket, whether it is late, how long it takes", tickets::run),
    ("duplicates", "earlier reports of the same trouble", duplicates::run),
];

/// The data directory: the flag, else the variable, else the default.
#[must_use]
pub fn data_dir(flag: Option<&Path>) -> PathBuf {
    let variable = || std::env::var_os(DATA_VARIABLE).map(PathBuf::from);
    flag.map(Path::to_path_buf).or_else(variable).unwrap_or_else(|| PathBuf::from(DATA_DEFAULT))
}

/// Runs the tasks asked for. Without names every task whose data is there
/// runs, and what is absent is said.
///
/// # Errors
/// For an unknown task, absent data, or output that cannot be written.
pub fn run(args: &EvalArgs) -> Result<ExitCode> {
    if let [a, b] = args.compare.as_slice() {
        return compare::run(a, b, args.json);
    }
    if let Some(seeds) = &args.simulated {
        for (task, outcome) in
            proving::run(&args.tasks, seeds, (args.config.as_deref(), args.backdrop.as_deref()), args.out.as_deref())?
        {
            report::deliver(
                &task,
                &Bench { data: data_dir(None), out: None, settings: Settings::default(), perturbed: false, own: false },
                &outcome,
                args.json,
            )?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let (data, tasks) = match &args.own {
        Some(own) => (own.clone(), own::TASKS),
        None => (data_dir(args.data.as_deref()), TASKS),
    };
    if !data.is_dir() {
        let named = if args.own.is_some() { "--own".to_owned() } else { format!("--data or {DATA_VARIABLE}") };
        bail!("no data at `{}`: name the folder of the data with {named}", data.display());
    }
    let settings = args.params.as_deref().map(Settings::read).transpose()?.unwrap_or_default();
    let settings = settings.with_model(args.model);
    let (mut ran, mut absent) = (0, Vec::new());
    for task in chosen(tasks, &args.tasks)? {
        let out = args.out.as_ref().map(|out| out.join(task.0));
        let bench = Bench {
            data: data.clone(),
            out,
            settings: settings.clone(),
            perturbed: args.perturbed,
            own: args.own.is_some(),
        };
        match one(task, &bench, args.json).with_context(|| format!("task `{}`", task.0)) {
            Err(error) if args.tasks.is_empty() && error.downcast_ref::<Absent>().is_some() => {
                absent.push((task.0, error));
            }
            result => result.map(|()| ran += 1)?,
        }
    }
    if ran == 0 && args.own.is_some() {
        let reasons: Vec<String> = absent.iter().map(|(_, error)| format!("{error:#}")).collect();
        return Err(own::nothing_in(&data, &reasons));
    }
    if ran == 0 {
        bail!("no data set in `{}`: name the folder of the data sets with --data or {DATA_VARIABLE}", data.display());
    }
    if !absent.is_empty() && args.own.is_none() {
        let absent: Vec<&str> = absent.iter().map(|(task, _)| *task).collect();
        tracing::warn!(tasks = absent.join(" "), data = %data.display(), "left out: no data for them");
    }
    Ok(ExitCode::SUCCESS)
}

fn one(task: Task, bench: &Bench, as_json: bool) -> Result<()> {
    if let Some(out) = &bench.out {
        std::fs::create_dir_all(out).with_context(|| format!("cannot make `{}`", out.display()))?;
    }
    let outcome = (task.2)(bench);
    if let (Err(_), Some(out)) = (&outcome, &bench.out) {
        // Nothing was left in it; a folder with earlier results stays.
        let _ = std::fs::remove_dir(out);
    }
    report::deliver(task.0, bench, &outcome?, as_json)
}

/// Names that stand for several tasks.
const FAMILIES: [(&str, &[&str]); 2] =
    [("groups", &["ait", "telecom"]), ("causes", &["petshop", "nezha_ob", "nezha_tt", "sockshop"])];

fn chosen(tasks: &[Task], names: &[String]) -> Result<Vec<Task>> {
    if names.is_empty() {
        return Ok(tasks.to_vec());
    }
    let is_task = |name: &str| tasks.iter().any(|task| task.0 == name);
    // A family is known where its members are and no task has its name.
    let families = FAMILIES.iter().filter(|(family, members)| !is_task(family) && is_task(members[0]));
    let known: Vec<&str> = tasks.iter().map(|task| task.0).chain(families.clone().map(|(name, _)| *name)).collect();
    let find = |name: &str| {
        tasks.iter().find(|task| task.0 == name).copied().ok_or_else(|| {
            let near = nearest(name, &known).map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
            usage(format!("unknown task `{name}`: {near}known: {}", known.join(", ")))
        })
    };
    let members = |name: &'_ String| match families.clone().find(|(family, _)| family == name) {
        Some((_, members)) => members.iter().map(|member| (*member).to_owned()).collect(),
        None => vec![name.clone()],
    };
    names.iter().flat_map(members).map(|name| find(&name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A data folder with one stream of 2,000 five-minute points and one spike.
    fn tiny_nab(folder: &Path) {
        let streams = folder.join("nab/data/made");
        std::fs::create_dir_all(&streams).expect("temporary folder");
        std::fs::create_dir_all(folder.join("nab/labels")).expect("temporary folder");
        let mut text = String::from("timestamp,value\n");
        for i in 0..2000 {
            let value = if i == 1500 { 900 } else { 100 + (i * 7919) % 11 };
            text.push_str(&format!("{},{value}\n", 1_400_000_000 + i * 300));
        }
        std::fs::write(streams.join("one.csv"), text).expect("writes");
        // 1_400_440_000 to 1_400_460_000: the spike is at 1_400_450_000.
        let windows = r#"{"made/one.csv": [["2014-05-18 19:06:40", "2014-05-19 00:40:00"]]}"#;
        std::fs::write(folder.join("nab/labels/combined_windows.json"), windows).expect("writes");
    }

    #[test]
    fn a_task_leaves_its_run_its_points_and_its_drawings() {
        let folder = tempfile::tempdir().expect("temporary folder");
        tiny_nab(folder.path());
        let out = folder.path().join("out");
        let args = EvalArgs {
            tasks: vec!["nab".into()],
            data: Some(folder.path().to_path_buf()),
            own: None,
            out: Some(out.clone()),
            params: None,
            model: None,
            compare: Vec::new(),
            simulated: None,
            config: None,
            backdrop: None,
            perturbed: false,
            json: true,
        };
        run(&args).expect("evaluates");
        let run = std::fs::read_to_string(out.join("nab/run.json")).expect("run.json");
        let run: serde_json::Value = serde_json::from_str(&run).expect("json");
        let score = run["data"]["metrics"][0]["value"].as_f64().expect("a score");
        assert!(score > 50.0, "{run:#}");
        for file in ["points.parquet", "precision_recall.svg", "told.svg", "made_one.csv.svg"] {
            assert!(out.join("nab").join(file).is_file(), "{file}");
        }
    }

    #[test]
    fn a_family_stands_for_its_tasks() {
        let names = |family: &str| -> Vec<&str> {
            chosen(TASKS, &[family.to_owned()]).expect("it is known").iter().map(|task| task.0).collect()
        };
        assert_eq!(names("groups"), ["ait", "telecom"]);
        assert_eq!(names("causes"), ["petshop", "nezha_ob", "nezha_tt", "sockshop"]);
    }

    #[test]
    fn unknown_tasks_and_absent_data_say_what_to_do() {
        let empty = tempfile::tempdir().expect("temporary folder");
        let failed = |tasks: &[&str], data: &Path| {
            let args = EvalArgs {
                tasks: tasks.iter().map(|task| (*task).to_owned()).collect(),
                data: Some(data.to_path_buf()),
                own: None,
                out: None,
                params: None,
                model: None,
                compare: Vec::new(),
                simulated: None,
                config: None,
                backdrop: None,
                perturbed: false,
                json: false,
            };
            format!("{:#}", run(&args).expect_err("nothing to evaluate"))
        };
        let error = failed(&["nap"], empty.path());
        assert!(error.contains("unknown task `nap`") && error.contains("did you mean `nab`?"), "{error}");
        let error = failed(&["nab"], empty.path());
        assert!(error.contains("--data") && error.contains("/nab"), "{error}");
        for tasks in [&["nab"][..], &[]] {
            let error = failed(tasks, Path::new("/nowhere"));
            assert!(error.contains("`/nowhere`") && error.contains(DATA_VARIABLE), "{error}");
        }
        assert!(failed(&[], empty.path()).contains("no data set in"));
    }
}
