//! The state of an engine in pieces, so that the large ones can be written one at a time, while the engine goes on.
//!
//! What a piece holds is what a whole state would hold at its place: the pieces one after the other are that state.

use std::sync::Arc;

use serde::Serialize;

/// A part of a state.
#[derive(Debug)]
pub(crate) enum Piece {
    /// It is written.
    Written(Vec<u8>),
    /// The series of a shard of a tenant, which are not written yet.
    Series(Arc<str>, usize),
}

/// A state that is being written.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    before: Vec<Piece>,
    open: Vec<u8>,
}

impl Pieces {
    /// What follows.
    pub(crate) fn put(&mut self, value: &impl Serialize) {
        let open = std::mem::take(&mut self.open);
        self.open = postcard::to_extend(value, open).expect("the state holds only what postcard can write");
    }

    /// How many of what follows there are, where each is put by itself.
    pub(crate) fn count(&mut self, count: usize) {
        self.put(&count);
    }

    /// The series of a shard follow.
    pub(crate) fn series(&mut self, tenant: &Arc<str>, shard: usize) {
        self.close();
        self.before.push(Piece::Series(tenant.clone(), shard));
    }

    /// What is there.
    pub(crate) fn into_list(mut self) -> Vec<Piece> {
        self.close();
        self.before
    }

    fn close(&mut self) {
        let open = std::mem::take(&mut self.open);
        if !open.is_empty() {
            self.before.push(Piece::Written(open));
        }
    }
}
