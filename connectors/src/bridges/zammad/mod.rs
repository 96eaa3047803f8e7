//! Zammad, over its REST interface.
//!
//! ```yaml
//! bridges:
//!   - zammad:
//!       url: https://support.example.org/
//!       user: bellwether@example.org      # the login of the bridge's own: what that user does is known as ours
//!       token_file: zammad-token
//!       mapping:
//!         tenants: {acme: {queue: Service Desk, teams: {database: Databases}}}     # groups
//!         priority: {P1: 3 high, P2: 3 high, P3: 2 normal, P4: 2 normal, P5: 1 low}
//!         states: {open: new, acknowledged: open, resolved: closed, closed: closed, merged: closed}
//!         said: {open: acknowledged, pending reminder: waiting, closed: resolved, merged: closed}
//! ```
//!
//! What it does that has to be known: a full-text search finds what was made some time later, so that tickets are asked
//! for by conditions, which its database answers; it refuses a whole ticket for a name that it does not know.

mod api;

use std::time::Duration;

use super::declare::BridgeError;
use super::mapping::MappingError;
use super::site::{http_system, priorities, statuses};
use super::system::{Answered, SystemError};

pub(super) use api::Zammad;

http_system! {
    /// A bridge to Zammad.
    pub struct ZammadConfig for "Zammad" named by "default_name" {
        /// The login of the user whose token is in `token_file`.
        pub user: String,
        /// The login of whoever is the customer of new tickets; the bridge's own user when left out.
        #[serde(default)]
        pub customer: Option<String>,
        /// The attribute of tickets that holds which incident one is of.
        #[serde(default = "default_key_field")]
        pub key_field: String,
    }
}

fn default_name() -> String {
    "zammad".to_owned()
}

fn default_key_field() -> String {
    "bw_incident".to_owned()
}

impl ZammadConfig {
    fn check_words(&self) -> Result<(), MappingError> {
        match self.user.is_empty() {
            true => {
                Err(MappingError::at("user", "the login of the user whose token it is: what that user does is ours"))
            }
            false => Ok(()),
        }
    }

    fn connect(&self, patience: Duration) -> Result<Zammad, BridgeError> {
        let destination = self.site().destination()?.patient(patience);
        self.site().secret(|token| Zammad::new(self, destination, token))
    }

    async fn look(&self, system: &Zammad) -> Answered<String> {
        let missing =
            |what: &str, name: &str| Err(SystemError::Refused(format!("there is no {what} `{name}` in Zammad")));
        let own = system.own_login().await?;
        if own != self.user.to_lowercase() {
            return Err(SystemError::Refused(format!("the token is of `{own}`, and `user` says `{}`", self.user)));
        }
        let groups = system.names("/groups").await?;
        if let Some(group) = self.site().queues().find(|group| !groups.contains(*group)) {
            return missing("group", group);
        }
        let states = system.names("/ticket_states").await?;
        if let Some(state) = statuses(&self.mapping).into_iter().find(|state| !states.contains(state.as_str())) {
            return missing("state", state);
        }
        let known = system.names("/ticket_priorities").await?;
        if let Some((_, word)) = priorities(&self.mapping).into_iter().find(|(_, word)| !known.contains(word.as_str()))
        {
            return missing("priority", word);
        }
        system.has_key_field().await?;
        Ok(format!("Zammad lets `{own}` in; groups, states and priorities are there"))
    }
}
