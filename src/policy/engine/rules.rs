//! What rules there are, and where they stand.

use std::collections::BTreeMap;

use super::EntryPoint;
use crate::policy::unstable::Outline;

/// All definitions of rules, by path.
#[derive(Debug, Default)]
pub(in crate::policy) struct Rules {
    definitions: Vec<Definition>,
    by_path: BTreeMap<Vec<String>, Shape>,
}

/// One definition of a rule.
#[derive(Debug)]
pub(super) struct Definition {
    pub(super) path: Vec<String>,
    pub(super) file: String,
    pub(super) lines: (u32, u32),
    /// Its place among the engine's modules, and in its module.
    pub(super) index: (usize, usize),
    pub(super) is_default: bool,
    pub(super) is_function: bool,
}

/// What is known of all definitions of a path together.
#[derive(Debug, Default)]
struct Shape {
    addressable: bool,
    variable: bool,
    /// File and line of the first.
    place: String,
}

impl Rules {
    /// Of the modules of an engine, in the order they were added.
    pub(in crate::policy) fn of(modules: &[Outline]) -> Self {
        let mut rules = Self::default();
        for (at, module) in modules.iter().enumerate() {
            for (rule_at, rule) in module.rules.iter().enumerate() {
                let shape = rules.by_path.entry(rule.path.clone()).or_insert_with(|| Shape {
                    place: format!("{}:{}", module.file, rule.lines.0),
                    ..Shape::default()
                });
                shape.addressable |= rule.addressable;
                shape.variable |= !rule.addressable;
                rules.definitions.push(Definition {
                    path: rule.path.clone(),
                    file: module.file.clone(),
                    lines: rule.lines,
                    index: (at, rule_at),
                    is_default: rule.default.is_some(),
                    is_function: rule.parameters.is_some(),
                });
            }
        }
        rules
    }

    /// Whether the engine can be asked for this path by name.
    pub(super) fn has_addressable(&self, path: &[&str]) -> bool {
        self.shape(path).is_some_and(|shape| shape.addressable)
    }

    /// Whether a rule of this path has variables in its name before the last key.
    pub(super) fn has_variable(&self, path: &[&str]) -> bool {
        self.shape(path).is_some_and(|shape| shape.variable)
    }

    /// Whether a rule's value has a part at the entry point, or the entry point is a document that rules are part of.
    pub(in crate::policy) fn define(&self, entry: &EntryPoint) -> bool {
        self.by_path.keys().any(|path| entry.meets(path))
    }

    /// File and line of the rule that answers at the entry point; empty for a package.
    pub(super) fn place(&self, entry: &EntryPoint) -> &str {
        let names = entry.names();
        let mut prefixes = (1..=names.len()).filter_map(|end| names.get(..end));
        prefixes.find_map(|prefix| self.shape(prefix)).map_or("", |shape| &shape.place)
    }

    pub(super) fn definitions(&self) -> impl Iterator<Item = &Definition> {
        self.definitions.iter()
    }

    fn shape(&self, path: &[&str]) -> Option<&Shape> {
        let path: Vec<String> = path.iter().map(|&name| name.to_owned()).collect();
        self.by_path.get(&path)
    }
}
