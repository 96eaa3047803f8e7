//! The requests, as the Table API has them.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::future::BoxFuture;
use http::Method;
use http::header::{ACCEPT, AUTHORIZATION};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::super::names::Names;
use super::super::outgoing::Destination;
use super::super::rest::{Rest, in_path, with_query};
use super::super::system::{
    Answered, COMMENT, Draft, FeedOrder, Fields, KEY, LinkKind, OWNER, PRIORITY, QUEUE, STATUS, SUBJECT, SystemError,
    TEXT, Ticket, ticket_system,
};
use super::super::text::{cut, one_line};
use super::ServiceNowConfig;

/// Characters of a short description: what is longer is cut without a word.
const SUBJECT_CHARS_MAX: usize = 160;
/// Characters of other columns of one line.
const FIELD_CHARS_MAX: usize = 255;
/// Characters of a description, and of a work note.
const TEXT_CHARS_MAX: usize = 4_000;
/// Incidents under one key that are read: more than one is somebody's copy.
const FOUND_MAX: &str = "20";
/// What `correlation_display` says of an incident of ours: the feed asks for those.
const OURS: &str = "Bellwether";

/// One row of a table: the columns that were asked for.
pub(super) type Row = BTreeMap<String, String>;

#[derive(Deserialize)]
struct Answers<T> {
    result: T,
}

/// ServiceNow as one of its users has it.
pub(in crate::bridges) struct ServiceNow {
    rest: Rest,
    pub(super) config: ServiceNowConfig,
    names: Names,
}

/// A value in a query: `^` ends a condition, twice it is itself.
pub(super) fn quoted(value: &str) -> String {
    value.replace('^', "^^")
}

/// The key under which a work note is found again, as it stands at its end.
fn signed(text: &str, mark: &str) -> String {
    format!("{text}\n\n({mark})")
}

fn of(row: &Row, column: &str) -> String {
    row.get(column).cloned().unwrap_or_default()
}

/// Requests as one of its users.
pub(super) fn rest(destination: Destination, user: &str, password: &str) -> Option<Rest> {
    let basic = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
    Rest::new(destination, "/api/now/table")
        .with_secret(AUTHORIZATION, &basic)
        .map(|rest| rest.with(ACCEPT, "application/json"))
}

impl ServiceNow {
    /// As the user with this password; `None` when it cannot be sent.
    pub(super) fn new(config: &ServiceNowConfig, destination: Destination, password: &str) -> Option<ServiceNow> {
        Some(ServiceNow {
            rest: rest(destination, &config.user, password)?,
            config: config.clone(),
            names: Names::default(),
        })
    }

    /// Rows of a table.
    pub(super) async fn rows(
        &self,
        table: &str,
        query: &str,
        columns: &str,
        more: &[(&str, &str)],
    ) -> Answered<Vec<Row>> {
        let mut parameters = vec![
            ("sysparm_query", query),
            ("sysparm_fields", columns),
            ("sysparm_exclude_reference_link", "true"),
            ("sysparm_display_value", "false"),
        ];
        parameters.extend(more);
        match self.rest.get(&with_query(&format!("/{table}"), &parameters)).await {
            Ok(Answers { result }) => Ok(result),
            // An older one says so of an empty list.
            Err(SystemError::Gone) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// The incidents that a query finds.
    pub(super) async fn incidents(&self, query: &str, limit: &str, offset: &str) -> Answered<Vec<Row>> {
        let more = [("sysparm_limit", limit), ("sysparm_offset", offset)];
        self.rows("incident", query, &self.columns(), &more).await
    }

    /// What the feed asks for, the newest first.
    pub(super) fn ours(&self) -> String {
        format!("correlation_display={OURS}^ORDERBYDESCsys_updated_on")
    }

    /// The columns that are read of an incident.
    fn columns(&self) -> String {
        let own = self.config.mapping.fields.keys().map(|name| self.config.column(name));
        let all = [
            "sys_id",
            "number",
            "sys_mod_count",
            "sys_updated_on",
            "sys_updated_by",
            "short_description",
            "state",
            "impact",
            "urgency",
            "assignment_group.name",
            "assigned_to.user_name",
            "close_code",
            "close_notes",
            "parent",
            "parent_incident",
            &self.config.key_field,
        ];
        all.into_iter().chain(own).collect::<Vec<_>>().join(",")
    }

    async fn row(&self, number: &str) -> Answered<Row> {
        let found = self.incidents(&format!("number={}", quoted(number)), "1", "0").await?;
        found.into_iter().next().ok_or(SystemError::Gone)
    }

    /// The id of a row that a name stands for.
    async fn id_of(&self, table: &str, column: &str, name: &str) -> Answered<Option<String>> {
        let ask = || async {
            let query = format!("{column}={}", quoted(name));
            let rows = self.rows(table, &query, &format!("sys_id,{column}"), &[("sysparm_limit", "2")]).await?;
            Ok(rows.into_iter().map(|row| (of(&row, column), of(&row, "sys_id"))).collect())
        };
        self.names.id(&format!("{table} {name}"), name, ask).await
    }

    pub(super) async fn group_id(&self, name: &str) -> Answered<Option<String>> {
        self.id_of("sys_user_group", "name", name).await
    }

    /// Fields as it takes them; an owner whom it does not know is left out.
    async fn body(&self, fields: &Fields) -> Answered<Map<String, Value>> {
        let mut body = Map::new();
        let mut set = |column: &str, value: &str| body.insert(column.to_owned(), value.into());
        for (name, value) in fields {
            match name.as_str() {
                STATUS => {
                    let number = self.config.state_values.get(value);
                    let unknown = || SystemError::Refused(format!("`state_values` has no `{value}`"));
                    set("state", number.ok_or_else(unknown)?);
                }
                PRIORITY => {
                    let (impact, urgency) = value.split_once('/').unwrap_or((value, value));
                    set("impact", impact);
                    set("urgency", urgency);
                }
                QUEUE => {
                    let unknown = || SystemError::Refused(format!("there is no group `{value}`: correct `mapping`"));
                    set("assignment_group", &self.group_id(value).await?.ok_or_else(unknown)?);
                }
                OWNER if value.is_empty() => drop(set("assigned_to", "")),
                OWNER => {
                    if let Some(id) = self.id_of("sys_user", "user_name", value).await? {
                        set("assigned_to", &id);
                    }
                }
                KEY => {
                    set(&self.config.key_field, value);
                    set("correlation_display", OURS);
                }
                other => drop(set(self.config.column(other), value)),
            }
        }
        Ok(body)
    }

    /// Says how it was resolved, where nobody has and it will be asked for.
    fn close(&self, fields: &Fields, is: &Row, body: &mut Map<String, Value>) {
        let said = |name: &String| self.config.mapping.said.get(name).copied();
        if !fields.get(STATUS).and_then(said).is_some_and(super::super::mapping::Said::is_end) {
            return;
        }
        for (column, value) in [("close_code", &self.config.close_code), ("close_notes", &self.config.close_notes)] {
            if of(is, column).is_empty() && !body.contains_key(column) {
                body.insert(column.to_owned(), value.as_str().into());
            }
        }
    }

    pub(super) fn fields(&self, row: &Row) -> Fields {
        let state = of(row, "state");
        let named = self.config.state_values.iter().find(|(_, value)| **value == state);
        let mut fields = Fields::from([
            (SUBJECT.to_owned(), of(row, "short_description")),
            (STATUS.to_owned(), named.map_or(state.clone(), |(name, _)| name.clone())),
            (PRIORITY.to_owned(), format!("{}/{}", of(row, "impact"), of(row, "urgency"))),
            (QUEUE.to_owned(), of(row, "assignment_group.name")),
            (OWNER.to_owned(), of(row, "assigned_to.user_name")),
            (KEY.to_owned(), of(row, &self.config.key_field)),
        ]);
        let own = self.config.mapping.fields.keys();
        fields.extend(own.map(|name| (name.clone(), of(row, self.config.column(name)))));
        fields
    }

    fn ticket(&self, row: &Row) -> Ticket {
        let number = of(row, "number");
        let page = in_path(&format!("incident.do?sysparm_query=number={number}"));
        Ticket {
            url: format!("{}/nav_to.do?uri={page}", self.rest.web()),
            id: number,
            key: of(row, &self.config.key_field),
            version: of(row, "sys_mod_count"),
            fields: self.fields(row),
        }
    }

    async fn find(&self, key: &str) -> Answered<Vec<Ticket>> {
        let query = format!("{}={}^ORDERBYnumber", self.config.key_field, quoted(key));
        let rows = self.incidents(&query, FOUND_MAX, "0").await?;
        // It knows no capitals.
        Ok(rows.iter().map(|row| self.ticket(row)).filter(|ticket| ticket.key == key).collect())
    }

    async fn create(&self, draft: &Draft) -> Answered<String> {
        let mut fields = draft.fields.clone();
        fields.insert(KEY.to_owned(), draft.key.clone());
        let mut body = self.body(&fields).await?;
        body.insert("description".to_owned(), draft.text.as_str().into());
        for (column, value) in &self.config.new {
            body.entry(column.clone()).or_insert_with(|| value.as_str().into());
        }
        let path = with_query("/incident", &[("sysparm_fields", "number")]);
        let answer = self.rest.post(&path, &Value::Object(body)).await?;
        let Answers { result } = self.rest.read::<Answers<Row>>(&answer)?;
        Ok(of(&result, "number"))
    }

    async fn read(&self, ticket: &str) -> Answered<Ticket> {
        Ok(self.ticket(&self.row(ticket).await?))
    }

    async fn patch(&self, row: &Row, body: Map<String, Value>) -> Answered<()> {
        let path = format!("/incident/{}?sysparm_fields=sys_id", in_path(&of(row, "sys_id")));
        self.rest.send(Method::PATCH, &path, &[], Some(&Value::Object(body))).await.map(drop)
    }

    async fn update(&self, ticket: &str, version: &str, fields: &Fields) -> Answered<String> {
        // It takes no condition: what is left is the time between this and the next request.
        let row = self.row(ticket).await?;
        if of(&row, "sys_mod_count") != version {
            return Err(SystemError::Stale);
        }
        let mut body = self.body(fields).await?;
        self.close(fields, &row, &mut body);
        self.patch(&row, body).await?;
        Ok(String::new())
    }

    async fn comment(&self, ticket: &str, mark: &str, text: &str) -> Answered<()> {
        let row = self.row(ticket).await?;
        let note = [("work_notes".to_owned(), signed(text, mark).into())];
        self.patch(&row, note.into_iter().collect()).await
    }

    async fn has_comment(&self, ticket: &str, mark: &str) -> Answered<bool> {
        let (row, end) = (self.row(ticket).await?, signed("", mark));
        let query = format!(
            "name=incident^element=work_notes^element_id={}^sys_created_by={}",
            of(&row, "sys_id"),
            quoted(&self.config.user)
        );
        let notes = self.rows("sys_journal_field", &query, "value", &[("sysparm_limit", "1000")]).await?;
        Ok(notes.iter().any(|note| of(note, "value").replace('\r', "").trim_end().ends_with(end.trim_start())))
    }

    async fn link(&self, ticket: &str, kind: LinkKind, other: &str) -> Answered<()> {
        let (row, other) = (self.row(ticket).await?, self.row(other).await?);
        // What is resolved resolves its child incidents, so that a part of a major incident is a child task.
        let column = if kind == LinkKind::DuplicateOf { "parent_incident" } else { "parent" };
        // There is one place: whoever was there first has it.
        if !of(&row, column).is_empty() {
            return Ok(());
        }
        self.patch(&row, [(column.to_owned(), of(&other, "sys_id").into())].into_iter().collect()).await
    }

    fn fit(&self, field: &str, text: &str) -> String {
        match field {
            SUBJECT => cut(&one_line(text), SUBJECT_CHARS_MAX),
            TEXT => cut(text, TEXT_CHARS_MAX),
            // The mark goes below.
            COMMENT => cut(text, TEXT_CHARS_MAX - FIELD_CHARS_MAX),
            _ => cut(&one_line(text), FIELD_CHARS_MAX),
        }
    }
}

ticket_system!(ServiceNow, FeedOrder::Time);
