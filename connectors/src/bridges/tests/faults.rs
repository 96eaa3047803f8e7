//! Any faults, in any order: the process ends at any point, requests and answers are lost, people edit in between. In
//! the end there is one ticket for each incident, as the incident is, with every edit of a person in it and no comment
//! twice.

use bellwether_engine::incident::{IncidentStatus, Priority};
use bellwether_engine::time::Span;
use proptest::prelude::*;

use super::super::step::Next;
use super::super::strict::Fate;
use super::super::system::{OWNER, PRIORITY, STATUS, SystemError};
use super::bench::{Bench, Told};

/// Something that happens.
#[derive(Clone, Debug)]
enum Happens {
    /// A revision of an incident: another priority, status, or both.
    Told { incident: usize, priority: u8, status: u8 },
    /// The next request of an incident, with its fate; the process may end before its answer is taken in.
    Step { incident: usize, fate: u8, killed: bool },
    /// The process ends.
    Killed,
    /// A person edits the ticket of an incident.
    Edited { incident: usize, owner: bool },
    /// What others changed comes back.
    Heard,
    /// Time goes by.
    Later(i64),
}

const INCIDENTS: usize = 3;

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        2 => (0..INCIDENTS, 0..3u8, 0..4u8).prop_map(|(incident, priority, status)| Happens::Told { incident, priority, status }),
        8 => (0..INCIDENTS, 0..8u8, any::<bool>()).prop_map(|(incident, fate, killed)| Happens::Step { incident, fate, killed }),
        1 => Just(Happens::Killed),
        1 => (0..INCIDENTS, any::<bool>()).prop_map(|(incident, owner)| Happens::Edited { incident, owner }),
        1 => Just(Happens::Heard),
        3 => (1..40i64).prop_map(Happens::Later),
    ]
}

fn fate(number: u8) -> Fate {
    match number {
        0 | 1 => Fate::AnswerLost,
        2 => Fate::RequestLost,
        3 => Fate::Fails(SystemError::Away("nobody listens".to_owned())),
        4 => Fate::Fails(SystemError::Throttled(Span::from_secs(3))),
        _ => Fate::Well,
    }
}

fn play(all: &[Happens]) -> Result<(), TestCaseError> {
    let mut bench = Bench::new();
    let mut told: Vec<Told> = (0..INCIDENTS).map(|number| Told::new(&format!("n{number}"))).collect();
    told.iter().for_each(|told| bench.tell(told));
    // What a person has made of it, and what it is from then on.
    let mut edits: Vec<[Option<&str>; 2]> = vec![[None; 2]; INCIDENTS];
    for happens in all {
        match happens {
            Happens::Told { incident, priority, status } => {
                let told = &mut told[*incident];
                if told.0.status == IncidentStatus::Closed {
                    continue;
                }
                told.next(|record| {
                    record.priority = [Priority::P1, Priority::P2, Priority::P3][usize::from(*priority)];
                    record.status = match status {
                        0 => IncidentStatus::Acknowledged,
                        1 => IncidentStatus::Resolved,
                        _ => IncidentStatus::Open,
                    };
                });
                bench.tell(told);
            }
            Happens::Step { incident, fate: number, killed } => {
                let key = Bench::key(&told[*incident]);
                let Some(Next::Ask(ask)) = bench.next_of(&key) else { continue };
                bench.fates([fate(*number)]);
                let answered = bench.send(&ask);
                match killed {
                    true => bench.restart(),
                    false => bench.learn(&key, &ask, answered),
                }
            }
            Happens::Killed => bench.restart(),
            Happens::Edited { incident, owner } => {
                let key = Bench::key(&told[*incident]).to_string();
                let Some(at) = bench.tickets().iter().position(|held| held.key == key) else { continue };
                let (field, value) = if *owner { (OWNER, "boris") } else { (PRIORITY, "15") };
                bench.system.person(at, "ana", field, value);
                edits[*incident][usize::from(*owner)] = Some(value);
            }
            Happens::Heard => bench.hear(),
            Happens::Later(secs) => bench.wait(Span::from_secs(*secs)),
        }
    }
    for told in &mut told {
        bench.tell(told.status(IncidentStatus::Resolved));
    }
    bench.settle_in_time();
    let per_key = bench.per_key();
    prop_assert_eq!(per_key.len(), INCIDENTS);
    prop_assert!(per_key.values().all(|tickets| *tickets == 1), "{:?}", per_key);
    prop_assert_eq!(bench.doubled_comments(), Vec::<String>::new());
    for (told, edits) in told.iter().zip(edits) {
        let key = Bench::key(told).to_string();
        let at = bench.tickets().iter().position(|held| held.key == key).expect("it has one");
        prop_assert_eq!(bench.field(at, STATUS), "resolved", "{}", key);
        let priority = match told.0.priority {
            Priority::P1 => "90",
            Priority::P2 => "70",
            _ => "50",
        };
        prop_assert_eq!(bench.field(at, PRIORITY), edits[0].unwrap_or(priority), "priority of {}", &key);
        prop_assert_eq!(bench.field(at, OWNER), edits[1].unwrap_or_default(), "owner of {}", &key);
        prop_assert!(bench.entry(told).is_done(), "{:?}", bench.entry(told));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn whatever_fails_there_is_one_ticket_as_the_incident_and_people_have_it(
        all in prop::collection::vec(happens(), 1..100)
    ) {
        play(&all)?;
    }
}
