//! What of a stream each partition has in its journal.
//!
//! A stream may hold several tenants, and they live in several partitions. Entries and cursor are durable together only
//! within one journal, so each partition keeps a cursor of its own and is given what it lacks: a process that dies
//! between two of them finds the message again, and gives it to the one that has it not.

use bellwether_engine::input::Input;

use super::seen::{Delivery, Seen};
use crate::intake::{AcceptError, Intake};
use crate::journal::Mark;

/// One partition that the stream's tenants live in.
struct Part {
    partition: usize,
    door: Intake,
    seen: Seen,
    /// Something came for it that its cursor on disk does not know.
    stale: bool,
}

/// Every partition that the stream's tenants may live in.
pub(super) struct Stored {
    name: String,
    intake: Intake,
    parts: Vec<Part>,
}

impl Stored {
    /// What the journals know of the source's stream made then; `tenant` is the only one there is, if so.
    pub(super) fn restore(name: &str, tenant: Option<&str>, intake: &Intake, stream_created: &str) -> Stored {
        let partitions = match tenant {
            Some(tenant) => intake.partition_of(tenant)..intake.partition_of(tenant) + 1,
            None => 0..intake.partitions().get(),
        };
        let part = |partition: usize| {
            let door = intake.only(partition);
            let seen = Seen::restore(door.cursor(name).as_deref(), stream_created);
            Part { partition, door, seen, stale: false }
        };
        Stored { name: name.to_owned(), intake: intake.clone(), parts: partitions.map(part).collect() }
    }

    /// Everything up to `sequence` was acknowledged, so it is in the journals.
    pub(super) fn floor(&mut self, sequence: u64) {
        self.parts.iter_mut().for_each(|part| part.seen.floor(sequence));
    }

    /// Takes a message of a tenant; false when its journal has it already. What names no tenant is refused, and counted
    /// once, by the first.
    pub(super) fn take(&mut self, delivery: Delivery, tenant: Option<&str>) -> bool {
        let whose = tenant.map(|tenant| self.intake.partition_of(tenant));
        let (mut first, mut fresh) = (true, true);
        for part in &mut self.parts {
            let own = whose.map_or(first, |whose| whose == part.partition);
            first = false;
            // To the others it is nothing that they lack.
            let lacked = part.seen.take(delivery);
            if own {
                fresh = lacked;
                part.stale |= lacked;
            }
        }
        fresh
    }

    /// Gives each partition its part of `inputs`, together with what it now has of the stream.
    pub(super) async fn accept(&mut self, inputs: &[Input]) -> Result<(), AcceptError> {
        for part in &mut self.parts {
            let (intake, partition) = (&self.intake, part.partition);
            let here = |input: &&Input| input.tenant().is_some_and(|whose| intake.partition_of(whose) == partition);
            let own: Vec<Input> = inputs.iter().filter(here).cloned().collect();
            if own.is_empty() && !part.stale {
                continue;
            }
            let mark = Mark { source: self.name.clone(), cursor: part.seen.cursor() };
            part.door.accept(&own, Some(mark)).await?;
            part.stale = false;
        }
        Ok(())
    }
}
