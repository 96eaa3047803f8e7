//! What incidents are only told to over HTTP, by the examples: against strict servers of our own.

use bellwether_engine::incident::{IncidentStatus, Priority};

use super::super::list::BridgeConfig;
use super::bench::{Bench, Told};
use super::line::{Cut, Line};
use super::strict::mattermost::{self, Mattermost};
use super::strict::pagerduty::{self, Alert, PagerDuty};
use super::strict::service_now::PASSWORD;
use super::strict::service_now_events::Events;
use super::strict::slack::{self, Slack};
use super::strict::teams::{self, Teams};
use super::strict::{Strict, System};
use super::suite::read;

/// A bench over what an example leads to, through a line that can be cut.
struct Stage {
    bench: Bench,
    line: Line,
    _folder: tempfile::TempDir,
}

impl Stage {
    fn of<S: System>(server: &Strict<S>, example: &str, was: &str, secret: &str) -> Stage {
        let (line, folder) = (Line::to(server.address), tempfile::tempdir().expect("a folder"));
        let token = folder.path().join("token");
        std::fs::write(&token, secret).expect("writes");
        let config: BridgeConfig = read(&example.replace(was, &line.address.to_string()), &token);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(config.probe().expect("it can be tried")).expect("it has what the example names");
        let bench = Bench::over(config.open().expect("it opens"), config.mapping());
        Stage { bench, line, _folder: folder }
    }

    /// Tells it, with what is cut of the first request.
    fn tell(&mut self, told: &Told, cut: Option<Cut>) {
        if let Some(cut) = cut {
            self.line.cut_write(0, cut);
        }
        self.bench.tell(told);
        self.bench.settle_in_time();
        self.line.mend();
    }
}

/// An incident with everything in it that a channel may show, in more than one script, and longer than any takes.
fn rich() -> Told {
    let mut told = Told::new("a");
    let record = serde_json::json!({
        "owner": {"team": "database", "assignee": "ana"},
        "probable_causes": [{"rank": 1, "kind": "change", "ref": "CHG-7 <on> *db*", "score": 0.87, "explanation": "just before"}],
        "entities": [{"id": "checkout", "type": "service", "role": "affected"}],
    });
    let mut whole = serde_json::to_value(&told.0).expect("JSON");
    whole.as_object_mut().expect("an object").extend(record.as_object().expect("an object").clone());
    told.0 = serde_json::from_value(whole).expect("a record");
    told.0.title = "שרת 🔥 <!channel> & @all".to_owned();
    told.0.summary = "🔥".repeat(20_000);
    told
}

#[test]
fn service_now_has_one_alert_for_an_incident_however_often_it_is_told() {
    let server = Events::start();
    let example = include_str!("../../../../examples/service-now/events.yaml");
    let mut stage = Stage::of(&server, example, "127.0.0.1:8090", PASSWORD);
    let mut told = rich();
    stage.tell(&told, Some(Cut::Answer));
    stage.tell(told.next(|record| record.alert_count = 7), None);
    stage.tell(told.next(|record| record.priority = Priority::P1), Some(Cut::Busy));
    let alert = |server: &Strict<Events>| server.with(|own| own.alerts.clone());
    assert_eq!(alert(&server), [("acme/inc_a".to_owned(), "1".to_owned())].into());
    stage.tell(told.status(IncidentStatus::Resolved), Some(Cut::Request));
    assert_eq!(alert(&server), [("acme/inc_a".to_owned(), "0".to_owned())].into(), "it is cleared");
    assert_eq!(server.refused(), Vec::<String>::new());
    let severities = server.with(|own| own.events.iter().map(|event| event["severity"].clone()).collect::<Vec<_>>());
    assert_eq!(severities, ["2", "2", "1", "0"], "one was sent again, under the same key");
    assert!(stage.bench.entry(&told).is_done());
}

#[test]
fn an_incident_is_one_message_in_slack_with_its_news_in_the_thread_whatever_is_lost() {
    let server = Slack::start();
    let example = include_str!("../../../../examples/slack/bridges.yaml");
    let mut stage = Stage::of(&server, example, "127.0.0.1:8092", slack::TOKEN);
    let mut told = rich();
    stage.tell(&told, Some(Cut::Answer));
    stage.tell(told.next(|record| record.alert_count = 7), None);
    let posted = server.with(|own| own.messages.clone());
    assert_eq!(posted.len(), 1, "the answer was lost, and it is known again");
    assert_eq!((posted[0].channel.as_str(), &posted[0].thread), ("C0G9QF9GZ", &None), "its team's channel");
    let shown = posted[0].body["blocks"].to_string();
    for part in
        ["P2 שרת 🔥 <!channel> & @all", "*Hits*\\ncheckout", "database (ana)", "CHG-7 &lt;on&gt; *db*, 87 % sure"]
    {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(shown.contains("https://ops.example.org/page/incidents/inc_a"), "{shown}");
    // The reply is lost, and so is what the message shows then.
    stage.line.cut_write(1, Cut::Answer);
    stage.tell(told.next(|record| record.priority = Priority::P1), None);
    stage.tell(told.status(IncidentStatus::Resolved), Some(Cut::Request));
    let posted = server.with(|own| own.messages.clone());
    assert_eq!(posted.len(), 3, "{:?}", posted.iter().map(|of| of.body["text"].clone()).collect::<Vec<_>>());
    assert!(posted[0].body["blocks"].to_string().contains(":large_green_circle: P1"), "it shows how things stand");
    for (reply, says) in posted[1..].iter().zip(["Priority P1 instead of P2", "It is over"]) {
        assert_eq!(reply.thread.as_ref(), Some(&posted[0].ts));
        assert!(reply.body["blocks"].to_string().contains(says), "{says}");
    }
    assert_eq!(server.refused(), Vec::<String>::new());
    // Who deletes the message has another one when there is news.
    server.with(|own| own.messages.clear());
    stage.tell(told.status(IncidentStatus::Open), None);
    assert_eq!(server.with(|own| own.messages.len()), 1);
    assert!(stage.bench.entry(&told).is_done());
}

#[test]
fn what_slack_says_of_a_token_or_channel_is_understood() {
    let server = Slack::start();
    let example = include_str!("../../../../examples/slack/bridges.yaml");
    let mut stage = Stage::of(&server, example, "127.0.0.1:8092", slack::TOKEN);
    stage.bench.shared.rules = std::sync::Arc::new(
        super::super::mapping::Rules::new({
            let mut mapping = stage.bench.shared.rules.mapping().clone();
            mapping.tenants.get_mut("acme").expect("acme").queue = "C0000000".to_owned();
            mapping
        })
        .expect("it does"),
    );
    let told = Told::new("a");
    stage.tell(&told, None);
    let parked = stage.bench.entry(&told).parked.expect("it waits for a person");
    assert!(parked.reason.contains("channel_not_found"), "{parked:?}");
}

#[test]
fn an_incident_is_one_message_in_mattermost_that_calls_nobody() {
    let server = Mattermost::start();
    let example = include_str!("../../../../examples/mattermost/bridges.yaml");
    let mut stage = Stage::of(&server, example, "127.0.0.1:8093", mattermost::TOKEN);
    let mut told = rich();
    stage.tell(&told, Some(Cut::Answer));
    stage.line.cut_write(1, Cut::Answer);
    stage.tell(told.next(|record| record.priority = Priority::P1), None);
    stage.tell(told.status(IncidentStatus::Resolved), Some(Cut::Busy));
    let posts = server.with(|own| own.posts.clone());
    assert_eq!(posts.len(), 3, "{posts:?}");
    let card = &posts[0]["props"]["attachments"][0];
    assert_eq!(card["color"], "#2eb67d", "it is over");
    assert_eq!(card["title_link"], "https://ops.example.org/page/incidents/inc_a");
    assert!(card["title"].as_str().expect("a title").contains("@\u{200b}all"), "{card}");
    assert!(posts[1..].iter().all(|post| post["root_id"] == posts[0]["id"]));
    assert!(posts[2]["message"].as_str().expect("a text").contains("It is over"), "{}", posts[2]);
    assert_eq!(server.refused(), Vec::<String>::new());
}

#[test]
fn each_news_is_a_card_in_teams_that_is_not_too_large() {
    let server = Teams::start();
    let example = include_str!("../../../../examples/teams/bridges.yaml");
    let mut stage = Stage::of(&server, example, "127.0.0.1:8094", teams::SIGNATURE);
    let mut told = rich();
    told.0.summary = "\"\\".repeat(20_000);
    stage.tell(&told, Some(Cut::Busy));
    stage.tell(told.next(|record| record.alert_count = 7), None);
    stage.tell(told.status(IncidentStatus::Resolved), None);
    let cards = server.with(|own| own.cards.clone());
    assert_eq!(cards.len(), 2, "one for each thing that is new");
    assert!(cards[0]["body"][0].to_string().contains("P2 שרת 🔥 <!channel>"), "{}", cards[0]["body"][0]);
    assert_eq!(cards[1]["actions"][0]["url"], "https://ops.example.org/page/incidents/inc_a");
    assert_eq!(server.refused(), Vec::<String>::new());
}

#[test]
fn pagerduty_has_one_alert_that_is_acknowledged_and_resolved_as_the_incident_is() {
    let server = PagerDuty::start();
    let example = include_str!("../../../../examples/pagerduty-events/bridges.yaml");
    let secret = format!("main {0}\ndatabase {0}", pagerduty::KEY);
    let mut stage = Stage::of(&server, example, "127.0.0.1:8095", &secret);
    let mut told = rich();
    told.0.title = "🔥".repeat(2_000);
    let alert = |status, severity: &str| Alert { key: "acme/inc_a".to_owned(), status, severity: severity.to_owned() };
    stage.tell(&told, Some(Cut::Answer));
    assert_eq!(server.with(|own| own.alerts.clone()), [alert("triggered", "error")]);
    stage.tell(told.status(IncidentStatus::Acknowledged), Some(Cut::Request));
    assert_eq!(server.with(|own| own.alerts.clone()), [alert("acknowledged", "error")]);
    stage.tell(told.status(IncidentStatus::Resolved), Some(Cut::Answer));
    assert_eq!(server.with(|own| own.alerts.clone()), [alert("resolved", "error")]);
    assert_eq!(server.with(|own| own.dropped), 1, "it was resolved again, which changes nothing");
    stage.tell(told.status(IncidentStatus::Open), None);
    assert_eq!(server.with(|own| own.alerts.clone()), [alert("resolved", "error"), alert("triggered", "error")]);
    assert_eq!(server.refused(), Vec::<String>::new());
}
