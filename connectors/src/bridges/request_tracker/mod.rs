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

use std::path::PathBuf;
use std::sync::Arc;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::declare::{BridgeError, BridgePace, DeclaredBridge};
use super::mapping::{Mapping, MappingError};
use super::outgoing::Destination;
use super::system::TicketSystem;
use crate::declared::{Found, Probe};

pub(super) use api::RequestTracker;

/// A bridge to Request Tracker 5.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestTrackerConfig {
    /// By which records and commands name it.
    #[serde(default = "default_name")]
    pub name: String,
    /// Where it is, as a browser is led there.
    pub url: String,
    /// A file with the token of the bridge's user.
    pub token_file: PathBuf,
    /// The name of that user. It is nobody else: what it does there is not listened to.
    #[serde(default = "default_user")]
    pub user: String,
    /// Networks that its address may be in, beside the public net: `10.1.0.0/16`, `127.0.0.1`.
    #[serde(default)]
    pub networks: Vec<String>,
    /// A PEM file with the authorities of its certificate; the system's when left out.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// The custom field that holds which incident a ticket is of.
    #[serde(default = "default_key_field")]
    pub key_field: String,
    /// How an incident reads as a ticket.
    pub mapping: Mapping,
    /// How it is worked with.
    #[serde(default)]
    pub pace: BridgePace,
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

/// Characters of a name: it is a file's, too.
const NAME_CHARS_MAX: usize = 64;

impl RequestTrackerConfig {
    fn system(&self) -> Result<RequestTracker, BridgeError> {
        let networks = self.networks.iter().map(|text| network(text)).collect::<Result<Vec<_>, _>>()?;
        let destination = Destination::new(&self.url, &networks, self.ca_file.as_ref())?;
        let unusable = |reason: String| BridgeError::Secret { path: self.token_file.clone(), reason };
        let token = std::fs::read_to_string(&self.token_file).map_err(|error| unusable(error.to_string()))?;
        let token = token.trim();
        if token.is_empty() {
            return Err(unusable("it is empty".to_owned()));
        }
        RequestTracker::new(self, destination, token).ok_or_else(|| unusable("it holds no token".to_owned()))
    }

    /// Every queue that tickets may lie in.
    fn queues(&self) -> impl Iterator<Item = &String> {
        self.mapping.tenants.values().flat_map(|of| std::iter::once(&of.queue).chain(of.teams.values()))
    }
}

/// A network, or one address.
fn network(text: &str) -> Result<IpNet, BridgeError> {
    let one = || text.parse::<std::net::IpAddr>().map(IpNet::from);
    let wrong = |_| MappingError::at("networks", format!("`{text}` is no network: write `10.1.0.0/16` or an address"));
    Ok(text.parse().or_else(|_| one()).map_err(wrong)?)
}

impl DeclaredBridge for RequestTrackerConfig {
    fn name(&self) -> &str {
        &self.name
    }

    fn describe(&self) -> String {
        let tenants: Vec<&str> = self.mapping.tenants.keys().map(String::as_str).collect();
        format!("{}: Request Tracker at {}, tickets of {}", self.name, self.url, tenants.join(", "))
    }

    fn paths(&mut self) -> Vec<&mut PathBuf> {
        std::iter::once(&mut self.token_file).chain(self.ca_file.as_mut()).collect()
    }

    fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    fn pace(&self) -> &BridgePace {
        &self.pace
    }

    fn check(&self) -> Result<(), BridgeError> {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
        if self.name.is_empty() || self.name.len() > NAME_CHARS_MAX || !self.name.chars().all(plain) {
            let reason = "a name has letters, digits, `-` and `_`, 64 at most: it is a file's, too";
            return Err(MappingError::at("name", reason).into());
        }
        let words = &self.mapping.priority;
        let priorities =
            [("P1", &words.P1), ("P2", &words.P2), ("P3", &words.P3), ("P4", &words.P4), ("P5", &words.P5)];
        for (name, value) in priorities {
            // It takes any word, and makes nothing of it.
            if value.parse::<u32>().is_err() {
                let reason = format!("`{value}` is no number: Request Tracker would take it as 0");
                return Err(MappingError::at(format!("mapping.priority.{name}"), reason).into());
            }
        }
        for network_of in &self.networks {
            network(network_of)?;
        }
        Destination::new(&self.url, &[], self.ca_file.as_ref())?;
        Ok(())
    }

    fn probe(&self) -> Probe<'_> {
        Some(Box::pin(async {
            let system = self.system()?;
            let version = system.version().await?;
            for queue in self.queues() {
                system.has_queue(queue).await?;
            }
            for field in std::iter::once(&self.key_field).chain(self.mapping.fields.keys()) {
                system.has_field(field).await?;
            }
            Ok(Found::of(format!("Request Tracker {version}, queues and fields are there")))
        }))
    }

    fn open(&self) -> Result<Arc<dyn TicketSystem>, BridgeError> {
        Ok(Arc::new(self.system()?))
    }
}
