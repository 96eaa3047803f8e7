//! `include`: engine settings of other files, laid over those of the configuration.
//!
//! ```yaml
//! # bellwether.yaml
//! include: [promote.yaml]
//! # promote.yaml
//! engine: {sense: {anomalies: {detector: {memory_points: 20}}}}
//! ```
//!
//! Each file is checked by itself, so that a mistake is shown in the file it is in; what it names
//! replaces what was said before, in the order of the list.

use std::path::Path;

use bellwether_engine::EngineConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::overlay::lay_over;
use super::problem::{Problem, TextSpan};
use super::tree::Tree;
use super::{Refused, folder_of, parse_in, read, read_text, secret};

/// What such a file may say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Included {
    /// Engine settings.
    engine: EngineConfig,
}

/// What a file says about the engine, and no more than it says.
///
/// # Errors
/// [`Refused`], as for any configuration; another section than `engine` is a mistake.
pub fn engine_settings(path: &Path) -> Result<Value, Refused> {
    let file = path.display().to_string();
    let refused = |text: String, problem| Refused { file: file.clone(), text, problems: vec![problem] };
    let text = read_text(path).map_err(|error| {
        refused(
            String::new(),
            Problem::new(TextSpan::START, error.to_string()).with_remedy("check the path and its owner"),
        )
    })?;
    let Included { engine } = parse_in(folder_of(path), &file, text.clone())?;
    // The file is well-formed: what is read here is what it names, without the defaults.
    let mut tree = Tree::parse(&text).map_err(|problem| refused(text.clone(), problem))?;
    secret::resolve(&mut tree, folder_of(path), &mut Vec::new());
    let said: Value = read::from_tree(&tree).map_err(|problem| refused(text.clone(), problem))?;
    let said = said.get("engine").cloned().unwrap_or_else(|| Value::Object(serde_json::Map::new()));
    debug_assert!(lay_over(&EngineConfig::default(), &said).is_ok_and(|laid| laid == engine));
    Ok(said)
}

/// `settings` with the files of `paths` laid over, one after the other.
///
/// # Errors
/// [`Refused`] for the first file with mistakes, or that does not go with those before it.
pub(super) fn included<'a>(
    settings: EngineConfig,
    paths: impl IntoIterator<Item = &'a Path>,
) -> Result<EngineConfig, Refused> {
    paths.into_iter().try_fold(settings, |under, path| {
        lay_over(&under, &engine_settings(path)?).map_err(|error| {
            let problem = Problem::new(TextSpan::START, format!("does not go with what it is laid over: {error}"));
            Refused { file: path.display().to_string(), text: String::new(), problems: vec![problem] }
        })
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use bellwether_engine::time::Span;

    use crate::config::load_beside;

    #[test]
    fn files_are_laid_over_in_order_and_begin_at_the_folder_of_the_configuration() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).expect("writes");
        write("a.yaml", "engine: {lateness: 3s, correlate: {threshold: 0.6}}\n");
        write("b.yaml", "engine:\n  correlate: {threshold: 0.7}\n");
        write("bellwether.yaml", "include: [a.yaml, b.yaml]\nengine: {lateness: 9s, dedup: {stale_after: 2h}}\n");
        let engine = load_beside(&dir.path().join("bellwether.yaml")).expect("accepted").engine;
        assert_eq!((engine.lateness, engine.dedup.stale_after), (Span::from_secs(3), Span::from_hours(2)));
        assert_eq!(engine.correlate.threshold, 0.7);
    }

    #[test]
    fn a_mistake_is_shown_in_the_file_it_is_in() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let refused = |text: &str| {
            fs::write(dir.path().join("promote.yaml"), text).expect("writes");
            fs::write(dir.path().join("bellwether.yaml"), "include: [promote.yaml]\n").expect("writes");
            load_beside(&dir.path().join("bellwether.yaml")).expect_err("refused").to_string()
        };
        let shown = refused("engine:\n  corelate: {threshold: 0.7}\n");
        assert!(shown.contains("promote.yaml:2:3") && shown.contains("did you mean `correlate`?"), "{shown}");
        let shown = refused("state: elsewhere\n");
        assert!(shown.contains("promote.yaml:1:1") && shown.contains("engine"), "{shown}");
        fs::remove_file(dir.path().join("promote.yaml")).expect("was there");
        let shown = load_beside(&dir.path().join("bellwether.yaml")).expect_err("refused").to_string();
        assert!(shown.contains("promote.yaml") && shown.contains("cannot read"), "{shown}");
    }
}
