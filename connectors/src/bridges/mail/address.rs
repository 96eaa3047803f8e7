//! Addresses, as people write them: `Bellwether <bellwether@example.org>, dba@example.org`.

use mail_parser::{Address, MessageParser};

/// One mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mailbox {
    /// Empty where none is written.
    pub(super) name: String,
    pub(super) local: String,
    pub(super) domain: String,
}

impl Mailbox {
    /// Without its name.
    pub(super) fn address(&self) -> String {
        format!("{}@{}", self.local, self.domain)
    }

    fn read(name: &str, address: &str) -> Option<Mailbox> {
        let (local, domain) = address.rsplit_once('@')?;
        // What would have to be quoted, or needs more of a mail server than every one has, is not taken.
        let plain = |text: &str, more: &str| {
            !text.is_empty() && text.chars().all(|letter| letter.is_ascii_alphanumeric() || more.contains(letter))
        };
        let well = plain(local, "!#$%&'*+-/=?^_`{|}~.") && plain(domain, ".-") && address.len() <= 254;
        let name = name.chars().filter(|letter| !letter.is_control()).collect();
        well.then(|| Mailbox { name, local: local.to_owned(), domain: domain.to_owned() })
    }
}

/// Every mailbox in `text`; `None` when it is empty, or one of them does not do.
pub(super) fn mailboxes(text: &str) -> Option<Vec<Mailbox>> {
    if text.contains(['\r', '\n']) {
        return None;
    }
    let mail = format!("To: {text}\r\n\r\n");
    let mail = MessageParser::default().parse(mail.as_bytes())?;
    let all = mail.to().map(Address::iter)?;
    let all = all.map(|of| Mailbox::read(of.name().unwrap_or_default(), of.address()?)).collect::<Option<Vec<_>>>()?;
    (!all.is_empty()).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_is_read_and_what_would_be_another_header_is_not() {
        let all = mailboxes("Desk <desk@x.org>, dba+p1@eu.x.org").expect("two");
        assert_eq!(all.iter().map(Mailbox::address).collect::<Vec<_>>(), ["desk@x.org", "dba+p1@eu.x.org"]);
        assert_eq!(all[0].name, "Desk");
        for wrong in ["", "desk", "desk@", "@x.org", "a@x.org\r\nBcc: b@x.org", "a@x.org, b", "a@[127.0.0.1]"] {
            assert_eq!(mailboxes(wrong), None, "{wrong}");
        }
    }
}
