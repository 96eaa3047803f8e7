//! Other settings for a tenant, between two entries of the journal.

use super::{Event, Pending, Tenant};
use crate::engine::Compiled;
use crate::incident::IncidentEvent;
use crate::suppress::Inhibitors;

impl Tenant {
    /// Goes on by `now` instead of `before`. Alerts that lose their rule end at the watermark;
    /// what is held back is looked at again at once.
    pub(crate) fn retune(&mut self, before: &Compiled, now: &Compiled, out: &mut Vec<IncidentEvent>) {
        let limits = &now.config.limits;
        self.names.set_capacity(limits.entities_max);
        self.entities.set_capacity(limits.entities_max);
        self.alerts.set_capacity(limits.alerts_max, limits.alerts_shed_max);
        self.correlator.retune(&now.config.correlate);
        if before.config.sense != now.config.sense {
            let mut ended = Vec::new();
            for shard in &mut self.metrics {
                shard.retune(&before.sense, &now.sense, self.released, &mut ended);
            }
            for shard in &mut self.logs {
                shard.retune(&before.sense, &now.sense);
            }
            self.stats.alerts_sensed += ended.len() as u64;
            for (time, sensed) in ended {
                let key = sensed.fingerprint;
                self.pending.push(Pending::new(time, Event::Sensed(Box::new(sensed)), key));
            }
        }
        if before.config.suppress != now.config.suppress {
            self.suppress_anew(now, out);
        }
    }

    /// Learns the sources of inhibitions again, then looks at every firing alert.
    fn suppress_anew(&mut self, compiled: &Compiled, out: &mut Vec<IncidentEvent>) {
        let mut firing: Vec<u64> =
            self.alerts.iter().filter(|alert| alert.is_firing()).map(|alert| alert.fingerprint).collect();
        firing.sort_unstable();
        self.inhibitors = Inhibitors::default();
        for fingerprint in &firing {
            if let Some(alert) = self.alerts.get(*fingerprint) {
                self.inhibitors.note(&compiled.inhibit, alert, &self.names, &self.entities);
            }
        }
        for fingerprint in firing {
            self.reconsider(fingerprint, self.released, compiled, out);
        }
    }
}
