//! What can be read from a request without believing it: path, query, body and host.
//!
//! Two readings stand side by side. OPA-Envoy's (`parsed_path`, `parsed_query`, `parsed_body`, `truncated_body`) follows
//! Go's standard library to the letter, since policies were written against it. The normalised one (`http`) refuses what
//! the proxy and the upstream may read differently, so that a policy never decides on another request than is served.

mod body;
mod escape;
mod host;
mod json;
mod path;
mod query;

use crate::decision::Denial;
use crate::decision::Reason;
use crate::facts::Attributes;
use crate::facts::Body;
use crate::facts::Http;
use crate::facts::HttpView;
use crate::facts::RequestView;

/// How requests are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Normalise path and host, and refuse what is ambiguous (`compatibility: strict`). Otherwise OPA-Envoy's rules
    /// alone.
    pub normalise: bool,
    /// Parse bodies; otherwise the document has neither `parsed_body` nor `truncated_body`.
    pub parse_body: bool,
}

/// The longest path and query looked at. Envoy takes 60 KiB for all headers together unless told otherwise.
pub const MAX_TARGET_BYTES: usize = (1 << 16) - 1;

/// Reads the request.
///
/// # Errors
/// A denial with one of the `request_` reasons: incomplete, path, query, host or body.
pub fn view(attributes: &Attributes, config: &Config) -> Result<RequestView, Denial> {
    let nothing = Http::default();
    let http = match attributes.http() {
        Some(http) => http,
        None if config.normalise => return Err(incomplete(attributes)),
        None => &nothing,
    };
    if http.path.len() > MAX_TARGET_BYTES {
        let detail = format!("a path of {} bytes", http.path.len());
        return Err(Denial::new(Reason::RequestPathInvalid, detail));
    }
    let normalised = if config.normalise { Some(normalise(http)?) } else { None };
    let (path, query) = http.path.split_once('?').unwrap_or((&http.path, ""));
    let parsed_path = path::parsed(path).map_err(|error| Denial::new(Reason::RequestPathInvalid, error.to_string()))?;
    let parsed_query =
        query::parsed(query).map_err(|error| Denial::new(Reason::RequestQueryInvalid, error.to_string()))?;
    let body = if config.parse_body { body::read(http, config.normalise)? } else { Body::Skipped };
    Ok(RequestView { parsed_path, parsed_query, body, http: normalised })
}

/// The host that a request is for, in one spelling: lower case, without port and dot at the end. `None` where it names
/// none, or may be read in two ways.
pub fn host(http: &Http) -> Option<String> {
    host::normalise(http).ok().filter(|host| !host.is_empty())
}

fn normalise(http: &Http) -> Result<HttpView, Denial> {
    let path =
        path::normalise(&http.path, &http.method).map_err(|error| Denial::new(error.reason(), error.to_string()))?;
    let host = host::normalise(http).map_err(|error| Denial::new(Reason::RequestHostAmbiguous, error.to_string()))?;
    Ok(HttpView { host, path: path.text, path_raw: path.raw.to_owned(), segments: path.segments })
}

fn incomplete(attributes: &Attributes) -> Denial {
    let missing = match &attributes.request {
        _ if attributes.absent => "attributes",
        None => "request",
        Some(_) => "HTTP part",
    };
    Denial::new(Reason::RequestIncomplete, format!("there is no {missing}"))
}

#[cfg(test)]
mod tests;
