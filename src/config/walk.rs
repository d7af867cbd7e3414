//! Walks a configuration's tree and gathers everything that is wrong with it.
//!
//! The functions that are handed a [`Section`] *are* the declaration of the format: each names a key once, with how it
//! is read and what it is by default. What they ask for is remembered, so that a misspelt key is told from a known one,
//! and the reference and the schema are made from the same words.
//!
//! INVARIANT: a value that cannot be read leaves a problem behind and a placeholder in its place, so that the walk goes
//! on and all problems come at once. [`read`] hands out what was built only if there is no error among them.

use std::path::Path;

use serde_json::Value as Json;

use crate::config::format::Format;
use crate::config::suggest::closest;
use crate::config::yaml;
use crate::config::yaml::Entry;
use crate::config::yaml::Node;
use crate::config::yaml::Value;
use crate::problem::Problem;
use crate::problem::Severity;

/// What a configuration is read against.
#[derive(Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    /// Relative paths start here: the folder of the configuration's file.
    pub(crate) directory: &'a Path,
    /// The environment: a variable's value, where it is set.
    pub(crate) environment: &'a dyn Fn(&str) -> Option<String>,
}

/// Where a value stands.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    path: String,
    line: usize,
}

/// One map of the configuration, while it is walked.
pub(crate) struct Section<'a> {
    surroundings: Surroundings<'a>,
    problems: &'a mut Vec<Problem>,
    place: Place,
    node: &'a Node,
    keys: Vec<Key>,
}

/// A key that was asked for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Key {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it takes.
    pub(crate) shape: Shape,
}

/// What a key takes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Shape {
    /// A value.
    Value {
        /// What the documentation calls it.
        name: String,
        /// JSON Schema of it.
        schema: Json,
        /// What holds without it.
        absent: Absent,
    },
    /// A map with these keys.
    Section(Vec<Key>),
    /// A list of maps with these keys.
    Sections(Vec<Key>),
}

/// What holds where a key is absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Absent {
    /// This, as YAML.
    Default(String),
    /// This, in words.
    Means(&'static str),
    /// An error.
    Refused,
}

impl Place {
    /// The place of the whole document.
    pub(crate) fn top(root: &Node) -> Self {
        Self { path: String::new(), line: root.line }
    }

    /// The place of a key of the map that stands here.
    pub(crate) fn key(&self, key: &str, line: usize) -> Self {
        let path = if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        Self { path, line }
    }

    /// The place of an item of the list that stands here.
    pub(crate) fn item(&self, index: usize, line: usize) -> Self {
        Self { path: format!("{}[{index}]", self.path), line }
    }

    /// An error here.
    pub(crate) fn error(&self, message: impl Into<String>, hint: impl Into<String>) -> Problem {
        Problem::error(self.path.as_str(), message).hint(hint).at_line(self.line)
    }
}

/// Walks a whole document: what was built, every problem, and the keys of the format.
pub(crate) fn read<T>(
    root: &Node,
    surroundings: Surroundings<'_>,
    declaration: impl FnOnce(&mut Section<'_>) -> T,
) -> (T, Vec<Problem>, Vec<Key>) {
    let mut problems = Vec::new();
    let (built, keys) = Section::walk(root, Place::top(root), surroundings, &mut problems, declaration);
    (built, problems, keys)
}

#[expect(clippy::needless_pass_by_value, reason = "a format is made for its key on the spot")]
impl<'a> Section<'a> {
    /// Walks one map. Nothing at all is an empty map, so that every key of a section may be commented out.
    fn walk<T>(
        node: &'a Node,
        place: Place,
        surroundings: Surroundings<'a>,
        problems: &'a mut Vec<Problem>,
        declaration: impl FnOnce(&mut Self) -> T,
    ) -> (T, Vec<Key>) {
        if let Value::Scalar { .. } | Value::List(_) = node.value {
            let message = format!("takes a map, not {}", node.value.kind());
            problems.push(place.error(message, "write `key: value` below it"));
        }
        let mut section = Self { surroundings, problems, place, node, keys: Vec::new() };
        let built = declaration(&mut section);
        section.tell_unknown_keys();
        (built, section.keys)
    }

    /// Reads a key that has a default, given as YAML. What cannot be read counts as the default meanwhile.
    pub(crate) fn get<F: Format>(&mut self, key: &'static str, format: F, default: &str) -> F::Value {
        self.declare(key, &format, Absent::Default(default.to_owned()));
        let written = self.entry(key).and_then(|entry| self.read(&format, &entry.node, key, entry.line));
        if let Some(value) = written {
            return value;
        }
        let default = yaml::parse(default).0.unwrap_or(Node::empty());
        self.read(&format, &default, key, self.place.line).unwrap_or_else(|| format.placeholder())
    }

    /// Reads a key that must be there.
    pub(crate) fn required<F: Format>(&mut self, key: &'static str, format: F) -> F::Value {
        self.declare(key, &format, Absent::Refused);
        if let Some(entry) = self.entry(key) {
            return self.read(&format, &entry.node, key, entry.line).unwrap_or_else(|| format.placeholder());
        }
        self.refuse(&[key], "is missing", format!("add it: {}", format.name()));
        format.placeholder()
    }

    /// Reads a key that may be absent, with what that means in words.
    pub(crate) fn optional<F: Format>(
        &mut self,
        key: &'static str,
        format: F,
        absent: &'static str,
    ) -> Option<F::Value> {
        self.declare(key, &format, Absent::Means(absent));
        let entry = self.entry(key)?;
        Some(self.read(&format, &entry.node, key, entry.line).unwrap_or_else(|| format.placeholder()))
    }

    /// Walks the map under a key.
    pub(crate) fn section<T>(&mut self, key: &'static str, declaration: impl FnOnce(&mut Section<'_>) -> T) -> T {
        let absent = Node::empty();
        let (node, line) = self.entry(key).map_or((&absent, self.place.line), |entry| (&entry.node, entry.line));
        let place = self.place.key(key, line);
        let (built, keys) = Section::walk(node, place, self.surroundings, self.problems, declaration);
        self.keys.push(Key { name: key, shape: Shape::Section(keys) });
        built
    }

    /// Walks each map of the list under a key.
    pub(crate) fn sections<T>(&mut self, key: &'static str, declaration: impl Fn(&mut Section<'_>) -> T) -> Vec<T> {
        let mut built = Vec::new();
        let mut keys = Vec::new();
        for (index, node) in self.items(key).iter().enumerate() {
            let place = self.place.key(key, node.line).item(index, node.line);
            let (one, of_one) = Section::walk(node, place, self.surroundings, self.problems, &declaration);
            built.push(one);
            keys = of_one;
        }
        self.keys.push(Key { name: key, shape: Shape::Sections(keys) });
        built
    }

    /// Whether a path below this section is written out.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.steps(path).count() == steps(path).count()
    }

    /// Tells of an error at the first of some paths below this section, as `routes.token` or `issuers[1].issuer`, that
    /// comes of the values at all of them. It says nothing where one of them could not be read: that is told already.
    pub(crate) fn refuse(&mut self, paths: &[&str], message: impl Into<String>, hint: impl Into<String>) {
        let places: Vec<Place> = paths.iter().map(|path| self.place_of(path)).collect();
        let untold = !places.iter().any(|place| self.has_error_at(place));
        if let Some(first) = places.first().filter(|_| untold) {
            self.problems.push(first.error(message, hint));
        }
    }

    /// Tells of something that works, but is worth knowing; nothing where the value could not be read.
    pub(crate) fn warn(&mut self, path: &str, message: impl Into<String>, hint: impl Into<String>) {
        let place = self.place_of(path);
        if !self.has_error_at(&place) {
            self.problems.push(Problem { severity: Severity::Warning, ..place.error(message, hint) });
        }
    }

    fn declare(&mut self, key: &'static str, format: &impl Format, absent: Absent) {
        let shape = Shape::Value { name: format.name(), schema: format.schema(), absent };
        self.keys.push(Key { name: key, shape });
    }

    /// Reads a value; `None` once its problems are told.
    fn read<F: Format>(&mut self, format: &F, node: &Node, key: &str, line: usize) -> Option<F::Value> {
        let read = format.read(node, &self.place.key(key, line), &self.surroundings);
        read.map_err(|problems| self.problems.extend(problems)).ok()
    }

    fn entry(&self, key: &str) -> Option<&'a Entry> {
        self.node.entries().iter().find(|entry| entry.key == key)
    }

    /// The items of a list of maps; nothing at all is an empty list.
    fn items(&mut self, key: &str) -> &'a [Node] {
        let Some(entry) = self.entry(key) else { return &[] };
        match &entry.node.value {
            Value::List(items) => items,
            Value::Null => &[],
            other @ (Value::Scalar { .. } | Value::Map(_)) => {
                let place = self.place.key(key, entry.line);
                let message = format!("takes a list, not {}", other.kind());
                self.problems.push(place.error(message, "begin each item with `- `"));
                &[]
            }
        }
    }

    fn tell_unknown_keys(&mut self) {
        let known: Vec<&str> = self.keys.iter().map(|key| key.name).collect();
        for entry in self.node.entries().iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            let problem =
                self.place.key(&entry.key, entry.line).error("is not known here", suggest(&entry.key, &known));
            self.problems.push(problem);
        }
    }

    /// Whether a value, or an item of a list, could not be read.
    fn has_error_at(&self, place: &Place) -> bool {
        let is_rest = |rest: &str| rest.is_empty() || rest.starts_with('[');
        let is_at = |path: &str| path.strip_prefix(place.path.as_str()).is_some_and(is_rest);
        self.problems.iter().any(|problem| problem.is_error() && is_at(&problem.path))
    }

    /// The place of a path below this section, at the line of its last step that is written out.
    fn place_of(&self, path: &str) -> Place {
        let line = self.steps(path).last().map_or(self.place.line, |(line, _)| line);
        if path.is_empty() { self.place.clone() } else { self.place.key(path, line) }
    }

    /// The steps of a path as far as they are written out.
    fn steps(&self, path: &str) -> impl Iterator<Item = (usize, &'a Node)> {
        steps(path).scan(self.node, |node, step| {
            let (line, next) = node.step(step)?;
            *node = next;
            Some((line, next))
        })
    }
}

/// The steps of a path: `issuers[1].issuer` has three.
fn steps(path: &str) -> impl Iterator<Item = &str> {
    path.split(['.', '[']).map(|step| step.trim_end_matches(']'))
}

/// What to write instead of an unknown key.
fn suggest(unknown: &str, known: &[&str]) -> String {
    closest(unknown, known.iter().copied())
        .map_or_else(|| format!("known here: {}", known.join(", ")), |near| format!("did you mean `{near}`?"))
}
