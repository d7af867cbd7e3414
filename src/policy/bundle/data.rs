//! The base data of a bundle: files merged into one document, and what is odd about it.

use std::collections::BTreeSet;

use regorus::Value;

use super::files::Kind;
use super::files::Loaded;
use crate::policy::builtins::line;
use crate::policy::number;
use crate::policy::unstable::Outline;
use crate::policy::value::Names;
use crate::policy::value::to_value;
use crate::policy::yaml;
use crate::problem::Problem;

/// The most entries beside a package's own that go unmentioned: copying so many costs about a microsecond.
const MAX_COPIED_ENTRIES: usize = 100;

/// Merges the data files, each rooted where its directory says. A path that two files define is an error, as in OPA.
///
/// # Errors
/// Every file that cannot be read as data, or contradicts one before it.
pub(super) fn merge(files: &[Loaded]) -> Result<Value, Vec<Problem>> {
    let mut data = Value::new_object();
    let mut problems = Vec::new();
    for file in files {
        let merged = match parse(file) {
            Ok(Some(value)) => merge_into(&mut data, rooted(value, &file.root), &mut Vec::new()),
            Ok(None) => Ok(()),
            Err(problem) => Err(problem),
        };
        problems.extend(merged.err().map(|problem| problem.in_file(&file.name)));
    }
    if problems.is_empty() { Ok(data) } else { Err(problems) }
}

/// The data in a file, where it is a data file.
fn parse(file: &Loaded) -> Result<Option<Value>, Problem> {
    let read = match file.kind {
        Kind::Rego | Kind::Test => return Ok(None),
        Kind::Json if !number::all_bounded(&file.text) => {
            return Err(Problem::error("", format!("has a number of more than {} digits", number::MAX_DIGITS)));
        }
        Kind::Yaml if !yaml::is_shallow(&file.text) => return Err(Problem::error("", "is nested too deep")),
        Kind::Json => Value::from_json_str(&file.text),
        Kind::Yaml => Value::from_yaml_str(&file.text),
    };
    let value = read.map_err(|error| unreadable(&error.to_string()))?;
    if file.root.is_empty() && !matches!(value, Value::Object(_)) {
        let hint = "or put the file in a directory, whose name the value then has";
        return Err(Problem::error("", "is no object at its top").hint(hint));
    }
    // YAML has numbers and booleans as names; as in OPA, they become text.
    let value = if file.kind == Kind::Yaml { to_value(&value, &mut Names::default()) } else { Ok(value) };
    value.map(Some).map_err(|error| Problem::error("", error.to_string()))
}

/// Both parsers say the place in words.
fn unreadable(message: &str) -> Problem {
    let message = message.trim_start_matches("Failed to parse YAML: ");
    let place = message.split_once(" at line ").and_then(|(text, place)| {
        let line = place.split(' ').next()?.parse().ok()?;
        Some(Problem::error("", text).at_line(line))
    });
    place.unwrap_or_else(|| Problem::error("", message))
}

fn rooted(value: Value, root: &[String]) -> Value {
    root.iter().rev().fold(value, |value, name| {
        let mut object = Value::new_object();
        if let Ok(entries) = object.as_object_mut() {
            entries.insert(Value::from(name.as_str()), value);
        }
        object
    })
}

fn merge_into(data: &mut Value, more: Value, path: &mut Vec<String>) -> Result<(), Problem> {
    let (Ok(entries), Value::Object(more)) = (data.as_object_mut(), more) else {
        return Err(Problem::error("", format!("`data.{}` is defined in a file before this one", path.join("."))));
    };
    for (name, value) in more.iter_sorted() {
        match entries.get_mut(name) {
            None => drop(entries.insert(name.clone(), value.clone())),
            Some(known) => {
                path.push(name.as_string().map_or_else(|_| name.to_string(), |name| name.as_ref().to_owned()));
                merge_into(known, value.clone(), path)?;
                path.pop();
            }
        }
    }
    Ok(())
}

/// Rules that stand where there is data: the engine would keep the data and never ask the rule.
pub(super) fn conflicts(data: &Value, modules: &[Outline]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for module in modules {
        for rule in module.rules.iter().filter(|rule| hides(data, &rule.path)) {
            let message = format!("`data.{}` is a rule, and there is data too", rule.path.join("."));
            problems.push(Problem::error("", message).in_file(&module.file).at_line(line(rule.lines.0)));
        }
    }
    problems
}

/// Whether data stands at the path, or ends before it in something that has no parts.
fn hides(data: &Value, path: &[String]) -> bool {
    let mut at = data;
    for name in path {
        at = match at {
            Value::Object(_) => &at[name.as_str()],
            Value::Undefined => return false,
            _ => return true,
        };
    }
    *at != Value::Undefined
}

/// Data that the interpreter copies at every evaluation: it writes a package's results into its own copy of the
/// objects on the way to the package, and these are copied whole.
pub(super) fn copied(data: &Value, modules: &[Outline]) -> Vec<Problem> {
    let packages: BTreeSet<&[String]> = modules.iter().map(|module| module.package.as_slice()).collect();
    let on_the_way = packages.iter().flat_map(|package| (0..=package.len()).filter_map(|end| package.get(..end)));
    let places: BTreeSet<&[String]> = on_the_way.collect();
    places.into_iter().filter_map(|place| copied_at(data, place)).collect()
}

fn copied_at(data: &Value, place: &[String]) -> Option<Problem> {
    let Value::Object(entries) = place.iter().fold(data, |at, name| &at[name.as_str()]) else { return None };
    let path = [&["data".to_owned()], place].concat().join(".");
    let message = format!("the {} entries of data under `{path}` are copied at every evaluation", entries.len());
    let hint = "put them one level deeper, or under a name of their own beside the packages";
    (entries.len() > MAX_COPIED_ENTRIES).then(|| Problem::warning("", message).hint(hint))
}

#[cfg(test)]
mod tests;
