//! Zammad's REST interface, strictly: a name that it does not know, an attribute or a title that is too long refuses the
//! whole; conditions are answered by its database.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::super::suite::House;
use super::{Asked, Reply, Said, Strict, System, unknown_caller};
use crate::bridges::system::{OWNER, PRIORITY, STATUS};

const TOKEN: &str = "s3cret0fzammad";
const OWN: &str = "bellwether@acme.example";
/// Each attribute that stands for something, with the names that there are.
const NAMES: [(&str, &[&str]); 5] = [
    ("group", &["acme", "globex", "database"]),
    ("state", &["new", "open", "pending reminder", "closed", "merged"]),
    ("priority", &["1 low", "2 normal", "3 high", "4 urgent", "5 now"]),
    ("owner", &["-", OWN, "ana", "boris"]),
    ("customer", &[OWN]),
];
const TEXTS: [&str; 5] = ["title", "bw_incident", "bw_team", "bw_cause", "bw_impact"];

#[derive(Default)]
pub(in super::super) struct Zammad {
    tickets: BTreeMap<u64, Map<String, Value>>,
    articles: Vec<Value>,
    links: Vec<(u64, u64)>,
    clock: i64,
}

fn refusal(status: u16, error: &str) -> Reply {
    Reply::of(status, &json!({"error": error, "error_human": error}))
}

impl Zammad {
    pub(in super::super) fn start() -> Strict<Zammad> {
        Strict::start(Zammad::default())
    }

    /// The time, later each time.
    fn now(&mut self) -> String {
        self.clock = jiff::Timestamp::now().as_millisecond().max(self.clock + 1);
        jiff::Timestamp::from_millisecond(self.clock).expect("a time").strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
    }

    fn take(&mut self, id: Option<u64>, who: &str, mut body: Map<String, Value>) -> Said {
        let article = body.remove("article");
        for (name, value) in &body {
            let value = value.as_str().ok_or_else(|| refusal(422, "no text"))?;
            match NAMES.iter().find(|(attribute, _)| attribute == name) {
                Some((_, known)) if !known.contains(&value) => {
                    return Err(refusal(422, &format!("No lookup value found for '{name}': \"{value}\"")));
                }
                None if !TEXTS.contains(&name.as_str()) => return Err(refusal(422, &format!("no attribute {name}"))),
                None if value.chars().count() > 250 => return Err(refusal(422, &format!("{name} is too long"))),
                _ => {}
            }
        }
        let now = self.now();
        let id = match id {
            Some(id) => id,
            None => {
                if ["title", "group", "customer"].iter().any(|name| !body.contains_key(*name)) || article.is_none() {
                    return Err(refusal(422, "Missing required value"));
                }
                let id = self.tickets.keys().max().copied().unwrap_or(0) + 1;
                let new = json!({
                    "id": id, "number": format!("{}", 67_000 + id), "state": "new", "priority": "2 normal", "owner": "-",
                });
                self.tickets.insert(id, new.as_object().cloned().unwrap_or_default());
                id
            }
        };
        let ticket = self.tickets.get_mut(&id).ok_or_else(|| refusal(404, "Couldn't find Ticket"))?;
        ticket.extend(body);
        ticket.insert("updated_at".to_owned(), now.into());
        ticket.insert("updated_by".to_owned(), who.into());
        let shown = Value::Object(ticket.clone());
        if let Some(mut article) = article {
            article["ticket_id"] = id.into();
            self.write(who, article.as_object().cloned().unwrap_or_default())?;
        }
        Ok(Reply::of(201, &shown))
    }

    fn write(&mut self, who: &str, mut article: Map<String, Value>) -> Said {
        let id = article.get("ticket_id").and_then(Value::as_u64).unwrap_or(0);
        let text = article.get("body").and_then(Value::as_str).unwrap_or_default();
        if text.is_empty() || text.len() > 20 << 20 || article.get("content_type") != Some(&json!("text/plain")) {
            return Err(refusal(422, "Need at least article: { body: \"some text\" }"));
        }
        let now = self.now();
        let ticket = self.tickets.get_mut(&id).ok_or_else(|| refusal(404, "Couldn't find Ticket"))?;
        ticket.insert("updated_at".to_owned(), now.clone().into());
        ticket.insert("updated_by".to_owned(), who.into());
        article.insert("id".to_owned(), (self.articles.len() + 1).into());
        article.insert("created_by".to_owned(), who.into());
        article.insert("created_at".to_owned(), now.into());
        self.articles.push(Value::Object(article.clone()));
        Ok(Reply::of(201, &Value::Object(article)))
    }

    fn search(&self, asked: &Asked) -> Said {
        let mut found: Vec<&Map<String, Value>> = self.tickets.values().collect();
        for (name, operator) in asked.query.iter().filter(|(name, _)| name.ends_with("[operator]")) {
            let attribute = name.trim_start_matches("condition[ticket.").split(']').next().unwrap_or_default();
            let value = asked.parameter(&format!("condition[ticket.{attribute}][value]"));
            let of = |ticket: &Map<String, Value>| {
                ticket.get(attribute).and_then(Value::as_str).unwrap_or_default().to_owned()
            };
            match operator.as_str() {
                "is" if TEXTS.contains(&attribute) => found.retain(|ticket| of(ticket) == value),
                "after (absolute)" if attribute == "updated_at" => {
                    let after: jiff::Timestamp = value.parse().map_err(|_| refusal(422, "no time"))?;
                    found.retain(|ticket| of(ticket).parse::<jiff::Timestamp>().is_ok_and(|at| at > after));
                }
                other => return Err(refusal(422, &format!("Invalid selector, operator missing or wrong: {other}"))),
            }
        }
        let by = asked.parameter("sort_by").to_owned();
        found.sort_by_key(|ticket| if by == "updated_at" { ticket["updated_at"].to_string() } else { String::new() });
        let size: usize = asked.parameter("per_page").parse().unwrap_or(50);
        let number: usize = asked.parameter("page").parse().unwrap_or(1);
        let page: Vec<Value> = found
            .into_iter()
            .skip((number - 1) * size)
            .take(size.min(200))
            .map(|of| Value::Object(of.clone()))
            .collect();
        Ok(Reply::ok(&page.into()))
    }

    fn link(&mut self, asked: &Asked) -> Said {
        let known = [
            "link_type",
            "link_object_target",
            "link_object_target_value",
            "link_object_source",
            "link_object_source_number",
        ];
        let body = asked.object(&known).map_err(|reason| refusal(422, &reason))?;
        let kind = ["normal", "parent", "child"].iter().any(|kind| body["link_type"] == *kind);
        let target = body["link_object_target_value"].as_u64().filter(|id| self.tickets.contains_key(id));
        let number = body["link_object_source_number"].clone();
        let source = self.tickets.iter().find(|(_, ticket)| ticket["number"] == number).map(|(id, _)| *id);
        match (kind, target, source) {
            (true, Some(target), Some(source)) => self.links.push((target, source)),
            _ => return Err(refusal(422, "no such link")),
        }
        Ok(Reply::of(201, &json!({"id": self.links.len()})))
    }
}

impl System for Zammad {
    fn answer(&mut self, asked: &Asked) -> Said {
        if asked.header("authorization") != format!("Token token={TOKEN}") {
            return Err(unknown_caller());
        }
        let path: Vec<&str> = asked.path.strip_prefix("/api/v1/").unwrap_or_default().split('/').collect();
        let id = |text: &str| text.parse::<u64>().map_err(|_| refusal(404, "Couldn't find Ticket"));
        let gone = || refusal(404, "Couldn't find Ticket");
        let list = |at: usize| Ok(Reply::ok(&NAMES[at].1.iter().map(|name| json!({ "name": name })).collect()));
        match (asked.method.as_str(), path.as_slice()) {
            ("GET", ["users", "me"]) => Ok(Reply::ok(&json!({"login": OWN}))),
            ("GET", ["groups"]) => list(0),
            ("GET", ["ticket_states"]) => list(1),
            ("GET", ["ticket_priorities"]) => list(2),
            ("GET", ["tickets", "search"]) => self.search(asked),
            ("GET", ["tickets", number]) => {
                let ticket = self.tickets.get(&id(number)?).ok_or_else(gone)?;
                Ok(Reply::ok(&Value::Object(ticket.clone())))
            }
            ("POST", ["tickets"]) => {
                let body = asked.object(&[]).map_err(|reason| refusal(422, &reason))?;
                self.take(None, OWN, body)
            }
            ("PUT", ["tickets", number]) => {
                let body = asked.object(&[]).map_err(|reason| refusal(422, &reason))?;
                self.take(Some(id(number)?), OWN, body)
            }
            ("GET", ["ticket_articles", "by_ticket", number]) => {
                let id = id(number)?;
                let of = self.articles.iter().filter(|article| article["ticket_id"] == id).cloned();
                Ok(Reply::ok(&of.collect::<Vec<_>>().into()))
            }
            ("POST", ["ticket_articles"]) => {
                let known = ["ticket_id", "body", "content_type", "type", "internal"];
                let article = asked.object(&known).map_err(|reason| refusal(422, &reason))?;
                self.write(OWN, article)
            }
            ("GET", ["links"]) => {
                let id = id(asked.parameter("link_object_value"))?;
                let of = self.links.iter().filter(|(one, other)| *one == id || *other == id);
                let of: Vec<Value> =
                    of.map(|(one, other)| json!({"link_object_value": if *one == id { other } else { one }})).collect();
                Ok(Reply::ok(&json!({ "links": of })))
            }
            ("POST", ["links", "add"]) => self.link(asked),
            _ => Err(gone()),
        }
    }
}

impl House for Strict<Zammad> {
    fn example(&self) -> (&'static str, &'static str) {
        (include_str!("../../../../../examples/zammad/bridges.yaml"), "127.0.0.1:8096")
    }

    fn place(&self) -> std::net::SocketAddr {
        self.address
    }

    fn secret(&self) -> &str {
        TOKEN
    }

    fn set(&self, who: &str, ticket: &str, field: &str, value: &str) {
        let attribute = match field {
            STATUS => "state",
            PRIORITY => "priority",
            OWNER => "owner",
            other => panic!("{other}"),
        };
        let body = Map::from_iter([(attribute.to_owned(), value.into())]);
        self.with(|own| {
            own.take(ticket.parse().ok(), who, body).unwrap_or_else(|refusal| panic!("{}", refusal.status));
        });
    }

    fn say(&self, who: &str, ticket: &str, text: &str) {
        let id: u64 = ticket.parse().expect("a number");
        let article = json!({"ticket_id": id, "body": text, "content_type": "text/plain"});
        self.with(|own| {
            let article = article.as_object().cloned().unwrap_or_default();
            own.write(who, article).unwrap_or_else(|refusal| panic!("{}", refusal.status));
        });
    }

    fn delete(&self, ticket: &str) {
        self.with(|own| own.tickets.remove(&ticket.parse::<u64>().expect("a number")));
    }

    fn texts(&self, ticket: &str) -> Vec<String> {
        let id: u64 = ticket.parse().expect("a number");
        self.with(|own| {
            let of = own.articles.iter().filter(|article| article["ticket_id"] == id);
            of.filter_map(|article| article["body"].as_str()).map(str::to_owned).collect()
        })
    }
}
