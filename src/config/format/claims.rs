//! Claims that a token must have: a map of names to values, null for any value. And pointers into claims.

use std::str::FromStr;

use serde_json::Map;
use serde_json::Number;
use serde_json::Value as Json;
use serde_json::json;

use crate::config::format::Fault;
use crate::config::format::Format;
use crate::config::format::Scalar;
use crate::config::format::environment;
use crate::config::walk::Place;
use crate::config::walk::Surroundings;
use crate::config::yaml::Entry;
use crate::config::yaml::Node;
use crate::config::yaml::Value;
use crate::problem::Problem;
use crate::token::ClaimPointer;

/// The format of required claims.
pub(crate) struct Claims;

impl Format for Claims {
    type Value = Vec<(String, Option<Json>)>;

    fn name(&self) -> String {
        "map of claims to values".to_owned()
    }

    fn schema(&self) -> Json {
        json!({"type": "object"})
    }

    fn placeholder(&self) -> Self::Value {
        Vec::new()
    }

    fn read(&self, node: &Node, place: &Place, surroundings: &Surroundings<'_>) -> Result<Self::Value, Vec<Problem>> {
        let Value::Map(entries) = &node.value else {
            let message = format!("takes a map, not {}", node.value.kind());
            return Err(vec![place.error(message, "write `claim: value`, or `claim: null` for any value")]);
        };
        let mut claims = Vec::new();
        let mut problems = Vec::new();
        for entry in entries {
            match json(&entry.node, &place.key(&entry.key, entry.line), surroundings) {
                Ok(value) => claims.push((entry.key.clone(), Some(value).filter(|value| !value.is_null()))),
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() { Ok(claims) } else { Err(problems) }
    }
}

/// A pointer into a token's claims.
pub(crate) fn claim_pointer() -> Scalar<ClaimPointer> {
    Scalar {
        name: "JSON pointer".to_owned(),
        schema: json!({"type": "string", "pattern": "^/"}),
        placeholder: ClaimPointer::default(),
        parse: Box::new(|text, _| {
            let hint = "write it like `/roles` or `/realm_access/roles` (RFC 6901)";
            ClaimPointer::parse(text).map_err(|error| Fault::new(error.to_string(), hint))
        }),
    }
}

/// A value as JSON, its plain scalars by YAML 1.2's JSON schema (§10.2); anything else is text.
pub(crate) fn json(node: &Node, place: &Place, surroundings: &Surroundings<'_>) -> Result<Json, Problem> {
    match &node.value {
        Value::Null => Ok(Json::Null),
        Value::Scalar { text, quoted } => match typed(text).filter(|_| !quoted) {
            Some(value) => Ok(value),
            None => {
                environment::substitute(text, surroundings).map(Json::String).map_err(|fault| fault.at(place, text))
            }
        },
        Value::List(items) => items.iter().map(|item| json(item, place, surroundings)).collect(),
        Value::Map(entries) => {
            let member = |entry: &Entry| Ok((entry.key.clone(), json(&entry.node, place, surroundings)?));
            entries.iter().map(member).collect::<Result<Map<_, _>, _>>().map(Json::Object)
        }
    }
}

fn typed(plain: &str) -> Option<Json> {
    match plain {
        "true" => Some(Json::Bool(true)),
        "false" => Some(Json::Bool(false)),
        _ => Number::from_str(plain).ok().map(Json::Number),
    }
}
