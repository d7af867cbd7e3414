//! Proof of possession: which key a token is bound to (`cnf`, RFC 7800 §3.1), and whether this request proves it.
//!
//! INVARIANT: every member of `cnf` that names a key is proven, or the token is refused. A binding that is not understood
//! cannot be proven.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Map;
use serde_json::Value as Json;

use super::Presented;
use super::dpop::Dpop;
use crate::clock::UnixTime;
use crate::decision::Denial;
use crate::decision::Reason;
use crate::decision::Scheme;
use crate::route::Possession;

/// The keys that whoever presents the token must prove to hold, each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Binding {
    /// The certificate with this SHA-256 (RFC 8705 §3.1).
    certificate: Option<[u8; 32]>,
    /// The key with this thumbprint (RFC 9449 §6.1).
    key: Option<[u8; 32]>,
}

/// What a token's `cnf` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Confirmation {
    /// Nothing: a bearer token.
    None,
    /// At least one key.
    Bound(Binding),
    /// What nobody can prove here: another kind of key, or nothing where something must be.
    Unprovable,
}

impl Confirmation {
    /// Reads `cnf`.
    pub(super) fn read(claims: &Map<String, Json>) -> Self {
        match claims.get("cnf") {
            None => Self::None,
            Some(Json::Object(members)) => Self::of(members).unwrap_or(Self::Unprovable),
            Some(_) => Self::Unprovable,
        }
    }

    fn of(members: &Map<String, Json>) -> Option<Self> {
        let mut binding = Binding::default();
        for (name, value) in members {
            match name.as_str() {
                "x5t#S256" => binding.certificate = Some(sum(value)?),
                "jkt" => binding.key = Some(sum(value)?),
                KEYCLOAK_HINT if value == "DPoP" && members.contains_key("jkt") => {}
                _ => return None,
            }
        }
        (binding != Binding::default()).then_some(Self::Bound(binding))
    }

    const fn binding(&self) -> Binding {
        match self {
            Self::Bound(binding) => *binding,
            Self::None | Self::Unprovable => Binding { certificate: None, key: None },
        }
    }

    /// Checks that the token is bound as `demands` say, and that the request proves what it is bound to.
    pub(super) fn check(
        &self,
        token: &Presented<'_>,
        demands: [Possession; 2],
        dpop: Option<&Dpop>,
        now: UnixTime,
    ) -> Result<(), Denial> {
        if *self == Self::Unprovable {
            return Err(denied("`cnf` is of a kind that is not supported"));
        }
        let binding = self.binding();
        if !demands.into_iter().all(|demand| binding.meets(demand)) {
            return Err(denied("the token is not bound to a key as it must be here"));
        }
        // The scheme says which kind of token it is, and a bound one under Bearer would go without its proof (RFC 9449 §7.2).
        match (token.credential.scheme, binding.key) {
            (Scheme::Bearer, Some(_)) => return Err(denied("`cnf` names a key, and the scheme is not DPoP")),
            (Scheme::Dpop, None) => return Err(denied("the scheme is DPoP, and `cnf` names no key for it")),
            (Scheme::Bearer, None) | (Scheme::Dpop, Some(_)) => {}
        }
        if let Some(wanted) = binding.certificate {
            check_certificate(&wanted, token)?;
        }
        match (binding.key, dpop) {
            (None, _) => Ok(()),
            (Some(key), Some(dpop)) => dpop.check(token.http, token.credential.token, &key, token.proofs, now),
            (Some(_), None) => Err(denied("`cnf` names a key, and `dpop` is not configured")),
        }
    }
}

impl Binding {
    const fn meets(&self, demand: Possession) -> bool {
        match demand {
            Possession::Optional => true,
            Possession::Required => self.certificate.is_some() || self.key.is_some(),
            Possession::Dpop => self.key.is_some(),
            Possession::Certificate => self.certificate.is_some(),
        }
    }
}

/// Keycloak writes `"kc-jkt-type": "DPoP"` beside `jkt`. It names no key and asks for no proof of its own: it says of `jkt` what
/// RFC 9449 says of it anyway. So exactly this is let pass; any other value, or without `jkt`, is a binding that is not known.
const KEYCLOAK_HINT: &str = "kc-jkt-type";

fn sum(value: &Json) -> Option<[u8; 32]> {
    URL_SAFE_NO_PAD.decode(value.as_str()?).ok()?.try_into().ok()
}

fn check_certificate(wanted: &[u8; 32], token: &Presented<'_>) -> Result<(), Denial> {
    match token.caller.and_then(|caller| caller.certificate.as_ref()) {
        None => Err(denied("`cnf` names a certificate, and the peer has none")),
        Some(peer) => {
            verify_slices_are_equal(wanted, &peer.sha256).map_err(|_differ| denied("`cnf` names another certificate"))
        }
    }
}

fn denied(detail: &str) -> Denial {
    Denial::new(Reason::TokenConfirmation, detail)
}
