//! The request as parsed: what a policy would otherwise take apart by hand.

use serde_json::Value as Json;

/// Path, query and body in OPA-Envoy's form, and the normalised view beside them.
#[derive(Debug, Clone, Default)]
pub struct RequestView {
    /// OPA-Envoy's `parsed_path`: decoded, then split.
    pub parsed_path: Vec<String>,
    /// OPA-Envoy's `parsed_query`: one entry a name, its values in order of the query.
    pub parsed_query: Vec<(String, Vec<String>)>,
    /// OPA-Envoy's `parsed_body` and `truncated_body`.
    pub body: Body,
    /// The normalised view (`http` in the document); `None` where the document has no such key.
    pub http: Option<HttpView>,
}

/// What became of the body.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Body {
    /// Configured not to be looked at: both keys are absent.
    Skipped,
    /// No body, or of a kind that is not parsed: null.
    #[default]
    Absent,
    /// Cut off by the proxy: null, and `truncated_body` is true.
    Truncated,
    /// Parsed.
    Parsed(Json),
}

/// The request in canonical form (`input.http`).
#[derive(Debug, Clone, Default)]
pub struct HttpView {
    /// The host, lower case, without port and trailing dot.
    pub host: String,
    /// Normalised path (RFC 3986 §6.2.2), no query.
    pub path: String,
    /// `:path` without the query, as sent.
    pub path_raw: String,
    /// The normalised path split before decoding, each segment decoded once.
    pub segments: Vec<String>,
}
