//! What follows from a list of wires: their configuration, and everything that goes over all of
//! them.

use std::path::{Path, PathBuf};

use crate::limits::Limits;
use crate::resolve::entity_resolution::EntityConfig;
use crate::server::auth::AuthConfig;
use crate::server::http::HttpConfig;
use crate::server::listener::{Endpoint, Transport};
use crate::wires::declare::{Door, WireConfig, WireRow};

/// A line of the list: a wire that may be off.
pub trait Switch {
    /// Its settings, when it is on.
    fn wire(&self) -> Option<&dyn WireConfig>;
    /// The same, to be changed.
    fn wire_mut(&mut self) -> Option<&mut dyn WireConfig>;
    /// Its rows in the table of `WIRES.md`.
    fn rows() -> &'static [WireRow];
}

impl<C: WireConfig> Switch for Option<C> {
    fn wire(&self) -> Option<&dyn WireConfig> {
        self.as_ref().map(|wire| wire as &dyn WireConfig)
    }

    fn wire_mut(&mut self) -> Option<&mut dyn WireConfig> {
        self.as_mut().map(|wire| wire as &mut dyn WireConfig)
    }

    fn rows() -> &'static [WireRow] {
        C::rows()
    }
}

/// What stands beside the wires in their configuration.
#[derive(Clone, Copy, Debug)]
pub struct Common<'c> {
    /// Who may send, and whose it is.
    pub auth: &'c AuthConfig,
    /// How much they may send.
    pub limits: &'c Limits,
    /// Which labels make which entity.
    pub entity_resolution: &'c EntityConfig,
    /// Where wires over HTTP listen, when it is said.
    pub http: Option<&'c HttpConfig>,
}

/// The configuration of a list of wires.
pub trait WireList: Clone + PartialEq {
    /// What stands beside the wires.
    fn common(&self) -> Common<'_>;

    /// The wires that are on, by name, in the order of the list.
    fn wires(&self) -> Vec<(&'static str, &dyn WireConfig)>;

    /// The names of those that are not as in `other`.
    fn differing(&self, other: &Self) -> Vec<&'static str>;

    /// Every path that is named, by the wires and beside them.
    fn paths(&mut self) -> Vec<&mut PathBuf>;

    /// The table of `WIRES.md`.
    fn rows() -> Vec<WireRow>;

    /// The HTTP listener, when there is to be one: it is named, or a wire needs it.
    fn http(&self) -> Option<HttpConfig> {
        let named = self.common().http.cloned();
        named.or_else(|| (!self.names_over_http().is_empty()).then(HttpConfig::default))
    }

    /// The wires that are on and are spoken over HTTP.
    fn names_over_http(&self) -> Vec<&'static str> {
        let over_http = |wire: &dyn WireConfig| wire.doors().iter().any(|door| matches!(door, Door::Http(_)));
        self.wires().into_iter().filter(|(_, wire)| over_http(*wire)).map(|(name, _)| name).collect()
    }

    /// The listeners beside HTTP, each with its wire's name: what is built, before it is built.
    fn own_endpoints(&self) -> Vec<(&'static str, Endpoint<'_>)> {
        let mut found = Vec::new();
        for (name, wire) in self.wires() {
            for door in wire.doors() {
                if let Door::Own(endpoint, _) = door {
                    found.push((name, endpoint));
                }
            }
        }
        found
    }

    /// Hands every address that is listened on to `look`.
    fn each_endpoint(&self, look: &mut dyn FnMut(&Endpoint<'_>)) {
        if let Some(http) = self.http() {
            look(&Endpoint {
                name: "http",
                protocol: "HTTP",
                key: "listen",
                transport: Transport::Tcp,
                address: http.listen,
                tls: http.tls.as_ref(),
                asks_for_secret: false,
            });
        }
        self.own_endpoints().iter().for_each(|(_, endpoint)| look(endpoint));
    }

    /// Whether anything listens.
    fn listens(&self) -> bool {
        self.http().is_some() || !self.own_endpoints().is_empty()
    }

    /// Makes the relative paths that are named begin at `folder`.
    #[must_use]
    fn relative_to(mut self, folder: &Path) -> Self {
        self.paths().into_iter().for_each(|path| *path = folder.join(&*path));
        self
    }
}

/// Makes a configuration out of a list of wires, one line each: `name: Type`. What the type says of
/// itself ([`WireConfig`]) gives its listeners, what `check` tries, its files, what a
/// reload can change, its counters and its rows in `WIRES.md`.
#[macro_export]
macro_rules! wire_list {
    (
        $(#[$about:meta])*
        pub struct $List:ident {
            $($(#[$help:meta])* $name:ident: $Config:ty,)+
        }
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug, Default, PartialEq, ::serde::Serialize, ::serde::Deserialize, ::schemars::JsonSchema)]
        #[serde(default, deny_unknown_fields)]
        pub struct $List {
            /// Who may send, and whose it is.
            pub auth: $crate::server::auth::AuthConfig,
            /// How much they may send.
            pub limits: $crate::limits::Limits,
            /// Which labels make which entity.
            pub entity_resolution: $crate::resolve::entity_resolution::EntityConfig,
            /// Where all wires over HTTP listen, and the pages about the process itself: named, it
            /// listens even when no wire needs it.
            pub http: Option<$crate::server::http::HttpConfig>,
            $($(#[$help])* pub $name: $Config,)+
        }

        impl $crate::wires::WireList for $List {
            fn common(&self) -> $crate::wires::Common<'_> {
                $crate::wires::Common {
                    auth: &self.auth,
                    limits: &self.limits,
                    entity_resolution: &self.entity_resolution,
                    http: self.http.as_ref(),
                }
            }

            fn wires(&self) -> Vec<(&'static str, &dyn $crate::wires::WireConfig)> {
                let all = [$((stringify!($name), $crate::wires::Switch::wire(&self.$name)),)+];
                all.into_iter().filter_map(|(name, wire)| Some((name, wire?))).collect()
            }

            fn differing(&self, other: &Self) -> Vec<&'static str> {
                let all = [$((stringify!($name), self.$name != other.$name),)+];
                all.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
            }

            fn paths(&mut self) -> Vec<&mut ::std::path::PathBuf> {
                let mut paths = self.auth.paths();
                paths.extend(self.http.iter_mut().flat_map(|http| http.paths()));
                $(
                    let wire = $crate::wires::Switch::wire_mut(&mut self.$name);
                    paths.extend(wire.into_iter().flat_map(|wire| wire.paths()));
                )+
                paths
            }

            fn rows() -> Vec<$crate::wires::WireRow> {
                let all = [$(<$Config as $crate::wires::Switch>::rows(),)+];
                all.concat()
            }
        }
    };
}
