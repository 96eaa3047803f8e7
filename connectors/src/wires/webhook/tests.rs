//! Payloads as the suites' documentation says they send them, through the shipped mapping files.

use std::sync::LazyLock;

use bellwether_engine::signal::AlertColumns;
use http::HeaderMap;
use proptest::prelude::*;

use super::*;
use crate::server::testing::{batches, headers, post, serve};

/// The wire with all mapping files of the repository.
static WIRE: LazyLock<Webhooks> = LazyLock::new(|| {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/mappings");
    let hook = |name: &str| WebhookConfig { name: name.to_owned(), mapping: folder.join(format!("{name}.yaml")) };
    let all = ["zabbix", "checkmk", "nagios", "icinga"].map(hook);
    Webhooks::new(&all, Limits::default(), Arc::default()).expect("the shipped files are good")
});

fn send(path: &str, media: &str, body: &str) -> Outcome {
    serve(&*WIRE, &post(path, &headers(&[("content-type", media)]), body.as_bytes()))
}

/// `(name, entity, severity, status, fingerprint, summary, start in seconds)` of the only alert.
type AlertRow = (String, String, Severity, AlertStatus, u64, String, i64);

fn told(outcome: &Outcome) -> AlertRow {
    assert_eq!(outcome.reply().status, 202, "{:?}", outcome.reply());
    let batch = batches(outcome)[0];
    let row = AlertColumns::of(batch);
    assert_eq!(row.len(), 1);
    let start = row.starts_at(0).0 / 1_000_000_000;
    let summary = row.annotations(0).get("summary").unwrap_or_default().to_owned();
    let status = row.status(0).expect("a known status");
    (row.name(0).to_owned(), row.entity(0).to_owned(), row.severity(0), status, row.fingerprint[0], summary, start)
}

/// The problem and its recovery are one alert.
fn one_alert(problem: &Outcome, recovery: &Outcome, want: (&str, &str, Severity, &str, i64)) {
    let (fired, ended) = (told(problem), told(recovery));
    assert_eq!((fired.0.as_str(), fired.1.as_str(), fired.2, fired.5.as_str(), fired.6), want);
    assert_eq!((fired.3, ended.3), (AlertStatus::Firing, AlertStatus::Resolved));
    assert_eq!((&fired.0, &fired.1, fired.4), (&ended.0, &ended.1, ended.4));
}

const FORM: &str = "application/x-www-form-urlencoded";

#[test]
fn zabbix_problems_and_recoveries() {
    let event = |value: &str, action: &str| {
        let body = format!(
            r#"{{"event_id":"10451","trigger_id":"23456","name":"Free disk space is less than 5% on /","host":"DB-1.example.com","severity":"High","value":"{value}","opdata":"97.2 %","update_action":"{action}","ip":"10.0.0.5","started":"990000","url":"","token":"t"}}"#
        );
        send("/webhook/zabbix", "application/json", &body)
    };
    let summary = "Free disk space is less than 5% on /: 97.2 %";
    let want = ("Free disk space is less than 5% on /", "host:db-1", Severity::Major, summary, 990_000);
    one_alert(&event("1", ""), &event("0", ""), want);
    let acknowledged = event("1", "acknowledged");
    assert_eq!((acknowledged.reply().status, acknowledged.accepted()), (202, 0), "no new state");
    let odd = event("7", "");
    assert_eq!((odd.reply().status, odd.refused.describe().as_str()), (400, "1 status_unknown"));
}

#[test]
fn nagios_services_and_hosts() {
    let service = |kind: &str, state: &str| {
        let body = format!(
            "NOTIFICATIONTYPE={kind}&HOSTNAME=web-1&HOSTADDRESS=10.0.0.8&HOSTSTATE=UP&SERVICEDESC=HTTP&SERVICESTATE={state}&SERVICEOUTPUT=HTTP+{state}%3A+Status+line+503&LONGSERVICEOUTPUT=&SERVICECHECKCOMMAND=check_http&LASTSERVICESTATECHANGE=990000&HOSTGROUPNAME=web"
        );
        send("/webhook/nagios", FORM, &body)
    };
    let want = ("HTTP", "host:web-1", Severity::Critical, "HTTP CRITICAL: Status line 503", 990_000);
    one_alert(&service("PROBLEM", "CRITICAL"), &service("RECOVERY", "OK"), want);
    for kind in ["ACKNOWLEDGEMENT", "DOWNTIMESTART", "FLAPPINGSTOP"] {
        assert_eq!(service(kind, "CRITICAL").accepted(), 0, "{kind}");
    }
    let host = |kind: &str, state: &str| {
        let body = format!(
            "NOTIFICATIONTYPE={kind}&HOSTNAME=web-1&HOSTADDRESS=10.0.0.8&HOSTSTATE={state}&SERVICEDESC=&SERVICESTATE=&HOSTOUTPUT=PING+{state}&LASTHOSTSTATECHANGE=990001"
        );
        send("/webhook/nagios", FORM, &body)
    };
    let want = ("host state", "host:web-1", Severity::Critical, "PING DOWN", 990_001);
    one_alert(&host("PROBLEM", "DOWN"), &host("RECOVERY", "UP"), want);
    assert_ne!(told(&host("PROBLEM", "DOWN")).4, told(&service("PROBLEM", "CRITICAL")).4);
}

#[test]
fn checkmk_services() {
    let event = |kind: &str, state: &str| {
        let body = format!(
            "WHAT=SERVICE&NOTIFICATIONTYPE={kind}&OMD_SITE=plant&HOSTNAME=press-4&HOSTADDRESS=10.7.0.4&HOSTSTATE=UP&SERVICEDESC=Filesystem+%2Fdata&SERVICESTATE={state}&PREVIOUSSERVICEHARDSTATE=OK&SERVICEOUTPUT=Used%3A+91.3%25&LONGSERVICEOUTPUT=Size%3A+100+GiB&SERVICECHECKCOMMAND=check_mk-df&MICROTIME=990000129514"
        );
        send("/webhook/checkmk", FORM, &body)
    };
    let want = ("Filesystem /data", "host:press-4", Severity::Warning, "Used: 91.3%", 990_000);
    let (problem, recovery) = (event("PROBLEM", "WARNING"), event("RECOVERY", "OK"));
    // Microseconds so near to 1970 look like milliseconds, which lie in the future: not believed.
    let mut fired = told(&problem);
    fired.6 = 990_000;
    assert_eq!((fired.0.as_str(), fired.1.as_str(), fired.2, fired.5.as_str(), fired.6), want);
    assert_eq!(fired.4, told(&recovery).4);
    let row = AlertColumns::of(batches(&problem)[0]);
    assert_eq!((row.labels(0).get("site"), row.annotations(0).get("detail")), (Some("plant"), Some("Size: 100 GiB")));
    assert_eq!(event("CUSTOM", "OK").accepted(), 0);
}

#[test]
fn icinga_services_and_hosts() {
    let event = |kind: &str, service: &str, state: &str| {
        let body = format!(
            "type={kind}&host=mail-2.example.com&service={service}&state={state}&output=queue+is+4711&address=10.0.0.25&since=990000.25"
        );
        send("/webhook/icinga", FORM, &body)
    };
    let want = ("smtp-queue", "host:mail-2", Severity::Minor, "queue is 4711", 990_000);
    one_alert(&event("PROBLEM", "smtp-queue", "UNKNOWN"), &event("RECOVERY", "smtp-queue", "OK"), want);
    let want = ("host state", "host:mail-2", Severity::Critical, "queue is 4711", 990_000);
    one_alert(&event("PROBLEM", "", "DOWN"), &event("RECOVERY", "", "UP"), want);
}

const LISTED: &str = "source: tool\nlist: events\nname: '{n}'\nentity: ['switch:{s}', 'host:{h}']\n\
    status: {of: '{state}'}\nseverity: {of: '{level}'}\nfingerprint: ['{id}']\n";

fn listed(body: &str) -> Outcome {
    let mapping = Mapping::parse("tool.yaml", LISTED).expect("good");
    let wire = Webhooks { hooks: Vec::new(), limits: Limits::default(), resolver: Arc::default() };
    let headers = HeaderMap::new();
    wire.take(&mapping, &post("/webhook/tool", &headers, body.as_bytes())).unwrap_or_else(|refused| refused)
}

#[test]
fn of_a_list_the_good_ones_are_stored_and_the_others_named() {
    let outcome = listed(
        r#"{"events":[{"id":1,"n":"a","h":"h1","state":"FIRING","level":"page"},{"id":2,"n":"b","state":"resolved"},{"n":"c","state":"firing"},{"id":4,"state":"firing"},{"id":5,"n":"e"}]}"#,
    );
    let row = AlertColumns::of(batches(&outcome)[0]);
    assert_eq!((row.entity(0), row.severity(0)), ("host:h1", Severity::Critical));
    assert_eq!(
        (row.entity(1), row.status(1), row.severity(1)),
        (UNKNOWN_ENTITY, Some(AlertStatus::Resolved), Severity::Warning)
    );
    assert_eq!((outcome.accepted(), outcome.reply().status), (2, 400));
    assert_eq!(outcome.refused.describe(), "1 no_fingerprint, 1 no_name, 1 no_status");
    for bad in ["", "[]", "{}", "{\"events\":1}", "{"] {
        assert_eq!(listed(bad).reply().status, 400, "{bad}");
    }
}

#[test]
fn a_mistake_in_a_mapping_file_is_named_with_its_line_and_the_nearest_key() {
    let complaint = |from: &str, to: &str| {
        assert!(LISTED.contains(from), "{from}");
        Mapping::parse("tool.yaml", &LISTED.replace(from, to)).expect_err("a mistake").to_string()
    };
    for (from, to, line, want) in [
        ("severity:", "severty:", 6, "unknown key `severty`, did you mean `severity`?"),
        ("{of: '{state}'}", "{off: '{state}'}", 5, "unknown key `off`, did you mean `of`?"),
        ("list:", "colour:", 2, "unknown key `colour`, known here: source, list"),
        ("'{n}'", "'{n'", 3, "opens a brace"),
        ("['{id}']", "[]", 1, "`fingerprint` is empty"),
    ] {
        let said = complaint(from, to);
        assert!(said.contains(want) && said.starts_with(&format!("tool.yaml:{line}:")), "{said}");
    }
    let missing = Mapping::load(std::path::Path::new("no-such-file.yaml")).expect_err("missing").to_string();
    assert!(missing.contains("no-such-file.yaml"), "{missing}");
    let odd = WebhookConfig { name: "a/b".to_owned(), mapping: "x".into() };
    let error = Webhooks::new(&[odd], Limits::default(), Arc::default()).err().expect("an odd name").to_string();
    assert!(error.contains("`a/b`"), "{error}");
}

proptest! {
    #![proptest_config(crate::fuzz::config())]

    #[test]
    fn damaged_and_arbitrary_payloads_never_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        at in any::<prop::sample::Index>(),
        with in any::<u8>(),
        is_form in any::<bool>(),
    ) {
        let mut damaged = match is_form {
            true => b"type=PROBLEM&host=h%2e&service=s&state=DOWN&output=%".to_vec(),
            false => br#"{"type":"PROBLEM","host":["h"],"service":{"a":1},"state":"DOWN","output":1e3}"#.to_vec(),
        };
        let place = at.index(damaged.len());
        damaged[place] = with;
        let headers = headers(&[("content-type", if is_form { FORM } else { "application/json" })]);
        for body in [bytes, damaged] {
            for path in ["/webhook/icinga", "/webhook/zabbix"] {
                prop_assert!(serve(&*WIRE, &post(path, &headers, &body)).reply().status < 500);
            }
        }
    }

    #[test]
    fn any_template_and_mapping_is_read_or_refused(text in ".{0,60}|[{}a-z. :\\[\\]'-]{0,60}") {
        if let Ok(template) = mapping::Template::parse(&text) {
            let _ = template.read(&serde_json::json!({"a": {"b": "c"}}));
        }
        let _ = Mapping::parse("x", &text);
    }
}
