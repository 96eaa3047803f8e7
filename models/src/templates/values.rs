//! The variable parts of a line, by its template: what stands where the template has `<*>`.
//!
//! A template is told again as groups merge, so the parts are read off the line and the text of the
//! template, whatever way the line was known. Between two parameters the shortest text serves that
//! lets the rest fit: whatever fits at all is found that way.

use super::template::{PARAM, blanks_folded};

/// The values of `line` in the places of `template`, in order, white space folded as in templates;
/// `None` when the line does not fit the template.
#[must_use]
pub fn values(template: &str, line: &str) -> Option<Vec<String>> {
    let folded = blanks_folded(line);
    let mut literals = template.split(PARAM);
    let mut rest = folded.trim_end().strip_prefix(literals.next()?)?;
    let mut found = Vec::new();
    let mut literals = literals.peekable();
    while let Some(literal) = literals.next() {
        let end = match literals.peek() {
            None => rest.strip_suffix(literal)?.len(),
            // Two parameters side by side: the last one of them has it all.
            Some(_) if literal.is_empty() => 0,
            Some(_) => {
                // A parameter has one letter at least, or a mark that stands in it would end it.
                let first = rest.chars().next()?.len_utf8();
                first + rest[first..].find(literal)?
            }
        };
        found.push(rest[..end].to_owned());
        rest = &rest[end + literal.len()..];
    }
    (!found.is_empty() || rest.is_empty()).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::templates::{Miner, MinerParams};
    use proptest::prelude::*;

    #[test]
    fn parts_are_read_off_the_line() {
        let of = |template: &str, line: &str| values(template, line).map(|values| values.join("|"));
        assert_eq!(of("port <*> of <*> open", "port 80 of  web-1 open "), Some("80|web-1".to_owned()));
        assert_eq!(of("up", "up"), Some(String::new()));
        assert_eq!(of("<*>", "anything at all"), Some("anything at all".to_owned()));
        assert_eq!(of("-<*>-", "---"), Some("-".to_owned()), "a mark may be a value");
        assert_eq!(of("a <*> b <*> b", "a 1 b 2 b 3 b"), Some("1|2 b 3".to_owned()));
        assert_eq!(of("<*><*> x", "12 x"), Some("|12".to_owned()));
        for (template, line) in
            [("port <*> open", "port 80 closed"), ("up", "down"), ("up", "up 1"), ("a <*> b <*>", "a b")]
        {
            assert_eq!(of(template, line), None, "{template} {line}");
        }
    }

    proptest! {
        #[test]
        fn values_put_back_give_the_line(lines in prop::collection::vec("(port|user|took) [a-z0-9]{1,8}(ms|:[0-9]{1,4})?( ok| {1,3}[0-9.]{1,6})?", 1..40)) {
            let mut miner = Miner::new(MinerParams::default().check().expect("in bounds"));
            let slots: Vec<u32> = lines.iter().map(|line| miner.learn(line).template).collect();
            for (line, slot) in lines.iter().zip(slots) {
                let template = miner.text(slot);
                let values = values(template, line);
                prop_assert!(values.is_some(), "`{}` of `{}`", template, line);
                let mut parts = template.split(PARAM);
                let mut again = parts.next().unwrap_or_default().to_owned();
                for (value, part) in values.unwrap_or_default().iter().zip(parts) {
                    again.push_str(value);
                    again.push_str(part);
                }
                let folded = blanks_folded(line);
                prop_assert_eq!(again, folded.trim_end());
            }
        }
    }
}
