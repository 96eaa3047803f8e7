//! From the documents of deployment tools to one change each.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bellwether_engine::signal::{Batch, ChangeBuilder, ChangeRow};
use bellwether_engine::time::EventTime;
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_128;

use crate::decode::any_time::any_time;
use crate::decode::json::{at, first_text, text_at};
use crate::intake::reject::{BadRow, Reason};
use crate::limits::Limits;
use crate::resolve::entity_resolution::{EntityResolver, UNKNOWN_ENTITY};

/// The CDEvents type of a finished deployment.
const DEPLOYED: &str = "dev.cdevents.service.deployed.0.3.0";

/// What CDEvents tells of the work that may lead to a change, or of what is found, and that changes
/// nothing that runs.
const CDEVENTS_BESIDE: [&str; 12] = [
    "artifact",
    "branch",
    "build",
    "change",
    "incident",
    "pipelinerun",
    "repository",
    "taskrun",
    "testcaserun",
    "testoutput",
    "testsuiterun",
    "ticket",
];

/// Longest text kept of a change.
const TEXT_BYTES_MAX: usize = 4_096;

/// A change on its way into a row; absent texts are empty.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Change {
    pub(crate) time: Option<EventTime>,
    pub(crate) id: String,
    pub(crate) change_type: String,
    pub(crate) entity: String,
    pub(crate) artifact: String,
    pub(crate) who: String,
    pub(crate) url: String,
    pub(crate) text: String,
}

/// `Ok(None)` for a document that is well formed and changes nothing yet.
pub(crate) type Read = Result<Option<Change>, &'static str>;

/// A document and what is needed to read it.
pub(crate) struct Source<'a> {
    pub(crate) resolver: &'a EntityResolver,
    pub(crate) document: &'a Value,
    pub(crate) body: &'a [u8],
}

impl Source<'_> {
    fn text(&self, paths: &[&str]) -> String {
        let text = first_text(self.document, paths).unwrap_or_default();
        text.chars().take(TEXT_BYTES_MAX).collect()
    }

    fn time(&self, paths: &[&str]) -> Option<EventTime> {
        paths.iter().find_map(|path| at(self.document, path).and_then(any_time))
    }

    /// An id for a tool that sends none: the same document sent again is the same change.
    fn id_or_hash(&self, paths: &[&str]) -> String {
        match self.text(paths) {
            id if id.is_empty() => format!("{:032x}", xxh3_128(self.body)),
            id => id,
        }
    }

    fn entity(&self, spoken: &str, service: &str) -> Result<String, &'static str> {
        let named = self.resolver.spoken(spoken);
        let entity = named.unwrap_or_else(|| self.resolver.service(service));
        if entity == UNKNOWN_ENTITY { Err("the change names no service") } else { Ok(entity) }
    }

    /// CDEvents, alone or as the data of a CloudEvent in structured mode. Events of services and
    /// environments change what runs; a build that is queued or a test that has ended does not.
    pub(crate) fn cdevent(&self) -> Read {
        if self.document.get("data").is_none()
            && let Some(data) = text_at(self.document, "data_base64")
        {
            let bytes = STANDARD.decode(data.as_bytes()).map_err(|_| "data_base64 is not base64")?;
            let data: Value = serde_json::from_slice(&bytes).map_err(|_| "data_base64 holds no JSON")?;
            return Source { resolver: self.resolver, document: &data, body: self.body }.cdevent();
        }
        let change_type = self.text(&["context.type", "data.context.type"]);
        if !change_type.starts_with("dev.cdevents.") {
            return Err("context.type does not begin with `dev.cdevents.`");
        }
        let kind = change_type.strip_prefix("dev.cdevents.").and_then(|rest| rest.split('.').next());
        if kind.is_some_and(|kind| CDEVENTS_BESIDE.contains(&kind)) {
            return Ok(None);
        }
        let subject = self.text(&["subject.id", "data.subject.id"]);
        let environment = self.text(&["subject.content.environment.id", "data.subject.content.environment.id"]);
        Ok(Some(Change {
            time: self.time(&["context.timestamp", "data.context.timestamp"]),
            id: self.id_or_hash(&["context.id", "data.context.id"]),
            entity: self.entity(&subject, &subject)?,
            artifact: self.text(&["subject.content.artifactId", "data.subject.content.artifactId"]),
            who: self.text(&["customData.who", "data.customData.who"]),
            url: self.text(&["subject.content.url", "subject.content.uri", "data.subject.content.url"]),
            text: match self.text(&["customData.text", "data.customData.text"]) {
                text if text.is_empty() => environment,
                text => text,
            },
            change_type,
        }))
    }

    /// What a script sends: `service` or `entity`, and whatever else it knows.
    pub(crate) fn plain(&self) -> Read {
        Ok(Some(Change {
            time: self.time(&["time", "timestamp"]),
            id: self.id_or_hash(&["id"]),
            change_type: match self.text(&["type"]) {
                none if none.is_empty() => DEPLOYED.to_owned(),
                change_type => change_type,
            },
            entity: self.entity(&self.text(&["entity"]), &self.text(&["service"]))?,
            artifact: self.text(&["artifact", "version"]),
            who: self.text(&["who", "user", "author"]),
            url: self.text(&["url", "link"]),
            text: self.text(&["text", "summary", "description"]),
        }))
    }

    /// GitHub's `deployment_status`; `ping` and other events change nothing.
    pub(crate) fn github(&self, event: &str, delivery: &str) -> Read {
        let state = self.text(&["deployment_status.state"]);
        if event != "deployment_status" || !["success", "failure", "error"].contains(&state.as_str()) {
            return Ok(None);
        }
        let repository = self.text(&["repository.full_name"]);
        let sha = self.text(&["deployment.sha"]);
        let environment = self.text(&["deployment_status.environment", "deployment.environment"]);
        let id = match delivery.is_empty() {
            true => self.id_or_hash(&["deployment_status.id"]),
            false => delivery.to_owned(),
        };
        Ok(Some(Change {
            time: self.time(&["deployment_status.updated_at", "deployment_status.created_at"]),
            id,
            change_type: DEPLOYED.to_owned(),
            entity: self.entity("", &self.text(&["deployment.payload.service", "repository.name"]))?,
            artifact: format!("pkg:github/{repository}@{sha}"),
            who: self.text(&["deployment_status.creator.login", "sender.login"]),
            url: self.text(&["deployment_status.log_url", "deployment_status.target_url"]),
            text: format!(
                "{state} in {environment}: {}",
                self.text(&["deployment_status.description", "deployment.ref"])
            ),
        }))
    }

    /// GitLab's deployment events.
    pub(crate) fn gitlab(&self) -> Read {
        let status = self.text(&["status"]);
        if self.text(&["object_kind"]) != "deployment" || !["success", "failed"].contains(&status.as_str()) {
            return Ok(None);
        }
        let project = self.text(&["project.path_with_namespace"]);
        let sha = self.text(&["short_sha"]);
        Ok(Some(Change {
            time: self.time(&["status_changed_at"]),
            id: format!("{}/{status}", self.text(&["deployment_id"])),
            change_type: DEPLOYED.to_owned(),
            entity: self.entity("", &self.text(&["project.name"]))?,
            artifact: format!("pkg:gitlab/{project}@{sha}"),
            who: self.text(&["user.username", "user.name"]),
            url: self.text(&["deployable_url", "commit_url"]),
            text: format!("{status} in {}: {}", self.text(&["environment"]), self.text(&["commit_title"])),
        }))
    }

    /// PagerDuty's change events, which many tools send already.
    pub(crate) fn pagerduty(&self) -> Read {
        let summary = self.text(&["payload.summary"]);
        if summary.is_empty() {
            return Err("payload.summary is missing");
        }
        let details = ["payload.custom_details.service", "payload.custom_details.service_name", "payload.source"];
        Ok(Some(Change {
            time: self.time(&["payload.timestamp"]),
            id: self.id_or_hash(&[]),
            change_type: DEPLOYED.to_owned(),
            entity: self.entity(&self.text(&["payload.custom_details.entity"]), &self.text(&details))?,
            artifact: self.text(&["payload.custom_details.artifact", "payload.custom_details.version"]),
            who: self.text(&["payload.custom_details.user", "payload.custom_details.author"]),
            url: text_at(self.document, "links.0.href").unwrap_or_default().into_owned(),
            text: summary,
        }))
    }
}

/// The CDEvent in `payload` as a batch of one change, received `at`.
///
/// # Errors
/// [`BadRow`]: it is no CDEvent, or names no service.
pub(crate) fn cdevent(
    payload: &[u8],
    tenant: &str,
    at: EventTime,
    resolver: &EntityResolver,
    limits: &Limits,
) -> Result<Batch, BadRow> {
    let bad = |text: String| BadRow::new(Reason::Syntax, "", text);
    let document: Value = serde_json::from_slice(payload).map_err(|error| bad(error.to_string()))?;
    let read = Source { resolver, document: &document, body: payload }.cdevent();
    let mut builder = ChangeBuilder::new();
    if let Some(change) = read.map_err(|reason| bad(reason.to_owned()))? {
        push(&change, limits.believed(change.time, at), &mut builder);
    }
    builder.finish(tenant).map_err(|error| bad(error.to_string()))
}

/// Appends `change` as a row at `time`.
pub(crate) fn push(change: &Change, time: EventTime, out: &mut ChangeBuilder) {
    let filled = |text: &'_ String| !text.is_empty();
    out.push(&ChangeRow {
        time,
        id: &change.id,
        change_type: &change.change_type,
        entity: &change.entity,
        artifact: Some(&change.artifact).filter(|text| filled(text)).map(String::as_str),
        who: Some(&change.who).filter(|text| filled(text)).map(String::as_str),
        url: Some(&change.url).filter(|text| filled(text)).map(String::as_str),
        text: Some(&change.text).filter(|text| filled(text)).map(String::as_str),
    });
}
