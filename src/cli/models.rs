//! `bellwether models …`: each model as a command over files.

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

use crate::models_cmd::{
    assign, breach, causes, detect, forecast, groups, learn_groups, precedence, sessions, similar, templates,
};

/// One command for each kind of model.
#[derive(Debug, Subcommand)]
pub(super) enum Models {
    /// Score the points of a metric series: how unusual is each?
    Detect(detect::DetectArgs),
    /// Forecast a series, or when it runs out
    Forecast(forecast::ForecastArgs),
    /// Mine the templates of log lines
    Templates(templates::TemplatesArgs),
    /// Score log sessions against normal ones
    Sessions(sessions::SessionsArgs),
    /// Group alerts that belong together
    Groups(groups::GroupsArgs),
    /// Learn the weights of the evidence that groups alerts from labels
    LearnGroups(learn_groups::LearnGroupsArgs),
    /// Learn which types of alert come before which
    Precedence(precedence::PrecedenceArgs),
    /// Rank the causes of a case
    Causes(causes::CausesArgs),
    /// Which group will resolve a ticket that was just opened
    Assign(assign::AssignArgs),
    /// Whether a ticket will miss its agreement, and how long it will take
    Breach(breach::BreachArgs),
    /// Find the earlier reports of the same trouble
    Similar(similar::SimilarArgs),
}

impl Models {
    pub(super) fn run(&self) -> Result<ExitCode> {
        match self {
            Models::Detect(args) => detect::run(args),
            Models::Forecast(args) => forecast::run(args),
            Models::Templates(args) => templates::run(args),
            Models::Sessions(args) => sessions::run(args),
            Models::Groups(args) => groups::run(args),
            Models::LearnGroups(args) => learn_groups::run(args),
            Models::Precedence(args) => precedence::run(args),
            Models::Causes(args) => causes::run(args),
            Models::Assign(args) => assign::run(args),
            Models::Breach(args) => breach::run(args),
            Models::Similar(args) => similar::run(args),
        }
    }
}
