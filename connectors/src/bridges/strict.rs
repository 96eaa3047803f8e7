//! A ticketing system in memory for tests, as strict as the worst of the real ones: it keeps no key apart from another,
//! takes what it likes of an update without a word, refuses stale versions, and loses requests and answers on demand.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bellwether_engine::signal::cut_to;
use bellwether_engine::time::EventTime;
use futures::future::BoxFuture;

use super::system::{
    Answered, COMMENT, Change, Changed, Draft, FeedOrder, Fields, KEY, LinkKind, OWNER, PRIORITY, Page, STATUS,
    SUBJECT, Since, SystemError, TEXT, Ticket, TicketSystem,
};

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fate {
    Well,
    /// It is done, and its answer is lost.
    AnswerLost,
    /// It is lost before it is done.
    RequestLost,
    /// It is not done, and that is known.
    Fails(SystemError),
}

/// One of its tickets.
#[derive(Clone, Debug, Default)]
pub(super) struct Held {
    pub(super) key: String,
    pub(super) fields: Fields,
    pub(super) text: String,
    pub(super) comments: Vec<(String, String)>,
    pub(super) links: Vec<(LinkKind, String)>,
    pub(super) merged_into: Option<String>,
    version: u64,
    /// Writes of ours.
    pub(super) writes: usize,
}

#[derive(Default)]
pub(super) struct Inside {
    pub(super) tickets: Vec<Held>,
    pub(super) changes: Vec<Change>,
    /// What becomes of the next requests; then all goes well.
    pub(super) fates: VecDeque<Fate>,
    /// Every request, in order.
    pub(super) asked: Vec<String>,
    /// Fields that it drops without a word.
    pub(super) drops: Vec<&'static str>,
    /// Statuses that cannot be reached.
    pub(super) unreachable: Vec<&'static str>,
}

#[derive(Default)]
pub(super) struct Strict(Mutex<Inside>);

/// People it knows.
const PEOPLE: [&str; 3] = ["ana", "boris", ""];
const SUBJECT_BYTES_MAX: usize = 120;

impl Strict {
    pub(super) fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody changes a field.
    pub(super) fn person(&self, ticket: usize, who: &str, field: &str, value: &str) {
        let mut inside = self.inside();
        let held = &mut inside.tickets[ticket];
        held.fields.insert(field.to_owned(), value.to_owned());
        held.version += 1;
        let what = match field {
            STATUS => Changed::Status(value.to_owned()),
            OWNER => Changed::Owner(value.to_owned()),
            PRIORITY => Changed::Priority(value.to_owned()),
            other => Changed::Field(other.to_owned()),
        };
        let id = inside.changes.len() as u64 + 1;
        let ticket = (ticket + 1).to_string();
        inside.changes.push(Change { id, ticket, at: EventTime::default(), who: who.to_owned(), what });
    }

    fn ticket(inside: &Inside, id: &str) -> Answered<usize> {
        let at = id.parse::<usize>().ok().and_then(|id| id.checked_sub(1)).filter(|at| *at < inside.tickets.len());
        at.ok_or(SystemError::Gone)
    }

    fn shown(inside: &Inside, at: usize) -> Ticket {
        let held = &inside.tickets[at];
        if let Some(into) = &held.merged_into {
            return Strict::shown(inside, into.parse::<usize>().expect("a number") - 1);
        }
        let mut fields = held.fields.clone();
        fields.insert(KEY.to_owned(), held.key.clone());
        let id = (at + 1).to_string();
        Ticket {
            url: format!("https://tickets.test/{id}"),
            id,
            key: held.key.clone(),
            version: held.version.to_string(),
            fields,
        }
    }

    /// A request, as its fate has it.
    fn request<T>(&self, asked: String, work: impl FnOnce(&mut Inside) -> Answered<T>) -> Answered<T> {
        let mut inside = self.inside();
        inside.asked.push(asked);
        match inside.fates.pop_front().unwrap_or(Fate::Well) {
            Fate::Well => work(&mut inside),
            Fate::AnswerLost => {
                let _ = work(&mut inside);
                Err(SystemError::Lost("the connection broke".to_owned()))
            }
            Fate::RequestLost => Err(SystemError::Lost("the connection broke".to_owned())),
            Fate::Fails(error) => Err(error),
        }
    }

    fn take(inside: &Inside, held: &mut Held, fields: &Fields) {
        for (name, value) in fields {
            let known = name != OWNER || PEOPLE.contains(&value.as_str());
            let reached = name != STATUS || !inside.unreachable.contains(&value.as_str());
            if name == KEY && !inside.drops.contains(&KEY) {
                held.key.clone_from(value);
            } else if known && reached && !inside.drops.contains(&name.as_str()) {
                held.fields.insert(name.clone(), value.clone());
            }
        }
    }
}

impl TicketSystem for Strict {
    fn find<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Answered<Vec<Ticket>>> {
        Box::pin(async move {
            self.request(format!("find {key}"), |inside| {
                let all = 0..inside.tickets.len();
                Ok(all.map(|at| Strict::shown(inside, at)).filter(|ticket| ticket.key == key).collect())
            })
        })
    }

    fn create<'a>(&'a self, draft: &'a Draft) -> BoxFuture<'a, Answered<String>> {
        Box::pin(async move {
            self.request(format!("create {}", draft.key), |inside| {
                assert!(draft.fields[SUBJECT].len() <= SUBJECT_BYTES_MAX, "the real one would have cut it");
                let mut held = Held { text: draft.text.clone(), writes: 1, ..Held::default() };
                let mut fields = draft.fields.clone();
                fields.insert(KEY.to_owned(), draft.key.clone());
                Strict::take(inside, &mut held, &fields);
                inside.tickets.push(held);
                Ok(inside.tickets.len().to_string())
            })
        })
    }

    fn read<'a>(&'a self, ticket: &'a str) -> BoxFuture<'a, Answered<Ticket>> {
        Box::pin(async move {
            self.request(format!("read {ticket}"), |inside| Ok(Strict::shown(inside, Strict::ticket(inside, ticket)?)))
        })
    }

    fn update<'a>(&'a self, ticket: &'a str, version: &'a str, fields: &'a Fields) -> BoxFuture<'a, Answered<String>> {
        Box::pin(async move {
            let names: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
            self.request(format!("update {ticket} {}", names.join(" ")), |inside| {
                let at = Strict::ticket(inside, ticket)?;
                let mut held = inside.tickets[at].clone();
                if held.version.to_string() != version {
                    return Err(SystemError::Stale);
                }
                Strict::take(inside, &mut held, fields);
                held.version += 1;
                held.writes += 1;
                inside.tickets[at] = held;
                Ok(String::new())
            })
        })
    }

    fn comment<'a>(&'a self, ticket: &'a str, mark: &'a str, text: &'a str) -> BoxFuture<'a, Answered<()>> {
        Box::pin(async move {
            self.request(format!("comment {ticket} {mark}"), |inside| {
                let at = Strict::ticket(inside, ticket)?;
                let held = &mut inside.tickets[at];
                assert!(held.comments.iter().all(|(known, _)| known != mark), "`{mark}` is there already");
                held.comments.push((mark.to_owned(), text.to_owned()));
                held.version += 1;
                held.writes += 1;
                Ok(())
            })
        })
    }

    fn has_comment<'a>(&'a self, ticket: &'a str, mark: &'a str) -> BoxFuture<'a, Answered<bool>> {
        Box::pin(async move {
            self.request(format!("has_comment {ticket} {mark}"), |inside| {
                let at = Strict::ticket(inside, ticket)?;
                Ok(inside.tickets[at].comments.iter().any(|(known, _)| known == mark))
            })
        })
    }

    fn link<'a>(&'a self, ticket: &'a str, kind: LinkKind, other: &'a str) -> BoxFuture<'a, Answered<()>> {
        Box::pin(async move {
            self.request(format!("link {ticket} {other}"), |inside| {
                let at = Strict::ticket(inside, ticket)?;
                let link = (kind, other.to_owned());
                let links = &mut inside.tickets[at].links;
                if !links.contains(&link) {
                    links.push(link);
                }
                Ok(())
            })
        })
    }

    fn feed_order(&self) -> FeedOrder {
        FeedOrder::Number
    }

    fn changes(&self, since: Option<Since>) -> BoxFuture<'_, Answered<Page>> {
        Box::pin(async move {
            self.request("changes".to_owned(), |inside| {
                let new = |change: &&Change| since.is_some_and(|since| change.id > since.id);
                let changes = inside.changes.iter().filter(new).cloned().collect();
                let upto = Since { id: inside.changes.len() as u64, ..Since::default() };
                Ok(Page { changes, upto, more: false })
            })
        })
    }

    fn fit(&self, field: &str, text: &str) -> String {
        match field {
            TEXT | COMMENT => text.to_owned(),
            _ => cut_to(text, SUBJECT_BYTES_MAX).to_owned(),
        }
    }
}
