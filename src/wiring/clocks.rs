//! Clocks that are off, in the log: each once when it is found, once when it is right again.

use std::collections::BTreeMap;

use bellwether_engine::time::Span;
use bellwether_engine::{ClockView, EngineStats, TenantStats};

/// A clock that has moved by less since it was told is no news: corrections follow it.
const NEWS: Span = Span::from_secs(60);

/// What the log has told: how far each clock is ahead, by tenant and source. As many as the engine names.
#[derive(Debug, Default)]
pub(super) struct Clocks {
    told: BTreeMap<(String, String), Span>,
    /// Of the host's own clock.
    own: Span,
}

impl Clocks {
    /// Tells what is news.
    pub(super) fn tell(&mut self, stats: &EngineStats) {
        self.tell_own(stats.clock_ahead);
        for (tenant, of_tenant) in &stats.tenants {
            for clock in self.news(tenant, &of_tenant.clocks) {
                tracing::warn!(
                    tenant,
                    source = clock.name,
                    class = clock.class.name(),
                    ahead_secs = clock.ahead.as_secs_f64().round(),
                    skewed = of_tenant.clocks_skewed,
                    "a source's clock is off, or all that it sends is so late: its times are corrected"
                );
            }
            for source in self.mended(tenant, of_tenant) {
                tracing::info!(tenant, source, "a source's clock is right again");
            }
        }
    }

    /// The clocks of a tenant that were not told, or have moved since.
    fn news<'a>(&mut self, tenant: &str, clocks: &'a [ClockView]) -> Vec<&'a ClockView> {
        let mut news = Vec::new();
        for clock in clocks {
            let key = (tenant.to_owned(), clock.name.clone());
            let moved = |told: &Span| (clock.ahead.0 - told.0).abs() >= NEWS.0;
            if self.told.get(&key).is_none_or(moved) {
                self.told.insert(key, clock.ahead);
                news.push(clock);
            }
        }
        news
    }

    /// The sources of a tenant that are off no more. Where more are than are named, it is not known of those
    /// that are not.
    fn mended(&mut self, tenant: &str, stats: &TenantStats) -> Vec<String> {
        let is_off = |source: &String| stats.clocks.iter().any(|clock| clock.name == *source);
        let gone: Vec<(String, String)> =
            self.told.keys().filter(|(whose, source)| whose == tenant && !is_off(source)).cloned().collect();
        self.told.retain(|key, _| !gone.contains(key));
        let all_named = stats.clocks_skewed == stats.clocks.len() as u64;
        gone.into_iter().map(|(_, source)| source).filter(|_| all_named).collect()
    }

    fn tell_own(&mut self, ahead: Span) {
        let was = std::mem::replace(&mut self.own, ahead);
        if was == Span::ZERO && ahead > Span::ZERO {
            let ahead_secs = ahead.as_secs_f64();
            tracing::warn!(
                ahead_secs,
                "this host's clock was set back: engine time goes on, and takes that back slowly"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use bellwether_engine::SourceClass;
    use bellwether_engine::time::EventTime;

    use super::*;

    #[test]
    fn a_clock_is_news_once_when_it_moves_far_and_when_it_is_right_again() {
        let clock = |secs| ClockView {
            class: SourceClass::Host,
            name: "web-7".to_owned(),
            ahead: Span::from_secs(secs),
            since: EventTime::from_secs(0),
        };
        let mut clocks = Clocks::default();
        let news: Vec<usize> =
            [420, 430, 500].into_iter().map(|secs| clocks.news("acme", &[clock(secs)]).len()).collect();
        assert_eq!(news, [1, 0, 1]);
        assert_eq!(clocks.mended("acme", &TenantStats::default()), ["web-7"]);
        assert_eq!(clocks.mended("acme", &TenantStats::default()), Vec::<String>::new());
    }
}
