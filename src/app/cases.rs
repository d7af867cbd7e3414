//! Request cases: a folder with `request.json` and `want.json`, judged as `countersign eval` judges.
//!
//! `want.json` names what must be found in `eval`'s output: every key it has, at any depth; what it does not mention may
//! be anything. `null` means absent or null. Its `now` fixes the clock and is not compared. The configuration is
//! `config.yaml` in the same folder or the nearest one above, else the one that the command was given.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use serde_json::Map;
use serde_json::Value as Json;

use super::App;
use super::Environment;
use super::evaluator::Evaluator;
use super::evaluator::Shown;
use crate::clock::UnixTime;
use crate::ext_authz::proto_json;
use crate::problem::Problem;

/// One case and what was wrong with it: nothing, if it passed.
#[derive(Debug)]
pub struct CaseResult {
    /// The folder, relative to where the search began.
    pub name: String,
    /// Each difference, one line.
    pub failures: Vec<String>,
}

const WANT: &str = "want.json";
const REQUEST: &str = "request.json";
const CONFIG: &str = "config.yaml";
/// Folders within folders that are searched.
const MAX_DEPTH: usize = 8;

/// Runs every case under `root`, in order of their names.
///
/// # Errors
/// Problems with the folder or with a configuration.
pub fn run(root: &Path, fallback: &Path, environment: &Environment) -> Result<Vec<CaseResult>, Vec<Problem>> {
    let mut folders = Vec::new();
    find(root, MAX_DEPTH, &mut folders)
        .map_err(|error| vec![Problem::error("", error).in_file(root.display().to_string())])?;
    folders.sort();
    let mut evaluators: BTreeMap<PathBuf, Evaluator> = BTreeMap::new();
    let mut results = Vec::new();
    for folder in folders {
        let config = nearest_config(&folder, root).unwrap_or_else(|| fallback.to_owned());
        let evaluator = match evaluators.entry(config) {
            std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::btree_map::Entry::Vacant(place) => {
                let app = App::load(place.key(), environment)?;
                place.insert(Evaluator::new(app)?)
            }
        };
        let name = folder.strip_prefix(root).unwrap_or(&folder).display().to_string();
        let failures = run_one(&folder, evaluator).unwrap_or_else(|error| vec![error]);
        results.push(CaseResult { name, failures });
    }
    Ok(results)
}

/// Finds the folders that hold a case. One with a request and nothing wanted is one too: it fails, and says what it
/// lacks.
fn find(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), String> {
    if folder.join(WANT).is_file() || folder.join(REQUEST).is_file() {
        found.push(folder.to_owned());
    }
    let Some(depth) = depth.checked_sub(1) else { return Ok(()) };
    let entries = fs::read_dir(folder).map_err(|error| error.to_string())?;
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            find(&entry.path(), depth, found)?;
        }
    }
    Ok(())
}

fn nearest_config(folder: &Path, root: &Path) -> Option<PathBuf> {
    folder
        .ancestors()
        .take_while(|ancestor| ancestor.starts_with(root))
        .map(|ancestor| ancestor.join(CONFIG))
        .find(|config| config.is_file())
}

fn run_one(folder: &Path, evaluator: &mut Evaluator) -> Result<Vec<String>, String> {
    let read = |name: &str| fs::read_to_string(folder.join(name)).map_err(|error| format!("{name}: {error}"));
    let mut want: Map<String, Json> = serde_json::from_str(&read(WANT)?).map_err(|error| format!("{WANT}: {error}"))?;
    let now = match want.remove("now") {
        None => UnixTime::now(),
        Some(Json::String(text)) => UnixTime::parse_rfc3339(&text).map_err(|error| format!("{WANT}: now: {error}"))?,
        Some(other) => return Err(format!("{WANT}: now: `{other}` is no string")),
    };
    let wire = proto_json::check_request_to_wire(&read(REQUEST)?).map_err(|error| format!("{REQUEST}: {error}"))?;
    let shown = Shown { input: want.contains_key("input"), rules: want.contains_key("rules") };
    let got = evaluator.evaluate(&wire, now, shown);
    let mut failures = Vec::new();
    compare(&Json::Object(want), &got, "", &mut failures);
    Ok(failures)
}

/// Notes every place where `got` lacks what `want` has.
fn compare(want: &Json, got: &Json, place: &str, failures: &mut Vec<String>) {
    match (want, got) {
        (Json::Object(want), Json::Object(got)) => {
            for (key, want) in want {
                compare(want, got.get(key).unwrap_or(&Json::Null), &format!("{place}/{key}"), failures);
            }
        }
        (Json::Array(want), Json::Array(got)) if want.len() == got.len() => {
            for (index, (want, got)) in want.iter().zip(got).enumerate() {
                compare(want, got, &format!("{place}/{index}"), failures);
            }
        }
        _ if want == got => {}
        _ => failures.push(format!("{place}: want {want}, got {got}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn differences(want: &Json, got: &Json) -> Vec<String> {
        let mut failures = Vec::new();
        compare(want, got, "", &mut failures);
        failures
    }

    #[test]
    fn what_is_wanted_must_be_there_and_the_rest_may_be() {
        let got = json!({"a": {"b": [1, {"c": 2, "d": 3}]}, "e": null});
        assert!(differences(&json!({"a": {"b": [1, {"c": 2}]}, "e": null, "f": null}), &got).is_empty());
        assert_eq!(differences(&json!({"a": {"b": [1]}}), &got).len(), 1);
        assert_eq!(differences(&json!({"a": {"b": [1, {"c": 4}]}}), &got), ["/a/b/1/c: want 4, got 2"]);
        assert_eq!(differences(&json!({"g": 1}), &got), ["/g: want 1, got null"]);
    }
}
