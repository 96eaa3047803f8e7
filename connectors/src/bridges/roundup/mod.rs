//! Roundup 2, over its REST interface.
//!
//! ```yaml
//! bridges:
//!   - roundup:
//!       url: https://tracker.example.org/support/
//!       token_file: roundup-password      # of a user of its own: what that user does is known as ours
//!       mapping:
//!         tenants: {acme: {queue: acme}}  # a keyword, or what `queue_property` says
//!         priority: {P1: critical, P2: urgent, P3: bug, P4: feature, P5: wish}
//!         states: {open: unread, acknowledged: in-progress, resolved: resolved, closed: resolved, merged: resolved}
//!         said: {in-progress: acknowledged, resolved: resolved, done-cbb: wont_fix}
//! ```
//!
//! What it does that has to be known: it refuses a change without the version it is made on, and a new issue that is
//! sent twice to the same address, which is asked for first; it limits requests and answers 429 for real; it shows no
//! history, so that what others did is what differs from what was known; an issue that was retired is still read by
//! its number.

mod api;
mod feed;

use std::time::Duration;

use super::declare::BridgeError;
use super::mapping::MappingError;
use super::site::{http_system, priorities, statuses};
use super::system::Answered;

pub(super) use api::Roundup;

http_system! {
    /// A bridge to Roundup 2.
    pub struct RoundupConfig for "Roundup" named by "default_name" {
        /// The name of the user whose password is in `token_file`.
        #[serde(default = "default_user")]
        pub user: String,
        /// The property of an issue that holds which incident it is of.
        #[serde(default = "default_key_field")]
        pub key_field: String,
        /// The property that stands for a queue, and its class: a link, or a list of them.
        #[serde(default = "default_queue_property")]
        pub queue_property: String,
    }
}

fn default_name() -> String {
    "roundup".to_owned()
}

fn default_user() -> String {
    "bellwether".to_owned()
}

fn default_key_field() -> String {
    "bw_incident".to_owned()
}

fn default_queue_property() -> String {
    "keyword".to_owned()
}

impl RoundupConfig {
    fn check_words(&self) -> Result<(), MappingError> {
        match self.user.is_empty() || self.user.contains(':') {
            true => Err(MappingError::at("user", "a name that its password goes with: not empty, and without a colon")),
            false => Ok(()),
        }
    }

    fn connect(&self, patience: Duration) -> Result<Roundup, BridgeError> {
        let destination = self.site().destination()?.patient(patience);
        self.site().secret(|password| Roundup::new(self, destination, password))
    }

    async fn look(&self, system: &Roundup) -> Answered<String> {
        for queue in self.site().queues() {
            system.has(&self.queue_property, queue).await?;
        }
        for status in statuses(&self.mapping) {
            system.has("status", status).await?;
        }
        for (_, priority) in priorities(&self.mapping) {
            system.has("priority", priority).await?;
        }
        for property in std::iter::once(&self.key_field).chain(self.mapping.fields.keys()) {
            system.has_property(property).await?;
        }
        Ok(format!("Roundup lets `{}` in; its words and properties are there", self.user))
    }
}
