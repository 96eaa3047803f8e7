//! The reckoning. It knows what was sent, what was answered, what the journal held and what receivers were told;
//! and what an engine without faults tells when it reads the same journal once, from its beginning.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;

use bellwether_connectors::Position;
use bellwether_connectors::partition::partition_of;
use bellwether_engine::Engine;
use bellwether_engine::incident::{IncidentEvent, Verb};
use bellwether_engine::input::Input;

use super::process::settings;
use super::receiver::Attempt;
use super::sender::Request;

/// Whose trouble of our own is.
const OWN_TENANT: &str = "bellwether";

/// What is known of a run that has ended in order.
pub(crate) struct Run {
    /// What each partition held.
    pub(crate) partitions: Vec<Held>,
    /// What was sent; all of it was answered.
    pub(crate) requests: Vec<Request>,
    /// What stood in the file.
    pub(crate) lines: Vec<Input>,
    /// What each receiver was offered.
    pub(crate) attempts: Vec<(String, Vec<Attempt>)>,
}

/// What is known of a partition.
pub(crate) struct Held {
    /// The journal's entries by position.
    pub(crate) entries: BTreeMap<u64, Vec<u8>>,
    /// Where the engine ended, and its digest.
    pub(crate) last: (Position, u64),
}

impl Run {
    /// Where a tenant lives.
    fn home(&self, tenant: &str) -> usize {
        partition_of(tenant, NonZeroUsize::new(self.partitions.len()).expect("there is at least one"))
    }
}

/// How many events there were.
///
/// # Errors
/// What is wrong.
pub(crate) fn judge(run: &Run) -> Result<usize, String> {
    everything_is_there_once(run)?;
    let mut count = 0;
    for (partition, held) in run.partitions.iter().enumerate() {
        let (told, digest) = reference(held)?;
        let end = held.entries.keys().next_back().copied().unwrap_or(0);
        if held.last.0.0 < end {
            return Err(format!("the engine of {partition} ended at {}, its journal at {end}", held.last.0));
        }
        if held.last.1 != digest {
            return Err(format!("the engine's state in {partition} is not that of who reads the journal once"));
        }
        for (name, attempts) in &run.attempts {
            // An attempt is of one reader, and a reader reads the log of one partition.
            let here = |attempt: &&Attempt| {
                attempt.events.first().is_none_or(|first| run.home(&first.event.tenant) == partition)
            };
            let attempts: Vec<&Attempt> = attempts.iter().filter(here).collect();
            told_once_and_in_order(&attempts, &told).map_err(|wrong| format!("receiver `{name}`: {wrong}"))?;
        }
        lives_are_whole(&told)?;
        count += told.len();
    }
    Ok(count)
}

/// Each request and each line is in its tenant's journal, whole and once, and the lines in their order.
fn everything_is_there_once(run: &Run) -> Result<(), String> {
    let mut places: HashMap<&[u8], Vec<(usize, u64)>> = HashMap::new();
    for (partition, held) in run.partitions.iter().enumerate() {
        for (at, bytes) in &held.entries {
            places.entry(bytes).or_default().push((partition, *at));
        }
    }
    let place = |input: &Input, what: &str| {
        let mut bytes = Vec::new();
        input.encode(&mut bytes);
        let home = run.home(input.tenant().unwrap_or_default());
        match places.get(&bytes[..]).map(Vec::as_slice) {
            Some([at]) if at.0 == home => Ok(*at),
            Some([at]) => Err(format!("{what} is in partition {} instead of {home}", at.0)),
            None => Err(format!("{what} was answered and is not in the journal")),
            Some(more) => Err(format!("{what} is in the journal {} times", more.len())),
        }
    };
    for request in &run.requests {
        for input in &request.inputs {
            place(input, &format!("request {:x} of {}", request.key, request.tenant))?;
        }
    }
    let mut before = BTreeMap::new();
    for (number, line) in run.lines.iter().enumerate() {
        let (partition, at) = place(line, &format!("line {number} of the file"))?;
        if before.insert(partition, at).is_some_and(|before| at < before) {
            return Err(format!("line {number} of the file is before the one before it"));
        }
    }
    Ok(())
}

/// What an engine tells that reads the journal once, and its digest at the end.
fn reference(held: &Held) -> Result<(Vec<(u64, IncidentEvent)>, u64), String> {
    let mut engine = Engine::new(settings(), NonZeroUsize::MIN).map_err(|error| error.to_string())?;
    let mut told = Vec::new();
    for (at, bytes) in &held.entries {
        let input = Input::decode(bytes).map_err(|error| error.to_string())?;
        let mut events = Vec::new();
        engine.apply(&input, &mut events);
        told.extend(events.into_iter().map(|event| (*at, event)));
    }
    Ok((told, engine.digest()))
}

/// A receiver is offered what the reference tells, from its beginning to its end, and nothing else. Something is
/// offered again only where its reader cannot know that it arrived: after a failure the same, and after a
/// start no more than the attempt that the life before ended with.
fn told_once_and_in_order(attempts: &[&Attempt], told: &[(u64, IncidentEvent)]) -> Result<(), String> {
    let places: HashMap<String, usize> = told.iter().enumerate().map(|(at, (_, event))| (event.key(), at)).collect();
    // What has arrived, where the last attempt began, and the place before which nothing may be offered.
    let (mut arrived, mut before, mut floor) = (0, None::<(u64, usize, bool)>, 0);
    for attempt in attempts {
        let mut begin = None;
        for (offset, outgoing) in attempt.events.iter().enumerate() {
            let key = outgoing.event.key();
            let at = *places.get(&key).ok_or_else(|| format!("{key} is told, and the reference does not tell it"))?;
            let (position, event) = &told[at];
            if (Position(*position), event) != (outgoing.position, &*outgoing.event) {
                return Err(format!("{key} is not what the reference tells"));
            }
            if at != *begin.get_or_insert(at) + offset {
                return Err(format!("{key} is out of order"));
            }
        }
        let Some(begin) = begin else { return Err("nothing was offered".to_owned()) };
        if begin > arrived {
            return Err(format!("event {arrived} is passed over, {begin} comes next"));
        }
        match before {
            Some((life, last, false)) if life == attempt.life && begin != last => {
                return Err(format!("what failed began at {last} and is tried again from {begin}"));
            }
            Some((life, _, true)) if life == attempt.life && begin != arrived => {
                return Err(format!("event {begin} is told again although it was answered"));
            }
            _ if begin < floor => return Err(format!("event {begin} is told again after a start")),
            _ => {}
        }
        // Where the disk did not fail, the cursor is behind what was answered before this attempt.
        if !attempt.excused {
            floor = floor.max(begin);
        }
        if attempt.arrived {
            arrived = arrived.max(begin + attempt.events.len());
        }
        before = Some((attempt.life, begin, attempt.answered));
    }
    if arrived < told.len() {
        return Err(format!("{} of {} events never arrived", told.len() - arrived, told.len()));
    }
    Ok(())
}

/// The revisions of an incident count from 1 without gaps, the first opens it, and all is over in the end.
fn lives_are_whole(told: &[(u64, IncidentEvent)]) -> Result<(), String> {
    let mut incidents: BTreeMap<(&str, &str), (u64, Verb)> = BTreeMap::new();
    for (_, event) in told {
        let record = &event.record;
        let known = incidents.entry((&event.tenant, &record.id)).or_insert((0, event.verb));
        if record.revision != known.0 + 1 || (record.revision == 1) != (event.verb == Verb::Opened) {
            return Err(format!("{} comes after revision {}", event.key(), known.0));
        }
        *known = (record.revision, event.verb);
    }
    // Trouble of our own is told over by the process that told of it, and stays open when that has ended before.
    let mut theirs = incidents.iter().filter(|((tenant, _), _)| *tenant != OWN_TENANT);
    match theirs.find(|(_, (_, verb))| !matches!(verb, Verb::Closed | Verb::Merged)) {
        Some(((tenant, id), _)) => {
            let its = told.iter().filter(|(_, event)| &*event.tenant == *tenant && event.record.id == **id);
            let line = |(at, IncidentEvent { verb, record, .. }): &(u64, IncidentEvent)| {
                format!("\n  entry {at}: {verb} at {}: {}", record.updated_at, record.title)
            };
            Err(format!("incident {tenant}/{id} is not over:{}", its.map(line).collect::<String>()))
        }
        None => Ok(()),
    }
}
