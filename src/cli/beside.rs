//! Two replays of one past, side by side: which incidents one tells and the other does not, and what
//! differs in those that both tell.
//!
//! An incident is the same in both where it has the same id, else where it shares alerts: other
//! settings may open it at another moment, which gives it another id.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bellwether_engine::incident::{IncidentEvent, IncidentRecord, IncidentStatus};
use bellwether_engine::time::Span;
use serde_json::{Value, json};

use crate::report::{IncidentLine, date_and_time, incident_lines, rough};
use crate::term::{Ink, Lean, Table, Term, clip, count};

/// Incidents shown of each kind; `--json` has all.
const SHOWN_MAX: usize = 40;
/// Moments nearer than this are the same: settings move a first word by less.
const SAME_MOMENT: Span = Span::from_secs(1);

/// An incident in both, and how it differs.
struct Changed {
    was: Arc<IncidentEvent>,
    is: Arc<IncidentEvent>,
    how: Vec<String>,
}

/// What two replays tell.
pub(super) struct Difference {
    same: usize,
    changed: Vec<Changed>,
    gone: Vec<Arc<IncidentEvent>>,
    new: Vec<Arc<IncidentEvent>>,
}

impl Difference {
    /// Compares the last word on each incident of two replays.
    pub(super) fn of(was: &[Arc<IncidentEvent>], is: &[Arc<IncidentEvent>]) -> Difference {
        let live = |event: &&Arc<IncidentEvent>| event.record.status != IncidentStatus::Merged;
        let (was, is): (Vec<_>, Vec<_>) = (was.iter().filter(live).collect(), is.iter().filter(live).collect());
        let pairs = pairs(&was, &is);
        let taken: BTreeSet<usize> = pairs.values().copied().collect();
        let mut difference = Difference { same: 0, changed: Vec::new(), gone: Vec::new(), new: Vec::new() };
        for (place, event) in was.iter().enumerate() {
            match pairs.get(&place) {
                None => difference.gone.push((*event).clone()),
                Some(other) => match how(&event.record, &is[*other].record) {
                    how if how.is_empty() => difference.same += 1,
                    how => {
                        difference.changed.push(Changed { was: (*event).clone(), is: is[*other].clone(), how });
                    }
                },
            }
        }
        let new = is.iter().enumerate().filter(|(place, _)| !taken.contains(place));
        difference.new = new.map(|(_, event)| (*event).clone()).collect();
        difference
    }

    /// The tables, and the counts in a sentence.
    pub(super) fn text(&self, term: &Term) -> String {
        let mut text = String::new();
        for (title, events) in [("No longer told", &self.gone), ("Newly told", &self.new)] {
            if !events.is_empty() {
                let lines: Vec<IncidentLine> =
                    events.iter().take(SHOWN_MAX).map(|event| IncidentLine::of(&event.tenant, &event.record)).collect();
                text.push_str(&format!("\n{}\n{}", term.heading(title), incident_lines(&lines, false).render(term, 2)));
                text.push_str(&more(events.len()));
            }
        }
        if !self.changed.is_empty() {
            let columns =
                [("", Lean::Left), ("opened (UTC)", Lean::Left), ("changed", Lean::Left), ("incident", Lean::Left)];
            let mut table = Table::new(&columns);
            for Changed { is, how, .. } in self.changed.iter().take(SHOWN_MAX) {
                let record = &is.record;
                let title = clip(&record.title, TITLE_CHARS);
                table.row([record.priority.to_string(), date_and_time(record.opened_at), how.join("; "), title]);
            }
            text.push_str(&format!(
                "\n{}\n{}{}",
                term.heading("Told otherwise"),
                table.render(term, 2),
                more(self.changed.len())
            ));
        }
        let said = format!(
            "{} as before, {} told otherwise, {} no longer told, {} newly told",
            count(self.same as u64, "incident"),
            self.changed.len(),
            self.gone.len(),
            self.new.len()
        );
        text.push_str(&format!("\n{}\n", term.paint(Ink::Bold, &said)));
        text
    }

    /// The same for a program.
    pub(super) fn json(&self) -> Value {
        let short = |event: &IncidentEvent| {
            let record = &event.record;
            json!({
                "tenant": &*event.tenant, "id": record.id, "title": record.title, "priority": record.priority,
                "opened_at": record.opened_at, "alerts": record.alert_count, "cause": cause(record),
            })
        };
        let list = |events: &[Arc<IncidentEvent>]| events.iter().map(|event| short(event)).collect::<Vec<_>>();
        let changed = self.changed.iter();
        json!({
            "same": self.same,
            "changed": changed.map(|c| json!({"was": short(&c.was), "is": short(&c.is), "how": c.how})).collect::<Vec<_>>(),
            "gone": list(&self.gone),
            "new": list(&self.new),
        })
    }
}

/// Characters of a title beside what changed.
const TITLE_CHARS: usize = 48;

fn more(length: usize) -> String {
    if length > SHOWN_MAX { format!("  … and {} more, --json has them\n", length - SHOWN_MAX) } else { String::new() }
}

/// Places in the second list by places in the first: by id, then by most alerts in common.
fn pairs(was: &[&Arc<IncidentEvent>], is: &[&Arc<IncidentEvent>]) -> BTreeMap<usize, usize> {
    let ids: BTreeMap<(&str, &str), usize> =
        is.iter().enumerate().map(|(place, event)| ((&*event.tenant, event.record.id.as_str()), place)).collect();
    let mut pairs: BTreeMap<usize, usize> = BTreeMap::new();
    for (place, event) in was.iter().enumerate() {
        if let Some(other) = ids.get(&(&*event.tenant, event.record.id.as_str())) {
            pairs.insert(place, *other);
        }
    }
    let mut holders: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
    for (place, event) in is.iter().enumerate() {
        for alert in &event.record.alerts {
            holders.entry((&*event.tenant, alert.fingerprint.as_str())).or_default().push(place);
        }
    }
    // How many alerts two share that are not yet paired; incidents that follow each other are not the same.
    let mut shared: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    for (place, event) in was.iter().enumerate().filter(|(place, _)| !pairs.contains_key(place)) {
        for alert in &event.record.alerts {
            for other in holders.get(&(&*event.tenant, alert.fingerprint.as_str())).into_iter().flatten() {
                if meet(&event.record, &is[*other].record) {
                    *shared.entry((place, *other)).or_default() += 1;
                }
            }
        }
    }
    let mut taken: BTreeSet<usize> = pairs.values().copied().collect();
    let mut by_count: Vec<((usize, usize), usize)> = shared.into_iter().collect();
    by_count.sort_by_key(|(places, count)| (std::cmp::Reverse(*count), *places));
    for ((place, other), _) in by_count {
        if !pairs.contains_key(&place) && taken.insert(other) {
            pairs.insert(place, other);
        }
    }
    pairs
}

/// Whether one began before the other was over.
fn meet(a: &IncidentRecord, b: &IncidentRecord) -> bool {
    let begin = |record: &IncidentRecord| record.started_at.unwrap_or(record.opened_at);
    let end = |record: &IncidentRecord| record.resolved_at.unwrap_or(record.updated_at);
    begin(a) <= end(b) && begin(b) <= end(a)
}

/// The first cause, if one is named.
fn cause(record: &IncidentRecord) -> Option<&str> {
    record.probable_causes.first().map(|cause| cause.reference.as_str())
}

/// What the second says otherwise.
fn how(was: &IncidentRecord, is: &IncidentRecord) -> Vec<String> {
    let mut how = Vec::new();
    let apart = is.opened_at.since(was.opened_at);
    if apart.0.unsigned_abs() >= SAME_MOMENT.0.unsigned_abs() {
        let way = if apart.0 < 0 { "earlier" } else { "later" };
        how.push(format!("{} {way}", rough(Span(apart.0.saturating_abs()))));
    }
    if was.priority != is.priority {
        how.push(format!("{} → {}", was.priority, is.priority));
    }
    if was.alert_count != is.alert_count {
        how.push(format!("{} → {} alerts", was.alert_count, is.alert_count));
    }
    if cause(was) != cause(is) {
        how.push(format!("cause {} → {}", cause(was).unwrap_or("unknown"), cause(is).unwrap_or("unknown")));
    }
    how
}
