//! Jira: Cloud (REST 3) and Data Center (REST 2), which differ in how texts and people are written.
//!
//! ```yaml
//! bridges:
//!   - jira:
//!       url: https://acme.atlassian.net/
//!       user: bellwether@acme.example     # Cloud: the account of its own whose API token is in `token_file`;
//!       token_file: jira-token            # Data Center: `edition: data_center`, a personal access token, no `user`
//!       issue_type: Incident
//!       mapping:
//!         tenants: {acme: {queue: OPS, teams: {database: DBA}}}     # projects, by their keys
//!         priority: {P1: Highest, P2: High, P3: Medium, P4: Low, P5: Lowest}
//!         states: {open: To Do, acknowledged: In Progress, resolved: Done, closed: Done, merged: Done}
//!         said: {In Progress: acknowledged, Done: resolved}
//! ```
//!
//! What it does that has to be known: a status is reached by transitions, which are learned for each issue; what was
//! just made is not found for a while, so that a lost answer is looked up later than elsewhere; searches read times in
//! the time zone of whoever asks, so that only spans are asked with.

mod api;
mod dialect;
mod feed;

use std::collections::BTreeMap;
use std::time::Duration;

use super::declare::BridgeError;
use super::mapping::MappingError;
use super::site::{http_system, priorities, statuses};
use super::system::{Answered, SystemError};

pub(super) use api::Jira;
pub use dialect::Edition;

http_system! {
    /// A bridge to Jira.
    pub struct JiraConfig for "Jira" named by "default_name" {
        /// Which Jira it is.
        #[serde(default)]
        pub edition: Edition,
        /// Whose token it is, by mail address in Cloud; left out for a personal access token.
        #[serde(default)]
        pub user: Option<String>,
        /// The type of new issues.
        #[serde(default = "default_issue_type")]
        pub issue_type: String,
        /// The resolution that a transition gets which asks for one.
        #[serde(default = "default_resolution")]
        pub resolution: String,
        /// The id of each custom field named here: `bw_team: customfield_10042`.
        #[serde(default)]
        pub custom_fields: BTreeMap<String, String>,
        /// The account of each person whose name here is not the one that Jira shows: Cloud hides how people log in.
        #[serde(default)]
        pub people: BTreeMap<String, String>,
    }
}

fn default_name() -> String {
    "jira".to_owned()
}

fn default_issue_type() -> String {
    "Incident".to_owned()
}

fn default_resolution() -> String {
    "Done".to_owned()
}

impl JiraConfig {
    fn check_words(&self) -> Result<(), MappingError> {
        if self.user.as_ref().is_some_and(|user| user.is_empty() || user.contains(':')) {
            return Err(MappingError::at("user", "a name that its token goes with: not empty, and without a colon"));
        }
        if self.edition == Edition::Cloud && self.user.is_none() {
            return Err(MappingError::at(
                "user",
                "Cloud asks for the mail address of the account that the token is of",
            ));
        }
        if let Some(name) = self.mapping.fields.keys().find(|name| !self.custom_fields.contains_key(*name)) {
            let reason =
                format!("the id of `{name}` is missing: `customfield_…`, as its page in the administration has it");
            return Err(MappingError::at("custom_fields", reason));
        }
        Ok(())
    }

    fn connect(&self, patience: Duration) -> Result<Jira, BridgeError> {
        let destination = self.site().destination()?.patient(patience);
        self.site().secret(|token| Jira::new(self, destination, token))
    }

    async fn look(&self, system: &Jira) -> Answered<String> {
        let who = system.own_name().await?;
        for project in self.site().queues() {
            let known = system.statuses(project, &self.issue_type).await?;
            if let Some(state) = statuses(&self.mapping).into_iter().find(|state| !known.contains(state.as_str())) {
                let reason =
                    format!("issues of the type `{}` in `{project}` have no status `{state}`", self.issue_type);
                return Err(SystemError::Refused(reason));
            }
        }
        let known = system.priorities().await?;
        if let Some((_, word)) = priorities(&self.mapping).into_iter().find(|(_, word)| !known.contains(word.as_str()))
        {
            return Err(SystemError::Refused(format!("there is no priority `{word}` in Jira")));
        }
        Ok(format!("Jira lets `{who}` in; projects, statuses and priorities are there"))
    }
}
