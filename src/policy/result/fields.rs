//! Reads a field as what it has to be.

use regorus::Value;

use crate::decision::Reason;

/// The most elements of one field: more headers than any server takes.
const MAX_ELEMENTS: usize = 1024;

/// Why a result cannot be used.
pub(super) struct Unfit {
    pub(super) reason: Reason,
    /// The field, and what is wrong with it. Never its value: that may be a token on its way upstream.
    pub(super) detail: String,
}

impl Unfit {
    /// The value as a whole is none that decides.
    pub(super) fn value(kind: &str) -> Self {
        Self { reason: Reason::PolicyResultType, detail: format!("the policy's value is {kind}") }
    }

    /// Something is wrong in a field.
    pub(super) fn field(field: &str, fault: impl std::fmt::Display) -> Self {
        Self { reason: Reason::PolicyResultInvalid, detail: format!("`{field}` {fault}") }
    }

    /// A field is of the wrong kind.
    pub(super) fn kind(field: &str, expected: &str, found: &Value) -> Self {
        Self::field(field, format!("is {}, not {expected}", kind(found)))
    }
}

/// The kind of a value, for a sentence.
pub(super) const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Set(_) => "a set",
        Value::Object(_) => "an object",
        Value::Undefined => "undefined",
    }
}

/// The elements of an array or a set, which is an array wherever it leaves Rego; nothing of other values.
pub(super) fn elements(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Set(items) => items.iter().collect(),
        _ => Vec::new(),
    }
}

pub(super) fn text<'v>(field: &str, value: Option<&'v Value>) -> Result<Option<&'v str>, Unfit> {
    match value {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(Unfit::kind(field, "a string", other)),
    }
}

/// A list of strings.
pub(super) fn texts(field: &str, value: Option<&Value>) -> Result<Vec<String>, Unfit> {
    let Some(value) = value else { return Ok(Vec::new()) };
    if !matches!(value, Value::Array(_) | Value::Set(_)) {
        return Err(Unfit::kind(field, "a list of strings", value));
    }
    let items = elements(value);
    ensure_few(field, items.len())?;
    let texts = items.into_iter().map(|item| match item {
        Value::String(text) => Ok(text.as_ref().to_owned()),
        other => Err(Unfit::field(field, format!("has {} among its strings", kind(other)))),
    });
    texts.collect()
}

/// Names with one or more texts each, in order of names; from an object whose values are strings or lists of strings.
pub(super) fn pairs<'v>(field: &str, value: Option<&'v Value>) -> Result<Vec<(&'v str, &'v str)>, Unfit> {
    let mut pairs = Vec::new();
    match value {
        None => {}
        Some(Value::Object(object)) => {
            for (name, value) in object.iter_sorted() {
                let Value::String(name) = name else { return Err(Unfit::kind(field, "named by strings", name)) };
                values(field, value)?.into_iter().for_each(|value| pairs.push((name.as_ref(), value)));
            }
        }
        Some(other) => return Err(Unfit::kind(field, "an object", other)),
    }
    ensure_few(field, pairs.len())?;
    Ok(pairs)
}

fn values<'v>(field: &str, value: &'v Value) -> Result<Vec<&'v str>, Unfit> {
    let values = match value {
        Value::Array(_) | Value::Set(_) => elements(value),
        single => vec![single],
    };
    let texts = values.into_iter().map(|value| match value {
        Value::String(text) => Ok(text.as_ref()),
        other => Err(Unfit::field(field, format!("has {} where a string or a list of strings belongs", kind(other)))),
    });
    texts.collect()
}

pub(super) fn ensure_few(field: &str, count: usize) -> Result<(), Unfit> {
    if count > MAX_ELEMENTS { Err(Unfit::field(field, "has more than 1024 elements")) } else { Ok(()) }
}

/// An HTTP status that Envoy and Go both know; what OPA-Envoy takes. Numbers compare by value: 401.0 is 401.
pub(super) fn status(field: &str, value: Option<&Value>) -> Result<Option<u16>, Unfit> {
    match value {
        None => Ok(None),
        Some(Value::Number(number)) => match number.as_u64().and_then(|code| u16::try_from(code).ok()) {
            Some(code) if is_status(code) => Ok(Some(code)),
            _ => Err(Unfit::field(field, "is no HTTP status that the proxy knows")),
        },
        Some(other) => Err(Unfit::kind(field, "a number", other)),
    }
}

/// `envoy.type.v3.StatusCode`, of which Go's `http.StatusText` knows every one but `Empty`.
const fn is_status(code: u16) -> bool {
    matches!(
        code,
        100 | 200..=208 | 226 | 300..=305 | 307 | 308 | 400..=417 | 421..=424 | 426 | 428 | 429 | 431 | 500..=508 | 510 | 511
    )
}
