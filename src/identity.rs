//! Who calls: the workload behind the request, proven by what the adjacent proxy says of its TLS peer, by a certificate's
//! own chain, or by a token that the workload sends.
//!
//! The peer of mutual TLS shows itself in `source.principal`, `source.certificate` and the `x-forwarded-client-cert`
//! header ([`xfcc`]); a workload behind others by a JWT-SVID, or a Workload-Identity-Token with its proof ([`wimse`]). A
//! source that is configured off is ignored entirely. All that are on and present must name one workload: a request
//! whose evidence disagrees is refused, never settled by precedence.

mod agreement;
mod certificate_cache;
mod jwt_svid;
mod peer;
pub mod wimse;
mod workload_token;
pub mod xfcc;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod tests;

use crate::clock::UnixTime;
use crate::decision::Denial;
use crate::decision::Reason;
use crate::facts::Attributes;
use crate::facts::Caller;
use crate::facts::Proof;
use crate::spiffe_id::SpiffeId;
use crate::trust::Bundles;
use crate::trust::Held;
use crate::trust::NoBundle;

use agreement::agree_with_token;
use agreement::excerpt;
use jwt_svid::JwtSvids;
use peer::PeerEvidence;
use wimse::WorkloadTokens;

/// Which evidence of the caller is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Whether `source.principal` is evidence. Envoy puts a DNS SAN there where the certificate has no URI SAN, so it
    /// is worth as much as the proxy's authorities, who must sign no DNS name that reads `spiffe://…`.
    pub principal: bool,
    /// Whether a forwarded leaf certificate is evidence: `source.certificate`, and `Cert` in the header.
    pub certificate: bool,
    /// Whether and how the `x-forwarded-client-cert` header is evidence.
    pub xfcc: XfccMode,
    /// Whether the forwarded leaf must chain to the bundle of its own trust domain. A caller by a mutual-TLS peer's
    /// evidence then needs a certificate.
    pub verify_peer_certificate: bool,
    /// Whether and where a JWT-SVID is evidence.
    pub jwt_svid: Option<JwtSvidConfig>,
    /// Whether a Workload-Identity-Token with its proof is evidence.
    pub wimse: Option<WimseConfig>,
}

/// A JWT-SVID as evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtSvidConfig {
    /// The header that holds it, alone, in lower case.
    pub header: String,
    /// `aud` must name one of these exactly.
    pub audiences: Vec<String>,
}

/// A Workload-Identity-Token with a Workload-Proof-Token as evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WimseConfig {
    /// What a proof's `aud` may begin with: scheme, host and port of the services behind the proxy, and a path's
    /// beginning, each as [`crate::target::Target::parse`] takes it.
    pub audiences: Vec<String>,
}

/// How the adjacent proxy treats `x-forwarded-client-cert`, and so what the header is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum XfccMode {
    /// The header is ignored: a client may have written it.
    Off,
    /// The proxy replaces the header (`SANITIZE_SET`): its one element is evidence by itself. What Envoy leaves
    /// unescaped is caught as far as the text shows it; a URI SAN with a semicolon in it does not show, unless the
    /// principal or the certificate stands beside it.
    SanitizeSet,
    /// The proxy appends to the header (`APPEND_FORWARD`): its last element is believed only beside a principal or
    /// certificate that agrees. Envoy does not escape SANs, so a client's certificate can write a last element whole,
    /// its `By` included.
    AppendForward {
        /// The only SPIFFE ID that the last element's `By` may have, where set.
        by: Option<String>,
    },
}

impl Default for Config {
    fn default() -> Self {
        Self {
            principal: true,
            certificate: true,
            xfcc: XfccMode::Off,
            verify_peer_certificate: false,
            jwt_svid: None,
            wimse: None,
        }
    }
}

/// Finds the caller of one request after another. One for each worker, since it remembers what it has proven without a
/// lock.
#[derive(Debug)]
pub struct Resolver {
    peer: PeerEvidence,
    workload_tokens: Option<WorkloadTokens>,
    jwt_svids: Option<JwtSvids>,
}

impl Resolver {
    /// A resolver that remembers nothing yet.
    pub fn new(config: Config) -> Self {
        Self {
            peer: PeerEvidence::new(&config),
            workload_tokens: config.wimse.as_ref().map(WorkloadTokens::new),
            jwt_svids: config.jwt_svid.map(JwtSvids::new),
        }
    }

    /// The calling workload; `None` where no evidence names one.
    ///
    /// # Errors
    /// A [`Denial`] where a piece of evidence is malformed, expired or untrustworthy, or two of them disagree.
    pub fn resolve(
        &mut self,
        attributes: &Attributes,
        bundles: &Bundles,
        now: UnixTime,
    ) -> Result<Option<Caller>, Denial> {
        // From the strongest proof to the weakest: the first names the caller, the others must name the same.
        let mut caller = self.peer.resolve(attributes, bundles, now)?;
        let Some(http) = attributes.http() else { return Ok(caller) };
        if let Some(tokens) = &mut self.workload_tokens {
            caller = agree_with_token(caller, Proof::WorkloadProof, tokens.resolve(http, bundles, now)?)?;
        }
        if let Some(svids) = &mut self.jwt_svids {
            caller = agree_with_token(caller, Proof::JwtSvid, svids.resolve(http, bundles, now)?)?;
        }
        Ok(caller)
    }
}

/// The bundle of the trust domain that `id` is of, and of no other.
fn bundle_of<'b>(id: &SpiffeId, bundles: &'b Bundles) -> Result<&'b Held, Denial> {
    bundles.get(id.trust_domain()).map_err(|none| {
        let (reason, state) = match none {
            NoBundle::Unknown => (Reason::CallerTrustDomainUnknown, "known"),
            NoBundle::Awaited => (Reason::CallerTrustUnavailable, "there yet"),
        };
        Denial::new(reason, format!("no bundle of `{}` is {state}", excerpt(id.trust_domain())))
    })
}
