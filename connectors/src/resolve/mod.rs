//! What telemetry is about: labels become entities and series.

pub mod entity_resolution;
pub mod series_table;
pub mod service_graph;
