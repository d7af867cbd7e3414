//! Token introspection (RFC 7662): the issuer is asked about a token that is opaque, or that may have been withdrawn.
//!
//! Asking is the edge's: the path finds that it needs an [`Answer`], the edge waits for one within the proxy's deadline,
//! and the path starts again with it. INVARIANT: no answer, a late one, and one that is not understood are refusals.

mod answer;
mod asking;
mod complaints;
mod endpoint;
mod kept;

pub use answer::Answer;
pub use answer::AnswerError;
pub use answer::Introspected;
pub(super) use answer::access_token;
pub use answer::read as read_answer;
pub use asking::IntrospectionHandle;
pub use asking::keep_asking;
#[cfg(test)]
pub(super) use asking::keep_asking_within;

use std::path::PathBuf;
use std::time::Duration;

use super::Config;
use super::IssuerIndex;
use crate::problem::Problem;
use crate::secret::Secret;

/// How an issuer is asked about tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntrospectionConfig {
    /// The introspection endpoint, an `https` URL.
    pub url: String,
    /// The client's name at the issuer.
    pub client_id: String,
    /// The file with the client's secret, alone in it.
    pub client_secret_file: PathBuf,
    /// PEM certificates that are the only trusted roots; `None`: the system's.
    pub ca_file: Option<PathBuf>,
    /// How long an answer holds; zero: not at all.
    pub cache: Duration,
    /// About which tokens to ask.
    pub tokens: AskedTokens,
}

/// About which of an issuer's tokens it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AskedTokens {
    /// Those that are no JWT.
    #[default]
    Opaque,
    /// JWTs too, once they have verified: they may have been withdrawn.
    All,
}

/// What must be asked before a check can go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Whom.
    pub issuer: IssuerIndex,
    /// About which token.
    pub token: Secret<String>,
    /// Whether it has verified by the issuer's keys.
    pub is_verified: bool,
}

/// What is wrong with the secrets and root certificates that a configuration names. Nothing is asked.
pub async fn check_files(config: &Config) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (position, issuer) in config.issuers.iter().enumerate() {
        let Some(introspection) = &issuer.introspection else { continue };
        if let Err(error) = endpoint::Endpoint::open(introspection).await {
            problems.push(Problem::error(format!("issuers[{position}].introspection"), error.to_string()));
        }
    }
    problems
}
