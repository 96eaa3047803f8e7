//! One contract, which every system has to keep that a bridge leads to: over its own requests, on a line that is cut.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use bellwether_engine::incident::{IncidentStatus, Priority};
use bellwether_engine::input::{Action, TicketVerb};
use bellwether_engine::time::Span;

use super::super::entry::Ended;
use super::super::list::BridgeConfig;
use super::super::mapping::Mapping;
use super::super::step::Ask;
use super::super::system::{LinkKind, OWNER, PRIORITY, QUEUE, STATUS, SUBJECT, SystemError};
use super::bench::{Bench, SETTLE, Told};
use super::line::{Cut, Line};

/// A system with people in it: `ana` and `boris`.
pub(super) trait House {
    /// The example's configuration, and the address in it that this one's takes the place of.
    fn example(&self) -> (&'static str, &'static str);

    /// Where it is.
    fn place(&self) -> SocketAddr;

    /// The secret of the bridge's user.
    fn secret(&self) -> &str;

    /// Somebody gives a field of a ticket this value.
    fn set(&self, who: &str, ticket: &str, field: &str, value: &str);

    /// Somebody writes something under a ticket.
    fn say(&self, who: &str, ticket: &str, text: &str);

    /// Somebody deletes a ticket.
    fn delete(&self, ticket: &str);

    /// Every text of a ticket: its first one, and the comments.
    fn texts(&self, ticket: &str) -> Vec<String>;
}

/// What goes on in one part of the contract.
struct Scene<'h> {
    house: &'h dyn House,
    line: &'h Line,
    bench: Bench,
    mapping: Mapping,
}

impl Scene<'_> {
    /// An incident of this name with its ticket.
    fn opened(&mut self, name: &str) -> (Told, String) {
        let told = with_owner(Told::new(name), "database", "ana");
        self.bench.tell(&told);
        self.bench.settle();
        let entry = self.bench.entry(&told);
        let ticket = entry.ticket.clone().unwrap_or_else(|| panic!("no ticket: {entry:?}"));
        self.bench.actions.clear();
        (told, ticket)
    }

    fn field(&self, ticket: &str, field: &str) -> String {
        self.bench.read(ticket).expect("it is there").fields.remove(field).unwrap_or_default()
    }

    /// How many texts of a ticket say this.
    fn says(&self, ticket: &str, what: &str) -> usize {
        self.house.texts(ticket).iter().filter(|text| text.contains(what)).count()
    }

    /// What others did, as the engine is told of it.
    fn verbs(&mut self) -> Vec<(TicketVerb, String)> {
        self.bench.hear_from_system();
        let actions = std::mem::take(&mut self.bench.actions);
        let told = actions.into_iter().filter_map(|action| match action {
            Action::TicketChanged { verb, text, .. } => Some((verb, text)),
            _ => None,
        });
        told.collect()
    }
}

fn with_owner(mut told: Told, team: &str, assignee: &str) -> Told {
    told.0.owner = serde_json::from_value(serde_json::json!({"team": team, "assignee": assignee})).expect("an owner");
    told
}

/// The bridge of the example, to this house through `line`.
pub(super) fn configured(house: &dyn House, line: &Line, folder: &std::path::Path) -> BridgeConfig {
    let (example, address) = house.example();
    let token = folder.join("token");
    std::fs::write(&token, house.secret()).expect("writes");
    read(&example.replace(address, &line.address.to_string()), &token)
}

/// The bridge of an example that is changed so.
pub(super) fn read(example: &str, token: &std::path::Path) -> BridgeConfig {
    let text = example.replace("token_file: token", &format!("token_file: {}", token.display()));
    let mut section: BTreeMap<String, Vec<BridgeConfig>> = serde_saphyr::from_str(&text).expect("the example reads");
    let config = section.remove("bridges").and_then(|mut all| all.pop()).expect("a bridge");
    super::super::check(&config).expect("it does");
    config
}

/// A part of the contract, by name.
type Part = (&'static str, fn(&mut Scene<'_>));

/// Has `house` go through the whole contract.
#[allow(clippy::print_stdout, reason = "the part that fails is the last one printed")]
pub(super) fn contract(house: &dyn House) {
    let line = Line::to(house.place());
    let folder = tempfile::tempdir().expect("a folder");
    let config = configured(house, &line, folder.path());
    let system = config.open().expect("it opens");
    let probe = config.probe().expect("it can be tried");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(probe).expect("the system has what the example names");
    let mapping = config.mapping();
    let parts: [Part; 9] = [
        ("complete", complete),
        ("lost", made_and_kept_once_whatever_is_lost),
        ("found", found_in_every_state),
        ("edits", what_people_do_stays_and_comes_back),
        ("text", texts_of_any_script_fit),
        ("busy", who_is_asked_to_wait_knows_how_long),
        ("gone", what_is_deleted_is_not_made_again),
        ("linked", what_belongs_together_is_linked),
        ("nobody", whom_it_does_not_know_is_not_set),
    ];
    for (name, part) in parts {
        let bench = Bench::over(system.clone(), mapping.clone());
        let mut scene = Scene { house, line: &line, bench, mapping: mapping.clone() };
        println!("{name}");
        part(&mut scene);
        line.mend();
    }
}

fn complete(scene: &mut Scene<'_>) {
    let (mut told, ticket) = scene.opened("complete");
    let Mapping { priority, states, .. } = scene.mapping.clone();
    let fields = [
        (SUBJECT, "complete is slow"),
        (STATUS, states.open.as_str()),
        (PRIORITY, priority.P2.as_str()),
        (QUEUE, "database"),
        (OWNER, "ana"),
        ("bw_team", "database"),
    ];
    for (field, value) in fields {
        assert_eq!(scene.field(&ticket, field), value, "{field}");
    }
    assert_eq!(scene.says(&ticket, "inc_complete"), 1, "{:?}", scene.house.texts(&ticket));
    let entry = scene.bench.entry(&told);
    assert!(entry.refused.is_empty() && entry.url.contains(&ticket) && entry.is_done(), "{entry:?}");
    assert_eq!(scene.bench.found(&told).len(), 1);
    // An equal value is no write.
    let version = scene.bench.read(&ticket).expect("it is there").version;
    scene.bench.tell(told.next(|record| record.alert_count = 7));
    scene.bench.settle();
    assert_eq!(scene.bench.read(&ticket).expect("it is there").version, version);
    // It follows to the end.
    scene.bench.tell(told.status(IncidentStatus::Acknowledged));
    scene.bench.settle();
    assert_eq!(scene.field(&ticket, STATUS), states.acknowledged);
    scene.bench.tell(told.status(IncidentStatus::Resolved));
    scene.bench.settle();
    assert_eq!(scene.field(&ticket, STATUS), states.resolved);
    scene.bench.tell(told.status(IncidentStatus::Open));
    scene.bench.settle();
    assert_eq!(scene.field(&ticket, STATUS), states.open, "{:?}", scene.bench.entry(&told));
    assert_eq!((scene.says(&ticket, "It is over"), scene.says(&ticket, "It is back")), (1, 1));
    assert_eq!(scene.verbs(), [], "what we do is not listened to");
}

fn made_and_kept_once_whatever_is_lost(scene: &mut Scene<'_>) {
    for cut in [Cut::Answer, Cut::Request] {
        for before in 0..4 {
            let mut told = Told::new(&format!("lost{}{before}", u8::from(cut == Cut::Answer)));
            scene.line.cut_write(before, cut);
            scene.bench.tell(&told);
            scene.bench.settle_in_time();
            scene.line.cut_write(before, cut);
            scene.bench.tell(told.next(|record| record.priority = Priority::P1));
            scene.bench.settle_in_time();
            scene.bench.tell(told.status(IncidentStatus::Resolved));
            scene.bench.settle_in_time();
            scene.line.mend();
            let found = scene.bench.found(&told);
            assert_eq!(found.len(), 1, "{cut:?} after {before}: {found:?}");
            let ticket = found[0].id.clone();
            assert_eq!(scene.field(&ticket, PRIORITY), scene.mapping.priority.P1, "{cut:?} after {before}");
            assert_eq!(scene.field(&ticket, STATUS), scene.mapping.states.resolved, "{cut:?} after {before}");
            assert_eq!(scene.says(&ticket, "Priority P1"), 1, "{cut:?} after {before}");
            assert_eq!(scene.says(&ticket, "It is over"), 1, "{cut:?} after {before}");
        }
    }
}

fn found_in_every_state(scene: &mut Scene<'_>) {
    let mut were_lost = 0;
    for before in 0..3 {
        let told = Told::new(&format!("found{before}"));
        scene.line.cut_write(before, Cut::Answer);
        scene.bench.tell(&told);
        scene.bench.settle();
        scene.line.mend();
        let made = scene.bench.found(&told);
        if scene.bench.entry(&told).ticket.is_some() || made.is_empty() {
            continue;
        }
        were_lost += 1;
        scene.house.set("ana", &made[0].id, STATUS, &scene.mapping.states.closed.clone());
        scene.bench.wait(SETTLE);
        scene.bench.wait(scene.bench.shared.system.lag());
        scene.bench.settle();
        assert_eq!(scene.bench.entry(&told).ticket.as_ref(), Some(&made[0].id));
        assert_eq!(scene.bench.found(&told).len(), 1);
        assert_eq!(scene.field(&made[0].id, STATUS), scene.mapping.states.closed, "what a person did stands");
    }
    assert!(were_lost > 0, "no answer to a new ticket was lost");
}

fn what_people_do_stays_and_comes_back(scene: &mut Scene<'_>) {
    let (mut told, ticket) = scene.opened("edits");
    let Mapping { priority, states, .. } = scene.mapping.clone();
    scene.house.set("ana", &ticket, PRIORITY, &priority.P5);
    scene.house.set("ana", &ticket, OWNER, "boris");
    scene.house.say("ana", &ticket, "הכונן 🔥");
    scene.bench.tell(told.next(|record| record.priority = Priority::P1));
    scene.bench.settle();
    let stays = |scene: &Scene<'_>| (scene.field(&ticket, PRIORITY), scene.field(&ticket, OWNER));
    assert_eq!(stays(scene), (priority.P5.clone(), "boris".to_owned()), "before it was heard of");
    let verbs = scene.verbs();
    for verb in [
        (TicketVerb::Reassigned, "boris".to_owned()),
        (TicketVerb::Prioritised, priority.P5.clone()),
        (TicketVerb::Commented, "הכונן 🔥".to_owned()),
    ] {
        assert_eq!(verbs.iter().filter(|of| **of == verb).count(), 1, "{verb:?} in {verbs:?}");
    }
    assert_eq!(scene.verbs(), [], "it is heard once");
    scene.house.set("ana", &ticket, STATUS, &states.acknowledged);
    scene.bench.hear_from_system();
    let actions = std::mem::take(&mut scene.bench.actions);
    let ana_has = |action: &Action| matches!(action, Action::Acknowledge { who, .. } if who == "ana");
    assert!(actions.iter().any(ana_has), "{actions:?}");
    scene.bench.tell(told.next(|record| record.priority = Priority::P3));
    scene.bench.settle();
    assert_eq!(stays(scene), (priority.P5.clone(), "boris".to_owned()));
    scene.bench.tell(told.status(IncidentStatus::Resolved));
    scene.bench.settle();
    assert_eq!(scene.field(&ticket, STATUS), states.resolved, "what was opened is resolved");
    assert_eq!(stays(scene), (priority.P5, "boris".to_owned()));
}

// JBI#1030, TA-jira#133.
fn texts_of_any_script_fit(scene: &mut Scene<'_>) {
    let mut told = Told::new("text");
    told.0.title = "שרת 🔥 ".repeat(60);
    told.0.description = "מערכת 🔥 é\n".repeat(4_000);
    told.0.summary = "🔥".repeat(9_000);
    scene.bench.tell(&told);
    scene.bench.settle();
    let entry = scene.bench.entry(&told);
    let ticket = entry.ticket.clone().unwrap_or_else(|| panic!("{:?}", entry.parked));
    assert!(entry.refused.is_empty(), "{:?}", entry.refused);
    let subject = scene.field(&ticket, SUBJECT);
    assert!(subject.starts_with("שרת 🔥 שרת 🔥") && subject.ends_with('…'), "{subject}");
    assert_eq!(scene.says(&ticket, "🔥🔥🔥"), 1);
    scene.bench.tell(told.status(IncidentStatus::Resolved));
    scene.bench.settle();
    assert_eq!(scene.says(&ticket, "It is over"), 1);
}

// alertmanager#4918, signoz#12891.
fn who_is_asked_to_wait_knows_how_long(scene: &mut Scene<'_>) {
    let (_, ticket) = scene.opened("busy");
    scene.line.cut(Cut::Busy);
    assert_eq!(scene.bench.read(&ticket), Err(SystemError::Throttled(Span::from_secs(7))));
    let told = Told::new("busier");
    scene.line.cut_write(0, Cut::Busy);
    scene.bench.tell(&told);
    scene.bench.settle_in_time();
    assert_eq!(scene.bench.found(&told).len(), 1);
    scene.line.cut(Cut::Dead);
    assert!(matches!(scene.bench.read(&ticket), Err(SystemError::Away(_) | SystemError::Lost(_))));
}

fn what_is_deleted_is_not_made_again(scene: &mut Scene<'_>) {
    let (mut told, ticket) = scene.opened("gone");
    scene.house.delete(&ticket);
    scene.bench.tell(told.next(|record| record.priority = Priority::P1));
    scene.bench.settle_in_time();
    scene.bench.tell(told.status(IncidentStatus::Resolved));
    scene.bench.settle_in_time();
    let entry = scene.bench.entry(&told);
    assert_eq!((entry.ticket.as_ref(), entry.ended.as_ref()), (Some(&ticket), Some(&Ended::Deleted)));
    assert!(entry.is_done(), "{entry:?}");
    assert!(scene.bench.found(&told).iter().all(|found| found.id == ticket), "no second one is made");
}

fn what_belongs_together_is_linked(scene: &mut Scene<'_>) {
    let (_, kept) = scene.opened("kept");
    let (mut gone, ticket) = scene.opened("merged");
    scene.bench.tell(gone.next(|record| {
        record.status = IncidentStatus::Merged;
        record.merged_into = Some("inc_kept".to_owned());
    }));
    for _ in 0..2 {
        scene.bench.settle_in_time();
        let entry = scene.bench.entry(&gone);
        assert!(entry.links.contains(&(LinkKind::DuplicateOf, kept.clone())) && entry.is_done(), "{entry:?}");
    }
    assert_eq!(scene.field(&ticket, STATUS), scene.mapping.states.merged, "it is closed, never deleted");
    assert_eq!(scene.field(&kept, STATUS), scene.mapping.states.open, "the other goes on");
    // Two that are linked stay so.
    let again = Ask::Link { ticket, kind: LinkKind::DuplicateOf, other: kept };
    scene.bench.send(&again).expect("linked");
}

fn whom_it_does_not_know_is_not_set(scene: &mut Scene<'_>) {
    let told = with_owner(Told::new("nobody"), "database", "nobody-of-that-name");
    scene.bench.tell(&told);
    scene.bench.settle();
    let entry = scene.bench.entry(&told);
    let ticket = entry.ticket.clone().unwrap_or_else(|| panic!("{:?}", entry.parked));
    assert_eq!(scene.field(&ticket, OWNER), "");
    assert_eq!(entry.refused.get(OWNER).map(String::as_str), Some("nobody-of-that-name"), "and that is said");
}
