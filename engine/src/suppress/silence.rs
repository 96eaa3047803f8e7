//! Silences: an operator asks for quiet, for a while, with a reason.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::matches::alert_matches;
use crate::alert::{Alert, Suppression, Suppressor};
use crate::expr::{ALERT_COLUMNS, Expression};
use crate::symbols::Symbols;
use crate::time::EventTime;

/// Silences kept per tenant: they are made by people.
const SILENCES_MAX: usize = 10_000;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Silence {
    matching: String,
    from: EventTime,
    until: EventTime,
    who: String,
    why: String,
    #[serde(skip)]
    compiled: Option<Expression>,
}

/// The silences of one tenant.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Silences {
    by_id: BTreeMap<String, Silence>,
    refused: u64,
}

impl Silences {
    /// Adds or replaces a silence; one that does not compile is refused and counted.
    pub(super) fn set(
        &mut self,
        id: &str,
        matching: &str,
        (from, until): (EventTime, EventTime),
        who: &str,
        why: &str,
    ) {
        let full = self.by_id.len() >= SILENCES_MAX && !self.by_id.contains_key(id);
        let Ok(compiled) = Expression::compile(matching, ALERT_COLUMNS) else {
            self.refused += 1;
            return;
        };
        if full {
            self.refused += 1;
            return;
        }
        let silence = Silence {
            matching: matching.to_owned(),
            from,
            until,
            who: who.to_owned(),
            why: why.to_owned(),
            compiled: Some(compiled),
        };
        self.by_id.insert(id.to_owned(), silence);
    }

    /// Compiles again what a checkpoint keeps as text.
    pub(super) fn recompile(&mut self) {
        for silence in self.by_id.values_mut() {
            silence.compiled = Expression::compile(&silence.matching, ALERT_COLUMNS).ok();
        }
    }

    /// Drops silences that ended before `now`.
    pub(super) fn sweep(&mut self, now: EventTime) {
        self.by_id.retain(|_, silence| silence.until > now);
    }

    pub(crate) fn refused(&self) -> u64 {
        self.refused
    }

    pub(super) fn covering(
        &self,
        alert: &Alert,
        now: EventTime,
        (names, entities): (&Symbols, &Symbols),
    ) -> Option<Suppression> {
        let (id, silence) = self.by_id.iter().find(|(_, silence)| {
            silence.from <= now
                && now < silence.until
                && silence.compiled.as_ref().is_some_and(|e| alert_matches(e, alert, names, entities))
        })?;
        Some(Suppression {
            by: Suppressor::Silence,
            reason: format!("silence {id} by {}: {}", silence.who, silence.why).into(),
            until: Some(silence.until),
        })
    }
}
