//! What is to be done next for one incident's ticket: a function of what is remembered of it and the time.
//!
//! ```text
//! no ticket ─▶ find by key ─┬─ there ──────────────▶ read ─▶ differs? ─▶ update ─▶ read back
//!                           └─ not there ─▶ create ─▶ read back            │ no
//!                                                                          ▼
//!                        answer lost: wait, look it up, then go on       comment ─▶ links ─▶ done
//! ```
//!
//! - What changes something is an *intent* first ([`Intent`]): it is durable before it is sent. While its outcome is
//!   not known, nothing is sent but what finds that out, and not before the request can be on its way no more.
//! - One request at a time, for the newest revision there is. No status of an incident keeps it from its ticket.
//! - A field is written where the ticket still has what we had written ([`differing`]); anything else is a person's.
//! - A ticket that is written to again and again is left alone for a while: somebody answers every write.

use bellwether_engine::incident::{IncidentRecord, IncidentStatus, StatusReason};
use bellwether_engine::time::{EventTime, Span};

use super::entry::{Closed, Entry, Intent, Shown, Trouble, View, Writing};
use super::mapping::{ClosedWhileFiring, Rules};
use super::receiver::{Receiver, Telling};
use super::system::{COMMENT, COMMON_FIELDS, Draft, Fields, KEY, LinkKind, STATUS, TEXT, Ticket};
use super::template::TemplateError;

/// Writes to one ticket within [`WRITES_WITHIN`]; beyond, it is left alone until that is over. An incident that
/// changes every minute stays below.
pub(super) const WRITES_MAX: usize = 30;
/// How long a write is counted.
pub(super) const WRITES_WITHIN: Span = Span::from_mins(10);
/// How often it is looked whether the other ticket of a link is there.
const LINK_LOOK_EVERY: Span = Span::from_secs(5);

/// A request to the system.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Ask {
    Find {
        key: String,
    },
    Create(Draft),
    Read {
        ticket: String,
    },
    Update {
        ticket: String,
        version: String,
        fields: Fields,
    },
    Comment {
        ticket: String,
        mark: String,
        text: String,
    },
    HasComment {
        ticket: String,
        mark: String,
    },
    Link {
        ticket: String,
        kind: LinkKind,
        other: String,
    },
    /// Where there are no tickets.
    Tell(Box<Telling>),
}

impl Ask {
    /// Whether it is about one ticket, so that what is not there is that one.
    pub(super) fn is_of_ticket(&self) -> bool {
        !matches!(self, Ask::Find { .. } | Ask::Create(_) | Ask::Tell(_))
    }

    /// Whether it changes something, so that its outcome matters when the answer is lost. Links are made as often
    /// as one likes.
    pub(super) fn is_intent(&self) -> bool {
        matches!(self, Ask::Create(_) | Ask::Update { .. } | Ask::Comment { .. })
    }
}

/// What is next.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Next {
    /// Nothing, until something is told or heard.
    Rest,
    /// Nothing before then.
    Wait(EventTime),
    /// This; what was changed in the entry has to be durable before it is sent.
    Ask(Ask),
}

/// What a step may look at beside its entry.
pub(super) struct Around<'a> {
    pub(super) rules: &'a Rules,
    pub(super) system: &'a Receiver,
    /// The bridge's name, by which records name its tickets.
    pub(super) name: &'a str,
    /// After this long a request whose answer was lost is not on its way any more.
    pub(super) settle: Span,
    pub(super) peers: &'a dyn Peers,
}

/// What is remembered of other incidents.
pub(super) trait Peers {
    /// The ticket of an incident, and whether that is a major one.
    fn ticket_of(&self, tenant: &str, incident: &str) -> Option<(String, bool)>;

    /// Until when this trouble opens no ticket.
    fn muted_until(&self, tenant: &str, dedup_key: &str) -> Option<EventTime>;
}

/// What is next for the ticket of `entry`, where nothing keeps it waiting.
pub(super) fn next(entry: &mut Entry, around: &Around<'_>, now: EventTime) -> Next {
    if let Some(intent) = &entry.intent {
        return find_out(entry, intent, around, now);
    }
    if entry.ended.is_some() {
        finish(entry, None);
        entry.owed.clear();
        return Next::Rest;
    }
    let Some(ticket) = entry.ticket.clone() else { return open(entry, around, now) };
    if entry.is_done() && entry.former.iter().all(|former| entry.links.contains(&(LinkKind::Follows, former.clone()))) {
        return Next::Rest;
    }
    let View::Known(seen) = entry.view.clone() else { return Next::Ask(Ask::Read { ticket }) };
    if entry.adopted {
        let fields = Fields::from([(KEY.to_owned(), entry.key.to_string())]);
        let ask = Ask::Update { ticket, version: seen.version, fields: fields.clone() };
        return write(entry, Writing::Update(fields), now, ask);
    }
    match entry.wanted.clone() {
        Some(record) => match show(entry, &record, &seen, around, now) {
            Ok(Some(next)) => next,
            Ok(None) => link(entry, &ticket, around, now),
            Err(error) => {
                entry.park(error.to_string(), true, now);
                Next::Rest
            }
        },
        None => link(entry, &ticket, around, now),
    }
}

/// How the outcome of an intent is found out.
fn find_out(entry: &Entry, intent: &Intent, around: &Around<'_>, now: EventTime) -> Next {
    // Without its id a ticket is found by its key, and not at once everywhere.
    let lag = if entry.ticket.is_none() { around.system.lag() } else { Span::ZERO };
    let due = intent.at.plus(around.settle).plus(lag);
    if !intent.sure && now < due {
        return Next::Wait(due);
    }
    let key = entry.key.to_string();
    match (&intent.what, &entry.ticket) {
        (Writing::Create(_) | Writing::Update(_), Some(ticket)) => Next::Ask(Ask::Read { ticket: ticket.clone() }),
        (Writing::Comment { mark, .. }, Some(ticket)) => {
            Next::Ask(Ask::HasComment { ticket: ticket.clone(), mark: mark.clone() })
        }
        // Whatever was to be done to a ticket, we know of none: the key tells.
        (_, None) => Next::Ask(Ask::Find { key }),
    }
}

/// Makes the ticket, once it is known that there is none.
fn open(entry: &mut Entry, around: &Around<'_>, now: EventTime) -> Next {
    let Some(record) = entry.wanted.clone() else { return Next::Rest };
    let none = record.status == IncidentStatus::Merged || record.status_reason == Some(StatusReason::FalsePositive);
    if none && entry.view == View::Absent {
        finish(entry, Some(Shown::of(&record)));
        entry.owed.clear();
        return Next::Rest;
    }
    if let Some(until) = around.peers.muted_until(&entry.key.tenant, &entry.dedup_key).filter(|until| *until > now) {
        return Next::Wait(until);
    }
    let key = entry.key.to_string();
    if entry.view != View::Absent {
        return Next::Ask(Ask::Find { key });
    }
    let draft = (|| {
        let mut fields = fields_of(entry, &record, around)?;
        // One that is over already is opened first: systems differ in what they let begin.
        if around.rules.is_end(&fields[STATUS]) {
            let open = around.rules.status(IncidentStatus::Open).to_owned();
            fields.insert(STATUS.to_owned(), open);
        }
        let text = around.rules.text(&entry.key.tenant, &record)?;
        Ok::<_, TemplateError>(Draft { key, fields, text: around.system.fit(TEXT, &text) })
    })();
    match draft {
        Ok(draft) => write(entry, Writing::Create(draft.clone()), now, Ask::Create(draft)),
        Err(error) => {
            entry.park(error.to_string(), true, now);
            Next::Rest
        }
    }
}

/// Has the ticket show `record`; `None` when it does.
fn show(
    entry: &mut Entry,
    record: &IncidentRecord,
    seen: &Ticket,
    around: &Around<'_>,
    now: EventTime,
) -> Result<Option<Next>, TemplateError> {
    if let Some(next) = closed_by_a_person(entry, record, seen, around, now)? {
        return Ok(Some(next));
    }
    let Some(ticket) = entry.ticket.clone() else { return Ok(Some(open(entry, around, now))) };
    let held = entry.closed.is_some() && around.rules.mapping().closed_while_firing == ClosedWhileFiring::Hold;
    if held {
        finish(entry, Some(Shown::of(record)));
        return Ok(None);
    }
    let wanted = fields_of(entry, record, around)?;
    let fields = differing(entry, record, seen, wanted, around.rules);
    if !fields.is_empty() {
        let ask = Ask::Update { ticket, version: seen.version.clone(), fields: fields.clone() };
        return Ok(Some(write(entry, Writing::Update(fields), now, ask)));
    }
    // What a comment has said of this revision is not said again.
    let shown = entry.shown.as_ref().filter(|shown| shown.revision < record.revision);
    let news = shown.map(|shown| news(shown, record)).unwrap_or_default();
    if !news.is_empty() {
        let text = around.rules.comment(&entry.key.tenant, record, &news)?;
        let mark = mark(entry, record.revision, "");
        return Ok(Some(comment(entry, &ticket, mark, &text, Some(Shown::of(record)), around, now)));
    }
    finish(entry, Some(Shown::of(record)));
    Ok(None)
}

/// What becomes of a ticket that somebody closed although its incident goes on; `None` when the rest of the
/// ticket is next.
fn closed_by_a_person(
    entry: &mut Entry,
    record: &IncidentRecord,
    seen: &Ticket,
    around: &Around<'_>,
    now: EventTime,
) -> Result<Option<Next>, TemplateError> {
    let status = seen.fields.get(STATUS).cloned().unwrap_or_default();
    let ours = entry.written.get(STATUS) == Some(&status);
    if !around.rules.is_end(&status) || ours || !is_live(record) {
        entry.closed = None;
        return Ok(None);
    }
    let closed = entry.closed.get_or_insert(Closed { at: now, status, said: false });
    let due = closed.at.plus(around.rules.mapping().hold_after);
    if now < due {
        // What was said there is on its way to the engine: the incident may be over in a moment.
        return Ok(Some(Next::Wait(due)));
    }
    let (said, ticket) = (closed.said, seen.id.clone());
    match around.rules.mapping().closed_while_firing {
        ClosedWhileFiring::Reopen => Ok(None),
        ClosedWhileFiring::Hold if said => Ok(None),
        ClosedWhileFiring::Hold => {
            let news = ["This ticket was closed, and the trouble goes on.".to_owned()];
            let text = around.rules.comment(&entry.key.tenant, record, &news)?;
            let mark = mark(entry, record.revision, " goes on");
            Ok(Some(comment(entry, &ticket, mark, &text, None, around, now)))
        }
        ClosedWhileFiring::FollowUp => {
            entry.former.insert(ticket);
            (entry.ticket, entry.closed, entry.shown, entry.view) = (None, None, None, View::Unknown);
            entry.written.clear();
            entry.heard.clear();
            entry.theirs.clear();
            entry.refused.clear();
            entry.told.clear();
            Ok(Some(open(entry, around, now)))
        }
    }
}

/// Whether an incident goes on.
pub(super) fn is_live(record: &IncidentRecord) -> bool {
    matches!(record.status, IncidentStatus::Open | IncidentStatus::Acknowledged)
}

/// The fields that the ticket of `record` should have, as the system takes them.
fn fields_of(entry: &Entry, record: &IncidentRecord, around: &Around<'_>) -> Result<Fields, TemplateError> {
    let fields = around.rules.fields(&entry.key.tenant, record)?;
    Ok(fields.into_iter().map(|(name, value)| (name.clone(), around.system.fit(&name, &value))).collect())
}

/// Which of the `wanted` fields are to be written: those that nobody else has changed. An equal value is no write.
fn differing(entry: &mut Entry, record: &IncidentRecord, seen: &Ticket, wanted: Fields, rules: &Rules) -> Fields {
    let mut write = Fields::new();
    for (name, value) in wanted {
        let is = seen.fields.get(&name).map_or("", String::as_str);
        let before = entry.written.get(&name).map(String::as_str);
        let touched = before.is_some_and(|before| before != is);
        if name == STATUS {
            let ours = status_may_be_written(entry, record, is, touched, rules);
            if ours && is != value && entry.refused.get(&name) != Some(&value) {
                write.insert(name, value);
            }
            continue;
        }
        if touched {
            entry.theirs.insert(name.clone());
        }
        // Found, not made, or new in the mapping: what is there may be a person's, unless nothing is.
        let unknown = before.is_none() && !is.is_empty() && is != value;
        if unknown && COMMON_FIELDS.contains(&name.as_str()) {
            entry.theirs.insert(name.clone());
        }
        if entry.theirs.contains(&name) || entry.refused.get(&name) == Some(&value) {
            continue;
        }
        if is == value {
            entry.written.insert(name, value);
        } else {
            write.insert(name, value);
        }
    }
    write
}

/// Whether the status is ours to change. What was opened is resolved, whoever worked on it; a ticket that somebody
/// opened again after that is theirs, and so is how they call their work on it.
fn status_may_be_written(entry: &mut Entry, record: &IncidentRecord, is: &str, touched: bool, rules: &Rules) -> bool {
    let ours = !touched;
    match (is_live(record), rules.is_end(is)) {
        (true, false) => {
            if touched {
                entry.theirs.insert(STATUS.to_owned());
                entry.written.insert(STATUS.to_owned(), is.to_owned());
            }
            ours && !entry.theirs.contains(STATUS)
        }
        (true, true) => ours || rules.mapping().closed_while_firing == ClosedWhileFiring::Reopen,
        (false, true) => ours,
        (false, false) => {
            let was_over = entry.written.get(STATUS).is_some_and(|word| rules.is_end(word));
            !(touched && was_over)
        }
    }
}

/// What is new about an incident for who reads its ticket, line by line.
pub(super) fn news(shown: &Shown, record: &IncidentRecord) -> Vec<String> {
    let now = Shown::of(record);
    let mut news = Vec::new();
    let was_live = matches!(shown.status, IncidentStatus::Open | IncidentStatus::Acknowledged);
    match (was_live, record.status) {
        (true, IncidentStatus::Resolved | IncidentStatus::Closed) => news.push(over(record)),
        (false, IncidentStatus::Open | IncidentStatus::Acknowledged) => news.push("It is back.".to_owned()),
        _ => {}
    }
    if record.status == IncidentStatus::Merged && shown.status != IncidentStatus::Merged {
        let into = record.merged_into.as_deref().unwrap_or("another");
        news.push(format!("This is a part of {into}: what is done is done there."));
    }
    if shown.priority != now.priority {
        news.push(format!("Priority {} instead of {}.", now.priority, shown.priority));
    }
    if shown.cause != now.cause && !now.cause.is_empty() {
        let instead = if shown.cause.is_empty() { String::new() } else { format!(" instead of {}", shown.cause) };
        news.push(format!("Most probable cause: {}{instead}.", now.cause));
    }
    for it in record.escalations.iter().skip(shown.escalations) {
        news.push(format!("Escalated to {} {} at {}: {}.", it.kind, it.to, it.at, it.rule));
    }
    news
}

/// Why it is over.
fn over(record: &IncidentRecord) -> String {
    match record.status_reason {
        Some(StatusReason::AutoResolved) => "It is over: every alert has recovered.".to_owned(),
        Some(StatusReason::Stale) => "It is over: nothing has been heard of it for long.".to_owned(),
        Some(StatusReason::FalsePositive) => "It is over: it was no incident.".to_owned(),
        _ => "It is over.".to_owned(),
    }
}

/// By which a comment is known again.
fn mark(entry: &Entry, revision: u64, what: &str) -> String {
    format!("bellwether {} {revision}{what}", entry.key.incident)
}

fn comment(
    entry: &mut Entry,
    ticket: &str,
    mark: String,
    text: &str,
    shown: Option<Shown>,
    around: &Around<'_>,
    now: EventTime,
) -> Next {
    let text = around.system.fit(COMMENT, text);
    let ask = Ask::Comment { ticket: ticket.to_owned(), mark: mark.clone(), text: text.clone() };
    write(entry, Writing::Comment { mark, text, shown }, now, ask)
}

/// Notes what is about to be sent, unless too much was.
fn write(entry: &mut Entry, what: Writing, now: EventTime, ask: Ask) -> Next {
    old_writes_are_forgotten(entry, now);
    if let Some(first) = entry.writes.front().filter(|_| entry.writes.len() >= WRITES_MAX) {
        let again = first.plus(WRITES_WITHIN);
        let reason = format!(
            "written to {WRITES_MAX} times within {WRITES_WITHIN}: something there answers every write; look at the \
             system's own rules for this ticket"
        );
        entry.trouble = Some(Trouble { reason, attempts: 1, again });
        return Next::Wait(again);
    }
    entry.writes.push_back(now);
    entry.intent = Some(Intent { at: now, sure: false, what });
    Next::Ask(ask)
}

/// Writes that do not count any more are none.
pub(super) fn old_writes_are_forgotten(entry: &mut Entry, now: EventTime) {
    let old = |at: &EventTime| now.since(*at) > WRITES_WITHIN;
    while entry.writes.front().is_some_and(old) {
        entry.writes.pop_front();
    }
}

/// The ticket shows the newest revision, or is not to.
fn finish(entry: &mut Entry, shown: Option<Shown>) {
    if shown.is_some() {
        entry.shown = shown;
    }
    entry.wanted = None;
}

/// Links what belongs together, as soon as there are both tickets.
fn link(entry: &mut Entry, ticket: &str, around: &Around<'_>, now: EventTime) -> Next {
    let follows = (entry.former.iter()).map(|former| (LinkKind::Follows, former.clone()));
    let missing = follows.into_iter().find(|link| !entry.links.contains(link));
    if let Some((kind, other)) = missing {
        return Next::Ask(Ask::Link { ticket: ticket.to_owned(), kind, other });
    }
    for owed in entry.owed.clone() {
        let (kind, incident) = &owed;
        let Some((other, major)) = around.peers.ticket_of(&entry.key.tenant, incident) else { continue };
        let kind = if *kind == LinkKind::PartOf && !major { LinkKind::SplitFrom } else { *kind };
        if other == ticket || entry.links.contains(&(kind, other.clone())) {
            entry.owed.remove(&owed);
            continue;
        }
        return Next::Ask(Ask::Link { ticket: ticket.to_owned(), kind, other });
    }
    if entry.owed.is_empty() { Next::Rest } else { Next::Wait(now.plus(LINK_LOOK_EVERY)) }
}
