//! Mail: one incident is one thread, and what people reply comes back.
//!
//! ```yaml
//! bridges:
//!   - mail:
//!       relay: smtp://mail.example.org:587      # with STARTTLS; `smtps://` speaks TLS from the first byte
//!       user: bellwether
//!       token_file: mail-password
//!       from: Bellwether <bellwether@example.org>
//!       replies: /var/mail/bellwether           # a Maildir that mail to `bellwether+…@example.org` comes into
//!       audience:
//!         tenants: {acme: {queue: oncall@acme.example, teams: {database: "dba@acme.example, lead@acme.example"}}}
//! ```
//!
//! Replies are read from a Maildir and not over IMAP or a port of our own: every mail server delivers into one, or a
//! program that fetches mail does, and so no password to a mailbox and no listener is needed, and what has come while
//! nothing ran is there.
//!
//! A mail whose sending was interrupted is sent again under the same `Message-ID`, by which most mailboxes keep it once.

mod address;
mod replies;
mod send;
mod smtp;
mod thread;

use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::audience::Audience;
use super::declare::{BridgeError, BridgePace, DeclaredBridge};
use super::mapping::{Mapping, MappingError};
use super::receiver::Receiver;
use super::site::{check_name, networks, secret_in};
use crate::declared::{Found, Probe};
use address::{Mailbox, mailboxes};
use send::Mail;
use smtp::Relay;

/// A bridge to mailboxes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MailConfig {
    /// By which records and commands name it.
    #[serde(default = "default_name")]
    pub name: String,
    /// The mail server that takes what is sent: `smtp://host:port` with STARTTLS, `smtps://host:port`. In the clear to
    /// loopback alone.
    pub relay: String,
    /// By which we log in there; left out where it takes mail without.
    #[serde(default)]
    pub user: Option<String>,
    /// A file with that user's password.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// Networks that the relay's address may be in, beside the public net: `10.1.0.0/16`, `127.0.0.1`.
    #[serde(default)]
    pub networks: Vec<String>,
    /// A PEM file with the authorities of its certificate; the system's when left out.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Whom mail comes from: `Bellwether <bellwether@example.org>`.
    pub from: String,
    /// A Maildir with what is replied to `local+…@domain` of `from`; no reply comes back when left out.
    #[serde(default)]
    pub replies: Option<PathBuf>,
    /// Whose incidents are told. A queue is one address or several, with commas.
    pub audience: Audience,
    /// How it is worked with.
    #[serde(default)]
    pub pace: BridgePace,
}

fn default_name() -> String {
    "mail".to_owned()
}

impl MailConfig {
    fn from(&self) -> Result<Mailbox, MappingError> {
        match mailboxes(&self.from).unwrap_or_default().as_slice() {
            [from] => Ok(from.clone()),
            _ => Err(MappingError::at("from", "one address: `Bellwether <bellwether@example.org>`")),
        }
    }

    fn relay(&self) -> Result<Relay, BridgeError> {
        let user = match (&self.user, &self.token_file) {
            (Some(user), Some(file)) => Some((user.clone(), secret_in(file, |word| Some(word.to_owned()))?)),
            (None, None) => None,
            _ => return Err(MappingError::at("user", "it, and `token_file`, belong together").into()),
        };
        Ok(Relay::new(&self.relay, user, networks(&self.networks)?, self.ca_file.as_ref())?)
    }

    fn mail(&self) -> Result<Mail, BridgeError> {
        Ok(Mail::new(self.relay()?, self.from()?, self.replies.clone()))
    }
}

impl DeclaredBridge for MailConfig {
    fn name(&self) -> &str {
        &self.name
    }

    fn describe(&self) -> String {
        let tenants: Vec<&str> = self.audience.tenants.keys().map(String::as_str).collect();
        format!("{}: mail by {}, of {}", self.name, self.relay, tenants.join(", "))
    }

    fn paths(&mut self) -> Vec<&mut PathBuf> {
        let files = self.token_file.iter_mut().chain(self.ca_file.iter_mut());
        files.chain(self.replies.iter_mut()).collect()
    }

    fn mapping(&self) -> Mapping {
        self.audience.mapping()
    }

    fn pace(&self) -> &BridgePace {
        &self.pace
    }

    fn check(&self) -> Result<(), BridgeError> {
        check_name(&self.name)?;
        self.from()?;
        for (tenant, of) in &self.audience.tenants {
            for to in std::iter::once(&of.queue).chain(of.teams.values()).chain(of.people.values()) {
                if mailboxes(to).is_none() {
                    let reason = format!("`{to}` is no address, nor several with commas between them");
                    return Err(MappingError::at(format!("audience.tenants.{tenant}"), reason).into());
                }
            }
        }
        Relay::new(&self.relay, None, networks(&self.networks)?, self.ca_file.as_ref())?;
        Ok(())
    }

    fn probe(&self) -> Probe<'_> {
        Some(Box::pin(async {
            let mail = self.mail()?;
            mail.greet().await?;
            let replies = match &self.replies {
                Some(folder) if folder.join("new").is_dir() => format!("replies come into {}", folder.display()),
                Some(folder) => {
                    let reason = format!("{} is no Maildir: it has no folder `new`", folder.display());
                    return Err(MappingError::at("replies", reason).into());
                }
                None => "no replies are read".to_owned(),
            };
            Ok(Found::of(format!("{} takes mail; {replies}", self.relay)))
        }))
    }

    fn open(&self) -> Result<Receiver, BridgeError> {
        Ok(Receiver::Channel(Arc::new(self.mail()?)))
    }
}
