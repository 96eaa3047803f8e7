//! Whether an alert fulfils a condition that a person wrote.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};

use crate::alert::{Alert, label};
use crate::entity::split_entity;
use crate::expr::{ColumnNeed, Expression};
use crate::symbols::Symbols;

/// Whether one alert fulfils a condition over alert columns.
pub(super) fn alert_matches(expression: &Expression, alert: &Alert, names: &Symbols, entities: &Symbols) -> bool {
    let entity = entities.text(alert.entity);
    let text = |value: Option<&str>| Arc::new(StringArray::from(vec![value])) as ArrayRef;
    let columns = expression
        .needs()
        .map(|need| match need {
            ColumnNeed::Base(0) => text(Some(names.text(alert.name))),
            ColumnNeed::Base(1) => text(Some(names.text(alert.source))),
            ColumnNeed::Base(2) => text(Some(entity)),
            ColumnNeed::Base(3) => text(Some(split_entity(entity).0)),
            ColumnNeed::Base(_) => text(Some(alert.severity.name())),
            ColumnNeed::Label(name) => text(label(&alert.labels, name)),
        })
        .collect();
    let (answers, _) = expression.evaluate(columns, 1);
    answers.iter().next().flatten().unwrap_or(false)
}
