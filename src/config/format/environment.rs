//! `${NAME}` in a value: replaced from the environment, once, before the value is read.

use crate::config::format::Fault;
use crate::config::walk::Surroundings;

/// What a lone dollar sign is written as, where a `{` follows.
const LITERAL_HINT: &str = "write `$$` for a dollar sign";

/// Replaces each `${NAME}` by the variable's value and each `$$` by `$`. What a variable holds is not looked at again.
///
/// # Errors
/// A variable that is not set, or a `${` that is not closed or names none.
pub(crate) fn substitute(text: &str, surroundings: &Surroundings<'_>) -> Result<String, Fault> {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        result.push_str(before);
        rest = if let Some(after) = after.strip_prefix('$') {
            result.push('$');
            after
        } else if let Some(after) = after.strip_prefix('{') {
            let (name, after) = after.split_once('}').filter(|(name, _)| is_name(name)).ok_or_else(malformed)?;
            result.push_str(&(surroundings.environment)(name).ok_or_else(|| unset(name))?);
            after
        } else {
            result.push('$');
            after
        };
    }
    result.push_str(rest);
    Ok(result)
}

/// POSIX.1-2017 §8.1: letters, digits and underscore, no digit first.
fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    name.bytes().all(allowed) && name.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}

fn malformed() -> Fault {
    Fault::new("has a `${` that names no variable", format!("write `${{NAME}}`; {LITERAL_HINT}"))
}

fn unset(name: &str) -> Fault {
    Fault::new(
        format!("needs the variable `{name}`, which is not set"),
        format!("set it in the environment; {LITERAL_HINT}"),
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn substituted(text: &str) -> Result<String, String> {
        let environment = |name: &str| match name {
            "HOST" => Some("idp.example".to_owned()),
            "EMPTY" => Some(String::new()),
            "NESTED" => Some("${HOST} $$".to_owned()),
            _ => None,
        };
        let surroundings = Surroundings { directory: Path::new(""), environment: &environment };
        substitute(text, &surroundings).map_err(|fault| fault.message)
    }

    #[test]
    fn variables_are_replaced_once() {
        for (text, expected) in [
            ("plain", "plain"),
            ("https://${HOST}/a", "https://idp.example/a"),
            ("${HOST}${EMPTY}${HOST}", "idp.exampleidp.example"),
            ("${NESTED}", "${HOST} $$"),
            ("$${HOST}", "${HOST}"),
            ("a$b $ $$", "a$b $ $"),
        ] {
            assert_eq!(substituted(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_replaced_is_told() {
        assert!(substituted("${MISSING}").unwrap_err().contains("needs the variable `MISSING`, which is not set"));
        for text in ["${", "${}", "${HOST", "${HOST:-x}", "${1A}", "${A B}"] {
            assert!(substituted(text).unwrap_err().contains("names no variable"), "{text}");
        }
    }
}
