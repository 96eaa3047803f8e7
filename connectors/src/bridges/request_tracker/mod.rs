//! Request Tracker 5, over REST 2.
//!
//! ```yaml
//! bridges:
//!   - request_tracker:
//!       url: https://rt.example.org/
//!       token_file: rt-token              # of a user of its own: what that user does is known as ours
//!       networks: [10.0.0.0/8]            # where it is not in the public net
//!       mapping:
//!         tenants: {acme: {queue: acme}}
//!         priority: {P1: "90", P2: "70", P3: "50", P4: "30", P5: "10"}
//!         states: {open: new, acknowledged: open, resolved: resolved, closed: resolved, merged: resolved}
//!         said: {open: acknowledged, resolved: resolved, rejected: wont_fix, deleted: deleted}
//! ```
//!
//! What it does that has to be known: it keeps no key apart from another, so that two requests make two tickets; it
//! answers 200 to an update of which it has done nothing, so that what was written is read back; it does not find
//! tickets that are deleted; it takes the ids of changes before they can be seen, so that its feed is read with an
//! overlap.

mod api;
mod feed;

use std::time::Duration;

use super::declare::BridgeError;
use super::mapping::MappingError;
use super::site::{http_system, priorities};
use super::system::Answered;

pub(super) use api::RequestTracker;

http_system! {
    /// A bridge to Request Tracker 5.
    pub struct RequestTrackerConfig for "Request Tracker" named by "default_name" {
        /// The name of the token's user. It is nobody else: what it does there is not listened to.
        #[serde(default = "default_user")]
        pub user: String,
        /// The custom field that holds which incident a ticket is of.
        #[serde(default = "default_key_field")]
        pub key_field: String,
    }
}

fn default_name() -> String {
    "rt".to_owned()
}

fn default_user() -> String {
    "bellwether".to_owned()
}

fn default_key_field() -> String {
    "bw_incident".to_owned()
}

impl RequestTrackerConfig {
    fn check_words(&self) -> Result<(), MappingError> {
        for (name, value) in priorities(&self.mapping) {
            // It takes any word, and makes nothing of it.
            if value.parse::<u32>().is_err() {
                let reason = format!("`{value}` is no number: Request Tracker would take it as 0");
                return Err(MappingError::at(format!("mapping.priority.{name}"), reason));
            }
        }
        Ok(())
    }

    fn connect(&self, patience: Duration) -> Result<RequestTracker, BridgeError> {
        let destination = self.site().destination()?.patient(patience);
        self.site().secret(|token| RequestTracker::new(self, destination, token))
    }

    async fn look(&self, system: &RequestTracker) -> Answered<String> {
        let version = system.version().await?;
        for queue in self.site().queues() {
            system.has_queue(queue).await?;
        }
        for field in std::iter::once(&self.key_field).chain(self.mapping.fields.keys()) {
            system.has_field(field).await?;
        }
        Ok(format!("Request Tracker {version}, queues and fields are there"))
    }
}
