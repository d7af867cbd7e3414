//! JSON as RFC 7515 §4 and RFC 7519 §4 want it read: a member name may stand only once in an object, at any depth.
//! Depth and number of values are bounded while reading, so a small text cannot become a large tree.

use std::cell::Cell;
use std::fmt;

use serde::de::Deserialize;
use serde::de::DeserializeSeed;
use serde::de::Deserializer;
use serde::de::MapAccess;
use serde::de::SeqAccess;
use serde::de::Visitor;
use serde_json::Map;
use serde_json::Number;
use serde_json::Value as Json;
use thiserror::Error;

/// How much of a document is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Objects and lists within each other.
    pub depth: usize,
    /// Values of any kind, the containers included.
    pub values: usize,
}

/// Why a text is not read. Carries nothing of the text itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum JsonError {
    /// No JSON, or no object at the top, or something after it.
    #[error("is no JSON object")]
    Malformed,
    /// Two members of one object have the same name, escapes resolved.
    #[error("names a member twice")]
    Repeated,
    /// More than [`Limits`] allow.
    #[error("is nested too deep or has too many values")]
    TooLarge,
}

/// Reads one object and nothing after it.
///
/// # Errors
/// [`JsonError`].
pub fn read_object(text: &[u8], limits: Limits) -> Result<Map<String, Json>, JsonError> {
    match read_value(text, limits)? {
        Json::Object(object) => Ok(object),
        _ => Err(JsonError::Malformed),
    }
}

/// Reads one value of any kind and nothing after it.
///
/// # Errors
/// [`JsonError`].
pub fn read_value(text: &[u8], limits: Limits) -> Result<Json, JsonError> {
    let budget = Budget { values: Cell::new(limits.values), fault: Cell::new(JsonError::Malformed) };
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let root = Node { budget: &budget, depth: limits.depth };
    let value = root.deserialize(&mut deserializer).map_err(|_told_by_budget| budget.fault.get())?;
    deserializer.end().map_err(|_trailing| JsonError::Malformed)?;
    Ok(value)
}

/// What is left to spend on a document, and why reading it stopped.
struct Budget {
    values: Cell<usize>,
    fault: Cell<JsonError>,
}

impl Budget {
    fn stop<E: serde::de::Error>(&self, fault: JsonError) -> E {
        self.fault.set(fault);
        E::custom(fault)
    }
}

/// One value to be read.
#[derive(Clone, Copy)]
struct Node<'b> {
    budget: &'b Budget,
    /// How many containers may still be opened, one within the other.
    depth: usize,
}

impl Node<'_> {
    fn inside<E: serde::de::Error>(self) -> Result<Self, E> {
        let depth = self.depth.checked_sub(1).ok_or_else(|| self.budget.stop(JsonError::TooLarge))?;
        Ok(Self { depth, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        let left = self.budget.values.get().checked_sub(1).ok_or_else(|| self.budget.stop(JsonError::TooLarge))?;
        self.budget.values.set(left);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let inside = self.inside()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inside)? {
            list.push(item);
        }
        Ok(Json::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if name.starts_with(RESERVED) {
                return members.next_value::<NumberText>().map(|number| Json::Number(number.0));
            }
            if object.contains_key(&name) {
                return Err(self.budget.stop(JsonError::Repeated));
            }
            let value = members.next_value_seed(self.inside()?)?;
            object.insert(name, value);
        }
        Ok(Json::Object(object))
    }
}

/// `serde_json` keeps fractions and large numbers as they were written (`arbitrary_precision`), and hands each over as a
/// map of one member that is named so and has an owned string. A document's own strings are never handed over as owned:
/// so a member that merely bears such a name is told apart. It is refused, since written out it would read back as
/// something else.
const RESERVED: &str = "$serde_json::private::";

struct NumberText(Number);

impl<'de> Deserialize<'de> for NumberText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberVisitor)
    }
}

struct NumberVisitor;

impl Visitor<'_> for NumberVisitor {
    type Value = NumberText;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the text of a number")
    }

    fn visit_str<E: serde::de::Error>(self, _value: &str) -> Result<NumberText, E> {
        Err(E::custom("a member with a reserved name"))
    }

    fn visit_string<E: serde::de::Error>(self, value: String) -> Result<NumberText, E> {
        value.parse().map(NumberText).map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { depth: 3, values: 8 };

    fn read(text: &str) -> Result<Json, JsonError> {
        read_object(text.as_bytes(), LIMITS).map(Json::Object)
    }

    #[test]
    fn reads_what_serde_json_reads() {
        for text in [
            "{}",
            r#" {"a": [1, -2.5, 1e400, 18446744073709551616], "b": {"c": "\u0041\n"}} "#,
            r#"{"a": null, "b": true, "c": false, "d": ""}"#,
        ] {
            assert_eq!(read(text).unwrap(), serde_json::from_str::<Json>(text).unwrap(), "{text}");
        }
    }

    #[test]
    fn d6_a_name_stands_once_at_any_depth() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"sub":"x","\u0073ub":"y"}"#,
            r#"{"a":{"b":1,"b":2}}"#,
            r#"{"a":[{"b":1,"c":2,"b":3}]}"#,
            r#"{"":1,"":2}"#,
        ] {
            assert_eq!(read(text), Err(JsonError::Repeated), "{text}");
        }
        assert!(read(r#"{"a":{"b":1},"c":{"b":1}}"#).is_ok());
    }

    #[test]
    fn d21_depth_and_width_are_bounded() {
        assert!(read(r#"{"a":[[1]]}"#).is_ok());
        assert_eq!(read(r#"{"a":[[[1]]]}"#), Err(JsonError::TooLarge));
        assert_eq!(read(r#"{"a":[[{"b":1}]]}"#), Err(JsonError::TooLarge));
        assert!(read(r#"{"a":[1,2,3,4,5,6]}"#).is_ok());
        assert_eq!(read(r#"{"a":[1,2,3,4,5,6,7]}"#), Err(JsonError::TooLarge));
        let wide = Limits { depth: usize::MAX, values: usize::MAX };
        let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(read_object(deep.as_bytes(), wide), Err(JsonError::Malformed));
    }

    #[test]
    fn d21_what_is_no_object_is_malformed() {
        for text in
            ["", "1", "null", "[]", "\"a\"", "{", "{}x", "{} {}", "{\"a\":NaN}", "{'a':1}", "\u{feff}{}", "{\"a\":01}"]
        {
            assert_eq!(read(text), Err(JsonError::Malformed), "{text}");
        }
        for bytes in
            [b"{\"a\":\"\xff\"}".as_slice(), b"{\"\xff\":1}", b"{\"a\":\"\\ud800\"}", b"{\"a\":1}\xff", b"\0{}"]
        {
            assert_eq!(read_object(bytes, LIMITS), Err(JsonError::Malformed), "{bytes:?}");
        }
    }

    #[test]
    fn a_member_cannot_pose_as_a_number() {
        for text in [
            r#"{"$serde_json::private::Number":"1"}"#,
            r#"{"exp":{"$serde_json::private::Number":"1"}}"#,
            r#"{"exp":{"\u0024serde_json::private::Number":"1"}}"#,
            r#"{"exp":{"a":1,"$serde_json::private::Number":"1"}}"#,
            r#"{"exp":{"$serde_json::private::Number":1}}"#,
            r#"{"exp":{"$serde_json::private::RawValue":"1"}}"#,
        ] {
            assert_eq!(read(text), Err(JsonError::Malformed), "{text}");
        }
    }
}
