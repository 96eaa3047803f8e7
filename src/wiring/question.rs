//! What others ask of an engine, which only its thread can answer: between two entries it does.

use bellwether_connectors::intake::tap::SeriesName;
use bellwether_engine::Engine;
use tokio::sync::oneshot;

/// Something that only the engine's thread knows.
#[derive(Debug)]
pub enum Question {
    /// What these series are; those that are not known are left out.
    Series {
        /// Whose.
        tenant: String,
        /// Which.
        series: Vec<u64>,
        /// Where the answer goes.
        answer: oneshot::Sender<Vec<SeriesName>>,
    },
    /// Anything else: a look at the engine itself, which changes nothing that a revision or a checkpoint would say.
    Look(Look),
}

/// Looks at an engine, and takes what it sees to whoever waits for it. The engine stands still meanwhile: who asks keeps
/// to a small share of its time.
pub struct Look(pub Box<dyn FnOnce(&mut Engine) + Send>);

impl std::fmt::Debug for Look {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Look")
    }
}
