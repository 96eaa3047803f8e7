//! Settings of the `enrich` stage.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::incident::Priority;

/// Settings of the `enrich` stage.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EnrichConfig {
    /// The team that gives out what nobody is known to own.
    pub default_team: String,
    /// Past incidents at least this similar, 0–1, are shown.
    pub similar_min: f64,
    /// Assign people by skill and load, not only teams.
    pub assign_people: bool,
    /// How sure, 0–1, experience has to be that another team resolves such incidents than the one that the
    /// catalogue names. Below that it is said, not done.
    #[serde(skip_serializing_if = "is_assign_from_default")]
    #[schemars(range(min = 0, max = 1))]
    pub assign_from: f64,
    /// The priority of each impact (rows, 1 to 3) and urgency (columns, 1 to 3).
    #[serde(skip_serializing_if = "PriorityMatrix::is_default")]
    pub priority: PriorityMatrix,
}

/// Answers that sure are right in four of five cases.
const ASSIGN_FROM: f64 = 0.8;

/// A setting that came later is left out where it says nothing: configurations of before keep their hash.
fn is_assign_from_default(from: &f64) -> bool {
    *from == ASSIGN_FROM
}

impl Default for EnrichConfig {
    fn default() -> Self {
        EnrichConfig {
            default_team: "operations".to_owned(),
            similar_min: 0.35,
            assign_people: true,
            assign_from: ASSIGN_FROM,
            priority: PriorityMatrix::default(),
        }
    }
}

/// The priority of each impact and urgency. The default is the one that real desks use: the UCI incident log has it
/// in each of its tickets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PriorityMatrix([[Priority; 3]; 3]);

impl Default for PriorityMatrix {
    fn default() -> Self {
        use Priority::{P1, P2, P3, P4};
        PriorityMatrix([[P1, P2, P3], [P2, P3, P4], [P3, P4, P4]])
    }
}

impl PriorityMatrix {
    /// The priority of an impact and an urgency, each from 1 to 3.
    pub(super) fn of(&self, impact: u8, urgency: u8) -> Priority {
        let place = |number: u8| usize::from(number.clamp(1, 3) - 1);
        self.0[place(impact)][place(urgency)]
    }

    fn is_default(&self) -> bool {
        *self == PriorityMatrix::default()
    }
}
