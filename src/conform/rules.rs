//! The rules, by the names that the document and the verdict give them.

use std::fmt;

/// One rule of `docs/conformance.md`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Rule {
    /// What comes again is done once.
    Once,
    /// What is older than what is held changes nothing.
    Newest,
    /// Revisions that are missing are not waited for.
    Gaps,
    /// The status counts, not the verb.
    Status,
    /// An incident that was absorbed is merged, and stays it.
    Merged,
    /// The incident above is the one that the newest revision names, or none.
    Parent,
    /// What a part leaves goes on.
    Split,
    /// What comes back in time is the same incident.
    Reopened,
    /// A new id is a new incident, whatever was there before.
    Recurrence,
    /// Incidents are known by tenant and id together.
    Tenants,
    /// A verb that is not known is a revision like others.
    UnknownVerbs,
    /// A field that is not known is passed over.
    UnknownFields,
    /// Texts are data, of any characters and up to the whole length.
    Texts,
    /// Both versions of the record are read.
    Versions,
    /// Nothing is held that was not sent.
    NothingElse,
}

impl Rule {
    /// All, in the order of the document.
    pub const ALL: [Rule; 15] = [
        Rule::Once,
        Rule::Newest,
        Rule::Gaps,
        Rule::Status,
        Rule::Merged,
        Rule::Parent,
        Rule::Split,
        Rule::Reopened,
        Rule::Recurrence,
        Rule::Tenants,
        Rule::UnknownVerbs,
        Rule::UnknownFields,
        Rule::Texts,
        Rule::Versions,
        Rule::NothingElse,
    ];

    /// As the document's headings and the verdict name it.
    pub const fn name(self) -> &'static str {
        match self {
            Rule::Once => "once",
            Rule::Newest => "newest",
            Rule::Gaps => "gaps",
            Rule::Status => "status",
            Rule::Merged => "merged",
            Rule::Parent => "parent",
            Rule::Split => "split",
            Rule::Reopened => "reopened",
            Rule::Recurrence => "recurrence",
            Rule::Tenants => "tenants",
            Rule::UnknownVerbs => "unknown-verbs",
            Rule::UnknownFields => "unknown-fields",
            Rule::Texts => "texts",
            Rule::Versions => "versions",
            Rule::NothingElse => "nothing-else",
        }
    }

    /// What it asks, in one line.
    pub const fn says(self) -> &'static str {
        match self {
            Rule::Once => "what comes again, with the same tenant, id and revision, is done once",
            Rule::Newest => "a revision that is not higher than the one held changes nothing",
            Rule::Gaps => "a higher revision is taken as it is: those that are missing are not waited for",
            Rule::Status => "the record's `status` counts, not the verb",
            Rule::Merged => "`merged_into` is kept, also where that incident is not there yet; nothing comes after it",
            Rule::Parent => "`parent_id` is what the newest revision says, also none, also one that never comes",
            Rule::Split => "a part that leaves is an incident of its own, and what it leaves goes on",
            Rule::Reopened => "what comes back under the same id is the same incident, open again",
            Rule::Recurrence => "a new id is a new incident, also with a known `dedup_key`",
            Rule::Tenants => "an incident is known by tenant and id together",
            Rule::UnknownVerbs => "a verb that is not known is a revision like others",
            Rule::UnknownFields => "a field that is not known, anywhere in the record, is passed over",
            Rule::Texts => "texts are kept as they are: any characters, records up to 64 KiB",
            Rule::Versions => "records of both versions are read",
            Rule::NothingElse => "nothing is held that was not sent",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
