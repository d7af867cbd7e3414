//! The user a request is made for, once proven.

use serde_json::Map;
use serde_json::Value as Json;

/// A verified token's content.
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    /// `iss`, one of the configured issuers, byte for byte.
    pub issuer: String,
    /// `sub`.
    pub subject: String,
    /// `aud`, as a list whichever way it was written; empty where absent.
    pub audience: Vec<String>,
    /// `client_id`, else `azp`.
    pub client_id: Option<String>,
    /// `scope` split at spaces.
    pub scopes: Vec<String>,
    /// The header's `typ`, lower case, without `application/`.
    pub token_type: Option<String>,
    /// `iat`, whole seconds.
    pub issued_at: Option<i64>,
    /// `exp`, whole seconds, rounded down.
    pub expires_at: i64,
    /// All claims.
    pub claims: Map<String, Json>,
    /// The `act` chain, where there is one.
    pub delegation: Option<Delegation>,
}

/// Who acts for the user (RFC 8693 §4.1), outermost (current) actor first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delegation {
    /// The actors; never empty, bounded in depth.
    pub actors: Vec<Actor>,
}

/// One `act` member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// `sub`.
    pub subject: String,
    /// `iss`, where given.
    pub issuer: Option<String>,
}
