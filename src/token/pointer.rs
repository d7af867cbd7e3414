//! Where in a token's claims something stands: a JSON pointer (RFC 6901).

use serde_json::Map;
use serde_json::Value as Json;
use thiserror::Error;

/// A pointer to a claim or into one; never to all claims together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClaimPointer {
    text: String,
    /// The names and indices on the way, unescaped.
    steps: Vec<String>,
}

/// Why a text is no pointer into claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PointerError {
    /// It is empty, which would be all claims, or begins with something else (RFC 6901 §3).
    #[error("does not begin with a slash")]
    Beginning,
    /// A tilde that is neither `~0` nor `~1` (RFC 6901 §3).
    #[error("has a `~` that is neither `~0` nor `~1`")]
    Escape,
    /// More steps than claims are deep.
    #[error("has more than {MAX_STEPS} steps")]
    Steps,
}

/// As deep as a token's claims are read.
const MAX_STEPS: usize = 32;

impl ClaimPointer {
    /// Reads a pointer.
    ///
    /// # Errors
    /// [`PointerError`].
    pub fn parse(text: &str) -> Result<Self, PointerError> {
        let steps = text.strip_prefix('/').ok_or(PointerError::Beginning)?;
        let steps = steps.split('/').map(unescaped).collect::<Option<Vec<_>>>().ok_or(PointerError::Escape)?;
        if steps.len() > MAX_STEPS {
            return Err(PointerError::Steps);
        }
        Ok(Self { text: text.to_owned(), steps })
    }

    /// The pointer as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What stands there; `None` where nothing does.
    pub(super) fn find<'c>(&self, claims: &'c Map<String, Json>) -> Option<&'c Json> {
        let (first, rest) = self.steps.split_first()?;
        rest.iter().try_fold(claims.get(first)?, |value, step| match value {
            Json::Object(members) => members.get(step),
            Json::Array(items) => items.get(index(step)?),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => None,
        })
    }
}

/// `~1` before `~0`, so that `~01` is `~1` (RFC 6901 §4).
fn unescaped(step: &str) -> Option<String> {
    let mut escapes = step.split('~');
    escapes.next();
    escapes.all(|after| after.starts_with(['0', '1'])).then(|| step.replace("~1", "/").replace("~0", "~"))
}

/// Digits without a leading zero (RFC 6901 §4).
fn index(step: &str) -> Option<usize> {
    let is_index = step == "0" || (!step.starts_with('0') && step.bytes().all(|byte| byte.is_ascii_digit()));
    if is_index { step.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pointer_finds_what_rfc_6901_says() {
        let Json::Object(claims) = json!({
            "roles": ["a", "b"], "realm_access": {"roles": ["c"]}, "https://idp.example/roles": "d", "m~n": 8, "": 0,
            "~1": "e",
        }) else {
            panic!("an object")
        };
        let find = |text: &str| ClaimPointer::parse(text).unwrap().find(&claims).cloned();
        for (text, found) in [
            ("/roles", Some(json!(["a", "b"]))),
            ("/roles/1", Some(json!("b"))),
            ("/realm_access/roles", Some(json!(["c"]))),
            ("/https:~1~1idp.example~1roles", Some(json!("d"))),
            ("/m~0n", Some(json!(8))),
            ("/", Some(json!(0))),
            ("/~01", Some(json!("e"))),
            ("/roles/2", None),
            ("/roles/01", None),
            ("/roles/-", None),
            ("/roles/", None),
            ("/roles/99999999999999999999999", None),
            ("/m~0n/a", None),
            ("/realm_access/groups", None),
            ("/Roles", None),
        ] {
            assert_eq!(find(text), found, "{text}");
        }
    }

    #[test]
    fn what_is_no_pointer_is_told() {
        let deep = "/a".repeat(MAX_STEPS + 1);
        for (text, error) in [
            ("", PointerError::Beginning),
            ("roles", PointerError::Beginning),
            ("#/roles", PointerError::Beginning),
            ("/a~", PointerError::Escape),
            ("/a~2b", PointerError::Escape),
            (deep.as_str(), PointerError::Steps),
        ] {
            assert_eq!(ClaimPointer::parse(text), Err(error), "{text}");
        }
        assert!(ClaimPointer::parse("/a".repeat(MAX_STEPS).as_str()).is_ok());
    }
}
