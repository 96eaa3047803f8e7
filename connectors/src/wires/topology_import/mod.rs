//! Topology from what already knows it: service catalogues, CMDBs, network inventories.
//!
//! ```sh
//! curl -H "Authorization: Bearer $TOKEN" --data-binary @catalog-info.yaml \
//!      http://127.0.0.1:9099/topology/backstage
//! ```
//!
//! | path | body |
//! |---|---|
//! | `/topology/csv` | `from,to,relation[,confidence]` with a header; semicolons or tabs do as well |
//! | `/topology/yaml` | a list of the same four, or a map with it under `topology` |
//! | `/topology/backstage` | `catalog-info.yaml`, any number of documents, or the API's JSON list |
//! | `/topology/servicenow` | `GET /api/now/table/cmdb_rel_ci` with display values |
//! | `/topology/netbox` | `GET /api/dcim/cables/` |
//! | `/topology/kubernetes` | `kubectl get pods,services -A -o json`, or `yaml` |
//!
//! Each edge keeps its source and the time it was told, so sources can be compared and age. A
//! record that makes no edge is counted and named; the others are stored.

use std::sync::Arc;

use bellwether_engine::signal::{EdgeBuilder, EdgeRow};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::decode::topology::{self, Found, TopologyError};
use crate::limits::Limits;
use crate::resolve::entity_resolution::EntityResolver;
use crate::server::outcome::{Accepted, Outcome};
use crate::server::reply::Reply;
use crate::server::request::{Request, unpacked};
use crate::server::wire::{HttpHandler, Route};
use crate::wires::declare::{Door, WireConfig, WireRow};
use crate::wires::list::Switch;

/// The formats, each the last part of its path and the source of its edges.
const FORMATS: [&str; 6] = ["csv", "yaml", "backstage", "servicenow", "netbox", "kubernetes"];

/// Whether inventories may be posted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct TopologyImportConfig(pub bool);

impl Switch for TopologyImportConfig {
    fn wire(&self) -> Option<&dyn WireConfig> {
        self.0.then_some(self as &dyn WireConfig)
    }

    fn wire_mut(&mut self) -> Option<&mut dyn WireConfig> {
        self.0.then_some(self as &mut dyn WireConfig)
    }

    fn rows() -> &'static [WireRow] {
        <TopologyImportConfig as WireConfig>::rows()
    }
}

impl WireConfig for TopologyImportConfig {
    fn doors(&self) -> Vec<Door<'_>> {
        vec![Door::http(|shared| Ok(TopologyImport::new(shared.limits.clone(), shared.resolver.clone())))]
    }

    fn rows() -> &'static [WireRow] {
        &[WireRow {
            wire: "topology: Backstage, ServiceNow, NetBox, Kubernetes, CSV, YAML (`src/wires/topology_import`)",
            at: "`/topology/…`",
            answers: "200 with what was refused; 503 full",
            again: "same edge",
            peer: "– (recorded payloads)",
        }]
    }
}

/// The wire.
pub(crate) struct TopologyImport {
    limits: Limits,
    resolver: Arc<EntityResolver>,
}

impl TopologyImport {
    /// An importer that names hosts and services by `resolver`.
    pub(crate) fn new(limits: Limits, resolver: Arc<EntityResolver>) -> TopologyImport {
        TopologyImport { limits, resolver }
    }

    fn take(&self, format: &'static str, request: &Request<'_>) -> Result<Outcome, Outcome> {
        let body = unpacked(&self.limits, request)?;
        let malformed = |reason: String| Outcome::refused(Reply::text(400, format!("{reason}\n")), "malformed");
        let text = std::str::from_utf8(&body).map_err(|_| malformed("the body is not UTF-8".to_owned()))?;
        let found = self.read(format, text).map_err(|error| malformed(error.to_string()))?;
        if found.edges.len() > self.limits.events_max {
            let text = format!("{} edges are more than `limits.events_max`\n", found.edges.len());
            return Err(Outcome::refused(Reply::text(413, text), "events_max"));
        }
        let mut builder = EdgeBuilder::new();
        for edge in &found.edges {
            builder.push(&EdgeRow {
                time: request.received,
                from: &edge.from,
                to: &edge.to,
                relation: edge.relation,
                source: format,
                confidence: edge.confidence,
            });
        }
        let answer = json!({"edges": builder.len(), "refused": found.refused.describe()});
        let mut accepted = Accepted::default();
        accepted.add_rows(builder.finish_for(request.tenant));
        Ok(Outcome::store(accepted, found.refused, Reply::json(200, &answer)))
    }

    fn read(&self, format: &str, text: &str) -> Result<Found, TopologyError> {
        let json = || serde_json::from_str::<Value>(text).map_err(TopologyError::from);
        match format {
            "csv" => topology::csv(text, &self.resolver),
            "yaml" => Ok(topology::edges(&topology::yaml(text)?, &self.resolver)),
            "backstage" => Ok(topology::backstage(&topology::yaml(text)?, &self.resolver)),
            "servicenow" => Ok(topology::inventory::servicenow(&json()?, &self.resolver)),
            "netbox" => Ok(topology::inventory::netbox(&json()?, &self.resolver)),
            // `kubectl get -o yaml`, too.
            _ => {
                let document = json().or_else(|_| topology::yaml(text).map(Value::Array))?;
                Ok(topology::inventory::kubernetes(&document, &self.resolver))
            }
        }
    }
}

impl HttpHandler for TopologyImport {
    fn routes(&self) -> Vec<Route<TopologyImport>> {
        let route = |format: &'static str| {
            let take = move |wire: &TopologyImport, request: &Request<'_>| wire.take(format, request);
            Route::post_or_put(format!("/topology/{format}"), take)
        };
        FORMATS.map(route).into()
    }
}

#[cfg(test)]
mod tests;
