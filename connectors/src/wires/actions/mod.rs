//! What operators and ticketing systems say about incidents: over HTTP, and over NATS by subject.
//!
//! ```yaml
//! wires:
//!   actions: {}                # POST /feedback/<kind>, POST /ticket/<verb>/<system>
//! sources:
//!   - nats:                    # the same payloads, and changes, by subject
//!       name: said
//!       stream: BELLWETHER_SAID
//!       subjects: ["bellwether.v1.*.feedback.>", "bellwether.v1.*.ticket.>", "bellwether.v1.*.change.>"]
//!       tenant_token: 3
//!       payload: events
//! ```
//!
//! `connectors/PAYLOADS.md` has each word with its payload by example, and what follows from it.
//!
//! An `id` in any payload makes it safe to send again over HTTP: what has the same id is answered and
//! not stored. What names an incident that is closed, a part of another or never was one changes nothing:
//! over HTTP it is answered 404 and counted as `unknown_incident`, over NATS the engine counts it
//! (`bellwether_actions_unknown_total`) and the log says so.
//!
//! Over HTTP the tenant is the credential's, which must have the right to act
//! (`auth.credentials`: `may: [act]`). It answers 202 once the journal has it, 400 with the reason, 404
//! where no such incident is open, 503 when full.

use std::sync::Arc;

use bellwether_engine::input::{Action, Input};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::decode::actions::{Said, feedback, ticket};
use crate::intake::reject::{BadRow, Refusals};
use crate::journal::receipts::request_key;
use crate::limits::Limits;
use crate::server::doors::Lane;
use crate::server::incidents::KnownIncidents;
use crate::server::outcome::{Accepted, Outcome};
use crate::server::reply::Reply;
use crate::server::request::{Request, unpacked};
use crate::server::wire::{HttpHandler, Route};
use crate::wires::declare::{Door, WireConfig, WireRow};

/// What operators and ticketing systems say, over HTTP. It has no settings yet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ActionsConfig {}

impl WireConfig for ActionsConfig {
    fn doors(&self) -> Vec<Door<'_>> {
        vec![Door::http(|shared| Ok(Actions::new(shared.limits.clone(), shared.incidents.clone())))]
    }

    fn rows() -> &'static [WireRow] {
        &[WireRow {
            wire: "what people and ticketing systems say about incidents (`src/wires/actions`)",
            at: "`/feedback/…`, `/ticket/…`; by subject over NATS",
            answers: "202; 400 with the reason; 404 no such incident is open; 503 full",
            again: "by the payload's `id`",
            peer: "`examples/ticketing/say.sh`; nats-server 2.15",
        }]
    }
}

/// The wire.
pub(crate) struct Actions {
    limits: Limits,
    known: Arc<KnownIncidents>,
}

impl Actions {
    /// A wire within `limits`, about incidents of which `known` says whether they are there.
    pub(crate) fn new(limits: Limits, known: Arc<KnownIncidents>) -> Actions {
        Actions { limits, known }
    }

    fn take(&self, request: &Request<'_>) -> Result<Outcome, Outcome> {
        let body = unpacked(&self.limits, request)?;
        let said = read_path(request.path, &body).map_err(|bad| {
            let reply = Reply::json(400, &json!({"message": bad.to_string()}));
            Outcome::refused(reply, "malformed")
        })?;
        let taken = Reply::empty(202);
        if let Some(id) = &said.id
            && let claim = request.claim(request_key(request.tenant, "actions", id.as_bytes()))
            && let Some(known) = Outcome::known(claim, taken.clone())
        {
            return Ok(known);
        }
        let unknown = |id: &&str| self.known.certainly_lacks(request.tenant, id);
        if let Some(id) = said.actions.iter().flat_map(Action::incidents).find(unknown) {
            let message = format!("no incident `{id}` is open: it is closed, a part of another, or never was one");
            return Err(Outcome::refused(Reply::json(404, &json!({ "message": message })), "unknown_incident"));
        }
        let mut accepted = Accepted::default();
        for action in said.actions {
            accepted.add_one(Input::Action { tenant: request.tenant.shared(), at: request.received, action });
        }
        Ok(Outcome::store(accepted, Refusals::default(), taken))
    }
}

/// What a request to `path` says.
fn read_path(path: &str, body: &[u8]) -> Result<Said, BadRow> {
    let mut parts = path.trim_matches('/').split('/');
    match (parts.next(), parts.next(), parts.next()) {
        (Some("feedback"), Some(kind), None) => feedback(kind, body),
        (_, verb, system) => ticket(verb.unwrap_or_default(), system.unwrap_or_default(), body),
    }
}

impl HttpHandler for Actions {
    fn lane(&self) -> Lane {
        Lane::Alerts
    }

    fn routes(&self) -> Vec<Route<Actions>> {
        ["/feedback/{kind}", "/ticket/{verb}/{system}"].map(|path| Route::post(path, Actions::take).acting()).into()
    }
}

#[cfg(test)]
mod tests;
