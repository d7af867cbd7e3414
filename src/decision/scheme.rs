//! What a client is told that has shown no good token: which scheme to try, and what was wrong (RFC 9110 §11.6.1).

use super::Denial;
use super::Reason;

/// An authentication scheme that brings an access token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scheme {
    /// RFC 6750.
    #[default]
    Bearer,
    /// RFC 9449.
    Dpop,
}

/// The part of a challenge that follows from the denial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Challenge {
    /// The scheme that was tried, or that there is where none was.
    pub scheme: Scheme,
    /// The error code; `None` where nothing was shown that could be wrong.
    pub error: Option<&'static str>,
}

impl Scheme {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bearer => "Bearer",
            Self::Dpop => "DPoP",
        }
    }
}

impl Denial {
    /// The challenge that goes with a refusal for want of a good token, if it is one.
    pub const fn challenge(&self) -> Option<Challenge> {
        let error = match self.reason {
            // RFC 6750 §3.1: no error code where there was no authentication information, or of an unsupported method.
            Reason::TokenMissing | Reason::TokenScheme => None,
            Reason::TokenRepeated => Some("invalid_request"),
            // RFC 9449 §7.1 and §9.
            Reason::TokenDpopMissing | Reason::TokenDpopInvalid | Reason::TokenDpopReplayed => {
                Some("invalid_dpop_proof")
            }
            Reason::TokenDpopNonce => Some("use_dpop_nonce"),
            // What the policy demands stands in its demand.
            Reason::PolicyStepUp => return None,
            reason if reason.http_status() == UNAUTHORIZED => Some("invalid_token"),
            _ => return None,
        };
        Some(Challenge { scheme: self.scheme, error })
    }
}

const UNAUTHORIZED: u16 = 401;
