//! Reading a configuration file: YAML, one typed struct, and mistakes shown where they are.
//!
//! [`load`] works on any type that has serde and a JSON Schema, so that the configuration, a
//! catalogue and a scenario are read, and complained about, in one way:
//!
//! 1. the text becomes a tree that knows its lines ([`tree`]),
//! 2. every key is compared with the schema, all mistakes at once ([`keys`]),
//! 3. `${env:X}` and `${file:/path}` are resolved ([`secret`]),
//! 4. the tree becomes the typed value; what does not fit is shown at its line ([`read`]).

mod changed;
mod include;
pub mod keys;
mod knowledge;
mod model;
pub mod overlay;
mod page;
mod paths;
pub mod problem;
pub mod read;
pub mod secret;
pub mod tree;

use std::fmt;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

pub use changed::changed_keys;
pub use include::engine_settings;
pub use model::{BridgeMistake, CheckpointPolicy, Config, INCIDENTS_FILE, NameTwice, TenantConfig, load_catalogues};
pub use page::PageConfig;
pub use paths::load_beside;
use problem::{Problem, TextSpan};
use tree::Tree;

/// A configuration longer than this was not written by a person.
pub const CONFIG_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// A file that was not accepted, with every mistake found in it.
#[derive(Debug)]
pub struct Refused {
    file: String,
    text: String,
    /// The mistakes in the order of the file.
    pub problems: Vec<Problem>,
}

impl Refused {
    /// A file that is well written and says what cannot be.
    pub(crate) fn of(path: &Path, reason: String) -> Refused {
        let problem = Problem::new(TextSpan::START, reason);
        Refused { file: path.display().to_string(), text: String::new(), problems: vec![problem] }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let gap = if index == 0 { "" } else { "\n" };
            write!(f, "{gap}{}", problem.render(&self.file, &self.text))?;
        }
        Ok(())
    }
}

impl std::error::Error for Refused {}

/// Reads a file as a `T`.
///
/// # Errors
/// [`Refused`] with every unknown key and unresolved reference, or the first value that does
/// not fit, or that the file cannot be read.
pub fn load<T: DeserializeOwned + JsonSchema>(path: &Path) -> Result<T, Refused> {
    let file = path.display().to_string();
    match read_text(path) {
        Ok(text) => parse_in(folder_of(path), &file, text),
        Err(error) => {
            let problem = Problem::new(TextSpan::START, error.to_string()).with_remedy("check the path and its owner");
            Err(Refused { file, text: String::new(), problems: vec![problem] })
        }
    }
}

/// Reads a text as a `T`; `file` names it in complaints.
///
/// # Errors
/// As [`load`].
pub fn parse<T: DeserializeOwned + JsonSchema>(file: &str, text: String) -> Result<T, Refused> {
    parse_in(Path::new(""), file, text)
}

/// The folder that a file is in, where the relative paths it names begin.
fn folder_of(file: &Path) -> &Path {
    file.parent().unwrap_or(Path::new(""))
}

fn parse_in<T: DeserializeOwned + JsonSchema>(folder: &Path, file: &str, text: String) -> Result<T, Refused> {
    match check(folder, &text) {
        Ok(value) => Ok(value),
        Err(mut problems) => {
            problems.sort_by_key(|problem| problem.place);
            Err(Refused { file: file.to_owned(), text, problems })
        }
    }
}

/// Why a file cannot be had as text.
#[derive(Debug, thiserror::Error)]
enum TextError {
    /// The system does not give it.
    #[error("cannot read `{path}`: {error}", path = .path.display())]
    Unreadable { path: PathBuf, error: std::io::Error },
    /// It is no configuration.
    #[error("`{path}` has {length} bytes, more than {CONFIG_BYTES_MAX}", path = .path.display())]
    Long { path: PathBuf, length: u64 },
}

fn read_text(path: &Path) -> Result<String, TextError> {
    let unreadable = |error| TextError::Unreadable { path: path.to_owned(), error };
    let length = std::fs::metadata(path).map_err(unreadable)?.len();
    if length > CONFIG_BYTES_MAX {
        return Err(TextError::Long { path: path.to_owned(), length });
    }
    std::fs::read_to_string(path).map_err(unreadable)
}

fn check<T: DeserializeOwned + JsonSchema>(folder: &Path, text: &str) -> Result<T, Vec<Problem>> {
    let mut tree = Tree::parse(text).map_err(|problem| vec![problem])?;
    let mut problems = keys::unknown_keys(&tree, &schema_of::<T>());
    secret::resolve(&mut tree, folder, &mut problems);
    if !problems.is_empty() {
        return Err(problems);
    }
    read::from_tree(&tree).map_err(|problem| vec![problem])
}

/// The JSON Schema (2020-12) of a type.
pub fn schema_of<T: JsonSchema>() -> serde_json::Value {
    let settings = schemars::generate::SchemaSettings::draft2020_12();
    let schema = settings.into_generator().into_root_schema_for::<T>();
    serde_json::to_value(schema).expect("a schema is JSON")
}

#[cfg(test)]
mod tests {
    use bellwether_engine::catalogue::Catalogue;

    use super::*;

    #[test]
    fn a_catalogue_reads_as_it_is_documented() {
        let text = "teams:\n  - {name: database, escalation: dba-lead}\nservices:\n  - {entity: host:db-1, owner: database}\n\
                    slas:\n  - {name: gold, respond: {P1: 15m}, resolve: {P1: 4h}}\n\
                    topology:\n  - {from: service:checkout, to: service:db, relation: calls}\n";
        let catalogue: Catalogue = parse("catalogue.yaml", text.to_owned()).expect("reads");
        assert_eq!(catalogue.slas[0].respond.len(), 1);
    }

    #[test]
    fn all_mistakes_are_reported_in_the_order_of_the_file() {
        let text = "teams:\n  - {nam: database}\nservices:\n  - {entity: host:db-1, onwer: x}\n";
        let refused = parse::<Catalogue>("catalogue.yaml", text.to_owned()).expect_err("two mistakes");
        let shown = refused.to_string();
        assert_eq!(refused.problems.len(), 2, "{shown}");
        assert!(shown.contains("catalogue.yaml:2:6") && shown.contains("did you mean `name`?"), "{shown}");
        assert!(shown.contains("catalogue.yaml:4:25") && shown.contains("did you mean `owner`?"), "{shown}");
    }
}
