//! What telemetry is about: labels become entities and series.

pub mod entity_resolution;
mod names;
mod scope;
pub mod series_table;
pub mod service_graph;
#[cfg(test)]
mod tests;
