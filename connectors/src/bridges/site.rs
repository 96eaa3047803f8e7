//! Where a system is that is asked over HTTP, and who we are there: the keys that all such systems have, in one place.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::declare::BridgeError;
use super::mapping::{Mapping, MappingError, PriorityWords, TenantMapping};
use super::outgoing::Destination;

/// Characters of a name: it is a file's, too.
const NAME_CHARS_MAX: usize = 64;
/// How long a request waits for a system that is busy, where a person waits for the answer.
pub(super) const PROBE_PATIENCE: Duration = Duration::from_secs(15);

/// Bytes of an answer of who is only told something: it says little.
pub(super) const WORD_BYTES_MAX: usize = 64 << 10;
/// Bytes of an answer of a ticketing system: a list, or a ticket with everything that was written under it. A page of a
/// hundred changes is about 60 KiB, a ticket with a long life some hundred.
pub(super) const LIST_BYTES_MAX: usize = 4 << 20;

/// What is configured of a system's place.
#[derive(Clone, Copy)]
pub(super) struct Site<'c> {
    pub(super) name: &'c str,
    pub(super) url: &'c str,
    pub(super) token_file: &'c PathBuf,
    pub(super) networks: &'c [String],
    pub(super) ca_file: Option<&'c PathBuf>,
    pub(super) tenants: &'c BTreeMap<String, TenantMapping>,
    /// Bytes of an answer that are read.
    pub(super) answer_bytes_max: usize,
}

/// A configuration of a ticketing system that is asked over HTTP: its own keys beside those that all of them have, and
/// what follows for [`super::declare::DeclaredBridge`]. Of itself the system says in `$Config::check_words`, `connect`
/// and `look` what is its own.
macro_rules! http_system {
    ($($config:tt)*) => {
        $crate::bridges::site::http_bridge! {
            (
                /// How an incident reads as a ticket.
                mapping: $crate::bridges::mapping::Mapping,
                Tickets, $crate::bridges::site::LIST_BYTES_MAX
            )
            $($config)*
        }
    };
}

pub(super) use http_system;

/// The same of what is only told over HTTP.
macro_rules! http_channel {
    ($($config:tt)*) => {
        $crate::bridges::site::http_bridge! {
            (
                /// Whose incidents are told, where, and how it reads.
                audience: $crate::bridges::audience::Audience,
                Channel, $crate::bridges::site::WORD_BYTES_MAX
            )
            $($config)*
        }
    };
}

pub(super) use http_channel;

/// What [`http_system`] and [`http_channel`] have in common.
macro_rules! http_bridge {
    (
        ($(#[$help:meta])* $words:ident: $Words:ty, $Receiver:ident, $bytes_max:expr)
        $(#[$about:meta])*
        pub struct $Config:ident for $title:literal named by $default_name:literal {
            $($(#[$own:meta])* pub $field:ident: $Type:ty,)*
        }
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $Config {
            /// By which records and commands name it.
            #[serde(default = $default_name)]
            pub name: String,
            /// Where it is, as a browser is led there.
            pub url: String,
            /// A file with the secret that lets us in.
            pub token_file: std::path::PathBuf,
            /// Networks that its address may be in, beside the public net: `10.1.0.0/16`, `127.0.0.1`.
            #[serde(default)]
            pub networks: Vec<String>,
            /// A PEM file with the authorities of its certificate; the system's when left out.
            #[serde(default)]
            pub ca_file: Option<std::path::PathBuf>,
            $($(#[$own])* pub $field: $Type,)*
            $(#[$help])*
            pub $words: $Words,
            /// How it is worked with.
            #[serde(default)]
            pub pace: $crate::bridges::declare::BridgePace,
        }

        impl $Config {
            fn site(&self) -> $crate::bridges::site::Site<'_> {
                $crate::bridges::site::Site {
                    name: &self.name,
                    url: &self.url,
                    token_file: &self.token_file,
                    networks: &self.networks,
                    ca_file: self.ca_file.as_ref(),
                    tenants: &self.$words.tenants,
                    answer_bytes_max: $bytes_max,
                }
            }
        }

        impl $crate::bridges::declare::DeclaredBridge for $Config {
            fn name(&self) -> &str {
                &self.name
            }

            fn describe(&self) -> String {
                self.site().describe($title)
            }

            fn paths(&mut self) -> Vec<&mut std::path::PathBuf> {
                std::iter::once(&mut self.token_file).chain(self.ca_file.as_mut()).collect()
            }

            fn mapping(&self) -> $crate::bridges::mapping::Mapping {
                self.$words.mapping()
            }

            fn pace(&self) -> &$crate::bridges::declare::BridgePace {
                &self.pace
            }

            fn check(&self) -> Result<(), $crate::bridges::declare::BridgeError> {
                self.site().check()?;
                Ok(self.check_words()?)
            }

            fn probe(&self) -> $crate::declared::Probe<'_> {
                Some(Box::pin(async {
                    let system = self.connect($crate::bridges::site::PROBE_PATIENCE)?;
                    Ok($crate::declared::Found::of(self.look(&system).await?))
                }))
            }

            fn open(&self) -> Result<$crate::bridges::receiver::Receiver, $crate::bridges::declare::BridgeError> {
                let system = std::sync::Arc::new(self.connect(std::time::Duration::ZERO)?);
                Ok($crate::bridges::receiver::Receiver::$Receiver(system))
            }
        }
    };
}

pub(super) use http_bridge;

impl<'c> Site<'c> {
    /// For people.
    pub(super) fn describe(&self, title: &str) -> String {
        let tenants: Vec<&str> = self.tenants.keys().map(String::as_str).collect();
        format!("{}: {title} at {}, tickets of {}", self.name, self.url, tenants.join(", "))
    }

    /// Checks what can be known without the system.
    pub(super) fn check(&self) -> Result<(), BridgeError> {
        check_name(self.name)?;
        self.destination().map(drop)
    }

    /// Where requests go.
    pub(super) fn destination(&self) -> Result<Destination, BridgeError> {
        let destination = Destination::new(self.url, &networks(self.networks)?, self.ca_file)?;
        Ok(destination.reading(self.answer_bytes_max))
    }

    /// What the secret's file holds; see [`secret_in`].
    pub(super) fn secret<T>(&self, with: impl FnOnce(&str) -> Option<T>) -> Result<T, BridgeError> {
        secret_in(self.token_file, with)
    }

    /// Every queue that tickets may lie in.
    pub(super) fn queues(&self) -> impl Iterator<Item = &'c String> {
        self.tenants.values().flat_map(|of| std::iter::once(&of.queue).chain(of.teams.values()))
    }
}

/// Every word for a status that tickets may get.
pub(super) fn statuses(mapping: &Mapping) -> [&String; 5] {
    let of = &mapping.states;
    [&of.open, &of.acknowledged, &of.resolved, &of.closed, &of.merged]
}

/// The value of each priority, with the name of its key.
pub(super) fn priorities(mapping: &Mapping) -> [(&'static str, &String); 5] {
    let PriorityWords { P1, P2, P3, P4, P5 } = &mapping.priority;
    [("P1", P1), ("P2", P2), ("P3", P3), ("P4", P4), ("P5", P5)]
}

/// What the secret's file holds, made use of by `with`, which has nothing to say to one that does not do.
pub(super) fn secret_in<T>(file: &PathBuf, with: impl FnOnce(&str) -> Option<T>) -> Result<T, BridgeError> {
    let unusable = |reason: String| BridgeError::Secret { path: file.clone(), reason };
    let token = std::fs::read_to_string(file).map_err(|error| unusable(error.to_string()))?;
    let token = token.trim();
    if token.is_empty() {
        return Err(unusable("it is empty".to_owned()));
    }
    with(token).ok_or_else(|| unusable("what it holds is not of the right form".to_owned()))
}

/// Checks the name of a bridge.
pub(super) fn check_name(name: &str) -> Result<(), MappingError> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
    match name.is_empty() || name.len() > NAME_CHARS_MAX || !name.chars().all(plain) {
        true => {
            Err(MappingError::at("name", "a name has letters, digits, `-` and `_`, 64 at most: it is a file's, too"))
        }
        false => Ok(()),
    }
}

/// Networks as they are configured, each a network or one address.
pub(super) fn networks(texts: &[String]) -> Result<Vec<IpNet>, BridgeError> {
    texts.iter().map(|text| network(text)).collect()
}

fn network(text: &str) -> Result<IpNet, BridgeError> {
    let one = || text.parse::<std::net::IpAddr>().map(IpNet::from);
    let wrong = |_| MappingError::at("networks", format!("`{text}` is no network: write `10.1.0.0/16` or an address"));
    Ok(text.parse().or_else(|_| one()).map_err(wrong)?)
}
