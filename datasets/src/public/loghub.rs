//! LogHub: 2,000 lines of each of several systems, with the template of each line.
//!
//! Three label sets exist and disagree: the original ones (Zhu et al., ICSE-SEIP 2019), the
//! corrected ones (Khan et al., ICSE 2022) in the same folder, and those of LogHub-2.0
//! (Jiang et al., ISSTA 2024) in a folder of their own. Always say which.

use super::{LoadError, rows};
use std::path::{Path, PathBuf};

/// Which labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabelSet {
    /// Folder `loghub_2k`, `*_structured.csv`.
    Original,
    /// Folder `loghub_2k`, `*_structured_corrected.csv`.
    Corrected,
    /// Folder `loghub2_2k`, `*_structured.csv`.
    Loghub2,
}

impl LabelSet {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Original, Self::Corrected, Self::Loghub2];

    /// Folder below the data directory.
    #[must_use]
    pub fn folder(self) -> &'static str {
        match self {
            Self::Original | Self::Corrected => "loghub_2k",
            Self::Loghub2 => "loghub2_2k",
        }
    }

    /// Word for tables and metric names.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Original => "original",
            Self::Corrected => "corrected",
            Self::Loghub2 => "loghub2",
        }
    }

    fn ending(self) -> &'static str {
        match self {
            Self::Original | Self::Loghub2 => "_2k.log_structured.csv.gz",
            Self::Corrected => "_2k.log_structured_corrected.csv.gz",
        }
    }
}

/// The lines of one system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct System {
    /// Name, e.g. `HDFS`.
    pub name: String,
    /// Content of each line: without the header of date, level and component.
    pub lines: Vec<String>,
    /// Labelled template of each line.
    pub templates: Vec<String>,
    /// The file.
    pub path: PathBuf,
}

/// Loads every system below `data/<folder of the label set>`, by name.
///
/// # Errors
/// [`LoadError`] naming file, row and column; also when there is no system.
pub fn load(data: &Path, labels: LabelSet) -> Result<Vec<System>, LoadError> {
    let folder = data.join(labels.folder());
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(LoadError::read(&folder))? {
        let entry = entry.map_err(LoadError::read(&folder))?;
        if entry.path().is_dir() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    if names.is_empty() {
        return Err(LoadError::meta(&folder, "holds no system"));
    }
    names.into_iter().map(|name| system(&folder, name, labels)).collect()
}

fn system(folder: &Path, name: String, labels: LabelSet) -> Result<System, LoadError> {
    let path = folder.join(&name).join(format!("{name}{}", labels.ending()));
    let table = rows::Rows::read(&path)?;
    let lines = table.column("Content", "text", |cell| Some(cell.to_owned()))?;
    let templates = table.column("EventTemplate", "text", |cell| Some(cell.to_owned()))?;
    Ok(System { name, lines, templates, path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_is_its_contents_and_their_templates() {
        let data = std::env::temp_dir().join(format!("bellwether-loghub-{}", std::process::id()));
        let folder = data.join("loghub_2k/Toy");
        std::fs::create_dir_all(&folder).expect("temporary folder");
        let text = "LineId,Content,EventId,EventTemplate\n1,\"up, 5 s\",E1,\"up, <*> s\"\n";
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut gz, text.as_bytes()).expect("memory");
        std::fs::write(folder.join("Toy_2k.log_structured.csv.gz"), gz.finish().expect("memory"))
            .expect("temporary file");
        let systems = load(&data, LabelSet::Original).expect("one system");
        let absent = load(&data, LabelSet::Corrected).expect_err("no corrected labels").to_string();
        std::fs::remove_dir_all(&data).expect("temporary folder");
        assert_eq!((systems.len(), systems[0].name.as_str()), (1, "Toy"));
        assert_eq!((systems[0].lines[0].as_str(), systems[0].templates[0].as_str()), ("up, 5 s", "up, <*> s"));
        assert!(absent.contains("Toy_2k.log_structured_corrected.csv.gz"), "{absent}");
    }
}
