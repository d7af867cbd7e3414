//! Tokens, subjects and clients that are believed no longer, whatever the issuer has signed: read from files, asked at
//! every request.

mod files;

pub use files::read;

use std::collections::HashMap;
use std::collections::HashSet;

use serde_json::Value as Json;

use crate::decision::Denial;
use crate::decision::Reason;
use crate::facts::User;

/// What is revoked, by issuer: a `jti` or a `sub` means something with its issuer alone (RFC 7519 §4.1.2, §4.1.7).
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Revoked {
    issuers: HashMap<String, Lists>,
}

/// One issuer's lists.
#[derive(Debug, Default, PartialEq, Eq)]
struct Lists {
    tokens: HashSet<String>,
    subjects: HashSet<String>,
    clients: HashSet<String>,
}

impl Revoked {
    /// Refuses a user whose token, subject or client is on a list of the token's issuer.
    ///
    /// # Errors
    /// [`Reason::TokenRevoked`]; [`Reason::TokenClaimInvalid`] where a claim is no string, so that it could be on no list,
    /// and its issuer has one for it.
    pub(super) fn check(&self, user: &User) -> Result<(), Denial> {
        let Some(Lists { tokens, subjects, clients }) = self.issuers.get(&user.issuer) else { return Ok(()) };
        // Both names of the client, since a token may have both, and the policy sees the first.
        for (name, list) in [("jti", tokens), ("sub", subjects), ("client_id", clients), ("azp", clients)] {
            match user.claims.get(name).filter(|_| !list.is_empty()) {
                Some(Json::String(text)) if list.contains(text) => return Err(revoked(name)),
                None | Some(Json::String(_)) => {}
                Some(_) => return Err(Denial::new(Reason::TokenClaimInvalid, format!("`{name}` has the wrong type"))),
            }
        }
        Ok(())
    }
}

fn revoked(claim: &str) -> Denial {
    Denial::new(Reason::TokenRevoked, format!("`{claim}` is on a revocation list"))
}
