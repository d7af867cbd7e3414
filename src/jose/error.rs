//! Why a token cannot be read or no key is its own.

use thiserror::Error;

/// What is wrong with a token, and the detail for the log. Carries nothing of the token but a short excerpt.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{detail}")]
pub struct JoseError {
    /// Of which kind it is.
    pub fault: Fault,
    /// The detail.
    pub detail: String,
}

/// The kinds of what can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Longer, deeper or wider than is looked at.
    TooLarge,
    /// No compact JWS with a JSON header and JSON claims.
    Malformed,
    /// The header carries a key, a key's address, or a critical extension.
    Forbidden,
    /// The algorithm is not supported, or not the key's.
    Algorithm,
    /// The set has no such key, or none that can be told from others.
    KeyUnknown,
}

impl JoseError {
    pub(super) fn new(fault: Fault, detail: impl Into<String>) -> Self {
        Self { fault, detail: detail.into() }
    }
}
