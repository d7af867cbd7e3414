//! What an issuer says of a token (RFC 7662 §2.2).

use std::sync::Arc;

use serde_json::Map;
use serde_json::Value as Json;
use thiserror::Error;

use crate::clock::UnixTime;
use crate::decision::Denial;
use crate::decision::Reason;
use crate::jose::CLAIM_LIMITS;
use crate::jose::json;
use crate::jose::json::JsonError;

/// An issuer's answer about one token.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Whose answer it is.
    pub issuer: String,
    /// When it was asked for: it holds from then on, so that a token withdrawn meanwhile is not taken for longer.
    pub at: UnixTime,
    /// The members of the answer, which are the token's claims; `None`: the token is not active.
    pub claims: Option<Map<String, Json>>,
}

/// What came of a question: an answer, or why there is none.
pub type Introspected = Result<Arc<Answer>, Reason>;

/// Why an answer is not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AnswerError {
    /// No JSON object, or too large a one.
    #[error("the answer {0}")]
    Json(JsonError),
    /// `active` is missing, or neither true nor false.
    #[error("the answer has no boolean `active`")]
    Active,
}

/// Reads the body of an answer: what it says of an active token; `None` of one that is not, of which nothing else counts.
///
/// # Errors
/// Where it is no answer.
pub fn read(body: &[u8]) -> Result<Option<Map<String, Json>>, AnswerError> {
    let claims = json::read_object(body, CLAIM_LIMITS).map_err(AnswerError::Json)?;
    match claims.get("active") {
        Some(Json::Bool(true)) => Ok(Some(claims)),
        Some(Json::Bool(false)) => Ok(None),
        _ => Err(AnswerError::Active),
    }
}

/// What issuers of their own call an access token in `token_use`: Ory Hydra, Amazon Cognito.
const ACCESS_USES: [&str; 2] = ["access_token", "access"];

/// The claims of an access token of `issuer`, with `iss` where the answer left it out.
///
/// An endpoint knows other tokens too, and a refresh token is as active as an access token (RFC 7662 §4). So `token_type`
/// must be there and say what it is used as (RFC 6749 §7.1), and an issuer's own `token_use` may not say otherwise.
///
/// # Errors
/// Where it is of another issuer, or no access token.
pub(in crate::token) fn access_token(mut claims: Map<String, Json>, issuer: &str) -> Result<Map<String, Json>, Denial> {
    match claims.get("iss") {
        None => drop(claims.insert("iss".to_owned(), issuer.into())),
        Some(named) if named == issuer => {}
        Some(_) => return Err(Denial::new(Reason::TokenIssuerUnknown, "the issuer's answer names another issuer")),
    }
    let token_type = claims.get("token_type").and_then(Json::as_str).unwrap_or_default();
    if !["bearer", "dpop"].iter().any(|known| known.eq_ignore_ascii_case(token_type)) {
        return Err(Denial::new(
            Reason::TokenType,
            "the issuer does not call it a Bearer or DPoP token in `token_type`",
        ));
    }
    // A DPoP token is bound (RFC 9449 §6.2). Where it is not said to which key, nobody can prove it, and Bearer is no way out.
    let names_key = claims.get("cnf").is_some_and(|cnf| cnf.get("jkt").is_some());
    if token_type.eq_ignore_ascii_case("dpop") && !names_key {
        return Err(Denial::new(Reason::TokenConfirmation, "the issuer calls it a DPoP token, and `cnf` names no key"));
    }
    match claims.get("token_use") {
        None => Ok(claims),
        Some(Json::String(stated)) if ACCESS_USES.contains(&stated.as_str()) => Ok(claims),
        Some(_) => Err(Denial::new(Reason::TokenType, "the issuer does not call it an access token in `token_use`")),
    }
}
