//! Signed tokens and the keys they are verified with: compact JWS and JWK, strictly (RFC 7515, RFC 7517, RFC 8725).
//!
//! Whose keys they are and what the claims must say is not known here: that is [`crate::token`]'s for users and
//! [`crate::identity`]'s for workloads. Nothing here is believed because it can be read.

mod algorithm;
pub mod claims;
mod error;
pub mod json;
mod jwk;
mod jwks;
mod jws;
mod thumbprint;

#[cfg(test)]
pub(crate) mod fixtures;

pub use algorithm::Algorithm;
pub use algorithm::UnknownAlgorithm;
pub use error::Fault;
pub use error::JoseError;
pub use jwk::JwkError;
pub use jwk::VerificationKey;
pub use jwks::KeySet;
pub use jwks::KeySetError;
pub use jwks::KeyUse;
pub use jwks::NoKey;
pub use jws::CLAIM_LIMITS;
pub use jws::Compact;
pub use jws::EmbeddedKey;
pub use jws::Header;
pub use jws::MAX_TOKEN_BYTES;
pub use jws::canonical_type;
pub use jws::check_size;
pub use thumbprint::thumbprint;

use aws_lc_rs::digest::SHA256;
use aws_lc_rs::digest::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// SHA-256 of a token as it was sent: by which it is remembered, and by which other tokens name it.
pub fn sha256(token: &[u8]) -> [u8; 32] {
    let mut sum = [0; 32];
    sum.copy_from_slice(digest(&SHA256, token).as_ref());
    sum
}

/// The form in which one token names another: base64url of its SHA-256 (RFC 9449 §4.2, draft-ietf-wimse-wpt §2).
pub fn token_hash(token: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(sha256(token))
}

/// As much of a hostile text as a log may show.
pub fn shown(text: &str) -> String {
    text.chars().flat_map(char::escape_default).take(SHOWN_CHARACTERS).collect()
}

/// Enough to recognise an issuer or a key id, too little to hide anything in or to flood a log.
const SHOWN_CHARACTERS: usize = 64;
