//! Which journal an entry goes to: that of its tenant's partition.
//!
//! What concerns everybody goes to every partition. A source's cursor is written with its entries, so it lies in the partition
//! of the tenant that they are of, and moves when that changes.

use std::borrow::Cow;
use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bellwether_engine::input::Input;

use super::turns::Turns;
use crate::journal::receipts::{ReceiptTotals, Receipts};
use crate::journal::{Journal, JournalError, Mark, WriteBatch};
use crate::partition::partition_of;

/// The journal of one partition, as the door sees it.
struct Lane {
    journal: Arc<dyn Journal>,
    receipts: Arc<Receipts>,
    turns: Arc<Turns>,
    /// It did not take what was handed to it last.
    refusing: AtomicBool,
}

/// The journals of all partitions. Clones share them.
#[derive(Clone)]
pub(super) struct Routes {
    lanes: Arc<[Lane]>,
    /// Everything goes here, whosever it is.
    only: Option<usize>,
    /// Where the cursor of each source lies that this process has looked for.
    homes: Arc<Mutex<HashMap<String, usize>>>,
}

/// What of a write goes to one partition.
pub(super) type Part<'i> = (usize, Cow<'i, [Input]>);

impl Routes {
    /// Over the journals of the partitions, in order; there is at least one.
    pub(super) fn new(journals: Vec<Arc<dyn Journal>>) -> Routes {
        assert!(!journals.is_empty(), "there is always a partition");
        let lane = |journal: Arc<dyn Journal>| {
            let (receipts, turns) = (journal.receipts(), Arc::default());
            Lane { journal, receipts, turns, refusing: AtomicBool::default() }
        };
        Routes { lanes: journals.into_iter().map(lane).collect(), only: None, homes: Arc::default() }
    }

    /// The same, with everything going to `partition`.
    pub(super) fn only(&self, partition: usize) -> Routes {
        assert!(partition < self.lanes.len(), "there is no partition {partition}");
        Routes { only: Some(partition), homes: Arc::default(), ..self.clone() }
    }

    pub(super) fn count(&self) -> NonZeroUsize {
        NonZeroUsize::new(self.lanes.len()).expect("there is always a partition")
    }

    /// Where a tenant's entries go.
    pub(super) fn of(&self, tenant: &str) -> usize {
        self.only.unwrap_or_else(|| partition_of(tenant, self.count()))
    }

    pub(super) fn journal(&self, partition: usize) -> &Arc<dyn Journal> {
        &self.lanes[partition].journal
    }

    pub(super) fn turns(&self, partition: usize) -> &Arc<Turns> {
        &self.lanes[partition].turns
    }

    pub(super) fn receipts(&self, tenant: &str) -> &Arc<Receipts> {
        &self.lanes[self.of(tenant)].receipts
    }

    /// The receipts of all partitions together.
    pub(super) fn receipt_totals(&self) -> ReceiptTotals {
        let each = self.lanes.iter().map(|lane| lane.receipts.totals());
        each.fold(ReceiptTotals::default(), |all, one| ReceiptTotals {
            keys: all.keys + one.keys,
            evicted: all.evicted + one.evicted,
            expired: all.expired + one.expired,
        })
    }

    /// Notes whether `partition` took what was handed to it.
    pub(super) fn note(&self, partition: usize, refusing: bool) {
        self.lanes[partition].refusing.store(refusing, Ordering::Relaxed);
    }

    /// Whether every partition took what was handed to it last.
    pub(super) fn is_accepting(&self) -> bool {
        !self.lanes.iter().any(|lane| lane.refusing.load(Ordering::Relaxed))
    }

    /// `inputs` by partition. What concerns everybody comes into every one.
    pub(super) fn split<'i>(&self, inputs: &'i [Input]) -> Vec<Part<'i>> {
        if self.lanes.len() == 1 {
            return vec![(0, Cow::Borrowed(inputs))];
        }
        // A cursor without rows goes where its source's cursor is.
        if inputs.is_empty() {
            return Vec::new();
        }
        if let [first, rest @ ..] = inputs
            && let Some(tenant) = first.tenant()
            && rest.iter().all(|input| input.tenant() == Some(tenant))
        {
            return vec![(self.of(tenant), Cow::Borrowed(inputs))];
        }
        let partitions = self.only.map_or(0..self.lanes.len(), |only| only..only + 1);
        let part = |partition: usize| {
            let here = |input: &&Input| input.tenant().is_none_or(|tenant| self.of(tenant) == partition);
            let own: Vec<Input> = inputs.iter().filter(here).cloned().collect();
            (!own.is_empty()).then_some((partition, Cow::Owned(own)))
        };
        partitions.filter_map(part).collect()
    }

    fn homes(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.homes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the cursor of `source` lies in `partition`. One that has moved away is empty.
    fn keeps(&self, source: &str, partition: usize) -> bool {
        self.journal(partition).cursor(source).is_some_and(|cursor| !cursor.is_empty())
    }

    /// Where the cursor of `source` lies, or would.
    pub(super) fn home(&self, source: &str) -> usize {
        if let Some(home) = self.only.or_else(|| self.homes().get(source).copied()) {
            return home;
        }
        (0..self.lanes.len()).find(|at| self.keeps(source, *at)).unwrap_or(0)
    }

    /// The latest durable cursor of `source`.
    pub(super) fn cursor(&self, source: &str) -> Option<Vec<u8>> {
        self.journal(self.home(source)).cursor(source).filter(|cursor| !cursor.is_empty())
    }

    /// Makes `partition` the one with the cursor of `source`. It is copied before it is let go where it was: a process
    /// that dies in between finds the same in both.
    pub(super) async fn settle(&self, source: &str, partition: usize) -> Result<(), JournalError> {
        if self.lanes.len() == 1 || self.only.is_some() || self.homes().get(source) == Some(&partition) {
            return Ok(());
        }
        let write = |cursor: Vec<u8>| {
            let mark = Some(Mark { source: source.to_owned(), cursor });
            Arc::new(WriteBatch { mark, ..WriteBatch::default() })
        };
        let others = (0..self.lanes.len()).filter(|at| *at != partition && self.keeps(source, *at));
        for from in others {
            if !self.keeps(source, partition) {
                let cursor = self.journal(from).cursor(source).unwrap_or_default();
                self.journal(partition).append(write(cursor)).await?;
            }
            self.journal(from).append(write(Vec::new())).await?;
        }
        self.homes().insert(source.to_owned(), partition);
        Ok(())
    }
}
