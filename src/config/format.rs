//! How values are read: each [`Format`] reads one kind of value, and says what it is to people and to JSON Schema.

pub(crate) mod claims;
pub(crate) mod duration;
pub(crate) mod environment;
pub(crate) mod files;
pub(crate) mod network;

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde_json::Number;
use serde_json::Value as Json;
use serde_json::json;

use crate::config::suggest::closest;
use crate::config::walk::Place;
use crate::config::walk::Surroundings;
use crate::config::yaml::Node;
use crate::config::yaml::Value;
use crate::problem::Problem;

/// One kind of value.
pub(crate) trait Format {
    /// What comes out.
    type Value;

    /// What people call it, as "duration from 1s to 1h".
    fn name(&self) -> String;

    /// What JSON Schema calls it.
    fn schema(&self) -> Json;

    /// What stands in for a value that could not be read. It never leaves the walk.
    fn placeholder(&self) -> Self::Value;

    /// Reads a value.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    fn read(&self, node: &Node, place: &Place, surroundings: &Surroundings<'_>) -> Result<Self::Value, Vec<Problem>>;
}

/// A format of single values: text in, value out.
pub(crate) struct Scalar<T> {
    name: String,
    schema: Json,
    placeholder: T,
    parse: Parse<T>,
}

type Parse<T> = Box<dyn Fn(&str, &Surroundings<'_>) -> Result<T, Fault>>;

impl<T: 'static> Scalar<T> {
    /// The same format for those texts alone in which `check` finds no fault.
    pub(crate) fn checked(self, check: fn(&str) -> Result<(), Fault>) -> Self {
        let Self { name, schema, placeholder, parse } = self;
        let parse: Parse<T> = Box::new(move |text, surroundings| check(text).and_then(|()| parse(text, surroundings)));
        Self { name, schema, placeholder, parse }
    }
}

/// Why a text is no such value.
pub(crate) struct Fault {
    /// Goes on after the text itself, as "is no duration".
    message: String,
    /// What to write instead.
    hint: String,
}

impl Fault {
    /// A fault and what to do about it.
    pub(crate) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into() }
    }

    /// The problem at a place. It shows the text as written: what the environment puts into it may be a secret.
    pub(crate) fn at(self, place: &Place, text: &str) -> Problem {
        let shown: String = text.escape_debug().take(SHOWN_CHARS).collect();
        let message = if shown.is_empty() { self.message } else { format!("`{shown}` {}", self.message) };
        place.error(message, self.hint)
    }
}

/// The longest piece of a value that a message shows.
const SHOWN_CHARS: usize = 64;

impl<T: Clone> Format for Scalar<T> {
    type Value = T;

    fn name(&self) -> String {
        self.name.clone()
    }

    fn schema(&self) -> Json {
        self.schema.clone()
    }

    fn placeholder(&self) -> T {
        self.placeholder.clone()
    }

    fn read(&self, node: &Node, place: &Place, surroundings: &Surroundings<'_>) -> Result<T, Vec<Problem>> {
        let text = single(node, place).map_err(|problem| vec![problem])?;
        environment::substitute(text, surroundings)
            .and_then(|text| (self.parse)(&text, surroundings))
            .map_err(|fault| vec![fault.at(place, text)])
    }
}

fn single<'n>(node: &'n Node, place: &Place) -> Result<&'n str, Problem> {
    match &node.value {
        Value::Scalar { text, .. } => Ok(text),
        Value::Null => Err(place.error("has no value", "write one, or remove the key")),
        other @ (Value::List(_) | Value::Map(_)) => {
            Err(place.error(format!("takes a single value, not {}", other.kind()), "write it behind the colon"))
        }
    }
}

/// Any text but the empty one; `what` is what people call it.
pub(crate) fn text(what: &str) -> Scalar<String> {
    Scalar {
        name: what.to_owned(),
        schema: json!({"type": "string", "minLength": 1}),
        placeholder: String::new(),
        parse: Box::new(|text, _| match text {
            "" => Err(Fault::new("is empty", "write a value, or remove the key")),
            text => Ok(text.to_owned()),
        }),
    }
}

/// `true` or `false`.
pub(crate) fn boolean() -> Scalar<bool> {
    Scalar {
        name: "boolean".to_owned(),
        schema: or_variable(&json!({"type": "boolean"})),
        placeholder: false,
        parse: Box::new(|text, _| text.parse().map_err(|_| Fault::new("is no boolean", "write `true` or `false`"))),
    }
}

/// A whole number within bounds, both included.
pub(crate) fn integer<T: FromStr + PartialOrd + Display + Copy + 'static>(bounds: RangeInclusive<T>) -> Scalar<T> {
    let (min, max) = (*bounds.start(), *bounds.end());
    let number = |bound: T| Number::from_str(&bound.to_string()).map_or(Json::Null, Json::Number);
    Scalar {
        name: format!("integer from {min} to {max}"),
        schema: or_variable(&json!({"type": "integer", "minimum": number(min), "maximum": number(max)})),
        placeholder: min,
        parse: Box::new(move |text, _| {
            let fault = || Fault::new(format!("is no whole number from {min} to {max}"), "write digits alone");
            text.parse().ok().filter(|value| bounds.contains(value)).ok_or_else(fault)
        }),
    }
}

/// One of several words.
pub(crate) fn choice<T: Copy + 'static>(names: &[(&'static str, T)], placeholder: T) -> Scalar<T> {
    let names = names.to_vec();
    let words: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
    let all = words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    Scalar {
        name: format!("one of {all}"),
        schema: or_variable(&json!({"enum": words})),
        placeholder,
        parse: Box::new(move |text, _| {
            let known = names.iter().find(|(name, _)| *name == text);
            known.map(|(_, value)| *value).ok_or_else(|| {
                let near = closest(text, words.iter().copied()).map(|near| format!("did you mean `{near}`?"));
                Fault::new(format!("is none of {all}"), near.unwrap_or_else(|| "write one of them".to_owned()))
            })
        }),
    }
}

/// A schema for values that are no free text: a variable may stand in their place.
fn or_variable(schema: &Json) -> Json {
    json!({"anyOf": [schema, {"$ref": "#/$defs/variable"}]})
}

/// A list whose items have one format.
pub(crate) struct List<F> {
    item: F,
    may_be_empty: bool,
    most: Option<usize>,
}

/// A list, perhaps empty.
pub(crate) fn list<F: Format>(item: F) -> List<F> {
    List { item, may_be_empty: true, most: None }
}

/// A list with at least one item.
pub(crate) fn some<F: Format>(item: F) -> List<F> {
    List { item, may_be_empty: false, most: None }
}

impl<F> List<F> {
    /// The same with at most so many items.
    pub(crate) fn at_most(self, most: usize) -> Self {
        Self { most: Some(most), ..self }
    }
}

impl<F: Format> Format for List<F> {
    type Value = Vec<F::Value>;

    fn name(&self) -> String {
        let most = self.most.map_or_else(String::new, |most| format!(" of at most {most}"));
        format!("list{most}: {}", self.item.name())
    }

    fn schema(&self) -> Json {
        let mut schema =
            json!({"type": "array", "items": self.item.schema(), "minItems": usize::from(!self.may_be_empty)});
        if let (Some(members), Some(most)) = (schema.as_object_mut(), self.most) {
            members.insert("maxItems".to_owned(), most.into());
        }
        schema
    }

    fn placeholder(&self) -> Self::Value {
        Vec::new()
    }

    fn read(&self, node: &Node, place: &Place, surroundings: &Surroundings<'_>) -> Result<Self::Value, Vec<Problem>> {
        let Value::List(items) = &node.value else {
            let message = format!("takes a list, not {}", node.value.kind());
            return Err(vec![place.error(message, "begin each item with `- `, or write `[a, b]`")]);
        };
        if items.is_empty() && !self.may_be_empty {
            return Err(vec![place.error("is empty", format!("add at least one item: {}", self.item.name()))]);
        }
        if let Some(most) = self.most.filter(|most| items.len() > *most) {
            return Err(vec![place.error(format!("has {} items", items.len()), format!("at most {most} are taken"))]);
        }
        let read = |(index, item): (usize, &Node)| self.item.read(item, &place.item(index, item.line), surroundings);
        let (good, bad): (Vec<_>, Vec<_>) = items.iter().enumerate().map(read).partition(Result::is_ok);
        if bad.is_empty() {
            return Ok(good.into_iter().flatten().collect());
        }
        Err(bad.into_iter().filter_map(Result::err).flatten().collect())
    }
}
