//! ServiceNow's Table API for incidents, strictly: columns that it does not have are dropped, short descriptions cut,
//! the priority computed; nothing is resolved without a code and notes; what is closed is read-only.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::suite::House;
use super::{Asked, Reply, Said, Strict, System, unknown_caller};
use crate::bridges::system::{OWNER, PRIORITY, STATUS};

pub(in super::super) const PASSWORD: &str = "s3cret0fservicenow";
/// Columns that may be written, each with its longest text.
const COLUMNS: [(&str, usize); 17] = [
    ("short_description", 160),
    ("description", 4_000),
    ("state", 40),
    ("impact", 40),
    ("urgency", 40),
    ("assignment_group", 32),
    ("assigned_to", 32),
    ("correlation_id", 100),
    ("correlation_display", 100),
    ("close_code", 40),
    ("close_notes", 4_000),
    ("contact_type", 40),
    ("parent", 32),
    ("parent_incident", 32),
    ("u_bw_cause", 255),
    ("u_bw_impact", 255),
    ("u_bw_team", 255),
];
const BY_NAME: [(&str, &str); 2] = [("assignment_group.name", "name"), ("assigned_to.user_name", "user_name")];

type Row = BTreeMap<String, String>;

#[derive(Default)]
pub(in super::super) struct ServiceNow {
    tables: BTreeMap<String, Vec<Row>>,
    rows: u64,
}

fn row(columns: &[(&str, &str)]) -> Row {
    columns.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn refusal(status: u16, message: &str, detail: &str) -> Reply {
    Reply::of(status, &json!({"error": {"message": message, "detail": detail}, "status": "failure"}))
}

impl ServiceNow {
    pub(in super::super) fn start() -> Strict<ServiceNow> {
        let mut own = ServiceNow::default();
        for user in ["bellwether", "ana", "boris"] {
            own.insert("sys_user", row(&[("user_name", user)]));
        }
        for group in ["acme", "globex", "database"] {
            own.insert("sys_user_group", row(&[("name", group)]));
        }
        Strict::start(own)
    }

    fn insert(&mut self, table: &str, mut row: Row) -> Row {
        self.rows += 1;
        row.insert("sys_id".to_owned(), format!("{:032x}", self.rows));
        self.tables.entry(table.to_owned()).or_default().push(row.clone());
        row
    }

    fn table(&self, name: &str) -> &[Row] {
        self.tables.get(name).map_or(&[], Vec::as_slice)
    }

    fn query(&self, table: &str, asked: &Asked) -> Reply {
        let mut rows: Vec<&Row> = self.table(table).iter().collect();
        let query = asked.parameter("sysparm_query").replace("^^", "\0");
        for part in query.split('^').filter(|part| !part.is_empty()) {
            let of = |row: &Row, column: &str| row.get(column).cloned().unwrap_or_default();
            if let Some(column) = part.strip_prefix("ORDERBYDESC") {
                rows.sort_by_key(|row| std::cmp::Reverse(of(row, column)));
            } else if let Some(column) = part.strip_prefix("ORDERBY") {
                rows.sort_by_key(|row| of(row, column));
            } else {
                // A column is in small letters, what is asked of it begins otherwise.
                let end = part.find(|letter: char| !letter.is_ascii_lowercase() && !"_.".contains(letter)).unwrap_or(0);
                let (column, asked) = part.split_at(end);
                let value = asked.trim_start_matches("IN").trim_start_matches('=').replace('\0', "^").to_lowercase();
                match asked.starts_with("IN") {
                    true => rows.retain(|row| value.split(',').any(|value| of(row, column) == value)),
                    false => rows.retain(|row| of(row, column).to_lowercase() == value),
                }
            }
        }
        let number = |name: &str, default: usize| asked.parameter(name).parse().unwrap_or(default);
        let page = rows.into_iter().skip(number("sysparm_offset", 0)).take(number("sysparm_limit", 10_000));
        let result: Vec<Value> = page.map(|row| self.shown(row, asked)).collect();
        Reply::ok(&json!({ "result": result }))
    }

    /// The columns that were asked for; one that is not there is left out.
    fn shown(&self, row: &Row, asked: &Asked) -> Value {
        let columns = asked.parameter("sysparm_fields").split(',').filter_map(|column| {
            let named = BY_NAME.iter().find(|(name, _)| *name == column);
            let value = match named {
                Some((_, of)) => {
                    let id = row.get(column.split('.').next()?)?;
                    let all = self.table("sys_user").iter().chain(self.table("sys_user_group"));
                    all.clone()
                        .find(|one| one["sys_id"] == *id)
                        .and_then(|one| one.get(*of))
                        .cloned()
                        .unwrap_or_default()
                }
                None => row.get(column)?.clone(),
            };
            Some((column.to_owned(), Value::from(value)))
        });
        Value::Object(columns.collect())
    }

    fn write(&mut self, id: Option<&str>, who: &str, asked: &Asked) -> Said {
        let body = asked.object(&[]).map_err(|reason| refusal(400, "Exception while reading request", &reason))?;
        let texts = body.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap_or_default()));
        let written = self.change(id, who, &texts.collect::<Vec<_>>())?;
        let result = self.shown(&written, asked);
        Ok(Reply::of(if id.is_some() { 200 } else { 201 }, &json!({ "result": result })))
    }

    /// Somebody writes these columns of an incident, or of a new one.
    fn change(&mut self, id: Option<&str>, who: &str, columns: &[(&str, &str)]) -> Result<Row, Reply> {
        let now = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S").to_string();
        let gone = || refusal(404, "No Record found", "Record doesn't exist or ACL restricts the record retrieval");
        let mut is = match id {
            Some(id) => self.table("incident").iter().find(|row| row["sys_id"] == id).cloned().ok_or_else(gone)?,
            None => {
                let number = format!("INC{:07}", 10_000 + self.table("incident").len());
                let numbers = [("number", number.as_str()), ("state", "1"), ("impact", "3"), ("urgency", "3")];
                row(&[&numbers[..], &[("sys_mod_count", "0"), ("sys_created_by", who)]].concat())
            }
        };
        if is["state"] == "7" && who == "bellwether" {
            return Err(refusal(403, "Operation Failed", "ACL Exception Update Failed due to security constraints"));
        }
        let users =
            |id: &str| self.table("sys_user").iter().chain(self.table("sys_user_group")).any(|row| row["sys_id"] == id);
        for (name, value) in columns {
            let Some((_, longest)) = COLUMNS.iter().find(|(column, _)| column == name) else { continue };
            let reference = matches!(*name, "assigned_to" | "assignment_group");
            let known = !reference || value.is_empty() || users(value);
            if known {
                is.insert((*name).to_owned(), value.chars().take(*longest).collect());
            }
        }
        let has = |name: &str| is.get(name).is_some_and(|value| !value.is_empty());
        if matches!(is["state"].as_str(), "6" | "7") && !(has("close_code") && has("close_notes")) {
            let detail = "Data Policy Exception: The following fields are mandatory: Resolution code, Resolution notes";
            return Err(refusal(403, "Operation Failed", detail));
        }
        is.insert("priority".to_owned(), format!("{}{}", is["impact"], is["urgency"]));
        is.insert("sys_updated_on".to_owned(), now.clone());
        is.insert("sys_updated_by".to_owned(), who.to_owned());
        let count = is["sys_mod_count"].parse::<u64>().unwrap_or(0) + u64::from(id.is_some());
        is.insert("sys_mod_count".to_owned(), count.to_string());
        let is = match id {
            None => self.insert("incident", is),
            Some(_) => {
                let rows = self.tables.get_mut("incident").map(Vec::as_mut_slice).unwrap_or_default();
                rows.iter_mut().filter(|row| row["sys_id"] == is["sys_id"]).for_each(|row| row.clone_from(&is));
                is
            }
        };
        for (element, value) in columns.iter().filter(|(name, _)| matches!(*name, "work_notes" | "comments")) {
            let columns = [("name", "incident"), ("element", element), ("element_id", &is["sys_id"]), ("value", value)];
            self.insert(
                "sys_journal_field",
                row(&[&columns[..], &[("sys_created_on", &now), ("sys_created_by", who)]].concat()),
            );
        }
        Ok(is)
    }

    fn id(&self, number: &str) -> String {
        let found = self.table("incident").iter().find(|row| row["number"] == number);
        found.map(|row| row["sys_id"].clone()).unwrap_or_default()
    }
}

impl System for ServiceNow {
    fn answer(&mut self, asked: &Asked) -> Said {
        if asked.header("authorization") != format!("Basic {}", STANDARD.encode(format!("bellwether:{PASSWORD}"))) {
            return Err(unknown_caller());
        }
        let path: Vec<&str> = asked.path.split('/').skip(1).collect();
        match (asked.method.as_str(), path.as_slice()) {
            ("GET", ["api", "now", "table", table]) => Ok(self.query(table, asked)),
            ("POST", ["api", "now", "table", "incident"]) => self.write(None, "bellwether", asked),
            ("PATCH", ["api", "now", "table", "incident", id]) => self.write(Some(id), "bellwether", asked),
            _ => Err(refusal(400, "Requested URI does not represent any resource", &asked.path)),
        }
    }
}

impl House for Strict<ServiceNow> {
    fn example(&self) -> (&'static str, &'static str) {
        (include_str!("../../../../../examples/service-now/bridges.yaml"), "127.0.0.1:8090")
    }

    fn place(&self) -> std::net::SocketAddr {
        self.address
    }

    fn secret(&self) -> &str {
        PASSWORD
    }

    fn set(&self, who: &str, ticket: &str, field: &str, value: &str) {
        let (impact, urgency) = value.split_once('/').unwrap_or_default();
        self.with(|own| {
            let user = own.table("sys_user").iter().find(|row| row["user_name"] == value);
            let user = user.map(|row| row["sys_id"].clone()).unwrap_or_default();
            let state = ["New", "In Progress", "On Hold", "", "", "Resolved", "Closed"]
                .iter()
                .position(|state| *state == value);
            let state = state.map_or(0, |at| at + 1).to_string();
            let columns = match field {
                STATUS => vec![("state", state.as_str()), ("close_code", "Solved"), ("close_notes", "by hand")],
                PRIORITY => vec![("impact", impact), ("urgency", urgency)],
                OWNER => vec![("assigned_to", user.as_str())],
                other => panic!("{other}"),
            };
            let id = own.id(ticket);
            own.change(Some(&id), who, &columns).unwrap_or_else(|refusal| panic!("{}", refusal.status));
        });
    }

    fn say(&self, who: &str, ticket: &str, text: &str) {
        self.with(|own| {
            let id = own.id(ticket);
            own.change(Some(&id), who, &[("comments", text)]).unwrap_or_else(|refusal| panic!("{}", refusal.status));
        });
    }

    fn delete(&self, ticket: &str) {
        self.with(|own| {
            let rows = own.tables.get_mut("incident").expect("a table");
            rows.retain(|row| row["number"] != ticket);
        });
    }

    fn texts(&self, ticket: &str) -> Vec<String> {
        self.with(|own| {
            let id = own.id(ticket);
            let first =
                own.table("incident").iter().find(|row| row["sys_id"] == id).map(|row| row["description"].clone());
            let notes = own.table("sys_journal_field").iter().filter(|row| row["element_id"] == id);
            first.into_iter().chain(notes.map(|row| row["value"].clone())).collect()
        })
    }
}
