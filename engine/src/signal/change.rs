//! Changes: deployments, configuration, feature flags, in the words of CDEvents.

use arrow::array::{StringArray, StringBuilder, TimestampNanosecondArray, TimestampNanosecondBuilder};
use arrow::datatypes::SchemaRef;

use super::builder::{self, batch_builder};
use super::lengths::{
    append_entity, append_name, append_text, append_url, entity_fits, name_fits, text_fits, url_fits,
};
use super::{Batch, SignalKind, text_field, time_field, versioned};
use crate::columns::{column, optional_text};
use crate::time::EventTime;

pub(super) fn schema() -> SchemaRef {
    versioned(vec![
        time_field("time", false),
        text_field("id", false),
        text_field("type", false),
        text_field("entity", false),
        text_field("artifact", true),
        text_field("who", true),
        text_field("url", true),
        text_field("text", true),
    ])
}

/// One change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChangeRow<'a> {
    /// When it took effect.
    pub time: EventTime,
    /// Its id in the tool that made it.
    pub id: &'a str,
    /// The CDEvents type, e.g. `dev.cdevents.service.deployed.0.3.0`.
    pub change_type: &'a str,
    /// What was changed, `type:name`.
    pub entity: &'a str,
    /// A package URL.
    pub artifact: Option<&'a str>,
    /// Who made it.
    pub who: Option<&'a str>,
    /// Where a person can look at it.
    pub url: Option<&'a str>,
    /// What it says.
    pub text: Option<&'a str>,
}

impl ChangeRow<'_> {
    /// Whether its texts are as long as they may be: builders see to it, other programs may not.
    pub(crate) fn fits(&self) -> bool {
        let texts = [self.artifact, self.who, self.text].into_iter().flatten();
        name_fits(self.id)
            && name_fits(self.change_type)
            && entity_fits(self.entity)
            && url_fits(self.url)
            && texts.into_iter().all(text_fits)
    }
}

batch_builder! {
    /// Builds change batches.
    ChangeBuilder, SignalKind::Change, {
        time: TimestampNanosecondBuilder = builder::times(),
        id: StringBuilder = StringBuilder::new(),
        change_type: StringBuilder = StringBuilder::new(),
        entity: StringBuilder = StringBuilder::new(),
        artifact: StringBuilder = StringBuilder::new(),
        who: StringBuilder = StringBuilder::new(),
        url: StringBuilder = StringBuilder::new(),
        text: StringBuilder = StringBuilder::new(),
    }
}

impl ChangeBuilder {
    /// Appends one change.
    pub fn push(&mut self, row: &ChangeRow<'_>) {
        self.time.append_value(row.time.0);
        let mut short = append_name(&mut self.id, row.id);
        short |= append_name(&mut self.change_type, row.change_type);
        short |= append_entity(&mut self.entity, row.entity);
        short |= append_text(&mut self.artifact, row.artifact);
        short |= append_text(&mut self.who, row.who);
        short |= append_url(&mut self.url, row.url);
        short |= append_text(&mut self.text, row.text);
        self.shortened += u32::from(short);
    }
}

/// The columns of a change batch, typed.
#[derive(Clone, Copy)]
pub struct ChangeColumns<'a> {
    /// Event times in nanoseconds.
    pub time: &'a [i64],
    texts: [&'a StringArray; 7],
}

impl<'a> ChangeColumns<'a> {
    /// The columns of `batch`, which must be of kind `change`.
    pub fn of(batch: &'a Batch) -> ChangeColumns<'a> {
        debug_assert_eq!(batch.kind(), SignalKind::Change);
        let records = batch.records();
        ChangeColumns {
            time: column::<TimestampNanosecondArray>(records, 0).values(),
            texts: std::array::from_fn(|i| column(records, i + 1)),
        }
    }

    /// How many rows.
    pub fn len(&self) -> usize {
        self.time.len()
    }

    /// True when there is no row.
    pub fn is_empty(&self) -> bool {
        self.time.is_empty()
    }

    /// Row `row`; panics when out of range.
    pub fn row(&self, row: usize) -> ChangeRow<'a> {
        let [id, change_type, entity, artifact, who, url, text] = self.texts;
        ChangeRow {
            time: EventTime(self.time[row]),
            id: id.value(row),
            change_type: change_type.value(row),
            entity: entity.value(row),
            artifact: optional_text(artifact, row),
            who: optional_text(who, row),
            url: optional_text(url, row),
            text: optional_text(text, row),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_comes_back_as_it_went_in() {
        let row = ChangeRow {
            time: EventTime::from_secs(5),
            id: "chg-1",
            change_type: "dev.cdevents.service.deployed.0.3.0",
            entity: "service:api",
            artifact: None,
            who: Some("ana"),
            url: None,
            text: Some("raise the pool size"),
        };
        let mut builder = ChangeBuilder::new();
        builder.push(&row);
        let batch = builder.finish("acme").expect("tenant is plain");
        assert_eq!(ChangeColumns::of(&batch).row(0), row);
    }
}
