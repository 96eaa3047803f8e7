//! A snapshot of an engine that goes on: the state as it was at one entry, written a piece at a time.
//!
//! Nearly all of a state are its series. The rest is written when a snapshot begins; each series is written
//! when it is its turn, and a series that moves on before that is written just before it does
//! ([ADR 17](../../docs/adr/0017-a-snapshot-is-taken-while-the-engine-goes-on.md)). So the longest wait is that for one
//! of the pieces, and what is written is what would have been written at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::checkpoint::State;
use crate::pieces::{Piece, Pieces};
use crate::tenant::Tenant;

/// Series of one shard that a step writes: one or two milliseconds.
const STEP_SERIES: usize = 1_024;
/// A step that ends a shard of so many bytes does no more;
const STEP_BYTES: usize = 1 << 16;
/// one that ends small ones does so many pieces.
const STEP_PIECES: usize = 64;

type Tenants = BTreeMap<Arc<str>, Tenant>;

/// How far a snapshot has come.
#[derive(Debug)]
pub enum Snapshot {
    /// There are more pieces.
    GoingOn,
    /// All is written.
    Taken(State),
    /// There is none: none was begun, or a tenant's state was let go meanwhile.
    Gone,
}

/// A snapshot that is being taken.
#[derive(Debug)]
pub(crate) struct Taking {
    pieces: Vec<Piece>,
    /// Where the next unwritten piece may be.
    next: usize,
}

impl Taking {
    /// Begins with the `head` of the engine's state: the rest are its tenants, each of which keeps its series.
    pub(crate) fn begin(head: Pieces, tenants: &mut Tenants) -> Taking {
        let pieces = written(head, tenants).into_list();
        tenants.values_mut().for_each(|tenant| tenant.shards.keep());
        Taking { pieces, next: 0 }
    }

    /// Writes the next series. Whether there are no more.
    pub(crate) fn step(&mut self, tenants: &mut Tenants) -> bool {
        let mut pieces = 0;
        while pieces < STEP_PIECES
            && let Some(piece) = self.pieces.get_mut(self.next)
        {
            pieces += 1;
            if let Piece::Series(name, shard) = piece {
                let tenant = tenants.get_mut(name);
                match tenant.map_or(Some(Vec::new()), |tenant| tenant.shards.take_series(*shard, STEP_SERIES)) {
                    Some(written) => {
                        if written.len() > STEP_BYTES {
                            pieces = STEP_PIECES;
                        }
                        *piece = Piece::Written(written);
                    }
                    // The rest of the shard is for the steps to come.
                    None => break,
                }
            }
            self.next += 1;
        }
        self.next >= self.pieces.len()
    }

    /// What is written.
    pub(crate) fn into_state(self) -> State {
        let bytes = self.pieces.into_iter().map(|piece| match piece {
            Piece::Written(bytes) => bytes,
            Piece::Series(..) => Vec::new(),
        });
        bytes.collect()
    }
}

/// The state as it is, at once.
pub(crate) fn whole(head: Pieces, tenants: &Tenants) -> State {
    let pieces = written(head, tenants).into_list().into_iter();
    let bytes = pieces.map(|piece| match piece {
        Piece::Written(bytes) => bytes,
        Piece::Series(tenant, shard) => {
            tenants.get(&tenant).map(|tenant| tenant.shards.write_series(shard)).unwrap_or_default()
        }
    });
    bytes.collect()
}

fn written(mut pieces: Pieces, tenants: &Tenants) -> Pieces {
    pieces.count(tenants.len());
    tenants.values().for_each(|tenant| tenant.write(&mut pieces));
    pieces
}
