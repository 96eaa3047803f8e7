//! Silences set over the API: kept for listing, and handed to the engine as an action.

use std::collections::BTreeMap;

use bellwether_engine::input::Action;
use bellwether_engine::time::EventTime;
use serde::Deserialize;
use xxhash_rust::xxh3::xxh3_128;

use super::matcher::{Matcher, MatcherError, Test};
use super::table::Listed;
use crate::decode::any_time::go_time;

/// Most silences of a tenant; each is tried against each alert.
pub(super) const SILENCES_MAX: usize = 1_000;

/// Most matchers of one silence.
const MATCHERS_MAX: usize = 32;

/// A silence as posted.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PostedSilence {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    matchers: Vec<Matcher>,
    #[serde(default)]
    starts_at: String,
    #[serde(default)]
    ends_at: String,
    #[serde(default)]
    created_by: String,
    #[serde(default)]
    comment: String,
}

/// A silence in force, ahead or over.
pub(super) struct Silence {
    matchers: Vec<Matcher>,
    tests: Vec<Test>,
    pub(super) starts_at: EventTime,
    pub(super) ends_at: EventTime,
    pub(super) updated_at: EventTime,
    pub(super) created_by: String,
    pub(super) comment: String,
}

/// Where a silence stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    Pending,
    Active,
    Expired,
}

impl Silence {
    pub(super) fn matchers(&self) -> &[Matcher] {
        &self.matchers
    }

    pub(super) fn state(&self, now: EventTime) -> State {
        if self.ends_at <= now {
            State::Expired
        } else if self.starts_at <= now {
            State::Active
        } else {
            State::Pending
        }
    }

    fn mutes(&self, alert: &Listed, now: EventTime) -> bool {
        self.state(now) == State::Active && self.tests.iter().all(|test| test.holds(|name| alert.label(name)))
    }

    /// What the engine is told.
    fn action(&self, id: &str) -> Action {
        let parts: Vec<String> = self.matchers.iter().map(Matcher::sql).collect();
        Action::Silence {
            id: id.to_owned(),
            matching: parts.join(" AND "),
            from: self.starts_at,
            until: self.ends_at,
            who: self.created_by.clone(),
            why: self.comment.clone(),
        }
    }
}

/// The silences of one tenant.
#[derive(Default)]
pub(super) struct Silences {
    all: BTreeMap<String, Silence>,
}

/// Why a silence is not set.
#[derive(Debug, thiserror::Error)]
pub(super) enum SilenceError {
    #[error("a silence needs 1 to {MATCHERS_MAX} matchers")]
    Matchers,
    #[error("at least one matcher must not match the empty string")]
    Everything,
    #[error("{0}")]
    Matcher(#[from] MatcherError),
    #[error("{0}")]
    Time(String),
    #[error("a silence needs endsAt")]
    Endless,
    #[error("a silence must end after it starts, and not in the past")]
    Over,
    #[error("silence `{0}` is not known")]
    Unknown(String),
    #[error("there are {SILENCES_MAX} silences already; expire some")]
    Full,
}

impl Silences {
    /// Adds or replaces a silence; returns its id and what the engine is to be told.
    ///
    /// # Errors
    /// [`SilenceError`]: what is wrong with it, for the person who set it.
    pub(super) fn set(&mut self, posted: PostedSilence, now: EventTime) -> Result<(String, Action), SilenceError> {
        if posted.matchers.is_empty() || posted.matchers.len() > MATCHERS_MAX {
            return Err(SilenceError::Matchers);
        }
        let tests = posted.matchers.iter().map(Matcher::test).collect::<Result<Vec<_>, _>>()?;
        if tests.iter().all(|test| test.holds(|_| None)) {
            return Err(SilenceError::Everything);
        }
        let time = |text: &str| go_time(text).map_err(|error| SilenceError::Time(error.to_string()));
        let starts_at = time(&posted.starts_at)?.unwrap_or(now);
        let ends_at = time(&posted.ends_at)?.ok_or(SilenceError::Endless)?;
        if ends_at <= starts_at || ends_at <= now {
            return Err(SilenceError::Over);
        }
        let known = posted.id.filter(|id| !id.is_empty());
        if let Some(id) = &known
            && !self.all.contains_key(id)
        {
            return Err(SilenceError::Unknown(id.clone()));
        }
        self.all.retain(|_, silence| silence.state(now) != State::Expired || now.since(silence.ends_at).0 < KEPT_NANOS);
        if known.is_none() && self.all.len() >= SILENCES_MAX {
            return Err(SilenceError::Full);
        }
        let silence = Silence {
            matchers: posted.matchers,
            tests,
            starts_at,
            ends_at,
            updated_at: now,
            created_by: posted.created_by,
            comment: posted.comment,
        };
        let id = known.unwrap_or_else(|| new_id(&silence, now, self.all.len()));
        let action = silence.action(&id);
        self.all.insert(id.clone(), silence);
        Ok((id, action))
    }

    /// Ends a silence now.
    pub(super) fn expire(&mut self, id: &str, now: EventTime) -> Option<Action> {
        let silence = self.all.get_mut(id)?;
        silence.ends_at = silence.ends_at.min(now);
        silence.updated_at = now;
        Some(silence.action(id))
    }

    pub(super) fn get(&self, id: &str) -> Option<&Silence> {
        self.all.get(id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Silence)> {
        self.all.iter().map(|(id, silence)| (id.as_str(), silence))
    }

    /// The ids of silences that mute `alert` now.
    pub(super) fn muting<'a>(&'a self, alert: &'a Listed, now: EventTime) -> impl Iterator<Item = &'a str> {
        self.iter().filter(move |(_, silence)| silence.mutes(alert, now)).map(|(id, _)| id)
    }
}

/// An expired silence is listed for five days, as Alertmanager keeps it.
const KEPT_NANOS: i64 = 5 * 24 * 3_600 * 1_000_000_000;

/// An id in the form of a UUID, made from what the silence says and when it was set.
fn new_id(silence: &Silence, now: EventTime, count: usize) -> String {
    let mut seed = format!("{} {count} {} {}", now.0, silence.created_by, silence.comment);
    for matcher in &silence.matchers {
        seed.push_str(&matcher.sql());
    }
    let hex = format!("{:032x}", xxh3_128(seed.as_bytes()));
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
