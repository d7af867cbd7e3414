//! Evidence that is there must agree: which workload it names is compared, never weighed.

use crate::decision::Denial;
use crate::decision::Reason;
use crate::facts::Caller;
use crate::facts::Proof;
use crate::spiffe_id::SpiffeId;

use super::xfcc::San;

/// The caller, unchanged where `text` names the same workload, or by `text` where there is none yet.
pub(super) fn agree(caller: Option<Caller>, proof: Proof, text: &str) -> Result<Caller, Denial> {
    match caller {
        // The common case needs no second parse: equal bytes are an equal ID.
        Some(caller) if caller.spiffe_id.as_str() == text => Ok(caller),
        Some(caller) => {
            spiffe_id(proof, text)?;
            Err(conflict(proof.name(), text, &caller))
        }
        None => Ok(Caller { spiffe_id: spiffe_id(proof, text)?, proof, certificate: None }),
    }
}

/// As [`agree`], for the header's element.
pub(super) fn agree_with_uri(caller: Option<Caller>, uri: San<'_>) -> Result<Option<Caller>, Denial> {
    match (uri, caller) {
        (San::Several, _) => Err(Denial::new(Reason::CallerXfccUri, "the element has several URIs that differ")),
        // Envoy writes `URI=` for a certificate without a URI SAN. A principal beside it is a DNS SAN that looks like
        // a SPIFFE ID.
        (San::One(""), Some(caller)) => Err(conflict("the header's `URI`", "", &caller)),
        (San::One(""), None) => Ok(None),
        (San::Absent, caller) => Ok(caller),
        (San::One(text), caller) => agree(caller, Proof::ForwardedClientCert, text).map(Some),
    }
}

/// As [`agree`], for a workload that a token has proven already, if there is one.
pub(super) fn agree_with_token(
    caller: Option<Caller>,
    proof: Proof,
    proven: Option<SpiffeId>,
) -> Result<Option<Caller>, Denial> {
    match (caller, proven) {
        (caller, None) => Ok(caller),
        (None, Some(spiffe_id)) => Ok(Some(Caller { spiffe_id, proof, certificate: None })),
        (Some(caller), Some(spiffe_id)) if caller.spiffe_id == spiffe_id => Ok(Some(caller)),
        (Some(caller), Some(spiffe_id)) => Err(conflict(proof.name(), spiffe_id.as_str(), &caller)),
    }
}

/// `source` names another workload than the evidence before it.
pub(super) fn conflict(source: &str, text: &str, caller: &Caller) -> Denial {
    let (found, known) = (excerpt(text), excerpt(caller.spiffe_id.as_str()));
    let detail = format!("{source} names `{found}`, {} names `{known}`", caller.proof.name());
    Denial::new(Reason::CallerConflict, detail)
}

fn spiffe_id(proof: Proof, text: &str) -> Result<SpiffeId, Denial> {
    let reason = match proof {
        Proof::Principal => Reason::CallerPrincipalInvalid,
        Proof::ForwardedClientCert => Reason::CallerXfccUri,
        Proof::JwtSvid => Reason::CallerJwtSvidClaims,
        Proof::WorkloadProof => Reason::CallerWitMalformed,
        Proof::PeerCertificate | Proof::VerifiedCertificate => Reason::CallerCertificateProfile,
    };
    SpiffeId::parse(text).map_err(|error| Denial::new(reason, format!("`{}` {error}", excerpt(text))))
}

/// As much of a hostile text as belongs in a log.
pub(super) fn excerpt(text: &str) -> String {
    /// Enough to recognise a name by; a SPIFFE ID may have 2048 bytes.
    const MAX_CHARS: usize = 64;
    text.escape_debug().take(MAX_CHARS).collect()
}
