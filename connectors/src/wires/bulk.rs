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

use std::borrow::Cow;
use std::sync::Arc;

use bellwether_engine::signal::LogBuilder;
use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128_with_seed};

use crate::decode::documents::{Beside, Documents};
use crate::decode::json::Scalar;
use crate::intake::reject::Refusals;
use crate::journal::receipts::Claim;
use crate::limits::Limits;
use crate::memory::Class;
use crate::resolve::entity_resolution::{EntityResolver, UNKNOWN_ENTITY};
use crate::server::outcome::{Accepted, Outcome};
use crate::server::reply::Reply;
use crate::server::request::{Request, unpacked};
use crate::server::wire::{HttpHandler, Route};
use crate::wires::declare::{Door, WireConfig, WireRow};

/// The version we say we are: one whose clients need no licence check beyond the header.
const VERSION: &str = "8.0.0";

/// Bytes of a document with its action line, as log shippers send them; a guess for the room.
const DOCUMENT_BYTES_USUAL: usize = 300;

/// Where bulk requests are received.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BulkConfig {
    /// Put in front of `/_bulk`.
    pub path_prefix: String,
}

impl WireConfig for BulkConfig {
    fn doors(&self) -> Vec<Door<'_>> {
        vec![Door::http(|shared| Ok(Bulk::new(self.clone(), shared.limits.clone(), shared.resolver.clone())))]
    }

    fn rows() -> &'static [WireRow] {
        &[WireRow {
            wire: "Elasticsearch `_bulk` (`src/wires/bulk.rs`)",
            at: "`/_bulk`",
            answers: "one item per action; 503 full",
            again: "documents with `@timestamp` or `_id`",
            peer: "rsyslog omelasticsearch",
        }]
    }
}

/// The wire.
pub struct Bulk {
    config: BulkConfig,
    limits: Limits,
    resolver: Arc<EntityResolver>,
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
    index: Scalar<'a>,
    #[serde(borrow, default, rename = "_id")]
    id: Scalar<'a>,
}

/// An action line, read. Senders write the same one before each document, so it is kept.
struct Order<'a> {
    line: &'a [u8],
    verb: &'static str,
    index: Cow<'a, str>,
    id: Cow<'a, str>,
    /// Sets apart equal documents of different tenants, indices and ids.
    seed: u64,
    /// The item that answers it when all is well.
    done: Vec<u8>,
}

impl<'a> Order<'a> {
    fn read(line: &'a [u8], request: &Request<'_>, number: usize) -> Result<Order<'a>, Outcome> {
        let action: Action<'_> =
            serde_json::from_slice(line).map_err(|error| malformed(&format!("action line {number}: {error}")))?;
        let verbs =
            [("index", action.index), ("create", action.create), ("update", action.update), ("delete", action.delete)];
        let (verb, target) = verbs
            .into_iter()
            .find_map(|(verb, target)| target.map(|target| (verb, target)))
            .ok_or_else(|| malformed("an action is index, create, update or delete"))?;
        let id = target.id.0.unwrap_or_default();
        let index = target.index.0.unwrap_or_else(|| Cow::Owned(default_index(request.path).to_owned()));
        let seed = xxh3_64([&**request.tenant, &index, &id].join("\u{1f}").as_bytes());
        let item = json!({verb: {"_index": index, "_id": id, "_version": 1, "result": "created", "status": 201}});
        let done = item.to_string().into_bytes();
        Ok(Order { line, verb, index, id, seed, done })
    }

    /// The item that says `reason`.
    fn refused(&self, reason: &str) -> String {
        let error = json!({"type": "document_parsing_exception", "reason": reason});
        json!({self.verb: {"_index": self.index, "_id": self.id, "status": 400, "error": error}}).to_string()
    }
}

impl Bulk {
    /// A wire that names entities by `resolver`.
    pub fn new(config: BulkConfig, limits: Limits, resolver: Arc<EntityResolver>) -> Bulk {
        Bulk { config, limits, resolver }
    }

    /// Takes a bulk request.
    ///
    /// # Errors
    /// The refusal of the whole request.
    pub fn bulk(&self, request: &Request<'_>) -> Result<Outcome, Outcome> {
        let body = unpacked(&self.limits, request)?;
        let rows = (body.len() / DOCUMENT_BYTES_USUAL).min(self.limits.events_max);
        let mut out = LogBuilder::with_capacity(rows, body.len());
        let (refused, reply) = self.actions(&body, request, &mut out)?;
        let mut accepted = Accepted::default();
        accepted.add_rows(out.finish_for(request.tenant));
        Ok(Outcome::store(accepted, refused, reply))
    }

    /// What was refused of the actions, and the answer; the documents go to `out`.
    fn actions(&self, body: &[u8], request: &Request<'_>, out: &mut LogBuilder) -> Result<(Refusals, Reply), Outcome> {
        let mut lines = Lines(body);
        let mut documents = Documents::new(&self.resolver);
        let mut refused = Refusals::default();
        let mut items = Items::default();
        let mut last: Option<Order<'_>> = None;
        while let Some(line) = lines.next() {
            if items.count == self.limits.events_max {
                let text = "more actions than `limits.events_max`\n";
                return Err(Outcome::refused(Reply::text(413, text), "events_max"));
            }
            let order = match last.take().filter(|order| order.line == line) {
                Some(order) => order,
                None => Order::read(line, request, items.count + 1)?,
            };
            let taken = match order.verb {
                "delete" => Err("not_supported"),
                verb => {
                    let source = lines.next().ok_or_else(|| malformed("the last action has no document"))?;
                    match verb {
                        "update" => Err("not_supported"),
                        _ => self.document(source, &order, request, &mut documents, out),
                    }
                }
            };
            match taken {
                Ok(Taken::Stored) => items.add(&order.done),
                Ok(Taken::SentBefore) => {
                    // It is there, so the sender is told so.
                    refused.add("sent_before", 1);
                    items.add(&order.done);
                }
                // Nothing of the request is stored: it is served again when that is settled.
                Ok(Taken::BeingStored) => return Err(busy()),
                Err(reason) => {
                    refused.add(reason, 1);
                    items.add(order.refused(reason).as_bytes());
                    items.errors = true;
                }
            }
            last = Some(order);
        }
        Ok((refused, items.reply()))
    }

    fn document<'a>(
        &self,
        source: &'a [u8],
        order: &Order<'_>,
        request: &Request<'_>,
        documents: &mut Documents<'a, '_>,
        out: &mut LogBuilder,
    ) -> Result<Taken, &'static str> {
        let text = std::str::from_utf8(source).map_err(|_| "malformed")?;
        documents.read_json(text)?;
        // Only a document that says when it happened, or who it is, can be known again.
        let can_be_known = !order.id.is_empty() || documents.value("@timestamp").is_some();
        if can_be_known {
            match request.claim(xxh3_128_with_seed(source, order.seed)) {
                Claim::Ours => {}
                Claim::Taken => return Ok(Taken::SentBefore),
                Claim::Busy => return Ok(Taken::BeingStored),
            }
        }
        let (received, limits, whole) = (request.received, &self.limits, Some(text.trim()));
        documents.push(&Beside { time: None, received, limits, entity: UNKNOWN_ENTITY, whole }, out);
        Ok(Taken::Stored)
    }
}

/// What became of a document. rsyslog's omelasticsearch appends a refused one to its next request
/// again and again, so that one request holds it many times: whole requests are not enough to know
/// a re-send by.
#[derive(Clone, Copy)]
enum Taken {
    Stored,
    SentBefore,
    /// By another request.
    BeingStored,
}

/// The lines of a body that are not blank.
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while !self.0.is_empty() {
            let end = memchr::memchr(b'\n', self.0).unwrap_or(self.0.len());
            let (line, rest) = self.0.split_at(end);
            self.0 = rest.get(1..).unwrap_or_default();
            if line.iter().any(|byte| !byte.is_ascii_whitespace()) {
                return Some(line);
            }
        }
        None
    }
}

/// The items of an answer, written as they come.
#[derive(Default)]
struct Items {
    text: Vec<u8>,
    count: usize,
    errors: bool,
}

impl Items {
    fn add(&mut self, item: &[u8]) {
        if self.count > 0 {
            self.text.push(b',');
        }
        self.text.extend_from_slice(item);
        self.count += 1;
    }

    fn reply(self) -> Reply {
        let head = format!("{{\"took\":0,\"errors\":{},\"items\":[", self.errors);
        let body = [head.as_bytes(), &self.text, b"]}"].concat();
        let headers = vec![("content-type", "application/json".to_owned())];
        branded(Reply { status: 200, headers, body: Bytes::from(body) })
    }
}

fn malformed(text: &str) -> Outcome {
    let error = json!({"error": {"type": "illegal_argument_exception", "reason": text}, "status": 400});
    Outcome::refused(branded(Reply::json(400, &error)), "malformed")
}

fn busy() -> Outcome {
    Outcome::refused(branded(Reply::overloaded("a document is being stored for another request")), "busy")
}

fn branded(reply: Reply) -> Reply {
    reply.with("x-elastic-product", "Elasticsearch")
}

/// Who we are: clients ask before anything else.
fn about() -> Reply {
    let about = json!({
        "name": "bellwether", "cluster_name": "bellwether", "tagline": "You Know, for Search",
        "version": {"number": VERSION, "build_flavor": "default"},
    });
    branded(Reply::json(200, &about))
}

/// `logs` of `/logs/_bulk`.
fn default_index(path: &str) -> &str {
    let index = path.trim_end_matches('/').trim_end_matches("_bulk").trim_end_matches('/');
    index.rsplit('/').next().filter(|index| !index.is_empty()).unwrap_or("logs")
}

impl HttpHandler for Bulk {
    fn class(&self, _: &str) -> Class {
        Class::Logs
    }

    fn routes(&self) -> Vec<Route<Bulk>> {
        let prefix = self.config.path_prefix.trim_end_matches('/');
        vec![
            Route::get(format!("{prefix}/"), |_, _| about()),
            Route::post_or_put(format!("{prefix}/_bulk"), Bulk::bulk),
            Route::post_or_put(format!("{prefix}/{{index}}/_bulk"), Bulk::bulk),
        ]
    }

    fn not_allowed(&self) -> Reply {
        branded(Reply::empty(405))
    }
}

#[cfg(test)]
mod tests {
    use bellwether_engine::signal::LogColumns;
    use bellwether_engine::time::EventTime;
    use http::{HeaderMap, Method};
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::journal::receipts::{Claims, Receipts};
    use crate::server::testing::{batches, look, post, serve};

    fn bulk() -> Bulk {
        Bulk::new(BulkConfig::default(), Limits::default(), Arc::new(EntityResolver::default()))
    }

    fn send(path: &str, body: &str) -> (Outcome, Value) {
        let outcome = serve(&bulk(), &post(path, &HeaderMap::new(), body.as_bytes()));
        let answer = serde_json::from_slice(&outcome.reply().body).unwrap_or(Value::Null);
        (outcome, answer)
    }

    const BODY: &str = "{\"index\":{\"_index\": \"logs-app\"}}\n\
        {\"message\":\"boom\",\"@timestamp\":\"1970-01-01T00:00:05Z\",\"log\":{\"level\":\"error\"},\"host\":{\"name\":\"web-1.example.com\"}}\n\
        {\"create\":{\"_id\":\"7\"}}\n\
        {\"msg\":\"two\",\"service.name\":\"pay\",\"n\":5}\n";

    #[test]
    fn documents_are_log_records_and_each_action_is_answered_in_order() {
        let (outcome, answer) = send("/_bulk", BODY);
        assert_eq!(outcome.reply().status, 200);
        assert_eq!(outcome.reply().header("x-elastic-product"), Some("Elasticsearch"));
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
    fn an_id_may_be_a_number_and_a_field_of_no_use_is_none_of_ours() {
        let (outcome, answer) = send(
            "/_bulk",
            "{\"index\":{\"_id\":1,\"_index\":\"l\",\"routing\":{\"a\":[1]}}}\n{\"message\":\"a\",\"level\":{\"x\":1}}\n\
             {\"create\":{\"_id\":{\"odd\":1},\"_index\":null}}\n{\"message\":[\"b\"],\"@timestamp\":[\"1970-01-01T00:00:05\"]}\n",
        );
        assert_eq!((outcome.reply().status, outcome.accepted(), answer["errors"].as_bool()), (200, 2, Some(false)));
        assert_eq!(answer["items"][0]["index"]["_id"], "1");
        let columns = LogColumns::of(batches(&outcome)[0]);
        assert_eq!((columns.body(0), columns.body(1), columns.time[1]), ("a", "b", 5_000_000_000));
    }

    #[test]
    fn a_bad_document_is_an_item_and_a_bad_action_is_the_request() {
        let (outcome, answer) = send(
            "/plant/_bulk",
            "{\"index\":{}}\nnot json\n{\"index\":{}}\n{\"msg\":\"x\"}\n{\"delete\":{\"_id\":\"1\"}}",
        );
        assert_eq!((outcome.reply().status, outcome.accepted()), (200, 1));
        assert_eq!(answer["errors"], true);
        let statuses: Vec<i64> =
            (0..2).map(|at| answer["items"][at]["index"]["status"].as_i64().unwrap_or(0)).collect();
        assert_eq!((statuses, &answer["items"][0]["index"]["_index"]), (vec![400, 201], &Value::from("plant")));
        assert_eq!(answer["items"][2]["delete"]["status"], 400);
        for bad in ["{", "{\"unknown\":{}}\n{}", "{\"index\":{}}\n"] {
            assert_eq!(send("/_bulk", bad).0.reply().status, 400, "{bad}");
        }
    }

    /// A request to a wire whose journal remembers `receipts`.
    fn claimed(wire: &Bulk, receipts: &Arc<Receipts>, body: &str) -> (Outcome, Claims) {
        let claims = Claims::new(receipts.clone(), "acme", EventTime::from_secs(1));
        let headers = HeaderMap::new();
        let request = post("/_bulk", &headers, body.as_bytes());
        (serve(wire, &Request { claims: Some(&claims), ..request }), claims)
    }

    const ONE: &str = "{\"index\":{}}\n{\"message\":\"x\",\"@timestamp\":\"1970-01-01T00:00:05Z\"}\n";

    #[test]
    fn a_document_that_comes_again_is_answered_and_stored_once() {
        let (wire, receipts) = (bulk(), Arc::default());
        let timeless = "{\"index\":{}}\n{\"message\":\"x\"}\n";
        let (first, claims) = claimed(&wire, &receipts, &ONE.repeat(3));
        assert_eq!((first.accepted(), first.refused.describe().as_str()), (1, "2 sent_before"));
        let answer: Value = serde_json::from_slice(&first.reply().body).expect("json");
        assert_eq!((answer["errors"].as_bool(), answer["items"].as_array().map(Vec::len)), (Some(false), Some(3)));
        let (meanwhile, blocked) = claimed(&wire, &receipts, ONE);
        assert_eq!(
            (meanwhile.reply().status, blocked.is_blocked()),
            (503, true),
            "nobody knows yet whether it is stored"
        );
        claims.keep();
        assert_eq!(claimed(&wire, &receipts, ONE).0.accepted(), 0);
        let twice = claimed(&wire, &receipts, &timeless.repeat(2)).0;
        assert_eq!(twice.accepted(), 2, "these may be two events");
    }

    #[test]
    fn a_request_refused_half_way_leaves_nothing_noted() {
        let (wire, receipts) = (bulk(), Arc::default());
        assert_eq!(claimed(&wire, &receipts, &format!("{ONE}no action\n")).0.reply().status, 400);
        assert_eq!(claimed(&wire, &receipts, ONE).0.accepted(), 1, "the sender was told that nothing is stored");
    }

    #[test]
    fn a_client_that_asks_who_we_are_is_told() {
        let wire = bulk();
        let headers = HeaderMap::new();
        let mut request = post("/", &headers, b"");
        request.method = &Method::GET;
        let reply = look(&wire, &request);
        assert_eq!((reply.status, reply.header("x-elastic-product")), (200, Some("Elasticsearch")));
    }

    proptest! {
        #![proptest_config(crate::fuzz::config())]

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
                let outcome = serve(&bulk(), &post("/_bulk", &HeaderMap::new(), &body));
                prop_assert!(outcome.reply().status < 500);
            }
        }
    }
}
