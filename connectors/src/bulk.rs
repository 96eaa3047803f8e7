//! Elasticsearch's `_bulk`: log records of Filebeat, Fluent Bit, Logstash, rsyslog and Vector.
//!
//! ```yaml
//! bulk: { path_prefix: "" }      # answers /, /_bulk and /{index}/_bulk
//! ```
//!
//! A document is a log record: `@timestamp`, `message`, `log.level`, and the entity its other
//! fields name (ECS or plain). Answers list one item per action, in order, and carry
//! `X-Elastic-Product`, without which official clients refuse us. Overload refuses the whole
//! request with 503 and never single items, for some senders repeat all when one failed.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use axum::http::Method;
use bellwether_engine::input::Input;
use bellwether_engine::signal::{LABELS_MAX, LogBuilder, LogRow, log_severity};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use xxhash_rust::xxh3::Xxh3;

use crate::entity_resolution::EntityResolver;
use crate::json::{Leaves, Text, time_of_text};
use crate::limits::Limits;
use crate::wire::{HttpWire, Outcome, Refusals, Reply, Request, Route, unpacked};

const TIME_FIELDS: [&str; 4] = ["@timestamp", "timestamp", "time", "timereported"];
const BODY_FIELDS: [&str; 4] = ["message", "msg", "log", "event.original"];
const LEVEL_FIELDS: [&str; 6] = ["log.level", "level", "severity", "severity_text", "syslogseverity-text", "loglevel"];
const TRACE_FIELDS: [&str; 2] = ["trace.id", "trace_id"];

/// The version we say we are: one whose clients need no licence check beyond the header.
const VERSION: &str = "8.0.0";

/// Where bulk requests are received.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BulkConfig {
    /// Put in front of `/_bulk`.
    pub path_prefix: String,
}

/// Documents remembered per generation, of which two are kept: half a minute of re-sends at a
/// thousand a second and generation, in 3 MB.
const DOCUMENTS_MAX: usize = 65_536;

/// Documents taken lately. rsyslog's omelasticsearch appends a refused document to its next
/// request again and again, so that one request holds it many times: whole requests are not
/// enough to know a re-send by.
#[derive(Default)]
struct Seen {
    current: HashSet<u128>,
    previous: HashSet<u128>,
}

impl Seen {
    /// Notes a document; false when it was noted before.
    fn note(&mut self, key: u128) -> bool {
        if self.current.len() >= DOCUMENTS_MAX {
            self.previous = std::mem::take(&mut self.current);
        }
        !self.previous.contains(&key) && self.current.insert(key)
    }
}

/// The wire.
pub struct Bulk {
    config: BulkConfig,
    limits: Limits,
    resolver: Arc<EntityResolver>,
    seen: Mutex<Seen>,
}

/// The action line: `{"index":{"_index":"logs","_id":"1"}}`.
#[derive(Deserialize)]
struct Action<'a> {
    #[serde(borrow, default)]
    index: Option<Target<'a>>,
    #[serde(borrow, default)]
    create: Option<Target<'a>>,
    #[serde(borrow, default)]
    update: Option<Target<'a>>,
    #[serde(borrow, default)]
    delete: Option<Target<'a>>,
}

#[derive(Deserialize)]
struct Target<'a> {
    #[serde(borrow, default, rename = "_index")]
    index: Option<Text<'a>>,
    #[serde(borrow, default, rename = "_id")]
    id: Option<Text<'a>>,
}

/// What became of one action.
struct Item<'a> {
    verb: &'static str,
    target: Target<'a>,
    /// 201, or what was wrong.
    error: Option<&'static str>,
}

impl Bulk {
    /// A wire that names entities by `resolver`.
    pub fn new(config: BulkConfig, limits: Limits, resolver: Arc<EntityResolver>) -> Bulk {
        Bulk { config, limits, resolver, seen: Mutex::default() }
    }

    /// True for a document that was taken before. Only one that says when it happened, or who
    /// it is, can be known again.
    fn is_resent(&self, tenant: &str, item: &Item<'_>, source: &[u8]) -> bool {
        let id = item.target.id.as_ref().map_or("", |id| id.0.as_ref());
        if id.is_empty() && memchr::memmem::find(source, b"\"@timestamp\"").is_none() {
            return false;
        }
        let mut hasher = Xxh3::new();
        let index = item.target.index.as_ref().map_or("", |index| index.0.as_ref());
        for part in [tenant.as_bytes(), index.as_bytes(), id.as_bytes(), source] {
            hasher.update(part);
            hasher.update(&[0xff]);
        }
        let mut seen = self.seen.lock().unwrap_or_else(|held| held.into_inner());
        !seen.note(hasher.digest128())
    }

    fn bulk(&self, request: &Request<'_>) -> Result<Outcome, Outcome> {
        let body = unpacked(&self.limits, request)?;
        let mut lines = body.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
        let mut out = LogBuilder::new();
        let mut refused = Refusals::default();
        let mut items = Vec::new();
        while let Some(line) = lines.next() {
            let action: Action<'_> = serde_json::from_slice(line)
                .map_err(|error| malformed(&format!("action line {}: {error}", items.len() + 1)))?;
            let mut item = item_of(action).ok_or_else(|| malformed("an action is index, create, update or delete"))?;
            if items.len() == self.limits.events_max {
                let text = "more actions than `limits.events_max`\n";
                return Err(Outcome::refused(Reply::text(413, text), "events_max"));
            }
            match item.verb {
                "delete" => item.error = Some("not_supported"),
                verb => {
                    let source = lines.next().ok_or_else(|| malformed("the last action has no document"))?;
                    item.error = match verb {
                        "update" => Some("not_supported"),
                        _ if self.is_resent(request.tenant, &item, source) => {
                            // It is there, so the sender is told so.
                            refused.add("sent_before", 1);
                            None
                        }
                        _ => self.document(source, request, &mut out).err(),
                    };
                }
            }
            if let Some(reason) = item.error {
                refused.add(reason, 1);
            }
            items.push(item);
        }
        let mut outcome = Outcome {
            reply: answer(&items, default_index(request.path)),
            accepted: out.len() as u64,
            refused,
            ..Outcome::default()
        };
        if let Ok(batch) = out.finish(request.tenant) {
            outcome.push(batch);
        }
        Ok(outcome)
    }

    fn document(&self, source: &[u8], request: &Request<'_>, out: &mut LogBuilder) -> Result<(), &'static str> {
        let text = std::str::from_utf8(source).map_err(|_| "malformed")?;
        if !text.trim_start().starts_with('{') {
            return Err("malformed");
        }
        let document: Leaves<'_> = serde_json::from_str(text).map_err(|_| "malformed")?;
        let mut attributes: Vec<(&str, &str)> = document
            .pairs()
            .filter(|(key, value)| !value.is_empty() && !TIME_FIELDS.contains(key) && !BODY_FIELDS.contains(key))
            .take(LABELS_MAX)
            .collect();
        attributes.sort_by_key(|(key, _)| *key);
        attributes.dedup_by_key(|(key, _)| *key);
        out.push(&LogRow {
            time: self.limits.believed(document.first(&TIME_FIELDS).and_then(time_of_text), request.received),
            entity: &self.resolver.resolve("", &attributes),
            severity: document.first(&LEVEL_FIELDS).map_or(0, log_severity),
            // A document without a message still says what happened.
            body: document.first(&BODY_FIELDS).unwrap_or(text.trim()),
            attributes: &attributes,
            trace_id: document.first(&TRACE_FIELDS),
        });
        Ok(())
    }
}

fn item_of(action: Action<'_>) -> Option<Item<'_>> {
    let (verb, target) =
        [("index", action.index), ("create", action.create), ("update", action.update), ("delete", action.delete)]
            .into_iter()
            .find_map(|(verb, target)| target.map(|target| (verb, target)))?;
    Some(Item { verb, target, error: None })
}

fn malformed(text: &str) -> Outcome {
    let error = json!({"error": {"type": "illegal_argument_exception", "reason": text}, "status": 400});
    Outcome::refused(branded(Reply::json(400, &error)), "malformed")
}

fn branded(reply: Reply) -> Reply {
    reply.with("x-elastic-product", "Elasticsearch")
}

/// `logs` of `/logs/_bulk`.
fn default_index(path: &str) -> &str {
    let index = path.trim_end_matches('/').trim_end_matches("_bulk").trim_end_matches('/');
    index.rsplit('/').next().filter(|index| !index.is_empty()).unwrap_or("logs")
}

fn answer(items: &[Item<'_>], index: &str) -> Reply {
    let listed: Vec<serde_json::Value> = items
        .iter()
        .map(|item| {
            let index = item.target.index.as_ref().map_or(index, |index| index.0.as_ref());
            let id = item.target.id.as_ref().map_or("", |id| id.0.as_ref());
            let result = match item.error {
                None => json!({"_index": index, "_id": id, "_version": 1, "result": "created", "status": 201}),
                Some(reason) => json!({"_index": index, "_id": id, "status": 400,
                    "error": {"type": "document_parsing_exception", "reason": reason}}),
            };
            json!({item.verb: result})
        })
        .collect();
    let errors = items.iter().any(|item| item.error.is_some());
    branded(Reply::json(200, &json!({"took": 0, "errors": errors, "items": listed})))
}

impl HttpWire for Bulk {
    fn kind(&self) -> &'static str {
        "bulk"
    }

    fn routes(&self) -> Vec<Route> {
        let prefix = self.config.path_prefix.trim_end_matches('/');
        ["/", "/_bulk", "/{index}/_bulk"].iter().map(|path| Route::new(format!("{prefix}{path}"))).collect()
    }

    fn serve(&self, request: &Request<'_>) -> Outcome {
        if !request.path.trim_end_matches('/').ends_with("_bulk") {
            let about = json!({
                "name": "bellwether", "cluster_name": "bellwether", "tagline": "You Know, for Search",
                "version": {"number": VERSION, "build_flavor": "default"},
            });
            return Outcome::answer(branded(Reply::json(200, &about)));
        }
        if request.method != Method::POST && request.method != Method::PUT {
            return Outcome::refused(branded(Reply::empty(405)), "method");
        }
        self.bulk(request).unwrap_or_else(|refused| refused)
    }

    /// Which documents were not stored is not known here: forgetting all of them may double
    /// one that is sent again, never lose one.
    fn undo(&self, _: &[Input]) {
        let mut seen = self.seen.lock().unwrap_or_else(|held| held.into_inner());
        *seen = Seen::default();
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;
    use bellwether_engine::signal::LogColumns;
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::wire::testing::{batches, post};

    fn bulk() -> Bulk {
        Bulk::new(BulkConfig::default(), Limits::default(), Arc::new(EntityResolver::default()))
    }

    fn send(path: &str, body: &str) -> (Outcome, Value) {
        let outcome = bulk().serve(&post(path, &HeaderMap::new(), body.as_bytes()));
        let answer = serde_json::from_slice(&outcome.reply.body).unwrap_or(Value::Null);
        (outcome, answer)
    }

    const BODY: &str = "{\"index\":{\"_index\": \"logs-app\"}}\n\
        {\"message\":\"boom\",\"@timestamp\":\"1970-01-01T00:00:05Z\",\"log\":{\"level\":\"error\"},\"host\":{\"name\":\"web-1.example.com\"}}\n\
        {\"create\":{\"_id\":\"7\"}}\n\
        {\"msg\":\"two\",\"service.name\":\"pay\",\"n\":5}\n";

    #[test]
    fn documents_are_log_records_and_each_action_is_answered_in_order() {
        let (outcome, answer) = send("/_bulk", BODY);
        assert_eq!(outcome.reply.status, 200);
        assert_eq!(outcome.reply.header("x-elastic-product"), Some("Elasticsearch"));
        assert_eq!(answer["errors"], false);
        assert_eq!(answer["items"][0]["index"]["status"], 201);
        assert_eq!(answer["items"][0]["index"]["_index"], "logs-app");
        assert_eq!(answer["items"][1]["create"]["_id"], "7");
        let columns = LogColumns::of(batches(&outcome)[0]);
        assert_eq!((columns.body(0), columns.entity(0), columns.severity[0]), ("boom", "host:web-1", 17));
        assert_eq!(columns.time[0], 5_000_000_000);
        assert_eq!((columns.body(1), columns.entity(1)), ("two", "service:pay"));
        assert_eq!(columns.attributes(1).get("n"), Some("5"));
    }

    #[test]
    fn a_bad_document_is_an_item_and_a_bad_action_is_the_request() {
        let (outcome, answer) = send(
            "/plant/_bulk",
            "{\"index\":{}}\nnot json\n{\"index\":{}}\n{\"msg\":\"x\"}\n{\"delete\":{\"_id\":\"1\"}}",
        );
        assert_eq!((outcome.reply.status, outcome.accepted), (200, 1));
        assert_eq!(answer["errors"], true);
        let statuses: Vec<i64> =
            (0..2).map(|at| answer["items"][at]["index"]["status"].as_i64().unwrap_or(0)).collect();
        assert_eq!((statuses, &answer["items"][0]["index"]["_index"]), (vec![400, 201], &Value::from("plant")));
        assert_eq!(answer["items"][2]["delete"]["status"], 400);
        for bad in ["{", "{\"unknown\":{}}\n{}", "{\"index\":{}}\n"] {
            assert_eq!(send("/_bulk", bad).0.reply.status, 400, "{bad}");
        }
    }

    #[test]
    fn a_document_that_comes_again_is_answered_and_stored_once() {
        let wire = bulk();
        let one = "{\"index\":{}}\n{\"message\":\"x\",\"@timestamp\":\"1970-01-01T00:00:05Z\"}\n";
        let timeless = "{\"index\":{}}\n{\"message\":\"x\"}\n";
        let send = |body: &str| wire.serve(&post("/_bulk", &HeaderMap::new(), body.as_bytes()));
        let first = send(&format!("{one}{one}{one}"));
        assert_eq!((first.accepted, first.refused.describe().as_str()), (1, "2 sent_before"));
        let answer: Value = serde_json::from_slice(&first.reply.body).expect("json");
        assert_eq!((answer["errors"].as_bool(), answer["items"].as_array().map(Vec::len)), (Some(false), Some(3)));
        assert_eq!(send(one).accepted, 0);
        assert_eq!(send(&format!("{timeless}{timeless}")).accepted, 2, "these may be two events");
        wire.undo(&first.inputs);
        assert_eq!(send(one).accepted, 1);
    }

    #[test]
    fn a_client_that_asks_who_we_are_is_told() {
        let wire = bulk();
        let headers = HeaderMap::new();
        let mut request = post("/", &headers, b"");
        request.method = &Method::GET;
        let reply = wire.serve(&request).reply;
        assert_eq!((reply.status, reply.header("x-elastic-product")), (200, Some("Elasticsearch")));
    }

    proptest! {
        #[test]
        fn damaged_and_arbitrary_bodies_never_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            at in any::<prop::sample::Index>(),
            with in any::<u8>(),
        ) {
            let mut damaged = BODY.as_bytes().to_vec();
            let place = at.index(damaged.len());
            damaged[place] = with;
            for body in [bytes, damaged] {
                let outcome = bulk().serve(&post("/_bulk", &HeaderMap::new(), &body));
                prop_assert!(outcome.reply.status < 500);
            }
        }
    }
}
