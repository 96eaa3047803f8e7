//! Changes, log templates and problems as they stand.

use schemars::JsonSchema;
use serde::Serialize;

use crate::alert::label;
use crate::enrich::OpenProblem;
use crate::sense::Shards;
use crate::symbols::Sym;
use crate::tables::Tables;
use crate::time::EventTime;

/// Changes of one entity that are shown.
const CHANGES_AT_MAX: usize = 50;

/// A change.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ChangeView {
    /// When.
    pub at: EventTime,
    /// Its id.
    pub id: String,
    /// What kind, as who told it says.
    pub change_type: String,
    /// What was changed.
    pub entity: String,
    /// What was brought, where it was told.
    pub artifact: String,
    /// By whom.
    pub who: String,
    /// Where to look.
    pub url: String,
    /// In words.
    pub text: String,
    /// Trouble followed it where it was made.
    pub followed: bool,
    /// How likely such a change breaks things, 0–1, by its type and what became of others.
    pub weight: f64,
}

/// A template of log lines.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct TemplateView {
    /// 16 hexadecimal digits: the same after a restart.
    pub id: String,
    /// `<*>` stands for what differs.
    pub text: String,
    /// Lines counted.
    pub lines: u64,
}

/// Trouble that comes again and again.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ProblemView {
    /// `prb_…`.
    pub id: String,
    /// Where it begins and of what class.
    pub kind: String,
    /// How often in the last thirty days.
    pub occurrences: u64,
    /// The first and the last of them.
    pub first_at: EventTime,
    /// The last of them.
    pub last_at: EventTime,
    /// What they took together, in minutes.
    pub minutes: u64,
    /// A change that it often follows; empty where there is none.
    pub change: String,
    /// Somebody has said that it is solved.
    pub closed: bool,
}

impl From<OpenProblem> for ProblemView {
    fn from(problem: OpenProblem) -> ProblemView {
        let OpenProblem { id, kind, occurrences, first_at, last_at, minutes, change, closed } = problem;
        ProblemView { id, kind, occurrences, first_at, last_at, minutes, change, closed }
    }
}

/// The latest changes, the last first.
pub(crate) fn changes(tables: &Tables, max: usize) -> Vec<ChangeView> {
    seen(tables, max, |_| true)
}

/// The latest changes of one entity, the last first.
pub(super) fn changes_at(tables: &Tables, entity: Sym) -> Vec<ChangeView> {
    seen(tables, CHANGES_AT_MAX, |at| at == entity)
}

fn seen(tables: &Tables, max: usize, wanted: impl Fn(Sym) -> bool) -> Vec<ChangeView> {
    let changes = &tables.suspects.changes;
    let text = |text: &Option<Box<str>>| text.as_deref().unwrap_or_default().to_owned();
    let mut latest: Vec<_> = changes.all().filter(|change| wanted(change.entity)).collect();
    latest.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| a.id.cmp(&b.id)));
    latest.truncate(max);
    latest
        .into_iter()
        .map(|change| ChangeView {
            at: change.at,
            id: change.id.to_string(),
            change_type: change.change_type.to_string(),
            entity: tables.estate.entities.text(change.entity).to_owned(),
            artifact: text(&change.artifact),
            who: text(&change.who),
            url: text(&change.url),
            text: text(&change.text),
            followed: change.followed,
            weight: changes.weight(&change.change_type),
        })
        .collect()
}

/// The log templates with most lines, at most `max`, and how many there are.
pub(crate) fn templates(shards: &Shards, max: usize) -> (Vec<TemplateView>, usize) {
    let mut all: Vec<(u64, &str, u64)> = shards.mined().collect();
    let known = all.len();
    all.sort_unstable_by(|a, b| b.2.cmp(&a.2).then_with(|| a.1.cmp(b.1)));
    let shown = all.into_iter().take(max);
    let view = |(id, text, lines): (u64, &str, u64)| TemplateView {
        id: format!("{id:016x}"),
        text: text.chars().take(TEMPLATE_CHARS_MAX).collect(),
        lines,
    };
    (shown.map(view).collect(), known)
}

/// Of a template that is shown.
const TEMPLATE_CHARS_MAX: usize = 400;

/// What names the template that a finding is about.
pub(super) fn template_of(labels: &crate::alert::LabelSet) -> &str {
    label(labels, "template").unwrap_or_default()
}
