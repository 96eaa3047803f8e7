//! The topology: who depends on whom, as the sources say it.
//!
//! A weighted, directed multigraph over the tenant's entities. Each source's word about an
//! edge is kept apart with its confidence and age; the edge counts as sure as its surest
//! source. A word that was repeated and is repeated no more loses weight with age (`age.rs`). Bounded
//! in nodes and edges: what no longer fits is refused and counted.

mod age;
mod delays;
mod estate;
mod graph;
mod lookup;
pub(crate) mod stage;
mod view;
mod walk;

pub(crate) use delays::Delays;
pub use delays::{Delay, DelaysConfig};
pub(crate) use estate::Estate;
pub(crate) use graph::{Edge, Topology, owners};
pub(crate) use lookup::Lookup;
pub use view::{ClaimView, EdgeView, NearEdge};
pub(crate) use walk::GroupDistance;
