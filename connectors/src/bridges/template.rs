//! What a ticket says, worded by the site: templates over an incident's record.
//!
//! A template has no files, no network and a bounded number of steps; what it names and is not there is a
//! mistake, found when the configuration is read: each one is tried on a record with everything and on one with
//! next to nothing. What comes out is without control characters, and without those that turn the reading
//! direction of what follows: a host's name must not make a ticket say something else.

use bellwether_engine::incident::IncidentRecord;
use bellwether_engine::signal::cut_to;
use minijinja::{Environment, UndefinedBehavior};

use super::words::{Page, full, sparse};

/// Steps that a template may take: a loop over every list of a record is some thousand.
const FUEL: u64 = 200_000;
/// Bytes of a template as it is written.
const TEMPLATE_BYTES_MAX: usize = 16 << 10;
/// Bytes that come out at most: twice the longest text of a record, before a system cuts it.
const OUTPUT_BYTES_MAX: usize = 64 << 10;

/// A template does not read, or names what is not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("template `{name}`: {reason}")]
pub struct TemplateError {
    /// Which.
    pub name: String,
    /// What is wrong with it.
    pub reason: String,
}

/// The templates of one bridge, by name.
pub(super) struct Templates {
    environment: Environment<'static>,
}

impl std::fmt::Debug for Templates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Templates")
    }
}

impl Templates {
    /// Reads templates, each with its name, and tries each.
    ///
    /// # Errors
    /// [`TemplateError`] of the first that does not do.
    pub(super) fn new<'t>(all: impl IntoIterator<Item = (String, &'t str)>) -> Result<Templates, TemplateError> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        let mut names = Vec::new();
        for (name, text) in all {
            if text.len() > TEMPLATE_BYTES_MAX {
                let reason = format!("it is longer than {TEMPLATE_BYTES_MAX} bytes");
                return Err(TemplateError { name, reason });
            }
            let added = environment.add_template_owned(name.clone(), text.to_owned());
            added.map_err(|error| TemplateError { name: name.clone(), reason: in_words(&error) })?;
            names.push(name);
        }
        let templates = Templates { environment };
        for record in [sparse(), full()] {
            for name in &names {
                templates.render(name, "acme", &record, &["it is new".to_owned()])?;
            }
        }
        Ok(templates)
    }

    /// What template `name` says of a record. `news` is what has changed, in words.
    ///
    /// # Errors
    /// [`TemplateError`] when it takes too many steps, or names what this record does not have.
    pub(super) fn render(
        &self,
        name: &str,
        tenant: &str,
        record: &IncidentRecord,
        news: &[String],
    ) -> Result<String, TemplateError> {
        let failed = |error: minijinja::Error| TemplateError { name: name.to_owned(), reason: in_words(&error) };
        let template = self.environment.get_template(name).map_err(failed)?;
        let text = template.render(Page::of(tenant, record, news)).map_err(failed)?;
        Ok(plain(&text))
    }
}

/// What went wrong, with the line.
fn in_words(error: &minijinja::Error) -> String {
    let line = error.line().map(|line| format!(" in line {line}")).unwrap_or_default();
    format!("{error:#}{line}").lines().next().unwrap_or_default().to_owned()
}

/// Without characters that are no text, cut where it is far too long, without blanks at its ends.
fn plain(text: &str) -> String {
    let turns = |letter: char| matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let kept = |letter: &char| (!letter.is_control() || matches!(letter, '\n' | '\t')) && !turns(*letter);
    let text: String = text.chars().filter(kept).collect();
    cut_to(&text, OUTPUT_BYTES_MAX).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Result<Templates, TemplateError> {
        Templates::new([("subject".to_owned(), text)])
    }

    fn said(text: &str, record: &IncidentRecord) -> String {
        one(text).expect("reads").render("subject", "acme", record, &[]).expect("renders")
    }

    #[test]
    fn a_template_that_names_what_is_not_there_is_refused_when_it_is_read() {
        for (text, named) in [
            ("{{ titel }}", "undefined"),
            ("{{ title", "unexpected end"),
            ("{% for c in causes %}{{ c.whta }}{% endfor %}", "undefined"),
            ("{{ labels['zone'] }}", "undefined"),
            ("{{ problem.id }}", "undefined"),
            ("{% for a in range(100000) %}{% for b in range(100000) %}x{% endfor %}{% endfor %}", "fuel"),
        ] {
            let error = one(text).expect_err(text).to_string();
            assert!(error.contains("subject") && error.contains(named), "{text}: {error}");
        }
        assert_eq!(said("{{ labels['zone'] | default('nowhere') }}", &sparse()), "nowhere");
        let guarded = "{% if problem %}{{ problem.occurrences }}{% endif %}{{ sla.resolve }}";
        assert_eq!((said(guarded, &sparse()), said(guarded, &full())), (String::new(), "4at_risk".to_owned()));
    }

    #[test]
    fn any_script_passes_and_what_turns_or_hides_text_does_not() {
        let mut record = sparse();
        record.title = "קופה 🔥 \u{202e}gnp.exe\u{2066}\u{7}\r\n线".to_owned();
        assert_eq!(said("{{ title }}", &record), "קופה 🔥 gnp.exe\n线");
    }

    #[test]
    fn what_a_record_says_is_text_and_no_template() {
        let mut record = sparse();
        record.title = "{{ tenant }} {% raw %}".to_owned();
        assert_eq!(said("{{ title }}", &record), "{{ tenant }} {% raw %}");
    }
}
