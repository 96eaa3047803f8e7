//! Holds an answer against what was sent, and names the rules that were broken.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::answer::{Answer, Held};
use super::rules::Rule;
use super::story::{Delivery, revisions_of, standing};

/// Fields of the record that are compared where an answer has them.
const COMPARED: [&str; 10] = [
    "merged_into",
    "parent_id",
    "title",
    "summary",
    "description",
    "priority",
    "severity",
    "dedup_key",
    "acknowledged_at",
    "resolved_at",
];
/// By when it has to be resolved: a field in version 2, a label in version 1.
const RESOLVE_BY: &str = "resolve_by";
/// Which revisions were acted on.
const ACTED: &str = "acted";
/// Characters of a value in a finding.
const SHOWN_CHARS: usize = 60;

/// A rule that was broken at one incident.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Broken {
    /// Which.
    pub rule: Rule,
    /// Where: `tenant/id`.
    pub incident: String,
    /// How.
    pub what: String,
}

/// What the kit says of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Rules that were broken, in their order.
    pub broken: Vec<Broken>,
    /// Incidents that were sent.
    pub incidents: usize,
    /// What no line of the answer has, and so was not judged.
    pub not_judged: Vec<&'static str>,
}

impl Verdict {
    /// The rules that were broken.
    pub fn rules(&self) -> BTreeSet<Rule> {
        self.broken.iter().map(|broken| broken.rule).collect()
    }
}

/// Judges what a subscriber holds after it was sent `deliveries`.
pub fn judge(deliveries: &[Delivery], answer: &Answer) -> Verdict {
    let mut verdict = Verdict::default();
    let mut held: BTreeMap<(&str, &str), Vec<&Held>> = BTreeMap::new();
    for line in &answer.0 {
        held.entry((&line.tenant, &line.incident)).or_default().push(line);
    }
    let has = |field: &str| answer.0.iter().any(|line| line.fields.contains_key(field));
    verdict.not_judged = COMPARED.into_iter().chain([RESOLVE_BY]).filter(|field| !has(field)).collect();
    if answer.0.iter().all(|line| line.acted.is_none()) {
        verdict.not_judged.push(ACTED);
    }
    let sent = revisions_of(deliveries);
    for (delivery, record) in standing(deliveries) {
        verdict.incidents += 1;
        let (tenant, id) = (&delivery.event().tenant, &delivery.event().record.id);
        let mut found = Found { rule: delivery.rule, incident: format!("{tenant}/{id}"), broken: &mut verdict.broken };
        let lines = held.remove(&(&**tenant, id.as_str())).unwrap_or_default();
        let Some(line) = lines.first() else {
            found.note("it is not held".to_owned());
            continue;
        };
        if lines.len() > 1 {
            found.note_of(Rule::Once, format!("it is held {} times", lines.len()));
        }
        found.compare(line, &record);
        if let Some(acted) = &line.acted {
            found.order(acted, |revision| sent.contains(&(tenant.clone(), id.clone(), revision)));
        }
    }
    for (tenant, id) in held.into_keys() {
        let incident = format!("{tenant}/{id}");
        let what = "it is held, and was never sent".to_owned();
        verdict.broken.push(Broken { rule: Rule::NothingElse, incident, what });
    }
    verdict.broken.sort();
    verdict
}

/// What is found at one incident.
struct Found<'v> {
    /// The rule that its story shows.
    rule: Rule,
    incident: String,
    broken: &'v mut Vec<Broken>,
}

impl Found<'_> {
    fn note(&mut self, what: String) {
        self.note_of(self.rule, what);
    }

    fn note_of(&mut self, rule: Rule, what: String) {
        self.broken.push(Broken { rule, incident: self.incident.clone(), what });
    }

    fn compare(&mut self, line: &Held, record: &Map<String, Value>) {
        let differs = |field: &str, have: &Value, want: &Value| {
            format!("`{field}` is {}, should be {}", shown(have), shown(want))
        };
        let (revision, status) = (Value::from(line.revision), Value::from(line.status.as_str()));
        let always = [("revision", &revision), ("status", &status)];
        let kept = COMPARED.into_iter().filter_map(|field| Some((field, line.fields.get(field)?)));
        for (field, have) in always.into_iter().chain(kept) {
            let want = record.get(field).unwrap_or(&Value::Null);
            if !equal(have, want) {
                self.note(differs(field, have, want));
            }
        }
        if let Some(have) = line.fields.get(RESOLVE_BY) {
            let promised = record.get("sla").and_then(|sla| sla.pointer("/resolve/by"));
            let label = || record.get("labels").and_then(|labels| labels.get("sla.resolve_by"));
            let want = promised.or_else(label).unwrap_or(&Value::Null);
            if !equal(have, want) {
                self.note(differs(RESOLVE_BY, have, want));
            }
        }
    }

    /// Each revision that was acted on was sent, and higher than the one before.
    fn order(&mut self, acted: &[u64], sent: impl Fn(u64) -> bool) {
        for (at, revision) in acted.iter().enumerate() {
            if !sent(*revision) {
                self.note_of(Rule::NothingElse, format!("revision {revision} was acted on, and was never sent"));
            } else if acted[..at].contains(revision) {
                return self.note_of(Rule::Once, format!("revision {revision} was acted on twice"));
            } else if at > 0 && *revision < acted[at - 1] {
                let what = format!("revision {revision} was acted on after {}", acted[at - 1]);
                return self.note_of(Rule::Newest, what);
            }
        }
    }
}

/// Nothing, no text and `null` are one.
fn equal(have: &Value, want: &Value) -> bool {
    let nothing = |value: &Value| value.is_null() || value.as_str() == Some("");
    have == want || nothing(have) && nothing(want)
}

/// A value for people: escaped, and not too long.
fn shown(value: &Value) -> String {
    let plain = |c: char| c == ' ' || c.is_ascii_graphic();
    let text: String = value
        .to_string()
        .chars()
        .map(|c| match plain(c) {
            true => c.to_string(),
            false => c.escape_unicode().to_string(),
        })
        .collect();
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], value.as_str().map_or(text.len(), str::len)),
        None => text,
    }
}
