//! Redmine 5, over its REST interface.
//!
//! ```yaml
//! bridges:
//!   - redmine:
//!       url: https://redmine.example.org/
//!       token_file: redmine-key           # the key of a user of its own: what that user does is known as ours
//!       custom_fields: {bw_incident: 1}   # their numbers: only an administrator could ask for them
//!       mapping:
//!         tenants: {acme: {queue: acme}}  # a project's identifier
//!         priority: {P1: Immediate, P2: Urgent, P3: High, P4: Normal, P5: Low}
//!         states: {open: New, acknowledged: In Progress, resolved: Resolved, closed: Closed, merged: Rejected}
//!         said: {In Progress: acknowledged, Resolved: resolved, Closed: closed, Rejected: wont_fix}
//! ```
//!
//! What it does that has to be known: it keeps no key apart from another; it answers 204 to a status that is unknown or
//! that the workflow does not allow, and ignores it, so that what was written is read back; it shows no version of an
//! issue, so that the number of its last journal is taken for one; it deletes for good; its changes are found by when
//! an issue was touched, so that they are read with an overlap.

mod api;
mod feed;

use std::collections::BTreeMap;
use std::time::Duration;

use super::declare::BridgeError;
use super::mapping::MappingError;
use super::site::{http_system, priorities, statuses};
use super::system::{Answered, SystemError};

pub(super) use api::Redmine;

http_system! {
    /// A bridge to Redmine 5.
    pub struct RedmineConfig for "Redmine" named by "default_name" {
        /// The custom field that holds which incident an issue is of.
        #[serde(default = "default_key_field")]
        pub key_field: String,
        /// The number of each custom field named here, as its address in the administration has it.
        pub custom_fields: BTreeMap<String, u64>,
        /// The name of the tracker that new issues are in; the project's first when left out.
        #[serde(default)]
        pub tracker: Option<String>,
    }
}

fn default_name() -> String {
    "redmine".to_owned()
}

fn default_key_field() -> String {
    "bw_incident".to_owned()
}

impl RedmineConfig {
    fn check_words(&self) -> Result<(), MappingError> {
        let named = std::iter::once(&self.key_field).chain(self.mapping.fields.keys());
        match named.into_iter().find(|name| !self.custom_fields.contains_key(*name)) {
            Some(name) => {
                let reason = format!("the number of `{name}` is missing: it is in the address of that field's page");
                Err(MappingError::at("custom_fields", reason))
            }
            None => Ok(()),
        }
    }

    fn connect(&self, patience: Duration) -> Result<Redmine, BridgeError> {
        let destination = self.site().destination()?.patient(patience);
        self.site().secret(|key| Redmine::new(self, destination, key))
    }

    async fn look(&self, system: &Redmine) -> Answered<String> {
        let who = system.own_login().await?;
        for project in self.site().queues() {
            system.has_project(project, self.tracker.as_deref()).await?;
        }
        for status in statuses(&self.mapping) {
            system.status_id(status).await?;
        }
        for (_, priority) in priorities(&self.mapping) {
            system.priority_id(priority).await?;
        }
        system.has_key_field().await.map_err(|error| match error {
            SystemError::Refused(reason) => SystemError::Refused(format!(
                "custom field {} (`{}`) cannot be searched: let it be \"used as a filter\" and visible to the bridge's \
                 user: {reason}",
                self.custom_fields[&self.key_field], self.key_field
            )),
            other => other,
        })?;
        Ok(format!("Redmine lets `{who}` in; projects, statuses and priorities are there"))
    }
}
