//! ServiceNow, over its Table API: incidents, and events of its Event Management.
//!
//! ```yaml
//! bridges:
//!   - service_now:
//!       url: https://acme.service-now.com/
//!       user: bellwether                  # of its own: what that user does is known as ours
//!       token_file: servicenow-password
//!       mapping:
//!         tenants: {acme: {queue: Service Desk, teams: {database: Database}}}    # assignment groups
//!         priority: {P1: 1/1, P2: 1/2, P3: 2/2, P4: 2/3, P5: 3/3}                # impact/urgency
//!         states: {open: New, acknowledged: In Progress, resolved: Resolved, closed: Resolved, merged: Resolved}
//!         said: {In Progress: acknowledged, On Hold: waiting, Resolved: resolved, Closed: closed, Canceled: wont_fix}
//! ```
//!
//! What it does that has to be known: it computes the priority from impact and urgency, so those are written; it takes
//! no incident as resolved without a code and a text of how; it drops columns that it does not have, and those we may
//! not write, without a word; a bound on a time is read in the time zone of whoever asks, so none is asked with.

mod api;
mod events;
mod feed;

use std::collections::BTreeMap;
use std::time::Duration;

use super::declare::BridgeError;
use super::mapping::MappingError;
use super::site::{http_system, priorities, statuses};
use super::system::{Answered, KEY, SUBJECT, SystemError};

pub(super) use api::ServiceNow;
pub use events::ServiceNowEventsConfig;

http_system! {
    /// A bridge to ServiceNow's incidents.
    pub struct ServiceNowConfig for "ServiceNow" named by "default_name" {
        /// The name of the user whose password is in `token_file`.
        #[serde(default = "default_user")]
        pub user: String,
        /// The column that holds which incident it is of.
        #[serde(default = "default_key_field")]
        pub key_field: String,
        /// The column of each field whose name is another: `bw_team: u_bw_team`.
        #[serde(default)]
        pub columns: BTreeMap<String, String>,
        /// The value of each state, as the choice list has it.
        #[serde(default = "default_state_values")]
        pub state_values: BTreeMap<String, String>,
        /// Columns that every new incident gets: `contact_type: monitoring`, or what a data policy asks for.
        #[serde(default)]
        pub new: BTreeMap<String, String>,
        /// How what is over was resolved, where nobody has said so: one of the instance's resolution codes.
        #[serde(default = "default_close_code")]
        pub close_code: String,
        /// The same in words.
        #[serde(default = "default_close_notes")]
        pub close_notes: String,
    }
}

fn default_name() -> String {
    "servicenow".to_owned()
}

fn default_user() -> String {
    "bellwether".to_owned()
}

fn default_key_field() -> String {
    "correlation_id".to_owned()
}

fn default_state_values() -> BTreeMap<String, String> {
    let values =
        [("New", "1"), ("In Progress", "2"), ("On Hold", "3"), ("Resolved", "6"), ("Closed", "7"), ("Canceled", "8")];
    values.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn default_close_code() -> String {
    "Solution provided".to_owned()
}

fn default_close_notes() -> String {
    "The incident is over: the work notes say what was seen.".to_owned()
}

impl ServiceNowConfig {
    fn check_words(&self) -> Result<(), MappingError> {
        if self.user.is_empty() || self.user.contains(':') {
            return Err(MappingError::at("user", "a name that its password goes with: not empty, and without a colon"));
        }
        for (name, value) in priorities(&self.mapping) {
            let level = |text: &str| matches!(text, "1" | "2" | "3");
            if !value.split_once('/').is_some_and(|(impact, urgency)| level(impact) && level(urgency)) {
                let reason = format!("`{value}` is no impact and urgency: `1/2`, each of them 1 to 3");
                return Err(MappingError::at(format!("priority.{name}"), reason));
            }
        }
        if let Some(state) = statuses(&self.mapping).into_iter().find(|state| !self.state_values.contains_key(*state)) {
            let reason = format!("the value of `{state}` is missing: the choice list of `state` has it");
            return Err(MappingError::at("state_values", reason));
        }
        let plain = |name: &String| {
            !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        };
        let columns = std::iter::once(&self.key_field).chain(self.columns.values()).chain(self.new.keys());
        match columns
            .chain(self.mapping.fields.keys().filter(|name| !self.columns.contains_key(*name)))
            .find(|name| !plain(name))
        {
            Some(name) => {
                Err(MappingError::at("columns", format!("`{name}` is no column: small letters, digits and `_`")))
            }
            None => Ok(()),
        }
    }

    /// The column of a field.
    fn column<'c>(&'c self, field: &'c str) -> &'c str {
        match field {
            KEY => &self.key_field,
            SUBJECT => "short_description",
            other => self.columns.get(other).map_or(other, String::as_str),
        }
    }

    fn connect(&self, patience: Duration) -> Result<ServiceNow, BridgeError> {
        let destination = self.site().destination()?.patient(patience);
        self.site().secret(|password| ServiceNow::new(self, destination, password))
    }

    async fn look(&self, system: &ServiceNow) -> Answered<String> {
        system.newest().await?;
        for group in self.site().queues() {
            if system.group_id(group).await?.is_none() {
                return Err(SystemError::Refused(format!("there is no group `{group}`, or we may not see it")));
            }
        }
        Ok(format!("ServiceNow lets `{}` in; its groups are there", self.user))
    }
}
