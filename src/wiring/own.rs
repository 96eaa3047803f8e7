//! Trouble of our own, told like anybody's: alerts of the tenant `bellwether`, through the journal.

use bellwether_connectors::Intake;
use bellwether_connectors::intake::{OWN_TENANT, arrival_time};
use bellwether_engine::input::Input;
use bellwether_engine::signal::{AlertBuilder, AlertRow, AlertStatus, Severity, TenantName, alert_fingerprint};
use tokio::sync::mpsc;

/// What raises the alerts.
pub(super) const SOURCE: &str = "bellwether";
/// Troubles that wait to be told: each kind is rare.
pub(super) const TROUBLES_MAX: usize = 64;

/// Something that people should know of.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    /// Its rule.
    pub(super) rule: &'static str,
    /// What tells it from others of its rule.
    pub(super) labels: Vec<(&'static str, String)>,
    /// In words.
    pub(super) summary: String,
    /// That it is over.
    pub(super) over: bool,
}

/// Has trouble told; who reads the log hears of it, too.
pub(super) fn say(troubles: &mpsc::Sender<Trouble>, trouble: Trouble) {
    if let Err(error) = troubles.try_send(trouble) {
        tracing::warn!(%error, "trouble of our own cannot be told as an incident");
    }
}

/// Tells what comes, until nobody can say more.
pub(super) async fn tell(mut troubles: mpsc::Receiver<Trouble>, intake: Intake) {
    while let Some(trouble) = troubles.recv().await {
        if let Err(error) = intake.accept(&[alert(&trouble)], None).await {
            tracing::warn!(%error, rule = trouble.rule, summary = trouble.summary, "trouble of our own could not be told");
        }
    }
}

/// The alert that says it.
pub(super) fn alert(trouble: &Trouble) -> Input {
    let now = arrival_time();
    let entity = "service:bellwether";
    let labels: Vec<(&str, &str)> = trouble.labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut builder = AlertBuilder::new();
    builder.push(&AlertRow {
        time: now,
        source: SOURCE,
        name: trouble.rule,
        entity,
        severity: Severity::Critical,
        status: if trouble.over { AlertStatus::Resolved } else { AlertStatus::Firing },
        fingerprint: alert_fingerprint(SOURCE, trouble.rule, entity, &labels),
        labels: &labels,
        annotations: &[("summary", &trouble.summary)],
        starts_at: now,
        ends_at: trouble.over.then_some(now),
        url: None,
    });
    let tenant = TenantName::new(OWN_TENANT).expect("the name of our own tenant is a name");
    Input::Batch(builder.finish_for(&tenant))
}
