//! The query string, as Go's `url.ParseQuery` reads it.

use thiserror::Error;

use super::escape::BadEscape;
use super::escape::Plus;
use super::escape::unescape;

/// The most parameters looked at: Go's own limit since 2026 (`urlmaxqueryparams`).
pub(super) const MAX_PARAMETERS: usize = 10_000;

/// Why a query is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum QueryError {
    /// Some servers split at `;`, others do not.
    #[error("the query has a semicolon")]
    Semicolon,
    /// A bad escape in a name or a value.
    #[error("the query {0}")]
    Escape(#[from] BadEscape),
    /// More than [`MAX_PARAMETERS`].
    #[error("the query has more than 10000 parameters")]
    TooMany,
}

/// Every name with all its values, in order of the query.
pub(super) fn parsed(query: &str) -> Result<Vec<(String, Vec<String>)>, QueryError> {
    if query.contains(';') {
        return Err(QueryError::Semicolon);
    }
    let mut parameters = Vec::new();
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        if parameters.len() == MAX_PARAMETERS {
            return Err(QueryError::TooMany);
        }
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        parameters.push((unescape(name, Plus::Space)?.into_owned(), unescape(value, Plus::Space)?.into_owned()));
    }
    Ok(grouped(parameters))
}

/// One entry a name. The sort keeps the order of a name's values, and is quick where each name is another.
fn grouped(mut parameters: Vec<(String, String)>) -> Vec<(String, Vec<String>)> {
    parameters.sort_by(|(a, _), (b, _)| a.cmp(b));
    let mut groups: Vec<(String, Vec<String>)> = Vec::with_capacity(parameters.len());
    for (name, value) in parameters {
        match groups.last_mut() {
            Some((last, values)) if *last == name => values.push(value),
            _ => groups.push((name, vec![value])),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(groups: &[(&str, &[&str])]) -> Vec<(String, Vec<String>)> {
        groups
            .iter()
            .map(|(name, values)| (name.to_string(), values.iter().map(ToString::to_string).collect()))
            .collect()
    }

    #[test]
    fn f8_a_policy_gets_every_value_in_order() {
        for (query, parameters) in [
            ("", owned(&[])),
            ("a=1&a=2", owned(&[("a", &["1", "2"])])),
            ("a=2&b=x&a=1", owned(&[("a", &["2", "1"]), ("b", &["x"])])),
            ("a[]=", owned(&[("a[]", &[""])])),
            ("a", owned(&[("a", &[""])])),
            ("=b", owned(&[("", &["b"])])),
            ("a=x%26y", owned(&[("a", &["x&y"])])),
            ("a=b+c&d%2B=e", owned(&[("a", &["b c"]), ("d+", &["e"])])),
            ("&&a=1&&", owned(&[("a", &["1"])])),
            ("a=b=c", owned(&[("a", &["b=c"])])),
            ("a=1%3Bb=2", owned(&[("a", &["1;b=2"])])),
        ] {
            assert_eq!(parsed(query).unwrap(), parameters, "{query}");
        }
    }

    #[test]
    fn f8_a_semicolon_is_no_separator() {
        for query in ["a=1;b=2", ";", "a=1&b;c"] {
            assert_eq!(parsed(query), Err(QueryError::Semicolon), "{query}");
        }
    }

    #[test]
    fn bad_escapes_are_refused_in_names_and_values() {
        for query in ["a=%", "%zz=1", "a=1&%", "a=%2"] {
            assert_eq!(parsed(query), Err(QueryError::Escape(BadEscape)), "{query}");
        }
    }

    #[test]
    fn f9_parameters_are_counted() {
        let many = |count| vec!["a"; count].join("&");
        assert_eq!(parsed(&many(MAX_PARAMETERS)).unwrap(), [("a".to_owned(), vec![String::new(); MAX_PARAMETERS])]);
        assert_eq!(parsed(&many(MAX_PARAMETERS + 1)), Err(QueryError::TooMany));
        assert_eq!(parsed(&many(100_000)), Err(QueryError::TooMany));
    }
}
