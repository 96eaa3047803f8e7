//! Receipts: under which keys what senders may send again is in the journal.
//!
//! A sender that misses an answer repeats itself. What it repeats is known by a key: a hash of a
//! whole request whose events carry their own times, of a document with an id, of a chunk. Whoever
//! decodes first *claims* the key ([`Claims::take`]); the claims travel with the entries and are
//! written beside them, in the same group. So entries and receipt survive or neither, and a
//! receiver that was killed between the journal's sync and its answer knows the retry when it is
//! back: the journal's newest segment begins with the receipts of the older ones.
//!
//! A claim is held until the journal is done with its group, also when its sender has hung up
//! meanwhile: nobody else stores the same thing at the same time. Claims that are dropped without
//! a durable group are forgotten, and the same thing is welcome again.
//!
//! | limit | value | beyond |
//! |---|---|---|
//! | keys remembered | 262,144 ([`KEYS_MAX`]) | the oldest group's go, counted as evicted |
//! | age | 24 h ([`AGE_MAX`]) | forgotten, counted as expired |

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::BuildHasherDefault;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bellwether_engine::time::{EventTime, Span};
use xxhash_rust::xxh3::Xxh3;

use crate::series_table::AsIs;

/// Keys remembered: at ten thousand documents a second half a minute of re-sends, at a hundred
/// requests a second three quarters of an hour. 48 bytes each in memory, and 16 in the header of
/// every segment: 4 MiB of 64 when the table is full.
pub const KEYS_MAX: usize = 262_144;

/// How long a key is remembered at most: senders that buffer on disk may have waited a night for a
/// receiver that was away.
pub const AGE_MAX: Span = Span::from_hours(24);

/// The keys of one group, and when it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// When its entries were handed over.
    pub at: EventTime,
    /// What came in it.
    pub keys: Vec<u128>,
}

/// Bytes of a receipt before its keys.
const RECEIPT_FIXED_BYTES: usize = 12;

impl Receipt {
    /// Appends its bytes: `at:i64 count:u32 key:u128*`, little endian.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.reserve(RECEIPT_FIXED_BYTES + self.keys.len() * size_of::<u128>());
        out.extend_from_slice(&self.at.0.to_le_bytes());
        out.extend_from_slice(&(self.keys.len() as u32).to_le_bytes());
        for key in &self.keys {
            out.extend_from_slice(&key.to_le_bytes());
        }
    }

    /// The receipt at the beginning of `bytes`, and what follows it.
    pub(crate) fn decode(bytes: &[u8]) -> Option<(Receipt, &[u8])> {
        let (at, rest) = bytes.split_first_chunk::<8>()?;
        let (count, rest) = rest.split_first_chunk::<4>()?;
        let length = (u32::from_le_bytes(*count) as usize).checked_mul(size_of::<u128>())?;
        let (keys, rest) = rest.split_at_checked(length)?;
        let key = |bytes: &[u8]| u128::from_le_bytes(bytes.try_into().expect("cut into sixteens"));
        let keys = keys.chunks_exact(size_of::<u128>()).map(key).collect();
        Some((Receipt { at: EventTime(i64::from_le_bytes(*at)), keys }, rest))
    }
}

/// The key of a request whose repetition can only be a re-send: tenant, path and body.
pub fn request_key(tenant: &str, path: &str, body: &[u8]) -> u128 {
    let mut hasher = Xxh3::new();
    for part in [tenant.as_bytes(), path.as_bytes()] {
        hasher.update(part);
        hasher.update(&[0xff]);
    }
    hasher.update(body);
    hasher.digest128()
}

/// What is known of a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Claim {
    /// It is new, and now the claimer's.
    Ours,
    /// Somebody else's claim on it is on its way to the journal; whether it gets there is not
    /// known yet.
    Busy,
    /// It is in the journal, or will be together with what the claimer stores.
    Taken,
}

#[derive(Default)]
struct Table {
    /// Whose a key is.
    known: HashMap<u128, u64, BuildHasherDefault<AsIs>>,
    /// Claims whose group is not durable yet.
    storing: BTreeSet<u64>,
    /// The others with their keys, oldest first.
    stored: VecDeque<(u64, Receipt)>,
    /// Keys in `stored`.
    keys: usize,
    next: u64,
    evicted: u64,
    expired: u64,
}

/// The table of one journal.
#[derive(Default)]
pub struct Receipts(Mutex<Table>);

/// A reading of [`Receipts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiptTotals {
    /// Keys remembered.
    pub keys: usize,
    /// Keys forgotten because there were too many.
    pub evicted: u64,
    /// Keys forgotten because they were too old.
    pub expired: u64,
}

impl Receipts {
    /// A table of what a journal holds, oldest first.
    pub fn restore(receipts: impl IntoIterator<Item = Receipt>) -> Receipts {
        let mut table = Table::default();
        for receipt in receipts {
            let id = table.begin();
            for key in &receipt.keys {
                table.known.insert(*key, id);
            }
            table.settle(id, receipt);
        }
        Receipts(Mutex::new(table))
    }

    /// What is durable, oldest first.
    pub fn list(&self) -> Vec<Receipt> {
        self.lock().stored.iter().map(|(_, receipt)| receipt.clone()).collect()
    }

    /// How many there are and were.
    pub fn totals(&self) -> ReceiptTotals {
        let table = self.lock();
        ReceiptTotals { keys: table.keys, evicted: table.evicted, expired: table.expired }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn begin(&mut self) -> u64 {
        self.next += 1;
        self.storing.insert(self.next);
        self.next
    }

    /// The group of claim `id` is durable.
    fn settle(&mut self, id: u64, receipt: Receipt) {
        let now = receipt.at;
        self.storing.remove(&id);
        self.keys += receipt.keys.len();
        self.stored.push_back((id, receipt));
        while let Some((_, oldest)) = self.stored.front() {
            let (over, old) = (self.keys > KEYS_MAX, now.since(oldest.at) > AGE_MAX);
            if !over && !old {
                break;
            }
            let count = oldest.keys.len();
            *(if over { &mut self.evicted } else { &mut self.expired }) += count as u64;
            self.keys -= count;
            if let Some((id, oldest)) = self.stored.pop_front() {
                self.forget(id, &oldest.keys);
            }
        }
    }

    fn forget(&mut self, id: u64, keys: &[u128]) {
        for key in keys {
            // A key that came again after it had been forgotten is another claim's.
            if self.known.get(key) == Some(&id) {
                self.known.remove(key);
            }
        }
    }
}

/// What one group claims. Held until the journal is done with it.
pub struct Claims {
    receipts: Arc<Receipts>,
    at: EventTime,
    mine: Mutex<Mine>,
}

#[derive(Default)]
struct Mine {
    /// Given with the first key.
    id: Option<u64>,
    keys: Vec<u128>,
    blocked: bool,
}

impl Claims {
    /// No claims yet, of what came `at`.
    pub fn new(receipts: Arc<Receipts>, at: EventTime) -> Claims {
        Claims { receipts, at, mine: Mutex::default() }
    }

    fn mine(&self) -> MutexGuard<'_, Mine> {
        self.mine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Claims `key`, unless somebody else has.
    pub fn take(&self, key: u128) -> Claim {
        let mut mine = self.mine();
        let mut table = self.receipts.lock();
        let id = *mine.id.get_or_insert_with(|| table.begin());
        let Some(owner) = table.known.get(&key).copied() else {
            table.known.insert(key, id);
            mine.keys.push(key);
            return Claim::Ours;
        };
        if owner != id && table.storing.contains(&owner) {
            mine.blocked = true;
            return Claim::Busy;
        }
        Claim::Taken
    }

    /// Whether a key was [`Claim::Busy`]: then what was decoded is not to be stored.
    pub fn is_blocked(&self) -> bool {
        self.mine().blocked
    }

    /// Whether nothing is claimed.
    pub fn is_empty(&self) -> bool {
        self.mine().keys.is_empty()
    }

    /// What is to be written beside the entries.
    pub fn receipt(&self) -> Receipt {
        Receipt { at: self.at, keys: self.mine().keys.clone() }
    }

    /// How large [`Claims::receipt`] is on disk.
    pub(crate) fn receipt_bytes(&self) -> usize {
        RECEIPT_FIXED_BYTES + self.mine().keys.len() * size_of::<u128>()
    }

    /// The group is durable: the keys stay. Journals call this, before they say so.
    pub fn keep(&self) {
        let mut mine = self.mine();
        if let Some(id) = mine.id.take() {
            let receipt = Receipt { at: self.at, keys: std::mem::take(&mut mine.keys) };
            self.receipts.lock().settle(id, receipt);
        }
    }
}

impl Drop for Claims {
    fn drop(&mut self) {
        let mine = self.mine.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = mine.id.take() {
            let mut table = self.receipts.lock();
            table.storing.remove(&id);
            table.forget(id, &mine.keys);
        }
    }
}

impl std::fmt::Debug for Claims {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Claims").field("at", &self.at).field("keys", &self.mine().keys.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    const NOW: EventTime = EventTime::from_secs(1_000_000);

    fn claims(receipts: &Arc<Receipts>, secs: i64) -> Claims {
        Claims::new(receipts.clone(), NOW.plus(Span::from_secs(secs)))
    }

    #[test]
    fn a_key_is_one_claimers_until_its_group_is_durable_and_then_taken() {
        let receipts = Arc::new(Receipts::default());
        let (first, second) = (claims(&receipts, 0), claims(&receipts, 0));
        assert_eq!((first.take(7), first.take(7)), (Claim::Ours, Claim::Taken));
        assert_eq!((second.take(7), second.is_blocked(), first.is_blocked()), (Claim::Busy, true, false));
        first.keep();
        drop(first);
        assert_eq!(second.take(7), Claim::Taken);
        assert_eq!(receipts.list(), [Receipt { at: NOW, keys: vec![7] }]);
    }

    #[test]
    fn what_did_not_become_durable_is_welcome_again() {
        let receipts = Arc::new(Receipts::default());
        let refused = claims(&receipts, 0);
        assert_eq!(refused.take(7), Claim::Ours);
        drop(refused);
        assert_eq!(claims(&receipts, 0).take(7), Claim::Ours);
        assert_eq!(receipts.totals().keys, 0);
    }

    #[test]
    fn too_many_and_too_old_are_forgotten_and_counted() {
        let receipts = Arc::new(Receipts::default());
        let store = |secs: i64, keys: std::ops::Range<u128>| {
            let claims = claims(&receipts, secs);
            keys.for_each(|key| assert_eq!(claims.take(key), Claim::Ours));
            claims.keep();
        };
        let half = KEYS_MAX as u128 / 2;
        store(0, 0..half);
        store(1, half..2 * half);
        assert_eq!(receipts.totals(), ReceiptTotals { keys: KEYS_MAX, evicted: 0, expired: 0 });
        store(2, 2 * half..2 * half + 1);
        let want = ReceiptTotals { keys: KEYS_MAX / 2 + 1, evicted: half as u64, expired: 0 };
        assert_eq!(receipts.totals(), want);
        assert_eq!((claims(&receipts, 2).take(0), claims(&receipts, 2).take(half)), (Claim::Ours, Claim::Taken));
        store(24 * 3_600 + 2, 3 * half..3 * half + 1);
        let want = ReceiptTotals { keys: 2, evicted: half as u64, expired: half as u64 };
        assert_eq!(receipts.totals(), want, "the one of second 2 is not too old yet");
    }

    proptest! {
        #![proptest_config(crate::fuzz::config())]

        #[test]
        fn claims_behave_as_a_set_that_a_restart_keeps(
            groups in proptest::collection::vec((proptest::collection::vec(0u128..40, 0..6), any::<bool>(), any::<bool>()), 0..30),
        ) {
            let mut receipts = Arc::new(Receipts::default());
            let mut model: HashSet<u128> = HashSet::new();
            for (keys, durable, restart) in groups {
                let claims = claims(&receipts, 0);
                let mut new = HashSet::new();
                for key in keys {
                    let want = if model.contains(&key) || !new.insert(key) { Claim::Taken } else { Claim::Ours };
                    prop_assert_eq!(claims.take(key), want);
                }
                if durable {
                    claims.keep();
                    model.extend(new);
                }
                drop(claims);
                if restart {
                    let mut bytes = Vec::new();
                    receipts.list().iter().for_each(|receipt| receipt.encode(&mut bytes));
                    let mut rest = &bytes[..];
                    let mut back = Vec::new();
                    while !rest.is_empty() {
                        let (receipt, after) = Receipt::decode(rest).expect("written above");
                        back.push(receipt);
                        rest = after;
                    }
                    receipts = Arc::new(Receipts::restore(back));
                }
                prop_assert_eq!(receipts.totals().keys, model.len());
            }
        }

        #[test]
        fn arbitrary_bytes_are_no_receipt_and_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Some((receipt, rest)) = Receipt::decode(&bytes) {
                prop_assert_eq!(receipt.keys.len() * 16 + 12 + rest.len(), bytes.len());
            }
        }
    }
}
