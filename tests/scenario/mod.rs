//! What the scenario tests are made of.

pub(crate) mod conditions;
pub(crate) mod expected;
pub(crate) mod folder;
pub(crate) mod rows;
