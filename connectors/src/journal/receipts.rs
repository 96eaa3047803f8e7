//! Receipts: under which keys what senders may send again is in the journal.
//!
//! A sender that misses an answer repeats itself. What it repeats is known by a key: a hash of a
//! whole request whose events carry their own times, of a document with an id, of a chunk. Whoever
//! decodes first *claims* the key ([`Claims::take`]); the claims travel with the entries and are
//! written beside them, in the same write. So entries and receipt survive or neither, and a
//! receiver that was killed between the journal's sync and its answer knows the retry when it is
//! back: the journal's newest segment begins with the receipts of the older ones.
//!
//! A claim is held until the journal is done with its write, also when its sender has hung up
//! meanwhile: nobody else stores the same thing at the same time. Claims that are dropped without
//! a durable write are forgotten, and the same thing is welcome again.
//!
//! Each tenant has its share of the table: when it is full, the tenant that holds most of it loses
//! its oldest write's keys, so that one tenant's flood pushes out nothing of the others.
//!
//! | limit | value | beyond |
//! |---|---|---|
//! | keys remembered | 262,144 (`KEYS_MAX`) | the oldest of the tenant with the most go, counted as evicted |
//! | age | 24 h (`AGE_MAX`) | forgotten, counted as expired |

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::hash::BuildHasherDefault;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bellwether_engine::planted::{self, Bug};
use bellwether_engine::time::{EventTime, Span};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::resolve::series_table::AsIs;

/// Keys remembered: at ten thousand documents a second half a minute of re-sends, at a hundred
/// requests a second three quarters of an hour. 48 bytes each in memory, and 16 in the header of
/// every segment: 4 MiB of 64 when the table is full.
pub(crate) const KEYS_MAX: usize = 262_144;

/// How long a key is remembered at most: senders that buffer on disk may have waited a night for a
/// receiver that was away.
pub(crate) const AGE_MAX: Span = Span::from_hours(24);

/// The keys of one write, and when it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// When its entries were handed over.
    pub at: EventTime,
    /// Whose it is: a hash of the tenant's name; 0 in receipts of the first format, which have none.
    pub tenant: u32,
    /// What came in it.
    pub keys: Vec<u128>,
}

/// Whose receipts are that do not say it.
pub(crate) const TENANT_UNKNOWN: u32 = 0;

/// Bytes of a receipt before its keys.
const RECEIPT_FIXED_BYTES: usize = 16;

impl Receipt {
    /// Appends its bytes: `at:i64 tenant:u32 count:u32 key:u128*`, little endian.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.reserve(RECEIPT_FIXED_BYTES + self.keys.len() * size_of::<u128>());
        out.extend_from_slice(&self.at.0.to_le_bytes());
        out.extend_from_slice(&self.tenant.to_le_bytes());
        out.extend_from_slice(&(self.keys.len() as u32).to_le_bytes());
        for key in &self.keys {
            out.extend_from_slice(&key.to_le_bytes());
        }
    }

    /// The receipt at the beginning of `bytes`, and what follows it; `says_whose` is false for
    /// those of the first format, which have no tenant.
    pub(crate) fn decode(bytes: &[u8], says_whose: bool) -> Option<(Receipt, &[u8])> {
        let (at, mut rest) = bytes.split_first_chunk::<8>()?;
        let mut tenant = TENANT_UNKNOWN;
        if says_whose {
            let (whose, after) = rest.split_first_chunk::<4>()?;
            (tenant, rest) = (u32::from_le_bytes(*whose), after);
        }
        let (count, rest) = rest.split_first_chunk::<4>()?;
        let length = (u32::from_le_bytes(*count) as usize).checked_mul(size_of::<u128>())?;
        let (keys, rest) = rest.split_at_checked(length)?;
        let key = |bytes: &[u8]| u128::from_le_bytes(bytes.try_into().expect("cut into sixteens"));
        let keys = keys.chunks_exact(size_of::<u128>()).map(key).collect();
        Some((Receipt { at: EventTime(i64::from_le_bytes(*at)), tenant, keys }, rest))
    }
}

/// The key of a request whose repetition can only be a re-send: tenant, path and body.
pub(crate) fn request_key(tenant: &str, path: &str, body: &[u8]) -> u128 {
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
    /// Claims whose write is not durable yet.
    storing: BTreeSet<u64>,
    /// The others with their keys, in the order in which they became durable.
    stored: BTreeMap<u64, Stored>,
    /// What each tenant has in `stored`.
    shares: BTreeMap<u32, Share>,
    /// Keys in `stored`.
    keys: usize,
    next: u64,
    evicted: u64,
    expired: u64,
}

/// One tenant's part of the table.
#[derive(Default)]
struct Share {
    /// Where its claims are in [`Table::stored`], oldest first.
    places: VecDeque<u64>,
    keys: usize,
}

/// A durable claim.
struct Stored {
    id: u64,
    receipt: Receipt,
}

/// The table of one journal.
#[derive(Default)]
pub struct Receipts(Mutex<Table>);

/// A reading of [`Receipts`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
        self.lock().stored.values().map(|stored| stored.receipt.clone()).collect()
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

    /// The write of claim `id` is durable.
    fn settle(&mut self, id: u64, receipt: Receipt) {
        let now = receipt.at;
        self.storing.remove(&id);
        if !receipt.keys.is_empty() {
            self.keys += receipt.keys.len();
            let share = self.shares.entry(receipt.tenant).or_default();
            share.keys += receipt.keys.len();
            self.next += 1;
            share.places.push_back(self.next);
            self.stored.insert(self.next, Stored { id, receipt });
        }
        while let Some((oldest, stored)) = self.stored.first_key_value()
            && now.since(stored.receipt.at) > AGE_MAX
        {
            self.expired += self.drop_stored(*oldest);
        }
        while self.keys > KEYS_MAX
            && let Some(share) = self.shares.values().max_by_key(|share| share.keys)
            && let Some(oldest) = share.places.front()
        {
            self.evicted += self.drop_stored(*oldest);
        }
    }

    /// Forgets the durable claim at `place`, its tenant's oldest; returns how many keys it had.
    fn drop_stored(&mut self, place: u64) -> u64 {
        let Some(Stored { id, receipt }) = self.stored.remove(&place) else { return 0 };
        let count = receipt.keys.len();
        self.keys -= count;
        if let Some(share) = self.shares.get_mut(&receipt.tenant) {
            share.keys -= count;
            debug_assert_eq!(share.places.front(), Some(&place));
            share.places.pop_front();
            if share.places.is_empty() {
                self.shares.remove(&receipt.tenant);
            }
        }
        self.forget(id, &receipt.keys);
        count as u64
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

/// What one write claims. Held until the journal is done with it.
pub struct Claims {
    receipts: Arc<Receipts>,
    tenant: u32,
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
    /// No claims yet, of what came from `tenant` `at`.
    pub fn new(receipts: Arc<Receipts>, tenant: &str, at: EventTime) -> Claims {
        Claims { receipts, tenant: xxh3_64(tenant.as_bytes()) as u32, at, mine: Mutex::default() }
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
        if owner != id && table.storing.contains(&owner) && !planted::has(Bug::BusyTakenForStored) {
            mine.blocked = true;
            return Claim::Busy;
        }
        Claim::Taken
    }

    /// Whether a key was [`Claim::Busy`]: then what was decoded is not to be stored.
    pub(crate) fn is_blocked(&self) -> bool {
        self.mine().blocked
    }

    /// Whether nothing is claimed.
    pub fn is_empty(&self) -> bool {
        self.mine().keys.is_empty()
    }

    /// What is to be written beside the entries.
    pub fn receipt(&self) -> Receipt {
        Receipt { at: self.at, tenant: self.tenant, keys: self.mine().keys.clone() }
    }

    /// How large [`Claims::receipt`] is on disk.
    pub(crate) fn receipt_bytes(&self) -> usize {
        RECEIPT_FIXED_BYTES + self.mine().keys.len() * size_of::<u128>()
    }

    /// The write is durable: the keys stay. Journals call this, before they say so.
    pub fn keep(&self) {
        let mut mine = self.mine();
        if let Some(id) = mine.id.take() {
            let receipt = Receipt { at: self.at, tenant: self.tenant, keys: std::mem::take(&mut mine.keys) };
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
        claims_of(receipts, "acme", secs)
    }

    fn claims_of(receipts: &Arc<Receipts>, tenant: &str, secs: i64) -> Claims {
        Claims::new(receipts.clone(), tenant, NOW.plus(Span::from_secs(secs)))
    }

    #[test]
    fn a_key_is_one_claimers_until_its_write_is_durable_and_then_taken() {
        let receipts = Arc::new(Receipts::default());
        let (first, second) = (claims(&receipts, 0), claims(&receipts, 0));
        assert_eq!((first.take(7), first.take(7)), (Claim::Ours, Claim::Taken));
        assert_eq!((second.take(7), second.is_blocked(), first.is_blocked()), (Claim::Busy, true, false));
        first.keep();
        drop(first);
        assert_eq!(second.take(7), Claim::Taken);
        assert!(matches!(&receipts.list()[..], [Receipt { at: NOW, keys, .. }] if keys == &[7]));
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

    #[test]
    fn a_tenant_that_floods_the_table_pushes_out_nothing_of_another() {
        let receipts = Arc::new(Receipts::default());
        let store = |tenant: &str, keys: std::ops::Range<u128>| {
            let claims = claims_of(&receipts, tenant, 0);
            keys.for_each(|key| assert_eq!(claims.take(key), Claim::Ours));
            claims.keep();
        };
        store("small", 0..100);
        let step = KEYS_MAX as u128 / 4;
        (1..9u128).for_each(|round| store("large", round * step..(round + 1) * step));
        let totals = receipts.totals();
        assert!(totals.keys <= KEYS_MAX && totals.evicted >= 4 * step as u64, "{totals:?}");
        let known = |tenant: &str, key: u128| claims_of(&receipts, tenant, 0).take(key);
        assert!((0..100).all(|key| known("small", key) == Claim::Taken), "the oldest of all, and all there");
        assert_eq!((known("large", step), known("large", 9 * step - 1)), (Claim::Ours, Claim::Taken));
        // So it is after a restart.
        let again = Receipts::restore(receipts.list());
        assert_eq!(again.totals().keys, totals.keys);
        assert_eq!(again.lock().shares.len(), 2);
    }

    proptest! {
        #![proptest_config(crate::fuzz::config())]

        #[test]
        fn claims_behave_as_a_set_that_a_restart_keeps(
            writes in proptest::collection::vec((proptest::collection::vec(0u128..40, 0..6), any::<bool>(), any::<bool>()), 0..30),
        ) {
            let mut receipts = Arc::new(Receipts::default());
            let mut model: HashSet<u128> = HashSet::new();
            for (keys, durable, restart) in writes {
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
                        let (receipt, after) = Receipt::decode(rest, true).expect("written above");
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
            for (says_whose, fixed) in [(true, 16), (false, 12)] {
                if let Some((receipt, rest)) = Receipt::decode(&bytes, says_whose) {
                    prop_assert_eq!(receipt.keys.len() * 16 + fixed + rest.len(), bytes.len());
                }
            }
        }
    }
}
