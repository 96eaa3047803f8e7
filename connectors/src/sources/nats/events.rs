//! Messages whose subject says what they are: feedback, tickets, changes.
//!
//! | subject | payload |
//! |---|---|
//! | `bellwether.v1.<tenant>.feedback.<kind>` | as of [`crate::decode::actions`] |
//! | `bellwether.v1.<tenant>.ticket.<verb>.<system>` | as of [`crate::decode::actions`] |
//! | `bellwether.v1.<tenant>.change.<verb>.<service>` | a CDEvent, alone or in a CloudEvent; the payload's own words count, not the subject's |
//!
//! A payload may be the data of a CloudEvent in binary mode, or a whole one in structured mode.

use std::borrow::Cow;

use bellwether_engine::input::Input;
use bellwether_engine::time::EventTime;
use serde::Deserialize;
use serde_json::Value;

use crate::decode::actions::{Said, feedback, ticket};
use crate::decode::changes::cdevent;
use crate::intake::reject::{BadRow, Reason};
use crate::limits::Limits;
use crate::resolve::entity_resolution::EntityResolver;

/// What every subject begins with, and the tenant's token after it.
const SUBJECT_ROOT: &str = "bellwether.v1.";

/// A CloudEvent in structured mode, as far as it matters.
#[derive(Deserialize)]
struct Envelope {
    data: Value,
    #[expect(dead_code, reason = "what has it is a CloudEvent")]
    specversion: String,
}

/// What the message on `subject` says for `tenant`, published `at`.
///
/// # Errors
/// [`BadRow`]: the message says nothing that is known.
pub(super) fn decode(
    subject: &str,
    payload: &[u8],
    tenant: &str,
    at: EventTime,
    resolver: &EntityResolver,
) -> Result<Vec<Input>, BadRow> {
    let words: Vec<&str> = subject.strip_prefix(SUBJECT_ROOT).unwrap_or_default().split('.').skip(1).collect();
    let data = match serde_json::from_slice::<Envelope>(payload) {
        Ok(whole) => Cow::Owned(whole.data.to_string().into_bytes()),
        Err(_) => Cow::Borrowed(payload),
    };
    let said = match words[..] {
        ["feedback", kind] => feedback(kind, &data)?,
        ["ticket", verb, system] => ticket(verb, system, &data)?,
        ["change", _, _] => {
            let batch = cdevent(&data, tenant, at, resolver, &Limits::default())?;
            return Ok(vec![Input::Batch(batch)]);
        }
        _ => {
            let detail = "known: feedback.<kind>, ticket.<verb>.<system>, change.<verb>.<service> after the tenant";
            return Err(BadRow::new(Reason::Word, "subject", detail));
        }
    };
    let Said { actions, .. } = said;
    Ok(actions.into_iter().map(|action| Input::Action { tenant: tenant.into(), at, action }).collect())
}

#[cfg(test)]
mod tests {
    use bellwether_engine::signal::SignalKind;
    use serde_json::json;

    use super::*;

    const AT: EventTime = EventTime::from_secs(1_772_359_200);

    fn said(subject: &str, payload: &serde_json::Value) -> Result<Vec<Input>, BadRow> {
        decode(subject, payload.to_string().as_bytes(), "acme", AT, &EntityResolver::default())
    }

    #[test]
    fn the_subject_says_what_the_payload_is() {
        let feedback = json!({"incident": "inc_1", "who": "ana"});
        let inputs = said("bellwether.v1.acme.feedback.resolve", &feedback).expect("reads");
        assert!(matches!(&inputs[..], [Input::Action { at: AT, .. }]), "{inputs:?}");
        let ticket = json!({"incident": "inc_1", "key": "17", "url": "http://rt/17"});
        assert_eq!(said("bellwether.v1.acme.ticket.resolved.rt", &ticket).expect("reads").len(), 2);
        let change = json!({
            "context": {"id": "d-1", "type": "dev.cdevents.service.deployed.0.3.0", "timestamp": "2026-03-01T09:58:00Z"},
            "subject": {"id": "shop"},
        });
        let inputs = said("bellwether.v1.acme.change.deployed.shop", &change).expect("reads");
        let [Input::Batch(batch)] = &inputs[..] else { panic!("one batch: {inputs:?}") };
        assert_eq!((batch.kind(), batch.len(), batch.tenant()), (SignalKind::Change, 1, "acme"));
        // The whole CloudEvent says the same as its data.
        for (subject, data) in
            [("feedback.resolve", feedback), ("ticket.resolved.rt", ticket), ("change.deployed.shop", change)]
        {
            let subject = format!("bellwether.v1.acme.{subject}");
            let whole = json!({"specversion": "1.0", "id": "1", "source": "/rt", "type": "t", "data": data});
            assert_eq!(said(&subject, &whole), said(&subject, &data), "{subject}");
        }
    }

    #[test]
    fn other_subjects_and_payloads_are_refused_with_what_is_known() {
        for subject in [
            "bellwether.v1.acme.incident.opened.p1.shop",
            "bellwether.v1.acme.feedback",
            "bellwether.v2.acme.feedback.resolve",
        ] {
            let bad = said(subject, &json!({"incident": "i", "who": "a"})).expect_err(subject);
            assert!(bad.to_string().contains("known: feedback"), "{bad}");
        }
        assert!(said("bellwether.v1.acme.change.deployed.shop", &json!({"context": {"type": "else"}})).is_err());
        assert!(said("bellwether.v1.acme.feedback.resolve", &json!([1])).is_err());
    }
}
