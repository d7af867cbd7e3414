//! What the engine's errors mean.
//!
//! The engine knows few kinds of errors; the rest is text for a terminal, often with the value that was wrong. A
//! value may be a token, so that only sentences known to hold none reach the log.

use anyhow::Error;
use regorus::LimitError;

use crate::decision::Denial;
use crate::decision::Reason;
use crate::policy::bounded;
use crate::problem::Problem;

/// How the messages begin that mean two values for one thing.
const CONFLICTS: &[&str] = &[
    "complete rules should not produce multiple outputs",
    "function produced multiple outputs",
    "functions must not produce multiple outputs",
    "previous value is not",
    "rule conflicts with rule at",
    "rules must not produce multiple outputs",
    "rules should not produce multiple outputs",
    "value for key `",
];

/// How the messages begin that mean a policy which cannot be evaluated, on this input or any.
const UNEVALUABLE: &[&str] = &[
    "Loop hoisting information",
    "binding plan",
    "could not find function",
    "incorrect number of parameters",
    "internal error",
    "invalid function expression",
    "item cannot be indexed",
    "mismatch in number of",
    "not a valid rule path",
    "not a valid rule ref",
    "not a valid target for with",
    "recursion detected",
    "statements not scheduled",
    "undefined rule",
    "undefined var",
    "unary - can only be used",
    "var ",
    "walk expected",
];

/// Whole messages of builtin functions that hold nothing of the input.
const CONSTANT: &[&str] = &[
    "could not deserialize json.",
    "could not deserialize yaml.",
    "could not parse number",
    "could not parse string as number",
    "decode failed",
    "divide by zero",
    "invalid glob",
    "invalid regex",
    "invalid semver",
    "modulo by zero",
    "modulo on floating-point number",
    "negative offset",
    "not a valid url",
    "operand must be integer",
    "time outside of valid range",
];

const TIME_LIMIT: &str = "execution exceeded time limit";
const REGEX_SIZE: &str = "compiled regex exceeded size limit";

/// The refusal of a request on which the engine failed.
pub(super) fn denial(error: &Error) -> Denial {
    let text = error.to_string();
    let report = Report::read(&text);
    let reason = reason(error, report.message);
    Denial::new(reason, bounded(&report.placed(&sentence(reason, report.message))))
}

/// The refusal of a request on which a guard stopped a builtin function; its place, where the error still has it.
pub(super) fn refused(refusal: &str, error: Option<&Error>) -> Denial {
    let text = error.map(ToString::to_string).unwrap_or_default();
    Denial::new(Reason::PolicyBuiltinError, bounded(&Report::read(&text).placed(refusal)))
}

/// What is wrong with a policy before any request: the whole message, since it holds only the policy's own text.
pub(in crate::policy) fn problem(error: &Error, file: Option<&str>) -> Problem {
    let text = error.to_string();
    let Report { place, message } = Report::read(&text);
    let problem = Problem::error("", message);
    let problem = if message.contains("keyword is required") {
        problem.hint("if the policy is written in Rego v0, set `policy.rego_version: v0`")
    } else {
        problem
    };
    match (place, file) {
        (Some((file, line)), _) => problem.in_file(file).at_line(line),
        (None, Some(file)) => problem.in_file(file),
        (None, None) => problem,
    }
}

/// The message in one line, with its place, for a person at a terminal.
pub(in crate::policy) fn flattened(error: &Error) -> String {
    let text = error.to_string();
    let report = Report::read(&text);
    report.placed(report.message)
}

/// A message of the engine, taken apart.
struct Report<'t> {
    place: Option<(&'t str, usize)>,
    message: &'t str,
}

impl<'t> Report<'t> {
    /// The engine writes the place, the line of source, and the message, on lines of their own; an added function's
    /// error may hold another such report, whose message is the one that says something.
    fn read(text: &'t str) -> Self {
        let place = text.lines().find_map(|line| line.strip_prefix("--> ")).and_then(|place| {
            let mut parts = place.rsplitn(3, ':');
            let (_column, line, file) = (parts.next()?, parts.next()?, parts.next()?);
            Some((file, line.parse().ok()?))
        });
        let marked = text.lines().filter_map(|line| line.strip_prefix("error: ")).next_back();
        let message = marked.or_else(|| text.lines().find(|line| !line.is_empty())).unwrap_or_default();
        Self { place, message }
    }

    fn placed(&self, sentence: &str) -> String {
        match self.place {
            Some((file, line)) => format!("{file}:{line}: {sentence}"),
            None => sentence.to_owned(),
        }
    }
}

/// What a message means. The engine loses the kind of an error on its way out of a function, so that the message
/// has to tell in the end.
fn reason(error: &Error, message: &str) -> Reason {
    let begins = |list: &[&str]| list.iter().any(|beginning| message.starts_with(beginning));
    match error.downcast_ref::<LimitError>() {
        Some(LimitError::TimeLimitExceeded { .. }) => Reason::PolicyTimeLimit,
        Some(LimitError::MemoryLimitExceeded { .. }) => Reason::PolicyError,
        _ if message.starts_with(TIME_LIMIT) => Reason::PolicyTimeLimit,
        _ if begins(CONFLICTS) => Reason::PolicyConflict,
        _ if begins(UNEVALUABLE) => Reason::PolicyError,
        _ => Reason::PolicyBuiltinError,
    }
}

/// A sentence for the log that holds nothing of the input.
fn sentence(reason: Reason, message: &str) -> String {
    let known = CONSTANT.contains(&message) || message.starts_with(REGEX_SIZE);
    match reason {
        Reason::PolicyConflict => "two definitions give different values".to_owned(),
        Reason::PolicyTimeLimit => "stopped at the time limit".to_owned(),
        Reason::PolicyBuiltinError if known => message.to_owned(),
        Reason::PolicyBuiltinError => builtin_sentence(message).unwrap_or("a builtin function failed").to_owned(),
        _ if message.starts_with("recursion detected") => "a rule depends on itself".to_owned(),
        _ => "the engine cannot evaluate the policy".to_owned(),
    }
}

/// A message that begins with a builtin's name in backticks, up to where the engine quotes the value.
fn builtin_sentence(message: &str) -> Option<&str> {
    let (name, _) = message.strip_prefix('`')?.split_once('`')?;
    let is_name = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_.".contains(&byte));
    let sentence = message.split(" Got ").next()?;
    is_name.then_some(sentence)
}

#[cfg(test)]
mod tests;
