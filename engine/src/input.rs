//! What the engine reads: the entries of the journal, and their bytes.
//!
//! An entry is telemetry, or anything else the engine may react to: the time, a catalogue, an
//! operator's or a ticketing system's word, the engine's own settings. Bytes of an entry: one kind byte, the tenant's
//! length and name, then the payload (a checksummed Arrow stream for signals, JSON otherwise).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use crate::action::{Action, TicketVerb, Voice};
use crate::catalogue::Catalogue;
use crate::config::EngineConfig;
use crate::signal::{Batch, SignalError, SignalKind, check_tenant, ipc};
use crate::time::EventTime;

/// One entry of the journal.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// Signals of one tenant.
    Batch(Batch),
    /// It is now this late, for every tenant: what follows arrives then, and the watermark moves although
    /// telemetry is silent.
    Tick(EventTime),
    /// The tenant's catalogue from `at` on.
    Catalogue {
        /// Whose.
        tenant: Arc<str>,
        /// From when.
        at: EventTime,
        /// What.
        catalogue: Arc<Catalogue>,
    },
    /// Somebody said something about an incident.
    Action {
        /// Whose incident.
        tenant: Arc<str>,
        /// When.
        at: EventTime,
        /// What was said.
        action: Action,
    },
    /// From this entry on the engine works by these settings: what waits for the watermark is
    /// already theirs. A replay changes its settings where the run did.
    Settings(Arc<EngineConfig>),
}

#[derive(Serialize, Deserialize)]
struct CataloguePayload {
    at: EventTime,
    catalogue: Arc<Catalogue>,
}

#[derive(Serialize, Deserialize)]
struct ActionPayload {
    at: EventTime,
    action: Action,
}

const KIND_TICK: u8 = 100;
const KIND_CATALOGUE: u8 = 101;
const KIND_ACTION: u8 = 102;
const KIND_SETTINGS: u8 = 103;

impl Input {
    /// Appends the entry's bytes to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Input::Batch(batch) => {
                header(out, batch.kind() as u8, batch.tenant());
                ipc::encode(batch, out);
            }
            Input::Tick(at) => {
                header(out, KIND_TICK, "");
                out.extend_from_slice(&at.0.to_le_bytes());
            }
            Input::Catalogue { tenant, at, catalogue } => {
                header(out, KIND_CATALOGUE, tenant);
                let payload = CataloguePayload { at: *at, catalogue: catalogue.clone() };
                serde_json::to_writer(out, &payload).expect("a catalogue is JSON");
            }
            Input::Action { tenant, at, action } => {
                header(out, KIND_ACTION, tenant);
                let payload = ActionPayload { at: *at, action: action.clone() };
                serde_json::to_writer(out, &payload).expect("an action is JSON");
            }
            Input::Settings(settings) => {
                header(out, KIND_SETTINGS, "");
                serde_json::to_writer(out, &**settings).expect("a configuration is JSON");
            }
        }
    }

    /// Reads what [`Input::encode`] wrote.
    ///
    /// # Errors
    /// [`InputError`] when the bytes are not an entry of this version.
    pub fn decode(bytes: &[u8]) -> Result<Input, InputError> {
        let [kind, tenant_len, rest @ ..] = bytes else {
            return Err(InputError::Short);
        };
        let tenant_len = usize::from(*tenant_len);
        if rest.len() < tenant_len {
            return Err(InputError::Short);
        }
        let (tenant, payload) = rest.split_at(tenant_len);
        let tenant = std::str::from_utf8(tenant).map_err(|_| InputError::Short)?;
        match *kind {
            KIND_TICK => {
                let at: [u8; 8] = payload.try_into().map_err(|_| InputError::Short)?;
                Ok(Input::Tick(EventTime(i64::from_le_bytes(at))))
            }
            KIND_CATALOGUE => {
                check_tenant(tenant)?;
                let CataloguePayload { at, catalogue } = serde_json::from_slice(payload)?;
                Ok(Input::Catalogue { tenant: tenant.into(), at, catalogue })
            }
            KIND_ACTION => {
                check_tenant(tenant)?;
                let ActionPayload { at, action } = serde_json::from_slice(payload)?;
                Ok(Input::Action { tenant: tenant.into(), at, action })
            }
            KIND_SETTINGS => Ok(Input::Settings(serde_json::from_slice(payload)?)),
            kind => {
                let kind = SignalKind::ALL.into_iter().find(|k| *k as u8 == kind).ok_or(InputError::Kind(kind))?;
                Ok(Input::Batch(ipc::decode(tenant, kind, payload)?))
            }
        }
    }

    /// Whose the entry is, by its bytes; `None` for what concerns everybody and for what is no entry.
    pub fn tenant_of(bytes: &[u8]) -> Option<&str> {
        let [_, tenant_len, rest @ ..] = bytes else { return None };
        let tenant = rest.get(..usize::from(*tenant_len))?;
        std::str::from_utf8(tenant).ok().filter(|tenant| !tenant.is_empty())
    }

    /// Whose the entry is; `None` for what concerns everybody.
    pub fn tenant(&self) -> Option<&str> {
        match self {
            Input::Batch(batch) => Some(batch.tenant()),
            Input::Catalogue { tenant, .. } | Input::Action { tenant, .. } => Some(tenant),
            Input::Tick(_) | Input::Settings(_) => None,
        }
    }

    /// How many signals the entry holds; 1 for what is not a batch.
    pub fn rows(&self) -> usize {
        match self {
            Input::Batch(batch) => batch.len(),
            _ => 1,
        }
    }
}

fn header(out: &mut Vec<u8>, kind: u8, tenant: &str) {
    debug_assert!(tenant.len() <= crate::signal::TENANT_BYTES_MAX);
    out.push(kind);
    out.push(tenant.len() as u8);
    out.extend_from_slice(tenant.as_bytes());
}

/// Why bytes are not a journal entry.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// The bytes end too early.
    #[error("journal entry is cut short, or was written by another version: use that")]
    Short,
    /// A kind this build does not know.
    #[error("journal entry of kind `{0}` is not known: use the version that wrote it")]
    Kind(u8),
    /// The signals in it are not signals.
    #[error(transparent)]
    Signal(#[from] SignalError),
    /// The JSON in it is not what it should be.
    #[error("journal entry does not read, use the version that wrote it: {0}")]
    Json(#[from] serde_json::Error),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_kind_of_entry_comes_back_as_it_went_in() {
        let entries = [
            Input::Tick(EventTime::from_secs(7)),
            Input::Catalogue {
                tenant: "acme".into(),
                at: EventTime::from_secs(1),
                catalogue: Arc::new(Catalogue::default()),
            },
            Input::Action {
                tenant: "acme".into(),
                at: EventTime::from_secs(2),
                action: Action::Acknowledge { incident: "inc_1".into(), who: "ana".into(), voice: Voice::Operator },
            },
            Input::Settings(Arc::new(EngineConfig::default())),
        ];
        for entry in entries {
            let mut bytes = Vec::new();
            entry.encode(&mut bytes);
            assert_eq!(Input::decode(&bytes).expect("round trip"), entry);
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            let _ = Input::decode(&bytes);
        }
    }
}
