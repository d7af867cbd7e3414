//! Why a decision came out as it did: the same question to an engine beside the serving one.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;

use regorus::Engine;
use regorus::Value;
use serde::Serialize;
use serde_json::Value as Json;

use super::Instance;
use super::entry::Question;
use super::fault;
use super::rules::Definition;
use crate::policy::Query;
use crate::policy::unstable::evaluate_alone;
use crate::policy::value::Names;
use crate::policy::value::projected;

/// What is behind one decision.
#[derive(Debug, Default)]
pub struct Explanation {
    /// The value at the entry point; `None` where it is undefined or could not be evaluated.
    pub value: Option<Json>,
    /// The engine's whole message, where it failed. May hold values of the input: for a terminal, not for a log.
    pub error: Option<String>,
    /// The rules that fired, in order of file and line.
    pub rules: Vec<FiredRule>,
    /// What the policy printed.
    pub prints: Vec<String>,
}

/// A definition of a rule whose body held.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FiredRule {
    /// The file.
    pub file: String,
    /// The definition's first line.
    pub line: u32,
    /// The rule's path, as `data.envoy.authz.allow`.
    pub rule: String,
}

impl Instance {
    /// Explains what [`Instance::decide`] answers to the same question. Takes as long as a decision for every rule
    /// that was looked at, and leaves the serving engine alone. Functions are not listed: they fire for arguments,
    /// not for a request.
    pub fn explain<D: Serialize + ?Sized>(&self, query: &Query<'_, D>) -> Explanation {
        let input = match projected(query.facts, &mut Names::default(), &self.projection) {
            Ok(input) => input,
            Err(error) => return Explanation { error: Some(error.to_string()), ..Explanation::default() },
        };
        let question = Question::new(query.entry_point, &self.rules);
        self.ambient.begin(query.now, query.seed);
        let mut engine = self.template.clone();
        engine.set_input(input);
        engine.set_enable_coverage(true);
        let answer = catch_unwind(AssertUnwindSafe(|| question.prepared.evaluate(&mut engine)));
        let (value, error) = match answer {
            Ok(Ok(value)) => (json(&value), None),
            Ok(Err(error)) => (None, Some(fault::flattened(&error))),
            Err(_panic) => {
                return Explanation { error: Some("the engine panicked".to_owned()), ..Explanation::default() };
            }
        };
        let prints = engine.take_prints().unwrap_or_default();
        let lines = covered(&engine);
        let reached: Vec<&Definition> =
            self.rules.definitions().filter(|definition| is_reached(definition, &lines)).collect();
        Explanation { value, error, rules: fired(&mut engine, &reached), prints }
    }
}

fn json(value: &Value) -> Option<Json> {
    if *value == Value::Undefined { None } else { serde_json::to_value(value).ok() }
}

/// The lines that were evaluated, by file.
fn covered(engine: &Engine) -> BTreeMap<String, BTreeSet<u32>> {
    let files = engine.get_coverage_report().map(|report| report.files).unwrap_or_default();
    files.into_iter().map(|file| (file.path, file.covered)).collect()
}

fn is_reached(definition: &Definition, covered: &BTreeMap<String, BTreeSet<u32>>) -> bool {
    let (first, last) = definition.lines;
    covered.get(&definition.file).is_some_and(|lines| lines.range(first..=last).next().is_some())
}

/// Those of the definitions that have a value by themselves; a default, where no other definition of its path has.
fn fired(engine: &mut Engine, reached: &[&Definition]) -> Vec<FiredRule> {
    engine.set_enable_coverage(false);
    let rules = reached.iter().filter(|definition| !definition.is_function);
    let (defaults, others): (Vec<&Definition>, Vec<_>) = rules.partition(|definition| definition.is_default);
    let holding: Vec<_> = others.into_iter().filter(|definition| holds(engine, definition)).collect();
    let is_unsaid = |default: &&Definition| !holding.iter().any(|definition| definition.path == default.path);
    let unsaid = defaults.into_iter().filter(is_unsaid);
    let mut fired: Vec<_> = unsaid.chain(holding.iter().copied()).map(named).collect();
    fired.sort();
    fired
}

fn holds(engine: &mut Engine, definition: &Definition) -> bool {
    let (module, rule) = definition.index;
    let data = catch_unwind(AssertUnwindSafe(|| evaluate_alone(engine, module, rule)));
    let Ok(Ok(data)) = data else { return false };
    match definition.path.iter().fold(&data, |at, name| &at[name.as_str()]) {
        Value::Undefined => false,
        Value::Set(members) => !members.is_empty(),
        Value::Object(entries) => !entries.is_empty(),
        _ => true,
    }
}

fn named(definition: &Definition) -> FiredRule {
    let rule = ["data"].into_iter().chain(definition.path.iter().map(String::as_str)).collect::<Vec<_>>().join(".");
    FiredRule { file: definition.file.clone(), line: definition.lines.0, rule }
}
