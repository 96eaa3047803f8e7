//! Episodes: grouping a stream that has no topology and much recurring noise.
//!
//! Where most alerts are old acquaintances (a scanner that complains daily), the
//! news is a type of alert never seen before on its entity. Such a novelty
//! begins an episode unless another came just before it; recurring alerts near
//! a novelty belong to it, and all others to the current stretch of noise, which
//! ends with the next novelty or with a long silence. Security alerts of a
//! multi-step attack are such a stream; alerts of an estate with a topology are
//! for the [`Grouper`](super::Grouper).
//!
//! State is one bounded set of acquaintances and a few numbers; an alert costs
//! one look-up.

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

/// Acquaintances kept; when full, the half unheard for longest is dropped, and
/// its alerts are novelties once more.
const KNOWN_MAX: usize = 262_144;

/// Settings of [`Episodes`]; times are nanoseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EpisodeParams {
    /// Novelties at most this far apart belong to one episode.
    pub novelty_gap_ns: i64,
    /// Recurring alerts this soon after a novelty belong to its episode.
    pub tail_ns: i64,
    /// Silence that ends a stretch of recurring alerts: what ends a group of the [`Grouper`](super::Grouper), too.
    pub quiet_ns: i64,
}

impl Default for EpisodeParams {
    fn default() -> Self {
        Self { novelty_gap_ns: 20_000_000_000, tail_ns: 30_000_000_000, quiet_ns: 1_800_000_000_000 }
    }
}

/// Groups alerts into episodes as they come, in order of time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Episodes {
    params: EpisodeParams,
    #[serde(with = "known_in_order")]
    known: HashMap<u64, i64, foldhash::fast::FixedState>,
    novelty: Option<(u64, i64)>,
    noise: Option<(u64, i64)>,
    next: u64,
    forgotten: u64,
}

impl Episodes {
    /// No acquaintances yet.
    #[must_use]
    pub fn new(params: EpisodeParams) -> Self {
        Self { params, known: HashMap::default(), novelty: None, noise: None, next: 0, forgotten: 0 }
    }

    /// The episode of one alert; `key` stands for its type and entity. Alerts of
    /// equal time come with novelties first (see [`is_known`](Self::is_known)),
    /// then in order of key.
    pub fn assign(&mut self, key: u64, time_ns: i64) -> u64 {
        let known = self.known.insert(key, time_ns).is_some();
        if self.known.len() > KNOWN_MAX {
            self.forget();
        }
        let within = |last: Option<(u64, i64)>, gap: i64| {
            last.filter(|(_, at)| time_ns.saturating_sub(*at) <= gap).map(|(episode, _)| episode)
        };
        if !known {
            let episode = within(self.novelty, self.params.novelty_gap_ns).unwrap_or_else(|| {
                self.noise = None;
                self.begin()
            });
            self.novelty = Some((episode, time_ns));
            return episode;
        }
        if let Some(episode) = within(self.novelty, self.params.tail_ns) {
            return episode;
        }
        let episode = within(self.noise, self.params.quiet_ns).unwrap_or_else(|| self.begin());
        self.noise = Some((episode, time_ns));
        episode
    }

    /// Whether alerts of this type and entity have been seen.
    #[must_use]
    pub fn is_known(&self, key: u64) -> bool {
        self.known.contains_key(&key)
    }

    /// Acquaintances dropped because the table was full.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    fn begin(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    fn forget(&mut self) {
        let mut order: Vec<(i64, u64)> = self.known.iter().map(|(key, at)| (*at, *key)).collect();
        order.sort_unstable();
        order.truncate(KNOWN_MAX / 2);
        self.forgotten += order.len() as u64;
        for (_, key) in order {
            self.known.remove(&key);
        }
    }
}

/// Acquaintances as a list in order of key, so that equal states save equally.
mod known_in_order {
    use hashbrown::HashMap;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    type Known = HashMap<u64, i64, foldhash::fast::FixedState>;

    pub(super) fn serialize<S: Serializer>(known: &Known, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list: Vec<(u64, i64)> = known.iter().map(|(key, at)| (*key, *at)).collect();
        list.sort_unstable();
        list.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Known, D::Error> {
        Ok(Vec::<(u64, i64)>::deserialize(deserializer)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn a_novelty_begins_an_episode_and_noise_goes_on_apart() {
        let mut episodes = Episodes::new(EpisodeParams::default());
        let mut at = |key, second| episodes.assign(key, second * SECOND);
        let start = at(1, 0);
        assert_eq!(at(2, 10), start, "novelties close together");
        let noise = at(1, 300);
        assert_ne!(noise, start);
        assert_eq!(at(2, 900), noise, "one stretch of noise");
        let attack = at(3, 1000);
        assert!(attack != noise && attack != start);
        assert_eq!(at(1, 1010), attack, "noise beside a novelty");
        assert_ne!(at(1, 1300), noise, "a novelty ends the stretch of noise");
    }

    #[test]
    fn a_long_silence_ends_a_stretch_of_noise() {
        let mut episodes = Episodes::new(EpisodeParams::default());
        episodes.assign(1, 0);
        let before = episodes.assign(1, 100 * SECOND);
        assert_ne!(episodes.assign(1, 5000 * SECOND), before);
    }
}
