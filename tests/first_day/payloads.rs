//! `connectors/PAYLOADS.md`: every example is posted, in the page's order, and what the page says of it
//! is looked for.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::programs::{bellwether, output_of, text_of};
use crate::service::{Reply, Service, TICKETING, TOKEN, free_address, wait_until};

/// The ids that the page writes for those that a reader has.
const FIRST: &str = "inc_01JNP5R3X4V6Z8B0C2D4F6H8KM";
const OTHER: &str = "inc_01JNP5R3X4V6Z8B0C2D4F6H8KN";
const ALERT: &str = "315a1936e85cc8fb";

/// One example: what is posted where, and what the page says of it.
struct Example {
    path: String,
    body: String,
    status: u16,
    effect: String,
}

/// The fenced blocks of a language, each with the line after it.
fn blocks<'d>(document: &'d str, language: &str) -> Vec<(&'d str, &'d str)> {
    let fence = format!("```{language}\n");
    let parts = document.split(&fence).skip(1);
    let parts = parts.map(|part| part.split_once("```\n").expect("a block ends"));
    parts.map(|(block, rest)| (block, rest.lines().next().unwrap_or_default())).collect()
}

fn examples(document: &str) -> Vec<Example> {
    let read = |(block, below): (&str, &str)| {
        let (request, body) = block.split_once("\n\n").expect("a request line, and a body");
        let path = request.strip_prefix("POST ").unwrap_or_else(|| panic!("only POST is shown: {request}"));
        let said = below.strip_prefix("→ ").and_then(|said| said.split_once(": "));
        let (status, effect) = said.unwrap_or_else(|| panic!("no answer and effect below {request}"));
        Example {
            path: path.to_owned(),
            body: body.to_owned(),
            status: status.parse().expect("a status"),
            effect: effect.to_owned(),
        }
    };
    blocks(document, "http").into_iter().map(read).collect()
}

/// The program with the page's mapping, and the incidents so far.
struct Desk {
    service: Service,
    /// What the page's ids stand for.
    names: BTreeMap<&'static str, String>,
}

impl Desk {
    fn new(folder: &Path, mapping: &str) -> Desk {
        let http = free_address();
        std::fs::write(folder.join("backup.yaml"), mapping).expect("writes");
        // Each alert is an incident of its own, as on the page.
        Service::configure(
            folder,
            http,
            "  correlate: {threshold: 0.9999, merge_threshold: 0.9999}\n",
            "  alertmanager: {}\n  actions: {}\n  changes: {}\n  topology_import: true\n  \
             webhooks: [{name: backup, mapping: backup.yaml}]\n",
        );
        Desk { service: Service::run(folder, http), names: BTreeMap::new() }
    }

    fn post(&self, example: &Example) -> Reply {
        let acts = ["/feedback/", "/ticket/", "/api/v2/silences"].iter().any(|begin| example.path.starts_with(begin));
        let token = if acts { TICKETING } else { TOKEN };
        let mut body = example.body.clone();
        for (written, real) in &self.names {
            body = body.replace(written, real);
        }
        self.service.ask("POST", &example.path, token, &body).expect("an answer")
    }

    /// The newest record that `is`.
    fn newest(&self, is: impl Fn(&Value) -> bool) -> Option<Value> {
        let records = self.service.records().into_iter().map(|mut line| line["record"].take());
        records.filter(|record| is(record)).last()
    }

    /// The incident that an alert of this name began.
    fn of_alert(&self, name: &str) -> Option<Value> {
        self.newest(|record| record["alerts"][0]["name"] == name)
    }

    fn named(&self, written: &str) -> Value {
        let id = &self.names[written];
        self.newest(|record| record["id"] == id.as_str()).expect("it was told")
    }

    /// An incident that holds the other incident's alert, and is neither of the two.
    fn third(&self) -> Option<Value> {
        let known = [&self.names[FIRST], &self.names[OTHER]];
        let apart = |record: &Value| {
            known.iter().all(|id| record["id"] != id.as_str())
                && record["alerts"][0]["fingerprint"] == self.names[ALERT].as_str()
        };
        self.newest(apart)
    }

    fn status(&self, written: &str) -> String {
        self.named(written)["status"].as_str().expect("a status").to_owned()
    }

    fn accepted(&self, component: &str) -> bool {
        let begin = format!("bellwether_component_accepted_events_total{{component_id=\"{component}\"");
        self.service.metrics().lines().any(|line| line.starts_with(&begin) && !line.ends_with(" 0"))
    }

    /// Waits until what the page says is so. An effect that this test does not know fails it.
    fn look(&mut self, example: &Example, reply: &Reply) {
        let effect = example.effect.as_str();
        let until = |holds: &dyn Fn() -> bool| wait_until(effect, holds);
        match effect {
            // Seen when there is an incident: below.
            "an incident of `db-1` soon after lists the change."
            | "`service:checkout` is among the entities of an incident of `db-1`." => {}
            "the change is in the journal." => until(&|| self.accepted("changes")),
            "one edge is taken, and one refused by name." => {
                assert!(reply.text.contains("\"edges\":1") && reply.text.contains("edge_to_itself"), "{}", reply.text);
            }
            "each host has an incident." => {
                let alerts = [(FIRST, "DiskFull"), (OTHER, "CertificateExpired")];
                until(&|| alerts.iter().all(|(_, name)| self.of_alert(name).is_some()));
                for (written, name) in alerts {
                    let record = self.of_alert(name).expect("told");
                    self.names.insert(written, record["id"].as_str().expect("an id").to_owned());
                }
                let alert = self.named(OTHER)["alerts"][0]["fingerprint"].as_str().expect("hex").to_owned();
                self.names.insert(ALERT, alert);
                let first = self.named(FIRST);
                let lists = |list: &str, key: &str, value: &str| {
                    first[list].as_array().is_some_and(|list| list.iter().any(|entry| entry[key] == value))
                };
                assert!(lists("changes", "id", "deploy-4711"), "{first:#}");
                assert!(lists("entities", "id", "service:checkout"), "{first:#}");
            }
            "an incident has the alert `nightly failed`." => until(&|| {
                let named = |alert: &Value| alert["name"] == "nightly failed";
                self.newest(|record| record["alerts"].as_array().is_some_and(|list| list.iter().any(named))).is_some()
            }),
            "the incident is acknowledged, and its assignee is `ana`." => {
                until(&|| self.status(FIRST) == "acknowledged" && self.named(FIRST)["owner"]["assignee"] == "ana")
            }
            "the record names the ticket `INC0017`." => {
                until(&|| self.named(FIRST)["tickets"][0]["key"] == "INC0017");
            }
            "the other incident is merged into the first." => until(&|| {
                self.status(OTHER) == "merged" && self.named(OTHER)["merged_into"] == self.names[FIRST].as_str()
            }),
            "the alert of the other incident is on its own again." => until(&|| self.third().is_some()),
            "the alert is back in the first." => {
                until(&|| self.third().is_some_and(|record| record["merged_into"] == self.names[FIRST].as_str()));
            }
            "the incident is resolved." => until(&|| self.status(FIRST) == "resolved"),
            "the incident is closed." => until(&|| self.status(FIRST) == "closed"),
            "nothing is acknowledged that is closed." => assert_eq!(self.status(FIRST), "closed"),
            "the answer names the missing `who`." => assert!(reply.text.contains("`who`"), "{}", reply.text),
            "the silence is listed." => {
                let listed = self.service.ask("GET", "/api/v2/silences", TOKEN, "").expect("an answer").text;
                assert!(listed.contains("the new one comes on Monday"), "{listed}");
            }
            unknown => panic!("this test does not know how to look for: {unknown}"),
        }
    }
}

#[test]
fn every_example_of_the_page_is_accepted_and_does_what_the_page_says() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let document = text_of("connectors/PAYLOADS.md");
    let (mapping, _) = blocks(&document, "yaml").remove(0);
    let mut desk = Desk::new(dir.path(), mapping);
    let examples = examples(&document);
    assert!(examples.len() >= 15, "{} examples", examples.len());
    for example in &examples {
        let reply = desk.post(example);
        assert_eq!(reply.status, example.status, "{}: {}", example.path, reply.text);
        desk.look(example, &reply);
    }
    assert_eq!(desk.service.stop(), Some(0));
}

#[test]
fn the_rows_of_the_page_are_read_and_none_is_refused() {
    let document = text_of("connectors/PAYLOADS.md");
    let (rows, _) = blocks(&document, "ndjson").remove(0);
    let dir = tempfile::tempdir().expect("temporary folder");
    let file = dir.path().join("rows.ndjson");
    std::fs::write(&file, rows).expect("writes");
    let mut replay = bellwether();
    replay.arg("replay").arg(file).args(["--tenant", "acme", "--json"]);
    let figures: Value = serde_json::from_str(&output_of(replay)).expect("JSON");
    assert!(figures["signals"].as_u64() >= Some(5), "{figures}");
}

/// The words of the page's table, `feedback` or `ticket`.
fn words(document: &str, begin: &str) -> Vec<String> {
    let rows = document.lines().filter_map(|line| line.strip_prefix(&format!("| `/{begin}/")));
    let word = |row: &str| row.split(['`', '/']).next().unwrap_or_default().to_owned();
    rows.map(word).collect()
}

#[test]
fn the_page_lists_the_very_words_that_the_wire_takes() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let http = free_address();
    Service::configure(dir.path(), http, "", "  actions: {}\n");
    let mut service = Service::run(dir.path(), http);
    let document = text_of("connectors/PAYLOADS.md");
    for (begin, rest) in [("feedback", ""), ("ticket", "/rt")] {
        // Who says a word that is none is told those that are.
        let reply = service.ask("POST", &format!("/{begin}/nonsense{rest}"), TICKETING, "{}").expect("an answer");
        let (_, known) = reply.text.split_once("known: ").expect("the words");
        let known: Vec<&str> = known.trim().trim_end_matches(['"', '}']).split(", ").collect();
        assert_eq!(words(&document, begin), known);
    }
    assert_eq!(service.stop(), Some(0));
    let mut schema = bellwether();
    schema.args(["schema", "signals"]);
    let schema: Value = serde_json::from_str(&output_of(schema)).expect("JSON");
    for kind in ["metric", "log", "alert", "change", "edge"] {
        assert!(schema.get(kind).is_some() && document.contains(&format!("| `{kind}` |")), "{kind}");
    }
}
