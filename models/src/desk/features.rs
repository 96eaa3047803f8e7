//! From the fields of a ticket to rows of weights: each field and some pairs of fields are hashed
//! (Weinberger et al., ICML 2009), so that values never seen before need no table of names.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::ticket::Ticket;

/// Rows of weights. The UCI incident log has 7,000 different values and pairs: with twice as many
/// rows few of them share one.
pub(super) const ROWS: usize = 1 << 14;

/// A row of weights.
pub(super) type Row = u16;

/// What [`for_group`] gives.
pub(super) const FOR_GROUP: usize = 13;
/// What [`for_time`] gives.
pub(super) const FOR_TIME: usize = 17;

/// Rows that tell who resolves a ticket. The first is every ticket's.
pub(super) fn for_group(ticket: &Ticket<'_>) -> [Row; FOR_GROUP] {
    let Ticket { category, group, .. } = *ticket;
    let shift = [clock(ticket.opened_s).shift()];
    let fields = [ticket.subcategory, ticket.symptom, ticket.location, ticket.caller, ticket.opened_by];
    let fields = fields.into_iter().chain([ticket.priority, ticket.contact, ticket.item, category, group]);
    // Who dispatches at night dispatches otherwise, and a group passes on what is not its own.
    rows(
        fields.map(|text| (text.as_bytes(), &[][..])),
        [(group.as_bytes(), category.as_bytes()), (group.as_bytes(), &shift)],
    )
}

/// Rows that tell how long a ticket takes. The first is every ticket's.
pub(super) fn for_time(ticket: &Ticket<'_>) -> [Row; FOR_TIME] {
    let Ticket { category, group, .. } = *ticket;
    let clock = clock(ticket.opened_s);
    let fields = [ticket.subcategory, ticket.symptom, ticket.location, ticket.caller, ticket.opened_by];
    let fields = fields.into_iter().chain([ticket.priority, ticket.contact, ticket.item, category, group]);
    let (hour, weekday) = ([clock.hour], [clock.weekday]);
    let alone = fields.map(str::as_bytes).chain([&hour[..], &weekday[..]]).map(|bytes| (bytes, &[][..]));
    let pairs = [
        (group, ticket.opened_by),
        (group, category),
        (ticket.location, category),
        (ticket.subcategory, ticket.symptom),
    ];
    rows(alone, pairs.map(|(left, right)| (left.as_bytes(), right.as_bytes())))
}

/// Row 0, then one for each field and each pair: the place of a field in the list is the seed, so that equal
/// texts of two fields are two things.
fn rows<'a, const N: usize>(
    alone: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    pairs: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
) -> [Row; N] {
    let mut out = [0; N];
    for (place, (out, (left, right))) in out.iter_mut().skip(1).zip(alone.chain(pairs)).enumerate() {
        let seed = xxh3_64_with_seed(left, place as u64);
        let hash = xxh3_64_with_seed(right, seed);
        *out = 1 + (hash % (ROWS as u64 - 1)) as Row;
    }
    out
}

/// Hour and weekday of an instant, in the clock of the log (UTC).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Clock {
    hour: u8,
    /// 0 is Monday.
    weekday: u8,
}

impl Clock {
    /// A quarter of the day, on a working day or at the weekend.
    fn shift(self) -> u8 {
        self.hour / 6 + if self.weekday >= 5 { 4 } else { 0 }
    }
}

fn clock(at_s: i64) -> Clock {
    // 1970-01-01 was a Thursday.
    let (day, second) = (at_s.div_euclid(86_400), at_s.rem_euclid(86_400));
    Clock { hour: (second / 3_600) as u8, weekday: (day + 3).rem_euclid(7) as u8 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_have_their_hour_and_weekday_also_before_1970() {
        // 2016-02-29 13:12 UTC was a Monday.
        assert_eq!(clock(1_456_751_520), Clock { hour: 13, weekday: 0 });
        assert_eq!(clock(-1), Clock { hour: 23, weekday: 2 });
        assert_eq!(clock(1_456_751_520 + 5 * 86_400).shift(), 6, "Saturday noon");
    }

    #[test]
    fn equal_texts_of_two_fields_are_two_things() {
        let left = for_group(&Ticket { category: "7", ..Ticket::default() });
        let right = for_group(&Ticket { subcategory: "7", ..Ticket::default() });
        assert_ne!(left, right);
        assert_eq!(left, for_group(&Ticket { category: "7", ..Ticket::default() }));
    }

    #[test]
    fn a_pair_is_not_the_text_of_its_parts() {
        let pair = |group, category| for_group(&Ticket { group, category, ..Ticket::default() })[FOR_GROUP - 2];
        assert_ne!(pair("1", "23"), pair("12", "3"));
    }

    #[test]
    fn every_field_has_a_row_of_its_own() {
        let empty = Ticket::default();
        for_group(&empty).iter().chain(&for_time(&empty)).for_each(|row| assert!(usize::from(*row) < ROWS));
        let changed = |ticket: Ticket<'_>| {
            let differ = |a: &[Row], b: &[Row]| a.iter().zip(b).filter(|(a, b)| a != b).count();
            (differ(&for_group(&ticket), &for_group(&empty)), differ(&for_time(&ticket), &for_time(&empty)))
        };
        assert_eq!(changed(Ticket { caller: "c", ..empty }), (1, 1));
        assert_eq!(changed(Ticket { group: "g", ..empty }), (3, 3));
        assert_eq!(changed(Ticket { category: "k", ..empty }), (2, 3));
        assert_eq!(changed(Ticket { opened_s: 5 * 86_400, ..empty }), (0, 1), "another weekday, Tuesday");
        assert_eq!(changed(Ticket { opened_s: 2 * 86_400, ..empty }), (1, 1), "Saturday");
    }
}
