//! What lists of sources and of sinks share: how a line becomes a variant, and what trying one finds.
//!
//! A list is an enum with one line for each kind, `Name(Configuration)`, read as `name: {…}`. Whatever
//! else is to be known of a kind its configuration says of itself, by the trait that the list names.

use futures::future::BoxFuture;

/// What was found where a connector reads or writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// In words.
    pub what: String,
    /// Messages that wait to be read, where that is known.
    pub behind: Option<u64>,
}

impl Found {
    /// What was found, where nothing can wait.
    pub fn of(what: impl Into<String>) -> Found {
        Found { what: what.into(), behind: None }
    }
}

/// Why it would not work: the connector's own error, which says what to change.
pub type ProbeError = Box<dyn std::error::Error + Send + Sync>;

/// A look at what a connector needs, which changes nothing; `None` where there is nothing to try.
pub type Probe<'c> = Option<BoxFuture<'c, Result<Found, ProbeError>>>;

/// Makes an enum out of a list of configurations, one line each, which is what `$Trait` says of its line.
macro_rules! list_of {
    (
        $(#[$about:meta])*
        pub enum $List:ident: $Trait:ident {
            $($(#[$help:meta])* $Name:ident($Config:ty),)+
        }
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, ::serde::Serialize, ::serde::Deserialize, ::schemars::JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum $List {
            $($(#[$help])* $Name($Config),)+
        }

        impl ::std::ops::Deref for $List {
            type Target = dyn $Trait;

            fn deref(&self) -> &Self::Target {
                match self {
                    $($List::$Name(config) => config,)+
                }
            }
        }

        impl ::std::ops::DerefMut for $List {
            fn deref_mut(&mut self) -> &mut Self::Target {
                match self {
                    $($List::$Name(config) => config,)+
                }
            }
        }
    };
}

pub(crate) use list_of;
