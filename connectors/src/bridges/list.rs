//! The visible list of ticketing systems, and a bridge to one of them, ready to run.

use std::path::Path;
use std::sync::Arc;

use bellwether_engine::incident::IncidentRecord;

use super::chat::mattermost::MattermostConfig;
use super::chat::slack::SlackConfig;
use super::chat::teams::TeamsConfig;
use super::declare::{BridgeError, DeclaredBridge};
use super::figures::BridgeFigures;
use super::jira::JiraConfig;
use super::mail::MailConfig;
use super::mapping::Rules;
use super::pagerduty::PagerDutyConfig;
use super::redmine::RedmineConfig;
use super::request_tracker::RequestTrackerConfig;
use super::roundup::RoundupConfig;
use super::rules::Shared;
use super::service_now::{ServiceNowConfig, ServiceNowEventsConfig};
use super::sink::FilingSink;
use super::store::Store;
use super::system::Fields;
use super::template::TemplateError;
use super::tickets::{BRIDGES_FOLDER, Tickets, memory_of};
use super::webhook::WebhookBridgeConfig;
use super::worker::{Manner, Worker};
use super::zammad::ZammadConfig;
use crate::declared::list_of;
use crate::intake::Source;
use crate::sinks::Sink;

list_of! {
    /// Every ticketing system, as it is written in the configuration: `- request_tracker: {…}`.
    pub enum BridgeConfig: DeclaredBridge {
        /// Request Tracker 5, over REST 2.
        RequestTracker(RequestTrackerConfig),
        /// Redmine 5, over its REST interface.
        Redmine(RedmineConfig),
        /// Roundup 2, over its REST interface.
        Roundup(RoundupConfig),
        /// ServiceNow's incidents, over its Table API.
        ServiceNow(ServiceNowConfig),
        /// Jira: Cloud, and Data Center.
        Jira(JiraConfig),
        /// Zammad, over its REST interface.
        Zammad(ZammadConfig),
        /// ServiceNow's Event Management.
        ServiceNowEvents(ServiceNowEventsConfig),
        /// PagerDuty, by Events API v2.
        #[serde(rename = "pagerduty")]
        PagerDuty(PagerDutyConfig),
        /// Slack, over its Web API.
        Slack(SlackConfig),
        /// Mattermost, over its REST API.
        Mattermost(MattermostConfig),
        /// Microsoft Teams, by a workflow.
        Teams(TeamsConfig),
        /// Mailboxes: one incident is one thread.
        Mail(MailConfig),
        /// Any program that takes webhooks.
        Webhook(WebhookBridgeConfig),
    }
}

/// Checks everything about a bridge that can be known without its system.
///
/// # Errors
/// [`BridgeError`] with the first key that does not do.
pub fn check(config: &BridgeConfig) -> Result<(), BridgeError> {
    config.pace().check()?;
    Rules::new(config.mapping())?;
    config.check()
}

/// A bridge that is ready to run.
pub struct Bridge {
    /// What the reader of the incident log hands events to.
    pub sink: Box<dyn Sink>,
    /// What writes tickets and hears of them, beside the sources.
    pub worker: Box<dyn Source>,
    /// What it has done.
    pub figures: BridgeFigures,
}

impl Bridge {
    /// Opens its memory in the state folder `state`. The system may be away.
    ///
    /// # Errors
    /// [`BridgeError`] when what is configured cannot work, or the memory cannot be read.
    pub fn open(config: &BridgeConfig, state: &Path) -> Result<Bridge, BridgeError> {
        check(config)?;
        let rules = Arc::new(Rules::new(config.mapping())?);
        let pace = config.pace();
        let tickets = Tickets::new(Store::open(&memory_of(state, config.name()), pace.memory_bytes)?);
        let name: Arc<str> = config.name().into();
        let shared = Shared { name, system: config.open()?, rules, tickets: tickets.clone(), settle: pace.settle };
        let manner = Manner { at_once: pace.at_once, poll: pace.poll, requests: state.join(BRIDGES_FOLDER) };
        Ok(Bridge {
            figures: BridgeFigures::new(config.name(), tickets),
            sink: Box::new(FilingSink(shared.clone())),
            worker: Box::new(Worker { shared, manner }),
        })
    }
}

/// A ticket as it would stand in the system: for who wants to see what a mapping makes of a record.
///
/// # Errors
/// [`BridgeError`] when the mapping does not do, [`TemplateError`] when the record does not go through it.
pub fn drafted(config: &BridgeConfig, tenant: &str, record: &IncidentRecord) -> Result<(Fields, String), BridgeError> {
    let rules = Rules::new(config.mapping())?;
    let failed = |error: TemplateError| BridgeError::Mapping(error.into());
    let fields = rules.fields(tenant, record).map_err(failed)?;
    let text = rules.text(tenant, record).map_err(failed)?;
    Ok((fields, text))
}
