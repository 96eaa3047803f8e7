//! Topology edges: who calls, runs on, connects to, is part of, is owned by whom.

use arrow::array::{
    Float64Array, Float64Builder, StringArray, StringBuilder, TimestampNanosecondArray, TimestampNanosecondBuilder,
};
use arrow::datatypes::{DataType, Field, SchemaRef};

use super::builder::{self, batch_builder};
use super::lengths::{append_entity, append_name, entity_fits, name_fits};
use super::{Batch, Relation, SignalKind, text_field, time_field, versioned};
use crate::columns::column;
use crate::time::EventTime;

pub(super) fn schema() -> SchemaRef {
    versioned(vec![
        time_field("time", false),
        text_field("from", false),
        text_field("to", false),
        text_field("relation", false),
        text_field("source", false),
        Field::new("confidence", DataType::Float64, false),
    ])
}

/// One edge, read `from relation to`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EdgeRow<'a> {
    /// When it was seen.
    pub time: EventTime,
    /// The dependent entity.
    pub from: &'a str,
    /// The entity it depends on, is part of, or is owned by.
    pub to: &'a str,
    /// What `from` is to `to`.
    pub relation: Relation,
    /// Who says so: `cmdb`, `traces`, `kubernetes`, …
    pub source: &'a str,
    /// How sure, 0–1; 0 removes the source's earlier word.
    pub confidence: f64,
}

impl EdgeRow<'_> {
    /// Whether its texts are as long as they may be: builders see to it, other programs may not.
    pub(crate) fn fits(&self) -> bool {
        entity_fits(self.from) && entity_fits(self.to) && name_fits(self.source)
    }
}

batch_builder! {
    /// Builds edge batches.
    EdgeBuilder, SignalKind::Edge, {
        time: TimestampNanosecondBuilder = builder::times(),
        from: StringBuilder = StringBuilder::new(),
        to: StringBuilder = StringBuilder::new(),
        relation: StringBuilder = StringBuilder::new(),
        source: StringBuilder = StringBuilder::new(),
        confidence: Float64Builder = builder::numbers(),
    }
}

impl EdgeBuilder {
    /// Appends one edge.
    pub fn push(&mut self, row: &EdgeRow<'_>) {
        self.time.append_value(row.time.0);
        let mut short = append_entity(&mut self.from, row.from);
        short |= append_entity(&mut self.to, row.to);
        self.relation.append_value(row.relation.name());
        short |= append_name(&mut self.source, row.source);
        self.shortened += u32::from(short);
        self.confidence.append_value(row.confidence);
    }
}

/// The columns of an edge batch, typed.
#[derive(Clone, Copy)]
pub struct EdgeColumns<'a> {
    /// Event times in nanoseconds.
    pub time: &'a [i64],
    from: &'a StringArray,
    to: &'a StringArray,
    relation: &'a StringArray,
    source: &'a StringArray,
    confidence: &'a Float64Array,
}

impl<'a> EdgeColumns<'a> {
    /// The columns of `batch`, which must be of kind `edge`.
    pub fn of(batch: &'a Batch) -> EdgeColumns<'a> {
        debug_assert_eq!(batch.kind(), SignalKind::Edge);
        let records = batch.records();
        EdgeColumns {
            time: column::<TimestampNanosecondArray>(records, 0).values(),
            from: column(records, 1),
            to: column(records, 2),
            relation: column(records, 3),
            source: column(records, 4),
            confidence: column(records, 5),
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

    /// Row `row`, or `None` when its relation is not a known word. Panics when out of range.
    pub fn row(&self, row: usize) -> Option<EdgeRow<'a>> {
        Some(EdgeRow {
            time: EventTime(self.time[row]),
            from: self.from.value(row),
            to: self.to.value(row),
            relation: self.relation.value(row).parse().ok()?,
            source: self.source.value(row),
            confidence: self.confidence.value(row),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_comes_back_as_it_went_in() {
        let row = EdgeRow {
            time: EventTime::from_secs(5),
            from: "service:api",
            to: "host:db-1",
            relation: Relation::RunsOn,
            source: "cmdb",
            confidence: 0.9,
        };
        let mut builder = EdgeBuilder::new();
        builder.push(&row);
        let batch = builder.finish("acme").expect("tenant is plain");
        assert_eq!(EdgeColumns::of(&batch).row(0), Some(row));
    }
}
