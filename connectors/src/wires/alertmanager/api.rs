//! The answers of Alertmanager's API v2, as amtool and dashboards read them.

use std::collections::BTreeMap;

use bellwether_engine::time::EventTime;
use serde::Serialize;
use serde_json::{Value, json};

use super::TenantState;
use super::matcher::{Matcher, MatcherError, Test};
use super::silences::{Silence, State};
use super::table::Listed;
use crate::server::reply::Reply;
use crate::server::request::Request;

/// The one receiver we are.
const RECEIVER: &str = "bellwether";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    state: &'static str,
    silenced_by: Vec<String>,
    inhibited_by: [String; 0],
    muted_by: [String; 0],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GettableAlert {
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    starts_at: EventTime,
    ends_at: EventTime,
    updated_at: EventTime,
    #[serde(rename = "generatorURL")]
    generator_url: String,
    fingerprint: String,
    receivers: [Value; 1],
    status: Status,
}

/// `GET /api/v2/status`: amtool reads the configuration before anything else.
pub(super) fn status(started: EventTime) -> Reply {
    let original = format!("route:\n  receiver: {RECEIVER}\nreceivers:\n  - name: {RECEIVER}\n");
    Reply::json(
        200,
        &json!({
            "cluster": {"name": "", "status": "disabled", "peers": []},
            "config": {"original": original},
            "uptime": started,
            "versionInfo": {
                "version": env!("CARGO_PKG_VERSION"), "revision": "", "branch": "",
                "buildUser": "", "buildDate": "", "goVersion": "",
            },
        }),
    )
}

/// `GET /api/v2/receivers`.
pub(super) fn receivers() -> Reply {
    Reply::json(200, &json!([{"name": RECEIVER}]))
}

/// `GET /api/v2/alerts`.
pub(super) fn alerts(state: &TenantState, request: &Request<'_>) -> Reply {
    match selected(state, request) {
        Ok(alerts) => Reply::json(200, &alerts),
        Err(error) => Reply::json(400, &error.to_string()),
    }
}

/// `GET /api/v2/alerts/groups`: one group per alert name.
pub(super) fn groups(state: &TenantState, request: &Request<'_>) -> Reply {
    let alerts = match selected(state, request) {
        Ok(alerts) => alerts,
        Err(error) => return Reply::json(400, &error.to_string()),
    };
    let mut groups: BTreeMap<String, Vec<GettableAlert>> = BTreeMap::new();
    for alert in alerts {
        let name = alert.labels.get("alertname").cloned().unwrap_or_default();
        groups.entry(name).or_default().push(alert);
    }
    let groups: Vec<Value> = groups
        .into_iter()
        .map(|(name, alerts)| json!({"labels": {"alertname": name}, "receiver": {"name": RECEIVER}, "alerts": alerts}))
        .collect();
    Reply::json(200, &groups)
}

fn flag(request: &Request<'_>, name: &str) -> bool {
    request.parameter(name).is_none_or(|value| value != "false")
}

fn tests(request: &Request<'_>) -> Result<Vec<Test>, MatcherError> {
    request
        .parameters("filter")
        .iter()
        .map(|text| {
            let matcher = Matcher::read(text).ok_or_else(|| MatcherError::Format(text.clone()))?;
            matcher.test()
        })
        .collect()
}

fn selected(state: &TenantState, request: &Request<'_>) -> Result<Vec<GettableAlert>, MatcherError> {
    let tests = tests(request)?;
    let now = request.received;
    let (active, silenced) = (flag(request, "active"), flag(request, "silenced"));
    let mut found = Vec::new();
    for (fingerprint, alert) in state.alerts.iter(now) {
        if alert.ends_at <= now || !tests.iter().all(|test| test.holds(|name| alert.label(name))) {
            continue;
        }
        let silenced_by: Vec<String> = state.silences.muting(alert, now).map(str::to_owned).collect();
        let wanted = if silenced_by.is_empty() { active } else { silenced };
        if wanted {
            found.push(gettable(fingerprint, alert, silenced_by));
        }
    }
    Ok(found)
}

fn gettable(fingerprint: u64, alert: &Listed, silenced_by: Vec<String>) -> GettableAlert {
    let owned = |pairs: &mut dyn Iterator<Item = (&str, &str)>| {
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    };
    GettableAlert {
        labels: owned(&mut alert.labels()),
        annotations: owned(&mut alert.annotations()),
        starts_at: alert.starts_at,
        ends_at: alert.ends_at,
        updated_at: alert.updated_at,
        generator_url: alert.url.to_string(),
        fingerprint: format!("{fingerprint:016x}"),
        receivers: [json!({"name": RECEIVER})],
        status: Status {
            state: if silenced_by.is_empty() { "active" } else { "suppressed" },
            silenced_by,
            inhibited_by: [],
            muted_by: [],
        },
    }
}

/// `GET /api/v2/silences`.
pub(super) fn silences(state: &TenantState, request: &Request<'_>) -> Reply {
    let tests = match tests(request) {
        Ok(tests) => tests,
        Err(error) => return Reply::json(400, &error.to_string()),
    };
    let fits = |silence: &Silence| {
        tests.iter().all(|test| {
            test.holds(|name| {
                let matcher = silence.matchers().iter().find(|matcher| matcher.name == name);
                matcher.map(|matcher| matcher.value.as_str())
            })
        })
    };
    let listed: Vec<Value> = state
        .silences
        .iter()
        .filter(|(_, silence)| fits(silence))
        .map(|(id, silence)| gettable_silence(id, silence, request.received))
        .collect();
    Reply::json(200, &listed)
}

/// `GET /api/v2/silence/{id}`.
pub(super) fn silence(state: &TenantState, id: &str, now: EventTime) -> Reply {
    match state.silences.get(id) {
        Some(silence) => Reply::json(200, &gettable_silence(id, silence, now)),
        None => Reply::empty(404),
    }
}

fn gettable_silence(id: &str, silence: &Silence, now: EventTime) -> Value {
    let state = match silence.state(now) {
        State::Pending => "pending",
        State::Active => "active",
        State::Expired => "expired",
    };
    json!({
        "id": id,
        "status": {"state": state},
        "updatedAt": silence.updated_at,
        "comment": silence.comment,
        "createdBy": silence.created_by,
        "startsAt": silence.starts_at,
        "endsAt": silence.ends_at,
        "matchers": silence.matchers(),
    })
}
