//! What a wire made of one request: what is to be stored, and what is answered then.
//!
//! An event is counted as accepted together with the entry that holds it ([`Accepted::add`]), so
//! that nothing is called accepted that is not stored. The one exception has a name
//! ([`Accepted::add_remembered`]).
//!
//! An outcome says what happened, so that no handler can tell a sender "accepted" by hand:
//!
//! | constructor | what happened | the reply |
//! |---|---|---|
//! | [`Outcome::store`] | this is to be stored, the rest was refused | any; sent once it is durable |
//! | [`Outcome::known`] | the receipts have it from before | any, to one who shows the claim |
//! | [`Outcome::refused`] | nothing is stored | a failure: a success becomes 500 |
//!
//! What only looks gives no outcome but a plain [`Reply`] ([`Route::get`]).
//!
//! [`Route::get`]: crate::server::wire::Route::get

use bellwether_engine::input::Input;
use bellwether_engine::signal::Batch;

use crate::intake::reject::FIELDS_CUT;
use crate::intake::reject::Refusals;
use crate::journal::receipts::Claim;
use crate::server::reply::Reply;

/// The header that says what was cut of what is stored.
const NOTICE: &str = "bellwether-notice";

/// Journal entries, and the events that they hold.
#[derive(Clone, Debug, Default)]
pub struct Accepted {
    inputs: Vec<Input>,
    events: u64,
}

impl Accepted {
    /// Entries that only describe what comes after them: series, and edges their labels speak of.
    pub fn describing(inputs: Vec<Input>) -> Accepted {
        Accepted { inputs, events: 0 }
    }

    /// Adds `batch`, in which the sender's `events` are. An empty batch holds none.
    pub fn add(&mut self, batch: Batch, events: u64) {
        if !batch.is_empty() {
            self.inputs.push(Input::Batch(batch));
            self.events += events;
        }
    }

    /// Adds `batch`, of which every row is an event of the sender's.
    pub fn add_rows(&mut self, batch: Batch) {
        let rows = batch.len() as u64;
        self.add(batch, rows);
    }

    /// Adds an entry that is one event.
    pub fn add_one(&mut self, input: Input) {
        self.inputs.push(input);
        self.events += 1;
    }

    /// Counts `events` that are in no entry, because the wire remembers what they say until it can be
    /// told: a span is half a call.
    pub fn add_remembered(&mut self, events: u64) {
        self.events += events;
    }

    /// Rows of which a name, a link or a text was too long.
    pub(crate) fn shortened(&self) -> u64 {
        let of = |input: &Input| if let Input::Batch(batch) = input { batch.shortened() } else { 0 };
        self.inputs.iter().map(of).sum()
    }

    /// The entries.
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// The events in them.
    pub fn events(&self) -> u64 {
        self.events
    }
}

/// What is to be stored, refused and answered.
#[derive(Clone, Debug)]
pub struct Outcome {
    accepted: Accepted,
    reply: Reply,
    /// Events refused.
    pub refused: Refusals,
}

impl Outcome {
    /// `entries` to store, and what to answer once they are durable. What had to be cut is counted, and told in
    /// a header: not every protocol has a word for it.
    pub fn store(accepted: Accepted, mut refused: Refusals, mut reply: Reply) -> Outcome {
        if accepted.shortened() > 0 {
            if refused.of(FIELDS_CUT) == 0 {
                refused.add(FIELDS_CUT, accepted.shortened());
            }
            let mut cut = Refusals::default();
            cut.add(FIELDS_CUT, accepted.shortened());
            reply = reply.with(NOTICE, cut.describe());
        }
        Outcome { accepted, reply, refused }
    }

    /// What was stored before, as `claim` shows, and what is answered to it; `None` when it is new
    /// and the claimer's to store. Whether what another request is storing will be there is not
    /// known: its sender is to come again.
    pub fn known(claim: Claim, reply: Reply) -> Option<Outcome> {
        match claim {
            Claim::Ours => None,
            Claim::Taken => Some(Outcome::store(Accepted::default(), Refusals::default(), reply)),
            Claim::Busy => Some(Outcome::refused(Reply::overloaded("the same is being stored"), "busy")),
        }
    }

    /// A request refused as a whole. A sender that is told of success forgets what it sent, so a
    /// reply that is no failure becomes one: 500.
    pub fn refused(mut reply: Reply, reason: &'static str) -> Outcome {
        if !(400..600).contains(&reply.status) {
            reply.status = 500;
        }
        let mut refused = Refusals::default();
        refused.add(reason, 1);
        Outcome::store(Accepted::default(), refused, reply)
    }

    /// The answer; sent only after the entries are durable.
    pub fn reply(&self) -> &Reply {
        &self.reply
    }

    /// The answer, once they are.
    pub fn into_reply(self) -> Reply {
        self.reply
    }

    /// What the journal gets.
    pub fn inputs(&self) -> &[Input] {
        self.accepted.inputs()
    }

    /// Events that will have been accepted when that is durable.
    pub fn accepted(&self) -> u64 {
        self.accepted.events()
    }
}

/// A decoder that stops at the first refusal: both ends of it are outcomes.
impl From<Result<Outcome, Outcome>> for Outcome {
    fn from(result: Result<Outcome, Outcome>) -> Outcome {
        result.unwrap_or_else(|refused| refused)
    }
}

#[cfg(test)]
mod tests {
    use bellwether_engine::signal::{LogBuilder, LogRow};
    use bellwether_engine::time::EventTime;

    use super::*;
    use crate::server::testing::acme;

    #[test]
    fn a_refusal_cannot_be_a_success() {
        for (given, told) in [(200, 500), (204, 500), (302, 500), (600, 500), (400, 400), (503, 503)] {
            let outcome = Outcome::refused(Reply::empty(given), "reason");
            assert_eq!((outcome.reply().status, outcome.refused.total(), outcome.accepted()), (told, 1, 0), "{given}");
        }
    }

    #[test]
    fn only_what_is_in_the_journal_is_known() {
        let known = |claim| Outcome::known(claim, Reply::empty(202)).map(|outcome| outcome.reply().status);
        assert_eq!([Claim::Ours, Claim::Busy, Claim::Taken].map(known), [None, Some(503), Some(202)]);
    }

    #[test]
    fn what_was_cut_is_counted_and_told_and_is_no_lost_event() {
        let mut logs = LogBuilder::new();
        let (time, entity) = (EventTime::from_secs(1), "e".repeat(10_000));
        for entity in ["host:a", &entity] {
            logs.push(&LogRow { time, entity, severity: 9, body: "b", attributes: &[], trace_id: None });
        }
        let mut accepted = Accepted::default();
        accepted.add_rows(logs.finish_for(acme()));
        let outcome = Outcome::store(accepted, Refusals::default(), Reply::empty(204));
        assert_eq!((outcome.accepted(), outcome.refused.total(), outcome.refused.lost().total()), (2, 1, 0));
        let told = outcome.reply().header("bellwether-notice").expect("it is told");
        assert!(told.starts_with("1 fields_cut (names over 256 bytes"), "{told}");
    }

    #[test]
    fn what_no_entry_holds_is_not_accepted() {
        let mut accepted = Accepted::default();
        accepted.add(LogBuilder::new().finish_for(acme()), 3);
        assert_eq!((accepted.inputs().len(), accepted.events()), (0, 0));
    }
}
