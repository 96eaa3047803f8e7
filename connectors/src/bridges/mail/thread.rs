//! By what a mail is known to be of an incident: its `Message-ID`, and the address that replies go to.
//!
//! | | |
//! |---|---|
//! | `<acme.inc_01K….7@example.org>` | `Message-ID` of what was told of revision 7 |
//! | `<acme.inc_01K…@example.org>` | `References` of all of them: a root that was never sent, under which mail programs gather them |
//! | `bellwether+acme.inc_01K…@example.org` | `Reply-To`, for programs that lose references |

/// The incident of a mail, as mail names it: `tenant.incident`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Thread(pub(super) String);

impl Thread {
    /// Of an incident.
    pub(super) fn of(tenant: &str, incident: &str) -> Thread {
        Thread(format!("{tenant}.{incident}"))
    }

    /// What every mail of it refers to.
    pub(super) fn root(&self, domain: &str) -> String {
        format!("{}@{domain}", self.0)
    }

    /// The id of what is told of a revision.
    pub(super) fn message(&self, revision: u64, domain: &str) -> String {
        format!("{}.{revision}@{domain}", self.0)
    }

    /// Where replies go.
    pub(super) fn address(&self, local: &str, domain: &str) -> String {
        format!("{local}+{}@{domain}", self.0)
    }

    /// Of a mail that is addressed so.
    pub(super) fn of_address(address: &str, local: &str, domain: &str) -> Option<Thread> {
        let (is_local, is_domain) = address.rsplit_once('@')?;
        let (user, thread) = is_local.split_once('+')?;
        let ours = user.eq_ignore_ascii_case(local) && is_domain.eq_ignore_ascii_case(domain);
        ours.then(|| Thread::read(thread)).flatten()
    }

    /// Of a mail that refers to this id, without its brackets.
    pub(super) fn of_message(id: &str, domain: &str) -> Option<Thread> {
        let (thread, is_domain) = id.rsplit_once('@')?;
        if !is_domain.eq_ignore_ascii_case(domain) {
            return None;
        }
        let revision = thread.rsplit_once('.').filter(|(_, last)| last.bytes().all(|byte| byte.is_ascii_digit()));
        Thread::read(revision.map_or(thread, |(thread, _)| thread))
    }

    /// A tenant's name can have dots, an incident's id has none.
    fn read(text: &str) -> Option<Thread> {
        let (tenant, incident) = text.rsplit_once('.')?;
        (!tenant.is_empty() && incident.starts_with("inc_")).then(|| Thread(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_is_known_again_and_nothing_else_is() {
        let thread = Thread::of("acme.eu", "inc_01");
        for id in [thread.root("x.org"), thread.message(12, "x.org")] {
            assert_eq!(Thread::of_message(&id, "X.org").as_ref(), Some(&thread), "{id}");
            assert_eq!(Thread::of_message(&id, "y.org"), None);
        }
        let address = thread.address("bell", "x.org");
        assert_eq!(Thread::of_address(&address, "Bell", "x.org"), Some(thread));
        for other in ["bell@x.org", "bell+x@x.org", "bell+.inc_1@x.org", "ring+a.inc_1@x.org", "bell+a.inc_1@y.org", ""]
        {
            assert_eq!(Thread::of_address(other, "bell", "x.org"), None, "{other}");
        }
    }
}
