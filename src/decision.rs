//! What the answer is: allow with its effects, or a denial with its reason; or, where nothing is decided, a public document in
//! the upstream's place.
//!
//! A [`Grant`] is made in one place only, from a policy's boolean `true` (`tests/layers.rs` holds that). There is no
//! default decision and no conversion from `bool`.

pub mod challenge;
pub mod header;
pub mod reason;
pub mod scheme;

pub use challenge::Demand;
pub use challenge::Quotable;
pub use challenge::StepUp;
pub use header::HeaderFault;
pub use header::HeaderField;
pub use reason::Reason;
pub use scheme::Challenge;
pub use scheme::Scheme;

use std::sync::Arc;

use serde_json::Map;
use serde_json::Value as Json;

/// The decision on one request.
#[derive(Debug, Clone)]
pub enum Decision {
    /// The request may go on, changed as the grant says.
    Allow(Grant),
    /// The request may not go on.
    Deny(Denial),
}

/// A public document that answers a request in the upstream's place. It is no [`Decision`], so that none can be made of it,
/// and to the proxy it is a refusal: no request goes on with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// The document itself, JSON, sent to whoever asks.
    Json(Arc<str>),
    /// What a browser asks before it asks for the document on behalf of another origin's page (CORS preflight).
    Preflight,
}

impl Document {
    /// The status that goes with it: a preflight's answer has no content.
    pub const fn http_status(&self) -> u16 {
        match self {
            Self::Json(_) => 200,
            Self::Preflight => 204,
        }
    }

    /// What is sent, where it has content.
    pub fn body(&self) -> &str {
        match self {
            Self::Json(json) => json,
            Self::Preflight => "",
        }
    }
}

/// Permission, and what it does to the request.
#[derive(Debug, Clone)]
#[expect(clippy::manual_non_exhaustive, reason = "other modules of this crate are meant")]
pub struct Grant {
    /// The effects on the request and its response.
    pub effects: Effects,
    /// What the policy adds to the proxy's dynamic metadata.
    pub dynamic_metadata: Map<String, Json>,
    /// Keeps everybody else from making one.
    #[expect(dead_code, reason = "private, so that no other module can build a grant")]
    seen_true: (),
}

impl Grant {
    /// For `policy::result` alone, which has seen the boolean `true`.
    pub(crate) const fn from_policy_true(effects: Effects, dynamic_metadata: Map<String, Json>) -> Self {
        Self { effects, dynamic_metadata, seen_true: () }
    }
}

/// What an allowed request gains and loses.
#[derive(Debug, Clone, Default)]
pub struct Effects {
    /// Request headers for the upstream; each overwrites what the client sent.
    pub headers: Vec<HeaderField>,
    /// Request headers taken away.
    pub headers_to_remove: Vec<String>,
    /// Headers added to the upstream's response.
    pub response_headers: Vec<HeaderField>,
    /// Query parameters set, in order.
    pub query_to_set: Vec<(String, String)>,
    /// Query parameters taken away.
    pub query_to_remove: Vec<String>,
    /// Whether the answer carries an `ok_response` even when it is empty.
    pub explicit: bool,
}

/// A refusal.
#[derive(Debug, Clone)]
pub struct Denial {
    /// Why, for machines.
    pub reason: Reason,
    /// Why, for the log: may name what was found, never a secret, never sent to the client.
    pub detail: String,
    /// What the client gets. `None`: a bare refusal, which the proxy turns into its own 403.
    pub response: Option<DeniedResponse>,
    /// What the client can do about it, where the policy says so; boxed, since every stage hands denials on and few have one.
    pub demand: Option<Box<Demand>>,
    /// What the policy adds to the proxy's dynamic metadata.
    pub dynamic_metadata: Map<String, Json>,
    /// The scheme that the client used, where the denial is about its token.
    pub scheme: Scheme,
}

impl Denial {
    /// A refusal with the reason's own status and an empty body.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        let response = DeniedResponse { http_status: reason.http_status(), headers: Vec::new(), body: String::new() };
        Self {
            reason,
            detail: detail.into(),
            response: Some(response),
            demand: None,
            dynamic_metadata: Map::new(),
            scheme: Scheme::default(),
        }
    }

    /// The HTTP status that the client gets.
    pub fn http_status(&self) -> u16 {
        self.response.as_ref().map_or(FORBIDDEN, |response| response.http_status)
    }
}

/// What Envoy answers to a refusal without a `denied_response`.
const FORBIDDEN: u16 = 403;

/// The refusal as the client sees it.
#[derive(Debug, Clone)]
pub struct DeniedResponse {
    /// HTTP status, one that Envoy knows.
    pub http_status: u16,
    /// Response headers.
    pub headers: Vec<HeaderField>,
    /// Response body.
    pub body: String,
}
