//! Inside a crate, too, imports lead down: no circle of files, and the rooms as ARCHITECTURE.md stacks them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::imports::{Imports, circles};
use super::root;

/// Each crate's sources, by the name that ARCHITECTURE.md stacks its rooms under.
const SOURCES: [(&str, &str); 5] = [
    ("models", "models/src"),
    ("engine", "engine/src"),
    ("connectors", "connectors/src"),
    ("datasets", "datasets/src"),
    ("bellwether", "src"),
];

/// The arrows that count: a file may use what the head of its own folder holds, which lists it.
fn counted(imports: &Imports) -> BTreeMap<usize, BTreeSet<usize>> {
    let is_head_of = |head: usize, file: usize| {
        let head = &imports.files[head];
        let folder = match head.file_name().is_some_and(|name| name == "mod.rs") {
            true => head.parent().expect("it is in a folder").to_owned(),
            false => head.with_extension(""),
        };
        imports.files[file].starts_with(&folder)
    };
    let arrows = imports.arrows().into_iter();
    arrows.map(|(from, to)| (from, to.into_iter().filter(|to| !is_head_of(*to, from)).collect())).collect()
}

#[test]
fn no_circle_of_imports_inside_a_crate() {
    let mut found = Vec::new();
    for (name, source) in SOURCES {
        let imports = Imports::read(&root().join(source));
        let arrows = counted(&imports);
        assert!(!arrows.is_empty(), "nothing was read of {name}");
        for circle in circles(&arrows) {
            let within = |file: &usize| circle.contains(file);
            let ties = circle.iter().flat_map(|from| {
                let to = arrows.get(from).into_iter().flatten().filter(|to| within(to));
                to.map(|to| format!("    {} -> {}", imports.files[*from].display(), imports.files[*to].display()))
            });
            found.push(format!("{name}:\n{}", ties.collect::<Vec<_>>().join("\n")));
        }
    }
    assert!(found.is_empty(), "{} circles\n{}", found.len(), found.join("\n"));
}

/// The room that a file stands in: its first folder, or itself.
fn room(file: &Path) -> String {
    let first = file.iter().next().expect("a file has a name").to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// The stack of a crate's rooms as ARCHITECTURE.md draws it, the lowest first: a line
/// `name: a, b < c + d < e`, where rooms between two `<` do not import each other, but for those joined
/// by `+`, which are one: their files lean on each other, in no circle.
fn stack(text: &str, name: &str) -> Vec<Vec<BTreeSet<String>>> {
    let fence = text.split("```layers").nth(1).and_then(|rest| rest.split("```").next());
    let lines = fence.expect("ARCHITECTURE.md has a block `layers`").lines();
    let mut line = String::new();
    for part in lines {
        let begins = part.split_once(':').is_some_and(|(head, _)| !head.contains(' ') && !head.is_empty());
        if begins {
            if !line.is_empty() {
                break;
            }
            if let Some((head, rest)) = part.split_once(':')
                && head == name
            {
                line = rest.to_owned();
            }
        } else if !line.is_empty() {
            line.push_str(part);
        }
    }
    let joined = |rooms: &str| rooms.split('+').map(|room| room.trim().to_owned()).collect();
    line.split('<').map(|layer| layer.split(',').map(joined).collect()).collect()
}

#[test]
fn rooms_import_only_those_below_them() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md reads");
    let mut wrong = Vec::new();
    for (name, source) in SOURCES {
        let layers = stack(&text, name);
        // Where each room stands: its layer, and its place there, which joined rooms share.
        let mut height: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for (layer, places) in layers.iter().enumerate() {
            for (place, joined) in places.iter().enumerate() {
                height.extend(joined.iter().map(|room| (room.as_str(), (layer, place))));
            }
        }
        let imports = Imports::read(&root().join(source));
        let rooms: BTreeSet<String> =
            imports.files.iter().map(|file| room(file)).filter(|room| room != "lib").collect();
        for room in &rooms {
            if !height.contains_key(room.as_str()) {
                wrong.push(format!("{name}: `{room}` is not in the stack of ARCHITECTURE.md"));
            }
        }
        for gone in height.keys().filter(|room| !rooms.contains(**room)) {
            wrong.push(format!("{name}: the stack of ARCHITECTURE.md names `{gone}`, which is not there"));
        }
        for (from, to) in imports.arrows().into_iter().flat_map(|(from, to)| to.into_iter().map(move |to| (from, to))) {
            let (upper, lower) = (room(&imports.files[from]), room(&imports.files[to]));
            let (Some(above), Some(below)) = (height.get(upper.as_str()), height.get(lower.as_str())) else { continue };
            if above != below && below.0 >= above.0 {
                let (from, to) = (imports.files[from].display(), imports.files[to].display());
                wrong.push(format!("{name}: {from} imports {to}, `{lower}` is not below `{upper}`"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
