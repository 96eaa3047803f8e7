//! What people see: each page is a function of what it shows, and knows nothing of requests.
//!
//! Whatever somebody else wrote goes through `words::said` and maud's escaping; links to elsewhere through
//! `words::outside`. Pictures are SVG in the page; their colours are the style's, so that they follow its theme.

pub(crate) mod alert_list;
mod alerts;
pub(crate) mod audit;
pub(crate) mod changes;
pub(crate) mod chart;
mod deeds;
pub(crate) mod entities;
pub(crate) mod entity;
pub(crate) mod forecasts;
pub(crate) mod frame;
pub(crate) mod incident;
mod lanes;
pub(crate) mod list;
pub(crate) mod logs;
pub(crate) mod markdown;
pub(crate) mod models;
pub(crate) mod multiples;
mod neighbours;
pub(crate) mod now;
pub(crate) mod problems;
pub(crate) mod review;
pub(crate) mod search;
mod service;
pub(crate) mod sign_in;
pub(crate) mod silences;
mod story;
pub(crate) mod system;
mod tenants;
pub(crate) mod words;

pub(crate) use deeds::Hands;
pub(crate) use story::sentence;
