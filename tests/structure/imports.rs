//! Who imports whom inside a crate, file by file, read from the sources.
//!
//! An arrow goes from the file that uses a name to the file that defines it: re-exports are looked
//! through, and a facade that only re-exports imports nothing. What is compiled for tests alone does
//! not count.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, UseTree, Visibility};

/// Where a path leads.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Target {
    Module(usize),
    /// Something defined in a file.
    Defined(usize),
}

/// One `use`, under the name it gives.
struct Import {
    alias: String,
    path: Vec<String>,
    /// Re-exported: a door, not a need.
    public: bool,
}

#[derive(Default)]
struct Module {
    parent: Option<usize>,
    children: BTreeMap<String, usize>,
    file: usize,
    defined: BTreeSet<String>,
    imports: Vec<Import>,
    globs: Vec<Vec<String>>,
    paths: Vec<Vec<String>>,
}

/// The files of a crate and the arrows between them.
pub(crate) struct Imports {
    /// Paths from the crate's source folder.
    pub(crate) files: Vec<PathBuf>,
    modules: Vec<Module>,
    source: PathBuf,
}

/// How far re-exports are followed; a longer chain would be a circle of its own.
const HOPS_MAX: usize = 16;

impl Imports {
    /// Reads the crate whose root is `lib.rs` in `source`.
    pub(crate) fn read(source: &Path) -> Imports {
        let mut read = Imports { files: Vec::new(), modules: Vec::new(), source: source.to_owned() };
        read.file(&source.join("lib.rs"), source, None);
        read
    }

    /// Reads one file as a module whose children lie in `folder`.
    fn file(&mut self, path: &Path, folder: &Path, parent: Option<usize>) -> usize {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        self.files.push(path.strip_prefix(&self.source).expect("below the source folder").to_owned());
        let file = self.files.len() - 1;
        self.module(&parsed.items, file, folder, parent)
    }

    fn module(&mut self, items: &[Item], file: usize, folder: &Path, parent: Option<usize>) -> usize {
        let id = self.modules.len();
        self.modules.push(Module { parent, file, ..Module::default() });
        for item in items.iter().filter(|item| !for_tests(attributes(item))) {
            match item {
                Item::Mod(inner) => {
                    let name = inner.ident.to_string();
                    let below = folder.join(&name);
                    let child = match &inner.content {
                        Some((_, items)) => self.module(items, file, &below, Some(id)),
                        None => {
                            let own = folder.join(format!("{name}.rs"));
                            let own = if own.exists() { own } else { below.join("mod.rs") };
                            self.file(&own, &below, Some(id))
                        }
                    };
                    self.modules[id].children.insert(name, child);
                }
                Item::Use(used) => {
                    let public = !matches!(used.vis, Visibility::Inherited);
                    self.modules[id].note(&used.tree, &mut Vec::new(), public);
                }
                other => {
                    self.modules[id].defined.extend(defines(other));
                    Paths(&mut self.modules[id].paths).visit_item(other);
                }
            }
        }
        id
    }

    fn resolve(&self, from: usize, path: &[String], hops: usize) -> Option<Target> {
        let (first, rest) = path.split_first()?;
        let start = match first.as_str() {
            "crate" => 0,
            "self" => from,
            "super" => self.modules[from].parent?,
            name => {
                let module = &self.modules[from];
                match module.children.get(name) {
                    Some(child) => *child,
                    None => return self.within(from, path, hops),
                }
            }
        };
        self.descend(start, rest, hops)
    }

    fn descend(&self, module: usize, path: &[String], hops: usize) -> Option<Target> {
        let Some((first, rest)) = path.split_first() else { return Some(Target::Module(module)) };
        if first == "super" {
            return self.descend(self.modules[module].parent?, rest, hops);
        }
        match self.modules[module].children.get(first) {
            Some(child) => self.descend(*child, rest, hops),
            None => self.within(module, path, hops),
        }
    }

    /// A name that is no child: defined here, brought in by a `use`, or of another crate.
    fn within(&self, module: usize, path: &[String], hops: usize) -> Option<Target> {
        let (first, rest) = path.split_first()?;
        let held = &self.modules[module];
        if held.defined.contains(first) {
            return Some(Target::Defined(held.file));
        }
        if hops == 0 {
            return None;
        }
        if let Some(import) = held.imports.iter().find(|import| import.alias == *first && import.path[0] != *first) {
            return match self.resolve(module, &import.path, hops - 1)? {
                Target::Module(found) => self.descend(found, rest, hops - 1),
                defined => Some(defined),
            };
        }
        held.globs.iter().find_map(|glob| match self.resolve(module, glob, hops - 1)? {
            Target::Module(found) if found != module => self.descend(found, path, hops - 1),
            _ => None,
        })
    }

    /// The arrows: from each file to those it needs.
    pub(crate) fn arrows(&self) -> BTreeMap<usize, BTreeSet<usize>> {
        let mut arrows: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        for (id, module) in self.modules.iter().enumerate() {
            let needs = module.imports.iter().filter(|import| !import.public).map(|import| &import.path);
            for path in needs.chain(&module.paths) {
                if let Some(Target::Defined(file)) = self.resolve(id, path, HOPS_MAX)
                    && file != module.file
                {
                    arrows.entry(module.file).or_default().insert(file);
                }
            }
        }
        arrows
    }
}

impl Module {
    fn note(&mut self, tree: &UseTree, before: &mut Vec<String>, public: bool) {
        match tree {
            UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.note(&path.tree, before, public);
                before.pop();
            }
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.note(tree, before, public)),
            UseTree::Glob(_) => self.globs.push(before.clone()),
            UseTree::Name(name) => self.import(name.ident.to_string(), None, before, public),
            UseTree::Rename(rename) => {
                self.import(rename.ident.to_string(), Some(rename.rename.to_string()), before, public);
            }
        }
    }

    fn import(&mut self, name: String, alias: Option<String>, before: &[String], public: bool) {
        let mut path = before.to_vec();
        if name != "self" {
            path.push(name);
        }
        let Some(last) = path.last().cloned() else { return };
        self.imports.push(Import { alias: alias.unwrap_or(last), path, public });
    }
}

/// Every path of two names or more, and every lone name, as the code writes them.
struct Paths<'a>(&'a mut Vec<Vec<String>>);

impl<'ast> Visit<'ast> for Paths<'_> {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.0.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.tokens(call.tokens.clone());
        visit::visit_macro(self, call);
    }

    fn visit_item_mod(&mut self, _: &'ast syn::ItemMod) {}
}

impl Paths<'_> {
    /// The paths inside a macro's words, which have no syntax of their own.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons < 2 && !path.is_empty() {
                        self.0.push(std::mem::take(&mut path));
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(mark) if mark.as_char() == ':' => colons += 1,
                other => {
                    if !path.is_empty() {
                        self.0.push(std::mem::take(&mut path));
                    }
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.tokens(group.stream());
                    }
                }
            }
        }
        if !path.is_empty() {
            self.0.push(path);
        }
    }
}

fn for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.meta.require_list().is_ok_and(|list| list.tokens.to_string().contains("test"))
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn defines(item: &Item) -> Option<String> {
    Some(match item {
        Item::Const(item) => item.ident.to_string(),
        Item::Enum(item) => item.ident.to_string(),
        Item::Fn(item) => item.sig.ident.to_string(),
        Item::Macro(item) => item.ident.as_ref()?.to_string(),
        Item::Static(item) => item.ident.to_string(),
        Item::Struct(item) => item.ident.to_string(),
        Item::Trait(item) => item.ident.to_string(),
        Item::Type(item) => item.ident.to_string(),
        _ => return None,
    })
}

/// The sets of nodes that lead back to themselves.
pub(crate) fn circles<T: Ord + Copy>(arrows: &BTreeMap<T, BTreeSet<T>>) -> Vec<BTreeSet<T>> {
    let reach = |from: T| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
        while let Some(node) = open.pop() {
            let next = arrows.get(&node).into_iter().flatten().copied();
            open.extend(next.filter(|node| seen.insert(*node)));
        }
        seen
    };
    let reached: BTreeMap<T, BTreeSet<T>> = arrows.keys().map(|node| (*node, reach(*node))).collect();
    let mut found: Vec<BTreeSet<T>> = Vec::new();
    for (node, reaches) in &reached {
        if !reaches.contains(node) || found.iter().any(|circle| circle.contains(node)) {
            continue;
        }
        let back = |other: &&T| reached.get(*other).is_some_and(|reaches| reaches.contains(node));
        found.push(reaches.iter().filter(back).copied().collect());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crate_of(files: &[(&str, &str)]) -> (tempfile::TempDir, Imports) {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("in the folder")).expect("made");
            fs::write(path, text).expect("written");
        }
        let imports = Imports::read(folder.path());
        (folder, imports)
    }

    fn named(imports: &Imports) -> BTreeSet<(String, String)> {
        let name = |file: usize| imports.files[file].display().to_string();
        let arrows = imports.arrows();
        arrows.iter().flat_map(|(from, to)| to.iter().map(move |to| (name(*from), name(*to)))).collect()
    }

    #[test]
    fn an_arrow_leads_to_where_a_name_is_defined_through_doors_aliases_and_macros() {
        let (_folder, imports) = crate_of(&[
            ("lib.rs", "mod a; mod b; mod c; pub use b::inner::Thing;"),
            ("a.rs", "use crate::Thing; use crate::b::inner as i; fn f(t: Thing) { vec![i::made()]; }"),
            ("b/mod.rs", "pub mod inner; pub use inner::made;"),
            ("b/inner.rs", "pub struct Thing; pub fn made() {}"),
            ("c.rs", "fn g() { println!(\"{}\", crate::a::f()); } #[cfg(test)] mod tests { use crate::b::made; }"),
        ]);
        let expected = [("a.rs", "b/inner.rs"), ("c.rs", "a.rs")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(named(&imports), BTreeSet::from(expected));
        assert!(circles(&imports.arrows()).is_empty());
    }

    #[test]
    fn a_child_that_needs_its_parent_which_needs_it_is_a_circle() {
        let (_folder, imports) = crate_of(&[
            ("lib.rs", "mod a;"),
            ("a/mod.rs", "mod part; pub struct Whole(part::Part);"),
            ("a/part.rs", "pub struct Part(Box<super::Whole>);"),
        ]);
        assert_eq!(circles(&imports.arrows()).len(), 1);
    }
}
