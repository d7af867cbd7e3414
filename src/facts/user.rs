//! The user a request is made for, once proven.

use std::any::Any;
use std::fmt;
use std::sync::OnceLock;

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
    /// Roles, from where the issuer's configuration says; empty where there are none.
    pub roles: Vec<String>,
    /// Groups, likewise.
    pub groups: Vec<String>,
    /// The tenant, likewise.
    pub tenant: Option<String>,
    /// The header's `typ`, lower case, without `application/`.
    pub token_type: Option<String>,
    /// `iat`, whole seconds.
    pub issued_at: Option<i64>,
    /// `exp`, whole seconds, rounded down.
    pub expires_at: i64,
    /// All claims.
    pub claims: Map<String, Json>,
    /// The `act` chain and `may_act`, where one of them is there.
    pub delegation: Option<Delegation>,
    /// The policy engine's own form of all this.
    pub rendered: Rendered,
}

/// Where the policy engine keeps its form of a user, so that a token that is met again is not rendered again. No fact:
/// it does not print, it does not count when users are compared, and a copy of a user begins without it.
#[derive(Default)]
pub struct Rendered(OnceLock<Box<dyn Any + Send + Sync>>);

impl Rendered {
    /// What is kept here, made now where there is nothing yet.
    ///
    /// # Errors
    /// Those of `make`; nothing is kept then.
    pub fn get_or_try_init<T, E>(&self, make: impl FnOnce() -> Result<T, E>) -> Result<T, E>
    where
        T: Any + Clone + Send + Sync,
    {
        if let Some(kept) = self.0.get().and_then(|kept| kept.downcast_ref::<T>()) {
            return Ok(kept.clone());
        }
        let value = make()?;
        // Somebody else's form, or one made meanwhile, stays: there is one engine, so both are the same.
        let _kept_already = self.0.set(Box::new(value.clone()));
        Ok(value)
    }
}

impl fmt::Debug for Rendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rendered")
    }
}

impl Clone for Rendered {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Rendered {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

/// Who acts for the user (RFC 8693 §4.1), outermost (current) actor first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delegation {
    /// The actors, bounded in depth; empty where only `may_act` is there.
    pub actors: Vec<Actor>,
    /// Who may become the actor (`may_act`, RFC 8693 §4.4), where the token says so.
    pub may_act: Option<Actor>,
}

/// One `act` or `may_act` member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// `sub`.
    pub subject: String,
    /// `iss`, where given.
    pub issuer: Option<String>,
}
