//! The reference of the format and its JSON Schema, made from the declaration itself.

use std::fmt;
use std::path::Path;

use serde_json::Map;
use serde_json::Value as Json;
use serde_json::json;

use crate::config::about::about;
use crate::config::declaration;
use crate::config::format::claims;
use crate::config::walk;
use crate::config::walk::Absent;
use crate::config::walk::Key;
use crate::config::walk::Place;
use crate::config::walk::Shape;
use crate::config::walk::Surroundings;
use crate::config::words;
use crate::config::words::word;
use crate::config::yaml;
use crate::config::yaml::Node;
use crate::policy::Compatibility;

/// Relative paths and variables have no meaning in the reference.
fn nowhere() -> Surroundings<'static> {
    Surroundings { directory: Path::new(""), environment: &|_| None }
}

/// The reference in Markdown: a table for each section of the document.
pub fn markdown() -> String {
    let strict = rows("", &keys(Compatibility::Strict));
    let opa_envoy = rows("", &keys(Compatibility::OpaEnvoy));
    TABLE_HEAD.to_owned() + &strict.iter().zip(&opa_envoy).map(|(row, other)| row.print(other)).collect::<String>()
}

/// JSON Schema (draft 2020-12) of the whole document.
pub fn schema() -> Json {
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Countersign's configuration",
        "$defs": {"variable": {"type": "string", "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*\}"}},
    });
    if let (Json::Object(schema), Json::Object(root)) = (&mut schema, map_schema("", &keys(Compatibility::Strict))) {
        schema.extend(root);
    }
    schema
}

/// The keys of the format in a mode, from a walk over a document that has one of everything.
pub(crate) fn keys(mode: Compatibility) -> Vec<Key> {
    let document = format!(
        "{{compatibility: {}, spiffe: {{bundles: [{{}}]}}, issuers: [{{}}], protected_resources: [{{}}]}}",
        word(words::COMPATIBILITY, &mode)
    );
    let root = yaml::parse(&document).0.unwrap_or(Node::empty());
    let (_, _, keys) = walk::read(&root, nowhere(), declaration::settings);
    keys
}

const TABLE_HEAD: &str = "| key | takes | default | meaning |\n|---|---|---|---|\n";

/// A key as the reference shows it.
pub(crate) struct Row {
    /// Its whole path.
    pub(crate) path: String,
    takes: String,
    absent: String,
    begins_table: bool,
}

/// Every key below a path, sections before what is in them.
pub(crate) fn rows(path: &str, keys: &[Key]) -> Vec<Row> {
    let mut rows = Vec::new();
    for Key { name, shape } in keys {
        let begins_table = path.is_empty() && !matches!(shape, Shape::Value { .. });
        let path = join(path, name);
        let (takes, absent, below) = match shape {
            Shape::Value { name, absent, .. } => (name.clone(), absent.to_string(), Vec::new()),
            Shape::Section(keys) => ("map".to_owned(), String::new(), self::rows(&path, keys)),
            Shape::Sections(keys) => ("list of maps".to_owned(), String::new(), self::rows(&format!("{path}[]"), keys)),
        };
        rows.push(Row { path, takes, absent, begins_table });
        rows.extend(below);
    }
    rows
}

impl Row {
    /// A line of the table, or the beginning of the next one; `other` is the same key in the other mode.
    fn print(&self, other: &Self) -> String {
        let Self { path, takes, absent, begins_table } = self;
        let meaning = about(path);
        if *begins_table {
            return format!("\n### `{path}`\n\n{meaning}\n\n{TABLE_HEAD}");
        }
        let key = path.split_once('.').map_or(path.as_str(), |(_, key)| key);
        let also = if other.absent == *absent { String::new() } else { format!(" (`opa-envoy`: {})", other.absent) };
        format!("| `{key}` | {takes} | {absent}{also} | {meaning} |\n")
    }
}

impl fmt::Display for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default(yaml) => write!(f, "`{yaml}`"),
            Self::Means(words) => f.write_str(words),
            Self::Refused => f.write_str("**required**"),
        }
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn map_schema(path: &str, keys: &[Key]) -> Json {
    let properties: Map<_, _> = keys.iter().map(|key| (key.name.to_owned(), key_schema(path, key))).collect();
    let required: Vec<_> = keys.iter().filter(|key| is_required(key)).map(|key| key.name).collect();
    json!({"type": "object", "additionalProperties": false, "required": required, "properties": properties})
}

fn key_schema(path: &str, Key { name, shape }: &Key) -> Json {
    let path = join(path, name);
    let mut schema = match shape {
        Shape::Value { schema, .. } => schema.clone(),
        Shape::Section(keys) => map_schema(&path, keys),
        Shape::Sections(keys) => json!({"type": "array", "items": map_schema(&format!("{path}[]"), keys)}),
    };
    if let Json::Object(schema) = &mut schema {
        schema.insert("description".to_owned(), about(&path).into());
        if let Shape::Value { absent: Absent::Default(yaml), .. } = shape {
            schema.insert("default".to_owned(), json_of(yaml));
        }
    }
    schema
}

/// A section is required where something in it is.
fn is_required(key: &Key) -> bool {
    match &key.shape {
        Shape::Value { absent, .. } => *absent == Absent::Refused,
        Shape::Section(keys) => keys.iter().any(is_required),
        Shape::Sections(_) => false,
    }
}

fn json_of(yaml: &str) -> Json {
    let node = yaml::parse(yaml).0.unwrap_or(Node::empty());
    claims::json(&node, &Place::top(&node), &nowhere()).unwrap_or_default()
}
