//! The body of a refusal that has none of the policy's: nothing, its reason, or a problem (RFC 9457).

use http::StatusCode;
use serde::Serialize;

use super::Options;
use crate::decision::Reason;

/// A body and its content type.
pub(super) struct Body {
    pub(super) content_type: &'static str,
    pub(super) text: String,
}

/// RFC 9457 §3.1. There is no `detail`: what was found stands in the log.
#[derive(Serialize)]
struct Problem<'a> {
    /// §4.2.1: the status says all there is to say.
    r#type: &'static str,
    title: &'a str,
    status: u16,
    decision_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

#[derive(Serialize)]
struct Bare {
    reason: &'static str,
}

/// Statuses from here on are errors, which a problem can describe; below are answers, which have no body or one of the
/// policy's.
const FIRST_ERROR: u16 = 400;

/// The body that the configuration wants for a refusal; `None` for none.
pub(super) fn body(reason: Reason, status: u16, decision_id: &str, options: Options) -> Option<Body> {
    let Options { reason_in_body, problem_details, several_values: _ } = options;
    let told = reason_in_body.then_some(reason.name());
    if problem_details && status >= FIRST_ERROR {
        let title = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
        let title = title.unwrap_or("Refused");
        let problem = Problem { r#type: "about:blank", title, status, decision_id, reason: told };
        return json("application/problem+json", &problem);
    }
    told.and_then(|reason| json("application/json", &Bare { reason }))
}

fn json(content_type: &'static str, body: &impl Serialize) -> Option<Body> {
    serde_json::to_string(body).ok().map(|text| Body { content_type, text })
}
