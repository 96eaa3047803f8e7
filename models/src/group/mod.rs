//! Groups: which alerts belong together, and why.
//!
//! Two alerts are compared by four kinds of [`Evidence`] (time, topology,
//! text, learned co-occurrence), combined by one logistic rule whose parts can
//! be shown. The [`Grouper`] keeps the active alerts in bounded tables and puts
//! each new one into the group it is most strongly linked with, joins groups
//! that an alert links firmly, and answers *why* and *why not*.
//!
//! Alerts arrive in order of event time; equal times are taken in the order of
//! their ids ([`Grouper::assign_batch`]), so the result depends on the alerts
//! alone, not on their arrival.

mod apart;
mod batch;
mod delays;
mod episodes;
mod evidence;
mod explain;
mod grouper;
mod learn;
mod learned;
mod names;
mod parts;
mod precedence;
mod saved;
mod search;
mod tables;
mod text;
mod view;

pub use batch::dbscan;
pub use delays::{DelayParams, DelaySketch};
pub use episodes::{EpisodeParams, Episodes};
pub use evidence::{Evidence, GroupParams, Proximity, time_evidence, topology_evidence};
pub use explain::{Link, Needed, Why, WhyNot};
pub use grouper::{Assignment, GroupSummary, Grouper, RunnerUp};
pub use learn::{Fit, Gain, LabelledPair, LearnError, LearnParams, Proposal, cross_validate, judge, learn};
pub use learned::{CoOccurrence, CoOccurrenceParams};
pub use names::{Names, name_hash, names_in};
pub use parts::Parts;
pub use precedence::{Occurrence, Precedence, PrecedenceParams, Precedes};
pub use tables::{Counters, Distance, NO_ENTITY, NoTopology};
pub use text::{TextModel, WeightedTokens, tokenize};
pub use view::{AlertView, Begins, GroupId};
