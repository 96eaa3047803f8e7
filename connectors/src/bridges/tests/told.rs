//! What incidents are only told to, by the examples: a real mail server, and a strict receiver of webhooks of our own.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bellwether_engine::incident::{IncidentStatus, Priority};
use bellwether_engine::input::{Action, TicketVerb};
use bellwether_engine::time::Span;
use mail_parser::MessageParser;
use ring::hmac;
use serde_json::Value;

use super::super::list::BridgeConfig;
use super::bench::{Bench, Told};
use super::line::{Cut, Line, whole_request};
use super::server::{Server, home};
use super::suite::read;

/// A bench over what an example leads to.
fn bench(config: &BridgeConfig) -> Bench {
    Bench::over(config.open().expect("it opens"), config.mapping())
}

/// A real mail server, which delivers everything into one Maildir.
struct Mailboxes {
    server: Server,
}

impl Mailboxes {
    fn start() -> Option<Mailboxes> {
        let home = home("mail")?;
        let mut server = Server::new();
        let (address, maildir) = (server.address, server.folder.path().join("maildir"));
        let mut command = Command::new(home.join("venv/bin/python"));
        command.args(["-m", "aiosmtpd", "-n", "-l", &address.to_string(), "-c", "aiosmtpd.handlers.Mailbox"]);
        command.arg(maildir).current_dir(server.folder.path());
        server.run(command, || TcpStream::connect(address).is_ok());
        Some(Mailboxes { server })
    }

    fn maildir(&self) -> PathBuf {
        self.server.folder.path().join("maildir")
    }

    /// Every mail there is, the oldest first.
    fn mails(&self) -> Vec<String> {
        let folders = ["new", "cur"].map(|name| self.maildir().join(name));
        let files = folders.iter().flat_map(|folder| std::fs::read_dir(folder).expect("a Maildir"));
        let mut files: Vec<PathBuf> = files.map(|file| file.expect("reads").path()).collect();
        files.sort_by_key(|file| std::fs::metadata(file).and_then(|of| of.modified()).ok());
        files.iter().map(|file| String::from_utf8_lossy(&std::fs::read(file).expect("reads")).into_owned()).collect()
    }

    /// The example's configuration, by `relay`.
    fn config(&self, relay: SocketAddr) -> BridgeConfig {
        let example = include_str!("../../../../examples/mail/bridges.yaml");
        let maildir = format!("replies: {}", self.maildir().display());
        let example = example.replace("127.0.0.1:8025", &relay.to_string()).replace("replies: maildir", &maildir);
        read(&example, Path::new("none"))
    }

    /// Somebody sends a mail.
    fn send(&self, from: &str, to: &str, head: &str, text: &str) {
        let mail = format!("From: {from}\r\nTo: {to}\r\nSubject: Re: x\r\n{head}\r\n{text}\r\n.\r\n");
        let stream = TcpStream::connect(self.server.address).expect("a relay");
        let mut reader = std::io::BufReader::new(stream.try_clone().expect("a stream"));
        let mut stream = stream;
        let mut ask = |line: &str| {
            stream.write_all(line.as_bytes()).expect("sent");
            let mut answer = String::new();
            std::io::BufRead::read_line(&mut reader, &mut answer).expect("an answer");
            assert!(answer.starts_with('2') || answer.starts_with('3'), "{line}: {answer}");
        };
        ask("");
        let lines = ["HELO x\r\n".to_owned(), format!("MAIL FROM:<{from}>\r\n"), format!("RCPT TO:<{to}>\r\n")];
        lines.iter().for_each(|line| ask(line));
        ask("DATA\r\n");
        ask(&mail);
        ask("QUIT\r\n");
    }
}

#[test]
fn an_incident_is_one_thread_of_mail_and_what_people_reply_comes_back_once() {
    let Some(mailboxes) = Mailboxes::start() else { return };
    let config = mailboxes.config(mailboxes.server.address);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(config.probe().expect("it can be tried")).expect("the relay greets, the Maildir is there");
    let mut bench = bench(&config);
    let mut told = Told::new("a");
    told.0.title = "שרת 🔥\r\nBcc: evil@example.org".to_owned();
    told.0.owner = serde_json::from_value(serde_json::json!({"team": "database"})).expect("an owner");
    bench.tell(&told);
    bench.settle();
    bench.tell(told.next(|record| record.alert_count = 7));
    bench.settle();
    bench.tell(told.next(|record| record.priority = Priority::P1));
    bench.settle();
    bench.tell(told.status(IncidentStatus::Resolved));
    bench.settle();
    let raw = mailboxes.mails();
    assert_eq!(raw.len(), 3, "one for each thing that is new");
    let mails: Vec<_> =
        raw.iter().map(|mail| MessageParser::default().parse(mail.as_bytes()).expect("a mail")).collect();
    for mail in &mails {
        let to = mail.to().expect("somebody").iter().filter_map(|to| to.address()).collect::<Vec<_>>();
        assert_eq!(to, ["dba@acme.example", "lead@acme.example"]);
        assert_eq!(mail.references().as_text(), Some("acme.inc_a@desk.example.org"), "one thread");
        assert_eq!(mail.header_raw("Auto-Submitted").map(str::trim), Some("auto-generated"));
        assert!(mail.bcc().is_none() && mail.subject().expect("a subject").contains("שרת 🔥 Bcc: evil@example.org"));
    }
    let ids: Vec<_> = mails.iter().filter_map(|mail| mail.message_id()).collect();
    let revisions = [1, 3, 4].map(|revision| format!("acme.inc_a.{revision}@desk.example.org"));
    assert_eq!(ids, revisions);
    let says = |at: usize, what: &str| assert!(mails[at].body_text(0).expect("a text").contains(what), "{what}");
    says(0, "inc_a of acme");
    says(1, "Priority P1 instead of P2");
    says(2, "It is over");

    // A reply by its address, one by its references, one by a program, and one to nothing of ours.
    let reply_to = mails[0].reply_to().and_then(|to| to.first()).and_then(|to| to.address()).expect("an address");
    assert_eq!(reply_to, "bellwether+acme.inc_a@desk.example.org");
    mailboxes.send("ana@acme.example", reply_to, "", "the log volume\r\n> was said\r\n");
    let refers = "References: <other@x> <acme.inc_a.4@desk.example.org>\r\n";
    mailboxes.send("boris@acme.example", "bellwether@desk.example.org", refers, "done");
    mailboxes.send("out@acme.example", reply_to, "Auto-Submitted: auto-replied\r\n", "I am away");
    mailboxes.send("eve@example.org", "bellwether+acme.inc_b@desk.example.org", "", "nobody knows");
    bench.actions.clear();
    bench.hear_from_system();
    let said = |actions: &[Action]| {
        let told = actions.iter().map(|action| match action {
            Action::TicketChanged { verb: TicketVerb::Commented, who, text, .. } => (who.clone(), text.clone()),
            other => panic!("{other:?}"),
        });
        let mut told: Vec<_> = told.collect();
        told.sort();
        told
    };
    let expected = [("ana@acme.example", "the log volume"), ("boris@acme.example", "done")];
    assert_eq!(said(&bench.actions), expected.map(|(who, text)| (who.to_owned(), text.to_owned())));
    bench.actions.clear();
    bench.hear_from_system();
    assert_eq!(bench.actions, [], "what was taken in is put away");
    assert_eq!(std::fs::read_dir(mailboxes.maildir().join("new")).expect("a folder").count(), 0);
}

#[test]
fn who_is_named_by_a_rule_of_escalation_gets_that_mail_too_and_no_other() {
    let Some(mailboxes) = Mailboxes::start() else { return };
    let mut bench = bench(&mailboxes.config(mailboxes.server.address));
    let escalation = |kind: &str, to: &str| {
        let at = "2026-03-01T10:15:00Z";
        serde_json::json!({"rule": "nobody answers", "at": at, "kind": kind, "to": to, "time": 1})
    };
    let escalations = |all: &[Value]| serde_json::from_value(Value::from(all.to_vec())).expect("escalations");
    let mut told = Told::new("a");
    bench.tell(&told);
    bench.settle();
    // The board, whom the example knows; the team that has it anyway; somebody whom it does not know.
    let first = [escalation("audience", "board"), escalation("team", "database"), escalation("person", "ana")];
    bench.tell(told.next(|record| record.escalations = escalations(&first)));
    bench.settle();
    bench.tell(told.next(|record| record.priority = Priority::P1));
    bench.settle();
    let to: Vec<Vec<String>> = (mailboxes.mails().iter())
        .map(|mail| {
            let mail = MessageParser::default().parse(mail.as_bytes()).expect("a mail");
            let envelope = mail.header_raw("X-RcptTo").expect("the server says whom it was for");
            let mut to: Vec<String> = envelope.split([',', ' ', '\r', '\n']).map(str::to_owned).collect();
            to.retain(|to| !to.is_empty());
            to.sort();
            to
        })
        .collect();
    let (oncall, board) = ("oncall@acme.example", "board@acme.example");
    let both = ["board@acme.example", "dba@acme.example", "lead@acme.example", oncall];
    assert_eq!(to, [vec![oncall], both.to_vec(), vec![oncall]]);
    let text = &mailboxes.mails()[1];
    let says =
        MessageParser::default().parse(text.as_bytes()).expect("a mail").body_text(0).expect("a text").into_owned();
    assert!(says.contains("Escalated to audience board") && says.contains("nobody answers"), "{says}");
    let header = MessageParser::default().parse(text.as_bytes()).expect("a mail");
    assert!(header.to().expect("somebody").iter().any(|to| to.address() == Some(board)));
}

#[test]
fn a_relay_that_is_away_or_refuses_costs_no_mail() {
    let Some(mailboxes) = Mailboxes::start() else { return };
    // Nobody listens there.
    let nobody = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("an address");
    let mut away = bench(&mailboxes.config(nobody));
    let mut told = Told::new("a");
    away.tell(&told);
    away.settle();
    let trouble = away.entry(&told).trouble.expect("it is away");
    assert!(trouble.attempts >= 1, "{trouble:?}");
    assert!(mailboxes.mails().is_empty());
    away.shared.system = mailboxes.config(mailboxes.server.address).open().expect("it opens");
    away.tell(told.status(IncidentStatus::Resolved));
    away.settle_in_time();
    assert_eq!(mailboxes.mails().len(), 1, "the newest is told, once");
    let text = mailboxes.mails().remove(0);
    assert!(text.contains("Message-ID: <acme.inc_a.2@desk.example.org>"), "{text}");
}

/// What a strict receiver has taken.
#[derive(Default)]
struct Taken {
    /// The newest revision of each incident, as `data` has it.
    incidents: BTreeMap<String, Value>,
    ids: Vec<String>,
    refused: Vec<String>,
}

/// A strict receiver of our own, written from the documents: it takes a CloudEvent in structured mode whose signature,
/// time and id are right, and nothing else.
struct Receiver {
    address: SocketAddr,
    taken: Arc<Mutex<Taken>>,
}

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

impl Receiver {
    fn start() -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let taken: Arc<Mutex<Taken>> = Arc::default();
        let of_thread = taken.clone();
        // It ends with the test's process.
        std::thread::spawn(move || {
            for mut stream in listener.incoming().filter_map(Result::ok) {
                let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
                let Some((head, body)) = whole(&mut stream) else { continue };
                let mut taken = of_thread.lock().unwrap_or_else(PoisonError::into_inner);
                let status = match taken.take(&head, &body) {
                    Ok(()) => "204 No Content",
                    Err(reason) => {
                        taken.refused.push(reason);
                        "400 Bad Request"
                    }
                };
                let _ = stream.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").as_bytes());
            }
        });
        Receiver { address, taken }
    }
}

/// A request's head and body.
fn whole(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let all = whole_request(stream)?;
    let at = all.windows(4).position(|four| four == b"\r\n\r\n")?;
    Some((String::from_utf8_lossy(&all[..at]).into_owned(), all[at + 4..].to_vec()))
}

impl Taken {
    fn take(&mut self, head: &str, body: &[u8]) -> Result<(), String> {
        let header = |name: &str| {
            let named = head.lines().filter_map(|line| line.split_once(": "));
            let mut named = named.filter(|(of, _)| of.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned());
            named.next().ok_or_else(|| format!("no {name}"))
        };
        if !head.starts_with("POST /hooks/bellwether ") {
            return Err(format!("not the address: {head}"));
        }
        if !header("content-type")?.starts_with("application/cloudevents+json") {
            return Err("no CloudEvent".to_owned());
        }
        let (id, at) = (header("webhook-id")?, header("webhook-timestamp")?);
        let age = jiff::Timestamp::now().as_second() - at.parse::<i64>().map_err(|error| error.to_string())?;
        if age.abs() > 300 {
            return Err(format!("{age} s old"));
        }
        let secret = STANDARD.decode(&SECRET["whsec_".len()..]).map_err(|error| error.to_string())?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        let signed = [format!("{id}.{at}.").as_bytes(), body].concat();
        let signature = header("webhook-signature")?;
        let good = |one: &str| {
            let bytes = one.strip_prefix("v1,").and_then(|one| STANDARD.decode(one).ok()).unwrap_or_default();
            hmac::verify(&key, &signed, &bytes).is_ok()
        };
        if !signature.split(' ').any(good) {
            return Err("a signature that is not right".to_owned());
        }
        let event: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        for (name, is) in [("specversion", "1.0"), ("id", id.as_str()), ("datacontenttype", "application/json")] {
            if event[name] != is {
                return Err(format!("{name} is {}", event[name]));
            }
        }
        // Attributes are lower case letters and digits, and none is empty.
        for (name, value) in event.as_object().ok_or("no object")? {
            let plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
            if !plain || value.as_str().is_some_and(str::is_empty) {
                return Err(format!("attribute {name}: {value}"));
            }
        }
        if self.ids.contains(&id) {
            self.ids.push(format!("{id} again"));
            return Ok(());
        }
        self.ids.push(id);
        let data = event["data"].clone();
        let subject = event["subject"].as_str().unwrap_or_default().to_owned();
        let known = self.incidents.get(&subject).map_or(0, |known| known["revision"].as_u64().unwrap_or(0));
        if data["revision"].as_u64().is_some_and(|revision| revision > known) {
            self.incidents.insert(subject, data);
        }
        Ok(())
    }
}

#[test]
fn each_revision_is_told_to_a_webhook_signed_and_again_under_the_same_id_when_that_is_lost() {
    let receiver = Receiver::start();
    let line = Line::to(receiver.address);
    let folder = tempfile::tempdir().expect("a folder");
    let token = folder.path().join("token");
    let other = format!("whsec_{}", STANDARD.encode([7; 32]));
    std::fs::write(&token, format!("{other}\n{SECRET}\n")).expect("writes");
    let example = include_str!("../../../../examples/webhook/bridges.yaml");
    let config = read(&example.replace("127.0.0.1:8089", &line.address.to_string()), &token);
    let mut bench = bench(&config);
    let mut told = Told::new("a");
    told.0.title = "שרת 🔥".to_owned();
    bench.tell(&told);
    bench.settle();
    line.cut(Cut::Answer);
    bench.tell(told.next(|record| record.alert_count = 7));
    bench.settle_in_time();
    line.cut(Cut::Busy);
    bench.tell(told.next(|record| record.priority = Priority::P1));
    bench.settle_in_time();
    line.cut(Cut::Request);
    bench.tell(told.status(IncidentStatus::Resolved));
    bench.settle();
    // The newest alone waits.
    bench.tell(told.status(IncidentStatus::Closed));
    bench.settle_in_time();
    let taken = receiver.taken.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(taken.refused, Vec::<String>::new());
    let ids = ["acme/inc_a/1", "acme/inc_a/2", "acme/inc_a/2 again", "acme/inc_a/3", "acme/inc_a/5"];
    assert_eq!(taken.ids, ids);
    let newest = &taken.incidents["inc_a"];
    assert_eq!((&newest["status"], &newest["title"]), (&"closed".into(), &"שרת 🔥".into()));
    assert!(bench.entry(&told).is_over());
}

#[test]
fn what_a_receiver_refuses_is_said_and_told_when_it_is_mended() {
    let receiver = Receiver::start();
    let folder = tempfile::tempdir().expect("a folder");
    let token = folder.path().join("token");
    std::fs::write(&token, SECRET).expect("writes");
    let example = include_str!("../../../../examples/webhook/bridges.yaml");
    let example = example.replace("127.0.0.1:8089", &receiver.address.to_string());
    let mut bench = bench(&read(&example.replace("/hooks/bellwether", "/hooks/other"), &token));
    let mut told = Told::new("a");
    bench.tell(&told);
    bench.settle();
    let parked = bench.entry(&told).parked.expect("it waits for a person");
    assert!(parked.reason.contains("400"), "{parked:?}");
    // It is mended there.
    bench.shared.system = read(&example, &token).open().expect("it opens");
    bench.wait(Span::from_secs(61));
    bench.tell(told.status(IncidentStatus::Resolved));
    bench.settle_in_time();
    let taken = receiver.taken.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(taken.ids, ["acme/inc_a/2"]);
    // A secret that is none is refused when the bridge is opened, and not shown.
    std::fs::write(&token, "whsec_c2hvcnQ=").expect("writes");
    let error = read(&example, &token).open().err().expect("refused").to_string();
    assert!(error.contains("form") && !error.contains("c2hvcnQ"), "{error}");
}

/// A receiver that answers so, each request the next of these statuses and then 204; what it was sent.
fn answering(statuses: &'static [u16]) -> (SocketAddr, Arc<Mutex<usize>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let asked: Arc<Mutex<usize>> = Arc::default();
    let of_thread = asked.clone();
    // It ends with the test's process.
    std::thread::spawn(move || {
        for mut stream in listener.incoming().filter_map(Result::ok) {
            let Some(_) = whole_request(&mut stream) else { continue };
            let mut asked = of_thread.lock().unwrap_or_else(PoisonError::into_inner);
            let status = statuses.get(*asked).copied().unwrap_or(204);
            *asked += 1;
            let _ = stream.write_all(format!("HTTP/1.1 {status} -\r\nContent-Length: 0\r\n\r\n").as_bytes());
        }
    });
    (address, asked)
}

/// A bench over the webhook of the example, at that address.
fn webhook_at(address: SocketAddr) -> (Bench, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let token = folder.path().join("token");
    std::fs::write(&token, SECRET).expect("writes");
    let example = include_str!("../../../../examples/webhook/bridges.yaml");
    (bench(&read(&example.replace("127.0.0.1:8089", &address.to_string()), &token)), folder)
}

#[test]
fn what_a_receiver_will_never_take_is_sent_once_and_what_it_may_take_again() {
    for (status, again) in
        [(408, true), (409, true), (425, true), (500, true), (400, false), (413, false), (422, false)]
    {
        let statuses: &'static [u16] = Box::leak(Box::new([status]));
        let (address, asked) = answering(statuses);
        let (mut bench, _folder) = webhook_at(address);
        let mut told = Told::new("a");
        bench.tell(&told);
        bench.settle_in_time();
        let sent = *asked.lock().unwrap_or_else(PoisonError::into_inner);
        assert_eq!(sent, if again { 2 } else { 1 }, "{status}");
        let parked = bench.entry(&told).parked;
        assert_eq!(parked.is_some(), !again, "{status}: {parked:?}");
        assert!(parked.is_none_or(|parked| parked.reason.contains(&status.to_string())), "{status}: why is said");
        // What comes then is told.
        bench.tell(told.status(IncidentStatus::Resolved));
        bench.settle_in_time();
        assert!(bench.entry(&told).is_done(), "{status}");
    }
}

#[test]
fn a_receiver_that_wants_no_more_is_sent_nothing() {
    let (address, asked) = answering(&[410]);
    let (mut bench, _folder) = webhook_at(address);
    let mut told = [Told::new("a"), Told::new("b")];
    told.iter().for_each(|told| bench.tell(told));
    bench.settle_in_time();
    told.iter_mut().for_each(|told| bench.tell(told.status(IncidentStatus::Resolved)));
    bench.settle_in_time();
    assert_eq!(*asked.lock().unwrap_or_else(PoisonError::into_inner), 1);
    for told in &told {
        let parked = bench.entry(told).parked.expect("it waits for a person");
        assert!(parked.reason.contains("410"), "{parked:?}");
    }
}
