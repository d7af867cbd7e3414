//! What the log never shows: secrets that are known by their name, by their form, or by the operator's word.
//!
//! Bodies never come this far: a [`Record`](super::Record) sheds them before it is queued. Everything else is masked
//! where it stands, on the writer's thread, before a byte of the line is written.

mod names;
mod redact;
mod walk;

use std::borrow::Cow;
use std::fmt;

use serde_json::Value as Json;

use super::text;
use crate::problem::Problem;
use names::Names;
use redact::redact;

/// Stands where a secret stood.
pub(super) const MASKED: &str = "[masked]";

/// How many masked places an event lists. Every one of them is masked; a client that sends thousands should not also
/// write thousands of pointers.
const MAX_LISTED: usize = 64;

/// The built-in masks, and the operator's.
#[derive(Debug, Clone, Default)]
pub struct Mask {
    names: Names,
    pointers: Vec<Pointer>,
}

/// A JSON pointer (RFC 6901) into an event, as its tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pointer(Vec<String>);

/// Why a text is no pointer to something that can be masked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PointerFault {
    /// Goes on after the text itself, which may have come from a variable and is the caller's to show or not.
    pub message: &'static str,
    /// What to write instead.
    pub hint: &'static str,
}

impl Mask {
    /// Checks one pointer of an operator's.
    ///
    /// # Errors
    /// [`PointerFault`], where [`Self::parse`] would not take it.
    pub fn check(pointer: &str) -> Result<(), PointerFault> {
        Pointer::parse(pointer).map(drop)
    }

    /// Adds the operator's JSON pointers, as `/input/attributes/source/principal` or `/countersign/user/subject`, to
    /// the built-in masks. One that names a header or a query parameter masks that name wherever it shows up.
    ///
    /// # Errors
    /// A problem for every text that is no such pointer: a mask that would not do what it says never comes into force.
    pub fn parse<S: AsRef<str>>(pointers: &[S]) -> Result<Self, Vec<Problem>> {
        let mut mask = Self::default();
        let mut problems = Vec::new();
        for (index, text) in pointers.iter().enumerate() {
            match Pointer::parse(text.as_ref()) {
                Ok(pointer) => mask.add(pointer),
                Err(fault) => {
                    let shown = text::bounded(text.as_ref(), text::NAME);
                    let problem =
                        Problem::error(format!("decision_log.mask[{index}]"), format!("`{shown}` {}", fault.message));
                    problems.push(problem.hint(fault.hint));
                }
            }
        }
        if problems.is_empty() { Ok(mask) } else { Err(problems) }
    }

    /// Adds a name that a header or parameter with a credential has by configuration. It is masked wherever it shows up.
    #[must_use]
    pub fn with_credential(mut self, name: &str) -> Self {
        self.names.add(name);
        self
    }

    fn add(&mut self, pointer: Pointer) {
        if let Some(name) = pointer.header_or_parameter() {
            self.names.add(name);
        }
        self.pointers.push(pointer);
    }

    /// A text from outside, cut to a bound and without secrets.
    pub(super) fn clean<'a>(&self, text: &'a str, limit: usize) -> Cow<'a, str> {
        match text::bounded(text, limit) {
            Cow::Borrowed(text) => redact(text, &self.names),
            Cow::Owned(cut) => Cow::Owned(redact(&cut, &self.names).into_owned()),
        }
    }

    /// Whether the operator masks something outside the input document.
    pub(super) fn reaches_summary(&self) -> bool {
        self.pointers.iter().any(|pointer| pointer.0.first().is_some_and(|root| root == SUMMARY))
    }

    /// Masks an event, and says where.
    pub(super) fn apply(&self, event: &mut Json) -> Vec<String> {
        let mut masked = Vec::new();
        if let Some(input) = event.get_mut(INPUT) {
            masked = walk::mask_input(input, &self.names);
        }
        for pointer in &self.pointers {
            if let Some(found) = pointer.find(event).filter(|found| !found.is_null()) {
                *found = Json::from(MASKED);
                masked.push(pointer.to_string());
            }
        }
        masked.sort_unstable();
        masked.dedup();
        masked.truncate(MAX_LISTED);
        masked
    }
}

/// The two parts of an event that a pointer may begin with: OPA's, and ours.
const INPUT: &str = "input";
const SUMMARY: &str = "countersign";

impl Pointer {
    fn parse(text: &str) -> Result<Self, PointerFault> {
        let tokens: Option<Vec<_>> = text.strip_prefix('/').map(|rest| rest.split('/').map(unescape).collect());
        let Some(tokens) = tokens else {
            return Err(PointerFault {
                message: "is no JSON pointer",
                hint: "begin it with a slash, as in /input/http/host",
            });
        };
        let Some(tokens) = tokens.into_iter().collect::<Option<Vec<_>>>() else {
            return Err(PointerFault {
                message: "has a `~` that is not `~0` or `~1`",
                hint: "write `~0` for `~`, `~1` for `/`",
            });
        };
        match tokens.as_slice() {
            [root, first, ..] if (root == INPUT || root == SUMMARY) && !first.is_empty() => Ok(Self(tokens)),
            _ => Err(PointerFault {
                message: "is outside what is masked",
                hint: "begin it with /input/ or /countersign/",
            }),
        }
    }

    /// The last token, where it names a header or a query parameter.
    fn header_or_parameter(&self) -> Option<&str> {
        let tokens: Vec<_> = self.0.iter().map(String::as_str).collect();
        match tokens.as_slice() {
            ["input", "attributes", "request", "http", "headers", name]
            | ["input", "http", "headers" | "query", name, ..]
            | ["input", "parsed_query", name, ..] => Some(name),
            _ => None,
        }
    }

    fn find<'a>(&self, event: &'a mut Json) -> Option<&'a mut Json> {
        self.0.iter().try_fold(event, |value, token| match value {
            Json::Object(members) => members.get_mut(token),
            Json::Array(items) => items.get_mut(token.parse::<usize>().ok()?),
            _ => None,
        })
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|token| write!(f, "/{}", escape(token)))
    }
}

/// RFC 6901 §4: `~1` is a slash, `~0` a tilde, and no other escape exists.
fn unescape(token: &str) -> Option<String> {
    let mut parts = token.split('~');
    let mut plain = parts.next()?.to_owned();
    for part in parts {
        let (escaped, rest) = part.split_at_checked(1)?;
        plain.push(match escaped {
            "0" => '~',
            "1" => '/',
            _ => return None,
        });
        plain.push_str(rest);
    }
    Some(plain)
}

fn escape(token: &str) -> String {
    token.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests;
