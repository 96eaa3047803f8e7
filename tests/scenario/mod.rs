//! What the scenario tests are made of.

pub mod conditions;
pub mod expected;
pub mod folder;
pub mod rows;
