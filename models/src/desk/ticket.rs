//! What is asked and what comes back: a ticket as it stood when it was opened, and how it ended.

/// A ticket as it stood when it was opened. An empty text says that the field was empty, which tells
/// something, too.
///
/// Who it is assigned to is no field: where a log shows a person at opening, that is often the last one
/// written back, as in the UCI incident log (`docs/desk-models.md`), and at the time of asking there is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ticket<'a> {
    /// Seconds since 1970.
    pub opened_s: i64,
    /// What it is about, coarsely.
    pub category: &'a str,
    /// What it is about.
    pub subcategory: &'a str,
    /// What is seen.
    pub symptom: &'a str,
    /// Where.
    pub location: &'a str,
    /// Whom it hurts.
    pub caller: &'a str,
    /// Who wrote it.
    pub opened_by: &'a str,
    /// How urgent it is; impact and urgency give it and tell nothing beside it.
    pub priority: &'a str,
    /// How it came: by phone, by mail, from monitoring.
    pub contact: &'a str,
    /// The configuration item.
    pub item: &'a str,
    /// The group it was dispatched to at opening; empty before anybody dispatched it.
    pub group: &'a str,
}

/// How a closed ticket ended. What is not known teaches nothing.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Outcome<'a> {
    /// The last group that had it.
    pub group: Option<&'a str>,
    /// Whether its agreement was missed.
    pub breached: Option<bool>,
    /// Hours from opening to resolution.
    pub hours: Option<f64>,
}
