//! Refusals of one sender: told once, then at most once a minute with how many there were, and answered
//! slower when they go on.
//!
//! A sender with a wrong credential tries again at once and for ever: told one by one it would fill the
//! log, answered one by one it would take a processor. Nobody is shut out: the next request with a good
//! credential is served as any other.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The same is told again at most this often; what was quiet for as long begins anew.
const TOLD_EVERY: Duration = Duration::from_secs(60);
/// Refusals within that time before a sender is answered slower.
const AT_ONCE_MAX: u64 = 10;
/// How long a further answer is held back.
const DELAY: Duration = Duration::from_secs(1);
/// Answers held back at a time, over all senders; beyond, they go out at once.
const DELAYED_MAX: usize = 256;
/// Senders remembered, each with a component and a reason. Beyond, the one that was quiet the longest is
/// forgotten, and told anew when it comes again.
const SENDERS_MAX: usize = 4_096;
/// Lines within [`TOLD_EVERY`], over all senders: who has many addresses must not fill the log either.
const LINES_MAX: u32 = 60;

/// Who was refused what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Refused<'a> {
    /// By its address.
    pub(crate) sender: Option<IpAddr>,
    /// The wire or listener.
    pub(crate) component: &'a str,
    /// As it is counted.
    pub(crate) reason: &'static str,
}

#[derive(Debug)]
struct Entry {
    last: Instant,
    /// When it was told last.
    told: Instant,
    /// Refusals since it began.
    count: u64,
    /// Those since it was told.
    untold: u64,
}

type Key = (Option<IpAddr>, Box<str>, &'static str);

#[derive(Debug, Default)]
struct Table {
    entries: HashMap<Key, Entry>,
    /// When the lines were last begun to be counted, and how many there were.
    lines: Option<(Instant, u32)>,
}

/// What is to be said, and whether the sender is to wait.
#[derive(Debug, PartialEq, Eq)]
struct Judged {
    /// How many were left out since the last line; `None` when nothing is to be said.
    say: Option<u64>,
    slow: bool,
}

/// The senders that were refused. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct RefusedSenders {
    table: Arc<Mutex<Table>>,
    delayed: Arc<Semaphore>,
}

impl Default for RefusedSenders {
    fn default() -> RefusedSenders {
        RefusedSenders { table: Arc::default(), delayed: Arc::new(Semaphore::new(DELAYED_MAX)) }
    }
}

/// How the answer to a refused sender goes out.
#[derive(Debug)]
pub(crate) enum Answering {
    /// As any other.
    AtOnce,
    /// After a pause, and the connection ends with it.
    Slowly(Option<OwnedSemaphorePermit>),
}

impl Answering {
    /// Waits as long as the answer is held back; true when the connection is to end with it.
    pub(crate) async fn wait(self) -> bool {
        match self {
            Answering::AtOnce => false,
            Answering::Slowly(place) => {
                if place.is_some() {
                    tokio::time::sleep(DELAY).await;
                }
                true
            }
        }
    }
}

impl RefusedSenders {
    /// Notes a refusal, and tells it when it is news.
    pub(crate) fn note(&self, refused: Refused<'_>) -> Answering {
        let judged = self.table.lock().unwrap_or_else(PoisonError::into_inner).judge(refused, Instant::now());
        if let Some(left_out) = judged.say {
            let Refused { sender, component, reason } = refused;
            let sender = sender.map_or_else(|| "unknown".to_owned(), |sender| sender.to_string());
            tracing::warn!(
                sender,
                component,
                reason,
                left_out,
                "a sender is refused; told once, then at most once a minute (see `wires.auth`)"
            );
        }
        match judged.slow {
            false => Answering::AtOnce,
            true => Answering::Slowly(self.delayed.clone().try_acquire_owned().ok()),
        }
    }
}

impl Table {
    fn judge(&mut self, refused: Refused<'_>, now: Instant) -> Judged {
        let key = (refused.sender.map(neighbourhood), Box::from(refused.component), refused.reason);
        if let Some(entry) = self.entries.get_mut(&key)
            && now.duration_since(entry.last) < TOLD_EVERY
        {
            entry.last = now;
            entry.count += 1;
            entry.untold += 1;
            let slow = entry.count > AT_ONCE_MAX;
            if now.duration_since(entry.told) < TOLD_EVERY || !Table::has_line(&mut self.lines, now) {
                return Judged { say: None, slow };
            }
            entry.told = now;
            // This one is told.
            let left_out = std::mem::take(&mut entry.untold) - 1;
            return Judged { say: Some(left_out), slow };
        }
        if self.entries.len() >= SENDERS_MAX && !self.entries.contains_key(&key) {
            let quiet = self.entries.iter().min_by_key(|(_, entry)| entry.last).map(|(key, _)| key.clone());
            quiet.map(|quiet| self.entries.remove(&quiet));
        }
        let before = self.entries.insert(key, Entry { last: now, told: now, count: 1, untold: 0 });
        let left_out = before.map_or(0, |entry| entry.untold);
        Judged { say: Table::has_line(&mut self.lines, now).then_some(left_out), slow: false }
    }

    /// Takes one of the lines there may be.
    fn has_line(lines: &mut Option<(Instant, u32)>, now: Instant) -> bool {
        let (since, count) = lines.get_or_insert((now, 0));
        if now.duration_since(*since) >= TOLD_EVERY {
            (*since, *count) = (now, 0);
        }
        *count += 1;
        *count <= LINES_MAX
    }
}

/// An IPv6 sender has all addresses of its /64.
fn neighbourhood(sender: IpAddr) -> IpAddr {
    match sender.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(sender: &str) -> Refused<'_> {
        Refused { sender: sender.parse().ok(), component: "loki", reason: "unauthorized" }
    }

    #[test]
    fn the_same_is_told_once_and_then_at_most_once_a_minute_with_what_was_left_out() {
        let (mut table, start) = (Table::default(), Instant::now());
        let at = |millis: u64| start + Duration::from_millis(millis);
        assert_eq!(table.judge(of("10.0.0.9"), at(0)), Judged { say: Some(0), slow: false });
        // A thousand a second for a minute and a little.
        let told: Vec<u64> = (1..61_000).filter_map(|millis| table.judge(of("10.0.0.9"), at(millis)).say).collect();
        assert_eq!(told, [59_999]);
        assert!(table.judge(of("10.0.0.9"), at(61_001)).slow, "it is slowed");
        let other = Refused { reason: "forbidden", ..of("10.0.0.9") };
        assert_eq!(table.judge(other, at(61_002)), Judged { say: Some(0), slow: false }, "another reason is news");
        assert_eq!(table.judge(of("10.0.0.8"), at(61_003)).say, Some(0), "so is another sender");
        assert!(!table.judge(of("10.0.0.9"), at(200_000)).slow, "what was quiet begins anew");
    }

    #[test]
    fn a_few_mistakes_are_answered_at_once() {
        let (mut table, now) = (Table::default(), Instant::now());
        let slow: Vec<bool> = (0..12).map(|_| table.judge(of("10.0.0.9"), now).slow).collect();
        assert_eq!(slow.iter().filter(|slow| **slow).count(), 2, "{slow:?}");
    }

    #[test]
    fn neither_addresses_nor_lines_are_without_bound() {
        let (mut table, now) = (Table::default(), Instant::now());
        let mut said = 0;
        for address in 0..u32::try_from(2 * SENDERS_MAX).expect("few") {
            let sender = Some(IpAddr::from(address.to_be_bytes()));
            said += u32::from(table.judge(Refused { sender, ..of("") }, now).say.is_some());
        }
        assert_eq!((table.entries.len(), said), (SENDERS_MAX, LINES_MAX));
        table.judge(of("2001:db8::1"), now);
        assert!(table.judge(of("2001:db8::2"), now).say.is_none(), "a /64 is one sender");
    }
}
