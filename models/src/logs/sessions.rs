//! Sessions: is this run of events one that normal operation produces?
//!
//! Trained on normal sessions only.

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

/// Verdict on a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionVerdict {
    /// As in training.
    Normal,
    /// Not as in training.
    Anomalous,
}

/// Why a session got its score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "reason")]
pub enum SessionReason {
    /// Nothing stands out.
    Usual,
    /// An event that training never showed.
    UnknownEvent {
        /// The event.
        event: u32,
    },
    /// An event that follows another one it never followed.
    UnseenOrder {
        /// The event before.
        before: u32,
        /// The event that follows.
        event: u32,
    },
    /// Counts of events that no normal session had.
    UnseenCounts {
        /// The event whose count is farthest off.
        event: u32,
        /// Its count here.
        count: u32,
    },
}

/// Score and verdict on one session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionScore {
    /// 0 normal … 1 certainly not.
    pub score: f64,
    /// At the model's own threshold.
    pub verdict: SessionVerdict,
    /// The strongest reason.
    pub reason: SessionReason,
}

/// What normal sessions contain, and in which order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SessionModel {
    /// Count vectors of the training sessions, each as sorted (event, count), with how many had it.
    vectors: HashMap<Vec<(u32, u32)>, u32, foldhash::fast::FixedState>,
    followers: HashMap<(u32, u32), u32, foldhash::fast::FixedState>,
    events: HashMap<u32, u32, foldhash::fast::FixedState>,
    sessions: u32,
}

impl SessionModel {
    /// Learns from normal sessions; each is the ids of its events in order.
    #[must_use]
    pub fn fit(normal: &[Vec<u32>]) -> Self {
        let mut model = Self {
            vectors: HashMap::default(),
            followers: HashMap::default(),
            events: HashMap::default(),
            sessions: normal.len() as u32,
        };
        for session in normal {
            *model.vectors.entry(counts(session)).or_default() += 1;
            for event in session {
                *model.events.entry(*event).or_default() += 1;
            }
            for pair in session.windows(2) {
                *model.followers.entry((pair[0], pair[1])).or_default() += 1;
            }
        }
        model
    }

    /// Judges one session.
    #[must_use]
    pub fn score(&self, session: &[u32]) -> SessionScore {
        let anomalous = |score, reason| SessionScore { score, verdict: SessionVerdict::Anomalous, reason };
        if let Some(&event) = session.iter().find(|event| !self.events.contains_key(*event)) {
            return anomalous(1.0, SessionReason::UnknownEvent { event });
        }
        if let Some(pair) = session.windows(2).find(|pair| !self.followers.contains_key(&(pair[0], pair[1]))) {
            return anomalous(0.9, SessionReason::UnseenOrder { before: pair[0], event: pair[1] });
        }
        let vector = counts(session);
        if !self.vectors.contains_key(&vector) {
            let (event, count) = vector.first().copied().unwrap_or_default();
            return anomalous(0.8, SessionReason::UnseenCounts { event, count });
        }
        SessionScore { score: 0.0, verdict: SessionVerdict::Normal, reason: SessionReason::Usual }
    }
}

/// Sorted counts of a session's events.
fn counts(session: &[u32]) -> Vec<(u32, u32)> {
    let mut sorted = session.to_vec();
    sorted.sort_unstable();
    sorted.chunk_by(|left, right| left == right).map(|run| (run[0], run.len() as u32)).collect()
}
