//! The body, as far as its content type says how to read it: JSON today; gRPC, forms and multipart join here.

use crate::decision::Denial;
use crate::decision::Reason;
use crate::facts::Body;
use crate::facts::HeaderProblem;
use crate::facts::Http;

use super::json;
use super::json::Dialect;

/// Which rules say whether and how a body is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rules {
    /// Media types by RFC 9110, JSON by RFC 8259 with nothing that parsers differ on.
    Strict,
    /// OPA-Envoy's: media types by substring, JSON as Go reads it, the merged headers alone.
    OpaEnvoy,
}

/// Reads the body.
///
/// # Errors
/// [`Reason::RequestBodyInvalid`] where the body is not what its content type says.
pub(super) fn read(http: &Http, strict: bool) -> Result<Body, Denial> {
    let rules = if strict { Rules::Strict } else { Rules::OpaEnvoy };
    // Envoy sets this header itself where it sends bodies at all, and takes the client's away.
    if rules.header(http, "x-envoy-auth-partial-body")? == Some("true") {
        return Ok(Body::Truncated);
    }
    match rules.header(http, "content-type")? {
        Some(content_type) if rules.is_json(content_type) => read_json(http, rules),
        _ => Ok(Body::Absent),
    }
}

fn read_json(http: &Http, rules: Rules) -> Result<Body, Denial> {
    let body = if http.body.is_empty() { http.raw_body.as_slice() } else { http.body.as_bytes() };
    if body.is_empty() {
        return Ok(Body::Absent);
    }
    if is_truncated(http, body, rules)? {
        return Ok(Body::Truncated);
    }
    let dialect = match rules {
        Rules::Strict => Dialect::Strict,
        Rules::OpaEnvoy => Dialect::Go,
    };
    json::parsed(body, dialect).map(Body::Parsed).map_err(|error| invalid(&format!("the JSON body {error}")))
}

/// Whether the request says it has more body than is here.
fn is_truncated(http: &Http, body: &[u8], rules: Rules) -> Result<bool, Denial> {
    let here = i64::try_from(body.len()).unwrap_or(i64::MAX);
    if rules == Rules::Strict && http.size > here {
        return Ok(true);
    }
    let Some(length) = rules.header(http, "content-length")? else { return Ok(false) };
    let length: i64 = length.parse().map_err(|_no_number| invalid("content-length is no number"))?;
    Ok(length > here)
}

impl Rules {
    fn header<'a>(self, http: &'a Http, name: &'a str) -> Result<Option<&'a str>, Denial> {
        match self {
            Self::OpaEnvoy => Ok(http.headers.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())),
            Self::Strict => http.single_header(name).map_err(|problem| match problem {
                HeaderProblem::Repeated => invalid(&format!("{name} is there twice")),
                HeaderProblem::NotText => invalid(&format!("{name} is no text")),
            }),
        }
    }

    fn is_json(self, content_type: &str) -> bool {
        match self {
            Self::OpaEnvoy => content_type.contains("application/json"),
            Self::Strict => is_json_in_utf8(content_type),
        }
    }
}

/// `application/json`, in whatever case, without a charset or with UTF-8 (RFC 8259 §8.1 knows no other).
fn is_json_in_utf8(content_type: &str) -> bool {
    let mut parts = content_type.split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|media_type| media_type.eq_ignore_ascii_case("application/json"));
    is_json
        && parts.filter_map(|parameter| parameter.split_once('=')).all(|(name, value)| {
            !name.eq_ignore_ascii_case("charset") || value.trim_matches('"').eq_ignore_ascii_case("utf-8")
        })
}

fn invalid(detail: &str) -> Denial {
    Denial::new(Reason::RequestBodyInvalid, detail)
}

#[cfg(test)]
mod tests;
