//! The user: whose tokens are believed.

use std::path::PathBuf;
use std::time::Duration;

/// All issuers.
#[derive(Debug, Clone)]
pub struct Config {
    /// In the order of the configuration.
    pub issuers: Vec<IssuerConfig>,
}

/// One issuer.
#[derive(Debug, Clone)]
pub struct IssuerConfig {
    /// The `iss` of its tokens, compared byte for byte.
    pub issuer: String,
    /// Where its keys are.
    pub keys: KeySource,
    /// Signature algorithms that it may use.
    pub algorithms: Vec<Algorithm>,
    /// Audiences, one of which a token must name.
    pub audiences: Vec<String>,
    /// Claims that a token must have, with their value or with any.
    pub required_claims: Vec<(String, Option<serde_json::Value>)>,
    /// What `typ` may be.
    pub token_types: Vec<String>,
    /// How far clocks may differ.
    pub leeway: Duration,
    /// How often keys are fetched.
    pub refresh_interval: Duration,
    /// How soon keys may be fetched again.
    pub refresh_cooldown: Duration,
    /// How old keys may become.
    pub max_stale: Duration,
    /// Whether readiness goes ahead without its keys.
    pub optional: bool,
}

/// Where an issuer's keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A JWKS file.
    File(PathBuf),
    /// A JWKS at an HTTPS address.
    Url {
        /// The address.
        url: String,
        /// Certificate authorities to trust instead of the system's.
        ca_file: Option<PathBuf>,
    },
    /// Found through OIDC discovery.
    Discovery {
        /// Certificate authorities to trust instead of the system's.
        ca_file: Option<PathBuf>,
    },
}

/// A signature algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// `EdDSA` on Ed25519.
    EdDsa,
}

impl Algorithm {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Rs256, Self::Es256, Self::EdDsa];

    /// The registered name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }
}
