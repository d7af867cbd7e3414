//! Entry points: a slash path as a question to the engine.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use anyhow::Result;
use regorus::Engine;
use regorus::Value;

use super::Rules;

/// A slash path below `data`, as OPA-Envoy reads it: empty segments count for nothing, a segment that is an integer
/// is a number.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::policy) struct EntryPoint {
    segments: Vec<Segment>,
}

#[derive(Debug, PartialEq, Eq)]
enum Segment {
    Name(String),
    Index(i64),
}

impl Segment {
    fn value(&self) -> Value {
        match self {
            Self::Name(name) => Value::from(name.as_str()),
            Self::Index(index) => Value::from(*index),
        }
    }
}

impl EntryPoint {
    pub(in crate::policy) fn parse(path: &str) -> Self {
        let segments = path.split('/').filter(|segment| !segment.is_empty());
        let segments = segments.map(|segment| {
            segment.parse().map_or_else(|_no_integer| Segment::Name(segment.to_owned()), Segment::Index)
        });
        Self { segments: segments.collect() }
    }

    /// The path that these names make.
    pub(in crate::policy) fn of_names(names: &[String]) -> Self {
        Self { segments: names.iter().cloned().map(Segment::Name).collect() }
    }

    /// The path as Rego writes it, names that are no identifiers in brackets.
    pub(in crate::policy) fn name(&self) -> String {
        self.segments.iter().fold("data".to_owned(), |mut text, segment| {
            match segment {
                Segment::Name(name) => append_name(&mut text, name),
                Segment::Index(index) => {
                    let _infallible = write!(text, "[{index}]");
                }
            }
            text
        })
    }

    /// The names before the first number: only they can be a rule's path.
    pub(super) fn names(&self) -> Vec<&str> {
        let names = self.segments.iter().map_while(|segment| match segment {
            Segment::Name(name) => Some(name.as_str()),
            Segment::Index(_) => None,
        });
        names.collect()
    }

    /// Whether one of the two paths leads to the other.
    pub(super) fn meets(&self, path: &[String]) -> bool {
        let mut pairs = self.segments.iter().zip(path);
        pairs.all(|(segment, name)| matches!(segment, Segment::Name(own) if own == name))
    }

    /// What stands at the path in a document.
    pub(in crate::policy) fn descend(&self, document: &Value) -> Value {
        self.segments.iter().fold(document.clone(), |at, segment| at[&segment.value()].clone())
    }
}

/// Whether the engine takes a name without brackets.
fn is_identifier(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn append_name(text: &mut String, name: &str) {
    let _infallible =
        if is_identifier(name) { write!(text, ".{name}") } else { write!(text, "[{}]", serde_json::Value::from(name)) };
}

/// The path of a rule as the engine knows it.
fn rule_name(path: &[&str]) -> String {
    path.iter().fold("data".to_owned(), |mut text, name| {
        append_name(&mut text, name);
        text
    })
}

/// How the engine is asked.
#[derive(Debug)]
pub(super) enum Prepared {
    /// By a rule and the way into its value: nothing is parsed.
    Rule {
        /// The rule's name.
        name: String,
        /// The rest of the path.
        rest: Vec<Value>,
    },
    /// By a query: packages, data, and rules with variables in their names.
    Document {
        /// The query.
        query: String,
    },
}

impl Prepared {
    pub(super) fn new(entry: &EntryPoint, rules: &Rules) -> Self {
        let names = entry.names();
        let prefixes = (1..=names.len()).filter_map(|end| names.get(..end));
        // The shortest: a rule with a constant key may be only one of those that make up its parent.
        match prefixes.clone().find(|prefix| rules.has_addressable(prefix)) {
            Some(rule) if !prefixes.clone().any(|prefix| rules.has_variable(prefix)) => {
                let rest = entry.segments.iter().skip(rule.len()).map(Segment::value).collect();
                Self::Rule { name: rule_name(rule), rest }
            }
            _ => Self::Document { query: entry.name() },
        }
    }

    /// Asks; `Undefined` where there is no answer.
    ///
    /// # Errors
    /// What the engine says.
    pub(super) fn evaluate(&self, engine: &mut Engine) -> Result<Value> {
        match self {
            Self::Rule { name, rest } => {
                let value = engine.eval_rule(name.clone())?;
                Ok(rest.iter().fold(value, |at, key| at[key].clone()))
            }
            Self::Document { query } => {
                let answers = engine.eval_query(query.clone(), false)?.result;
                let value = answers.into_iter().next().and_then(|answer| answer.expressions.into_iter().next());
                Ok(value.map_or(Value::Undefined, |expression| expression.value))
            }
        }
    }
}

/// An entry point and how the engine is asked for it.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) entry: EntryPoint,
    pub(super) prepared: Prepared,
    /// File and line of the rule that answers.
    pub(super) place: String,
}

impl Question {
    pub(super) fn new(path: &str, rules: &Rules) -> Self {
        let entry = EntryPoint::parse(path);
        let prepared = Prepared::new(&entry, rules);
        let place = rules.place(&entry).to_owned();
        Self { entry, prepared, place }
    }
}

/// Questions asked before.
#[derive(Debug, Default)]
pub(super) struct Questions {
    known: BTreeMap<String, Arc<Question>>,
}

/// The most questions that are kept; they come from the proxy's routes, of which few have their own.
const MAX_KNOWN: usize = 256;

impl Questions {
    pub(super) fn get(&mut self, path: &str, rules: &Rules) -> Arc<Question> {
        if let Some(known) = self.known.get(path) {
            return Arc::clone(known);
        }
        if self.known.len() >= MAX_KNOWN {
            self.known.clear();
        }
        let question = Arc::new(Question::new(path, rules));
        self.known.insert(path.to_owned(), Arc::clone(&question));
        question
    }
}
