//! The faults of a public case beside the incidents that named them.

use bellwether_datasets::real::Judge;
use serde_json::{Value, json};

use super::date_and_time;
use crate::term::{Lean, Table, Term};

/// One row for each fault, and the count below.
pub fn answers_table(judge: &Judge, term: &Term) -> String {
    let mut table = Table::new(&[("fault (UTC)", Lean::Left), ("injured", Lean::Left), ("named by", Lean::Left)]);
    for fault in &judge.faults {
        let found = fault.found.clone().unwrap_or_else(|| "no incident".to_owned());
        table.row(vec![date_and_time(fault.at), fault.entities.first().cloned().unwrap_or_default(), found]);
    }
    format!("{}\n{}\n", table.render(term, 2), answers_line(judge))
}

/// `the injured component is named in 45 of 56 cases, with 2.9 entities an event`.
pub fn answers_line(judge: &Judge) -> String {
    let (found, all, each) = (judge.found(), judge.faults.len(), judge.entities_per_event());
    format!("the injured component is named in {found} of {all} cases, with {each:.1} entities an event")
}

/// The same for programs.
pub fn answers_json(judge: &Judge) -> Value {
    let faults = judge
        .faults
        .iter()
        .map(|fault| json!({"at": fault.at.to_string(), "entities": fault.entities, "incident": fault.found}));
    json!({
        "cases": judge.faults.len(),
        "named": judge.found(),
        "entities_per_event": judge.entities_per_event(),
        "faults": faults.collect::<Vec<_>>(),
    })
}
