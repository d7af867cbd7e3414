//! A [`Decision`] as Envoy's `CheckResponse`.
//!
//! Every answer is a `CheckResponse` under gRPC status OK: to Envoy a gRPC error, or an `error_response`, is a failure of
//! the authorizer, which `failure_mode_allow` turns into permission.
//!
//! # What becomes of a header that is there already
//!
//! `HeaderValueOption` says it in two fields, and what both left unset mean depends on the list that the header is in
//! and on Envoy's version. Tried on Envoy 1.40, which OPA-Envoy leaves to its silence:
//!
//! | list | silence | `append: false` | `append: true` |
//! |---|---|---|---|
//! | `ok_response.headers` | overwrites; of one name the last value stays (newer Envoys: appends) | overwrites | appends after a comma |
//! | `ok_response.response_headers_to_add` | adds beside | overwrites; of one name the last value stays | adds beside |
//! | `denied_response.headers` | sets; of one name all values stay | sets (newer Envoys: the last value stays) | **is dropped** |
//!
//! So request headers say both fields, or a newer Envoy would append an identity header to the client's own; response
//! headers are left to their silence; of a denial's headers the first of a name overwrites, and more are left to theirs.

mod body;
mod challenge;

use std::collections::HashMap;

use envoy_types::pb::envoy::config::core::v3::HeaderValue;
use envoy_types::pb::envoy::config::core::v3::HeaderValueOption;
use envoy_types::pb::envoy::config::core::v3::QueryParameter;
use envoy_types::pb::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use envoy_types::pb::envoy::service::auth::v3::CheckResponse;
use envoy_types::pb::envoy::service::auth::v3::DeniedHttpResponse;
use envoy_types::pb::envoy::service::auth::v3::OkHttpResponse;
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::r#type::v3::HttpStatus;
use envoy_types::pb::google::protobuf::BoolValue;
use envoy_types::pb::google::protobuf::ListValue;
use envoy_types::pb::google::protobuf::Struct;
use envoy_types::pb::google::protobuf::Value;
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::rpc::Status;
use serde_json::Map;
use serde_json::Value as Json;
use tonic::Code;

use crate::decision::Decision;
use crate::decision::Denial;
use crate::decision::DeniedResponse;
use crate::decision::Document;
use crate::decision::Effects;
use crate::decision::Grant;
use crate::decision::HeaderField;
use crate::decision::Reason;
use crate::route::Words;
use body::Body;
use body::body;
use challenge::challenge;

/// What the answers look like, beyond the decision itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// A refusal without a body of the policy's own says its reason as JSON: `{"reason":"token_expired"}`.
    pub reason_in_body: bool,
    /// A refusal without a body of the policy's own says what it is as `application/problem+json` (RFC 9457).
    pub problem_details: bool,
    /// What several values of one request header mean.
    pub several_values: SeveralValues,
}

/// What several values for one request header, `"x-role": ["a", "b"]`, come to at the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SeveralValues {
    /// All of them, joined with a comma.
    #[default]
    Joined,
    /// The last, as with OPA-Envoy: its values overwrite one another.
    Last,
}

/// What an answer says of itself, beyond its decision.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// Names the decision, here and in the log.
    pub decision_id: &'a str,
    /// How answers are written.
    pub options: Options,
    /// What a challenge says beside its error.
    pub challenge: Words<'a>,
}

/// Makes the answer to one check. `dynamic_metadata` always has the `decision_id`, whatever the policy put there.
pub fn encode(decision: Decision, terms: &Terms<'_>) -> CheckResponse {
    let Terms { decision_id, options, .. } = *terms;
    match decision {
        Decision::Allow(Grant { effects, dynamic_metadata, .. }) => CheckResponse {
            status: Some(status(Code::Ok)),
            dynamic_metadata: Some(metadata(dynamic_metadata, decision_id)),
            http_response: ok_response(effects, options.several_values).map(HttpResponse::OkResponse),
        },
        Decision::Deny(denial) => {
            let challenge = challenge(&denial, &terms.challenge);
            let Denial { reason, detail: _, response, demand: _, dynamic_metadata, scheme: _ } = denial;
            CheckResponse {
                status: Some(status(code(reason))),
                dynamic_metadata: Some(metadata(dynamic_metadata, decision_id)),
                http_response: denied_response(reason, challenge, response, terms).map(HttpResponse::DeniedResponse),
            }
        }
    }
}

/// Makes the answer to a request for a public document: a refusal to the proxy, so that the request goes no further. Any
/// page may read it, as clients in browsers do before they have a token.
pub fn encode_document(document: &Document, decision_id: &str) -> CheckResponse {
    let headers: &[_] = match document {
        Document::Json(_) => &[("content-type", "application/json"), ANY_ORIGIN],
        Document::Preflight => &PREFLIGHT,
    };
    let header = |(name, value): &(&str, &str)| header_option((*name).into(), (*value).into(), Existing::Overwritten);
    let response = DeniedHttpResponse {
        status: Some(HttpStatus { code: document.http_status().into() }),
        headers: headers.iter().map(header).collect(),
        body: document.body().to_owned(),
    };
    CheckResponse {
        status: Some(status(Code::PermissionDenied)),
        dynamic_metadata: Some(metadata(Map::new(), decision_id)),
        http_response: Some(HttpResponse::DeniedResponse(response)),
    }
}

/// Pages of every origin may read a document: it is the same for everybody. With `*` a browser sends no credentials, and
/// shows no answer to a request that had some (Fetch, "CORS check").
const ANY_ORIGIN: (&str, &str) = ("access-control-allow-origin", "*");

/// A page may ask for a document with any header, as MCP clients do with `MCP-Protocol-Version`: none of them changes the
/// answer. `*` covers every name but `Authorization`, which nobody needs here. Two hours is the longest that
/// Chromium remembers it.
const PREFLIGHT: [(&str, &str); 4] = [
    ANY_ORIGIN,
    ("access-control-allow-methods", "GET, HEAD"),
    ("access-control-allow-headers", "*"),
    ("access-control-max-age", "7200"),
];

const UNAUTHORIZED: u16 = 401;
const FORBIDDEN: u16 = 403;
const UNAVAILABLE: u16 = 503;

/// The gRPC status inside the answer follows the reason, not the HTTP status that a policy chose: a policy's own 401
/// is a policy's "no", as with OPA-Envoy.
const fn code(reason: Reason) -> Code {
    match reason.http_status() {
        UNAUTHORIZED => Code::Unauthenticated,
        UNAVAILABLE => Code::Unavailable,
        _ => Code::PermissionDenied,
    }
}

fn status(code: Code) -> Status {
    Status { code: code.into(), message: String::new(), details: Vec::new() }
}

/// `None` where the grant changes nothing and did not ask for an explicit answer: a plain `true`.
fn ok_response(effects: Effects, several_values: SeveralValues) -> Option<OkHttpResponse> {
    let Effects { headers, headers_to_remove, response_headers, query_to_set, query_to_remove, explicit } = effects;
    let changes_nothing = headers.is_empty()
        && headers_to_remove.is_empty()
        && response_headers.is_empty()
        && query_to_set.is_empty()
        && query_to_remove.is_empty();
    if changes_nothing && !explicit {
        return None;
    }
    let repeated = match several_values {
        SeveralValues::Joined => Existing::Appended,
        SeveralValues::Last => Existing::Overwritten,
    };
    Some(OkHttpResponse {
        headers: self::headers(headers, repeated),
        headers_to_remove,
        response_headers_to_add: response_headers.into_iter().map(|field| header(field, Existing::Silent)).collect(),
        query_parameters_to_set: query_to_set.into_iter().map(|(key, value)| QueryParameter { key, value }).collect(),
        query_parameters_to_remove: query_to_remove,
        ..OkHttpResponse::default()
    })
}

/// `None` where the denial is bare: Envoy then answers 403 by itself.
fn denied_response(
    reason: Reason,
    challenge: Option<String>,
    response: Option<DeniedResponse>,
    terms: &Terms<'_>,
) -> Option<DeniedHttpResponse> {
    let Terms { decision_id, options, .. } = *terms;
    let response = match response {
        None if !options.reason_in_body && !options.problem_details => return None,
        None => DeniedResponse { http_status: FORBIDDEN, headers: Vec::new(), body: String::new() },
        Some(response) => response,
    };
    let DeniedResponse { http_status, headers, body: mut text } = response;
    let mut headers = self::headers(headers, Existing::Silent);
    let mut set =
        |name: &str, value: String| headers.push(header_option(name.to_owned(), value, Existing::Overwritten));
    if let Some(challenge) = challenge {
        set("www-authenticate", challenge);
    }
    if text.is_empty()
        && let Some(body) = body(reason, http_status, decision_id, options)
    {
        let Body { content_type, text: told } = body;
        set("content-type", content_type.to_owned());
        text = told;
    }
    Some(DeniedHttpResponse { status: Some(HttpStatus { code: http_status.into() }), headers, body: text })
}

/// What a header does to one of its name that is there already.
#[derive(Clone, Copy)]
enum Existing {
    Overwritten,
    Appended,
    /// What Envoy makes of a header that does not say.
    Silent,
}

/// The first of each name overwrites, so that nothing of the client's or the proxy's stays; the further ones of that
/// name are as `repeated` says.
fn headers(fields: Vec<HeaderField>, repeated: Existing) -> Vec<HeaderValueOption> {
    let mut options: Vec<HeaderValueOption> = Vec::with_capacity(fields.len());
    for field in fields {
        let names = options.iter().filter_map(|option| option.header.as_ref());
        let is_repeated = names.map(|header| &header.key).any(|name| name.eq_ignore_ascii_case(field.name()));
        options.push(header(field, if is_repeated { repeated } else { Existing::Overwritten }));
    }
    options
}

fn header(field: HeaderField, existing: Existing) -> HeaderValueOption {
    let (name, value) = field.into_parts();
    header_option(name, value, existing)
}

#[expect(deprecated, reason = "older Envoys look at `append` alone")]
fn header_option(key: String, value: String, existing: Existing) -> HeaderValueOption {
    let (append, append_action) = match existing {
        Existing::Overwritten => (Some(false), HeaderAppendAction::OverwriteIfExistsOrAdd),
        Existing::Appended => (Some(true), HeaderAppendAction::AppendIfExistsOrAdd),
        Existing::Silent => (None, HeaderAppendAction::AppendIfExistsOrAdd),
    };
    HeaderValueOption {
        header: Some(HeaderValue { key, value, raw_value: Vec::new() }),
        append: append.map(|value| BoolValue { value }),
        append_action: append_action.into(),
        keep_empty_value: false,
    }
}

fn metadata(policy: Map<String, Json>, decision_id: &str) -> Struct {
    let mut metadata = structure(policy);
    let decision_id = Value { kind: Some(Kind::StringValue(decision_id.to_owned())) };
    metadata.fields.insert("decision_id".to_owned(), decision_id);
    metadata
}

fn structure(object: Map<String, Json>) -> Struct {
    let fields: HashMap<_, _> = object.into_iter().map(|(name, field)| (name, value(field))).collect();
    Struct { fields }
}

fn value(json: Json) -> Value {
    let kind = match json {
        Json::Null => Kind::NullValue(0),
        Json::Bool(truth) => Kind::BoolValue(truth),
        // A `Struct` has no numbers but doubles; one beyond their range is kept as its digits.
        Json::Number(number) => {
            number.as_f64().map_or_else(|| Kind::StringValue(number.to_string()), Kind::NumberValue)
        }
        Json::String(text) => Kind::StringValue(text),
        Json::Array(items) => Kind::ListValue(ListValue { values: items.into_iter().map(value).collect() }),
        Json::Object(object) => Kind::StructValue(structure(object)),
    };
    Value { kind: Some(kind) }
}

#[cfg(test)]
mod tests;
