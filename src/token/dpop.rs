//! DPoP (RFC 9449): that who presents a token holds the key that the token is bound to, shown for this request.
//!
//! INVARIANT: a proof is remembered last, when all else about it and its token is right, so that nobody can use up
//! another's proof, or fill the memory, without a token of their own.

mod nonce;
mod proof;
mod secret;
mod seen;

pub use secret::NonceSecret;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::clock::UnixTime;
use crate::decision::Denial;
use crate::decision::HeaderField;
use crate::decision::Reason;
use crate::facts::HeaderProblem;
use crate::facts::Http;
use crate::target::Target;

use nonce::Nonces;
use proof::Expected;
use seen::Remembered;
use seen::Seen;

/// Where a proof stands, alone.
pub const PROOF_HEADER: &str = "dpop";
/// Where the nonce of a challenge stands (RFC 9449 §8).
const NONCE_HEADER: &str = "dpop-nonce";

/// How proofs are judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DpopConfig {
    /// What `htu` may begin with: scheme, host and port of the services behind the proxy, and a path's beginning, each as
    /// [`Target::parse`] takes it.
    pub targets: Vec<String>,
    /// How long after its `iat` a proof is good, in whole seconds.
    pub max_age: Duration,
    /// Whether a proof must hold a nonce that was made here.
    pub nonce: bool,
    /// The file with the secret by which replicas know one another's nonces; `None`: each process knows its own alone.
    pub nonce_secret_file: Option<PathBuf>,
    /// What the file holds, once it is read.
    pub nonce_secret: Option<NonceSecret>,
}

/// What a process knows of proofs: which it has seen, and the key of its nonces where no secret is configured. One for all
/// workers and revisions. Other processes have their own.
pub struct Proofs {
    seen: Seen,
    nonces: Nonces,
}

impl Proofs {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self { seen: Seen::new(), nonces: Nonces::new() }
    }
}

impl Default for Proofs {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Proofs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proofs").finish_non_exhaustive()
    }
}

/// Checks proofs by one configuration.
#[derive(Debug)]
pub(super) struct Dpop {
    targets: Vec<Target>,
    max_age: i64,
    nonce: bool,
    /// Of the secret that replicas share; `None`: the process's own serve.
    shared: Option<Nonces>,
}

impl Dpop {
    /// A target that cannot be read is none that a proof could name; the configuration refuses it before.
    pub(super) fn new(config: &DpopConfig) -> Self {
        Self {
            targets: config.targets.iter().filter_map(|text| Target::parse(text).ok()).collect(),
            max_age: i64::try_from(config.max_age.as_secs()).unwrap_or(i64::MAX),
            nonce: config.nonce,
            shared: config.nonce_secret.as_ref().map(Nonces::shared),
        }
    }

    /// Checks that the request has one proof, by the key with the thumbprint `key`, for this request with this token, now,
    /// and that it was not seen before.
    pub(super) fn check(
        &self,
        http: &Http,
        token: &str,
        key: &[u8; 32],
        proofs: &Proofs,
        now: UnixTime,
    ) -> Result<(), Denial> {
        let expected = Expected { http, token, key, targets: &self.targets, max_age: self.max_age, now };
        let proven = proof::check(header(http)?, &expected)?;
        if self.nonce && !proven.nonce.is_some_and(|nonce| self.nonces(proofs).is_good(&nonce, self.max_age, now)) {
            return Err(self.nonce_wanted(proofs, now));
        }
        match proofs.seen.remember(key, &proven.id, proven.until, now) {
            Remembered::Now => Ok(()),
            Remembered::Before => Err(Denial::new(Reason::TokenDpopReplayed, "the proof's `jti` was seen before")),
            Remembered::Full => {
                Err(Denial::new(Reason::TokenDpopUnavailable, "as many proofs are remembered as there is room for"))
            }
        }
    }

    fn nonces<'n>(&'n self, proofs: &'n Proofs) -> &'n Nonces {
        self.shared.as_ref().unwrap_or(&proofs.nonces)
    }

    fn nonce_wanted(&self, proofs: &Proofs, now: UnixTime) -> Denial {
        let mut denial = Denial::new(Reason::TokenDpopNonce, "the proof has no `nonce` of late");
        let nonce = HeaderField::new(NONCE_HEADER, &self.nonces(proofs).current(self.max_age, now));
        if let (Some(response), Ok(nonce)) = (denial.response.as_mut(), nonce) {
            response.headers.push(nonce);
        }
        denial
    }
}

/// The value of the one `dpop` header. Where a proxy joined several, the comma is in no token.
fn header(http: &Http) -> Result<&str, Denial> {
    match http.single_header(PROOF_HEADER) {
        Ok(Some(proof)) => Ok(proof),
        Ok(None) => Err(Denial::new(Reason::TokenDpopMissing, "there is no `dpop` header")),
        Err(HeaderProblem::Repeated) => Err(Denial::new(Reason::TokenDpopInvalid, "several `dpop` headers")),
        Err(HeaderProblem::NotText) => Err(Denial::new(Reason::TokenDpopInvalid, "the `dpop` header is no text")),
    }
}
