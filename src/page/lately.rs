//! What was seen of estates lately: entities, one of them with its alerts, what stands beside.

use std::sync::Arc;
use std::time::Duration;

use bellwether_engine::ledger::LessonView;
use bellwether_engine::{AlertsSeen, ChangeView, EntityLine, EntityView, LearnedDelay, ProblemView, TemplateView};

use super::kept::Kept;

/// Entities change by the day, and all of them are a look at every series.
const ENTITIES_FOR: Duration = Duration::from_secs(60);
/// Tenants of which they are kept: some 10 MB where one has 100,000.
const ENTITIES_OF_MAX: usize = 4;
/// What stands is shown for as long as an incident's detail.
const STANDING_FOR: Duration = Duration::from_secs(10);
/// Entities, lists of alerts and tenants of which is kept what was seen.
const SEEN_MAX: usize = 64;

/// One entity with its alerts.
#[derive(Debug)]
pub(crate) struct EntitySeen {
    pub(crate) entity: Option<EntityView>,
    pub(crate) alerts: AlertsSeen,
}

/// What stands at a tenant beside its alerts.
#[derive(Debug)]
pub(crate) struct Standing {
    /// The latest first.
    pub(crate) changes: Vec<ChangeView>,
    /// Those with most lines first.
    pub(crate) templates: Vec<TemplateView>,
    /// How many templates there are.
    pub(crate) templates_known: usize,
    /// The costliest first.
    pub(crate) problems: Vec<ProblemView>,
    /// The latest first.
    pub(crate) lessons: Vec<LessonView>,
    /// Pairs of alerts that people have judged.
    pub(crate) judged: usize,
    /// How long trouble takes along each kind of edge.
    pub(crate) delays: Vec<LearnedDelay>,
}

/// What was seen lately.
#[derive(Debug)]
pub(super) struct Lately {
    pub(super) entities: Kept<Arc<str>, Vec<EntityLine>>,
    pub(super) entity: Kept<(Arc<str>, String), EntitySeen>,
    pub(super) standing: Kept<Arc<str>, Standing>,
}

impl Default for Lately {
    fn default() -> Lately {
        Lately {
            entities: Kept::new(ENTITIES_FOR, ENTITIES_OF_MAX),
            entity: Kept::new(STANDING_FOR, SEEN_MAX),
            standing: Kept::new(STANDING_FOR, SEEN_MAX),
        }
    }
}
